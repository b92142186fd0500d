"""Message passing with Gaunt products for particles that move."""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import spherical
from equijax.nn.graphs.all_pairs import AllPairs, differences, off_diagonal, particles
from equijax.nn.graphs.edges import EdgeConvolution
from equijax.nn.plain import Dense
from equijax.nn.spherical.linear import Linear
from equijax.nn.spherical.many_body import ManyBodyProduct
from equijax.nn.spherical.normalization import Normalization


class GauntNetwork(nn.Module):
    """Where particles go, from functions on the sphere around each; equivariant under E(3) and permutations.

    With functions h_i of particle i, at first made of its speed and its velocity, and r = x_i − x_j, a layer is

        m_ij = φ(h_i^0, h_j^0, h_i(r̂), h_j(r̂), ‖r‖, q_i q_j)
        A_i = 1/√(n−1) Σ_j [R_l(m_ij) Y_l(r̂) + R'_l(m_ij) h_j^l]
        h_i ← h_i + W_0 h_i + W_1 A_i + W_2 A_i ⊗ A_i + ... ,   x_i ← x_i + w h_i^1 ,

    where h and A are normalized before they are used. The values h(r̂) of the functions at both ends in the direction of
    the edge are invariant: no product is formed on the edges, the Gaunt products are taken once a particle.

    Attributes:
        features: Width of the messages.
        channels: Channels of the functions.
        lmax: Their degree, at least 1.
        layers: How often messages are passed.
        order: Factors of the longest Gaunt product, at least 2.
        bracket: Whether to take the double bracket.
        probes: Channels in which an edge sees h_i(r̂) and h_j(r̂).

    References:
        Luo, Chen and Krishnapriyan 2024, arXiv:2401.10216 (Gaunt products); Brandstetter et al. 2022, arXiv:2110.02905
        (messages that depend on vectors at both ends).

    Examples:
        >>> from equijax import models
        >>> positions, velocities, charges = jnp.ones((5, 3)), jnp.ones((5, 3)), jnp.ones(5)
        >>> f = lambda *arrays: models.GauntNetwork(layers=1).init_with_output(jax.random.key(0), *arrays)[0]
        >>> jax.eval_shape(f, positions, velocities, charges).shape  # where they move to
        (5, 3)
    """

    features: int = 64
    channels: int = 32
    lmax: int = 1
    layers: int = 4
    order: int = 2
    bracket: bool = False
    probes: int = 8

    @nn.compact
    def __call__(self, positions: ArrayLike, velocities: ArrayLike, charges: ArrayLike) -> Float[Array, "n 3"]:
        """Where particles at positions (n, 3) with velocities (n, 3) and charges (n,) move to, (n, 3).

        Raises:
            TypeError: That of `nn.particles`.
            ValueError: Those of it, or if `lmax` is below 1: velocities are of degree 1.
        """
        if self.lmax < 1:
            raise ValueError(f"lmax: expected at least 1, for velocities, got {self.lmax}")
        positions, velocities, charges = particles(positions, velocities, charges)
        x, pairs = positions, AllPairs(len(positions))
        charges = off_diagonal(charges[:, None] * charges)[..., None]  # (n, n − 1, 1), as all of an edge
        speed = Dense(self.channels, name="speed")(jnp.sum(velocities**2, axis=-1, keepdims=True))
        start = self.param("velocity", nn.initializers.normal(1.0), (self.channels,)).astype(x.dtype)
        h = jnp.concatenate([speed[:, None], velocities[..., None] * start], axis=1)
        h = jnp.pad(h, ((0, 0), (0, (self.lmax + 1) ** 2 - 4), (0, 0)))  # (n, coefficients, channels)
        for t in range(self.layers):
            r = differences(x)
            square = jnp.sum(r**2, axis=-1, keepdims=True)
            near = jax.lax.rsqrt(square + 0.1)
            Y = spherical.harmonics(r, self.lmax) * (4 * np.pi) ** 0.5  # (n, n − 1, coefficients)
            g: Any = Normalization(name=f"norm_{t}")(h)
            messages = EdgeConvolution(self.features, self.lmax, self.probes, False, False, name=f"messages_{t}")
            lengths = jnp.concatenate([square / 16, near, charges, charges * near], axis=-1)
            A: Any = Normalization(name=f"norm_of_messages_{t}")(messages(g, g, Y, pairs, lengths))
            products = ManyBodyProduct(self.order, self.lmax, self.bracket, name=f"products_{t}")(A)
            terms = jnp.concatenate([A, products, g], axis=-1)
            update = Linear(self.channels, use_bias=True, name=f"update_{t}")(terms)
            h = h + update
            move = Linear(1, name=f"move_{t}")(h)
            x = x + 0.1 * move[:, 1:4, 0]
        return x
