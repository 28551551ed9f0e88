"""Write docs/reference/cli.md from the command line itself: every command, option and default.

python docs/scripts/cli_reference.py
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from wmx.cli import build_app

PAGE = Path(__file__).parents[1] / "reference" / "cli.md"
INTRODUCTION = """\
# Command line

<!-- Made by docs/scripts/cli_reference.py: change the help texts in wmx/cli, not this page. -->

`wmx COMMAND --help` shows the same. What the commands end with is in [exit codes](exit-codes.md).
"""


def cli_reference() -> str:
    """Return the page, Markdown."""
    app: Any = typer.main.get_command(build_app())
    context = app.make_context("wmx", [], resilient_parsing=True)
    sections = [
        section for name, command in app.commands.items() for section in _sections(name, command)
    ]
    return "\n".join([INTRODUCTION, *_options(app, context), *sections])


def _sections(name: str, command: Any) -> Iterator[str]:
    """Yield the text of a command and of the commands below it."""
    context = command.make_context(f"wmx {name}", [], resilient_parsing=True)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"\n#{'#' * len(name.split())} wmx {name}\n"
    yield f"    {context.command_path} {usage}\n"
    yield inspect.cleandoc(command.help or "") + "\n"
    yield from _options(command, context)
    for below, inner in getattr(command, "commands", {}).items():
        yield from _sections(f"{name} {below}", inner)


def _options(command: Any, context: Any) -> Iterator[str]:
    """Yield a table of a command's arguments and options."""
    rows = [_row(parameter, context) for parameter in command.get_params(context)]
    shown = [row for row in rows if row]
    if shown:
        yield "| option | meaning |"
        yield "|---|---|"
        yield from (f"| {name} | {meaning} |" for name, meaning in shown)


def _row(parameter: Any, context: Any) -> tuple[str, str] | None:
    """Return the cells of one parameter, as ``--help`` words them."""
    record = parameter.get_help_record(context)
    if record is None or "--help" in parameter.opts:
        return None
    name, meaning = (" ".join(text.split()) for text in record)
    return f"`{name.replace('|', chr(92) + '|')}`", _escaped(meaning)


def _escaped(text: str) -> str:
    """Return a text as a cell of a table in Markdown."""
    for sign in "\\|<>*[":
        text = text.replace(sign, f"\\{sign}")
    return text


if __name__ == "__main__":
    PAGE.write_text(cli_reference())
