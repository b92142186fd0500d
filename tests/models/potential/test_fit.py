"""Training of potentials: the loss, batches, errors, and that a model learns."""

import signal

import chex
import jax
import numpy as np
import pytest

from equijax import graphs, training
from equijax.graphs import Structure
from equijax.models import potential


def morse(seed, atoms=4):
    """A structure with energies and forces of a pair potential."""
    rng = np.random.default_rng(seed)
    positions = 1.2 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])[:atoms] + rng.normal(0, 0.1, (atoms, 3))
    vectors = positions[None] - positions[:, None]
    r = np.linalg.norm(vectors, axis=-1) + np.eye(atoms)
    pair = (np.exp(-2 * (r - 1.2)) - 2 * np.exp(-(r - 1.2))) * (1 - np.eye(atoms))
    slope = -2 * (np.exp(-2 * (r - 1.2)) - np.exp(-(r - 1.2))) * (1 - np.eye(atoms))
    forces = np.sum(slope[..., None] * vectors / r[..., None], axis=1)
    return Structure(np.array([1, 6, 1, 6])[:atoms], positions, energy=-38.0 * atoms + pair.sum() / 2, forces=forces)


FRAMES = [morse(k) for k in range(24)]
ENERGIES = {1: -38.0, 6: -38.0}
MODEL = potential.for_structures(
    FRAMES,
    cutoff=3.0,
    atomic_energies=tuple(ENERGIES.values()),
    channels=4,
    lmax=1,
    hidden_lmax=1,
    order=2,
    probes=2,
    radial_features=8,
)
SHALLOW = MODEL.clone(layers=1)  # compiles faster


def predict(params, graph):
    return potential.predict(MODEL, params, graph)


def test_a_model_of_the_structures():
    assert MODEL.species == tuple(ENERGIES) == (1, 6)
    assert MODEL.atomic_energies == tuple(ENERGIES.values())
    assert (MODEL.cutoff, MODEL.channels) == (3.0, 4)
    assert MODEL.scale == potential.statistics(FRAMES, 3.0)["scale"]


def test_it_learns():
    options = {"model": MODEL, "batch_size": 4, "decay": 0.9, "every": 100, "progress": False}
    samples = potential.samples(MODEL, FRAMES, 4)
    before = potential.evaluate(jax.jit(predict), potential.initialize(MODEL, jax.random.key(0)), samples)
    optimizer = training.optimizer(300, warmup=10)
    trained = potential.fit(FRAMES, steps=300, optimizer=optimizer, validate=FRAMES, **options)
    assert (trained.model, trained.run.stopped, int(trained.run.state.step)) == (MODEL, "steps", 300)
    after = potential.evaluate(jax.jit(predict), trained.params, samples)
    assert after.force_rmse < 0.05 * before.force_rmse
    assert after.force_rmse < 0.1 * 1e3 * MODEL.scale
    assert after.energies.shape == (24, 2)
    assert after.forces.shape == (24 * 12, 2)
    noted = trained.run.history[-1].validation
    assert noted == pytest.approx({"force_rmse": after.force_rmse, "energy_rmse": after.energy_rmse}, rel=1e-3)


def test_the_loss_counts_what_is_labeled():
    graph = graphs.batch(FRAMES[:2], 3.0, nodes=16, edges=64)
    labels = graphs.labels([FRAMES[0], FRAMES[1]._replace(forces=None)], graph)
    zero = potential.Prediction(np.zeros(3), np.zeros((16, 3)), np.zeros((3, 3, 3)), np.zeros(16))
    off = zero._replace(energies=np.asarray(labels.energies) + 2.0, forces=np.asarray(labels.forces) + 3.0)
    assert float(potential.loss(off, labels, graph, 1.0)) == pytest.approx(2.0**2 / 4 + 3.0**2)
    assert float(potential.loss(off, labels, graph, 2.0, force_weight=0.0)) == pytest.approx(2.0**2 / 4 / 4)


