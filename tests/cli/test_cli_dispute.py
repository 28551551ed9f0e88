"""``wmx dispute``: keys and evidences, originals, timestamps, and what it says."""

import time
from pathlib import Path
from typing import Any

import onnx_models
import pytest
from disputed_models import Side, carries_both, side
from tsa import Authority

from wmx.stamped import MAX_TIMESTAMPS

PARTIES = ("--claim", "owner.json", "--claim", "thief.json")
KEYS = ("--key", "thief.pem", "--key", "owner.pem")


@pytest.fixture
def owner(home: Path) -> Side:
    return side(Path(), "owner")


@pytest.fixture
def thief(owner: Side) -> Side:
    made = side(Path(), "thief")
    Path("stolen.onnx").write_bytes(carries_both(owner.watermark, made.watermark))
    return made


def test_undecided_names_nobody_and_says_what_was_not_shown(wmx: Any, thief: Side) -> None:
    result = wmx("dispute", "stolen.onnx", *PARTIES, *KEYS)
    assert result.code == 1
    assert result.out.startswith("UNDECIDED: nobody is named\n")
    assert "neither has one that is trusted here" in result.out
    assert "gave none" in result.out


def test_originals_settle_it(wmx: Any, thief: Side) -> None:
    originals = ("--original", "owner.json=owner.onnx", "--original", "thief.json=stolen.onnx")
    result = wmx("dispute", "stolen.onnx", *PARTIES, *KEYS, *originals)
    assert result.code == 0
    assert result.out.startswith("NAMED: owner.json")
    assert "that of thief.json carries the mark of owner.json" in result.out


def test_json_holds_all_figures(wmx: Any, thief: Side) -> None:
    result = wmx("dispute", "stolen.onnx", *PARTIES, *KEYS, "--json").json
    assert (result["outcome"], result["named"], result["exit_code"]) == ("undecided", None, 1)
    assert [party["name"] for party in result["parties"]] == ["owner.json", "thief.json"]
    assert all(party["verified"] and party["original"] is None for party in result["parties"])
    (comparison,) = result["comparisons"]
    assert comparison["ahead"] is None
    assert len(comparison["reasons"]) == 2
    assert result["fine_tuning"] is None


def test_timestamps_settle_it_if_they_are_far_enough_apart(
    wmx: Any, owner: Side, thief: Side, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "tsa")

    def stamped(party: Side) -> None:
        response = authority.stamp(party.watermark.claim.envelope.signature)
        Path("r.tsr").write_bytes(response)
        words = ("claim", "timestamp", party.claim_path, "--response", "r.tsr")
        assert wmx(*words).code == 0

    call = ("dispute", "stolen.onnx", *PARTIES, *KEYS, "--roots", authority.roots)
    stamped(owner)
    stamped(thief)
    result = wmx(*call)
    assert result.code == 1  # within the minute that an authority without a word on it may be off
    assert "give or take 60 s overlap" in result.out
    authority.state_accuracy("millisecs:1")
    stamped(owner)
    time.sleep(1.1)  # stamps are to the second
    thief.watermark.claim.save(thief.claim_path, force=True)  # without its first stamp
    stamped(thief)
    result = wmx(*call)
    assert result.code == 0
    assert result.out.startswith("NAMED: owner.json")
    assert "owner.json is earlier" in result.out


def test_an_evidence_stands_for_a_party_whose_key_the_judge_does_not_hold(
    wmx: Any, thief: Side
) -> None:
    words = ("verify", "stolen.onnx", "--claim", "thief.json", "--key", "thief.pem")
    assert wmx(*words, "--evidence", "theirs.json").code == 0
    both = ("--claim", "owner.json", "--key", "owner.pem", "--evidence", "theirs.json")
    originals = ("--original", "owner.json=owner.onnx", "--original", "theirs.json=stolen.onnx")
    result = wmx("dispute", "stolen.onnx", *both, "--min-bits", "100", *originals, "--json")
    assert result.code == 0
    assert result.json["named"] == "owner.json"
    assert result.json["parties"][1]["triggers"] < 100
    published = wmx("dispute", "stolen.onnx", *both, "--claim", "thief.json", "--min-bits", "100")
    assert published.code == 1
    assert published.out.startswith("UNDECIDED")
    twice = wmx("dispute", "stolen.onnx", *both, "--claim", "thief.json", "--key", "thief.pem")
    assert twice.code == 2
    assert "there twice" in twice.err
    Path("other.onnx").write_bytes(onnx_models.linear(thief.watermark, seed=1))
    assert wmx("dispute", "other.onnx", *both).code == 3


def test_an_evidence_full_of_junk_stamps_takes_none_from_the_published_claim(
    wmx: Any, thief: Side, tmp_path: Path
) -> None:
    junk = [b"junk %d" % number for number in range(MAX_TIMESTAMPS)]
    thief.watermark.claim.with_timestamps(junk).save("full.json")
    words = ("verify", "stolen.onnx", "--claim", "full.json", "--key", "thief.pem")
    assert wmx(*words, "--evidence", "theirs.json").code == 0
    authority = Authority(tmp_path / "tsa")
    stamp = authority.stamp(thief.watermark.claim.envelope.signature)
    thief.watermark.claim.with_timestamps([stamp]).save(thief.claim_path, force=True)
    both = ("--claim", "owner.json", "--key", "owner.pem", "--evidence", "theirs.json")
    published = ("--claim", "thief.json", "--roots", authority.roots)
    result = wmx("dispute", "stolen.onnx", *both, *published, "--min-bits", "100", "--json")
    assert result.code == 1
    assert result.json["parties"][1]["trusted_time"]


def test_usage(wmx: Any, thief: Side) -> None:
    for words, said in (
        (("--claim", "owner.json", "--key", "owner.pem"), "expected two or more"),
        ((*PARTIES, "--key", "owner.pem"), "no key that made it"),
        ((*PARTIES, *KEYS, "--original", "gone.json=a.onnx"), "names none"),
        ((*PARTIES, *KEYS, *("--original", "owner.json=owner.onnx") * 2), "twice"),
    ):
        result = wmx("dispute", "stolen.onnx", *words)
        assert result.code == 2
        assert said in result.err
    result = wmx("dispute", "stolen.onnx", *PARTIES, *KEYS, "--original", "owner.json=gone.onnx")
    assert result.code == 4
    result = wmx("dispute", "stolen.onnx", "--claim", "owner.onnx", "--json")
    assert result.code == 3
    assert result.json["error"]
