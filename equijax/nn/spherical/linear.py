"""Linear maps that commute with rotations."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, spherical
from equijax.spherical.parity import Input, Output, each


class Linear(nn.Module):
    """Every linear map between spherical features that commutes with rotations.

    Schur's lemma lets only channels of the same degree mix:

        y[l] = x[l] W_l / √c ,   x[l] ∈ ℝ^{(2l+1)×c},  W_l ∈ ℝ^{c×features},

    so unit-variance x and W_l give unit-variance y. One W_l a degree; no bias but on l = 0. Of a pair (natural, pseudo)
    each part has weights of its own, and the pseudo part no bias, which would not be invariant under reflections.

    Attributes:
        features: Channels of y.
        lmax: Degrees of y above those of x do not exist; degrees of x above `lmax` are dropped. None keeps all.
        use_bias: A bias on l = 0.
        axis: Where the coefficients are: -2, or -3 for kernels that keep them in front of the rows, which is faster on
            a CPU.
        precision: Of the matrix products.
    """

    features: int
    lmax: int | None = None
    use_bias: bool = False
    axis: int = -2
    precision: Any = "highest"

    @nn.compact
    def __call__(self, x: Input) -> Output:
        """The mapped features, in the form and dtype of `x`."""

        def one(x, suffix):
            degrees, channels = spherical.lmax_of(x, "x", self.axis), x.shape[-1]
            lmax = degrees if self.lmax is None else min(_validate.integer("lmax", self.lmax), degrees)
            w = self.param("kernel" + suffix, nn.initializers.normal(1.0), (lmax + 1, channels, self.features))
            biased = self.use_bias and not suffix
            bias = self.param("bias", nn.initializers.zeros, (self.features,)) if biased else None
            kept = jax.lax.slice_in_dim(x, 0, (lmax + 1) ** 2, axis=self.axis % x.ndim)
            return linear(kept / channels**0.5, w, bias, axis=self.axis, precision=self.precision)

        return each("x", x, one, self.axis)


def linear(
    x: ArrayLike,
    w: Float[Array | np.ndarray, "degrees channels features"],
    bias: Float[Array | np.ndarray, " features"] | None = None,
    *,
    axis: int = -2,
    precision="highest",
) -> Float[Array, "*shape features"]:
    """y[l] = x[l] w[l], and the bias on l = 0: `Linear` for those who hold their own weights.

    Coefficients of x are on `axis`, -2 or -3, channels on the last one.

    Raises:
        TypeError: If `x` is not of real floating-point numbers.
        ValueError: If `w` has not one matrix a degree of x, or other channels, or `axis` is neither -2 nor -3.
    """
    if axis not in (-2, -3):
        raise ValueError(f"axis: expected the coefficients on axis -2 or -3, got {axis}")
    x = _validate.floating("x", x)
    lmax = spherical.lmax_of(x, "x", axis)
    if w.shape[:2] != (lmax + 1, x.shape[-1]):
        raise ValueError(f"w: expected shape ({lmax + 1}, {x.shape[-1]}, features) for x {x.shape}, got {w.shape}")
    if lmax == 0:
        y = jnp.matmul(x, w[0].astype(x.dtype), precision=precision)
    else:
        degrees = np.eye(lmax + 1, dtype=x.dtype)[spherical.degree_of_coefficient(lmax)]
        by_coefficient = jnp.tensordot(
            degrees, w.astype(x.dtype), 1, precision="highest"
        )  # faster to compile than w[l]
        rows = "...mc,mcf->...mf" if axis == -2 else "...mnc,mcf->...mnf"
        y = jnp.einsum(rows, x, by_coefficient, precision=precision)
    if bias is None:
        return y
    scalars = (..., 0, *[slice(None)] * (-1 - axis))
    return y.at[scalars].add(bias.astype(x.dtype))
