"""Products, eigenvectors and the first steps of Gram and Schmidt: precision, derivatives, hard inputs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from equijax import numerics


@pytest.mark.gpu
def test_products_ask_for_the_highest_precision():
    lowered = jax.jit(numerics.matmul).lower(jnp.ones((2, 2)), jnp.ones((2, 2))).as_text()
    assert "precision = [HIGHEST, HIGHEST]" in lowered


def with_spectrum(values, seed=0):
    v = scipy.stats.ortho_group.rvs(len(values), random_state=seed)
    return jnp.asarray(v * np.array(values) @ v.T)


def square_root(matrix):
    """The matrix square root by way of eigenvectors, which does not depend on the axes within an eigenspace."""
    values, vectors = numerics.eigh(matrix)
    return numerics.matmul(vectors * jnp.sqrt(values), vectors.T)


@pytest.mark.gpu
@pytest.mark.parametrize("values", [(1.0, 2.0, 5.0), (1.0, 4.0, 9.0, 9.5)])
def test_derivatives_of_eigenvectors_and_eigenvalues(values, x64):
    """d√C solves  d√C √C + √C d√C = dC; the derivative of the trace of C³ is 3 C²."""
    c, dc = with_spectrum(values), with_spectrum(range(len(values)), seed=1)
    root, change = jax.jvp(square_root, (c,), (dc,))
    np.testing.assert_allclose(root @ root, c, atol=1e-13)
    np.testing.assert_allclose(change @ root + root @ change, dc, atol=1e-12)
    np.testing.assert_allclose(jax.grad(lambda c: jnp.sum(numerics.eigh(c)[0] ** 3))(c), 3 * c @ c, rtol=1e-11)


@pytest.mark.parametrize("values", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.0, 2.0, 2.0)])
def test_derivatives_of_eigenvectors_are_finite_where_eigenvalues_meet(values, x64):
    c = with_spectrum(values)
    first, second = jax.jacfwd(numerics.eigh), jax.jacfwd(jax.jacrev(numerics.eigh))
    for derivative in (*first(c), *second(c)):
        assert np.isfinite(derivative).all()


def test_derivatives_of_an_eigenspace_do_not_depend_on_its_axes(x64):
    """The projector P on the plane of the eigenvalue 2, beside 0: dP = (P dC (1 − P) + (1 − P) dC P) / 2."""
    c, dc = with_spectrum((0.0, 2.0, 2.0)), with_spectrum((1.0, 2.0, 3.0), seed=1)

    def projector(c):
        plane = numerics.eigh(c)[1][:, 1:]
        return numerics.matmul(plane, plane.T)

    p, change = jax.jvp(projector, (c,), (dc,))
    off = jnp.eye(3) - p
    np.testing.assert_allclose(change, (p @ dc @ off + off @ dc @ p) / 2, atol=1e-14)
    np.testing.assert_allclose(jax.grad(lambda c: jnp.sum(numerics.eigh(c)[0] ** 2))(c), 2 * c, atol=1e-13)


def test_decompositions_of_half_precision():
    a = with_spectrum((1.0, 2.0, 4.0)).astype(jnp.bfloat16)
    for found, exact in ((numerics.det(a), 8.0), (numerics.matmul(numerics.inv(a), a), np.eye(3))):
        assert found.dtype == jnp.bfloat16
        np.testing.assert_allclose(found.astype(float), exact, atol=0.2)


@pytest.mark.parametrize("d", [2, 3, 5])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_axes_are_orthonormal_whatever_is_left_of_a_vector(d, dtype, x64):
    rng = np.random.default_rng(d)
    axes = np.stack([scipy.stats.ortho_group.rvs(d, random_state=k)[: d - 1] for k in range(4)]).astype(dtype)
    v = rng.normal(size=(4, d)).astype(dtype)
    v[1] = axes[1, 0]  # nothing is left of it
    v[2] = axes[2, -1] + 1e-3 * v[2]  # little is left
    v[3] = 0
    eps, v, axes = float(np.finfo(dtype).eps), jnp.asarray(v), jnp.asarray(axes)
    across = functools.partial(numerics.unit_across, tiny=16 * eps)
    unit = jax.jit(across)(v, axes)
    assert unit.dtype == dtype
    np.testing.assert_allclose(jnp.sum(unit**2, axis=-1), 1, atol=8 * eps)
    np.testing.assert_allclose(jnp.sum(unit[:, None] * axes, axis=-1), 0, atol=8 * eps)
    exact = v[0] - axes[0].T @ (axes[0] @ v[0])
    np.testing.assert_allclose(unit[0], exact / np.linalg.norm(exact), atol=1e3 * eps)
    derivative = jax.jit(jax.vmap(jax.jacrev(across)))(v, axes)
    assert np.isfinite(derivative).all()
    np.testing.assert_array_equal(derivative[3], 0)
    last = numerics.completion(axes)
    np.testing.assert_allclose(np.linalg.det(np.concatenate([axes, last[:, None]], axis=1)), 1, atol=32 * eps)
    np.testing.assert_allclose(jnp.sum(last[:, None] * axes, axis=-1), 0, atol=32 * eps)


def test_the_first_axis_is_across_none(x64):
    none = jnp.zeros((0, 3))
    np.testing.assert_allclose(numerics.unit_across(jnp.array([0.0, 3.0, 4.0]), none, 1e-9), [0, 0.6, 0.8])
    np.testing.assert_allclose(numerics.norm(numerics.unit_across(jnp.zeros(3), none, 1e-9)), 1)
