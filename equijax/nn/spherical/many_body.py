"""Products of many functions on the sphere, with learned factors."""

import math
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, products, spherical
from equijax.nn.spherical.linear import Linear


class ManyBodyProduct(nn.Module):
    """Features of growing body order: pointwise products of functions, each a learned mixture of channels.

        f_k = W_k x ,   p_2 = f_1 f_2 ,   p_3 = f_1 f_2 f_3 , ... ,   and with `bracket`   {{b_1, b_2}, b_3} ,

    with {f, g} = r̂ · (∇f × ∇g) of factors that are divided by √(l(l+1)): the product of three whose intermediate, cut
    at the degree of x, is a pseudo-tensor; the result is a tensor like x again. Everything is evaluated on one grid,
    which is exact for the highest product, and projected once.

    Attributes:
        order: Number of factors of the longest product, at least 2.
        lmax: Degree of the results; None keeps that of x.
        bracket: Whether to add the double bracket.
        axis: Where the coefficients are, -2 or -3, as in `Linear`.
        precision: Of the matrix products.
    """

    order: int = 3
    lmax: int | None = None
    bracket: bool = False
    axis: int = -2
    precision: Any = "highest"

    @nn.compact
    def __call__(self, x: ArrayLike) -> Float[Array, "..."]:
        """The products p_2, ..., p_order, and the double bracket last, side by side as channels."""
        x = _validate.floating("x", x)
        L = spherical.lmax_of(x, "x", self.axis)
        order = _validate.integer("order", self.order, 2)
        lmax = L if self.lmax is None else _validate.integer("lmax", self.lmax)
        x = jnp.moveaxis(x, self.axis, 0)
        rows = x.reshape(x.shape[0], math.prod(x.shape[1:-1]), x.shape[-1])

        def factors(count, name):
            channels = count * x.shape[-1]
            linear: Any = Linear(channels, axis=-3, precision=self.precision, name=name)
            return jnp.moveaxis(linear(rows).reshape(*x.shape[:-1], channels), 0, -2)

        result = products.many_body(factors(order, "factors"), order, lmax=lmax, precision=self.precision)
        if self.bracket:
            brackets = products.double_bracket(factors(3, "bracket_factors"), lmax=lmax, precision=self.precision)
            result = jnp.concatenate([result, brackets], axis=-1)
        return jnp.moveaxis(result, -2, self.axis)
