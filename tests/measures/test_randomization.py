"""The randomization test: its level where the distribution is invariant, its power where it is not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups, reps
from equijax.measures import randomization_test
from equijax.symmetry import Symmetry

KEY = jax.random.key(0)
TURNS = Symmetry(groups.SO(2), reps.Vector(), None)


def harmonics(x):
    """Σ_m |mean e^{imθ}|² over m = 1 … 4."""
    phase = jnp.exp(1j * jnp.arctan2(x[:, 1], x[:, 0]))
    return sum(jnp.abs(jnp.mean(phase**m)) ** 2 for m in range(1, 5))


def test_level_and_power_are_as_published(x64):
    @jax.jit
    @jax.vmap
    def p_values(keys, stretch):
        x = jax.random.normal(keys[0], (100, 2)) * jnp.array([stretch, 1.0])
        return randomization_test(TURNS, (x,), key=keys[1], statistic=harmonics, samples=19).p_value

    found = p_values(jax.random.split(KEY, (400, 2)), jnp.where(jnp.arange(400) < 200, 1.0, 1.5))
    rejected = found.reshape(2, 200) <= 0.05
    assert abs(rejected[0].mean() - 0.05) < 3 * np.sqrt(0.05 * 0.95 / 200)  # 3 binomial errors
    assert abs(rejected[1].mean() - 0.47) < 0.1
    assert found.min() == pytest.approx(1 / 20)


def test_the_default_sees_what_is_not_invariant_and_half_turns_are_kept(x64):
    x = jax.random.normal(KEY, (80, 2)) * jnp.array([2.0, 1.0])
    value = jax.jit(lambda x, symmetry: randomization_test(symmetry, (x,), key=KEY), static_argnums=1)
    assert value(x, TURNS).p_value <= 0.05
    half = value(x, Symmetry(groups.Cyclic(2), reps.Vector(), None))  # the Gaussian has this symmetry
    assert half.p_value > 0.05
    moved = value(x + 1, Symmetry(groups.Cyclic(2), reps.Vector(), None))
    assert moved.p_value <= 0.05
    # MMD² between x and ±x is that of the kernel k and its average: mean of (k(x, y) − k(x, −y)) / 2 over pairs
    size = jnp.mean(jnp.sum((x + 1) ** 2, axis=1))
    near, across = (jnp.exp(-jnp.sum((x[:, None] + 1 - s * (x + 1)) ** 2, axis=2) / size) for s in (1, -1))
    mmd2 = jnp.sum((near - across) * (1 - jnp.eye(80))) / (2 * 80 * 79)
    found = moved.statistic - moved.null.mean()
    assert abs(found - mmd2) < 5 * moved.null.std() / np.sqrt(99)
    assert abs(found - mmd2) < 0.1 * mmd2
    np.testing.assert_allclose(half.p_value, (1 + (half.null >= half.statistic).sum()) / 100)


def test_a_regression_is_symmetric_jointly_only(x64):
    x = jax.random.normal(KEY, (80, 3))
    turned = Symmetry(groups.SO(3), reps.Vector(), reps.Vector())
    covariance = lambda x, y: jnp.sum((x.T @ y) ** 2)  # noqa: E731
    value = jax.jit(
        lambda x, y, symmetry: (
            randomization_test(symmetry, (x,), key=KEY, targets=y, statistic=covariance, samples=39).p_value
        ),
        static_argnums=2,
    )
    y = x / jnp.linalg.norm(x, axis=1, keepdims=True)
    assert value(x, y, turned) > 0.05
    assert value(x, jnp.roll(y, 1, axis=1), turned) <= 0.05  # another axis
    assert value(x, y, Symmetry(groups.SO(3), reps.Vector(), None)) <= 0.05  # y stays where it is


def test_ties_and_one_element_do_not_reject(x64):
    x = jax.random.normal(KEY, (20, 2))
    for symmetry, statistic in (
        (TURNS, lambda x: jnp.sum(x**2)),  # the same but for rounding
        (Symmetry(groups.Cyclic(1), reps.Vector(), None), None),
    ):
        assert randomization_test(symmetry, (x,), key=KEY, statistic=statistic, samples=9).p_value == 1


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x: randomization_test(TURNS, x, key=KEY), TypeError, r"args: expected the tuple .* pass \(x,\)"),
        (
            lambda x: randomization_test(Symmetry(groups.E(2), reps.Position(), None), (x,), key=KEY),
            ValueError,
            r"symmetry: E\(2\) is not compact",
        ),
        (lambda x: randomization_test(TURNS, (x,), key=KEY, targets=x[:3]), ValueError, "equally many rows"),
        (lambda x: randomization_test(TURNS, (x[:1],), key=KEY), ValueError, "two at least"),
        (lambda x: randomization_test(TURNS, (x[:, :1],), key=KEY), ValueError, r"args\[0\]: expected shape"),
        (
            lambda x: randomization_test(TURNS, (x,), key=KEY, statistic=lambda positions: positions),
            ValueError,
            r"statistic: expected one number, got shape \(4, 2\)",
        ),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make(jnp.ones((4, 2)))
