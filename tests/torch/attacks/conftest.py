"""One marked model of the digits, and what an attacker has beside it, for all tests of attacks."""

import pytest

from wmx import OwnerKey, Watermark
from wmx.attacks.attack import Target
from wmx.attacks.target import attacker_split
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData, load_data
from wmx.training.embed import Embedded, embed


@pytest.fixture(scope="session")
def digits() -> LabeledData:
    return load_data("digits")


@pytest.fixture(scope="session")
def marked(digits: LabeledData, tmp_path_factory: pytest.TempPathFactory) -> Embedded:
    """A network that knows its labels, with the files of its run."""
    training = Training(model="cnn", epochs=10, device="cpu")
    folder = tmp_path_factory.mktemp("marked")
    return embed(OwnerKey.generate(), digits, folder / "run", training=training)


@pytest.fixture(scope="session")
def watermark(marked: Embedded) -> Watermark:
    return marked.watermark


@pytest.fixture(scope="session")
def target(marked: Embedded, digits: LabeledData) -> Target:
    """The file alone, and 180 digits the owner has not trained on."""
    return Target(
        model=marked.files.model,
        task=marked.watermark.task,
        family=marked.watermark.generator,
        data=attacker_split(digits),
        queries=digits.x_train,
    )
