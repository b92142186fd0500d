"""Couplings of three degrees against e3nn-jax and closed forms, for all degrees up to 6."""

import e3nn_jax
import numpy as np
import pytest
from sympy.physics.wigner import wigner_3j

from equijax import spherical

L = 6
TRIPLES = [(a, b, c) for a in range(L + 1) for b in range(L + 1) for c in range(abs(a - b), min(a + b, L) + 1)]


def block(table, a, b, c):
    return table[a * a : (a + 1) ** 2, b * b : (b + 1) ** 2, c * c : (c + 1) ** 2]


def three_j(a, b, c, m=(0, 0, 0)):
    return abs(float(wigner_3j(a, b, c, *m)))


@pytest.mark.core
def test_gaunt_and_bracket_are_positive_multiples_of_the_clebsch_gordan_tensors_of_e3nn():
    """G = γ C for even sums, B = β C for odd ones; γ and β in closed form; the other blocks vanish."""
    G, B = spherical.gaunt_coefficients(L, L, L), spherical.bracket_coefficients(L, L, L)
    assert [spherical.pointwise_coefficients(L, L, L, odd=odd) is x for odd, x in ((False, G), (True, B))] == [True] * 2
    for a, b, c in TRIPLES:
        C = e3nn_jax.clebsch_gordan(a, b, c)
        np.testing.assert_allclose(spherical.clebsch_gordan_coefficients(a, b, c), C, atol=1e-12)
        root = np.sqrt((2 * a + 1) * (2 * b + 1) * (2 * c + 1) / (4 * np.pi))
        if (a + b + c) % 2 == 0:
            gamma = root * three_j(a, b, c)
            assert gamma > 0.1
            np.testing.assert_allclose(block(G, a, b, c), gamma * C, atol=1e-12)
            assert not np.any(block(B, a, b, c))
        else:
            beta = root * np.sqrt(a * (a + 1) * b * (b + 1)) * three_j(a, b, c, (1, -1, 0))
            assert beta > 0.1
            np.testing.assert_allclose(block(B, a, b, c), beta * C, atol=1e-11)
            assert not np.any(block(G, a, b, c))


def test_nothing_couples_outside_the_triangle():
    G, B = spherical.gaunt_coefficients(L, L, L), spherical.bracket_coefficients(L, L, L)
    for a, b, c in np.ndindex(L + 1, L + 1, L + 1):
        if (a, b, c) not in TRIPLES:
            assert not np.any(block(G, a, b, c))
            assert not np.any(block(B, a, b, c))
            assert not np.any(spherical.clebsch_gordan_coefficients(a, b, c))


def test_tables_are_read_only_and_bad_degrees_are_named():
    for table in (spherical.clebsch_gordan_coefficients(1, 1, 0), spherical.clebsch_gordan_coefficients(1, 1, 3)):
        assert not table.flags.writeable
    with pytest.raises(ValueError, match="l1: expected an integer of at least 0, got -1"):
        spherical.gaunt_coefficients(-1, 2, 2)


def test_slots_are_symmetric_and_antisymmetric():
    G, B = spherical.gaunt_coefficients(L, L, L), spherical.bracket_coefficients(L, L, L)
    for axes, sign in (((1, 0, 2), -1), ((0, 2, 1), -1), ((1, 2, 0), 1)):
        np.testing.assert_allclose(G.transpose(axes), G, atol=1e-13)
        np.testing.assert_allclose(B.transpose(axes), sign * B, atol=1e-11)


def test_variance_of_the_product_of_unit_normal_features():
    l = spherical.degree_of_coefficient(4)
    variance = np.sum(spherical.gaunt_coefficients(4, 4, 4) ** 2, axis=(0, 1))
    for c in range(5):
        want = sum((2 * a + 1) * (2 * b + 1) / (4 * np.pi) * three_j(a, b, c) ** 2 for a in range(5) for b in range(5))
        np.testing.assert_allclose(variance[l == c], want, rtol=1e-12)
    np.testing.assert_allclose(variance[[0, 1, 4, 9, 16]], [1.99, 1.59, 1.40, 1.11, 0.91], atol=0.005)


def test_e3x_has_the_same_tensors_times_the_root_of_the_dimension():
    e3x = pytest.importorskip("e3x")
    theirs = np.asarray(e3x.so3.clebsch_gordan(3, 3, 3, cartesian_order=False))
    for a, b, c in TRIPLES:
        if max(a, b, c) <= 3:
            ours = np.sqrt(2 * c + 1) * spherical.clebsch_gordan_coefficients(a, b, c)
            np.testing.assert_allclose(block(theirs, a, b, c), ours, atol=1e-6)
