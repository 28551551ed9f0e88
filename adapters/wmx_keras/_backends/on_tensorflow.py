"""Code for Keras on TensorFlow, and for ``tf.data``."""

import itertools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import tensorflow as tf

from wmx.errors import UsageError
from wmx.protocol.task import Task
from wmx.training.batch_structure import Fields, find_fields
from wmx.training.export import EXPORT_INPUT, exporting
from wmx.training.trigger_batches import MarkedBatches

OPSET = 18


def normals(values: list[Any], seed: int, step: Any) -> list[Any]:
    """Return standard normal draws that depend on (seed, step, index in the list) alone.

    Args:
        values: give shapes and dtypes.
        seed: of the run.
        step: an integer, may be a tensor.
    """
    step = tf.cast(step, tf.int64)
    return [
        tf.cast(
            tf.random.stateless_normal(tf.shape(value), tf.stack([seed * 2**16 + place, step])),
            value.dtype,
        )
        for place, value in enumerate(values)
    ]


def gradients(loss: Callable[[list[Any]], Any], values: list[Any]) -> list[Any]:
    """Return the gradient of a loss.

    Args:
        loss: of a list of tensors.
        values: where to take the gradient.
    """
    values = [tf.convert_to_tensor(value) for value in values]
    with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(values)
        at = loss(values)
    found = tape.gradient(at, values, unconnected_gradients=tf.UnconnectedGradients.ZERO)
    return [tf.convert_to_tensor(gradient) for gradient in found]


def where_due(due: Any, added: Callable[[], list[Any]], nothing: list[Any]) -> list[Any]:
    """Return the result of ``added`` if the condition holds, else ``nothing``.

    Args:
        due: the condition, bool [].
        added: the computation.
        nothing: tensors of the same shapes.
    """
    return list(tf.cond(due, added, lambda: nothing))


def untraced(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` itself: it is traced once, with the step as a tensor."""
    return function


def onnx_bytes(network: Callable[[Any], Any], model: Any, task: Task) -> bytes:
    """Export a function with tf2onnx and return the ONNX file.

    Args:
        network: maps inputs to scores.
        model: that ``network`` calls.
        task: gives the inputs' shape and dtype.
    """
    import tf2onnx

    example = task.example_inputs(2, seed=0)
    spec = tf.TensorSpec((None, *example.shape[1:]), tf.as_dtype(example.dtype), EXPORT_INPUT)
    with exporting("tf2onnx", "the model's call has to be traceable for any batch size"):
        proto, _ = tf2onnx.convert.from_function(
            tf.function(network), input_signature=[spec], opset=OPSET
        )
        data: bytes = proto.SerializeToString()
        return data


def has_gpu() -> bool:
    """Return whether TensorFlow finds a GPU."""
    return bool(tf.config.list_physical_devices("GPU"))


def streams_kept() -> AbstractContextManager[Any]:
    """Return a context manager that does nothing: TensorFlow's loaders use no global state."""
    return nullcontext()


def is_dataset(data: Any) -> bool:
    """Return whether ``data`` is a ``tf.data.Dataset``."""
    return isinstance(data, tf.data.Dataset)


def marked_dataset(
    dataset: Any, make: Callable[[int], MarkedBatches], fields: Fields | None
) -> Any:
    """Return a batched ``tf.data.Dataset`` with triggers appended to every batch.

    Args:
        dataset: of tuples or dicts of an input and a label, batched.
        make: returns the triggers for a batch size.
        fields: indices or names of input and label, as for ``watermarked``.

    Raises:
        UsageError: the data set is empty, not batched, or does not fit the claim.
    """
    first = next(iter(dataset.take(1)), None)
    if first is None:
        raise UsageError("the data set is empty")
    first = tf.nest.map_structure(np.asarray, first)
    at_input, at_label = find_fields(first, fields)
    inputs, labels = first[at_input], first[at_label]
    if np.ndim(labels) == 0 or (np.ndim(inputs) and len(inputs) != len(labels)):
        raise UsageError(
            "the tf.data.Dataset does not make batches", hint="call .batch(n) on it first"
        )
    marked = make(len(labels))
    row = tf.nest.map_structure(lambda part: part[:1], first)
    numbers = itertools.count()  # continues from epoch to epoch
    example = tf.nest.map_structure(lambda part: part[1:], marked.append(row, 0))
    flat = tf.nest.flatten(example)

    def triggers() -> list[Any]:
        batch = marked.append(row, next(numbers))
        return [part[1:] for part in tf.nest.flatten(batch)]

    def joined(*parts: Any) -> Any:
        batch = parts[0] if len(parts) == 1 else parts
        rows = tf.numpy_function(triggers, [], [part.dtype for part in flat], stateful=True)
        whole = []
        for own, new, like in zip(tf.nest.flatten(batch), rows, flat, strict=True):
            new.set_shape(like.shape)
            whole.append(tf.concat([own, tf.cast(new, own.dtype)], 0))
        return tf.nest.pack_sequence_as(batch, whole)

    return dataset.map(joined)
