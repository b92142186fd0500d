"""Training: stacks, the loss, batches that resume, errors, and that a model learns."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import graphs
from equijax.graphs import Structure
from equijax.models import potential
from equijax.models.potential import Potential, fit
from equijax.training import checkpoint


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
ENERGIES = fit.atomic_energies(FRAMES)
MODEL = Potential(
    species=tuple(ENERGIES), atomic_energies=tuple(ENERGIES.values()), cutoff=3.0, channels=4, lmax=1, hidden_lmax=1,
    order=2, probes=2, radial_features=8, **fit.statistics(FRAMES, 3.0),
)  # fmt: skip


def test_stacks_hold_every_matrix_once():
    shapes = {"a": (2, 8, 16), "b": (24, 8), "c": (9, 12), "d": (3, 40), "e": (5,)}
    params = {name: jax.random.normal(jax.random.key(k), shape) for k, (name, shape) in enumerate(shapes.items())}
    stacks = fit.stack(params)
    assert {name: x.shape for name, x in stacks.items()} == {"8x8": (7, 8, 8), "9x12": (1, 9, 12), "1x1": (125, 1, 1)}
    np.testing.assert_array_equal(stacks["8x8"][3], params["a"][1, :, 8:])
    chex.assert_trees_all_equal(fit.unstack(stacks, params), params)


def test_it_learns():
    samples = fit.samples(MODEL, FRAMES, 4)
    params = potential.initialize(MODEL, jax.random.key(0))
    transformation = fit.optimizer(300, warmup=10)
    state = fit.start(params, transformation)
    gradient = jax.jit(chex.assert_max_traces(fit.gradient(MODEL, params), n=1))
    update = jax.jit(chex.assert_max_traces(fit.update(transformation, decay=0.9), n=1))
    predict = jax.jit(lambda params, graph: potential.predict(MODEL, params, graph))
    before = fit.evaluate(predict, params, samples)
    for _, indices in zip(range(300), fit.epochs(len(FRAMES), 4, 0), strict=False):
        value, found = gradient(state.params, *samples.batch(indices))
        state = update(state, found)
    assert int(state.step) == 300
    assert np.isfinite(value)
    after = fit.evaluate(predict, fit.unstack(state.average, params), samples)
    assert after.force_rmse < 0.05 * before.force_rmse
    assert after.force_rmse < 0.1 * 1e3 * MODEL.scale
    assert after.energies.shape == (24, 2)
    assert after.forces.shape == (24 * 12, 2)


def test_the_loss_counts_what_is_labeled():
    graph = graphs.batch(FRAMES[:2], 3.0, nodes=16, edges=64)
    labels = graphs.labels([FRAMES[0], FRAMES[1]._replace(forces=None)], graph)
    zero = potential.Prediction(np.zeros(3), np.zeros((16, 3)), np.zeros((3, 3, 3)), np.zeros(16))
    off = zero._replace(energies=np.asarray(labels.energies) + 2.0, forces=np.asarray(labels.forces) + 3.0)
    assert float(fit.loss(off, labels, graph, 1.0)) == pytest.approx(2.0**2 / 4 + 3.0**2)
    assert float(fit.loss(off, labels, graph, 2.0, force_weight=0.0)) == pytest.approx(2.0**2 / 4 / 4)


def test_batches_resume_where_they_stopped():
    whole = fit.epochs(11, 3, seed=5)
    first = [next(whole) for _ in range(10)]
    again = fit.epochs(11, 3, seed=5, first_step=4)
    np.testing.assert_array_equal(first[4:], [next(again) for _ in range(6)])
    assert len(np.unique(first[:3])) == 9  # an epoch shows no structure twice


@pytest.mark.parametrize("sizes", [[4] * 5, [4, 2, 2, 2, 2, 2], [2, 3]], ids=["alike", "the first is large", "few"])
def test_errors_count_every_structure_once_in_one_shape(sizes):
    samples = fit.samples(MODEL, [morse(k, atoms) for k, atoms in enumerate(sizes)], 4)
    rest, shapes = iter(samples.structures), set()

    def predict(params, graph):
        shapes.add((len(graph.species), len(graph.senders), len(graph.graph_mask)))
        target = graphs.labels([next(rest) for _ in range(np.count_nonzero(graph.graph_mask))], graph)
        return potential.Prediction(target.energies + 0.001, target.forces - 0.002, None, None)

    errors = fit.evaluate(predict, None, samples)
    assert len(shapes) == 1
    assert errors.energy_rmse == pytest.approx(1.0, rel=1e-3)
    assert errors.force_mae == pytest.approx(2.0, rel=1e-3)
    assert len(errors.energies) == len(sizes)
    assert len(errors.forces) == 3 * sum(sizes)


def test_isolated_atoms_by_least_squares():
    total = sum(sum(ENERGIES[z] for z in s.species) for s in FRAMES)
    assert total == pytest.approx(sum(s.energy for s in FRAMES))
    some = [s._replace(energy=s.energy if k % 2 else None) for k, s in enumerate(FRAMES)]
    assert fit.atomic_energies(some) == pytest.approx(fit.atomic_energies(FRAMES[1::2]))


def test_training_goes_on_as_if_it_had_not_stopped(tmp_path):
    samples, params = fit.samples(MODEL, FRAMES, 4), potential.initialize(MODEL, jax.random.key(0))
    transformation = fit.optimizer(8, warmup=2)
    gradient, update = jax.jit(fit.gradient(MODEL, params)), jax.jit(fit.update(transformation))

    def train(state, steps):
        order = fit.epochs(len(FRAMES), 4, seed=1, first_step=int(state.step))
        for indices in itertools.islice(order, steps):
            state = update(state, gradient(state.params, *samples.batch(indices))[1])
        return state

    start = fit.start(params, transformation)
    half = train(start, 3)
    checkpoint.save(tmp_path, 3, MODEL, params, training=half)
    chex.assert_trees_all_equal(train(checkpoint.restore(tmp_path, training=half).training, 5), train(start, 8))


def test_clear_errors():
    samples = fit.samples(MODEL, FRAMES, 2)
    alone = [s._replace(positions=20 * s.positions) for s in FRAMES]
    bare = [s._replace(forces=None, energy=None) for s in FRAMES]
    cases = {
        "structures: expected at least one": lambda: fit.samples(MODEL, [], 2),
        "batch_size: expected an integer of at least 1": lambda: fit.samples(MODEL, FRAMES, 0),
        "indices: expected at least one": lambda: samples.batch([]),
        "indices: expected at most 2 .* got 3": lambda: samples.batch([0, 1, 2]),
        "batch_size: expected 1 to 3": lambda: fit.epochs(3, 4, 0),
        "steps: expected an integer of at least 1": lambda: fit.optimizer(0),
        "params: expected one dtype": lambda: fit.stack([jnp.ones(3), jnp.ones(3, jnp.bfloat16)]),
        "with an energy": lambda: fit.atomic_energies(bare),
        "two atoms nearer to each other than 3.0": lambda: fit.statistics(alone, 3.0),
        "forces that are not all zero": lambda: fit.statistics(bare, 3.0),
    }
    for message, call in cases.items():
        with pytest.raises(ValueError, match=message):
            call()
    fit.optimizer(1)  # no warmup, but a run


def test_weight_decay_bounds_the_matrices_under_a_gradient_that_never_turns():
    weights = {"4x3": jnp.ones((2, 4, 3)), "1x1": jnp.ones((5, 1, 1))}

    def largest(weight_decay):
        rule = fit.optimizer(None, muon=0.1, weight_decay=weight_decay)

        def step(carry, _):
            w, state = carry
            updates, state = rule.update(jax.tree.map(jnp.ones_like, w), state, w)
            return (jax.tree.map(jnp.add, w, updates), state), None

        (w, _), _ = jax.lax.scan(step, (weights, rule.init(weights)), length=1000)
        return jnp.linalg.norm(w["4x3"], ord=2, axis=(1, 2)).max()

    assert largest(1.0) < 1.5 < 20 < largest(0.0)
