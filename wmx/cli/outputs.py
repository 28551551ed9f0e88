"""Where a command may write: one rule for all of them, checked before a model is queried."""

import os
from collections.abc import Iterable
from pathlib import Path

from wmx._internal.file_sets import REPLACEMENT
from wmx._internal.writing import next_aside, require_writable
from wmx.cli.common import never_weights, store
from wmx.errors import CannotRunError, UsageError
from wmx.protocol.replacing import PAGE, require_no_key, require_output

Others = Iterable[Path | None]


def prepare_report(
    path: Path | None, others: Others, *, force: bool, key: Path | None = None
) -> None:
    """Refuse a report that could not be written in the end, before any trigger is spent.

    Args:
        path: of the report; ``None`` if none is wanted.
        others, force, key: as in :func:`prepare_output`.

    Raises:
        UsageError, CannotRunError: as in :func:`prepare_output`.
        MissingExtraError: a package that makes reports is not installed.
    """
    if path is None:
        return
    from wmx.report.page import require_engines

    prepare_output("--report", path, PAGE, others, force=force, key=key)
    require_engines()


def prepare_output(
    option: str, path: Path, kind: str, others: Others, *, force: bool, key: Path | None = None
) -> None:
    """Refuse an output that cannot be written, or would replace a file that must stay.

    Args:
        option: that names the output.
        path: the output.
        kind: what it will be, one of those in :mod:`wmx.protocol.replacing`.
        others: files and folders that the command reads or writes.
        force: whether the output may replace an existing file of its kind that is none of those.
        key: the owner key of the command; the store's if ``None``.

    Raises:
        UsageError: the output is one of ``others``, weights of one of them, a file of the store or
            of a ledger; or lies in such a folder.
        CannotRunError: as :func:`wmx.protocol.replacing.require_output`.
    """
    require_apart(option, path, others, key=key)
    require_output(path, kind, force=force)


def prepare_folder(
    option: str,
    folder: Path,
    others: Others,
    *,
    names: Iterable[str] = (),
    force: bool = False,
    key: Path | None = None,
) -> None:
    """Refuse a folder for results as :func:`prepare_output` refuses a file.

    Args:
        option: that names the folder.
        folder: need not exist.
        others, key: as in :func:`prepare_output`.
        names: of the files that the command writes into it.
        force: whether these may be replaced; a key among them may not.

    Raises:
        UsageError: the folder or one of these files lies where no output may.
        CannotRunError: ``folder`` is a file; or a file in it is to be replaced and is a key.
    """
    names = tuple(names)
    folders = (folder, folder / REPLACEMENT)  # new files are made there, and unfinished ones lie
    for path in (folder, *(one / name for one in folders for name in names)):
        require_apart(option, path, others, key=key)
    if os.path.lexists(folder) and not folder.is_dir():
        raise CannotRunError(f"{option} names {folder}, which is a file, expected a folder")
    if force:
        for name in names:
            require_no_key(folder / name)


def prepare_key(path: Path, *, force: bool) -> None:
    """As :func:`prepare_output` for a new owner key, which may lie in the store's folder.

    It may replace a file of any kind: what is there is kept under another name.
    """
    _require_no_ledger("--out", path)
    if not _same(Path(os.path.realpath(path.parent)), store().folder):
        require_apart("--out", path, ())
    if os.path.isfile(path) and not force:
        raise CannotRunError(
            f"{path} exists already",
            hint=f"choose another name with --out; or --force makes a new key and keeps this one "
            f"as {next_aside(path).name}",
        )
    require_writable(path, force=force)


def require_apart(option: str, path: Path, others: Others, *, key: Path | None = None) -> None:
    """Refuse an output that is, or lies in, something that no output may replace.

    Args:
        option: that names the output.
        path: the output.
        others: files and folders that the command reads or writes.
        key: the owner key of the command; the store's if ``None``.

    Raises:
        UsageError: it is, or does.
    """
    _require_no_ledger(option, path)
    for place in _places(path):
        around = [place, *place.parents]
        for other in never_weights(key, *others):
            if any(_same(one, other) for one in around) or _holds_weights(place, other):
                raise UsageError(
                    f"{option} names {path}, where no output may go: {other} is in use by this "
                    "command, or holds secrets",
                    hint="choose another name",
                )


def samples_in_use(samples: Path | None, out: Path) -> Path | None:
    """Return what a command reads its samples from, as something that no output may replace.

    Results in a folder of their own, within a folder of images, replace none of these.

    Args:
        samples: a file or a folder; ``None`` if neither is read.
        out: the folder of the results.
    """
    if samples is None or (samples.is_dir() and not _same(Path(os.path.realpath(out)), samples)):
        return None
    return samples


def _require_no_ledger(option: str, path: Path) -> None:
    from wmx.verification.ledger_search import is_ledger_folder

    if any(is_ledger_folder(one) for place in _places(path) for one in (place, *place.parents)):
        raise UsageError(
            f"{option} names {path}, which is reserved for a ledger of disclosed triggers",
            hint="choose another folder",
        )


def _places(path: Path) -> tuple[Path, Path]:
    """Return the path itself, as writing replaces a link, and the path that it links to."""
    return Path(os.path.realpath(path.parent)) / path.name, Path(os.path.realpath(path))


def _same(path: Path, other: Path) -> bool:
    if path == Path(os.path.realpath(other)):
        return True
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):  # one of them is not there
        return False


def _holds_weights(path: Path, model: Path) -> bool:
    """Say whether a file would be read as weights of ``model``, which may be a model."""
    from wmx.suspect.policy.external_files import is_exporters_name

    return is_exporters_name(path.name, model.name) and _same(path.parent, model.parent)
