"""A plain message-passing network, which knows nothing of rotations."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax.nn.graphs.all_pairs import AllPairs, differences, off_diagonal, particles
from equijax.nn.graphs.edges import EdgeDense
from equijax.nn.plain import Dense


class GraphNetwork(nn.Module):
    """Where particles go, by messages that read coordinates as any numbers; it commutes with permutations only.

        h_i = W [x_i, v_i, q_i] + b ,   e_ij = [x_i − x_j, ‖x_i − x_j‖², q_i q_j]
        m_ij = φ_e(h_i, h_j, e_ij) ,   h_i ← h_i + φ_h(h_i, Σ_j m_ij) ,   result x_i + v_i + φ(h_i) .

    `frame_average` makes it equivariant.

    Attributes:
        features: Width of all layers.
        layers: How often messages are passed.

    References:
        Gilmer et al. 2017, arXiv:1704.01212; Puny et al. 2022, arXiv:2110.03336, section 4.3 (averaged over frames).

    Examples:
        >>> from equijax import models
        >>> positions, velocities, charges = jnp.ones((5, 3)), jnp.ones((5, 3)), jnp.ones(5)
        >>> f = lambda *arrays: models.GraphNetwork(layers=1).init_with_output(jax.random.key(0), *arrays)[0]
        >>> jax.eval_shape(f, positions, velocities, charges).shape  # where they move to
        (5, 3)
    """

    features: int = 64
    layers: int = 4

    @nn.compact
    def __call__(self, positions: ArrayLike, velocities: ArrayLike, charges: ArrayLike) -> Float[Array, "n d"]:
        """Where particles at positions (n, d) with velocities (n, d) and charges (n,) move to, (n, d).

        Raises:
            TypeError: That of `nn.particles`.
            ValueError: Those of it.
        """
        positions, velocities, charges = particles(positions, velocities, charges)
        silu, r, pairs = jax.nn.silu, differences(positions), AllPairs(len(positions))
        h = Dense(self.features, name="embedding")(jnp.concatenate([positions, velocities, charges[:, None]], axis=-1))
        square = jnp.sum(r**2, axis=-1, keepdims=True)
        edges = jnp.concatenate([r, square, off_diagonal(charges[:, None] * charges)[..., None]], axis=-1)
        for t in range(self.layers):
            m = silu(EdgeDense(self.features, name=f"message_{t}")(h, pairs, edges))
            m = jnp.sum(silu(Dense(self.features, name=f"message_{t}_hidden")(m)), axis=1)
            update = silu(Dense(self.features, name=f"update_{t}")(jnp.concatenate([h, m], axis=-1)))
            h = h + Dense(self.features, name=f"update_{t}_out")(update)
        hidden = silu(Dense(self.features, name="readout")(h))
        return positions + velocities + Dense(positions.shape[-1], name="readout_out")(hidden)
