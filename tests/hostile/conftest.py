"""The scene of every case, and the guard that nothing outside it changes."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cases import Scene
from support import onnx_models

from wmx import OwnerKey, Watermark

PATIENCE = 120  # seconds after which a case counts as a hang


@pytest.fixture(scope="session")
def owner() -> OwnerKey:
    return OwnerKey.generate()


@pytest.fixture(scope="session")
def watermark(owner: OwnerKey) -> Watermark:
    return Watermark.new(owner, shape=(8, 8, 1), classes=10)


@pytest.fixture(scope="session")
def model(watermark: Watermark) -> bytes:
    return onnx_models.knows_labels(watermark)


@pytest.fixture
def scene(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: OwnerKey,
    watermark: Watermark,
    model: bytes,
) -> Scene:
    folder = tmp_path / "scene"
    folder.mkdir()
    monkeypatch.setenv("WMX_HOME", str(tmp_path / "store"))
    monkeypatch.delenv("WMX_PASSPHRASE_FILE", raising=False)
    monkeypatch.chdir(folder)
    owner.save(folder / "owner.pem")
    watermark.claim.save(folder / "claim.json")
    return Scene(folder, watermark, model)


@pytest.fixture(autouse=True)
def impatient() -> Iterator[None]:
    """Fail a case that hangs, instead of the whole suite."""

    def give_up(*_: object) -> None:
        raise AssertionError(f"still running after {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
