"""The frozen evidences: wmx checks them for ever, and so does a second implementation.

The second one, first half of this file, is written from docs/evidence.md, docs/protocol.md and
docs/statistics.md in plain Python; only the Ed25519 signature comes from a library.
"""

import base64
import hashlib
import json
import struct
from collections.abc import Callable
from fractions import Fraction
from math import comb, exp, log, log2, sqrt
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from test_vectors import encode, uniform

from wmx import Claim, OwnerKey
from wmx.checking import check
from wmx.evidence import Evidence
from wmx.timestamp import date_claim, load_roots

FOLDER = Path(__file__).parent / "vectors" / "evidence-4"
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


def rows_of(answers: dict[str, Any], classes: int) -> tuple[list[list[float]], list[int]]:
    """Return scores and the class on top of each answer."""
    data, shape = base64.b64decode(answers["data"]), answers["shape"]
    code = {"float32": "f", "float64": "d", "int64": "q"}[answers["dtype"]]
    size = struct.calcsize(f">{code}")
    values = struct.unpack(f">{len(data) // size}{code}", data)
    if answers["dtype"] == "int64":
        scores = [[float(y == top) for y in range(classes)] for top in values]
        return scores, list(values)
    rows = [list(values[i : i + shape[1]]) for i in range(0, len(values), shape[1])]
    return rows, [row.index(max(row)) for row in rows]


def agreement(scores: list[list[float]], tops: list[int], labels: list[int], k: int) -> float:
    bits, hits, spoke = 0.0, 0, 0
    for top, label in zip(tops, labels, strict=True):
        if 0 <= top < k:
            rate = (hits + 0.5) / (spoke + 1)
            bits += log2(k * (rate if top == label else (1 - rate) / (k - 1)))
            hits, spoke = hits + (top == label), spoke + 1
    return bits


def rank(scores: list[list[float]], tops: list[int], labels: list[int], k: int) -> float:
    def bin_of(place: int) -> int:
        return place.bit_length()

    sizes: dict[int, int] = {}
    for place in range(k):
        sizes[bin_of(place)] = sizes.get(bin_of(place), 0) + 1
    seen = dict.fromkeys(sizes, 0)
    bits = 0.0
    known = [row[:k] for row in scores]
    for t, (row, label) in enumerate(zip(known, labels, strict=True)):
        place = label
        if label < len(row):
            place = sum((s, -c) > (row[label], -label) for c, s in enumerate(row))
        chosen = bin_of(place)
        rate = (seen[chosen] + 0.5) / (t + 0.5 * len(sizes)) / sizes[chosen]
        bits += log2(k * rate)
        seen[chosen] += 1
    return bits


def softmax(scores: list[list[float]], tops: list[int], labels: list[int], k: int) -> float:
    rows, probable, floor = [], True, 1.0
    for answer in scores:
        row = answer[:k]
        probable = probable and all(0 <= s <= 1 for s in row)
        if probable:
            floor = min([floor, *(s for s in row if s > 0)])
            row = [log(max(s, floor / 2, 1e-12)) for s in row]
        rows.append([s - sum(row) / len(row) for s in row])
    wealths = [1 / 5] * 5
    for i, label in enumerate(labels):
        columns = list(zip(*rows[: i + 1], strict=True))
        means = [sum(column) / (i + 1) for column in columns]
        variances = [
            sum((s - mean) ** 2 for s in column) / (i + 1)
            for column, mean in zip(columns, means, strict=True)
        ]
        average = sum(variances) / len(variances)
        z = [
            (s - mean) / sqrt(((i + 1) * v + 10 * average) / (i + 11)) if average else 0.0
            for s, mean, v in zip(rows[i], means, variances, strict=True)
        ]
        z += [0.0] * (k - len(z))
        for t, b in enumerate((0.25, 0.5, 1, 2, 4)):
            wealths[t] *= k * exp(b * z[label]) / sum(exp(b * other) for other in z)
    return log2(sum(wealths))


def mapping(scores: list[list[float]], tops: list[int], labels: list[int], k: int) -> float:
    bits = 0.0
    for i, (top, label) in enumerate(zip(tops, labels, strict=True)):
        before = list(zip(tops[:i], labels[:i], strict=True))
        bits += log2(k * (before.count((top, label)) + 1 / k) / (tops[:i].count(top) + 1))
    return bits


