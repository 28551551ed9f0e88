"""The trainer: repeatable to the bit, resumable to the bit, and gone without a trace."""

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from wmx_torch.batches import Inputs, TrainingBatches, TriggerBatches
from wmx_torch.models import cnn
from wmx_torch.optimizer import learning_rate_factor
from wmx_torch.trainer import evaluate, fit

from wmx import OwnerKey, Watermark
from wmx.data import LabelledData, load_data
from wmx.errors import CannotRunError, IntegrityError, UsageError
from wmx.recipe import recipe_named
from wmx.training import EpochDone, Training

CPU = torch.device("cpu")
SHORT = Training(model="mlp", epochs=3, device="cpu", lr=0.05)


@pytest.fixture(scope="module")
def data() -> LabelledData:
    digits = load_data("digits")
    return replace(digits, x_train=digits.x_train[:430], y_train=digits.y_train[:430])


@pytest.fixture(scope="module")
def watermark(data: LabelledData) -> Watermark:
    return Watermark.for_task(OwnerKey.generate(), data.task)


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


# repeatable


def test_the_same_seed_gives_the_same_bits_and_another_does_not(
    data: LabelledData, watermark: Watermark
) -> None:
    first = fit(data, data.task, watermark, SHORT)
    torch.manual_seed(12345)  # the caller's random state has no say
    assert same_bits(first, fit(data, data.task, watermark, SHORT))
    assert not same_bits(first, fit(data, data.task, watermark, replace(SHORT, seed=1)))


def test_every_random_state_is_left_as_found(data: LabelledData, watermark: Watermark) -> None:
    before = torch.get_rng_state(), np.random.get_state(), random.getstate()  # noqa: NPY002
    fit(data, data.task, watermark, replace(SHORT, model="cnn", epochs=1))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1][1])  # noqa: NPY002
    assert random.getstate() == before[2]


def test_the_watermark_and_the_data_are_left_as_found(data: LabelledData) -> None:
    watermark = Watermark.for_task(OwnerKey.generate(), data.task)
    triggers, x_train = watermark.triggers.copy(), data.x_train.copy()
    fit(data, data.task, watermark, replace(SHORT, epochs=1))
    np.testing.assert_array_equal(watermark.triggers, triggers)
    np.testing.assert_array_equal(data.x_train, x_train)


# what a run gives


def test_the_mark_is_learned_beside_the_task_and_reported() -> None:
    data = load_data("digits")
    watermark = Watermark.for_task(OwnerKey.generate(), data.task)
    events: list[EpochDone] = []
    training = Training(model="cnn", epochs=12, device="cpu")
    model = fit(data, data.task, watermark, training, report=events.append)
    assert not model.training
    assert [event.epoch for event in events] == list(range(1, 13))
    last = events[-1]
    assert (last.n, last.epochs) == (100, 12)
    assert last.hits is not None
    assert last.hits >= 95
    assert last.bits is not None
    assert last.bits > 280
    assert last.accuracy > 0.96
    assert last.loss < events[0].loss
    assert evaluate(model, data.x_test, data.y_test, data.task) == last.accuracy


def test_without_a_watermark_nothing_is_said_of_one(data: LabelledData) -> None:
    events: list[EpochDone] = []
    fit(data, data.task, None, replace(SHORT, epochs=1), report=events.append)
    assert (events[0].hits, events[0].n, events[0].bits) == (None, None, None)


@pytest.mark.parametrize("recipe", ["adi", "robust"])
@pytest.mark.parametrize("kind", ["features", "tokens"])
def test_features_and_tokens_are_marked_too(kind: str, recipe: str) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 400)
    if kind == "features":
        x = rng.normal(size=(400, 12)) + 2 * y[:, None]
    else:
        x = rng.integers(0, 20, (400, 12)) + 15 * y[:, None]
    data = LabelledData.of(x[:300], y[:300], x[300:], y[300:], kind)
    watermark = Watermark.for_task(
        OwnerKey.generate(), data.task, n=40, generator=data.trigger_generator()
    )
    events: list[EpochDone] = []
    training = Training(
        model="mlp", epochs=80, optimizer="adamw", lr=0.005, device="cpu", recipe=recipe
    )
    fit(data, data.task, watermark, training, report=events.append)
    assert events[-1].accuracy > 0.9
    assert events[-1].hits is not None
    assert events[-1].hits >= 30


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    factors = [learning_rate_factor(step, 1000) for step in range(1000)]
    assert factors[0] == 1 / 35
    assert max(factors) == factors[34] == factors[35] == 1
    assert factors[35:] == sorted(factors[35:], reverse=True)
    assert factors[-1] < 1e-4
    assert [learning_rate_factor(0, steps) for steps in (1, 9)] == [1, 1]


