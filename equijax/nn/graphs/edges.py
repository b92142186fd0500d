"""Between which nodes edges run, and layers of the edges: dense ones that see both ends, and messages."""

import dataclasses
import functools
from typing import Protocol, runtime_checkable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from equijax import graphs, spherical
from equijax.nn.graphs.message_passing import aggregate
from equijax.nn.plain import Dense, uniform
from equijax.nn.spherical.linear import Linear
from equijax.nn.variance import gain
from equijax.spherical import transforms


@runtime_checkable
class Edges(Protocol):
    """Edges j → i between N nodes; arrays of them have one axis or more of edges in front."""

    def senders(self, x: Float[Array, "N ..."]) -> Float[Array, "..."]:
        """x_j of each edge."""

    def receivers(self, x: Float[Array, "N ..."]) -> Float[Array, "..."]:
        """x_i of each edge, in a shape that is broadcast against those of edges."""

    def total(self, messages: Float[Array, "..."]) -> Float[Array, "N ..."]:
        """Messages added up at the receivers, and divided by the square root of their usual number."""


@functools.partial(jax.tree_util.register_dataclass, data_fields=["graph"], meta_fields=["mean_neighbors", "axis_name"])
@dataclasses.dataclass(frozen=True)
class GraphEdges:
    """The `Edges` of a graph, whose arrays are (E, ...).

    Attributes:
        graph: Senders, receivers and masks.
        mean_neighbors: As in `aggregate`.
        axis_name: Inside of `jax.shard_map` over this axis, where each device has one shard of `graphs.partition`: the
            features of senders are collected from all shards.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import graphs, nn
        >>> pair = graphs.from_structure(graphs.Structure([1, 8], [[0.0, 0, 0], [0, 0, 0.9]]), cutoff=1.0)
        >>> edges, x = nn.GraphEdges(pair), jnp.array([1.0, 3.0])
        >>> edges.senders(x).tolist(), edges.receivers(x).tolist()
        ([3.0, 1.0], [1.0, 3.0])
    """

    graph: graphs.Graph
    mean_neighbors: float = 1.0
    axis_name: str | None = None

    def senders(self, x: Float[Array, "N ..."]) -> Float[Array, "E ..."]:
        """x_j of each edge."""
        return graphs.whole(x, self.axis_name)[jnp.asarray(self.graph.senders)]

    def receivers(self, x: Float[Array, "N ..."]) -> Float[Array, "E ..."]:
        """x_i of each edge."""
        return x[self.own_receivers]

    def total(self, messages: Float[Array, "E ..."]) -> Float[Array, "N ..."]:
        """`aggregate` of the messages."""
        return aggregate(messages, self.graph._replace(receivers=self.own_receivers), self.mean_neighbors)

    @property
    def own_receivers(self) -> Int[Array, " E"]:
        """Receivers, counted from the first node of the shard."""
        return jnp.asarray(self.graph.receivers) - graphs.first_node(len(self.graph.species), self.axis_name)


class EdgeDense(nn.Module):
    """W_j h_j + W_i h_i + Σ_k W_k a_k + b: a dense layer of the features of both ends and of the edge.

    The products with h are taken once a node.

    Attributes:
        features: Length of the result.
        unit_variance: As in `Dense`, and without b; otherwise all is drawn evenly from ±1/√inputs, of all inputs.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import nn
        >>> h, a = jnp.ones((3, 4)), jnp.ones((3, 2, 1))  # three nodes, each with edges to the two others
        >>> nn.EdgeDense(8).init_with_output(jax.random.key(0), h, nn.AllPairs(3), a)[0].shape
        (3, 2, 8)
    """

    features: int
    unit_variance: bool = False

    @nn.compact
    def __call__(
        self, h: Float[Array, "N inputs"], edges: Edges, *a: Float[Array, "..."]
    ) -> Float[Array, "... features"]:
        """The result of each edge, from features of the nodes and one array or more of features of the edges."""
        drawn = None if self.unit_variance else uniform((2 * h.shape[-1] + sum(x.shape[-1] for x in a)) ** -0.5)
        dense = functools.partial(Dense, self.features, False, self.unit_variance, drawn)
        received = dense(name="receiver")(h)
        if drawn is not None:
            received = received + self.param("bias", drawn, (self.features,)).astype(h.dtype)
        y = edges.receivers(received) + edges.senders(dense(name="sender")(h))
        for k, x in enumerate(a):
            y = y + dense(name=f"edge_{k}")(x)
        return y


