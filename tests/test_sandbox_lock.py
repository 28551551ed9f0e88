"""What a locked process can do: nothing to the machine, its files or its neighbours.

What a real model cannot be made to try, a program of the test tries in its place.
"""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from wmx.sandbox.seccomp import ARCHITECTURES, program

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="system-call filters are Linux's")


def locked(attempt: str, *, gpu: bool = False, memory: int = 2**31) -> str:
    """Lock a process, let it try something, and return the error's name or what it printed."""
    code = f"""
import ctypes, os, signal, socket, subprocess, sys, threading
parent, here = os.getppid(), os.getcwd()
from wmx.sandbox.limits import limit_this_process
from wmx.sandbox.seccomp import filter_this_process
limit_this_process({memory}, 60, gpu={gpu})
assert filter_this_process(may_open_files={gpu})
try:
{textwrap.indent(textwrap.dedent(attempt), "    ")}
except BaseException as error:
    print(type(error).__name__)
else:
    print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return done.stdout.strip() or signal.Signals(-done.returncode).name


@linux_only
@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize(
    "attempt",
    [
        "socket.socket()",
        "socket.socket(socket.AF_UNIX)",
        "socket.socketpair()",
        "os.fork()",
        "subprocess.run(['/bin/true'])",
        "os.execv('/bin/true', ['true'])",
        "os.kill(parent, 0)",
        "signal.pthread_kill(threading.get_ident(), 0); os.kill(parent, 0)",
        "os.unlink('/proc/self/nothing')",
        "os.rename('a', 'b')",
        "os.mkdir('/tmp/wmx-never')",
        "os.symlink('a', '/tmp/wmx-never')",
        "os.mkfifo('/tmp/wmx-never')",
        "os.chmod('/tmp', 0o777)",
        "import resource; resource.prlimit(parent, resource.RLIMIT_CPU, (1, 1))",
    ],
)
def test_it_reaches_nobody_and_changes_nothing(attempt: str, gpu: bool) -> None:
    assert locked(attempt, gpu=gpu) == "PermissionError"


@linux_only
def test_on_the_cpu_it_opens_no_file_at_all() -> None:
    assert locked("open('/etc/hostname')") == "PermissionError"
    assert locked("os.open(here, os.O_RDONLY)") == "PermissionError"
    assert locked("open('/dev/null').close()", gpu=True) == "done"


@linux_only
def test_not_even_an_open_file_can_be_written(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch()
    attempt = f"os.write(os.open({str(target)!r}, os.O_WRONLY), b'x')"
    assert locked(attempt, gpu=True) == "OSError"
    assert target.read_bytes() == b""


@linux_only
def test_it_can_use_threads_and_end_itself() -> None:
    thread = "t = threading.Thread(target=print, args=('in a thread',)); t.start(); t.join()"
    assert locked(thread) == "in a thread\ndone"
    assert locked("os.abort()") == "SIGABRT"
    assert locked("import resource; resource.getrlimit(resource.RLIMIT_AS)") == "done"


@linux_only
def test_limits_stay_where_they_are_for_root_too() -> None:
    assert locked("import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1, 1))") == (
        "ValueError"
    )


@linux_only
def test_memory_is_limited_but_not_on_a_gpu() -> None:
    assert locked("bytearray(2**32)") == "MemoryError"
    assert locked("bytearray(2**32)", gpu=True) == "done"


@linux_only
def test_another_abi_ends_the_process() -> None:
    x32_getpid = "ctypes.CDLL(None).syscall(0x40000000 + 39)"
    assert locked(x32_getpid) == "SIGSYS"


@pytest.mark.parametrize("machine", list(ARCHITECTURES))
def test_every_jump_of_the_filter_lands_within_it(machine: str) -> None:
    code = program(machine, 1234, may_open_files=False)
    steps = [code[i : i + 8] for i in range(0, len(code), 8)]
    assert len(steps) < 4096  # the kernel's BPF_MAXINSNS
    for number, step in enumerate(steps):
        assert number + 1 + max(step[2], step[3]) <= len(steps)
    assert steps[-1][0] == 6  # ends with a return
