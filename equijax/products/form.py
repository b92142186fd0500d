"""A product is a multilinear form, and so is each of its derivatives: the rule, said once for all products.

A product z = f(x, y, ...) that is linear in each factor is the contraction ∂T/∂z of the form

    T(x, y, ..., z) = ⟨z, f(x, y, ...)⟩

with all of its arguments but z. Its derivatives are contractions of the same T, all but another argument:

- forward: if x changes by dx, then ∂T/∂z changes by ∂T/∂z at (dx, y, ...), and so on for every argument;
- backward: with the cotangent in place of z, the gradients are ∂T/∂x, ∂T/∂y, ...

So whoever can contract T with all arguments but one, whichever it is, has all derivatives of all orders, in both
directions, and none of them is a transposed program. `Multilinear` makes that of a function `contract`.
"""

import functools
import math
import operator
from collections.abc import Callable, Hashable, Mapping
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array

from equijax.numerics.primitives import compile_alone, is_divided, vary_alike


class Out(NamedTuple):
    """An argument by which a form is derived, and the shape (..., coefficients, channels) and dtype of the derivative.

    Where the shape is 1 along an axis of rows, or of channels, and those of the arguments that are known are longer,
    the derivative is added up: the argument is shared.
    """

    argument: int
    shape: tuple[int, ...]
    dtype: np.dtype


Known: TypeAlias = dict[int, Array]
Contract: TypeAlias = Callable[[Any, Known, tuple[Out, ...]], list[Array]]


class Multilinear:
    """A family of multilinear forms, as primitives of JAX: every derivative, batches, what each platform runs.

    Arguments are numbered. Each is an array (..., coefficients, channels), all of the same rank; rows and channels are
    broadcast. Which form of the family it is, a hashable description says: equal ones compile once.

    Args:
        name: Of the primitives, as programs show it.
        contract: `contract(form, known, outs)` is ∂T/∂(out) for each of `outs`; `known` are the other arguments, by
            number. With several outs, each may be known too, and is needed for the others only.
        kernels: The same as `contract` by platform, for programs that the compiler does not divide among devices.
    """

    def __init__(self, name: str, contract: Contract, kernels: Mapping[str, Contract] | None = None):
        self._contraction = Primitive(name)
        self._tangent = Primitive(name + "_tangent")

        def lowered(contract):
            return mlir.lower_fun(lambda *a, form, given, outs: contract(form, _by_number(given, a), outs))

        # A contraction, and the sum of changes that is its derivative: each has a value, a derivative, a transpose
        rules = (
            (self._contraction, self._contraction_jvp, lowered(contract)),
            (self._tangent, self._tangent_jvp, mlir.lower_fun(self._change)),
        )
        for primitive, jvp, lowering in rules:
            primitive.multiple_results = True
            primitive.def_abstract_eval(_avals)
            compile_alone(primitive, ("form", "given", "outs", "moving"))
            ad.primitive_jvps[primitive] = jvp
            ad.primitive_transposes[primitive] = self._transpose
            batching.primitive_batchers[primitive] = functools.partial(_batched, primitive)
            mlir.register_lowering(primitive, lowering)
        # Platforms with a program of their own
        for platform, kernel in (kernels or {}).items():
            rule = functools.partial(_unless_divided, lowered(kernel), lowered(contract))
            mlir.register_lowering(self._contraction, rule, platform=platform)

    def __call__(self, form: Hashable, known: Known, out: Out) -> Array:
        """∂T/∂(out)."""
        return self._bind(form, dict(zip(known, vary_alike(*known.values()), strict=True)), (out,))[0]

    def _bind(self, form, known, outs):
        return self._contraction.bind(*known.values(), form=form, given=tuple(known), outs=outs)

    def _contraction_jvp(self, primals, tangents, *, given, **params):
        """All changes by one primitive, whose transpose then is one contraction for all gradients at once."""
        moving = {k: t for k, t in zip(given, tangents, strict=True) if type(t) is not ad.Zero}
        changes = self._tangent.bind(*primals, *moving.values(), given=given, moving=tuple(moving), **params)
        return self._contraction.bind(*primals, given=given, **params), changes

    def _change(self, *arrays, form, given, outs, moving):
        """Σ_k ∂T/∂(out) with the argument k replaced by its change; the changes of `moving` are the last arrays."""
        at, changes = _by_number(given, arrays[: len(given)]), _by_number(moving, arrays[len(given) :])
        total = []
        for out in outs:
            others = {k: a for k, a in at.items() if k != out.argument}
            terms = [self._bind(form, others | {k: d}, (out,))[0] for k, d in changes.items() if k != out.argument]
            total.append(
                functools.reduce(operator.add, terms) if terms else jnp.zeros_like(at[out.argument], out.dtype)
            )
        return total

    def _tangent_jvp(self, primals, tangents, **params):
        moving = [i for i, t in enumerate(tangents) if type(t) is not ad.Zero]

        def f(*moved):
            changed = dict(zip(moving, moved, strict=True))
            return self._change(*(changed.get(i, a) for i, a in enumerate(primals)), **params)

        return jax.jvp(f, [primals[i] for i in moving], [tangents[i] for i in moving])

    def _transpose(self, cotangents, *arrays, form, given, outs, moving=()):
        """By the arguments that a contraction, or its change, is linear in; all of them at once for each out."""
        linear = {  # position by argument
            k: i for i, (k, a) in enumerate(zip((*given, *moving), arrays, strict=True)) if ad.is_undefined_primal(a)
        }
        at = {k: a for k, a in zip(given, arrays, strict=False) if not ad.is_undefined_primal(a)}
        found = [None] * len(arrays)
        for out, cotangent in zip(outs, cotangents, strict=True):
            avals = {k: arrays[i].aval for k, i in linear.items() if k != out.argument}
            if type(cotangent) is ad.Zero or not avals:
                continue
            known = dict(sorted((at | {out.argument: cotangent}).items()))
            wanted = tuple(Out(k, aval.shape, aval.dtype) for k, aval in avals.items())
            for k, gradient in zip(avals, self._bind(form, known, wanted), strict=True):
                i = linear[k]
                found[i] = gradient if found[i] is None else found[i] + gradient
        return found


