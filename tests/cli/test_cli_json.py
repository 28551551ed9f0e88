"""``docs/reference/json.md`` describes every field that ``--json`` prints, and no other."""

from pathlib import Path
from typing import Any

import documents
import pytest
from support.disputed_models import marked, network, side
from support.tsa import Authority, serving

VERDICT = ("What every answer holds", "Dates", "A verdict")
EVERY = VERDICT[:1]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa"))


def described(answer: Any, *headings: str) -> None:
    """Hold an answer against sections of the page; the last heading's fields all have to be in it.

    Args:
        answer: what a command printed.
        headings: of the sections; those before the last are shared by several commands.
    """
    paths = documents.json_paths(answer)
    patterns = documents.json_fields(*headings)
    for path in paths:
        assert any(documents.json_matches(path, pattern) for pattern in patterns), path
    for pattern in documents.json_fields(headings[-1]):
        assert any(documents.json_matches(path, pattern) for path in paths), pattern


def test_the_fields_of_keys_and_claims(wmx: Any, claim: Path, authority: Authority) -> None:
    described(wmx("keygen", "-o", "k.pem", "--json").json, *EVERY, "wmx keygen")
    about = (*EVERY, "Dates", "A claim")
    described(wmx("claim", "show", claim, "--json").json, *about)
    new = ("claim", "new", "--shape", "8,8,1", "--classes", "10", "-o", "new.json", "--json")
    described(wmx(*new).json, *about)
    listed = wmx("claim", "list", "--json").json["claims"][0]
    described(
        {"claims": [{name: listed[name] for name in ("path", "triggers_left")}]}, "wmx claim list"
    )
    del listed["triggers_left"]
    described(listed, "Dates", "A claim")
    stamp = ("claim", "timestamp", claim, "--json")
    described(wmx(*stamp, "--request", "q").json, *EVERY, "A request for a timestamp")
    with serving(authority) as url:
        described(wmx(*stamp, "--tsa", url).json, *EVERY, "A timestamp that was kept")


def test_the_fields_of_verdicts_evidence_and_records(wmx: Any, claim: Path) -> None:
    report = ("--report", "page.html", "--json")
    verified = wmx("verify", "model.onnx", "--evidence", "e.json", *report).json
    described(verified, *VERDICT, "wmx verify")
    described(wmx("verify", "other.onnx", "--json").json, *VERDICT)
    check = wmx("check", "e.json", "--model", "model.onnx", "--report", "check.html", "--json").json
    described(check, *EVERY, "Dates", "wmx check")
    described(wmx("release", "other.onnx", "--json").json, *VERDICT, "A refused release")
    about = (*EVERY, "A release record")
    described(wmx("release", "model.onnx", "--json").json, *about)
    show = ("release", "show", "model.release.json", "--json")
    described(wmx(*show).json, *EVERY, "Dates", "A release record")


def test_the_fields_of_what_files_are(wmx: Any, claim: Path, pictures: Path) -> None:
    named = ("--claim", claim)
    assert wmx("verify", "model.onnx", "--evidence", "e.json", *named).code == 0
    assert wmx("release", "model.onnx", *named).code == 0
    info = (*EVERY, "Dates", "wmx info")
    for file, sections in {
        "store/owner.pem": ("An owner key",),
        "claim.json": ("A claim",),
        "e.json": ("An evidence",),
        "model.release.json": ("A release record",),
        pictures: ("A trigger file",),
    }.items():
        described(wmx("info", file, "--json").json, *info, *sections)
    model = wmx("info", "model.onnx", "--claim", claim, "--json").json
    described(model, *info, "A model")


@pytest.fixture
def pictures(wmx: Any) -> Path:
    """The trigger file of a claim over somebody's own pictures."""
    import numpy as np
    from PIL import Image

    Path("own").mkdir()
    for number in range(2):
        pixels = np.full((8, 8, 3), number, np.uint8)
        Image.fromarray(pixels).save(f"own/{number}.png")
    new = ("claim", "new", "--shape", "8,8,3", "--classes", "10", "--trigger-images", "own")
    assert wmx(*new, "-o", "over.json").code == 0
    return Path("over.triggers.safetensors")


def test_the_fields_of_attacks_and_of_the_environment(wmx: Any, claim: Path) -> None:
    listed = wmx("attack", "--list", "--json").json
    described(listed, *EVERY, "The list of attacks")
    attack = ("attack", "model.onnx", "--data", "digits", "--claim", claim, "--json")
    described(wmx(*attack, "--attacks", "flip,prune-50").json, *EVERY, "wmx attack")
    described(wmx("doctor", "--json").json, *EVERY, "wmx doctor")


def test_the_fields_of_disputes(wmx: Any, home: Path, authority: Authority) -> None:
    mine, theirs = side(Path(), "mine", 1), side(Path(), "theirs", 2)
    Path("stolen.onnx").write_bytes(marked(network(1), mine.watermark, theirs.watermark))
    words = ["dispute", "stolen.onnx", "--roots", authority.roots, "--json"]
    home.mkdir()
    with serving(authority) as url:
        for name in ("mine", "theirs"):
            words += ["--claim", f"{name}.json", "--key", f"{name}.pem"]
            words += ["--release", f"{name}.release.json", "--original", f"{name}.onnx"]
            signed = ("--claim", f"{name}.json", "--key", f"{name}.pem", "--tsa", url)
            assert wmx("release", f"{name}.onnx", *signed).code == 0
    described(wmx(*words).json, *EVERY, "Dates", "wmx dispute")


def test_the_fields_of_errors(wmx: Any) -> None:
    answer = wmx("info", "gone.onnx", "--json").json
    assert documents.json_paths(answer) == documents.json_fields("What every answer holds")
