"""The trainer's batches: what the claim says, one shape, every trigger in its turn."""

import numpy as np
import torch
from wmx_torch.batches import Inputs, TrainingBatches, TriggerBatches

from wmx import OwnerKey, Watermark
from wmx.data import LabelledData
from wmx.recipe import recipe_named

CPU = torch.device("cpu")


def test_inputs_are_what_the_claim_says_the_model_sees(data: LabelledData) -> None:
    seen = Inputs(data.x_test, data.task, CPU).plain(slice(None))
    expected = data.task.model_input(data.x_test).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(seen.numpy(), expected, atol=1e-6)


def test_shifts_move_whole_images_and_fill_with_black() -> None:
    from wmx.task import Task
    from wmx.verdict import shifted

    pixels = np.random.default_rng(0).integers(1, 256, (30, 28, 28, 3), dtype=np.uint8)
    task = Task.of((28, 28, 3), 2, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.4))
    seen = Inputs(pixels, task, CPU).shifted(torch.arange(30), torch.Generator().manual_seed(0))
    moves = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
    found = set()
    for index in range(30):
        options = [shifted(pixels[index : index + 1], *move) for move in moves]
        fits = [
            move
            for move, option in zip(moves, options, strict=True)
            if np.allclose(
                seen[index].numpy(), task.model_input(option)[0].transpose(2, 0, 1), atol=1e-5
            )
        ]
        assert len(fits) == 1
        found |= set(fits)
    assert len(found) > 10


def test_every_batch_has_one_shape_and_the_recipes_share_of_triggers(
    data: LabelledData, watermark: Watermark
) -> None:
    triggers = TriggerBatches(watermark, recipe_named("robust"), 100, 0, CPU)
    batches = TrainingBatches(data, data.task, 100, 0, CPU, triggers)
    steps, shapes, labels = [], set(), []
    for epoch in range(2):
        for step, inputs, targets in batches.epoch(epoch):
            steps.append(step)
            shapes.add((tuple(inputs.shape), tuple(targets.shape)))
            labels.append(targets[:100])
    assert steps == list(range(8))
    assert shapes == {((104, 1, 8, 8), (104,))}
    assert not torch.equal(torch.cat(labels[:4]), torch.cat(labels[4:]))


def test_a_pass_holds_every_trigger_once(data: LabelledData) -> None:
    watermark = Watermark.for_task(OwnerKey.generate(), data.task, n=30)
    triggers = TriggerBatches(watermark, recipe_named("adi"), 200, 0, CPU)  # 4 a step
    drawn = torch.cat([triggers.at(step)[0] for step in range(15)])  # two passes
    counts = {tuple(row.flatten().tolist()): 0 for row in drawn}
    for row in drawn:
        counts[tuple(row.flatten().tolist())] += 1
    assert set(counts.values()) == {2}
    assert len(counts) == 30
    first, second = drawn[:30].flatten(1).tolist(), drawn[30:].flatten(1).tolist()
    assert sorted(first) == sorted(second)
    assert first != second


def test_a_set_smaller_than_a_batch_is_one_batch(data: LabelledData) -> None:
    batches = TrainingBatches(data, data.task, 1000, 0, CPU, None)
    assert [len(labels) for _, _, labels in batches.epoch(0)] == [430]
