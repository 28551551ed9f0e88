"""The ledger: which triggers of a claim were disclosed, so that none is used twice.

It is kept beside the key, in the folder ``KEY.spent``, one file per claim.  A disclosed trigger
is known to every reader of the evidence and can be trained in or away; the next evidence starts
after it.
"""

import os
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
MAX_NESTED = 16
MAX_LINKS = 40  # one after the other, as Linux follows them
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


def ledger_folder(key_path: str | Path) -> Path:
    """Return the folder with the ledgers of a key; links to the key are followed."""
    key = Path(os.path.realpath(key_path))
    return key.with_name(f"{key.name}{SUFFIX}")


def is_ledger_folder(path: str | Path) -> bool:
    """Say whether a folder has the name of a ledger folder, of whatever key."""
    return Path(path).name.lower().endswith(SUFFIX)  # some disks do not tell cases apart


class Ledger:
    """The disclosed triggers of one claim."""

    def __init__(self, key_path: str | Path, claim: Claim) -> None:
        """Use the ledgers beside the key at ``key_path``, which may be a link to it."""
        self._key = Path(key_path)
        self._folder = ledger_folder(key_path)
        self._claim = claim.digest
        self._name = f"{claim.digest}.json"

    @property
    def claim(self) -> str:
        """SHA-256 of the claim's payload, hexadecimal."""
        return self._claim

    def disclosures(self) -> list[Disclosure]:
        """Return what was disclosed so far, in order, under any name of the key.

        Every ledger folder beside the key counts, whatever its name, and so does every one beside a
        link that leads to the key: keys are renamed, moved with their folder, or moved with a link
        left in their place.  Of several ledgers of the claim the longest counts.

        Raises:
            CannotRunError: a ledger cannot be read, or the key has a name in another folder too.
            IntegrityError: a ledger is damaged.  Neither counts as empty: else triggers would be
                disclosed twice, and a model made from the first evidence would verify.
        """
        self._require_one_folder()
        return self._longest(self._ledgers())

    def _longest(self, ledgers: list[Path]) -> list[Disclosure]:
        return max(map(self._read, ledgers), key=_count, default=[])

    def _ledgers(self) -> list[Path]:
        """Return the claim's ledgers; that there is none is said only after a whole search."""
        found = []
        for place in places_of(self._key):
            for folder in self._folders_in(place):
                found += [one / self._name for one in _nested(folder) if self._name in _listed(one)]
        return found

    def _folders_in(self, place: Path) -> list[Path]:
        """Return the ledger folders in a folder, but those of other keys that cannot be read."""
        folders = [place / name for name in _listed(place) if is_ledger_folder(name)]
        return [one for one in folders if _can_be_searched(one) or not self._is_anothers(one)]

    def _is_anothers(self, folder: Path) -> bool:
        """Say whether a folder is named after another key in the same place, or is no folder."""
        key = folder.with_name(folder.name[: -len(SUFFIX)])
        if folder == self._folder or self._is_the_key(key):
            return False
        return key.is_file() or (folder.is_file() and not folder.is_symlink())

    def _is_the_key(self, path: Path) -> bool:
        try:
            return os.path.samefile(path, self._key)
        except OSError:
            return False

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
        try:
            # beside the key and not in a folder that bears its name: for all names it is the same
            with locked(self._folder.with_name(f"{SUFFIX}-{self._claim[:16]}.lock")):
                self._require_one_folder()
                known = self._ledgers()
                entries = self._longest(known)
                if start != _count(entries):
                    return False
                entries.append(Disclosure(start, count, suspect, evidence, now_text()))
                self._folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
                # into each: a key may be moved with any one of them
                for path in {*known, self._folder / self._name}:
                    target = os.path.realpath(path)  # a link stays a link
                    write_bytes(target, self._document(entries), mode=SECRET_MODE, force=True)
        except OSError as error:
            raise CannotRunError(
                f"cannot write the ledger {self._folder / self._name}: {error.strerror}",
                hint="make the folder of the owner key writable: the ledger is kept beside it",
            ) from None
        return True

    def _require_one_folder(self) -> None:
        """Refuse a key with hard links in other folders: ledgers beside those are not found."""
        own = Path(os.path.realpath(self._key))
        try:
            key = os.stat(own)
            with os.scandir(own.parent) as beside:
                names = sum(one.inode() == key.st_ino for one in beside)
        except OSError:
            return  # the key is not there, or searching for ledgers says why this fails
        if key.st_nlink > max(names, 1):
            raise CannotRunError(
                f"the owner key {self._key} has {key.st_nlink} names (hard links), and "
                f"{key.st_nlink - max(names, 1)} of them in other folders, where ledgers of what "
                f"was disclosed (*{SUFFIX}) may lie",
                hint="bring all ledger folders and one name of the key into one folder, and delete "
                "the other names",
            )

    def _document(self, entries: list[Disclosure]) -> bytes:
        document: dict[str, Any] = {
            "claim": self._claim,
            "disclosed": [asdict(entry) for entry in entries],
            "format": FORMAT,
        }
        return jcs.dumps(document)


def places_of(key_path: Path) -> list[Path]:
    """Return the folders of a key and of all links that lead to it."""
    places: list[Path] = []
    # not abspath, which takes LINK/.. for the folder that holds the link
    path = Path(os.path.realpath(key_path.parent)) / key_path.name
    for _ in range(MAX_LINKS):
        place = Path(os.path.realpath(path.parent))
        if place not in places:
            places.append(place)
        if not path.is_symlink():
            return places
        path = place / os.readlink(path)
    raise CannotRunError(f"the owner key {key_path} is a link that leads nowhere")


def _nested(folder: Path, depth: int = MAX_NESTED) -> list[Path]:
    """Return a ledger folder and all within it: ``mv`` puts one into another that exists."""
    if not depth:
        raise CannotRunError(
            f"the ledger folder {folder} lies in {MAX_NESTED} others",
            hint="move it beside the owner key",
        )
    inner = [folder / name for name in _listed(folder) if is_ledger_folder(name)]
    return [folder, *(one for each in inner for one in _nested(each, depth - 1))]


def _can_be_searched(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)


def _listed(folder: Path) -> list[str]:
    """Return the names in a folder; raises :class:`CannotRunError` if it cannot be searched."""
    try:
        return os.listdir(folder)
    except OSError as error:
        raise CannotRunError(
            f"cannot search {folder} for ledgers of disclosed triggers: {error.strerror}",
            hint="make the folder readable, and connect its disk: a ledger that is not found is "
            "not an empty one",
        ) from None


def _disclosure(entry: Any) -> Disclosure:
    """Read an entry; raises ``TypeError`` or ``ValueError`` if it is malformed."""
    found = Disclosure(**entry)
    numbers, texts = (found.start, found.count), (found.suspect, found.evidence, found.time)
    if any(type(number) is not int for number in numbers):
        raise TypeError("the triggers of an entry are not integers")
    if any(not isinstance(text, str) for text in texts):
        raise TypeError("a field of an entry is not a string")
    return found
