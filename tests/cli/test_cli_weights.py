"""``--weights``: files beside a model that hold its weights under names of their own."""

from pathlib import Path
from typing import Any

import pytest
from support import onnx_models
from support.disputed_models import marked, network, side

HELD = ("--claim", "claim.json", "--key", "store/owner.pem")


@pytest.fixture
def named(claim: Path) -> list[str]:
    """Save model.onnx with each tensor in a file that is called as it is; return the options."""
    data = Path("model.onnx").read_bytes()
    folder = Path("apart")
    folder.mkdir()
    onnx_models.save_with_weights_beside(data, folder / "model.onnx", None)
    files = sorted(path for path in folder.iterdir() if path.name != "model.onnx")
    assert len(files) > 1
    return [word for path in files for word in ("--weights", str(path))]


def test_each_is_named_and_none_is_read_unnamed(wmx: Any, named: list[str]) -> None:
    model = "apart/model.onnx"
    for words in (("verify", model, *HELD), ("info", model)):
        unnamed = wmx(*words)
        assert unnamed.code == 4
        assert "expected a name that exporters make from its own" in unnamed.err
        assert "add --weights" in unnamed.err
        assert wmx(*words, *named[:2]).code == 4
    verdict = wmx("verify", model, *HELD, *named, "--json")
    assert verdict.code == 0
    shown = wmx("info", model, *named, "--json").json
    assert verdict.json["suspect_external"] == shown["external"]
    assert sorted(shown["external"]) == [Path(name).name for name in named[1::2]]


def test_an_evidence_is_checked_with_the_same_files(wmx: Any, named: list[str]) -> None:
    model = "apart/model.onnx"
    proof = ("--evidence", "e.json", "--report", "page.html")
    assert wmx("verify", model, *HELD, *named, *proof).code == 0
    for name in named[1::2]:
        assert f"--weights {Path(name).name}" in Path("page.html").read_text()
    assert "--weights" in wmx("check", "e.json", "--model", model).err
    assert wmx("check", "e.json", "--model", model, *named).code == 0


def test_ones_own_model_is_attacked_and_put_on_record_with_them(wmx: Any, named: list[str]) -> None:
    model = "apart/model.onnx"
    assert wmx("release", model, *HELD, *named, "--json").code == 0
    attack = ("attack", model, "--data", "digits", "--claim", "claim.json", *named)
    done = wmx(*attack, "--attacks", "flip,permute-classes")
    assert done.code == 0
    assert "flip" in done.out
    assert "needs a model in one file" in done.out


def test_in_a_dispute_each_model_takes_those_in_its_own_folder(wmx: Any, home: Path) -> None:
    owner, thief = side(Path(), "owner", 1), side(Path(), "thief", 2)
    data = marked(network(1), owner.watermark, thief.watermark)
    Path("stolen").mkdir()
    onnx_models.save_with_weights_beside(data, Path("stolen/m.onnx"), "loot")
    words = ("dispute", "stolen/m.onnx", "--claim", "owner.json", "--claim", "thief.json")
    keys = ("--key", "owner.pem", "--key", "thief.pem")
    Path("loot").write_bytes(b"\0" * 99)
    assert wmx(*words, *keys).code == 4
    assert wmx(*words, *keys, "--weights", "loot").code == 4
    undecided = wmx(*words, *keys, "--weights", "loot", "--weights", "stolen/loot")
    assert undecided.code == 1
    assert undecided.out.startswith("UNDECIDED")


@pytest.mark.parametrize(
    "words",
    [
        ("verify", "https://localhost/v2/models/m", "--weights", "w"),
        ("verify", "--callable", "a:b", "--weights", "w"),
        ("verify", "model.onnx", "--weights", "elsewhere/w"),
        ("attack", ".", "--data", "digits", "--weights", "w"),
    ],
)
def test_usage(wmx: Any, claim: Path, words: tuple[str, ...]) -> None:
    Path("elsewhere").mkdir()
    Path("elsewhere/w").write_bytes(b"\0" * 99)
    result = wmx(*words)
    assert result.code == 2
    assert "weights" in result.err
