"""Several ledgers of a claim: all of them are written or none is, one process at a time."""

import multiprocessing
import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from support import onnx_models
from support.evidence_files import small_watermark

from wmx import Claim, OwnerKey
from wmx._internal.file_lock import locked
from wmx._internal.writing import Staged
from wmx.errors import CannotRunError
from wmx.suspect.onnx_file import OnnxFile
from wmx.verification import ledger as ledgers
from wmx.verification.evidence import Evidence
from wmx.verification.ledger import Ledger
from wmx.verification.ledger_file import disclosed, ledger_from_bytes
from wmx.verification.prove import prove

KEY = OwnerKey.generate()
MARK = small_watermark(KEY, 100)
CLAIM = MARK.claim
WORDS = {"suspect": "aa" * 32, "evidence": "bb" * 32}
NAME = f"{CLAIM.digest}.json"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    """A ledger of 5 triggers beside the key, and two copies of it."""
    KEY.save(tmp_path / "owner.pem")
    found = Ledger(tmp_path / "owner.pem", CLAIM)
    for name in ("a.spent", "z.spent"):
        (tmp_path / name).mkdir()
    assert found.spend(KEY, 0, 5, **WORDS)
    for name in ("a.spent", "z.spent"):
        (tmp_path / name / NAME).write_bytes((tmp_path / "owner.pem.spent" / NAME).read_bytes())
    return found


def spent(folder: Path) -> dict[str, int]:
    """Return how many triggers each ledger says are disclosed."""
    return {
        path.parent.name: disclosed(ledger_from_bytes(path.read_bytes(), CLAIM, "ledger"))
        for path in folder.glob(f"*/{NAME}")
    }


ALL_FIVE = {"owner.pem.spent": 5, "a.spent": 5, "z.spent": 5}
FOLDERS = list(ALL_FIVE)


def refusing(monkeypatch: pytest.MonkeyPatch, how: str, folder: Path) -> None:
    """Make one folder as read-only, or its disk as full; modes bind no administrator."""
    opened, staged = os.open, Staged.__init__

    def denied(path: Any, flags: int, *rest: Any, **words: Any) -> int:
        if flags & (os.O_WRONLY | os.O_RDWR) and folder in (Path(path), Path(path).parent):
            raise OSError(30, "Read-only file system")
        return opened(path, flags, *rest, **words)

    def full(self: Staged, path: Any, *rest: Any, **words: Any) -> None:
        if Path(path).parent == folder:
            raise CannotRunError(f"cannot write {path}: No space left on device")
        staged(self, path, *rest, **words)

    if how == "read-only":
        monkeypatch.setattr(os, "open", denied)
    else:
        monkeypatch.setattr(Staged, "__init__", full)


