"""The process of its own: verdicts stay the same, and no end or lie of it becomes one.

What a real model cannot be made to do, a child of another program does in its place.
"""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support import onnx_models

import wmx.cli.app
import wmx.cli.streams
import wmx.suspect.sandbox.process
from wmx import OwnerKey, Watermark, WmxError, open_suspect, verify
from wmx._internal.budget import held_to
from wmx.errors import CannotRunError, SuspectDiedError
from wmx.statistics.probe import ALONE
from wmx.suspect import Limits, Sandbox
from wmx.suspect.onnx_file import OnnxFile
from wmx.suspect.sandbox.process import start_ahead
from wmx.suspect.sandbox.wire import PREFIX, Message
from wmx.suspect.suspect import Suspect
from wmx.verification.selection import Selection
from wmx.verification.verdict import measure

MIB = 2**20


@pytest.fixture(scope="module")
def watermark() -> Watermark:
    return Watermark.new(OwnerKey.generate(), shape=(8, 8, 1), classes=10)


@pytest.fixture
def path(watermark: Watermark, tmp_path: Path) -> Path:
    path = tmp_path / "suspect.onnx"
    path.write_bytes(onnx_models.knows_labels(watermark))
    return path


# the same verdict, and an end


@pytest.mark.parametrize("model", ["knows_labels", "linear", "constant"])
def test_a_verdict_is_the_same_to_the_bit(watermark: Watermark, tmp_path: Path, model: str) -> None:
    path = tmp_path / "suspect.onnx"
    make: Any = getattr(onnx_models, model)
    path.write_bytes(make(watermark, seed=3) if model == "linear" else make(watermark))
    assert verify(path, watermark) == verify(open_suspect(path, own=True), watermark)


def test_a_closed_suspect_has_no_process_and_no_answers(watermark: Watermark, path: Path) -> None:
    sandbox = Sandbox.start()
    suspect = open_suspect(path, sandbox=sandbox)
    verify(suspect, watermark)  # leaves it open
    verify(suspect, watermark)
    suspect.close()
    assert sandbox._process.returncode is not None
    with pytest.raises(SuspectDiedError, match="closed already"):
        verify(suspect, watermark)


def test_a_file_that_is_refused_leaves_no_process(tmp_path: Path) -> None:
    sandbox = Sandbox.start()
    (tmp_path / "text.onnx").write_text("no model at all")
    with pytest.raises(CannotRunError, match="text file"):
        open_suspect(tmp_path / "text.onnx", sandbox=sandbox)
    assert sandbox._process.returncode is not None


def test_the_parent_loads_no_runtime(watermark: Watermark, path: Path, tmp_path: Path) -> None:
    owner = OwnerKey.generate()
    owner.save(tmp_path / "owner.pem")
    Watermark.new(owner, shape=(8, 8, 1), classes=10).claim.save(tmp_path / "claim.json")
    code = (
        "import sys; from wmx.cli import run; code = run(sys.argv[1:]);"
        "native = {'onnx', 'onnxruntime'} & set(sys.modules); assert not native, native;"
        "assert code == 1, code"
    )
    words = ("verify", path, "--claim", tmp_path / "claim.json", "--key", tmp_path / "owner.pem")
    subprocess.run([sys.executable, "-c", code, *words], check=True, capture_output=True)


# a child that is started before there is a sandbox


def test_the_next_sandbox_takes_the_child_that_was_started_ahead(
    monkeypatch: pytest.MonkeyPatch, watermark: Watermark, path: Path
) -> None:
    monkeypatch.setattr(wmx.suspect.sandbox.process, "_ahead", ahead := [])
    start_ahead()
    (process,) = ahead
    with Sandbox.start(Limits(seconds=50)) as first, Sandbox.start() as second:
        assert (first._process is process, second._process is process) == (True, False)
        assert first.limits.seconds == 50
        assert verify(open_suspect(path, sandbox=first), watermark).verified
    assert process.returncode is not None


