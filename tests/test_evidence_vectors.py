"""The frozen evidences: wmx checks them for ever, and so does a second implementation.

The second one, first half of this file, is written from docs/evidence.md, docs/protocol.md and
docs/statistics.md in plain Python; only the Ed25519 signature comes from a library.
"""

import base64
import hashlib
import json
from fractions import Fraction
from math import comb, fsum, log2
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from test_statistics_page import SECOND, from_file, mean_wealth
from test_vectors import encode, label

from wmx import Claim, OwnerKey
from wmx.protocol.timestamp import date_claim, load_roots
from wmx.verification.check import check
from wmx.verification.evidence import Evidence

FOLDER = Path(__file__).parent / "vectors" / "evidence-6"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
NAMES = sorted(EXPECTED["evidence"])
DTYPES = {"image": "uint8", "features": "float32", "tokens": "int32"}


# The second implementation.


def verified(envelope: dict[str, Any], owner: bytes, kind: str) -> None:
    payload = base64.b64decode(envelope["payload"])
    assert envelope["payloadType"] == kind
    pae = b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)
    signature = base64.b64decode(envelope["signatures"][0]["sig"])
    Ed25519PublicKey.from_public_bytes(owner).verify(signature, pae)


def head(leaf: bytes, index: int, size: int, path: list[str]) -> bytes:
    siblings = [bytes.fromhex(node) for node in path]
    while size > 1:
        if index % 2:
            leaf = hashlib.sha256(b"\x01" + siblings.pop(0) + leaf).digest()
        elif index + 1 < size:
            leaf = hashlib.sha256(b"\x01" + leaf + siblings.pop(0)).digest()
        index, size = index // 2, (size + 1) // 2
    assert siblings == []
    return leaf


def share_of(probe: dict[str, Any], probes: int, kind: str) -> Fraction:
    if "view" in probe:
        return Fraction(1, 8) / probes
    rows = Fraction(3, 8) if probe["rows"] in (0, 1) else Fraction(1, 48)
    variations = {"image": 28, "features": 1, "tokens": 0}[kind]
    if variations:
        plain = probe["shift"] == [0, 0] and not probe["scaling"]
        rows *= Fraction(2, 3) if plain else Fraction(1, 3 * variations)
    return rows / probes


@pytest.mark.parametrize("name", NAMES)
def test_the_pages_alone_check_an_evidence(name: str) -> None:
    expected = EXPECTED["evidence"][name]
    envelope = json.loads((FOLDER / f"{name}.evidence.json").read_bytes())
    statement = json.loads(base64.b64decode(envelope["payload"]))
    predicate = statement["predicate"]
    claim_payload = base64.b64decode(predicate["claim"]["file"]["payload"])
    claim = json.loads(claim_payload)
    owner, root = bytes.fromhex(claim["owner"]), bytes.fromhex(claim["root"])
    verified(predicate["claim"]["file"], owner, "application/vnd.wmx.claim+json")
    verified(envelope, owner, "application/vnd.in-toto+json")
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "urn:wmx:evidence:6"
    assert hashlib.sha256(claim_payload).hexdigest() == expected["claim"]

    start, count = predicate["window"]["start"], predicate["window"]["count"]
    assert (start, count) == (expected["start"], expected["count"])
    assert len(predicate["openings"]) == count
    n, k, shape = claim["n"], claim["task"]["classes"], claim["task"]["shape"]
    for i, opening in enumerate(predicate["openings"], start):
        trigger = encode(DTYPES[claim["task"]["kind"]], shape, base64.b64decode(opening["trigger"]))
        leaf = hashlib.sha256(b"\x00" + bytes.fromhex(opening["blind"]) + trigger).digest()
        assert head(leaf, i, n, opening["path"]) == root

    blinds = [bytes.fromhex(opening["blind"]) for opening in predicate["openings"]]
    digest = hashlib.sha256(claim_payload).digest()
    labels = [label(digest, i, blind, k) for i, blind in enumerate(blinds, start)]
    assert labels == expected["labels"]
    probe, probes = predicate["way"], predicate["probes_tried"]
    scores, tops = from_file(predicate["answers"], k)
    answered = labels[: len(tops)]  # of whole batches alone there may be fewer
    wealths = [fsum(bet(scores, tops, answered, k)) for bet in SECOND.values()]
    bits = mean_wealth(wealths) + log2(share_of(probe, probes, claim["task"]["kind"]))
    bits -= log2(n) + log2(predicate["claims_tried"])
    bits -= sum(16 + 4 * (len(number) + 1) for number in predicate["inputs"].values())
    bits -= 16 * (predicate["output"] is not None)
    hits = sum(top == y for top, y in zip(tops, answered, strict=True))
    assert hits == expected["hits"] == predicate["counted"]["hits"]
    tail = Fraction(sum(comb(count, i) * (k - 1) ** (count - i) for i in range(hits, count + 1)))
    assert tail / k**count == Fraction(expected["tail"])
    assert Fraction(*map(int, predicate["counted"]["tail"])) == Fraction(expected["tail"])
    assert bits == pytest.approx(expected["bits"], abs=1e-6)
    assert bits == pytest.approx(float(predicate["counted"]["bits"]), abs=1e-6)


# What wmx itself makes of the files.


@pytest.mark.parametrize("name", NAMES)
def test_every_frozen_evidence_still_checks(name: str) -> None:
    expected = EXPECTED["evidence"][name]
    file = (FOLDER / f"{name}.evidence.json").read_bytes()
    evidence = Evidence.from_bytes(file)
    assert hashlib.sha256(file).hexdigest() == expected["sha256"]
    assert evidence.to_bytes() == file
    assert evidence.trigger_slice.labels.tolist() == expected["labels"]
    assert evidence.score.hits == expected["hits"]
    assert evidence.score.tail == Fraction(expected["tail"])
    assert evidence.score.bits == pytest.approx(expected["bits"], rel=1e-9)
    checked = check(evidence, min_bits=max(0.1, expected["bits"] - 0.1))
    assert checked.sufficient == (expected["bits"] > 0.1)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_key_still_signs_the_same_bytes(name: str) -> None:
    from vectors.make_evidence_6 import PROBES, predictions_of

    from wmx.verification.codec import predictions_to_json, probe_to_json

    evidence = Evidence.load(FOLDER / f"{name}.evidence.json")
    statement = json.loads(evidence.envelope.payload)
    task = evidence.claim.task
    predictions = predictions_of(name, evidence.trigger_slice.labels, task.classes)
    assert predictions_to_json(predictions, task) == statement["predicate"]["answers"]
    assert probe_to_json(PROBES[name][0]) == statement["predicate"]["way"]
    key = OwnerKey.load(FOLDER.parent / "wmx-3" / "owner.pem")
    sealed = type(evidence.envelope).seal(
        evidence.envelope.payload_type, evidence.envelope.payload, key
    )
    assert sealed == evidence.envelope


def test_the_dated_claim_still_verifies_though_its_certificates_have_expired() -> None:
    claim = Claim.load(FOLDER / "cells-grey.dated.claim.json")
    assert claim.to_bytes() == (FOLDER / "cells-grey.dated.claim.json").read_bytes()
    assert claim.digest == Claim.load(FOLDER.parent / "wmx-3" / "cells-grey.claim.json").digest
    dating = date_claim(claim, load_roots(FOLDER / "roots.pem"))
    assert dating.time is not None
    assert dating.time.strftime("%Y-%m-%dT%H:%M:%SZ") == EXPECTED["dated"]["time"]
    assert dating.authority == EXPECTED["dated"]["authority"]
    assert len(dating.refused) == 1
