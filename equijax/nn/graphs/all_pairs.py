"""Layers for the graph in which every node sends to every other one."""

import flax.linen as nn
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate
from equijax.nn.plain import uniform


def off_diagonal(a: Array) -> Array:
    """Rows without their own column: a[i, j] for j ≠ i in order, (n, n, ...) to (n, n − 1, ...).

    Raises:
        ValueError: If the first two axes are not of one length.
    """
    n = a.shape[0]
    if a.ndim < 2 or a.shape[1] != n:
        raise ValueError(f"a: expected shape (n, n, ...), got {a.shape}")
    flat = a.reshape(n * n, *a.shape[2:])[1:]  # the diagonal is now the last of every n + 1
    return flat.reshape(n - 1, n + 1, *a.shape[2:])[:, :-1].reshape(n, n - 1, *a.shape[2:])


def particles(positions: ArrayLike, velocities: ArrayLike, charges: ArrayLike) -> tuple[Array, Array, Array]:
    """The arguments as they are, positions (n, d), velocities (n, d) and charges (n,).

    Raises:
        TypeError: If one is not of real floating-point numbers.
        ValueError: If there are no particles, or a shape is another one.
    """
    names = ("positions", "velocities", "charges")
    x, v, q = (_validate.floating(name, a) for name, a in zip(names, (positions, velocities, charges), strict=True))
    if x.ndim != 2 or not len(x):
        raise ValueError(f"positions: expected shape (n, d) for n particles, one at least, got {x.shape}")
    for name, a, shape in (("velocities", v, x.shape), ("charges", q, x.shape[:1])):
        if a.shape != shape:
            raise ValueError(f"{name}: expected shape {shape} for positions {x.shape}, got {a.shape}")
    return x, v, q


def differences(x: Float[Array, "n d"]) -> Float[Array, "n others d"]:
    """x_i − x_j for j ≠ i."""
    return off_diagonal(x[:, None] - x)


class PairDense(nn.Module):
    """[h_i, h_j, e_ij] W + b for all j ≠ i, as the sum of three products, two of them a node and not an edge.

    Attributes:
        features: Length of the result.
    """

    features: int

    @nn.compact
    def __call__(
        self, h: Float[Array, "n inputs"], edges: Float[Array, "n others inputs_of_edges"]
    ) -> Float[Array, "n others features"]:
        """The result for each edge.

        Args:
            h: Features of the nodes.
            edges: Features of the edges, in the order of `off_diagonal`.
        """
        drawn = uniform((2 * h.shape[-1] + edges.shape[-1]) ** -0.5)
        receiver, sender, edge = (
            jnp.matmul(a, self.param(name, drawn, (a.shape[-1], self.features)).astype(a.dtype), precision="highest")
            for name, a in (("receiver", h), ("sender", h), ("edge", edges))
        )
        bias = self.param("bias", drawn, (self.features,)).astype(h.dtype)
        return off_diagonal((receiver + bias)[:, None] + sender) + edge
