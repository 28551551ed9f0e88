"""The evidence curve: bits after each trigger, for a suspect and for simulated unmarked models."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from wmx.report.plot import color, inline_svg
from wmx.statistics.mixture import EvidenceScore, score_predictions
from wmx.statistics.predictions import Predictions
from wmx.statistics.probe import Probe
from wmx.statistics.similarity import WINDOW
from wmx.triggers.trigger_slice import TriggerSlice

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

MOST_NULLS, LEAST_NULLS = 200, 20
NULL_WORK = 2**28  # products in all comparisons of predictions: some seconds


@dataclass(frozen=True)
class Course:
    """An evidence curve.

    Attributes:
        start: index of the first trigger.
        bits: of the suspect's predictions, penalty subtracted, float64 [n].
        nulls: of the same predictions and labels that were drawn anew, float64 [count, n].
        hits: whether the top class is the label, in the first plain probe, bool [n].
        required: bits for a yes.
    """

    start: int
    bits: NDArray[np.float64]
    nulls: NDArray[np.float64]
    hits: NDArray[np.bool_]
    required: float

    @classmethod
    def of(
        cls,
        score: EvidenceScore,
        predictions: Mapping[Probe, Predictions],
        trigger_slice: TriggerSlice,
        *,
        required: float,
        stream: np.random.Generator,
    ) -> "Course":
        """Compute the curve of a score, and that of the same predictions under the null hypothesis.

        Args:
            score: of the predictions.
            predictions: of each probe, for all triggers or for the first of them.
            trigger_slice: the triggers and their labels.
            required: bits for a yes.
            stream: random numbers from which the labels of the nulls are drawn.
        """
        top = predictions[score.counted].top
        hits = np.zeros(len(trigger_slice), dtype=np.bool_)
        hits[: len(top)] = top == trigger_slice.labels[: len(top)]
        return cls(
            start=trigger_slice.start,
            bits=score.running_bits(),
            nulls=simulated_nulls(score, predictions, trigger_slice, stream),
            hits=hits,
            required=required,
        )

    @property
    def highest_null(self) -> float:
        """The most bits that any null had after any trigger."""
        return float(self.nulls.max())

    def svg(self, name: str = "course") -> "Markup":
        """Return the plot, as inline SVG."""
        last = self.start + len(self.bits) - 1
        return inline_svg(
            self._draw,
            name=name,
            title="Evidence bits, trigger by trigger",
            description=(
                f"From trigger {self.start} to trigger {last} the bits go from {self.bits[0]:.1f} "
                f"to {self.bits[-1]:.1f}; {self.required:g} are required. The highest of "
                f"{len(self.nulls)} simulated models without the labels had "
                f"{self.highest_null:.1f} bits."
            ),
        )

    def _draw(self, axes: "Axes") -> None:
        from matplotlib.ticker import MaxNLocator

        indices = np.arange(self.start, self.start + len(self.bits))
        axes.fill_between(
            indices,
            self.nulls.min(axis=0),
            self.nulls.max(axis=0),
            color=color("band"),
            alpha=0.35,
            linewidth=0,
            label=f"lowest to highest of {len(self.nulls)} simulated models without the labels",
        )
        axes.plot(
            indices,
            np.median(self.nulls, axis=0),
            color=color("dim"),
            linewidth=1.2,
            label="their median",
        )
        axes.axhline(
            self.required,
            color=color("bad"),
            linewidth=1.4,
            linestyle=(0, (5, 4)),
            label=f"required: {self.required:g} bits",
        )
        axes.plot(
            indices,
            self.bits,
            color=color("accent"),
            linewidth=2.4,
            label="this model",
            marker="o" if len(indices) == 1 else None,
        )
        axes.set_xlabel("trigger")
        axes.set_ylabel("evidence bits so far")
        axes.set_xlim(indices[0] - 0.5, indices[-1] + 0.5)
        axes.set_ylim(*self._range())
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(axis="y")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)

    def _range(self) -> tuple[float, float]:
        """Return the range of the bits axis; nulls fall without end, so they are cut off below."""
        top = max(self.bits.max(), self.required, self.highest_null)
        bottom = max(min(self.bits.min(), self.nulls.min(), 0.0), -0.35 * top)
        return bottom - 0.03 * top, 1.06 * top


def simulated_nulls(
    score: EvidenceScore,
    predictions: Mapping[Probe, Predictions],
    trigger_slice: TriggerSlice,
    stream: np.random.Generator,
) -> NDArray[np.float64]:
    """Score the predictions again, with labels that are uniform and independent of them.

    That is the null hypothesis itself (docs/statistics.md), with this suspect's own predictions: a
    model made without knowledge of the labels.  By Ville's inequality (J. Ville, *Etude critique
    de la notion de collectif*, 1939) at most one in 2**b of them ever gets to b bits.

    Args:
        score: of the suspect, for its penalty and its number of plain probes.
        predictions: of each probe, for all triggers or for the first of them.
        trigger_slice: the triggers; its labels are not used.
        stream: random numbers from which the labels are drawn.

    Returns:
        bits after each trigger, float64 [count, n]; 200 nulls, or fewer where each takes long.
    """
    different = {id(given): given.size for given in predictions.values()}
    scores = sum(different.values())
    work_of_one = scores * min(len(trigger_slice), WINDOW)
    count = min(MOST_NULLS, max(LEAST_NULLS, NULL_WORK // work_of_one))
    labels = stream.integers(
        0, trigger_slice.task.classes, (count, len(trigger_slice)), dtype=np.int64
    )
    return np.stack(
        [
            score_predictions(
                predictions,
                replace(trigger_slice, labels=one),
                penalty=score.penalty,
                plain=score.plain,
            ).running_bits()
            for one in labels
        ]
    )
