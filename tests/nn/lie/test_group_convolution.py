"""Layers on a group: variance at the start, exact quarter turns, kernels larger and smaller, half precision."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, nn, reps

KINDS = {
    "separable": {},
    "channelwise": {"channelwise": True},
    "full": {"separable": False, "network": nn.GaussianKernel},
    "splines": {"network": nn.SplineKernel},
}


@pytest.mark.parametrize("kind", KINDS)
def test_white_noise_keeps_its_variance(kind):
    nodes = groups.GLPlus(2).nodes(5)
    f = jax.random.normal(jax.random.key(0), (4, 5, 14, 14, 6))
    layer = nn.GroupConv(8, size=5, padding="valid", **KINDS[kind])
    y, variables = jax.jit(layer.init_with_output)(jax.random.key(1), f, nodes)
    assert y.shape == (4, 5, 10, 10, 8)
    assert 0.6 < float(jnp.std(y)) < 1.5
    assert variables["params"]["bias"].shape == (8,)


@pytest.mark.parametrize("kind", [pytest.param("separable", marks=pytest.mark.core), "full"])
def test_quarter_turns_are_exact_and_others_are_not(kind):
    group = groups.Cyclic(4)
    nodes = group.nodes()
    lift, layer = nn.LiftingConv(3, size=5), nn.GroupConv(2, size=3, **KINDS[kind])
    x = np.asarray(jax.random.normal(jax.random.key(0), (7, 7, 1)))
    first = jax.jit(lift.init)(jax.random.key(1), x, nodes)
    second = jax.jit(layer.init)(jax.random.key(2), jnp.ones((4, 7, 7, 3)), nodes)

    def network(x):
        return layer.apply(second, jnp.tanh(lift.apply(first, x, nodes)), nodes)

    lifted = reps.Joint(reps.Image(), reps.Regular(group, axis=-4))
    ej.check(network, ej.Symmetry(group, reps.Image(), lifted), (x,)).assert_exact()


def test_outputs_beyond_the_reach_of_the_kernel_are_zero():
    nodes, far = groups.SO(2).nodes(3), jnp.diag(jnp.array([9.0, 1 / 9]))[None]
    layer, f = nn.GroupConv(2, size=3), jnp.ones((3, 4, 4, 2))
    y, _ = jax.jit(lambda f: layer.init_with_output(jax.random.key(0), f, nodes, far))(f)
    np.testing.assert_array_equal(y, 0)
    for options in ({"radius": 0.0}, {"reach": -1.0}):
        with pytest.raises(ValueError, match=r"(radius|reach): expected a positive number"):
            nn.GroupConv(2, size=3, **options).init(jax.random.key(0), f, nodes)


@pytest.mark.gpu
def test_precision_and_gradients():
    nodes = groups.SL(2).nodes(3)
    x = jax.random.normal(jax.random.key(0), (9, 9, 2))
    layer = nn.LiftingConv(3, size=4, stride=2, padding="valid", radius=1.5)
    with pytest.raises(ValueError, match="cannot be centered"):
        layer.init(jax.random.key(1), x, nodes)
    layer = nn.LiftingConv(3, size=5, stride=2)
    variables = jax.jit(layer.init)(jax.random.key(1), x, nodes)
    assert layer.apply(variables, x.astype(jnp.bfloat16), nodes).dtype == jnp.bfloat16
    gradient = jax.jit(jax.grad(lambda v: jnp.sum(layer.apply(v, x, nodes) ** 2)))(variables)
    assert all(bool(jnp.isfinite(leaf).all() and jnp.any(leaf != 0)) for leaf in jax.tree.leaves(gradient))
