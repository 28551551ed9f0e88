"""``watermarked`` over iterators without an end, and shapes that let a step be traced once."""

import itertools
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from wmx import OwnerKey, Watermark
from wmx.errors import UsageError
from wmx.training.batches import TrainingBatches
from wmx.training.config import Training
from wmx.training.data.dataset import load_data
from wmx_flax import watermarked
from wmx_flax._training import learner as adapter


def batch(digits: Any, form: str) -> Any:
    x, y = digits[0][:100], digits[1][:100]
    if form == "dict":
        return {"image": x, "label": y, "weight": np.full(100, 0.5, np.float32)}
    return (jnp.asarray(x), jnp.asarray(y)) if form == "jax tuple" else (x, y)


@pytest.mark.parametrize("form", ["numpy tuple", "jax tuple", "dict"])
def test_an_endless_iterator_stays_endless_and_is_drawn_as_it_is_asked(
    form: str, digits: Any, watermark: Watermark
) -> None:
    drawn = itertools.count()
    source = ((next(drawn), batch(digits, form))[1] for _ in itertools.count())
    marked = watermarked(source, watermark, recipe="adi")
    assert next(drawn) == 0, "nothing is drawn before it is asked for"
    traces = []

    @jax.jit
    def step(given: Any) -> Any:
        traces.append(1)
        return jax.tree.map(jnp.sum, given)

    known = {image.tobytes(): number for number, image in enumerate(watermark.inputs)}
    seen: list[int] = []
    for given in itertools.islice(marked, 100):
        step(given)
        assert type(given) is type(batch(digits, form))
        x, y = (given["image"], given["label"]) if form == "dict" else given
        assert x.shape == (102, 8, 8, 1)
        numbers = [known[np.asarray(image).tobytes()] for image in x[100:]]
        assert np.asarray(y[100:]).tolist() == watermark.labels[numbers].tolist()
        seen += numbers
    assert len(traces) == 1
    assert next(drawn) == 101
    assert sorted(seen[:100]) == sorted(seen[100:]) == list(range(100))


def test_other_parts_of_a_dict_get_as_many_rows(digits: Any, watermark: Watermark) -> None:
    (marked,) = watermarked([batch(digits, "dict")], watermark)
    assert {name: len(part) for name, part in marked.items()} == dict.fromkeys(marked, 104)
    assert set(marked) == {"image", "label", "weight"}


def test_what_is_no_batch_is_refused_when_it_is_drawn(digits: Any, watermark: Watermark) -> None:
    x, y = digits
    for wrong, message in (
        ((x[:100, :7], y[:100]), "shape"),
        ((x[:100], y[:100].astype(np.float32)), "label"),
        ({"picture": x[:100], "label": y[:100]}, "cannot tell which"),
        (3, "expected a tuple or a dict"),
    ):
        with pytest.raises(UsageError, match=message):
            next(iter(watermarked([wrong], watermark)))
    named = [{"picture": x[:100], "label": y[:100]}]
    (marked,) = watermarked(named, watermark, fields=("picture", "label"))
    assert marked["picture"].shape == (104, 8, 8, 1)


def test_three_epochs_of_a_run_trace_the_step_once() -> None:
    whole = load_data("digits")
    data = replace(whole, x_train=whole.x_train[:330], y_train=whole.y_train[:330])
    watermark = Watermark.for_task(OwnerKey.generate(), data.task)
    training = Training(model="mlp", epochs=3, device="cpu", lr=0.05)
    batches = TrainingBatches(data, data.task, training, watermark)
    learner = adapter.begin(data.task, watermark, training, steps=9, vocabulary=None)
    assert isinstance(learner.model, nnx.Module)
    for epoch in range(3):
        learner.train(batches.epoch(epoch), epoch)
        learner.scores(watermark.inputs)
    assert learner.traces == {"step": 1, "added gradient": 1}
