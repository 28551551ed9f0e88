"""What attacks ask of every adapter: frozen weights, soft labels, input gradients, last layer."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from wmx.errors import UsageError
from wmx.training.adapter import Learner
from wmx.training.batches import ShuffledBatches
from wmx.training.config import Training
from wmx.training.data.dataset import LabeledData, load_data

TRAINING = Training(model="mlp", epochs=2, batch_size=50, device="cpu", lr=0.05)


@pytest.fixture(scope="module")
def data() -> LabeledData:
    digits = load_data("digits")
    return replace(digits, x_train=digits.x_train[:200], y_train=digits.y_train[:200])


def weights(kit: Any, model: Any, folder: Any) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    path = folder / "weights.safetensors"
    kit.ADAPTER.save_weights(path, model, force=True)
    return dict(load_file(path))


def begun(kit: Any, data: LabeledData, frozen: Any = None, **changes: Any) -> Learner:
    training = replace(TRAINING, **changes)
    steps = len(data.y_train) // training.batch_size * training.epochs
    learner: Learner = kit.ADAPTER.begin(
        data.task, None, training, steps=steps, vocabulary=None, frozen=frozen
    )
    return learner


def trained(learner: Learner, data: LabeledData, labels: np.ndarray, **changes: Any) -> None:
    batches = ShuffledBatches(data.x_train, labels, data.task, replace(TRAINING, **changes))
    for epoch in range(2):
        assert np.isfinite(learner.train(batches.epoch(epoch), epoch))


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_frozen_layers_stay_equal_to_the_bit_and_the_last_one_learns(
    kit: Any, data: LabeledData, optimizer: str, tmp_path: Any
) -> None:
    fresh = begun(kit, data, model="cnn").model  # it has BatchNorm, whose statistics stay too
    names = kit.ADAPTER.last_layer(fresh, 10)
    before = weights(kit, fresh, tmp_path)
    frozen = {
        name: np.ones(array.shape, bool) for name, array in before.items() if name not in names
    }
    learner = begun(kit, data, frozen, model="cnn", optimizer=optimizer, lr=0.01)
    trained(learner, data, data.y_train)
    after = weights(kit, learner.model, tmp_path)
    for name, array in before.items():
        assert np.array_equal(array, after[name]) == (name not in names), name


def test_masked_weights_stay_as_they_are_and_their_neighbours_learn(
    kit: Any, data: LabeledData, tmp_path: Any
) -> None:
    before = weights(kit, begun(kit, data).model, tmp_path)
    rng = np.random.default_rng(0)
    frozen = {
        name: rng.random(array.shape) < 0.5 for name, array in before.items() if array.ndim > 1
    }
    learner = begun(kit, data, frozen)
    trained(learner, data, data.y_train)
    after = weights(kit, learner.model, tmp_path)
    for name, where in frozen.items():
        np.testing.assert_array_equal(after[name][where], before[name][where])
        assert (after[name][~where] != before[name][~where]).mean() > 0.9


def test_names_that_are_no_weights_are_refused(kit: Any, data: LabeledData) -> None:
    with pytest.raises(UsageError, match="no weights called nothing"):
        begun(kit, data, {"nothing": np.ones(3, bool)})


def test_probabilities_that_name_one_class_train_as_class_numbers_do(
    kit: Any, data: LabeledData, tmp_path: Any
) -> None:
    found = []
    for labels in (data.y_train, np.eye(10, dtype=np.float32)[data.y_train]):
        learner = begun(kit, data)
        trained(learner, data, labels)
        found.append(weights(kit, learner.model, tmp_path))
    for name, array in found[0].items():
        np.testing.assert_allclose(array, found[1][name], atol=1e-5)


def test_a_step_on_soft_labels_is_the_mean_of_the_steps_on_their_classes(
    kit: Any, data: LabeledData, tmp_path: Any
) -> None:
    one_hot = np.eye(10, dtype=np.float32)
    first, second = one_hot[data.y_train], one_hot[(data.y_train + 3) % 10]
    before = weights(kit, begun(kit, data).model, tmp_path)
    moves = []
    for labels in (first, second, 0.25 * first + 0.75 * second):
        learner = begun(kit, data, batch_size=200, epochs=1)
        batches = ShuffledBatches(
            data.x_train, labels, data.task, replace(TRAINING, batch_size=200)
        )
        learner.train(batches.epoch(0), 0)
        after = weights(kit, learner.model, tmp_path)
        moves.append({name: array - before[name] for name, array in after.items()})
    for name, move in moves[2].items():
        expected = 0.25 * moves[0][name] + 0.75 * moves[1][name]
        np.testing.assert_allclose(move, expected, atol=1e-5)
    assert max(np.abs(moves[0][name] - moves[1][name]).max() for name in before) > 1e-3


def test_the_input_gradient_is_that_of_the_loss(kit: Any, data: LabeledData) -> None:
    learner = begun(kit, data)
    trained(learner, data, data.y_train)
    inputs, labels = data.task.model_input(data.x_train[:4]), data.y_train[:4]
    gradient = learner.input_gradient(inputs, labels)
    assert gradient.shape == inputs.shape
    assert gradient.dtype == np.float32

    def loss(inputs: np.ndarray) -> float:
        scores = learner.scores(inputs)
        scores = scores - scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        return float(-logs[np.arange(4), labels].mean())

    direction = gradient / np.linalg.norm(gradient)
    slope = (loss(inputs + 1e-2 * direction) - loss(inputs - 1e-2 * direction)) / 2e-2
    assert slope == pytest.approx(float(np.linalg.norm(gradient)), rel=0.1)
    np.testing.assert_array_equal(learner.input_gradient(inputs, labels), gradient)


@pytest.mark.parametrize("model", ["mlp", "cnn"])
@pytest.mark.parametrize("classes", [10, 256])
def test_the_last_layer_gives_the_scores(
    kit: Any, data: LabeledData, model: str, classes: int, tmp_path: Any
) -> None:
    task = replace(data.task, classes=classes)
    learner = kit.ADAPTER.begin(
        task, None, replace(TRAINING, model=model), steps=8, vocabulary=None
    )
    names = kit.ADAPTER.last_layer(learner.model, classes)
    found = weights(kit, learner.model, tmp_path)
    width = 256 if model == "mlp" else 64
    shapes = {tuple(sorted(found[name].shape)) for name in names}
    assert shapes == {(classes,), tuple(sorted((width, classes)))}
    assert len(names) == 2
    with pytest.raises(UsageError, match="7 outputs"):
        kit.ADAPTER.last_layer(learner.model, 7)