def rest(x: Any) -> tuple[int, ...]:
    """The shape of features but for the coefficients: rows and channels."""
    return (*x.shape[:-2], x.shape[-1])


def columns(known: Known) -> int:
    """Rows times channels of a contraction of these arguments."""
    return math.prod(jnp.broadcast_shapes(*map(rest, known.values())))


def add_up(z: Array, shape: tuple[int, ...]) -> Array:
    """`z` added up over the axes of rows and channels that are 1 in `shape`, that of an `Out`, and longer in z."""
    axes = [i for i, (n, left) in enumerate(zip(z.shape, shape, strict=True)) if n != left]
    return jnp.sum(z, axes, keepdims=True) if axes else z


def _by_number(numbers, arrays):
    return dict(zip(numbers, arrays, strict=True))


def _unless_divided(kernel, plain, ctx, *arrays, **params):
    return (plain if is_divided(ctx) else kernel)(ctx, *arrays, **params)


def _avals(*arrays, outs, **_):
    """As those of the arguments, which vary over the axes of a mesh alike."""
    return [arrays[0].update(shape=out.shape, dtype=out.dtype, weak_type=False) for out in outs]


def _batched(primitive, arrays, axes, *, outs, **params):
    """A batch becomes a further axis in front of the rows."""
    size = next(a.shape[i] for a, i in zip(arrays, axes, strict=True) if i is not None)
    moved = (a[None] if i is None else jnp.moveaxis(a, i, 0) for a, i in zip(arrays, axes, strict=True))
    found = primitive.bind(*moved, outs=tuple(out._replace(shape=(size, *out.shape)) for out in outs), **params)
    return found, [0] * len(found)
