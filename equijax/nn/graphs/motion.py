"""Layers of agents that move: which kinds of interaction they have, and vectors and scalars that hear of each other.

Vectors are (n, d, channels): one list of channels a coordinate, so that a `Dense` without bias mixes channels only.
That, means and products with scalars are all that is done to them; scalars see lengths. So layers commute with O(d),
for any d.
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from equijax.nn.graphs.all_pairs import AllPairs, differences
from equijax.nn.graphs.edges import EdgeDense
from equijax.nn.plain import Dense
from equijax.numerics import norm

_SMALL = 1e-4  # added to squared lengths that are divided by


class InteractionReasoning(nn.Module):
    """How much of each kind the interaction of two agents is, from what does not turn:

        d_ij = M(‖z_i − z_j‖) ,   m_ij = M(h_i, h_j, d_ij) ,   p_i = M(h_i, Σ_j m_ij)
        c_ij = softmax(M(p_i, p_j, d_ij) / τ) ,

    with lengths channel by channel, and networks M of two layers with SiLU after both, the last one too.

    Attributes:
        features: Width of the networks.
        categories: How many kinds there are.
        temperature: τ.

    References:
        Xu et al. 2023, arXiv:2303.10876, section 3.5.
    """

    features: int = 64
    categories: int = 2
    temperature: float = 1.0

    @nn.compact
    def __call__(
        self, h: Float[Array, "n H"], z: Float[Array, "n d C"], valid: Bool[Array, " n"]
    ) -> Float[Array, "n others categories"]:
        """c, which sums to one over the kinds, (n, n − 1, categories), senders in the order of `AllPairs`.

        Args:
            h: Scalars of the agents.
            z: Vectors of the agents.
            valid: Which agents there are; the others are heard by nobody.
        """
        silu, pairs, heard = jax.nn.silu, AllPairs(len(h)), _heard(valid)
        d = silu(Dense(self.features, name="distance")(norm(differences(z), axis=-2)))
        d = silu(Dense(z.shape[-1], name="distance_hidden")(d))
        m = silu(EdgeDense(self.features, name="message")(h, pairs, d))
        m = silu(Dense(self.features, name="message_hidden")(m))
        p = jnp.concatenate([h, jnp.sum(jnp.where(heard, m, 0), axis=1)], axis=-1)
        p = silu(Dense(self.features, name="update_hidden")(silu(Dense(self.features, name="update")(p))))
        c = silu(EdgeDense(self.features, name="category")(p, pairs, d))
        c = silu(Dense(self.categories, name="category_hidden")(c))
        return jax.nn.softmax(c / self.temperature, axis=-1)


class MotionLayer(nn.Module):
    """Vectors G and scalars h of agents, with r_ij = G_i − G_j, a_ij = (h_i, h_j, ‖r_ij‖) and the mean Ḡ of all agents
    and channels:

        G_i ← G_i + s(W h_i) ⊙ (G_i − Ḡ)                                       attention
        G_i ← G_i + Σ_j w_ij ⊙ r_ij ,   w_ij = M(Σ_k c_ijk M_k(a_ij))          interaction
        G_i ← G_i + W U_i                                                      velocity
        G_i ← Ḡ + q − min(q·k, 0) k / (‖k‖² + 10⁻⁴) ,   q, k = W (G_i − Ḡ)      nonlinearity
        h_i ← h_i + φ(h_i, Σ_j M(a_ij)) .

    s is SiLU, M networks of two layers with SiLU after both; a_ij and r_ij are from before the layer, and each W of its
    own, without bias where it mixes vectors.

    Attributes:
        features: Width of the networks.
        categories: How many M_k there are. Kinds beyond them have none: Σ_k leaves them out.

    References:
        Xu et al. 2023, arXiv:2303.10876, sections 3.3 and 3.4.
    """

    features: int = 64
    categories: int = 2

    @nn.compact
    def __call__(
        self,
        h: Float[Array, "n H"],
        G: Float[Array, "n d C"],
        U: Float[Array, "n d C"],
        c: Float[Array, "n others categories"],
        valid: Bool[Array, " n"],
    ) -> tuple[Float[Array, "n H"], Float[Array, "n d C"]]:
        """h and G after the layer.

        Args:
            h: Scalars.
            G: Positions of each channel.
            U: Velocities of each channel.
            c: How much of each kind the interactions are.
            valid: Which agents there are; the others count nowhere.
        """
        silu, heard, channels = jax.nn.silu, _heard(valid), G.shape[-1]
        r = differences(G)  # (n, n − 1, d, C)
        # what M and all M_k see is the same, and their first layers are one product
        wide = EdgeDense((1 + self.categories) * self.features, name="pairs")(h, AllPairs(len(h)), norm(r, axis=-2))
        seen = jnp.split(silu(wide), 1 + self.categories, axis=-1)
        m = silu(Dense(self.features, name="message")(seen[0]))
        w = sum(
            c[..., k, None] * silu(Dense(channels, name=f"category_{k}")(seen[1 + k])) for k in range(self.categories)
        )
        w = silu(Dense(channels, name="interaction_hidden")(silu(Dense(channels, name="interaction")(w))))

        G = G + silu(Dense(channels, name="attention")(h))[:, None] * (G - mean_of_all(G, valid))
        G = G + jnp.sum(jnp.where(heard[..., None], w[:, :, None] * r, 0), axis=1)
        G = G + Dense(channels, use_bias=False, name="velocity")(U)
        mean = mean_of_all(G, valid)
        q, k = (Dense(channels, use_bias=False, name=name)(G - mean) for name in ("query", "key"))
        along = jnp.sum(q * k, axis=-2, keepdims=True)
        square = jnp.sum(k * k, axis=-2, keepdims=True)
        G = mean + q - jnp.minimum(along, 0) / (square + _SMALL) * k

        update = jnp.concatenate([h, jnp.sum(jnp.where(heard, m, 0), axis=1)], axis=-1)
        update = silu(Dense(self.features, name="update")(update))
        return h + Dense(self.features, name="update_out")(update), G


def mean_of_all(x: Float[Array, "n d C"], valid: Bool[Array, " n"]) -> Float[Array, "1 d 1"]:
    """The mean vector of all valid agents and of all channels; 0 where there is no agent.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import nn
        >>> x = jnp.array([[[1.0, 3.0]], [[5.0, 7.0]], [[9.0, 9.0]]])
        >>> float(nn.mean_of_all(x, jnp.array([True, True, False]))[0, 0, 0])
        4.0
    """
    total = jnp.sum(jnp.where(valid[:, None, None], x, 0), axis=(0, 2), keepdims=True)
    return total / (jnp.maximum(jnp.sum(valid), 1) * x.shape[-1]).astype(x.dtype)


def _heard(valid):
    """Whether j is heard by i, (n, n − 1, 1)."""
    return AllPairs(len(valid)).senders(valid)[..., None]
