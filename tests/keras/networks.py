"""Small networks in the three ways of Keras, and train steps of the user's own on each backend."""

from typing import Any

import keras
from keras import layers

BACKEND = keras.backend.backend()


def functional(seed: int = 0) -> Any:
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, strides=2, kernel_initializer=_initial(seed))(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(10, kernel_initializer=_initial(seed + 1))(x))


def sequential(seed: int = 0) -> Any:
    return keras.Sequential(
        [
            keras.Input((8, 8, 1)),
            layers.Flatten(),
            layers.Dense(16, activation="relu", kernel_initializer=_initial(seed)),
            layers.Dense(10, kernel_initializer=_initial(seed + 1)),
        ]
    )


class Subclassed(keras.Model):
    """Not built before it is called; its dropout is told whether it trains."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.flatten = layers.Flatten()
        self.hidden = layers.Dense(16, activation="relu", kernel_initializer=_initial(seed))
        self.dropout = layers.Dropout(0.3, seed=1)
        self.head = layers.Dense(10, kernel_initializer=_initial(seed + 1))

    def call(self, x: Any, training: bool = False) -> Any:
        return self.head(self.dropout(self.hidden(self.flatten(x)), training=training))


class OwnStep(Subclassed):
    """Overrides ``train_step`` as Keras' guides for the backend do, and counts its calls."""

    calls = 0

    if BACKEND == "tensorflow":

        def train_step(self, data: Any) -> Any:
            import tensorflow as tf

            self.__dict__["calls"] = self.calls + 1
            x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
            with tf.GradientTape() as tape:
                loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            weights = self.trainable_variables
            self.optimizer.apply(tape.gradient(loss, weights), weights)
            return {"loss": loss}

    if BACKEND == "torch":

        def train_step(self, data: Any) -> Any:
            import torch

            self.__dict__["calls"] = self.calls + 1
            x, y, _ = keras.utils.unpack_x_y_sample_weight(data)
            self.zero_grad()
            loss = self.compute_loss(y=y, y_pred=self(x, training=True))
            loss.backward()
            weights = list(self.trainable_weights)
            with torch.no_grad():
                self.optimizer.apply([v.value.grad for v in weights], weights)
            return {"loss": loss}

    if BACKEND == "jax":

        def train_step(self, state: Any, data: Any) -> Any:
            import jax

            self.__dict__["calls"] = self.calls + 1
            weights, others, optimizer_state, metrics = state
            x, y, _ = keras.utils.unpack_x_y_sample_weight(data)

            def loss_of(weights: Any, others: Any) -> Any:
                y_pred, others = self.stateless_call(weights, others, x, training=True)
                return self.compute_loss(x, y, y_pred), others

            (loss, others), grads = jax.value_and_grad(loss_of, has_aux=True)(weights, others)
            weights, optimizer_state = self.optimizer.stateless_apply(
                optimizer_state, grads, weights
            )
            return {"loss": loss}, (weights, others, optimizer_state, metrics)


def _initial(seed: int) -> Any:
    return keras.initializers.GlorotUniform(seed=seed)
