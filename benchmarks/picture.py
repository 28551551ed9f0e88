"""A plot as an SVG file of its own, readable on light and dark pages."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from wmx.report.plot import INCHES, inline_svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# A picture cannot ask the page around it for its colors, so it brings a background of its own.
COLORS = """
svg { --text: #1b2230; --dim: #566073; --page: #ffffff; --line: #d5dae3; --good: #12694b;
  --bad: #b3261e; --accent: #1f5fd0; --band: #9aa5b8;
  --series-1: #1f6feb; --series-2: #0a8f6c; --series-3: #c2410c; --series-4: #9333ea;
  font-family: system-ui, sans-serif; background: var(--page); }
@media (prefers-color-scheme: dark) {
  svg { --text: #e6e9f0; --dim: #a3acbd; --page: #14171f; --line: #38404f; --good: #5fd3a6;
    --bad: #ff8a80; --accent: #7db0ff; --band: #6b768a;
    --series-1: #6ea8ff; --series-2: #3fd0a5; --series-3: #ff9a62; --series-4: #c79bff; } }
"""


def standalone_svg(
    draw: "Callable[[Axes], None]", *, name: str, title: str, description: str
) -> str:
    """Draw a plot and return it as a file of its own.

    Args:
        draw: draws into the axes, with the colors of :func:`wmx.report.plot.color`; of its series
            there are four.
        name: the prefix of all ids, and the seed of those that are hashes.
        title, description: what a screen reader reads instead.
    """
    element = inline_svg(draw, name=name, title=title, description=description)
    width, height = (f"{72 * inches:g}" for inches in INCHES)
    root = (
        '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" '
        f'width="{width}" height="{height}" '
    )
    head, body = str(element).replace("<svg ", root, 1).split("</desc>", 1)
    lines = f"{head}</desc><style>{COLORS}</style>{body}\n".splitlines()
    return "\n".join(line.rstrip() for line in lines) + "\n"
