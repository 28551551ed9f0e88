"""Dates: by when a file existed, as its timestamps prove, and by how much that may be off.

See docs/protocol.md.  :mod:`wmx.protocol.timestamp` verifies the timestamps.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

# of a timestamp that states none; authorities under ETSI EN 319 421 keep within a second
UNSTATED_ACCURACY = timedelta(minutes=1)
FIRST_WORD = datetime(1970, 1, 1, tzinfo=UTC)  # what states an earlier time is no younger for that


@dataclass(frozen=True)
class Dating:
    """What the timestamps of a file prove to somebody who trusts certain root certificates.

    Attributes:
        time: of the trusted timestamp that proves existence the earliest, UTC; ``None`` if none is
            trusted.
        authority: issuer of the certificate of the authority that gave it.
        accuracy: by how much its time may be off, in either direction.
        refused: why other timestamps do not count, one sentence each.
    """

    time: datetime | None = None
    authority: str = ""
    refused: tuple[str, ...] = ()
    accuracy: timedelta = timedelta()

    @property
    def is_trusted(self) -> bool:
        """Whether there is a trusted timestamp."""
        return self.time is not None

    def is_before(self, other: "Dating") -> bool:
        """Say whether this date is earlier than another, by more than both may be off.

        Two timestamps have an order only if they are further apart than the sum of their accuracies
        (RFC 3161, section 2.4.2).  A missing date is neither earlier nor later than any.
        """
        if self.time is None or other.time is None:
            return False
        return self.time + self.accuracy < other.time - other.accuracy

    @property
    def latest(self) -> datetime:
        """By when the file existed, at the latest.

        Raises:
            ValueError: there is no trusted timestamp.
        """
        return self._trusted_time + self.accuracy

    @property
    def earliest(self) -> datetime:
        """The earliest moment that the date may mean.

        Raises:
            ValueError: there is no trusted timestamp.
        """
        return self._trusted_time - self.accuracy

    @property
    def _trusted_time(self) -> datetime:
        if self.time is None:
            raise ValueError("no trusted timestamp")
        return self.time


UNDATED = Dating()


def earliest(datings: Iterable[Dating]) -> Dating:
    """Return the date that proves existence the earliest; :data:`UNDATED` if there is none."""
    trusted = [dating for dating in datings if dating.is_trusted]
    return min(trusted, key=lambda dating: dating.latest, default=UNDATED)


def made_by_own_word(created: str, dating: Dating) -> Dating:
    """Return since when a file exists at most, as its signer admits.

    A timestamp proves that a file existed by then, and not that it did not exist before: whoever
    shows the file may leave an early one out and have it stamped anew.  That a file is young
    therefore only follows from what its owner has signed against their own interest.  A trusted
    timestamp that is earlier than this word refutes it, and counts in its place.

    Args:
        created: the time that the signer states, ``YYYY-MM-DDThh:mm:ssZ``.
        dating: what the timestamps that were shown prove.
    """
    time = max(datetime.fromisoformat(created), FIRST_WORD)
    word = Dating(time, "its signer")
    return word if dating.time is None or word.earliest <= dating.earliest else dating