@pytest.mark.skipif(sys.platform != "linux", reason="processes are listed in /proc on Linux only")
def test_a_child_that_no_sandbox_takes_ends_with_this_process() -> None:
    code = (
        "from wmx.suspect.sandbox import process; process.start_ahead();"
        "print(process._ahead[0].pid)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    deadline = time.monotonic() + 60
    while _lives(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _lives(int(done.stdout))


def _lives(process: int) -> bool:
    """Return whether a process runs; one that has ended may still be listed."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(("words", "started"), [("verify model.onnx", 1), ("info claim.json", 0)])
def test_the_script_starts_a_child_ahead_only_for_a_file(
    monkeypatch: pytest.MonkeyPatch, words: str, started: int
) -> None:
    count: list[str] = []
    monkeypatch.setattr(wmx.suspect.sandbox.process, "start_ahead", lambda: count.append(words))
    monkeypatch.setattr(sys, "argv", ["wmx", *words.split()])
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "1")
    monkeypatch.setattr(wmx.cli, "gc", SimpleNamespace(disable=list, freeze=list))
    monkeypatch.setattr(wmx.cli.streams, "steady_streams", lambda: None)
    monkeypatch.setattr(wmx.cli.app, "run", lambda _: 0)
    with pytest.raises(SystemExit):
        wmx.cli.main()
    assert len(count) == started


# how the end of a child is told


def fake(monkeypatch: pytest.MonkeyPatch, program: str, **limits: Any) -> Sandbox:
    """Start a child that runs ``program`` in place of wmx's own."""
    monkeypatch.setattr(wmx.suspect.sandbox.process, "BOOTSTRAP", program)
    return Sandbox.start(Limits(**limits))


def told(sandbox: Sandbox, message: Message | None = None) -> str:
    """Ask a child and return the error's text; every later question gives the same."""
    with sandbox:
        with pytest.raises(SuspectDiedError) as first:
            sandbox.ask(message or Message("run"))
        assert first.value.hint
        with pytest.raises(SuspectDiedError) as second:
            sandbox.ask(Message("run"))
        assert second.value is first.value
    assert sandbox._process.returncode is not None
    return str(first.value)


SLEEP = "import time; time.sleep(60)"


def test_a_child_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "longer than 0.3 s" in told(fake(monkeypatch, SLEEP, seconds=0.3))
    never_reads = Message("load", {}, (np.zeros(2**22),))
    assert "longer than 0.3 s" in told(fake(monkeypatch, SLEEP, seconds=0.3), never_reads)


FORK = """
import os, sys, time
with open({note!r}, "w") as note:
    if not (grandchild := os.fork()):
        {first}
        time.sleep(60)
    note.write(str(grandchild))
time.sleep(60)
"""
forking = pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")


@forking
def test_what_a_child_has_started_ends_with_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = FORK.format(note=str(tmp_path / "note"), first="pass")
    sandbox = fake(monkeypatch, program, seconds=1.0)
    assert "longer than 1 s" in told(sandbox)
    assert sandbox._process.stdout is not None  # nobody holds the pipe: it could be closed


@forking
def test_nobody_waits_for_what_has_left_the_childs_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wmx.suspect.sandbox.process, "GRACE_SECONDS", 0.2)
    note = tmp_path / "note"
    sandbox = fake(monkeypatch, FORK.format(note=str(note), first="os.setsid()"), seconds=1.0)
    began = time.monotonic()
    try:
        assert "longer than 1 s" in told(sandbox)
        assert time.monotonic() - began < 30
    finally:
        os.kill(int(note.read_text()), signal.SIGKILL)


@pytest.mark.skipif(os.name != "posix", reason="no process sends itself an interrupt there")
def test_an_interrupt_ends_the_waiting_and_the_child(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = fake(monkeypatch, SLEEP)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        sandbox.ask(Message("run"))
    timer.join()
    assert "was interrupted" in told(sandbox)
    assert sandbox._process.returncode == -signal.SIGKILL


def test_a_child_that_crashes(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SIGSEGV", "SIGABRT", "SIGKILL"):
        crash = f"import os, signal; os.kill(os.getpid(), signal.{name})"
        assert f"crashed the process that ran it ({name})" in told(fake(monkeypatch, crash))
    assert "ended by itself with exit code 3" in told(fake(monkeypatch, "raise SystemExit(3)"))


def test_a_child_that_takes_too_much_cpu_time(monkeypatch: pytest.MonkeyPatch) -> None:
    burn = """
from wmx.suspect.sandbox.limits import limit_this_process
limit_this_process(2**33, 1, gpu=False)
while True: pass
"""
    paths = f"import sys; sys.path[:] = sys.argv[1:]\n{burn}"
    assert "more than 1 s of CPU time" in told(fake(monkeypatch, paths, cpu_seconds=1))


@pytest.mark.skipif(sys.platform != "linux", reason="memory is watched on Linux only")
def test_a_child_that_takes_too_much_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = fake(monkeypatch, f"x = bytearray(b'x') * {200 * MIB}; {SLEEP}")
    sandbox.watch_memory(100 * MIB)
    assert "more than 104,857,600 bytes of memory" in told(sandbox)


def test_a_child_that_closes_its_pipe_and_lives_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wmx.suspect.sandbox.process, "GRACE_SECONDS", 0.2)
    closes = f"import os; os.close(1); {SLEEP}"
    assert "closed its pipe and kept running" in told(fake(monkeypatch, closes))


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        (b"\x00", "cut off within its lengths"),
        (b"Traceback (most recent call last)", "too long"),
        (PREFIX.pack(2**31, 0), "too long"),
        (PREFIX.pack(2, 2**40) + b"{}", "too long"),
        (PREFIX.pack(9, 0) + b"{}", "cut off"),
        (PREFIX.pack(2, 0) + b"[]", "not an object"),
    ],
)
def test_a_child_that_sends_nonsense(
    monkeypatch: pytest.MonkeyPatch, sent: bytes, message: str
) -> None:
    # it reads first, or the request would find a closed pipe
    talks = f"import os; os.read(0, 64); os.write(1, {sent!r})"
    found = told(fake(monkeypatch, talks))
    assert "sent a malformed message" in found
    assert message in found


