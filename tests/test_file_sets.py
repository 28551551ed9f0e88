"""Files that belong together: a set replaces another as a whole, wherever a process ends."""

import os
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

from wmx._internal.file_sets import FileSet
from wmx.errors import CannotRunError

NAMES = ("first", "second", "third", "last")


class KilledError(BaseException):
    """Ends a process in the tests."""


def write(files: FileSet, content: str, *names: str) -> None:
    files.folder.mkdir(exist_ok=True)
    for name in names:
        (files.folder / name).write_text(content)


def contents(files: FileSet) -> dict[str, str]:
    return {path.name: path.read_text() for path in files.existing()}


@pytest.fixture
def files(tmp_path: Path) -> FileSet:
    return FileSet(tmp_path, NAMES)


def test_a_set_is_written_where_none_is(files: FileSet) -> None:
    with files.written() as target:
        assert target == files
        write(target, "new", *NAMES)
    assert contents(files) == dict.fromkeys(NAMES, "new")


def test_a_set_stays_until_another_is_whole(files: FileSet) -> None:
    write(files, "old", "first", "second", "last")
    (files.folder / "notes").write_text("mine")
    with files.written() as target:
        write(target, "new", "first", "third", "last")
        assert contents(files) == dict.fromkeys(("first", "second", "last"), "old")
    assert contents(files) == dict.fromkeys(("first", "third", "last"), "new")
    assert sorted(path.name for path in files.folder.iterdir()) == [
        "first",
        "last",
        "notes",
        "third",
    ]


def begin(files: FileSet, *, resume: bool = False) -> dict[str, str]:
    """Write two files of a set and end; return what was there of it."""
    with suppress(KilledError), files.written(resume=resume) as target:
        found = contents(target)
        write(target, "new", "first", "second")
        raise KilledError
    return found


def test_one_that_does_not_become_whole_is_resumed_or_begun_anew(files: FileSet) -> None:
    write(files, "old", *NAMES)
    assert begin(files) == {}
    assert begin(files, resume=True) == dict.fromkeys(("first", "second"), "new")
    assert begin(files) == {}
    assert contents(files) == dict.fromkeys(NAMES, "old")
    with files.written(resume=True) as target:
        write(target, "newer", "third", "last")
    assert contents(files) == {"first": "new", "second": "new", "third": "newer", "last": "newer"}


def test_without_a_replacement_the_set_itself_is_resumed(files: FileSet) -> None:
    write(files, "old", "first", "second")
    with files.written(resume=True) as target:
        assert target == files


def killed_at(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Let the call that removes or moves a file or a folder, ``step`` counted from 1, fail."""
    steps = iter(range(1, step + 1))

    def before(call: Callable[..., None]) -> Callable[..., None]:
        def counted(*arguments: object, **more: object) -> None:
            if next(steps, 0) == step:
                raise KilledError
            call(*arguments, **more)

        return counted

    for name in ("unlink", "replace", "rmdir"):
        monkeypatch.setattr(os, name, before(getattr(os, name)))


@pytest.mark.parametrize("new", [NAMES, ("first", "last")])
@pytest.mark.parametrize("old", [NAMES, ("first",), ("second", "last"), ()])
def test_a_process_that_ends_anywhere_leaves_no_mixture(
    files: FileSet, monkeypatch: pytest.MonkeyPatch, old: tuple[str, ...], new: tuple[str, ...]
) -> None:
    whole = dict.fromkeys(new, "new")
    for step in count(1):
        files.remove()
        write(files, "old", *old)
        write(files.replacement, "new", *new)
        with monkeypatch.context() as patch:
            killed_at(patch, step)
            try:
                files.settle()
                break
            except KilledError:
                pass
        found = contents(files)
        assert len(set(found.values())) <= 1, "old files beside new ones"
        moved = {name: found[name] for name in found if found[name] == "new"}
        assert moved | contents(files.replacement) == whole
        files.settle()
        assert contents(files) == whole
        assert not files.replacement.folder.exists()
    assert step > len(new), "each file that moves is a step"


def test_a_replacement_that_is_not_whole_is_left_alone(files: FileSet) -> None:
    write(files, "old", *NAMES)
    write(files.replacement, "new", "second", "third")
    files.settle()
    assert contents(files) == dict.fromkeys(NAMES, "old")
    assert contents(files.replacement) == dict.fromkeys(("second", "third"), "new")


def test_a_replacement_that_is_a_link_is_refused(files: FileSet, tmp_path: Path) -> None:
    """It may come out of a stranger's archive, and lead to the files of another run."""
    other = FileSet(tmp_path / "other", NAMES)
    write(other, "precious", *NAMES)
    write(files, "old", *NAMES)
    (tmp_path / "replacement").symlink_to("other")
    for resume in (False, True):
        with pytest.raises(CannotRunError, match="is a link"), files.written(resume=resume):
            pass
    assert contents(other) == dict.fromkeys(NAMES, "precious")
    assert contents(files) == dict.fromkeys(NAMES, "old")


def test_what_others_put_into_the_folder_of_a_replacement_stays(files: FileSet) -> None:
    write(files, "old", *NAMES)
    write(files.replacement, "mine", "notes")
    with files.written() as target:
        write(target, "new", *NAMES)
    assert contents(files) == dict.fromkeys(NAMES, "new")
    assert (files.replacement.folder / "notes").read_text() == "mine"


def test_what_a_killed_process_was_writing_goes_with_the_set(files: FileSet) -> None:
    write(files, "old", *NAMES)
    write(files.replacement, "half", ".wmx-0123abcd.tmp")
    write(files.replacement, "new", *NAMES)
    files.settle()
    assert contents(files) == dict.fromkeys(NAMES, "new")
    assert not files.replacement.folder.exists()
