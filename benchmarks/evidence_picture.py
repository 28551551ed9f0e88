"""Draw the picture of the README: the evidence of a marked model beside its unmarked twin.

Runs what ``wmx demo`` runs, follows both models trigger by trigger, and writes
``docs/images/evidence.svg`` and ``results/evidence_picture.json``.

    python benchmarks/evidence_picture.py
"""

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import harness
import numpy as np
from picture import standalone_svg

from wmx.report.evidence_curve import Course
from wmx.report.plot import color
from wmx.suspect.suspect import open_suspect
from wmx.training.demo import run_demo
from wmx.verification.verdict import judge
from wmx.watermark import Watermark

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PICTURE = Path(__file__).parents[1] / "docs" / "images" / "evidence.svg"
NULL_SEED = 20261128  # of the labels that the simulated models are held against


@dataclass(frozen=True)
class Pair:
    """Both models' evidence, trigger by trigger."""

    marked: Course
    unmarked: Course

    def draw(self, axes: "Axes") -> None:
        """Draw both curves, the band of simulated models and what is asked for."""
        indices = np.arange(1, len(self.marked.bits) + 1)
        nulls = self.marked.nulls
        axes.fill_between(
            indices,
            nulls.min(axis=0),
            nulls.max(axis=0),
            color=color("band"),
            alpha=0.35,
            linewidth=0,
            label=f"{len(nulls)} simulated models without the mark",
        )
        axes.axhline(
            self.marked.required,
            color=color("bad"),
            linewidth=1.4,
            linestyle=(0, (5, 4)),
            label=f"asked for: {self.marked.required:g} bits",
        )
        axes.plot(
            indices, self.marked.bits, color=color("accent"), linewidth=2.4, label="marked model"
        )
        axes.plot(
            indices,
            self.unmarked.bits,
            color=color("text"),
            linewidth=1.8,
            linestyle=(0, (1, 1.2)),
            label="its twin, trained without the mark",
        )
        top = float(self.marked.bits.max())
        axes.set_xlabel("secret inputs asked")
        axes.set_ylabel("bits of evidence")
        axes.set_xlim(0, len(indices) + 1)
        axes.set_ylim(-0.12 * top, 1.06 * top)
        axes.grid(axis="y")
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)

    def svg(self) -> str:
        """Return the picture as a file of its own."""
        return standalone_svg(
            self.draw,
            name="evidence",
            title="Evidence of a marked and an unmarked model",
            description=(
                f"Over {len(self.marked.bits)} secret inputs the marked model's evidence rises to "
                f"{self.marked.bits[-1]:.0f} bits, past the {self.marked.required:g} asked for; "
                f"the unmarked model's ends at {self.unmarked.bits[-1]:.0f}."
            ),
        )


def follow(model: Path, watermark: Watermark) -> Course:
    """Return a model's evidence after each of the watermark's triggers."""
    verdict = judge(open_suspect(model, "cpu", own=True), watermark)
    return Course.of(
        verdict.score,
        verdict.predictions,
        watermark.trigger_slice(),
        required=verdict.required_bits,
        stream=np.random.default_rng(NULL_SEED),
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        result = run_demo(Path(folder) / "demo", epochs=20)
        watermark = result.embedded.watermark
        pair = Pair(follow(result.embedded.files.model, watermark), follow(result.twin, watermark))
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(pair.svg())
    harness.record(
        "evidence_picture",
        {
            "marked": _summary(pair.marked, result.embedded.accuracy),
            "unmarked": _summary(pair.unmarked, result.twin_accuracy),
            "highest_simulated_bits": round(pair.marked.highest_null, 1),
        },
    )


def _summary(course: Course, accuracy: float) -> dict[str, float]:
    return {
        "accuracy": round(accuracy, 4),
        "hits": int(course.hits.sum()),
        "bits": round(float(course.bits[-1]), 1),
        "most_bits": round(float(course.bits.max()), 1),
    }


if __name__ == "__main__":
    main()
