"""Encryption of the trigger family in the public claim, so that only the owner can read it.

A thief who knew the family could draw inputs from it, to filter them out in front of a stolen model
or to train the model until it forgets them.  So the claim does not reveal what the triggers are,
and neither does its length: the text is padded to 256 bytes times a power of two.
"""

import hmac
import struct
from collections.abc import Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from wmx.errors import IntegrityError
from wmx.protocol import jcs
from wmx.protocol.encoding import u32

NONCE_BYTES = 12
TAG_BYTES = 16
SMALLEST = 256


def seal_family(description: Mapping[str, Any], key: bytes) -> bytes:
    """Encrypt the description of a trigger family (:meth:`wmx.triggers.Generator.describe`).

    ChaCha20-Poly1305 (RFC 8439).  The nonce is a MAC of the padded text under a key of its own, so
    that the same claim can be made again, and no nonce ever encrypts two texts.

    Args:
        description: an object that RFC 8785 can write.
        key: 64 bytes, :meth:`wmx.protocol.keys.OwnerKey.family_key`: half encrypts, half
            authenticates.

    Returns:
        nonce, ciphertext and tag.
    """
    return _seal(jcs.dumps(dict(description)), key)


def _seal(text: bytes, key: bytes) -> bytes:
    padded = (u32(len(text)) + text).ljust(_padded_size(4 + len(text)), b"\0")
    nonce = hmac.digest(key[32:], padded, "sha256")[:NONCE_BYTES]
    return nonce + ChaCha20Poly1305(key[:32]).encrypt(nonce, padded, None)


def unseal_family(sealed: bytes, key: bytes) -> Any:
    """Return the description that :func:`seal_family` encrypted.

    A description has one sealed form, whose nonce, padding and length follow from it: any other
    could encrypt two texts with one nonce, or reveal something by its length.

    Args:
        sealed: nonce, ciphertext and tag.
        key: 64 bytes, :meth:`wmx.protocol.keys.OwnerKey.family_key`.

    Raises:
        IntegrityError: it was encrypted under another key or otherwise, or changed, or holds no
            JSON.
    """
    nonce, rest = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
    try:
        padded = ChaCha20Poly1305(key[:32]).decrypt(nonce, rest, None)
        (size,) = struct.unpack_from(">I", padded)
    except (InvalidTag, ValueError, struct.error):
        raise IntegrityError(
            "the trigger family in the claim is not encrypted under this owner key",
            hint="use the key that made the claim",
        ) from None
    text = padded[4 : 4 + size]
    if _seal(text, key) != sealed:
        raise IntegrityError(
            "the trigger family in the claim has another nonce, padding or length than wmx gives it"
        )
    return jcs.loads(text, "the claim's trigger family")


def has_sealed_form(sealed: bytes) -> bool:
    """Return whether bytes have a length that :func:`seal_family` writes."""
    padded = len(sealed) - NONCE_BYTES - TAG_BYTES
    return padded >= SMALLEST and padded == _padded_size(padded)


def _padded_size(size: int) -> int:
    """Return the smallest 256 times a power of two that is at least ``size``."""
    return max(SMALLEST, 1 << (size - 1).bit_length())
