"""Arguments of another type, or in another order: what Python's functions say about them."""

from pathlib import Path
from typing import Any

import pytest
from support import onnx_models

from wmx import Claim, OwnerKey, Task, Watermark, verify
from wmx.errors import CannotRunError, UsageError, WmxError
from wmx.training.export import checked_export


@pytest.fixture(scope="module")
def owner() -> OwnerKey:
    return OwnerKey.generate()


@pytest.fixture(scope="module")
def watermark(owner: OwnerKey) -> Watermark:
    return Watermark.new(owner, shape=(8, 8, 1), classes=10)


def hint(error: pytest.ExceptionInfo[WmxError]) -> str:
    """Return what a traceback shows below the error."""
    return " ".join(getattr(error.value, "__notes__", []))


def test_paths_in_the_place_of_a_claim_and_a_key(owner: OwnerKey, watermark: Watermark) -> None:
    for claim, key, said, remedy in (
        ("c.json", owner, "claim is str, expected a Claim", "Claim.load('c.json')"),
        (owner, watermark.claim, "claim is OwnerKey", "Watermark.open(claim, owner)"),
        (watermark.claim, Path("o.pem"), "owner is PosixPath", "OwnerKey.load('o.pem')"),
    ):
        wrong: Any = claim
        with pytest.raises(UsageError, match=said) as error:
            Watermark.open(wrong, key)  # type: ignore[arg-type]
        assert remedy in hint(error)


def test_a_number_is_no_shape(owner: OwnerKey) -> None:
    wrong: Any = 64
    with pytest.raises(UsageError, match=r"shape is 64, expected a tuple such as \(64,\)"):
        Task.of(wrong, 10, kind="features")


def test_verify_the_wrong_way_round(watermark: Watermark) -> None:
    wrong: Any = watermark
    with pytest.raises(UsageError, match="watermark is str, expected a Watermark") as error:
        verify(wrong, "model.onnx")  # type: ignore[arg-type]
    assert "wmx.verify(suspect, watermark)" in hint(error)
    with pytest.raises(UsageError, match="suspect is Watermark, expected a path") as error:
        verify(wrong, watermark)
    assert "wmx.verify(suspect, watermark)" in hint(error)


def test_a_model_of_a_framework_is_to_be_exported_first(watermark: Watermark) -> None:
    class Module:
        def __call__(self, inputs: Any) -> Any:
            raise AssertionError("it was called")

    Module.__module__ = "torch.nn.modules.container"
    with pytest.raises(UsageError, match="Module is a PyTorch model") as error:
        verify(Module(), watermark)
    assert "wmx_torch.export" in hint(error)


def test_where_an_export_goes(watermark: Watermark, tmp_path: Path) -> None:
    assert checked_export(tmp_path / "m.onnx", watermark, force=False) == watermark.task
    for path, task, said in (
        (object(), watermark, "path is object, expected a path"),
        ("m.onnx", "claim.json", "task is str, expected a Task or a Watermark"),
        ("m.pt", watermark, "expected the name of an ONNX file"),
    ):
        with pytest.raises(UsageError, match=said):
            checked_export(path, task, force=False)
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(CannotRunError, match="exists already") as error:
        checked_export(tmp_path / "m.onnx", watermark, force=False)
    assert "force=True" in hint(error)
    assert "--force" not in hint(error)


def test_a_scale_that_does_not_fit_is_warned_of(owner: OwnerKey) -> None:
    with pytest.warns(UserWarning, match="do not fit pixels of 0..1"):
        Watermark.new(owner, shape=(8, 8, 1), classes=10, mean=76.5, std=102.0)


def test_a_verdict_is_one_line(watermark: Watermark, tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(onnx_models.knows_labels(watermark))
    text = str(verify(tmp_path / "m.onnx", watermark))
    assert text.startswith("VERIFIED: ")
    assert text.endswith("128 needed; 100 of 100 hits")
    assert "\n" not in text
    few = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10, n=5)
    assert str(verify(tmp_path / "m.onnx", few)).startswith("NO ANSWER: ")


def test_hints_name_what_python_takes(watermark: Watermark) -> None:
    with pytest.raises(WmxError, match="made with another owner key") as error:
        Watermark.open(Claim.from_bytes(watermark.claim.to_bytes()), OwnerKey.generate())
    assert "--key" not in hint(error)
