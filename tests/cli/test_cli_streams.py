"""No encoding of a console, full disk, closed pipe or odd name ends a command or changes a code."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from commands import CLAIM_NEW

from wmx.attacks.campaign import Step
from wmx.cli import run
from wmx.cli.progress import attack_progress
from wmx.cli.streams import Steadfast, steady_streams, warn_of_loss

MAIN = "from wmx.cli import main; main()"
ENCODINGS = ["ascii", "cp1252", "utf-16"]
FEW = pytest.mark.parametrize("console", ["cp1252"], indirect=True)  # where a command takes long
NAMES = ["\u1f40\u03bc\u03ad\u03b3\u03b1", "\u05e9\u05dc\u05d5\u05dd", "\U0001f98a\U0001f9e0"]
BAD_BYTES = b"sus\xff\xe9pect \xce\xb1.onnx"
NOTE = "\u039a\u03b1\u03bb\u03b7\u03bc\u03ad\u03c1\u03b1 \U0001f98a"
Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(params=ENCODINGS)
def console(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Runs a command on a console of an encoding that has few letters, and is strict about it."""
    encoding = request.param

    def call(*arguments: object) -> tuple[int, str, str]:
        written = {"stdout": io.BytesIO(), "stderr": io.BytesIO()}
        with monkeypatch.context() as patch:
            for name, sink in written.items():
                stream = io.TextIOWrapper(sink, encoding=encoding, errors="strict")
                patch.setattr(sys, name, stream)
            steady_streams()
            code = run([str(argument) for argument in arguments])
            sys.stdout.flush()
            sys.stderr.flush()
            out, err = (sink.getvalue().decode(encoding) for sink in written.values())
        return code, out, err

    return call


@pytest.fixture
def named(claim: Path) -> list[Path]:
    """Models whose outputs have the names, one in a file of a name that is no text."""
    found = []
    for number, name in enumerate(NAMES):
        proto = onnx.load("model.onnx")
        proto.graph.node[-1].output[0] = proto.graph.output[0].name = name
        path = Path(os.fsdecode(BAD_BYTES) if number == 0 else f"{name}.onnx")
        path.write_bytes(proto.SerializeToString())
        found.append(path)
    return found


@pytest.mark.slow
def test_a_yes_stays_a_yes(console: Call, named: list[Path]) -> None:
    for path in named:
        for options in ((), ("--json",), ("--report", "r.html", "--force")):
            code, out, err = console("verify", path, "--claim", "claim.json", *options)
            assert (code, err) == (0, "")
            assert "VERIFIED" in out or json.loads(out)["verified"]


def test_a_no_stays_a_no(console: Call, named: list[Path]) -> None:
    proto = onnx.load("other.onnx")
    proto.graph.node[-1].output[0] = proto.graph.output[0].name = NAMES[0]
    onnx.save(proto, "other.onnx")
    assert console("verify", "other.onnx", "--claim", "claim.json")[0] == 1


@pytest.mark.slow
def test_triggers_that_are_spent_are_spent_for_a_yes(console: Call, named: list[Path]) -> None:
    for number, path in enumerate(named[1:]):
        evidence = f"{NAMES[2]}{number}.json"
        words = ("verify", path, "--claim", "claim.json", "--min-bits", "32")
        code, out, err = console(*words, "--evidence", evidence, "--report", f"{number}.html")
        assert (code, err) == (0, "")
        assert out.startswith("VERIFIED")
        for options in ((), ("--json",), ("--report", f"check{number}.html")):
            code, out, err = console("check", evidence, "--model", path, "--min-bits", 32, *options)
            assert (code, err) == (0, "")
        assert console("info", evidence)[0] == 0


def test_a_name_that_no_evidence_can_hold_is_said_before_a_trigger_is_spent(
    console: Call, named: list[Path]
) -> None:
    code, _, err = console("verify", named[0], "--claim", "claim.json", "--evidence", "e.json")
    assert code == 2
    assert "rename the file" in err
    assert not Path("e.json").exists()
    assert not list(Path("store").glob("*.spent/*"))


