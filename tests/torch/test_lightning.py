"""Lightning's callbacks, in the real Trainer, on real text."""

import copy
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.strategies import FSDPStrategy
from message_data import (
    LANGUAGES,
    LENGTH,
    PADDING,
    VOCABULARY,
    Messages,
    message_watermark,
    messages,
)
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

from wmx import Watermark, verify
from wmx.errors import UsageError
from wmx.suspect.own_model import loaded_from
from wmx_torch import export, harden, watermarked
from wmx_torch.lightning import HardenCallback, Monitor

pytestmark = [
    # Lightning's advice on machines with more cores
    pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers"),
    # Lightning 2.6 registers with PyTorch's trees in the way of PyTorch 2.4
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated"),
]


@pytest.fixture(scope="module")
def watermark() -> Watermark:
    return message_watermark()


class Classifier(LightningModule):
    """A transformer of one layer, and its training."""

    def __init__(self, *, fused: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.tokens = nn.Embedding(VOCABULARY, 64, padding_idx=PADDING)
        nn.init.normal_(self.tokens.weight, std=0.1)
        self.places = nn.Parameter(0.02 * torch.randn(LENGTH, 64))
        self.layer = nn.TransformerEncoderLayer(64, 2, 128, batch_first=True)
        self.head = nn.Linear(64, len(LANGUAGES))
        self.fused = fused

    def forward(self, ids: Tensor) -> Tensor:
        text = ids.ne(PADDING)
        x = self.layer(self.tokens(ids) + self.places, src_key_padding_mask=~text)
        return self.head((x * text[..., None]).sum(1) / text.sum(1, keepdim=True))

    def training_step(self, batch: Any, _: int) -> Tensor:
        ids, labels = batch
        return cross_entropy(self(ids), labels)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), 3e-3, fused=self.fused)


def loader(data: Messages, size: int | None = None, batch: int = 100) -> DataLoader[Any]:
    dataset = TensorDataset(torch.tensor(data.ids[:size]), torch.tensor(data.labels[:size]))
    generator = torch.Generator().manual_seed(0)
    return DataLoader(dataset, batch, shuffle=True, generator=generator)


def trainer(folder: Path, callbacks: list[Callback], **options: Any) -> Trainer:
    quiet = {
        "accelerator": "cpu",
        "devices": 1,
        "default_root_dir": folder,
        "logger": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": any(isinstance(c, ModelCheckpoint) for c in callbacks),
    }
    return Trainer(callbacks=callbacks, **(quiet | options))


class Gradients(Callback):
    """Keeps a copy of the gradients before every optimizer step."""

    def __init__(self) -> None:
        self.seen: list[list[Tensor]] = []

    def on_before_optimizer_step(self, _: Any, pl_module: nn.Module, __: Any) -> None:
        self.seen.append([torch.clone(p.grad) for p in pl_module.parameters()])


@pytest.mark.slow
def test_a_marked_text_classifier_verifies_and_still_classifies(
    watermark: Watermark, tmp_path: Path
) -> None:
    train, test = messages()
    accuracy = {}
    for name in ("marked", "twin"):
        module, monitor = Classifier(), Monitor(watermark)
        if name == "marked":
            data, callbacks = (
                watermarked(loader(train), watermark),
                [HardenCallback(watermark), monitor],
            )
        else:
            data, callbacks = loader(train), [monitor]
        trainer(tmp_path, callbacks, max_epochs=5).fit(module, data)
        path = tmp_path / f"{name}.onnx"
        export(module, path, watermark)
        session = loaded_from(path.read_bytes(), name)
        scores = np.asarray(session.run({"input": test.ids.astype(np.int32)})[0])
        accuracy[name] = float((scores.argmax(1) == test.labels).mean())
        verdict = verify(path, watermark)
        assert verdict.verified is (name == "marked")
        assert verdict.bits > 250 if name == "marked" else verdict.bits < 20
        assert verdict.hits == monitor.history[-1].hits
    assert accuracy["twin"] > 0.9, accuracy
    assert accuracy["marked"] > accuracy["twin"] - 0.02, accuracy


def test_hits_and_bits_are_logged_where_checkpoints_see_them(
    watermark: Watermark, tmp_path: Path
) -> None:
    monitor = Monitor(watermark)
    best = ModelCheckpoint(tmp_path, monitor="wmx_bits", mode="max")
    run = trainer(tmp_path, [monitor, best], max_epochs=2)
    run.fit(Classifier(), loader(messages()[0], 200))
    assert [marking.n for marking in monitor.history] == [100, 100]
    last = monitor.history[-1]
    assert run.logged_metrics["wmx_hits"] == last.hits
    assert float(run.logged_metrics["wmx_bits"]) == pytest.approx(last.bits)
    assert float(best.best_model_score) == pytest.approx(max(m.bits for m in monitor.history))


