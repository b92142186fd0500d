"""Products as products of values on a grid: to the grid, multiplied there, and back."""

import functools

import jax
import jax.numpy as jnp
from jaxtyping import Array

from equijax.products.form import Known, Out, rest
from equijax.products.trilinear import Trilinear
from equijax.spherical import transforms


def contract(form: Trilinear, known: Known, outs: tuple[Out, ...], *, method: str) -> list[Array]:
    """∂T/∂(out) for each of `outs` on the grid of a method of `transforms`."""
    return [
        _contract(*(known[k] for k in form.factors(out.argument)), form.turned(out.argument), out.shape, method)
        for out in outs
    ]


@functools.partial(jax.jit, static_argnums=(2, 3, 4))  # traced once for derivatives that are the same program
def _contract(x, y, form, shape, method):
    l1, l2, lmax = form.degrees
    full, left = jnp.broadcast_shapes(rest(x), rest(y)), (*shape[:-2], shape[-1])
    shared = [i - len(full) for i, (n, m) in enumerate(zip(full, left, strict=True)) if n != m]

    def values(a, field="value"):
        first = jnp.moveaxis(a, -2, 0)  # (coefficients, ..., channels), as grids have the points first
        return transforms.to_grid(method, first, l1 + l2, lmax, field, form.precision)

    if form.odd:
        product = values(x, "theta") * values(y, "phi") - values(x, "phi") * values(y, "theta")
    else:
        product = values(x) * values(y)
    if shared:  # fewer numbers are left to project
        product = jax.tree.map(lambda a: jnp.sum(a, shared, keepdims=True), product)
    return jnp.moveaxis(transforms.from_grid(method, product, l1 + l2, lmax, form.precision), 0, -2)
