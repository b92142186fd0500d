"""A plain message-passing network in local frames, between which messages carry vectors and tensors."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax.nn.graphs.all_pairs import AllPairs, differences, off_diagonal, particles
from equijax.nn.graphs.edges import EdgeDense
from equijax.nn.graphs.local_frames import LocalFrames, carried, tensor_size, turn
from equijax.nn.plain import Dense
from equijax.numerics import norm


class LocalFrameNetwork(nn.Module):
    """Where particles go, by a plain network that reads coordinates in a frame of each particle; equivariant under
    E(d) and permutations.

        h_i = W [R_i v_i, ‖v_i‖, q_i] + b ,   e_ij = [R_i (x_i − x_j), ‖x_i − x_j‖², q_i q_j]
        m_ij = φ_e(h_i, h_j, R_i R_jᵀ t_j, e_ij) ,   h_i ← h_i + φ_h(h_i, Σ_j m_ij) ,   result x_i + v_i + R_iᵀ φ(h_i) ,

    with the learned axes R_i of `nn.LocalFrames` and t_j the numbers of h_j that are vectors and tensors. It is
    `GraphNetwork` but for the frames and what is carried between them. Where the neighbors of a particle span too
    little for a frame, it is equivariant and jumps; "share" among the intermediates says how far that is.

    Attributes:
        features: Width of all layers.
        layers: How often messages are passed.
        tensors: How many of the features are vectors, tensors of order two, and so on; the rest are scalars.
        reflections: As in `nn.LocalFrames`; without, equivariant under SE(d) only.

    References:
        Lippmann et al. 2025, arXiv:2405.15389.
    """

    features: int = 64
    layers: int = 4
    tensors: tuple[int, ...] = (4,)
    reflections: bool = True

    @nn.compact
    def __call__(self, positions: ArrayLike, velocities: ArrayLike, charges: ArrayLike) -> Float[Array, "n d"]:
        """Where particles at positions (n, d) with velocities (n, d) and charges (n,) move to, (n, d).

        Raises:
            TypeError: That of `nn.particles`.
            ValueError: Those of it, or if the tensors are more than the features.
        """
        positions, velocities, charges = particles(positions, velocities, charges)
        d, silu = positions.shape[-1], jax.nn.silu
        size = tensor_size(self.tensors, d)
        if size > self.features:
            raise ValueError(f"tensors: {self.tensors} are {size} numbers in {d} dimensions, features: {self.features}")
        # What no rotation changes: of the edges (n, n − 1, 2), of the particles (n, 2)
        pairs, r = AllPairs(len(positions)), differences(positions)
        square = jnp.sum(r**2, axis=-1, keepdims=True)
        fixed = jnp.concatenate([square, off_diagonal(charges[:, None] * charges)[..., None]], axis=-1)
        scalars = jnp.stack([norm(velocities), charges], axis=-1)
        # A frame of each particle (n, d, d), and what it sees along its axes
        axes, share = LocalFrames(reflections=self.reflections, name="frames")(
            scalars, pairs, r, fixed, vectors=velocities[:, None]
        )
        self.sow("intermediates", "share", share)
        seen = turn(r, pairs.receivers(axes), (1,))
        h = Dense(self.features, name="embedding")(jnp.concatenate([turn(velocities, axes, (1,)), scalars], axis=-1))
        for t in range(self.layers):
            # Messages (n, n − 1, features): tensors of j in the frame of i, beside both ends and the edge
            sent = carried(h[:, self.features - size :], axes, pairs, self.tensors)
            m = silu(EdgeDense(self.features, name=f"message_{t}")(h, pairs, jnp.concatenate([sent, seen, fixed], -1)))
            m = jnp.sum(silu(Dense(self.features, name=f"message_{t}_hidden")(m)), axis=1)
            update = silu(Dense(self.features, name=f"update_{t}")(jnp.concatenate([h, m], axis=-1)))
            h = h + Dense(self.features, name=f"update_{t}_out")(update)
        # Out of the frames again
        moved = Dense(d, name="readout_out")(silu(Dense(self.features, name="readout")(h)))
        return positions + velocities + turn(moved, jnp.swapaxes(axes, -1, -2), (1,))
