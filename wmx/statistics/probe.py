"""Probes: the ways of feeding and reading a suspect, and the share of each (docs/statistics.md).

No share depends on a label, so each probe can be tried at the cost of its share.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log2
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx.protocol.task import Kind

OTHER_SCALINGS = {  # besides the one that fits the input; see wmx.suspect.scaling
    "image": ("0..255", "0..1", "-1..1", "ImageNet"),
    "features": ("raw",),
    "tokens": (),
}
MAX_SHIFT = 2
NO_SHIFT = (0, 0)
SHIFTS = tuple(
    (down, right)
    for down in range(-MAX_SHIFT, MAX_SHIFT + 1)
    for right in range(-MAX_SHIFT, MAX_SHIFT + 1)
    if (down, right) != NO_SHIFT
)
TOGETHER, ALONE = 0, 1  # rows in a call: as many as fit, or one
OTHER_ROWS = (2, 4, 8, 16, 32, 64)
SHARE_OF_USUAL_ROWS = 3 / 8  # each of TOGETHER and ALONE
SHARE_OF_VIEWS = 1 / 8  # of all views of a file together
SHARE_OF_OTHER_ROWS = 1 / 8  # of all of OTHER_ROWS together
SHARE_OF_PLAIN = 2 / 3  # of inputs as they are, where they have variations
VARIATIONS = {  # maximum number for each plain probe
    kind: len(scalings) + (len(SHIFTS) if kind == "image" else 0)
    for kind, scalings in OTHER_SCALINGS.items()
}

Group: TypeAlias = "int | str"


@dataclass(frozen=True)
class Probe:
    """One way of feeding and reading a suspect.

    Attributes:
        layout: name of the feeding: the order of the input's axes, and what else tells it apart.
        output: name of the output that is read.
        shift: whole pixels (down, right) by which inputs are moved.
        scaling: of pixels or features; ``""`` for the one that fits the input.
        rows: number of inputs in one call: as many as fit (:data:`TOGETHER`), one (:data:`ALONE`),
            or one of :data:`OTHER_ROWS`.
        view: name of the view of the file that is read (:mod:`wmx.suspect.views`); ``""`` for the
            file as it is.
    """

    layout: str
    output: str
    shift: tuple[int, int] = NO_SHIFT
    scaling: str = ""
    rows: int = TOGETHER
    view: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether inputs are fed without shift, in the scaling that fits."""
        return self.shift == NO_SHIFT and not self.scaling

    @property
    def plain(self) -> "Probe":
        """The same probe without shift and other scaling."""
        return Probe(self.layout, self.output, rows=self.rows, view=self.view)

    @property
    def group(self) -> Group:
        """What the probe shares a part of the mixture with: all of its view, or of its rows."""
        return self.view or self.rows

    @property
    def name(self) -> str:
        """View, layout, scaling, shift, rows and output."""
        words = [f"{self.view}:" if self.view else "", self.layout, self.scaling]
        if self.shift != NO_SHIFT:
            words.append(f"shifted {self.shift[0]:+d},{self.shift[1]:+d}")
        if self.rows != TOGETHER:
            alone = self.rows == ALONE
            words.append("one row at a time" if alone else f"in batches of {self.rows}")
        return " ".join(filter(None, [*words, self.output]))


def rows_of_variations(known: Sequence[int]) -> list[int]:
    """Return the numbers of rows that variations are tried with: the usual ones, if known.

    Otherwise a suspect whose predictions depend on its batch would be queried eight times as much.
    """
    return [rows for rows in known if rows in (TOGETHER, ALONE)] or list(known)


def log2_share(probe: Probe, kind: Kind, plain: int) -> float:
    """Return log2 of a probe's share of the mixture, which depends on no label.

    It is the product of the shares of its rows and of its variation, divided by the number of plain
    probes with as many rows.  Plain probes of all rows together and of single rows have equal
    shares, half of the mixture for both.  The views of a file have equal parts of theirs, and each
    divides it by the number of its probes.

    Args:
        probe: the probe.
        kind: of the task.
        plain: number of plain probes with ``probe.rows``; for a view that of its own probes, times
            the number of views.
    """
    if probe.view:
        return log2(SHARE_OF_VIEWS / plain)
    usual = probe.rows in (TOGETHER, ALONE)
    rows = SHARE_OF_USUAL_ROWS if usual else SHARE_OF_OTHER_ROWS / len(OTHER_ROWS)
    variations = VARIATIONS[kind]
    fed = SHARE_OF_PLAIN if probe.is_plain else (1 - SHARE_OF_PLAIN) / max(1, variations)
    return log2(rows * (fed if variations else 1.0) / plain)


def shifted(pixels: NDArray[np.uint8], down: int, right: int) -> NDArray[np.uint8]:
    """Return images moved by whole pixels; the pixels that become free are 0.

    Args:
        pixels: uint8 [n, H, W, C].
        down: rows to move down; up if negative.
        right: columns to move right; left if negative.
    """
    height, width = pixels.shape[1:3]
    moved = np.zeros_like(pixels)
    moved[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = pixels[
        :, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return moved
