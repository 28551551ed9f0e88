"""What the tests of the command line share."""

import json
from pathlib import Path
from typing import Any

import pytest

from wmx.cli import run

CLAIM_NEW = ("claim", "new", "--shape", "8,8,1", "--classes", "10")


class Result:
    """What a command did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def make_in(folder: Path, *commands: tuple[object, ...]) -> None:
    """Run commands in a folder with a store of its own, of which many tests get a copy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WMX_HOME", str(folder / "store"))
        patch.delenv("WMX_PASSPHRASE_FILE", raising=False)
        patch.chdir(folder)
        for words in commands:
            assert run([str(word) for word in words]) == 0, words
