"""The potential: symmetry, derivatives, padding, cut-off, compilation, bad input."""

import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import graphs
from equijax.graphs import Structure
from equijax.models import potential
from equijax.models.potential import Potential

MODEL = Potential(
    species=(1, 6, 8), atomic_energies=(-0.5, -37.0, -75.0), cutoff=3.0, channels=4, lmax=2, hidden_lmax=1,
    bracket=True, probes=2, radial_features=6, mean_neighbors=5.0,
)  # fmt: skip


def molecule(seed=0, atoms=7, cell=None):
    rng = np.random.default_rng(seed)
    corners = np.array(np.meshgrid(*[range(2)] * 3)).reshape(3, -1).T[:atoms]
    positions = 1.3 * corners + rng.uniform(-0.2, 0.2, (atoms, 3))
    return Structure(rng.choice([1, 6, 8], atoms), positions, cell, (cell is not None,) * 3)


@functools.cache
def parameters(model=MODEL):
    with jax.ensure_compile_time_eval():
        return potential.initialize(model, jax.random.key(0))


@functools.partial(jax.jit, static_argnums=0)
def predict(model, params, graph, positions=None):
    return potential.predict(model, params, graph, positions)


def double(tree):
    return jax.tree.map(lambda a: np.asarray(a, np.float64) if np.issubdtype(a.dtype, np.floating) else a, tree)


def test_initialize_is_a_faster_init():
    graph = graphs.batch([molecule()], MODEL.cutoff)
    vectors = jnp.asarray(graph.vectors, jnp.float32)
    chex.assert_trees_all_equal_shapes_and_dtypes(
        jax.eval_shape(MODEL.init, jax.random.key(0), vectors, graph), parameters()
    )
    draws = np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(parameters())])
    assert abs(draws.std() - 1) < 0.1
    assert len(np.unique(draws)) == len(draws)


@pytest.mark.core
@pytest.mark.gpu
def test_exact_for_e3_and_permutations():
    report = potential.equivariance(MODEL, parameters(), molecule())
    report.assert_exact()
    assert set(report.by_part) == {"translation", "rotation", "reflection", "permutation"}


@pytest.mark.gpu
def test_the_check_sees_a_model_that_breaks_the_symmetry():
    class Tilted(Potential):
        def apply(self, params, vectors, graph, axis_name):
            return Potential.apply(self, params, vectors, graph, axis_name) + 1e-4 * graph.node_mask * jnp.sum(
                vectors[:, 0] ** 2
            )

    fields = {f.name: getattr(MODEL, f.name) for f in dataclasses.fields(MODEL) if f.name not in ("parent", "name")}
    by_part = potential.equivariance(Tilted(**fields), parameters(), molecule()).by_part
    assert by_part["rotation"] > 1e-6
    assert by_part["translation"] < 1e-9


