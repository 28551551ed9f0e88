"""Progress of training runs on stderr: a live line on a terminal, plain lines elsewhere."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from wmx.training import EpochDone, Report


@contextmanager
def training_progress(*, silent: bool) -> Iterator["Callable[[str], Report | None]"]:
    """Give a function that makes, for the title of a run, the callback that shows its epochs.

    It makes ``None`` if ``silent``.
    """
    if silent:
        yield lambda title: None
    elif not sys.stderr.isatty():
        yield _lines
    else:
        from rich.console import Console
        from rich.progress import Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}"), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True)) as progress:
            yield lambda title: _live_line(progress, title)


def describe(done: "EpochDone") -> str:
    """Return one line on an epoch."""
    text = f"epoch {done.epoch}/{done.epochs}  loss {done.loss:.3f}  test {done.accuracy:.1%}"
    if done.bits is not None:
        text += f"  triggers {done.hits}/{done.n}  {done.bits:.0f} bits"
    return text


def _lines(title: str) -> "Report":
    return lambda done: print(f"{title}: {describe(done)}", file=sys.stderr)  # noqa: T201


def _live_line(progress: "Progress", title: str) -> "Report":
    line = progress.add_task(title, total=None)

    def report(done: "EpochDone") -> None:
        text = f"{title}: {describe(done)}"
        progress.update(line, completed=done.epoch, total=done.epochs, description=text)

    return report