@pytest.mark.parametrize("sizes", [[4] * 5, [4, 2, 2, 2, 2, 2], [2, 3]], ids=["alike", "the first is large", "few"])
def test_errors_count_every_structure_once(sizes):
    samples = potential.samples(MODEL, [morse(k, atoms) for k, atoms in enumerate(sizes)], 4)
    batches, shapes = iter(samples.packs()), set()

    def predict(params, graph):
        shapes.add((len(graph.species), len(graph.senders), len(graph.graph_mask)))
        target = samples.of_packs([next(batches)])[1]
        return potential.Prediction(target.energies + 0.001, target.forces - 0.002, target.stresses, None)

    errors = potential.evaluate(predict, None, samples)
    assert len(shapes) <= len(samples.shapes)
    assert errors.energy_rmse == pytest.approx(1.0, rel=1e-3)
    assert errors.force_mae == pytest.approx(2.0, rel=1e-3)
    assert len(errors.energies) == len(sizes)
    assert len(errors.forces) == 3 * sum(sizes)
    alone = [s.energy + 38.0 * len(s.species) for s in samples.structures]  # in the order of the structures
    np.testing.assert_allclose(errors.energies[:, 1], alone, atol=1e-5)
    np.testing.assert_allclose(errors.forces[:, 1], np.concatenate([s.forces.ravel() for s in samples.structures]))
    species = np.concatenate([np.repeat(s.species, 3) for s in samples.structures])
    np.testing.assert_array_equal(errors.force_species, species)
    per_atom = 1.0 / np.array(sizes)
    assert errors.energy_per_atom_mae == pytest.approx(per_atom.mean(), rel=1e-3)


def some(species, energy, **fields):
    """A structure of these species, far from each other or alone."""
    return Structure(species, 4.0 * np.eye(3)[: len(species)], energy=energy, **fields)


def test_energies_of_atoms_by_least_squares():
    """Two species and two compositions: exact; structures without an energy are left out."""
    frames = [some([1, 8], -15.0), some([1, 1, 8], -17.0), some([8, 8], None)]
    assert potential.atomic_energies(frames) == pytest.approx({1: -2.0, 8: -13.0})


def test_energies_of_isolated_atoms_are_taken_from_the_data():
    """And others fitted to what is left; an atom that sees its images is not alone, nor is one without an energy."""
    box = {"cell": 12.0 * np.eye(3), "pbc": (True, True, True)}
    crystal = {"cell": 3.0 * np.eye(3), "pbc": (True, True, True)}
    frames = [
        some([1], -13.0), some([1], -14.0, **box), some([8], -2050.0, **crystal), some([8], None),
        some([1, 1, 8], -2076.0), some([1, 8, 8], -4113.0),
    ]  # fmt: skip
    energies = potential.atomic_energies(frames)
    assert list(energies) == [1, 8]
    assert energies[1] == pytest.approx(-13.5)
    less = np.array([-2050.0, -2076.0 + 27.0, -4113.0 + 13.5])  # of one, one and two oxygens
    assert energies[8] == pytest.approx(less @ [1, 1, 2] / 6)
    assert potential.atomic_energies(frames, cutoff=13.0)[1] != pytest.approx(-13.5)


@pytest.mark.filterwarnings("error")
def test_energies_that_compositions_do_not_tell_are_warned_of():
    frames = [some([1, 1, 8], -2078.0), some([1, 1, 8], -2077.0)]
    hydrogen = some([1], -13.6)
    with pytest.warns(UserWarning, match=r"species \[1, 8\] apart \(rank 1 of 2\).*Add a structure of each atom alone"):
        energies = potential.atomic_energies(frames)
    assert 2 * energies[1] + energies[8] == pytest.approx(-2077.5)
    with pytest.warns(UserWarning, match=r"\[1, 6, 8\] apart \(rank 2 of 3\)"):
        potential.atomic_energies([*frames, some([1, 8], -2064.0), some([6], None)])
    assert potential.atomic_energies([*frames, hydrogen]) == pytest.approx({1: -13.6, 8: -2077.5 + 27.2})
    water = frames[0]._replace(positions=np.eye(3), forces=np.eye(3))
    given = potential.for_structures([water], atomic_energies=(-13.6, -2041.0))  # no fit, no warning
    assert (given.species, given.atomic_energies) == ((1, 8), (-13.6, -2041.0))


def test_the_loss_of_energies_forces_and_stresses_is_a_number():
    """Of two crystals and a molecule whose stress is not looked at: by hand."""
    cells = {"cell": 3.0 * np.eye(3), "pbc": (True, True, True), "stress": np.zeros((3, 3))}
    structures = [some([1], 0.0, **cells), some([1, 1], 0.0, **cells), some([1, 1, 1], 0.0, stress=np.zeros((3, 3)))]
    graph = graphs.batch(structures, 2.0)
    labels = graphs.labels(structures, graph)
    found = potential.Prediction(
        np.array([1.0, 2.0, 3.0, 9.0]), np.zeros((8, 3)),
        np.arange(36.0).reshape(4, 3, 3), np.zeros(8),
    )  # fmt: skip
    energy = (1 / 1 + 4 / 2 + 9 / 3) / 3
    stress = np.mean(np.arange(18.0) ** 2)
    cases = {
        (1.0, 0.0, 0.0): energy,
        (0.0, 1.0, 0.0): 0,
        (0.0, 0.0, 1.0): stress,
        (2.0, 1.0, 3.0): 2 * energy + 3 * stress,
    }
    for weights, expected in cases.items():
        assert float(potential.loss(found, labels, graph, 0.5, *weights)) == pytest.approx(expected / 0.25)


