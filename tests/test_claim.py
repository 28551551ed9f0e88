"""Claims and their envelopes: what is accepted, and that nothing can be changed."""

import base64
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from wmx import Claim, OwnerKey, Watermark
from wmx.errors import CannotRunError, IntegrityError
from wmx.protocol.claim import PAYLOAD_TYPE
from wmx.protocol.dsse import Envelope, pre_authentication_encoding
from wmx.protocol.encoding import encode_base64
from wmx.protocol.keys import SMALL_ORDER_KEYS, fingerprint, signature_is_valid
from wmx.protocol.sealing import seal_family
from wmx.triggers import Cells

KEY = OwnerKey.generate()
CLAIM = Watermark.new(KEY, shape=(8, 8, 1), classes=10, n=5, note="Grüße, test").claim
FILE = CLAIM.to_bytes()


def payload() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(CLAIM.envelope.payload)
    return document


def signed(document: Any, key: OwnerKey = KEY) -> bytes:
    return Envelope.seal(PAYLOAD_TYPE, rfc8785.dumps(document), key).to_bytes()


def test_a_claim_survives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "claim.json"
    CLAIM.save(path)
    assert path.read_bytes() == FILE
    loaded = Claim.load(path)
    assert loaded == CLAIM
    assert loaded.digest == CLAIM.digest
    with pytest.raises(CannotRunError, match="exists already"):
        CLAIM.save(path)


def test_no_byte_can_be_changed_removed_or_added() -> None:
    for position in range(len(FILE)):
        for changed in (
            *(
                FILE[:position] + bytes([FILE[position] ^ 1 << bit]) + FILE[position + 1 :]
                for bit in range(8)
            ),
            FILE[:position] + FILE[position + 1 :],
            FILE[:position] + b" " + FILE[position:],
        ):
            with pytest.raises(IntegrityError) as caught:
                Claim.from_bytes(changed)
            assert caught.value.hint
    for appended in (b"\n", b" ", b"\x00", FILE):
        with pytest.raises(IntegrityError):
            Claim.from_bytes(FILE + appended)


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_no_claim(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        Claim.from_bytes(data)


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b"1" * 5000,
        b'{"payload":"","payloadType":"","signatures":[]}',
        b'{"payload":null,"payloadType":null,"signatures":null}',
        b"null",
        b"NaN",
        b'"\\ud800"',
        b'{"a":1,"a":1}',
    ],
)
def test_hostile_json_is_no_claim(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        Claim.from_bytes(data)


@pytest.mark.parametrize("field", list(payload()))
def test_no_field_of_a_signed_claim_may_be_missing_or_of_another_type(field: str) -> None:
    document = payload()
    del document[field]
    with pytest.raises(IntegrityError):
        Claim.from_bytes(signed(document))
    for wrong in (None, True, [], {}, 10**9, "x", [1], ""):
        if field == "note" and isinstance(wrong, str):
            continue
        with pytest.raises(IntegrityError):
            Claim.from_bytes(signed(payload() | {field: wrong})) and Watermark.open(
                Claim.from_bytes(signed(payload() | {field: wrong})), KEY
            )


@pytest.mark.parametrize(
    "change",
    [
        {"scheme": "wmx-4"},
        {"n": 0},
        {"n": True},
        {"n": "5"},
        {"salt": "00" * 31},
        {"salt": "AB" * 32},
        {"created": "2026-11-24"},
        {"created": "2026-13-24T00:00:00Z"},
        {"created": "2026-02-30T00:00:00Z"},
        {"created": "2026-11-24T24:00:00Z"},
        {"created": "2026-11-24T23:59:60Z"},
        {"created": "2026-13-99T99:99:99Z"},
        {"family": base64.b64encode(bytes(12 + 16 + 255)).decode()},
        {"family": base64.b64encode(bytes(12 + 16 + 257)).decode()},
        {"family": base64.b64encode(bytes(12 + 16 + 3 * 256)).decode()},
        {"created": "\u0662026-11-24T00:00:00Z"},
        {"task": payload()["task"] | {"mean": "5"}},
        {"task": payload()["task"] | {"classes": 1}},
        {"task": payload()["task"] | {"shape": [8, 8]}},
        {"task": payload()["task"] | {"std": ["0"]}},
        {"task": payload()["task"] | {"mean": ["1e3"]}},
        {"task": payload()["task"] | {"mean": ["5.0.0"]}},
        {"task": payload()["task"] | {"mean": [f"1.{'1' * 20}.0"]}},
        {"task": payload()["task"] | {"mean": [5]}},
        {"task": payload()["task"] | {"std": ["1.0.0"]}},
        {"task": payload()["task"] | {"range": ["0", "1.0.0"]}},
        {"task": payload()["task"] | {"range": ["-0.0.0", "1"]}},
        {"task": payload()["task"] | {"range": ["1", f"1.{'0' * 19}1"]}},  # equal as binary64
    ],
)
def test_values_out_of_range_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(IntegrityError):
        Claim.from_bytes(signed(payload() | change))


def test_decimals_of_a_signed_claim_stay_as_they_stand() -> None:
    task = payload()["task"] | {"mean": ["-0"], "std": ["1.0"], "range": ["-0.0", "1.00"]}
    claim = Claim.from_bytes(signed(payload() | {"task": task}))
    assert claim.task.to_json() == task


def test_an_unknown_field_of_a_signed_claim_is_ignored() -> None:
    claim = Claim.from_bytes(signed(payload() | {"later": "version"}))
    assert claim.root == CLAIM.root


def with_envelope(change: Callable[[dict[str, Any]], None]) -> bytes:
    document = json.loads(FILE)
    change(document)
    return rfc8785.dumps(document)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(extra="unsigned"),
        lambda d: d["signatures"][0].update(extra="unsigned"),
        lambda d: d["signatures"].append(d["signatures"][0]),
        lambda d: d["signatures"].clear(),
        lambda d: d.update(payloadType="application/json"),
        lambda d: d["signatures"][0].update(keyid="0" * 64),
        lambda d: d["signatures"][0].update(sig=d["signatures"][0]["sig"].rstrip("=")),
        lambda d: d.update(payload=d["payload"] + "\n"),
        lambda d: d.pop("payload"),
    ],
)
def test_an_envelope_holds_exactly_one_signature_and_nothing_unsigned(
    change: Callable[[dict[str, Any]], None],
) -> None:
    with pytest.raises(IntegrityError):
        Claim.from_bytes(with_envelope(change))


