"""Evidence files: what is accepted, and that no change makes a stronger statement of one."""

import hashlib
import json
import subprocess
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.evidence_files import (
    PLAIN,
    SUSPECT,
    restated,
    scored_evidence,
    scores_of,
    signed,
    small_evidence,
    small_watermark,
    statement_of,
)
from support.fixed import OWNER, THIEF

from wmx import Claim
from wmx.errors import IntegrityError
from wmx.protocol import jcs
from wmx.protocol.dsse import Envelope, pre_authentication_encoding
from wmx.protocol.encoding import encode_base64
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.statement import PAYLOAD_TYPE
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import ALONE, SHIFTS, TOGETHER, Probe
from wmx.verification.codec import predictions_to_json
from wmx.verification.evidence import BITS_TOLERANCE, Evidence

KEY = OWNER
MARK = small_watermark(KEY)
EVIDENCE = small_evidence(KEY, MARK)
SCORED = scored_evidence(KEY)
FILE = EVIDENCE.to_bytes()
LABELS = MARK.labels[:4]
OTHER = ModelReference("model.onnx", "bb" * 32)


def refused(data: bytes, match: str | None = None) -> None:
    with pytest.raises(IntegrityError, match=match):
        Evidence.from_bytes(data)


def test_an_evidence_survives_its_file(tmp_path: Path) -> None:
    (tmp_path / "evidence.json").write_bytes(FILE)
    again = Evidence.load(tmp_path / "evidence.json")
    assert again.claim == MARK.claim
    assert again.trigger_slice.start == 0
    assert (again.trigger_slice.triggers == MARK.triggers[:4]).all()
    assert (again.trigger_slice.labels == LABELS).all()
    assert again.score.hits == 4
    assert again.score.bits == EVIDENCE.score.bits > 20
    assert again.suspect == SUSPECT


def test_the_bits_are_those_of_the_answers_less_the_price_of_the_start() -> None:
    """By hand: mapping and neighbours barely win; agreement and rank learn from 1/2 upwards."""
    rates = [0.5, 0.75, 5 / 6, 7 / 8]  # of Krichevsky and Trofimov
    agreement = np.prod([1000 * rate for rate in rates])
    experts = EVIDENCE.score.results[0].experts
    assert experts["agreement"] == pytest.approx(np.log2(agreement))
    mean = np.log2(np.mean([2.0**wealth for wealth in experts.values()]))
    quarter_for_single_rows, one_of_six_starts = 2.0, np.log2(6)
    assert EVIDENCE.score.bits == pytest.approx(mean - quarter_for_single_rows - one_of_six_starts)


# what anybody can do to the file


def test_no_byte_can_be_changed_removed_or_added() -> None:
    for position in range(len(FILE)):
        head, byte, tail = FILE[:position], FILE[position], FILE[position + 1 :]
        refused(head + bytes([byte ^ 1 << position % 7]) + tail)
        if position % 50 == 0:
            refused(head + tail)
            refused(head + b" " + FILE[position:])
    for appended in (b"\n", b"\x00", FILE):
        refused(FILE + appended)


def test_no_byte_of_the_payload_can_be_changed_and_encoded_again() -> None:
    """The base64 of the envelope is as it should be; the signature is not.  Every fifth byte."""
    from wmx.protocol.encoding import encode_base64

    document = json.loads(FILE)
    payload = EVIDENCE.envelope.payload
    for position in range(0, len(payload), 5):
        changed = bytearray(payload)
        changed[position] ^= 1 << position % 7
        document["payload"] = encode_base64(bytes(changed))
        refused(jcs.dumps(document))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_evidence(data: bytes) -> None:
    refused(data)


@pytest.mark.parametrize(
    "statement",
    [
        None,
        [],
        {},
        {"predicate": None},
        {"predicate": {"claim": {"file": None}}},
        {"predicate": {"claim": {"file": []}}},
    ],
)
def test_statements_that_are_none(statement: Any) -> None:
    refused(signed(statement, KEY))


