"""The owner's store: the default key, every claim made with it, and their release records.

It is in the user's data folder, or in the folder that the environment variable ``WMX_HOME`` names.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from wmx._internal.file_lock import locked
from wmx._internal.writing import SECRET_MODE
from wmx.errors import CannotRunError, UsageError, WmxError
from wmx.protocol.claim import Claim
from wmx.protocol.keys import OwnerKey
from wmx.protocol.release_record import Relation, Release
from wmx.protocol.timestamp import Roots, is_timestamp_of, load_roots
from wmx.protocol.timestamp_order import File, exceeds_limit, within_limit
from wmx.triggers import is_over_own_images
from wmx.triggers.trigger_file import load_images, save_images
from wmx.watermark import Watermark

FOLDER_MODE = SECRET_MODE | 0o100
Dated = TypeVar("Dated", Claim, Release)
SUBFOLDERS = ("claims", "triggers", "releases")


class Store:
    """A folder with key, claims, release records, secret trigger images and trusted roots."""

    def __init__(self, folder: str | Path | None = None) -> None:
        """Use ``folder``, else ``WMX_HOME``, else the platform's user data folder."""
        self._given = folder

    @cached_property
    def folder(self) -> Path:
        """Path of the store; looked up when first needed."""
        return Path(self._given) if self._given else default_folder()

    @property
    def key_path(self) -> Path:
        """Path of the default key, whether it exists or not."""
        return self.folder / "owner.pem"

    def open_for_writing(self) -> None:
        """Make the folders, readable by their owner alone."""
        try:
            for folder in (self.folder, *(self.folder / name for name in SUBFOLDERS)):
                folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
        except OSError as error:
            raise CannotRunError(
                f"cannot make the store {self.folder}: {error.strerror}",
                hint="set WMX_HOME to a writable folder",
            ) from None

    def require_key(self) -> Path:
        """Return the path of the default key, which is never made automatically.

        Raises:
            CannotRunError: there is none.
        """
        if not self.key_path.exists():
            raise CannotRunError(
                f"no owner key in the store {self.folder}",
                hint="make one with: wmx keygen, or name one with --key; without the owner's key, "
                "check their evidence file with: wmx check",
            )
        return self.key_path

    def add(self, claim: Claim, images: NDArray[np.uint8] | None = None) -> Path:
        """Keep a claim and return its path in the store.

        Adding the same claim again changes nothing.  What is no timestamp of the claim is left
        out.

        Args:
            claim: to keep.
            images: converted images of a ``folder`` claim, uint8 [n, H, W, C].

        Raises:
            CannotRunError: the store cannot be written.
        """
        self.open_for_writing()
        path = self.path_of(claim)
        if not _is_there(path):
            if images is not None:
                save_images(self._images_path(claim), images, force=True)
            self.within_limit(_without_junk(claim)).save(path)
        return path

    def add_release(self, release: Release) -> Path:
        """Keep a release record and return its path; adding it again adds its timestamps."""
        self.open_for_writing()
        path = self._release_path(release)
        try:
            self.within_limit(_without_junk(release)).save(path)
        except CannotRunError:
            if not _is_there(path):
                raise
            self._update(release, self._merged_with(release))
        return path

    @contextmanager
    def releases_of(self, claim: Claim) -> Iterator[Release | None]:
        """Hold the claim's chain of records, and yield its last one; then add the next.

        Each record names the one before it, so that a dispute sees when one is left out.  Without
        the lock two processes would both follow the same one.

        Raises:
            CannotRunError: the store cannot be written, or another process holds the chain.
            IntegrityError: a record of the store is broken; its file is named.
        """
        self.open_for_writing()
        try:
            with locked(self.folder / "releases" / f"{claim.digest}.lock"):
                yield self.last_release(claim)
        except OSError as error:
            raise CannotRunError(f"cannot lock the store {self.folder}: {error.strerror}") from None

    def last_release(self, claim: Claim) -> Release | None:
        """Return the last record of an own model with a claim's mark, by the times they state.

        Raises:
            IntegrityError: a record of the store is broken; its file is named.
        """
        paths = (self.folder / "releases").glob("[!.]*.json")  # not what a system adds to a copy
        kept = [Release.load(path) for path in paths]
        own = [
            one for one in kept if one.relation is Relation.own and one.claim.digest == claim.digest
        ]
        followed = {one.previous for one in own}  # orders records of the same second
        last = [one for one in own if one.digest not in followed]
        return max(last, key=lambda one: (one.created, one.digest), default=None)

    def keep_timestamps(self, file: Claim | Release) -> None:
        """Add the timestamps that ``file`` bears to the store's copy of it, if there is one.

        Anybody can add to a public file, so only timestamps of this very file are taken, behind
        those of the copy; where there is no room for all, :meth:`within_limit` chooses.  A release
        record that is missing is added if it follows the last one of the store: one of another
        store would begin a second chain.
        """
        self._update(file, self._merged_with(file))

    def keep_asked_for(self, file: Claim | Release, stamp: bytes, roots: Roots = ()) -> None:
        """Add a timestamp that the owner asked for to the store's copy of ``file``.

        It comes first, and if there is no room, the last of the others gives way.

        Args:
            file: of which nothing else is kept, as :meth:`keep_timestamps` does.
            stamp: RFC 3161 response, DER.
            roots: trusted root certificates, besides the store's.
        """
        self._update(file, lambda kept: self.within_limit(kept, roots, [stamp]))

    def within_limit(self, file: File, roots: Roots = (), asked_for: Sequence[bytes] = ()) -> File:
        """Return a file with as many timestamps as may be written, by what the store trusts.

        Args:
            file: with any number of timestamps, such as :meth:`dated` returns.
            roots: trusted root certificates, besides the store's.
            asked_for: as :func:`wmx.protocol.timestamp_order.within_limit`.

        Raises:
            CannotRunError, IntegrityError: a file of root certificates cannot be read.
        """
        if exceeds_limit(replace(file, timestamps=(*file.timestamps, *asked_for))):
            own = (certificate for path in self.roots() for certificate in load_roots(path))
            roots = [*roots, *own]
        return within_limit(file, roots, asked_for)

    def holds(self, file: Claim | Release) -> bool:
        """Say whether the store has a copy of a file, with all that are timestamps of it."""
        path = self._path_of(file)
        if not _is_there(path):
            return False
        kept = type(file).load(path)
        return set(_without_junk(file).timestamps) <= set(kept.timestamps)

    def dated(self, file: Dated) -> Dated:
        """Return a file with the timestamps of the store's copy before its own, to be tested.

        What is said about an undated copy would miss the date that the file has.  There may be more
        than a file holds: :meth:`within_limit` chooses before a claim is signed into another file.
        """
        path = self._path_of(file)
        if not _is_there(path):
            return file
        return type(file).load(path).dated_by_both(_without_junk(file))

    def _merged_with(self, file: Claim | Release) -> Callable[[Any], Any]:
        """Return what adds the timestamps of a file to a copy, behind its own."""
        return lambda kept: self.within_limit(kept.dated_by_both(_without_junk(file)))

    def _update(self, file: Claim | Release, change: Callable[[Any], Any]) -> None:
        """Change the store's copy of a file; add a missing record if it follows the last one."""
        path = self._path_of(file)
        if _is_there(path):
            file.update(path, change)
        elif isinstance(file, Release) and _is_there(self.path_of(file.claim)):
            with self.releases_of(file.claim) as last:
                if file.previous == (None if last is None else last.digest):
                    change(replace(file, timestamps=())).save(path)

    def roots(self) -> Iterator[Path]:
        """Yield the files of root certificates that the owner of the store trusts."""
        yield from sorted((self.folder / "roots").glob("*.pem"))

    def claims(self) -> Iterator[Claim]:
        """Yield every claim, oldest first by the time that it states, then by digest.

        Raises:
            IntegrityError: a claim of the store is broken; its file is named.
        """
        yield from sorted(map(Claim.load, self._claim_paths()), key=_age)

    def _no_claim_of(self, owner: OwnerKey, others: int) -> UsageError:
        """Return the error for a key that made no claim; a key that was replaced may have."""
        said = f"the store {self.folder} holds no claim of this owner key"
        hint = "name a claim with --claim; wmx embed and wmx claim new add to the store"
        if others:
            said += f", and {others} of other keys"
            kept = sorted(self.folder.glob("owner.old-*.pem"))
            if kept:
                hint = f"was one made by a key that you replaced? --key {kept[-1]}; or {hint}"
        return UsageError(
            said, hint=hint, in_python="Watermark.new makes a claim, Store.add keeps it"
        )

    def path_of(self, claim: Claim) -> Path:
        """Return the path of a claim in the store, whether it is there or not."""
        return self.folder / "claims" / f"{claim.digest}.json"

    def open(self, claim: Claim, owner: OwnerKey) -> Watermark:
        """Rebuild the watermark of a claim.

        Args:
            claim: whose triggers are drawn again; own images are taken from the store.
            owner: the key that made it.

        Raises:
            UsageError: the claim is over own images that the store does not have.
            IntegrityError: another key made the claim, or the images are not its own.
        """
        if not is_over_own_images(claim.family(owner)):
            return Watermark.open(claim, owner)
        path = self._images_path(claim)
        kept = load_images(path) if path.exists() else None
        return Watermark.open(claim, owner, images=kept)

    def watermarks(self, owner: OwnerKey) -> list[Watermark]:
        """Return the watermark of every claim of ``owner``.

        Raises:
            UsageError: the store holds no claim of this owner, or not the images of one.
            IntegrityError: a claim of the store is broken; its file is named.
            CannotRunError: a file cannot be read.
        """
        found, failures = self.prepared(owner)
        for failure in failures.values():
            raise failure
        return found

    def prepared(self, owner: OwnerKey) -> tuple[list[Watermark], dict[str, WmxError]]:
        """Return the watermarks of ``owner``, and why others have none: one is no other's fault.

        Whose claim a broken file was cannot be known, so it counts as one of this owner.

        Returns:
            Watermarks, oldest first; and the failures, by the names of the files in the store,
            which are the digests of the claims.

        Raises:
            UsageError: the store holds no claim of this owner, and no broken one.
        """
        claims: list[Claim] = []
        found: list[Watermark] = []
        failures: dict[str, WmxError] = {}
        for path in self._claim_paths():
            try:
                claims.append(Claim.load(path))
            except WmxError as failure:
                failures[path.stem] = failure
        for claim in sorted(claims, key=_age):
            if claim.owner == owner.public:
                try:
                    found.append(self.open(claim, owner))
                except WmxError as failure:
                    failures[claim.digest] = failure
        if not found and not failures:
            raise self._no_claim_of(owner, len(claims))
        return found, failures

    def _claim_paths(self) -> list[Path]:
        return sorted((self.folder / "claims").glob("[!.]*.json"))

    def _path_of(self, file: Claim | Release) -> Path:
        return self.path_of(file) if isinstance(file, Claim) else self._release_path(file)

    def _release_path(self, release: Release) -> Path:
        return self.folder / "releases" / f"{release.digest}.json"

    def _images_path(self, claim: Claim) -> Path:
        return self.folder / "triggers" / f"{claim.digest}.safetensors"


def _age(claim: Claim) -> tuple[str, str]:
    """Return the key that sorts claims, the oldest first by the times they state."""
    return claim.created, claim.digest


def _is_there(path: Path) -> bool:
    """Say whether a file of the store exists; one that cannot be looked for is an error."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise CannotRunError(
            f"cannot search the store for {path}: {error.strerror}",
            hint="make its folders readable, or set WMX_HOME to another store",
        ) from None
    return True


def _without_junk(file: File) -> File:
    """Return a file without what is no timestamp of it, by whatever authority."""
    own = (one for one in file.timestamps if is_timestamp_of(one, file))
    return replace(file, timestamps=tuple(own))


def default_folder() -> Path:
    """Return ``WMX_HOME`` if set, else the platform's folder for user data."""
    home = os.environ.get("WMX_HOME")
    if home:
        return Path(home)
    from platformdirs import user_data_path

    return user_data_path("wmx", appauthor=False)
