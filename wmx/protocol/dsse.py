"""Signed envelopes: DSSE v1 with exactly one Ed25519 signature.

Specification: https://github.com/secure-systems-lab/dsse, protocol 1.0.2.  wmx is stricter than it
in two ways: the file itself has to be in RFC 8785 form, and fields that the specification does not
name are refused, so that no byte of a file can be changed unnoticed.
"""

import binascii
from dataclasses import dataclass
from typing import Any, Self

from wmx.errors import IntegrityError
from wmx.protocol import jcs
from wmx.protocol.encoding import decode_base64, encode_base64
from wmx.protocol.file_kind import kind_of_payload
from wmx.protocol.keys import OwnerKey, fingerprint, signature_is_valid

ENVELOPE_FIELDS = {"payload", "payloadType", "signatures"}
SIGNATURE_FIELDS = {"keyid", "sig"}


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """Return the bytes that are signed (PAE).

    Args:
        payload_type: media type of the payload.
        payload: of the envelope.
    """
    kind = payload_type.encode("utf-8")
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True)
class Envelope:
    """A parsed envelope.  Trust its payload only from :meth:`verified_payload`."""

    payload_type: str
    payload: bytes
    keyid: str
    signature: bytes

    @classmethod
    def seal(cls, payload_type: str, payload: bytes, key: OwnerKey) -> Self:
        """Sign a payload.

        Args:
            payload_type: media type of the payload.
            payload: to sign.
            key: the owner key.
        """
        signature = key.sign(pre_authentication_encoding(payload_type, payload))
        return cls(payload_type, payload, fingerprint(key.public), signature)

    @classmethod
    def from_json(cls, document: Any, what: str) -> Self:
        """Read the JSON object of an envelope; checks no signature.

        Args:
            document: the parsed JSON.
            what: the file's name in error messages.

        Raises:
            IntegrityError: a field missing, unknown or of the wrong type, bad base64, or any number
                of signatures but one.
        """
        try:
            (signature,) = document["signatures"]
            if set(document) != ENVELOPE_FIELDS or set(signature) != SIGNATURE_FIELDS:
                raise ValueError("unknown fields, which no signature covers")
            return cls(
                payload_type=_string(document["payloadType"]),
                payload=decode_base64(document["payload"]),
                keyid=_string(signature["keyid"]),
                signature=decode_base64(signature["sig"]),
            )
        except (KeyError, TypeError, ValueError, binascii.Error):
            raise IntegrityError(
                f"{what} is not a DSSE envelope with exactly one signature",
                hint="see what the file is with: wmx info FILE",
            ) from None

    @classmethod
    def from_bytes(cls, data: bytes, what: str) -> Self:
        """Parse the file of an envelope; as :meth:`from_json`, and it must be canonical JSON."""
        return cls.from_json(jcs.loads(data, what), what)

    def to_json(self) -> dict[str, Any]:
        """Return the envelope as a JSON object."""
        return {
            "payload": encode_base64(self.payload),
            "payloadType": self.payload_type,
            "signatures": [{"keyid": self.keyid, "sig": encode_base64(self.signature)}],
        }

    def to_bytes(self) -> bytes:
        """Return the envelope as the bytes of a file."""
        return jcs.dumps(self.to_json())

    def require_kind(self, kind: str, what: str) -> None:
        """Refuse what is signed but another kind of file, before any field of it is looked for.

        Args:
            kind: expected, in the words of :func:`kind_of_payload`.
            what: the file, for errors.

        Raises:
            IntegrityError: it is one of the other kinds.
        """
        found = kind_of_payload(self.payload_type, self.payload)
        if found not in (None, kind):
            raise IntegrityError(f"{what} is {found}, expected {kind}", hint=jcs.KIND_HINT)

    def verified_payload(self, payload_type: str, public: bytes, what: str) -> bytes:
        """Return the payload after checking its type and signature.

        Args:
            payload_type: expected media type.
            public: 32 bytes, the public key of the expected signer.
            what: the file's name in error messages.

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
                hint=jcs.UNCHANGED_HINT,
            )
        return self.payload


def _string(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"found {type(value).__name__}, expected a string")
    return value
