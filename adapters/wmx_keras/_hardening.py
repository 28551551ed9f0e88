"""Adds the ``robust`` recipe's gradient, taken at randomly perturbed weights, on any backend.

Fine-tuning and pruning change the weights; a mark that also holds in a neighborhood of them
survives.  Similar: Bansal et al., ICML 2022; Gan et al., ICCV 2023 (docs/recipes.md).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from wmx.errors import UsageError
from wmx.training.recipe import Recipe
from wmx.watermark import Watermark
from wmx_keras import _backends
from wmx_keras._inference import gives_logits, scores_of

FLOAT16_SCALE = 1024.0  # keeps float16 activations' gradients from vanishing


class Hardening:
    """Adds the recipe's gradient to the gradients passed to the optimizer.

    It wraps the optimizer's ``apply``, which every train step calls, Keras' or the user's own, on
    all backends.  The optimizer's number of updates is the step, so the gradient is a function of
    (seed, step) and part of the compiled train step.

    Attributes:
        watermark, recipe, seed: as for :func:`wmx_keras.harden_model`.
        steps: number of updates in the whole training.
        steps_are_given: whether the user gave ``steps``; otherwise ``fit`` determines them.
        first: number of updates that the optimizer had made before the training.
    """

    def __init__(self, watermark: Watermark, recipe: Recipe, seed: int, steps: int | None) -> None:
        self.watermark = watermark
        self.recipe = recipe
        self.seed = seed
        self.steps = steps
        self.steps_are_given = steps is not None
        self.first = 0

    @contextmanager
    def between(self, model: Any, non_trainable: list[Any] | None) -> Iterator[None]:
        """Add the gradient in every call of the optimizer's ``apply`` within the block.

        Args:
            model: whose train step runs, or is traced, in the block.
            non_trainable: values of its non-trainable variables, where the backend passes them
                through the step (JAX).

        Raises:
            UsageError: :attr:`steps` is unknown.
        """
        optimizer = innermost(model.optimizer)
        if self.recipe.radius == 0 or optimizer is None:
            yield
            return
        if self.steps is None:
            raise UsageError(
                "the number of optimizer updates is unknown, and the recipe depends on it",
                hint="harden_model(model, watermark, steps=...)",
            )
        apply, added = optimizer.apply, _backends.current().untraced(self._added)

        def hardened(grads: Any, trainable_variables: Any = None) -> Any:
            variables = trainable_variables
            if variables is None:
                variables = optimizer._trainable_variables  # as Keras' own apply does
            variables, grads = list(variables), list(grads)
            more = added(model, optimizer, variables, non_trainable)
            grads = [_sum(a, b) for a, b in zip(grads, more, strict=True)]
            return apply(grads, trainable_variables)

        optimizer.__dict__["apply"] = hardened
        try:
            yield
        finally:
            del optimizer.__dict__["apply"]

    def _added(
        self, model: Any, optimizer: Any, variables: list[Any], non_trainable: list[Any] | None
    ) -> list[Any]:
        backend, recipe = _backends.current(), self.recipe
        together = optimizer.gradient_accumulation_steps or 1
        scale = float(together) * (optimizer.loss_scale_factor or 1.0)
        step = ops.cast(ops.convert_to_tensor(optimizer.iterations), "int32") - self.first
        calls = ops.convert_to_tensor(
            optimizer._iterations
        )  # several per update, with accumulation
        due = ops.logical_and((calls + 1) % together == 0, step % recipe.every == 0)
        values = [ops.convert_to_tensor(variable.value) for variable in variables]

        def added() -> list[Any]:
            n = len(self.watermark.labels)
            table = ops.convert_to_tensor(recipe.draws(n, self.seed).astype("int32"))
            places = ops.take(table, step // recipe.every % n, axis=0)
            part = ops.cast(step, "float32") / float(self.steps or 1) / recipe.ramp
            gradient = gradient_at(
                model,
                variables,
                values,
                non_trainable,
                ops.take(ops.convert_to_tensor(self.watermark.inputs), places, axis=0),
                ops.take(ops.convert_to_tensor(self.watermark.labels.astype("int32")), places),
                noise=backend.normals(values, self.seed, step),
                radius=recipe.radius * ops.minimum(part, 1.0),
                weight=recipe.weight,
            )
            # undo that the optimizer averages accumulated gradients and divides by its scale
            return [g * scale for g in gradient]

        return backend.where_due(due, added, [ops.zeros_like(value) for value in values])


def gradient_at(
    model: Any,
    variables: list[Any],
    values: list[Any],
    non_trainable: list[Any] | None,
    inputs: Any,
    labels: Any,
    *,
    noise: list[Any],
    radius: Any,
    weight: float,
) -> list[Any]:
    """Return the gradient to add, clipped to a global norm of 1; zeros if it is not finite.

    Args:
        model: a built Keras model.
        variables: those to perturb; the model's others are not changed.
        values: of these variables.
        non_trainable: values of the model's non-trainable variables; the present ones if ``None``.
        inputs, labels: of the triggers, [k, ...] and int [k].
        noise: standard normal, in the values' shapes.
        radius: standard deviation of the noise, in units of each tensor's root mean square.
        weight: factor of the clipped gradient.
    """
    place = {id(variable): i for i, variable in enumerate(variables)}
    logits = gives_logits(model)
    if non_trainable is None:
        non_trainable = [v.value for v in model.non_trainable_variables]
    scale = FLOAT16_SCALE if model.compute_dtype == "float16" else 1.0

    def loss(moved: list[Any]) -> Any:
        trainable = [
            moved[place[id(v)]] if id(v) in place else v.value for v in model.trainable_variables
        ]
        arguments = {"training": False} if model._call_has_training_arg else {}
        output, _ = model.stateless_call(trainable, non_trainable, inputs, **arguments)
        scores = ops.cast(scores_of(output, ops.shape(output)[-1]), "float32")
        losses = keras.losses.sparse_categorical_crossentropy(labels, scores, from_logits=logits)
        return ops.mean(losses) * scale

    moved = [
        value + draw * ops.cast(ops.sqrt(ops.mean(ops.square(value))) * radius, value.dtype)
        for value, draw in zip(values, noise, strict=True)
    ]
    gradient = [g / scale for g in _backends.current().gradients(loss, moved)]
    squares = [ops.sum(ops.square(ops.cast(g, "float32"))) for g in gradient]
    norm = ops.sqrt(sum(squares[1:], squares[0]))
    finite = ops.isfinite(norm)
    factor = ops.where(finite, weight / ops.maximum(norm, 1.0), 0.0)
    # a gradient that is not finite is dropped; multiplying it by 0 would keep a nan
    return [ops.where(finite, g * ops.cast(factor, g.dtype), ops.zeros_like(g)) for g in gradient]


def innermost(optimizer: Any) -> Any:
    """Return the optimizer inside a ``LossScaleOptimizer``, whose gradients are unscaled."""
    while hasattr(optimizer, "inner_optimizer"):
        optimizer = optimizer.inner_optimizer
    return optimizer


def _sum(own: Any, added: Any) -> Any:
    return added if own is None else ops.add(ops.convert_to_tensor(own), added)
