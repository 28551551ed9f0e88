"""The ledger: no trigger is spent twice, not by two processes at once and not after a crash."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.evidence_files import small_watermark

import wmx.verification.ledger
from wmx import OwnerKey
from wmx.errors import CannotRunError, IntegrityError, UsageError, WmxError
from wmx.protocol.claim import Claim
from wmx.verification.ledger import Ledger
from wmx.verification.ledger_file import (
    Disclosure,
    ledger_from_bytes,
    ledger_to_bytes,
    most_bytes,
)

KEY = OwnerKey.generate()
CLAIM = small_watermark(KEY, 200).claim
WORDS = {"suspect": "aa" * 32, "evidence": "bb" * 32}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "owner.pem", CLAIM)


def file_of(folder: Path) -> Path:
    return folder / "owner.pem.spent" / f"{CLAIM.digest}.json"


def entries_of(path: Path) -> int:
    return len(ledger_from_bytes(path.read_bytes(), CLAIM, "ledger"))


def test_what_was_spent_stays_spent(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.next_start() == 0
    assert ledger.spend(KEY, 0, 43, **WORDS)
    assert ledger.spend(KEY, 43, 2, **WORDS)
    again = Ledger(tmp_path / "owner.pem", CLAIM)
    assert again.next_start() == 45
    assert [(entry.start, entry.count) for entry in again.disclosures()] == [(0, 43), (43, 2)]
    assert again.disclosures()[0].evidence == "bb" * 32


def test_only_the_next_triggers_can_be_spent(ledger: Ledger) -> None:
    assert ledger.spend(KEY, 0, 5, **WORDS)
    for start in (0, 3, 6):
        assert not ledger.spend(KEY, start, 5, **WORDS)
    assert ledger.next_start() == 5


def test_every_claim_has_its_own(ledger: Ledger, tmp_path: Path) -> None:
    ledger.spend(KEY, 0, 5, **WORDS)
    other = Ledger(tmp_path / "owner.pem", small_watermark(KEY, number=1).claim)
    assert other.next_start() == 0


def test_a_link_to_the_key_leads_to_the_same_ledger(ledger: Ledger, tmp_path: Path) -> None:
    ledger.spend(KEY, 0, 5, **WORDS)
    KEY.save(tmp_path / "owner.pem")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "link.pem").symlink_to(tmp_path / "owner.pem")
    assert Ledger(elsewhere / "link.pem", CLAIM).next_start() == 5


def test_only_its_owner_can_read_it(ledger: Ledger, tmp_path: Path) -> None:
    ledger.spend(KEY, 0, 5, **WORDS)
    assert file_of(tmp_path).stat().st_mode & 0o777 == 0o600
    assert file_of(tmp_path).parent.stat().st_mode & 0o777 == 0o700


def test_a_damaged_ledger_is_not_taken_for_an_empty_one(ledger: Ledger, tmp_path: Path) -> None:
    ledger.spend(KEY, 0, 5, **WORDS)
    whole = file_of(tmp_path).read_bytes()
    for damaged in (b"", whole[:-1], whole.replace(b'"sig":"', b'"sig":"A')):
        file_of(tmp_path).write_bytes(damaged)
        with pytest.raises(IntegrityError, match="ledger"):
            ledger.next_start()
        with pytest.raises(IntegrityError, match="ledger"):
            ledger.spend(KEY, 0, 5, **WORDS)


def test_only_the_key_of_the_claim_spends_and_only_its_triggers(ledger: Ledger) -> None:
    with pytest.raises(UsageError, match="another owner key"):
        ledger.spend(OwnerKey.generate(), 0, 5, **WORDS)
    for start, count in ((0, 201), (199, 2), (0, 0)):
        with pytest.raises(UsageError, match="claim's 200"):
            ledger.spend(KEY, start, count, **WORDS)
    assert ledger.next_start() == 0


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "owner.pem.spent").write_text("a file is in the way")
    with pytest.raises(CannotRunError, match="cannot search"):
        Ledger(tmp_path / "owner.pem", CLAIM).spend(KEY, 0, 5, **WORDS)


def spend_eight(folder: str, claim: bytes, pem: bytes, who: str) -> None:
    ledger, owner = (
        Ledger(Path(folder) / "owner.pem", Claim.from_bytes(claim)),
        OwnerKey.from_pem(pem),
    )
    done = 0
    while done < 8:
        done += ledger.spend(owner, ledger.next_start(), 1, suspect="", evidence=f"{who} {done}")


def test_processes_at_once_lose_nothing_and_spend_nothing_twice(
    ledger: Ledger, tmp_path: Path
) -> None:
    context = multiprocessing.get_context("spawn")
    arguments = str(tmp_path), CLAIM.to_bytes(), KEY.to_pem()
    processes = [context.Process(target=spend_eight, args=(*arguments, who)) for who in "ab"]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    entries = ledger.disclosures()
    assert [entry.start for entry in entries] == list(range(16))
    assert {entry.evidence for entry in entries} == {f"{w} {i}" for w in "ab" for i in range(8)}


SPENDER = """
import sys
from pathlib import Path
from wmx import Claim, OwnerKey
from wmx.verification.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]) / "owner.pem", Claim.load(sys.argv[2]))
owner = OwnerKey.load(sys.argv[3])
while True:
    start = ledger.next_start()
    assert ledger.spend(owner, start, 1, suspect="", evidence="")
    print(start, flush=True)  # what is said to be spent has to be so
