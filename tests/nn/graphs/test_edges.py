"""Layers of edges: the same on a graph with all edges and on all pairs; edges that are left out."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import graphs, nn, spherical

N = 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3)).astype(np.float32)
H = jnp.asarray(RNG.normal(size=(N, 4, 3)), jnp.float32)
RECEIVERS, SENDERS = np.nonzero(~np.eye(N, dtype=bool))  # in the order of all pairs
BASE = graphs.from_structure(graphs.Structure(np.ones(N, int), X.astype(float)), 20.0)
GRAPH = BASE._replace(senders=SENDERS, receivers=RECEIVERS, edge_mask=np.ones(len(SENDERS), bool))


@pytest.mark.parametrize("scaled", [True, False])
def test_a_graph_of_all_edges_is_all_pairs(scaled):
    layer = nn.EdgeConvolution(5, 2, probes=2, scaled=scaled, unit_variance=scaled)
    r = nn.differences(jnp.asarray(X))
    a = jnp.sum(r**2, axis=-1, keepdims=True)
    pairs = (H, H, spherical.harmonics(r, 2), nn.AllPairs(N), a)
    params = layer.init(jax.random.key(0), *pairs)
    sparse = (H, H, spherical.harmonics(r, 2).reshape(-1, 9), nn.GraphEdges(GRAPH, N - 1.0), a.reshape(-1, 1))
    found = layer.apply(params, *sparse)
    np.testing.assert_allclose(found, layer.apply(params, *pairs), atol=1e-5)
    off = GRAPH._replace(edge_mask=np.arange(len(SENDERS)) > 0)
    without = layer.apply(params, H, H, sparse[2], nn.GraphEdges(off, N - 1.0), sparse[4])
    assert np.abs(without - found)[RECEIVERS[0]].max() > 1e-3
    np.testing.assert_allclose(without[1:], found[1:], atol=1e-6)
    cutoff = layer.apply(params, *sparse, cutoff=jnp.asarray(off.edge_mask, jnp.float32))
    np.testing.assert_allclose(cutoff, without, atol=1e-5)
