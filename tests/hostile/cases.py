"""What a hostile case is: something bad in a folder, the command it is meant for, and the answer.

To add some: write a module of functions marked with :func:`case` and list it in test_hostile.py.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from wmx import Watermark


@dataclass(frozen=True)
class Scene:
    """An honest owner's folder: ``owner.pem``, ``claim.json``, a store, and what a case adds.

    Attributes:
        folder: the working directory of the command.
        watermark: of ``claim.json``.
        model: bytes of an ONNX file that would be VERIFIED.
    """

    folder: Path
    watermark: Watermark
    model: bytes

    def put(self, name: str, content: bytes | str) -> str:
        """Write a file and return its name."""
        data = content.encode() if isinstance(content, str) else content
        (self.folder / name).write_bytes(data)
        return name


# the words of a command, or a call of the library
Attack: TypeAlias = Sequence[str] | Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One bad thing.

    Attributes:
        name: of the function that makes it.
        make: puts it into the scene and returns what is to be run.
        code: the exit code it must give.
        says: what the error must say.
    """

    name: str
    make: Callable[[Scene], Attack]
    code: int
    says: str


def collector() -> tuple[list[Case], Callable[..., Any]]:
    """Return an empty list of cases, and the decorator that fills it."""
    found: list[Case] = []

    def case(code: int, says: str) -> Callable[[Callable[[Scene], Attack]], None]:
        def keep(make: Callable[[Scene], Attack]) -> None:
            found.append(Case(make.__name__, make, code, says))

        return keep

    return found, case