"""


def test_a_killed_process_leaves_a_whole_ledger_and_no_lock(ledger: Ledger, tmp_path: Path) -> None:
    claim = tmp_path / "claim.json"
    CLAIM.save(claim)
    KEY.save(tmp_path / "key.pem")
    arguments = [sys.executable, "-c", SPENDER, *map(str, (tmp_path, claim, tmp_path / "key.pem"))]
    said: list[int] = []
    for round_number in range(4):
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        said.append(int(process.stdout.readline()))
        time.sleep(0.01 * round_number)
        os.kill(process.pid, signal.SIGKILL)
        rest = process.communicate()[0].split("\n")[:-1]
        said += [int(line) for line in rest]
        assert ledger.next_start() in (len(said), len(said) + 1)  # killed before it could say so
        said = list(range(ledger.next_start()))
    assert ledger.spend(KEY, ledger.next_start(), 1, **WORDS)


def test_what_was_disclosed_under_another_name_of_the_key_counts(tmp_path: Path) -> None:
    """An evidence may be made while the key is replaced, and a key may be moved back."""
    names = [tmp_path / name for name in ("owner.pem", "owner.old-1.pem", "owner.old-12.pem")]
    for number, name in enumerate(names):
        assert Ledger(name, CLAIM).next_start() == 10 * number
        assert Ledger(name, CLAIM).spend(KEY, 10 * number, 10, suspect="ab", evidence="cd")
    assert [Ledger(name, CLAIM).next_start() for name in names] == [30] * 3
    assert Ledger(tmp_path / "renamed by hand.pem", CLAIM).next_start() == 30
    counts = [entries_of(one) for one in tmp_path.glob("*/*.json")]
    assert counts == [3] * 3, "a key may be moved with any one of them"


def test_a_ledger_is_found_where_a_key_was_moved_with_it(tmp_path: Path) -> None:
    """Whoever reads an evidence of the first 5 triggers can make a model that knows them."""
    KEY.save(tmp_path / "owner.pem")
    Ledger(tmp_path / "owner.pem", CLAIM).spend(KEY, 0, 5, **WORDS)
    away, existing = tmp_path / "away", tmp_path / "new" / "owner.pem.spent"
    away.mkdir()
    (tmp_path / "owner.pem").rename(away / "owner.pem")
    (tmp_path / "owner.pem").symlink_to("away/owner.pem")  # a link where the key was
    (tmp_path / "again.pem").symlink_to("owner.pem")
    for name in ("owner.pem", "again.pem"):
        assert Ledger(tmp_path / name, CLAIM).next_start() == 5
    existing.mkdir(parents=True)
    (tmp_path / "owner.pem.spent").rename(existing / "owner.pem.spent")  # mv into a folder
    (away / "owner.pem").rename(existing.parent / "owner.pem")
    assert Ledger(existing.parent / "owner.pem", CLAIM).next_start() == 5


def test_a_ledger_is_found_however_deep_it_was_moved(tmp_path: Path) -> None:
    KEY.save(tmp_path / "owner.pem")
    Ledger(tmp_path / "owner.pem", CLAIM).spend(KEY, 0, 5, **WORDS)
    for _ in range(3):
        (tmp_path / "owner.pem.spent").rename(tmp_path / "moved")
        (tmp_path / "owner.pem.spent").mkdir()
        (tmp_path / "moved").rename(tmp_path / "owner.pem.spent" / "owner.pem.spent")
    assert Ledger(tmp_path / "owner.pem", CLAIM).next_start() == 5
    (tmp_path / "owner.pem.spent" / "loop.spent").symlink_to(tmp_path / "owner.pem.spent")
    assert Ledger(tmp_path / "owner.pem", CLAIM).next_start() == 5


def test_a_path_that_goes_up_from_a_link_means_what_the_system_means(tmp_path: Path) -> None:
    """LINK/.. is the folder above the one that the link leads to."""
    deep = tmp_path / "elsewhere" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "link").symlink_to(deep)
    KEY.save(deep.parent / "owner.pem")
    ledger = Ledger(tmp_path / "link" / ".." / "owner.pem", CLAIM)
    assert ledger.spend(KEY, 0, 5, **WORDS)
    assert ledger.next_start() == Ledger(deep.parent / "owner.pem", CLAIM).next_start() == 5


def test_a_ledger_that_is_a_link_stays_one(ledger: Ledger, tmp_path: Path) -> None:
    ledger.spend(KEY, 0, 5, **WORDS)
    shared = tmp_path / "shared.json"
    file_of(tmp_path).rename(shared)
    file_of(tmp_path).symlink_to(shared)
    ledger.spend(KEY, 5, 5, **WORDS)
    assert entries_of(shared) == 2


@pytest.mark.parametrize("kind", ["file", "dangling", "closed"])
def test_what_belongs_to_other_keys_is_no_obstacle(
    kind: str, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "other.pem.spent"
    if kind == "file":
        folder.write_bytes(b"notes")
    else:
        OwnerKey.generate().save(tmp_path / "other.pem")
        folder.symlink_to("/nowhere") if kind == "dangling" else folder.mkdir(mode=0)
    can, monkeypatched = os.access, kind == "closed"
    if monkeypatched:  # root may read all
        monkeypatch.setattr(os, "access", lambda path, mode: path != folder and can(path, mode))
    assert ledger.next_start() == 0
    assert ledger.spend(KEY, 0, 1, **WORDS)


def test_a_key_that_is_a_loop_of_links(tmp_path: Path) -> None:
    (tmp_path / "loop.pem").symlink_to("loop.pem")
    with pytest.raises(CannotRunError, match="leads nowhere"):
        Ledger(tmp_path / "loop.pem", CLAIM).next_start()


@pytest.mark.parametrize(
    "make",
    [
        lambda folder, file: (folder.mkdir(), file.symlink_to("/nowhere")),
        lambda folder, file: folder.symlink_to("/nowhere"),
        lambda folder, file: folder.symlink_to(folder.name),
        lambda folder, file: (folder.mkdir(), file.mkdir()),
    ],
    ids=["dangling file", "dangling folder", "loop", "file is a folder"],
)
@pytest.mark.parametrize("name", ["owner.pem", "owner.old-1.pem"])
def test_a_ledger_that_cannot_be_reached_is_not_an_empty_one(
    make: Any, name: str, ledger: Ledger, tmp_path: Path
) -> None:
    """Such as on a disk that is not connected: a model of what it discloses would verify."""
    folder = tmp_path / f"{name}.spent"
    make(folder, folder / f"{CLAIM.digest}.json")
    with pytest.raises(CannotRunError):
        ledger.next_start()
    with pytest.raises(CannotRunError):
        ledger.spend(KEY, 0, 1, **WORDS)


@pytest.mark.parametrize("refused", ["parent", "folder"])
def test_a_folder_that_may_not_be_searched(
    refused: str, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.spend(KEY, 0, 1, **WORDS)
    scan = os.scandir

    def scandir(path: Path) -> Any:
        if Path(path) == (tmp_path if refused == "parent" else tmp_path / "owner.pem.spent"):
            raise PermissionError(13, "Permission denied")
        return scan(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(CannotRunError, match="cannot search"):
        ledger.next_start()


def test_hard_links_are_refused_before_anything_is_counted(tmp_path: Path) -> None:
    """The command that verifies would count what was disclosed under the other name."""
    other = tmp_path / "other"
    other.mkdir()
    KEY.save(tmp_path / "owner.pem")
    (tmp_path / "lab.pem").hardlink_to(tmp_path / "owner.pem")
    assert Ledger(tmp_path / "owner.pem", CLAIM).next_start() == 0
    (other / "owner.pem").hardlink_to(tmp_path / "owner.pem")
    for key in (tmp_path / "owner.pem", other / "owner.pem"):
        with pytest.raises(CannotRunError, match=r"3 names .* in other folders"):
            Ledger(key, CLAIM).next_start()


def test_all_names_of_a_key_share_one_lock(tmp_path: Path) -> None:
    """Else two processes that call the key by two names would disclose the same triggers."""
    from wmx._internal.file_lock import locked

    ledger = Ledger(tmp_path / "owner.old-1.pem", CLAIM)
    assert Ledger(tmp_path / "owner.pem", CLAIM).spend(KEY, 0, 1, suspect="ab", evidence="cd")
    (held,) = tmp_path.glob(".spent-*.lock")
    with locked(held), pytest.MonkeyPatch.context() as patch:
        patch.setattr("wmx._internal.file_lock.WAIT_SECONDS", 0.1)
        with pytest.raises(CannotRunError, match=held.name):
            ledger.spend(KEY, 1, 1, suspect="ab", evidence="cd")


def test_a_ledger_that_its_owner_made_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """Whoever signs it may be a party of a dispute, with time to waste."""
    folder = tmp_path / "owner.pem.spent"
    folder.mkdir()
    path = folder / f"{CLAIM.digest}.json"
    entry = Disclosure(0, 1, "a" * 65, "b" * 64, "2026-01-01T00:00:00Z")
    path.write_bytes(ledger_to_bytes([entry], CLAIM, KEY))
    with pytest.raises(IntegrityError, match="more than 64 characters"):
        Ledger(tmp_path / "owner.pem", CLAIM).next_start()
    path.write_bytes(ledger_to_bytes([replace(entry, suspect="a" * 10**6)], CLAIM, KEY))
    with pytest.raises(WmxError, match="bytes"):
        Ledger(tmp_path / "owner.pem", CLAIM).next_start()


def test_a_ledger_of_a_trigger_an_evidence_is_not_too_large(tmp_path: Path) -> None:
    entries = [
        Disclosure(start, 1, "a" * 64, "b" * 64, "2026-01-01T00:00:00Z") for start in range(CLAIM.n)
    ]
    assert len(ledger_to_bytes(entries, CLAIM, KEY)) < most_bytes(CLAIM)


def test_a_ledger_with_many_names_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = tmp_path / "owner.pem.spent"
    first.mkdir()
    entry = Disclosure(0, 7, "a" * 64, "b" * 64, "2026-01-01T00:00:00Z")
    (first / f"{CLAIM.digest}.json").write_bytes(ledger_to_bytes([entry], CLAIM, KEY))
    for number in range(20):
        other = first / f"{number}.spent"
        other.mkdir()
        os.link(first / f"{CLAIM.digest}.json", other / f"{CLAIM.digest}.json")
    read: list[bytes] = []

    def counted(data: bytes, *more: Any) -> list[Disclosure]:
        read.append(data)
        return ledger_from_bytes(data, *more)

    monkeypatch.setattr(wmx.verification.ledger, "ledger_from_bytes", counted)
    assert Ledger(tmp_path / "owner.pem", CLAIM).next_start() == 7
    assert len(read) == 1
