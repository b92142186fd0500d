"""A frame of its own for every node, and features of vectors and tensors that are carried from frame to frame."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equijax.nn.graphs.edges import EdgeDense, Edges
from equijax.nn.plain import Dense
from equijax.numerics import completion, in_single, matmul, norm, orthonormal_rows


def tensor_size(tensors: Sequence[int], d: int) -> int:
    """How many numbers `tensors` are: so many vectors of d, so many tensors of d², and so on.

    Examples:
        >>> tensor_size((4, 2), d=3)
        30
    """
    return sum(count * d ** (k + 1) for k, count in enumerate(tensors))


def turn(
    x: Float[Array, "... size"], axes: Float[Array, "... d d"], tensors: Sequence[int]
) -> Float[Array, "... size"]:
    """Coordinates along the rows of `axes` of so many vectors, tensors of order two, and so on:

        x_a → Σ_b R_ab x_b ,   x_ac → Σ_bd R_ab R_cd x_bd , ...

    Args:
        x: Their numbers one after the other, vectors first, shape (..., `tensor_size(tensors, d)`).
        axes: R, shape (..., d, d), broadcast against x; transposed for the way back.
        tensors: How many of each order from 1 on.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import nn
        >>> quarter = jnp.array([[0.0, -1.0], [1.0, 0.0]])
        >>> print(nn.turn(jnp.array([1.0, 0.0, 0.0, 2.0]), quarter, (2,)))  # two vectors
        [ 0.  1. -2.  0.]

    Raises:
        ValueError: If x has another size.
    """
    d = axes.shape[-1]
    if x.shape[-1] != tensor_size(tensors, d):
        raise ValueError(f"x: expected {tensor_size(tensors, d)} numbers for {tensors} tensors, got shape {x.shape}")
    turned, begin = [], 0
    for k, count in enumerate(tensors):
        end = begin + count * d ** (k + 1)
        part = x[..., begin:end].reshape(*x.shape[:-1], count, *[d] * (k + 1))  # (..., count, d, ..., d)
        for _ in range(k + 1):  # the last index is turned and becomes the first of them
            rows = part.reshape(*x.shape[:-1], count * d**k, d)
            rows = matmul(rows, jnp.swapaxes(axes, -1, -2))
            part = jnp.moveaxis(rows.reshape(*rows.shape[:-2], count, *[d] * (k + 1)), -1, -1 - k)
        turned.append(part.reshape(*part.shape[: part.ndim - k - 2], end - begin))
        begin = end
    return jnp.concatenate(turned, axis=-1)


class LocalFrames(nn.Module):
    """Axes for every node, from its neighbors by learned weights: they turn with the input.

        u_ik = 1/√n̄ Σ_{e: j → i} (φ_ek r_e / (‖r_e‖ + 1) + Σ_m φ_ekm v_jm) + Σ_m ψ_ikm v_im ,   φ_e = φ(h_i, h_j, a_e) ,

    made orthonormal one after the other. Where they span too little, axes are zero: coordinates along them are 0, and
    what is built on the frame is equivariant all the same. It jumps there.

    Attributes:
        features: Width of the hidden layer of φ.
        reflections: d learned vectors, for O(d); without, d − 1 of them and the axis that makes the determinant 1, for
            SO(d) only.

    References:
        Lippmann et al. 2025, arXiv:2405.15389, section 4.3 (learned local frames).

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import nn
        >>> x, h = jax.random.normal(jax.random.key(0), (5, 3)), jnp.ones((5, 2))
        >>> edges, r = nn.AllPairs(5), nn.differences(x)
        >>> layer, squared = nn.LocalFrames(), jnp.sum(r**2, axis=-1, keepdims=True)
        >>> start = jax.jit(layer.init_with_output, static_argnums=2)
        >>> (axes, share), _ = start(jax.random.key(0), h, edges, r, squared)
        >>> axes.shape, share.shape
        ((5, 3, 3), (5,))
    """

    features: int = 16
    reflections: bool = True

    @nn.compact
    def __call__(
        self,
        h: Float[Array, "N inputs"],
        edges: Edges,
        r: Float[Array, "... d"],
        *a: Float[Array, "..."],
        vectors: Float[Array, "N m d"] | None = None,
    ) -> tuple[Float[Array, "N d d"], Float[Array, " N"]]:
        """Orthonormal rows of each node, (N, d, d), and how far they are from being undefined, in [0, 1], (N,).

        Args:
            h: Invariant features of the nodes.
            edges: Which they are.
            r: Vectors of the edges.
            *a: Invariant features of the edges, such as lengths.
            vectors: Further vectors of the nodes, such as velocities.
        """
        d = r.shape[-1]
        count = d if self.reflections else d - 1
        if vectors is None:
            vectors = jnp.zeros((len(h), 0, d), r.dtype)
        m = vectors.shape[1]
        hidden = jax.nn.silu(EdgeDense(self.features, name="ends")(h, edges, *a))
        weights = Dense(count * (1 + m), name="weights")(hidden)
        weights = weights.reshape(*weights.shape[:-1], count, 1 + m)  # (..., count, 1 + m)
        seen = (r / (norm(r, keepdims=True) + 1))[..., None, :]  # (..., 1, d)
        sent = edges.senders(vectors)  # (..., m, d)
        u = edges.total(matmul(weights, jnp.concatenate([seen, jnp.broadcast_to(sent, (*seen.shape[:-2], m, d))], -2)))
        own = Dense(count * m, name="own")(h).reshape(len(h), count, m)
        axes, share = in_single(orthonormal_rows)(u + matmul(own, vectors))
        if not self.reflections:
            axes = jnp.concatenate([axes, in_single(completion)(axes)[:, None]], axis=1)
        return axes, share


def carried(
    x: Float[Array, "N size"], axes: Float[Array, "N d d"], edges: Edges, tensors: Sequence[int]
) -> Float[Array, "... size"]:
    """Tensors of the senders, given in their frames, in the frames of the receivers:  R_i R_jᵀ x_j of each edge.

    References:
        Lippmann et al. 2025, arXiv:2405.15389, equation 6 (tensorial messages).
    """
    everywhere = turn(x, jnp.swapaxes(axes, -1, -2), tensors)  # in the coordinates of the input
    return turn(edges.senders(everywhere), edges.receivers(axes), tensors)