def test_a_claim_is_no_evidence_and_an_evidence_no_claim() -> None:
    refused(MARK.claim.to_bytes())
    with pytest.raises(IntegrityError):
        Claim.from_bytes(FILE)


def test_parts_of_two_evidences_do_not_make_a_third() -> None:
    other = small_evidence(KEY, MARK, start=1)
    one, two = json.loads(FILE), json.loads(other.to_bytes())
    for field in ("payload", "signatures"):
        refused(jcs.dumps(one | {field: two[field]}))


def test_an_evidence_bears_no_timestamps() -> None:
    """Beside a claim they stand; here no rule would say what one dates."""
    stamp = {"response": encode_base64(b"x"), "sha256": hashlib.sha256(b"x").hexdigest()}
    refused(jcs.dumps(json.loads(FILE) | {"timestamps": [stamp]}), "not a DSSE envelope")


# what the owner can do, who signs what he likes


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to every value inside a statement, but not inside the claim's envelope."""
    if path[-2:] == ("claim", "file"):
        return
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key)
            yield from places(item, (*path, key))


def at(statement: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        statement = statement[key]
    return statement


PLACES = list(places(statement_of(EVIDENCE)))
HIS_WORD = {"run", "created", "required_bits", "claims_tried", "name"}  # decides nothing


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_no_field_may_be_missing(path: tuple[Any, ...]) -> None:
    statement = statement_of(EVIDENCE)
    del at(statement, path[:-1])[path[-1]]
    if "opsets" in path[:-1]:
        assert Evidence.from_bytes(signed(statement, KEY)).score.bits == EVIDENCE.score.bits
        return
    refused(signed(statement, KEY))


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_no_field_may_be_of_another_type_or_say_more(path: tuple[Any, ...]) -> None:
    """A changed value is refused, or is the owner's word, which decides nothing."""
    for wrong in (None, True, 0, 1, 10**6, "", "1", "f" * 64, [], {}, ["x"], -1):
        statement = statement_of(EVIDENCE)
        if at(statement, path) == wrong:
            continue
        at(statement, path[:-1])[path[-1]] = wrong
        try:
            found = Evidence.from_bytes(signed(statement, KEY))
        except IntegrityError:
            continue
        assert HIS_WORD & set(path) or path[-1] in ("output", "layout", "rows", "sha256"), wrong
        assert found.score.bits <= EVIDENCE.score.bits


def no_stronger(data: bytes) -> bool:
    """Say whether an evidence is refused or says no more than the honest one."""
    try:
        return Evidence.from_bytes(data).score.bits <= EVIDENCE.score.bits
    except IntegrityError:
        return True


@pytest.mark.parametrize("path", PLACES, ids=lambda path: ".".join(map(str, path)))
def test_no_field_of_another_evidence_makes_more_of_this_one(path: tuple[Any, ...]) -> None:
    """Of the same claim and other triggers, of another suspect, and of another owner."""
    thief = small_watermark(THIEF)
    missed = scores_of((MARK.labels[2:6] + 1) % 1000, 1000, seed=1)
    for other in (
        small_evidence(KEY, MARK, start=2),
        small_evidence(KEY, MARK, start=2, predictions=missed, suspect=OTHER),
        small_evidence(THIEF, thief),
    ):
        statement, source = statement_of(EVIDENCE), statement_of(other)
        try:
            spliced = at(source, path)
        except (KeyError, IndexError):  # answers of another form
            continue
        at(statement, path[:-1])[path[-1]] = spliced
        assert no_stronger(signed(statement, KEY))


@pytest.mark.parametrize(
    "path",
    [path for path in PLACES if isinstance(at(statement_of(EVIDENCE), path), list)],
    ids=lambda path: ".".join(map(str, path)),
)
def test_no_list_may_be_turned_around_doubled_or_rotated(path: tuple[Any, ...]) -> None:
    honest = at(statement_of(EVIDENCE), path)
    for changed in (honest[::-1], honest * 2, honest[1:] + honest[:1]):
        if changed == honest:
            continue
        statement = statement_of(EVIDENCE)
        at(statement, path[:-1])[path[-1]] = changed
        if "opsets" in path:
            assert no_stronger(signed(statement, KEY))
        else:
            refused(signed(statement, KEY))


@pytest.mark.slow
@pytest.mark.parametrize("evidence", [EVIDENCE, SCORED], ids=["classes", "scores"])
def test_no_byte_that_the_owner_changes_and_signs_makes_more_of_it(evidence: Evidence) -> None:
    """The answers are the owner's word until they are repeated; of them no more is made than was
    stated, to the last digit that is compared."""
    payload = evidence.envelope.payload
    begin = payload.index(b'"answers":{')
    end = payload.index(b"}", begin)
    rounded = 5e-7  # what is stated has six decimals
    for position in range(len(payload)):
        changed = bytearray(payload)
        changed[position] ^= 1 << position % 7
        sealed = Envelope.seal(PAYLOAD_TYPE, bytes(changed), KEY).to_bytes()
        try:
            found = Evidence.from_bytes(sealed)
        except IntegrityError:
            continue
        assert found.score.bits <= evidence.score.bits + BITS_TOLERANCE / 1e6 + rounded, position
        if not begin <= position < end:
            assert (found.predictions.scores == evidence.predictions.scores).all(), position
            assert (found.trigger_slice.labels == evidence.trigger_slice.labels).all(), position


@pytest.mark.parametrize(
    ("counted", "value"),
    [
        ("bits", "999"),
        ("bits", f"{EVIDENCE.score.bits + 0.0001:.6f}"),
        ("bits", "1e3"),
        ("bits", f"{EVIDENCE.score.bits:.6f}"[:-1]),
        ("bits", f"{EVIDENCE.score.bits:.6f}000000"),
        ("bits", f"{EVIDENCE.score.bits:.6f}.0"),
        ("bits", f"+{EVIDENCE.score.bits:.6f}"),
        ("bits", f"0{EVIDENCE.score.bits:.6f}"),
        ("hits", 3),
        ("tail", ["1", "2"]),
    ],
)
def test_a_number_that_does_not_follow_from_the_answers(counted: str, value: Any) -> None:
    statement = statement_of(EVIDENCE)
    statement["predicate"]["counted"][counted] = value
    refused(signed(statement, KEY))


@pytest.mark.parametrize("probe", [PLAIN, Probe("NCHW", "y", rows=2)])
def test_stated_bits_may_be_ten_millionths_away_and_no_more(probe: Probe) -> None:
    """Counted in whole millionths: as binary64, 1e-5 is now more and now less than a difference."""
    statement = statement_of(small_evidence(KEY, MARK, probe=probe))
    counted = statement["predicate"]["counted"]
    own = Decimal(counted["bits"])
    for millionths in (-11, -10, 10, 11):
        counted["bits"] = f"{own + Decimal(millionths) / 1_000_000:.6f}"
        if abs(millionths) > 10:
            refused(signed(statement, KEY), "its own answers give")
        else:
            Evidence.from_bytes(signed(statement, KEY))


@pytest.mark.parametrize("bits", ["5.0.0", "1e3", "", "+1", "01", 5, f"1.{'1' * 21}"])
def test_the_bits_asked_for_are_a_decimal_string(bits: Any) -> None:
    statement = statement_of(EVIDENCE)
    statement["predicate"]["required_bits"] = bits
    refused(signed(statement, KEY), "malformed field")


def test_another_claim_of_the_same_owner_cannot_be_put_in() -> None:
    statement = statement_of(EVIDENCE)
    statement["predicate"]["claim"]["file"] = small_watermark(KEY, number=1).claim.to_json()
    refused(signed(statement, KEY), "names another claim")
    with pytest.raises(IntegrityError, match="trigger 0 is not the one"):
        restated(statement, KEY)


def test_a_thief_who_takes_the_openings_over_gets_other_labels() -> None:
    """The same root under another owner: everything opens, and nothing is hit."""
    claim = MARK.claim
    stolen = Claim.sign(
        THIEF,
        task=claim.task,
        family={"name": "cells", "grid": 7},
        n=claim.n,
        salt=claim.salt,
        root=claim.root,
    )
    statement = statement_of(EVIDENCE)
    statement["predicate"]["claim"]["file"] = stolen.to_json()
    refused(signed(statement, KEY), "signature")
    refused(signed(statement, THIEF), "names another claim")
    statement["predicate"]["claim"]["digest"]["sha256"] = stolen.digest
    refused(signed(statement, THIEF), "states 4 hits")
    assert Evidence.from_bytes(restated(statement, THIEF)).score.bits < 1


def test_an_evidence_signed_by_another_is_none() -> None:
    refused(signed(statement_of(EVIDENCE), THIEF), "signature")


def test_answers_of_another_suspect_weigh_what_they_weigh() -> None:
    blind = scores_of((LABELS + 1) % 1000, 1000, seed=1)
    other = statement_of(small_evidence(KEY, MARK, predictions=blind))
    statement = statement_of(EVIDENCE)
    statement["predicate"]["answers"] = other["predicate"]["answers"]
    refused(signed(statement, KEY), "states 4 hits")
    assert Evidence.from_bytes(restated(statement, KEY)).score.bits < 1


def test_windows_of_two_evidences_are_not_joined() -> None:
    first, second = small_evidence(KEY, MARK, count=2), small_evidence(KEY, MARK, start=4, count=2)
    statement = statement_of(first)
    predicate, other = statement["predicate"], statement_of(second)["predicate"]
    predicate["openings"] += other["openings"]
    predicate["window"]["count"] = 4
    refused(signed(statement, KEY), "trigger 2 is not the one")


def test_more_probes_tried_weigh_less_and_fewer_are_the_owners_word() -> None:
    """What he can gain by a lie is log2 of the probes; repeated with the model it is nothing."""
    statement = statement_of(small_evidence(KEY, MARK, probes_tried=8))
    assert statement["predicate"]["probes_tried"] == 8
    found = Evidence.from_bytes(signed(statement, KEY))
    assert found.score.bits == pytest.approx(EVIDENCE.score.bits - 3)
    statement["predicate"]["probes_tried"] = 1
    refused(signed(statement, KEY), "bits")
    found = Evidence.from_bytes(restated(statement, KEY))
    assert found.score.bits == pytest.approx(EVIDENCE.score.bits)


@pytest.mark.parametrize("probes", [0, -1, 16_385, 10**9, True, "1", None])
def test_numbers_of_probes_that_there_are_not(probes: Any) -> None:
    statement = statement_of(EVIDENCE)
    statement["predicate"]["probes_tried"] = probes
    refused(signed(statement, KEY), "probes_tried is .*, expected 1 to 16,384")


@pytest.mark.parametrize(
    ("probe", "share"),
    [
        (Probe("NCHW", "y", rows=ALONE), 1 / 4),
        (Probe("NCHW", "y", rows=TOGETHER), 1 / 4),
        (Probe("NCHW", "y", rows=8), 1 / 72),
        (Probe("NCHW", "y", rows=ALONE, view="inner"), 1 / 8),
        (Probe("NCHW", "y", SHIFTS[0], rows=ALONE), 1 / 224),
        (Probe("NCHW", "y", scaling="0..255", rows=ALONE), 1 / 224),
        (Probe("NCHW", "y", SHIFTS[0], rows=8), 1 / 4032),
    ],
)
def test_each_way_is_counted_with_its_own_share(probe: Probe, share: float) -> None:
    found = small_evidence(KEY, MARK, probe=probe)
    assert found.score.hits == 4
    assert found.score.bits == pytest.approx(EVIDENCE.score.bits + np.log2(4 * share))


def test_answers_to_the_first_triggers_alone_are_weighed_as_such() -> None:
    """Whole batches may end before the last trigger that is disclosed."""
    found = small_evidence(KEY, MARK, predictions=Predictions.from_labels(LABELS[:3], 1000))
    fewer = small_evidence(KEY, MARK, count=3)
    assert found.score.bits == pytest.approx(fewer.score.bits)
    assert (found.score.hits, found.score.n) == (3, 4)
    assert len(found.predictions) == 3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_reader_takes_what_is_no_number_in_either_precision(dtype: str) -> None:
    """wmx itself writes them as the lowest and the highest float64."""
    raw = np.tile([0.5, np.nan, -np.inf, np.inf], 250).astype(np.dtype(dtype).newbyteorder(">"))
    statement = statement_of(EVIDENCE)
    statement["predicate"]["answers"] = {
        "data": encode_base64(raw.tobytes()),
        "dtype": dtype,
        "shape": [1, 1000],
    }
    found = Evidence.from_bytes(restated(statement, KEY))
    largest = np.finfo(np.float64).max
    assert found.predictions.scores[0, :4].tolist() == [0.5, -largest, -largest, largest]
    assert found.predictions.top.tolist() == [3]
    written = predictions_to_json(found.predictions, MARK.task)
    assert written["dtype"] == "float64"


def test_more_claims_tried_weigh_less() -> None:
    statement = statement_of(EVIDENCE)
    statement["predicate"]["claims_tried"] = 1024
    refused(signed(statement, KEY), "bits")
    found = Evidence.from_bytes(restated(statement, KEY))
    assert found.score.bits == pytest.approx(EVIDENCE.score.bits - 10)


@pytest.mark.parametrize("field", ["_type", "predicateType"])
def test_statements_of_later_kinds_are_refused_with_a_hint(field: str) -> None:
    statement = statement_of(EVIDENCE) | {field: "https://example.com/v2"}
    with pytest.raises(IntegrityError, match="does not know") as caught:
        Evidence.from_bytes(signed(statement, KEY))
    assert "newer wmx" in str(caught.value.hint)


def test_an_unknown_field_of_a_signed_predicate_is_ignored() -> None:
    statement = statement_of(EVIDENCE)
    statement["predicate"]["later"] = "version"
    assert Evidence.from_bytes(signed(statement, KEY)).score.bits == EVIDENCE.score.bits


def test_a_subject_more_is_refused() -> None:
    statement = statement_of(EVIDENCE)
    statement["subject"] *= 2
    refused(signed(statement, KEY))


def test_bits_need_not_be_given_to_a_suspect_that_is_silent() -> None:
    silent = Predictions.from_scores(np.full((4, 3), np.nan))
    assert small_evidence(KEY, MARK, predictions=silent).score.bits < 1


# from outside


def test_the_statement_is_what_in_toto_says() -> None:
    statement = statement_of(EVIDENCE)
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"] == [{"name": "model.onnx", "digest": {"sha256": SUSPECT.sha256}}]
    assert set(statement) == {"_type", "subject", "predicateType", "predicate"}


def test_openssl_verifies_the_signature(tmp_path: Path) -> None:
    envelope = EVIDENCE.envelope
    message = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    (tmp_path / "message").write_bytes(message)
    (tmp_path / "signature").write_bytes(envelope.signature)
    KEY.save(tmp_path / "key.pem")
    words = "pkeyutl -verify -inkey key.pem -rawin -in message -sigfile signature"
    subprocess.run(["openssl", *words.split()], cwd=tmp_path, capture_output=True, check=True)


def test_securesystemslib_verifies_the_envelope() -> None:
    from securesystemslib.dsse import Envelope as Outside
    from securesystemslib.signer import SSlibKey

    document = json.loads(FILE)
    keyid = document["signatures"][0]["keyid"]
    key = SSlibKey(keyid, "ed25519", "ed25519", {"public": KEY.public.hex()})
    assert Outside.from_dict(document).verify([key], 1)
