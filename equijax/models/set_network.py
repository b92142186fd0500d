"""A network of sets, which knows nothing of rotations."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax.nn.plain import Dense


class SetNetwork(nn.Module):
    """Vectors of points, from each point and the mean of all; it commutes with permutations of the points only.

        h_i = φ_0(x_i, a_i) ,   h_i ← h_i + φ(h_i, 1/n Σ_j h_j) ,   result φ_1(h_i) .

    `frame_average` makes it equivariant.

    Attributes:
        features: Width of all layers.
        outputs: Length of the result of a point.
        layers: How often points hear of the mean.

    References:
        Zaheer et al. 2017, arXiv:1703.06114, equation 4; Puny et al. 2022, arXiv:2110.03336, section 4.1.

    Examples:
        >>> from equijax import models
        >>> y, _ = models.SetNetwork(8, layers=1).init_with_output(jax.random.key(0), jnp.ones((5, 3)))
        >>> y.shape
        (5, 3)
    """

    features: int = 64
    outputs: int = 3
    layers: int = 2

    @nn.compact
    def __call__(self, *inputs: Float[Array, "n _"], mask: ArrayLike | None = None) -> Float[Array, "n outputs"]:
        """The vectors of the points.

        Args:
            *inputs: Points, and what else is known of them, one a row.
            mask: Which points are valid, shape (n,); the others count nowhere, and give zeros.

        Raises:
            ValueError: If `mask` has another shape.
        """
        silu, n = jax.nn.silu, len(inputs[0])
        if mask is not None and np.shape(mask) != (n,):
            raise ValueError(f"mask: expected shape ({n},), one entry a point, got {np.shape(mask)}")
        valid = jnp.ones((n, 1), bool) if mask is None else jnp.asarray(mask, bool)[:, None]
        h = jnp.where(valid, jnp.concatenate(inputs, axis=-1), 0)
        h = silu(Dense(self.features, name="embedding")(h))
        for t in range(self.layers):
            mean = jnp.sum(jnp.where(valid, h, 0), axis=0) / jnp.maximum(jnp.sum(valid), 1)
            update = Dense(self.features, name=f"point_{t}")(h) + Dense(self.features, False, name=f"mean_{t}")(mean)
            h = h + Dense(self.features, name=f"update_{t}")(silu(update))
        return jnp.where(valid, Dense(self.outputs, name="readout")(silu(h)), 0)
