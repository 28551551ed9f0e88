"""The claim: the signed public file made before training (docs/protocol.md)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from wmx import canonical
from wmx.dsse import Envelope
from wmx.errors import IntegrityError
from wmx.files import read_bytes, write_bytes
from wmx.keys import OwnerKey
from wmx.task import Task

SCHEME = "wmx-1"
PAYLOAD_TYPE = "application/vnd.wmx.claim+json"
MAX_CLAIM_BYTES = 64 * 1024**2
MAX_TRIGGERS = 1_000_000
CREATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True, repr=False)
class Claim:
    """What an owner commits to, and the envelope that proves it.

    Attributes:
        task: the model's inputs and classes.
        generator: name and parameters of the trigger family.
        n: number of triggers.
        salt: 32 random bytes; with the owner key they give the trigger secret.
        root: 32 bytes, Merkle root over all triggers.
        owner: 32 bytes, raw Ed25519 public key.
        created: the owner's own word on the time, ``YYYY-MM-DDThh:mm:ssZ``; proves nothing.
        note: free text.
        envelope: the signed file.
    """

    task: Task
    generator: Mapping[str, Any]
    n: int
    salt: bytes
    root: bytes
    owner: bytes
    created: str
    note: str
    envelope: Envelope

    def __repr__(self) -> str:
        shape = "x".join(map(str, self.task.shape))
        return f"Claim({self.digest[:16]}, {self.task.kind} {shape}, {self.task.classes} classes)"

    @classmethod
    def sign(
        cls,
        key: OwnerKey,
        *,
        task: Task,
        generator: Mapping[str, Any],
        n: int,
        salt: bytes,
        root: bytes,
        created: str | None = None,
        note: str = "",
    ) -> Self:
        """Make and sign a claim; ``created`` defaults to now."""
        payload = canonical.dumps(
            {
                "scheme": SCHEME,
                "task": task.to_json(),
                "generator": dict(generator),
                "n": n,
                "salt": salt.hex(),
                "root": root.hex(),
                "owner": key.public.hex(),
                "created": created or datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "note": note,
            }
        )
        return cls.from_bytes(Envelope.seal(PAYLOAD_TYPE, payload, key).to_bytes())

    @classmethod
    def from_bytes(cls, data: bytes, what: str = "claim") -> Self:
        """Parse and verify a claim.

        The owner's public key is read from the payload, the signature is checked under it, and
        only then is anything else of the payload believed.

        Raises:
            IntegrityError: not a claim, changed after signing, or of an unknown scheme.
        """
        envelope = Envelope.from_bytes(data, what)
        document = canonical.loads(envelope.payload, f"payload of {what}")
        try:
            owner = _hex32(document["owner"])
            envelope.verified_payload(PAYLOAD_TYPE, owner, what)
            if document["scheme"] != SCHEME:
                raise IntegrityError(
                    f"{what} is of scheme {document['scheme']!r}, expected {SCHEME!r}",
                    hint="a newer wmx may read it: pip install --upgrade wmx",
                )
            return cls(
                task=Task.from_json(document["task"]),
                generator=_mapping(document["generator"]),
                n=_trigger_count(document["n"]),
                salt=_hex32(document["salt"]),
                root=_hex32(document["root"]),
                owner=owner,
                created=_created(document["created"]),
                note=_text(document["note"]),
                envelope=envelope,
            )
        except KeyError as error:
            raise IntegrityError(
                f"{what} lacks the field {error}", hint=canonical.UNCHANGED_HINT
            ) from None
        except (TypeError, ValueError) as error:
            raise IntegrityError(
                f"{what} holds a malformed field: {error}", hint=canonical.UNCHANGED_HINT
            ) from None

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a claim file.  Raises :class:`CannotRunError` or as :meth:`from_bytes`."""
        return cls.from_bytes(read_bytes(path, "claim", MAX_CLAIM_BYTES), f"claim {path}")

    def to_bytes(self) -> bytes:
        """Return the signed file."""
        return self.envelope.to_bytes()

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the signed file; raises :class:`CannotRunError` if it exists."""
        write_bytes(path, self.to_bytes(), force=force)

    @property
    def is_over_own_images(self) -> bool:
        """Whether the triggers are the owner's own images, which no key can rebuild."""
        return bool(self.generator.get("name") == "folder")

    @property
    def digest(self) -> str:
        """SHA-256 of the signed payload in hexadecimal: the claim's name everywhere."""
        return hashlib.sha256(self.envelope.payload).hexdigest()


def _hex32(value: Any) -> bytes:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise ValueError("expected 64 lower-case hexadecimal digits")
    return bytes.fromhex(value)


def _trigger_count(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_TRIGGERS:
        raise ValueError(f"n is {value!r}, expected 1 to {MAX_TRIGGERS:,}")
    return value


def _created(value: Any) -> str:
    if not CREATED.fullmatch(_text(value)):
        raise ValueError(f"created is {value!r}, expected YYYY-MM-DDThh:mm:ssZ")
    return _text(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"found {type(value).__name__}, expected a string")
    return value


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"found {type(value).__name__}, expected an object")
    return value
