"""Converting triggers to the structure, layout and dtype of the caller's own items and batches.

An item or a batch may be a tuple, a list, a named tuple or a dict.  Inputs may be channels first
or last and hold floats or bytes, labels may be class numbers or one-hot vectors.  Shapes here are
those of one item, without the batch axis.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from wmx.errors import UsageError
from wmx.training.recipe import Recipe
from wmx.watermark import Watermark

Field: TypeAlias = int | str
Fields: TypeAlias = tuple[Field, Field]

INPUT_NAMES = ("pixel_values", "input_ids", "image", "images", "img", "input", "inputs", "x")
LABEL_NAMES = ("labels", "label", "target", "targets", "y")
ATTENTION_MASK = "attention_mask"
IGNORED_LABEL = -100  # of PyTorch's cross entropy


def find_fields(item: Any, fields: Fields | None) -> Fields:
    """Return the keys under which an item or a batch holds its input and its label.

    Args:
        item: a tuple, list, named tuple or dict.
        fields: the keys, if the caller gave them; ``None`` looks for the usual names.

    Raises:
        UsageError: ``item`` is of another type, or its names are ambiguous.
    """
    if isinstance(item, Mapping):
        names = list(item)
        chosen = fields or (_only(names, INPUT_NAMES, "input"), _only(names, LABEL_NAMES, "label"))
        missing = [name for name in chosen if name not in item]
    elif isinstance(item, Sequence) and not isinstance(item, str | bytes):
        chosen = fields or (0, 1)
        missing = [
            name for name in chosen if not isinstance(name, int) or not 0 <= name < len(item)
        ]
    else:
        raise UsageError(
            f"an item of the data is {type(item).__name__}, expected a tuple or a dict with an "
            "input and a label"
        )
    if missing:
        found = list(item) if isinstance(item, Mapping) else f"{len(item)} parts"
        raise UsageError(f"an item has no {missing[0]!r}: it has {found}")
    return chosen


def _only(names: list[Any], known: tuple[str, ...], role: str) -> str:
    found = [name for name in known if name in names]
    if len(found) != 1:
        raise UsageError(
            f"cannot tell which of {names} is the {role}",
            hint='name both: fields=("name of the input", "name of the label")',
        )
    return found[0]


def rebuilt(template: Any, parts: Mapping[Field, Any]) -> Any:
    """Return a copy of an item or a batch with some parts replaced.

    Args:
        template: gives the container type and the other parts.
        parts: the new parts by key.
    """
    if isinstance(template, Mapping):
        return dict(template) | dict(parts)
    values = list(template)
    for place, value in parts.items():
        values[int(place)] = value
    if hasattr(template, "_fields"):  # a named tuple
        return type(template)(*values)
    return values if isinstance(template, list) else tuple(values)


def trigger_values(
    watermark: Watermark,
    recipe: Recipe,
    places: NDArray[np.int64],
    rng: np.random.Generator,
    *,
    shape: Sequence[int],
    dtype: np.dtype[Any],
) -> NDArray[Any]:
    """Return triggers in the form of the caller's inputs: raw bytes, or normalized values.

    Args:
        watermark: gives the triggers.
        recipe: decides whether they are augmented.
        places: indices of the triggers, int64 [k].
        rng: source of the augmentation.
        shape: of one input of the caller.
        dtype: of the caller's inputs.

    Returns:
        [k, *shape] of ``dtype``.

    Raises:
        UsageError: the caller's inputs do not fit the claim.
    """
    task, triggers = watermark.task, watermark.triggers[places]
    if task.kind == "image" and dtype == np.uint8:
        if recipe.augment:
            pixels = recipe.augmented(triggers / np.float32(255), rng) * 255
            triggers = pixels.round().astype(np.uint8)
        return _laid_out(triggers, tuple(shape))
    is_integer = dtype.kind in "iu"
    if is_integer != (task.kind == "tokens") or dtype.kind == "b":
        raise UsageError(
            f"the input of an item is {dtype}, and the claim is for inputs of kind {task.kind!r}",
            hint="images come as bytes or normalized floats, features as floats, tokens as "
            "integers",
        )
    return _laid_out(recipe.batch_inputs(triggers, task, rng), tuple(shape)).astype(dtype)


def require_labels(values: NDArray[Any], classes: int) -> None:
    """Refuse class numbers of the caller that the claim has no classes for.

    Args:
        values: labels of the caller; one-hot vectors are held against K by their shape.
        classes: K.

    Raises:
        UsageError: a class number is not 0 to K - 1.
    """
    if values.dtype.kind not in "iu" or not values.size:
        return
    allowed = values[values != IGNORED_LABEL]  # what losses leave out
    if allowed.size and not 0 <= int(allowed.min()) <= int(allowed.max()) < classes:
        raise UsageError(
            f"the labels hold {allowed.min()} to {allowed.max()}, and the claim is for {classes} "
            f"classes, 0 to {classes - 1}",
            hint="make a claim for as many classes as the data have",
        )


def _laid_out(values: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Transpose [k, ...] values, channels last, to the layout of the caller's inputs."""
    if values.ndim == 4:
        height, width, channels = values.shape[1:]
        if shape == (channels, height, width):
            return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        if channels == 1 and shape == (height, width):
            return values[..., 0]
    if shape != values.shape[1:]:
        raise UsageError(
            f"the input of an item has shape {shape}, and the claim is for {values.shape[1:]}"
            + (" (height, width, channels), channels first or last" if values.ndim == 4 else ""),
            hint="truncate and pad every text to that length" if values.dtype.kind == "i" else None,
        )
    return values


def label_values(
    labels: NDArray[np.int64], classes: int, *, shape: Sequence[int], dtype: np.dtype[Any]
) -> NDArray[Any]:
    """Return labels in the form of the caller's: class numbers, or one-hot vectors.

    Args:
        labels: int64 [k].
        classes: K.
        shape: of one label of the caller: (), (1,) or (classes,).
        dtype: of the caller's labels.

    Returns:
        [k, *shape] of ``dtype``.

    Raises:
        UsageError: the caller's labels are neither.
    """
    shape = tuple(shape)
    if shape == (classes,) and classes > 1 and dtype.kind not in "iub":
        return np.eye(classes, dtype=np.float32)[labels].astype(dtype)
    if dtype.kind in "iu" and int(np.prod(shape)) == 1:
        return labels.reshape(-1, *shape).astype(dtype)
    raise UsageError(
        f"the label of an item is {dtype} of shape {shape}, expected a class "
        f"number or a one-hot vector of {classes}"
    )
