"""One large graph in shards of equal size, one for each device: some of the nodes, and the edges that end at them."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from equijax import _validate
from equijax.graphs.graph import Graph, bucket
from equijax.graphs.neighbors import PADDED_EDGE


def partition(graph: Graph, shards: int, *, edges: int | None = None) -> Graph:
    """The same graph, its arrays padded and ordered so that they can be split evenly over devices; on the host.

    The arrays of nodes consist of so many blocks of equal length, as do those of edges. Block k of both together is a
    shard: some of the nodes, and all edges that end at them. An edge may begin at a node of another shard.

    - To put one shard on each device, split the arrays of nodes and of edges along their first axis. Each device also
      needs `cells`, `pbc` and `graph_mask` as they are.
    - `senders` and `receivers` are still indices among all nodes. A device subtracts `first_node` from its receivers to
      index the nodes of its own shard, and collects the features of all nodes by `whole` to index them by senders.

    The result is a graph like any other, which a single device can take without being split.

    Args:
        graph: From `graphs.batch`, on the host.
        shards: How many.
        edges: Edges of a shard, with padding; `bucket` of the largest number unless given.

    Returns:
        A graph in so many shards, nodes in the same order.

    Raises:
        ValueError: If there are fewer nodes than shards, or the edges do not fit.

    Examples:
        >>> from equijax import graphs
        >>> water = graphs.Structure(np.array([8, 1, 1]), np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0]]))
        >>> graph = partition(graphs.batch([water], cutoff=2.0, nodes=4), 2, edges=4)
        >>> graph.species.reshape(2, -1)  # one shard a row; 0 is padding
        array([[8, 1],
               [1, 0]], dtype=int32)
        >>> graph.receivers.reshape(2, -1)  # edges that end in the shard; padded ones at its last node
        array([[0, 0, 1, 1],
               [2, 2, 3, 3]], dtype=int32)
    """
    shards = _validate.integer("shards", shards, 1)
    atoms = int(np.count_nonzero(graph.node_mask))
    if atoms < shards:
        raise ValueError(f"shards: expected at most one for each of the {atoms} nodes, got {shards}")
    nodes = -(-len(graph.species) // shards)  # of a shard, rounded up
    kept = np.flatnonzero(graph.edge_mask)
    shard = np.asarray(graph.receivers)[kept] // nodes  # of each edge
    counts = np.bincount(shard, minlength=shards)
    size = bucket(int(counts.max()), 64) if edges is None else _validate.integer("edges", edges)
    if size < counts.max():
        raise ValueError(f"edges: expected room for {counts.max()}, which is what a shard holds, got {edges}")
    # the row of each edge: that of its shard's first edge, and its number within the shard; sorted by receiver
    slot = shard * size + np.arange(len(kept)) - np.repeat(np.cumsum(counts) - counts, counts)

    def of_nodes(x, fill):
        """Padded to (shards · nodes, ...)."""
        rest = np.broadcast_to(np.asarray(fill, x.dtype), (shards * nodes - len(x), *x.shape[1:]))
        return np.concatenate([x, rest])

    def of_edges(x, fill):
        """Each edge in its slot, (shards · size, ...)."""
        out = np.broadcast_to(np.asarray(fill, x.dtype), (shards * size, *x.shape[1:])).copy()
        out[slot] = x[kept]
        return out

    last = np.repeat(np.arange(1, shards + 1) * nodes - 1, size)  # of the shard, where padding edges begin and end
    return graph._replace(
        species=of_nodes(graph.species, 0),
        node_mask=of_nodes(graph.node_mask, False),
        graph_of_node=of_nodes(graph.graph_of_node, len(graph.graph_mask) - 1),
        senders=of_edges(graph.senders, last),
        receivers=of_edges(graph.receivers, last),
        shifts=of_edges(graph.shifts, 0),
        vectors=of_edges(graph.vectors, PADDED_EDGE),
        edge_mask=of_edges(graph.edge_mask, False),
    )


def whole(x: Array, axis_name: str | None, axis: int = 0) -> Array:
    """The rows of all shards along `axis`, inside of `jax.shard_map` over `axis_name`; `x` itself if that is None.

    Examples:
        >>> shards = jnp.array([[0, 1], [2, 3]])  # vmap in place of two devices
        >>> jax.vmap(lambda x: whole(x, "devices"), axis_name="devices")(shards)
        Array([[0, 1, 2, 3],
               [0, 1, 2, 3]], dtype=int32)
    """
    return x if axis_name is None else jax.lax.all_gather(x, axis_name, axis=axis % x.ndim, tiled=True)


def first_node(nodes: int, axis_name: str | None) -> Array | int:
    """Index among all nodes of the first node of this device's shard, of `nodes` nodes; 0 if `axis_name` is None.

    Examples:
        >>> receivers = jnp.array([[0, 1], [2, 3]])  # two shards of two nodes, vmap in place of two devices
        >>> jax.vmap(lambda i: i - first_node(2, "devices"), axis_name="devices")(receivers)
        Array([[0, 1],
               [0, 1]], dtype=int32)
    """
    return 0 if axis_name is None else nodes * jax.lax.axis_index(axis_name).astype(jnp.int32)
