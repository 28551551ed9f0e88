"""A Linux system-call filter: no network, no files, no other process, from now on.

Written for the kernel's seccomp(2) in its own little machine language (classic BPF), since a
filter needs no rights where a network namespace needs some that containers seldom give.  What is
denied fails with EPERM; a call in another ABI ends the process.  Numbers are those of
arch/x86/entry/syscalls/syscall_64.tbl and include/uapi/asm-generic/unistd.h.
"""

import ctypes
import errno
import os
import platform
import struct
import sys

# name: (x86-64, arm64); None where the architecture has no such call
Numbers = tuple[int | None, int]
NETWORK: dict[str, Numbers] = {
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "accept": (43, 202),
    "accept4": (288, 242),
    "bind": (49, 200),
    "listen": (50, 201),
    "sendto": (44, 206),
    "sendmsg": (46, 211),
    "sendmmsg": (307, 269),
    "io_uring_setup": (425, 425),  # its queue can do all of the above unseen by a filter
}
OTHER_PROCESSES: dict[str, Numbers] = {
    "fork": (57, -1),
    "vfork": (58, -1),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kill": (62, 129),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "shmget": (29, 194),
    "semget": (64, 190),
    "msgget": (68, 186),
    "mq_open": (240, 180),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "setrlimit": (160, 164),
}
SYSTEM: dict[str, Numbers] = {
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_by_handle_at": (304, 265),
    "bpf": (321, 280),
    "userfaultfd": (323, 282),
    "perf_event_open": (298, 241),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "reboot": (169, 142),
}
CHANGING_FILES: dict[str, Numbers] = {
    "creat": (85, -1),
    "truncate": (76, 45),
    "rename": (82, -1),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "link": (86, -1),
    "linkat": (265, 37),
    "symlink": (88, -1),
    "symlinkat": (266, 36),
    "unlink": (87, -1),
    "unlinkat": (263, 35),
    "mkdir": (83, -1),
    "mkdirat": (258, 34),
    "rmdir": (84, -1),
    "mknod": (133, -1),
    "mknodat": (259, 33),
    "chmod": (90, -1),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "chown": (92, -1),
    "fchown": (93, 55),
    "lchown": (94, -1),
    "fchownat": (260, 54),
}
OPENING_FILES: dict[str, Numbers] = {
    "open": (2, -1),
    "openat": (257, 56),
    "openat2": (437, 437),
}
CLONE: Numbers = (56, 220)
CLONE3: Numbers = (435, 435)
TGKILL: Numbers = (234, 131)
PRLIMIT64: Numbers = (302, 261)

SECCOMP: Numbers = (317, 277)
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
X32_CALLS = 0x40000000  # x86-64 has a second table from here on
CLONE_THREAD = 0x00010000

LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16

PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS = 4, 38
SET_MODE_FILTER, ALL_THREADS = 1, 1


def program(machine: str, pid: int, *, may_open_files: bool) -> bytes:
    """Return the filter as the kernel takes it: ``sock_filter`` records of eight bytes.

    Args:
        machine: ``"x86_64"`` or ``"aarch64"``.
        pid: of this process, the only one that its threads may signal.
        may_open_files: for GPUs, whose driver is reached through files.
    """
    column, architecture = ARCHITECTURES[machine]
    denied = NETWORK | OTHER_PROCESSES | SYSTEM | CHANGING_FILES
    if not may_open_files:
        denied = denied | OPENING_FILES
    refuse = _step(RETURN, FAIL | errno.EPERM)
    allow = _step(RETURN, ALLOW)

    def when_called(numbers: Numbers, *steps: bytes) -> list[bytes]:
        return [_step(EQUAL, numbers[column] or 0, otherwise=len(steps)), *steps]

    steps = [
        _step(LOAD, ARCHITECTURE_AT),
        _step(EQUAL, architecture, then=1),
        _step(RETURN, KILL),
        _step(LOAD, NUMBER_AT),
        _step(AT_LEAST, X32_CALLS, otherwise=1),
        _step(RETURN, KILL),
    ]
    for numbers in denied.values():
        if numbers[column] != -1:
            steps += when_called(numbers, refuse)
    # threads, but no processes; clone3 hides its flags, and without it libc takes clone
    steps += when_called(CLONE3, _step(RETURN, FAIL | errno.ENOSYS))
    steps += when_called(
        CLONE, _load_argument(0), _step(ANY_BIT, CLONE_THREAD, otherwise=1), allow, refuse
    )
    # abort() signals the process itself
    steps += when_called(TGKILL, _load_argument(0), _step(EQUAL, pid, otherwise=1), allow, refuse)
    # limits may be read, that is with a null pointer to new ones
    steps += when_called(
        PRLIMIT64,
        _load_argument(2),
        _step(EQUAL, 0, otherwise=3),
        _load_argument(2, upper=True),
        _step(EQUAL, 0, otherwise=1),
        allow,
        refuse,
    )
    return b"".join([*steps, allow])


def filter_this_process(*, may_open_files: bool) -> bool:
    """Put the filter over all threads of this process, for good; say whether it holds.

    Also: be no target of ptrace, gain no rights from set-uid files.
    """
    machine = platform.machine()
    if sys.platform != "linux" or machine not in ARCHITECTURES or sys.byteorder != "little":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    code = program(machine, os.getpid(), may_open_files=may_open_files)
    steps = ctypes.create_string_buffer(code, len(code))
    header = ctypes.create_string_buffer(
        struct.pack("@HP", len(code) // 8, ctypes.addressof(steps))  # struct sock_fprog
    )
    libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    number = SECCOMP[ARCHITECTURES[machine][0]]
    done: int = libc.syscall(number, SET_MODE_FILTER, ALL_THREADS, ctypes.byref(header))
    return done == 0


def _step(code: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """Return one instruction: what to do, and how many instructions a test skips."""
    return struct.pack("=HBBI", code, then, otherwise, value)


def _load_argument(index: int, *, upper: bool = False) -> bytes:
    """Return the instruction that loads half of a call's argument."""
    return _step(LOAD, ARGUMENTS_AT + 8 * index + (4 if upper else 0))
