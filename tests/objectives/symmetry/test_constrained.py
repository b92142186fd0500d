"""Augmentation as a constraint: the chain, the multiplier, both forms of the loss."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from equijax import objectives
from equijax.objectives import Transformations, dual_step, invariance_constrained, metropolis_hastings

LOSSES = np.array([0.1, 0.5, 1.2, 3.0])


def transition(losses):
    """The matrix of the chain with uniform proposals."""
    n = len(losses)
    t = np.minimum(1, losses[None] / losses[:, None]) / n
    np.fill_diagonal(t, 0)
    return t + np.diag(1 - t.sum(axis=1))


@functools.cache
def chain():
    """Proposals of 20,000 chains of 32 steps, and where they are after each."""
    proposals = np.random.default_rng(0).integers(0, 4, (33, 20_000))
    run = jax.jit(metropolis_hastings)
    states, accepted = run(jnp.asarray(LOSSES)[proposals], jax.random.key(0))
    return proposals, states, accepted, run


def test_chains_come_to_the_losses(x64):
    """λ ∝ ℓ; after each number of steps they are where the transition matrix says."""
    proposals, states, _, run = chain()
    wanted = LOSSES / LOSSES.sum()
    far = []
    for steps in (0, 2, 8, 32):
        exact = np.full(4, 0.25) @ np.linalg.matrix_power(transition(LOSSES), steps)
        at = np.take_along_axis(proposals, np.asarray(states[steps])[None], 0)[0]
        found = np.bincount(at, minlength=4) / len(at)
        np.testing.assert_allclose(found, exact, atol=0.012)
        far.append(np.abs(exact - wanted).sum() / 2)
    np.testing.assert_allclose(far, [0.375, 0.143, 0.010, 0.0], atol=0.03)
    # the wrong way round the chain would come to 1/ℓ
    assert np.abs(found - (1 / LOSSES) / (1 / LOSSES).sum()).max() > 0.5
    # one program for any number of steps
    some, fewer = (run(jnp.asarray(LOSSES)[proposals], jax.random.key(0), n) for n in (3, 5))
    assert (some[0][3:] == states[3]).all()
    assert (fewer[0][:6] == states[:6]).all()
    assert not some[1][3:].any()
    assert run._cache_size() <= 2


def test_densities_of_the_inner_problem(x64):
    """The maximum of λ·ℓ − c ‖λ‖²/2 over densities is ℓ/c projected on the simplex: ∝ ℓ for c = Σ ℓ, which is what the
    chain draws; the worst case for small c; uniform for large c.
    """
    project = jax.jit(optax.projections.projection_simplex)
    total = LOSSES.sum()
    np.testing.assert_allclose(project(jnp.asarray(LOSSES / total)), LOSSES / total, rtol=1e-12)
    np.testing.assert_allclose(project(jnp.asarray(LOSSES / 1e-3)), [0, 0, 0, 1], atol=1e-12)
    np.testing.assert_allclose(project(jnp.asarray(LOSSES / 1e5)), 0.25, atol=1e-4)


def test_zeros_and_what_is_no_number_never_stop_a_chain():
    nan = np.nan
    losses = jnp.array([[0.0, 0.0, nan, 1.0], [0.0, 2.0, 1.0, nan], [0.0, 0.0, 0.0, 1e9]])
    states, accepted = metropolis_hastings(losses, jax.random.key(1))
    np.testing.assert_array_equal(states, [[0, 0, 0, 0], [1, 1, 1, 0], [2, 1, 1, 2]])
    np.testing.assert_array_equal(accepted, [[1, 1, 1, 0], [1, 0, 0, 1]])


FLIP = Transformations(lambda key, shape: jnp.full(shape, -1), lambda sign, x: sign * x)


def squares(theta, x):
    return (theta - x) ** 2


@pytest.mark.core
def test_the_multiplier_of_a_toy(x64):
    """min (θ − 1)² such that (θ + 1)² ≤ 1 has θ = 0 and μ = 1; a bound that does not bind has μ = 0, θ = 1."""

    def solve(margin, one_pass=False, steps=3000):
        def step(carry, key):
            theta, multiplier = carry
            value = functools.partial(
                invariance_constrained, squares, key=key, proposals=2, one_pass=one_pass, multiplier=multiplier
            )
            slope, terms = jax.grad(lambda t: value(params=t, batch=jnp.ones(64), transformations=FLIP), has_aux=True)(
                theta
            )
            moved = dual_step(multiplier, terms["augmented"], margin, rate=0.01)
            return (theta - 0.01 * slope, moved), terms

        return jax.lax.scan(step, (0.5, 0.0), jax.random.split(jax.random.key(0), steps))

    (theta, multiplier), terms = jax.jit(solve)(1.0)
    np.testing.assert_allclose([theta, multiplier], [0, 1], atol=1e-3)
    np.testing.assert_allclose([terms["clean"][-1], terms["augmented"][-1]], 1, atol=1e-2)
    (theta, multiplier), terms = jax.jit(solve)(5.0)
    np.testing.assert_allclose([theta, multiplier], [1, 0], atol=1e-6)
    assert (terms["multiplier"] == 0).all()  # never rises
    (theta, multiplier), _ = jax.jit(functools.partial(solve, one_pass=True))(1.0)
    np.testing.assert_allclose([theta, multiplier], [0, 1], atol=0.15)


def test_one_pass_is_the_same_loss_on_average(x64):
    """And its gradient; the proposals have none."""
    x = jnp.linspace(0.5, 1.5, 4000)
    run = functools.partial(
        invariance_constrained, squares, batch=x, transformations=FLIP, key=jax.random.key(0), multiplier=1.7
    )
    found = [
        jax.jit(jax.value_and_grad(lambda t, one=one: run(params=t, one_pass=one), has_aux=True))(0.3)
        for one in (False, True)
    ]
    (whole, terms), slope = found[0]
    clean, moved = np.mean((0.3 - x) ** 2), np.mean((0.3 + x) ** 2)
    np.testing.assert_allclose([terms["clean"], terms["augmented"]], [clean, moved], rtol=1e-12)
    np.testing.assert_allclose(whole, clean + 1.7 * moved, rtol=1e-12)
    np.testing.assert_allclose(slope, np.mean(2 * (0.3 - x)) + 1.7 * np.mean(2 * (0.3 + x)), rtol=1e-12)
    (single, once), single_slope = found[1]
    np.testing.assert_allclose([single, single_slope], [whole, slope], rtol=0.05)
    np.testing.assert_allclose([once["clean"], once["augmented"]], [clean, moved], rtol=0.05)


def test_bad_transformations_are_the_ones_that_are_accepted(x64):
    """Three kinds, of which one costs: it is drawn most often, and the histogram says so; samples and targets move."""
    kinds = Transformations(
        lambda key, shape: jax.random.randint(key, shape, 0, 3),
        lambda k, sample: (sample[0] + k, sample[1] + jnp.where(k == 2, 0, k)),
        kind=lambda k: k,
        kinds=3,
    )
    losses = lambda _, sample: (sample[0] - sample[1]) ** 2 + 0.1  # noqa: E731
    batch = (jnp.zeros(4000), jnp.zeros(4000))
    run = lambda n: invariance_constrained(losses, None, batch, kinds, 1.0, key=jax.random.key(0), proposals=n)[1]  # noqa: E731
    terms = run(16)
    np.testing.assert_allclose(terms["histogram"], np.array([0.1, 0.1, 4.1]) / 4.3, atol=0.02)
    assert 0 < terms["acceptance"] < 0.6
    plain = run(1)  # plain augmentation
    np.testing.assert_allclose(plain["histogram"], 1 / 3, atol=0.03)
    assert plain["acceptance"] == 0


X = jnp.ones(4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"batch": jnp.ones(0)}, ValueError, "batch: expected arrays with as many rows, one at least, got \\[0\\]"),
        ({"batch": (X, X[:3])}, ValueError, r"batch: .* got \[3, 4\]"),
        (
            {"losses": lambda t, x: jnp.mean(x)},
            ValueError,
            r"losses: expected shape \(12,\), a number a sample, got \(\)",
        ),
        ({"proposals": 0}, ValueError, "proposals: .* at least 1"),
    ],
)
def test_errors_of_the_constraint(options, error, message):
    given = {"losses": squares, "batch": X, "proposals": 3, "key": jax.random.key(0)} | options
    with pytest.raises(error, match=message):
        invariance_constrained(params=0.0, transformations=FLIP, multiplier=1.0, **given)


def test_a_batch_of_one_and_the_names_of_terms():
    loss, terms = invariance_constrained(squares, 0.0, X[:1], FLIP, 1.0, key=jax.random.key(0))
    assert loss == 2
    assert sorted(terms) == ["acceptance", "augmented", "clean", "multiplier"]
    assert objectives.dual_step(1.0, 0.0, 3.0, 1.0) == 0
