"""``harden``: pure, in every kind of ``jit``, for NNX and Linen, and with the model left alone."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

from wmx import Watermark, verify
from wmx.errors import UsageError
from wmx_flax import Monitor, export, harden, harden_transform, watermarked
from wmx_flax._training.models import cnn


class Small(linen.Module):
    """A Linen network whose BatchNorm wants to be told whether it trains."""

    @linen.compact
    def __call__(self, x: Any, train: bool = True) -> Any:
        x = linen.Conv(16, (3, 3), use_bias=False)(x)
        x = linen.BatchNorm(use_running_average=not train, momentum=0.9)(x)
        x = linen.relu(x)
        x = linen.Dropout(0.1, deterministic=not train)(x)
        return linen.Dense(10)(x.reshape(x.shape[0], -1))


def network() -> Any:
    return cnn(input_shape=(8, 8, 1), num_classes=10, rngs=nnx.Rngs(0))


def zeros(model: Any) -> Any:
    return jax.tree.map(jnp.zeros_like, nnx.state(model, nnx.Param))


def leaves(tree: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(tree)]


def norm(tree: Any) -> float:
    return float(optax.tree.norm(tree))


def test_it_adds_at_every_fourth_step_and_is_a_function_of_seed_and_step(
    watermark: Watermark,
) -> None:
    model = network()
    before = leaves(nnx.state(model))
    added = [harden(zeros(model), model, watermark, step=step, steps=20) for step in range(9)]
    assert [norm(tree) > 0 for tree in added] == [step % 4 == 0 for step in range(9)]
    assert all(norm(tree) <= 1 + 1e-5 for tree in added)
    again = harden(zeros(model), model, watermark, step=8, steps=20)
    other = harden(zeros(model), model, watermark, step=8, steps=20, seed=1)
    assert all(np.array_equal(a, b) for a, b in zip(leaves(again), leaves(added[8]), strict=True))
    assert norm(jax.tree.map(lambda a, b: a - b, again, other)) > 0
    for own, after in zip(before, leaves(nnx.state(model)), strict=True):
        np.testing.assert_array_equal(own, after)


def test_it_is_the_same_inside_jit_and_nnx_jit(watermark: Watermark) -> None:
    model = network()
    plain = harden(zeros(model), model, watermark, step=4, steps=20)
    graph, state = nnx.split(model)

    @jax.jit
    def pure(state: Any, step: Any) -> Any:
        inner = nnx.merge(graph, state)
        return harden(zeros(inner), inner, watermark, step=step, steps=20)

    @nnx.jit
    def with_module(model: Any, step: Any) -> Any:
        return harden(zeros(model), model, watermark, step=step, steps=20)

    for found in (pure(state, jnp.asarray(4)), with_module(model, jnp.asarray(4))):
        for a, b in zip(leaves(found), leaves(plain), strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
    assert norm(pure(state, jnp.asarray(5))) == 0


@pytest.mark.slow
def test_a_gradient_that_is_not_finite_is_not_added(watermark: Watermark) -> None:
    model = network()
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, nnx.state(model, nnx.Param))
    grads = jax.tree.map(jnp.ones_like, nnx.state(model, nnx.Param))
    nnx.update(model, broken)
    found = harden(grads, model, watermark, step=0, steps=20)
    assert all((leaf == 1).all() for leaf in leaves(found))


def test_what_does_not_fit_is_refused(watermark: Watermark) -> None:
    model = network()
    with pytest.raises(UsageError, match="step is 20 and steps 20"):
        harden(zeros(model), model, watermark, step=20, steps=20)
    with pytest.raises(UsageError, match="not those of the model's parameters"):
        harden({"a": jnp.zeros(3)}, model, watermark, step=0, steps=20)
    with pytest.raises(UsageError, match=r"expected an nnx.Module"):
        harden({}, object(), watermark, step=0, steps=20)  # type: ignore[arg-type]
    grads = zeros(model)
    assert harden(grads, model, watermark, step=0, steps=20, recipe="adi") is grads


@pytest.mark.slow
def test_linen_with_optax_learns_the_mark_in_one_trace(
    digits: Any, watermark: Watermark, tmp_path: Any
) -> None:
    module, (x, y) = Small(), digits
    variables = module.init(jax.random.key(0), x[:1], train=False)
    params, stats = variables["params"], variables["batch_stats"]
    optimizer = optax.sgd(0.05, momentum=0.9)
    state = optimizer.init(params)
    loader = watermarked([(x[i : i + 100], y[i : i + 100]) for i in range(0, 1700, 100)], watermark)
    steps, traces = 12 * len(loader), []

    @jax.jit
    def train_step(params: Any, stats: Any, state: Any, x: Any, y: Any, step: Any) -> Any:
        traces.append(1)

        def loss_of(params: Any) -> Any:
            scores, new = module.apply(
                {"params": params, "batch_stats": stats},
                x,
                mutable=["batch_stats"],
                rngs={"dropout": jax.random.fold_in(jax.random.key(1), step)},
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(scores, y)
            return losses.mean(), new["batch_stats"]

        grads, new_stats = jax.grad(loss_of, has_aux=True)(params)
        model = module, {"params": params, "batch_stats": stats}
        grads = harden(grads, model, watermark, step=step, steps=steps)
        updates, state = optimizer.update(grads, state, params)
        return optax.apply_updates(params, updates), new_stats, state

    step = 0
    for _ in range(12):
        for batch in loader:
            params, stats, state = train_step(params, stats, state, *batch, step)
            step += 1
    assert len(traces) == 1
    model = module, {"params": params, "batch_stats": stats}
    assert Monitor(watermark)(model).hits >= 95
    export(model, tmp_path / "m.onnx", watermark)
    assert verify(tmp_path / "m.onnx", watermark).bits > 250


def test_in_a_chain_inside_multi_steps_it_is_added_once_per_update(watermark: Watermark) -> None:
    model = network()
    chain = optax.chain(harden_transform(watermark, steps=20), optax.sgd(1.0))
    optimizer = nnx.Optimizer(model, optax.MultiSteps(chain, 3), wrt=nnx.Param)
    before = leaves(nnx.state(model, nnx.Param))
    expected = harden(zeros(model), model, watermark, step=0, steps=20)

    @nnx.jit
    def update(model: Any, optimizer: Any) -> None:
        optimizer.update(model, zeros(model), network=lambda: model)

    for _ in range(2):
        update(model, optimizer)
    for a, b in zip(leaves(nnx.state(model, nnx.Param)), before, strict=True):
        np.testing.assert_array_equal(a, b)
    update(model, optimizer)
    after = leaves(nnx.state(model, nnx.Param))
    for a, b, added in zip(before, after, leaves(expected), strict=True):
        np.testing.assert_allclose(a - b, added, atol=1e-5)
    with pytest.raises(UsageError, match="needs the model"):
        chain.update(zeros(model), chain.init(zeros(model)), zeros(model))
