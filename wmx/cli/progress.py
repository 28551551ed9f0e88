"""Progress of training and attacks on stderr: a live line on a terminal, else plain lines."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

    from wmx.attacks.campaign import Report as AttackReport
    from wmx.attacks.campaign import Step
    from wmx.training.config import EpochDone, Report


@contextmanager
def training_progress(*, silent: bool) -> Iterator["Callable[[str], Report | None]"]:
    """Yield a function from the title of a run to the callback that reports its epochs.

    It returns ``None`` if ``silent``.
    """
    if silent:
        yield lambda title: None
    elif not sys.stderr.isatty():
        yield _lines
    else:
        from rich.console import Console
        from rich.progress import Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}", markup=False), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True)) as progress:
            yield lambda title: _live_line(progress, title)


def describe(done: "EpochDone") -> str:
    """Return one line about an epoch."""
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


@contextmanager
def attack_progress(*, silent: bool) -> Iterator["AttackReport | None"]:
    """Yield the callback that shows the progress of attacks; ``None`` if ``silent``."""
    if silent:
        yield None
    elif not sys.stderr.isatty():
        yield _attack_line
    else:
        from rich.console import Console
        from rich.progress import Progress, TextColumn, TimeElapsedColumn

        columns = TextColumn("{task.description}", markup=False), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True)) as progress:
            line = progress.add_task("attacks", total=None)
            yield lambda step: progress.update(line, description=describe_attack(step))


def describe_attack(step: "Step") -> str:
    """Return one line about an attack."""
    text = f"attack {step.number}/{step.count}  {step.name}"
    if step.result is None:
        return text + (f"  epoch {step.epoch}/{step.epochs}" if step.epochs else "")
    if step.result.error is not None:
        return f"{text}  failed: {step.result.error}"
    outcomes = (f"{one.accuracy:.1%} {one.bits:.0f} bits" for one in step.result.outcomes)
    return f"{text}  {'; '.join(outcomes)}"


def _attack_line(step: "Step") -> None:
    if step.result is not None:
        print(describe_attack(step), file=sys.stderr)  # noqa: T201


@contextmanager
def tuning_progress(*, silent: bool) -> Iterator["Callable[[int, int], None] | None"]:
    """Yield the callback that shows the progress of fine-tuning; ``None`` if ``silent``."""
    if silent:
        yield None
    elif not sys.stderr.isatty():
        yield lambda done, count: print(_tuning(done, count), file=sys.stderr)  # noqa: T201
    else:
        from rich.console import Console
        from rich.progress import Progress, TextColumn, TimeRemainingColumn

        columns = TextColumn("{task.description}", markup=False), TimeRemainingColumn()
        with Progress(*columns, console=Console(stderr=True)) as progress:
            line = progress.add_task("fine-tuning", total=None)
            yield lambda done, count: progress.update(
                line, completed=done, total=count, description=_tuning(done, count)
            )


def _tuning(done: int, count: int) -> str:
    return f"fine-tuning: epoch {done}/{count}"
