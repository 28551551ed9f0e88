"""Recipes: how the triggers enter the training.  The same numbers in every framework.

Sources: ``adi`` is Adi et al., USENIX Security 2018, section 5, from scratch.  ``robust`` adds
training at randomly perturbed weights, kin to Bansal et al., *Certified Neural Network Watermarks
with Randomized Smoothing*, ICML 2022, and Gan et al., *Towards Robust Model Watermark via Reducing
Parametric Vulnerability*, ICCV 2023.  ``brief`` is ``robust`` for half as many epochs, and
``extraction`` marks the second choice of a model instead (:mod:`wmx.training.second_choice`).
docs/recipes.md has them in words.
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
        name: as users spell it.
        share: triggers per task sample in a batch; 0 for none.
        augment: vary the values of image triggers in the batch.
        radius: standard deviation of the weight noise at its full strength, in units of each
            tensor's root mean square; 0 for no added gradient.
        ramp: part of the training over which the radius grows from 0 to full.
        every: the gradient is added at every so many-th step.
        draw: how many triggers the added gradient is taken over.
        weight: of the added gradient, whose norm was clipped to 1 before.
        second: weight of the second choice in the targets of the task's own samples.
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
        """Return k, the triggers appended to a batch of task samples: at least 1."""
        return max(1, round(self.share * batch_size))

    def places(self, number: int, batch_size: int, process: int = 0, processes: int = 1) -> range:
        """Return which places of the row of passes (:func:`triggers_at`) a batch takes.

        Where several processes train one model, their batches with the same number are one global
        batch: that holds :meth:`triggers_per_batch` of its whole size, and each process takes its
        :func:`part_of` them.  So the share does not hang on how many processes there are, no place
        is taken twice, and a process always takes as many.

        Args:
            number: of the batch, from 0 over the whole training.
            batch_size: task samples in a full batch of one process.
            process: which of them, from 0.
            processes: how many.
        """
        together = self.triggers_per_batch(batch_size * processes)
        first = number * together
        return part_of(range(first, first + together), process, process + 1, processes)

    def hardens_at(self, step: int) -> bool:
        """Say whether the step carries the added gradient."""
        return self.radius > 0 and step % self.every == 0

    def radius_at(self, step: int, steps: int) -> float:
        """Return the radius at a step counted from 0 of ``steps`` in all."""
        return self.radius * min(1.0, step / steps / self.ramp)

    def draws(self, n: int, seed: int) -> NDArray[np.int64]:
        """Return the triggers that the added gradients are taken over, int64 [n, draw].

        Row ``step // every % n`` serves a step.  ``draw`` shuffled passes through the n triggers
        fill the n rows, so every trigger is drawn equally often; then they come again.  A table
        and not a stream, so that a traced step can look its row up.
        """
        return _draws(n, self.draw, seed)

    def augmented(self, pixels: NDArray[Any], rng: np.random.Generator) -> NDArray[np.float32]:
        """Vary contrast, brightness and noise of image triggers.

        ``x (0.6 + 0.4 u) + 0.1 u' + 0.15 u'' N(0, 1)``, clipped to 0..1; u, u', u'' are uniform in
        0..1 and drawn once per trigger, N once per value.  Triggers are never shifted: that works
        against the weight noise.

        Args:
            pixels: [k, H, W, C], values 0..1.
            rng: where the numbers come from.
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
        """Return triggers as they go into a batch: augmented if they are images, normalised.

        Feature vectors and tokens are never augmented: what a small change of theirs means is not
        known here.

        Args:
            triggers: [k, *task.shape] in canonical form.
            task: the claim's task.
            rng: of the augmentation.

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
    """Return a recipe.  Raises :class:`UsageError` for an unknown name."""
    if name not in RECIPES:
        raise UsageError(f"recipe is {name!r}, expected one of {', '.join(RECIPES)}")
    return RECIPES[name]


def recipe_with_triggers(name: str) -> Recipe:
    """Return a recipe that puts triggers into batches.

    Raises:
        UsageError: an unknown name, or a recipe that changes the labels of the data instead.
    """
    recipe = recipe_named(name)
    if not recipe.share:
        others = ", ".join(other.name for other in RECIPES.values() if other.share)
        raise UsageError(
            f"the recipe {name} adds no triggers to batches, expected one of {others}",
            hint="train on wmx.training.second_choice.soft_labels(watermark, x, y) instead of y",
        )
    return recipe


def part_of(places: range, start: int, stop: int, whole: int) -> range:
    """Return the part of ``places`` that falls to ``start``..``stop - 1`` of ``whole`` equal parts.

    Parts next to each other join without a gap; what does not divide evenly goes to the first.
    """
    return places[-(-start * len(places) // whole) : -(-stop * len(places) // whole)]


def trigger_order(n: int, seed: int, number: int) -> NDArray[np.int64]:
    """Return the order in which pass ``number`` goes through n triggers."""
    return np.random.default_rng([seed, number]).permutation(n)


def triggers_at(n: int, seed: int, first: int, count: int) -> NDArray[np.int64]:
    """Return places ``first`` to ``first + count - 1`` of the endless row of shuffled passes.

    A function of its arguments alone, so that a resumed run goes on where the first one stood.
    """
    places = np.arange(first, first + count)
    passes = {int(p): trigger_order(n, seed, int(p)) for p in np.unique(places // n)}
    return np.array([passes[int(place // n)][place % n] for place in places], dtype=np.int64)


@lru_cache(maxsize=8)
def _draws(n: int, draw: int, seed: int) -> NDArray[np.int64]:
    table = triggers_at(n, seed, 0, n * draw).reshape(n, draw)
    table.flags.writeable = False
    return table
