"""The HTML page of attack results: a plot of evidence bits against accuracy, and a table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wmx.attacks.catalogue import CATALOGUE
from wmx.attacks.results import Results
from wmx.report.page import write_page
from wmx.report.plot import color, inline_svg
from wmx.statistics.experts import required_bits

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

TEMPLATE = Path(__file__).with_name("report.html.jinja")
GROUP_OF = {name: group for group, attacks in CATALOGUE.items() for name in attacks}
COLOR_OF = {group: f"series-{number}" for number, group in enumerate(CATALOGUE, 1)}


@dataclass(frozen=True)
class Row:
    """A row of the table and its point in the plot.

    Attributes:
        number: of the row, from 1; also labels the point.
        name, group, variant, threat, source, settings: of the attack, as text.
        accuracy: 0 to 1.
        bits, hits, n, verified, notes: as measured.
        seconds: wall-clock time of the whole attack.
    """

    number: int
    name: str
    group: str
    variant: str
    threat: str
    source: str
    settings: str
    accuracy: float
    bits: float
    hits: int
    n: int
    verified: bool
    seconds: float
    notes: str


def write_report(results: Results, path: Path, *, title: str, force: bool = False) -> None:
    """Write the page.

    Args:
        results: of the attacks.
        path: of the HTML file.
        title: name of the model.
        force: replace an existing file.

    Raises:
        MissingExtraError: jinja2 or matplotlib is not installed.
        CannotRunError: the page exists and ``force`` is not set, or it cannot be written.
    """
    needed = results.about["min_bits"] or required_bits(trusted_timestamp=False)
    rows = _rows(results)
    values = {
        "title": title,
        "results": results,
        "document": results.to_json(),
        "rows": rows,
        "failed": [result for result in results.attacks if result.error is not None],
        "needed": needed,
        "plot": _plot(results, rows, needed),
    }
    write_page(TEMPLATE, values, path, force=force)


def _rows(results: Results) -> list[Row]:
    measured = [(result, one) for result in results.attacks for one in result.outcomes]
    return [
        Row(
            number=number,
            name=result.name,
            group=GROUP_OF.get(result.name, "other"),
            variant=one.variant,
            threat=result.threat,
            source=result.source,
            settings=", ".join(f"{name} {value}" for name, value in result.settings.items()),
            accuracy=one.accuracy,
            bits=one.bits,
            hits=one.hits,
            n=one.n,
            verified=one.verified,
            seconds=result.seconds,
            notes=", ".join(f"{n.replace('_', ' ')} {v:.0f}" for n, v in one.notes.items()),
        )
        for number, (result, one) in enumerate(measured, 1)
    ]


def _plot(results: Results, rows: Sequence[Row], needed: float) -> "Markup":
    """Plot bits against accuracy; negative bits are no evidence and are drawn on the axis."""
    before = results.before

    def draw(axes: "Axes") -> None:
        axes.axhline(needed, color=color("bad"), linewidth=1.4, linestyle=(0, (5, 4)))
        axes.scatter(
            100 * before.accuracy,
            max(0.0, before.bits),
            s=150,
            facecolors="none",
            edgecolors=color("text"),
            linewidths=1.8,
            label="before any attack",
            clip_on=False,
        )
        for group in dict.fromkeys(row.group for row in rows):
            own = [row for row in rows if row.group == group]
            axes.scatter(
                [100 * row.accuracy for row in own],
                [max(0.0, row.bits) for row in own],
                s=38,
                color=color(COLOR_OF.get(group, "dim")),
                label=group,
                zorder=3,
                clip_on=False,
            )
        for row in rows:
            if not row.verified:
                place = (100 * row.accuracy, max(0.0, row.bits))
                axes.annotate(
                    str(row.number), place, (0, 6), textcoords="offset points", ha="center"
                )
        axes.set_xlabel("accuracy after the attack, percent")
        axes.set_ylabel("evidence bits")
        axes.set_xlim(0, 102)
        axes.set_ylim(0, 1.06 * max(needed, before.bits, *(row.bits for row in rows), 1.0))
        axes.grid()
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5, fontsize=9)

    gone = sum(not row.verified for row in rows)
    return inline_svg(
        draw,
        name="attacks",
        title="Evidence bits against accuracy after each attack",
        description=(
            f"{len(rows)} outcomes of attacks; {gone} of them have fewer than the {needed:g} bits "
            "required. The table below holds every number."
        ),
    )
