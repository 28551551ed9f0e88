"""``--report`` of ``wmx verify`` and ``wmx check``: a page beside the answer, or nothing at all."""

import sys
from pathlib import Path
from typing import Any

import pytest

PAGE = Path("page.html")


def test_verify_writes_a_page(wmx: Any, claim: Path) -> None:
    result = wmx("verify", "model.onnx", "--claim", claim, "--report", PAGE)
    assert result.code == 0
    assert result.out.startswith("VERIFIED\n")
    assert "report  page.html (for you alone" in result.out
    text = PAGE.read_text()
    assert "For the owner alone, not to be sent" in text
    assert "wmx verify model.onnx --claim claim.json</pre>" in text
    assert "data:image" not in text


def test_a_no_has_a_page_too(wmx: Any, claim: Path) -> None:
    result = wmx("verify", "other.onnx", "--report", PAGE, "--json")
    assert result.code == result.json["exit_code"] == 1
    assert result.json["report"] == "page.html"
    assert "<h1>NOT VERIFIED</h1>" in PAGE.read_text()


def test_the_owner_and_a_third_party_get_pages_with_the_evidence(wmx: Any, claim: Path) -> None:
    made = wmx("verify", "model.onnx", "--evidence", "e.json", "--report", PAGE)
    assert made.code == 0
    assert made.out.endswith("report  page.html\n")
    assert "wmx check e.json --model model.onnx" in PAGE.read_text()
    assert "For the owner alone" not in PAGE.read_text()
    assert PAGE.stat().st_mode & 0o777 == 0o600
    checked = ("check", "e.json", "--model", "model.onnx", "--claim", claim)
    assert wmx(*checked, "--report", PAGE).code == 4, "it is there"
    result = wmx(*checked, "--report", PAGE, "--force", "--json")
    assert result.code == 0
    assert result.json["report"] == "page.html"
    assert PAGE.read_text().count("data:image") == 43
    assert wmx("check", "e.json", "--report", "open.html").code == 1
    assert "<h1>CONSISTENT, not repeated</h1>" in Path("open.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(("model", "code"), [("other.onnx", 1), ("model.onnx", 4)])
def test_no_page_for_the_owner_alone_is_written_under_the_name_to_send(
    wmx: Any, claim: Path, model: str, code: int
) -> None:
    if code == 4:  # too few triggers are left
        assert wmx("verify", model, "--evidence", "1.json", "--reveal", "80").code == 0
    words = ("verify", model, "--evidence", "e.json", "--report", PAGE)
    result = wmx(*words)
    assert result.code == code
    assert "No evidence file was written" in result.out
    assert "Nor was a report" in result.out
    assert not PAGE.exists()
    told = wmx(*words, "--json").json
    assert (told["evidence"], told["report"]) == (None, None)
    assert wmx("verify", model, "--report", PAGE).code == code
    assert "For the owner alone" in PAGE.read_text()


def test_min_bits_are_in_the_command_to_repeat(wmx: Any, claim: Path) -> None:
    assert wmx("verify", "model.onnx", "--min-bits", "300", "--report", PAGE).code == 0
    assert "wmx verify model.onnx --min-bits 300</pre>" in PAGE.read_text()


@pytest.mark.parametrize("missing", ["jinja2", "matplotlib"])
def test_without_the_extra_nothing_is_spent(
    wmx: Any, claim: Path, home: Path, missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    result = wmx("verify", "model.onnx", "--evidence", "e.json", "--report", PAGE)
    assert result.code == 4
    assert 'pip install -c constraints.txt ".[report]"' in result.err
    assert not Path("e.json").exists()
    assert not (home / "owner.pem.spent").exists()
    assert not PAGE.exists()


def test_a_page_that_exists_is_refused_before_anything_is_spent(
    wmx: Any, claim: Path, home: Path
) -> None:
    PAGE.write_text("mine")
    assert wmx("verify", "model.onnx", "--evidence", "e.json", "--report", PAGE).code == 4
    assert not (home / "owner.pem.spent").exists()
    assert PAGE.read_text() == "mine"


@pytest.mark.parametrize("name", ["model.onnx", "claim.json", "owner.pem", "./model.onnx"])
def test_an_evidence_never_takes_the_place_of_another_file(
    wmx: Any, claim: Path, home: Path, name: str
) -> None:
    Path("owner.pem").write_bytes((home / "owner.pem").read_bytes())
    before = Path(name).read_bytes()
    words = ("verify", "model.onnx", "--claim", claim, "--key", "owner.pem", "--force")
    result = wmx(*words, "--evidence", name)
    assert result.code == 2
    assert f"--evidence names {name.removeprefix('./')}, where no output may go" in result.err
    assert Path(name).read_bytes() == before
    assert not Path("owner.pem.spent").exists()


@pytest.mark.parametrize("option", ["--evidence", "--report"])
def test_a_folder_that_is_not_there_is_told_before_anything_is_spent(
    wmx: Any, claim: Path, home: Path, option: str
) -> None:
    words = ["verify", "model.onnx", "--evidence", "e.json", "--report", "page.html"]
    words[words.index(option) + 1] = "nowhere/file"
    result = wmx(*words)
    assert result.code == 4
    assert "no such folder: nowhere" in result.err
    assert not (home / "owner.pem.spent").exists()


@pytest.mark.parametrize("name", ["e.json", "model.onnx", "claim.json", "./e.json"])
def test_a_page_never_takes_the_place_of_another_file(wmx: Any, claim: Path, name: str) -> None:
    before = Path("model.onnx").read_bytes()
    words = ("verify", "model.onnx", "--claim", claim, "--evidence", "e.json", "--force")
    result = wmx(*words, "--report", name)
    assert result.code == 2
    assert "where no output may go" in result.err
    assert Path("model.onnx").read_bytes() == before