@pytest.mark.usefixtures("x64")
class TestDerivatives:
    @pytest.mark.parametrize("cell", [None, np.array([[0.5, 3.3, 0.1], [3.1, 0.2, 0], [0, 0.4, 3.2]])])
    def test_forces_and_stress_are_differences_of_energies(self, cell):
        """A skew and left-handed cell whose heights are close to the cut-off, too: atoms see images of themselves."""
        structure, params = molecule(cell=cell), double(parameters())
        graph = graphs.batch([structure], MODEL.cutoff)
        found = predict(MODEL, params, graph)
        energy = lambda x, graph: float(predict(MODEL, params, graph, x).energies[0])  # noqa: E731
        x = np.concatenate([structure.positions, np.zeros((len(graph.species) - 7, 3))])
        step, rng = 1e-5, np.random.default_rng(1)
        direction = rng.normal(size=x.shape)
        shifted = [energy(x + s * step * direction, graph) for s in (1, -1)]
        assert (shifted[0] - shifted[1]) / (2 * step) == pytest.approx(
            -float(np.sum(found.forces * direction)), rel=1e-7
        )
        if cell is None:
            return
        strain = rng.normal(size=(3, 3))
        strained = []
        for s in (step, -step):
            A = np.eye(3) + s * strain
            strained.append(energy(x @ A.T, graph._replace(cells=graph.cells @ A.T)))
        volume = abs(np.linalg.det(cell))
        want = volume * float(np.sum(found.stresses[0] * strain))
        assert (strained[0] - strained[1]) / (2 * step) == pytest.approx(want, rel=1e-7)
        np.testing.assert_allclose(found.stresses[0], found.stresses[0].T, atol=1e-12)

    def test_given_positions_are_those_of_the_graph(self):
        structure, params = molecule(cell=np.diag([3.1, 3.3, 3.2])), double(parameters())
        graph = graphs.from_structure(structure, MODEL.cutoff)
        found, again = predict(MODEL, params, graph), predict(MODEL, params, graph, structure.positions)
        chex.assert_trees_all_close(found, again, rtol=1e-12, atol=1e-13)

    def test_no_net_force_no_net_torque(self):
        structure = molecule()
        forces = predict(MODEL, double(parameters()), graphs.batch([structure], MODEL.cutoff)).forces[:7]
        scale = np.abs(forces).max()
        np.testing.assert_allclose(forces.sum(0) / scale, 0, atol=1e-13)
        np.testing.assert_allclose(np.cross(structure.positions, forces).sum(0) / scale, 0, atol=1e-12)

    def test_supercell(self):
        cell = np.array([[3.1, 0.2, 0], [0.5, 3.3, 0.1], [0, 0.4, 3.2]])
        one = molecule(cell=cell)
        two = Structure(
            np.tile(one.species, 2), np.concatenate([one.positions, one.positions + cell[0]]),
            cell * [[2], [1], [1]], one.pbc,
        )  # fmt: skip
        params = double(parameters())
        a, b = (predict(MODEL, params, graphs.batch([s], MODEL.cutoff)) for s in (one, two))
        assert float(b.energies[0]) == pytest.approx(2 * float(a.energies[0]), rel=1e-12)
        np.testing.assert_allclose(b.forces[7:14], a.forces[:7], atol=1e-11)
        np.testing.assert_allclose(b.stresses[0], a.stresses[0], atol=1e-12)

    @pytest.mark.parametrize("third", [6.0, 0.0], ids=["slab", "sheet"])
    def test_stress_of_a_slab(self, third):
        """Per volume of the cell; without a third cell vector per area."""
        cell = np.array([[3.1, 0.2, 0], [0.5, 3.3, 0.1], [0, 0.4, third]]) * [[1], [1], [third > 0]]
        slab = molecule(cell=cell)._replace(pbc=(True, True, False))
        params, step = double(parameters()), 1e-5
        size = abs(np.linalg.det(cell)) if third else np.linalg.norm(np.cross(cell[0], cell[1]))
        strained = []
        for s in (step, -step):
            strain = np.diag([1 + s, 1, 1])
            one = slab._replace(cell=cell @ strain, positions=slab.positions @ strain)
            strained.append(float(predict(MODEL, params, graphs.batch([one], MODEL.cutoff, edges=512)).energies[0]))
        found = predict(MODEL, params, graphs.batch([slab], MODEL.cutoff, edges=512)).stresses
        assert (strained[0] - strained[1]) / (2 * step) == pytest.approx(size * float(found[0, 0, 0]), rel=1e-6)

    def test_no_stress_without_a_period(self):
        """And a batch with molecules teaches the same stresses as one without."""
        crystal, alone = molecule(cell=np.diag([3.1, 3.3, 3.2]))._replace(stress=np.eye(3)), molecule(1)
        params = double(parameters())

        @jax.jit
        def slope(params, graph, labels):
            def loss(params):
                found = potential.predict(MODEL, params, graph)
                weights = {"energy_weight": 0.0, "force_weight": 0.0, "stress_weight": 1.0}
                return potential.loss(found, labels, graph, 2.0, **weights), found.stresses

            return jax.value_and_grad(loss, has_aux=True)(params)

        def of(*structures):
            graph = graphs.batch(structures, MODEL.cutoff, nodes=24, edges=512, graphs=4)
            return slope(params, graph, graphs.labels(structures, graph))

        (value, stresses), gradient = of(crystal)
        assert float(value) == pytest.approx(float(np.mean((stresses[0] - np.eye(3)) ** 2)) / 2.0**2)
        for label in (None, np.eye(3)):
            (mixed, stresses), found = of(crystal, alone._replace(stress=label))
            assert not stresses[1:].any()
            assert float(mixed) == pytest.approx(float(value), rel=1e-12)
            chex.assert_trees_all_close(found, gradient, rtol=1e-9, atol=1e-12)

    def test_an_atom_alone_has_exactly_its_energy(self):
        """Where that is asked for; differences of energies stay what they are, and forces."""
        exact, params = MODEL.clone(exact_alone=True), double(parameters())
        alone = [Structure(np.array([z]), np.zeros((1, 3))) for z in MODEL.species]
        graph = graphs.batch([*alone, molecule()], MODEL.cutoff)
        free, held = predict(MODEL, params, graph), predict(exact, params, graph)
        assert np.abs(free.energies[:3]).min() > 1e-3
        np.testing.assert_allclose(held.energies[:3], 0, atol=1e-12)
        off = free.energies[graphs.species_index(molecule().species, MODEL.species)]
        np.testing.assert_allclose(held.node_energies[3:10], free.node_energies[3:10] - off, rtol=1e-12)
        np.testing.assert_allclose(held.forces, free.forces, atol=1e-12)
        assert not held.node_energies[10:].any()

    def test_smooth_through_the_cutoff(self):
        """Energy, force and curvature of a pair vanish where it parts, and are smooth on the way."""
        params = double(parameters())
        single = graphs.from_structure(Structure(np.array([6, 8]), np.array([[0, 0, 0], [0, 0, 2.9]])), MODEL.cutoff)
        alone = sum(
            predict(MODEL, params, graphs.from_structure(Structure(np.array([z]), np.zeros((1, 3))), MODEL.cutoff))
            .energies[0]
            for z in (6, 8)
        )  # fmt: skip

        @jax.jit
        @jax.vmap
        def derivatives(r):  # energy, slope, curvature
            energy = lambda r: predict(MODEL, params, single, jnp.array([[0, 0, 0], [0, 0, 1]]) * r).energies[0]  # noqa: E731
            slope = lambda r: jax.jvp(energy, (r,), (jnp.ones_like(r),))  # noqa: E731
            (value, first), (_, second) = jax.jvp(slope, (r,), (jnp.ones_like(r),))
            return value - alone, first, second

        found = np.abs(derivatives(MODEL.cutoff * np.array([0.8, 1 - 1e-2, 1 - 1e-3, 1 - 1e-12, 1.001])))
        assert found[0, 0] > 1e-4
        for (_, far, near, end, beyond), order in zip(found, (3, 2, 1), strict=True):
            assert near < far * 10.0**-order * 3
            assert end < 1e-8
            assert beyond < 1e-12


