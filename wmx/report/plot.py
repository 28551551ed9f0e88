"""Matplotlib plots as inline SVG, in the colors of the page's light or dark style.

Matplotlib draws with stand-in colors, each of which is replaced by the page's CSS variable.  Texts
stay texts, in the page's font, so that they can be searched and read aloud.
"""

import re
from collections.abc import Callable
from io import StringIO
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markupsafe import Markup
    from matplotlib.axes import Axes

INCHES = (7.6, 4.3)
# variables of base.html.jinja that a plot may use, and what stands for them while it is drawn
NAMES = ("text", "dim", "page", "line", "good", "bad", "accent", "band")
SERIES = 9  # further colors, "series-1" and so on, for the series of a plot
STYLE = {
    "svg.fonttype": "none",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],  # by which places are measured; part of matplotlib
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.axisbelow": True,
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "text.parse_math": False,
}


def color(name: str) -> str:
    """Return the stand-in color for the page's CSS variable ``--name``."""
    return _STAND_INS[name]


def inline_svg(
    draw: "Callable[[Axes], None]", *, name: str, title: str, description: str
) -> "Markup":
    """Draw a plot and return it as an ``<svg>`` element.

    Args:
        draw: draws into the axes, with the colors of :func:`color`.  It must not write text that
            somebody else chose.
        name: unique on the page: the prefix of all ids, and the seed of those that are hashes.
        title, description: what a screen reader reads instead.
    """
    from markupsafe import Markup, escape
    from matplotlib import style
    from matplotlib.figure import Figure

    with style.context(["default", STYLE, {"svg.hashsalt": name, **_frame_colors()}]):
        figure = Figure(figsize=INCHES, layout="tight")
        draw(figure.subplots())
        written = StringIO()
        figure.savefig(written, format="svg", transparent=True)
    drawing = _body_of(written.getvalue(), name)
    width, height = (f"{72 * inches:g}" for inches in INCHES)
    head = (
        f'<svg viewBox="0 0 {width} {height}" role="img" '
        f'aria-labelledby="{name}-title {name}-description">\n'
        f'<title id="{name}-title">{escape(title)}</title>\n'
        f'<desc id="{name}-description">{escape(description)}</desc>'
    )
    return Markup(f"{head}{drawing}</svg>")  # noqa: S704 - matplotlib escapes what it writes


def _body_of(document: str, name: str) -> str:
    """Return what is inside the root element, made fit to stand among others in a page."""
    body = document[document.index(">", document.index("<svg ")) + 1 : document.rindex("</svg>")]
    body = re.sub(r"<(metadata|style)\b.*?</\1>", "", body, flags=re.DOTALL)
    body = re.sub(r' id="', f' id="{name}-', body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    body = re.sub(r"url\(#", f"url(#{name}-", body)
    body = re.sub(r"font-family: [^;\"]*;? ?", "", body)
    return re.sub("|".join(_NAME_OF), lambda found: f"var(--{_NAME_OF[found[0]]})", body)


def _frame_colors() -> dict[str, Any]:
    return {
        "axes.edgecolor": color("line"),
        "axes.labelcolor": color("dim"),
        "xtick.color": color("line"),
        "ytick.color": color("line"),
        "xtick.labelcolor": color("dim"),
        "ytick.labelcolor": color("dim"),
        "grid.color": color("line"),
        "text.color": color("text"),
        "legend.labelcolor": color("text"),
    }


_STAND_INS = {
    name: f"#fe00{number:02x}"
    for number, name in enumerate((*NAMES, *(f"series-{i}" for i in range(1, SERIES + 1))), 1)
}
_NAME_OF = {stand_in: name for name, stand_in in _STAND_INS.items()}
