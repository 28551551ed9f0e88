"""Files are the old ones or the new ones, never half of either; and the store keeps its own."""

import os
from itertools import product
from pathlib import Path

import pytest

from wmx import OwnerKey, Watermark
from wmx._internal.files import read_bytes
from wmx._internal.writing import (
    SECRET_MODE,
    keep_aside,
    publish,
    require_writable,
    temporary_beside,
    write_bytes,
)
from wmx.errors import CannotRunError, IntegrityError, UsageError
from wmx.verification.store import Store


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_bytes(tmp_path / "file", b"content")
    assert read_bytes(tmp_path / "file", "file") == b"content"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_file_that_exists_is_kept_unless_forced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(CannotRunError, match="exists already"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    write_bytes(path, b"new", force=True)
    assert path.read_bytes() == b"new"


def test_a_file_is_kept_aside_under_the_first_name_that_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "owner.pem"
    write_bytes(path, b"first", mode=SECRET_MODE)
    (tmp_path / "owner.old-1.pem").symlink_to("nowhere")
    assert keep_aside(path) == tmp_path / "owner.old-2.pem"
    assert keep_aside(path) == tmp_path / "owner.old-2.pem", "it is kept already"
    write_bytes(path, b"second", mode=SECRET_MODE, force=True)

    def no_links(*_: object, **__: object) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)  # as on file systems that have none
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    aside = keep_aside(path)
    assert aside == tmp_path / "owner.old-3.pem"
    assert aside.read_bytes() == path.read_bytes() == b"second"
    assert aside.stat().st_mode & 0o777 == 0o600


def test_a_link_is_kept_aside_as_a_link(tmp_path: Path) -> None:
    """A key's ledger lies beside the key, and not beside a copy of it."""
    (tmp_path / "far").mkdir()
    write_bytes(tmp_path / "far" / "owner.pem", b"key")
    (tmp_path / "owner.pem").symlink_to("far/owner.pem")
    aside = keep_aside(tmp_path / "owner.pem")
    write_bytes(tmp_path / "owner.pem", b"new", force=True)
    assert aside.resolve() == tmp_path / "far" / "owner.pem"
    assert (aside.read_bytes(), (tmp_path / "owner.pem").read_bytes()) == (b"key", b"new")


def test_a_dangling_link_is_not_written_through(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CannotRunError, match="exists already"):
        write_bytes(link, b"new")
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    temporary, path = tmp_path / "temporary", tmp_path / "file"
    temporary.write_bytes(b"mine")
    path.write_bytes(b"theirs")
    with pytest.raises(CannotRunError, match="exists already"):
        publish(temporary, path, force=False)
    assert path.read_bytes() == b"theirs"


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CannotRunError, match="No space left"):
        write_bytes(tmp_path / "file", b"content")
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_stays_written_though_its_temporary_name_cannot_be_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(self: Path, missing_ok: bool = False) -> None:
        raise OSError(36, "File name too long")

    monkeypatch.setattr(Path, "unlink", stuck)
    write_bytes(tmp_path / "file", b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.parametrize("nameless", [True, False])
def test_no_temporary_name_hangs_on_the_name_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nameless: bool
) -> None:
    if not nameless:
        monkeypatch.delattr(os, "O_TMPFILE")
    for length in (1, 234, 255):
        path = tmp_path / ("n" * length)
        write_bytes(path, b"old")
        write_bytes(path, b"new", force=True)
        assert path.read_bytes() == b"new"
        assert len(temporary_beside(path).name) < 32
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("force", [True, False])
def test_nothing_but_a_file_is_replaced(tmp_path: Path, force: bool) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder")
    os.mkfifo(tmp_path / "pipe")
    names = ("folder", "link", "pipe", "n" * 256)
    for name, write in product(names, (write_bytes, lambda path, _, force: require(path, force))):
        with pytest.raises(CannotRunError, match=f"cannot write {tmp_path / name}: "):
            write(tmp_path / name, b"", force=force)
    assert len(list(tmp_path.iterdir())) == 3


def require(path: Path, force: bool) -> None:
    require_writable(path, force=force)


def test_a_folder_that_takes_no_files_is_known_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_writable(tmp_path / "file", force=False)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CannotRunError, match="no such folder"):
        require_writable(tmp_path / "nowhere" / "file", force=False)
    (tmp_path / "file").touch()
    require_writable(tmp_path / "file", force=True)
    with pytest.raises(CannotRunError, match="exists already"):
        require_writable(tmp_path / "file", force=False)
    with pytest.raises(CannotRunError, match="cannot write /proc/file: "):
        require_writable("/proc/file", force=False)


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_is_born_with_its_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int
) -> None:
    seen = []
    original = os.fsync
    monkeypatch.setattr(
        os, "fsync", lambda fd: seen.append(os.fstat(fd).st_mode & 0o777) or original(fd)
    )
    write_bytes(tmp_path / "file", b"secret", mode=mode)
    assert seen[0] == mode & ~_umask()
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode & ~_umask()


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


def test_what_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(CannotRunError, match="no such file"):
        read_bytes(tmp_path / "gone", "claim")
    with pytest.raises(CannotRunError, match="is a folder"):
        read_bytes(tmp_path, "claim")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CannotRunError, match="not a regular file"):
        read_bytes(tmp_path / "pipe", "claim")
    (tmp_path / "large").write_bytes(bytes(11))
    with pytest.raises(CannotRunError, match="larger than 10 bytes"):
        read_bytes(tmp_path / "large", "claim", limit=10)


# the store


def test_the_store_keeps_claims_and_finds_those_of_an_owner(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    owner, other = OwnerKey.generate(), OwnerKey.generate()
    marks = [Watermark.new(owner, shape=(8, 8, 1), classes=10) for _ in range(2)]
    for mark in [*marks, Watermark.new(other, shape=(8, 8, 1), classes=10)]:
        store.add(mark.claim)
        store.add(mark.claim)  # a second time changes nothing
    assert len(list(store.claims())) == 3
    found = {mark.claim.digest for mark in store.watermarks(owner)}
    assert found == {mark.claim.digest for mark in marks}
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    with pytest.raises(UsageError, match="no claim of this owner"):
        store.watermarks(OwnerKey.generate())


def test_a_broken_claim_in_the_store_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    mark = Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)
    path = store.add(mark.claim)
    path.write_bytes(mark.claim.to_bytes()[:-2])
    with pytest.raises(IntegrityError, match=path.name):
        list(store.claims())


def test_the_environment_names_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WMX_HOME", str(tmp_path / "mine"))
    assert Store().folder == tmp_path / "mine"
    with pytest.raises(CannotRunError, match="no owner key in the store"):
        Store().require_key()
    monkeypatch.delenv("WMX_HOME")
    assert Store().folder.name == "wmx"
    assert list(Store(tmp_path / "mine").claims()) == []
