"""Folders of a stranger beside a key: searching them ends, in time and in memory."""

import os
from pathlib import Path

import pytest
from support.evidence_files import small_watermark

from wmx import OwnerKey
from wmx._internal.budget import Budget, held_to
from wmx._internal.file_lock import locked
from wmx.errors import CannotRunError, LimitError
from wmx.verification import ledger_search
from wmx.verification.ledger import Ledger

KEY = OwnerKey.generate()
CLAIM = small_watermark(KEY, 200).claim
WORDS = {"suspect": "aa" * 32, "evidence": "bb" * 32}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    KEY.save(tmp_path / "owner.pem")
    return Ledger(tmp_path / "owner.pem", CLAIM)


def maze(folder: Path, floors: int, links: int) -> None:
    """Folders that each link to the next by many names: links**floors ways lead through them."""
    for floor in range(floors):
        (folder / f"{floor}").mkdir(parents=True)
    for floor in range(floors - 1):
        for link in range(links):
            (folder / f"{floor}" / f"{link}.spent").symlink_to(f"../{floor + 1}")
    (folder / "in.spent").symlink_to("0")


def test_each_real_folder_is_searched_once(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By all ways through these it would take longer than anybody lives."""
    maze(tmp_path / "t.pem.spent", 60, 10)
    assert ledger.spend(KEY, 0, 5, **WORDS)
    (tmp_path / "owner.pem.spent").rename(tmp_path / "t.pem.spent" / "59" / "deep.spent")
    scanned: list[Path] = []
    scan = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: scanned.append(Path(path)) or scan(path))
    assert ledger.next_start() == 5
    assert len(scanned) == 2 + 61 + 1, "that of the key twice, for its names and for ledgers"


def test_the_number_of_folders_is_bounded(
    ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_search, "MAX_FOLDERS", 20)
    for number in range(20):
        (tmp_path / "t.pem.spent" / f"{number}.spent").mkdir(parents=True)
    with pytest.raises(CannotRunError, match="more than 20 ledger folders"):
        ledger.next_start()
    with pytest.raises(CannotRunError, match="more than 20 ledger folders"):
        ledger.spend(KEY, 0, 5, **WORDS)
    (tmp_path / "t.pem.spent" / "0.spent").rmdir()
    assert ledger.next_start() == 0


@pytest.mark.skipif(not Path("/dev/fd").exists(), reason="no names for open files here")
def test_a_key_that_lies_in_no_folder_is_refused(ledger: Ledger, tmp_path: Path) -> None:
    """Each such key would have a ledger of its own, and its triggers be disclosed again."""
    key = tmp_path / "gone.pem"
    KEY.save(key)
    with key.open("rb") as file:
        key.unlink()
        opened = Path(f"/dev/fd/{file.fileno()}")
        with pytest.raises(CannotRunError, match="is in no folder"):
            Ledger(opened, CLAIM).next_start()


@pytest.mark.parametrize("place", [".", "t.pem.spent"])
@pytest.mark.parametrize("name", ["{}", "{}.spent"])
def test_folders_of_many_names_are_searched_within_the_limits(
    place: str, name: str, ledger: Ledger, tmp_path: Path
) -> None:
    """Each name consults the budget, whether the key's names or ledgers are looked for."""
    (tmp_path / "t.pem.spent").mkdir()
    for number in range(10):
        (tmp_path / place / name.format(number)).symlink_to(".")
    budget = Counting(60, 60, 2**33)
    with held_to(budget):
        ledger_search.require_one_folder(tmp_path / "owner.pem")
        names = budget.looks
        ledger.next_start()
    assert names == len(list(tmp_path.iterdir()))
    assert budget.looks > names + 10
    with held_to(Budget(0, 60, 2**33)), pytest.raises(LimitError, match="longer than 0 s"):
        ledger.next_start()


class Counting(Budget):
    """A budget that counts how often it is consulted."""

    looks = 0

    def consult(self) -> None:
        """Count, and check the limits."""
        self.looks += 1
        super().consult()


def test_waiting_for_a_lock_is_within_the_limits(tmp_path: Path) -> None:
    """A shared folder of ledgers may be locked by a stranger."""
    path = tmp_path / "lock"
    with (
        locked(path),
        held_to(Budget(0.1, 60, 2**33)),
        pytest.raises(LimitError, match="longer than"),
        locked(path),
    ):
        raise AssertionError("locked twice")
