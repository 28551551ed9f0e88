"""Results of an attack campaign, stored as one JSON file that is updated after every attack."""

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from wmx._internal.files import read_bytes
from wmx._internal.writing import write_bytes
from wmx.errors import IntegrityError, UsageError

FORMAT = 1
MAX_RESULTS_BYTES = 4 * 1024**2  # all attacks of the catalogue leave about 50 KB
PACKAGES = ("numpy", "onnx", "onnxruntime", "torch", "keras", "tensorflow", "jax", "flax")


@dataclass(frozen=True)
class Measurement:
    """Accuracy and evidence of one model.

    Attributes:
        accuracy: on the test split, 0 to 1.
        hits, n: triggers whose label is the top class, and all triggers.
        bits: of black-box evidence, as ``wmx verify`` computes them.
        verified: whether they suffice.
        variant: distinguishes several outcomes of one attack.
        notes: other figures, by name.
    """

    accuracy: float
    hits: int
    n: int
    bits: float
    verified: bool
    variant: str = ""
    notes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class AttackResult:
    """The result of one attack.

    Attributes:
        name, threat, source, settings: of the attack.
        seconds: wall-clock time, including measurement.
        outcomes: at least one, unless the attack failed.
        error: why the attack failed; ``None`` if it succeeded.
    """

    name: str
    threat: str
    source: str
    settings: Mapping[str, Any]
    seconds: float
    outcomes: tuple[Measurement, ...] = ()
    error: str | None = None


@dataclass
class Results:
    """The results of all attacks on one model.

    Attributes:
        about: identifies target, data and seed; a campaign resumes only if they are equal.
        before: the model as it was shipped.
        attacks: in the order in which they ended.
    """

    about: dict[str, Any]
    before: Measurement
    attacks: list[AttackResult]

    def done(self, name: str, settings: Mapping[str, Any]) -> bool:
        """Return whether an attack has succeeded before.

        Args:
            name: of the attack.
            settings: with which it ran.
        """
        return any(
            result.name == name and result.settings == settings and result.error is None
            for result in self.attacks
        )

    def add(self, result: AttackResult) -> None:
        """Add a result, replacing an earlier one of the same attack."""
        self.attacks = [own for own in self.attacks if own.name != result.name] + [result]

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document."""
        return {
            "wmx_attacks": FORMAT,
            **self.about,
            "versions": versions(),
            "before": asdict(self.before),
            "attacks": [asdict(result) for result in self.attacks],
        }

    def save(self, path: Path) -> None:
        """Write the file, replacing an earlier version."""
        write_bytes(path, json.dumps(self.to_json(), indent=2).encode() + b"\n", force=True)

    @classmethod
    def load(cls, path: Path, about: Mapping[str, Any]) -> Self:
        """Read the results of an earlier campaign on the same target.

        Args:
            path: of the file.
            about: what has to be equal, see the attribute.

        Raises:
            CannotRunError: the file cannot be read, or is too large.
            IntegrityError: it is not a file of attack results.
            UsageError: it is of another model, claim, data or seed.
        """
        try:
            document = json.loads(read_bytes(path, "results", MAX_RESULTS_BYTES))
            saved = {name: document[name] for name in about}
            for name, value in about.items():
                if saved[name] != value:
                    raise UsageError(
                        f"{path} is from attacks with {name} {saved[name]}, not {value}",
                        hint="resume with the options of the first call, or choose another folder",
                    )
            _typed(document, int, "wmx_attacks")
            _typed(document, dict, "versions")
            _typed(document["versions"], str, *document["versions"])
            if document["wmx_attacks"] != FORMAT:
                raise ValueError("its format version is another one")
            attacks = [_attack(entry) for entry in _list(document["attacks"])]
            return cls(saved, _measurement(document["before"]), attacks)
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise IntegrityError(f"{path} is not a file of attack results: {error}") from None


def _attack(entry: Any) -> AttackResult:
    """Read what :func:`dataclasses.asdict` made of a result; raises as :func:`_typed`."""
    _typed(entry, str, "name", "threat", "source")
    _typed(entry, dict, "settings")
    _typed(entry, float, "seconds")
    if entry["seconds"] < 0:
        raise ValueError(f"it took {entry['seconds']} seconds")
    if entry["error"] is not None:
        _typed(entry, str, "error")
    outcomes = tuple(_measurement(outcome) for outcome in _list(entry["outcomes"]))
    return AttackResult(**{**entry, "outcomes": outcomes})


def _measurement(entry: Any) -> Measurement:
    """Read what :func:`dataclasses.asdict` made of a measurement; raises as :func:`_typed`."""
    _typed(entry, float, "accuracy", "bits")
    _typed(entry, int, "hits", "n")
    _typed(entry, bool, "verified")
    _typed(entry, str, "variant")
    _typed(entry, dict, "notes")
    _typed(entry["notes"], float, *entry["notes"])
    found = Measurement(**entry)
    if not (0 <= found.accuracy <= 1 and 0 <= found.hits <= found.n):
        raise ValueError("its accuracy or its hits are out of range")
    return found


def _typed(entry: Any, kind: type, *names: str) -> None:
    """Check that fields of a JSON object exist and have the expected type.

    Raises:
        KeyError, TypeError: one is missing, or of another type.
        ValueError: a number is not finite.
    """
    for name in names:
        value = entry[name]
        if type(value) not in ((int, float) if kind is float else (kind,)):
            raise TypeError(f"{name} is {value!r}")
        if kind is float and not math.isfinite(value):
            raise ValueError(f"{name} is {value}")


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"found {type(value).__name__}, expected a list")
    return value


def versions() -> dict[str, str]:
    """Return the versions of Python, wmx and the installed frameworks."""
    found = {"wmx": version("wmx"), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
