"""``wmx claim timestamp``: over HTTP, by files, and what is not kept."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import CLAIM_NEW
from support.tsa import Authority, serving

from wmx import Claim, Evidence
from wmx.cli import timestamp
from wmx.cli.timestamp import load_stamped
from wmx.protocol.release_record import Release
from wmx.protocol.stamped import MAX_TIMESTAMPS


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa"))


@pytest.fixture
def dated(wmx: Any, claim: Path, authority: Authority) -> Path:
    Path("r.tsr").write_bytes(authority.stamp(Claim.load(claim).envelope.signature))
    words = ("claim", "timestamp", claim, "--response", "r.tsr", "--roots", authority.roots)
    assert wmx(*words).code == 0
    return claim


def test_over_http(wmx: Any, claim: Path, authority: Authority) -> None:
    with serving(authority) as url:
        result = wmx("claim", "timestamp", claim, "--tsa", url, "--roots", authority.roots)
    assert result.code == 0
    assert "one under CN=root" in result.out
    assert "chain was checked" in result.out
    assert len(Claim.load(claim).timestamps) == 1


def test_by_files(wmx: Any, claim: Path, authority: Authority) -> None:
    assert wmx("claim", "timestamp", claim, "--request", "q.tsq").code == 0
    Path("r.tsr").write_bytes(authority.answer(Path("q.tsq").read_bytes()))
    result = wmx("claim", "timestamp", claim, "--response", "r.tsr")
    assert result.code == 0
    assert "not checked: no root certificates" in result.out
    shown = wmx("claim", "show", claim, "--json").json
    assert shown["timestamps"] == 1
    assert shown["trusted_time"] is None
    shown = wmx("claim", "show", claim, "--roots", authority.roots, "--json").json
    assert shown["trusted_authority"] == "CN=root"


def test_the_copy_in_the_store_is_dated_too(wmx: Any, dated: Path, home: Path) -> None:
    (kept,) = (home / "claims").glob("*.json")
    assert Claim.load(kept) == Claim.load(dated)


def test_the_bar_falls_to_64_bits_only_for_who_trusts_the_roots(
    wmx: Any, dated: Path, authority: Authority, tmp_path: Path, home: Path
) -> None:
    assert wmx("verify", "model.onnx", "--json").json["required_bits"] == 128
    stranger = Authority(tmp_path / "stranger", "stranger")
    result = wmx("verify", "model.onnx", "--roots", stranger.roots, "--json").json
    assert result["required_bits"] == 128
    assert "not trusted" in result["untrusted_timestamps"][0]
    result = wmx("verify", "model.onnx", "--roots", authority.roots, "--json").json
    assert result["required_bits"] == 64
    assert result["trusted_time"]
    (home / "roots").mkdir()
    (home / "roots" / "some.pem").write_bytes(authority.roots.read_bytes())
    assert wmx("verify", "model.onnx", "--json").json["required_bits"] == 64


def test_a_dated_evidence_is_shorter_and_enough_only_for_who_trusts_the_roots(
    wmx: Any, dated: Path, authority: Authority
) -> None:
    roots = ("--roots", authority.roots)
    result = wmx("verify", "model.onnx", *roots, "--evidence", "e.json", "--json").json
    assert result["evidence"]["count"] <= 25
    assert wmx("check", "e.json", "--model", "model.onnx", *roots).code == 0
    result = wmx("check", "e.json", "--model", "model.onnx")
    assert result.code == 1
    assert result.out.startswith("NOT VERIFIED: ")
    assert "with --roots" in result.out
    assert "no root certificates" in result.out


def test_a_timestamp_of_the_published_claim_counts_for_an_evidence_without(
    wmx: Any, claim: Path, authority: Authority
) -> None:
    words = ("verify", "model.onnx", "--min-bits", "64", "--evidence", "e.json")
    assert wmx(*words).code == 0
    Path("r.tsr").write_bytes(authority.stamp(Claim.load(claim).envelope.signature))
    wmx("claim", "timestamp", claim, "--response", "r.tsr")
    check = ("check", "e.json", "--model", "model.onnx", "--roots", authority.roots)
    assert wmx(*check).code == 1
    assert wmx(*check, "--claim", claim).code == 0


def test_an_evidence_full_of_junk_stamps_takes_none_from_the_published_claim(
    wmx: Any, dated: Path, authority: Authority, home: Path
) -> None:
    junk = [b"junk %d" % number for number in range(MAX_TIMESTAMPS)]
    full = replace(Claim.load(dated), timestamps=()).with_timestamps(junk)
    full.save("full.json")
    for copy in (home / "claims").glob("*.json"):  # with it the evidence would have the date
        copy.unlink()
    words = ("verify", "model.onnx", "--claim", "full.json", "--min-bits", "64")
    assert wmx(*words, "--evidence", "e.json").code == 0
    check = ("check", "e.json", "--model", "model.onnx", "--roots", authority.roots, "--json")
    assert wmx(*check).json["required_bits"] == 128
    checked = wmx(*check, "--claim", dated)
    assert checked.code == 0
    assert checked.json["required_bits"] == 64
    assert len(checked.json["untrusted_timestamps"]) == MAX_TIMESTAMPS


def test_what_another_process_keeps_meanwhile_is_not_lost(
    wmx: Any, claim: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While this one looks at its stamp, another adds one to the same file."""
    Path("r.tsr").write_bytes(authority.stamp(Claim.load(claim).envelope.signature))
    verified = timestamp._verified

    def verified_slowly(*arguments: Any) -> Any:
        Claim.load(claim).with_timestamps([b"of another"]).save(claim, force=True)
        return verified(*arguments)

    monkeypatch.setattr(timestamp, "_verified", verified_slowly)
    assert wmx("claim", "timestamp", claim, "--response", "r.tsr").code == 0
    assert Claim.load(claim).timestamps == (Path("r.tsr").read_bytes(), b"of another")


