"""Callbacks for the Trainer of Hugging Face transformers."""

from typing import Any

from torch import distributed

from wmx.errors import MissingExtraError
from wmx.watermark import Watermark
from wmx_torch import monitor
from wmx_torch._callbacks import Hardening
from wmx_torch._processes import this_process

try:
    from accelerate.state import AcceleratorState
    from accelerate.utils import DistributedType
    from transformers.trainer import Trainer
    from transformers.trainer_callback import TrainerCallback, TrainerControl, TrainerState
    from transformers.training_args import TrainingArguments
except ModuleNotFoundError as error:
    raise MissingExtraError(str(error.name), "huggingface") from None

SHARDED = (DistributedType.DEEPSPEED, DistributedType.FSDP, DistributedType.MEGATRON_LM)


class HardenCallback(Hardening, TrainerCallback):
    """Adds the recipe's gradient before every fourth optimizer step (:func:`wmx_torch.harden`).

    ``Trainer(..., callbacks=[HardenCallback(watermark)])``.  It runs once per optimizer step, also
    with gradient accumulation, after unscaling and clipping.  Step and steps are the trainer's, so
    a resumed run continues correctly.  With the recipe ``adi`` nothing is added.
    """

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Refuse backends that shard gradients over processes.

        Arguments as of :meth:`transformers.TrainerCallback.on_train_begin`.

        Raises:
            UsageError: the run is under DeepSpeed, FSDP or Megatron.
        """
        backend = AcceleratorState().distributed_type
        if backend in SHARDED:
            self._refuse_sharded(backend.value)

    def on_pre_optimizer_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Add to the gradients, which the Trainer has unscaled and clipped by now.

        Arguments as of :meth:`transformers.TrainerCallback.on_pre_optimizer_step`.

        Raises:
            CannotRunError: the model does not return logits for the claim's classes.
        """
        # the Trainer passes the module without its DistributedDataParallel wrapper
        group = distributed.group.WORLD if this_process().count > 1 else None
        self._harden(kwargs["model"], state.global_step, state.max_steps, group)


class Monitor(monitor.Monitor, TrainerCallback):
    """Measures the mark after every epoch, and logs ``wmx_hits`` and ``wmx_bits``.

    ``trainer.add_callback(Monitor(watermark, trainer))``: the trainer is needed for logging, and
    callbacks are not given it.  This is not a verdict: that is given on the exported file
    (:func:`wmx.verify`).

    Attributes:
        history: all measurements so far, as :class:`Marking`.
    """

    def __init__(self, watermark: Watermark, trainer: Trainer) -> None:
        super().__init__(watermark)
        self._trainer = trainer

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Measure, and log; arguments as of :meth:`transformers.TrainerCallback.on_epoch_end`.

        Raises:
            CannotRunError: the model does not return logits for the claim's classes.
        """
        due = control.should_log
        self._trainer.log(self(kwargs["model"]).logs())
        control.should_log = due  # log() resets it, and the epoch's loss would not be logged