def test_what_a_file_is_can_be_said(console: Call, named: list[Path]) -> None:
    for path in named:
        for options in ((), ("--json",), ("--claim", "claim.json")):
            code, out, err = console("info", path, *options)
            assert (code, err) == (0, "")
            assert out
    assert console(*CLAIM_NEW, "--note", NOTE, "-o", f"{NAMES[0]}.json")[0] == 0
    for words in (("claim", "show"), ("info",)):
        for options in ((), ("--json",)):
            code, out, err = console(*words, f"{NAMES[0]}.json", *options)
            assert (code, err) == (0, "")
    assert json.loads(out)["note"] == NOTE  # JSON says it in ASCII


@FEW
def test_attacks_are_told_and_drawn(console: Call, named: list[Path]) -> None:
    words = ("--data", "digits", "--claim", "claim.json", "--attacks", "4-levels")
    for number, path in enumerate(named):
        code, out, err = console("attack", path, *words, "-o", f"out{number}")
        assert code == 0, err
        assert "4-levels" in out


@pytest.mark.slow
@FEW
def test_a_training_is_told(console: Call, home: Path) -> None:
    assert console("keygen")[0] == 0
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (40, 8, 8), dtype=np.uint8), np.arange(40) % 2
    data = Path(f"{NAMES[1]}.npz")
    np.savez(data, x=x, y=y)
    words = ("--data", data, "-o", os.fsdecode(b"r\xfcn"), "--epochs", 1, "-n", 136, "--note", NOTE)
    code, out, err = console("embed", *words)
    assert code in (0, 1), err
    assert "the mark is" in out
    assert "epoch 1/1" in err


def test_errors_and_help_are_told(console: Call, home: Path) -> None:
    missing = os.fsdecode(BAD_BYTES)
    for command in ("info", "check", "verify", "attack", "dispute"):
        code, out, err = console(command, missing)
        assert code in (2, 4)
        assert "wmx: error: " in err
    code, out, _ = console("info", f"{NAMES[0]}.onnx", "--json")
    assert (code, json.loads(out)["exit_code"]) == (4, 4)
    assert "no such file" in json.loads(out)["error"]["message"]
    for words in (("--help",), ("verify", "--help"), ("claim", "--help"), ("--version",)):
        assert console(*words)[0] == 0


def test_a_name_writes_no_line_of_its_own(wmx: Any, claim: Path) -> None:
    name = "a\nVERIFIED\x1b[2J\u202e.onnx"
    Path(name).write_bytes(Path("other.onnx").read_bytes())
    for words in (("info", name), ("verify", name, "--claim", "claim.json")):
        result = wmx(*words)
        assert not {"\x1b", "\u202e"} & set(result.out + result.err)
        assert "VERIFIED" not in result.out.splitlines()
        assert not any(line.startswith("VERIFIED") for line in result.out.splitlines())


def test_the_name_of_an_attack_is_no_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal; an error of the runtime may hold brackets, as of a closing tag."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    with attack_progress(silent=False) as report:
        assert report is not None
        report(Step("[/blur] [red]", 1, 2, epoch=1, epochs=2))
    assert "[/blur] [red]" in sys.stderr.getvalue()  # type: ignore[attr-defined]


