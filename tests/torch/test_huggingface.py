"""The Hugging Face Trainer's callbacks, in the real Trainer, on real text."""

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from accelerate.utils import DistributedType
from message_data import LANGUAGES, LENGTH, PADDING, VOCABULARY, message_watermark, messages
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from wmx import Watermark, verify
from wmx.errors import UsageError
from wmx.suspect.own_model import loaded_from
from wmx_torch import export, harden, huggingface, watermarked
from wmx_torch.huggingface import HardenCallback, Monitor


@pytest.fixture(scope="module")
def watermark() -> Watermark:
    return message_watermark()


def network() -> BertForSequenceClassification:
    """A BERT of one layer and 290,000 weights, untrained."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=LENGTH,
        num_labels=len(LANGUAGES),
        pad_token_id=PADDING,
    )
    return BertForSequenceClassification(config)


def trainer(
    folder: Path, data: Any, callbacks: list[TrainerCallback] | None = None, **options: Any
) -> Trainer:
    arguments = {
        "learning_rate": 2e-3,
        "per_device_train_batch_size": 100,
        "logging_strategy": "epoch",
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return Trainer(
        network(),
        TrainingArguments(folder, **(arguments | options)),
        train_dataset=data,
        callbacks=callbacks,
    )


class Gradients(TrainerCallback):
    """Keeps a copy of the gradients before every optimizer step."""

    def __init__(self) -> None:
        self.seen: list[list[torch.Tensor]] = []

    def on_pre_optimizer_step(self, *_: Any, model: nn.Module, **__: Any) -> None:
        self.seen.append([torch.clone(p.grad) for p in model.parameters()])


def scores(path: Path, ids: np.ndarray) -> np.ndarray:
    session = loaded_from(path.read_bytes(), str(path))
    return np.asarray(session.run({"input": ids.astype(np.int32)})[0])


@pytest.mark.slow  # the program of the guide marks a classifier in the same way
def test_a_marked_text_classifier_verifies_and_still_classifies(
    watermark: Watermark, tmp_path: Path
) -> None:
    train, test = messages()
    accuracy = {}
    for name in ("marked", "twin"):
        data = train.items()
        if name == "twin":
            run = trainer(tmp_path, data, num_train_epochs=6)
        else:
            run = trainer(
                tmp_path,
                watermarked(data, watermark),
                [HardenCallback(watermark)],
                num_train_epochs=6,
            )
        monitor = Monitor(watermark, run)
        run.add_callback(monitor)
        run.train()
        path = tmp_path / f"{name}.onnx"
        export(run.model, path, watermark)
        given = scores(path, test.ids)
        expected = run.predict(test.items()).predictions
        # the file is asked without a mask, and padding is no text to it either
        np.testing.assert_allclose(given, expected, atol=1e-4)
        accuracy[name] = float((given.argmax(1) == test.labels).mean())
        verdict = verify(path, watermark)
        assert verdict.verified is (name == "marked")
        assert verdict.bits > 250 if name == "marked" else verdict.bits < 20
        assert verdict.hits == monitor.history[-1].hits
    assert accuracy["twin"] > 0.9
    assert accuracy["marked"] > accuracy["twin"] - 0.02


def test_hits_and_bits_are_in_the_log_beside_the_loss(watermark: Watermark, tmp_path: Path) -> None:
    told = []

    class Told(TrainerCallback):
        def on_log(self, *_: Any, logs: dict[str, float], **__: Any) -> None:
            told.append(logs)

    run = trainer(tmp_path, messages()[0].items()[:200], num_train_epochs=2)
    monitor = Monitor(watermark, run)
    run.add_callback(monitor)
    run.add_callback(Told())
    run.train()
    assert [marking.n for marking in monitor.history] == [100, 100]
    for logs in (run.state.log_history, told):
        found = [entry for entry in logs if "wmx_hits" in entry]
        assert [(e["wmx_hits"], e["wmx_bits"]) for e in found] == [
            (marking.hits, marking.bits) for marking in monitor.history
        ]
        assert [entry["epoch"] for entry in found] == [1, 2]
        assert [entry["epoch"] for entry in logs if "loss" in entry] == [1, 2]


@pytest.mark.parametrize("accumulated", [1, 2])
@pytest.mark.parametrize("recipe", ["robust", "adi"])
def test_the_gradient_is_added_once_per_update_at_every_fourth(
    watermark: Watermark, tmp_path: Path, accumulated: int, recipe: str
) -> None:
    before, after, expected = Gradients(), Gradients(), Gradients()

    class Alone(TrainerCallback):
        """What ``harden`` adds to gradients of zero, by the trainer's own steps."""

        def on_pre_optimizer_step(self, args: Any, state: Any, *_: Any, **more: Any) -> None:
            model = copy.deepcopy(more["model"])
            for parameter in model.parameters():
                parameter.grad = torch.zeros_like(parameter)
            harden(model, watermark, step=state.global_step, steps=6, recipe=recipe, seed=3)
            expected.on_pre_optimizer_step(model=model)

    run = trainer(
        tmp_path,
        watermarked(messages()[0].items()[:300], watermark),
        [before, Alone(), HardenCallback(watermark, recipe=recipe, seed=3), after],
        per_device_train_batch_size=20,
        gradient_accumulation_steps=accumulated,
        max_steps=6,
    )
    run.train()
    assert len(before.seen) == len(after.seen) == 6
    for step in range(6):
        for one, added, total in zip(
            before.seen[step], expected.seen[step], after.seen[step], strict=True
        ):
            torch.testing.assert_close(total, one + added)
            assert bool(added.any()) <= (step % 4 == 0)
    assert any(bool(g.any()) for g in expected.seen[4]) == (recipe == "robust")


def test_a_resumed_run_ends_as_one_that_was_not_interrupted(
    watermark: Watermark, tmp_path: Path
) -> None:
    data = watermarked(messages()[0].items()[:300], watermark)

    class Stop(TrainerCallback):
        def on_epoch_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_training_stop = state.epoch == 2

    def run(folder: str, *more: TrainerCallback) -> Trainer:
        return trainer(
            tmp_path / folder,
            data,
            [HardenCallback(watermark), *more],
            num_train_epochs=4,
            save_strategy="epoch",
        )

    whole = run("whole")
    whole.train()
    run("parts", Stop()).train()
    resumed = run("parts")
    resumed.train(resume_from_checkpoint=True)
    assert resumed.state.global_step == whole.state.global_step == 16
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        torch.testing.assert_close(one, other)


def test_what_accelerate_wraps_is_hardened_and_exported(
    watermark: Watermark, tmp_path: Path
) -> None:
    """In bfloat16 it puts autocast around the model's forward."""
    run = trainer(
        tmp_path,
        watermarked(messages()[0].items()[:300], watermark),
        [HardenCallback(watermark)],
        bf16=True,
        max_steps=5,
    )
    run.train()
    export(run.model, tmp_path / "model.onnx", watermark)


def test_sharded_training_is_refused_unless_nothing_is_added(
    watermark: Watermark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = SimpleNamespace(distributed_type=DistributedType.FSDP)
    data = messages()[0].items()[:20]
    trainer(tmp_path, data, [HardenCallback(watermark)], max_steps=1).train()
    monkeypatch.setattr(huggingface, "AcceleratorState", lambda: state)
    trainer(tmp_path, data, [HardenCallback(watermark, recipe="adi")], max_steps=1).train()
    with pytest.raises(UsageError, match="FSDP shards parameters"):
        trainer(tmp_path, data, [HardenCallback(watermark)], max_steps=1).train()