def test_equal_molecules_have_equal_forces_however_far_apart():
    """In float32: the edge vectors are made where there are bits enough."""
    one = molecule()
    for distance in (1e4, 1e6):
        both = Structure(np.tile(one.species, 2), np.concatenate([one.positions, one.positions + distance]))
        forces = predict(MODEL, parameters(), graphs.from_structure(both, MODEL.cutoff)).forces
        np.testing.assert_allclose(forces[7:], forces[:7], atol=1e-5 * np.abs(forces).max())


@pytest.mark.gpu
@pytest.mark.usefixtures("x64")
def test_an_atom_hears_its_senders():
    """With edges in one direction alone, the energy of an atom depends on those that send to it, and on no others."""
    model = MODEL.clone(layers=1)
    chain = Structure(np.array([1, 6, 8]), np.array([[0, 0, 0], [1.1, 0, 0], [2.0, 0.5, 0]]))
    graph = graphs.from_structure(chain, MODEL.cutoff)
    up = graph.senders > graph.receivers  # 1 and 2 send to 0, 2 sends to 1, nobody to 2
    one_way = {name: getattr(graph, name)[up] for name in ("senders", "receivers", "shifts", "vectors", "edge_mask")}
    graph, params = graph._replace(**one_way), double(parameters(model))
    energies = lambda x: predict(model, params, graph, x).node_energies  # noqa: E731
    depends = np.abs(jax.jit(jax.jacobian(energies))(chain.positions)).max(axis=-1) > 1e-6
    np.testing.assert_array_equal(depends, [[True, True, True], [False, True, True], [False, False, False]])
    other = graph._replace(species=np.array([1, 6, 1]))
    changed = np.asarray(predict(model, params, other).node_energies != predict(model, params, graph).node_energies)
    np.testing.assert_array_equal(changed, [True, True, True])
    other = graph._replace(species=np.array([8, 6, 8]))
    changed = np.asarray(predict(model, params, other).node_energies != predict(model, params, graph).node_energies)
    np.testing.assert_array_equal(changed, [True, False, False])


def test_a_graph_of_a_smaller_cutoff_is_refused_and_a_skin_is_not():
    structure = molecule()
    with pytest.raises(ValueError, match=r"graph: expected all edges up to 3\.0 Å, the model's, got those up to 2\.5"):
        predict(MODEL, parameters(), graphs.batch([structure], 2.5))
    tight, wide = (predict(MODEL, parameters(), graphs.batch([structure], c)) for c in (3.0, 3.5))
    np.testing.assert_allclose(tight.energies, wide.energies, rtol=1e-5)


