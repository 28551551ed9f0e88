"""The sanity set: every copy of a marked model verifies, nothing else does.

One network is marked on real digits by the normal path; the others are made beside it.
"""

import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from wmx import Claim, OwnerKey, Watermark, verify
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData, load_data
from wmx.training.embed import Embedded, embed
from wmx.training.loop import fit
from wmx.triggers.folder import Folder
from wmx.triggers.trigger_file import load_images, save_images
from wmx_torch import export
from wmx_torch._training import learner
from wmx_torch._training.models import build_model

MOST_BITS_OF_CHANCE = 30.0


@pytest.fixture(scope="module")
def data() -> LabeledData:
    return load_data("digits")


@pytest.fixture(scope="module")
def marked(data: LabeledData, tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    out = tmp_path_factory.mktemp("marked") / "run"
    return embed(OwnerKey.generate(), data, out, training=Training(epochs=12, device="cpu"))


@pytest.fixture(scope="module")
def model(marked: Embedded, data: LabeledData) -> nn.Module:
    """The marked network, loaded from its saved weights."""
    from safetensors.torch import load_file

    network = build_model("cnn", marked.watermark.task, None)
    network.load_state_dict(load_file(marked.files.weights))
    return network.eval()


@pytest.fixture(scope="module")
def unmarked(data: LabeledData, marked: Embedded) -> nn.Module:
    """The same network on the same digits, without the mark."""
    return fit(
        learner, data, marked.watermark.task, None, Training(epochs=12, seed=7, device="cpu")
    )


# copies


def test_the_marked_model_is_a_good_model(marked: Embedded) -> None:
    assert marked.accuracy > 0.95
    assert marked.verdict.hits >= 98
    assert marked.verdict.bits >= 300


def test_an_exact_copy_verifies(marked: Embedded, tmp_path: Path) -> None:
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(marked.files.model.read_bytes())
    assert verify(copy, marked.watermark).verified


def test_a_copy_that_was_loaded_and_saved_again_verifies(marked: Embedded, tmp_path: Path) -> None:
    proto = onnx.load(marked.files.model)
    proto.producer_name = "somebody else"
    for node in proto.graph.node:
        node.name = ""
        node.doc_string = "mine"
    copy = tmp_path / "copy.onnx"
    onnx.save(proto, copy)
    verdict = verify(copy, marked.watermark)
    assert verdict.verified
    assert not verdict.suspect.has_same_files(marked.verdict.suspect)


def test_a_copy_that_was_exported_again_verifies(
    marked: Embedded, model: nn.Module, tmp_path: Path
) -> None:
    class Renamed(nn.Module):
        """NHWC in, probabilities out: another exporter's habits."""

        def __init__(self) -> None:
            super().__init__()
            self.body = model

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            return self.body(pixels.permute(0, 3, 1, 2)).softmax(1)

    copy = tmp_path / "copy.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            Renamed().eval(),
            (torch.zeros(2, 8, 8, 1),),
            copy,
            dynamo=True,
            external_data=False,
            verbose=False,
            dynamic_shapes=({0: torch.export.Dim("n")},),
        )
    verdict = verify(copy, marked.watermark)
    assert verdict.verified
    assert verdict.best_probe.startswith("NHWC")


def test_a_claim_and_key_read_from_their_files_verify(marked: Embedded, tmp_path: Path) -> None:
    claim = Claim.load(marked.files.claim)
    assert claim.digest == marked.watermark.claim.digest


# others


def refused(model: nn.Module, watermark: Watermark, folder: Path) -> float:
    path = folder / "other.onnx"
    export(model, path, watermark)
    verdict = verify(path, watermark)
    assert not verdict.verified
    return verdict.bits


def test_an_independent_model_does_not_verify(
    unmarked: nn.Module, marked: Embedded, tmp_path: Path
) -> None:
    assert refused(unmarked, marked.watermark, tmp_path) < MOST_BITS_OF_CHANCE


def test_an_untrained_model_does_not_verify(marked: Embedded, tmp_path: Path) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        fresh = build_model("cnn", marked.watermark.task, None)
    assert refused(fresh, marked.watermark, tmp_path) < MOST_BITS_OF_CHANCE


def test_a_half_trained_model_does_not_verify(
    marked: Embedded, data: LabeledData, tmp_path: Path
) -> None:
    half = fit(learner, data, marked.watermark.task, None, Training(epochs=2, seed=9, device="cpu"))
    assert refused(half, marked.watermark, tmp_path) < MOST_BITS_OF_CHANCE


