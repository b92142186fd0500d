"""The convolution of features by degree with harmonics of the edges, with a radial weight for each path."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from equijax import graphs, products, spherical
from equijax.nn.graphs.edges import GraphEdges
from equijax.nn.plain import Dense
from equijax.nn.spherical.by_degree import Features
from equijax.numerics.primitives import vary_alike
from equijax.spherical import ByDegree

CHUNK = 128  # edges at a time: their messages stay in the cache


class PathConvolution(nn.Module):
    """Features of the neighbors times harmonics of the edges, each path by itself:

        A_i[abc] = 1/√n̄ Σ_{e: j → i} R_abc(a_e) (x_j[a] ⊗ Y_b(r̂_e))_c ,

    with ⊗ of `products.clebsch_gordan_separate`. R is a network without biases of what is known of an edge, one output
    for each path and channel; its weights carry their scale. Messages are made a few edges at a time, and made again in
    the backward pass: no array holds those of all edges.

    Attributes:
        lmax: Largest degree of the result.
        features: Widths of the hidden layers of R.
        precision: Of the matrix products.

    References:
        Batzner et al. 2022, arXiv:2101.03164, eq. 6.

    Examples:
        >>> from equijax import graphs, nn
        >>> pair = graphs.from_structure(graphs.Structure([1, 8], [[0.0, 0, 0], [0, 0, 0.9]]), cutoff=1.0)
        >>> x, Y, a = {0: jnp.ones((2, 1, 8))}, jnp.ones((2, 4)), jnp.ones((2, 1))  # scalars of two atoms
        >>> layer = nn.PathConvolution(lmax=1, features=(4,))
        >>> f = lambda x: layer.init_with_output(jax.random.key(0), x, Y, a, nn.GraphEdges(pair))[0]
        >>> {l: z.shape for l, z in jax.eval_shape(f, x).items()}
        {0: (2, 1, 8), 1: (2, 3, 8)}
    """

    lmax: int
    features: Sequence[int] = (64, 64)
    precision: jax.lax.PrecisionLike = "highest"

    @nn.compact
    def __call__(
        self, x: ByDegree, Y: Float[Array, "E coefficients"], a: Float[Array, "E inputs"], edges: GraphEdges
    ) -> Features:
        """The sums at each node.

        Args:
            x: Features of the nodes by degree, {l: (N, 2l + 1, channels of l)}.
            Y: Harmonics of the edges, of unit variance (√(4π) those of `spherical.harmonics`).
            a: What R is a function of, zero where the edge ends to be one.
            edges: Which they are.
        """
        x = spherical.checked_degrees("x", x)
        l2 = spherical.lmax_of(Y, "Y", -1)
        ways = products.separate_paths(x, l2, self.lmax)
        for k, width in enumerate(self.features):
            start = nn.initializers.normal(2 / a.shape[-1] ** 0.5)
            a = jax.nn.silu(Dense(width, False, kernel_init=start, precision=self.precision, name=f"radial_{k}")(a))
        shape = (a.shape[-1], sum(x[path[0]].shape[-1] for path in ways))
        last = self.param(f"radial_{len(self.features)}", nn.initializers.normal(a.shape[-1] ** -0.5), shape)
        at = {l: graphs.whole(part, edges.axis_name) for l, part in x.items()}

        @jax.checkpoint
        def messages(at: Features, last: Array, Y: Array, a: Array, mask: Array, senders: Array) -> Features:
            sent = {l: part[senders] for l, part in at.items()}
            w = jnp.where(mask[:, None], jnp.matmul(a, last.astype(a.dtype), precision=self.precision), 0)
            return products.clebsch_gordan_separate(sent, Y, w, lmax=self.lmax, precision=self.precision)

        def add(sums: Features, chunk: tuple[Array, ...]) -> tuple[Features, None]:
            *known, receivers = chunk
            found = messages(at, last, *known)
            return {c: sums[c].at[receivers].add(found[c]) for c in sums}, None

        # Edges in chunks (chunks, edges, ...), padded by those of the mask
        graph, nodes = edges.graph, len(next(iter(x.values())))
        count = -(-len(Y) // CHUNK)
        arrays = (Y, a, graph.edge_mask, graph.senders, edges.own_receivers)
        of_edges = tuple(_in_chunks(jnp.asarray(array), count) for array in arrays)
        widths = {c: sum(x[p[0]].shape[-1] for p in ways if p[2] == c) for c in sorted({p[2] for p in ways})}
        zero = {c: jnp.zeros((nodes, 2 * c + 1, width), Y.dtype) for c, width in widths.items()}
        zero = {c: vary_alike(z, of_edges[0])[0] for c, z in zero.items()}
        sums, _ = jax.lax.scan(add, zero, of_edges)
        return {c: z / edges.mean_neighbors**0.5 for c, z in sums.items()}


def _in_chunks(a, count):
    """(E, ...) as (count, edges, ...), with zeros behind."""
    size = -(-len(a) // count) if count else 0
    padded = jnp.pad(a, ((0, count * size - len(a)), *((0, 0),) * (a.ndim - 1)))
    return padded.reshape(count, size, *a.shape[1:])
