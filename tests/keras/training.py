"""How the tests of ``harden_model`` train: few steps of 30 digits, SGD with rate 1."""

from typing import Any

import keras
import numpy as np
from added_gradients import States

Digits = tuple[np.ndarray, np.ndarray]
SIZE, STEPS = 30, 6


def batches(digits: Digits, number: int = STEPS) -> list[Digits]:
    x, y = digits
    return [(x[i * SIZE :][:SIZE], y[i * SIZE :][:SIZE]) for i in range(number)]


def compiled(model: Any, optimizer: Any = None, **options: Any) -> Any:
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer or keras.optimizers.SGD(1.0), loss, **options)
    return model


def fitted(
    model: Any, digits: Digits, steps: int = STEPS, callbacks: Any = (), **options: Any
) -> States:
    """Fit on the same batches in each epoch, and return what the state was after each."""
    states = States()
    x, y = digits[0][: steps * SIZE], digits[1][: steps * SIZE]
    callbacks = [*callbacks, states]
    model.fit(x, y, batch_size=SIZE, shuffle=False, verbose=0, callbacks=callbacks, **options)
    return states


def same(one: list[np.ndarray], other: list[np.ndarray], atol: float = 1e-5) -> bool:
    return all(np.allclose(a, b, atol=atol) for a, b in zip(one, other, strict=True))
