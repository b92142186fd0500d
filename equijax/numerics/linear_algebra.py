"""The matrix exponential, quasi-random points and rotation nodes behind the groups."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import scipy.special

_TAYLOR = np.array([1 / math.factorial(k + 1) for k in range(16)]).reshape(4, 4)  # of φ; ½^16 / 17! = 4e-20
_SQUARINGS = 12


def in_single(f: Callable) -> Callable:
    """`f`, computed in single precision for arrays of less, with results in their dtype: LAPACK has no bfloat16."""

    @functools.wraps(f)
    def wrapped(*args):
        arrays = [x for x in args if hasattr(x, "dtype")]
        dtype = jnp.result_type(*arrays)
        if not jnp.issubdtype(dtype, jnp.floating) or dtype.itemsize >= 4:
            return f(*args)
        wide = f(*(x.astype(jnp.float32) if hasattr(x, "dtype") else x for x in args))
        return jax.tree.map(lambda x: x.astype(dtype), wide)

    return wrapped


det, inv, slogdet, solve = map(in_single, (jnp.linalg.det, jnp.linalg.inv, jnp.linalg.slogdet, jnp.linalg.solve))


def svd(a: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """U, s and Vᵀ of square matrices, to be used inside of a rule of derivatives.

    jax's own does not lower for TPUs where its argument lies on a mesh with explicit axes (jax 0.10.1 to 0.12).
    """
    decompose = lambda a: tuple(jnp.linalg.svd(a, full_matrices=False))  # noqa: E731
    like = jax.typeof(a).sharding
    axes = like.mesh.explicit_axes
    if not axes:
        return decompose(a)
    values = like.update(spec=jax.sharding.PartitionSpec(*like.spec[:-1]))
    return jax.sharding.auto_axes(decompose, axes=axes, out_sharding=(like, values, like))(a)


def exp_and_phi(m: jax.Array) -> tuple[jax.Array, jax.Array]:
    """e^M and φ(M) = (e^M − 1)/M = Σ_k M^k / (k + 1)!, by Taylor series, scaling and squaring.

    φ(2X) = ½ (1 + e^X) φ(X) and e^{2X} = (e^X)². Accurate to a few roundings for ‖M‖ < 2¹¹, with right derivatives
    everywhere. (`jax.scipy.linalg.expm` is off by up to 1e-8 in float64 on generators of rotations.)
    """
    norm = jax.lax.stop_gradient(jnp.max(jnp.sum(jnp.abs(m), axis=-2), axis=-1))
    times = jnp.clip(jnp.ceil(jnp.log2(norm)) + 1, 0, _SQUARINGS).astype(jnp.int32)[..., None, None]
    dot = functools.partial(jnp.matmul, precision="highest")
    eye = jnp.broadcast_to(jnp.eye(m.shape[-1], dtype=m.dtype), m.shape)
    x = m * jnp.ldexp(jnp.ones((), m.dtype), -times)  # the derivative of ldexp is wrong at 0 in jax 0.10
    square = dot(x, x)
    powers, fourth = jnp.stack([eye, x, square, dot(x, square)]), dot(square, square)
    *lower, phi = jnp.tensordot(_TAYLOR.astype(m.dtype), powers, 1, precision="highest")
    for coefficient in reversed(lower):  # Horner in X⁴
        phi = coefficient + dot(fourth, phi)

    def double(k, state):
        power, phi = state
        more = k < times
        return jnp.where(more, dot(power, power), power), jnp.where(more, dot(eye + power, phi) / 2, phi)

    return jax.lax.fori_loop(0, _SQUARINGS, double, (eye + dot(x, phi), phi))


@functools.cache
def kronecker(n: int, dim: int) -> np.ndarray:
    """n quasi-random points of the unit cube, frac(j (1/φ, …, 1/φ^dim)) with φ^{dim+1} = φ + 1, j = 1..n."""
    phi = 2.0
    for _ in range(64):
        phi = (1 + phi) ** (1 / (dim + 1))
    return np.outer(np.arange(1, n + 1), phi ** -np.arange(1.0, dim + 1)) % 1


@functools.cache
def rotation_nodes(n: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `count` rotations of ℝⁿ with weights that sum to one; see `SO.nodes`."""
    if n == 1:
        return np.ones((1, 1, 1)), np.ones(1)
    if n == 2:
        angles = 2 * np.pi * np.arange(count) / count
        return plane_rotation(angles), np.full(count, 1 / count)
    if n == 3:
        return _euler_grid(max(d for d in range(count) if d == 0 or (d + 1) ** 2 * (d // 2 + 1) <= count))
    normal = scipy.special.ndtri(kronecker(count, n * n)).reshape(count, n, n)
    q, r = np.linalg.qr(normal)
    q = q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[:, None, :]
    q[:, :, 0] *= np.linalg.det(q)[:, None].round()
    return q, np.full(count, 1 / count)


def _euler_grid(degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Rotations z(α) y(β) z(γ): equispaced α and γ, Gauss-Legendre cos β; exact for Wigner functions up to `degree`."""
    turns = plane_rotation(2 * np.pi * np.arange(degree + 1) / (degree + 1))
    about_z = np.tile(np.eye(3), (degree + 1, 1, 1))
    about_z[:, :2, :2] = turns
    cosine, weight = np.polynomial.legendre.leggauss(degree // 2 + 1)
    about_y = np.tile(np.eye(3), (len(cosine), 1, 1))
    about_y[:, ::2, ::2] = np.swapaxes(plane_rotation(np.arccos(cosine)), 1, 2)
    nodes = np.einsum("aij,bjk,ckl->abcil", about_z, about_y, about_z).reshape(-1, 3, 3)
    weights = np.broadcast_to(weight[:, None] / 2 / (degree + 1) ** 2, (degree + 1, len(cosine), degree + 1))
    return nodes, weights.reshape(-1)


def plane_rotation(angle: np.ndarray) -> np.ndarray:
    """Rotations of the plane in NumPy, exact at quarter turns."""
    c, s = snap(np.cos(angle)), snap(np.sin(angle))
    return np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)


def snap(x: np.ndarray) -> np.ndarray:
    """`x` with entries within rounding of a half-integer put there."""
    half = np.round(2 * x) / 2
    return np.where(np.abs(x - half) < 1e-14, half + 0.0, x)


@functools.cache
def skew_basis(n: int) -> np.ndarray:
    """Basis (dim, n, n) of the skew matrices: E_ij = e_j e_iᵀ − e_i e_jᵀ, i < j in order; about x, y, z for n = 3."""
    pairs = [(1, 2), (2, 0), (0, 1)] if n == 3 else [(i, j) for i in range(n) for j in range(i + 1, n)]
    basis = np.zeros((math.comb(n, 2), n, n))
    for e, (i, j) in zip(basis, pairs, strict=True):
        e[j, i], e[i, j] = 1, -1
    return basis
