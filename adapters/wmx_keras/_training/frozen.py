"""Weights that training leaves as they are."""

from typing import Any

import keras
from keras import ops

from wmx.training.loop import Frozen
from wmx.training.weights import require_names
from wmx_keras._training.state import named_variables


class FrozenWeights:
    """Where weights keep the value they have when this is made; BatchNorm statistics included.

    Trained weights get a Keras constraint, which the optimizer applies after its own update in
    every backend; statistics, which no optimizer sees, are put back when an epoch is over.
    """

    def __init__(self, model: Any, frozen: Frozen) -> None:
        """Remember them.

        Raises:
            UsageError: the model has no weight of a name.
        """
        weights = named_variables(model.weights)
        require_names(frozen, weights)
        trained = {id(variable) for variable in model.trainable_variables}
        self._statistics = []
        for name, where in frozen.items():
            variable = weights[name]
            held = _Held(where, ops.convert_to_numpy(variable.value), variable.constraint)
            if id(variable) in trained:
                variable.constraint = held
            else:
                self._statistics.append((variable, held))

    def put_back_statistics(self) -> None:
        """Give every frozen weight that is not trained its value again."""
        for variable, held in self._statistics:
            variable.assign(held(variable.value))


class _Held(keras.constraints.Constraint):  # type: ignore[misc]
    def __init__(self, where: Any, value: Any, before: Any) -> None:
        self._where, self._value, self._before = where, value.copy(), before

    def __call__(self, weight: Any) -> Any:
        weight = ops.convert_to_tensor(weight if self._before is None else self._before(weight))
        held = ops.cast(ops.convert_to_tensor(self._value), weight.dtype)
        return ops.where(ops.convert_to_tensor(self._where), held, weight)
