"""NequIP as a potential: symmetry, padding, chunks of edges, devices, training, what it starts from."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import graphs, training
from equijax.models import NequIP, potential
from equijax.nn.graphs import path_convolution

MODEL = NequIP(
    species=(1, 6, 8), atomic_energies=(-0.5, -37.0, -75.0), cutoff=3.0, channels=(4, 3, 2), lmax=2, layers=2,
    radial_functions=4, radial_features=(5,), mean_neighbors=5.0,
)  # fmt: skip
predict = jax.jit(potential.predict, static_argnums=0)


def molecule(seed=0, atoms=7):
    rng = np.random.default_rng(seed)
    corners = np.array(np.meshgrid(*[range(2)] * 3)).reshape(3, -1).T[:atoms]
    positions = 1.3 * corners + rng.uniform(-0.2, 0.2, (atoms, 3))
    return graphs.Structure(rng.choice([1, 6, 8], atoms), positions, energy=-250.0, forces=rng.normal(size=(atoms, 3)))


@pytest.fixture(scope="module")
def params():
    return potential.initialize(MODEL, jax.random.key(0))


def test_exact_for_e3_and_permutations(params):
    report = potential.equivariance(MODEL, params, molecule(), samples=3)
    report.assert_exact()
    assert set(report.by_part) == {"translation", "rotation", "reflection", "permutation"}


def test_starts_as_its_layers_are_drawn(params):
    """Without a program for each of them."""
    graph = graphs.batch([molecule()], MODEL.cutoff)
    drawn = jax.eval_shape(MODEL.init, jax.random.key(1), jnp.asarray(graph.vectors, jnp.float32), graph)
    chex.assert_trees_all_equal_shapes_and_dtypes(drawn, params)
    wide = MODEL.clone(radial_features=(40, 50), radial_functions=30, channels=(40, 20))
    found = potential.initialize(wide, jax.random.key(0))["params"]
    stds = [found["messages_1"]["radial_0"]["kernel"], found["messages_1"]["radial_1"]["kernel"]]
    stds += [found["messages_1"]["radial_2"], found["mix_1"]["kernel_0"], found["normalization_1"]["scale_0"] + 1]
    np.testing.assert_allclose([s.std() for s in stds[:4]], [2 / 30**0.5, 2 / 40**0.5, 1 / 50**0.5, 1], rtol=0.1)
    assert (np.asarray(stds[4]) == 2).all()


@pytest.mark.usefixtures("x64")
def test_padding_and_chunks_change_nothing(params, monkeypatch):
    alone, batch = (
        graphs.from_structure(molecule(), MODEL.cutoff),
        graphs.batch([molecule(), molecule(1)], MODEL.cutoff),
    )
    found, one = predict(MODEL, params, batch), predict(MODEL, params, alone)
    np.testing.assert_allclose(found.energies[0], one.energies[0], rtol=1e-12)
    np.testing.assert_allclose(found.forces[:7], one.forces, atol=1e-12)
    monkeypatch.setattr(path_convolution, "CHUNK", 16)
    again = jax.jit(lambda graph: potential.predict(MODEL, params, graph))(alone)
    np.testing.assert_allclose(again.forces, one.forces, atol=1e-12)


@pytest.mark.usefixtures("x64")
def test_atoms_over_devices(params):
    mesh = jax.make_mesh((4,), ("devices",), axis_types=(jax.sharding.AxisType.Auto,))
    whole = graphs.batch([molecule()], MODEL.cutoff, nodes=8)
    shards = potential.parallel.split_graph(graphs.partition(whole, 4), mesh)
    found, one = jax.jit(potential.parallel.predict(MODEL, mesh))(params, shards), predict(MODEL, params, whole)
    np.testing.assert_allclose(found.energies[0], one.energies[0], rtol=1e-12)
    np.testing.assert_allclose(found.forces[:7], one.forces[:7], atol=1e-12)


def test_learns(params, tmp_path):
    frames = [molecule(seed) for seed in range(4)]
    options = {"model": MODEL, "params": params, "batch_size": 2, "progress": False}
    run = potential.fit(frames, steps=12, directory=tmp_path, optimizer=training.optimizer(12), **options).run
    losses = [record.loss for record in run.history]
    assert losses[-1] < losses[0]
    model, kept = potential.load(tmp_path)
    assert model == MODEL
    assert jax.tree.structure(kept) == jax.tree.structure(params)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("by_species", [False, True])
def test_takes_new_species(by_species):
    """What it says of known ones stays; new ones matter, to themselves and to known ones, and energies of theirs."""
    old = MODEL.clone(skip_by_species=by_species, species=(6, 1, 8), channels=(3, 2), lmax=1)
    params = jax.tree.map(np.asarray, potential.initialize(old, jax.random.key(1)))
    graph = graphs.batch([molecule()], MODEL.cutoff)
    before = predict(old, params, graph)
    sulfur = molecule()._replace(species=np.where(np.arange(7) == 2, 16, molecule().species), energy=-560.0)
    model, wider = potential.adapt(old, params, [sulfur, molecule()])
    assert model.species == (6, 1, 8, 16)
    after = predict(model, wider, graph)
    np.testing.assert_allclose(after.node_energies, before.node_energies, rtol=2e-6, atol=1e-6)
    np.testing.assert_allclose(after.forces, before.forces, rtol=2e-6, atol=1e-6)
    assert [leaf.dtype for leaf in jax.tree.leaves(wider)] == [leaf.dtype for leaf in jax.tree.leaves(params)]
    for name in ("senders_0", "mix_0", "skip_0"):  # of its own: all its weights are drawn
        assert (np.asarray(wider["params"][name]["kernel_0"])[..., 3, -1] != 0).all()
    with_sulfur = predict(model, wider, graphs.batch([sulfur], MODEL.cutoff))
    assert (np.abs(with_sulfur.node_energies - after.node_energies) > 1e-4).sum() > 1
    reference = with_sulfur.energies[0] + potential.baseline(model, sulfur.species).sum()
    assert float(reference) == pytest.approx(-560.0, abs=1e-3)


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"channels": ()}, TypeError, "channels: expected a tuple, one number of channels a degree"),
        ({"channels": (32, 0)}, ValueError, "channels: expected an integer of at least 1, got 0"),
        ({"cutoff": -1.0}, ValueError, "cutoff: expected a positive number"),
        ({"atomic_energies": (0.0,)}, ValueError, "atomic_energies: expected one for each of species"),
    ],
)
def test_fields_that_are_none(fields, error, message):
    with pytest.raises(error, match=message):
        MODEL.clone(**fields)


def test_a_calculator_of_ase(params):
    """Energy, E0 included, forces and stress of a crystal, as `predict` has them."""
    ase = pytest.importorskip("ase")
    from equijax.interop.ase import PotentialCalculator

    cell = np.diag([3.1, 3.3, 3.2])
    structure = molecule(atoms=4)._replace(cell=cell, pbc=(True,) * 3)
    found = predict(MODEL, params, graphs.batch([structure], MODEL.cutoff, nodes=8, edges=120))
    atoms = ase.Atoms(structure.species, structure.positions, cell=cell, pbc=True)
    atoms.calc = PotentialCalculator(MODEL, params)
    energy = float(found.energies[0]) + potential.baseline(MODEL, structure.species).sum()
    assert atoms.get_potential_energy() == pytest.approx(energy, rel=1e-6)
    np.testing.assert_allclose(atoms.get_forces(), found.forces[:4], atol=1e-5)
    np.testing.assert_allclose(atoms.get_stress(voigt=False), found.stresses[0], atol=1e-5)
