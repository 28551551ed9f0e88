"""Timestamps that are damaged, of something else, or by somebody whom nobody trusts.

Most are given to ``wmx claim timestamp``, which keeps none of them; what stands in a claim file
already is refused where the claim is dated.
"""

import base64
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cases import Attack, Scene, collector
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from support.der import SEQUENCE, TEXT, der, integer
from support.evidence_files import small_evidence
from support.tsa import DAY, STAMPING, Authority, dripping, moved_by, serving, with_status

from wmx import OwnerKey, Watermark
from wmx.protocol import jcs
from wmx.protocol.stamped import MAX_RESPONSE_BYTES
from wmx.protocol.timestamp import Query
from wmx.protocol.tsa import ask_authority

CASES, case = collector()
FOLDER = TemporaryDirectory()  # removed when the tests end


@cache
def authority(name: str = "root") -> Authority:
    """An authority, the same in all cases."""
    return Authority(Path(FOLDER.name) / name, name)


@cache
def stamp(signature: bytes) -> bytes:
    """A good response over a claim's signature."""
    return authority().stamp(signature)


def honest(scene: Scene) -> bytes:
    return stamp(scene.watermark.claim.envelope.signature)


def keep(scene: Scene, response: bytes | str, roots: Path | None = None) -> list[str]:
    """Put a response into the scene and return the command that would keep it."""
    words = ["claim", "timestamp", "claim.json", "--response", scene.put("bad.tsr", response)]
    return words if roots is None else [*words, "--roots", str(roots)]


def signed_by(scene: Scene, **options: Any) -> list[str]:
    """Offer a stamp by a signer of the trusted authority with an unfit certificate."""
    tsa = authority()
    tsa.add_signer("unfit", **options)
    response = tsa.stamp_as(scene.watermark.claim.envelope.signature, "unfit")
    return keep(scene, response, tsa.roots)


def dated(scene: Scene, change: Callable[[list[Any]], object]) -> list[str]:
    """Verify a dated claim with a change of its list of timestamps, which nobody signs."""
    document = json.loads(scene.watermark.claim.with_timestamps([honest(scene)]).to_bytes())
    change(document["timestamps"])
    scene.put("model.onnx", scene.model)
    bad = scene.put("bad.json", jcs.dumps(document))
    return ["verify", "model.onnx", "--claim", bad, "--key", "owner.pem"]


# what is no response


@case(3, "a timestamp is damaged")
def an_empty_timestamp(scene: Scene) -> Attack:
    return keep(scene, b"")


@case(3, "a timestamp is damaged")
def a_timestamp_of_noise(scene: Scene) -> Attack:
    return keep(scene, hashlib.shake_256(b"noise").digest(4096))


