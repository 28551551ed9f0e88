"""What every attack is given, and what it leaves behind."""

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
from wmx.training.config import TrainingDevice
from wmx.training.data.dataset import LabelledData
from wmx.training.loop import Adapter
from wmx.triggers import Generator

Progress: TypeAlias = Callable[[int, int], None]
Need: TypeAlias = Literal["file", "framework", "weights"]
NEEDS: tuple[Need, ...] = get_args(Need)


@dataclass(frozen=True)
class Framework:
    """In what an attacker trains.

    Attributes:
        adapter: of the framework.
        model: the architecture, as ``--model`` spells it.
        weights: the stolen weights; ``None`` where only the ONNX file was stolen.
        vocabulary: for tokens, ids are below it.
        device: on which it trains.
    """

    adapter: Adapter
    model: str
    weights: Path | None
    vocabulary: int | None = None
    device: TrainingDevice = "auto"


@dataclass(frozen=True)
class Target:
    """A stolen model, and what the attacker has beside it.  Nothing in it is secret to the owner.

    Attributes:
        model: the ONNX file that was shipped.
        task: what the model is for, as the public claim says.
        family: the trigger family, as an attacker guesses it who knows these attacks; of a claim
            over the owner's own images the default one.
        data: the attacker's own labelled samples (training part), and the test part on which every
            accuracy is measured.
        queries: inputs of the owner's own training set, without labels, canonical [n, *shape]: the
            best queries an extraction can ask.
        seed: of everything random.
        framework: where training attacks run; ``None`` where only the file is attacked.
        other_data: labelled data of other classes in the same shape, for transfer learning.
        weights: files beside the model that hold its weights under names of their own.
    """

    model: Path
    task: Task
    family: Generator
    data: LabelledData
    queries: NDArray[Any] = field(repr=False)
    seed: int = 0
    framework: Framework | None = None
    other_data: LabelledData | None = None
    weights: tuple[Path, ...] = ()

    def opened(self) -> OnnxFile:
        """Open the model as it was shipped, in this process."""
        return OnnxFile.open_own(self.model, "cpu", self.weights)

    @property
    def gives(self) -> set[Need]:
        """What attacks may ask for here."""
        if self.framework is None:
            return {"file"}
        if self.framework.weights is None:
            return {"file", "framework"}
        return {"file", "framework", "weights"}

    def stream(self, *purpose: str) -> np.random.Generator:
        """Return the random stream of an attack, which hangs on the seed and its purpose alone."""
        return np.random.default_rng([self.seed, *"/".join(purpose).encode()])

    def outcome(self, suspect: Suspect, variant: str = "", **notes: float) -> "Outcome":
        """Return an outcome that is measured on the test part as it is."""
        return Outcome(suspect, self.data.x_test, self.data.y_test, variant, notes)


@dataclass(frozen=True)
class Outcome:
    """What an attacker ends up with.

    Attributes:
        suspect: the model after the attack.
        x_test: canonical [n, *shape].
        y_test: int64 [n], as the attacker numbers the classes.
        variant: tells several outcomes of one attack apart.
        notes: other figures worth reporting, by name.
    """

    suspect: Suspect
    x_test: NDArray[Any] = field(repr=False)
    y_test: NDArray[np.int64] = field(repr=False)
    variant: str = ""
    notes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Attack(ABC):
    """An attack with its settings, which are the fields of its class.

    Attributes:
        threat: what the attacker has: data, queries, compute.
        source: who described the attack.
        needs: ``"file"`` (the ONNX file), ``"framework"`` (and a framework to train in) or
            ``"weights"`` (and the model's weights in that framework).
    """

    threat: ClassVar[str]
    source: ClassVar[str]
    needs: ClassVar[Need]

    @abstractmethod
    def run(self, target: Target, folder: Path, progress: Progress) -> Iterable[Outcome]:
        """Attack.

        Args:
            target: the stolen model.
            folder: empty; for files of the attack's own.
            progress: told (epochs done, of how many).

        Raises:
            CannotRunError: the attack cannot be carried out on this model.
        """

    def settings(self) -> dict[str, Any]:
        """Return the settings as JSON values."""
        return asdict(self)