# In processes of their own: streams as a shell sets them.


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of a shell, in which ``$WMX`` is the command."""
    wmx = f"{sys.executable} -c '{MAIN}'"
    return subprocess.run(
        ["/bin/sh", "-c", command.replace("$WMX", wmx)],
        env=os.environ | environment,
        capture_output=True,
        check=False,
    )


VERIFY = "$WMX verify model.onnx --claim claim.json"
posix = pytest.mark.skipif(os.name != "posix", reason="streams are closed differently elsewhere")


@pytest.mark.slow
@posix
@pytest.mark.parametrize(
    ("streams", "warned"),
    [
        (">/dev/full", True),
        (">/dev/full 2>/dev/full", False),
        (">&-", False),
        (">&- 2>&-", False),
        ("<&- >&- 2>&-", False),
        ("<&-", False),
        ("2>&-", False),
        ("2>/dev/full", False),
    ],
)
def test_streams_that_take_nothing_change_no_code(claim: Path, streams: str, warned: bool) -> None:
    for model, option, code in (("model.onnx", "--json", 0), ("other.onnx", "", 1)):
        done = shell(f"$WMX verify {model} --claim claim.json {option} {streams}")
        assert done.returncode == code
        assert b"Traceback" not in done.stderr
        assert done.stderr.startswith(b"wmx: warning: the answer could not be") is warned
    evidence = shell(f"{VERIFY} --min-bits 32 --evidence e.json --force {streams}")
    assert evidence.returncode == 0
    assert json.loads(Path("e.json").read_bytes())["payload"]  # and nothing else was printed there


@posix
def test_a_reader_who_goes_away_changes_no_code(claim: Path) -> None:
    status = "; echo $? >code; } | true"
    for line, code in (
        (VERIFY, 0),
        (f"{VERIFY} --json", 0),
        ("$WMX verify other.onnx --claim claim.json", 1),
        ("$WMX info model.onnx", 0),
        ("$WMX --help", 0),
    ):
        done = shell(f"{{ sleep 0.2; {line} {status}")
        assert int(Path("code").read_text()) == code
        assert done.stderr == b""


@posix
def test_help_on_a_full_disk_is_no_fault(home: Path) -> None:
    for words in ("--help", "--version", "doctor"):
        done = shell(f"$WMX {words} >/dev/full")
        assert b"Traceback" not in done.stderr
        assert b"No space left" in done.stderr


@posix
@pytest.mark.parametrize("encoding", ["ascii", "ascii:strict", "cp1252", "utf-16"])
def test_the_encoding_of_the_environment_changes_no_code(named: list[Path], encoding: str) -> None:
    for path in named:
        done = shell(f"$WMX verify '{path}' --claim claim.json", PYTHONIOENCODING=encoding)
        assert done.returncode == 0, done.stderr


@posix
def test_a_system_that_speaks_ascii_alone_changes_no_code(named: list[Path]) -> None:
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for options in ("", "--json", "--report page.html"):
        done = shell(f"$WMX verify sus* --claim claim.json {options}", **plain)
        assert done.returncode == 0, done.stderr
    assert shell("$WMX info sus*", **plain).returncode == 0


def test_what_a_stream_takes_in_pieces_arrives_whole() -> None:
    class Slow(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(memoryview(data)[:3])

    slow = Slow()
    with io.BufferedWriter(Steadfast(slow)) as stream:
        stream.write(b"0123456789" * 2000)
        stream.flush()
        assert slow.getvalue() == b"0123456789" * 2000


@posix
def test_a_stream_that_does_not_wait_is_waited_for() -> None:
    """A parent may have made the pipe so."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from wmx.cli.streams import steady_streams, warn_of_loss;"
            "steady_streams(); print('x' * 2**20); sys.stdout.flush(); warn_of_loss(0)",
        ],
        stdout=writing,
        stderr=subprocess.PIPE,
    )
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert len(pipe.read()) == 2**20 + 1
    assert child.communicate()[1] == b""
    assert child.returncode == 0


def test_nothing_is_said_of_streams_that_are_whole(capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_loss(0)
    assert capsys.readouterr() == ("", "")


@posix
def test_a_stream_without_a_buffer_still_tells_at_once() -> None:
    """PYTHONUNBUFFERED is usual in containers; progress that comes at the end is none."""
    program = (
        "import sys; from wmx.cli.streams import steady_streams; steady_streams();"
        "print('epoch 1', file=sys.stderr); sys.stdin.read(); print('end', file=sys.stderr)"
    )
    for value in ("", "1"):
        with subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": value},
            bufsize=0,
        ) as child:
            assert child.stderr is not None
            assert child.stderr.read(8) == b"epoch 1\n"  # before its stdin is closed
            child.communicate(b"")
