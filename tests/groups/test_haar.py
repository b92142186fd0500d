"""Samples and quadrature nodes against the moments of the Haar measure."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups
from equijax.groups import SO, E, O
from equijax.spherical import wigner_blocks


@pytest.mark.parametrize("group", [SO(2), SO(3), SO(4), O(3)], ids=repr)
def test_moments_of_samples(group):
    """E A = 0, E A₁₁² = 1/n, E A₁₁⁴ = 3/(n(n + 2)), E tr A = 0; twenty thousand samples, five sigma."""
    n, count = group.n, 20_000
    a = np.asarray(jax.jit(lambda key: group.sample(key, (count,)))(jax.random.key(0)), float)
    np.testing.assert_allclose(a @ a.swapaxes(1, 2), np.broadcast_to(np.eye(n), a.shape), atol=2e-6)
    determinant = np.linalg.det(a)
    if isinstance(group, SO):
        np.testing.assert_allclose(determinant, 1, atol=1e-5)
    else:
        assert abs(determinant.mean()) < 5 / count**0.5
    assert np.abs(a.mean(0)).max() < 5 / (n * count) ** 0.5
    assert abs(np.trace(a, axis1=1, axis2=2).mean()) < 5 * 2**0.5 / count**0.5
    for entry in (a[:, 0, 0], a[:, n - 1, 0], a[:, 0, n - 1]):
        assert abs((entry**2).mean() - 1 / n) < 5 / count**0.5
        assert abs((entry**4).mean() - 3 / (n * (n + 2))) < 5 / count**0.5


@pytest.mark.core
def test_one_sample_about_an_axis_is_a_rotation(x64):
    """jax 0.10.1 on CPU loses a sign where a scatter turns the column round: one sample, float64, under jit."""
    sample = jax.jit(lambda key: groups.Axial(SO(2)).sample(key, (1,), jnp.float64))
    for seed in range(8):
        a = np.asarray(sample(jax.random.key(seed)))[0]
        np.testing.assert_allclose(a @ a.T, np.eye(3), atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(a), 1)


@functools.partial(jax.jit, static_argnums=2)
def averages(elements, weights, lmax):
    """Σ_j w_j D_l(R_j) for each degree: zero for l > 0 where the rule is exact."""
    blocks = wigner_blocks(elements, lmax)
    return jnp.stack([jnp.max(jnp.abs(jnp.tensordot(weights, block, 1))) for block in blocks])


@pytest.mark.core
@pytest.mark.parametrize(("count", "exact"), [(18, 2), (32, 3), (74, 3), (75, 4), (196, 6)])
def test_rotation_nodes_are_exact_to_their_degree(count, exact, x64):
    found = [averages(*SO(3).nodes(count, key), 7) for key in (None, jax.random.key(1))]
    for mean in found:
        np.testing.assert_allclose(mean[0], 1)
        assert jnp.max(mean[1 : exact + 1]) < 1e-14
        assert mean[exact + 1] > 1e-3  # and not beyond
    elements, weights = SO(3).nodes(count)
    assert len(weights) <= count
    np.testing.assert_allclose(jnp.sum(weights), 1)
    shifted = SO(3).nodes(count, jax.random.key(1))[0]
    assert jnp.abs(elements - shifted).max() > 0.1


@pytest.mark.parametrize(
    ("group", "exact"), [(groups.Tetrahedral(), 2), (groups.Octahedral(), 3), (groups.Icosahedral(), 5)], ids=repr
)
def test_polyhedral_groups_are_quadrature_rules(group, exact, x64):
    mean = averages(*group.nodes(), 7)
    assert jnp.max(mean[1 : exact + 1]) < 1e-15
    assert mean[exact + 1] > 1e-3


def test_plane_nodes_are_exact_below_their_number(x64):
    elements, weights = SO(2).nodes(8, jax.random.key(0))
    power = np.eye(2)
    for frequency in range(1, 9):
        power = power @ elements
        mean = jnp.tensordot(weights, power, 1)
        assert (jnp.abs(mean).max() < 1e-14) == (frequency < 8)


def test_nodes_with_reflections(x64):
    elements, weights = O(3).nodes(150)
    assert elements.shape == (150, 3, 3)
    assert jnp.sum(jnp.linalg.det(elements) < 0) == 75
    np.testing.assert_allclose(jnp.sum(weights), 1)
    assert jnp.max(averages(elements, weights, 4)[1:]) < 1e-14


def test_quasi_random_rotations_of_four_space():
    elements, weights = SO(4).nodes(512)
    a = np.asarray(elements)
    np.testing.assert_allclose(a @ a.swapaxes(1, 2), np.broadcast_to(np.eye(4), a.shape), atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(a), 1, atol=1e-5)
    assert np.abs(a.mean(0)).max() < 0.03
    np.testing.assert_allclose((a**2).mean(0), 0.25, atol=0.03)
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-5)


def test_windows_of_translations_and_scalings(x64):
    points, weights = groups.Translation(2, window=3.0).nodes(1000)
    np.testing.assert_allclose(jnp.sum(weights), 36)
    np.testing.assert_allclose(jnp.sum(weights * jnp.exp(-jnp.sum(points**2, -1))), np.pi, rtol=2e-2)
    assert jnp.abs(points).max() <= 3
    scales, weights = groups.Scaling(window=2.0).nodes(201)
    np.testing.assert_allclose(jnp.sum(weights), 4)
    np.testing.assert_allclose(jnp.sum(weights * jnp.log(scales) ** 2), 2 * 2**3 / 3, rtol=1e-3)


def test_nodes_of_products_run_through_all_combinations(x64):
    group = groups.Product(groups.Permutation(3), O(2))
    (permutations, matrices), weights = group.nodes(60)
    assert len(permutations) == len(matrices) == len(weights) == 60
    assert (
        len(
            {
                (*p.tolist(), *m.ravel().round(6).tolist())
                for p, m in zip(permutations, np.asarray(matrices), strict=True)
            }
        )
        == 60
    )
    np.testing.assert_allclose(jnp.sum(weights), 1)
    (many, _), weights = groups.Product(groups.Permutation(12), SO(3)).nodes(7, jax.random.key(0))
    assert many.shape == (7, 12)
    np.testing.assert_allclose(weights, 1 / 7)


@pytest.mark.parametrize("group", [groups.Product(SO(2), SO(2)), groups.Affine(2), E(3)], ids=repr)
@pytest.mark.parametrize("n", [20, 60])
def test_no_more_nodes_than_asked_for(group, n):
    assert 8 <= len(group.nodes(n)[1]) <= n


def test_left_haar_weights_of_similarities(x64):
    """The weight carries ‖det A‖⁻¹, so that Σ w F(h g) does not depend on a shift h inside of the window."""
    elements, weights = groups.Similarity(2).nodes(4000)
    volume = jnp.linalg.det(elements.linear)
    ratio = weights * volume
    inner = ratio > 0.75 * ratio.max()  # the ends of the window of scalings have half the weight
    np.testing.assert_allclose(ratio[inner], ratio.max())
    assert inner.sum() > 0.7 * len(weights)
    assert weights.max() / weights.min() > 10
    assert E(2).nodes(100)[1].std() < 1e-12


def test_random_permutations_and_shifts_are_uniform():
    count = 6000
    p = np.asarray(groups.Permutation(3).sample(jax.random.key(0), (count,)))
    occurrences = np.unique(p, axis=0, return_counts=True)[1]
    assert len(occurrences) == 6
    assert np.abs(occurrences - count / 6).max() < 5 * (count / 6) ** 0.5
    shifts = np.asarray(groups.Shift((4, 9), step=1).sample(jax.random.key(0), (count,)))
    assert set(map(tuple, shifts)) == {(i, j) for i in range(4) for j in range(9)}
    assert set(np.asarray(groups.Shift(8, step=2).sample(jax.random.key(0), (99,))).ravel()) == {0, 2, 4, 6}
