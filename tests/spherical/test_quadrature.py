"""Quadrature on the sphere: exact up to its degree, not beyond; tables orthonormal at high degree."""

import numpy as np
import pytest

from equijax import spherical
from equijax.spherical import quadrature


@pytest.mark.parametrize("half", [False, True])
def test_rules_integrate_products_of_harmonics_exactly(half):
    """Products Y_i Y_j of one parity: even functions, as the half rule asks for."""
    for lmax in (0, 1, 2, 5, 20):
        _, weights = quadrature.sphere(2 * lmax, half)
        table = quadrature.harmonics_table(lmax, 2 * lmax, half)
        gram = table.T @ (weights[:, None] * table)
        degree = spherical.degree_of_coefficient(lmax)
        even = (degree[:, None] + degree) % 2 == 0
        np.testing.assert_allclose(gram[even], np.eye(len(gram))[even], atol=1e-13)


def test_points_are_where_the_tables_say(x64):
    points, weights = quadrature.sphere(7)
    np.testing.assert_allclose(np.linalg.norm(points, axis=-1), 1)
    np.testing.assert_allclose(weights.sum(), 4 * np.pi)
    cosines, azimuths, of_colatitudes, of_an_azimuth = quadrature.product_rule(7)
    np.testing.assert_allclose(points[:, 1].reshape(8, 4), np.tile(cosines, (8, 1)))  # colatitudes vary fastest
    np.testing.assert_allclose(azimuths, np.arange(8) * np.pi / 4)
    np.testing.assert_allclose([of_colatitudes.sum(), 8 * of_an_azimuth], [2, 2 * np.pi])
    np.testing.assert_allclose(spherical.harmonics(points, 4), quadrature.harmonics_table(4, 7), atol=1e-14)


def test_the_number_of_nodes_is_the_smallest():
    """One degree above its own, the rule fails: it wastes no nodes."""
    for degree in (2, 4, 8):
        l = degree // 2 + 1  # Y_l0² has degree 2l = degree + 2, one colatitude short
        _, weights = quadrature.sphere(degree)
        table = quadrature.harmonics_table(l, degree)
        assert np.abs(table.T @ (weights[:, None] * table) - np.eye((l + 1) ** 2)).max() > 1e-2


def test_legendre_tables_are_orthonormal_at_degree_120():
    cosines, weights = np.polynomial.legendre.leggauss(121)
    theta = quadrature.legendre(120, cosines)
    for m in (0, 1, 7, 60, 119):
        block = theta[m:, m]
        np.testing.assert_allclose(2 * np.pi * (block * weights) @ block.T, np.eye(len(block)), atol=1e-12)


def test_derivative_by_the_ladder_is_the_derivative():
    angles, step = np.linspace(0.1, 3, 9), 1e-5
    at = lambda a: quadrature.legendre(6, np.cos(a))  # noqa: E731
    differences = (at(angles + step) - at(angles - step)) / (2 * step)
    np.testing.assert_allclose(quadrature.legendre_derivative(at(angles)), differences, atol=1e-8)


def test_tables_are_read_only_and_negative_degrees_are_named():
    with pytest.raises(ValueError, match="read-only"):
        quadrature.sphere(3)[0][0] = 0
    with pytest.raises(ValueError, match="degree: expected an integer of at least 0, got -1"):
        quadrature.sphere(-1)


@pytest.mark.parametrize("degree", [3, 12, 24, 48, 60])
def test_lebedev_rules_are_exact_to_their_degree_and_not_beyond(degree):
    points, weights = quadrature.lebedev(degree)
    reached = next(d for d in quadrature.LEBEDEV_DEGREES if d >= degree)
    assert len(points) < 0.85 * len(quadrature.sphere(degree)[0])
    table = quadrature.point_table(reached + 1, points, "value")
    integrals = weights @ table / np.sqrt(4 * np.pi)
    np.testing.assert_allclose(integrals[: (reached + 1) ** 2], np.eye(1, (reached + 1) ** 2)[0], atol=1e-13)
    assert np.abs(integrals[(reached + 1) ** 2 :]).max() > 1e-3
    assert np.abs(weights).sum() < 1.5 * 4 * np.pi


def test_lebedev_rules_end():
    with pytest.raises(ValueError, match=r"degree: expected at most 131, .* got 132"):
        quadrature.lebedev(132)
