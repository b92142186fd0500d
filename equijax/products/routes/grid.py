"""Products as products of values on a grid: to the grid, multiplied there, and back."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

from equijax.products.form import Known, Out, rest
from equijax.products.trilinear import Trilinear
from equijax.spherical import transforms


def contract(form: Trilinear, known: Known, outs: tuple[Out, ...], *, method: str) -> list[Array]:
    """∂T/∂(out) for each of `outs` on the grid of a method of `transforms`."""
    return [_product(form, known, out, method) for out in outs]


def _product(form, known, out, method):
    a, b = form.factors(out.argument)
    band, lmax = form.degrees[a] + form.degrees[b], form.degrees[out.argument]
    full, left = jnp.broadcast_shapes(rest(known[a]), rest(known[b])), (*out.shape[:-2], out.shape[-1])
    shared = [i - len(full) for i, (n, m) in enumerate(zip(full, left, strict=True)) if n != m]

    def values(k, field="value"):
        features = jnp.moveaxis(known[k], -2, 0)  # (coefficients, ...), as the grid has the points first
        return transforms.to_grid(method, features, band, lmax, field, form.precision)

    if form.odd:
        product = values(a, "theta") * values(b, "phi") - values(a, "phi") * values(b, "theta")
    else:
        product = values(a) * values(b)
    if shared:  # fewer numbers are left to project
        product = jax.tree.map(lambda a: jnp.sum(a, shared, keepdims=True), product)
    return jnp.moveaxis(transforms.from_grid(method, product, band, lmax, form.precision), 0, -2)
