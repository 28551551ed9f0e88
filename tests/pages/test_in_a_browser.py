"""Pages as people see them: in Chromium, light and dark, on a telephone and on paper.

``pytest --browser`` asks for them; the browser is in the extra ``browser``.
"""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from findings import Case
from numpy.typing import NDArray
from support.browser import Look, look

from wmx.attacks.catalogue import ATTACKS
from wmx.attacks.report import write_report
from wmx.attacks.results import AttackResult, Measurement, Results

TELEPHONE, NARROW = 360, 500  # pixels across
Writer = Callable[[Path], None]


@pytest.fixture(autouse=True)
def browser(request: pytest.FixtureRequest) -> None:
    if not request.config.getoption("--browser"):
        pytest.skip("not asked for: pytest --browser, with the extra browser")


def write_attacks(path: Path) -> None:
    """The page of a campaign in which every attack that there is had an outcome."""
    stream = np.random.default_rng(0)
    results = Results(
        {"model": "out", "claim": "aa" * 32, "min_bits": None},
        Measurement(0.98, 100, 100, 325.0, True),
        [
            AttackResult(
                name,
                attack.threat,
                attack.source,
                attack.settings(),
                12.0,
                (Measurement(accuracy, round(bits / 4), 100, bits, bits >= 128),),
            )
            for name, attack in ATTACKS.items()
            for accuracy, bits in [(stream.uniform(0.5, 1.0), stream.uniform(0.0, 325.0))]
        ],
    )
    write_report(results, path, title="out")


@pytest.fixture(params=["owner", "check", "attacks"])
def write(request: pytest.FixtureRequest, case: Case) -> Writer:
    writers: dict[str, Writer] = {
        "owner": lambda path: case.owners().write(path),
        "check": lambda path: case.third_partys(case.checked).write(path),
        "attacks": write_attacks,
    }
    return writers[request.param]


def share_of(pixels: NDArray[np.uint8], *, dark: bool) -> float:
    """The share of pixels that are nearly black, or nearly white."""
    brightness = pixels.mean(axis=2)
    return float(((brightness < 60) if dark else (brightness > 235)).mean())


def check_looks(seen: Look, *, dark: bool) -> None:
    assert seen.console == []
    assert seen.requests == []
    assert seen.overhang == 0, "nothing is wider than the window"
    assert share_of(seen.pixels, dark=dark) > 0.6
    thirds = np.array_split(seen.pixels[: seen.pixels.shape[0] * 9 // 10], 3)
    assert all(third.std() > 5 for third in thirds), "there is something to see everywhere"


def test_light_and_printed(write: Writer, page: Path) -> None:
    write(page)
    seen = look(page)
    check_looks(seen, dark=False)
    assert seen.pdf.startswith(b"%PDF")
    assert len(re.findall(rb"/Type ?/Page\b", seen.pdf)) >= 2


def test_dark_on_a_telephone(write: Writer, page: Path) -> None:
    write(page)
    seen = look(page, width=TELEPHONE, dark=True)
    check_looks(seen, dark=True)
    assert seen.pixels.shape[1] == TELEPHONE


@pytest.mark.parametrize("kind", ["owner", "check"])
def test_nothing_of_a_report_is_cut_off_in_a_narrow_window(
    case: Case, page: Path, kind: str
) -> None:
    report = case.owners() if kind == "owner" else case.third_partys(case.checked)
    report.write(page)
    seen = look(page, width=NARROW)
    check_looks(seen, dark=False)
    assert seen.cut == 0


def test_the_browser_sees_what_is_wrong(page: Path) -> None:
    """The tests above can fail: an error, a request and a wide line are noticed."""
    page.write_text(
        "<!doctype html><meta charset=utf-8><body style='background: #fff'>"
        "<div style='width: 900px; background: #888'>wide</div>"
        "<div class='scroll' style='width: 200px; overflow-x: auto'>"
        "<div style='width: 300px'>cut</div></div>"
        "<script>console.error('wrong'); fetch('http://wmx.invalid/script')</script>"
        "<img src='http://wmx.invalid/picture.png'>"
    )
    seen = look(page, width=TELEPHONE)
    assert "wrong" in seen.console
    assert {"http://wmx.invalid/script", "http://wmx.invalid/picture.png"} <= set(seen.requests)
    assert seen.overhang > 500
    assert seen.cut == 100
