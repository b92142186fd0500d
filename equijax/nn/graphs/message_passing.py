"""Messages along the edges of a graph, added up where they arrive."""

import functools
import math
from collections.abc import Callable, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from equijax import _validate, graphs, products, spherical
from equijax.nn.graphs.radial import RadialBasis
from equijax.nn.variance import path_variances, unit_scale
from equijax.spherical.parity import Input, Output, contributions, kinds, spin, spin_scale


class MessagePassing(nn.Module):
    """Each node takes up what a message function makes of its edges:

        y_i = 1/√n̄ Σ_{e: j → i} message(x_j, x_i, a_e) .

    Equivariant if the message is. Padding edges are left out, whatever their message is.

    Attributes:
        message: A function or module of (x at the sender, x at the receiver, edges), whose arrays have the edges on
            their first axis.
        mean_neighbors: n̄, over the training set: keeps y at unit variance, and smooth where edges come and go.

    Examples:
        >>> import jax.numpy as jnp, numpy as np
        >>> from equijax import graphs, nn
        >>> pair = graphs.from_structure(graphs.Structure([1, 8], [[0.0, 0, 0], [0, 0, 0.5]]), cutoff=1.0)
        >>> layer = nn.MessagePassing(lambda sent, received, lengths: (sent - received) * lengths)
        >>> layer.apply({}, jnp.array([1.0, 3.0]), graphs.edge_lengths(pair.vectors), pair).tolist()
        [1.0, -1.0]
    """

    message: Callable[[PyTree, PyTree, PyTree], PyTree]
    mean_neighbors: float = 1.0

    @nn.compact
    def __call__(self, x: PyTree, edges: PyTree, graph: graphs.Graph) -> PyTree:
        """The messages that arrive at each node, a pytree as `message` returns it.

        Args:
            x: Pytree of arrays with the nodes on their first axis, such as features (N, (lmax + 1)², channels), or the
                pair (natural, pseudo) of them.
            edges: What the message knows of the edges: a pytree with the edges on the first axis, or None.
            graph: Senders, receivers and masks.

        Raises:
            ValueError: If an array has not one row a node, or an edge, of the graph.
        """
        _rows("x", x, len(graph.species), "node")
        _rows("edges", edges, len(graph.senders), "edge")

        def at(ends):
            return jax.tree.map(lambda a: jnp.asarray(a)[jnp.asarray(ends)], x)

        return aggregate(self.message(at(graph.senders), at(graph.receivers), edges), graph, self.mean_neighbors)


def aggregate(messages: PyTree, graph: graphs.Graph, mean_neighbors: float = 1.0) -> PyTree:
    """1/√n̄ Σ_{e: j → i} m_e at each node i, over the edges that are no padding; a pytree of arrays (N, ...).

    Half precisions are added up in float32.

    Args:
        messages: Pytree of arrays (E, ...).
        graph: Receivers and masks.
        mean_neighbors: n̄.

    Raises:
        TypeError: If an array is not of real floating-point numbers.
        ValueError: If `mean_neighbors` is not positive, or an array has not one row an edge.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import graphs, nn
        >>> pair = graphs.from_structure(graphs.Structure([1, 8], [[0.0, 0, 0], [0, 0, 0.9]]), cutoff=1.0)
        >>> nn.aggregate(jnp.array([1.0, 2.0]), pair, mean_neighbors=4.0).tolist()
        [0.5, 1.0]
    """
    _validate.positive("mean_neighbors", mean_neighbors)
    _rows("messages", messages, len(graph.senders), "edge")
    mask, receivers = jnp.asarray(graph.edge_mask), jnp.asarray(graph.receivers)

    def total(m):
        m = _validate.floating("messages", m)
        m = jnp.where(mask.reshape(-1, *[1] * (m.ndim - 1)), m, 0)
        wide = m.astype(jnp.promote_types(m.dtype, jnp.float32))
        return (jax.ops.segment_sum(wide, receivers, len(graph.species)) / mean_neighbors**0.5).astype(m.dtype)

    return jax.tree.map(total, messages)


