"""Freezing single weights during training."""

from typing import Any

import keras
from keras import ops

from wmx.training.adapter import Frozen
from wmx.training.weights import require_names
from wmx_keras._training.state import named_variables


class FrozenWeights:
    """Keeps frozen weights and BatchNorm statistics at their present values during training.

    Trainable weights get a Keras constraint, which the optimizer applies after its update on every
    backend; statistics, which no optimizer updates, are restored at the end of an epoch.
    """

    def __init__(self, model: Any, frozen: Frozen) -> None:
        """Remember the present values.

        Args:
            model: whose weights to freeze.
            frozen: masks by name, true where a weight is frozen.

        Raises:
            UsageError: the model has no weight of such a name.
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
        """Restore every frozen weight that is not trainable."""
        for variable, held in self._statistics:
            variable.assign(held(variable.value))


class _Held(keras.constraints.Constraint):  # type: ignore[misc]
    def __init__(self, where: Any, value: Any, before: Any) -> None:
        self._where, self._value, self._before = where, value.copy(), before

    def __call__(self, weight: Any) -> Any:
        weight = ops.convert_to_tensor(weight if self._before is None else self._before(weight))
        held = ops.cast(ops.convert_to_tensor(self._value), weight.dtype)
        return ops.where(ops.convert_to_tensor(self._where), held, weight)
