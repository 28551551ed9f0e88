"""What anybody can derive from a claim file: the forger's best guesses of its labels.

Written from docs/protocol.md alone, so that nothing here changes with the code under attack.
"""

import hashlib
import hmac
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wmx import Claim

WORD = 2**32


def best_guess(claim: Claim) -> NDArray[np.int64]:
    """Return the labels, int64 [n], as far as they follow from the claim.

    Of the draft wmx-2 these were all of them: its labels were drawn from the claim's digest alone.
    """
    return _uniform(b"wmx-2 labels" + _digest(claim), claim.n, claim.task.classes)


def guesses(claim: Claim) -> dict[str, NDArray[np.int64]]:
    """Return eight guesses, the best one first: as many as a verifier reads outputs of a file.

    The others are what wmx-3 would draw if a blinding value were missing, or followed from what is
    public.
    """
    key = _label_key(claim)
    n, classes = claim.n, claim.task.classes
    public_secret = _hkdf(claim.owner, claim.salt, b"wmx-3 trigger secret")

    def drawn(blind: Callable[[int], bytes]) -> NDArray[np.int64]:
        return np.concatenate(
            [
                _uniform(b"wmx-3 label" + key + _u32(index) + blind(index), 1, classes)
                for index in range(n)
            ]
        )

    def blinds(secret: bytes) -> NDArray[np.int64]:
        return drawn(lambda index: hashlib.shake_256(secret + b"blind" + _u32(index)).digest(32))

    return {
        "as wmx-2 drew them": best_guess(claim),
        "one stream of the label key": _uniform(b"wmx-3 label" + key, n, classes),
        "without a blinding value": drawn(lambda _: b""),
        "a blinding value of zeros": drawn(lambda _: bytes(32)),
        "blinding values from the salt": blinds(claim.salt),
        "blinding values from the root": blinds(claim.root),
        "blinding values from the digest": blinds(_digest(claim)),
        "the public key in place of the private one": blinds(public_secret),
    }


def guessed_secrets(claim: Claim) -> list[bytes]:
    """Return what a forger tries as the trigger secret, from which triggers of a family follow."""
    return [
        claim.salt,
        claim.root,
        claim.owner,
        _digest(claim),
        bytes(32),
        hashlib.sha256(claim.salt).digest(),
        _hkdf(claim.owner, claim.salt, b"wmx-2 trigger secret"),
        _hkdf(claim.owner, claim.salt, b"wmx-3 trigger secret"),
    ]


def _label_key(claim: Claim) -> bytes:
    return hashlib.scrypt(
        _digest(claim), salt=b"wmx-3 labels", n=4096, r=8, p=1, dklen=32, maxmem=2**26
    )


def _digest(claim: Claim) -> bytes:
    return hashlib.sha256(claim.envelope.payload).digest()


def _uniform(seed: bytes, count: int, bound: int) -> NDArray[np.int64]:
    """Return ``uniform(seed, count, bound)`` of the page's notation."""
    limit = WORD - WORD % bound
    stream = hashlib.shake_256(seed).digest(8 * count + 64)
    words = (int.from_bytes(stream[at : at + 4], "big") for at in range(0, len(stream), 4))
    accepted = [word % bound for word in words if word < limit]
    return np.array(accepted[:count], np.int64)


def _hkdf(key: bytes, salt: bytes, info: bytes) -> bytes:
    """Return 32 bytes of HKDF-SHA256 (RFC 5869)."""
    extracted = hmac.digest(salt, key, "sha256")
    return hmac.digest(extracted, info + b"\x01", "sha256")


def _u32(value: int) -> bytes:
    return value.to_bytes(4, "big")
