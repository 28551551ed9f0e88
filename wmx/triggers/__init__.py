"""Trigger generators: draw the secret inputs of a claim from its 32-byte trigger secret.

A generator draws trigger i from its own SHAKE-256 stream with integer arithmetic only, so that
every machine rebuilds the same bytes.  A claim holds the description of its generator, encrypted
(:meth:`~Generator.describe`).
"""

from collections.abc import Sequence
from math import prod
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from wmx._internal.budget import consult, require_room
from wmx._internal.text import printable
from wmx.errors import NEWER_HINT, IntegrityError, UsageError
from wmx.protocol.encoding import u32
from wmx.protocol.task import Task
from wmx.triggers.cells import Cells
from wmx.triggers.features import Features
from wmx.triggers.folder import Folder
from wmx.triggers.tokens import Tokens

__all__ = [
    "Cells",
    "Features",
    "Folder",
    "Generator",
    "Tokens",
    "default_generator",
    "draw_triggers",
    "generator_from",
    "is_over_own_images",
]

ELEMENTS_AT_ONCE = 2**20  # of triggers that are drawn at a time
ELEMENT_BYTES = {"image": 1, "features": 4, "tokens": 4}  # uint8, float32, int32
DRAWING_BYTES = 48  # per element while it is drawn: the stream and the integers made from it
COPIES = 2  # of all triggers: unchanged, and shifted by some pixels


class Generator(Protocol):
    """Draws the triggers of one family."""

    def check(self, task: Task, n: int) -> None:
        """Check that the family fits a task.

        Args:
            task: for which to draw.
            n: number of triggers.

        Raises:
            ValueError: it does not fit.
        """

    def describe(self) -> dict[str, Any]:
        """Return the family's name and parameters, the JSON object that the claim holds."""

    def draw(self, seeds: Sequence[bytes], task: Task) -> NDArray[Any]:
        """Return triggers in canonical form.

        Args:
            seeds: one for each trigger, the input of its SHAKE-256 stream.
            task: gives the shape.

        Returns:
            [len(seeds), *task.shape], uint8 (images), float32 (features) or int32 (tokens).
        """


def draw_triggers(generator: Generator, secret: bytes, n: int, task: Task) -> NDArray[Any]:
    """Return the whole trigger set.

    Args:
        generator: the family.
        secret: 32 bytes from :meth:`wmx.protocol.keys.OwnerKey.trigger_secret`.
        n: number of triggers.
        task: gives the shape.

    Returns:
        [n, *task.shape] in the family's canonical dtype.

    Raises:
        ValueError: the family does not fit the task.
        LimitError: they would take more memory or time than is left of the budget.
    """
    generator.check(task, n)
    if isinstance(generator, Folder):
        return generator.draw([], task)
    elements = prod(task.shape)
    step = max(1, ELEMENTS_AT_ONCE // elements)
    require_room(
        COPIES * n * elements * ELEMENT_BYTES[task.kind] + DRAWING_BYTES * step * elements,
        f"the {n:,} triggers of the claim",
    )
    triggers: NDArray[Any] | None = None
    for start in range(0, n, step):
        consult()
        indices = range(start, min(start + step, n))
        drawn = generator.draw([secret + b"trigger" + u32(index) for index in indices], task)
        if triggers is None:
            triggers = np.empty((n, *task.shape), drawn.dtype)
        triggers[start : start + len(drawn)] = drawn
    assert triggers is not None
    return triggers


def default_generator(task: Task) -> Generator:
    """Return the family used when none is named: ``cells`` for images.

    Raises:
        UsageError: the kind of the task has no family without parameters.
    """
    if task.kind == "image":
        return Cells()
    needed, option, family = {
        "features": ("the quantiles of each feature", "--quantiles FILE.npy", "Features.of(...)"),
        "tokens": ("the vocabulary size", "--vocabulary N", "Tokens(N)"),
    }[task.kind]
    raise UsageError(
        f"triggers for kind {task.kind!r} need {needed}",
        hint=f"give {option}",
        in_python=f"generator=wmx.triggers.{family}",
    )


def is_over_own_images(description: Any) -> bool:
    """Return whether triggers are the owner's own images, which no key can rebuild.

    Args:
        description: as for :func:`generator_from`.
    """
    return isinstance(description, dict) and description.get("name") == "folder"


def generator_from(description: Any, images: NDArray[np.uint8] | None = None) -> Generator:
    """Rebuild a generator from the description in a claim.

    Args:
        description: result of :meth:`wmx.protocol.claim.Claim.family`.
        images: uint8 [n, H, W, C], only for a claim over the owner's own images.

    Raises:
        IntegrityError: an unknown family or wrong parameters.
        UsageError: ``images`` is missing where the claim needs them.
    """
    generator: Generator
    try:
        name = description["name"]
        if not isinstance(name, str):
            raise TypeError("its name is no text")
        match name:
            case "cells":
                generator = Cells.from_description(description)
            case "features":
                generator = Features.from_description(description)
            case "tokens":
                generator = Tokens.from_description(description)
            case "folder":
                generator = Folder.from_description(images)
            case _:
                raise IntegrityError(
                    f"the claim names the trigger generator {printable(name, 60)!r}, "
                    "which this version does not know",
                    hint=NEWER_HINT,
                )
        if description.keys() != generator.describe().keys():
            raise ValueError(f"{name} has other parameters than those of its family")
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(f"the claim's trigger generator is malformed: {error}") from None
    return generator