class ZonalConvolution(nn.Module):
    """Features of the neighbors, each multiplied by a learned filter around the direction of its edge:

        z_i[l] = s_l/√n̄ Σ_{e: j → i} (x_j ⋆ h_e)[l] ,   h_e = √4π Σ_l w_l(‖r_e‖) Y_l(r̂_e) ,

    with the Gaunt product ⋆ by `products.convolution` and w = `RadialBasis` for each degree and channel. The constants
    s_l keep the variance of x times that of w, for edges in random directions. Pairs (natural, pseudo) and `bracket` as
    in `GauntProduct`, h being natural; each of the products has radial functions of its own.

    Attributes:
        cutoff: Where all filters become zero, in the unit of the edges.
        lmax: Degree of the result; None for the larger of those of x and the filter.
        filter_lmax: Degree of the filter; None for that of x.
        bracket: Whether to add the odd paths. The result is a pair then.
        mean_neighbors: n̄, as in `MessagePassing`.
        hidden: Widths of the hidden layers of the radial network.
        functions: Bessel functions that go into it.
        method: As for `products.convolution`.
        precision: Of the matrix products.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import graphs, nn
        >>> pair = graphs.from_structure(graphs.Structure([1, 8], [[0.0, 0, 0], [0, 0, 0.9]]), cutoff=1.0)
        >>> layer, x = nn.ZonalConvolution(cutoff=1.0, filter_lmax=2), jnp.ones((2, 1, 3))  # scalars of two nodes
        >>> f = lambda x: layer.init_with_output(jax.random.key(0), x, pair.vectors, pair)[0]
        >>> jax.eval_shape(f, x).shape
        (2, 9, 3)
    """

    cutoff: float
    lmax: int | None = None
    filter_lmax: int | None = None
    bracket: bool = False
    mean_neighbors: float = 1.0
    hidden: Sequence[int] = (64,)
    functions: int = 8
    method: str = "auto"
    precision: jax.lax.PrecisionLike = "highest"

    @nn.compact
    def __call__(self, x: Input, vectors: Float[Array | np.ndarray, "edges 3"], graph: graphs.Graph) -> Output:
        """The convolution at each node, in the dtype of x.

        Args:
            x: (N, (l + 1)², channels), or the pair (natural, pseudo), either of which may be None.
            vectors: (E, 3), those of `graphs.edge_vectors`.
            graph: Senders, receivers and masks.

        Returns:
            (N, (lmax + 1)², channels), or the pair if x is one, or with `bracket`; a part that nothing contributes to
            is None.
        """
        found = kinds("x", x)
        first = next(iter(found.values()))
        _rows("x", found, len(graph.species), "node")
        _rows("vectors", vectors, len(graph.senders), "edge")
        vectors = _validate.floating("vectors", vectors)
        l1, channels = spherical.lmax_of(first, "x"), first.shape[-1]
        filter_lmax = l1 if self.filter_lmax is None else _validate.integer("filter_lmax", self.filter_lmax)
        lmax = max(l1, filter_lmax) if self.lmax is None else self.lmax

        # radial weights of each product of a kind of x with the filter
        sums = contributions(found, (0,), self.bracket)
        shape = (sum(map(len, sums.values())), filter_lmax + 1, channels)
        features = (*self.hidden, math.prod(shape))
        radial = RadialBasis(self.cutoff, features, self.functions, precision=self.precision, name="radial")
        w = radial(graphs.edge_lengths(vectors)).reshape(-1, *shape)  # (E, products, degrees, channels)

        def message(sent, _, edges):
            """The sum of the products for each kind of the result."""
            vectors, weights = edges[0], iter(jnp.moveaxis(edges[1], 1, 0))
            convolve = functools.partial(
                products.convolution, lmax=self.lmax, method=self.method, precision=self.precision
            )
            return {
                kind: sum(convolve(sent[odd][i], vectors, next(weights) * spun[odd], odd=odd) for i, _, odd in terms)
                for kind, terms in sums.items()
            }

        l = np.arange(filter_lmax + 1)
        spun = 1, spin_scale(l).astype(w.dtype)[:, None]
        sent = found, {kind: spin(f) for kind, f in found.items()} if self.bracket else {}
        result = MessagePassing(message, self.mean_neighbors)(sent, (vectors, w), graph)
        for kind, terms in sums.items():
            variance = sum(path_variances(l1, filter_lmax, lmax, odd=odd).sum(axis=(0, 1)) for _, _, odd in terms)
            scale = (4 * np.pi) ** 0.5 * unit_scale(variance)[spherical.degree_of_coefficient(lmax), None]
            result[kind] = result[kind].astype(first.dtype) * scale.astype(first.dtype)
        pair = self.bracket or isinstance(x, (tuple, list))
        return (result.get(0), result.get(1)) if pair else result[0]


def _rows(name, tree, count, what):
    """Raise a ValueError unless all arrays of `tree` have one row for each of the `count` things."""
    for a in jax.tree.leaves(tree):
        if jnp.shape(a)[:1] != (count,):
            raise ValueError(f"{name}: expected {count} rows, one for each {what} of the graph, got {jnp.shape(a)}")
