"""``wmx dispute``: keys and evidences, release records, dates, and what it says."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.disputed_models import Side, marked, marked_beside, network, side
from support.tsa import Authority, moved_by

from wmx import Claim
from wmx.protocol.release_record import Relation, Release
from wmx.protocol.stamped import MAX_TIMESTAMPS, Stamped
from wmx.protocol.task import Task

PARTIES = ("--claim", "owner.json", "--claim", "thief.json")
KEYS = ("--key", "thief.pem", "--key", "owner.pem")
OWNER, THIEF = 1, 2


@pytest.fixture
def owner(home: Path) -> Side:
    return side(Path(), "owner", OWNER)


@pytest.fixture
def thief(owner: Side) -> Side:
    made = side(Path(), "thief", THIEF, created=created(0))
    Path("stolen.onnx").write_bytes(marked(network(OWNER), owner.watermark, made.watermark))
    return made


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    found = Authority(tmp_path_factory.mktemp("tsa"))
    found.state_accuracy("millisecs:1")
    return found


@contextmanager
def later() -> Iterator[None]:
    """Stamps are to the second."""
    yield
    time.sleep(1.1)


def stamped(authority: Authority, file: Stamped, path: str, hours: float = 0) -> str:
    """Have a file dated, some hours from now: the owner's long before the thief made a claim."""
    stamp = authority.stamp_as(
        file.envelope.signature, "tsa", change=moved_by(timedelta(hours=hours))
    )
    file.with_timestamps([stamp]).save(path, force=True)
    return path


def test_undecided_names_nobody_and_says_what_would_settle_it(wmx: Any, thief: Side) -> None:
    result = wmx("dispute", "stolen.onnx", *PARTIES, *KEYS)
    assert result.code == 1
    assert result.out.startswith("UNDECIDED: nobody is named\n")
    assert "owner.json is not ahead: it has shown no release record" in result.out
    assert "its silence decides nothing" in result.out
    assert "wmx release" in result.out


def test_json_holds_all_figures(wmx: Any, thief: Side) -> None:
    result = wmx("dispute", "stolen.onnx", *PARTIES, *KEYS, "--json").json
    assert (result["outcome"], result["named"], result["exit_code"]) == ("undecided", None, 1)
    assert [party["name"] for party in result["parties"]] == ["owner.json", "thief.json"]
    assert all(party["verified"] and party["originals"] == [] for party in result["parties"])
    (comparison,) = result["comparisons"]
    assert comparison["ahead"] is None
    assert comparison["obstacles"] == {
        name: ["no_original", "silence"] for name in ("owner.json", "thief.json")
    }
    assert len(comparison["reasons"]) == 4
    assert result["fine_tuning"] is None
    assert result["lineages"] == []


def test_a_thief_with_an_older_generic_claim_is_not_named(
    wmx: Any, owner: Side, thief: Side, authority: Authority
) -> None:
    """Any claim fits any model of its shape: theirs was stamped years before the theft."""
    for party in (thief, owner):
        with later():
            stamped(authority, party.watermark.claim, str(party.claim_path))
    result = wmx("dispute", "stolen.onnx", *PARTIES, *KEYS, "--roots", authority.roots)
    assert result.code == 1
    assert result.out.startswith("UNDECIDED")
    assert "64 needed" in result.out  # dates still count for that


@pytest.fixture
def released(wmx: Any, owner: Side, thief: Side, authority: Authority) -> tuple[str, ...]:
    """A dispute in which both show an original; the owner's record of the suspect is found.json."""
    words = ("--claim", "owner.json", "--key", "owner.pem")
    assert wmx("release", "owner.onnx", *words).code == 0
    stamped(authority, Release.load("owner.release.json"), "owner.release.json", -9)
    assert wmx("release", "stolen.onnx", *words, "--found", "-o", "found.json").code == 0
    stamped(authority, Release.load("found.json"), "found.json", -6)
    words = ("--claim", "thief.json", "--key", "thief.pem")
    assert wmx("release", "thief.onnx", *words).code == 0
    stamped(authority, Release.load("thief.release.json"), "thief.release.json")
    mine = ("--release", "owner.release.json", "--original", "owner.onnx")
    theirs = ("--release", "thief.release.json", "--original", "thief.onnx")
    return ("dispute", "stolen.onnx", *PARTIES, *KEYS, *mine, *theirs)


