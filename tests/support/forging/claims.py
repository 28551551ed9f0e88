"""What a forger makes: claims in order in every respect, and how far they get with the verifier."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from wmx import OwnerKey, Watermark, verify
from wmx.protocol.claim import Claim
from wmx.protocol.commitment import commitment_root, draw_blinds
from wmx.protocol.task import Task
from wmx.triggers import Cells

CREATED = "2020-01-01T00:00:00Z"  # his word
FAMILY = Cells()  # encrypted, so that nobody sees that it is another
REQUIRED_BITS = 64.0  # what is asked for with a trusted date, the lower of the two thresholds


@dataclass(frozen=True)
class Attempt:
    """The best of what a forger tried.

    Attributes:
        bits: what the verifier gives it.
        hits, n: of it.
        tries: how many draws of the labels he looked at.
        verified: whether the verifier believes him, at the lower of its two thresholds.
    """

    bits: float
    hits: int
    n: int
    tries: int
    verified: bool


def attempt(file: Path, watermark: Watermark, tries: int) -> Attempt:
    """Give the forger's best claim, with all its triggers, to the verifier."""
    verdict = verify(file, watermark, min_bits=REQUIRED_BITS, device="cpu")
    return Attempt(verdict.bits, verdict.hits, verdict.n, tries, verdict.verified)


def forged(
    key: OwnerKey, task: Task, triggers: NDArray[Any], *, number: int = 0, note: str = ""
) -> Watermark:
    """Return a claim over triggers [n, *task.shape] of the forger's choice, in canonical form.

    Rows of features could not be rebuilt from his key, as an owner's are; but who checks an
    evidence sees only that the commitment is to them.

    Args:
        number: another salt for each, so that it is another claim over the same triggers.
    """
    salt = hashlib.sha256(b"forged" + number.to_bytes(8, "big")).digest()
    blinds = draw_blinds(key.trigger_secret(salt), len(triggers))
    claim = Claim.sign(
        key,
        task=task,
        family=FAMILY.describe(),
        n=len(triggers),
        salt=salt,
        root=commitment_root(triggers, blinds),
        created=CREATED,
        note=note,
    )
    return Watermark(claim, FAMILY, triggers, blinds, claim.labels(blinds))