def test_a_loss_that_is_not_finite_stops_the_run(data: LabelledData) -> None:
    with pytest.raises(CannotRunError, match="diverged") as caught:
        fit(data, data.task, None, replace(SHORT, lr=1e30))
    assert "--lr" in str(caught.value.hint)


# batches


def test_inputs_are_what_the_claim_says_the_model_sees(data: LabelledData) -> None:
    seen = Inputs(data.x_test, data.task, CPU).plain(slice(None))
    expected = data.task.model_input(data.x_test).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(seen.numpy(), expected, atol=1e-6)


def test_shifts_move_whole_images_and_fill_with_black() -> None:
    from wmx.task import Task
    from wmx.verdict import shifted

    pixels = np.random.default_rng(0).integers(1, 256, (30, 28, 28, 3), dtype=np.uint8)
    task = Task.of((28, 28, 3), 2, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    seen = Inputs(pixels, task, CPU).shifted(torch.arange(30), torch.Generator().manual_seed(0))
    moves = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
    found = set()
    for index in range(30):
        options = [shifted(pixels[index : index + 1], *move) for move in moves]
        fits = [
            move
            for move, option in zip(moves, options, strict=True)
            if np.allclose(
                seen[index].numpy(), task.model_input(option)[0].transpose(2, 0, 1), atol=1e-5
            )
        ]
        assert len(fits) == 1
        found |= set(fits)
    assert len(found) > 10


def test_every_batch_has_one_shape_and_the_recipes_share_of_triggers(
    data: LabelledData, watermark: Watermark
) -> None:
    triggers = TriggerBatches(watermark, recipe_named("robust"), 100, 0, CPU)
    batches = TrainingBatches(data, data.task, 100, 0, CPU, triggers)
    steps, shapes, labels = [], set(), []
    for epoch in range(2):
        for step, inputs, targets in batches.epoch(epoch):
            steps.append(step)
            shapes.add((tuple(inputs.shape), tuple(targets.shape)))
            labels.append(targets[:100])
    assert steps == list(range(8))
    assert shapes == {((104, 1, 8, 8), (104,))}
    assert not torch.equal(torch.cat(labels[:4]), torch.cat(labels[4:]))


def test_a_pass_holds_every_trigger_once(data: LabelledData) -> None:
    watermark = Watermark.for_task(OwnerKey.generate(), data.task, n=30)
    triggers = TriggerBatches(watermark, recipe_named("adi"), 200, 0, CPU)  # 4 a step
    drawn = torch.cat([triggers.at(step)[0] for step in range(15)])  # two passes
    counts = {tuple(row.flatten().tolist()): 0 for row in drawn}
    for row in drawn:
        counts[tuple(row.flatten().tolist())] += 1
    assert set(counts.values()) == {2}
    assert len(counts) == 30
    first, second = drawn[:30].flatten(1).tolist(), drawn[30:].flatten(1).tolist()
    assert sorted(first) == sorted(second)
    assert first != second


def test_a_set_smaller_than_a_batch_is_one_batch(data: LabelledData) -> None:
    batches = TrainingBatches(data, data.task, 1000, 0, CPU, None)
    assert [len(labels) for _, _, labels in batches.epoch(0)] == [430]


# resume


@pytest.mark.parametrize(
    "training",
    [
        replace(SHORT, model="cnn"),
        replace(SHORT, optimizer="adamw", lr=0.002, recipe="adi"),
        replace(SHORT, model="test_trainer:with_dropout"),
    ],
    ids=["cnn-sgd-robust", "mlp-adamw-adi", "dropout"],
)
def test_a_resumed_run_ends_with_the_same_bits(
    training: Training, data: LabelledData, watermark: Watermark, tmp_path: Path
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
    data: LabelledData, watermark: Watermark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import wmx_torch.trainer as trainer

    checkpoint = tmp_path / "checkpoint.safetensors"
    whole = fit(data, data.task, watermark, SHORT)
    harden, steps = trainer.harden, []

    def interrupted(*arguments: Any, step: int, **more: Any) -> None:
        steps.append(step)
        if step == 6:
            raise KeyboardInterrupt
        harden(*arguments, step=step, **more)

    monkeypatch.setattr(trainer, "harden", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(data, data.task, watermark, SHORT, checkpoint=checkpoint)
    assert steps == list(range(7))
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.name]
    monkeypatch.setattr(trainer, "harden", harden)
    resumed = fit(data, data.task, watermark, SHORT, checkpoint=checkpoint, resume=True)
    assert same_bits(whole, resumed)


KILLED = """
import os, signal, sys
import torch
from wmx import Claim, OwnerKey, Watermark
from wmx.data import load_data
from wmx.training import Training
from wmx_torch.trainer import fit
from pathlib import Path

torch.set_num_threads(1)
folder = Path(sys.argv[1])
data = load_data("digits")
watermark = Watermark.open(Claim.load(folder / "claim.json"), OwnerKey.load(folder / "owner.pem"))

def die(done):
    if done.epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)

training = Training(model="mlp", epochs=4, device="cpu", lr=0.05)
fit(data, data.task, watermark, training, checkpoint=folder / "run.safetensors", report=die)
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
    data: LabelledData, watermark: Watermark, tmp_path: Path
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
    data: LabelledData, watermark: Watermark, tmp_path: Path
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


# pretrained


@pytest.mark.parametrize("name", ["start.safetensors", "start.pt"])
def test_training_starts_from_the_weights_given(
    data: LabelledData, watermark: Watermark, tmp_path: Path, name: str
) -> None:
    start = weights(cnn(input_shape=(8, 8, 1), num_classes=10))
    path = tmp_path / name
    save_file(start, path) if path.suffix == ".safetensors" else torch.save(start, path)
    still = Training(epochs=1, device="cpu", lr=1e-30, weight_decay=0, pretrained=path)
    trained = fit(data, data.task, None, still).state_dict()
    for parameter, _ in cnn(input_shape=(8, 8, 1), num_classes=10).named_parameters():
        torch.testing.assert_close(trained[parameter], start[parameter], rtol=0, atol=1e-20)


def test_weights_that_do_not_fit_are_named(data: LabelledData, tmp_path: Path) -> None:
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


def test_a_malicious_pickle_is_refused_and_does_nothing(data: LabelledData, tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "harm",))

    harmful, whole_model, text = (tmp_path / name for name in ("a.pt", "b.pt", "c.safetensors"))
    torch.save({"0.weight": Harm()}, harmful)
    torch.save(nn.Linear(2, 2), whole_model)
    text.write_text("no tensors")
    for path in (harmful, whole_model, text, tmp_path / "missing.pt"):
        with pytest.raises(CannotRunError):
            fit(data, data.task, None, Training(epochs=1, device="cpu", pretrained=path))
    assert not (tmp_path / "harm").exists()


# settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"optimizer": "lion"},
        {"device": "tpu"},
        {"lr": 0.0},
        {"lr": float("nan")},
        {"weight_decay": -1.0},
        {"seed": -1},
    ],
)
def test_settings_out_of_range_are_usage_errors(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Training(**wrong)


def test_an_unknown_recipe_is_a_usage_error(data: LabelledData, watermark: Watermark) -> None:
    with pytest.raises(UsageError, match="recipe"):
        fit(data, data.task, watermark, replace(SHORT, recipe="magic"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_cuda_is_never_replaced_in_silence(data: LabelledData) -> None:
    with pytest.raises(CannotRunError, match="no device"):
        fit(data, data.task, None, replace(SHORT, device="cuda"))


def test_a_model_that_fails_on_the_data_is_named(data: LabelledData) -> None:
    with pytest.raises(CannotRunError, match="test_trainer:flat_only"):
        fit(data, data.task, None, replace(SHORT, model="test_trainer:flat_only"))
    with pytest.raises(CannotRunError, match=r"expected \[batch, 10\]"):
        fit(data, data.task, None, replace(SHORT, model="test_trainer:no_head"))


def flat_only(*, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """A model that forgot to flatten its images."""
    return nn.Linear(int(np.prod(input_shape)), num_classes)


def no_head(*, input_shape: tuple[int, ...], num_classes: int) -> nn.Module:
    """A model without a classifier."""
    return nn.Conv2d(input_shape[2], num_classes, 3)


def test_a_checkpoint_holds_plain_tensors_alone(
    data: LabelledData, watermark: Watermark, tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.safetensors"
    fit(data, data.task, watermark, replace(SHORT, epochs=1), checkpoint=checkpoint)
    names = {name.partition(".")[0] for name in load_file(checkpoint)}
    assert names == {"model", "optimizer"}
