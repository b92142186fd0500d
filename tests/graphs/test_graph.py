"""Padding, batching and the order of edges change nothing; a stream in one bucket compiles once."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import graphs

CUTOFF = 3.0
SKEW = np.array([[3.2, 0.0, 0.0], [1.0, 3.1, 0.0], [0.7, 0.9, 3.3]])


def structure(n, seed, cell=None):
    rng = np.random.default_rng(seed)
    pbc = (cell is not None,) * 3
    return graphs.Structure(rng.choice([1, 6, 8], n), rng.uniform(-2.5, 2.5, (n, 3)), cell, pbc)


STRUCTURES = [structure(5, 0), structure(1, 1), structure(3, 2, SKEW), structure(8, 3)]


def energies(positions, graph):
    """A toy three-body energy of each structure, smooth where edges begin and end."""
    r = graphs.edge_vectors(positions, graph)
    distance = jnp.linalg.norm(r, axis=-1)
    weight = jnp.maximum(1 - distance / CUTOFF, 0) ** 3 * (1 + graph.species[graph.senders])
    message = (weight * graph.edge_mask)[:, None] * r / distance[:, None]
    field = jax.ops.segment_sum(message, graph.receivers, len(graph.species), indices_are_sorted=True)
    atomic = jnp.sum(field**2, axis=-1) * graph.node_mask
    return jax.ops.segment_sum(atomic, graph.graph_of_node, len(graph.graph_mask))


def positions_of(structures, graph):
    """Positions of all nodes, those of padding at the origin."""
    atoms = np.concatenate([s.positions for s in structures])
    return np.concatenate([atoms, np.zeros((len(graph.species) - len(atoms), 3))])


@jax.jit
def _energies_and_forces(positions, graph):
    value, pull = jax.vjp(lambda x: energies(x, graph), positions)
    return value, -pull(jnp.ones_like(value))[0]


def energies_and_forces(structures, graph):
    return _energies_and_forces(jnp.asarray(positions_of(structures, graph)), graph)


def separately(cutoff=CUTOFF):
    """Energies and forces of each structure alone, with as little padding as there can be."""
    for s in STRUCTURES:
        tight = graphs.batch([s], cutoff, nodes=len(s.species) + 1, edges=len(graphs.from_structure(s, cutoff).senders))
        energy, forces = energies_and_forces([s], tight)
        yield energy[0], forces[:-1]


@pytest.mark.core
@pytest.mark.parametrize("sizes", [{}, {"nodes": 18, "graphs": 5}, {"nodes": 40, "edges": 512, "graphs": 9}])
def test_padding_and_batching_change_nothing(x64, sizes):
    graph = graphs.batch(STRUCTURES, CUTOFF, **sizes)
    energy, forces = energies_and_forces(STRUCTURES, graph)
    expected = list(separately())
    np.testing.assert_allclose(energy[: len(STRUCTURES)], [e for e, _ in expected], rtol=1e-12)
    np.testing.assert_allclose(forces[graph.node_mask], np.concatenate([f for _, f in expected]), atol=1e-12)
    assert np.abs(forces[graph.node_mask]).max() > 0.1
    np.testing.assert_array_equal(forces[~graph.node_mask], 0)
    np.testing.assert_array_equal(energy[~graph.graph_mask], 0)


def test_a_skin_changes_nothing(x64):
    tight, wide = (
        energies_and_forces(STRUCTURES, graphs.batch(STRUCTURES, c, edges=1024)) for c in (CUTOFF, CUTOFF + 1)
    )
    np.testing.assert_allclose(tight[0], wide[0], rtol=1e-12)
    np.testing.assert_allclose(tight[1], wide[1], atol=1e-12)


def test_padding_is_where_it_belongs():
    graph = graphs.batch(STRUCTURES, CUTOFF, nodes=32, edges=512, graphs=7)
    assert [a.shape[0] for a in graph[:-1]] == [32] * 3 + [512] * 5 + [7] * 3
    assert graph.node_mask.sum() == 17
    assert graph.graph_mask.sum() == 4
    assert not graph.node_mask[-1]
    assert (graph.graph_of_node[~graph.node_mask] == 6).all()
    assert (graph.senders[~graph.edge_mask] == 31).all()
    assert (graph.receivers[~graph.edge_mask] == 31).all()
    assert (np.diff(graph.receivers) >= 0).all()
    ends = graph.graph_of_node[graph.senders], graph.graph_of_node[graph.receivers]
    np.testing.assert_array_equal(*ends)
    assert set(ends[0][graph.edge_mask]) == {0, 2, 3}  # structure 1 is a single atom


def test_padded_edges_have_a_length():
    graph = graphs.batch([structure(1, 0)], CUTOFF)
    assert not graph.edge_mask.any()
    for vectors in (graph.vectors, graphs.edge_vectors(jnp.zeros((8, 3)), graph)):
        np.testing.assert_allclose(np.linalg.norm(vectors, axis=-1), 1, atol=1e-6)
    energy, forces = energies_and_forces([structure(1, 0)], graph)
    np.testing.assert_array_equal(energy, 0)
    np.testing.assert_array_equal(forces, 0)


def test_positions_of_another_number_of_nodes_are_named():
    graph = graphs.batch(STRUCTURES, CUTOFF)
    with pytest.raises(ValueError, match=r"positions: expected shape \(24, 3\), .*got \(2, 3\)"):
        graphs.edge_vectors(jnp.zeros((2, 3)), graph)


def test_an_isolated_atom_has_empty_integer_edges():
    graph = graphs.from_structure(structure(1, 0), CUTOFF)
    chex.assert_shape([graph.senders, graph.receivers, graph.shifts], [(0,), (0,), (0, 3)])
    chex.assert_type([graph.senders, graph.receivers, graph.shifts], jnp.int32)


def test_one_compilation_per_bucket():
    chex.clear_trace_counter()
    counted = jax.jit(chex.assert_max_traces(energies, n=2))
    for n in (3, 5, 7, 4):  # one bucket: 8 nodes, 64 edges
        graph = graphs.batch([structure(n, n)], CUTOFF)
        counted(positions_of([structure(n, n)], graph), graph)
    assert counted._cache_size() == 1
    graph = graphs.batch([structure(8, 8)], CUTOFF)  # 9 nodes with padding
    counted(positions_of([structure(8, 8)], graph), graph)
    assert counted._cache_size() == 2


def test_bucket_ladder():
    sizes = [graphs.bucket(n) for n in range(1000)]
    assert sorted(set(sizes))[:7] == [8, 16, 24, 32, 40, 56, 72]
    assert all(size >= n and size % 8 == 0 for n, size in enumerate(sizes))
    assert all(size <= 1.25 * n + 8 for n, size in enumerate(sizes))
    assert graphs.bucket(65, 64) == 128


def test_dtype_follows_the_positions():
    graph = graphs.batch(STRUCTURES, CUTOFF)
    for dtype in (jnp.float32, jnp.bfloat16):
        positions = jnp.asarray(positions_of(STRUCTURES, graph), dtype)
        assert graphs.edge_vectors(positions, graph).dtype == dtype


def test_vectors_of_a_graph_are_those_of_its_positions(x64):
    graph = graphs.batch(STRUCTURES, CUTOFF)
    again = graphs.edge_vectors(positions_of(STRUCTURES, graph), graph)
    np.testing.assert_allclose(graph.vectors, again, atol=1e-14)
    senders, receivers = (graph.graph_of_node[ends] for ends in (graph.senders, graph.receivers))
    np.testing.assert_array_equal(senders, receivers)
    first = graph.edge_mask & (receivers == 0)  # of a structure without images: from the receiver to the sender
    there = STRUCTURES[0].positions[graph.senders[first]] - STRUCTURES[0].positions[graph.receivers[first]]
    np.testing.assert_allclose(graph.vectors[first], there, atol=1e-14)


def test_vectors_keep_their_digits_far_from_the_origin():
    near, far = (graphs.from_structure(s._replace(positions=s.positions + d), CUTOFF).vectors.astype(np.float32)
                 for s, d in ((STRUCTURES[0], 0.0), (STRUCTURES[0], 1e6)))  # fmt: skip
    np.testing.assert_allclose(far, near, atol=1e-9)


def test_a_graph_knows_its_cutoff():
    graph = graphs.batch(STRUCTURES, CUTOFF)
    assert graph.cutoff == CUTOFF
    assert graphs.partition(graph, 2).cutoff == CUTOFF
    assert jax.jit(lambda graph: graph)(graph).cutoff == CUTOFF  # static: no leaf of the pytree
    assert len(jax.tree.leaves(graph)) == 11
    other = graphs.from_structure(STRUCTURES[1], 2.0)
    with pytest.raises(ValueError, match=r"structures: expected graphs of one cutoff, got 2\.0, 3\.0"):
        graphs.concatenate([graphs.from_structure(STRUCTURES[0], CUTOFF), other])


def test_known_species():
    species = np.array([8, 1, 7, 0, 118])
    for found in (graphs.known_species(species, (1, 8)), jax.jit(lambda z: graphs.known_species(z, (1, 8)))(species)):
        np.testing.assert_array_equal(found, [True, True, False, True, False])


def test_labels_are_padded_like_the_graph():
    first, second = structure(2, 0), structure(3, 1)
    first = first._replace(energy=-1.5)
    second = second._replace(forces=np.arange(9.0).reshape(3, 3), stress=np.eye(3))
    graph = graphs.batch([first, second], CUTOFF)
    known = graphs.labels([first, second], graph)
    np.testing.assert_array_equal(known.energies, [-1.5, 0, 0])
    np.testing.assert_array_equal(known.energy_mask, [True, False, False])
    np.testing.assert_array_equal(known.forces[2:5], second.forces)
    np.testing.assert_array_equal(known.force_mask, [False, False, True, True, True, False, False, False])
    np.testing.assert_array_equal(known.stress_mask, [False, True, False])
    np.testing.assert_array_equal(known.stresses[1], np.eye(3))
    with pytest.raises(ValueError, match=r"structures: expected those of the graph, with \[2, 3\] atoms, got \[3, 2\]"):
        graphs.labels([second, first], graph)


def test_species_index():
    np.testing.assert_array_equal(graphs.species_index(np.array([8, 1, 1, 0]), (1, 6, 8)), [2, 0, 0, 0])
    np.testing.assert_array_equal(jax.jit(lambda z: graphs.species_index(z, (8, 1)))(np.array([8, 1, 0])), [0, 1, 0])
    with pytest.raises(ValueError, match=r"species: atomic numbers \[7, 17\] are unknown to a model of \[1, 6, 8\]"):
        graphs.species_index(np.array([7, 1, 17]), (1, 6, 8))
    for table in ((1, 1, 8), (0, 1), (1, 119)):
        with pytest.raises(ValueError, match="table: expected different atomic numbers from 1 to 118"):
            graphs.species_index(np.array([1]), table)


TWO = structure(2, 0)
BAD = {
    "structures: expected at least one": ([], {}),
    r"structures\[1\].positions: expected at least one atom": ([TWO, structure(0, 0)], {}),
    r"structures\[0\].positions: atoms . and . coincide": ([TWO._replace(positions=np.ones((2, 3)))], {}),
    r"structures\[0\].species: expected 2 atomic numbers, got int64 of shape \(3,\)": (
        [TWO._replace(species=np.ones(3, np.int64))],
        {},
    ),
    "species: expected atomic numbers from 1 to 118, got .0 1.": ([TWO._replace(species=np.array([0, 1]))], {}),
    "species: expected 2 atomic numbers, got float64": ([TWO._replace(species=np.ones(2))], {}),
    "nodes: expected room for at least 3, one of them for padding, got 2": ([TWO], {"nodes": 2}),
    "graphs: expected room for at least 2": ([TWO], {"graphs": 1}),
    "edges: expected room for at least 56, got 40": ([structure(8, 3)], {"edges": 40}),
}


def test_labels_of_another_shape_are_named():
    s = structure(4, 0)
    graph = graphs.batch([s], CUTOFF)
    for name, value in {"energy": np.zeros(1), "forces": np.zeros((3, 4)), "stress": np.zeros(6)}.items():
        with pytest.raises(ValueError, match=rf"structures\[0\].{name}: expected shape .* got \({np.shape(value)[0]}"):
            graphs.labels([s._replace(**{name: value})], graph)


@pytest.mark.parametrize("message", BAD)
def test_bad_structures_are_named(message):
    structures, sizes = BAD[message]
    with pytest.raises(ValueError, match=message):
        graphs.batch(structures, 50.0, **sizes)


def test_a_single_structure_is_named():
    with pytest.raises(TypeError, match=r"structures: expected a sequence .* pass \[structure\]"):
        inspect.unwrap(graphs.each)(len, TWO)  # as users call it, without types checked


def test_lengths_of_a_graph_that_is_still_on_the_host():
    """Its vectors are of float64, whose range is not that of float32."""
    graph = graphs.from_structure(graphs.Structure([1, 8], [[0.0, 0, 0], [0, 0, 0.5]]), cutoff=1.0)
    np.testing.assert_array_equal(graphs.edge_lengths(graph.vectors), [0.5, 0.5])
