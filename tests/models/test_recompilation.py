"""A batch whose padded shape was seen before never compiles again; equal models are one model."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import graphs, groups, nn, training
from equijax.models import EGNN, GauntNetwork, GraphNetwork, LocalFrameNetwork, SetNetwork, potential

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
    shapes = {tuple(a.shape for a in jax.tree.leaves(graph)) for graph in found}
    assert 1 < len(shapes) < 12
    predict = jax.jit(chex.assert_max_traces(potential.predict, n=len(shapes)), static_argnums=0)
    for graph in found:
        predict.trace(model(), PARAMS, graph)  # an equal model each time


def test_a_training_step_compiles_once():
    samples = potential.samples(model(), [structure(n, seed=n) for n in range(10, 22)], 3)
    optimizer = training.optimizer(10)
    state = training.start(PARAMS, optimizer, average=True)
    gradient = jax.jit(chex.assert_max_traces(training.gradient(potential.objective(model())), n=1))
    update = jax.jit(chex.assert_max_traces(training.update(optimizer, decay=0.9), n=1))
    for _, batch in zip(range(4), samples.batches(seed=0)(0), strict=False):
        _, found = gradient.trace(state.params, batch).out_info
        update.trace(state, found)


@pytest.mark.parametrize("network", [EGNN, GauntNetwork, GraphNetwork, LocalFrameNetwork, SetNetwork])
def test_networks_of_particles_compile_once(network):
    """Predictions and gradients for batches of other numbers, by equal networks that are made anew."""
    chex.clear_trace_counter()
    step = jax.jit(chex.assert_max_traces(value_and_gradient, n=1), static_argnums=0)
    charges = (7, 5, 1) if network is SetNetwork else (7, 5)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        batch = [rng.normal(size=shape).astype(np.float32) for shape in ((7, 5, 3), (7, 5, 3), charges)]
        module = network(12, layers=1)
        step.trace(module, jax.eval_shape(module.init, jax.random.key(seed), *(a[0] for a in batch)), *batch)


def value_and_gradient(module, params, *batch):
    return jax.value_and_grad(lambda params: jnp.sum(jax.vmap(module.apply, (None, 0, 0, 0))(params, *batch) ** 2))(
        params
    )


def test_other_nodes_compile_nothing():
    """Nodes of a group are arguments, as images are: new random ones at each step of training cost nothing."""
    group, x = groups.GLPlus(2), np.ones((1, 8, 8, 1), np.float32)

    def network(params, x, nodes):
        f = nn.LiftingConv(2, size=3).apply(params[0], x, nodes)
        return jnp.sum(nn.GroupConv(2, size=3).apply(params[1], f, nodes))

    step = jax.grad(jax.jit(chex.assert_max_traces(network, n=1)))
    nodes = group.nodes(4)
    f = np.ones((1, 4, 8, 8, 2), np.float32)
    params = [
        jax.eval_shape(layer.init, jax.random.key(0), a, nodes)
        for layer, a in ((nn.LiftingConv(2, size=3), x), (nn.GroupConv(2, size=3), f))
    ]
    for seed in range(3):
        jax.eval_shape(step, params, x, group.nodes(4, jax.random.key(seed)))


def test_another_shape_is_seen():
    predict = jax.jit(chex.assert_max_traces(potential.predict, n=1), static_argnums=0)
    predict.trace(model(), PARAMS, graphs.batch([structure(10, seed=0)], CUTOFF))
    with pytest.raises(AssertionError, match="traced"):
        predict.trace(model(), PARAMS, graphs.batch([structure(60, seed=0)], CUTOFF))