def test_the_whole_way_of_an_owner(
    wmx: Any, released: tuple[str, ...], authority: Authority
) -> None:
    """Owners release a model, find the suspect, and hear what the thief calls their own."""
    call = (*released, "--release", "found.json", "--roots", authority.roots)
    result = wmx(*call)
    assert result.code == 0
    assert result.out.startswith("NAMED: owner.json")
    assert "is younger than the suspect" in result.out
    assert "owner.onnx of owner.json" in result.out
    fields = wmx(*call, "--json").json
    assert fields["named"] == "owner.json"
    (lineage,) = fields["lineages"]
    assert lineage["nearer"] == "owner.json"
    assert lineage["disagreements"] == 2048
    assert fields["suspect_dating"]["trusted_time"]


@pytest.mark.slow
def test_the_way_of_an_owner_takes_a_dated_suspect_and_trusted_roots(
    wmx: Any, released: tuple[str, ...], authority: Authority
) -> None:
    without = wmx(*released, "--roots", authority.roots)
    assert without.code == 1
    assert "wmx release SUSPECT --found" in without.out
    untrusted = wmx(*released, "--release", "found.json", "--json").json
    assert untrusted["named"] is None


def test_whoever_signs_a_stolen_copy_is_not_the_owner(
    wmx: Any, owner: Side, thief: Side, authority: Authority
) -> None:
    stamped(authority, owner.record(owner.model), "mine.json", -9)
    thief.record(Path("stolen.onnx")).save("theirs.json")
    records = ("--release", "mine.json", "--release", "theirs.json", "--original", "owner.onnx")
    result = wmx("dispute", "stolen.onnx", *PARTIES, *KEYS, *records, "--roots", authority.roots)
    assert result.code == 0
    assert (
        "it has signed stolen.onnx as its own, which carries the mark of owner.json" in result.out
    )


@pytest.mark.slow
def test_a_thief_who_washes_and_releases_first_is_not_named(
    wmx: Any, owner: Side, thief: Side, authority: Authority
) -> None:
    """The owner has no release record, or shows one only afterwards."""
    Path("washed.onnx").write_bytes(marked(network(OWNER) * 1.01, thief.watermark))
    with later():
        stamped(authority, thief.record(Path("washed.onnx")), "washed.json")
    with later():
        found = thief.record(Path("stolen.onnx"), Relation.found)
        stamped(authority, found, "found.json")
    stamped(authority, owner.record(owner.model), "late.json")
    records = ("--release", "washed.json", "--release", "found.json", "--original", "washed.onnx")
    call = ("dispute", "stolen.onnx", *PARTIES, *KEYS, *records, "--roots", authority.roots)
    for more in ((), ("--release", "late.json", "--original", "owner.onnx")):
        result = wmx(*call, *more)
        assert result.code == 1
        assert result.out.startswith("UNDECIDED")
    assert "too much alike" in result.out


@pytest.mark.slow
def test_originals_with_one_graph_and_other_weights_beside_it_are_told_apart(
    wmx: Any, owner: Side, thief: Side, authority: Authority
) -> None:
    """Two versions of the owner's, and one that the thief has made of the last."""
    both = owner.watermark, thief.watermark
    made = {
        name: marked_beside(Path(name) / "model.onnx", network(base), *both, washed=washed)
        for name, base, washed in (
            ("v1", OWNER, thief.watermark),
            ("v2", OWNER + 7, thief.watermark),
            ("washed", THIEF, owner.watermark),
            ("stolen", OWNER, None),
        )
    }
    first = owner.record(made["v1"])
    stamped(authority, first, "v1.json", -9)
    stamped(authority, owner.record(made["v2"], previous=first.digest), "v2.json", -8)
    stamped(authority, owner.record(made["stolen"], Relation.found), "found.json", -6)
    stamped(authority, thief.record(made["washed"]), "washed.json")
    records = [f"--release={name}.json" for name in ("v1", "v2", "found", "washed")]
    own = ["--original", made["v1"], "--original", made["v2"]]
    call = ("dispute", made["stolen"], *PARTIES, *KEYS, "--roots", authority.roots, *records)
    result = wmx(*call, *own, "--original", made["washed"])
    assert result.out.startswith("NAMED: owner.json")
    silent = wmx(*call, *own)  # the thief's record names the same graph, and stands for no other
    assert silent.code == 1
    assert "washed" not in silent.err
    assert "owner.json is not ahead" in silent.out
    assert wmx(*call, *own[:2]).code == 1  # of the owner's two one is not shown
    made["v2"].with_name("model.onnx.data").write_bytes(
        made["v1"].with_name("model.onnx.data").read_bytes()[:-1] + b"\1"
    )
    changed = wmx(*call, *own)
    assert changed.code == 3
    assert f"{made['v2']} is not a model that a release record names" in changed.err


