"""The feedings of a model for a task: found by type and shape, never by name.

They depend only on the model and the task, never on the labels, so each can be tried at the cost of
its share in the evidence score (docs/statistics.md).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice, product
from typing import Any

import numpy as np

from wmx.errors import CannotRunError
from wmx.protocol.task import Task
from wmx.suspect.feeding import BYTES, FLOATS, INTEGERS, TRUTHS, Feeding, Filling
from wmx.suspect.layouts import Layout, described, holds_as_it_is, layouts, usual_shapes
from wmx.suspect.pixels import RESAMPLINGS
from wmx.suspect.scaling import CENTERED_PIXELS, PIXELS, RAW, other_scalings
from wmx.suspect.types import TensorSpec

MAX_FEEDINGS = 16


def feedings(
    ports: Sequence[TensorSpec], task: Task, given: Mapping[str, str] | None = None
) -> list[Feeding]:
    """Return every way to feed inputs of ``task`` to a model, at most 16; empty if none fits.

    If none fits directly, inputs without a batch axis are tried, and then those of unknown rank.

    Args:
        ports: the model's inputs.
        task: of the claim.
        given: numbers for inputs that take no trigger, by name.
    """
    given = given or {}
    found = _fitting(ports, task, given)
    if not any(holds_as_it_is(one.layout, task) for one in found):
        found += _without_batch(ports, task, given, bent=not found)
    if not found and len(ports) == 1 and not ports[0].shape:  # of unknown rank
        guesses = [replace(ports[0], shape=(None, *shape)) for shape in usual_shapes(task)]
        found = [feeding for guess in guesses for feeding in _fitting([guess], task, given)]
    named = {feeding.name: feeding for feeding in reversed(found)}  # a cube fits in two ways alike
    return list(reversed(named.values()))[:MAX_FEEDINGS]


def _without_batch(
    ports: Sequence[TensorSpec], task: Task, given: Mapping[str, str], *, bent: bool
) -> Iterator[Feeding]:
    """Yield every way to feed a model that takes one input, without an axis for the batch.

    Args:
        ports, task, given: as of :func:`feedings`.
        bent: whether images may be resized for it, and so on; to what size it has to say.
    """
    ones = [replace(port, shape=(1, *port.shape)) if port.shape else port for port in ports]
    open_ended = {port.name for port in ports if None in port.shape}
    for feeding in _fitting(ones, task, given):
        if holds_as_it_is(feeding.layout, task) or (bent and feeding.input not in open_ended):
            yield replace(feeding, alone=True)


def _fitting(ports: Sequence[TensorSpec], task: Task, given: Mapping[str, str]) -> list[Feeding]:
    """Return every way to feed a model whose inputs have an axis for the batch in front."""
    known = tuple(Filling(port, given[port.name]) for port in ports if port.name in given)
    free = [port for port in ports if port.name not in given]
    found = (
        one
        for port in free
        for fillings in _fillings(port, [other for other in free if other is not port], task)
        for one in _single(port, (*fillings, *known), task)
    )
    return list(islice(found, MAX_FEEDINGS)) or _columns(free, task)


def cannot_be_fed(name: str, ports: Sequence[TensorSpec], task: Task, hint: str) -> CannotRunError:
    """Return the error that no feeding fits.

    Args:
        name: of the model.
        ports: its inputs.
        task: of the claim.
        hint: what the user can do.
    """
    declared = "; ".join(map(str, ports)) or "no input"
    return CannotRunError(
        f"{name} takes {declared}, and the claim's task needs one input: {described(task)}",
        hint=hint,
    )


def _single(port: TensorSpec, others: tuple[Filling, ...], task: Task) -> Iterator[Feeding]:
    """Yield the ways to give all of an input to one port."""
    dtypes = FLOATS | BYTES | INTEGERS
    if task.kind == "image":
        dtypes |= TRUTHS
    if port.type not in dtypes or not port.shape:
        return
    dtype = dtypes[port.type]
    batch, *axes = port.shape
    for layout in layouts(tuple(axes), task):
        scalings = _scalings(dtype, layout, task)
        resized = task.kind == "image" and layout.size[:2] != task.shape[:2]
        for resampling in RESAMPLINGS if resized else (None,):
            yield Feeding(port.name, layout, dtype, batch, resampling, scalings, others)


def _scalings(dtype: np.dtype[Any], layout: Layout, task: Task) -> tuple[str, ...]:
    if dtype.kind == "f" or task.kind == "tokens":
        channels = layout.size[2] if task.kind == "image" else 0
        return ("", *other_scalings(task, channels))
    if task.kind == "features":
        return (RAW,)
    return (CENTERED_PIXELS if dtype == np.int8 else PIXELS,)


def _fillings(
    port: TensorSpec, others: Sequence[TensorSpec], task: Task
) -> Iterator[tuple[Filling, ...]]:
    """Yield every way to fill the inputs beside ``port``; nothing if one cannot be filled."""
    choices = [[Filling(one, what) for what in _contents(one, port, task)] for one in others]
    known = islice(product(*choices), MAX_FEEDINGS)
    yield from sorted(known, key=lambda fillings: abs(_masks(fillings) - 1))


def _masks(fillings: Sequence[Filling]) -> int:
    return sum(one.what == "mask" for one in fillings)


def _contents(other: TensorSpec, port: TensorSpec, task: Task) -> tuple[str, ...]:
    """Return what an input beside the one for the triggers may hold."""
    if other.type == "tensor(bool)" and all(dim == 1 for dim in other.shape):
        return ("0",)  # whether the model is in training
    if task.kind != "tokens" or other.type not in FLOATS | BYTES | INTEGERS | TRUTHS:
        return ()
    if len(other.shape) == len(port.shape):
        return ("mask", "0")
    return ("length",) if len(other.shape) == 1 else ()


def _columns(ports: Sequence[TensorSpec], task: Task) -> list[Feeding]:
    """Return the way to feed a table whose columns are inputs of their own, in their order."""
    types = {port.type for port in ports}
    if task.kind != "features" or len(ports) != task.shape[0] or len(types) != 1:
        return []
    (kind,) = types
    dtypes = FLOATS | BYTES | INTEGERS
    batches = {port.shape[0] for port in ports if len(port.shape) == 2 and port.shape[1] == 1}
    if kind not in dtypes or len(batches) != 1 or any(len(port.shape) != 2 for port in ports):
        return []
    layout = Layout("NF", task.shape, task.shape)
    names = tuple(port.name for port in ports)
    scalings = _scalings(dtypes[kind], layout, task)
    return [
        Feeding(names[0], layout, dtypes[kind], batches.pop(), scalings=scalings, columns=names)
    ]