def test_a_payload_signed_as_something_else_is_no_claim() -> None:
    other = Envelope.seal("application/json", CLAIM.envelope.payload, KEY)
    with pytest.raises(IntegrityError, match="expected"):
        Claim.from_bytes(other.to_bytes())


def test_a_claim_signed_by_another_key_is_refused() -> None:
    with pytest.raises(IntegrityError, match="signature"):
        Claim.from_bytes(signed(payload(), OwnerKey.generate()))


@pytest.mark.parametrize(
    "change",
    [
        {"root": "11" * 32},
        {"salt": "11" * 32},
        {"family": base64.b64encode(seal_family(Cells(6).describe(), bytes(64))).decode()},
        {"note": "another"},
        {"created": "2026-01-01T00:00:01Z"},
        {"a field of a later version": 1},
        *(
            {"task": payload()["task"] | change}
            for change in (
                {"mean": ["0.1"]},
                {"std": ["1.5"]},
                {"range": ["0", "255"]},
                {"shape": [28, 28, 3]},
                {"kind": "features", "shape": [64]},
            )
        ),
    ],
    ids=str,
)
def test_changing_anything_in_a_claim_redraws_the_labels(change: dict[str, Any]) -> None:
    """What could be chosen after the labels were seen could be chosen to fit a model."""
    long = payload() | {"n": 200}
    before, after = (Claim.from_bytes(signed(document)) for document in (long, long | change))
    blinds = [i.to_bytes(32, "big") for i in range(200)]
    assert (before.labels(blinds) != after.labels(blinds)).mean() > 0.7


