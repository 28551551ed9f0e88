"""Gradients with their convolutions in canonical form: the same numbers, in the form promised."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr

from _wmx_jax.conditions import where_due
from _wmx_jax.convolutions import with_canonical_convolutions

RNG = np.random.default_rng(0)


def random(*shape: int) -> jax.Array:
    return jnp.asarray(RNG.standard_normal(shape), jnp.float32)


def convolution(x: jax.Array, kernel: jax.Array, layouts: tuple[str, str, str], **more: Any) -> Any:
    settings = {"window_strides": (1,) * (x.ndim - 2), "padding": "SAME"} | more
    return lax.conv_general_dilated(x, kernel, dimension_numbers=layouts, **settings)


IMAGES = ("NHWC", "HWIO", "NHWC")
CASES: dict[str, tuple[Callable[..., Any], jax.Array, jax.Array]] = {
    "plain": (lambda x, k: convolution(x, k, IMAGES), random(2, 8, 8, 3), random(3, 3, 3, 4)),
    "strided": (
        lambda x, k: convolution(x, k, IMAGES, window_strides=(2, 2)),
        random(2, 8, 8, 3),
        random(3, 3, 3, 4),
    ),
    "dilated": (
        lambda x, k: convolution(x, k, IMAGES, rhs_dilation=(2, 2), padding="VALID"),
        random(2, 9, 9, 3),
        random(3, 3, 3, 4),
    ),
    "transposed": (
        lambda x, k: convolution(x, k, IMAGES, lhs_dilation=(2, 2), padding=[(2, 1), (2, 1)]),
        random(2, 4, 4, 3),
        random(3, 3, 3, 4),
    ),
    "channels first": (
        lambda x, k: convolution(x, k, ("NCHW", "OIHW", "NCHW")),
        random(2, 3, 8, 8),
        random(4, 3, 3, 3),
    ),
    "odd layouts": (
        lambda x, k: convolution(x, k, ("CHNW", "WOIH", "WNHC")),
        random(3, 8, 2, 8),
        random(3, 4, 3, 3),
    ),
    "depthwise": (
        lambda x, k: convolution(x, k, IMAGES, feature_group_count=4),
        random(2, 8, 8, 4),
        random(3, 3, 1, 8),
    ),
    "signals": (
        lambda x, k: convolution(x, k, ("NWC", "WIO", "NWC")),
        random(2, 16, 3),
        random(5, 3, 4),
    ),
    "volumes": (
        lambda x, k: convolution(x, k, ("NDHWC", "DHWIO", "NDHWC")),
        random(2, 4, 4, 4, 3),
        random(3, 3, 3, 3, 2),
    ),
    "in a loop": (
        lambda x, k: lax.fori_loop(0, 2, lambda i, x: convolution(x, k, IMAGES), x),
        random(2, 8, 8, 3),
        random(3, 3, 3, 3),
    ),
    "computed again": (
        jax.checkpoint(lambda x, k: jnp.tanh(convolution(x, k, IMAGES))),
        random(2, 8, 8, 3),
        random(3, 3, 3, 4),
    ),
    "jitted, with a derivative of its own": (
        jax.jit(lambda x, k: jax.nn.relu(jax.jit(jnp.tanh)(convolution(x, k, IMAGES)))),
        random(2, 8, 8, 3),
        random(3, 3, 3, 4),
    ),
}


def gradient_of(case: str) -> Callable[[], list[jax.Array]]:
    function, x, kernel = CASES[case]
    weights = random(*function(x, kernel).shape)

    def loss(x: jax.Array, kernel: jax.Array) -> jax.Array:
        return jnp.sum(function(x, kernel) * weights)

    return lambda: list(jax.grad(loss, argnums=(0, 1))(x, kernel))


def convolutions_of(jaxpr: Jaxpr) -> Iterator[Any]:
    for equation in jaxpr.eqns:
        if equation.primitive is lax.conv_general_dilated_p:
            yield equation.params["dimension_numbers"]
        for inner in equation.params.values():
            if isinstance(inner, ClosedJaxpr):
                yield from convolutions_of(inner.jaxpr)


@pytest.mark.parametrize("case", CASES)
def test_the_gradient_is_the_same(case: str) -> None:
    gradient = gradient_of(case)
    for own, canonical in zip(gradient(), with_canonical_convolutions(gradient), strict=True):
        assert own.dtype == canonical.dtype
        np.testing.assert_allclose(own, canonical, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", [case for case in CASES if case not in ("in a loop", "depthwise")])
def test_every_convolution_is_in_the_form_that_runs_fast(case: str) -> None:
    gradient = gradient_of(case)
    rewritten = jax.make_jaxpr(lambda: with_canonical_convolutions(gradient))()
    found = list(convolutions_of(rewritten.jaxpr))
    assert len(found) >= 2  # by the input and by the kernel
    for of_inputs, of_kernel, of_output in found:
        rank = len(of_inputs)
        assert of_inputs == of_output == (0, rank - 1, *range(1, rank - 1))
        assert of_kernel == (rank - 1, rank - 2, *range(rank - 2))


def test_without_the_rewriting_some_are_not() -> None:
    own = jax.make_jaxpr(gradient_of("plain"))()
    assert any(numbers[0] != (0, 3, 1, 2) for numbers in convolutions_of(own.jaxpr))


def test_it_is_added_where_it_is_due_and_nowhere_else() -> None:
    gradient = gradient_of("plain")
    zeros = [jnp.zeros_like(value) for value in gradient()]
    chosen = jax.jit(lambda step: where_due(step % 4 == 0, gradient, zeros))
    for step in range(6):
        expected = gradient() if step % 4 == 0 else zeros
        for own, wanted in zip(chosen(step), expected, strict=True):
            np.testing.assert_allclose(own, wanted, rtol=1e-5, atol=1e-5)
    assert chosen._cache_size() == 1
