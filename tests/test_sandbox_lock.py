"""What a locked process can do: nothing to the machine, its files or its neighbours.

What a real model cannot be made to try, a program of the test tries in its place.
"""

import platform
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from wmx.suspect.sandbox.seccomp import ARCHITECTURES, program

COLUMN = 0 if platform.machine() == "x86_64" else 1  # of a call's numbers

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="system-call filters are Linux's")


def locked(attempt: str, *, gpu: bool = False, memory: int = 2**31) -> str:
    """Lock a process, let it try something, and return the error's name or what it printed."""
    code = f"""
import ctypes, errno, fcntl, os, signal, socket, subprocess, sys, threading
parent, here = os.getppid(), os.getcwd()
libc = ctypes.CDLL(None, use_errno=True)
def call(numbers, *arguments):
    number = numbers[{COLUMN}]
    if number is not None and libc.syscall(number, *map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), "refused")
from wmx.suspect.sandbox.limits import limit_this_process
from wmx.suspect.sandbox.seccomp import filter_this_process
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
        "os.setpriority(os.PRIO_PROCESS, parent, 19)",
        "os.sched_setaffinity(parent, {0})",
        "os.setxattr('/tmp', 'user.wmx', b'never')",
        "os.utime('/proc/self/nothing')",
        "os.truncate(1, 0)",
    ],
)
def test_it_reaches_nobody_and_changes_nothing(attempt: str, gpu: bool) -> None:
    assert locked(attempt, gpu=gpu) == "PermissionError"


# name: (x86-64, arm64); none of them asks for a right that a user does not have over what is his
REFUSED: dict[str, tuple[int | None, int | None]] = {
    "fchmodat2": (452, 452),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "fallocate": (285, 47),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "kcmp": (312, 272),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "open_tree": (428, 428),
    "open_tree_attr": (467, 467),
    "move_mount": (429, 429),
    "mount_setattr": (442, 442),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
}


@linux_only
@pytest.mark.parametrize("gpu", [False, True])
def test_what_the_filter_does_not_name_is_refused(gpu: bool) -> None:
    attempt = f"""
    for name, numbers in {REFUSED!r}.items():
        try:
            call(numbers, 0, 0, 0, 0, 0)
        except PermissionError:
            continue
        if numbers[{COLUMN}] is not None:
            print(name, "was let through")
    """
    assert locked(attempt, gpu=gpu) == "done"


@linux_only
def test_no_file_becomes_readable_to_others(tmp_path: Path) -> None:
    key = tmp_path / "owner.pem"
    key.touch(0o600)
    attempt = f"""
    path = ctypes.create_string_buffer({str(key)!r}.encode())
    call((452, 452), -100, ctypes.addressof(path), 0o644, 0)
    """
    for gpu in (False, True):
        assert locked(attempt, gpu=gpu) == "PermissionError"
    assert key.stat().st_mode & 0o777 == 0o600


@linux_only
@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize(
    "attempt",
    [
        "fcntl.fcntl(0, fcntl.F_SETOWN, parent)",
        "fcntl.fcntl(0, 15, b'01234567')  # F_SETOWN_EX",
        "fcntl.fcntl(0, 10, signal.SIGKILL)  # F_SETSIG",
        "call((72, 25), 0, 2**32 + fcntl.F_SETOWN, parent)  # of which the kernel takes 32 bits",
        "call((16, 29), 0, 0x5452, 0)  # FIOASYNC",
        "call((16, 29), 0, 0x8901, 0)  # FIOSETOWN",
        "call((16, 29), 0, 2**32 + 0x8902, 0)  # SIOCSPGRP",
    ],
)
def test_no_pipe_sends_a_signal_to_the_parent(attempt: str, gpu: bool) -> None:
    assert locked(attempt, gpu=gpu) == "PermissionError"


@linux_only
def test_a_parent_survives_what_it_writes_to_a_child_that_would_kill_it() -> None:
    parent = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {DEADLY_CHILD!r}], stdin=-1, stdout=-1)
child.stdout.readline()
child.communicate(b"next question")
print("alive")
"""
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"alive\n")


