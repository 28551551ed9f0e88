"""Plots fit into a page: its colors, ids of their own, and texts that cannot become markup."""

import re
from typing import Any

import pytest

from wmx.report.plot import NAMES, color, inline_svg

LABEL = "a < b & $c$ <script>"


def draw(axes: Any) -> None:
    axes.plot([0, 1], [0, 1], color=color("accent"), marker="o", label=LABEL)
    axes.fill_between([0, 1], [0, 0], [1, 1], color=color("band"))
    axes.legend()


def drawn(name: str = "plot") -> str:
    return str(inline_svg(draw, name=name, title="<T>", description="<D>"))


def test_every_color_is_one_of_the_page() -> None:
    colors = re.findall(r"(?:fill|stroke): ([^;\"]+)", drawn())
    names = {f"var(--{name})" for name in NAMES}
    assert "var(--accent)" in colors
    assert set(colors) <= names | {"none"}


def test_two_plots_of_one_page_share_no_id() -> None:
    first, second = (set(re.findall(r'id="([^"]*)"', drawn(name))) for name in ("one", "two"))
    assert first
    assert not first & second


def test_texts_are_escaped() -> None:
    text = drawn()
    assert "a &lt; b &amp; $c$ &lt;script&gt;" in text
    assert "&lt;T&gt;" in text
    assert "&lt;D&gt;" in text
    assert "<script" not in text


def test_it_is_the_same_every_time() -> None:
    assert drawn() == drawn()


def test_settings_of_the_user_have_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib

    before = drawn()
    monkeypatch.setitem(matplotlib.rcParams, "lines.linewidth", 9.0)
    assert drawn() == before
    assert matplotlib.rcParams["lines.linewidth"] == 9.0
