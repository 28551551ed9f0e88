"""Replacing a set of files as a whole: a killed process never leaves new files beside old ones.

No system can rename several files in one step.  So a new set is made in a folder below the old
one, :data:`REPLACEMENT`, and takes its place only when it is whole: the old files go, and then the
new ones move up.  A process that is killed before leaves the old set as it was; one that is killed
meanwhile leaves the new one, part of it still below, and :meth:`FileSet.settle` does the rest.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from wmx._internal.writing import TEMPORARIES, publish
from wmx.errors import CannotRunError

REPLACEMENT = "replacement"


@dataclass(frozen=True)
class FileSet:
    """Files of one folder that were made together.

    Attributes:
        folder: that holds the files.
        names: of the files.  The last one is written last: where it exists, the set is whole.  The
            first one is in every set.
    """

    folder: Path
    names: tuple[str, ...]

    @property
    def replacement(self) -> Self:
        """The set in the folder below, which replaces this one when it is whole.

        Raises:
            CannotRunError: a link is there: files would be removed and written where it leads.
        """
        if (self.folder / REPLACEMENT).is_symlink():
            raise CannotRunError(
                f"{self.folder / REPLACEMENT} is a link, expected a folder or nothing",
                hint="remove the link",
            )
        return replace(self, folder=self.folder / REPLACEMENT)

    def existing(self) -> list[Path]:
        """Return the paths of those files that exist."""
        return [path for path in map(self.folder.joinpath, self.names) if path.exists()]

    def remove(self) -> None:
        """Remove the files, and nothing else; the last first, so that no part seems whole."""
        for path in reversed(self.existing()):
            path.unlink()

    def discard(self) -> None:
        """Remove the files, and the folder if nothing else is in it.

        A process that was killed may have left a file there that it was writing, under a name of
        :func:`wmx._internal.writing.temporary_beside`; that goes too.
        """
        self.remove()
        for path in self.folder.glob(TEMPORARIES):
            path.unlink()
        with contextlib.suppress(OSError):  # it holds something else, or was never made
            self.folder.rmdir()

    def settle(self) -> None:
        """Move a whole replacement into the place of this set; an unfinished one stays where it is.

        Completes a move that was begun by a process that was killed.
        """
        new = self.replacement
        first, last = self.names[0], self.names[-1]
        if (new.folder / last).exists():
            if (new.folder / first).exists():  # moved up before any other, so all here are old
                for path in self.existing():
                    if path.name != first:  # which is replaced in one step
                        path.unlink()
            for path in new.existing():
                publish(path, self.folder / path.name, force=True)
        if not new.existing():
            new.discard()

    @contextlib.contextmanager
    def written(self, *, resume: bool = False) -> Iterator[Self]:
        """Yield the set to write to: this one if it is empty, else one that replaces it at the end.

        Files that an error leaves unfinished stay where they are, to be resumed.

        Args:
            resume: continue the replacement that was begun, or this set if none was; otherwise a
                replacement that was begun is removed.
        """
        self.settle()
        if not resume:
            self.replacement.discard()
        begun = self.replacement.existing()
        target = self.replacement if begun or (self.existing() and not resume) else self
        try:
            yield target
        finally:
            self.settle()
