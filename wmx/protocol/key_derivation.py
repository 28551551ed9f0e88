"""Bounds on the key derivation of passphrase-protected key files (PKCS#8, RFC 5958, RFC 8018).

The file itself says how often the passphrase is hashed.  A hostile file would name a number that
no machine ever finishes, so the parameters are checked before a key is derived.
"""

from collections.abc import Iterator
from math import prod

from wmx._internal.der import INTEGER, OBJECT, SEQUENCE, Element, MalformedError, elements

SCRYPT = bytes.fromhex("2b06010401da47040b")  # 1.3.6.1.4.1.11591.4.11, RFC 7914
MAX_ROUNDS = 10_000_000  # some seconds of PBKDF2
MAX_SCRYPT = 2**23  # N r p: some seconds and at most 1 GiB
MAX_DEPTH = 8


class CostlyError(ValueError):
    """The key derivation costs more than that of any honest key."""


def require_affordable(der: bytes) -> None:
    """Refuse an EncryptedPrivateKeyInfo whose key derivation would take too long.

    Args:
        der: of the file, untrusted.

    Raises:
        CostlyError: more than :data:`MAX_ROUNDS` rounds, or N r p of scrypt above
            :data:`MAX_SCRYPT`.
        ValueError: not DER, or not of that form.
    """
    (outer,) = elements(der, 0, len(der))
    algorithm, _ = _inside(der, outer)
    values = list(_primitives(der, algorithm, MAX_DEPTH))
    integers = [int.from_bytes(value, "big") for tag, value in values if tag == INTEGER]
    if (OBJECT, SCRYPT) in values:
        if (cost := prod(integers[:3])) > MAX_SCRYPT:
            raise CostlyError(f"scrypt with N r p = {cost:,}, expected at most {MAX_SCRYPT:,}")
    elif (rounds := max(integers, default=0)) > MAX_ROUNDS:
        raise CostlyError(f"{rounds:,} rounds of hashing, expected at most {MAX_ROUNDS:,}")


def _primitives(der: bytes, sequence: Element, depth: int) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of what is inside nested sequences, in order."""
    if not depth:
        raise MalformedError("its sequences are nested too deeply")
    for element in _inside(der, sequence):
        if element.tag == SEQUENCE:
            yield from _primitives(der, element, depth - 1)
        else:
            yield element.tag, der[element.content : element.end]


def _inside(der: bytes, sequence: Element) -> Iterator[Element]:
    if sequence.tag != SEQUENCE:
        raise MalformedError("a sequence was expected")
    return elements(der, sequence.content, sequence.end)
