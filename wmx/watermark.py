"""A watermark: a claim with its secret triggers and labels, to embed into a model and to verify."""

import math
import secrets
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx.errors import IntegrityError, UsageError
from wmx.protocol.claim import MAX_TRIGGERS, Claim
from wmx.protocol.commitment import Opening, commitment_root, draw_blinds, open_triggers
from wmx.protocol.keys import OwnerKey
from wmx.protocol.task import Kind, Task
from wmx.triggers import (
    Generator,
    default_generator,
    draw_triggers,
    generator_from,
    is_over_own_images,
)
from wmx.triggers.trigger_slice import TriggerSlice

MIN_TRIGGERS = 100
WANTED_BITS = 256
FromSecret: TypeAlias = Callable[[bytes], Generator]


def default_trigger_count(classes: int) -> int:
    """Return ``max(100, ceil(256 / log2 K))`` for K classes; 100 for K = 10, as in the paper."""
    return max(MIN_TRIGGERS, math.ceil(WANTED_BITS / math.log2(classes)))


@dataclass(frozen=True)
class Watermark:
    """Claim, triggers and labels; triggers and labels are secret and not in ``repr``.

    Attributes:
        claim: the signed public file.
        generator: trigger family; the claim holds it encrypted.
        triggers: [n, *task.shape] in canonical form (uint8 HWC for images).
        blinds: 32 bytes each, the blinding values of the commitment.
        labels: int64 [n], drawn from the claim and the blinding values.

    >>> from wmx import OwnerKey, Watermark
    >>> watermark = Watermark.new(OwnerKey.generate(), shape=(28, 28, 1), classes=10)
    >>> watermark.inputs.shape, watermark.labels.shape
    ((100, 28, 28, 1), (100,))
    """

    claim: Claim
    generator: Generator = field(repr=False)
    triggers: NDArray[Any] = field(repr=False)
    blinds: tuple[bytes, ...] = field(repr=False)
    labels: NDArray[np.int64] = field(repr=False)

    @classmethod
    def new(
        cls,
        owner: OwnerKey,
        *,
        shape: Iterable[int],
        classes: int,
        kind: Kind = "image",
        value_range: tuple[float | str, float | str] = (0, 1),
        mean: float | str | Iterable[float | str] = 0,
        std: float | str | Iterable[float | str] = 1,
        n: int | None = None,
        generator: Generator | FromSecret | None = None,
        note: str = "",
    ) -> Self:
        """Make a fresh watermark.  Save ``.claim`` before the first training step.

        Args:
            owner: the owner key.
            shape: of one input: (height, width, channels), (features,) or (length,).
            classes: K.
            kind: ``"image"``, ``"features"`` or ``"tokens"``.
            value_range: what pixels 0 and 255 become before normalization.
            mean, std: of the normalization ``(value - mean) / std``; one number, or one per
                channel or feature.
            n: number of triggers; ``max(100, ceil(256 / log2 K))`` if not given.
            generator: trigger family, or a function that takes the claim's 32-byte trigger secret
                and returns a family; ``cells`` for images if not given.
            note: free text for the public claim.

        Raises:
            UsageError: an argument is out of range, or the family does not fit the task.
        """
        if not isinstance(owner, OwnerKey):
            raise _no_owner_key(owner)
        task = Task.of(shape, classes, kind=kind, value_range=value_range, mean=mean, std=std)
        if problem := task.scale_problem():
            warnings.warn(problem, stacklevel=2)
        return cls.for_task(owner, task, n=n, generator=generator, note=note)

    @classmethod
    def for_task(
        cls,
        owner: OwnerKey,
        task: Task,
        *,
        n: int | None = None,
        generator: Generator | FromSecret | None = None,
        note: str = "",
        salt: bytes | None = None,
        created: str | None = None,
    ) -> Self:
        """Make a watermark for ``task``; as :meth:`new`.

        Args:
            owner: the owner key.
            task: of the model.
            n, generator, note: as of :meth:`new`.
            salt: 32 bytes, to make the same claim again; random if ``None``.
            created: ``YYYY-MM-DDThh:mm:ssZ``, to make the same claim again; now if ``None``.

        Raises:
            UsageError: ``n`` is out of range, or the family does not fit the task.
        """
        try:
            n = default_trigger_count(task.classes) if n is None else n
            if not 1 <= n <= MAX_TRIGGERS:
                raise ValueError(f"n is {n}, expected 1 to {MAX_TRIGGERS:,}")
            salt = secrets.token_bytes(32) if salt is None else salt
            secret = owner.trigger_secret(salt)
            if callable(generator):
                generator = generator(secret)
            family = generator or default_generator(task)
            triggers = draw_triggers(family, secret, n, task)
        except ValueError as error:
            raise UsageError(str(error)) from None
        blinds = draw_blinds(secret, n)
        claim = Claim.sign(
            owner,
            task=task,
            family=family.describe(),
            n=n,
            salt=salt,
            root=commitment_root(triggers, blinds),
            created=created,
            note=note,
        )
        return cls(claim, family, triggers, blinds, claim.labels(blinds))

    @classmethod
    def open(
        cls, claim: Claim, owner: OwnerKey, *, images: NDArray[np.uint8] | None = None
    ) -> Self:
        """Rebuild the trigger set of a claim and check it against the commitment.

        Args:
            claim: the claim.
            owner: the key that signed it.
            images: uint8 [n, H, W, C], only for a claim over the owner's own images
                (:mod:`wmx.triggers.trigger_file`).

        Raises:
            IntegrityError: the key is not the claim's, or the triggers are not those committed to.
            UsageError: ``images`` is missing, or an argument is of another type.
        """
        _require_claim(claim)
        if not isinstance(owner, OwnerKey):
            raise _no_owner_key(owner)
        generator = generator_from(claim.family(owner), images)
        secret = owner.trigger_secret(claim.salt)
        try:
            triggers = draw_triggers(generator, secret, claim.n, claim.task)
        except ValueError as error:
            raise IntegrityError(f"the triggers do not fit the claim: {error}") from None
        blinds = draw_blinds(secret, claim.n)
        if commitment_root(triggers, blinds) != claim.root:
            raise IntegrityError("the rebuilt triggers are not those the claim commits to")
        return cls(claim, generator, triggers, blinds, claim.labels(blinds))

    def openings(self, indices: Sequence[int]) -> list[Opening]:
        """Return the openings of the triggers in ``indices``, each with its Merkle path."""
        return open_triggers(self.triggers, self.blinds, indices)

    def trigger_slice(self, start: int = 0) -> TriggerSlice:
        """Return the triggers from ``start`` to the last, with their labels."""
        return TriggerSlice(self.claim, start, self.triggers[start:], self.labels[start:])

    @property
    def own_images(self) -> NDArray[np.uint8] | None:
        """The triggers if they are the owner's own images, which no key can rebuild."""
        return self.triggers if is_over_own_images(self.generator.describe()) else None

    @property
    def task(self) -> Task:
        """The claim's task."""
        return self.claim.task

    @property
    def inputs(self) -> NDArray[Any]:
        """The triggers as the model sees them: normalized, channels last, [n, *task.shape]."""
        return self.task.model_input(self.triggers)


def _require_claim(claim: object) -> None:
    if isinstance(claim, Claim):
        return
    hint = "the order is Watermark.open(claim, owner)" if isinstance(claim, OwnerKey) else None
    if isinstance(claim, str | Path):
        hint = f"Claim.load({str(claim)!r}) reads the file"
    raise UsageError(f"claim is {type(claim).__name__}, expected a Claim", hint=hint)


def _no_owner_key(owner: object) -> UsageError:
    hint = (
        f"OwnerKey.load({str(owner)!r}) reads the file" if isinstance(owner, str | Path) else None
    )
    return UsageError(f"owner is {type(owner).__name__}, expected an OwnerKey", hint=hint)
