"""Limits of the child process in seconds and bytes, enforced by the kernel."""

import contextlib
import os
import sys
from dataclasses import dataclass

from wmx._internal.budget import Budget

GIB = 2**30
EXTRA_SECONDS = 5  # between the CPU limit's signal and the kernel's kill
FEW_FILES, MANY_FILES = 16, 1024  # CUDA opens its device files and libraries


@dataclass(frozen=True)
class Limits:
    """Limits on the work with a suspect, in its own process and in this one.

    Attributes:
        seconds: time limit for preparing inputs, waiting and scoring together (default: 600).
        cpu_seconds: processor time of all threads together, in each process (default: 3600).
        memory_bytes: in each process (default: 4 GiB); in the suspect's on top of six times the
            size of the model's files, which loading takes.
    """

    seconds: float = 600.0
    cpu_seconds: int = 3600
    memory_bytes: int = 4 * GIB

    def budget(self) -> Budget:
        """Return a new budget with these limits."""
        return Budget(self.seconds, self.cpu_seconds, self.memory_bytes)

    def memory_for(self, file_bytes: int) -> int:
        """Return the memory limit in bytes for a model with files of ``file_bytes`` in all."""
        return self.memory_bytes + 6 * file_bytes


def limit_this_process(memory_bytes: int, cpu_seconds: int, *, gpu: bool) -> list[str]:
    """Lower this process's own limits permanently, and return the names of those in force.

    On a GPU the address space stays unlimited, since CUDA reserves more of it than any machine
    has; there the parent watches the resident memory instead.

    Args:
        memory_bytes: limit of the address space.
        cpu_seconds: limit of processor time.
        gpu: whether the model runs on a GPU.
    """
    if os.name != "posix":
        return []
    import resource

    held = []
    wanted = {
        "CPU time": (resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + EXTRA_SECONDS),
        "file size": (resource.RLIMIT_FSIZE, 0, 0),
        "open files": (resource.RLIMIT_NOFILE, *([MANY_FILES if gpu else FEW_FILES] * 2)),
        "core dumps": (resource.RLIMIT_CORE, 0, 0),
    }
    if sys.platform == "linux" and not gpu:  # macOS takes this limit and does not keep it
        wanted["memory"] = (resource.RLIMIT_AS, memory_bytes, memory_bytes)
    for name, (which, soft, hard) in wanted.items():
        with contextlib.suppress(OSError, ValueError):  # it may be lower already
            ceiling = resource.getrlimit(which)[1]
            if ceiling == resource.RLIM_INFINITY or hard < ceiling:
                resource.setrlimit(which, (soft, hard))
            held.append(name)
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")  # where memory runs out, the kernel ends this process first
    return held