DEADLY_CHILD = """
import fcntl, os, signal, sys
from wmx.suspect.sandbox.seccomp import filter_this_process
assert filter_this_process(may_open_files=False)
O_ASYNC = 0o20000
deadly = ((fcntl.F_SETOWN, os.getppid()), (10, signal.SIGKILL), (fcntl.F_SETFL, O_ASYNC))
for command, argument in deadly:
    try:
        fcntl.fcntl(0, command, argument)
    except PermissionError:
        pass
print("armed", flush=True)
sys.stdin.buffer.read()
"""


@linux_only
def test_calls_newer_than_the_filter_are_not_there_so_that_libc_falls_back() -> None:
    attempt = """
    for number in (435, 471, 500, 2**30 - 1):
        try:
            call((number, number), 0, 0)
        except OSError as error:
            print(errno.errorcode[error.errno])
    """
    assert locked(attempt) == "ENOSYS\n" * 4 + "done"


@linux_only
def test_the_parents_memory_is_hidden_from_a_child_that_may_open_files() -> None:
    # without rights of root, which nothing is hidden from
    child = """
import ctypes, os
from wmx.suspect.sandbox.seccomp import filter_this_process
ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522), (ctypes.c_uint32 * 6)())
assert filter_this_process(may_open_files=True)
try:
    os.open(f"/proc/{os.getppid()}/mem", os.O_RDWR)
except PermissionError:
    print("hidden")
"""
    parent = f"""
import ctypes, subprocess, sys
from wmx.suspect.sandbox.seccomp import hide_this_process
ctypes.CDLL(None).capset((ctypes.c_uint32 * 2)(0x20080522), (ctypes.c_uint32 * 6)())
hide_this_process()
subprocess.run([sys.executable, "-c", {child!r}], check=True)
"""
    words = [sys.executable, "-c", parent]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout == "hidden\n"


@linux_only
def test_on_a_gpu_it_makes_and_empties_no_file(tmp_path: Path) -> None:
    target, new = tmp_path / "target", tmp_path / "new"
    target.write_text("kept")
    assert locked(f"os.open({str(target)!r}, os.O_RDWR)", gpu=True) == "done"
    for flags in ("os.O_RDWR | os.O_TRUNC", "os.O_RDONLY | os.O_TRUNC"):
        assert locked(f"os.open({str(target)!r}, {flags})", gpu=True) == "PermissionError"
    attempt = f"os.ftruncate(os.open({str(target)!r}, os.O_RDWR), 0)"
    assert locked(attempt, gpu=True) == "PermissionError"
    for flags in ("os.O_RDWR | os.O_CREAT", "os.O_CREAT"):
        assert locked(f"os.open({str(new)!r}, {flags})", gpu=True) == "PermissionError"
    assert locked(f"os.open({str(tmp_path)!r}, os.O_RDWR | os.O_TMPFILE)", gpu=True) == (
        "PermissionError"
    )
    assert target.read_text() == "kept"
    assert not new.exists()


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


@pytest.mark.slow
@linux_only
def test_memory_is_limited_but_not_on_a_gpu() -> None:
    assert locked("bytearray(2**32)") == "MemoryError"
    assert locked("bytearray(2**32)", gpu=True) == "done"


@linux_only
def test_another_abi_ends_the_process() -> None:
    x32_getpid = "ctypes.CDLL(None).syscall(0x40000000 + 39)"
    assert locked(x32_getpid) == "SIGSYS"


@pytest.mark.parametrize("gpu", [False, True])
@pytest.mark.parametrize("machine", list(ARCHITECTURES))
def test_every_jump_of_the_filter_lands_within_it(machine: str, gpu: bool) -> None:
    code = program(machine, 1234, may_open_files=gpu)
    steps = [code[i : i + 8] for i in range(0, len(code), 8)]
    assert len(steps) < 4096  # the kernel's BPF_MAXINSNS
    for number, step in enumerate(steps):
        assert number + 1 + max(step[2], step[3]) <= len(steps)
    assert steps[-1][0] == 6  # ends with a return
