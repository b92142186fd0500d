"""Narrowing casts in a program: where a float64 run loses its digits, by source line."""

import os
from collections.abc import Iterator

import jax
import jax.numpy as jnp
from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn
from jaxtyping import DTypeLike

_OURS = os.path.dirname(os.path.abspath(__file__))
_JAX = os.path.dirname(os.path.abspath(jax.__file__))
_SUSPECTS = ("convert_element_type", "reduce_precision", "dot_general", "conv_general_dilated")


def narrowing(jaxpr: ClosedJaxpr) -> tuple[str, ...]:
    """Conversions to fewer digits in `jaxpr` and its inner programs, one line each.

    Found are casts of floating-point numbers to a narrower type, `reduce_precision`, and matrix products and
    convolutions that accumulate or multiply in a narrower type than their operands.
    """
    suspects = (eqn for eqn in equations(jaxpr) if eqn.primitive.name in _SUSPECTS)
    return tuple(dict.fromkeys(f"{what}, {where(eqn)}" for eqn in suspects if (what := _loss(eqn))))


def equations(jaxpr: ClosedJaxpr | Jaxpr) -> Iterator[JaxprEqn]:
    """All equations of a program, those of inner programs (scan, cond, jit, custom derivatives) included."""
    stack = [jaxpr]
    while stack:
        program = stack.pop()
        for eqn in getattr(program, "jaxpr", program).eqns:
            yield eqn
            for value in eqn.params.values():
                inner = value if isinstance(value, tuple | list) else (value,)
                stack.extend(x for x in inner if hasattr(getattr(x, "jaxpr", x), "eqns"))


def where(eqn: JaxprEqn) -> str:
    """The source line of an equation that is most telling: the user's own, else the first outside of JAX."""
    traceback = eqn.source_info.traceback
    # the call stack, the innermost first, without what is of jax or of the check itself
    stack: list = [] if traceback is None else list(traceback.frames)
    frames = [f for f in stack if not f.file_name.startswith((_OURS, _JAX))]
    own = [f for f in frames if "site-packages" not in f.file_name and os.path.isfile(f.file_name)]
    scope = str(eqn.source_info.name_stack)
    prefix = f"{scope}, " if scope else ""
    if not frames:
        return f"{prefix}source unknown"
    frame = (own or frames)[0]
    name = os.path.join(*frame.file_name.split(os.sep)[-2:])
    return f"{prefix}{name}:{frame.line_num} ({frame.function_name.split('.')[-1]})"


def _loss(eqn: JaxprEqn) -> str:
    """What an equation does to the digits of its first operand, or nothing."""
    kind, params = eqn.primitive.name, eqn.params
    source = getattr(eqn.invars[0].aval, "dtype", None) if eqn.invars else None
    if source is None or not jnp.issubdtype(source, jnp.inexact):
        return ""
    if kind == "convert_element_type" and _narrower(params["new_dtype"], source):
        return f"{source} -> {jnp.dtype(params['new_dtype'])}"
    if kind == "reduce_precision" and params["mantissa_bits"] < jnp.finfo(source).nmant:
        return f"{source} rounded to {params['mantissa_bits']} bits"
    if kind in ("dot_general", "conv_general_dilated"):
        wanted = params.get("preferred_element_type")
        if wanted is not None and _narrower(wanted, source):
            return f"{kind} of {source} in {jnp.dtype(wanted)}"
        if isinstance(params.get("precision"), jax.lax.DotAlgorithm | jax.lax.DotAlgorithmPreset):
            return f"{kind} of {source} by {params['precision']}"
    return ""


def _narrower(new: DTypeLike, old: DTypeLike) -> bool:
    """Whether floating-point numbers of one type have fewer digits than those of another."""
    return jnp.issubdtype(new, jnp.inexact) and jnp.finfo(new).nmant < jnp.finfo(old).nmant