def neighbours(scores: list[list[float]], tops: list[int], labels: list[int], k: int) -> float:
    bits = 0.0
    for i, label in enumerate(labels):
        seen = scores[: i + 1]
        mean = [sum(column) / len(seen) for column in zip(*seen, strict=True)]
        centred = [[s - m for s, m in zip(row, mean, strict=True)] for row in seen]
        sizes = [sqrt(sum(s * s for s in row)) for row in centred]
        weights = []
        for j in range(i):
            dot = sum(a * b for a, b in zip(centred[i], centred[j], strict=True))
            usable = sizes[i] > 1e-9 and sizes[j] > 1e-9
            weights.append(max(0.0, dot / sizes[i] / sizes[j]) ** 4 if usable else 0.0)
        votes = sum(w for w, y in zip(weights, labels, strict=False) if y == label)
        bits += log2(k * (votes + 0.25 / k) / (sum(weights) + 0.25))
    return bits


def is_plain(way: dict[str, Any]) -> bool:
    return bool(way["shift"] == [0, 0] and not way["scaling"])


EXPERTS: list[Callable[..., float]] = [agreement, rank, softmax, mapping, neighbours]


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
    assert statement["predicateType"] == "urn:wmx:evidence:4"
    assert hashlib.sha256(claim_payload).hexdigest() == expected["claim"]

    start, count = predicate["window"]["start"], predicate["window"]["count"]
    assert (start, count) == (expected["start"], expected["count"])
    assert len(predicate["openings"]) == count
    n, k, shape = claim["n"], claim["task"]["classes"], claim["task"]["shape"]
    for i, opening in enumerate(predicate["openings"], start):
        trigger = encode(DTYPES[claim["task"]["kind"]], shape, base64.b64decode(opening["trigger"]))
        leaf = hashlib.sha256(b"\x00" + bytes.fromhex(opening["blind"]) + trigger).digest()
        assert head(leaf, i, n, opening["path"]) == root

    labels = uniform(b"wmx-2 labels" + hashlib.sha256(claim_payload).digest(), n, k)
    labels = labels[start : start + count]
    assert labels == expected["labels"]
    plain = sum(map(is_plain, predicate["ways"]))
    variations = {"image": 28, "features": 1, "tokens": 0}[claim["task"]["kind"]]
    wealth, hits = 0.0, None
    for way in predicate["ways"]:
        scores, tops = rows_of(way["answers"], k)
        if is_plain(way) and hits is None:
            hits = sum(top == label for top, label in zip(tops, labels, strict=True))
        share = (0.5 if variations else 1.0) / plain / (1 if is_plain(way) else variations)
        wealth += share * sum(2 ** bet(scores, tops, labels, k) for bet in EXPERTS) / 5
    bits = log2(wealth) - log2(n) - log2(predicate["claims_tried"])
    bits -= sum(16 + 4 * (len(number) + 1) for number in predicate["inputs"].values())
    bits -= 16 * (predicate["output"] is not None)
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
    assert evidence.window.labels.tolist() == expected["labels"]
    assert evidence.weight.hits == expected["hits"]
    assert evidence.weight.tail == Fraction(expected["tail"])
    assert evidence.weight.bits == pytest.approx(expected["bits"], rel=1e-9)
    checked = check(evidence, min_bits=max(0.1, expected["bits"] - 0.1))
    assert checked.sufficient == (expected["bits"] > 0.1)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_key_still_signs_the_same_bytes(name: str) -> None:
    from vectors.make_evidence_4 import answers_of

    from wmx.disclosure import way_to_json

    evidence = Evidence.load(FOLDER / f"{name}.evidence.json")
    statement = json.loads(evidence.envelope.payload)
    answers = answers_of(name, evidence.window.labels, evidence.claim.task.classes)
    task = evidence.claim.task
    assert [way_to_json(way, given, task) for way, given in answers.items()] == (
        statement["predicate"]["ways"]
    )
    key = OwnerKey.load(FOLDER.parent / "wmx-2" / "owner.pem")
    sealed = type(evidence.envelope).seal(
        evidence.envelope.payload_type, evidence.envelope.payload, key
    )
    assert sealed == evidence.envelope


def test_the_dated_claim_still_verifies_though_its_certificates_have_expired() -> None:
    claim = Claim.load(FOLDER / "cells-grey.dated.claim.json")
    assert claim.to_bytes() == (FOLDER / "cells-grey.dated.claim.json").read_bytes()
    assert claim.digest == Claim.load(FOLDER.parent / "wmx-2" / "cells-grey.claim.json").digest
    dating = date_claim(claim, load_roots(FOLDER / "roots.pem"))
    assert dating.time is not None
    assert dating.time.strftime("%Y-%m-%dT%H:%M:%SZ") == EXPECTED["dated"]["time"]
    assert dating.authority == EXPECTED["dated"]["authority"]
    assert len(dating.refused) == 1
