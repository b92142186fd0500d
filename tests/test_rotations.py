"""Maps to rotations and back: rotations for every input, round trips, equivariances, right and finite derivatives."""

import functools
import itertools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from equijax import groups, rotations

QUICK = {"xla_backend_optimization_level": 0}  # compiling is the cost
MAPS = {
    "6d": (rotations.from_6d, rotations.to_6d, 6),
    "5d": (rotations.from_5d, rotations.to_5d, 5),
    "quaternion": (rotations.from_quaternion, rotations.to_quaternion, 4),
    "axis and angle": (rotations.from_axis_angle, rotations.to_axis_angle, 3),
    "svd": (lambda x: rotations.from_svd(x.reshape(*x.shape[:-1], 3, 3)), lambda r: r.reshape(*r.shape[:-2], 9), 9),
}
E = np.eye(3)
HARD = np.stack(
    [E, np.diag([1.0, -1, -1]), np.diag([-1.0, 1, -1]), np.diag([-1.0, -1, 1]), E[[1, 2, 0]], -E[[1, 0, 2]]]
)


def random_rotations(count, seed=0):
    return groups.SO(3).sample(jax.random.key(seed), (count,), jnp.float64)


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def back_and_forth(name, r):
    there, back, _ = MAPS[name]
    return there(back(r)), jax.vmap(jax.jacfwd(there))(back(r)), jax.vmap(jax.jacfwd(back))(r)


@pytest.mark.core
@pytest.mark.parametrize("name", MAPS)
def test_round_trips_with_derivatives(name, x64):
    """D(there) D(back) is the identity on the directions R Ω along which rotations move."""
    r = np.concatenate([HARD, random_rotations(20)])
    again, forward, backward = map(np.asarray, back_and_forth(name, r))
    np.testing.assert_allclose(again, r, atol=5e-15)
    moves = np.einsum("rij,ajk->raik", r, np.asarray(groups.SO(3).basis()))
    smooth = slice(None) if name in ("6d", "5d", "svd") else np.abs(np.trace(r, axis1=1, axis2=2) + 1) > 1e-9
    found = np.einsum("rijp,rpkl,rakl->raij", forward, backward, moves)
    np.testing.assert_allclose(found[smooth], moves[smooth], atol=1e-12)


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def value_and_derivatives(name, x):
    there = MAPS[name][0]
    return there(x), jax.vmap(jax.jacfwd(there))(x), jax.vmap(jax.jacrev(there))(x)