def test_a_child_that_nobody_refers_to_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    sandbox = fake(monkeypatch, SLEEP)
    process = sandbox._process
    del sandbox
    assert process.returncode == -signal.SIGKILL


def test_a_child_gets_nothing_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WMX_PASSPHRASE_FILE", "/secret")
    monkeypatch.setenv("SOME_TOKEN", "secret")
    code = """
import os, sys
leaked = [v for v in os.environ.values() if "secret" in v] + [a for a in sys.argv if "wmx-" in a]
sys.exit(7 if leaked or os.getcwd() != os.sep else 8)
"""
    assert "exit code 8" in told(fake(monkeypatch, code))


# a child that has been taken over


ANSWERING = """
import sys
sys.path[:] = sys.argv[1:]
from wmx.suspect.sandbox import wire
from wmx.suspect.sandbox.process import start_ahead
from wmx.suspect.sandbox.wire import Message
import numpy as np
answers = {predictions}
while (request := wire.read(sys.stdin.buffer, 2**32)) is not None:
    wire.write(sys.stdout.buffer, answers[request.kind])
"""
HONEST = {
    "confine": "Message('confined', {'held': ['network', 'reading files'], "
    "'provider': 'CPUExecutionProvider'})",
    "load": "Message('loaded', {'provider': 'p', 'version': 'v', "
    "'inputs': [['x', 'tensor(float)', [None, 1, 8, 8]]], "
    "'outputs': [['y', 'tensor(float)', [None, 10]]], 'opsets': ['ai.onnx 17'], "
    "'producer': 'tests'})",
    "run": "Message('answers', {}, (np.zeros((100, 10), np.float32),))",
}


def answering(**lies: str) -> str:
    """Return a program that answers honestly but for these."""
    predictions = "{" + ", ".join(f"{k!r}: {v}" for k, v in (HONEST | lies).items()) + "}"
    return ANSWERING.format(predictions=predictions)


def taken_over(monkeypatch: pytest.MonkeyPatch, **lies: str) -> Sandbox:
    return fake(monkeypatch, answering(**lies))


@pytest.mark.slow
@pytest.mark.parametrize(
    "lies",
    [
        {},
        # no class to each of 100 inputs; to one alone, the scores of 100 classes
        {"run": "Message('answers', {}, (np.full(100, 0.5),))"},
    ],
)
def test_a_stand_in_that_answers_what_may_be_scores_is_believed(
    monkeypatch: pytest.MonkeyPatch, watermark: Watermark, path: Path, lies: dict[str, str]
) -> None:
    suspect = open_suspect(path, sandbox=taken_over(monkeypatch, **lies))
    assert not verify(suspect, watermark).verified
    suspect.close()


PORT = "['x', 'tensor(float)', [None, 1, 8, 8]]"


def loaded(**lies: str) -> str:
    """Return what a child says that has loaded a model, but for these."""
    words = {"inputs": f"[{PORT}]", "outputs": "[['y', 'tensor(float)', [None, 10]]]"}
    words |= {"opsets": "['ai.onnx 17']", "producer": "'tests'"} | lies
    return f"Message('loaded', {{{', '.join(f'{k!r}: {v}' for k, v in words.items())}}})"


