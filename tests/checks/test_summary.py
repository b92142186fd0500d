"""The report of all measures: its numbers are those of the measures, and its table and picture show them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, measures, reps

X = np.random.default_rng(0).standard_normal((30, 2)).astype(np.float32)
TURNS = ej.Symmetry(groups.Cyclic(4), reps.Vector(), None)


def squared(prediction, target):
    return jnp.sum((prediction - target) ** 2)


def test_layers_a_loss_and_decisions():
    layers = {
        "grow": lambda x: 5 * x,  # moves with quarter turns
        "tilt": lambda x: x + jnp.array([1.0, 0.0]),  # does not
        "scores": lambda x: jnp.stack([jnp.sum(x**2), 1.0, x[0]]),
    }
    target = np.stack([np.sum(X**2, axis=1), np.ones(30), 0 * X[:, 0]], axis=1)
    between = {"grow": reps.Vector(), "tilt": reps.Vector()}
    found = ej.report(layers, TURNS, X, loss=squared, targets=target, outputs=between)
    network = lambda x: layers["scores"](layers["tilt"](layers["grow"](x)))  # noqa: E731
    assert found.verdict == "broken"
    assert [(layer.path, layer.verdict) for layer in found.layers.layers[:2]] == [("grow", "exact"), ("tilt", "broken")]
    share = measures.loss_share(network, TURNS, squared, X, target, key=jax.random.key(0))
    np.testing.assert_allclose(found.share.share, share.share, rtol=1e-5)
    np.testing.assert_allclose(found.consistency, measures.consistency(network, TURNS, X), rtol=1e-6)
    spread = measures.orbit(network, TURNS, X)
    np.testing.assert_allclose(found.variance, spread.transformation.sum() / spread.sample.sum(), rtol=1e-5)
    text = str(found)
    for line in ("share of the loss", "decisions that stay", "dead outputs", "tilt is the first layer", "is discrete"):
        assert line in text, line
    panels = found.plot().axes
    assert len(panels) == 3
    shown = [bar.get_width() for bar in panels[-1].patches]
    np.testing.assert_allclose(shown, [found.variance, float(share.share), 1 - found.consistency], rtol=1e-5)


def test_an_exact_function_of_a_connected_group():
    symmetry = ej.Symmetry(groups.SO(2), reps.Vector(), reps.Vector())
    found = ej.report(lambda x: x * jnp.sum(x**2), symmetry, X)
    assert found.verdict == "exact"
    assert found.variance < 1e-10
    assert found.lie["rotation"].absolute[0] < 1e-5
    assert (found.share, found.consistency, found.layers) == (None, None, None)
    assert "per radian" in str(found)
    assert len(found.plot().axes) == 2


def test_a_loss_needs_targets():
    with pytest.raises(TypeError, match="targets: expected together with loss="):
        ej.report(jnp.sum, TURNS, X, loss=squared)
