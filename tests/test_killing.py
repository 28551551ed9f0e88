"""wmx killed at any moment leaves old files or new ones, and no secret for others to read.

The campaign of 200 kills, training among them, is ``python benchmarks/kill_nine.py``.
"""

import os
import random
from pathlib import Path

import pytest
from support import killing
from support.kill_operations import (
    OPERATIONS,
    earlier_evidence,
    marked_model,
    old_key,
    replaced_evidence,
    replaced_key,
    whole_evidence,
)

pytestmark = pytest.mark.slow

KILLS = 4


@pytest.mark.skipif(os.name != "posix", reason="kill -9 and umask are POSIX")
@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_a_killed_command_leaves_whole_files(name: str, tmp_path: Path) -> None:
    rng = random.Random(name)
    folders = iter(tmp_path / str(number) for number in range(KILLS + 1))

    def folder() -> Path:
        made = next(folders)
        made.mkdir()
        return made

    length = killing.run_alone(OPERATIONS[name], folder())
    outcomes = [killing.kill_once(OPERATIONS[name], folder(), rng, length) for _ in range(KILLS)]
    assert [outcome.problems for outcome in outcomes] == [[]] * KILLS
    assert any(outcome.killed for outcome in outcomes)


def test_the_watch_sees_a_secret_that_others_can_read(tmp_path: Path) -> None:
    with killing.modes_watched(tmp_path) as too_open:
        path = tmp_path / ".owner.pem.1234.tmp"
        path.write_bytes(b"secret")
        path.chmod(0o644)
        while not too_open:
            pass
    assert too_open == {".owner.pem.1234.tmp has mode 644"}


def test_the_watch_sees_what_a_kill_has_left(tmp_path: Path) -> None:
    with killing.modes_watched(tmp_path) as too_open:
        (tmp_path / "weights.safetensors").touch(0o640)
    assert too_open == {"weights.safetensors has mode 640"}


def test_the_check_sees_half_a_key(tmp_path: Path) -> None:
    old_key(tmp_path)
    path = tmp_path / "owner.pem"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(Exception, match="is not an owner key"):
        replaced_key(tmp_path)


def test_the_check_sees_a_ledger_that_lost_an_entry(tmp_path: Path) -> None:
    marked_model(tmp_path)
    whole_evidence(tmp_path)
    (ledger,) = (tmp_path / "owner.pem.spent").glob("*.json")
    ledger.unlink()
    with pytest.raises(IndexError):
        whole_evidence(tmp_path)


def test_the_check_sees_an_evidence_that_is_gone_or_in_no_ledger(tmp_path: Path) -> None:
    earlier_evidence(tmp_path)
    replaced_evidence(tmp_path)
    whole = (tmp_path / "evidence.json").read_bytes()
    (tmp_path / "evidence.json").unlink()
    with pytest.raises(AssertionError):
        replaced_evidence(tmp_path)
    (tmp_path / "evidence.json").write_bytes(whole[:-1])
    with pytest.raises(Exception, match="evidence"):
        replaced_evidence(tmp_path)