@pytest.mark.parametrize(
    ("lie", "message"),
    [
        ({"confine": "Message('answers')"}, "a reply of another kind"),
        ({"confine": "Message('confined', {'held': 'all'})"}, "sent no list"),
        ({"load": "Message('loaded', {})"}, "sent no list"),
        ({"load": f"Message('loaded', {{'inputs': [{PORT}] * 65}})"}, "too long"),
        ({"load": "Message('loaded', {'inputs': [['x', 't', [0]]], 'outputs': []})"}, "cannot be"),
        ({"load": "Message('loaded', {'inputs': [['x', 't', [True]]]})"}, "cannot be"),
        ({"load": "Message('loaded', {'inputs': [['\\x1b[2J', 't', []]]})"}, "cannot be"),
        ({"load": "Message('loaded', {'inputs': [['x' * 300, 't', []]]})"}, "cannot be"),
        ({"load": "Message('loaded', {'inputs': [[1, 't', []]]})"}, "cannot be"),
        ({"load": "Message('loaded', {'inputs': ['abc']})"}, "cannot be"),
        ({"load": loaded(opsets="'ai.onnx 17'")}, "sent no list"),
        ({"load": loaded(opsets="['x'] * 33")}, "too long"),
        ({"load": loaded(opsets="[17]")}, "operator sets or a producer that cannot be"),
        ({"load": loaded(producer="None")}, "operator sets or a producer that cannot be"),
        ({"load": loaded(producer="'p' * 999")}, "operator sets or a producer that cannot be"),
        ({"load": "Message('needs', {})"}, "sent no list"),
        ({"load": "Message('needs', {'files': []})"}, "requested a file twice, or none"),
        ({"load": "Message('needs', {'files': ['w', 'w']})"}, "requested a file twice"),
        ({"load": "Message('needs', {'files': ['w'] * 1001})"}, "too long"),
        ({"load": "Message('needs', {'files': ['../w']})"}, "under what is no file name"),
        ({"load": "Message('needs', {'files': ['owner.pem']})"}, "expected a name that exporters"),
        ({"load": "Message('needs', {'files': ['.netrc']})"}, "hidden"),
        ({"load": "Message('needs', {'files': ['suspect.bin']})"}, "no such file"),
        ({"load": "Message('weights')"}, "a reply of another kind"),
        ({"run": "Message('answers')"}, "gave 0 outputs, expected 1"),
        ({"run": "Message('answers', {'parts': [1]})"}, "other parts of its outputs"),
        ({"run": "Message('answers', {'parts': [0]})"}, "other parts of its outputs"),
        ({"run": "Message('answers', {'parts': ['1']})"}, "other parts of its outputs"),
        ({"run": "Message('answers', {'parts': {}})"}, "other parts of its outputs"),
        ({"run": "Message('answers', {'parts': [], 'cut': [0]})"}, "other parts of its outputs"),
        ({"run": "Message('answers', {'parts': [], 'cut': {}})"}, "other parts of its outputs"),
        ({"run": "Message('answers', {'parts': [1, 1]}, (None, None))"}, "gave 2 outputs"),
        ({"run": "Message('answers', {'parts': [2]}, (None, None))"}, "no classifier output"),
        ({"run": "Message('loaded')"}, "a reply of another kind"),
        ({"run": "Message('answers', {}, (np.zeros((2, 7, 49999)),))"}, "no classifier output"),
        ({"run": "Message('answers', {}, (None,))"}, "no classifier output"),
        ({"run": "Message('answers', {}, (np.zeros((100, 0)),))"}, "no classifier output"),
    ],
)
def test_a_child_that_lies_is_an_error_and_no_verdict(
    monkeypatch: pytest.MonkeyPatch,
    watermark: Watermark,
    path: Path,
    lie: dict[str, str],
    message: str,
) -> None:
    with pytest.raises(WmxError, match=message) as caught:
        verify(open_suspect(path, sandbox=taken_over(monkeypatch, **lie)), watermark)
    assert caught.value.exit_code == 4


def test_what_a_child_says_is_printed_without_control_characters(
    monkeypatch: pytest.MonkeyPatch, watermark: Watermark, path: Path
) -> None:
    lie = "Message('refused', {'message': '\\x1b[2JVERIFIED\\n' + 'x' * 9999, 'hint': '\\u202e'})"
    with pytest.raises(CannotRunError) as caught:
        open_suspect(path, sandbox=taken_over(monkeypatch, load=lie))
    assert str(caught.value).startswith(" [2JVERIFIED xxx")
    assert len(str(caught.value)) < 600
    assert caught.value.hint == " "


def test_a_child_that_dies_between_answers_gives_no_verdict_on_half_of_them(
    monkeypatch: pytest.MonkeyPatch, watermark: Watermark, path: Path
) -> None:
    once = answering() + "    if request.kind == 'run': sys.exit(5)\n"
    with pytest.raises(SuspectDiedError, match="exit code 5"):
        verify(open_suspect(path, sandbox=fake(monkeypatch, once)), watermark)


