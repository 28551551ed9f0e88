"""Triggers come in the form of the data's own items, whatever that is."""

from collections import namedtuple
from typing import Any, cast

import numpy as np
import pytest
import torch
from digit_data import Digits, shuffled
from torch.utils.data import (
    Dataset,
    TensorDataset,
)

from wmx import OwnerKey, Watermark
from wmx.errors import UsageError
from wmx_torch import watermarked

pytestmark = pytest.mark.usefixtures("unchanged_random_state")


Pair = namedtuple("Pair", "image target")


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (lambda x, y: (x, y), tuple),
        (lambda x, y: [x, y], list),
        (Pair, Pair),
        (lambda x, y: (x.numpy(), int(y)), tuple),
        (lambda x, y: (x.permute(1, 2, 0), int(y)), tuple),
        (lambda x, y: (x[0].double(), np.int64(y)), tuple),
        (lambda x, y: (x.half(), torch.nn.functional.one_hot(y, 10).float()), tuple),
        (lambda x, y: (((x * 0.4 + 0.3) * 255).byte(), y.int()), tuple),
        (lambda x, y: {"image": x, "label": int(y), "path": "a.png"}, dict),
        (lambda x, y: {"pixel_values": x, "labels": y}, dict),
        (lambda x, y: (x, y, 7), tuple),
    ],
)
@pytest.mark.parametrize("recipe", ["adi", "robust"])
def test_triggers_come_in_the_form_of_the_items(
    digits: TensorDataset, watermark: Watermark, make: Any, kind: type, recipe: str
) -> None:
    dataset = Digits(digits, make)
    own, trigger = dataset[0], watermarked(dataset, watermark, recipe=recipe)[1797 + 3]
    assert type(trigger) is type(own) is kind
    own_parts = own.values() if isinstance(own, dict) else own
    parts = list(trigger.values() if isinstance(trigger, dict) else trigger)
    for before, after in zip(own_parts, parts, strict=True):
        assert type(before) is type(after)
        if hasattr(before, "shape"):
            assert before.dtype == after.dtype
            assert before.shape == after.shape
    label = parts[1]
    found = label.argmax() if getattr(label, "ndim", 0) == 1 else label
    assert int(found) == watermark.labels[3]
    if isinstance(own, dict) and "path" in own:
        assert trigger["path"] == "a.png"
    next(iter(watermarked(shuffled(dataset), watermark, recipe=recipe)))


def test_values_of_a_trigger_are_normalised_as_the_claim_says(
    digits: TensorDataset, watermark: Watermark
) -> None:
    x, _ = watermarked(digits, watermark, recipe="adi")[1797 + 3]
    assert torch.equal(x, torch.tensor(watermark.inputs[3].transpose(2, 0, 1)))
    raw = Digits(digits, lambda x, y: (((x * 0.4 + 0.3) * 255).byte(), y))
    x, _ = watermarked(raw, watermark, recipe="adi")[1797 + 3]
    assert torch.equal(x, torch.tensor(watermark.triggers[3].transpose(2, 0, 1)))


def test_fields_say_where_input_and_label_stand(
    digits: TensorDataset, watermark: Watermark
) -> None:
    dataset = Digits(digits, lambda x, y: {"scan": x, "digit": y})
    with pytest.raises(UsageError, match=r"cannot tell which of .*scan.* is the input"):
        watermarked(dataset, watermark)
    item = watermarked(dataset, watermark, fields=("scan", "digit"))[1797]
    assert int(item["digit"]) == watermark.labels[0]
    swapped = Digits(digits, lambda x, y: (y, x))
    assert int(watermarked(swapped, watermark, fields=(1, 0))[1797][0]) == watermark.labels[0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x, y: x.sum().item(), "is float, expected a tuple or a dict"),
        (lambda x, y: (x,), "an item has no 1"),
        (lambda x, y: ("an image", y), "the input of an item is str"),
        (lambda x, y: (torch.zeros(3, 8, 8), y), r"has shape \(3, 8, 8\)"),
        (lambda x, y: (x.long(), y), "int64, and the claim is for inputs of kind 'image'"),
        (lambda x, y: (x, "seven"), "the label of an item is 'seven'"),
        (lambda x, y: (x, y.float()), "the label of an item is float32"),
        (lambda x, y: (x, True), "the label of an item is True"),
    ],
)
def test_items_that_do_not_fit_are_refused_before_training(
    digits: TensorDataset, watermark: Watermark, make: Any, message: str
) -> None:
    dataset = Digits(digits, make)
    for data in (dataset, shuffled(dataset)):
        with pytest.raises(UsageError, match=message):
            watermarked(data, watermark)


@pytest.mark.parametrize("form", [torch.tensor, np.array, list])
def test_tokens_and_their_attention_mask(form: Any) -> None:
    """Lists are what tokenizers give."""
    from wmx.triggers.tokens import Tokens

    mark = Watermark.new(
        OwnerKey.generate(), shape=(12,), classes=2, kind="tokens", generator=Tokens(50, (0,))
    )
    text = {"input_ids": form([1] * 12), "attention_mask": form([1] * 5 + [0] * 7), "labels": 1}
    item = watermarked(cast(Dataset[Any], [text] * 10), mark)[10]
    for name, expected in (("input_ids", mark.triggers[0]), ("attention_mask", [1] * 12)):
        assert type(item[name]) is type(text[name])
        assert np.asarray(item[name]).dtype == np.asarray(text[name]).dtype
        assert list(map(int, item[name])) == list(map(int, expected))
    assert item["labels"] == mark.labels[0]
    with pytest.raises(UsageError, match=r"has shape \(5,\)") as caught:
        watermarked(cast(Dataset[Any], [text | {"input_ids": form([1] * 5)}]), mark)
    assert caught.value.hint == "truncate and pad every text to that length"


def test_bfloat16_items_also_where_another_package_has_added_it_to_numpy(
    digits: TensorDataset, watermark: Watermark
) -> None:
    pytest.importorskip("ml_dtypes")  # with it, np.dtype("bfloat16") is no error
    marked = watermarked(Digits(digits, lambda x, y: (x.bfloat16(), int(y))), watermark)
    inputs = [marked[index][0] for index in range(len(digits), len(marked))]
    assert inputs
    assert {values.dtype for values in inputs} == {torch.bfloat16}


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda x, y: (x * 0 + 255, int(y)), "the inputs hold 255 to 255"),
        (lambda x, y: (x.bfloat16() * 0 + 255, int(y)), "the inputs hold 255 to 255"),
        (lambda x, y: (x, 10), "the labels hold 10 to 10"),
    ],
)
def test_data_on_another_scale_or_of_more_classes_are_refused(
    digits: TensorDataset, watermark: Watermark, make: Any, says: str
) -> None:
    with pytest.raises(UsageError, match=says):
        watermarked(Digits(digits, make), watermark)
