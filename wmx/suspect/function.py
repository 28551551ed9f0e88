"""Suspect backed by a Python function, called with inputs and returning scores."""

from collections.abc import Callable, Iterable
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from wmx._internal.budget import paused
from wmx.errors import CannotRunError, WmxError
from wmx.protocol.model_reference import ModelReference
from wmx.protocol.task import Task
from wmx.statistics.predictions import Predictions
from wmx.suspect.feeding import Feeding, filled_up
from wmx.suspect.layouts import Layout
from wmx.suspect.overrides import NO_OVERRIDES
from wmx.suspect.reader import OutputReader
from wmx.suspect.request_policy import Meter, RequestPolicy
from wmx.suspect.suspect import Suspect
from wmx.suspect.tables import Joined
from wmx.suspect.values import Texts


class FunctionSuspect:
    """Wraps a function as a suspect.

    Args:
        predict: takes float32 [n, *task.shape], normalized, channels last (int32 for tokens);
            returns scores [n, C], or class numbers or names [n].
        request_policy: limits on the inputs that the function is given; none if ``None``.
    """

    engine = "python function"
    overrides = NO_OVERRIDES

    def __init__(
        self,
        predict: Callable[[NDArray[Any]], Any],
        request_policy: RequestPolicy | None = None,
    ) -> None:
        self._predict = predict
        self._meter = None if request_policy is None else Meter(request_policy)
        self._texts = Texts()
        self._reader = OutputReader()
        self.reference = ModelReference(getattr(predict, "__name__", type(predict).__name__))

    @property
    def queries_left(self) -> int | None:
        """Number of inputs that it may still be given; ``None`` if not limited."""
        return None if self._meter is None else self._meter.left

    @property
    def unread_outputs(self) -> int:
        """1 if the result was not read in full, else 0; as :class:`Suspect` says."""
        return len(self._reader.unread)

    def leave_out(self, readings: Iterable[str]) -> None:
        """Count the result as unread; as :meth:`Suspect.leave_out`."""
        self._reader.leave_out(readings)

    def feedings(self, task: Task) -> list[Feeding]:
        """Return the only feeding: channels last, normalized as the claim says."""
        layout = Layout("channels last", task.shape, task.shape)
        return [Feeding("inputs", layout, np.dtype(np.float32), None)]

    def predictions(
        self,
        feeding: Feeding,
        inputs: NDArray[Any],
        task: Task,
        scaling: str | None = None,
        rows: int | None = None,
    ) -> dict[str, Predictions]:
        """Call the function with the inputs, ``rows`` at a time; as :meth:`Suspect.predictions`."""
        step = rows or len(inputs)
        joined = Joined(len(inputs), task.classes)
        for start in range(0, len(inputs), step):
            given = inputs[start : start + step]
            seen = task.model_input(filled_up(given, step))
            result = self._call(seen)
            if result.shape[:1] != (step,):
                raise self._returned(result, step)
            is_text = result.dtype.kind in "OUST"
            read = self._texts.numbered(result) if is_text else result
            joined.add([("result", read)], step, len(given))
        found = self._reader.predictions(joined, len(inputs), task.classes)
        if not found:
            raise self._returned(result, step)
        return found

    def _call(self, inputs: NDArray[Any]) -> NDArray[Any]:
        try:
            if self._meter is not None:
                self._meter.wait_for(len(inputs), self.reference.name)
            with paused():  # the function is the caller's own, so its time and memory do not count
                return np.asarray(self._predict(inputs))
        except WmxError:
            raise
        except Exception as error:
            raise CannotRunError(
                f"{self.reference.name} failed on inputs {inputs.shape}: "
                f"{type(error).__name__}: {error}",
                hint="it is given float32 inputs as the claim states them (wmx info CLAIM), and "
                "returns scores [n, C], or class numbers or names [n]",
            ) from error

    def views(self, *, anew: bool = False) -> dict[str, Callable[[], Suspect]]:
        """Return none: a function cannot be looked into."""
        return {}

    def reopened(self) -> Self:
        """Return itself: only the caller could reset the function."""
        return self

    def close(self) -> None:
        """Do nothing: the function belongs to the caller."""

    def _returned(self, result: NDArray[Any], count: int) -> CannotRunError:
        return CannotRunError(
            f"{self.reference.name} returned {result.dtype} {result.shape} for {count} inputs, "
            "expected scores [n, C], or class numbers or names [n]"
        )
