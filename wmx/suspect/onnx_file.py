"""Suspect backed by an ONNX file, run in a process of its own."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Self, TypeAlias

from numpy.typing import NDArray

from wmx._internal.budget import consult, held_to, require_room
from wmx.errors import CannotRunError, SuspectDiedError, UsageError
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.task import Task
from wmx.statistics.predictions import Predictions
from wmx.suspect.feeding import Feeding, filled_up
from wmx.suspect.inputs import cannot_be_fed, feedings
from wmx.suspect.overrides import NO_OVERRIDES, Overrides
from wmx.suspect.policy.model_files import ModelFiles
from wmx.suspect.policy.model_header import ModelHeader
from wmx.suspect.reader import OutputReader
from wmx.suspect.remote import ConfinedSession, Session
from wmx.suspect.sandbox.process import Sandbox
from wmx.suspect.suspect import Suspect
from wmx.suspect.tables import Joined
from wmx.suspect.types import Device, require_device
from wmx.suspect.views.opened import OpenViews, Views, seeing
from wmx.suspect.views.session import CHILD as VIEWING_CHILD
from wmx.suspect.views.session import ViewSession

SCORE_BYTES = 8
FIRST_PART, LATER_PART = 1 / 2, 1 / 16  # fractions of the time left, for a call of several rows
COPIES_OF_PREDICTIONS = 4  # as received, joined, read, and as scores
Fed: TypeAlias = Callable[[int, int, int], dict[str, NDArray[Any]]]


@dataclass(frozen=True)
class Loaded:
    """A loaded model.

    Attributes:
        files: that it was read from.
        session: runs it.
        header: operator sets and producer that the file states.
    """

    files: ModelFiles
    session: Session
    header: ModelHeader


class OnnxFile:
    """A suspect backed by an ONNX file: hashes its files, runs them, and reads their outputs.

    Attributes:
        reference: the path, and the digests of its files.
        header: operator sets and producer that the file states.
        engine: the runtime's version and execution provider.
        session: the loaded model.
        overrides: of its inputs and outputs.
        queries_left: ``None``, since queries are not limited.
    """

    queries_left: int | None = None

    def __init__(
        self,
        load: Callable[[], Loaded],
        look: Callable[[], Views],
        overrides: Overrides = NO_OVERRIDES,
    ) -> None:
        """Load a model.

        Args:
            load: reads and loads the model anew at each call.
            look: reads the model anew at each call, and finds its views.
            overrides: of its inputs and outputs.

        Raises:
            CannotRunError: it cannot be loaded.
            UsageError: it has no input or output of a name in ``overrides``.
        """
        loaded = load()
        self._files = loaded.files
        self.reference = loaded.files.reference
        self.header = loaded.header
        self.session = loaded.session
        self.overrides = overrides
        self._load = load
        self._look = look
        self._views = OpenViews(look)
        self._was_queried = False
        self._reader = OutputReader()
        self._deadly: dict[int, SuspectDiedError] = {}  # by the rows in a call of which it died
        self._require_known(overrides)
        self.engine = f"onnxruntime {self.session.version} {self.session.provider}"

    @classmethod
    def open(
        cls,
        path: str | Path,
        device: Device = "auto",
        sandbox: Sandbox | None = None,
        overrides: Overrides = NO_OVERRIDES,
        *,
        weights: Iterable[str | Path] = (),
        apart_from: Iterable[str | Path] = (),
    ) -> Self:
        """Open an untrusted file in a process of its own.

        Args:
            path: the file.
            device: ``auto``, ``cpu``, ``cuda`` or ``tensorrt``.
            sandbox: a child started before; a new one if ``None``.
            overrides: of its inputs and outputs.
            weights: files beside it that may hold its weights under other names than exporters
                give.
            apart_from: files and folders that are never read as weights.

        Raises:
            CannotRunError: the file cannot be read, is refused, or cannot be loaded.
            UsageError: it has no input or output of a name in ``overrides``, or a file of weights
                lies elsewhere.
        """
        require_device(device)
        first = sandbox or Sandbox.start()
        unused = [first]
        read: list[ModelReference] = []
        named, never = tuple(weights), cache(lambda: tuple(apart_from))  # called only if needed

        def load() -> Loaded:
            child = unused.pop() if unused else first.another()
            try:
                with held_to(child.budget):
                    files = ModelFiles(path, named, never)
                    session = ConfinedSession(child, files, device)
            except BaseException:
                child.close()
                raise
            read.append(files.reference)
            return Loaded(files, session, session.header)

        def look() -> Views:
            child = first.another(VIEWING_CHILD)
            try:
                with held_to(child.budget):
                    files = ModelFiles(path, named, never)
                    views = ViewSession(child, files, device)
                if not files.reference.has_same_files(read[0]):
                    raise changed(files.name)
            except BaseException:
                child.close()
                raise
            return views

        try:
            return cls(load, look, overrides)
        except BaseException:
            first.close()
            raise

    @classmethod
    def open_own(
        cls, path: str | Path, device: Device = "auto", weights: Iterable[str | Path] = ()
    ) -> Self:
        """Open a trusted file in this process; arguments and errors as of :meth:`open`."""
        from wmx.suspect.own_model import OwnModel
        from wmx.suspect.policy.onnx_header import read_header

        require_device(device)
        model = OwnModel.read(path, weights)

        def load() -> Loaded:
            return Loaded(model.files, model.loaded(device), read_header(model.data))

        def look() -> Views:
            from wmx.suspect.views.looking import LookedInto

            return LookedInto(model.data, model.outline, model.weights, device)

        return cls(load, look)

    def reopened(self) -> Self:
        """Return the same files, loaded anew; untrusted ones in another process.

        A suspect that was never queried is returned as it is.  What either does not read counts in
        :attr:`unread_outputs` of both.

        Raises:
            CannotRunError: they are no longer the same.
        """
        if not self._was_queried:
            return self
        again = self.loaded_anew()
        again._reader = self._reader
        return again

    def loaded_anew(self, overrides: Overrides = NO_OVERRIDES) -> Self:
        """Return the same files, loaded anew; untrusted ones in another process.

        That process draws on the budget that is held now, if there is one.

        Args:
            overrides: of its inputs and outputs; those that it has if there are none.

        Raises:
            CannotRunError: they are no longer the same.
            UsageError: it has no input or output of a name in ``overrides``.
        """
        overrides = self.overrides if overrides == NO_OVERRIDES else overrides
        again = type(self)(self._load, self._look, overrides)
        if not again.reference.has_same_files(self.reference):
            again.close()
            raise changed(self.reference.name)
        again._deadly = self._deadly
        return again

    def views(self, *, anew: bool = False) -> dict[str, Callable[[], Suspect]]:
        """Return what opens each view; as :meth:`Suspect.views`.

        One process shows them all, one at a time: a view is closed when another one is opened.
        """
        return {name: partial(self._view, name, anew) for name in self._views.names}

    def _view(self, name: str, anew: bool) -> "FileView":
        views = OpenViews(self._look) if anew else self._views

        def load() -> Loaded:
            return Loaded(self._files, views.session(name), self.header)

        try:
            return FileView(
                load, self._look, Overrides(self.overrides.inputs), views if anew else None
            )
        except BaseException:
            if anew:
                views.close()
            raise

    def close(self) -> None:
        """End the processes that run the model."""
        self._views.close()
        if isinstance(self.session, ConfinedSession):
            self.session.close()

    @property
    def unread_outputs(self) -> int:
        """Number of outputs that were not read in full; as :class:`Suspect` says."""
        return len(self._reader.unread)

    def leave_out(self, readings: Iterable[str]) -> None:
        """Count the outputs of these readings as unread; as :meth:`Suspect.leave_out`."""
        self._reader.leave_out(readings)

    def feedings(self, task: Task) -> list[Feeding]:
        """Return the ways to feed the task's inputs; as :meth:`Suspect.feedings`."""
        inputs = self.session.inputs
        found = feedings(inputs, task, self.overrides.inputs)
        if not found:
            raise cannot_be_fed(
                self.reference.name,
                inputs,
                task,
                hint="is this claim for another model? wmx info shows the inputs of a model "
                "and the task of a claim; --input NAME=NUMBER fills an input that takes no trigger",
            )
        return found

    def predictions(
        self,
        feeding: Feeding,
        inputs: NDArray[Any],
        task: Task,
        scaling: str | None = None,
        rows: int | None = None,
    ) -> dict[str, Predictions]:
        """Run the model on all inputs, ``rows`` at a time or as many as fit batch and memory.

        A model whose process dies in a call of several rows is loaded anew, to be queried in other
        ways: a thief whose users give it single rows could make it fail on purpose for more.

        Arguments and errors as of :meth:`Suspect.predictions`.
        """
        self._was_queried = True
        if not isinstance(self.session, ConfinedSession):  # a trusted model has no limits
            return self._predictions(feeding, inputs, task, scaling, rows)
        with held_to(self.session.budget):
            scores = SCORE_BYTES * len(inputs) * task.classes
            predictions = max(scores, self.session.max_answer_bytes)
            require_room(COPIES_OF_PREDICTIONS * predictions, "the predictions of the model")
            return self._predictions(feeding, inputs, task, scaling, rows)

    def _predictions(
        self,
        feeding: Feeding,
        inputs: NDArray[Any],
        task: Task,
        scaling: str | None,
        rows: int | None,
    ) -> dict[str, Predictions]:
        fitting = feeding.chunk_rows(task)
        step = fitting if rows is None else min(rows, feeding.batch or rows)
        full = feeding.batch or rows
        feeding.require_bounded(full or step, task, self.reference.name)

        def fed(start: int, stop: int, filled: int) -> dict[str, NDArray[Any]]:
            return feeding.fed(filled_up(inputs[start:stop], filled), task, scaling)

        try:
            joined = self._survived(fed, len(inputs), step, full, task.classes)
        except CannotRunError:
            if full is not None or step == 1 or step in self._deadly:
                raise
            # the batch is declared free, but only one row works
            joined = self._run(fed, len(inputs), 1, None, task.classes)
        found = self._reader.predictions(joined, len(inputs), task.classes)
        if not found:
            declared = "; ".join(map(str, self.session.outputs))
            raise CannotRunError(
                f"{self.reference.name} has no classifier output: it gives {declared}, expected "
                "scores [N, C] with C >= 2, or class numbers or names [N]",
                hint="export the model with its logits, probabilities or classes as an output",
            )
        return found

    def _require_known(self, overrides: Overrides) -> None:
        for role, names, ports in (
            ("input", overrides.inputs, self.session.inputs),
            ("output", [overrides.output] if overrides.output else [], self.session.outputs),
        ):
            known = [port.name for port in ports]
            for name in names:
                if name not in known:
                    raise UsageError(
                        f"{self.reference.name} has no {role} {name!r}; it has {', '.join(known)}"
                    )

    def _survived(self, fed: Fed, n: int, rows: int, full: int | None, classes: int) -> Joined:
        """Run as :meth:`_run`, but survive a child that dies in a call of several rows.

        Such a call may take half of the time that is left, or a sixteenth once a child has died;
        a fresh child replaces a dead one, and is not given as many rows again.  So time is left
        for single rows in other scalings and shifts, after six more numbers of rows.

        Raises:
            CannotRunError: as :meth:`_run`, or the child died of as many rows, now or before: its
                death is then the cause.
            SuspectDiedError: it died in a call of one row, or had ended before.
        """
        session = self.session
        if min(rows, n) == 1 or not (isinstance(session, ConfinedSession) and session.is_alive):
            return self._run(fed, n, rows, full, classes)
        if rows in self._deadly:
            message = f"{self.reference.name} died in a call of {rows} rows before"
            raise CannotRunError(message) from self._deadly[rows]
        try:
            with session.budget.waiting_for(LATER_PART if self._deadly else FIRST_PART):
                return self._run(fed, n, rows, full, classes)
        except SuspectDiedError as error:
            self._deadly[rows] = error
            again = self.reopened()
            session.close()
            self.session = again.session
            raise CannotRunError(f"with {rows} rows in a call, {error}", error.hint) from error

    def _run(self, fed: Fed, n: int, rows: int, full: int | None, classes: int) -> Joined:
        """Return the outputs, joined over the calls.

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
            consult()
            stop = min(start + rows, n)
            wanted = stop - start
            given = full or wanted
            results = zip(names, self.session.run(fed(start, stop, given)), strict=True)
            read = [one for one in results if self.overrides.output in (None, one[0])]
            joined.add(read, given, wanted)
        if not joined.outputs() and rows > 1 and full is None:
            raise CannotRunError(
                f"{self.reference.name} does not return {rows} rows for {rows} inputs"
            )
        return joined


def changed(name: str) -> CannotRunError:
    """Return the error that the files of a model are no longer those that were read first."""
    return CannotRunError(f"{name} was changed while it was verified")


class FileView(OnnxFile):
    """One view of a file, which belongs to that file.

    Args:
        load, look, overrides: as of :class:`OnnxFile`.
        own: the process that shows this view alone; ``None`` if the file's shows it.
    """

    def __init__(
        self,
        load: Callable[[], Loaded],
        look: Callable[[], Views],
        overrides: Overrides,
        own: OpenViews | None,
    ) -> None:
        super().__init__(load, look, overrides)
        self._own = own

    def predictions(
        self,
        feeding: Feeding,
        inputs: NDArray[Any],
        task: Task,
        scaling: str | None = None,
        rows: int | None = None,
    ) -> dict[str, Predictions]:
        """Run the view; as :meth:`OnnxFile.predictions`.

        Raises:
            UnseenViewError: its process ended.
        """
        with seeing():
            return super().predictions(feeding, inputs, task, scaling, rows)

    def close(self) -> None:
        """End the process that shows this view alone; the file closes the one that shows all."""
        if self._own is not None:
            self._own.close()
