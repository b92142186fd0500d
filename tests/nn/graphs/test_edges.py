"""Layers of edges by their formulas: what comes from the sender is not what comes from the receiver."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import graphs, spherical
from equijax.nn.graphs.all_pairs import AllPairs
from equijax.nn.graphs.edges import EdgeConvolution, EdgeDense, GraphEdges

N, RNG = 4, np.random.default_rng(0)
RECEIVERS, SENDERS = (np.repeat(np.arange(N), N - 1), np.array([j for i in range(N) for j in range(N) if j != i]))
GRAPH = graphs.from_structure(graphs.Structure(np.full(N, 1), RNG.normal(size=(N, 3))), 20.0)
EDGES = [GraphEdges(GRAPH, float(N - 1)), AllPairs(N)]  # the same edges
NODES = RNG.normal(size=(N, 4, 3))
ATTRIBUTES = RNG.normal(size=(N * (N - 1), 2))
pytestmark = pytest.mark.usefixtures("x64")


def drawn(layer, *args):
    shapes = jax.eval_shape(lambda key: layer.init(key, *args), jax.random.key(0))
    return jax.tree.map(lambda p: RNG.normal(size=p.shape), shapes)


def of_edges(x, edges):
    """Arrays of edges as these have them."""
    return jnp.asarray(x if isinstance(edges, GraphEdges) else x.reshape(N, N - 1, *x.shape[1:]))


def test_the_two_kinds_of_edges_are_the_same():
    np.testing.assert_array_equal(GRAPH.receivers, RECEIVERS)
    np.testing.assert_array_equal(GRAPH.senders, SENDERS)


@pytest.mark.parametrize("edges", EDGES, ids=["graph", "all pairs"])
def test_a_dense_layer_of_edges(edges):
    layer, h = EdgeDense(5), jnp.asarray(NODES[:, 0])
    args = (h, edges, of_edges(ATTRIBUTES, edges))
    params = drawn(layer, *args)
    p = params["params"]
    found = np.asarray(jax.jit(layer.apply)(params, *args)).reshape(-1, 5)  # edges are arguments of programs, too
    sent, received = (h[i] @ p[name]["kernel"] for i, name in ((SENDERS, "sender"), (RECEIVERS, "receiver")))
    np.testing.assert_allclose(found, sent + received + ATTRIBUTES @ p["edge_0"]["kernel"] + p["bias"], rtol=1e-12)


@pytest.mark.parametrize("scaled", [True, False])
@pytest.mark.parametrize("edges", EDGES, ids=["graph", "all pairs"])
def test_a_convolution_of_edges(edges, scaled):
    """A_i[l] = 1/√n̄ Σ_j f (R_l s_j Y_l + R'_l h_j[l]) with what the network sees at both ends, from its parameters."""
    layer = EdgeConvolution(6, 1, probes=2, scaled=scaled, unit_variance=False)
    sent, f = RNG.normal(size=(N, 4, 3)), RNG.uniform(size=N * (N - 1))
    Y = np.asarray(spherical.harmonics(jnp.asarray(RNG.normal(size=(N * (N - 1), 3))), 1))
    args = (jnp.asarray(NODES), jnp.asarray(sent), of_edges(Y, edges), edges, of_edges(ATTRIBUTES, edges))
    params = drawn(layer, *args)
    found = np.asarray(jax.jit(layer.apply)(params, *args, cutoff=of_edges(f, edges)))
    p = params["params"]

    def dense(name, x):
        return x @ p[name]["kernel"] + p[name]["bias"]

    degree = np.array([0, 1, 1, 1])
    probes = np.einsum("ndc,dcf->ndf", NODES, p["probes"]["kernel"][degree]) / 3**0.5  # channels
    at_ends = [
        np.einsum("edp,ed->ep", probes[i][..., own], Y) for i, own in ((RECEIVERS, slice(0, 2)), (SENDERS, slice(2, 4)))
    ]
    ends, h = p["ends"], NODES[:, 0]
    x = h[RECEIVERS] @ ends["receiver"]["kernel"] + h[SENDERS] @ ends["sender"]["kernel"] + ends["bias"]
    x = x + np.concatenate(at_ends, axis=-1) @ ends["edge_0"]["kernel"] + ATTRIBUTES @ ends["edge_1"]["kernel"]
    R = np.asarray(jax.nn.silu(dense("hidden", np.asarray(jax.nn.silu(x)))))
    want = np.zeros((N, 4, 3))
    for m, l in enumerate(degree):
        made, *passed = np.split(dense(f"filters_{l}", R), 2 if l or not scaled else 1, axis=-1)
        message = made * Y[:, m, None] * (sent[SENDERS, 0] if scaled else 1)
        if passed:
            message = message + passed[0] * sent[SENDERS, m]
        np.add.at(want[:, m], RECEIVERS, message * f[:, None] / (N - 1) ** 0.5)
    np.testing.assert_allclose(found, want, rtol=1e-10, atol=1e-12)


def test_lengths_of_edges():
    vectors = jnp.array([[3.0, 0, 4], [0, 0, 0], [1e-30, 0, 0]])
    np.testing.assert_allclose(graphs.edge_lengths(vectors), [5, 0, 1e-30], rtol=1e-12)
    slope = jax.grad(lambda v: graphs.edge_lengths(v).sum())(vectors)
    np.testing.assert_allclose(slope, [[0.6, 0, 0.8], [0, 0, 0], [1, 0, 0]], rtol=1e-12)