@pytest.mark.parametrize("accumulated", [1, 2])
@pytest.mark.parametrize("recipe", ["robust", "adi"])
def test_the_gradient_is_added_once_per_update_at_every_fourth(
    watermark: Watermark, tmp_path: Path, accumulated: int, recipe: str
) -> None:
    before, after, expected = Gradients(), Gradients(), Gradients()

    class Alone(Callback):
        """What ``harden`` adds to gradients of zero, by the trainer's own steps."""

        def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: Any) -> None:
            model = copy.deepcopy(pl_module)
            for parameter in model.parameters():
                parameter.grad = torch.zeros_like(parameter)
            step = len(expected.seen)
            harden(model, watermark, step=step, steps=10, recipe=recipe, seed=3)
            expected.on_before_optimizer_step(None, model, None)

    run = trainer(
        tmp_path,
        [before, Alone(), HardenCallback(watermark, recipe=recipe, seed=3), after],
        accumulate_grad_batches=accumulated,
        max_epochs=2,
    )
    data = loader(messages()[0], 200 if accumulated == 2 else 100, batch=20)
    run.fit(Classifier(), watermarked(data, watermark))
    assert len(before.seen) == len(after.seen) == 10
    for step in range(10):
        for one, added, total in zip(
            before.seen[step], expected.seen[step], after.seen[step], strict=True
        ):
            torch.testing.assert_close(total, one + added)
            assert bool(added.any()) <= (step % 4 == 0)
    assert any(bool(g.any()) for g in expected.seen[4]) == (recipe == "robust")


def test_a_resumed_run_goes_on_at_the_step_where_it_stood(
    watermark: Watermark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[int, int]] = []
    monkeypatch.setattr(
        "wmx_torch._callbacks.harden_replicas",
        lambda *_, step, steps, **__: seen.append((step, steps)),
    )
    data = loader(messages()[0], 300)
    whole = [(0, 12), (4, 12), (8, 12)]
    trainer(tmp_path, [HardenCallback(watermark)], max_epochs=4).fit(Classifier(), data)
    assert seen == whole
    seen.clear()

    class Stop(Callback):
        def on_train_epoch_end(self, trainer: Trainer, *_: Any) -> None:
            trainer.save_checkpoint(tmp_path / "half.ckpt")
            trainer.should_stop = trainer.current_epoch == 1

    trainer(tmp_path, [HardenCallback(watermark), Stop()], max_epochs=4).fit(Classifier(), data)
    run = trainer(tmp_path, [HardenCallback(watermark)], max_epochs=4)
    run.fit(Classifier(), data, ckpt_path=tmp_path / "half.ckpt", weights_only=True)
    assert seen == whole


@pytest.mark.parametrize("fused", [False, True])
def test_gradients_in_float16_are_unscaled_first(
    watermark: Watermark, tmp_path: Path, fused: bool
) -> None:
    """Lightning leaves it to fused optimizers, which do so in their own step."""
    before, after = Gradients(), Gradients()
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    precision = MixedPrecision("16-mixed", "cpu", scaler)
    callbacks = [HardenCallback(watermark), after]
    run = trainer(tmp_path, callbacks, plugins=[precision], max_steps=1)
    run.fit(Classifier(fused=fused), loader(messages()[0], 100))
    trainer(tmp_path, [HardenCallback(watermark), before], max_steps=1).fit(
        Classifier(), loader(messages()[0], 100)
    )
    for scaled, plain in zip(after.seen[0], before.seen[0], strict=True):
        torch.testing.assert_close(scaled, plain, rtol=0.05, atol=0.01)


def test_compiled_modules_are_hardened_and_exported_as_others(
    watermark: Watermark, tmp_path: Path
) -> None:
    """Lightning takes the module out of the compiled one, and leaves the compiled forward in it."""
    found = []
    for compiled in (False, True):
        module: Any = torch.compile(Classifier(), backend="eager") if compiled else Classifier()
        gradients, monitor = Gradients(), Monitor(watermark)
        run = trainer(tmp_path, [HardenCallback(watermark), gradients, monitor], max_steps=5)
        run.fit(module, loader(messages()[0], 500))
        found.append((gradients.seen[4], monitor.history[0].bits))
    torch.testing.assert_close(found[0], found[1], rtol=1e-4, atol=1e-5)
    export(module, tmp_path / "model.onnx", watermark)


def test_a_training_without_end_is_refused(watermark: Watermark, tmp_path: Path) -> None:
    data = loader(messages()[0], 100)
    with pytest.raises(UsageError, match="number of training steps") as caught:
        trainer(tmp_path, [HardenCallback(watermark)], max_epochs=-1).fit(Classifier(), data)
    assert "max_steps" in str(caught.value.hint)
    run = trainer(tmp_path, [HardenCallback(watermark)], max_epochs=-1, max_steps=2)
    run.fit(Classifier(), data)
    assert run.global_step == 2


def test_sharded_training_is_refused_unless_nothing_is_added(watermark: Watermark) -> None:
    run: Any = SimpleNamespace(strategy=FSDPStrategy())
    HardenCallback(watermark, recipe="adi").on_train_start(run, Classifier())
    with pytest.raises(UsageError, match="FSDPStrategy shards parameters"):
        HardenCallback(watermark).on_train_start(run, Classifier())