@case(3, "a timestamp is damaged")
def half_a_timestamp(scene: Scene) -> Attack:
    return keep(scene, honest(scene)[: len(honest(scene)) // 2])


@case(3, "a timestamp is damaged")
def a_timestamp_with_a_byte_behind_it(scene: Scene) -> Attack:
    return keep(scene, honest(scene) + b"\0")


@case(3, "a timestamp is damaged")
def a_timestamp_in_pem(scene: Scene) -> Attack:
    body = base64.encodebytes(honest(scene)).decode()
    return keep(scene, f"-----BEGIN TS RESPONSE-----\n{body}-----END TS RESPONSE-----\n")


@case(3, "a timestamp is damaged")
def a_timestamp_that_is_a_web_page(scene: Scene) -> Attack:
    return keep(scene, "<!doctype html><title>502 Bad Gateway</title>")


@case(3, "a timestamp is damaged")
def a_timestamp_that_is_the_request(scene: Scene) -> Attack:
    return keep(scene, Query.of(scene.watermark.claim).request)


@case(3, "a timestamp is damaged")
def a_token_without_its_response(scene: Scene) -> Attack:
    token = honest(scene)[honest(scene).index(bytes.fromhex("06092a864886f70d010702")) - 4 :]
    return keep(scene, token)


@case(3, "a timestamp is damaged")
def a_timestamp_that_is_granted_and_not_there(scene: Scene) -> Attack:
    return keep(scene, der(SEQUENCE, der(SEQUENCE, integer(0))))


@case(3, "a timestamp is damaged")
def a_timestamp_with_another_content(scene: Scene) -> Attack:
    """The token is said to be of another type than a stamp's."""
    changed = honest(scene).replace(
        bytes.fromhex("060b2a864886f70d0109100104"), bytes.fromhex("060b2a864886f70d0109100105")
    )
    return keep(scene, changed)


@case(3, "a timestamp is damaged")
def a_timestamp_nested_sixteen_thousand_deep(scene: Scene) -> Attack:
    nested = b""
    while len(nested) < MAX_RESPONSE_BYTES - 16:
        nested = der(SEQUENCE, nested)
    return keep(scene, nested)


@case(3, "a timestamp is damaged")
def a_timestamp_nested_without_lengths(scene: Scene) -> Attack:
    return keep(scene, b"\x30\x80" * (MAX_RESPONSE_BYTES // 2))


@case(3, "a timestamp is damaged")
def a_timestamp_of_indefinite_length(scene: Scene) -> Attack:
    content = honest(scene)[4:]
    assert honest(scene)[1] == 0x82
    return keep(scene, b"\x30\x80" + content + b"\0\0")


@case(3, "a timestamp is damaged")
def a_timestamp_that_claims_2_to_63_bytes(scene: Scene) -> Attack:
    return keep(scene, bytes.fromhex("30887fffffffffffffff") + honest(scene)[4:])


@case(3, "a timestamp is damaged")
def a_timestamp_whose_length_has_126_bytes(scene: Scene) -> Attack:
    return keep(scene, b"\x30\xfe" + b"\xff" * 126 + honest(scene))


@case(3, "a timestamp is damaged")
def a_timestamp_with_a_length_in_too_many_bytes(scene: Scene) -> Attack:
    """BER allows it, DER does not."""
    data = honest(scene)
    return keep(scene, b"\x30\x84\0\0" + data[2:4] + data[4:])


@case(4, "larger than")
def a_timestamp_beyond_64_kilobytes(scene: Scene) -> Attack:
    return keep(scene, bytes(MAX_RESPONSE_BYTES + 1))


@case(4, "not a regular file")
def a_timestamp_from_a_pipe(scene: Scene) -> Attack:
    os.mkfifo("pipe")
    return ["claim", "timestamp", "claim.json", "--response", "pipe"]


# responses that do not count


@case(3, "did not grant the timestamp: status 2")
def a_timestamp_that_was_refused(scene: Scene) -> Attack:
    return keep(scene, der(SEQUENCE, der(SEQUENCE, integer(2))))


@case(3, "did not grant the timestamp")
def a_refusal_that_writes_over_the_terminal(scene: Scene) -> Attack:
    words = der(SEQUENCE, der(TEXT, b"\x1b[2J\x1b[HVERIFIED"))
    return keep(scene, der(SEQUENCE, der(SEQUENCE, integer(2), words)))


@case(3, "did not grant the timestamp")
def a_status_that_does_not_exist(scene: Scene) -> Attack:
    return keep(scene, der(SEQUENCE, der(SEQUENCE, integer(127))))


@case(3, "for something else than this claim's signature")
def a_timestamp_of_another_claim(scene: Scene) -> Attack:
    other = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
    return keep(scene, authority().stamp(other.claim.envelope.signature))


@case(3, "for something else than this claim's signature")
def a_timestamp_of_the_claims_text(scene: Scene) -> Attack:
    return keep(scene, authority().stamp(scene.watermark.claim.envelope.payload))


@case(3, "uses the digest 1.2.840.113549.2.5")
def a_timestamp_with_md5(scene: Scene) -> Attack:
    return keep(scene, authority().stamp(scene.watermark.claim.envelope.signature, digest="md5"))


@case(3, "uses the digest 1.3.14.3.2.26")
def a_timestamp_with_sha_1(scene: Scene) -> Attack:
    return keep(scene, authority().stamp(scene.watermark.claim.envelope.signature, digest="sha1"))


@case(3, "it was not added")
def a_timestamp_by_a_stranger(scene: Scene) -> Attack:
    return keep(scene, honest(scene), authority("stranger").roots)


@case(3, "it was not added")
def a_timestamp_by_somebody_of_the_same_name(scene: Scene) -> Attack:
    twin = Authority(Path(FOLDER.name) / "twin", "root")
    return keep(scene, honest(scene), twin.roots)


@case(3, "it was not added")
def a_timestamp_under_an_expired_root(scene: Scene) -> Attack:
    old = Authority(Path(FOLDER.name) / "old", "old", lifetime=-timedelta(hours=1))
    return keep(scene, old.stamp(scene.watermark.claim.envelope.signature), old.roots)


@case(3, "a timestamp is not trusted")
def a_timestamp_by_an_expired_certificate(scene: Scene) -> Attack:
    return signed_by(scene, start=-2 * DAY, end=-DAY)


@case(3, "a timestamp is not trusted")
def a_timestamp_by_a_certificate_of_tomorrow(scene: Scene) -> Attack:
    return signed_by(scene, start=DAY, end=2 * DAY)


@case(3, "unsuitable certificate purpose")
def a_timestamp_by_a_web_server(scene: Scene) -> Attack:
    return signed_by(scene, usage=(ExtendedKeyUsageOID.SERVER_AUTH,))


@case(3, "unsuitable certificate purpose")
def a_timestamp_by_a_certificate_of_no_use(scene: Scene) -> Attack:
    return signed_by(scene, usage=())


@case(3, "unsuitable certificate purpose")
def a_timestamp_by_a_certificate_of_every_use(scene: Scene) -> Attack:
    return signed_by(scene, usage=(*STAMPING, ExtendedKeyUsageOID.CODE_SIGNING))


@case(3, "a timestamp is not trusted")
def a_timestamp_with_its_signature_changed(scene: Scene) -> Attack:
    changed = bytearray(honest(scene))
    changed[-1] ^= 1
    return keep(scene, bytes(changed), authority().roots)


@case(3, "a timestamp is not trusted")
def a_timestamp_moved_by_ten_years(scene: Scene) -> Attack:
    data = honest(scene)
    at = data.index(b"\x18\x0f20") + 2  # the first time: of the stamp, not of a certificate
    year = str(int(data[at : at + 4]) - 10).encode()
    return keep(scene, data[:at] + year + data[at + 4 :], authority().roots)


@case(3, "a timestamp is not trusted")
def a_timestamp_without_the_certificate_that_signed_it(scene: Scene) -> Attack:
    tsa = authority()
    (tsa.folder / "data").write_bytes(scene.watermark.claim.envelope.signature)
    tsa.openssl("ts", "-query", "-data", "data", "-sha256", "-out", "bare-query")
    return keep(scene, tsa.answer((tsa.folder / "bare-query").read_bytes()), tsa.roots)


# stamps that are weak: whoever finds a key, or two certificates of one digest, sets any date


@case(3, "signed over SHA-1")
def a_timestamp_signed_over_sha_1(scene: Scene) -> Attack:
    signature = scene.watermark.claim.envelope.signature
    return keep(scene, authority().stamp_as(signature, "tsa", digest="sha1"))


@case(3, "an RSA key of 1,024 bits")
def a_timestamp_by_a_key_of_1024_bits(scene: Scene) -> Attack:
    return signed_by(scene, key=rsa.generate_private_key(65537, 1024))


@case(3, "signed over SHA-1")
def a_timestamp_by_a_certificate_over_sha_1(scene: Scene) -> Attack:
    return signed_by(scene, digest="sha1")


@case(3, "may be off by 1157 days")
def a_timestamp_that_may_be_off_by_years(scene: Scene) -> Attack:
    vague = Authority(Path(FOLDER.name) / "vague", "vague")
    vague.state_accuracy("secs:100000000")
    return keep(scene, vague.stamp(scene.watermark.claim.envelope.signature))


@case(3, "lies in the future")
def a_timestamp_of_the_future(scene: Scene) -> Attack:
    signature = scene.watermark.claim.envelope.signature
    later = moved_by(timedelta(hours=2))
    return keep(scene, authority().stamp_as(signature, "tsa", change=later))


@case(3, "did not grant the timestamp: status 3")
def a_timestamp_that_is_still_waiting(scene: Scene) -> Attack:
    return keep(scene, with_status(honest(scene), 3))


# authorities that answer in bad faith


def asked(scene: Scene, answer: bytes) -> Callable[[], object]:
    """Ask an authority that always gives this answer."""
    query = Query.of(scene.watermark.claim)

    def ask() -> None:
        with serving(answer) as url:
            query.check_answer(ask_authority(url, query.request))

    return ask


@case(3, "its nonce differs")
def an_answer_to_an_earlier_request(scene: Scene) -> Attack:
    return asked(scene, authority().answer(Query.of(scene.watermark.claim).request))


@case(3, "its nonce differs")
def an_answer_without_a_nonce(scene: Scene) -> Attack:
    tsa = authority()
    (tsa.folder / "data").write_bytes(scene.watermark.claim.envelope.signature)
    query = ("ts", "-query", "-data", "data", "-sha256", "-no_nonce", "-out", "no-nonce")
    tsa.openssl(*query)
    return asked(scene, tsa.answer((tsa.folder / "no-nonce").read_bytes()))


@case(3, "a timestamp is damaged")
def an_answer_of_nothing(scene: Scene) -> Attack:
    return asked(scene, b"")


@case(4, "answered more than 65,536 bytes")
def an_answer_without_end(scene: Scene) -> Attack:
    return asked(scene, bytes(2**20))


def asked_in_haste(scene: Scene, start: bytes) -> Callable[[], object]:
    """Ask an authority whose answer begins like this and never ends, for a moment only."""

    def ask() -> None:
        with dripping(start) as url:
            ask_authority(url, Query.of(scene.watermark.claim).request, seconds=0.3)

    return ask


@case(4, "did not answer in full within 0.3 seconds")
def an_authority_that_drips_its_first_line(scene: Scene) -> Attack:
    return asked_in_haste(scene, b"HTTP/1.1 200 ")


@case(4, "did not answer in full within 0.3 seconds")
def an_authority_that_drips_its_headers(scene: Scene) -> Attack:
    return asked_in_haste(scene, b"HTTP/1.1 200 OK\r\nX-Drip: ")


@case(4, "did not answer in full within 0.3 seconds")
def an_authority_that_drips_its_stamp(scene: Scene) -> Attack:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\n\r\n"
    return asked_in_haste(scene, head + honest(scene)[:100])


@case(2, "expected an http:// or https:// address")
def an_authority_that_is_a_file(scene: Scene) -> Attack:
    return ["claim", "timestamp", "claim.json", "--tsa", f"file://{scene.folder}/owner.pem"]


# roots


@case(3, "does not hold certificates in PEM form")
def roots_of_noise(scene: Scene) -> Attack:
    return keep(scene, honest(scene), scene.folder / scene.put("roots.pem", bytes(range(256))))


@case(3, "does not hold certificates in PEM form")
def roots_that_are_a_key(scene: Scene) -> Attack:
    return keep(scene, honest(scene), scene.folder / "owner.pem")


@case(3, "does not hold certificates in PEM form")
def roots_with_a_broken_body(scene: Scene) -> Attack:
    body = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
    return keep(scene, honest(scene), scene.folder / scene.put("roots.pem", body))


# inside a claim file


@case(3, "a timestamp of claim bad.json is damaged")
def a_stamp_with_another_digest_beside_it(scene: Scene) -> Attack:
    return dated(scene, lambda stamps: stamps[0].update(sha256="00" * 32))


@case(3, "a timestamp of claim bad.json is damaged")
def a_stamp_twice(scene: Scene) -> Attack:
    return dated(scene, lambda stamps: stamps.append(stamps[0]))


@case(3, "a timestamp of claim bad.json is damaged")
def seventeen_stamps(scene: Scene) -> Attack:
    return dated(scene, lambda stamps: stamps.extend(stamps * 16))


@case(3, "a timestamp of claim bad.json is damaged")
def a_stamp_with_a_word_of_its_own(scene: Scene) -> Attack:
    return dated(scene, lambda stamps: stamps[0].update(trusted=True))


@case(3, "a timestamp of claim bad.json is damaged")
def a_stamp_whose_base64_has_spaces(scene: Scene) -> Attack:
    return dated(scene, lambda stamps: stamps[0].update(response=stamps[0]["response"] + " "))


@case(1, "NOT VERIFIED")
def a_forged_stamp_for_a_lower_bar(scene: Scene) -> Attack:
    """Bits between 64 and 128: enough with a trusted date, and this one is by a stranger."""
    signature = scene.watermark.claim.envelope.signature
    claim = scene.watermark.claim.with_timestamps([authority("stranger").stamp(signature)])
    mark = replace(scene.watermark, claim=claim)
    evidence = small_evidence(OwnerKey.load("owner.pem"), mark, count=30)
    words = ["check", scene.put("bad.json", evidence.to_bytes())]
    return [*words, "--roots", str(authority().roots)]
