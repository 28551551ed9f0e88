"""A signed file with timestamps beside its signature: what claims and release records share.

No signature of the owner covers the timestamps, which are made after it.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

from wmx._internal.file_lock import locked
from wmx._internal.files import read_bytes
from wmx._internal.writing import write_bytes
from wmx.errors import CannotRunError, IntegrityError, UsageError
from wmx.protocol import jcs
from wmx.protocol.dsse import Envelope
from wmx.protocol.encoding import decode_base64, encode_base64
from wmx.protocol.replacing import require_output

MAX_TIMESTAMPS = 16
MAX_RESPONSE_BYTES = 64 * 1024  # authorities answer a few KiB; no signature covers what is padded
MAX_RESPONSE_TEXT = -(-MAX_RESPONSE_BYTES // 3) * 4  # base64


@dataclass(frozen=True, repr=False, kw_only=True)
class Stamped(ABC):
    """A signed file whose signature can be dated.

    Attributes:
        envelope: what was signed.
        timestamps: RFC 3161 responses over the signature, as their authorities gave them
            (:mod:`wmx.protocol.timestamp`); worth nothing before they are verified.
    """

    KIND: ClassVar[str]  # what errors call such a file
    MAX_BYTES: ClassVar[int]

    envelope: Envelope
    timestamps: tuple[bytes, ...] = ()

    @classmethod
    @abstractmethod
    def from_json(cls, file: Any, what: str = "") -> Self:
        """Verify the object that a file holds.

        Args:
            file: the object.
            what: its name in errors; :attr:`KIND` if empty.

        Raises:
            IntegrityError: it is of another kind, changed after signing, or of an unknown version.
        """

    @classmethod
    def from_bytes(cls, data: bytes, what: str = "") -> Self:
        """Parse and verify a file; as :meth:`from_json`, and it must be canonical JSON."""
        what = what or cls.KIND
        return cls.from_json(jcs.loads(data, what), what)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a file.  Raises :class:`CannotRunError` or as :meth:`from_bytes`."""
        return cls.from_bytes(read_bytes(path, cls.KIND, cls.MAX_BYTES), f"{cls.KIND} {path}")

    @property
    def digest(self) -> str:
        """SHA-256 of the signed payload, hexadecimal: what identifies the file everywhere."""
        return hashlib.sha256(self.envelope.payload).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Return the object that the file holds: the envelope, and timestamps if there are any."""
        stamps = [
            {"response": encode_base64(response), "sha256": hashlib.sha256(response).hexdigest()}
            for response in self.timestamps
        ]
        return self.envelope.to_json() | ({"timestamps": stamps} if stamps else {})

    def to_bytes(self) -> bytes:
        """Return the file."""
        return jcs.dumps(self.to_json())

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the signed file.

        Args:
            path: where to write.
            force: replace an existing file of this kind.

        Raises:
            CannotRunError: the file exists and ``force`` is not set, or it is of another kind; or
                cannot be written.
        """
        require_output(path, f"a {self.KIND}", force=force)
        write_bytes(path, self.to_bytes(), force=force)

    def with_timestamps(self, responses: Iterable[bytes]) -> Self:
        """Return this file with these RFC 3161 responses added, each once.

        Raises:
            UsageError: more than :data:`MAX_TIMESTAMPS`, or one is longer than
                :data:`MAX_RESPONSE_BYTES`.
        """
        timestamps = tuple(dict.fromkeys([*self.timestamps, *responses]))
        longest = max(map(len, timestamps), default=0)
        if longest > MAX_RESPONSE_BYTES:
            raise UsageError(
                f"a timestamp has {longest:,} bytes, expected at most {MAX_RESPONSE_BYTES:,}"
            )
        if len(timestamps) > MAX_TIMESTAMPS:
            raise UsageError(f"a {self.KIND} holds at most {MAX_TIMESTAMPS} timestamps")
        return replace(self, timestamps=timestamps)

    def dated_by_both(self, copy: "Stamped") -> Self:
        """Return this file with the timestamps of a copy added, to be dated.

        The limit of a file does not apply: a copy full of junk must not push out other timestamps.
        Before it is written, :func:`wmx.protocol.timestamp_order.within_limit` chooses.
        """
        return replace(self, timestamps=tuple(dict.fromkeys(self.timestamps + copy.timestamps)))

    def update(self, path: str | Path, change: Callable[[Self], Self]) -> Self:
        """Change the timestamps of the file on disk, and return what it holds then.

        The file is read, changed and written under the lock ``.NAME.lock`` beside it: if several
        processes add to it at once, nothing that one of them has added is lost.

        Args:
            path: the file, which has to hold what this object holds.
            change: is given what the file holds, and returns what it is to hold.

        Raises:
            CannotRunError: the file cannot be read or written.
            IntegrityError: it is damaged, or holds something else meanwhile.
        """
        lock = Path(path).with_name(f".{Path(path).name}.lock")
        try:
            with locked(lock):
                kept = type(self).load(path)
                if kept.envelope != self.envelope:
                    raise IntegrityError(
                        f"{path} now holds the {self.KIND} {kept.digest}, expected {self.digest}",
                        hint=f"repeat the command if this is the {self.KIND} that you mean",
                    )
                changed = change(kept)
                if changed != kept:
                    changed.save(path, force=True)
        except OSError as error:
            raise CannotRunError(
                f"cannot lock {path}: {error.strerror}",
                hint=f"its folder has to be writable, and so has the file {lock.name} in it",
            ) from None
        return changed


def envelope_and_timestamps(file: Any, what: str) -> tuple[Envelope, tuple[bytes, ...]]:
    """Split a file into its envelope and its timestamps.

    Some bytes of a timestamp can change without notice (CMS); by the SHA-256 beside each, a damaged
    timestamp makes the file a broken one, rather than removing a date silently.

    Args:
        file: the object that the file holds.
        what: its name in errors.

    Raises:
        IntegrityError: not such a file, or a timestamp is damaged or longer than
            :data:`MAX_RESPONSE_BYTES`.
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
            f"a timestamp of {what} is damaged: {error}", hint=jcs.UNCHANGED_HINT
        ) from None
    envelope = {field: value for field, value in file.items() if field != "timestamps"}
    return Envelope.from_json(envelope, what), responses


def _stamp(value: Any) -> bytes:
    text = value["response"]
    if len(text) > MAX_RESPONSE_TEXT:
        raise ValueError(f"expected at most {MAX_RESPONSE_BYTES:,} bytes")
    response = decode_base64(text)
    if len(response) > MAX_RESPONSE_BYTES:
        raise ValueError(f"expected at most {MAX_RESPONSE_BYTES:,} bytes")
    if set(value) != {"response", "sha256"}:
        raise ValueError("unknown fields")
    if hashlib.sha256(response).hexdigest() != value["sha256"]:
        raise ValueError("its SHA-256 is another")
    return response
