"""An ONNX file as a suspect."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self, TypeAlias

from numpy.typing import NDArray

from wmx.answers import Answers
from wmx.errors import CannotRunError, UsageError
from wmx.sandbox.process import Sandbox
from wmx.settled import NOTHING_SETTLED, Settled
from wmx.suspect.confined import ConfinedSession, Session
from wmx.suspect.device import Device, require_device
from wmx.suspect.feeding import Feeding, cannot_be_fed, feedings, filled_up
from wmx.suspect.model_files import ModelFiles
from wmx.suspect.reading import readings
from wmx.suspect.tables import Joined
from wmx.task import Task

Fed: TypeAlias = Callable[[int, int, int], dict[str, NDArray[Any]]]


class OnnxFile:
    """A model, as far as its files are hashed and run, and what asks it.

    Attributes:
        name: the path.
        sha256: of the ONNX file, hexadecimal.
        external: SHA-256 of the files beside it that hold its weights, by name.
        engine: the runtime's version and execution provider.
        session: the loaded model.
        settled: what is known of its inputs and outputs beside what the file says.
        queries_left: ``None``: it may be asked as often as one likes.
    """

    queries_left: int | None = None

    def __init__(
        self, files: ModelFiles, load: Callable[[], Session], settled: Settled = NOTHING_SETTLED
    ) -> None:
        """Load a model.

        Args:
            files: what is loaded.
            load: loads it, each time anew.
            settled: what is known of its inputs and outputs beside what the file says.

        Raises:
            CannotRunError: it cannot be loaded.
            UsageError: it has no input or output of a name that is given.
        """
        self.name = files.name
        self.sha256: str | None = files.sha256
        self.external: Mapping[str, str] = files.external_sha256
        self.session = load()
        self.settled = settled
        self._files, self._load = files, load
        self._require_known(settled)
        self.engine = f"onnxruntime {self.session.version} {self.session.provider}"

    @classmethod
    def open(
        cls,
        path: str | Path,
        device: Device = "auto",
        sandbox: Sandbox | None = None,
        settled: Settled = NOTHING_SETTLED,
    ) -> Self:
        """Open a stranger's file in a process of its own.

        Args:
            path: the file.
            device: where to run it.
            sandbox: a child started before; a new one if ``None``.
            settled: what is known of its inputs and outputs beside what the file says.

        Raises:
            CannotRunError: the file cannot be read, is refused, or cannot be loaded.
            UsageError: it has no input or output of a name that is given.
        """
        require_device(device)
        first = sandbox or Sandbox.start()
        unused = [first]

        def load() -> Session:
            child = unused.pop() if unused else first.another()
            try:
                return ConfinedSession(child, files, device)
            except BaseException:
                child.close()
                raise

        try:
            files = ModelFiles.read(path)
            return cls(files, load, settled)
        except BaseException:
            first.close()
            raise

    @classmethod
    def open_own(cls, path: str | Path, device: Device = "auto") -> Self:
        """Open a file that one has made oneself, in this process.  Raises as :meth:`open`."""
        from wmx.suspect import runtime

        require_device(device)
        files = ModelFiles.read(path)
        return cls(
            files,
            lambda: runtime.load(files.data, files.name, device, external=dict(files.external)),
        )

    def reopened(self) -> Self:
        """Return the same files, loaded anew; in another process where they are a stranger's."""
        return type(self)(self._files, self._load, self.settled)

    def close(self) -> None:
        """End the process that runs it."""
        if isinstance(self.session, ConfinedSession):
            self.session.close()

    def feedings(self, task: Task) -> list[Feeding]:
        """Return the layouts in which the model takes the task's inputs."""
        inputs = self.session.inputs
        found = feedings(inputs, task, self.settled.inputs)
        if not found:
            raise cannot_be_fed(
                self.name,
                inputs,
                task,
                hint="is this claim for another model? wmx info shows the inputs of a model "
                "and the task of a claim; --input NAME=NUMBER fills an input that takes none",
            )
        return found

    def answers(
        self,
        feeding: Feeding,
        inputs: NDArray[Any],
        task: Task,
        scaling: str | None = None,
        rows: int | None = None,
    ) -> dict[str, Answers]:
        """Run the model over all inputs, ``rows`` at a time or as many as fit batch and memory."""
        fitting = feeding.chunk_rows()
        step = fitting if rows is None else min(rows, feeding.batch or rows)
        full = feeding.batch or rows

        def fed(start: int, stop: int, filled: int) -> dict[str, NDArray[Any]]:
            return feeding.fed(filled_up(inputs[start:stop], filled), task, scaling)

        try:
            outputs = self._run(fed, len(inputs), step, full, task.classes)
        except CannotRunError:
            if full is not None or step == 1:
                raise
            # a free batch in name only
            outputs = self._run(fed, len(inputs), 1, None, task.classes)
        found = readings(outputs, len(inputs), task.classes)
        if not found:
            declared = "; ".join(map(str, self.session.outputs))
            raise CannotRunError(
                f"{self.name} has no classifier output: it gives {declared}, expected scores "
                "[N, C] with C >= 2, or class numbers or names [N]",
                hint="export the model with its logits, probabilities or classes as an output",
            )
        return found

    def _require_known(self, settled: Settled) -> None:
        for role, names, ports in (
            ("input", settled.inputs, self.session.inputs),
            ("output", [settled.output] if settled.output else [], self.session.outputs),
        ):
            known = [port.name for port in ports]
            for name in names:
                if name not in known:
                    raise UsageError(
                        f"{self.name} has no {role} {name!r}; it has {', '.join(known)}"
                    )

    def _run(
        self, fed: Fed, n: int, rows: int, full: int | None, classes: int
    ) -> dict[str, NDArray[Any]]:
        """Return each output that is a table over the inputs, joined over the calls.

        Args:
            fed: what the model is given from one input up to another, filled up to so many.
            n: number of inputs.
            rows: inputs in one call.
            full: rows that each call is filled up to, if it is.
            classes: K of the task.
        """
        joined = Joined(n, classes)
        names = [port.name for port in self.session.outputs]
        for start in range(0, n, rows):
            stop = min(start + rows, n)
            wanted = stop - start
            asked = full or wanted
            results = zip(names, self.session.run(fed(start, stop, asked)), strict=True)
            read = [one for one in results if self.settled.output in (None, one[0])]
            joined.add(read, asked, wanted)
        found = joined.tables()
        if not found and rows > 1 and full is None:
            raise CannotRunError(f"{self.name} does not answer {rows} inputs with {rows} rows")
        return found
