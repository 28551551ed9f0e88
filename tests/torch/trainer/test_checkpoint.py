"""Checkpoints and weights: a stopped run goes on to the same bits, and nothing harmful loads."""

import pickle
import shlex
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from short_runs import SHORT, fit, interrupt_after, same_bits, weights
from torch import nn

from wmx import OwnerKey, Watermark
from wmx.errors import CannotRunError, IntegrityError, UsageError
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData, load_data
from wmx_torch._training import learner
from wmx_torch._training.models import cnn
from wmx_torch._training.weights import CONVERSION

# resume


@pytest.mark.parametrize(
    "training",
    [
        replace(SHORT, model="cnn"),
        replace(SHORT, optimizer="adamw", lr=0.002, recipe="adi"),
        replace(SHORT, model="test_checkpoint:with_dropout"),
    ],
    ids=["cnn-sgd-robust", "mlp-adamw-adi", "dropout"],
)
def test_a_resumed_run_ends_with_the_same_bits(
    training: Training, data: LabeledData, watermark: Watermark, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    whole = fit(data, data.task, watermark, training)
    with pytest.raises(KeyboardInterrupt):
        fit(
            data,
            data.task,
            watermark,
            training,
            checkpoint=checkpoint,
            report=interrupt_after(1),
        )
    seen: list[int] = []
    resumed = fit(
        data,
        data.task,
        watermark,
        training,
        checkpoint=checkpoint,
        resume=True,
        report=lambda done: seen.append(done.epoch),
    )
    assert seen == [2, 3]
    assert same_bits(whole, resumed)


def with_dropout(*, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """A model of the user that draws random numbers while it trains."""
    size = int(np.prod(input_shape))
    return nn.Sequential(nn.Flatten(), nn.Dropout(0.3), nn.Linear(size, num_classes))


def test_an_interrupt_inside_an_epoch_leaves_the_last_checkpoint(
    data: LabeledData, watermark: Watermark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    checkpoint = tmp_path / "checkpoint.safetensors"
    whole = fit(data, data.task, watermark, SHORT)
    harden, steps = learner.harden, []

    def interrupted(*arguments: Any, step: int, **more: Any) -> None:
        steps.append(step)
        if step == 6:
            raise KeyboardInterrupt
        harden(*arguments, step=step, **more)

    monkeypatch.setattr(learner, "harden", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(data, data.task, watermark, SHORT, checkpoint=checkpoint)
    assert steps == list(range(7))
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.name]
    monkeypatch.setattr(learner, "harden", harden)
    resumed = fit(data, data.task, watermark, SHORT, checkpoint=checkpoint, resume=True)
    assert same_bits(whole, resumed)


KILLED = """
import os, signal, sys
import torch
from wmx import Claim, OwnerKey, Watermark
from wmx.training.data.dataset import load_data
from wmx.training.config import Training
from wmx_torch._training import learner
from wmx.training.loop import fit
from pathlib import Path

torch.set_num_threads(1)
folder = Path(sys.argv[1])
data = load_data("digits")
watermark = Watermark.open(Claim.load(folder / "claim.json"), OwnerKey.load(folder / "owner.pem"))

def die(done):
    if done.epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)

training = Training(model="mlp", epochs=4, device="cpu", lr=0.05)
checkpoint = folder / "run.safetensors"
fit(learner, data, data.task, watermark, training, checkpoint=checkpoint, report=die)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGKILL")
def test_a_killed_process_is_resumed_to_the_same_bits(tmp_path: Path) -> None:
    data = load_data("digits")
    owner = OwnerKey.generate()
    watermark = Watermark.for_task(owner, data.task)
    owner.save(tmp_path / "owner.pem")
    watermark.claim.save(tmp_path / "claim.json")
    command = [sys.executable, "-c", KILLED, str(tmp_path)]
    ended = subprocess.run(command, check=False)
    assert ended.returncode == -signal.SIGKILL
    training = replace(SHORT, epochs=4)
    resumed = fit(
        data,
        data.task,
        watermark,
        training,
        checkpoint=tmp_path / "run.safetensors",
        resume=True,
    )
    assert same_bits(fit(data, data.task, watermark, training), resumed)


def test_a_run_is_resumed_only_as_itself(
    data: LabeledData, watermark: Watermark, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    fit(data, data.task, watermark, replace(SHORT, epochs=1), checkpoint=checkpoint)
    before = checkpoint.read_bytes()
    one = replace(SHORT, epochs=1)
    other_data = replace(data, y_test=data.y_test[::-1].copy())
    other_claim = Watermark.for_task(OwnerKey.generate(), data.task)
    attempts = {
        "epochs 1, not 2": (data, watermark, replace(one, epochs=2)),
        "lr 0.05, not 0.1": (data, watermark, replace(one, lr=0.1)),
        "recipe robust, not adi": (data, watermark, replace(one, recipe="adi")),
        "model mlp, not cnn": (data, watermark, replace(one, model="cnn")),
        "other data": (other_data, watermark, one),
        "another claim": (data, other_claim, one),
    }
    for message, (some_data, some_watermark, training) in attempts.items():
        with pytest.raises((UsageError, IntegrityError), match=message):
            fit(
                some_data,
                data.task,
                some_watermark,
                training,
                checkpoint=checkpoint,
                resume=True,
            )
    assert checkpoint.read_bytes() == before


def test_a_damaged_checkpoint_is_refused(
    data: LabeledData, watermark: Watermark, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    one = replace(SHORT, epochs=1)
    fit(data, data.task, watermark, one, checkpoint=checkpoint)
    whole = checkpoint.read_bytes()
    foreign = tmp_path / "foreign.safetensors"
    save_file({"a": torch.zeros(3)}, foreign)
    for content in (whole[:-9], whole[:100], b"", foreign.read_bytes()):
        checkpoint.write_bytes(content)
        with pytest.raises(IntegrityError):
            fit(data, data.task, watermark, one, checkpoint=checkpoint, resume=True)


def test_a_checkpoint_holds_plain_tensors_alone(
    data: LabeledData, watermark: Watermark, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    fit(data, data.task, watermark, replace(SHORT, epochs=1), checkpoint=checkpoint)
    names = {name.partition(".")[0] for name in load_file(checkpoint)}
    assert names == {"model", "optimizer"}


# pretrained


@pytest.mark.parametrize("name", ["start.safetensors", "start.weights"])
def test_training_starts_from_the_weights_given(
    data: LabeledData, watermark: Watermark, tmp_path: Path, name: str
) -> None:
    start = weights(cnn(input_shape=(8, 8, 1), num_classes=10))
    path = tmp_path / name
    save_file(start, path)
    still = Training(epochs=1, device="cpu", lr=1e-30, weight_decay=0, pretrained=path)
    trained = fit(data, data.task, None, still).state_dict()
    for parameter, _ in cnn(input_shape=(8, 8, 1), num_classes=10).named_parameters():
        torch.testing.assert_close(trained[parameter], start[parameter], rtol=0, atol=1e-20)


def test_weights_that_do_not_fit_are_named(data: LabeledData, tmp_path: Path) -> None:
    start = weights(cnn(input_shape=(8, 8, 1), num_classes=10))
    path = tmp_path / "start.safetensors"
    training = Training(epochs=1, device="cpu", pretrained=path)
    (bias,) = (name for name in start if name.endswith("bias") and start[name].shape == (10,))
    save_file({"extra" if n == bias else n: t for n, t in start.items()}, path)
    with pytest.raises(UsageError, match=rf"missing {bias}; unexpected extra"):
        fit(data, data.task, None, training)
    save_file(start | {bias: torch.zeros(11)}, path)
    with pytest.raises(UsageError, match=rf"{bias} has shape \(11,\), the model's has \(10,\)"):
        fit(data, data.task, None, training)


class Harm:
    """What runs where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_no_pickle_is_read_neither_a_harmful_nor_an_honest_one(
    data: LabeledData, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    contents = {
        "honest.pt": weights(cnn(input_shape=(8, 8, 1), num_classes=10)),
        "harmful.pt": {"0.weight": Harm(tmp_path / "harm")},
        "whole.pt": nn.Linear(2, 2),
    }
    for name, content in contents.items():
        torch.save(content, tmp_path / name)
    (tmp_path / "text.safetensors").write_text("no tensors")
    (tmp_path / "old.pt").write_bytes(pickle.dumps(Harm(tmp_path / "harm")))
    monkeypatch.setattr(torch, "load", None)  # its own unpickler is not even called
    for name in (*contents, "text.safetensors", "old.pt"):
        training = Training(epochs=1, device="cpu", pretrained=tmp_path / name)
        with pytest.raises(CannotRunError, match="not a safetensors file") as caught:
            fit(data, data.task, None, training)
        assert CONVERSION in str(caught.value.hint)
    missing = Training(epochs=1, device="cpu", pretrained=tmp_path / "missing.safetensors")
    with pytest.raises(CannotRunError, match="no such file"):
        fit(data, data.task, None, missing)
    assert not (tmp_path / "harm").exists()


def test_a_state_dict_is_converted_as_the_error_says(data: LabeledData, tmp_path: Path) -> None:
    start = cnn(input_shape=(8, 8, 1), num_classes=10).state_dict()
    torch.save(start, tmp_path / "model.pt")
    words = shlex.split(CONVERSION)
    subprocess.run([sys.executable, *words[1:]], cwd=tmp_path, check=True)
    path = tmp_path / "model.safetensors"
    still = Training(epochs=1, device="cpu", lr=1e-30, weight_decay=0, pretrained=path)
    trained = fit(data, data.task, None, still).state_dict()
    torch.testing.assert_close(trained["0.0.weight"], start["0.0.weight"], rtol=0, atol=1e-20)
