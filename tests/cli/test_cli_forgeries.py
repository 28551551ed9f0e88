"""Forgers who have the claim and an evidence that opened some triggers: the others stay secret.

The forger knows the opened triggers by content, and their labels.  He stores them in a file or a
server, and guesses at the rest.  What the owner counts are triggers that nobody has seen.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
from support.forging.files import forged_file, remembering_file
from support.forging.guesses import best_guess, guesses
from support.forging.servers import Forger, remembering_server
from support.oip_server import serving

from wmx import Claim
from wmx.triggers.trigger_slice import TriggerSlice
from wmx.verification.evidence import Evidence

DISCLOSED = 43  # as many as 128 bits take at ten classes


@pytest.fixture
def disclosed(wmx: Any, claim: Path) -> TriggerSlice:
    """What everybody can read in the evidence that the owner has published."""
    shown = wmx("verify", "model.onnx", "--claim", claim, "--evidence", "e.json", "--json")
    assert shown.code == 0
    trigger_slice = Evidence.load("e.json").trigger_slice
    assert (trigger_slice.start, len(trigger_slice)) == (0, DISCLOSED)
    return trigger_slice


def refused(wmx: Any, suspect: str, claim: Path, *options: str) -> None:
    """Assert that the owner is not told a yes, and that nothing more is disclosed."""
    result = wmx("verify", suspect, "--claim", claim, "--min-bits", "64", "--json", *options)
    assert result.code == 1, result.err
    assert result.json["bits"] < 40


@pytest.mark.slow
@pytest.mark.parametrize(
    "told_by", ["row number", "RandomUniform", "first equal row", "brightness"]
)
def test_a_file_that_knows_the_disclosed_triggers_is_not_believed(
    wmx: Any, claim: Path, disclosed: TriggerSlice, told_by: str
) -> None:
    public = Claim.load(claim)
    guessed = list(guesses(public).values())
    model = remembering_file(public, disclosed, guessed, told_by)
    Path("forged.onnx").write_bytes(model)
    refused(wmx, "forged.onnx", claim)
    refused(wmx, "forged.onnx", claim, "--evidence", "new.json")
    assert not Path("new.json").exists()


def test_no_digits_are_printed_that_could_spell_labels(wmx: Any, claim: Path) -> None:
    """Scores can be chosen so that ten labels follow from 17 digits of one expert's wealth."""
    for model, code in (("model.onnx", 0), ("other.onnx", 1)):
        printed = wmx("verify", model, "--claim", claim, "--json")
        assert printed.code == code
        for number in (printed.json["bits"], *printed.json["experts"].values()):
            assert number == round(number, 1)


@pytest.mark.slow
def test_no_command_counts_what_was_disclosed(
    wmx: Any, claim: Path, disclosed: TriggerSlice
) -> None:
    """With a stamped claim, of which 64 bits are asked, the disclosed triggers would be enough."""
    public = Claim.load(claim)
    Path("forged.onnx").write_bytes(remembering_file(public, disclosed, [best_guess(public)]))
    task = ("--shape", "8,8,1", "--classes", "10")
    assert wmx("keygen", "-o", "other.pem").code == 0
    assert wmx("claim", "new", *task, "--key", "other.pem", "-o", "other.json").code == 0
    sides = ("--claim", claim, "--claim", "other.json", "--key", "other.pem")
    found = wmx("dispute", "forged.onnx", *sides, "--min-bits", "64", "--json")
    assert found.code == 1
    assert found.json["outcome"] == "no claim verifies"
    released = ("release", "forged.onnx", "--claim", claim, "--found", "--min-bits", "64")
    assert wmx(*released).code == 1
    assert not list(Path().glob("*.release.json"))


@pytest.mark.slow
def test_a_server_that_knows_the_disclosed_triggers_is_not_believed(
    wmx: Any, claim: Path, disclosed: TriggerSlice
) -> None:
    public = Claim.load(claim)
    guessed = list(guesses(public).values())[:3]
    lie = remembering_server(Forger(public, guessed), disclosed)
    with serving(forged_file(public, guessed), lie=lie) as server:
        refused(wmx, server.url, claim, "--max-queries", "20000")


def test_the_evidence_is_not_repeated_by_a_file_that_knows_its_triggers(
    wmx: Any, claim: Path, disclosed: TriggerSlice
) -> None:
    """Who has read it could frame anybody, if it did not say which file it is about."""
    public = Claim.load(claim)
    model = remembering_file(public, disclosed, list(guesses(public).values()))
    Path("forged.onnx").write_bytes(model)
    shutil.copy("forged.onnx", "innocent.onnx")
    for name in ("forged.onnx", "innocent.onnx"):
        result = wmx("check", "e.json", "--model", name)
        assert result.code == 3
        assert "another file" in result.err


def test_the_marked_model_is_still_believed_by_the_triggers_that_are_left(
    wmx: Any, claim: Path, disclosed: TriggerSlice
) -> None:
    result = wmx("verify", "model.onnx", "--claim", claim, "--evidence", "second.json", "--json")
    assert result.code == 0
    assert result.json["evidence"]["start"] == DISCLOSED
