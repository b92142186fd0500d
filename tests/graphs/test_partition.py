"""Shards of a graph: each edge in the shard where it ends, and the same sums as without them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import graphs

SHARDED = ("species", "node_mask", "graph_of_node", "senders", "receivers", "shifts", "vectors", "edge_mask")
GRAPH = graphs.batch(
    [
        graphs.Structure(np.full(n, 6), np.random.default_rng(n).uniform(0, 3, (n, 3)), 3.2 * np.eye(3), (True,) * 3)
        for n in (11, 4)
    ],
    cutoff=2.0,
)


def neighbor_sums(species, senders, receivers, vectors, mask, axis_name=None):
    """Σ_e z_j r_e over the neighbors j of each node of a shard."""
    sent = graphs.whole(jnp.asarray(species), axis_name)[senders] * mask
    own = receivers - graphs.first_node(len(species), axis_name)
    return jax.ops.segment_sum(sent[:, None] * vectors, own, len(species))


def arrays(graph):
    return graph.species, graph.senders, graph.receivers, graph.vectors, graph.edge_mask


@pytest.mark.parametrize("parts", [1, 3, 4])
def test_sums_over_neighbors_are_those_of_the_whole_graph(parts):
    graph = graphs.partition(GRAPH, parts)
    shards = [a.reshape(parts, -1, *a.shape[1:]) for a in arrays(graph)]
    found = jax.vmap(lambda *a: neighbor_sums(*a, axis_name="devices"), axis_name="devices")(*shards)
    want = neighbor_sums(*arrays(GRAPH))
    np.testing.assert_allclose(found.reshape(-1, 3)[: len(want)], want, rtol=1e-5, atol=1e-5)
    assert np.abs(want).max() > 1


def test_each_edge_is_in_the_shard_where_it_ends():
    graph = graphs.partition(GRAPH, 4)
    receivers = graph.receivers.reshape(4, -1)
    assert (receivers // (len(graph.species) // 4) == np.arange(4)[:, None]).all()  # those of padding too
    edges = lambda g: np.column_stack([g.senders, g.receivers, g.shifts])[g.edge_mask]  # noqa: E731
    np.testing.assert_array_equal(edges(graph), edges(GRAPH))
    for name in set(graphs.Graph._fields) - set(SHARDED):
        np.testing.assert_array_equal(getattr(graph, name), getattr(GRAPH, name))


def test_a_single_device_can_take_the_shards_as_they_are():
    graph = graphs.partition(GRAPH, 3)
    want = neighbor_sums(*arrays(GRAPH))
    found = neighbor_sums(*arrays(graph))
    np.testing.assert_allclose(found[: len(want)], want, rtol=1e-5, atol=1e-5)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="shards: expected at most one for each of the 15 nodes, got 16"):
        graphs.partition(GRAPH, 16)
    with pytest.raises(ValueError, match=r"edges: expected room for .* which is what a shard holds, got 4"):
        graphs.partition(GRAPH, 2, edges=4)