@pytest.mark.slow
def test_an_evidence_stands_for_a_party_whose_key_the_judge_does_not_hold(
    wmx: Any, owner: Side, thief: Side, authority: Authority
) -> None:
    stamped(authority, owner.record(owner.model), "mine.json", -9)  # before the evidence
    words = ("verify", "stolen.onnx", "--claim", "thief.json", "--key", "thief.pem")
    assert wmx(*words, "--evidence", "theirs.json").code == 0
    thief.record(Path("stolen.onnx")).save("shipped.json")
    both = ("--claim", "owner.json", "--key", "owner.pem", "--evidence", "theirs.json")
    records = ("--release", "mine.json", "--release", "shipped.json", "--original", "owner.onnx")
    more = ("--min-bits", "100", "--roots", authority.roots, "--json")
    result = wmx("dispute", "stolen.onnx", *both, *records, *more)
    assert result.code == 0
    assert result.json["named"] == "owner.json"
    assert result.json["parties"][1]["triggers"] < 100
    blind = wmx("dispute", "stolen.onnx", *both, *records, "--min-bits", "100")
    assert blind.code == 1
    assert "no timestamp of its release record is trusted here: not checked: no root" in blind.out
    assert "the root certificate of the authority with --roots" in blind.out
    assert "neither carries nor lacks" not in blind.out
    stamped(authority, owner.record(owner.model), "mine.json")
    time.sleep(1.1)
    result = wmx("dispute", "stolen.onnx", *both, *records, *more)
    assert result.code == 1  # what was disclosed can have been washed out by then
    assert "counts only for a model dated before it, and it is dated" in str(result.json)
    published = wmx("dispute", "stolen.onnx", *both, "--claim", "thief.json", "--min-bits", "100")
    assert published.code == 1
    assert published.out.startswith("UNDECIDED")
    twice = wmx("dispute", "stolen.onnx", *both, "--claim", "thief.json", "--key", "thief.pem")
    assert twice.code == 2
    assert "was given twice" in twice.err
    Path("other.onnx").write_bytes(marked(network(3), thief.watermark))
    assert wmx("dispute", "other.onnx", *both).code == 3


def test_triggers_that_were_disclosed_do_not_count(wmx: Any, owner: Side, thief: Side) -> None:
    words = ("verify", "stolen.onnx", "--claim", "owner.json", "--key", "owner.pem")
    for reveal in ("60", "30"):
        shown = wmx(*words, "--min-bits", "10", "--evidence", f"{reveal}.json", "--reveal", reveal)
        assert shown.code == 0
    call = ("dispute", "stolen.onnx", *PARTIES, *KEYS, "--json")
    result = wmx(*call).json
    assert (result["outcome"], result["parties"][0]["triggers"]) == ("uncontested", 10)
    assert "; left out 90 triggers that were disclosed, of 100" in wmx(*call[:-1]).out
    assert wmx(*words, "--min-bits", "10", "--evidence", "10.json", "--reveal", "10").code == 0
    result = wmx(*call)
    assert result.json["parties"][0]["unclear"]
    assert (result.json["outcome"], result.json["parties"][0]["triggers"]) == ("uncontested", 0)
    assert "unclear: not tested: every trigger was disclosed" in wmx(*call[:-1]).out
    words = ("release", "stolen.onnx", *words[2:], "-o", "r.json")
    assert wmx(*words).code == 0  # their own work, as they state
    assert wmx(*words, "--found", "--force").code == 4


def test_a_claim_with_too_few_triggers_left_is_not_said_to_be_missing(
    wmx: Any, owner: Side, thief: Side
) -> None:
    words = ("--key", "owner.pem", "--claim", "owner.json")
    spent = (*words, "--evidence", "e.json", "--reveal", "80")
    assert wmx("verify", "stolen.onnx", *spent).code == 0
    said = wmx("dispute", "stolen.onnx", *PARTIES, *KEYS).out
    assert "unclear: cannot verify, since 20 undisclosed triggers give" in said
    assert "does not verify" not in said


