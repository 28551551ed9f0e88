"""``wmx release``: which models are put on record, and how a record is dated and shown."""

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from support.tsa import Authority, serving

from wmx import Claim, Evidence
from wmx._internal.writing import Staged
from wmx.cli import timestamp
from wmx.errors import CannotRunError
from wmx.protocol.release_record import Relation, Release
from wmx.verification.store import Store


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tsa"))


def test_a_record_is_made_of_a_model_that_bears_the_mark(wmx: Any, claim: Path, home: Path) -> None:
    result = wmx("release", "model.onnx", "--claim", claim)
    assert result.code == 0
    assert "before you hand out the model" in result.out
    record = Release.load("model.release.json")
    assert record.claim.digest == Claim.load(claim).digest
    assert (record.relation, record.previous) == (Relation.own, None)
    (kept,) = (home / "releases").glob("*.json")
    assert Release.load(kept) == record
    assert wmx("release", "model.onnx").code == 4  # it is there already
    second = wmx("release", "model.onnx", "-o", "second.json", "--json")
    assert second.code == 0
    assert second.json["previous"] == record.digest
    found = wmx("release", "new", "model.onnx", "--found", "-o", "found.json", "--json").json
    assert (found["relation"], found["previous"]) == ("found", second.json["release"])
    assert (
        wmx("release", "model.onnx", "-o", "third.json", "--json").json["previous"]
        == (second.json["release"])
    )


def test_none_is_made_of_a_model_without_it(wmx: Any, claim: Path, home: Path) -> None:
    result = wmx("release", "--claim", claim, "other.onnx")
    assert result.code == 1
    assert "No release record was written" in result.out
    assert not Path("other.release.json").exists()
    assert not list(home.glob("releases/*"))
    result = wmx("release", "other.onnx", "--json")
    assert (result.code, result.json["path"]) == (1, None)


def test_it_is_dated_at_once(wmx: Any, claim: Path, authority: Authority, home: Path) -> None:
    with serving(authority) as url:
        result = wmx("release", "model.onnx", "--tsa", url)
    assert result.code == 0
    assert "unchanged, byte for byte" in result.out
    shown = wmx("release", "show", "model.release.json", "--roots", authority.roots)
    assert "an authority under CN=root" in shown.out
    shown = wmx("release", "show", "model.release.json", "--roots", authority.roots, "--json")
    assert shown.json["trusted_time"]
    (kept,) = (home / "releases").glob("*.json")
    assert len(Release.load(kept).timestamps) == 1


def test_or_by_request_and_response(wmx: Any, claim: Path, authority: Authority) -> None:
    assert wmx("release", "model.onnx").code == 0
    record = "model.release.json"
    assert wmx("release", "timestamp", record, "--request", "q.tsq").code == 0
    Path("r.tsr").write_bytes(authority.answer(Path("q.tsq").read_bytes()))
    words = ("--response", "r.tsr", "--roots", authority.roots)
    assert "chain was checked" in wmx("release", "timestamp", record, *words).out
    other = wmx("claim", "timestamp", claim, *words)
    assert other.code == 3
    assert "something else than this claim's signature" in other.err
    wmx("release", "model.onnx", "-o", "second.json")
    other = wmx("release", "timestamp", "second.json", *words)
    assert other.code == 3
    assert "something else than this release record's signature" in other.err


def test_an_authority_that_does_not_answer_leaves_a_record_without_a_date(
    wmx: Any, claim: Path
) -> None:
    result = wmx("release", "model.onnx", "--tsa", "http://127.0.0.1:9/")
    assert result.code == 4
    assert "was written, but has no date" in result.err
    assert Release.load("model.release.json").timestamps == ()


