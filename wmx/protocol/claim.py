"""The claim: the owner's signed public file, made before training (docs/protocol.md)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from wmx.errors import NEWER_HINT, IntegrityError
from wmx.protocol import jcs
from wmx.protocol.dsse import Envelope
from wmx.protocol.encoding import decode_base64, decode_hex32, encode_base64
from wmx.protocol.keys import OwnerKey
from wmx.protocol.labels import derive_labels, label_key
from wmx.protocol.sealing import has_sealed_form, seal_family, unseal_family
from wmx.protocol.stamped import Stamped, envelope_and_timestamps
from wmx.protocol.task import Task

SCHEME = "wmx-3"
PAYLOAD_TYPE = "application/vnd.wmx.claim+json"
FORGEABLE_SCHEMES = ("wmx-1", "wmx-2")
FORGEABLE_HINT = "claims of this draft could be forged (docs/protocol.md): embed a new claim"
MAX_CLAIM_BYTES = 64 * 1024**2
MAX_TRIGGERS = 1_000_000
CREATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True, repr=False)
class Claim(Stamped):
    """A verified claim: what an owner commits to, and the signed envelope.

    Attributes:
        task: the model's inputs and classes.
        sealed_family: name and parameters of the trigger family, encrypted
            (:mod:`wmx.protocol.sealing`).
        n: number of triggers.
        salt: 32 random bytes; with the owner key they give the trigger secret.
        root: 32 bytes, Merkle root over all triggers.
        owner: 32 bytes, raw Ed25519 public key.
        created: the time that the owner states, ``YYYY-MM-DDThh:mm:ssZ``; proves nothing.
        note: free text of the owner.

    >>> from wmx import Claim, OwnerKey, Watermark
    >>> owner = OwnerKey.generate()
    >>> Watermark.new(owner, shape=(8, 8, 1), classes=10).claim.save("claim.json")
    >>> claim = Claim.load("claim.json")
    >>> Watermark.open(claim, owner).claim == claim
    True
    """

    KIND: ClassVar[str] = "claim"
    MAX_BYTES: ClassVar[int] = MAX_CLAIM_BYTES

    task: Task
    sealed_family: bytes
    n: int
    salt: bytes
    root: bytes
    owner: bytes
    created: str
    note: str

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.task.shape))
        return f"Claim({self.digest[:16]}, {self.task.kind} {shape}, {self.task.classes} classes)"

    @classmethod
    def sign(
        cls,
        key: OwnerKey,
        *,
        task: Task,
        family: Mapping[str, Any],
        n: int,
        salt: bytes,
        root: bytes,
        created: str | None = None,
        note: str = "",
    ) -> Self:
        """Make and sign a claim; ``created`` defaults to now.

        Args:
            key: signs, and encrypts ``family``.
            task, n, salt, root, created, note: as the attributes.
            family: result of :meth:`wmx.triggers.Generator.describe`.
        """
        payload = jcs.dumps(
            {
                "scheme": SCHEME,
                "task": task.to_json(),
                "family": encode_base64(seal_family(family, key.family_key(salt))),
                "n": n,
                "salt": salt.hex(),
                "root": root.hex(),
                "owner": key.public.hex(),
                "created": created or now_text(),
                "note": note,
            }
        )
        return cls.from_json(Envelope.seal(PAYLOAD_TYPE, payload, key).to_json())

    @classmethod
    def from_json(cls, file: Any, what: str = "") -> Self:
        """Verify and read the JSON object of a claim file.

        The owner's public key is read from the payload and the signature is checked with it before
        anything else of the payload is used.

        Args:
            file: the parsed JSON.
            what: the file's name in error messages.

        Raises:
            IntegrityError: not a claim, changed after signing, or of an unknown scheme.
        """
        what = what or cls.KIND
        envelope, timestamps = envelope_and_timestamps(file, what)
        envelope.require_kind("a claim", what)
        document = jcs.loads(envelope.payload, f"payload of {what}")
        with jcs.fields_of(what):
            owner = decode_hex32(document["owner"])
            envelope.verified_payload(PAYLOAD_TYPE, owner, what)
            if document["scheme"] != SCHEME:
                raise IntegrityError(
                    f"{what} is of scheme {document['scheme']!r}, expected {SCHEME!r}",
                    hint=FORGEABLE_HINT if document["scheme"] in FORGEABLE_SCHEMES else NEWER_HINT,
                )
            return cls(
                task=Task.from_json(document["task"]),
                sealed_family=_sealed(document["family"]),
                n=_trigger_count(document["n"]),
                salt=decode_hex32(document["salt"]),
                root=decode_hex32(document["root"]),
                owner=owner,
                created=checked_time(document["created"]),
                note=_text(document["note"]),
                envelope=envelope,
                timestamps=timestamps,
            )

    def family(self, key: OwnerKey) -> Any:
        """Decrypt the description of the trigger family.

        Args:
            key: of the claim's owner.

        Raises:
            IntegrityError: the key is not that of the claim.
        """
        if key.public != self.owner:
            raise IntegrityError(
                f"the claim {self.digest} was made with another owner key, {self.owner.hex()}, "
                f"expected {key.public.hex()}",
                hint="name the key that made it with --key; wmx info FILE shows the owner of a "
                "claim and the public part of a key",
                in_python="open it with the key that made it: claim.owner and owner.public agree",
            )
        return unseal_family(self.sealed_family, key.family_key(self.salt))

    def labels(self, blinds: Sequence[bytes], start: int = 0) -> NDArray[np.int64]:
        """Return the labels of consecutive triggers, int64 [len(blinds)].

        Args:
            blinds: 32 bytes each, secret until the trigger is opened.
            start: index of the first trigger.
        """
        key = label_key(bytes.fromhex(self.digest))
        return derive_labels(key, blinds, self.task.classes, start)


def now_text() -> str:
    """Return the present time, UTC, ``YYYY-MM-DDThh:mm:ssZ``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _trigger_count(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_TRIGGERS:
        raise ValueError(f"n is {value!r}, expected 1 to {MAX_TRIGGERS:,}")
    return value


def checked_time(value: Any) -> str:
    """Return ``value`` if it is a time ``YYYY-MM-DDThh:mm:ssZ`` of the calendar.

    Raises:
        TypeError, ValueError: it is anything else.
    """
    if not CREATED.fullmatch(_text(value)):
        raise ValueError(f"created is {value!r}, expected YYYY-MM-DDThh:mm:ssZ")
    datetime.fromisoformat(value)
    return str(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"found {type(value).__name__}, expected a string")
    return value


def _sealed(value: Any) -> bytes:
    sealed = decode_base64(value)
    if not has_sealed_form(sealed):
        raise ValueError(f"an encrypted trigger family of {len(sealed)} bytes")
    return sealed
