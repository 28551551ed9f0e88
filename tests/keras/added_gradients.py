"""What ``harden_model`` added to each update, and what the recipe says it should have."""

from typing import Any

import keras
import numpy as np
from keras import ops

from wmx import Watermark
from wmx.training.recipe import recipe_named
from wmx_keras import _backends
from wmx_keras._hardening import gradient_at

ROBUST = recipe_named("robust")
ON_JAX = keras.backend.backend() == "jax"


def values(variables: list[Any]) -> list[np.ndarray]:
    return [np.array(ops.convert_to_numpy(v.value)) for v in variables]


def put(variables: list[Any], arrays: list[np.ndarray]) -> None:
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


class States(keras.callbacks.Callback):
    """Weights, and all other state, before the first batch and after each."""

    def __init__(self) -> None:
        super().__init__()
        self.weights: list[list[np.ndarray]] = []
        self.others: list[list[np.ndarray]] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.weights.append(values(self.model.trainable_variables))
        self.others.append(values(self.model.non_trainable_variables))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if ON_JAX:
            self.model.jax_state_sync()
        self.on_train_begin()


def added(
    states: States, twin: Any, batches: list[Any], together: int = 1
) -> list[list[np.ndarray]]:
    """Return what came on top of the gradient that each update takes by itself.

    Args:
        states: of the protected model, trained by SGD with rate 1.
        twin: the same model, compiled alike, without protection; it takes each update alone.
        batches: the data of each step.
        together: steps per update.
    """
    found = []
    for first in range(0, len(batches), together):
        put(twin.trainable_variables, states.weights[first])
        put(twin.non_trainable_variables, states.others[first])
        for batch in batches[first : first + together]:
            twin.train_on_batch(*batch)
        alone, after = values(twin.trainable_variables), states.weights[first + together]
        found.append([a - b for a, b in zip(alone, after, strict=True)])
    return found


def wanted(
    states: States,
    twin: Any,
    watermark: Watermark,
    updates: int,
    *,
    together: int = 1,
    xla: bool = False,
) -> list[list[np.ndarray]]:
    """Return what the recipe adds to each update: at every fourth one, nothing else.

    Running statistics are those that the step began with on JAX, where a step is a function of its
    state, and those after its own forward pass elsewhere.  TensorFlow draws other noise under XLA.
    """

    def gradient(
        weights: Any, others: Any, inputs: Any, labels: Any, step: Any, radius: Any
    ) -> Any:
        return gradient_at(
            twin,
            twin.trainable_variables,
            weights,
            others,
            inputs,
            labels,
            noise=_backends.current().normals(weights, 0, step),
            radius=radius,
            weight=1.0,
        )

    if ON_JAX:
        import jax

        gradient = jax.jit(gradient)
    elif xla:
        import tensorflow as tf

        gradient = tf.function(gradient, jit_compile=True)
    found = []
    for update in range(updates):
        if update % 4:
            found.append([np.zeros_like(array) for array in states.weights[0]])
            continue
        last = (update + 1) * together - 1
        chosen = ROBUST.draws(len(watermark.labels), 0)[update // 4]
        given = gradient(
            [ops.convert_to_tensor(array) for array in states.weights[last]],
            [ops.convert_to_tensor(a) for a in states.others[last if ON_JAX else last + 1]],
            ops.convert_to_tensor(watermark.inputs[chosen]),
            ops.convert_to_tensor(watermark.labels[chosen].astype("int32")),
            ops.convert_to_tensor(update, "int32"),
            ROBUST.radius_at(update, updates),
        )
        found.append([np.array(ops.convert_to_numpy(g)) for g in given])
    return found
