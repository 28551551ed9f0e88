"""A Linux system-call filter that blocks network, files and other processes for this process.

Written for the kernel's seccomp(2) in classic BPF, since a filter needs no privileges, while a
network namespace needs some that containers seldom grant.  Numbers
are those of arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.

The filter names what is allowed, since a list of what is refused would have to grow with every
kernel.  It is wider than what numpy, onnxruntime and PyTorch were seen to call: all calls that
touch only the process itself are in it, so that another libc, kernel or processor works.  Others
fail with EPERM. Calls that are newer than the list, and the two that libc can do without, fail with
ENOSYS as on an older kernel, and libc falls back on older ones.  A call in another ABI ends the
process.

Threads cannot be pinned to cores: sched_setaffinity(2) reaches other processes as well, and the
ids of future threads cannot be told from those of other processes.
"""

import ctypes
import errno
import os
import struct
import sys
from collections.abc import Sequence

# name: (x86-64, arm64); None where the architecture has no such call
Numbers = tuple[int | None, int | None]
ITSELF: dict[str, Numbers] = {
    "futex": (202, 98),
    "brk": (12, 214),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "mincore": (27, 232),
    "mlock": (149, 228),
    "mlock2": (325, 284),
    "munlock": (150, 229),
    "mbind": (237, 235),
    "get_mempolicy": (239, 236),
    "set_mempolicy": (238, 237),
    "membarrier": (324, 283),
    "map_shadow_stack": (453, 453),
    "mseal": (462, 462),
    "arch_prctl": (158, None),
    "set_robust_list": (273, 99),
    "set_tid_address": (218, 96),
    "rseq": (334, 293),
    "futex_waitv": (449, 449),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "sched_getparam": (143, 121),
    "sched_getscheduler": (145, 120),
    "sched_get_priority_max": (146, 125),
    "sched_get_priority_min": (147, 126),
    "getpriority": (140, 141),
    "getcpu": (309, 168),
    "gettid": (186, 178),
    "getpid": (39, 172),
    "getppid": (110, 173),
    "getpgrp": (111, None),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getrusage": (98, 165),
    "getrlimit": (97, 163),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "getrandom": (318, 278),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "rt_sigpending": (127, 136),
    "rt_sigsuspend": (130, 133),
    "rt_sigtimedwait": (128, 137),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "pause": (34, None),
    "alarm": (37, None),
    "getitimer": (36, 102),
    "setitimer": (38, 103),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
CLOCKS: dict[str, Numbers] = {
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
}
OPEN_FILES: dict[str, Numbers] = {
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "preadv": (295, 69),
    "pwritev": (296, 70),
    "lseek": (8, 62),
    "fstat": (5, 80),
    "close": (3, 57),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
}
# libraries look whether a file is there before they do without it
NAMES_OF_FILES: dict[str, Numbers] = {
    "stat": (4, None),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getcwd": (79, 17),
}
GPU_DRIVER: dict[str, Numbers] = {
    "getdents": (78, None),
    "getdents64": (217, 61),
    "statfs": (137, 43),
    "fstatfs": (138, 44),
    "pipe": (22, None),
    "pipe2": (293, 59),
    "eventfd2": (290, 19),
    "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21),
    "epoll_wait": (232, None),
    "epoll_pwait": (281, 22),
    "fadvise64": (221, 223),
}
CLONE: Numbers = (56, 220)
CLONE3: Numbers = (435, 435)
TGKILL: Numbers = (234, 131)
PRLIMIT64: Numbers = (302, 261)
PRCTL: Numbers = (157, 167)
FCNTL: Numbers = (72, 25)
IOCTL: Numbers = (16, 29)
OPEN: Numbers = (2, None)
OPENAT: Numbers = (257, 56)
OPENAT2: Numbers = (437, 437)
NEWEST = 470  # listns, of Linux 6.19: up to here a call that is not listed is refused on purpose

SECCOMP = (317, 277)
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
X32_CALLS = 0x40000000  # x86-64 has a second table from here on
CLONE_THREAD = 0x00010000

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
REFUSE, UNKNOWN = FAIL | errno.EPERM, FAIL | errno.ENOSYS
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16

PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38
SET_MODE_FILTER, ALL_THREADS = 1, 1

# PR_SET_NAME, PR_GET_NAME, PR_SET_VMA, PR_SVE_GET_VL, PR_SME_GET_VL
HARMLESS_PRCTL = (15, 16, 0x53564D41, 51, 64)
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_DUPFD_CLOEXEC: with F_SETOWN and F_SETSIG, the
# next write of the parent into the child's stdin would send a signal to the parent
HARMLESS_FCNTL = (0, 1, 2, 3, 4, 1030)
# FIOASYNC, FIOSETOWN, SIOCSPGRP send signals too; TIOCSTI and TIOCLINUX type into a terminal
HARMFUL_IOCTL = (0x5452, 0x8901, 0x8902, 0x5412, 0x541C)
MAKES_OR_EMPTIES = 0o20001100  # O_CREAT, O_TRUNC, the bit of O_TMPFILE


def program(machine: str, pid: int, *, may_open_files: bool) -> bytes:
    """Return the filter program: ``sock_filter`` records of eight bytes.

    Args:
        machine: ``"x86_64"`` or ``"aarch64"``.
        pid: of this process, the only one that its threads may signal.
        may_open_files: for GPUs, whose driver is reached through files.
    """
    column, architecture = ARCHITECTURES[machine]
    listed = ITSELF | CLOCKS | OPEN_FILES | NAMES_OF_FILES
    if may_open_files:
        listed = listed | GPU_DRIVER
    steps = _of_this_architecture(architecture)
    for numbers in listed.values():
        steps += _when_called(numbers[column], _end(ALLOW))
    steps += _reaching_itself_alone(column, pid)
    if may_open_files:
        steps += _opening_what_is_there(column)
    return b"".join([*steps, _end(REFUSE)])


def filter_this_process(*, may_open_files: bool) -> bool:
    """Apply the filter to all threads of this process, permanently.

    Also prevents ptrace of this process and privileges from set-uid files.

    Args:
        may_open_files: for GPUs, whose driver is reached through files.

    Returns:
        whether the filter is in force; ``False`` where the system has none.
    """
    if sys.platform != "linux" or sys.byteorder != "little":
        return False
    machine = os.uname().machine
    if machine not in ARCHITECTURES:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    code = program(machine, os.getpid(), may_open_files=may_open_files)
    steps = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(
        struct.pack("@HP", len(code) // 8, ctypes.addressof(steps))  # struct sock_fprog
    )
    hide_this_process()
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    number = SECCOMP[ARCHITECTURES[machine][0]]
    done: int = libc.syscall(number, SET_MODE_FILTER, ALL_THREADS, ctypes.byref(header))
    return done == 0


def hide_this_process() -> None:
    """Hide this process's memory from other processes of the user, permanently; on Linux only.

    Only root can attach a debugger then, and there is no core dump.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)


def _of_this_architecture(architecture: int) -> list[bytes]:
    """Return the steps that load a call's number, of a table and an age that are known."""
    return [
        _step(LOAD, ARCHITECTURE_AT),
        _step(EQUAL, architecture, then=1),
        _end(KILL),
        _step(LOAD, NUMBER_AT),
        *_when(AT_LEAST, [X32_CALLS], KILL),
        *_when(AT_LEAST, [NEWEST + 1], UNKNOWN),
    ]


def _reaching_itself_alone(column: int, pid: int) -> list[bytes]:
    """Return the steps for calls that, with other arguments, would reach another process."""
    return [
        # threads, but no processes; clone3 hides its flags
        *_when_called(CLONE3[column], _end(UNKNOWN)),
        *_when_called(
            CLONE[column], _argument(0), *_when(ANY_BIT, [CLONE_THREAD], ALLOW), _end(REFUSE)
        ),
        # abort() signals the process itself
        *_when_called(TGKILL[column], _argument(0), *_when(EQUAL, [pid], ALLOW), _end(REFUSE)),
        # limits may be read, that is with a null pointer to new ones
        *_when_called(
            PRLIMIT64[column],
            _argument(2),
            _step(EQUAL, 0, otherwise=3),
            _argument(2, upper=True),
            *_when(EQUAL, [0], ALLOW),
            _end(REFUSE),
        ),
        *_when_called(
            PRCTL[column], _argument(0), *_when(EQUAL, HARMLESS_PRCTL, ALLOW), _end(REFUSE)
        ),
        *_when_called(
            FCNTL[column], _argument(1), *_when(EQUAL, HARMLESS_FCNTL, ALLOW), _end(REFUSE)
        ),
    ]


def _opening_what_is_there(column: int) -> list[bytes]:
    """Return the steps that let the driver of a GPU open its files, and make or empty none."""
    harmless = (*_when(ANY_BIT, [MAKES_OR_EMPTIES], REFUSE), _end(ALLOW))
    return [
        *_when_called(
            IOCTL[column], _argument(1), *_when(EQUAL, HARMFUL_IOCTL, REFUSE), _end(ALLOW)
        ),
        *_when_called(OPEN[column], _argument(1), *harmless),
        *_when_called(OPENAT[column], _argument(2), *harmless),
        *_when_called(OPENAT2[column], _end(UNKNOWN)),  # it hides its flags
    ]


def _when_called(number: int | None, *steps: bytes) -> list[bytes]:
    """Return the steps to take when a call is this one; the last of them has to be an end."""
    return [] if number is None else [_step(EQUAL, number, otherwise=len(steps)), *steps]


def _when(test: int, values: Sequence[int], result: int) -> list[bytes]:
    """Return the steps that end with a result when what was loaded passes one of the tests."""
    return [step for value in values for step in (_step(test, value, otherwise=1), _end(result))]


def _end(result: int) -> bytes:
    """Return the instruction that says what becomes of the call."""
    return _step(RETURN, result)


def _step(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """Return one instruction: what to do, and how many instructions a test skips."""
    return struct.pack("=HBBI", code, then, otherwise, value)


def _argument(index: int, *, upper: bool = False) -> bytes:
    """Return the instruction that loads half of a call's argument.

    The lower half is all of it where the kernel takes an int, whatever a program put above.
    """
    return _step(LOAD, ARGUMENTS_AT + 8 * index + (4 if upper else 0))