def test_an_unknown_species_is_an_error_or_not_a_number():
    """Of the structures of a traced batch, the one that has it."""
    known, unknown = molecule(), molecule(1)._replace(species=np.full(7, 7))
    graph = graphs.batch([known, unknown], MODEL.cutoff)
    found = predict(MODEL, parameters(), graph)  # traced
    alone = predict(MODEL, parameters(), graphs.batch([known], MODEL.cutoff))
    np.testing.assert_allclose(found.energies[0], alone.energies[0], rtol=1e-5)
    assert np.isnan(found.energies).tolist() == [False, True, False]
    np.testing.assert_array_equal(np.isnan(found.forces).any(axis=1), graph.graph_of_node == 1)
    np.testing.assert_array_equal(np.isnan(found.node_energies), graph.graph_of_node == 1)
    assert np.isnan(found.stresses[1]).all()
    with pytest.raises(ValueError, match=r"species: atomic numbers \[7\] are unknown to a model of \[1, 6, 8\]"):
        potential.predict(MODEL, parameters(), graph)


@pytest.mark.gpu
@pytest.mark.usefixtures("x64")
def test_padding_and_company_change_nothing():
    params, structure = double(parameters()), molecule()
    bare = predict(MODEL, params, graphs.from_structure(structure, MODEL.cutoff))
    batch = graphs.batch([molecule(1, 5), structure], MODEL.cutoff, nodes=24, edges=256, graphs=4)
    padded = predict(MODEL, params, batch)
    assert float(padded.energies[1]) == pytest.approx(float(bare.energies[0]), rel=1e-12)
    np.testing.assert_allclose(padded.forces[5:12], bare.forces, atol=1e-11)
    assert not padded.forces[12:].any()
    assert not padded.node_energies[12:].any()
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(potential.predict(MODEL, p, batch).forces ** 2)))(params)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


def test_one_compilation_a_padded_shape():
    counted = jax.jit(chex.assert_max_traces(lambda p, g: potential.predict(MODEL, p, g).energies, n=1))
    for seed in range(3):
        graph = graphs.batch([molecule(seed, 5 + seed)], MODEL.cutoff, nodes=16, edges=128)
        counted(parameters(), jax.tree.map(jnp.asarray, graph))
    assert hash(dataclasses.replace(MODEL)) == hash(MODEL)


@pytest.mark.gpu
def test_isolated_atoms_and_coincident_ones_are_finite():
    params = parameters()
    single = graphs.from_structure(Structure(np.array([6]), np.zeros((1, 3))), MODEL.cutoff)
    found = predict(MODEL, params, single)
    assert np.isfinite(found.energies).all()
    assert not np.asarray(found.forces).any()
    pair = graphs.from_structure(Structure(np.array([6, 8]), np.array([[0, 0, 0], [0, 0, 1.0]])), MODEL.cutoff)
    found = predict(MODEL, params, pair, jnp.zeros((2, 3)))  # a traced step may end there: finite, if useless
    assert np.isfinite(found.energies).all()
    assert np.isfinite(found.forces).all()


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        (Structure(np.zeros(0, int), np.zeros((0, 3))), "empty"),
        (Structure(np.array([1, 1]), np.zeros((2, 3))), "coincide"),
    ],
)
def test_structures_that_have_no_energy(structure, message):
    with pytest.raises(ValueError, match=message):
        graphs.batch([structure], MODEL.cutoff)


def test_an_ensemble_from_a_batch_of_keys():
    keys = jax.random.split(jax.random.key(3), 2)
    many = jax.vmap(lambda key: potential.initialize(MODEL, key))(keys)
    one = potential.initialize(MODEL, keys[1])
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[1], b, rtol=1e-6), many, one)


def test_clear_errors():
    with pytest.raises(ValueError, match=r"\[79\] are unknown"):
        potential.baseline(MODEL, np.array([1, 79]))
    with pytest.raises(ValueError, match=r"species: .* got 0, which stands for padding"):
        potential.baseline(MODEL, np.array([0, 1]))
    with pytest.raises(ValueError, match="atomic_energies: expected one for each of species"):
        potential.baseline(MODEL.clone(atomic_energies=(1.0,)), np.array([1]))
    with pytest.raises(ValueError, match=r"structure: expected one without cell, got pbc \(True"):
        potential.equivariance(MODEL, parameters(), molecule()._replace(cell=9 * np.eye(3), pbc=(True, True, True)))
    wrong = {"layers": 0, "mean_neighbors": 0.0, "scale": 0.0, "species": (1, 1, 6, 8)}
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"{'table' if name == 'species' else name}: expected"):
            potential.initialize(MODEL.clone(**{name: value}), jax.random.key(0))