def test_what_numpy_takes_is_taken():
    lists = [
        Structure(s.species.tolist(), s.positions.tolist(), energy=s.energy, forces=s.forces.tolist()) for s in FRAMES
    ]
    alone = [some([1], -38.0), some([6], -38.0)]
    assert potential.atomic_energies(lists + alone) == potential.atomic_energies(FRAMES + alone) == ENERGIES
    assert potential.statistics(lists, 3.0) == potential.statistics(FRAMES, 3.0)
    batches = [potential.samples(MODEL, frames, 4).batch(range(4)) for frames in (lists, FRAMES)]
    chex.assert_trees_all_equal(*batches)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (
            {"species": [1, 6, 7, 6], "energy": None},
            r"species: atomic numbers \[7\] are unknown to a model of \[1, 6\]",
        ),
        ({"species": [1.0, 6.0, 1.0, 6.0]}, "species: expected 4 atomic numbers, got float64"),
        ({"species": [1, 6]}, r"species: expected 4 atomic numbers, got int64 of shape \(2,\)"),
        ({"positions": np.zeros((4, 3))}, "positions: atoms 0 and 1 coincide"),
        ({"energy": np.nan}, "energy: expected finite numbers, got nan; None stands for"),
        ({"forces": np.zeros((3, 3))}, r"forces: expected shape \(4, 3\), got \(3, 3\)"),
        ({"stress": np.zeros(6)}, r"stress: expected shape \(3, 3\), got \(6,\)"),
    ],
)
def test_errors_name_the_structure(wrong, message):
    frames = [*FRAMES[:3], FRAMES[3]._replace(**wrong)]
    calls = {"samples": lambda: potential.samples(MODEL, frames, 2)}
    if "unknown" not in message:
        calls["statistics"] = lambda: potential.statistics(frames, 3.0)
        if "coincide" not in message:
            calls["atomic_energies"] = lambda: potential.atomic_energies(frames)
    for call in calls.values():
        with pytest.raises(ValueError, match=rf"structures\[3\]\.{message}"):
            call()


def test_training_goes_on_as_if_it_had_not_stopped(tmp_path):
    def fit(steps, **options):
        optimizer = training.optimizer(8, warmup=2)
        return potential.fit(FRAMES, model=SHALLOW, batch_size=4, seed=1, steps=8, optimizer=optimizer, progress=False,
                             validate=FRAMES[:4], every=2, directory=tmp_path / steps, **options).run  # fmt: skip

    half, pressed = [], []

    def clock():  # of the host, which presses Ctrl-C
        half.append(True)
        if len(half) == 20 and not pressed:
            pressed.append(signal.raise_signal(signal.SIGINT))
        return 0.0

    stopped = fit("half", clock=clock)
    assert stopped.stopped == "interrupted"
    assert 0 < int(stopped.state.step) < 8
    whole = fit("whole")
    chex.assert_trees_all_equal(fit("half").state, whole.state)
    model, params = potential.load(tmp_path / "half")
    assert model == SHALLOW
    chex.assert_trees_all_equal(params, whole.params)
    with pytest.raises(ValueError, match="holds a run of other about"):
        potential.fit(FRAMES, model=SHALLOW, batch_size=4, seed=2, steps=8, directory=tmp_path / "half")


def test_clear_errors():
    samples = potential.samples(MODEL, FRAMES, 2)
    alone = [s._replace(positions=20 * s.positions) for s in FRAMES]
    bare = [s._replace(forces=None, energy=None) for s in FRAMES]
    cases = {
        "structures: expected at least one": lambda: potential.samples(MODEL, [], 2),
        "batch_size: expected an integer of at least 1": lambda: potential.samples(MODEL, FRAMES, 0),
        "indices: expected at least one": lambda: samples.batch([]),
        "indices: expected at most 15 atoms, 24 edges and 2 structures .*got .12, 36, 3.": lambda: samples.batch(
            [0, 1, 2]
        ),
        "batch_size: expected 1 to 1": lambda: samples.batches(0, shards=13),
        "with an energy": lambda: potential.atomic_energies(bare),
        "two atoms nearer to each other than 3.0": lambda: potential.statistics(alone, 3.0),
        "forces that are not all zero": lambda: potential.statistics(bare, 3.0),
    }
    for message, call in cases.items():
        with pytest.raises(ValueError, match=message):
            call()
