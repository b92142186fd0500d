"""Functions of a distance: smooth cut-offs, radial bases."""

import math
from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate
from equijax.nn.plain import MLP
from equijax.numerics import sinc


def polynomial_cutoff(r: ArrayLike, cutoff: float, order: int = 6) -> Float[Array, "..."]:
    """1 at r = 0 and 0 from r = cutoff on, with two continuous derivatives there.

        f(u) = 1 - (p+1)(p+2)/2 u^p + p(p+2) u^{p+1} - p(p+1)/2 u^{p+2} ,   u = r / cutoff < 1 .

    Args:
        r: Distances, in the unit of the cutoff.
        cutoff: Where f becomes zero.
        order: p, at least 3: how many derivatives vanish at r = 0, plus one.

    Raises:
        ValueError: If `cutoff` is not positive, or `order` is below 3.

    References:
        Gasteiger, Groß and Günnemann 2020, arXiv:2003.03123, eq. 8.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import nn
        >>> print(nn.polynomial_cutoff(jnp.array([0.0, 2.0, 5.0, 6.0]), cutoff=5.0).round(2))
        [1.   0.95 0.   0.  ]
    """
    r = _validate.floating("r", r)
    _validate.positive("cutoff", cutoff, "length")
    p = _validate.integer("order", order, 3)
    u = jnp.minimum(r / cutoff, 1.0)
    return 1 - u**p * ((p + 1) * (p + 2) / 2 - u * (p * (p + 2) - u * (p * (p + 1) / 2)))


def bessel_basis(r: ArrayLike, cutoff: float, functions: int = 8) -> Float[Array, "... functions"]:
    """B_n(r) = √(2 / cutoff) sin(nπ r / cutoff) / r, n = 1..functions; finite, with all derivatives, at r = 0.

    Raises:
        ValueError: If `cutoff` is not positive, or `functions` is below 1.

    References:
        Gasteiger, Groß and Günnemann 2020, arXiv:2003.03123, eq. 7.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import nn
        >>> [round(float(b), 2) for b in nn.bessel_basis(jnp.array(0.0), cutoff=5.0, functions=2)]
        [0.4, 0.79]
    """
    r = _validate.floating("r", r)
    _validate.positive("cutoff", cutoff, "length")
    n = jnp.arange(1, _validate.integer("functions", functions, 1) + 1, dtype=r.dtype)
    waves = n * (math.pi / cutoff)
    phase = waves * r[..., None]
    return math.sqrt(2 / cutoff) * waves * sinc(phase)


class RadialBasis(nn.Module):
    """Smooth learned functions of a distance, zero with two derivatives from the cut-off on:

        f(r) MLP(B(r) √(cutoff³/3)) ,

    where B(r) √(cutoff³/3) have unit variance, and no covariance, over points evenly spread in the ball of the cut-off.

    Attributes:
        cutoff: Where all functions become zero.
        features: Width of every layer, the output last.
        functions: Bessel functions that go into the network.
        order: p of `polynomial_cutoff`.
        precision: Of the matrix products.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import nn
        >>> y, _ = jax.jit(nn.RadialBasis(5.0, (16, 3)).init_with_output)(jax.random.key(0), jnp.array([1.0, 5.0]))
        >>> y.shape, bool((y[1] == 0).all())
        ((2, 3), True)
    """

    cutoff: float
    features: Sequence[int]
    functions: int = 8
    order: int = 6
    precision: jax.lax.PrecisionLike = "highest"

    @nn.compact
    def __call__(self, r: ArrayLike) -> Float[Array, "... outputs"]:
        f = polynomial_cutoff(r, self.cutoff, self.order)[..., None]
        network = MLP(self.features, precision=self.precision)
        return f * network(bessel_basis(r, self.cutoff, self.functions) * (self.cutoff**3 / 3) ** 0.5)
