"""``fit`` of a protected model: in one call or many, resumed, traced once; what stays as it was."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from added_gradients import States, put, values
from networks import BACKEND, OwnStep, Subclassed, sequential
from training import SIZE, STEPS, Digits, batches, compiled, fitted, same

from wmx import Watermark
from wmx.errors import UsageError
from wmx_keras import harden_model


@pytest.fixture(scope="module")
def whole(digits: Digits, watermark: Watermark) -> States:
    """Two epochs in one call."""
    return fitted(compiled(harden_model(sequential(), watermark)), digits, epochs=2)


def test_compiled_before_it_is_protected_it_trains_the_same(
    digits: Digits, watermark: Watermark, whole: States
) -> None:
    model = harden_model(compiled(sequential()), watermark)
    assert same(fitted(model, digits, epochs=2).weights[-1], whole.weights[-1])


def test_several_steps_in_one_execution_are_the_same(
    digits: Digits, watermark: Watermark, whole: States
) -> None:
    model = compiled(harden_model(sequential(), watermark), steps_per_execution=4)
    if BACKEND == "torch":
        with pytest.raises(ValueError, match="must be 1 with the PyTorch backend"):
            fitted(model, digits)
        return
    assert same(fitted(model, digits, epochs=2).weights[-1], whole.weights[-1])


def test_called_once_per_epoch_it_is_told_the_steps_of_the_whole(
    digits: Digits, watermark: Watermark, whole: States
) -> None:
    model = compiled(harden_model(sequential(), watermark, steps=2 * STEPS))
    for _ in range(2):
        states = fitted(model, digits)
    assert same(states.weights[-1], whole.weights[-1])


def test_batch_by_batch_it_is_told_the_steps_too(
    digits: Digits, watermark: Watermark, whole: States
) -> None:
    model = compiled(harden_model(sequential(), watermark, steps=2 * STEPS))
    for batch in batches(digits) * 2:
        model.train_on_batch(*batch)
    assert same(values(model.trainable_variables), whole.weights[-1])
    untold = compiled(harden_model(sequential(), watermark))
    with pytest.raises(UsageError, match="number of optimizer updates is unknown") as caught:
        untold.train_on_batch(*batches(digits)[0])
    assert "steps=" in str(caught.value.hint)


@pytest.mark.parametrize("optimizer", ["its optimizer", "a new optimizer"])
def test_a_later_initial_epoch_goes_on_where_the_recipe_stood(
    optimizer: str, digits: Digits, watermark: Watermark, whole: States
) -> None:
    model = compiled(harden_model(sequential(), watermark))
    put(model.trainable_variables, whole.weights[STEPS])
    if optimizer == "its optimizer":
        model.optimizer.build(model.trainable_variables)
        model.optimizer.iterations.assign(STEPS)
    states = fitted(model, digits, epochs=2, initial_epoch=1)
    assert len(states.weights) == STEPS + 1
    assert same(states.weights[-1], whole.weights[-1])


def test_backup_and_restore_goes_on_where_the_recipe_stood(
    digits: Digits, watermark: Watermark, whole: States, tmp_path: Path
) -> None:
    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise KeyboardInterrupt

    def backup() -> Any:
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    model = compiled(harden_model(sequential(), watermark))
    with pytest.raises(KeyboardInterrupt):
        fitted(model, digits, callbacks=[backup(), Stop()], epochs=2)
    again = compiled(harden_model(sequential(seed=7), watermark))
    states = fitted(again, digits, callbacks=[backup()], epochs=2)
    assert len(states.weights) == STEPS + 1
    assert same(states.weights[-1], whole.weights[-1])


def test_a_finished_training_with_the_same_optimizer_does_not_count(
    digits: Digits, watermark: Watermark, whole: States
) -> None:
    model = compiled(harden_model(sequential(), watermark))
    fitted(model, digits)
    put(model.trainable_variables, whole.weights[0])
    assert same(fitted(model, digits, epochs=2).weights[-1], whole.weights[-1])


def test_the_plain_recipe_adds_nothing(digits: Digits, watermark: Watermark) -> None:
    model = compiled(harden_model(sequential(), watermark, recipe="adi"))
    plain = fitted(compiled(sequential()), digits)
    assert same(fitted(model, digits).weights[-1], plain.weights[-1], atol=1e-7)


def test_model_and_optimizer_of_the_caller_stay_as_they_were(
    digits: Digits, watermark: Watermark, whole: States
) -> None:
    def attributes(thing: Any) -> dict[str, Any]:
        """What it holds, and what its lists and dicts hold."""
        own = {name: value for name, value in vars(thing).items() if name != "_tracker"}
        return {
            name: (list(map(id, value)) if isinstance(value, list | dict | set) else id(value))
            for name, value in own.items()
        }

    model = compiled(sequential())
    optimizer, apply = model.optimizer, type(model.optimizer).apply
    optimizer.build(model.trainable_variables)
    before, before_optimizer, cls = attributes(model), attributes(optimizer), type(model)
    protected = harden_model(model, watermark)
    assert protected is not model
    fitted(protected, digits)
    protected.compile(keras.optimizers.SGD(1.0), "sparse_categorical_crossentropy")
    assert type(model) is cls
    assert attributes(model) == before
    assert attributes(optimizer) == before_optimizer
    assert type(optimizer).apply is apply
    assert model.train_function is None
    plain = compiled(sequential())
    for own, other in zip(model.trainable_variables, protected.trainable_variables, strict=True):
        assert own is other
    put(model.trainable_variables, whole.weights[0])
    assert same(
        fitted(compiled(model), digits).weights[-1], fitted(plain, digits).weights[-1], atol=1e-7
    )


def test_three_epochs_trace_the_step_once(digits: Digits, watermark: Watermark) -> None:
    model = compiled(harden_model(OwnStep(), watermark))
    fitted(model, digits, epochs=3)
    assert model.calls == (3 * STEPS if BACKEND == "torch" else 1)


def test_callbacks_of_keras_save_what_was_trained(
    digits: Digits, watermark: Watermark, tmp_path: Path
) -> None:
    path = tmp_path / "best.keras"
    keeps = keras.callbacks.ModelCheckpoint(path)
    model = compiled(harden_model(sequential(), watermark))
    states = fitted(model, digits, callbacks=[keeps])
    loaded = keras.saving.load_model(path)
    assert type(loaded) is keras.Sequential
    assert same(values(loaded.trainable_variables), states.weights[-1], atol=0)


def test_a_list_of_callbacks_of_the_callers_own_is_left_alone(
    digits: Digits, watermark: Watermark, whole: States
) -> None:
    model = compiled(harden_model(sequential(), watermark))
    own = keras.callbacks.CallbackList(add_history=True, model=model, epochs=2, steps=STEPS)
    before = list(own.callbacks)
    x, y = digits[0][: SIZE * STEPS], digits[1][: SIZE * STEPS]
    model.fit(x, y, batch_size=SIZE, epochs=2, shuffle=False, verbose=0, callbacks=own)
    assert own.callbacks == before
    assert same(values(model.trainable_variables), whole.weights[-1])


def test_what_cannot_be_protected_is_refused(digits: Digits, watermark: Watermark) -> None:
    with pytest.raises(UsageError, match=r"expected a keras.Model"):
        harden_model(lambda x: x, watermark)
    with pytest.raises(UsageError, match="expected one of adi, robust"):
        harden_model(sequential(), watermark, recipe="strong")
    endless = (batch for batch in batches(digits))
    with pytest.raises(UsageError, match="number of batches per epoch") as caught:
        compiled(harden_model(sequential(), watermark)).fit(endless, verbose=0, shuffle=False)
    assert "steps_per_epoch" in str(caught.value.hint)


def test_an_unbuilt_model_is_built_for_the_claim(watermark: Watermark) -> None:
    model = Subclassed()
    harden_model(model, watermark)
    assert [v.shape for v in model.trainable_variables] == [(64, 16), (16,), (16, 10), (10,)]
    assert np.isfinite(values(model.trainable_variables)[0]).all()
