"""One large graph in equal parts, one for each device: the nodes of a part, and the edges that end there."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from equijax import _validate
from equijax.graphs.graph import Graph, bucket


def partition(graph: Graph, parts: int, *, edges: int | None = None) -> Graph:
    """The same graph, padded so that `parts` equal blocks of its arrays stand for themselves, on the host.

    Block k of the node arrays holds a share of the nodes, and block k of the edge arrays all edges that end there. To
    be sharded along the first axis; cells, periodic axes and masks of graphs are for every device. Senders and
    receivers still count through all nodes: `first_node` is what a device takes off, `whole` what its senders need.
    A single device may take it as it is.

    Args:
        graph: From `graphs.batch`, on the host.
        parts: How many.
        edges: Edges of a part, with padding; `bucket` of the largest unless given.

    Raises:
        ValueError: If there are not as many nodes as parts, or the edges do not fit.
    """
    parts = _validate.integer("parts", parts, 1)
    atoms = int(np.count_nonzero(graph.node_mask))
    if atoms < parts:
        raise ValueError(f"parts: expected at most one for each of the {atoms} nodes, got {parts}")
    nodes = -(-len(graph.species) // parts)
    kept = np.flatnonzero(graph.edge_mask)
    part = np.asarray(graph.receivers)[kept] // nodes
    counts = np.bincount(part, minlength=parts)
    size = bucket(int(counts.max()), 64) if edges is None else _validate.integer("edges", edges)
    if size < counts.max():
        raise ValueError(f"edges: expected room for {counts.max()}, which is what a part holds, got {edges}")
    slot = part * size + np.arange(len(kept)) - np.repeat(np.cumsum(counts) - counts, counts)  # sorted by receiver

    def of_nodes(x, fill):
        rest = np.broadcast_to(np.asarray(fill, x.dtype), (parts * nodes - len(x), *x.shape[1:]))
        return np.concatenate([x, rest])

    def of_edges(x, fill):
        out = np.broadcast_to(np.asarray(fill, x.dtype), (parts * size, *x.shape[1:])).copy()
        out[slot] = x[kept]
        return out

    last = np.repeat(np.arange(1, parts + 1) * nodes - 1, size)
    return graph._replace(
        species=of_nodes(graph.species, 0),
        positions=of_nodes(graph.positions, 0),
        node_mask=of_nodes(graph.node_mask, False),
        graph_of_node=of_nodes(graph.graph_of_node, len(graph.graph_mask) - 1),
        senders=of_edges(graph.senders, last),
        receivers=of_edges(graph.receivers, last),
        shifts=of_edges(graph.shifts, 0),
        edge_mask=of_edges(graph.edge_mask, False),
    )


def whole(x: Array, axis_name: str | None, axis: int = 0) -> Array:
    """The rows of all parts, inside of `jax.shard_map` over `axis_name`; `x` as it is if that is None."""
    return x if axis_name is None else jax.lax.all_gather(x, axis_name, axis=axis % x.ndim, tiled=True)


def first_node(nodes: int, axis_name: str | None) -> Array | int:
    """Index among all nodes of the first of the `nodes` of this part; 0 if `axis_name` is None."""
    return 0 if axis_name is None else nodes * jax.lax.axis_index(axis_name).astype(jnp.int32)