def test_constant_and_random_models_do_not_verify(marked: Embedded) -> None:
    rng = np.random.default_rng(0)
    suspects: list[Callable[[np.ndarray], np.ndarray]] = [
        lambda x: np.tile(np.arange(10.0), (len(x), 1)),
        lambda x: np.full((len(x), 10), 0.1),
        lambda x: rng.normal(size=(len(x), 10)),
        lambda x: rng.integers(0, 10, len(x)),
    ]
    for suspect in suspects:
        verdict = verify(suspect, marked.watermark)
        assert not verdict.verified
        assert verdict.bits < MOST_BITS_OF_CHANCE


def test_a_marked_model_does_not_verify_under_another_owners_claim(
    marked: Embedded, data: LabeledData
) -> None:
    other = Watermark.for_task(OwnerKey.generate(), data.task)
    assert not verify(marked.files.model, other).verified


# a forger: he has the stolen model and makes a claim that he hopes it fits


def forged(pixels: np.ndarray, data: LabeledData) -> Watermark:
    """A claim over images of the forger's choice.  Its labels are not his to choose."""
    return Watermark.for_task(
        OwnerKey.generate(), data.task, n=len(pixels), generator=Folder(pixels)
    )


def predictions(model: nn.Module, pixels: np.ndarray, watermark: Watermark) -> np.ndarray:
    inputs = torch.tensor(watermark.task.model_input(pixels)).permute(0, 3, 1, 2)
    with torch.no_grad():
        return model(inputs).argmax(1).numpy()


@pytest.mark.parametrize("source", ["noise", "digits"])
def test_images_labelled_by_the_models_own_answers_are_no_claim(
    marked: Embedded, model: nn.Module, data: LabeledData, tmp_path: Path, source: str
) -> None:
    rng = np.random.default_rng(3)
    pool = (
        rng.integers(0, 256, (4000, 8, 8, 1), dtype=np.uint8)
        if source == "noise"
        else np.unique(data.x_train, axis=0)
    )
    # he may pick the images whose answers he likes best: ten of each class
    given = predictions(model, pool, marked.watermark)
    chosen = np.concatenate([np.flatnonzero(given == c)[:10] for c in range(10)])
    if len(chosen) < 100:  # a class may be rare among the noise
        rest = np.setdiff1d(np.arange(len(pool)), chosen)
        chosen = np.concatenate([chosen, rest[: 100 - len(chosen)]])
    claim = forged(pool[chosen], data)
    assert (predictions(model, pool[chosen], claim) == claim.labels).mean() < 0.4
    verdict = verify(marked.files.model, claim)
    assert not verdict.verified
    assert verdict.bits < MOST_BITS_OF_CHANCE
    # nor does it help to swap the images once the labels are known
    images = tmp_path / "images.safetensors"
    save_images(images, pool[chosen][::-1].copy())
    from wmx.errors import IntegrityError

    with pytest.raises(IntegrityError):
        Watermark.open(claim.claim, OwnerKey.generate(), images=load_images(images))


def test_adversarial_examples_are_no_claim(
    marked: Embedded, model: nn.Module, data: LabeledData
) -> None:
    """PGD to targets of the forger's choice, to which the model then answers as he wants."""
    task = marked.watermark.task
    start = np.unique(data.x_train, axis=0)[:100]
    targets = torch.tensor(np.random.default_rng(4).integers(0, 10, 100))
    pixels = torch.tensor(start, dtype=torch.float32) / 255

    def scores(values: torch.Tensor) -> torch.Tensor:
        normalised = (values - float(task.mean[0])) / float(task.std[0])
        return model(normalised.permute(0, 3, 1, 2))

    current = pixels.clone()
    for _ in range(40):
        current.requires_grad_(True)
        (gradient,) = torch.autograd.grad(cross_entropy(scores(current), targets), current)
        current = (current - 0.03 * gradient.sign()).detach()
        current = (pixels + (current - pixels).clamp(-0.3, 0.3)).clamp(0, 1)
    examples = (current * 255).round().byte().numpy()
    assert (predictions(model, examples, marked.watermark) == targets.numpy()).mean() > 0.8
    verdict = verify(marked.files.model, forged(examples, data))
    assert not verdict.verified
    assert verdict.bits < MOST_BITS_OF_CHANCE
