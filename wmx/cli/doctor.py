"""``wmx doctor``: what is installed, what can run, what conflicts and how to fix it."""

from pathlib import Path

import typer

from wmx.cli.common import JsonOption, answer, store, table
from wmx.cli.passphrase import PASSPHRASE_VARIABLE

CORE = ("numpy", "onnx", "cryptography", "rfc8785", "safetensors", "platformdirs", "typer", "rich")
RUNTIMES = ("onnxruntime-gpu", "onnxruntime")
FRAMEWORKS = ("torch", "keras", "tensorflow", "jax", "flax", "optax")
OPTIONAL = (
    *("onnxscript", "jax2onnx", "tf2onnx", "scikit-learn", "skl2onnx", "lightning"),
    *("transformers", "accelerate", "pillow", "jinja2", "matplotlib", "rfc3161-client"),
)
PACKAGE_OF = {"sklearn": "scikit-learn"}  # that an adapter needs, where its name is another
FOUND_PROBLEMS = 1


def doctor(json: JsonOption = False) -> None:
    """Show versions, frameworks and execution providers.  Exit 1 if there is a problem to fix."""
    import platform

    from wmx import __version__
    from wmx.training.plugins import installed_adapters

    versions = {name: _version(name) for name in (*CORE, *RUNTIMES, *FRAMEWORKS, *OPTIONAL)}
    providers, problems = _runtime(versions)
    problems += _secret_problems()
    limits = _suspect_limits()
    home = store()
    rows = {
        "wmx": __version__,
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        **{name: version or "not installed" for name, version in versions.items()},
        "adapters": ", ".join(_adapter(name, versions) for name in installed_adapters()) or "none",
        "providers": ", ".join(providers) or "none",
        "sandbox limits": ", ".join(limits) or "a separate process, and no further limits",
        "store": f"{home.folder} ({'has a key' if home.key_path.exists() else 'no key yet'})",
    }
    lines = [table(rows)]
    for problem, cure in problems:
        lines.append(f"problem: {problem}\n    fix: {cure}")
    if not problems:
        lines.append("no problems found")
    exit_code = FOUND_PROBLEMS if problems else 0
    fields = {
        "wmx": __version__,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "versions": versions,
        "adapters": installed_adapters(),
        "providers": providers,
        "suspect_limits": limits,
        "store": str(home.folder),
        "problems": [{"problem": problem, "cure": cure} for problem, cure in problems],
    }
    answer("doctor", "\n".join(lines), fields, as_json=json, exit_code=exit_code)
    raise typer.Exit(exit_code)


def _adapter(name: str, versions: dict[str, str | None]) -> str:
    """Return an adapter's name, and whether its framework is missing."""
    package = PACKAGE_OF.get(name, name)
    return f"{name} ({package} is not installed)" if versions.get(package, "") is None else name


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _runtime(versions: dict[str, str | None]) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the usable execution providers, and what is wrong with the runtime."""
    problems = []
    gpu, plain = versions["onnxruntime-gpu"], versions["onnxruntime"]
    if gpu and plain and gpu != plain:
        problems.append(
            (
                f"onnxruntime {plain} and onnxruntime-gpu {gpu} are both installed; "
                "they share one folder, and the one installed last runs",
                "pip uninstall onnxruntime onnxruntime-gpu, then install one of them; or both in "
                "the same version, if a package such as jax2onnx needs onnxruntime",
            )
        )
    try:
        from wmx.suspect.session import usable_providers

        return usable_providers(), problems
    except ImportError as error:
        problems.append((f"onnxruntime cannot be imported: {error}", "pip install onnxruntime-gpu"))
        return [], problems


def _suspect_limits() -> list[str]:
    """Return the limits that a suspect's process has on this machine."""
    from wmx.errors import WmxError
    from wmx.suspect.remote import confine
    from wmx.suspect.sandbox.process import Sandbox

    try:
        with Sandbox.start() as sandbox:
            return confine(sandbox, 0, "cpu")
    except WmxError:  # the problem with the runtime says why
        return []


def _secret_problems() -> list[tuple[str, str]]:
    """Return what is wrong with the files of the store's key and of its passphrase."""
    import os

    secrets = {
        "owner key": store().key_path,
        "passphrase file": os.environ.get(PASSPHRASE_VARIABLE),
    }
    return [
        (f"other users of this machine can read the {what} {path}", f"chmod 600 {path}")
        for what, path in secrets.items()
        if path and _is_open_to_others(path)
    ]


def _is_open_to_others(path: str | Path) -> bool:
    """Say whether a file exists and its mode gives other users access."""
    import os
    import stat

    if os.name != "posix" or not os.path.exists(path):
        return False
    return bool(stat.S_IMODE(os.stat(path).st_mode) & 0o077)
