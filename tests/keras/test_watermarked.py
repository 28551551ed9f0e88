"""``watermarked``: what Keras trains on, with labels, weights and inputs of every kind."""

from typing import Any

import keras
import numpy as np
import pytest
from networks import BACKEND, sequential
from training import Digits

from wmx import Watermark
from wmx.errors import UsageError
from wmx_keras import watermarked

FORMS = ["arrays", "PyDataset", "tf.data", *(["DataLoader"] if BACKEND == "torch" else [])]


class Batches(keras.utils.PyDataset):
    """Batches of 100 of any parts, in the form of a tuple or as ``make`` makes them."""

    def __init__(self, *parts: np.ndarray, make: Any = tuple) -> None:
        super().__init__()
        self.parts, self.make = parts, make

    def __len__(self) -> int:
        return len(self.parts[0]) // 100

    def __getitem__(self, index: int) -> Any:
        return self.make(part[index * 100 :][:100] for part in self.parts)


def data(form: str, *parts: np.ndarray) -> Any:
    if form == "arrays":
        return parts
    if form == "PyDataset":
        return Batches(*parts)
    if form == "tf.data":
        import tensorflow as tf

        return tf.data.Dataset.from_tensor_slices(parts).batch(100, drop_remainder=True)
    import torch
    from torch.utils.data import DataLoader, TensorDataset

    return DataLoader(TensorDataset(*map(torch.from_numpy, parts)), batch_size=100)


def batches(given: Any) -> list[list[np.ndarray]]:
    if isinstance(given, tuple):
        return [list(given)]
    found = [given[i] for i in range(len(given))] if hasattr(given, "parts") else list(given)
    return [[np.asarray(part) for part in batch] for batch in found]


def triggers(form: str, given: Any) -> list[list[np.ndarray]]:
    """The rows behind the caller's own, of every batch."""
    own = 600 if form == "arrays" else 100
    if form == "PyDataset":
        given = [given[i] for i in range(len(given))]
    return [[np.asarray(part)[own:] for part in batch] for batch in batches(given)]


@pytest.mark.parametrize("form", FORMS)
def test_one_hot_labels_and_sample_weights(form: str, digits: Digits, watermark: Watermark) -> None:
    x, y = digits
    one_hot = np.eye(10, dtype=np.float32)[y]
    weights = np.full(600, 0.25, np.float32)
    marked = watermarked(data(form, x, one_hot, weights), watermark, recipe="adi")
    numbers = {image.tobytes(): number for number, image in enumerate(watermark.inputs)}
    seen = 0
    for images, labels, weight in triggers(form, marked):
        assert (images.dtype, labels.dtype, weight.dtype) == (x.dtype, x.dtype, x.dtype)
        for image, label in zip(images, labels, strict=True):
            expected = np.eye(10)[watermark.labels[numbers[image.tobytes()]]]
            np.testing.assert_array_equal(label, expected)
        assert weight.tolist() == [1.0] * len(images)
        seen += len(images)
    assert seen == (100 if form == "arrays" else 12)


@pytest.mark.parametrize("form", FORMS)
def test_bytes_stay_bytes_for_pipelines_that_normalise_later(
    form: str, digits: Digits, watermark: Watermark
) -> None:
    x, y = digits
    pixels = ((x * 0.4 + 0.3) * 255).round().astype(np.uint8)
    marked = watermarked(data(form, pixels, y), watermark, recipe="adi")
    known = {image.tobytes(): number for number, image in enumerate(watermark.triggers)}
    for images, labels in triggers(form, marked):
        assert images.dtype == np.uint8
        found = [known[image.tobytes()] for image in images]
        assert labels.tolist() == watermark.labels[found].tolist()
    augmented = watermarked(data(form, pixels, y), watermark)
    for images, _ in triggers(form, augmented):
        assert images.dtype == np.uint8
        assert not {image.tobytes() for image in images} & set(known)


@pytest.mark.parametrize("form", FORMS)
def test_fit_takes_it_as_it_took_the_callers_own(
    form: str, digits: Digits, watermark: Watermark
) -> None:
    x, y = digits
    sizes: list[int] = []

    class Sizes(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
            sizes.append(self.params["steps"])

    marked = watermarked(data(form, x, y, np.ones(600, np.float32)), watermark)
    model = sequential()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    arguments = {"batch_size": 100} if form == "arrays" else {"shuffle": False}
    given = marked if isinstance(marked, tuple) else (marked,)
    if form == "arrays":
        given, arguments["sample_weight"] = marked[:2], marked[2]
    model.fit(*given, epochs=2, verbose=0, callbacks=[Sizes()], **arguments)
    assert sizes == ([7, 7] if form == "arrays" else [6, 6])


@pytest.mark.parametrize("kind", ["PyDataset", "tf.data"])
def test_the_places_of_input_and_label_can_be_named(
    kind: str, digits: Digits, watermark: Watermark
) -> None:
    x, y = digits
    named = {"picture": x, "number": y}
    if kind == "tf.data":
        import tensorflow as tf

        given: Any = tf.data.Dataset.from_tensor_slices(named).batch(100)
    else:
        given = Batches(x, y, make=lambda parts: dict(zip(named, parts, strict=True)))
    with pytest.raises(UsageError, match="cannot tell which"):
        watermarked(given, watermark)
    marked = watermarked(given, watermark, fields=("picture", "number"))
    first = marked[0] if kind == "PyDataset" else next(iter(marked))
    assert first["picture"].shape == (104, 8, 8, 1)
    assert first["number"].shape == (104,)


def test_a_dataset_of_the_callers_own_class_is_told_of_epochs(
    digits: Digits, watermark: Watermark
) -> None:
    told: list[str] = []

    class Told(Batches):
        def on_epoch_begin(self) -> None:
            told.append("begin")

        def on_epoch_end(self) -> None:
            told.append("end")

    marked = watermarked(Told(*digits), watermark)
    assert (len(marked), marked.num_batches) == (6, 6)
    first = marked[0][0].tobytes()
    marked.on_epoch_begin()
    marked.on_epoch_end()
    assert told == ["begin", "end"]
    assert marked[0][0].tobytes() != first, "the passes go on from epoch to epoch"


def test_wrong_data_are_refused(digits: Digits, watermark: Watermark) -> None:
    import tensorflow as tf

    x, y = digits
    one_item = tf.data.Dataset.from_tensor_slices((x, y))
    dicts = tf.data.Dataset.from_tensor_slices(({"image": x}, y)).batch(100)
    wrong: dict[str, list[Any]] = {
        "expected arrays": [7, x, (x,), (x, y, y, y)],
        "shape": [(x[:, :7], y), Batches(x[:, :7], y)],
        "label": [(x, y.astype(np.float32)), (x, np.eye(9, dtype=np.float32)[y % 9])],
        "does not make batches": [one_item],
        "is dict, expected an array": [({"image": x}, y), Batches(x, y, make=in_a_dict), dicts],
        "is empty": [one_item.take(0)],
        "rows": [(x, y[:-1]), (x, y, np.ones(5, np.float32))],
    }
    for message, cases in wrong.items():
        for case in cases:
            with pytest.raises(UsageError, match=message):
                watermarked(case, watermark)
    with pytest.raises(UsageError, match="expected one of adi, robust"):
        watermarked(digits, watermark, recipe="strong")


def in_a_dict(parts: Any) -> Any:
    x, y = parts
    return {"image": x}, y
