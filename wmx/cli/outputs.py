"""Where a command may write: one rule for all of them, held to before a model is asked anything."""

import os
from collections.abc import Iterable
from pathlib import Path

from wmx._internal.files import require_writable
from wmx.cli.common import never_weights, store
from wmx.errors import CannotRunError, UsageError

Others = Iterable[Path | None]


def prepare_report(
    path: Path | None, others: Others, *, force: bool, key: Path | None = None
) -> None:
    """Refuse a page that could not be written in the end, before any trigger is spent.

    Args:
        path: of the page, if one is wanted.
        others, force, key: as of :func:`prepare_output`.

    Raises:
        UsageError, CannotRunError: as :func:`prepare_output`; or an extra is missing.
    """
    if path is None:
        return
    from wmx.report.page import require_engines

    prepare_output("--report", path, others, force=force, key=key)
    require_engines()


def prepare_output(
    option: str, path: Path, others: Others, *, force: bool, key: Path | None = None
) -> None:
    """Refuse a file that could not be written, or would replace secrets or what a command reads.

    ``force`` is for files that the command would have written itself.

    Args:
        option: that named it.
        path: where it is to be.
        others: files and folders that the command reads or writes.
        force: whether it may replace other files.
        key: the owner key of the command, the store's if ``None``.

    Raises:
        UsageError: it is one of the others, of the files of weights of a model among them, of the
            store or of a ledger; or lies in one.
        CannotRunError: as :func:`wmx._internal.files.require_writable`.
    """
    require_apart(option, path, others, key=key)
    require_writable(path, force=force)


def prepare_folder(
    option: str,
    folder: Path,
    others: Others,
    *,
    names: Iterable[str] = (),
    key: Path | None = None,
) -> None:
    """Refuse a folder for results as :func:`prepare_output` refuses a file.

    Args:
        option: that named it.
        folder: it need not be there.
        others, key: as of :func:`prepare_output`.
        names: of the files that are to be in it.

    Raises:
        UsageError: it lies in what it must not, or one of its files does.
        CannotRunError: a file is in its place.
    """
    for path in (folder, *(folder / name for name in names)):
        require_apart(option, path, others, key=key)
    if os.path.lexists(folder) and not folder.is_dir():
        raise CannotRunError(f"{option} names {folder}, which is a file, expected a folder")


def prepare_key(path: Path, *, force: bool) -> None:
    """As :func:`prepare_output` for a new owner key, which may lie beside the store's own."""
    _require_no_ledger("--out", path)
    if not _same(Path(os.path.realpath(path.parent)), store().folder):
        require_apart("--out", path, ())
    require_writable(path, force=force)


def require_apart(option: str, path: Path, others: Others, *, key: Path | None = None) -> None:
    """Refuse a path that is, or lies in, what no output may replace.

    Raises:
        UsageError: it does.
    """
    _require_no_ledger(option, path)
    for place in _places(path):
        around = [place, *place.parents]
        for other in never_weights(key, *others):
            if any(_same(one, other) for one in around) or _holds_weights(place, other):
                raise UsageError(
                    f"{option} names {path}, which is another file of this command, or lies among "
                    f"those in {other}",
                    hint="choose another name",
                )


def _require_no_ledger(option: str, path: Path) -> None:
    from wmx.verification.ledger import is_ledger_folder

    if any(is_ledger_folder(one) for place in _places(path) for one in (place, *place.parents)):
        raise UsageError(
            f"{option} names {path}, which is or lies in a ledger of disclosed triggers",
            hint="choose another folder",
        )


def _places(path: Path) -> tuple[Path, Path]:
    """Return where a file is as it is called, as a link is replaced itself, and where it leads."""
    return Path(os.path.realpath(path.parent)) / path.name, Path(os.path.realpath(path))


def _same(path: Path, other: Path) -> bool:
    if path == Path(os.path.realpath(other)):
        return True
    try:
        return os.path.samefile(path, other)
    except (OSError, ValueError):  # one of them is not there
        return False


def _holds_weights(path: Path, model: Path) -> bool:
    """Say whether a file would be taken for weights of what may be a model."""
    from wmx.suspect.policy.external_files import is_exporters_name

    return is_exporters_name(path.name, model.name) and _same(path.parent, model.parent)
