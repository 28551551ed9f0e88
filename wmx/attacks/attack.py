"""The interface of removal attacks: the target they receive and the outcomes they return."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from wmx.protocol.task import Task
from wmx.suspect.onnx_file import OnnxFile
from wmx.suspect.suspect import Suspect
from wmx.training.adapter import StepwiseAdapter
from wmx.training.config import TrainingDevice
from wmx.training.data.dataset import LabeledData
from wmx.triggers import Generator

Progress: TypeAlias = Callable[[int, int], None]
Need: TypeAlias = Literal["file", "framework", "weights"]
NEEDS: tuple[Need, ...] = get_args(Need)


@dataclass(frozen=True)
class Framework:
    """The framework and architecture that training attacks use.

    Attributes:
        adapter: of the framework.
        model: the architecture, as ``--model`` spells it.
        weights: the target's weights; ``None`` if the attacker has only the ONNX file.
        vocabulary: for tokens: ids are below it.
        device: to train on.
    """

    adapter: StepwiseAdapter
    model: str
    weights: Path | None
    vocabulary: int | None = None
    device: TrainingDevice = "auto"


@dataclass(frozen=True)
class Target:
    """The attacked model and the attacker's resources; it holds none of the owner's secrets.

    Attributes:
        model: the ONNX file that was shipped.
        task: of the model, from the public claim.
        family: the trigger family, which the attacker is assumed to guess; for a claim over the
            owner's own images the default one.
        data: the attacker's own labeled samples (training split), and the test split on which all
            accuracies are measured.
        queries: unlabeled inputs of the owner's training set, canonical [n, *shape]: the best
            possible queries for model extraction.
        seed: of everything random.
        framework: for training attacks; ``None`` if only the ONNX file is attacked.
        other_data: labeled data of other classes and equal shape, for transfer learning.
        weights: files beside the model that hold its weights (ONNX external data).
    """

    model: Path
    task: Task
    family: Generator
    data: LabeledData
    queries: NDArray[Any] = field(repr=False)
    seed: int = 0
    framework: Framework | None = None
    other_data: LabeledData | None = None
    weights: tuple[Path, ...] = ()

    def opened(self) -> OnnxFile:
        """Load the model as it was shipped, in this process."""
        return OnnxFile.open_own(self.model, "cpu", self.weights)

    @property
    def gives(self) -> set[Need]:
        """The resources that this target has, of those an attack may need."""
        if self.framework is None:
            return {"file"}
        if self.framework.weights is None:
            return {"file", "framework"}
        return {"file", "framework", "weights"}

    def stream(self, *purpose: str) -> np.random.Generator:
        """Return a random generator that depends on the seed and ``purpose`` alone."""
        return np.random.default_rng([self.seed, *"/".join(purpose).encode()])

    def outcome(self, suspect: Suspect, variant: str = "", **notes: float) -> "Outcome":
        """Return an outcome that is measured on the target's own test split.

        Args:
            suspect: the model after the attack.
            variant: distinguishes several outcomes of one attack.
            notes: other figures to report, by name.
        """
        return Outcome(suspect, self.data.x_test, self.data.y_test, variant, notes)


@dataclass(frozen=True)
class Outcome:
    """A model after an attack, and the data on which to measure its accuracy.

    Attributes:
        suspect: the model after the attack.
        x_test: canonical [n, *shape].
        y_test: int64 [n], in the attacker's numbering of the classes.
        variant: distinguishes several outcomes of one attack.
        notes: other figures to report, by name.
    """

    suspect: Suspect
    x_test: NDArray[Any] = field(repr=False)
    y_test: NDArray[np.int64] = field(repr=False)
    variant: str = ""
    notes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Attack(ABC):
    """A removal attack; its settings are the fields of its dataclass.

    Attributes:
        threat: the threat model: the attacker's access, data, queries and compute.
        source: the publication that describes the attack.
        needs: ``"file"`` (the ONNX file), ``"framework"`` (also a framework to train in) or
            ``"weights"`` (also the model's weights in that framework).
    """

    threat: ClassVar[str]
    source: ClassVar[str]
    needs: ClassVar[Need]

    @abstractmethod
    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Carry out the attack.

        Args:
            target: the model to attack.
            folder: empty; for the attack's own files.
            progress: called with (epochs done, epochs in all).

        Returns:
            one model or more, each with its test data.

        Raises:
            CannotRunError: the attack does not apply to this model, or fails on it.
        """

    def settings(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self)
