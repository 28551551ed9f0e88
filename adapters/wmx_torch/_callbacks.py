"""Base class of the callbacks for Lightning and for the Hugging Face Trainer."""

import math

from torch import nn
from torch.distributed import ProcessGroup

from wmx.errors import UsageError
from wmx.training.recipe import recipe_named
from wmx.watermark import Watermark
from wmx_torch.harden import harden_replicas


class Hardening:
    """Calls :func:`wmx_torch.harden` from a trainer's callback, which gives step and steps."""

    def __init__(self, watermark: Watermark, *, recipe: str = "robust", seed: int = 0) -> None:
        """Initialize.

        Args:
            watermark, recipe, seed: as for :func:`wmx_torch.harden`.

        Raises:
            UsageError: the recipe is unknown.
        """
        self._watermark = watermark
        self._recipe = recipe_named(recipe)
        self._seed = seed

    def _harden(
        self, model: nn.Module, step: int, steps: float, group: ProcessGroup | None = None
    ) -> None:
        if not self._recipe.hardens_at(step):
            return
        if not 0 < steps < math.inf:
            raise UsageError(
                "the number of training steps is unknown, and the recipe depends on it",
                hint="set max_steps",
            )
        harden_replicas(
            model,
            group,
            self._watermark,
            step=step,
            # trainers estimate: if there are more steps, the noise has already reached its full
            # strength
            steps=max(int(steps), step + 1),
            recipe=self._recipe.name,
            seed=self._seed,
        )

    def _refuse_sharded(self, strategy: str) -> None:
        if self._recipe.radius > 0:
            raise UsageError(
                f"{strategy} shards parameters or gradients over processes, and the recipe needs "
                "them unsharded",
                hint='train with plain data parallelism, or with recipe="adi"',
            )
