"""A batch whose padded shape was seen before never compiles again; equal models are one model."""

import chex
import jax
import numpy as np
import pytest

from equijax import graphs
from equijax.models import potential, training

CUTOFF = 3.0


def model():
    return potential.Potential(
        species=(1, 6), atomic_energies=(0.0, 0.0), cutoff=CUTOFF, channels=2, lmax=1, hidden_lmax=1, layers=1,
        order=2, probes=1, radial_features=4,
    )  # fmt: skip


def structure(atoms, seed):
    rng = np.random.default_rng(seed)
    positions = 1.1 * np.stack(np.meshgrid(*[range(4)] * 3), -1).reshape(-1, 3)[:atoms] + rng.normal(
        0, 0.05, (atoms, 3)
    )
    return graphs.Structure(rng.choice([1, 6], atoms), positions, energy=0.0, forces=np.zeros((atoms, 3)))


PARAMS = jax.tree.map(np.zeros_like, potential.initialize(model(), jax.random.key(0)))


def test_inference_compiles_once_a_bucket():
    """Of twenty sizes there are fewer shapes; traces are counted, no program is compiled."""
    found = [graphs.batch([structure(n, seed=n)], CUTOFF) for n in range(10, 30)]
    shapes = {tuple(a.shape for a in graph) for graph in found}
    assert 1 < len(shapes) < 12
    predict = jax.jit(chex.assert_max_traces(potential.predict, n=len(shapes)), static_argnums=0)
    for graph in found:
        predict.trace(model(), PARAMS, graph)  # an equal model each time


def test_a_training_step_compiles_once():
    samples = training.samples(model(), [structure(n, seed=n) for n in range(10, 22)], 3)
    transformation = training.optimizer(10)
    state = training.start(PARAMS, transformation)
    gradient = jax.jit(chex.assert_max_traces(training.gradient(model(), PARAMS), n=1))
    update = jax.jit(chex.assert_max_traces(training.update(transformation), n=1))
    for _, indices in zip(range(4), training.epochs(12, 3, seed=0), strict=False):
        _, found = gradient.trace(state.params, *samples.batch(indices)).out_info
        update.trace(state, found)


def test_another_shape_is_seen():
    predict = jax.jit(chex.assert_max_traces(potential.predict, n=1), static_argnums=0)
    predict.trace(model(), PARAMS, graphs.batch([structure(10, seed=0)], CUTOFF))
    with pytest.raises(AssertionError, match="traced"):
        predict.trace(model(), PARAMS, graphs.batch([structure(60, seed=0)], CUTOFF))
