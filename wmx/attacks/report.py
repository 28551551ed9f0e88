"""Attack results as one HTML page: a plot of accuracy against bits and a table; nothing is loaded.

No script, no font and no picture from elsewhere, so that it can be mailed, printed and archived.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wmx.attacks.catalogue import CATALOGUE
from wmx.attacks.results import Results
from wmx.errors import MissingExtraError
from wmx.files import write_bytes
from wmx.statistics import required_bits

TEMPLATE = Path(__file__).with_name("report.html.jinja")
WIDTH, HEIGHT, MARGIN = 720, 420, 52  # of the plot, in its own units
GROUP_OF = {name: group for group, attacks in CATALOGUE.items() for name in attacks}


@dataclass(frozen=True)
class Row:
    """A row of the table, and its point in the plot.

    Attributes:
        number: that joins the two, from 1.
        name, group, variant, threat, source, settings: of the attack, for people.
        accuracy: 0 to 1.
        bits, hits, n, verified, seconds, notes: as measured; seconds are of the whole attack.
        x, y: in the plot.
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
    x: float
    y: float


def write_report(results: Results, path: Path, *, title: str, force: bool = False) -> None:
    """Write the page.

    Args:
        results: of the attacks.
        path: of the page.
        title: names the model.
        force: replace the page.

    Raises:
        MissingExtraError: jinja2 is not installed.
    """
    jinja2 = template_engine()
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    needed = results.about["min_bits"] or required_bits(trusted_timestamp=False)
    most = max([needed, results.before.bits, *(row.bits for row in _rows(results, 1.0))])
    page = template.render(
        title=title,
        results=results,
        document=results.to_json(),
        rows=_rows(results, most),
        failed=[result for result in results.attacks if result.error is not None],
        groups=list(CATALOGUE),
        needed=needed,
        plot={
            "width": WIDTH,
            "height": HEIGHT,
            "margin": MARGIN,
            "needed": _height_of(needed, most),
            "before": (_place_of(results.before.accuracy), _height_of(results.before.bits, most)),
            "accuracies": [(share, _place_of(share / 100)) for share in range(0, 101, 20)],
            "bits": [(bits, _height_of(bits, most)) for bits in range(0, int(most) + 1, 64)],
        },
    )
    write_bytes(path, page.encode(), force=force)


def template_engine() -> Any:
    """Return jinja2.  Raises :class:`MissingExtraError` without it."""
    try:
        import jinja2
    except ImportError:
        raise MissingExtraError("jinja2", "report") from None
    return jinja2


def _rows(results: Results, most: float) -> list[Row]:
    measured = [(result, one) for result in results.attacks for one in result.outcomes]
    return [
        Row(
            number=number,
            name=result.name,
            group=GROUP_OF.get(result.name, ""),
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
            x=_place_of(one.accuracy),
            y=_height_of(one.bits, most),
        )
        for number, (result, one) in enumerate(measured, 1)
    ]


def _place_of(accuracy: float) -> float:
    return round(MARGIN + accuracy * (WIDTH - 2 * MARGIN), 1)


def _height_of(bits: float, most: float) -> float:
    """Return the y of bits; what is below 0 is no evidence, and lies on the axis."""
    return round(HEIGHT - MARGIN - max(0.0, bits) / most * (HEIGHT - 2 * MARGIN), 1)