def test_what_another_process_keeps_meanwhile_is_not_lost(
    wmx: Any, claim: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    wmx("release", "model.onnx")
    path = Path("model.release.json")
    Path("r.tsr").write_bytes(authority.stamp(Release.load(path).envelope.signature))
    verified = timestamp._verified

    def verified_slowly(*arguments: Any) -> Any:
        Release.load(path).with_timestamps([b"of another"]).save(path, force=True)
        return verified(*arguments)

    monkeypatch.setattr(timestamp, "_verified", verified_slowly)
    assert wmx("release", "timestamp", path, "--response", "r.tsr").code == 0
    assert Release.load(path).timestamps == (Path("r.tsr").read_bytes(), b"of another")


# each record names the one before: else a dispute takes a later one for the first


def test_a_command_that_is_interrupted_leaves_a_record_that_the_next_one_names(
    wmx: Any, claim: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(_: Staged) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Staged, "publish", _at_the_second_call(Staged.publish, interrupted))
        stopped = wmx("release", "model.onnx")
    assert (stopped.code, stopped.err) == (130, "wmx: error: interrupted\n")
    assert not Path("model.release.json").exists()
    (kept,) = (home / "releases").glob("*.json")
    assert wmx("release", "model.onnx", "--json").json["previous"] == Release.load(kept).digest


def _at_the_second_call(first: Any, then: Any) -> Any:
    calls: list[Any] = []

    def call(file: Staged) -> None:
        calls.append(file)
        (first if len(calls) == 1 else then)(file)

    return call


def test_a_name_that_is_taken_meanwhile_loses_no_record(
    wmx: Any, claim: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(_: Staged) -> None:
        raise CannotRunError("model.release.json exists already")

    with monkeypatch.context() as patch:
        patch.setattr(Staged, "publish", _at_the_second_call(Staged.publish, taken))
        result = wmx("release", "model.onnx")
    (kept,) = (home / "releases").glob("*.json")
    assert result.code == 4
    assert str(kept) in result.err


def test_no_record_is_written_that_the_store_cannot_keep(wmx: Any, claim: Path, home: Path) -> None:
    for kept in (home / "releases").iterdir():
        kept.unlink()
    (home / "releases").rmdir()
    (home / "releases").write_bytes(b"")
    assert wmx("release", "model.onnx").code == 4
    assert not Path("model.release.json").exists()


def test_two_commands_at_once_do_not_both_follow_the_same_record(
    wmx: Any, claim: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wmx._internal.file_lock.WAIT_SECONDS", 0.1)
    with Store(home).releases_of(Claim.load(claim)):
        result = wmx("release", "model.onnx")
    assert result.code == 4
    assert "another process" in result.err
    assert not Path("model.release.json").exists()
    assert wmx("release", "model.onnx").code == 0


def test_a_record_that_is_dated_joins_the_store(
    wmx: Any, claim: Path, authority: Authority, home: Path
) -> None:
    """Made elsewhere, or before the store's folder was lost."""
    wmx("release", "model.onnx")
    (kept,) = (home / "releases").glob("*.json")
    kept.unlink()
    with serving(authority) as url:
        assert wmx("release", "timestamp", "model.release.json", "--tsa", url).code == 0
    assert len(Release.load(kept).timestamps) == 1


def test_a_record_of_another_store_begins_no_second_chain(
    wmx: Any, claim: Path, authority: Authority, home: Path
) -> None:
    wmx("release", "model.onnx", "-o", "other.json")
    (kept,) = (home / "releases").glob("*.json")
    kept.unlink()  # so that this is a record of another store
    first = wmx("release", "model.onnx", "-o", "first.json", "--json").json["release"]
    with serving(authority) as url:
        assert wmx("release", "timestamp", "other.json", "--tsa", url).code == 0
    assert wmx("release", "model.onnx", "-o", "second.json", "--json").json["previous"] == first


def test_timestamps_that_anybody_may_have_added_do_not_enter_the_store(
    wmx: Any, claim: Path, authority: Authority, home: Path
) -> None:
    padded = Claim.load(claim).with_timestamps([b"%d of a stranger" % n for n in range(15)])
    padded.save("padded.json")
    with serving(authority) as url:
        assert wmx("claim", "timestamp", "padded.json", "--tsa", url).code == 0
    (kept,) = (home / "claims").glob("*.json")
    assert len(Claim.load(kept).timestamps) == 1
    assert wmx("release", "model.onnx", "--claim", "padded.json").code == 0
    assert len(Release.load("model.release.json").claim.timestamps) == 1
    stamps = [authority.stamp(padded.envelope.signature) for _ in range(16)]
    Claim.load(kept).with_timestamps(stamps[:9]).save(kept, force=True)
    replace(padded, timestamps=tuple(stamps[:1] + stamps[9:])).save("padded.json", force=True)
    result = wmx("verify", "model.onnx", "--claim", "padded.json", "--evidence", "e.json")
    assert result.code == 0
    assert len(Evidence.load("e.json").claim.timestamps) == 16, "those of the store, then others"


def test_a_store_that_cannot_keep_a_timestamp_is_named(
    wmx: Any, claim: Path, authority: Authority, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise CannotRunError("no space")

    monkeypatch.setattr(Store, "keep_asked_for", full)
    with serving(authority) as url:
        result = wmx("claim", "timestamp", claim, "--tsa", url)
    assert result.code == 4
    assert "was added to claim.json, and not to the copy in the store: no space" in result.err
    assert len(Claim.load(claim).timestamps) == 1


def test_a_record_of_an_undated_copy_of_a_claim_bears_the_claims_date(
    wmx: Any, claim: Path, authority: Authority
) -> None:
    """Else a dispute would take the claim for undated."""
    undated = claim.read_bytes()
    with serving(authority) as url:
        assert wmx("claim", "timestamp", claim, "--tsa", url).code == 0
    claim.write_bytes(undated)
    assert wmx("release", "model.onnx", "--claim", claim).code == 0
    assert len(Release.load("model.release.json").claim.timestamps) == 1
    assert wmx("verify", "model.onnx", "--claim", claim, "--evidence", "e.json").code == 0
    assert len(Evidence.load("e.json").claim.timestamps) == 1


@pytest.mark.parametrize("tsa", ["tsa.example/tsr", "ftp://tsa.example"])
def test_an_address_that_is_none_is_refused_before_any_work(
    tsa: str, wmx: Any, claim: Path, home: Path
) -> None:
    assert wmx("release", "model.onnx", "--tsa", tsa).code == 2
    assert not Path("model.release.json").exists()
    assert not list((home / "releases").glob("*.json"))
    result = wmx("embed", "--data", "digits", "-o", "run", "--tsa", tsa)
    assert result.code == 2
    assert not Path("run").exists()


def test_an_answer_that_is_no_timestamp_leaves_a_record_without_a_date(
    wmx: Any, claim: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(authority, "answer", lambda _: b"no timestamp")
    with serving(authority) as url:
        result = wmx("release", "model.onnx", "--tsa", url)
    assert result.code == 3
    assert "was written, but has no date" in result.err


def test_info_shows_a_record(wmx: Any, claim: Path) -> None:
    wmx("release", "model.onnx")
    result = wmx("info", "model.release.json")
    assert result.code == 0
    assert "the signer's own work" in result.out
    fields = wmx("info", "model.release.json", "--json").json
    assert (fields["kind"], fields["model"]) == ("release record", "model.onnx")


def test_a_record_never_replaces_what_the_command_reads(wmx: Any, claim: Path) -> None:
    for path in ("model.onnx", claim, "store/owner.pem"):
        result = wmx("release", "model.onnx", "--claim", claim, "-o", path, "--force")
        assert result.code == 2
        assert "where no output may go" in result.err


def test_broken_records(wmx: Any, claim: Path) -> None:
    wmx("release", "model.onnx")
    path = Path("model.release.json")
    path.write_bytes(path.read_bytes()[:-1])
    assert wmx("release", "show", path).code == 3
    assert wmx("info", path).code == 3
    assert wmx("release", "show", claim).code == 3
    assert wmx("release", "show", "gone.json").code == 4
    assert wmx("release", "timestamp", path, "--request", "q").code == 3


# a record that --force replaces


def dated_elsewhere(authority: Authority) -> tuple[Release, bytes]:
    """Date the file of a record without the store."""
    record = Release.load("model.release.json")
    stamp = authority.stamp(record.envelope.signature)
    record.with_timestamps([stamp]).save("model.release.json", force=True)
    return record, stamp


def test_a_record_that_is_replaced_leaves_its_date_in_the_store(
    wmx: Any, claim: Path, authority: Authority, home: Path
) -> None:
    assert wmx("release", "model.onnx").code == 0
    record, stamp = dated_elsewhere(authority)
    again = wmx("release", "model.onnx", "--force", "--json")
    assert again.json["previous"] == record.digest
    assert Release.load(home / "releases" / f"{record.digest}.json").timestamps == (stamp,)
    assert not Path("model.release.old-1.json").exists()


def test_a_record_that_is_replaced_is_named_by_the_next_though_the_store_had_lost_it(
    wmx: Any, claim: Path, authority: Authority, home: Path
) -> None:
    assert wmx("release", "model.onnx").code == 0
    record, stamp = dated_elsewhere(authority)
    kept = home / "releases" / f"{record.digest}.json"
    kept.unlink()
    again = wmx("release", "model.onnx", "--force", "--json")
    assert again.json["previous"] == record.digest
    assert Release.load(kept).timestamps == (stamp,)


def test_a_record_that_the_store_does_not_take_stays_beside_the_one_that_replaces_it(
    wmx: Any, claim: Path, authority: Authority, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another store's chain, or damaged."""
    seconds = count()  # two records of one second would be the same
    clock = "wmx.protocol.release_record.now_text"
    monkeypatch.setattr(clock, lambda: f"2026-11-29T12:00:{next(seconds):02}Z")
    assert wmx("release", "model.onnx").code == 0
    record, stamp = dated_elsewhere(authority)
    (home / "releases" / f"{record.digest}.json").unlink()
    assert wmx("release", "model.onnx", "-o", "first.json").code == 0
    assert wmx("release", "model.onnx", "--force").code == 0
    aside = Release.load("model.release.old-1.json")
    assert (aside.digest, aside.timestamps) == (record.digest, (stamp,))
    path = Path("model.release.json")
    path.write_bytes(path.read_bytes().replace(b'"sig":"', b'"sig":"A'))
    damaged = path.read_bytes()
    assert wmx("release", "model.onnx", "--force").code == 0
    assert Path("model.release.old-2.json").read_bytes() == damaged
