"""The application: its commands, and the one place that turns errors into exit codes."""

import sys
import traceback
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import typer

from wmx.cli import command_in
from wmx.cli.output import print_error, warn_of_missing_filter
from wmx.errors import CannotRunError, StoppedError, UsageError, WmxError
from wmx.suspect.sandbox.locks import missing_filter_told_to

COMMANDS = {  # with what `wmx --help` says of each, which cuts longer texts off
    "demo": "Mark a small model in a minute, and verify it.",
    "keygen": "Make an owner key.",
    "claim": "Make, date, show or list claims.",
    "embed": "Train a marked model, export and verify it.",
    "release": "Record that a model bears your mark.",
    "verify": "Is this model mine?",
    "check": "Check an evidence file; no secret is needed.",
    "attack": "Which attacks does my mark survive?",
    "dispute": "Several claims verify: whose model is it?",
    "info": "What is this file?",
    "doctor": "What is installed, and does it fit together?",
}
EPILOG = (
    "Begin with wmx demo. The documentation is the folder docs of the source (docs/index.md); "
    "wmx COMMAND --help shows every option."
)


def build_app(wanted: str | None = None) -> typer.Typer:
    """Return the application: all of it, or the command ``wanted`` and the names of the others.

    No command's module has slow imports at its top, but ten of them still add up.
    """
    app = typer.Typer(
        name="wmx",
        help="Is this model mine?  Mark a classifier while it trains, prove it from its ONNX file.",
        epilog=EPILOG,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for name in COMMANDS:
        if wanted not in (None, name):
            app.command(name, short_help=COMMANDS[name])(_only_named)
            continue
        command = getattr(import_module(f"wmx.cli.{name}"), name)
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, short_help=COMMANDS[name])
        else:
            app.command(short_help=COMMANDS[name])(command)
    app.callback(invoke_without_command=True)(_top)
    return app


def _only_named() -> None:
    """Stand in the list of commands for one that was not asked for."""


def _top(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version."),
) -> None:
    if version:
        from wmx import __version__

        print(f"wmx {__version__}")  # noqa: T201 - the answer
        raise typer.Exit


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code."""
    as_json = "--json" in arguments
    command = command_in(arguments)
    try:
        with missing_filter_told_to(warn_of_missing_filter):
            built = typer.main.get_command(build_app(command))
            _leave_reading_to_commands(built)
            result = built(list(arguments), prog_name="wmx", standalone_mode=False)
        sys.stdout.flush()
        if result == StoppedError.exit_code:  # what typer makes of Ctrl-C
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except WmxError as error:
        return print_error(command, error, as_json=as_json)
    except _USAGE_ERROR as error:
        if type(error).__name__ == "NoArgsIsHelpError":  # a bare "wmx" or "wmx claim"
            print(error.format_message(), file=sys.stderr)  # noqa: T201
            return UsageError.exit_code
        hint = f"{error.ctx.command_path} --help" if error.ctx else "wmx --help"
        return print_error(command, UsageError(error.format_message(), hint), as_json=as_json)
    except (KeyboardInterrupt, typer.Abort):
        return print_error(command, StoppedError("interrupted"), as_json=as_json)
    except MemoryError:
        return print_error(command, CannotRunError("out of memory"), as_json=as_json)
    except Exception as error:  # Python's own exit code would be 1, which means "not verified"
        traceback.print_exc()
        fault = CannotRunError(
            f"a bug in wmx: {type(error).__name__}: {error}",
            "please report it, with the traceback above",
        )
        return print_error(command, fault, as_json=as_json)


def _leave_reading_to_commands(command: Any) -> None:
    """Turn off typer's check that a file can be read, which would exit as a wrong option does.

    Each command checks it itself, and exits with code 4.
    """
    for parameter in command.params:
        if hasattr(parameter.type, "readable"):
            parameter.type.readable = False
    for each in getattr(command, "commands", {}).values():
        _leave_reading_to_commands(each)


# typer exports only subclasses of the error that it raises for a wrong option
_USAGE_ERROR: Any = next(
    base for base in typer.BadParameter.__mro__ if base.__name__ == "UsageError"
)
