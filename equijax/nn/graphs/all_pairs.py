"""The graph in which every node sends to every other one."""

import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Shaped

from equijax import _validate


def off_diagonal(a: Array) -> Array:
    """Rows without their own column: a[i, j] for j ≠ i in order, (n, n, ...) to (n, n − 1, ...).

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import nn
        >>> nn.off_diagonal(jnp.arange(9).reshape(3, 3)).tolist()
        [[1, 2], [3, 5], [6, 7]]

    Raises:
        ValueError: If the first two axes are not of one length.
    """
    n = a.shape[0]
    if a.ndim < 2 or a.shape[1] != n:
        raise ValueError(f"a: expected shape (n, n, ...), got {a.shape}")
    flat = a.reshape(n * n, *a.shape[2:])[1:]  # the diagonal is now the last of every n + 1
    return flat.reshape(n - 1, n + 1, *a.shape[2:])[:, :-1].reshape(n, n - 1, *a.shape[2:])


def with_diagonal(a: Array) -> Array:
    """Rows with zeros in their own column: the inverse of `off_diagonal`, (n, n − 1, ...) to (n, n, ...).

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import nn
        >>> nn.with_diagonal(jnp.array([[1, 2], [3, 5], [6, 7]])).tolist()
        [[0, 1, 2], [3, 0, 5], [6, 7, 0]]

    Raises:
        ValueError: If the second axis is not shorter than the first by one.
    """
    n = a.shape[0]
    if a.ndim < 2 or a.shape[1] != n - 1:
        raise ValueError(f"a: expected shape (n, n − 1, ...), got {a.shape}")
    rest = [(0, 0)] * (a.ndim - 2)
    rows = jnp.pad(a.reshape(n - 1, n, *a.shape[2:]), [(0, 0), (0, 1), *rest])  # the diagonal ends every n + 1
    flat = jnp.pad(rows.reshape(n * n - 1, *a.shape[2:]), [(1, 0), *rest])
    return flat.reshape(n, n, *a.shape[2:])


def particles(positions: ArrayLike, velocities: ArrayLike, charges: ArrayLike) -> tuple[Array, Array, Array]:
    """The arguments as they are, positions (n, d), velocities (n, d) and charges (n,).

    Raises:
        TypeError: If one is not of real floating-point numbers.
        ValueError: If there are no particles, or a shape is another one.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import nn
        >>> nn.particles(jnp.ones((5, 3)), jnp.ones((5, 3)), jnp.ones(4))
        Traceback (most recent call last):
        ValueError: charges: expected shape (5,) for positions (5, 3), got (4,)
    """
    names = ("positions", "velocities", "charges")
    x, v, q = (_validate.floating(name, a) for name, a in zip(names, (positions, velocities, charges), strict=True))
    if x.ndim != 2 or not len(x):
        raise ValueError(f"positions: expected shape (n, d) for n particles, one at least, got {x.shape}")
    for name, a, shape in (("velocities", v, x.shape), ("charges", q, x.shape[:1])):
        if a.shape != shape:
            raise ValueError(f"{name}: expected shape {shape} for positions {x.shape}, got {a.shape}")
    return x, v, q


def differences(x: Float[Array, "n ..."]) -> Float[Array, "n others ..."]:
    """x_i − x_j for j ≠ i.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import nn
        >>> nn.differences(jnp.array([[0.0], [2.0], [5.0]]))[..., 0].tolist()
        [[-2.0, -5.0], [2.0, -3.0], [5.0, 3.0]]
    """
    return off_diagonal(x[:, None] - x)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True)
class AllPairs:
    """The `Edges` of a graph in which each of n nodes sends to every other one; arrays of edges are (n, n − 1, ...).

    Attributes:
        nodes: n.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import nn
        >>> edges = nn.AllPairs(3)
        >>> edges.senders(jnp.array([1.0, 2.0, 3.0]))
        Array([[2., 3.],
               [1., 3.],
               [1., 2.]], dtype=float32)
    """

    nodes: int

    def senders(self, x: Shaped[Array, "n ..."]) -> Shaped[Array, "n others ..."]:
        """x_j for all j ≠ i."""
        return off_diagonal(jnp.broadcast_to(x, (self.nodes, *x.shape)))

    def receivers(self, x: Float[Array, "n ..."]) -> Float[Array, "n 1 ..."]:
        """x_i, once for all j."""
        return x[:, None]

    def total(self, messages: Float[Array, "n others ..."]) -> Float[Array, "n ..."]:
        """1/√(n − 1) Σ_j m_ij."""
        return jnp.sum(messages, axis=1) / max(self.nodes - 1, 1) ** 0.5