def test_a_stamp_is_not_kept_in_the_file_of_another_claim(
    wmx: Any, claim: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While this one looks at its stamp, another puts a new claim in place of the old one."""
    Path("r.tsr").write_bytes(authority.stamp(Claim.load(claim).envelope.signature))
    wmx(*CLAIM_NEW, "-o", "other.json")
    verified = timestamp._verified

    def verified_slowly(*arguments: Any) -> Any:
        claim.write_bytes(Path("other.json").read_bytes())
        return verified(*arguments)

    monkeypatch.setattr(timestamp, "_verified", verified_slowly)
    result = wmx("claim", "timestamp", claim, "--response", "r.tsr")
    assert result.code == 3
    assert "now holds the" in result.err
    assert claim.read_bytes() == Path("other.json").read_bytes()


@pytest.mark.parametrize("damage", ["other claim", "truncated", "wrong roots", "junk"])
def test_what_is_not_kept(
    wmx: Any, claim: Path, authority: Authority, tmp_path: Path, damage: str
) -> None:
    before = claim.read_bytes()
    stamp = authority.stamp(Claim.load(claim).envelope.signature)
    roots = authority.roots
    if damage == "other claim":
        wmx(*CLAIM_NEW, "-o", "other.json")
        stamp = authority.stamp(Claim.load("other.json").envelope.signature)
    elif damage == "truncated":
        stamp = stamp[:-1]
    elif damage == "wrong roots":
        roots = Authority(tmp_path / "stranger", "stranger").roots
    else:
        stamp = b"junk"
    Path("r.tsr").write_bytes(stamp)
    result = wmx("claim", "timestamp", claim, "--response", "r.tsr", "--roots", roots)
    assert result.code == 3
    assert "it was not added" in result.err
    assert claim.read_bytes() == before
    if damage != "wrong roots":
        assert wmx("claim", "timestamp", claim, "--response", "r.tsr").code == 3
        assert claim.read_bytes() == before


@pytest.mark.parametrize(
    "options",
    [(), ("--tsa", "http://127.0.0.1:9/", "--request", "q"), ("--request", "q", "--response", "r")],
)
def test_exactly_one_of_three(wmx: Any, claim: Path, options: tuple[str, ...]) -> None:
    assert wmx("claim", "timestamp", claim, *options).code == 2


def test_an_authority_that_does_not_answer(wmx: Any, claim: Path) -> None:
    result = wmx("claim", "timestamp", claim, "--tsa", "http://127.0.0.1:9/")
    assert result.code == 4
    assert "--request" in result.err
    assert wmx("claim", "timestamp", claim, "--tsa", "ftp://127.0.0.1/").code == 2


def test_info_shows_what_a_timestamp_asserts(wmx: Any, dated: Path) -> None:
    assert "by an authority under CN=root" in wmx("info", dated).out
    assert wmx("info", dated, "--json").json["timestamps"] == 1


def test_a_flipped_byte_in_a_timestamp_breaks_the_claim(wmx: Any, dated: Path) -> None:
    data = dated.read_bytes()
    for position in range(data.index(b"timestamps"), len(data), 41):
        changed = bytearray(data)
        changed[position] ^= 1
        Path("changed.json").write_bytes(changed)
        assert wmx("verify", "model.onnx", "--claim", "changed.json").code == 3


def test_without_the_extra_an_undated_claim_needs_nothing_and_a_dated_one_says_what(
    wmx: Any, dated: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "rfc3161_client", None)
    assert wmx("verify", "model.onnx").code == 0
    assert wmx("claim", "show", dated).code == 0
    result = wmx("verify", "model.onnx", "--roots", authority.roots)
    assert result.code == 4
    assert 'pip install -c constraints.txt ".[tsa]"' in result.err


# a stranger's copy, full of timestamps of the stranger's own authority


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "stranger")


def filled(path: Path, stranger: Authority) -> list[bytes]:
    """Save a copy of a claim with as many timestamps of the stranger as it holds."""
    one = Claim.load(path)
    junk = [stranger.stamp(one.envelope.signature) for _ in range(MAX_TIMESTAMPS)]
    replace(one, timestamps=tuple(junk)).save("copy.json", force=True)
    return junk


def test_a_timestamp_that_is_asked_for_is_kept_in_files_that_are_full(
    wmx: Any, claim: Path, home: Path, authority: Authority, stranger: Authority
) -> None:
    junk = filled(claim, stranger)
    assert wmx(*CLAIM_NEW, "-o", "copy.json", "--force").code == 0
    kept = home / "claims" / f"{Claim.load(claim).digest}.json"
    assert Claim.load(kept).timestamps == tuple(junk)
    filled(claim, stranger)
    Path("r.tsr").write_bytes(authority.stamp(Claim.load(claim).envelope.signature))
    result = wmx("claim", "timestamp", "copy.json", "--response", "r.tsr")
    assert result.code == 0
    assert "copy.json holds at most 16 timestamps: 1 gave way to this one" in result.err
    for path in (kept, Path("copy.json")):
        assert Claim.load(path).timestamps[0] == Path("r.tsr").read_bytes()
        assert len(Claim.load(path).timestamps) == MAX_TIMESTAMPS


def test_a_full_copy_in_the_store_hides_no_date_and_none_that_is_signed(
    wmx: Any, claim: Path, home: Path, authority: Authority, stranger: Authority
) -> None:
    filled(claim, stranger)
    assert wmx(*CLAIM_NEW, "-o", "copy.json", "--force").code == 0
    stamp = authority.stamp(Claim.load(claim).envelope.signature)
    Claim.load(claim).with_timestamps([stamp]).save("dated.json")
    words = ("model.onnx", "--claim", "dated.json", "--roots", authority.roots)
    assert wmx("verify", *words, "--json").json["required_bits"] == 64
    assert wmx("verify", *words, "--evidence", "e.json").code == 0
    assert wmx("release", *words).code == 0
    for signed in (Evidence.load("e.json"), Release.load("model.release.json")):
        assert signed.claim.timestamps[0] == stamp
        assert len(signed.claim.timestamps) == MAX_TIMESTAMPS


def test_a_dispute_counts_the_dates_of_the_store_too(
    wmx: Any, claim: Path, home: Path, authority: Authority, stranger: Authority
) -> None:
    assert wmx("release", "model.onnx").code == 0
    for path in ("claim.json", "model.release.json"):
        undated = Path(path).read_bytes()
        Path("r.tsr").write_bytes(authority.stamp(load_stamped(Path(path)).envelope.signature))
        command = "claim" if path == "claim.json" else "release"
        assert wmx(command, "timestamp", path, "--response", "r.tsr").code == 0
        Path(path).write_bytes(undated)
    filled(claim, stranger)
    assert wmx("keygen", "-o", "other.pem").code == 0
    assert wmx(*CLAIM_NEW, "-o", "other.json", "--key", "other.pem").code == 0
    words = ("--claim", "copy.json", "--claim", "other.json", "--key", "other.pem")
    more = ("--roots", authority.roots, "--json")
    result = wmx("dispute", "model.onnx", *words, *more, "--release", "model.release.json").json
    assert result["parties"][0]["trusted_time"]
    assert result["suspect_dating"]["trusted_time"]
