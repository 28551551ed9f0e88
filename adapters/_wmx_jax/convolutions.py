"""Rewriting convolutions to the layout that XLA runs fast on CPUs, also inside conditions.

On a CPU, XLA uses its fast routine for convolutions in the layout NHWC, HWIO, NHWC.  Those of a
gradient have other layouts, and the pass that converts them only sees a program's main computation:
inside a condition they stay unconverted and run in a loop that takes about 20 times as long.  So
they are rewritten here, before compilation.
"""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax import lax
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn, Literal, jaxpr_as_fun

# calls that can be inlined once derivatives are taken; what recomputation (remat) would save is
# negligible for a gradient over few inputs
CALLS = ("jit", "pjit", "closed_call", "remat2", "checkpoint", "custom_jvp_call", "custom_vjp_call")


def with_canonical_convolutions(function: Callable[[], Sequence[jax.Array]]) -> list[jax.Array]:
    """Call ``function`` with its convolutions transposed to the fast layout; results are equal.

    Convolutions inside the function's own loops and conditions are not changed.

    Args:
        function: traceable; may close over traced values.
    """
    closed = jax.make_jaxpr(lambda: list(function()))()
    return _evaluated(closed.jaxpr, closed.consts, [])


def _evaluated(jaxpr: Jaxpr, constants: Sequence[Any], arguments: Sequence[Any]) -> list[Any]:
    values = dict(zip(jaxpr.constvars, constants, strict=True))
    values.update(zip(jaxpr.invars, arguments, strict=True))

    def value(atom: Any) -> Any:
        return atom.val if isinstance(atom, Literal) else values[atom]

    for equation in jaxpr.eqns:
        operands = [value(atom) for atom in equation.invars]
        if equation.primitive is lax.conv_general_dilated_p:
            results = [_canonical(*operands, **equation.params)]
        elif equation.primitive.name in CALLS:
            results = _evaluated(*_called(equation), operands)
        else:
            results = _as_it_is(equation, jaxpr, operands)
        values.update(zip(equation.outvars, results, strict=True))
    return [value(atom) for atom in jaxpr.outvars]


def _called(call: JaxprEqn) -> tuple[Jaxpr, Sequence[Any]]:
    inner = call.params["jaxpr" if "jaxpr" in call.params else "call_jaxpr"]
    return (inner.jaxpr, inner.consts) if isinstance(inner, ClosedJaxpr) else (inner, ())


def _as_it_is(equation: JaxprEqn, jaxpr: Jaxpr, operands: Sequence[Any]) -> list[Any]:
    known = {
        atom: operand
        for atom, operand in zip(equation.invars, operands, strict=True)
        if not isinstance(atom, Literal)
    }
    alone = jaxpr.replace(
        constvars=(),
        invars=list(known),
        outvars=equation.outvars,
        eqns=[equation],
        effects=equation.effects,
    )
    return jaxpr_as_fun(ClosedJaxpr(alone, ()))(*known.values())


def _canonical(inputs: Any, kernel: Any, *, dimension_numbers: Any, **settings: Any) -> Any:
    of_inputs, of_kernel, of_output = dimension_numbers
    rank = len(of_inputs)
    space = range(1, rank - 1)
    to_back = [of_output[0], *of_output[2:], of_output[1]]
    result = lax.conv_general_dilated_p.bind(
        lax.transpose(inputs, [of_inputs[0], *of_inputs[2:], of_inputs[1]]),
        lax.transpose(kernel, [*of_kernel[2:], of_kernel[1], of_kernel[0]]),
        dimension_numbers=lax.ConvDimensionNumbers(
            (0, rank - 1, *space), (rank - 1, rank - 2, *range(rank - 2)), (0, rank - 1, *space)
        ),
        **settings,
    )
    return lax.transpose(result, np.argsort(to_back).tolist())
