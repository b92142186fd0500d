"""The share of broken symmetry in a loss, where it is known in closed form."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from shards import assert_shards_agree

from equijax import groups, reps
from equijax.measures import loss_share
from equijax.measures.loss_share import _jackknife
from equijax.symmetry import Symmetry

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
X = RNG.standard_normal((1000, 2))


def squared(prediction, target):
    return jnp.sum((prediction - target) ** 2)


def turned(group, outputs=None):
    return Symmetry(group, reps.Vector(), outputs)


@functools.partial(jax.jit, static_argnums=(0, 1, 2), static_argnames=("at", "samples"))
def share(f, symmetry, loss, inputs, targets, at="data", samples=8):
    return loss_share(f, symmetry, loss, inputs, targets, key=KEY, resamples=100, at=at, samples=samples)


def tilted(x):  # ‖x‖², with an error of 0.3 that no turn changes, and one that averages to zero
    return jnp.sum(x**2) + 0.3 + 0.8 * x[0]


@pytest.mark.core
def test_of_finite_groups_it_is_exact(x64):
    y = jnp.sum(X**2, axis=1)
    found = share(tilted, turned(groups.Cyclic(4)), squared, X, y)
    errors = np.asarray(0.3 + 0.8 * X[:, 0]) ** 2
    np.testing.assert_allclose(
        [found.loss, found.twirled, found.share], [errors.mean(), 0.09, 1 - 0.09 / errors.mean()]
    )
    assert found.interval[0] < found.share < found.interval[1]
    found = share(tilted, turned(groups.Cyclic(4)), squared, X, y, at="orbit")
    broken = 0.32 * np.mean(np.asarray(y))  # E (0.8 x₀)² over quarter turns is 0.32 ‖x‖², for each sample
    np.testing.assert_allclose([found.loss, found.share], [0.09 + broken, broken / (0.09 + broken)])
    # an equivariant output: a turn of the whole output is kept, a stretch averages to half of it
    stretched = lambda x: 1.5 * x * jnp.array([1.2, 0.8])  # noqa: E731
    found = share(stretched, turned(groups.Dihedral(4), reps.Vector()), squared, X, X, at="orbit")
    np.testing.assert_allclose(found.share, 0.09 / (0.09 + 0.25))  # ‖f − f̄‖² = 0.3² ‖x‖², ‖f̄ − x‖² = 0.5² ‖x‖²
    for f in (lambda x: 2 * x, lambda x: x):  # exact; the second with no loss at all, 0 / 0
        found = share(f, turned(groups.Cyclic(4), reps.Vector()), squared, X, X)
        np.testing.assert_allclose([found.share, *found.interval], 0, atol=1e-14)


def test_few_samples_of_a_continuous_group_give_no_bias(x64):
    x = jnp.asarray(RNG.standard_normal((20_000, 2)))
    y, so2 = jnp.sum(x**2, axis=1), turned(groups.SO(2))
    broken = 0.32 * float(jnp.mean(y))
    found = share(tilted, so2, squared, x, y, at="orbit", samples=3)
    # ℓ at the mean of three would be 0.09 + 0.64 / 3, nine times the tolerance
    np.testing.assert_allclose(found.twirled, 0.09, atol=0.025)
    np.testing.assert_allclose(found.share, broken / (0.09 + broken), atol=0.04)
    assert found.interval[0] < broken / (0.09 + broken) < found.interval[1]
    scores = lambda x: jnp.stack([jnp.sum(x**2) / 2, 2 * x[0], x[0] * x[1]])  # noqa: E731
    entropy = lambda p, y: -jax.nn.log_softmax(p)[y]  # noqa: E731
    labels = jnp.zeros(len(x), int)
    exact = share(scores, turned(groups.Cyclic(32)), entropy, x, labels)
    found = share(scores, so2, entropy, x, labels, samples=4)
    np.testing.assert_allclose(found.twirled, exact.twirled, atol=0.01)  # plainly it is off by ten times that


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_jackknife_is_exact_for_the_polynomials_it_says(x64, n):
    # all samples of n numbers that are −1, 0 or 2: their mean is the expectation, without an error of its own
    z = jnp.asarray(list(itertools.product([-1.0, 0.0, 2.0], repeat=n))).T[..., None]  # (n, rows, 1)
    found = [float(jnp.mean(_jackknife(lambda z, d=d: jnp.sum(z**d, axis=1), z))) for d in range(5)]
    exact = 3 if n == 2 else 4
    np.testing.assert_allclose(found[:exact], (1 / 3) ** np.arange(exact), atol=1e-12)
    assert abs(found[exact] - (1 / 3) ** exact) > 0.01


def test_the_interval_holds_the_truth_as_often_as_it_says(x64):
    y = lambda x: jnp.sum(x**2, axis=1)  # noqa: E731

    @jax.jit
    @jax.vmap
    def intervals(key):
        x = jax.random.normal(key, (100, 2))
        options = {"key": key, "samples": 3, "resamples": 100, "level": 0.8, "at": "orbit"}
        return loss_share(tilted, turned(groups.SO(2)), squared, x, y(x), **options).interval

    found = intervals(jax.random.split(KEY, 200))
    truth = 0.64 / (0.64 + 0.09)
    held = jnp.mean((found[:, 0] < truth) & (truth < found[:, 1]))
    assert 0.7 < held < 0.88


def test_a_broken_symmetry_that_pays_and_a_loss_that_is_not_convex(x64):
    x = np.stack([np.abs(X[:, 0]), X[:, 1]], axis=1)  # an orientation of their own, and a target that goes with it
    found = share(lambda x: x[0], turned(groups.Cyclic(4)), squared, x, x[:, 0] * 1.1)
    assert found.share < -1  # the average knows nothing
    assert share(lambda x: x[0], turned(groups.Cyclic(4)), squared, x, x[:, 0] * 1.1, at="orbit").share > 0
    bent = lambda p, y: -((p - y) ** 2)  # noqa: E731
    found = share(tilted, turned(groups.Cyclic(4)), bent, X, jnp.sum(X**2, axis=1), at="orbit")
    assert found.loss < found.twirled < 0


def test_on_four_devices_as_on_one(x64):
    x = jnp.asarray(RNG.standard_normal((8, 2)))

    @functools.partial(jax.jit, static_argnums=3)
    def statistics(w, x, y, axis_name):
        options = {"key": KEY, "samples": 3, "resamples": 5, "axis_name": axis_name}
        found = loss_share(lambda x: jnp.tanh(w @ x), turned(groups.SO(2)), squared, x, y, **options)
        return found.share + jnp.sum(found.interval)

    assert_shards_agree(statistics, jnp.asarray(RNG.standard_normal(2)), (x, x[:, 0]))


FEW = jnp.ones((4, 2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"targets": jnp.ones(3)}, r"targets: expected one for each of 4 samples.*got \[\(3,\)\]"),
        ({"loss": lambda p, y: (p - y)[None]}, r"loss: expected a number for one sample, got shape \(1,\)"),
        ({"samples": 1}, "samples: expected an integer of at least 2"),
        ({"inputs": FEW[:1]}, "inputs: expected at least 2 samples, got 1"),
        ({"at": "orbits"}, "at: expected 'data' or 'orbit'"),
        ({"level": 95.0}, "level: expected a number between 0 and 1"),
        ({"symmetry": turned(groups.SO(2), reps.Ignore())}, "nothing to compare"),
    ],
)
def test_errors_name_the_argument(options, message):
    usual = {"f": jnp.sum, "symmetry": turned(groups.SO(2)), "loss": squared, "inputs": FEW, "targets": jnp.ones(4)}
    given = usual | {"key": KEY} | options
    five = [given.pop(name) for name in usual]
    with pytest.raises(ValueError, match=message):
        loss_share(*five, **given)
