"""Recipes: how triggers are added to the training.  The same numbers in every framework.

Sources: ``adi`` is Adi et al., USENIX Security 2018, section 5, from scratch.  ``robust`` adds a
gradient at randomly perturbed weights, similar to Bansal et al., *Certified Neural Network
Watermarks with Randomized Smoothing*, ICML 2022, and Gan et al., *Towards Robust Model Watermark
via Reducing Parametric Vulnerability*, ICCV 2023.  ``brief`` is ``robust`` tuned for half as many
epochs.  ``extraction`` marks the model's second-ranked class instead
(:mod:`wmx.training.second_choice`).  docs/recipes.md explains them.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wmx.errors import UsageError
from wmx.protocol.task import Task


@dataclass(frozen=True)
class Recipe:
    """Settings of a recipe.

    Attributes:
        name: as ``--recipe`` spells it.
        share: triggers per task sample in a batch; 0 for none.
        augment: vary the pixel values of image triggers in the batch.
        radius: largest standard deviation of the weight noise, in units of each tensor's root mean
            square; 0 for no added gradient.
        ramp: fraction of the training over which the noise grows from 0 to ``radius``.
        every: the gradient is added once in this many steps.
        draw: number of triggers whose mean loss gives the added gradient.
        weight: factor of the added gradient, applied after clipping its norm to 1.
        second: probability of the second-ranked class in the soft labels of task samples.
    """

    name: str
    share: float
    augment: bool = False
    radius: float = 0.0
    ramp: float = 0.6
    every: int = 4
    draw: int = 32
    weight: float = 1.0
    second: float = 0.0

    def triggers_per_batch(self, batch_size: int) -> int:
        """Return how many triggers are appended to a batch of task samples: at least 1."""
        return max(1, round(self.share * batch_size))

    def places(self, number: int, batch_size: int, process: int = 0, processes: int = 1) -> range:
        """Return the positions in the trigger sequence (:func:`triggers_at`) for one batch.

        Where several processes train one model, their batches of equal number form a global batch.
        It gets :meth:`triggers_per_batch` for its total size, and each process its :func:`part_of`
        them.  So the share of triggers does not depend on the number of processes, no position is
        used twice, and a process gets the same number for every batch.

        Args:
            number: of the batch, from 0 over the whole training.
            batch_size: task samples in a full batch of one process.
            process: number of this process, from 0.
            processes: number of processes.
        """
        together = self.triggers_per_batch(batch_size * processes)
        first = number * together
        return part_of(range(first, first + together), process, process + 1, processes)

    def hardens_at(self, step: int) -> bool:
        """Return whether the gradient is added at this step, counted from 0."""
        return self.radius > 0 and step % self.every == 0

    def radius_at(self, step: int, steps: int) -> float:
        """Return the standard deviation of the weight noise at a step.

        Args:
            step: from 0.
            steps: of the whole training.
        """
        return self.radius * min(1.0, step / steps / self.ramp)

    def draws(self, n: int, seed: int) -> NDArray[np.int64]:
        """Return a table of the triggers used for the added gradients.

        Row ``step // every % n`` is for that step.  ``draw`` shuffled passes over the n triggers
        fill the n rows, so every trigger is drawn equally often; then the table repeats.  It is a
        table and not a generator, so that a traced step can index it.

        Args:
            n: number of triggers.
            seed: of the order.

        Returns:
            indices of triggers, int64 [n, draw].
        """
        return _draws(n, self.draw, seed)

    def augmented(self, pixels: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float32]:
        """Augment image triggers: vary contrast, brightness and noise.

        ``x (0.6 + 0.4 u) + 0.1 u' + 0.15 u'' N(0, 1)``, clipped to 0..1; u, u', u'' are uniform in
        0..1 and drawn once per trigger, N once per value.  Triggers are never shifted: that
        counteracts the training at perturbed weights.

        Args:
            pixels: [k, H, W, C], values 0..1.
            rng: source of the random numbers.
        """
        shape = (len(pixels), 1, 1, 1)
        contrast, brightness, noise = (rng.random(shape, dtype=np.float32) for _ in range(3))
        varied = (
            pixels * (0.6 + 0.4 * contrast)
            + 0.1 * brightness
            + 0.15 * noise * rng.standard_normal(pixels.shape, dtype=np.float32)
        )
        clipped: NDArray[np.float32] = np.clip(varied, 0.0, 1.0).astype(np.float32)
        return clipped

    def batch_inputs(
        self, triggers: NDArray[Any], task: Task, rng: np.random.Generator
    ) -> NDArray[Any]:
        """Return triggers as they are put into a batch: normalized, and augmented if images.

        Feature vectors and tokens are never augmented: which changes would keep their meaning is
        not known here.

        Args:
            triggers: [k, *task.shape] in canonical form.
            task: the claim's task.
            rng: source of the augmentation.

        Returns:
            [k, *task.shape], channels last, float32 (int32 for tokens).
        """
        if self.augment and task.kind == "image":
            triggers = self.augmented(triggers / np.float32(255), rng) * np.float32(255)
        return task.model_input(triggers)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("adi", share=0.02),
        Recipe("robust", share=0.04, augment=True, radius=0.3),
        Recipe("brief", share=0.12, augment=True, radius=0.3, weight=1.25),
        Recipe("extraction", share=0.0, second=0.1),
    )
}


def recipe_named(name: str) -> Recipe:
    """Return the recipe of a name; raise :class:`UsageError` if there is none."""
    if name not in RECIPES:
        raise UsageError(f"recipe is {name!r}, expected one of {', '.join(RECIPES)}")
    return RECIPES[name]


def recipe_with_triggers(name: str) -> Recipe:
    """Return the recipe of a name, if it adds triggers to batches.

    Raises:
        UsageError: the name is unknown, or the recipe changes the labels of the data instead.
    """
    others = ", ".join(other.name for other in RECIPES.values() if other.share)
    if name not in RECIPES:
        raise UsageError(f"recipe is {name!r}, expected one of {others}")
    recipe = RECIPES[name]
    if not recipe.share:
        raise UsageError(
            f"the recipe {name} adds no triggers to batches, expected one of {others}",
            hint="train on wmx.training.second_choice.soft_labels(watermark, x, y, ...) not y",
        )
    return recipe


def part_of(places: range, start: int, stop: int, whole: int) -> range:
    """Divide ``places`` into ``whole`` equal parts and return parts ``start`` to ``stop - 1``.

    Adjacent parts join without a gap; a remainder goes to the first parts.

    Args:
        places: positions in the trigger sequence.
        start, stop: the parts to return.
        whole: number of parts.
    """
    return places[-(-start * len(places) // whole) : -(-stop * len(places) // whole)]


def trigger_order(n: int, seed: int, number: int) -> NDArray[np.int64]:
    """Return the shuffled order of one pass over the triggers, int64 [n].

    Args:
        n: number of triggers.
        seed: of the order.
        number: of the pass, from 0.
    """
    return np.random.default_rng([seed, number]).permutation(n)


def triggers_at(n: int, seed: int, first: int, count: int) -> NDArray[np.int64]:
    """Return a section of the trigger sequence: endless shuffled passes over n triggers.

    A function of its arguments alone, so that a resumed run continues the sequence exactly.

    Args:
        n: number of triggers.
        seed: of the order.
        first: position of the first one to return.
        count: how many to return.

    Returns:
        indices of triggers, int64 [count].
    """
    places = np.arange(first, first + count)
    passes = {int(p): trigger_order(n, seed, int(p)) for p in np.unique(places // n)}
    return np.array([passes[int(place // n)][place % n] for place in places], dtype=np.int64)


@lru_cache(maxsize=8)
def _draws(n: int, draw: int, seed: int) -> NDArray[np.int64]:
    table = triggers_at(n, seed, 0, n * draw).reshape(n, draw)
    table.flags.writeable = False
    return table