@pytest.mark.parametrize("name", MAPS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_every_input_gives_a_rotation_and_finite_derivatives(name, dtype, x64):
    size = MAPS[name][2]
    rng = np.random.default_rng(0)
    parallel = np.tile([0.3, -0.5, 2.0], 3)[:size]
    x = [np.zeros(size), parallel, -parallel, np.eye(size)[0], np.eye(size)[-1], 1e-12 * parallel, 1e12 * parallel]
    if name == "axis and angle":
        x[-1] = 30 * parallel
    x = np.concatenate([x, rng.normal(size=(5, size))]).astype(dtype)
    r, forward, reverse = value_and_derivatives(name, x)
    assert r.dtype == dtype
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(r @ np.swapaxes(r, 1, 2), np.broadcast_to(np.eye(3), r.shape), atol=40 * eps)
    np.testing.assert_allclose(np.linalg.det(r), 1, atol=40 * eps)
    assert np.isfinite(forward).all()
    assert np.isfinite(reverse).all()
    np.testing.assert_allclose(forward[-5:], reverse[-5:], atol=1e3 * eps)


@pytest.mark.parametrize("name", MAPS)
def test_not_a_number_stays_one(name):
    there, _, size = MAPS[name]
    assert jnp.isnan(jax.jit(there)(jnp.full(size, jnp.nan))).any()
    assert jnp.isnan(jax.jit(rotations.angle)(jnp.full((3, 3), jnp.nan), jnp.eye(3)))


def test_half_precision():
    m = jax.random.normal(jax.random.key(0), (5, 3, 3)).astype(jnp.bfloat16)
    r = rotations.from_svd(m)
    assert r.dtype == rotations.svd_gap(m).dtype == jnp.bfloat16
    np.testing.assert_allclose(r.astype(np.float32), rotations.from_svd(m.astype(jnp.float32)), atol=0.01)
    assert rotations.svd_gap(jnp.zeros((3, 3))) == 0


def test_equivariance(x64):
    rng = np.random.default_rng(0)
    p, q = random_rotations(2, 1)
    m, columns = jnp.asarray(rng.normal(size=(10, 3, 3))), jnp.asarray(rng.normal(size=(10, 3, 2)))
    nearest = rotations.from_svd(m)
    np.testing.assert_allclose(rotations.from_svd(p @ m @ q), p @ nearest @ q, atol=1e-13)
    np.testing.assert_allclose(rotations.from_columns(p @ columns), p @ rotations.from_columns(columns), atol=1e-13)
    assert (np.linalg.det(m) < 0).any()
    others = random_rotations(500, 2)
    apart = np.linalg.norm(others[:, None] - m, axis=(2, 3))
    assert (np.linalg.norm(nearest - m, axis=(1, 2)) <= apart.min(0)).all()


@functools.partial(jax.jit, compiler_options=QUICK)
@jax.vmap
def svd_jacobian(m):
    return jax.jacfwd(rotations.from_svd)(m).reshape(9, 9)


def test_derivatives_of_the_nearest_rotation_grow_with_the_gap(x64):
    """Its singular values are 2 / (s_i + s_j), the last s with the sign of det M."""
    rng = np.random.default_rng(0)
    s = np.array([[2.0, 1.0, 0.5], [2.0, 1.0, -0.5], [1.0, 1.0, 1.0], [2.0, 1.0, 1 - 1.001], [1.0, 1.0, -1 + 1e-6]])
    m = random_rotations(5, 3) @ (s[:, :, None] * random_rotations(5, 4))
    found = np.linalg.svd(svd_jacobian(m))[1][:, :3]
    expected = np.sort(2 / np.stack([s[:, 0] + s[:, 1], s[:, 0] + s[:, 2], s[:, 1] + s[:, 2]], 1), axis=1)[:, ::-1]
    np.testing.assert_allclose(found, expected, rtol=1e-8)
    np.testing.assert_allclose(rotations.svd_gap(m), (s[:, 1] + s[:, 2]) / s[:, 0], atol=1e-12)
    steps = 1e-6 * rng.normal(size=m[:2].shape)
    moved = (rotations.from_svd(m[:2] + steps) - rotations.from_svd(m[:2] - steps)).reshape(2, 9)
    np.testing.assert_allclose(moved / 2, np.einsum("rij,rj->ri", svd_jacobian(m)[:2], steps.reshape(2, 9)), atol=1e-13)


def test_noise_is_damped_as_theory_says(x64):
    """E ‖R̂ − R‖² is 3 σ² for the nearest rotation and 6 σ² for Gram-Schmidt."""
    noise = jnp.asarray(1e-3 * np.random.default_rng(0).normal(size=(20_000, 3, 3)))
    svd = rotations.from_svd(np.eye(3) + noise)
    schmidt = rotations.from_columns((np.eye(3) + noise)[..., :2])
    for found, constant in ((svd, 3), (schmidt, 6)):
        np.testing.assert_allclose(np.mean(np.sum((found - np.eye(3)) ** 2, (1, 2))) / 1e-6, constant, rtol=0.03)


def test_other_dimensions(x64):
    for n in (2, 4, 5):
        m = jnp.asarray(np.random.default_rng(n).normal(size=(6, n, n)))
        for r in (rotations.from_svd(m), rotations.from_columns(m[..., : n - 1])):
            np.testing.assert_allclose(r @ np.swapaxes(r, 1, 2), np.broadcast_to(np.eye(n), r.shape), atol=1e-13)
            np.testing.assert_allclose(np.linalg.det(r), 1)


def test_known_rotations(x64):
    half = np.sqrt(0.5)
    quarter = rotations.from_quaternion(jnp.array([half, 0, 0, half]))  # about z
    np.testing.assert_allclose(quarter, [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-15)
    np.testing.assert_allclose(rotations.to_axis_angle(quarter), [0, 0, np.pi / 2], atol=1e-15)
    np.testing.assert_allclose(rotations.from_6d(jnp.array([0.0, 3, 0, -2, 5, 0])), quarter, atol=1e-15)


def test_angles_between_rotations(x64):
    for theta in (0.0, 1e-9, 1e-3, 1.0, 3.0, np.pi - 1e-3, np.pi - 1e-7, np.pi):
        r = random_rotations(1)[0]
        s = r @ rotations.from_axis_angle(theta * jnp.array([0.6, 0.0, -0.8]))
        np.testing.assert_allclose(rotations.angle(r, s), theta, rtol=0, atol=1e-14)
    gradient = jax.jit(jax.grad(lambda s: rotations.angle(jnp.eye(3), s)))
    assert np.isfinite(gradient(jnp.eye(3))).all()
    assert np.isfinite(gradient(jnp.diag(jnp.array([1.0, -1, -1])))).all()


SEQUENCES = ["".join(s) for s in itertools.product("xyz", repeat=3) if s[0] != s[1] != s[2]]
SEQUENCES += [sequence.upper() for sequence in SEQUENCES]


@functools.partial(jax.jit, static_argnums=1, compiler_options=QUICK)
def euler_and_back(angles, sequence):
    r = rotations.from_euler(angles, sequence)
    derivative = jax.vmap(jax.jacrev(lambda m: rotations.to_euler(m, sequence)))(r) if sequence in SEQUENCES[:2] else 0
    return r, rotations.to_euler(r, sequence), derivative  # of one sequence with three axes, and one with two


@pytest.mark.parametrize("sequence", SEQUENCES)
def test_euler_angles_are_those_of_scipy(sequence, x64):
    rng = np.random.default_rng(0)
    ends = [0.0, np.pi] if sequence[0] == sequence[2] else [-np.pi / 2, np.pi / 2]  # gimbal lock
    angles = rng.uniform(-np.pi, np.pi, (12, 3))
    angles[8:10, 1], angles[10:, 1] = ends
    angles[10, [0, 2]] = 0
    r, again, derivative = map(np.asarray, euler_and_back(angles, sequence))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of gimbal lock
        expected = Rotation.from_euler(sequence, angles)
        known = expected.as_euler(sequence)
    np.testing.assert_allclose(r, expected.as_matrix(), atol=1e-14)
    apart = again - known
    np.testing.assert_allclose(apart - 2 * np.pi * np.round(apart / (2 * np.pi)), 0, atol=1e-7)
    np.testing.assert_allclose(again[:8], known[:8], atol=1e-12)
    np.testing.assert_allclose(Rotation.from_euler(sequence, again).as_matrix(), r, atol=1e-7)
    np.testing.assert_array_equal(again[8:, 2], 0)
    assert np.isfinite(derivative).all()


def test_euler_angles_of_another_order_are_others(x64):
    """Turns about axes that move are those about fixed axes in the opposite order, and the hand matters."""
    angles = np.array([0.3, -0.7, 1.1])
    r = Rotation.from_euler("XYZ", angles).as_matrix()
    for others, sequence in ((angles, "xyz"), (angles[::-1], "XYZ"), (-angles, "XYZ"), (angles, "XZY")):
        assert np.abs(rotations.from_euler(jnp.asarray(others), sequence) - r).max() > 0.1
    np.testing.assert_allclose(rotations.from_euler(jnp.asarray(angles[::-1]), "zyx"), r, atol=1e-14)


def test_euler_angles_in_float32_and_their_derivatives():
    angles = jnp.array([[0.3, 0.0, 0.4], [0.3, jnp.pi, 0.4], [1.0, 0.5, -2.0]])
    r = rotations.from_euler(angles, "zyz")
    assert r.dtype == jnp.float32
    np.testing.assert_allclose(rotations.from_euler(rotations.to_euler(r, "zyz"), "zyz"), r, atol=2e-6)
    there, back = (
        jax.jacfwd(f)(x)
        for f, x in (
            (lambda a: rotations.from_euler(a, "zyz"), angles[2]),
            (lambda m: rotations.to_euler(m, "zyz"), r[2]),
        )
    )
    np.testing.assert_allclose(jnp.einsum("aij,ijb->ab", back, there), np.eye(3), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: rotations.from_euler(jnp.ones(3), "zzy"),
            ValueError,
            "sequence: .* no two neighbors equal, .*'zzy'",
        ),
        (lambda: rotations.from_euler(jnp.ones(3), "xYz"), ValueError, "sequence: expected three letters"),
        (lambda: rotations.to_euler(jnp.eye(3), "xy"), ValueError, "sequence: expected three letters"),
        (lambda: rotations.to_euler(2 * jnp.eye(3), "xyz"), ValueError, "r: expected elements of SO"),
        (
            lambda: rotations.from_columns(jnp.ones((3, 3))),
            ValueError,
            r"a: expected shape \(..., n, n - 1\) with n ≥ 2, got \(3, 3\)",
        ),
        (lambda: rotations.from_svd(jnp.ones((3, 2))), ValueError, "m: expected square matrices"),
        (lambda: rotations.svd_gap(jnp.ones((3, 2))), ValueError, "m: expected square matrices"),
        (lambda: rotations.to_quaternion(2 * jnp.eye(3)), ValueError, r"r: expected elements of SO\(3\), .* by 3.0e"),
        (lambda: rotations.to_6d(-jnp.eye(3)), ValueError, "r: expected elements of SO.* by 1.0e"),
        (lambda: rotations.angle(jnp.eye(3), -jnp.eye(3)), ValueError, "s: expected elements of SO"),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("name", ["6d", "5d", "quaternion", "svd"])
def test_sizes_at_the_ends_of_float32(name):
    x = np.random.default_rng(0).uniform(0.5, 1, MAPS[name][2]).astype(np.float32)
    r, forward, _ = value_and_derivatives(name, np.array([1, 1e-37, 1e20, 1e38], np.float32)[:, None] * x)
    np.testing.assert_allclose(r @ r.mT, np.broadcast_to(np.eye(3), r.shape), atol=1e-5)
    assert np.isfinite(forward).all()
    if name != "5d":  # the others do not see the size
        np.testing.assert_allclose(r, np.broadcast_to(r[0], r.shape), atol=1e-5)


def test_what_is_no_rotation_gets_nan_under_jit():
    for back in (rotations.to_6d, rotations.to_5d, rotations.to_quaternion, rotations.to_axis_angle):
        assert bool(jnp.isnan(jax.jit(back)(-jnp.eye(3))).any())
        assert bool(jnp.isfinite(jax.jit(back)(jnp.eye(3))).all())
