"""The examples in the docstrings of the public names run, and give what they say."""

import doctest
import inspect
from pathlib import Path

import pytest
from support import onnx_models
from support.certificates import self_signed
from support.fixed import OWNER

import wmx
from wmx import Watermark, prove

NEEDS_A_FRAMEWORK = {"embed"}  # tests/torch runs its example
NAMES = sorted(set(wmx.__all__) - {"__version__", "WmxError"})


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A key, a claim, a marked model, an evidence and a root certificate in the current folder."""
    monkeypatch.chdir(tmp_path)
    OWNER.save("owner.pem")
    watermark = Watermark.new(OWNER, shape=(8, 8, 1), classes=10)
    watermark.claim.save("claim.json")
    Path("model.onnx").write_bytes(onnx_models.knows_labels(watermark))
    prove("model.onnx", watermark, OWNER, "evidence.json", "owner.pem")
    certificate, _ = self_signed(tmp_path)
    certificate.rename("roots.pem")
    return tmp_path


def test_the_library_is_twelve_names_and_the_error_above_all_others() -> None:
    assert len(NAMES) == 12


@pytest.mark.parametrize("name", sorted(set(NAMES) - NEEDS_A_FRAMEWORK))
def test_the_example_of_a_public_name_runs(name: str, files: Path, tmp_path: Path) -> None:
    if name in ("OwnerKey", "Claim"):  # they write what the others read
        for path in ("owner.pem", "claim.json"):
            Path(path).unlink()
    thing = getattr(wmx, name)
    (test,) = doctest.DocTestFinder(recurse=False).find(
        thing, name, globs={}, module=inspect.getmodule(thing)
    )
    assert test.examples
    runner = doctest.DocTestRunner(verbose=False)
    runner.run(test)
    assert runner.failures == 0
