"""What attacks left of a mark, as one JSON file that grows with every attack."""

import json
import math
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from wmx._internal.files import read_bytes, write_bytes
from wmx.errors import IntegrityError, UsageError

FORMAT = 1
MAX_RESULTS_BYTES = 4 * 1024**2  # all attacks of the catalogue leave about 50 KB
PACKAGES = ("numpy", "onnx", "onnxruntime", "torch", "keras", "tensorflow", "jax", "flax")


@dataclass(frozen=True)
class Measurement:
    """A model held against the claim.

    Attributes:
        accuracy: on the attacker's test part, 0 to 1.
        hits, n: triggers whose label is the top class, of how many.
        bits: of evidence, black box, as ``wmx verify`` counts them.
        verified: whether they suffice.
        variant: tells several outcomes of one attack apart.
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
    """One attack.

    Attributes:
        name, threat, source: of the attack.
        settings: of the attack.
        seconds: of wall-clock time, measuring included.
        outcomes: at least one, unless the attack failed.
        error: why it could not be carried out; ``None`` if it could.
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
    """All attacks on one model.

    Attributes:
        about: what was attacked with what; resuming asks for the same.
        before: the model as it was shipped.
        attacks: in the order in which they ended.
    """

    about: dict[str, Any]
    before: Measurement
    attacks: list[AttackResult]

    def done(self, name: str, settings: Mapping[str, Any]) -> bool:
        """Say whether an attack with these settings has been carried out."""
        return any(
            result.name == name and result.settings == settings and result.error is None
            for result in self.attacks
        )

    def add(self, result: AttackResult) -> None:
        """Take a result in, in place of an earlier one of that attack."""
        self.attacks = [own for own in self.attacks if own.name != result.name] + [result]

    def to_json(self) -> dict[str, Any]:
        """Return the document."""
        return {
            "wmx_attacks": FORMAT,
            **self.about,
            "versions": versions(),
            "before": asdict(self.before),
            "attacks": [asdict(result) for result in self.attacks],
        }

    def save(self, path: Path) -> None:
        """Replace the file."""
        write_bytes(path, json.dumps(self.to_json(), indent=2).encode() + b"\n", force=True)

    @classmethod
    def load(cls, path: Path, about: Mapping[str, Any]) -> Self:
        """Read a file of attacks on the same model.

        Raises:
            CannotRunError: the file cannot be read, or is larger than any such file.
            IntegrityError: it is not such a file.
            UsageError: it is of another model, claim, data or seed.
        """
        try:
            document = json.loads(read_bytes(path, "results", MAX_RESULTS_BYTES))
            saved = {name: document[name] for name in about}
            for name, value in about.items():
                if saved[name] != value:
                    raise UsageError(
                        f"{path} is of attacks with {name} {saved[name]}, not {value}",
                        hint="resume with the options of the first call, or choose another folder",
                    )
            _typed(document, int, "wmx_attacks")
            _typed(document, dict, "versions")
            _typed(document["versions"], str, *document["versions"])
            if document["wmx_attacks"] != FORMAT:
                raise ValueError("it is of another format")
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
        raise ValueError("its accuracy or its hits cannot be")
    return found


def _typed(entry: Any, kind: type, *names: str) -> None:
    """Refuse an object whose fields of these names are not of a JSON type.

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
    """Return the versions of what ran, of those packages that are there."""
    found = {"wmx": version("wmx"), "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
