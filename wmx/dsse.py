"""DSSE v1 envelopes with exactly one Ed25519 signature.

Specification: https://github.com/secure-systems-lab/dsse, protocol 1.0.2.  wmx is stricter than it
in two ways: the file itself has to be in RFC 8785 form, and fields that the specification does not
name are refused, so that no byte of it is free to change.
"""

import base64
import binascii
from dataclasses import dataclass
from typing import Any, Self

from wmx import canonical
from wmx.errors import IntegrityError
from wmx.keys import OwnerKey, fingerprint, signature_is_valid

ENVELOPE_FIELDS = {"payload", "payloadType", "signatures"}
SIGNATURE_FIELDS = {"keyid", "sig"}


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed (PAE)."""
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True)
class Envelope:
    """A parsed envelope.  Its payload is worth nothing before :meth:`verified_payload`."""

    payload_type: str
    payload: bytes
    keyid: str
    signature: bytes

    @classmethod
    def seal(cls, payload_type: str, payload: bytes, key: OwnerKey) -> Self:
        """Sign ``payload`` with the owner key."""
        signature = key.sign(pre_authentication_encoding(payload_type, payload))
        return cls(payload_type, payload, fingerprint(key.public), signature)

    @classmethod
    def from_bytes(cls, data: bytes, what: str) -> Self:
        """Parse an envelope; ``what`` names it in errors.

        Raises:
            IntegrityError: not canonical JSON, a field missing or of the wrong type, bad base64,
                or any number of signatures but one.
        """
        document = canonical.loads(data, what)
        try:
            (signature,) = document["signatures"]
            if set(document) != ENVELOPE_FIELDS or set(signature) != SIGNATURE_FIELDS:
                raise ValueError("unknown fields, which no signature covers")
            return cls(
                payload_type=_string(document["payloadType"]),
                payload=_decode(document["payload"]),
                keyid=_string(signature["keyid"]),
                signature=_decode(signature["sig"]),
            )
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise IntegrityError(
                f"{what} is not a DSSE envelope with exactly one signature",
                hint="see what the file is with: wmx info FILE",
            ) from None

    def to_bytes(self) -> bytes:
        """Return the envelope as a file holds it."""
        return canonical.dumps(
            {
                "payload": _encode(self.payload),
                "payloadType": self.payload_type,
                "signatures": [{"keyid": self.keyid, "sig": _encode(self.signature)}],
            }
        )

    def verified_payload(self, payload_type: str, public: bytes, what: str) -> bytes:
        """Return the payload after checking its type and signature.

        Raises:
            IntegrityError: another payload type, another signer, or a bad signature.
        """
        if self.payload_type != payload_type:
            raise IntegrityError(
                f"{what} holds {self.payload_type!r}, expected {payload_type!r}",
                hint="see what the file is with: wmx info FILE",
            )
        message = pre_authentication_encoding(self.payload_type, self.payload)
        if self.keyid != fingerprint(public) or not signature_is_valid(
            public, self.signature, message
        ):
            raise IntegrityError(
                f"the signature of {what} is not its owner's: the file was changed after signing",
                hint=canonical.UNCHANGED_HINT,
            )
        return self.payload


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _decode(text: Any) -> bytes:
    """Decode standard base64, refusing every spelling but the one :func:`_encode` writes."""
    data = base64.b64decode(_string(text), validate=True)
    if _encode(data) != text:
        raise ValueError("base64 is not canonical")
    return data


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"found {type(value).__name__}, expected a string")
    return value
