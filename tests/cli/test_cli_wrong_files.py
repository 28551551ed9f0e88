"""Files and words in the wrong place: what the errors say of them, and what they advise."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from commands import make_in
from support.oip_server import serving

import wmx as library
from wmx import OwnerKey, Watermark
from wmx.errors import UsageError

EVIDENCE = ("verify", "model.onnx", "--evidence", "e.json")


@pytest.fixture(scope="module")
def signed(claimed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an evidence and a release record."""
    folder = shutil.copytree(claimed, tmp_path_factory.mktemp("signed"), dirs_exist_ok=True)
    make_in(folder, EVIDENCE, ("release", "model.onnx", "-o", "r.json"))
    return folder


@pytest.fixture
def files(signed: Path, home: Path) -> None:
    shutil.copytree(signed, Path(), dirs_exist_ok=True)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("check", "claim.json"), "claim.json is a claim, expected an evidence file"),
        (("check", "r.json"), "r.json is a release record, expected an evidence file"),
        (("check", "model.onnx"), "model.onnx is a model, expected one of wmx's signed files"),
        (("check", "store/owner.pem"), "owner.pem is a key, expected one of wmx's signed files"),
        (("release", "show", "claim.json"), "claim.json is a claim, expected a release record"),
        (("release", "show", "e.json"), "e.json is an evidence file, expected a release record"),
        (("claim", "show", "model.onnx"), "model.onnx is a model"),
        (("claim", "show", "e.json"), "e.json is an evidence file, expected a claim"),
        (("claim", "show", "r.json"), "r.json is a release record, expected a claim"),
        (("verify", "model.onnx", "--key", "claim.json"), "claim.json is a claim: expected an"),
    ],
)
def test_a_file_in_the_place_of_another_is_called_what_it_is(
    wmx: Any, files: None, words: tuple[str, ...], says: str
) -> None:
    result = wmx(*words)
    assert result.code == 3
    assert says in result.err
    assert "edited" not in result.err


def test_a_changed_file_is_still_called_changed(wmx: Any, claim: Path) -> None:
    claim.write_bytes(claim.read_bytes() + b" ")
    assert "canonical form" in wmx("claim", "show", claim).err


def test_the_wrong_key_is_told_by_the_claims_path(wmx: Any, claim: Path) -> None:
    assert wmx("keygen", "-o", "another.pem").code == 0
    claim.rename("mine.json")
    result = wmx("verify", "model.onnx", "--claim", "mine.json", "--key", "another.pem")
    assert result.code == 3
    assert "the claim mine.json was made with another owner key" in result.err
    assert "--key" in result.err


def test_info_of_an_address_says_what_asks_it(wmx: Any) -> None:
    result = wmx("info", "http://127.0.0.1/v2/models/mine")
    assert result.code == 2
    assert "http://127.0.0.1/v2/models/mine is an address" in result.err


def test_a_model_that_is_not_there_is_named_with_the_path(wmx: Any, claim: Path) -> None:
    with serving(Path("model.onnx").read_bytes()) as server:
        url = server.url.replace("mine", "gone")
        assert f"{url} answered with HTTP 404" in wmx("verify", url).err


@pytest.mark.parametrize(
    "words",
    [("check", "closed"), ("verify", "closed"), ("claim", "show", "closed"), ("info", "closed")],
)
def test_a_file_that_cannot_be_read_is_no_wrong_option(
    wmx: Any, claim: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    Path("closed").write_bytes(b"")
    Path("closed").chmod(0)
    opened = library._internal.files.os.open  # root may read it all the same

    def refusing(path: Any, *rest: Any, **more: Any) -> int:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return opened(path, *rest, **more)

    monkeypatch.setattr("os.open", refusing)
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    result = wmx(*words)
    assert result.code == 4, result.err
    assert "cannot read" in result.err


def test_a_record_of_a_found_model_is_not_to_be_dated_before_it_leaves(
    wmx: Any, claim: Path
) -> None:
    result = wmx("release", "model.onnx", "--found", "-o", "r.json")
    assert result.code == 0
    assert "you hand out the model" not in result.out
    assert "Have it dated now" in result.out


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"shape": 8}, "expected a tuple"),
        ({"owner": "owner.pem"}, "owner is str, expected an OwnerKey"),
        ({"classes": None}, "int"),
        ({"mean": (0.1, 0.2)}, "mean has 2 values, expected 1$"),
    ],
)
def test_arguments_of_another_type_are_usage_errors(changed: dict[str, Any], says: str) -> None:
    given = {"owner": OwnerKey.generate(), "shape": (8, 8, 1), "classes": 10} | changed
    with pytest.raises(UsageError, match=says):
        Watermark.new(given.pop("owner"), **given)


def test_a_claim_in_the_place_of_a_watermark_is_refused(claim: Path) -> None:
    with pytest.raises(UsageError, match="is Claim, expected a Watermark"):
        library.verify("model.onnx", library.Claim.load(claim))  # type: ignore[arg-type]


def test_recipes_that_are_refused_are_not_offered() -> None:
    from wmx.training.recipe import recipe_with_triggers

    with pytest.raises(UsageError, match=r"expected one of adi, robust, brief$"):
        recipe_with_triggers("foo")
