"""Heads of environments: equal on the causes of a target, different on its effects, and on interventions never seen."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import data
from equijax.measures import environment_invariance

invariance = jax.jit(environment_invariance)
CAUSES, EFFECT = [0, 1], [2]  # of node 2, among the others of four nodes


def sets(seed, noise=1.0):
    """Features and targets of 6 environments to learn from, and of 40 others."""
    found = data.linear_sem(46, 800, nodes=4, intervened=[0, 1, 3], shift=2.0, scale=2.0, noise=noise, seed=seed)
    others, target = found.split(2)
    return found.weights, (others[:6], target[:6]), (others[6:], target[6:])


def test_causes_predict_everywhere_and_effects_do_not(x64):
    weights, (x, y), (u, v) = sets(0)
    causes = invariance(x[..., CAUSES], y, held_out=(u[..., CAUSES], v))
    effect = invariance(x[..., EFFECT], y, held_out=(u[..., EFFECT], v))
    np.testing.assert_allclose(causes.heads[:, :2, 0], np.broadcast_to(weights[2, :2], (6, 2)), atol=0.15)
    assert causes.distance < 0.4 < 1 < effect.distance
    assert causes.violations == 0
    assert effect.violations > 0.8
    assert causes.excess.max() < 0.02 < 0.1 < effect.excess.max()
    assert (effect.excess >= 0).all()
    # on an environment of its own a head is that of NumPy
    ones = np.concatenate([x[3][:, EFFECT], np.ones((800, 1))], axis=1)
    np.testing.assert_allclose(effect.heads[3, :, 0], np.linalg.lstsq(ones, y[3], rcond=None)[0], rtol=1e-9)
    pairs = np.linalg.norm(effect.heads[:, None] - effect.heads, axis=(2, 3))
    np.testing.assert_allclose(effect.distance, pairs.max(), rtol=1e-12)


def test_exactly_without_noise_in_the_target(x64):
    x = np.random.default_rng(0).normal(size=(3, 30, 2)) + np.arange(3)[:, None, None]
    found = invariance(x, x @ np.array([1.0, -2.0]) + 3)
    np.testing.assert_allclose(found.heads[..., 0], np.broadcast_to([1.0, -2.0, 3.0], (3, 3)), atol=1e-12)
    assert found.distance < 1e-12
    assert found.violations == 0
    elsewhere = invariance(x, x @ np.array([1.0, -2.0]) + 3, held_out=(x, x @ np.array([2.0, 1.0])))
    assert (elsewhere.violations, elsewhere.excess.max() < 1e-12) == (1, True)
    flat = x.copy()
    flat[1, :, 0] = 0.1 + 0.2  # constant in one environment
    assert invariance(flat, x @ np.array([1.0, -2.0])).constant == 1


def test_environments_of_any_size_are_what_each_is_alone(x64):
    rng = np.random.default_rng(0)
    sizes, slopes = (30, 12, 20), (1.0, 1.5, -2.0)
    x = [rng.normal(size=(n, 2)) for n in sizes]
    y = [slope * a[:, 0] + 0.1 * rng.normal(size=len(a)) for a, slope in zip(x, slopes, strict=True)]
    found = environment_invariance(x, y, held_out=(x[::-1], y[::-1]))
    whole = [np.linalg.lstsq(np.c_[a, np.ones(len(a))], b, rcond=None)[0] for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(found.heads[..., 0], whole, rtol=1e-9)
    pooled = np.linalg.lstsq(np.c_[np.concatenate(x), np.ones(62)], np.concatenate(y), rcond=None)[0]
    risk = lambda head, a, b: np.mean((np.c_[a, np.ones(len(a))] @ head - b) ** 2)  # noqa: E731
    excess = [risk(pooled, a, b) - risk(own, a, b) for a, b, own in zip(x, y, whole, strict=True)]
    np.testing.assert_allclose(found.excess, excess, rtol=1e-9)
    assert found.violations == np.mean(np.array(excess) > 0.1)
    mask = np.arange(30) < np.array(sizes)[:, None]  # the same padded, whatever is in the padding
    pad = lambda a: np.concatenate([a, np.full((30 - len(a), *a.shape[1:]), np.nan)])  # noqa: E731
    padded = [np.stack([pad(a) for a in arrays]) for arrays in (x, y)]
    same = jax.jit(lambda x, y, m: environment_invariance(x, y, mask=m, held_out=(x, y, m)))(*padded, mask)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), same, found)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda x: environment_invariance([x[0], x[1, :2]], [x[0, :, 0], x[1, :2, 0]]), "2 samples do not determine"),
        (lambda x: environment_invariance([x[0], x[1]], [x[0, :, 0], x[1, :4, 0]]), r"features, target: .* no mask"),
        (lambda x: environment_invariance(x, x[..., 0], mask=np.ones((3, 4))), r"mask: expected shape \(3, 5\)"),
        (lambda x: environment_invariance(x[0], x[0, :, 0]), r"features, target: .* got \(5, 2\) and \(5,\)"),
        (lambda x: environment_invariance(x, x[:, :4, 0]), r"features, target: .* got \(3, 5, 2\) and \(3, 4\)"),
        (lambda x: environment_invariance(x[:, :2], x[:, :2, 0]), "2 samples do not determine a probe of 2 features"),
        (lambda x: environment_invariance(x, x[..., 0], held_out=(x[..., :1], x[..., 0])), "held_out: expected 2 feat"),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make(jnp.asarray(np.random.default_rng(0).normal(size=(3, 5, 2))))
