"""The lock files: every package at the version of the constraints, and with hashes."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LOCKS = {
    "requirements.lock": "constraints.txt",
    "tests/mlserver/requirements.lock": "tests/mlserver/constraints.txt",
    "tests/shipped.lock": "tests/shipped.txt",
}
ENTRY = re.compile(r"([a-z0-9-]+)==([^\s+]+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n")


def locked(text: str) -> dict[str, str]:
    """Return the versions by name, after asserting that there are entries with hashes alone."""
    body = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    assert ENTRY.sub("", body) == ""
    return {name: version for name, version, _ in ENTRY.findall(body)}


def pinned(text: str) -> dict[str, str]:
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    pairs = (line.split("==") for line in lines)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in pairs}


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_the_versions_of_its_constraints(lock: str) -> None:
    found = locked((ROOT / lock).read_text())
    assert found == pinned((ROOT / LOCKS[lock]).read_text()), "make lock"


def test_a_package_without_a_hash_would_be_seen() -> None:
    with pytest.raises(AssertionError):
        locked("a==1\nb==2 \\\n    --hash=sha256:" + "0" * 64 + "\n")
