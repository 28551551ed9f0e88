"""Every bad file and stream gets its exit code and its words; nothing else changes.

What a case must never do: crash or hang this process, write outside its output, print a
VERIFIED.  The cases are in the modules beside this one.
"""

import os
from pathlib import Path

import claim_cases
import data_cases
import disclosure_cases
import evidence_cases
import key_cases
import onnx_cases
import onnx_run_cases
import pytest
import safetensors_cases
import secret_cases
import timestamp_cases
import weights_cases
from cases import Case, Scene

from wmx.cli import run
from wmx.errors import WmxError

CASES = [
    *onnx_cases.CASES,
    *weights_cases.CASES,
    *secret_cases.CASES,
    *onnx_run_cases.CASES,
    *claim_cases.CASES,
    *key_cases.CASES,
    *data_cases.CASES,
    *safetensors_cases.CASES,
    *evidence_cases.CASES,
    *disclosure_cases.CASES,
    *timestamp_cases.CASES,
]
LEAST = 60


def test_there_are_enough_and_no_two_of_one_name() -> None:
    assert len({case.name for case in CASES}) == len(CASES) >= LEAST


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_it_is_refused_in_words_and_nothing_happens(
    case: Case, scene: Scene, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    attack = case.make(scene)
    before = everything(tmp_path)
    if callable(attack):
        with pytest.raises(WmxError) as caught:
            attack()
        code, out, error = caught.value.exit_code, "", str(caught.value)
    else:
        code = run(attack)
        out, error = capsys.readouterr()
    assert (code, case.says) == (case.code, case.says), error
    assert case.says in (error or out)
    assert "Traceback" not in error
    assert not out.startswith("VERIFIED")
    assert (error + out).replace("\n", "").isprintable()
    assert everything(tmp_path) == before


def test_the_same_command_on_the_honest_file_is_verified(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(onnx_cases.verify(scene, scene.model)) == 0
    assert capsys.readouterr().out.startswith("VERIFIED")


def everything(folder: Path) -> dict[str, bytes | str]:
    """Return what lies under a folder: the content of files, the targets of links."""
    found: dict[str, bytes | str] = {}
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = Path(parent) / name
            if path.is_symlink():
                found[str(path)] = os.readlink(path)
            else:
                found[str(path)] = path.read_bytes() if path.is_file() else "no file"
    return found
