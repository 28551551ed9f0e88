"""A real browser for the tests of pages: Chromium, as QtWebEngine brings it in a wheel.

Pinned like every other package, so that no machine has to have one.  Run as a script it looks at a
page and prints what it saw; :func:`look` runs it so, since Qt belongs into a process of its own.
"""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

STEP_MS = 400  # between two grabs; when they are equal and not blank the page is painted
LIMIT_MS = 120_000
MEASURE = """[document.documentElement.scrollWidth - document.documentElement.clientWidth,
    Math.ceil(document.documentElement.getBoundingClientRect().height),
    Math.max(0, ...Array.from(document.querySelectorAll(".scroll"),
        (part) => part.scrollWidth - part.clientWidth))]"""


@dataclass(frozen=True)
class Look:
    """What was seen.

    Attributes:
        console: messages of the page and of the browser about it.
        requests: what the page asked for, apart from itself; all of it was refused.
        overhang: pixels by which its content is wider than the window.
        cut: pixels by which the widest plot or table has to be scrolled sideways.
        pixels: uint8 [H, W, 3], all of it.
        pdf: as printed.
    """

    console: list[str]
    requests: list[str]
    overhang: int
    cut: int
    pixels: NDArray[np.uint8]
    pdf: bytes


def look(page: Path, *, width: int = 1024, dark: bool = False) -> Look:
    """Open a page in a window of ``width`` pixels, by somebody who likes pages dark or not."""
    from PIL import Image

    stem = page.with_name(f"{page.stem}-{width}-{'dark' if dark else 'light'}")
    png, pdf = stem.with_suffix(".png"), stem.with_suffix(".pdf")
    words = [sys.executable, __file__, page, png, pdf, f"--width={width}", f"--dark={int(dark)}"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    return Look(
        console=seen["console"],
        requests=seen["requests"],
        overhang=seen["overhang"],
        cut=seen["cut"],
        pixels=np.asarray(Image.open(png).convert("RGB")),
        pdf=pdf.read_bytes(),
    )


def main(page: Path, png: Path, pdf: Path, *, width: int, dark: bool) -> int:
    """Look at the page in this process."""
    os.environ |= {
        "QT_QPA_PLATFORM": "offscreen",
        "QTWEBENGINE_DISABLE_SANDBOX": "1",  # a container's root has none; the page is our own
        "QTWEBENGINE_CHROMIUM_FLAGS": "--disable-gpu"
        + (" --blink-settings=preferredColorScheme=0" if dark else ""),
    }
    from PyQt6.QtCore import QTimer, QUrl
    from PyQt6.QtWebEngineCore import (
        QWebEnginePage,
        QWebEngineProfile,
        QWebEngineSettings,
        QWebEngineUrlRequestInterceptor,
    )
    from PyQt6.QtWebEngineWidgets import QWebEngineView
    from PyQt6.QtWidgets import QApplication

    address = QUrl.fromLocalFile(str(page.resolve()))
    console: list[str] = []
    requests: list[str] = []

    class Refusing(QWebEngineUrlRequestInterceptor):
        def interceptRequest(self, request: Any) -> None:
            if request.requestUrl() != address and request.requestUrl().scheme() != "data":
                requests.append(request.requestUrl().toString())
                request.block(True)

    class Page(QWebEnginePage):
        def javaScriptConsoleMessage(self, level: Any, message: str, *place: Any) -> None:
            console.append(message)

    application = QApplication(["browser"])
    profile = QWebEngineProfile()  # off the record
    refusing = Refusing()
    profile.setUrlRequestInterceptor(refusing)
    attributes = QWebEngineSettings.WebAttribute
    profile.settings().setAttribute(attributes.ShowScrollBars, False)
    # else requests of a local page would be refused before they could be counted
    profile.settings().setAttribute(attributes.LocalContentCanAccessRemoteUrls, True)
    seen: dict[str, Any] = {"console": console, "requests": requests}
    views = []

    def opened(height: int, loaded: Callable[[Any], None]) -> None:
        """Open the page in a view of its own: a resized one is painted nobody knows when."""
        view = QWebEngineView()
        views.append(view)
        view.setPage(Page(profile, view))
        view.resize(width, height)
        view.page().loadFinished.connect(lambda well: loaded(view) if well else application.exit(1))
        view.load(address)
        view.show()

    def measured(size: list[float]) -> None:
        seen["overhang"], seen["cut"] = int(size[0]), int(size[2])
        opened(int(size[1]), lambda view: grabbed(view, None))

    def grabbed(view: Any, before: Any) -> None:
        image = view.grab().toImage()
        if before is None or image != before or is_blank(image):
            QTimer.singleShot(STEP_MS, lambda: grabbed(view, image))
            return
        assert image.save(str(png))
        view.page().pdfPrintingFinished.connect(printed)
        view.page().printToPdf(str(pdf))

    def is_blank(image: Any) -> bool:
        one = image.copy()
        one.fill(image.pixelColor(0, 0))
        return bool(image == one)

    def printed(*_: object) -> None:
        print(json.dumps(seen))
        application.quit()

    opened(800, lambda view: view.page().runJavaScript(MEASURE, measured))
    QTimer.singleShot(LIMIT_MS, lambda: application.exit(1))
    code = application.exec()
    sys.stdout.flush()
    os._exit(code)  # Qt's own end minds the order in which Python lets its objects go


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("page", "png", "pdf"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--width", type=int)
    parser.add_argument("--dark", type=int)
    given = parser.parse_args()
    main(given.page, given.png, given.pdf, width=given.width, dark=bool(given.dark))
