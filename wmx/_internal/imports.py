"""Importing what may be missing: a package of an extra, or a callable that an option names."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from wmx._internal.text import printable
from wmx.errors import CannotRunError, MissingExtraError, UsageError

MOST_SHOWN = 200  # characters of a list of names


@contextmanager
def needing_extra(extra: str, **of_package: str) -> Iterator[None]:
    """Say which extra to install where a package is missing that an import in the block needs.

    Args:
        extra: that brings the packages.
        of_package: extras of packages that another one brings, by the packages' names.

    Raises:
        MissingExtraError: a package is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        raise MissingExtraError(package, of_package.get(package, extra)) from None


def callable_from(spec: str, option: str) -> Callable[..., Any]:
    """Import and return a callable; the current directory comes first in the search.

    Args:
        spec: such as ``"my_project.models:small_net"``.
        option: the name of the option, for error messages.

    Raises:
        UsageError: not of that form, no such module or name, or not callable.
        CannotRunError: the module fails while it is imported.
    """
    module_name, _, name = spec.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), *name.split(".")]):
        raise UsageError(f"{option} is {spec!r}, expected package.module:callable")
    here = os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and (module_name == error.name or module_name.startswith(f"{error.name}.")):
            raise UsageError(
                f"{option}: no module {module_name!r} here or among the installed packages",
                hint="run wmx in the folder that holds it, or install its package",
            ) from None
        raise CannotRunError(f"{option}: {module_name} needs {error.name}, not installed") from None
    except Exception as error:
        raise CannotRunError(
            f"{option}: importing {module_name} failed: {type(error).__name__}: {error}"
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise UsageError(f"{option}: {module_name} has no {name!r}", hint=_functions_of(found))
        found = getattr(found, part)
    if not callable(found):
        raise UsageError(f"{option}: {spec} is {type(found).__name__}, expected a callable")
    return found  # type: ignore[no-any-return]


def _functions_of(module: Any) -> str | None:
    """Return the names that may have been meant, as a hint; ``None`` if there are none."""
    own = [
        name
        for name, value in vars(module).items()
        if callable(value)
        and not name.startswith("_")
        and getattr(value, "__module__", None) == getattr(module, "__name__", "")
    ]
    return f"it has {printable(', '.join(sorted(own)), MOST_SHOWN)}" if own else None
