"""The ledger: which triggers of a claim were disclosed, so that none is used twice.

It is kept beside the key, in the folder ``KEY.spent``, one file per claim.  A disclosed trigger
is known to every reader of the evidence and can be trained in or away; the next evidence starts
after it.
"""

import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wmx._internal.file_lock import locked
from wmx._internal.files import SECRET_MODE, read_bytes, write_bytes
from wmx.errors import CannotRunError, IntegrityError
from wmx.protocol import jcs
from wmx.protocol.claim import Claim, now_text

FORMAT = 1
SUFFIX = ".spent"
ASIDE = re.compile(r"\.old-[0-9]+(?=\.|$)")  # of names as wmx._internal.files.keep_aside gives them
FOLDER_MODE = SECRET_MODE | 0o100
MAX_LEDGER_BYTES = 64 * 1024**2


@dataclass(frozen=True)
class Disclosure:
    """An evidence that was made, or may have been if making it was interrupted.

    Attributes:
        start: index of the first trigger that it discloses.
        count: number of triggers that it discloses.
        suspect: SHA-256 of the suspect's file.
        evidence: SHA-256 of the evidence's file.
        time: when, ``YYYY-MM-DDThh:mm:ssZ``.
    """

    start: int
    count: int
    suspect: str
    evidence: str
    time: str


def _count(entries: list[Disclosure]) -> int:
    return sum(entry.count for entry in entries)


def _first_name(path: Path) -> str:
    """Return the name that a key, or its ledger folder, had before ``keygen --force``."""
    return ASIDE.sub("", path.name)


def ledger_folder(key_path: str | Path) -> Path:
    """Return the folder with the ledgers of a key; links to the key are followed."""
    key = Path(key_path).resolve()
    return key.with_name(f"{key.name}{SUFFIX}")


def is_ledger_folder(path: str | Path) -> bool:
    """Say whether a folder has the name of a ledger folder, of whatever key."""
    return Path(path).name.lower().endswith(SUFFIX)  # some disks do not tell cases apart


class Ledger:
    """The disclosed triggers of one claim."""

    def __init__(self, key_path: str | Path, claim: Claim) -> None:
        """Use the ledger beside the key at ``key_path``, which may be a link to it."""
        self._key = Path(key_path)
        self._folder = ledger_folder(key_path)
        self._claim = claim.digest
        self._path = self._folder / f"{claim.digest}.json"

    @property
    def claim(self) -> str:
        """SHA-256 of the claim's payload, hexadecimal."""
        return self._claim

    def disclosures(self) -> list[Disclosure]:
        """Return what was disclosed so far, in order, under any name of the key.

        Every ledger folder beside the key counts, whatever its name: a key is renamed by
        ``keygen --force``, moved back, or moved elsewhere with its folder.  Of several ledgers of
        the claim the longest counts.

        Raises:
            CannotRunError: a ledger cannot be read, or the key has several names.
            IntegrityError: a ledger is damaged.  Neither counts as empty: else triggers would be
                disclosed twice, and a model made from the first evidence would verify.
        """
        self._require_one_name()
        ledgers = [self._read(path) for path in self._ledgers_beside_the_key()]
        return max(ledgers, key=_count, default=[])

    def _ledgers_beside_the_key(self) -> list[Path]:
        """Return the claim's ledgers; that there is none is said only after a whole search."""
        found = []
        place = self._folder
        try:
            beside = [one for one in os.listdir(place.parent) if is_ledger_folder(one)]
            for name in beside:
                place = self._folder.with_name(name)
                if self._path.name in os.listdir(place):
                    found.append(place / self._path.name)
        except OSError as error:
            raise CannotRunError(
                f"cannot search {place} for ledgers of disclosed triggers: {error.strerror}",
                hint="make the folder readable, and connect its disk: a ledger that is not found "
                "is not an empty one",
            ) from None
        return found

    def _read(self, path: Path) -> list[Disclosure]:
        data = read_bytes(path, "ledger", MAX_LEDGER_BYTES)
        document = jcs.loads(data, f"ledger {path}")
        try:
            if document["claim"] != self._claim or document["format"] != FORMAT:
                raise ValueError("it is for another claim, or in another format")
            if not isinstance(document["disclosed"], list):
                raise TypeError("its entries are not a list")
            entries = [_disclosure(entry) for entry in document["disclosed"]]
            expected = 0
            for entry in entries:
                if entry.start != expected or entry.count < 1:
                    raise ValueError(f"an entry starts at {entry.start}, expected {expected}")
                expected += entry.count
        except (KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"the ledger {path} is damaged: {error}",
                hint="restore it from a backup; it says which triggers are spent",
            ) from None
        return entries

    def next_start(self) -> int:
        """Return the index of the first trigger that was never disclosed."""
        return _count(self.disclosures())

    def spend(self, start: int, count: int, *, suspect: str, evidence: str) -> bool:
        """Record that triggers are about to be disclosed; refuse if they already were.

        Call it *before* an evidence leaves this process: a crash then wastes triggers, but never
        lets them be used twice.

        Args:
            start: index of the first trigger.
            count: number of triggers.
            suspect: SHA-256 of the suspect's file, hexadecimal.
            evidence: SHA-256 of the evidence's file, hexadecimal.

        Returns:
            ``False``, with nothing written, if another process disclosed triggers meanwhile.

        Raises:
            CannotRunError: the ledger cannot be written, or is locked.
            IntegrityError: the ledger is damaged.
        """
        shared = self._folder.with_name(_first_name(self._folder))  # by all names of the key
        try:
            for folder in (self._folder, shared):
                folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            with locked(shared / f"{self._claim}.lock"):
                entries = self.disclosures()
                if start != _count(entries):
                    return False
                entries.append(Disclosure(start, count, suspect, evidence, now_text()))
                write_bytes(self._path, self._document(entries), mode=SECRET_MODE, force=True)
        except OSError as error:
            raise CannotRunError(
                f"cannot write the ledger {self._path}: {error.strerror}",
                hint="make the folder of the owner key writable: the ledger is kept beside it",
            ) from None
        return True

    def _require_one_name(self) -> None:
        """Refuse a key with hard links: the ledger beside another name might not be found.

        The names that ``keygen --force`` gives are no harm: it leaves two if it is killed.
        """
        own = self._key.resolve()
        try:
            key = os.stat(own)
            with os.scandir(own.parent) as beside:
                names = [Path(one.name) for one in beside if one.inode() == key.st_ino]
        except OSError:
            return  # the key is not there, or searching for ledgers says why this fails
        known = [name for name in names if _first_name(name) == _first_name(own)]
        if key.st_nlink > max(len(known), 1):
            raise CannotRunError(
                f"the owner key {self._key} has {key.st_nlink} names (hard links), and the ledger "
                "of what was disclosed lies beside one of them",
                hint="keep one name, or make the others symbolic links",
            )

    def _document(self, entries: list[Disclosure]) -> bytes:
        document: dict[str, Any] = {
            "claim": self._claim,
            "disclosed": [asdict(entry) for entry in entries],
            "format": FORMAT,
        }
        return jcs.dumps(document)


def _disclosure(entry: Any) -> Disclosure:
    """Read an entry; raises ``TypeError`` or ``ValueError`` if it is malformed."""
    found = Disclosure(**entry)
    numbers, texts = (found.start, found.count), (found.suspect, found.evidence, found.time)
    if any(type(number) is not int for number in numbers):
        raise TypeError("the triggers of an entry are not integers")
    if any(not isinstance(text, str) for text in texts):
        raise TypeError("a field of an entry is not a string")
    return found
