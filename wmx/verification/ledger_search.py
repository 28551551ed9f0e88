"""Searching for ledgers: in every folder ``*.spent`` beside a key, and in those within it.

A ledger that is not found would let disclosed triggers count again, so all that cannot be searched
is an error.  But a folder may have come from a stranger, with links into each other by the million:
each real folder is searched once, their number is bounded, and loops consult the budget.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from wmx._internal.budget import consult
from wmx.errors import CannotRunError

SUFFIX = ".spent"
MAX_FOLDERS = 10_000
MAX_LINKS = 40  # one after the other, as Linux follows them


def is_ledger_folder(path: str | Path) -> bool:
    """Say whether a folder has the name of a ledger folder, of whatever key."""
    return Path(path).name.lower().endswith(SUFFIX)  # some disks do not tell cases apart


def require_one_folder(key_path: Path) -> None:
    """Refuse a key with no name, or with others in other folders: ledgers there are not found.

    Args:
        key_path: the key, or a link to it.

    Raises:
        CannotRunError: it has such names, or none.
        LimitError: the time of the budget is up.
    """
    own = Path(os.path.realpath(key_path))
    try:
        key = os.stat(own)
        names = 0
        with os.scandir(own.parent) as beside:
            for one in beside:
                consult()
                names += one.inode() == key.st_ino
    except OSError:
        if os.path.exists(key_path):  # as /dev/fd/N of a file that was deleted
            raise CannotRunError(
                f"the owner key {key_path} is in no folder, where ledgers of what was disclosed "
                f"(*{SUFFIX}) could lie",
                hint="keep the key in a file",
            ) from None
        return  # the key is not there, or searching for ledgers says why this fails
    if key.st_nlink > max(names, 1):
        raise CannotRunError(
            f"the owner key {key_path} has {key.st_nlink} names (hard links), and "
            f"{key.st_nlink - max(names, 1)} of them in other folders, where ledgers of what "
            f"was disclosed (*{SUFFIX}) may lie",
            hint="bring all ledger folders and one name of the key into one folder, and delete "
            "the other names",
        )


def find_ledgers(key_path: Path, own: Path, name: str) -> list[Path]:
    """Return the ledgers of a claim; that there is none is said only after a whole search.

    Args:
        key_path: the key, or a link to it.
        own: the ledger folder that bears the name of the key.
        name: of the claim's ledger in each folder.

    Raises:
        CannotRunError: a folder cannot be searched, but for those of other keys; or there are more
            than :data:`MAX_FOLDERS`.
        LimitError: the time or memory of the budget is used up.
    """
    search = _Search(key_path, own)
    for place in _places_of(key_path):
        search.add_beside(place)
    return list(search.files(name))


class _Search:
    """Ledger folders that were found, each real folder once."""

    def __init__(self, key_path: Path, own: Path) -> None:
        self._key = key_path
        self._own = own
        self._seen: set[tuple[int, int]] = set()
        self._waiting: list[Path] = []

    def add_beside(self, place: Path) -> None:
        """Add the ledger folders in a folder, but those of other keys that cannot be read."""
        for name in _names(place):
            folder = place / name
            if is_ledger_folder(name) and (
                _can_be_searched(folder) or not self._is_anothers(folder)
            ):
                self._add(folder)

    def files(self, name: str) -> Iterator[Path]:
        """Yield the files ``name`` in all folders, and in those that lie or are linked in them.

        ``mv`` puts a folder into another that exists.
        """
        while self._waiting:
            folder = self._waiting.pop()
            for each in _names(folder):
                if each == name:
                    yield folder / each
                elif is_ledger_folder(each):
                    self._add(folder / each)

    def _add(self, folder: Path) -> None:
        try:
            found = os.stat(folder)
        except OSError as error:
            raise _cannot_search(folder, error) from None
        identity = found.st_dev, found.st_ino
        if identity in self._seen:
            return
        if len(self._seen) == MAX_FOLDERS:
            raise CannotRunError(
                f"more than {MAX_FOLDERS:,} ledger folders (*{SUFFIX}) lie beside the owner key "
                f"{self._key} and in each other",
                hint="move the key and its ledger folders into a folder of their own",
            )
        self._seen.add(identity)
        # not the path through links: the system follows only so many of them
        self._waiting.append(Path(os.path.realpath(folder)))

    def _is_anothers(self, folder: Path) -> bool:
        """Say whether a folder is named after another key in the same place, or is no folder."""
        key = folder.with_name(folder.name[: -len(SUFFIX)])
        if folder == self._own or self._is_the_key(key):
            return False
        return key.is_file() or (folder.is_file() and not folder.is_symlink())

    def _is_the_key(self, path: Path) -> bool:
        try:
            return os.path.samefile(path, self._key)
        except OSError:
            return False


def _places_of(key_path: Path) -> list[Path]:
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


def _can_be_searched(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)


def _names(folder: Path) -> Iterator[str]:
    """Yield the names in a folder; raises :class:`CannotRunError` if it cannot be searched."""
    try:
        with os.scandir(folder) as names:
            for one in names:
                consult()
                yield one.name
    except OSError as error:
        raise _cannot_search(folder, error) from None


def _cannot_search(folder: Path, error: OSError) -> CannotRunError:
    return CannotRunError(
        f"cannot search {folder} for ledgers of disclosed triggers: {error.strerror}",
        hint="make the folder readable, and connect its disk: a ledger that is not found is "
        "not an empty one",
    )
