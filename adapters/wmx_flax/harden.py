"""``harden``: adds the ``robust`` recipe's gradient, taken at randomly perturbed weights.

Fine-tuning and pruning change the weights; a mark that also holds in a neighborhood of them
survives.  Similar: Bansal et al., ICML 2022; Gan et al., ICCV 2023 (docs/recipes.md).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from _wmx_jax.conditions import where_due
from _wmx_jax.noise import normals
from wmx.errors import UsageError
from wmx.training.recipe import Recipe, recipe_named
from wmx.watermark import Watermark
from wmx_flax._inference import Call, Model, PureModel, pure_model, scores_of


def harden(
    grads: Any,
    model: Model,
    watermark: Watermark,
    *,
    step: Any,
    steps: int,
    recipe: str = "robust",
    seed: int = 0,
    call: Call | None = None,
    wrt: Any = nnx.Param,
) -> Any:
    """Return ``grads`` with the recipe's gradient added: a pure function, for use inside ``jit``.

    At every fourth step each parameter is perturbed by Gaussian noise of standard deviation
    ``0.3 min(1, step / (0.6 steps))`` times its root mean square.  The gradient g of the mean
    cross-entropy of the next 32 triggers, not augmented, is taken there, and
    ``g min(1, 1 / ||g||)``, the norm over all parameters, is added.  At other steps, and for the
    recipe ``adi``, nothing happens.  All of it is a function of (seed, step).

    With gradient accumulation (``optax.MultiSteps``), add :func:`harden_transform` to the chain
    instead.

    Args:
        grads: of the task's loss, for all parameters, as ``nnx.grad`` or ``jax.grad`` returns them.
        model: an NNX module, or (Linen module, its variables); takes [k, H, W, C] (images), [k, F]
            or [k, L] and returns logits.
        watermark: the claim and its triggers.
        step: number of this optimizer step, from 0; an int or a traced integer.
        steps: of the whole training.
        recipe: ``"robust"``, ``"brief"`` or ``"adi"``.
        seed: of the noise and the order of the triggers.
        call: (model, inputs) to logits in inference mode, for models with further arguments; for
            Linen (variables, inputs) to logits.
        wrt: which NNX variables are trained, as in ``nnx.grad``.

    Raises:
        UsageError: ``step`` is an int not within ``0..steps-1``, the recipe is unknown, or
            ``grads`` do not match the model's parameters.
        CannotRunError: the model does not return logits for the claim's classes.
    """
    if isinstance(step, int) and not 0 <= step < steps:
        raise UsageError(f"step is {step} and steps {steps}, expected 0 <= step < steps")
    chosen = recipe_named(recipe)
    if chosen.radius == 0 or (isinstance(step, int) and not chosen.hardens_at(step)):
        return grads
    pure = pure_model(model, call, wrt)
    own, shape = jax.tree.flatten(grads)
    if [leaf.shape for leaf in own] != [leaf.shape for leaf in jax.tree.leaves(pure.params)]:
        raise UsageError(
            "the shapes of the gradients are not those of the model's parameters",
            hint="pass the gradients of all parameters, and wrt= if it is not nnx.Param",
        )

    def added() -> list[jax.Array]:
        gradient = added_gradient(pure, watermark, jnp.asarray(step), steps, chosen, seed)
        return jax.tree.leaves(gradient)

    # outside jit a condition would be compiled again at every call
    if isinstance(step, int):
        more = added()
    else:
        nothing = [jnp.zeros_like(leaf) for leaf in jax.tree.leaves(pure.params)]
        more = where_due(step % chosen.every == 0, added, nothing)
    return jax.tree.unflatten(
        shape, [a + b.astype(a.dtype) for a, b in zip(own, more, strict=True)]
    )


def added_gradient(
    pure: PureModel,
    watermark: Watermark,
    step: jax.Array,
    steps: int,
    recipe: Recipe,
    seed: int,
) -> Any:
    """Return the gradient that :func:`harden` adds, as a pytree like the model's parameters.

    Args:
        pure: the model.
        watermark: the claim and its triggers.
        step: at which a gradient is added, an integer array [].
        steps: of the whole training.
        recipe: its settings.
        seed: of the noise and the order of the triggers.
    """
    n = len(watermark.labels)
    leaves, shape = jax.tree.flatten(pure.params)
    places = jnp.asarray(recipe.draws(n, seed), jnp.int32)[step // recipe.every % n]
    return gradient_at(
        pure,
        jnp.asarray(watermark.inputs)[places],
        jnp.asarray(watermark.labels, jnp.int32)[places],
        watermark.task.classes,
        noise=jax.tree.unflatten(shape, normals(leaves, seed, step)),
        radius=recipe.radius * jnp.minimum(1.0, step / steps / recipe.ramp),
        weight=recipe.weight,
    )


def gradient_at(
    pure: PureModel,
    inputs: jax.Array,
    labels: jax.Array,
    classes: int,
    *,
    noise: Any,
    radius: Any,
    weight: float,
) -> Any:
    """Return the gradient to add, clipped to a global norm of 1; zeros if it is not finite.

    Args:
        pure: the model.
        inputs, labels: of the triggers, [k, ...] and int [k].
        classes: number of classes, K.
        noise: standard normal, in the parameters' shapes.
        radius: standard deviation of the noise, in units of each tensor's root mean square.
        weight: factor of the clipped gradient.
    """

    def moved(value: jax.Array, draw: jax.Array) -> jax.Array:
        scale = jnp.sqrt(jnp.mean(jnp.square(value.astype(jnp.float32)))) * radius
        return value + draw.astype(value.dtype) * scale.astype(value.dtype)

    def loss(params: Any) -> jax.Array:
        scores = scores_of(pure.apply(params, inputs), classes).astype(jnp.float32)
        losses = optax.softmax_cross_entropy_with_integer_labels(scores, labels)
        return jnp.mean(losses)

    gradient = jax.grad(loss)(jax.tree.map(moved, pure.params, noise))
    squares = [jnp.sum(jnp.square(g.astype(jnp.float32))) for g in jax.tree.leaves(gradient)]
    norm = jnp.sqrt(sum(squares, jnp.float32(0)))
    finite = jnp.isfinite(norm)
    factor = jnp.where(finite, weight / jnp.maximum(norm, 1.0), 0.0)
    # a gradient that is not finite is dropped; multiplying it by 0 would keep a nan
    return jax.tree.map(lambda g: jnp.where(finite, g * factor.astype(g.dtype), 0), gradient)


class HardeningState(NamedTuple):
    """Number of optimizer steps so far."""

    updates: jax.Array


def harden_transform(
    watermark: Watermark,
    *,
    steps: int,
    recipe: str = "robust",
    seed: int = 0,
    call: Call | None = None,
    wrt: Any = nnx.Param,
) -> optax.GradientTransformationExtraArgs:
    """Return :func:`harden` as an optax transformation, which counts the steps itself.

    Put it first in an ``optax.chain``, inside ``optax.MultiSteps`` if there is one, and pass the
    model with every update:
    ``optimizer.update(model, grads, network=lambda: model)`` for ``nnx.Optimizer``,
    ``tx.update(grads, state, params, network=lambda: (module, variables))`` for Linen.

    Args:
        watermark, recipe, seed, call, wrt: as for :func:`harden`.
        steps: number of updates in the whole training.
    """

    def init(params: Any) -> HardeningState:
        return HardeningState(jnp.zeros((), jnp.int32))

    def update(
        updates: Any,
        state: HardeningState,
        params: Any = None,
        *,
        network: Callable[[], Model] | None = None,
        **_more: Any,
    ) -> tuple[Any, HardeningState]:
        if network is None:
            raise UsageError(
                "harden_transform needs the model in every update",
                hint="optimizer.update(model, grads, network=lambda: model)",
            )
        hardened = harden(
            updates,
            network(),  # a function, as nnx.Optimizer would strip a module of its variables' types
            watermark,
            step=state.updates,
            steps=steps,
            recipe=recipe,
            seed=seed,
            call=call,
            wrt=wrt,
        )
        return hardened, HardeningState(state.updates + 1)

    return optax.GradientTransformationExtraArgs(init, update)