# a child that dies of some numbers of rows in a call


DYING = """
import os, sys, time
_, *sys.path[:] = sys.argv[1:]
from wmx.suspect import worker
run = worker.Child.run
def dying(self, request):
    rows = len(request.arrays[0])
    if {wants}:
        {end}
    return run(self, request)
worker.Child.run = dying
worker.main()
"""
CRASHES, HANGS = "os._exit(5)", "time.sleep(60)"


def dying(
    monkeypatch: pytest.MonkeyPatch, path: Path, wants: str, end: str, seconds: float = 60
) -> Suspect:
    program = DYING.format(wants=wants, end=end)
    return open_suspect(path, "cpu", sandbox=fake(monkeypatch, program, seconds=seconds))


@pytest.mark.parametrize(("end", "seconds"), [(CRASHES, 60), (HANGS, 6)])
def test_who_dies_of_several_rows_is_asked_by_single_ones(
    monkeypatch: pytest.MonkeyPatch, watermark: Watermark, path: Path, end: str, seconds: float
) -> None:
    """A thief whose users give the model single rows would lose nothing by it."""
    suspect = dying(monkeypatch, path, "rows > 1", end, seconds)
    verdict = verify(suspect, watermark)
    assert verdict.verified
    assert {probe.rows for probe in verdict.predictions} == {ALONE}
    assert "one row at a time" in verdict.best_probe
    suspect.close()
    assert isinstance(suspect, OnnxFile)
    assert not suspect.session.is_alive  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.usefixtures("opaque")
@pytest.mark.parametrize("wants", ["rows == 2", "1 < rows < 100"])
def test_who_dies_of_other_batches_keeps_its_verdict(
    monkeypatch: pytest.MonkeyPatch, watermark: Watermark, tmp_path: Path, wants: str
) -> None:
    path = tmp_path / "suspect.onnx"
    path.write_bytes(onnx_models.linear(watermark, seed=3))
    trigger_slice = watermark.trigger_slice().first(16)
    chosen = Selection(starts=2)
    sound = open_suspect(path)
    all_at_once = verify(sound, watermark)
    in_turn = measure(sound, trigger_slice, required=128, selection=chosen)
    assert (all_at_once.failed, in_turn.failed) == (None, None)
    sound.close()

    suspect = dying(monkeypatch, path, wants, CRASHES)
    for _ in range(2):  # as for each of several claims
        verdict = verify(suspect, watermark)
        assert verdict.bits == all_at_once.bits
        assert verdict.failed is not None
        assert not verdict.is_answer, "it may bear the mark where it died"
    verdict = measure(suspect, trigger_slice, required=128, selection=chosen)
    assert verdict.bits == in_turn.bits
    assert verdict.failed is not None
    suspect.close()


def test_who_dies_of_single_rows_too_gives_no_verdict(
    monkeypatch: pytest.MonkeyPatch, watermark: Watermark, path: Path
) -> None:
    suspect = dying(monkeypatch, path, "rows in (1, 100)", CRASHES)
    with pytest.raises(SuspectDiedError, match="exit code 5"):
        verify(suspect, watermark)
    with pytest.raises(SuspectDiedError, match="exit code 5"):
        verify(suspect, watermark)
    suspect.close()


def test_who_hangs_takes_half_of_the_time_and_is_not_asked_so_again(
    monkeypatch: pytest.MonkeyPatch, watermark: Watermark, path: Path
) -> None:
    suspect = dying(monkeypatch, path, "rows > 1", HANGS, seconds=4)
    assert isinstance(suspect, OnnxFile)
    (feeding,) = suspect.feedings(watermark.task)
    with pytest.raises(CannotRunError, match="its share of the time left"):
        suspect.predictions(feeding, watermark.triggers, watermark.task)
    budget = suspect.session.budget  # type: ignore[union-attr]
    left = budget.seconds_left
    assert 0.2 < left <= 2.0
    again = suspect.reopened()
    for asked in (suspect, again):
        with pytest.raises(CannotRunError, match="died in a call of"):
            asked.predictions(feeding, watermark.triggers, watermark.task)
    again.close()
    suspect.close()


def test_the_time_of_this_process_is_not_halved() -> None:
    """Only a child is waited for no longer: what is slow here has all of the time."""
    budget = Limits(seconds=60).budget()
    with held_to(budget), budget.waiting_for(1 / 2):
        assert budget.wait_left == pytest.approx(30, abs=1)
        assert budget.seconds_left == pytest.approx(60, abs=1)
    assert budget.wait_left == budget.seconds_left
