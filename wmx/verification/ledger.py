"""The ledger: which triggers of a claim were disclosed, so that none is used twice.

It lies beside the key, in the folder ``KEY.spent``, one file per claim.  A disclosed trigger is
known to whoever reads the evidence and can be trained away; the next evidence starts behind it.
"""

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
    """One evidence that was made, or whose making was broken off after this was written.

    Attributes:
        start, count: the triggers that it discloses.
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


def _first_name(folder: Path) -> str:
    """Return the name that a ledger folder had before its key was kept aside."""
    return ASIDE.sub("", folder.name)


def ledger_folder(key_path: str | Path) -> Path:
    """Return the folder of the ledgers of a key, which may be named by a link to it."""
    key = Path(key_path).resolve()
    return key.with_name(f"{key.name}{SUFFIX}")


def is_ledger_folder(path: str | Path) -> bool:
    """Say whether a folder is called as those of ledgers are, of whatever key."""
    return Path(path).name.lower().endswith(SUFFIX)  # some disks do not tell cases apart


def copy_ledgers(key_path: str | Path, other_path: str | Path) -> None:
    """Copy the ledgers of a key to where they belong under the key's other name.

    Without them the key would disclose triggers a second time.

    Raises:
        CannotRunError: a ledger cannot be read or written.
    """
    folder, other = ledger_folder(key_path), ledger_folder(other_path)
    try:
        for ledger in sorted(folder.glob("*.json")):
            other.mkdir(mode=FOLDER_MODE, exist_ok=True)
            content = read_bytes(ledger, "ledger", MAX_LEDGER_BYTES)
            write_bytes(other / ledger.name, content, mode=SECRET_MODE, force=True)
    except OSError as error:
        raise CannotRunError(f"cannot copy the ledgers in {folder}: {error.strerror}") from None


class Ledger:
    """The disclosed triggers of one claim."""

    def __init__(self, key_path: str | Path, claim: Claim) -> None:
        """Use the ledger beside the key at ``key_path``, which may be a link to it."""
        self._folder = ledger_folder(key_path)
        self._claim = claim.digest
        self._path = self._folder / f"{claim.digest}.json"

    def disclosures(self) -> list[Disclosure]:
        """Return what was disclosed so far, in order, under whatever name of the key.

        A key that ``keygen --force`` gave another name may have disclosed under the old one since,
        or may have been moved back.  Of several ledgers the longest counts.

        Raises:
            IntegrityError: a ledger is damaged.  It is not taken for an empty one: triggers would
                be disclosed twice.
        """
        names = {self._path, *self._folder.parent.glob(f"*{SUFFIX}/{self._path.name}")}
        own = [path for path in names if _first_name(path.parent) == _first_name(self._folder)]
        ledgers = [self._read(path) for path in own if path.exists()]
        return max(ledgers, key=_count, default=[])

    def _read(self, path: Path) -> list[Disclosure]:
        data = read_bytes(path, "ledger", MAX_LEDGER_BYTES)
        document = jcs.loads(data, f"ledger {path}")
        try:
            if document["claim"] != self._claim or document["format"] != FORMAT:
                raise ValueError("it is of another claim or format")
            if not isinstance(document["disclosed"], list):
                raise TypeError("its entries are no list")
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
        """Return the first trigger that was never disclosed."""
        return _count(self.disclosures())

    def spend(self, start: int, count: int, *, suspect: str, evidence: str) -> bool:
        """Write down that triggers are about to be disclosed, and say whether they still may.

        To be called *before* an evidence leaves this process: a crash then wastes triggers, and
        never lets them be used again.

        Returns:
            ``False``, with nothing written, if another process has disclosed meanwhile.
        """
        try:
            self._folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
            with locked(self._folder / f"{self._claim}.lock"):
                entries = self.disclosures()
                if start != _count(entries):
                    return False
                entries.append(Disclosure(start, count, suspect, evidence, now_text()))
                write_bytes(self._path, self._document(entries), mode=SECRET_MODE, force=True)
        except OSError as error:
            raise CannotRunError(
                f"cannot keep the ledger {self._path}: {error.strerror}",
                hint="it lies beside the owner key, where it has to be writable",
            ) from None
        return True

    def _document(self, entries: list[Disclosure]) -> bytes:
        document: dict[str, Any] = {
            "claim": self._claim,
            "disclosed": [asdict(entry) for entry in entries],
            "format": FORMAT,
        }
        return jcs.dumps(document)


def _disclosure(entry: Any) -> Disclosure:
    """Read an entry; ``TypeError`` or ``ValueError`` if it is none."""
    found = Disclosure(**entry)
    numbers, texts = (found.start, found.count), (found.suspect, found.evidence, found.time)
    if any(type(number) is not int for number in numbers):
        raise TypeError("the triggers of an entry are no integers")
    if any(not isinstance(text, str) for text in texts):
        raise TypeError("a field of an entry is no string")
    return found
