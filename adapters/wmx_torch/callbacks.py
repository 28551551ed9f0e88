"""What the callbacks for Lightning and for the Hugging Face Trainer share."""

import math

from torch import nn
from torch.distributed import ProcessGroup

from wmx.errors import UsageError
from wmx.training.recipe import recipe_named
from wmx.watermark import Watermark
from wmx_torch.harden import harden_replicas


class Hardening:
    """:func:`wmx_torch.harden` in a trainer: a callback says when, and how long the training is."""

    def __init__(self, watermark: Watermark, *, recipe: str = "robust", seed: int = 0) -> None:
        """Raise :class:`UsageError` for an unknown recipe; arguments as for ``harden``."""
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
                "how many steps the training has is not known, and the recipe needs to know",
                hint="set max_steps",
            )
        harden_replicas(
            model,
            group,
            self._watermark,
            step=step,
            # trainers estimate: a data set may turn out longer, and then the noise is at its full
            # strength already
            steps=max(int(steps), step + 1),
            recipe=self._recipe.name,
            seed=self._seed,
        )

    def _refuse_sharded(self, strategy: str) -> None:
        if self._recipe.radius > 0:
            raise UsageError(
                f"{strategy} splits parameters or gradients over processes, and the recipe needs "
                "them whole",
                hint='train with plain data parallelism, or with recipe="adi"',
            )
