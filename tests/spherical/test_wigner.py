"""Wigner matrices: the defining relation, the group, the identity and its derivatives."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import spherical
from equijax.spherical import quadrature

LMAX = 8
wigner = jax.jit(lambda R: spherical.wigner_matrix(R, LMAX))


def orthogonal(n, seed):
    Q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(n, 3, 3)))
    return Q  # of either sign


@pytest.mark.core
def test_wigner_matrices_turn_harmonics_and_multiply_like_the_group(x64):
    R = np.concatenate([orthogonal(6, 0), np.eye(3)[None], -np.eye(3)[None]])
    assert {-1, 1} <= set(np.rint(np.linalg.det(R)))
    D = np.asarray(wigner(R))
    p, _ = quadrature.sphere(5)
    Y = jax.jit(functools.partial(spherical.harmonics, lmax=LMAX))
    np.testing.assert_allclose(Y(p @ R.swapaxes(-1, -2)), Y(p) @ D.swapaxes(-1, -2), atol=1e-13)
    np.testing.assert_allclose(D @ D.swapaxes(-1, -2), np.broadcast_to(np.eye(81), D.shape), atol=1e-13)
    np.testing.assert_allclose(wigner(R @ R[::-1]), D @ D[::-1], atol=1e-13)
    np.testing.assert_allclose(D[-2], np.eye(81), atol=1e-14)
    np.testing.assert_allclose(D[-1], np.diag((-1.0) ** spherical.degree_of_coefficient(LMAX)), atol=1e-14)


def test_derivative_at_the_identity_is_the_generator(x64):
    """Along exp(tω̂): antisymmetric, and J_x² + J_y² + J_z² = -l(l + 1)."""
    hats = np.cross(np.eye(3)[:, None], np.eye(3)).swapaxes(-1, -2)
    J = jax.jit(jax.vmap(lambda hat: jax.jvp(wigner, (jnp.eye(3),), (hat,))[1]))(hats)
    np.testing.assert_allclose(J, -J.swapaxes(-1, -2), atol=1e-13)
    l = spherical.degree_of_coefficient(LMAX)
    np.testing.assert_allclose(np.sum(J @ J, axis=0), np.diag(-l * (l + 1.0)), atol=2e-12)


def test_blocks_are_those_of_the_matrix_and_keep_the_dtype():
    R = orthogonal(2, 1).astype(np.float32)
    blocks, D = jax.jit(lambda R: (spherical.wigner_blocks(R, 2), spherical.wigner_matrix(R, 2)))(R)
    assert D.dtype == jnp.float32
    assert [b.shape for b in blocks] == [(2, 1, 1), (2, 3, 3), (2, 5, 5)]
    for l, block in enumerate(blocks):
        b = slice(l * l, (l + 1) ** 2)
        np.testing.assert_allclose(D[:, b, b], block, atol=1e-6)
    assert np.count_nonzero(D) <= sum(b.size for b in blocks)
    np.testing.assert_allclose(blocks[1], R[:, :, :], atol=1e-6)  # the degree-1 block is (x, y, z) itself


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match=r"R: expected matrices of shape \(..., 3, 3\), got \(3, 2\)"):
        spherical.wigner_matrix(np.zeros((3, 2)), 1)
    with pytest.raises(ValueError, match="lmax: expected an integer of at least 0"):
        spherical.wigner_blocks(np.eye(3), -1)
