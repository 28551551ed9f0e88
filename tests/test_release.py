"""Release records: what is signed, what is refused, and that nobody else can speak for an owner."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import onnx_models

from wmx import Claim, OwnerKey, Watermark, verify
from wmx.errors import IntegrityError, UsageError
from wmx.protocol import jcs
from wmx.protocol.dsse import Envelope
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.release_record import Relation, Release
from wmx.protocol.statement import PAYLOAD_TYPE, stated_type
from wmx.verification.release import record_of
from wmx.verification.store import Store

KEY, STRANGER = OwnerKey.generate(), OwnerKey.generate()
MARK = Watermark.new(KEY, shape=(8, 8, 1), classes=10)
MODEL = ModelReference("model.onnx", "ab" * 32)


def release(**changes: Any) -> Release:
    arguments: dict[str, Any] = {
        "relation": Relation.own,
        "model": MODEL,
        "software": "wmx 1",
        **changes,
    }
    return Release.sign(KEY, MARK.claim, **arguments)


def test_what_is_signed_is_read_back() -> None:
    made = release(
        model=replace(MODEL, external={"model.onnx.data": "cd" * 32}), previous="ef" * 32
    )
    read = Release.from_bytes(made.to_bytes())
    assert read == made
    assert read.claim == MARK.claim
    assert read.model == made.model
    assert not read.model.has_same_files(MODEL)
    assert (read.relation, read.previous, read.software) == (Relation.own, "ef" * 32, "wmx 1")


def test_it_is_an_in_toto_statement_in_a_dsse_envelope() -> None:
    made = release()
    file = jcs.loads(made.to_bytes(), "x")
    assert stated_type(file) == "urn:wmx:release:1"
    stated = jcs.loads(made.envelope.payload, "x")
    assert stated["_type"] == "https://in-toto.io/Statement/v1"
    assert stated["subject"] == [{"digest": {"sha256": MODEL.sha256}, "name": "model.onnx"}]
    assert stated["predicate"]["claim"]["digest"] == {"sha256": MARK.claim.digest}


def test_nobody_else_can_sign_for_an_owner() -> None:
    """A thief would else call what he ships the owner's."""
    with pytest.raises(IntegrityError, match="signature"):
        Release.sign(STRANGER, MARK.claim, relation=Relation.own, model=MODEL, software="x")
    other = Watermark.new(STRANGER, shape=(8, 8, 1), classes=10).claim
    payload = jcs.loads(release().envelope.payload, "x")
    payload["predicate"]["claim"]["file"] = other.to_json()
    forged = Envelope.seal(PAYLOAD_TYPE, jcs.dumps(payload), STRANGER)
    with pytest.raises(IntegrityError, match="another claim than the one it holds"):
        Release.from_bytes(forged.to_bytes())


def test_a_changed_byte_makes_a_broken_file() -> None:
    data = release().with_timestamps([b"a response"]).to_bytes()
    for position in range(0, len(data), 37):
        changed = bytearray(data)
        changed[position] ^= 1
        with pytest.raises(IntegrityError):
            Release.from_bytes(bytes(changed))


def change(path: str, value: Any) -> bytes:
    """A record with another value at a place, signed by its owner all the same."""
    document = jcs.loads(release().envelope.payload, "x")
    *probe, last = path.split("/")
    place = document
    for step in probe:
        place = place[int(step) if step.isdigit() else step]
    if value is KeyError:
        del place[last]
    else:
        place[last] = value
    return Envelope.seal(PAYLOAD_TYPE, jcs.dumps(document), KEY).to_bytes()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("predicate/relation", "stolen"),
        ("predicate/relation", None),
        ("predicate/relation", KeyError),
        ("predicate/previous", "ab"),
        ("predicate/previous", KeyError),
        ("predicate/created", "yesterday"),
        ("predicate/created", "2026-13-01T00:00:00Z"),
        ("predicate/software", 1),
        ("predicate/software", "a\nb"),
        ("predicate/software", "x" * 101),
        ("predicate/scheme", "wmx-2"),
        ("predicate/claim/digest/sha256", "00" * 32),
        ("predicate/claim/file", {}),
        ("predicate", []),
        ("predicateType", "urn:wmx:evidence:6"),
        ("_type", "x"),
        ("subject", []),
        ("subject", {}),
        ("subject/0/name", "../model.onnx"),
        ("subject/0/name", 1),
        ("subject/0/digest", {"sha256": MODEL.sha256, "md5": "x"}),
        ("subject/0/digest/sha256", "AB" * 32),
    ],
)
def test_a_malformed_record_is_refused_though_its_owner_signed_it(path: str, value: Any) -> None:
    with pytest.raises(IntegrityError):
        Release.from_bytes(change(path, value))


def test_claims_and_evidence_are_no_records_and_records_are_no_claims() -> None:
    with pytest.raises(IntegrityError):
        Release.from_bytes(MARK.claim.to_bytes())
    with pytest.raises(IntegrityError):
        Claim.from_bytes(release().to_bytes())
    assert stated_type(MARK.claim.to_json()) is None
    assert stated_type({"payloadType": PAYLOAD_TYPE, "payload": "?"}) == ""
    assert stated_type([]) is None


# making one


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_models.knows_labels(MARK))
    return path


def test_it_is_made_of_a_verdict_on_a_file(model: Path) -> None:
    made = record_of(verify(model, MARK), MARK, KEY, previous=None, software="wmx 1")
    assert made.model == ModelReference("model.onnx", onnx_models.sha256_of(model))


def test_none_is_made_of_a_model_without_the_mark(model: Path) -> None:
    model.write_bytes(onnx_models.linear(MARK, seed=1))
    with pytest.raises(UsageError, match="does not verify"):
        record_of(verify(model, MARK), MARK, KEY, previous=None, software="wmx 1")


def test_none_is_made_of_anothers_verdict_or_of_what_is_no_file(model: Path) -> None:
    verdict = verify(model, MARK)
    other = Watermark.new(KEY, shape=(8, 8, 1), classes=10)
    with pytest.raises(UsageError, match="does not verify under this claim"):
        record_of(verdict, other, KEY, previous=None, software="wmx 1")
    with pytest.raises(UsageError, match="not a file"):
        record_of(
            replace(verdict, suspect=ModelReference("f")),
            MARK,
            KEY,
            previous=None,
            software="wmx 1",
        )
    hostile = replace(verdict, suspect=replace(verdict.suspect, name="a\nb.onnx"))
    with pytest.raises(UsageError, match="cannot stand in a release record"):
        record_of(hostile, MARK, KEY, previous=None, software="wmx 1")


# the store


def test_the_store_knows_the_last_record_of_a_claim(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    assert store.last_release(MARK.claim) is None
    first = release(created="2026-01-01T00:00:00Z")
    second = release(created="2026-01-02T00:00:00Z", previous=first.digest)
    found = release(created="2026-01-03T00:00:00Z", relation=Relation.found)
    other = Watermark.new(KEY, shape=(8, 8, 1), classes=10).claim
    for one in (second, first, first, found):
        store.add_release(one)
    assert store.last_release(MARK.claim) == second
    assert store.last_release(other) is None
    store.keep_timestamps(second.with_timestamps([b"not a timestamp"]))
    assert store.last_release(MARK.claim) == second