def test_an_evidence_full_of_junk_stamps_takes_none_from_the_published_claim(
    wmx: Any, thief: Side, authority: Authority
) -> None:
    junk = [b"junk %d" % number for number in range(MAX_TIMESTAMPS)]
    thief.watermark.claim.with_timestamps(junk).save("full.json")
    words = ("verify", "stolen.onnx", "--claim", "full.json", "--key", "thief.pem")
    assert wmx(*words, "--evidence", "theirs.json").code == 0
    stamped(authority, thief.watermark.claim, str(thief.claim_path))
    both = ("--claim", "owner.json", "--key", "owner.pem", "--evidence", "theirs.json")
    published = ("--claim", "thief.json", "--roots", authority.roots)
    result = wmx("dispute", "stolen.onnx", *both, *published, "--min-bits", "100", "--json")
    assert result.code == 1
    assert result.json["parties"][1]["trusted_time"]


def created(hours: float) -> str:
    """Return what a claim or a record states that was signed some hours from now."""
    return f"{datetime.now(UTC) + timedelta(hours=hours):%Y-%m-%dT%H:%M:%SZ}"


@pytest.mark.slow
def test_a_thief_who_leaves_out_the_date_of_the_owners_claim_is_not_named(
    wmx: Any, authority: Authority, home: Path
) -> None:
    """The owner released late, and the record holds the claim as it was before it was dated."""
    owner = side(Path(), "owner", OWNER, created(-20))
    thief = side(Path(), "thief", THIEF, created(-100))
    late = Path("late.onnx")
    late.write_bytes(marked(network(3), owner.watermark))
    both = marked(network(THIEF), owner.watermark, thief.watermark)
    Path("stolen.onnx").write_bytes(both)
    stamped(authority, owner.watermark.claim, "published.json", -19)
    stamped(authority, owner.record(late, created=created(-5)), "late.json", -5)
    stamped(authority, thief.record(thief.model), "theirs.json", -15)
    stamped(authority, thief.record(Path("stolen.onnx"), Relation.found), "found.json", -10)
    records = [f"--release={name}.json" for name in ("late", "theirs", "found")]
    shown = ["--original=late.onnx", "--original=thief.onnx", "--roots", authority.roots, *KEYS]
    for claim in ("published.json", "owner.json"):
        claims = ("--claim", claim, "--claim", "thief.json")
        result = wmx("dispute", "stolen.onnx", *claims, *records, *shown, "--json").json
        assert result["named"] is None
        (comparison,) = result["comparisons"]
        assert comparison["obstacles"]["thief.json"] == ["older_claim"]


def test_a_claim_that_costs_too_much_is_named(wmx: Any, owner: Side, thief: Side) -> None:
    family = thief.watermark.generator.describe()
    large = {"task": Task.of((512, 512, 1), 10), "family": family, "n": 1_000_000}
    Claim.sign(thief.key, salt=bytes(32), root=bytes(32), **large).save("large.json")
    words = ("--claim", "owner.json", "--claim", "large.json", *KEYS)
    result = wmx("dispute", "stolen.onnx", *words)
    assert result.code == 4
    assert "large.json: the 1,000,000 triggers of the claim would take" in result.err
    assert "leave this claim out, or: --seconds and --memory" in result.err


def test_usage(wmx: Any, owner: Side, thief: Side) -> None:
    owner.record(owner.model).save("mine.json")
    for words, said in (
        (("--claim", "owner.json", "--key", "owner.pem"), "expected two or more"),
        ((*PARTIES, "--key", "owner.pem"), "expected the key that made it"),
        ((*PARTIES, *KEYS, "--original", "owner.onnx"), "no release record names"),
        ((*PARTIES, *KEYS, *("--release", "mine.json") * 2), "twice"),
        ((*PARTIES, *KEYS, "--triggers", "gone.json=a"), "does not begin with the name"),
    ):
        result = wmx("dispute", "stolen.onnx", *words)
        assert result.code == 2
        assert said in result.err
    assert wmx("dispute", "stolen.onnx", *PARTIES, *KEYS, "--original", "gone.onnx").code == 4
    assert wmx("dispute", "stolen.onnx", *PARTIES, *KEYS, "--release", "owner.json").code == 3
    result = wmx("dispute", "stolen.onnx", "--claim", "owner.onnx", "--json")
    assert result.code == 3
    assert result.json["error"]
