"""Ridge probes against the normal equations, and every R² with its published floors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from equijax.measures import r2, r2_centered, r2_floor, r2_scores, ridge

RNG = np.random.default_rng(0)
fit = jax.jit(ridge)
all_of = jax.jit(r2_scores)


def draws(n=60_000):
    """The rotation of the targets of views turned by angles in ±π/2, two by two."""
    turn = lambda: Rotation.from_euler("xyz", RNG.uniform(-np.pi / 2, np.pi / 2, (n, 3)))  # noqa: E731
    return turn(), turn()


def test_ridge_solves_the_normal_equations(x64):
    x, y, penalty = RNG.normal(2, 1, (30, 6)), RNG.normal(size=(30, 2)), 0.7
    probe = fit(x, y, penalty=penalty)
    c = x - x.mean(0)
    kernel = np.linalg.solve(c.T @ c + penalty * np.eye(6), c.T @ (y - y.mean(0)))
    np.testing.assert_allclose(probe.kernel, kernel, rtol=1e-12)
    np.testing.assert_allclose(probe(x.mean(0)), y.mean(0), rtol=1e-12)
    assert np.abs(np.linalg.solve(x.T @ x + penalty * np.eye(6), x.T @ y) - kernel).max() > 1e-2  # not centered
    np.testing.assert_array_equal(probe.kernel, fit(x, y, penalty=penalty).kernel)
    slope = jax.jit(jax.grad(lambda x: r2(ridge(x, y, penalty=penalty)(x), y)))(x)
    assert 1e-4 < np.abs(slope).max() < 1


def test_a_probe_of_constant_features_and_of_few_samples(x64):
    x, w = RNG.normal(size=(20, 3)), np.array([[1.0], [-2.0], [0.5]])
    x[:, 1] = 0.1 + 0.2  # a mean that rounds
    probe = fit(x, x @ w, penalty=0.0)
    np.testing.assert_allclose(probe.kernel, [[1.0], [0.0], [0.5]], atol=1e-12)
    assert probe.constant == 1
    wide, y = RNG.normal(size=(5, 9)), RNG.normal(size=(5, 1))
    np.testing.assert_allclose(fit(wide, y, penalty=1e-12)(wide), y, atol=1e-9)  # through every sample
    for samples, penalty in ((5, 0.0), (9, 0)):
        with pytest.raises(ValueError, match=rf"features: {samples} samples do not determine a probe of 9 features"):
            ridge(RNG.normal(size=(samples, 9)), RNG.normal(size=(samples, 1)), penalty=penalty)


def test_only_samples_that_count_are_fitted(x64):
    x, y = RNG.normal(size=(30, 3)), RNG.normal(size=(30, 2))
    mask = np.arange(30) % 3 > 0
    found = fit(np.where(mask[:, None], x, np.nan), y, penalty=0.5, mask=mask)
    wanted = fit(x[mask], y[mask], penalty=0.5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9), tuple(found), tuple(wanted))
    assert np.abs(found.kernel - fit(x, y, penalty=0.5).kernel).max() > 0.01


def test_half_precision_is_measured_in_single():
    x = jnp.asarray(RNG.normal(size=(40, 3)), jnp.bfloat16)
    probe = fit(x, x[:, :1])
    assert probe.kernel.dtype == r2(x, x).dtype == jnp.float32
    np.testing.assert_allclose(probe.kernel, [[1], [0], [0]], atol=1e-3)


def test_pooled_centered_and_uniform_are_what_they_are_called(x64):
    t = RNG.normal([0, 3, -1], [1, 0.1, 2], (50, 3))
    p = t + RNG.normal(0, 0.3, t.shape)
    scores = all_of(p, t)
    error, spread = ((t - p) ** 2).sum(0), ((t - t.mean(0)) ** 2).sum(0)
    np.testing.assert_allclose(scores.centered, 1 - error.sum() / spread.sum(), rtol=1e-12)
    np.testing.assert_allclose(scores.uniform, np.mean(1 - error / spread), rtol=1e-12)
    np.testing.assert_allclose(scores.pooled, 1 - error.sum() / ((t - t.mean()) ** 2).sum(), rtol=1e-12)
    np.testing.assert_allclose(scores[:3], [r2(p, t), r2(p, t, uniform=True), r2(p, t, pooled=True)], rtol=1e-12)
    # what the best constant scores, and the exact link
    constant = np.broadcast_to(t.mean(0), t.shape)
    np.testing.assert_allclose(all_of(constant, t)[:2], 0, atol=1e-12)
    np.testing.assert_allclose(all_of(constant, t).pooled, scores.floor, rtol=1e-12)
    np.testing.assert_allclose(r2_centered(scores.pooled, scores.floor), scores.centered, rtol=1e-12)
    assert abs(scores.pooled - scores.centered) > 0.01  # the trap: they are not the same number
    np.testing.assert_allclose(r2_centered(np.array([0.73, 0.78]), 0.228), [0.650, 0.715], atol=5e-4)


def test_floors_of_published_targets(x64):
    a, b = draws()
    upper = lambda q: np.where(q[:, 3:] < 0, -q, q)  # noqa: E731
    qa, qb = upper(a.as_quat()), upper(b.as_quat())
    scalar = lambda p, q: p[:, 3:] * q[:, 3:] - (p[:, :3] * q[:, :3]).sum(1, keepdims=True)  # noqa: E731
    inverse = qa * [-1, -1, -1, 1]
    vector = inverse[:, 3:] * qb[:, :3] + qb[:, 3:] * inverse[:, :3] + np.cross(inverse[:, :3], qb[:, :3])
    relative = np.concatenate([vector, scalar(inverse, qb)], axis=1)  # q₁⁻¹ q₂, with its own sign
    matrices = (a.inv() * b).as_matrix()
    np.testing.assert_allclose(Rotation.from_quat(relative).as_matrix(), matrices, atol=1e-12)
    uniform = RNG.normal(size=(60_000, 4))
    uniform /= np.linalg.norm(uniform, axis=1, keepdims=True)
    floor_of = jax.jit(r2_floor)
    for target, floor in (
        (relative, 0.228),
        (upper(relative), 0.244),
        (qa, 0.461),
        (matrices.reshape(-1, 9), 0.018),
        (uniform, 0.000),
        (upper(uniform), 0.142),
    ):
        assert floor_of(target) == pytest.approx(floor, abs=4e-3)
    assert 0.04 < np.mean(relative[:, 3] < 0) < 0.05


def test_constant_outputs_are_counted(x64):
    t = RNG.normal(size=(20, 3))
    t[:, 1] = 0.1 + 0.2
    p = t + np.array([0.1, 0.0, -0.2])
    scores, others = all_of(p, t), all_of(p[:, [0, 2]], t[:, [0, 2]])
    assert (scores.constant, others.constant) == (1, 0)
    np.testing.assert_allclose(scores.uniform, others.uniform, rtol=1e-12)
    flat = all_of(p[:, [1]], t[:, [1]])
    assert flat.constant == 1
    assert all(np.isnan(x) for x in (flat.centered, flat.uniform, flat.pooled, flat.floor))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda x: r2(x, x[:, :1]), ValueError, r"target: expected shape \(4, 2\), as prediction has, got shape"),
        (lambda x: r2(x[:, 0], x[:, 0]), ValueError, r"prediction: .* got \(4,\); pass prediction\[:, None\]"),
        (lambda x: r2(x, x, pooled=True, uniform=True), ValueError, "r2_scores has every"),
        (lambda x: r2(x, x.astype(int)), TypeError, "target: expected real"),
        (lambda x: ridge(x, x[:3]), ValueError, "target: expected 4 rows, as features has"),
        (lambda x: ridge(x, x, penalty=-1.0), ValueError, "penalty: expected zero or more, got -1.0"),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make(jnp.ones((4, 2)))