@pytest.mark.parametrize("scheme", ["wmx-1", "wmx-2"])
def test_claims_of_drafts_that_could_be_forged_are_refused(scheme: str) -> None:
    drafts = sorted((Path(__file__).parent / "vectors" / scheme).glob("*.claim.json"))
    assert len(drafts) == 5
    for draft in drafts:
        with pytest.raises(IntegrityError, match=f"scheme '{scheme}'") as refused:
            Claim.load(draft)
        assert "forged" in str(refused.value.hint)


def test_another_owner_cannot_take_a_claim_over_without_losing_the_labels() -> None:
    thief = OwnerKey.generate()
    stolen = Claim.from_bytes(signed(payload() | {"owner": thief.public.hex()}, thief))
    with pytest.raises(IntegrityError, match="not encrypted under this owner key"):
        Watermark.open(stolen, thief)
    family = encode_base64(seal_family(Cells().describe(), thief.family_key(CLAIM.salt)))
    sealed = payload() | {"owner": thief.public.hex(), "family": family}
    with pytest.raises(IntegrityError, match="not those the claim commits to"):
        Watermark.open(Claim.from_bytes(signed(sealed, thief)), thief)


@pytest.mark.parametrize("sign_bit", [0, 0x80])
@pytest.mark.parametrize("point", sorted(SMALL_ORDER_KEYS))
def test_public_keys_of_small_order_sign_nothing(point: bytes, sign_bit: int) -> None:
    public = point[:31] + bytes([point[31] | sign_bit])
    signature = bytes.fromhex("01" + "00" * 63)
    assert not signature_is_valid(public, signature, b"anything")
    envelope = Envelope(
        PAYLOAD_TYPE,
        rfc8785.dumps(payload() | {"owner": public.hex()}),
        fingerprint(public),
        signature,
    )
    with pytest.raises(IntegrityError, match="signature"):
        Claim.from_bytes(envelope.to_bytes())


# from outside


def test_openssl_verifies_the_signature_over_the_pae(tmp_path: Path) -> None:
    envelope = CLAIM.envelope
    message = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    (tmp_path / "message").write_bytes(message)
    (tmp_path / "signature").write_bytes(envelope.signature)
    KEY.save(tmp_path / "key.pem")

    def openssl(*arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["openssl", *arguments], cwd=tmp_path, capture_output=True, check=False
        )

    assert openssl("pkey", "-in", "key.pem", "-pubout", "-out", "public.pem").returncode == 0
    verify = (
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "public.pem",
        "-rawin",
        "-in",
        "message",
        "-sigfile",
        "signature",
    )
    assert openssl(*verify).returncode == 0
    (tmp_path / "message").write_bytes(message + b" ")
    assert openssl(*verify).returncode != 0


def test_the_pae_is_that_of_the_specification() -> None:
    """The example of the DSSE protocol, v1."""
    assert (
        pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_securesystemslib_accepts_and_verifies_the_envelope() -> None:
    from securesystemslib.dsse import Envelope as Outside
    from securesystemslib.signer import SSlibKey

    document = json.loads(FILE)
    keyid = document["signatures"][0]["keyid"]
    outside = Outside.from_dict(document)  # takes the document apart
    key = SSlibKey(keyid, "ed25519", "ed25519", {"public": KEY.public.hex()})
    assert outside.payload == CLAIM.envelope.payload
    assert outside.verify([key], 1)
    other = SSlibKey(key.keyid, "ed25519", "ed25519", {"public": OwnerKey.generate().public.hex()})
    with pytest.raises(Exception, match="threshold"):
        outside.verify([other], 1)


def test_the_payload_is_what_anyone_can_read() -> None:
    assert json.loads(base64.b64decode(json.loads(FILE)["payload"])) == payload()
    assert payload()["note"] == "Grüße, test"
