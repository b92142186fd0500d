"""The exponential and the logarithm where they are hard: the identity, turns by π, large coordinates, derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from equijax.groups import SE, SO, Similarity
from equijax.groups.constants import skew_basis
from equijax.numerics import exp_and_phi

ANGLES = [0.0, 1e-300, 1e-12, 1e-5, 1e-3, 0.0316, 0.03163, 1.0, 2.0, 3.0, np.pi - 1e-3, np.pi - 1e-9, np.pi]
AXES = [[1.0, 0, 0], [0, 1.0, 0], [0, 0, -1.0], [0.6, -0.8, 0.0], [0.36, 0.48, -0.8]]


def reference(m):
    """e^M by Taylor's series in extended precision, for ‖M‖ < 50."""
    m = np.asarray(m).astype(np.longdouble) / 64
    total = term = np.eye(len(m), dtype=np.longdouble)
    for k in range(1, 40):
        term = term @ m / k
        total = total + term
    for _ in range(6):
        total = total @ total
    return total


@pytest.mark.parametrize("size", [1e-9, 0.3, 1.0, 3.0, 10.0])
def test_the_matrix_exponential_is_right_to_rounding(size, x64):
    m = np.random.default_rng(0).normal(size=(10, 4, 4)) * size
    m = m - m.swapaxes(1, 2)
    exact = np.stack([reference(a) for a in m])
    got, phi = map(np.asarray, exp_and_phi(jnp.asarray(m)))
    bound = 1e-15 * max(1, np.abs(m).max())
    assert np.abs(got - exact).max() < bound
    np.testing.assert_allclose(np.eye(4) + m @ phi, exact.astype(float), atol=bound)


@pytest.mark.parametrize("size", [0.1, 0.7, 5.0])
def test_derivatives_of_the_matrix_exponential_at_entries_of_zero(size, x64):
    """d/dt e^{sI + tE} = e^s E at t = 0."""
    e = np.array([[0.3, 1.0], [-0.2, 0.5]])
    derivative = jax.jvp(lambda m: exp_and_phi(m)[0], (size * jnp.eye(2),), (jnp.asarray(e),))[1]
    np.testing.assert_allclose(derivative, np.exp(size) * e, rtol=1e-13)


@pytest.mark.core
@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 1e-6), (np.float64, 2e-15)])
def test_rotations_come_back_from_their_logarithm(dtype, bound, x64):
    omega = jnp.asarray(np.array(ANGLES)[:, None, None] * np.array(AXES), dtype).reshape(-1, 3)
    rotation = jax.jit(SO(3).exp)(omega)
    assert rotation.dtype == dtype
    exact = np.stack([reference(np.cross(w, np.eye(3)).T) for w in np.asarray(omega, float)])
    assert np.abs(np.asarray(rotation) - exact).max() < bound
    log = jax.jit(SO(3).log)(rotation)
    assert np.abs(np.asarray(jax.jit(SO(3).exp)(log) - rotation)).max() < bound
    log, omega = np.asarray(log), np.asarray(omega)
    below = np.linalg.norm(omega, axis=-1) < np.pi - 1e-5
    assert np.abs(log - omega)[below].max() < bound
    assert np.linalg.norm(log, axis=-1).max() <= np.pi + 1e-6


def test_turns_by_pi_have_a_logarithm(x64):
    axes = np.array(AXES)
    half_turns = jnp.asarray(2 * axes[:, :, None] * axes[:, None, :] - np.eye(3))
    log = np.asarray(jax.jit(SO(3).log)(half_turns))
    np.testing.assert_allclose(np.linalg.norm(log, axis=-1), np.pi)
    np.testing.assert_allclose(np.abs(np.sum(log * axes, axis=-1)), np.pi)
    assert np.isfinite(jax.jit(jax.vmap(jax.jacfwd(SO(3).log)))(half_turns)).all()
    np.testing.assert_allclose(SO(2).log(jnp.array([[-1.0, 0.0], [0.0, -1.0]])), np.pi)


@pytest.mark.parametrize("group", [SO(2), SO(3), SO(4), SE(3), Similarity(2)], ids=repr)
def test_derivatives_of_the_exponential(group, x64):
    """d exp at 0 is the basis of the algebra, and right elsewhere."""
    derivative = jax.jit(jax.vmap(jax.jacfwd(lambda a: ravel_pytree(group.exp(a))[0])))
    points = np.stack([0 * np.arange(group.dim), 1e-9 * np.ones(group.dim), np.linspace(-1.5, 2.0, group.dim)])
    found = np.asarray(derivative(jnp.asarray(points)))
    if isinstance(group, SO):
        np.testing.assert_array_equal(found[0].T.reshape(-1, group.n, group.n), skew_basis(group.n))
    steps = 1e-4 * np.eye(group.dim)
    moved = jax.jit(lambda a: jax.vmap(lambda a: ravel_pytree(group.exp(a))[0])(a))
    for point, exact in zip(points, found, strict=True):
        ahead, behind = (np.asarray(moved(jnp.asarray(point + sign * steps))) for sign in (1, -1))
        np.testing.assert_allclose(exact.T, (ahead - behind) / 2e-4, atol=1e-7)


@pytest.mark.parametrize("group", [SO(2), SO(3), SE(2)], ids=repr)
def test_derivatives_of_the_logarithm(group, x64):
    both = jax.jit(jax.vmap(jax.jacfwd(lambda a: group.log(group.exp(a)))))
    points = np.stack([0 * np.arange(group.dim), 1e-9 * np.ones(group.dim), np.linspace(-1.0, 1.5, group.dim)])
    for found in np.asarray(both(jnp.asarray(points))):
        np.testing.assert_allclose(found, np.eye(group.dim), atol=1e-12)


def test_second_derivatives_at_the_identity(x64):
    second = jax.jit(jax.hessian(lambda a: jnp.sum(SO(3).log(SO(3).exp(a)) * np.arange(3) + SO(3).exp(a)[0])))
    np.testing.assert_allclose(second(jnp.zeros(3))[0], [0, 0.5, 0.5], atol=1e-12)


def test_axes_turn_the_right_way(x64):
    quarter = np.pi / 2
    np.testing.assert_allclose(SO(2).exp(jnp.array([quarter])) @ np.array([1.0, 0]), [0, 1], atol=1e-15)
    np.testing.assert_allclose(SO(3).exp(jnp.array([0, 0, quarter])) @ np.array([1.0, 0, 0]), [0, 1, 0], atol=1e-15)
    np.testing.assert_allclose(SO(3).exp(jnp.array([quarter, 0, 0])) @ np.array([0, 1.0, 0]), [0, 0, 1], atol=1e-15)
    planes = SO(4).exp(jnp.zeros(6).at[1].set(quarter))  # the plane (0, 2)
    np.testing.assert_allclose(planes @ np.array([1.0, 0, 0, 0]), [0, 0, 1, 0], atol=1e-15)


def test_a_screw_turns_while_it_moves(x64):
    """exp on SE(3) against the flow of the vector field x' = ω × x + v."""
    a = jnp.array([0.3, -0.2, 0.5, 0.4, 1.0, -0.7])
    homogeneous = np.zeros((4, 4))
    homogeneous[:3, :3], homogeneous[:3, 3] = np.cross(np.asarray(a[3:]), np.eye(3)).T, a[:3]
    exact = reference(homogeneous).astype(float)
    g = SE(3).exp(a)
    np.testing.assert_allclose(g.linear, exact[:3, :3], atol=1e-15)
    np.testing.assert_allclose(g.translation, exact[:3, 3], atol=1e-15)
