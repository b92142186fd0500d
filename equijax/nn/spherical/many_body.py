"""Products of many functions on the sphere, with learned factors."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, products
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
        precision: Of the matrix products.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import nn
        >>> nn.ManyBodyProduct(order=3).init_with_output(jax.random.key(0), jnp.ones((5, 4, 2)))[0].shape
        (5, 4, 4)
    """

    order: int = 3
    lmax: int | None = None
    bracket: bool = False
    precision: jax.lax.PrecisionLike = "highest"

    @nn.compact
    def __call__(self, x: ArrayLike) -> Float[Array, "..."]:
        """The products p_2, ..., p_order, and the double bracket last, side by side as channels."""
        x = _validate.floating("x", x)
        order, channels = _validate.integer("order", self.order, 2), x.shape[-1]
        factors = Linear(order * channels, precision=self.precision, name="factors")(x)
        result = products.many_body(factors, order, lmax=self.lmax, precision=self.precision)
        if not self.bracket:
            return result
        factors = Linear(3 * channels, precision=self.precision, name="bracket_factors")(x)
        bracket = products.double_bracket(factors, lmax=self.lmax, precision=self.precision)
        return jnp.concatenate([result, bracket], axis=-1)
