"""wmx killed at any moment leaves old files or new ones, and no secret for others to read.

The campaign of 200 kills, training among them, is ``python benchmarks/kill_nine.py``.
"""

import os
import random
from pathlib import Path

import killing
import pytest

KILLS = 10


@pytest.mark.skipif(os.name != "posix", reason="kill -9 and umask are POSIX")
@pytest.mark.parametrize("name", sorted(killing.OPERATIONS))
def test_a_killed_command_leaves_whole_files(name: str, tmp_path: Path) -> None:
    rng = random.Random(name)
    operation = killing.OPERATIONS[name]
    outcomes = []
    for number in range(KILLS):
        folder = tmp_path / str(number)
        folder.mkdir()
        outcomes.append(killing.kill_once(operation, folder, rng, 0.3, dict(os.environ)))
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


def test_the_check_sees_half_a_key(tmp_path: Path) -> None:
    killing.old_key(tmp_path)
    path = tmp_path / "owner.pem"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(Exception, match="is not an owner key"):
        killing.replaced_key(tmp_path)
