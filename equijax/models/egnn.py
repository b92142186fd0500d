"""The E(n)-equivariant graph neural network, with velocities."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax.nn.graphs.all_pairs import AllPairs, differences, off_diagonal, particles
from equijax.nn.graphs.edges import EdgeDense
from equijax.nn.plain import Dense
from equijax.numerics import norm


class EGNN(nn.Module):
    """Where particles go, from distances and products of charges; equivariant under E(d) and permutations.

        m_ij = φ_e(h_i, h_j, ‖x_i − x_j‖², q_i q_j, ‖x_i − x_j‖² at the start)
        x_i ← x_i + 1/(n−1) Σ_j (x_i − x_j) φ_x(m_ij) + φ_v(h_i) v_i ,   h_i ← h_i + φ_h(h_i, Σ_j m_ij) ,

    all from the values before the layer, with h_i = W ‖v_i‖ + b at first; every particle sees all others.

    That is as published, and overflows for positions far apart: each layer multiplies the size of x by its square.
    Normalized, x_i − x_j is divided by ‖x_i − x_j‖ + 1, and messages see log(1 + ‖x_i − x_j‖²) in place of the square:
    then positions and gradients are finite at all scales.

    Attributes:
        features: Width of all layers.
        layers: How often messages are passed.
        normalize: Whether to normalize; False is the published form, for positions of size one.

    References:
        Satorras, Hoogeboom and Welling 2021, arXiv:2102.09844, equations 3 to 7: the published form.

    Examples:
        >>> from equijax import models
        >>> positions, velocities, charges = jnp.ones((5, 3)), jnp.ones((5, 3)), jnp.ones(5)
        >>> f = lambda *arrays: models.EGNN(layers=1).init_with_output(jax.random.key(0), *arrays)[0]
        >>> jax.eval_shape(f, positions, velocities, charges).shape  # where they move to
        (5, 3)
    """

    features: int = 64
    layers: int = 4
    normalize: bool = True

    @nn.compact
    def __call__(self, positions: ArrayLike, velocities: ArrayLike, charges: ArrayLike) -> Float[Array, "n d"]:
        """Where particles at positions (n, d) with velocities (n, d) and charges (n,) move to, (n, d).

        Raises:
            TypeError: That of `nn.particles`.
            ValueError: Those of it.
        """
        positions, velocities, charges = particles(positions, velocities, charges)
        # Features of the nodes (n, features), and of the edges (n, n − 1, 2): charges, distances at the start
        x, n, silu = positions, len(positions), jax.nn.silu
        pairs = AllPairs(n)
        h = Dense(self.features, name="embedding")(norm(velocities, keepdims=True))
        fixed = jnp.stack([off_diagonal(charges[:, None] * charges), self._distance(differences(x))], axis=-1)
        for t in range(self.layers):
            # Messages m_ij (n, n − 1, features) from both ends and the distance as it is now
            r = differences(x)
            edges = jnp.concatenate([self._distance(r)[..., None], fixed], axis=-1)
            m = silu(EdgeDense(self.features, name=f"message_{t}")(h, pairs, edges))
            m = silu(Dense(self.features, name=f"message_{t}_hidden")(m))
            # Positions: along the edges, φ_x(m_ij), and along the velocity, φ_v(h_i); one number each
            pull = silu(Dense(self.features, name=f"position_{t}")(m))
            pull = Dense(1, use_bias=False, kernel_init=_SMALL, name=f"position_{t}_out")(pull)
            keep = silu(Dense(self.features, name=f"velocity_{t}")(h))
            keep = Dense(1, name=f"velocity_{t}_out")(keep)
            if self.normalize:
                r = r / (norm(r, keepdims=True) + 1)
            x = x + jnp.sum(r * pull, axis=1) / max(n - 1, 1) + keep * velocities
            # Features, from the messages that arrive
            update = jnp.concatenate([h, jnp.sum(m, axis=1)], axis=-1)
            update = silu(Dense(self.features, name=f"update_{t}")(update))
            h = h + Dense(self.features, name=f"update_{t}_out")(update)
        return x

    def _distance(self, r):
        """What messages see of distances, one number each."""
        return 2 * jnp.log(jnp.hypot(1, norm(r))) if self.normalize else jnp.sum(r**2, axis=-1)


_SMALL = nn.initializers.variance_scaling(1e-6, "fan_avg", "uniform")  # Xavier's with a gain of 0.001
