"""The ledger: which triggers of a claim were disclosed, so that none is used twice.

It is kept beside the key, in the folder ``KEY.spent``, one file per claim.  A disclosed trigger
is known to every reader of the evidence and can be trained in or away; the next evidence starts
after it.
"""

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from wmx._internal.file_lock import locked
from wmx._internal.files import read_bytes
from wmx._internal.writing import SECRET_MODE, Staged
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.claim import Claim, now_text
from wmx.protocol.keys import OwnerKey
from wmx.verification.ledger_file import (
    Disclosure,
    disclosed,
    ledger_from_bytes,
    ledger_to_bytes,
    most_bytes,
)
from wmx.verification.ledger_search import SUFFIX, find_ledgers, require_one_folder

FOLDER_MODE = SECRET_MODE | 0o100


def ledger_folder(key_path: str | Path) -> Path:
    """Return the folder with the ledgers of a key; links to the key are followed."""
    key = Path(os.path.realpath(key_path))
    return key.with_name(f"{key.name}{SUFFIX}")


class Ledger:
    """The disclosed triggers of one claim."""

    def __init__(self, key_path: str | Path, claim: Claim) -> None:
        """Use the ledgers beside the key at ``key_path``, which may be a link to it."""
        self._key = Path(key_path)
        self._folder = ledger_folder(key_path)
        self._claim = claim
        self._name = f"{claim.digest}.json"
        self._spent: set[str] = set()  # the evidence that this object has spent triggers for

    @property
    def claim(self) -> str:
        """SHA-256 of the claim's payload, hexadecimal."""
        return self._claim.digest

    def disclosures(self) -> list[Disclosure]:
        """Return what was disclosed so far, in order, under any name of the key.

        Every ledger folder beside the key counts, whatever its name, and so does every one beside a
        link that leads to the key: keys are renamed, moved with their folder, or moved with a link
        left in their place.  Of several ledgers of the claim the longest counts.  The claim's owner
        has to have signed each, since some other may have put it there.

        Raises:
            CannotRunError: a ledger cannot be read, or the key has a name in another folder too.
            IntegrityError: a ledger is damaged, or the claim's owner did not sign it.  Neither
                counts as empty: else triggers would be disclosed twice, and a model made from the
                first evidence would verify.
            LimitError: searching and reading take more time or memory than the budget has.
        """
        return self._longest(self._found())

    def next_start(self) -> int:
        """Return the index of the first trigger that was never disclosed.

        Raises:
            CannotRunError, IntegrityError, LimitError: as :meth:`disclosures`.
        """
        return disclosed(self.disclosures())

    def spend(
        self, owner: OwnerKey, start: int, count: int, *, suspect: str, evidence: str
    ) -> bool:
        """Record that triggers are about to be disclosed; refuse if they already were.

        Call it *before* an evidence leaves this process: a crash then wastes triggers, but never
        lets them be used twice.  The entry is written into every ledger of the claim, since a key
        may be moved with any one of them, and into none unless all of them can be written.

        Args:
            owner: the key that signed the claim; it signs the ledger.
            start: index of the first trigger.
            count: number of triggers.
            suspect: SHA-256 of the suspect's file, hexadecimal.
            evidence: SHA-256 of the evidence's file, hexadecimal.

        Returns:
            ``False``, with nothing written, if another process changed the ledgers meanwhile.

        Raises:
            UsageError: the key is not the claim's, or the claim has no such triggers.
            CannotRunError: a ledger cannot be written, or is locked.  No trigger is spent then,
                unless :meth:`has_spent` says so.
            IntegrityError, LimitError: as :meth:`disclosures`; no trigger is spent.
        """
        if owner.public != self._claim.owner:
            raise UsageError("the ledger is of a claim that another owner key signed")
        if count < 1 or start + count > self._claim.n:
            raise UsageError(
                f"{count} triggers from {start} on, expected some of the claim's {self._claim.n}"
            )
        found = self._found()
        if start != disclosed(self._longest(found)):  # and none is locked that is not the owner's
            return False
        targets = self._targets(found)
        with self._writing(self._folder):
            self._folder.mkdir(mode=FOLDER_MODE, exist_ok=True)
        with self._locked_beside(targets):
            found = self._found()
            if self._targets(found) != targets:
                return False
            entries = self._longest(found)
            if start != disclosed(entries):
                return False
            entries.append(Disclosure(start, count, suspect, evidence, now_text()))
            self._write(targets, ledger_to_bytes(entries, self._claim, owner), evidence)
        return True

    def has_spent(self, evidence: str) -> bool:
        """Say whether :meth:`spend` has spent triggers for an evidence, however it ended.

        Where one of several ledgers could not be written in the end, or somebody pressed Ctrl-C,
        the others may name the evidence, and its triggers are spent.

        Args:
            evidence: SHA-256 of the evidence's file, hexadecimal.
        """
        return evidence in self._spent

    def _found(self) -> list[Path]:
        require_one_folder(self._key)
        return find_ledgers(self._key, self._folder, self._name)

    def _longest(self, ledgers: Iterable[Path]) -> list[Disclosure]:
        each = {_identity(path): path for path in ledgers}  # one with many names is read once
        return max(map(self._read, each.values()), key=disclosed, default=[])

    def _read(self, path: Path) -> list[Disclosure]:
        data = read_bytes(path, "ledger", most_bytes(self._claim))
        return ledger_from_bytes(data, self._claim, f"the ledger {path}")

    def _targets(self, found: Iterable[Path]) -> list[Path]:
        """Return the files to write: all that were found, and the one named after the key."""
        # a link stays a link, and what two links lead to is written once
        return sorted({Path(os.path.realpath(one)) for one in (self._folder / self._name, *found)})

    @contextmanager
    def _locked_beside(self, targets: Iterable[Path]) -> Iterator[None]:
        """Hold a lock in the folder of the key and in that of each ledger.

        Beside the key it holds for all names of the key, and beside the ledger for all keys that
        share one: copies of a key in several folders, with links to one folder of ledgers.
        """
        name = f"{SUFFIX}-{self._claim.digest[:16]}.lock"
        folders: dict[tuple[int, int], Path] = {}
        for folder in (self._folder.parent, *(one.parent for one in targets)):
            with self._writing(folder):
                status = folder.stat()
            folders[status.st_dev, status.st_ino] = folder
        with ExitStack() as locks:
            for _, folder in sorted(folders.items()):  # in one order, so that none waits for ever
                with self._writing(folder):
                    locks.enter_context(locked(folder / name))
            yield

    def _write(self, targets: Iterable[Path], data: bytes, evidence: str) -> None:
        with ExitStack() as files:
            staged = []
            for path in targets:
                with self._writing(path.parent):
                    file = Staged(path, data, mode=SECRET_MODE, force=True)
                staged.append(files.enter_context(file))
            try:
                for file in staged:
                    file.publish()
            finally:
                if any(file.is_published for file in staged):
                    self._spent.add(evidence)

    @contextmanager
    def _writing(self, folder: Path) -> Iterator[None]:
        """Say of what goes wrong in a folder before any ledger is changed that nothing is spent."""
        try:
            yield
        except (OSError, CannotRunError) as error:
            reason = (
                f"cannot write the ledger in {folder}: {error.strerror}"
                if isinstance(error, OSError)
                else str(error)
            )
            hint = error.hint if isinstance(error, CannotRunError) else None
            raise CannotRunError(
                f"{reason}; no trigger is spent",
                hint=hint
                or f"make the folder {folder} writable, with room on its disk: what is disclosed "
                "is written into every ledger of the claim",
            ) from None


def _identity(path: Path) -> object:
    try:
        found = path.stat()
    except OSError:  # reading it will say why
        return path
    return found.st_dev, found.st_ino