@pytest.mark.parametrize("how", ["read-only", "full"])
@pytest.mark.parametrize("name", FOLDERS)
def test_nothing_is_spent_where_one_ledger_cannot_be_written(
    how: str, name: str, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_bytes(onnx_models.knows_labels(MARK))
    suspect = OnnxFile.open_own(tmp_path / "model.onnx", "cpu")
    with monkeypatch.context() as patch:
        refusing(patch, how, tmp_path / name)
        with pytest.raises(CannotRunError, match="no trigger is spent") as caught:
            ledger.spend(KEY, 5, 5, suspect="", evidence="cc")
        assert not ledger.has_spent("cc")
        assert str(tmp_path / name) in str(caught.value)
        assert str(tmp_path / name) in str(caught.value.hint)
        with pytest.raises(CannotRunError, match="no trigger is spent"):
            prove(suspect, MARK, KEY, tmp_path / "e.json", ledger, required_bits=64)
    assert spent(tmp_path) == ALL_FIVE
    assert list(tmp_path.rglob("*.tmp")) == []
    assert not (tmp_path / "e.json").exists()


@pytest.mark.parametrize("error", [CannotRunError("cannot write it"), KeyboardInterrupt()])
@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_an_evidence_is_kept_once_one_ledger_names_it(
    fails_at: int,
    error: BaseException,
    ledger: Ledger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Such as where the second of two disks breaks after the first was written."""
    (tmp_path / "model.onnx").write_bytes(onnx_models.knows_labels(MARK))
    suspect = OnnxFile.open_own(tmp_path / "model.onnx", "cpu")
    publish, published = Staged.publish, []

    def publishing(self: Staged) -> None:
        published.append(self)
        if len(published) == fails_at + 1:
            raise error
        publish(self)

    monkeypatch.setattr(Staged, "publish", publishing)
    said = None if not fails_at else "triggers 5 to .* are spent, and the evidence file is"
    with pytest.raises(type(error), match=said) as caught:
        prove(suspect, MARK, KEY, tmp_path / "e.json", ledger, required_bits=64)
    kept = list(tmp_path.glob(".wmx-*.tmp"))
    if not fails_at:
        assert (spent(tmp_path), kept) == (ALL_FIVE, [])
        return
    (path,) = kept
    assert str(path) in str(caught.value)
    found = Evidence.load(path).trigger_slice
    assert found.start == 5
    assert list(spent(tmp_path).values()).count(5 + len(found)) == fails_at
    monkeypatch.undo()
    assert ledger.spend(KEY, 5 + len(found), 1, **WORDS)
    assert set(spent(tmp_path).values()) == {6 + len(found)}, "and all agree again"


def shared_by_two_keys(folder: Path, link: str) -> list[Path]:
    """Two copies of a key, whose folders of ledgers are links to one, or hold links to one file."""
    shared = folder / "shared"
    shared.mkdir()
    if link == "file":
        first = Ledger(folder / "owner.pem", CLAIM)
        assert first.spend(KEY, 0, 1, **WORDS)
        (folder / "owner.pem.spent" / NAME).rename(shared / "ledger.json")
    keys = []
    for name in "ab":
        (folder / name).mkdir()
        keys.append(folder / name / "owner.pem")
        KEY.save(keys[-1])
        beside = folder / name / "owner.pem.spent"
        if link == "folder":
            beside.symlink_to(shared)
        else:
            beside.mkdir()
            (beside / NAME).symlink_to(shared / "ledger.json")
    return keys


def evidence_of(key: str | Path, number: int) -> str:
    return sha256(f"{key} {number}".encode()).hexdigest()


def spend_eight(key: str, claim: bytes) -> None:
    owner, ledger = OwnerKey.load(key), Ledger(key, Claim.from_bytes(claim))
    done = 0
    while done < 8:
        done += ledger.spend(
            owner, ledger.next_start(), 1, suspect="", evidence=evidence_of(key, done)
        )


@pytest.mark.parametrize("link", ["folder", "file"])
def test_two_keys_that_share_a_ledger_spend_nothing_twice(link: str, tmp_path: Path) -> None:
    keys = shared_by_two_keys(tmp_path, link)
    before = Ledger(keys[0], CLAIM).next_start()
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=spend_eight, args=(str(key), CLAIM.to_bytes())) for key in keys
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    entries = Ledger(keys[1], CLAIM).disclosures()[before:]
    assert {entry.evidence for entry in entries} == {
        evidence_of(k, i) for k in keys for i in range(8)
    }


@pytest.mark.parametrize("link", ["folder", "file"])
def test_a_ledger_is_locked_where_it_lies(
    link: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = shared_by_two_keys(tmp_path, link)
    start = Ledger(first, CLAIM).next_start()
    assert Ledger(first, CLAIM).spend(KEY, start, 1, **WORDS)
    (lock,) = (tmp_path / "shared").glob(".spent-*.lock")
    monkeypatch.setattr("wmx._internal.file_lock.WAIT_SECONDS", 0.1)
    with locked(lock), pytest.raises(CannotRunError, match="no trigger is spent"):
        Ledger(second, CLAIM).spend(KEY, start + 1, 1, **WORDS)


def test_a_ledger_that_comes_while_the_locks_are_taken_is_not_left_out(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = (tmp_path / "a.spent" / NAME).read_bytes()

    def late(path: Path) -> Any:
        (tmp_path / "new.spent").mkdir(exist_ok=True)
        (tmp_path / "new.spent" / NAME).write_bytes(copy)
        return locked(path)

    with monkeypatch.context() as patch:
        patch.setattr(ledgers, "locked", late)
        assert not ledger.spend(KEY, 5, 5, **WORDS)
    assert spent(tmp_path) == {**ALL_FIVE, "new.spent": 5}
    assert ledger.spend(KEY, 5, 5, **WORDS)
    assert set(spent(tmp_path).values()) == {10}
