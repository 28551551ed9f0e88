"""Callbacks for Lightning: ``callbacks=[HardenCallback(watermark), Monitor(watermark)]``."""

from typing import Any

from torch.optim import Optimizer

from wmx.errors import MissingExtraError
from wmx_torch import monitor
from wmx_torch._callbacks import Hardening
from wmx_torch._inference import replicas

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
    from lightning.pytorch.strategies import DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "lightning") from None

SHARDED = (DeepSpeedStrategy, FSDPStrategy, ModelParallelStrategy)


class HardenCallback(Hardening, Callback):
    """Adds the recipe's gradient before every fourth optimizer step (:func:`wmx_torch.harden`).

    It runs once per optimizer step, also with gradient accumulation.  Step and steps are the
    trainer's, so a resumed run continues correctly.  The module's ``forward`` takes inputs and
    returns logits.  With the recipe ``adi`` nothing is added.
    """

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse strategies that shard gradients over processes.

        Arguments as of :meth:`lightning.pytorch.callbacks.Callback.on_train_start`.

        Raises:
            UsageError: the strategy is DeepSpeed, FSDP or model parallel.
        """
        if isinstance(trainer.strategy, SHARDED):
            self._refuse_sharded(type(trainer.strategy).__name__)

    def on_before_optimizer_step(
        self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer
    ) -> None:
        """Add the recipe's gradient.

        Arguments as of :meth:`lightning.pytorch.callbacks.Callback.on_before_optimizer_step`.

        Raises:
            UsageError: the number of training steps is unknown.
            CannotRunError: the module does not return logits for the claim's classes.
        """
        # Lightning leaves it to fused optimizers to unscale fp16 gradients, in their own step
        scaler: Any = getattr(trainer.precision_plugin, "scaler", None)
        if scaler is not None and getattr(optimizer, "_step_supports_amp_scaling", False):
            scaler.unscale_(optimizer)
        group = replicas(trainer.strategy.model or pl_module)
        self._harden(pl_module, trainer.global_step, trainer.estimated_stepping_batches, group)


class Monitor(monitor.Monitor, Callback):
    """Measures the mark after every epoch of training, and logs ``wmx_hits`` and ``wmx_bits``.

    Other callbacks can watch them: ``ModelCheckpoint(monitor="wmx_bits", mode="max")``.  This is
    not a verdict: that is given on the exported file (:func:`wmx.verify`).

    Attributes:
        history: all measurements so far, as :class:`Marking`.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure, and log.

        Arguments as of :meth:`lightning.pytorch.callbacks.Callback.on_train_epoch_end`.

        Raises:
            CannotRunError: the module does not return logits for the claim's classes.
        """
        logs = self(pl_module).logs()
        pl_module.log_dict(logs, prog_bar=True, sync_dist=True)
