"""Several structures as one graph of fixed shape."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from equijax import _validate
from equijax.graphs.neighbors import PADDED_EDGE, neighbor_list
from equijax.graphs.structure import Structure, checked, each
from equijax.numerics import norm


@jax.tree_util.register_static
class Length(float):
    """A number of a graph that programs are compiled for: of no leaves as a pytree."""


class Graph(NamedTuple):
    """N nodes and E edges of B structures, padding included; a pytree of arrays.

    Edge e stands for the vector r_e = x_j + S H - x_i from its receiver i to its sender j, with the image shift S and
    the rows of H the cell vectors. Each pair appears in both directions; edges are sorted by receiver.

    A graph keeps the vectors and no positions: they are made in float64, and lose nothing in float32 however far from
    the origin the structure is. Give positions to `edge_vectors` where derivatives by them are wanted.

    The last graph is padding, and padding nodes belong to it. Padding edges connect the last node, which is padding,
    with itself; after `partition` the last node of their shard, which may be an atom.
    """

    species: Int[Array | np.ndarray, " N"]
    """Atomic numbers, 0 for padding."""
    node_mask: Bool[Array | np.ndarray, " N"]
    graph_of_node: Int[Array | np.ndarray, " N"]
    senders: Int[Array | np.ndarray, " E"]
    receivers: Int[Array | np.ndarray, " E"]
    shifts: Int[Array | np.ndarray, "E 3"]
    vectors: Float[Array | np.ndarray, "E 3"]
    """Of length 1 for padding, so that norms and directions have derivatives: multiply by `edge_mask`."""
    edge_mask: Bool[Array | np.ndarray, " E"]
    cells: Float[Array | np.ndarray, "B 3 3"]
    """Unit vectors along open axes that have no cell vector."""
    pbc: Bool[Array | np.ndarray, "B 3"]
    graph_mask: Bool[Array | np.ndarray, " B"]
    cutoff: Length | None = None
    """All edges shorter than this are there; None if that is not known."""


def edge_vectors(positions: Float[Array | np.ndarray, "N 3"], graph: Graph) -> Float[Array, "E 3"]:
    """r_e = x_j + S H - x_i of each edge for other positions than the graph was made of, or for derivatives by them.

    Padded edges get the constant vector that they have in `graph.vectors`.

    Args:
        positions: (N, 3), of all nodes, padding included. In float32 what is a thousand Å from the origin loses
            digits; `graph.vectors` does not.
        graph: The edges and cells.

    Returns:
        (E, 3) in the dtype of `positions`.

    Raises:
        TypeError: If the positions are not floating-point.
        ValueError: If they are not those of all nodes.

    Examples:
        >>> pair = Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, 0.74]]))
        >>> graph = from_structure(pair, cutoff=1.0)
        >>> edge_vectors(2 * pair.positions, graph).tolist()  # to the first atom from the second, and back
        [[0.0, 0.0, 1.4800000190734863], [0.0, 0.0, -1.4800000190734863]]
    """
    positions = _validate.floating("positions", positions)
    expected = (len(graph.graph_of_node), 3)
    if positions.shape != expected:
        raise ValueError(f"positions: expected shape {expected}, one node of the graph a row, got {positions.shape}")
    senders, receivers = jnp.asarray(graph.senders), jnp.asarray(graph.receivers)
    cells = jnp.asarray(graph.cells, positions.dtype)[jnp.asarray(graph.graph_of_node)[receivers]]
    images = jnp.einsum("ea,eab->eb", jnp.asarray(graph.shifts, positions.dtype), cells, precision="highest")
    vectors = positions[senders] + images - positions[receivers]
    return jnp.where(jnp.asarray(graph.edge_mask)[:, None], vectors, jnp.asarray(PADDED_EDGE, positions.dtype))


def edge_lengths(vectors: Float[Array | np.ndarray, "*batch 3"]) -> Float[Array, "*batch"]:
    """‖r‖ of edge vectors, with derivative 0, not NaN, at r = 0.

    Examples:
        >>> edge_lengths(jnp.array([[3.0, 0, 4], [0, 0, 0]]))
        Array([5., 0.], dtype=float32)
    """
    return norm(jnp.asarray(vectors))


def batch(
    structures: Sequence[Structure],
    cutoff: float,
    *,
    nodes: int | None = None,
    edges: int | None = None,
    graphs: int | None = None,
) -> Graph:
    """Structures with all their edges as one padded graph, on the host.

    Args:
        structures: One or more, of any sizes.
        cutoff: Edges are shorter than this, in the unit of the positions.
        nodes: Nodes with padding, at least one more than there are atoms; `bucket(atoms + 1)` unless given.
        edges: Edges with padding; `bucket(edges, 64)` unless given.
        graphs: Graphs with padding, at least one more than there are structures, which is what it is unless given.

    Returns:
        A `Graph` of NumPy arrays; vectors and cells in float64, which jax makes float32 unless told otherwise.

    Raises:
        ValueError: If a structure is empty or has coincident atoms, or does not fit.

    Examples:
        >>> pair = Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, 0.74]]))
        >>> graph = batch([pair, pair], cutoff=1.0)
        >>> graph.species
        array([1, 1, 1, 1, 0, 0, 0, 0], dtype=int32)
        >>> graph.graph_of_node
        array([0, 0, 1, 1, 2, 2, 2, 2], dtype=int32)
        >>> int(graph.edge_mask.sum()), len(graph.edge_mask)
        (4, 64)
    """
    singles = each(lambda s: from_structure(s, cutoff), structures)
    return concatenate(singles, nodes=nodes, edges=edges, graphs=graphs)


def from_structure(structure: Structure, cutoff: float) -> Graph:
    """One structure as a graph without padding. Make these once, and `concatenate` them anew in each epoch.

    Args:
        structure: Of at least one atom.
        cutoff: Edges are shorter than this, in the unit of the positions.

    Returns:
        A `Graph` of NumPy arrays, all masks true.

    Raises:
        ValueError: If the structure is empty, has coincident atoms, or its arrays do not fit.

    Examples:
        >>> pair = Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, 0.74]]))
        >>> graph = from_structure(pair, cutoff=1.0)
        >>> graph.senders, graph.receivers
        (array([1, 0], dtype=int32), array([0, 1], dtype=int32))
    """
    species, positions, cell, pbc, *_ = checked(structure)
    n = len(species)
    senders, receivers, shifts = neighbor_list(positions, cell, pbc, cutoff)
    return Graph(
        species=species,
        node_mask=np.ones(n, bool),
        graph_of_node=np.zeros(n, np.int32),
        senders=senders,
        receivers=receivers,
        shifts=shifts,
        vectors=positions[senders] - positions[receivers] + shifts @ cell,
        edge_mask=np.ones(len(senders), bool),
        cells=np.array(cell)[None],
        pbc=np.array(pbc)[None],
        graph_mask=np.ones(1, bool),
        cutoff=Length(cutoff),
    )


def with_padding(
    species: Int[Array, " N"],
    node_mask: Bool[Array, " N"],
    cell: Float[Array, "3 3"],
    pbc: Bool[Array, "3"],
    **edges: Any,
) -> Graph:
    """The graph of one structure and one of padding, of arrays that are padded and may be traced.

    Args:
        species: Atomic numbers, 0 for padding, which there has to be.
        node_mask: Which nodes are atoms.
        cell: Cell vectors, one a row.
        pbc: Which axes are periodic.
        **edges: The fields of a `Graph` from `senders` to `edge_mask`, such as those of `Neighbors`.

    Examples:
        >>> atoms = jnp.array([True, True, False])
        >>> from equijax import graphs
        >>> edges = graphs.traced_neighbor_list(jnp.eye(3), jnp.eye(3), cutoff=2.0, capacity=4, node_mask=atoms)
        >>> fields = dict(zip(edges._fields[:5], edges))
        >>> graph = with_padding(jnp.array([1, 8, 0]), atoms, jnp.eye(3), jnp.zeros(3, bool), **fields)
        >>> graph.graph_of_node.tolist(), graph.graph_mask.tolist()
        ([0, 0, 1], [True, False])
    """
    return Graph(
        species=species,
        node_mask=node_mask,
        graph_of_node=jnp.where(node_mask, 0, 1),
        cells=jnp.stack([cell, jnp.eye(3, dtype=cell.dtype)]),
        pbc=jnp.stack([pbc, jnp.zeros(3, bool)]),
        graph_mask=jnp.array([True, False]),
        **edges,
    )


def concatenate(
    singles: Sequence[Graph], *, nodes: int | None = None, edges: int | None = None, graphs: int | None = None
) -> Graph:
    """Graphs without padding as one with padding.

    Args:
        singles: Graphs of `from_structure`, one or more.
        nodes: As for `batch`.
        edges: As for `batch`.
        graphs: As for `batch`.

    Returns:
        As `batch`.

    Raises:
        ValueError: If there is no graph, they do not fit, or have not the same cut-off.

    Examples:
        >>> pair = Structure(np.array([1, 1]), np.array([[0.0, 0, 0], [0, 0, 0.74]]))
        >>> concatenate(3 * [from_structure(pair, cutoff=1.0)], edges=8).edge_mask.astype(int)
        array([1, 1, 1, 1, 1, 1, 0, 0])
    """
    if not singles:
        raise ValueError("structures: expected at least one, got none")
    cutoffs = {s.cutoff for s in singles}
    if len(cutoffs) > 1:
        raise ValueError(f"structures: expected graphs of one cutoff, got {', '.join(sorted(map(str, cutoffs)))}")
    sizes = np.array([(len(s.species), len(s.senders), len(s.graph_mask)) for s in singles])
    n, e, b = sizes.sum(axis=0).tolist()
    nodes = bucket(n + 1) if nodes is None else _room("nodes", nodes, n + 1)
    edges = bucket(e, 64) if edges is None else _room("edges", edges, e)
    graphs = b + 1 if graphs is None else _room("graphs", graphs, b + 1)
    first_node, first_graph = (np.cumsum(column) - column for column in (sizes[:, 0], sizes[:, 2]))

    def pad(name, size, fill, first=None):
        """The arrays of that name, indices counted on from `first`, with `fill` up to `size` rows."""
        arrays = [getattr(s, name) for s in singles]
        if first is not None:
            arrays = [array + start for array, start in zip(arrays, first, strict=True)]
        joined = np.concatenate(arrays)
        rest = np.broadcast_to(np.asarray(fill, joined.dtype), (size - len(joined), *joined.shape[1:]))
        return np.concatenate([joined, rest])

    return Graph(
        species=pad("species", nodes, 0),
        node_mask=pad("node_mask", nodes, False),
        graph_of_node=pad("graph_of_node", nodes, graphs - 1, first_graph).astype(np.int32),
        senders=pad("senders", edges, nodes - 1, first_node).astype(np.int32),
        receivers=pad("receivers", edges, nodes - 1, first_node).astype(np.int32),
        shifts=pad("shifts", edges, 0),
        vectors=pad("vectors", edges, PADDED_EDGE),
        edge_mask=pad("edge_mask", edges, False),
        cells=pad("cells", graphs, np.eye(3)),
        pbc=pad("pbc", graphs, False),
        graph_mask=pad("graph_mask", graphs, False),
        cutoff=cutoffs.pop(),
    )


def bucket(count: int, step: int = 8) -> int:
    """A size of at least `count` from a short list of sizes, so that arrays have few shapes and compile seldom.

    The sizes are step, 2 step, 3 step, 4 step, and from there on each 1.25 times the one before it, rounded up to a
    multiple of `step`.

    Examples:
        >>> [bucket(count) for count in (1, 8, 9, 33, 100)]
        [8, 8, 16, 40, 120]
    """
    _validate.integer("count", count)
    size = _validate.integer("step", step, 1)
    while size < count:
        size = max(size + step, -(-size * 5 // (4 * step)) * step)
    return size


def _room(name, size, needed):
    _validate.integer(name, size)
    if size < needed:
        padding = "" if name == "edges" else ", one of them for padding"
        raise ValueError(f"{name}: expected room for at least {needed}{padding}, got {size}; pass more, or None")
    return size
