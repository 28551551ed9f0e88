"""``harden_model``: makes a Keras model's ``fit`` train with the ``robust`` recipe."""

import copy
import inspect
from functools import lru_cache
from typing import Any, TypeVar, cast

import keras

from wmx.errors import UsageError
from wmx.training.recipe import recipe_named
from wmx.watermark import Watermark
from wmx_keras._hardening import Hardening, innermost

Model = TypeVar("Model")
ATTRIBUTE = "_wmx_hardening"


def harden_model(
    model: Model,
    watermark: Watermark,
    *,
    recipe: str = "robust",
    steps: int | None = None,
    seed: int = 0,
) -> Model:
    """Return a model that shares the weights of ``model`` and trains with the recipe.

    At every fourth update each trainable tensor is perturbed by Gaussian noise of standard
    deviation ``0.3 min(1, step / (0.6 steps))`` times its root mean square.  The gradient g of the
    mean cross-entropy of the next 32 triggers, not augmented, is taken there, with every layer in
    inference mode, and ``g min(1, 1 / ||g||)``, the norm over all parameters, is added to the
    task's gradient.  This also works with a ``train_step`` of the user's own.

    Compile the model before or after; train the one that is returned.  Both share their weights, so
    either can be exported.  A model that has not been built is built for the claim's task.

    Args:
        model: a Keras model: functional, sequential or subclassed.
        watermark: the claim and its triggers.
        recipe: ``"robust"``, ``"brief"`` or ``"adi"``, with which nothing is added.
        steps: number of updates in the whole training; ``None`` lets ``fit`` determine it.
            Required if ``fit`` is called once per epoch, or ``train_on_batch`` is used.
        seed: of the noise and the order of the triggers.

    Raises:
        UsageError: ``model`` is not a Keras model, or the recipe is unknown.
    """
    chosen = recipe_named(recipe)
    if not isinstance(model, keras.Model):
        raise UsageError(f"the model is {type(model).__name__}, expected a keras.Model")
    if not model.built:
        model(keras.ops.convert_to_tensor(watermark.inputs[:1]))
    cls = _protected_class(cast(Any, type(model)))
    protected = object.__new__(cls)
    for name, value in model.__dict__.items():
        # TensorFlow tracks what is saved with an object in lists that must not be shared
        protected.__dict__[name] = copy.copy(value) if name.startswith("_self_") else value
    protected.__dict__["train_function"] = None
    protected.__dict__[ATTRIBUTE] = Hardening(watermark, chosen, seed, steps)
    return cast(Model, protected)


@lru_cache
def _protected_class(base: type) -> Any:
    class Protected(base):  # type: ignore[misc]
        def train_step(self, *arguments: Any, **more: Any) -> Any:
            hardening: Hardening = self.__dict__[ATTRIBUTE]
            # on JAX the state is an argument of the step: (state, data) instead of (data,)
            non_trainable = arguments[0][1] if keras.backend.backend() == "jax" else None
            with hardening.between(self, non_trainable):
                return super().train_step(*arguments, **more)

        def fit(self, *arguments: Any, **more: Any) -> Any:
            bound = inspect.signature(super().fit).bind(*arguments, **more)
            begin = _Begin(self, bound.arguments.get("initial_epoch", 0))
            callbacks = bound.arguments.get("callbacks")
            if isinstance(callbacks, keras.callbacks.CallbackList):
                # a new list of the same callbacks, so that the caller's is not changed
                bound.arguments["callbacks"] = keras.callbacks.CallbackList(
                    [*callbacks.callbacks, begin], model=self, **callbacks.params
                )
            else:
                own = callbacks if isinstance(callbacks, list | tuple) else [callbacks]
                own = [callback for callback in own if callback is not None]
                bound.arguments["callbacks"] = [*own, begin]
            return super().fit(*bound.args, **bound.kwargs)

    Protected.__name__ = base.__name__
    Protected.__qualname__ = base.__qualname__
    Protected.__module__ = base.__module__
    return Protected


class _Begin(keras.callbacks.Callback):  # type: ignore[misc]
    """Tells the hardening the number of steps before the train step is traced."""

    def __init__(self, model: Any, initial_epoch: int) -> None:
        super().__init__()
        self._model = model
        self._initial_epoch = initial_epoch

    def on_train_begin(self, logs: Any = None) -> None:
        hardening: Hardening = self._model.__dict__[ATTRIBUTE]
        _require_one_replica(self._model)
        if hardening.steps_are_given or hardening.recipe.radius == 0:
            return
        per_epoch, epochs = self.params.get("steps"), self.params.get("epochs")
        if not per_epoch or not epochs:
            raise UsageError(
                "the number of batches per epoch is unknown, and the recipe depends on it",
                hint="fit(..., steps_per_epoch=...) or harden_model(model, watermark, steps=...)",
            )
        optimizer = innermost(self._model.optimizer)
        together = optimizer.gradient_accumulation_steps or 1
        steps = max(1, per_epoch * epochs // together)
        # BackupAndRestore, which ran before this callback, sets where the model resumes
        initial_epoch = self._model._initial_epoch or self._initial_epoch
        first = int(optimizer.iterations) - per_epoch * initial_epoch // together
        if (steps, first) != (hardening.steps, hardening.first):
            hardening.steps, hardening.first = steps, first
            self._model.make_train_function(force=True)  # they are constants of the traced step


def _require_one_replica(model: Any) -> None:
    strategy = getattr(model, "distribute_strategy", None)
    if strategy is not None and strategy.num_replicas_in_sync > 1:
        raise UsageError(
            f"{type(strategy).__name__} over {strategy.num_replicas_in_sync} replicas would add "
            "the gradient once in each",
            hint="for data parallelism use keras.distribution.DataParallel on the JAX backend",
        )
