"""Finding the adapter of a framework: a module registered under an entry-point group.

Other distributions can add theirs: ``[project.entry-points."wmx.adapters"] name = "module"``.  The
module offers what :class:`wmx.training.adapter.StepwiseAdapter` or
:class:`~wmx.training.adapter.FittedAdapter` says.
"""

from importlib.metadata import EntryPoint, entry_points

from wmx.errors import CannotRunError, MissingExtraError, UsageError
from wmx.training.adapter import FittedAdapter, StepwiseAdapter

GROUP = "wmx.adapters"
ALIASES = {"pytorch": "torch", "tensorflow": "keras", "flax": "jax", "scikit-learn": "sklearn"}


def installed_adapters() -> list[str]:
    """Return the names of the registered adapters, without importing them."""
    return sorted(_entry_points())


def load_adapter(framework: str) -> StepwiseAdapter | FittedAdapter:
    """Import the adapter of a framework and return its module.

    Args:
        framework: the adapter's name, or an alias such as ``"pytorch"``.

    Raises:
        UsageError: no adapter of that name is registered.
        MissingExtraError: the adapter is registered, but its framework is not installed.
        CannotRunError: the registered module is missing, or is no adapter.
    """
    name = ALIASES.get(framework, framework)
    found = _entry_points()
    if name not in found:
        raise UsageError(
            f"no adapter for the framework {framework!r}, expected one of {', '.join(found)}"
        )
    try:
        adapter: object = found[name].load()
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing == found[name].module.partition(".")[0]:
            raise CannotRunError(
                f"the adapter of {framework} is registered, but its module is missing",
                hint="install wmx again",
            ) from None
        raise _not_installed(framework, name, missing) from None
    except MissingExtraError as error:  # an adapter of wmx says so itself
        raise _not_installed(framework, name, error.package) from None
    if not isinstance(adapter, StepwiseAdapter | FittedAdapter):
        raise CannotRunError(
            f"the adapter of {framework}, {found[name].module}, lacks functions that wmx calls",
            hint="wmx.training.adapter lists what a StepwiseAdapter or a FittedAdapter offers",
        )
    return adapter


def _not_installed(framework: str, name: str, missing: str) -> CannotRunError:
    error = MissingExtraError(missing, name)
    if framework == name:
        return error
    return CannotRunError(
        f"{missing} is not installed, and the framework {framework!r} is {name!r} here, which "
        "needs it",
        hint=error.hint,
    )


def load_stepwise_adapter(framework: str) -> StepwiseAdapter:
    """Return the adapter of a framework whose models are trained step by step.

    Args:
        framework: as for :func:`load_adapter`, which also says what else is raised.

    Raises:
        UsageError: the adapter's estimators are fitted in one call.
    """
    adapter = load_adapter(framework)
    if not isinstance(adapter, StepwiseAdapter):
        raise UsageError(
            f"{framework} fits an estimator in one call, expected a framework that trains step by "
            "step",
            hint="for example --framework torch",
        )
    return adapter


def _entry_points() -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=GROUP))}
