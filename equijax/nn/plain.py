"""Layers of plain vectors, whose coordinates no group mixes."""

from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate
from equijax.nn.variance import gain


class Dense(nn.Module):
    """A dense layer, in the dtype of x: x W + b with W and b drawn evenly from ±1/√inputs,

    as in most papers; or with `unit_variance`, as in the other layers here, x W/√inputs + b with W standard normal and
    b = 0 at first, so that x of unit variance gives unit variance.

    Attributes:
        features: Length of the result.
        use_bias: Whether there is a b.
        unit_variance: Which of the two.
        kernel_init: What W is drawn by instead.
        precision: Of the matrix product.

    Examples:
        >>> import jax
        >>> from equijax import nn
        >>> y, params = nn.Dense(3).init_with_output(jax.random.key(0), jax.numpy.ones((5, 2)))
        >>> y.shape, sorted(params["params"])
        ((5, 3), ['bias', 'kernel'])
    """

    features: int
    use_bias: bool = True
    unit_variance: bool = False
    kernel_init: Callable[..., Array] | None = None
    precision: jax.lax.PrecisionLike = "highest"

    @nn.compact
    def __call__(self, x: ArrayLike) -> Float[Array, "... features"]:
        """The result of each row of x, (..., inputs)."""
        x = _validate.floating("x", x)
        inputs = x.shape[-1]
        drawn = nn.initializers.normal(1.0) if self.unit_variance else uniform(inputs**-0.5)
        w = self.param("kernel", self.kernel_init or drawn, (inputs, self.features))
        y = jnp.matmul(x / inputs**0.5 if self.unit_variance else x, w.astype(x.dtype), precision=self.precision)
        if not self.use_bias:
            return y
        start = nn.initializers.zeros if self.unit_variance else drawn
        return y + self.param("bias", start, (self.features,)).astype(x.dtype)


class MLP(nn.Module):
    """Dense layers without biases, with `activation` between them; unit-variance inputs give unit-variance outputs.

    Attributes:
        features: Width of every layer, the output last.
        activation: Between the layers, not after the last.
        precision: Of the matrix products.

    Examples:
        >>> import jax
        >>> from equijax import nn
        >>> y, params = nn.MLP((8, 3)).init_with_output(jax.random.key(0), jax.numpy.ones((5, 2)))
        >>> y.shape, sorted(params["params"])
        ((5, 3), ['layer_0', 'layer_1'])
    """

    features: Sequence[int]
    activation: Callable[[Array], Array] = jax.nn.silu
    precision: jax.lax.PrecisionLike = "highest"

    @nn.compact
    def __call__(self, x: ArrayLike) -> Float[Array, "... outputs"]:
        """The outputs of each row of x, (..., inputs)."""
        y = _validate.floating("x", x)
        for k, width in enumerate(self.features):
            y = self.activation(y) * gain(self.activation) if k else y
            y = Dense(width, False, True, precision=self.precision, name=f"layer_{k}")(y)
        return y


def uniform(bound: float) -> Callable[..., Array]:
    """Draws evenly from ±`bound`."""
    return lambda key, shape, dtype=jnp.float32: jax.random.uniform(key, shape, dtype, -bound, bound)
