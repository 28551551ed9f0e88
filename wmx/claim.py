"""The claim: the signed public file made before training (docs/protocol.md)."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from wmx import canonical
from wmx.dsse import Envelope
from wmx.encoding import decode_base64, decode_hex32, encode_base64
from wmx.errors import CannotRunError, IntegrityError, UsageError
from wmx.files import read_bytes, write_bytes
from wmx.keys import OwnerKey
from wmx.labels import derive_labels, label_key
from wmx.locking import locked
from wmx.task import Task
from wmx.triggers.sealing import has_sealed_form, seal_family, unseal_family

SCHEME = "wmx-3"
PAYLOAD_TYPE = "application/vnd.wmx.claim+json"
FORGEABLE_SCHEMES = ("wmx-1", "wmx-2")
FORGEABLE_HINT = "claims of this draft could be forged (docs/protocol.md): embed a new claim"
NEWER_HINT = "a newer wmx may read it: pip install --upgrade wmx"
MAX_CLAIM_BYTES = 64 * 1024**2
MAX_TRIGGERS = 1_000_000
MAX_TIMESTAMPS = 16
CREATED = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


@dataclass(frozen=True, repr=False)
class Claim:
    """What an owner commits to, and the envelope that proves it.

    Attributes:
        task: the model's inputs and classes.
        sealed_family: name and parameters of the trigger family, encrypted
            (:mod:`wmx.triggers.sealing`).
        n: number of triggers.
        salt: 32 random bytes; with the owner key they give the trigger secret.
        root: 32 bytes, Merkle root over all triggers.
        owner: 32 bytes, raw Ed25519 public key.
        created: the owner's own word on the time, ``YYYY-MM-DDThh:mm:ssZ``; proves nothing.
        note: free text.
        envelope: what was signed.
        timestamps: RFC 3161 responses over the signature, as their authorities gave them
            (:mod:`wmx.timestamp`); worth nothing before they are verified.
    """

    task: Task
    sealed_family: bytes
    n: int
    salt: bytes
    root: bytes
    owner: bytes
    created: str
    note: str
    envelope: Envelope
    timestamps: tuple[bytes, ...] = ()

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
            family: what :meth:`wmx.triggers.Generator.describe` says.
        """
        payload = canonical.dumps(
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
    def from_bytes(cls, data: bytes, what: str = "claim") -> Self:
        """Parse and verify a claim file; as :meth:`from_json`.

        Raises:
            IntegrityError: not canonical JSON too.
        """
        return cls.from_json(canonical.loads(data, what), what)

    @classmethod
    def from_json(cls, file: Any, what: str = "claim") -> Self:
        """Verify the object that a claim file holds.

        The owner's public key is read from the payload, the signature is checked under it, and
        only then is anything else of the payload believed.

        Raises:
            IntegrityError: not a claim, changed after signing, or of an unknown scheme.
        """
        envelope, timestamps = _parts(file, what)
        document = canonical.loads(envelope.payload, f"payload of {what}")
        try:
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

    def to_json(self) -> dict[str, Any]:
        """Return the object that the file holds: the envelope, and timestamps if there are any."""
        stamps = [
            {"response": encode_base64(response), "sha256": hashlib.sha256(response).hexdigest()}
            for response in self.timestamps
        ]
        return self.envelope.to_json() | ({"timestamps": stamps} if stamps else {})

    def to_bytes(self) -> bytes:
        """Return the file."""
        return canonical.dumps(self.to_json())

    def with_timestamps(self, responses: Iterable[bytes]) -> Self:
        """Return this claim with these RFC 3161 responses too, each kept once.

        Raises:
            UsageError: more than :data:`MAX_TIMESTAMPS`.
        """
        timestamps = tuple(dict.fromkeys([*self.timestamps, *responses]))
        if len(timestamps) > MAX_TIMESTAMPS:
            raise UsageError(f"a claim holds at most {MAX_TIMESTAMPS} timestamps")
        return replace(self, timestamps=timestamps)

    def dated_by_both(self, copy: "Claim") -> Self:
        """Return this claim with the timestamps of a copy of it too, to be dated and not written.

        So without the limit of a file: whoever fills one copy with junk takes none from the other.
        """
        return replace(self, timestamps=tuple(dict.fromkeys(self.timestamps + copy.timestamps)))

    def keep_timestamps(self, path: str | Path, responses: Iterable[bytes]) -> Self:
        """Add RFC 3161 responses to the file of this claim; return the claim as it is there then.

        Read, changed and written under a lock, in the file ``.NAME.lock`` beside it: of several
        processes that add to it at once, none loses what another has added.

        Raises:
            CannotRunError: the file cannot be read or written.
            IntegrityError: it is damaged, or holds another claim by now.
            UsageError: more than :data:`MAX_TIMESTAMPS`.
        """
        lock = Path(path).with_name(f".{Path(path).name}.lock")
        try:
            with locked(lock):
                kept = type(self).load(path)
                if kept.envelope != self.envelope:
                    raise IntegrityError(
                        f"{path} holds the claim {kept.digest} by now, expected {self.digest}",
                        hint="repeat the command if that is the claim that is meant",
                    )
                dated = kept.with_timestamps(responses)
                dated.save(path, force=True)
        except OSError as error:
            raise CannotRunError(
                f"cannot lock {path}: {error.strerror}",
                hint=f"its folder has to be writable, and so has the file {lock.name} in it",
            ) from None
        return dated

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the signed file; raises :class:`CannotRunError` if it exists."""
        write_bytes(path, self.to_bytes(), force=force)

    @property
    def digest(self) -> str:
        """SHA-256 of the signed payload in hexadecimal: the claim's name everywhere."""
        return hashlib.sha256(self.envelope.payload).hexdigest()

    def family(self, key: OwnerKey) -> Any:
        """Return what the claim says of its trigger family, which its owner alone can read.

        Raises:
            IntegrityError: it is another's claim.
        """
        if key.public != self.owner:
            raise IntegrityError(
                "this owner key did not make this claim",
                hint="the claim names its owner: wmx info claim.json",
            )
        return unseal_family(self.sealed_family, key.family_key(self.salt))

    def labels(self, blinds: Sequence[bytes], start: int = 0) -> NDArray[np.int64]:
        """Return the labels of triggers from ``start`` on, int64 [len(blinds)].

        Args:
            blinds: the blinding value of each, which only its opening discloses.
            start: index of the first.
        """
        key = label_key(bytes.fromhex(self.digest))
        return derive_labels(key, blinds, self.task.classes, start)


def now_text() -> str:
    """Return the present time, UTC, ``YYYY-MM-DDThh:mm:ssZ``."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _parts(file: Any, what: str) -> tuple[Envelope, tuple[bytes, ...]]:
    """Take the timestamps of a claim file from its envelope.

    No signature of the owner covers them, and CMS leaves some of their bytes free; the SHA-256
    beside each makes a damaged timestamp a broken file, not a date that is gone in silence.
    """
    if not isinstance(file, dict) or "timestamps" not in file:
        return Envelope.from_json(file, what), ()
    stamps = file["timestamps"]
    try:
        if not 1 <= len(stamps) <= MAX_TIMESTAMPS:
            raise ValueError(f"expected 1 to {MAX_TIMESTAMPS}")
        responses = tuple(_stamp(stamp) for stamp in stamps)
        if len(set(responses)) < len(responses):
            raise ValueError("one is there twice")
    except (TypeError, ValueError, KeyError) as error:
        raise IntegrityError(
            f"a timestamp of {what} is damaged: {error}", hint=canonical.UNCHANGED_HINT
        ) from None
    envelope = {field: value for field, value in file.items() if field != "timestamps"}
    return Envelope.from_json(envelope, what), responses


def _stamp(value: Any) -> bytes:
    response = decode_base64(value["response"])
    if set(value) != {"response", "sha256"}:
        raise ValueError("unknown fields")
    if hashlib.sha256(response).hexdigest() != value["sha256"]:
        raise ValueError("its SHA-256 is another")
    return response


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
