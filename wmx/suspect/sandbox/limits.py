"""What a child may use, and the kernel's limits that hold it to that."""

import contextlib
import os
import sys
from dataclasses import dataclass

from wmx._internal.budget import Budget

GIB = 2**30
STRAYING_SECONDS = 5  # between the CPU limit's signal and the kernel's kill
FEW_FILES, MANY_FILES = 16, 1024  # CUDA opens its device files and libraries


@dataclass(frozen=True)
class Limits:
    """What a suspect may use, in its own process and in this one, which gets its inputs ready.

    Attributes:
        seconds: of wall time, for getting ready, waiting and weighing together.
        cpu_seconds: of all threads together, in each of the two processes.
        memory_bytes: in each of the two; in the suspect's on top of six times the model's files,
            which loading takes.
    """

    seconds: float = 600.0
    cpu_seconds: int = 3600
    memory_bytes: int = 4 * GIB

    def budget(self) -> Budget:
        """Return a budget of so much, of which nothing is spent."""
        return Budget(self.seconds, self.cpu_seconds, self.memory_bytes)

    def memory_for(self, file_bytes: int) -> int:
        """Return the bytes of memory for a model whose file has ``file_bytes``."""
        return self.memory_bytes + 6 * file_bytes


def limit_this_process(memory_bytes: int, cpu_seconds: int, *, gpu: bool) -> list[str]:
    """Lower this process's own limits for good, and return the names of those that hold.

    On a GPU the address space stays unlimited, since CUDA reserves more of it than any machine
    has; there the parent watches the resident memory instead.
    """
    if os.name != "posix":
        return []
    import resource

    held = []
    wanted = {
        "CPU time": (resource.RLIMIT_CPU, cpu_seconds, cpu_seconds + STRAYING_SECONDS),
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
