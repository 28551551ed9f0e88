"""What the trainer's tests share: a short run, and how runs are told apart."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

import wmx_torch._training.learner
from wmx.training import loop
from wmx.training.config import EpochDone, Training

fit = partial(loop.fit, wmx_torch._training.learner)
evaluate = partial(loop.evaluate, wmx_torch._training.learner)
SHORT = Training(model="mlp", epochs=3, device="cpu", lr=0.05)


def weights(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same_bits(first: nn.Module, second: nn.Module) -> bool:
    left, right = first.state_dict(), second.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[n], right[n]) for n in left)


def interrupt_after(epoch: int) -> Callable[[EpochDone], None]:
    def report(done: EpochDone) -> None:
        if done.epoch == epoch:
            raise KeyboardInterrupt

    return report