class EdgeConvolution(nn.Module):
    """Features of the neighbors and harmonics of their directions, by filters that see both ends of an edge:

        A_i[l] = 1/√n̄ Σ_{e: j → i} f_e (R_l s_j Y_l(r̂_e) + R'_l h_j[l]) ,
        R, R' = network(h_i[0], h_j[0], h_i(r̂_e), h_j(r̂_e), a_e) .

    Here h(r̂) are the values of some mixtures of the functions h in the direction of the edge, and s_j = h_j[0]. Both
    and a_e being invariant, so are the filters: no tensor product is formed on the edges.

    Attributes:
        features: Width of the network's two hidden layers.
        lmax: Degree of the result.
        probes: Channels in which an edge sees h_i(r̂) and h_j(r̂).
        scaled: Whether the harmonics are multiplied by the scalars s_j; they are by 1 otherwise.
        unit_variance: How dense layers start, see `Dense`; those with unit variance have no bias.

    References:
        Brandstetter et al. 2022, arXiv:2110.02905 (messages that depend on vectors at both ends).

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import nn, spherical
        >>> x = jax.random.normal(jax.random.key(0), (3, 3))  # three points, and features of degrees 0 and 1
        >>> h, r = jnp.ones((3, 4, 2)), nn.differences(x)
        >>> layer = nn.EdgeConvolution(features=8, lmax=2, probes=1)
        >>> args = h, h, spherical.harmonics(r, 2), nn.AllPairs(3), jnp.sum(r**2, axis=-1, keepdims=True)
        >>> jax.jit(layer.init_with_output)(jax.random.key(0), *args)[0].shape
        (3, 9, 2)
    """

    features: int
    lmax: int
    probes: int = 16
    scaled: bool = True
    unit_variance: bool = True

    @nn.compact
    def __call__(
        self,
        h: Float[Array, "N coefficients channels"],
        sent: Float[Array, "N sent_coefficients sent_channels"],
        Y: Float[Array, "... edge_coefficients"],
        edges: Edges,
        *a: Float[Array, "..."],
        cutoff: Float[Array, "..."] | None = None,
    ) -> Float[Array, "N result sent_channels"]:
        """A, (N, (lmax + 1)², channels of what is sent).

        Args:
            h: Features that the network sees.
            sent: Features that are sent.
            Y: Harmonics of the edges, of unit variance, up to the degree of h and of the result.
            edges: Which they are.
            *a: Further invariant features of the edges.
            cutoff: f of each edge; 1 if not given.
        """
        silu = lambda x: jax.nn.silu(x) * (gain(jax.nn.silu) if self.unit_variance else 1)  # noqa: E731
        dense = functools.partial(Dense, use_bias=not self.unit_variance, unit_variance=self.unit_variance)
        Y = Y[..., None]  # (..., coefficients, 1)
        if h.shape[-2] > 1:
            probes = Linear(2 * self.probes, name="probes")(h)
            ends = edges.receivers(probes[..., : self.probes]), edges.senders(probes[..., self.probes :])
            a = (jnp.concatenate([jnp.sum(x * Y[..., : h.shape[-2], :], axis=-2) for x in ends], axis=-1), *a)
        R = silu(EdgeDense(self.features, self.unit_variance, name="ends")(h[..., 0, :], edges, *a))
        R = silu(dense(self.features, name="hidden")(R))
        f = 1.0 if cutoff is None else cutoff[..., None]

        at_sender, lmax_sent = edges.senders(sent), spherical.lmax_of(sent, "sent")
        scalars = at_sender[..., 0, :] * f if self.scaled else f
        Y_of, sent_of = transforms.by_degree(Y, -2), transforms.by_degree(at_sender, -2)
        sums = []
        for l in range(self.lmax + 1):
            passes = l <= lmax_sent and (l > 0 or not self.scaled)  # the scalars are in what is made
            filters = dense((1 + passes) * sent.shape[-1], name=f"filters_{l}")(R)  # R_l and R'_l in one product
            made, *passed = jnp.split(filters, 1 + passes, axis=-1)
            message = Y_of[l] * (made * scalars)[..., None, :]
            if passes:
                message = message + sent_of[l] * (passed[0] * f)[..., None, :]
            sums.append(edges.total(message))
        return jnp.concatenate(sums, axis=-2)
