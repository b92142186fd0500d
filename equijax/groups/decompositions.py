"""Polar decomposition and logarithms of matrices, with right derivatives of every order.

A derivative rule here uses only the function itself, products and linear solves, so it can be differentiated again,
forward and backward. None of them divides by a difference of singular values or eigenvalues: the derivatives are
finite at the identity, where `jax.numpy.linalg.svd` and `eigh` give NaN. (The factors U and V of a singular value
decomposition have no derivative where singular values meet; what is computed here from them has.)
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax._validate import floating
from equijax.groups.constants import skew_basis
from equijax.numerics import exp_and_phi, in_single, matmul, svd

_ROOTS = {True: 4, False: 7}  # square roots that bring a rotation, or any matrix, near the identity
_ITERATIONS = 12  # of Newton's method for one square root
_TERMS = 9  # of the series of the inverse hyperbolic tangent


@in_single
def polar(a: Float[Array, "*batch n m"]) -> tuple[Float[Array, "*batch n n"], Float[Array, "*batch n n"]]:
    """A = P R with P = (A Aᵀ)^½ symmetric and positive semidefinite, R orthogonal, det R the sign of det A.

    R is unique where A is invertible; a singular A gives one of the possible R. See `orthogonal_factor` for the
    derivatives.

    Returns:
        The pair (P, R).

    Examples:
        >>> p, r = polar(jnp.array([[0.0, -2.0], [3.0, 0.0]]))  # a quarter turn, then 2 times x and 3 times y
        >>> print(p.round(4).diagonal(), r.round(4)[0] + 0.0)
        [2. 3.] [ 0. -1.]
    """
    a = square("a", a)
    r = orthogonal_factor(a)
    p = matmul(a, _transpose(r))
    return (p + _transpose(p)) / 2, r


@in_single
def log_polar(a: Float[Array, "*batch n m"]) -> tuple[Float[Array, "*batch n n"], Float[Array, "*batch n n"]]:
    """A = e^X R with X symmetric and R orthogonal; unique for every invertible A.

    X comes from the singular values of A itself, not from the eigenvalues of A Aᵀ, whose condition is squared.

    Returns:
        The pair (X, R). Entries of X that come from a singular value of zero are not finite under `jax.jit`.

    Raises:
        ValueError: If a matrix is singular to rounding, where its numbers are known.

    Examples:
        >>> x, r = log_polar(jnp.diag(jnp.array([jnp.e, 1.0])))
        >>> print(x.round(4).diagonal(), r.round(4).diagonal())
        [1. 0.] [1. 1.]
    """
    a = invertible("a", square("a", a))
    return _symmetric_log(a), orthogonal_factor(a)


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def orthogonal_factor(a: Float[Array, "*batch n n"], special: bool = False) -> Float[Array, "*batch n n"]:
    """The orthogonal matrix next to A; with `special` the next rotation: R = U diag(1, …, 1, ±1) Vᵀ for A = U S Vᵀ.

    dR = R Ω with Ω skew and  P Ω + Ω P = Rᵀ dA − dAᵀ R,  P = Rᵀ A.  The derivative grows as 1 / (s_{n−1} ± s_n), the
    sum of the last two singular values, the sign that of det A if `special`. Where that is zero R is not unique, and
    the derivative is set to zero.
    """
    u, _, vt = svd(a)
    if special:
        sign = jnp.sign(jnp.linalg.det(u) * jnp.linalg.det(vt))[..., None, None]
        u = u * jnp.where(jnp.arange(u.shape[-1]) == u.shape[-1] - 1, sign, 1)
    return matmul(u, vt)


@orthogonal_factor.defjvp
def _(special, primals, tangents):
    (a,), (da,) = primals, tangents
    r = orthogonal_factor(a, special)
    basis = skew_basis(a.shape[-1]).astype(a.dtype)
    if len(basis) == 0:
        return r, jnp.zeros_like(r)
    # the equation for Ω in the coordinates of skew matrices
    p = matmul(_transpose(r), a)
    system = jnp.einsum("aij,bik,...kj->...ab", basis, basis, p, precision="highest")
    # where it has no solution Ω is zero
    eigenvalues = jnp.abs(jnp.linalg.eigvalsh(jax.lax.stop_gradient(system)))
    regular = eigenvalues.min(-1) > len(basis) * jnp.finfo(a.dtype).eps * eigenvalues.max(-1)
    system = jnp.where(regular[..., None, None], system, jnp.eye(len(basis), dtype=a.dtype))
    side = jnp.einsum("aij,...ij->...a", basis, matmul(_transpose(r), da), precision="highest")
    omega = jnp.linalg.solve(system, jnp.where(regular[..., None], side, 0)[..., None])[..., 0]
    return r, matmul(r, jnp.einsum("...a,aij->...ij", omega, basis, precision="highest"))


@jax.custom_jvp
def _symmetric_log(a):
    """X of A = e^X R.  sinhc(ad_X) dX = ½ (B + Bᵀ),  B = e^{−X} dA Rᵀ,  ad_X E = X E − E X,  sinhc z = sinh z / z."""
    u, s, _ = svd(a)
    return matmul(u * jnp.log(s)[..., None, :], _transpose(u))


@_symmetric_log.defjvp
def _(primals, tangents):
    (a,), (da,) = primals, tangents
    x, r = _symmetric_log(a), orthogonal_factor(a)
    b = matmul(exp_and_phi(-x)[0], matmul(da, _transpose(r)))
    return x, solve_on_matrices(sinhc(adjoint_of_algebra(x)), (b + _transpose(b)) / 2)


@in_single
def matrix_log(a: Float[Array, "*batch n m"], rotation: bool = False) -> Float[Array, "*batch n n"]:
    """The principal logarithm L of a matrix, e^L = A; with `rotation` that of a rotation, which always has one.

    Square roots bring A near the identity, where log A = 2 artanh((A − I)(A + I)⁻¹) is a short series, and one Newton
    step with the derivative of the exponential removes what the roots have lost. The square root of a rotation is the
    orthogonal factor of I + R. A turn by π takes one of its two logarithms; two turns by π (n ≥ 4) leave the planes
    open too, R comes back from them with half of the digits, and the derivative is set to zero.

    φ(ad_L) dL = dA A⁻¹  with  φ(z) = (e^z − 1)/z.

    Returns:
        L, real; NaN where A has eigenvalues on the negative half-line and no principal logarithm, and where it is not
        found: that can happen from a condition number of about 1e4 in float32 and 1e10 in float64 on.

    Raises:
        ValueError: If a matrix has no principal logarithm or it is not found, where the numbers are known.
    """
    log = _compiled_log(square("a", a), rotation)
    if not isinstance(log, jax.core.Tracer) and bool(jnp.isnan(log).any()):
        raise ValueError(
            f"a: a matrix has no real principal logarithm, as with eigenvalues on the negative half-line, or none that "
            f"can be found in {log.dtype.name} at its condition number; the polar chart, `coords` of its group, exists "
            "for every invertible matrix"
        )
    return log


@functools.partial(jax.custom_jvp, nondiff_argnums=(1,))
def _log(a, rotation):
    n, eps = a.shape[-1], jnp.finfo(a.dtype).eps
    eye = jnp.eye(n, dtype=a.dtype)
    q = a + eps**0.5 * _generic_skew(n).astype(a.dtype) if rotation else a  # decides how to halve a turn by π

    def root(q):
        return orthogonal_factor(eye + q, True) if rotation else _square_root(q)

    log = log_by_roots(q, _ROOTS[rotation], root)
    # a Newton step: A e^{−L} = I + rest, whose logarithm is rest − rest²/2 + …
    rest = matmul(a, exp_and_phi(-log)[0]) - eye
    step = _inverse_of_dexp(log, rest - matmul(rest, rest) / 2, rotation)
    log = log + jnp.where(_size(step) < 0.01, step, 0)
    if rotation:
        return (log - _transpose(log)) / 2
    return jnp.where(_size(exp_and_phi(log)[0] - a) <= eps**0.5 * _size(a), log, jnp.nan)


@_log.defjvp
def _(rotation, primals, tangents):
    (a,), (da,) = primals, tangents
    log = _log(a, rotation)
    inverse = _transpose(a) if rotation else jnp.linalg.inv(a)
    return log, _inverse_of_dexp(log, matmul(da, inverse), rotation)


def log_by_roots(
    q: Float[Array, "*batch n n"], count: int, root: Callable[[Array], Array]
) -> Float[Array, "*batch n n"]:
    """log Q by `count` square roots, which bring Q near the identity, and the series of the inverse tangent.

    log Q = 2 artanh(Y) = 2 Y Σ_k Y²ᵏ / (2k + 1) with Y = (Q − I)(Q + I)⁻¹, by Horner's rule.
    """
    eye = jnp.eye(q.shape[-1], dtype=q.dtype)
    q = jax.lax.fori_loop(0, count, lambda _, q: root(q), q)
    y = jnp.linalg.solve(q + eye, q - eye)
    square, total = matmul(y, y), jnp.zeros_like(y)
    for k in reversed(range(_TERMS)):
        total = matmul(square, total) + eye / (2 * k + 1)
    return 2 ** (count + 1) * matmul(y, total)


_compiled_log = jax.jit(_log, static_argnums=1)  # one program, where every operation on its own would be compiled too


def square(name: str, a: ArrayLike) -> Float[Array, "*batch n n"]:
    """`a` as an array of square matrices."""
    a = floating(name, a)
    if a.ndim < 2 or a.shape[-1] != a.shape[-2] or not a.shape[-1]:
        raise ValueError(f"{name}: expected square matrices, shape (..., n, n), got {a.shape}")
    return a


def invertible(name: str, a: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """`a`; raises a ValueError if a matrix is singular to rounding or not finite, where the numbers are known."""
    if isinstance(a, jax.core.Tracer):
        return a
    numbers = np.asarray(a, float)
    if not np.isfinite(numbers).all():
        raise ValueError(f"{name}: expected finite numbers, got NaN or infinity")
    s = np.linalg.svd(numbers, compute_uv=False)
    least, largest = np.moveaxis(s, -1, 0)[[-1, 0]]
    if (least <= jnp.finfo(a.dtype).eps * largest).any():
        raise ValueError(
            f"{name}: a matrix is singular in {a.dtype.name}, with singular values down to {least.min():.1e}; "
            "elements of a group have an inverse"
        )
    return a


def adjoint_of_algebra(x: Float[Array, "*batch n n"]) -> Float[Array, "*batch m m"]:
    """The matrix of ad_X: E → X E − E X on matrices E flattened in row-major order, m = n²."""
    n = x.shape[-1]
    eye = jnp.eye(n, dtype=x.dtype)
    left = jnp.einsum("...ik,jl->...ijkl", x, eye, precision="highest")
    right = jnp.einsum("ik,...lj->...ijkl", eye, x, precision="highest")
    return (left - right).reshape(*x.shape[:-2], n * n, n * n)


def sinhc(z: Float[Array, "*batch m m"]) -> Float[Array, "*batch m m"]:
    """sinh(Z) Z⁻¹ of a matrix, an even series in Z."""
    return jnp.mean(exp_and_phi(jnp.stack([z, -z]))[1], axis=0)


def solve_on_matrices(system: Float[Array, "*batch m m"], b: Float[Array, "*batch n n"]) -> Float[Array, "*batch n n"]:
    """The matrix E with `system` vec E = vec B."""
    return jnp.linalg.solve(system, _column(b)).reshape(b.shape)


def _inverse_of_dexp(log, b, rotation):
    """D with φ(ad_L) D = B; among skew matrices for rotations, where a turn by π is no singular point.

    Two turns by π are: their planes are open, and D is zero.
    """
    system = exp_and_phi(adjoint_of_algebra(log))[1]
    if not rotation:
        return solve_on_matrices(system, b)
    basis = skew_basis(log.shape[-1]).reshape(-1, log.shape[-1] ** 2).astype(log.dtype)
    system = matmul(basis, matmul(system, basis.T))
    if not len(basis):
        return jnp.zeros_like(b)
    s = jnp.linalg.svd(jax.lax.stop_gradient(system), compute_uv=False)
    regular = (s[..., -1] > 64 * jnp.finfo(s.dtype).eps * s[..., 0])[..., None, None]
    system = jnp.where(regular, system, jnp.eye(len(basis), dtype=system.dtype))
    coordinates = jnp.linalg.solve(system, jnp.where(regular, matmul(basis, _column(b)), 0))[..., 0]
    return matmul(coordinates, basis).reshape(b.shape)


def _column(b):
    """The entries of matrices as one column each, in row-major order."""
    return b.reshape(*b.shape[:-2], b.shape[-2] * b.shape[-1], 1)


def _square_root(a):
    """Principal square root by the product form of Denman and Beavers' iteration with determinantal scaling.

    References:
        Higham 2008, Functions of Matrices, eq. 6.29.
    """
    n = a.shape[-1]
    eye = jnp.eye(n, dtype=a.dtype)

    def iterate(_, state):
        m, x = state
        factor = jnp.abs(jnp.linalg.det(m))[..., None, None] ** (-1 / (2 * n))
        inverse = jnp.linalg.inv(m) / factor**2
        return (eye + (factor**2 * m + inverse) / 2) / 2, factor / 2 * matmul(x, eye + inverse)

    return jax.lax.fori_loop(0, _ITERATIONS, iterate, (a, a))[1]


@functools.cache
def _generic_skew(n: int) -> np.ndarray:
    """A skew matrix without any special direction."""
    x = np.random.default_rng(0).normal(size=(n, n))
    return x - x.T


def _transpose(a):
    return jnp.swapaxes(a, -1, -2)


def _size(a):
    return jnp.max(jnp.abs(a), axis=(-2, -1), keepdims=True)
