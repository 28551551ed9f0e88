"""Finding the adapter of a framework: a module registered under the entry-point group.

Other distributions can add theirs: ``[project.entry-points."wmx.adapters"] name = "module"``.  The
module offers what :class:`wmx.training.loop.Adapter` says.
"""

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from wmx.errors import CannotRunError, MissingExtraError, UsageError

GROUP = "wmx.adapters"
ALIASES = {"pytorch": "torch", "tensorflow": "keras", "flax": "jax", "scikit-learn": "sklearn"}


def installed_adapters() -> list[str]:
    """Return the names of the registered adapters, without importing them."""
    return sorted(_entry_points())


def load_adapter(framework: str) -> Any:
    """Return the adapter module of ``framework``, a name or one of its aliases.

    Raises:
        UsageError: no adapter of that name is registered.
        MissingExtraError: the adapter is there, its framework is not installed.
    """
    name = ALIASES.get(framework, framework)
    found = _entry_points()
    if name not in found:
        raise UsageError(
            f"no adapter for the framework {framework!r}, expected one of {', '.join(found)}"
        )
    try:
        return found[name].load()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == found[name].module.partition(".")[0]:
            raise CannotRunError(
                f"the adapter of {framework} is registered, but its module is gone",
                hint="install wmx again",
            ) from None
        raise MissingExtraError(missing, name) from None


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=GROUP))}
