"""A lock file is the user's own, leads nowhere else, and is not waited for without end."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wmx._internal import file_lock
from wmx._internal.file_lock import locked
from wmx.errors import CannotRunError

LOCK = ".claim.json.lock"


def taken(path: Path) -> None:
    with locked(path):
        assert path.exists()


def test_it_is_made_and_stays(tmp_path: Path) -> None:
    taken(tmp_path / LOCK)
    taken(tmp_path / LOCK)
    assert (tmp_path / LOCK).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("there", [False, True])
def test_a_link_is_not_followed(tmp_path: Path, there: bool) -> None:
    (tmp_path / "archive").mkdir()
    if there:
        (tmp_path / "elsewhere").touch()
    (tmp_path / "archive" / LOCK).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotRunError, match="is a link") as caught:
        taken(tmp_path / "archive" / LOCK)
    assert "remove it" in str(caught.value.hint)
    assert (tmp_path / "elsewhere").exists() == there


def test_a_link_made_meanwhile_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / LOCK).symlink_to(tmp_path / "elsewhere")
    monkeypatch.setattr(Path, "is_symlink", lambda _: False)
    with pytest.raises(CannotRunError, match="is a link"):
        taken(tmp_path / LOCK)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (os.mkfifo, "not a regular file"),
        (lambda path: os.link(Path(path).with_name("other"), path), "a file with several names"),
    ],
)
def test_only_an_ordinary_file_is_taken(
    tmp_path: Path, make: Callable[[Path], Any], what: str
) -> None:
    (tmp_path / "other").touch()
    make(tmp_path / LOCK)
    with pytest.raises(CannotRunError, match=what):
        taken(tmp_path / LOCK)


def test_another_users_file_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken(tmp_path / LOCK)
    found = os.stat(tmp_path / LOCK)
    foreign = os.stat_result((*found[:4], found.st_uid + 1, *found[5:]))
    monkeypatch.setattr(os, "fstat", lambda _: foreign)
    with pytest.raises(CannotRunError, match="another user's"):
        taken(tmp_path / LOCK)


def test_one_that_another_holds_is_waited_for_but_not_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_lock, "WAIT_SECONDS", 0.1)
    with (tmp_path / LOCK).open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(CannotRunError, match=r"\.claim\.json\.lock for 0\.1 seconds") as caught:
            taken(tmp_path / LOCK)
        assert "end it" in str(caught.value.hint)
        monkeypatch.setattr(file_lock, "WAIT_SECONDS", 600)
        monkeypatch.setattr("time.sleep", lambda _: fcntl.flock(holder, fcntl.LOCK_UN))
        taken(tmp_path / LOCK)
