"""Timestamps that somebody has padded: no signature covers what stands beside the signer's."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from support.der import SEQUENCE, der
from support.evidence_files import small_evidence
from support.tsa import GRANTED, Authority

from wmx import Claim, OwnerKey, Watermark
from wmx._internal.budget import Budget, held_to
from wmx._internal.der import PATH_TO_CERTIFICATES, certificates_in, walk_inward
from wmx.errors import IntegrityError, LimitError, UsageError
from wmx.protocol import timestamp
from wmx.protocol.encoding import encode_base64
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.release_record import Relation, Release
from wmx.protocol.stamped import MAX_RESPONSE_BYTES, Stamped
from wmx.protocol.timestamp import (
    MAX_CERTIFICATES,
    asserted_stamp,
    asserted_stamps,
    date_claim,
    load_roots,
    trusted_stamp,
)
from wmx.verification.evidence import Evidence

KEY = OwnerKey.generate()
WATERMARK = Watermark.new(KEY, shape=(8, 8, 1), classes=1000, n=6)
CLAIM = WATERMARK.claim
MODEL = ModelReference("m.onnx", "ab" * 32)
RELEASE = Release.sign(KEY, CLAIM, relation=Relation.own, model=MODEL, software="tests")
SERIAL = 0x4141414141414141


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    authority = Authority(tmp_path_factory.mktemp("tsa"))
    authority.add_signer("junk", serial=SERIAL)
    return authority


@pytest.fixture(scope="module")
def junk(authority: Authority) -> Callable[[int], list[bytes]]:
    """Certificates that differ in their serial number, and are signed by nobody."""
    pem = (authority.folder / "junk.pem").read_bytes()
    data = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    begin, end = data.split(SERIAL.to_bytes(8, "big"))
    return lambda count: [
        begin + (SERIAL + number).to_bytes(8, "big") + end for number in range(count)
    ]


def padded(response: bytes, junk: list[bytes]) -> bytes:
    """Return a response as granted, with further certificates behind those that its token has."""
    path = walk_inward(response, PATH_TO_CERTIFICATES)
    inner = der(path[-1].tag, *sorted([*certificates_in(response), *junk]))
    for around, inside in reversed(list(pairwise(path[1:]))):
        before = response[around.content : inside.begin]
        inner = der(around.tag, before, inner, response[inside.end : around.end])
    return der(SEQUENCE, GRANTED, inner)


def test_as_many_certificates_as_are_allowed_do_no_harm(
    authority: Authority, junk: Callable[[int], list[bytes]]
) -> None:
    stamp = authority.stamp(CLAIM.envelope.signature)
    full = padded(stamp, junk(MAX_CERTIFICATES - 1))
    assert len(certificates_in(full)) == MAX_CERTIFICATES
    read = Claim.from_bytes(CLAIM.with_timestamps([full]).to_bytes())
    assert date_claim(read, load_roots(authority.roots)).is_trusted


def test_one_certificate_more_counts_for_nothing_and_is_given_to_no_library(
    authority: Authority, junk: Callable[[int], list[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timestamp, "weakness", lambda *_, **__: pytest.fail("it was looked at"))
    stamp = authority.stamp(CLAIM.envelope.signature)
    roots = load_roots(authority.roots)
    for count in (MAX_CERTIFICATES, 60):
        full = padded(stamp, junk(count))
        words = f"carries {count + 1} certificates, expected at most 32"
        claim = Claim.from_bytes(CLAIM.with_timestamps([full]).to_bytes())
        dating = date_claim(claim, roots)
        assert not dating.is_trusted
        assert words in dating.refused[0]
        assert words in asserted_stamps(claim)[0]
        with pytest.raises(IntegrityError, match=words):
            asserted_stamp(full, CLAIM)
        with pytest.raises(IntegrityError, match=words):
            trusted_stamp(full, CLAIM, roots)


def with_response(file: Stamped, response: bytes) -> dict[str, Any]:
    """Return the object of a file with a timestamp that no writer would put into it."""
    sha256 = hashlib.sha256(response).hexdigest()
    stamp = {"response": encode_base64(response), "sha256": sha256}
    return file.to_json() | {"timestamps": [stamp]}


@pytest.mark.parametrize("file", [CLAIM, RELEASE], ids=["claim", "release record"])
def test_a_file_with_a_timestamp_beyond_64_kilobytes_is_broken(file: Stamped) -> None:
    largest = with_response(file, bytes(MAX_RESPONSE_BYTES))
    (read,) = type(file).from_json(largest).timestamps
    assert len(read) == MAX_RESPONSE_BYTES
    for beyond in (1, 2, 3, 2**20):  # the base64 of one or two bytes more is as long
        with pytest.raises(IntegrityError, match="expected at most 65,536 bytes"):
            type(file).from_json(with_response(file, bytes(MAX_RESPONSE_BYTES + beyond)))


def evidence_with(claim: Claim) -> object:
    return Evidence.from_bytes(small_evidence(KEY, replace(WATERMARK, claim=claim)).to_bytes())


def release_with(claim: Claim) -> object:
    record = Release.sign(KEY, claim, relation=Relation.own, model=MODEL, software="tests")
    return Release.from_bytes(record.to_bytes())


@pytest.mark.parametrize("file_with", [evidence_with, release_with])
def test_so_is_what_holds_such_a_claim(file_with: Callable[[Claim], object]) -> None:
    assert file_with(replace(CLAIM, timestamps=(b"junk",)))
    large = replace(CLAIM, timestamps=(bytes(2**20),))
    with pytest.raises(IntegrityError, match="expected at most 65,536 bytes"):
        file_with(large)


def test_no_writer_keeps_what_no_reader_takes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has 65,537 bytes, expected at most 65,536"):
        CLAIM.with_timestamps([b"short", bytes(MAX_RESPONSE_BYTES + 1)])


def test_the_budget_is_asked_before_each_timestamp(authority: Authority) -> None:
    stamped = CLAIM.with_timestamps([authority.stamp(CLAIM.envelope.signature), b"junk"])
    roots = load_roots(authority.roots)
    with held_to(Budget(0.0, 10**6, 2**40)):
        with pytest.raises(LimitError):
            date_claim(stamped, roots)
        with pytest.raises(LimitError):
            asserted_stamps(stamped)


def test_every_timestamp_is_looked_at_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not only the first of so many: each may take its time."""
    asked = []
    budget = Budget(10**6, 10**6, 2**40)
    monkeypatch.setattr(budget, "consult", lambda: asked.append(1))
    stamped = CLAIM.with_timestamps([b"junk", b"more junk", b"other junk"])
    with held_to(budget):
        asserted_stamps(stamped)
        assert len(asked) == 3
