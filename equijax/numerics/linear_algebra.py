"""Products of matrices, decompositions and the exponential, with right derivatives, in every precision."""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Float

_TAYLOR = np.array([1 / math.factorial(k + 1) for k in range(16)]).reshape(4, 4)  # of φ; ½^16 / 17! = 4e-20
_SQUARINGS = 12


def matmul(a: ArrayLike, b: ArrayLike) -> Array:
    """A B to the last digit of the dtype: on GPUs and TPUs the default drops more than half of them."""
    return jnp.matmul(a, b, precision="highest")


def tolerance(dtype: DTypeLike, single: float, double: float) -> float:
    """One of two numbers, by whether the dtype has the digits of float64."""
    return double if jnp.finfo(dtype).bits > 32 else single


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


@jax.custom_jvp
def eigh(matrix: Float[Array, "d d"]) -> tuple[Float[Array, " d"], Float[Array, "d d"]]:
    """Eigenvalues, ascending, and eigenvectors of a symmetric matrix, with derivatives that stay finite.

    dV = V (F ∘ Vᵀ dC V)  with  F_ab = 1 / (λ_b − λ_a),  and 0 where the two are equal to 1e-6 (1e-9 in float64) of the
    largest. Projectors on eigenspaces and sums of functions of the eigenvalues have right derivatives everywhere.
    """
    values, vectors = jnp.linalg.eigh(matrix, symmetrize_input=False)
    return values, vectors


@eigh.defjvp
def _(primals, tangents):
    values, vectors = eigh(*primals)
    moved = matmul(tangents[0], vectors)
    change = matmul(vectors.T, moved)  # Vᵀ dC V
    change = (change + change.T) / 2
    apart = values - values[:, None]
    equal = jnp.abs(apart) <= tolerance(values.dtype, 1e-6, 1e-9) * jnp.max(jnp.abs(values))
    turn = jnp.where(equal, 0, change / jnp.where(equal, 1, apart))
    return (values, vectors), (jnp.sum(vectors * moved, axis=0), matmul(vectors, turn))


def svd(a: Float[Array, "*batch n n"]) -> tuple[Float[Array, "*batch n n"], Float[Array, "*batch n"], Array]:
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


def exp_and_phi(m: Float[Array, "*batch n n"]) -> tuple[Float[Array, "*batch n n"], Float[Array, "*batch n n"]]:
    """e^M and φ(M) = (e^M − 1)/M = Σ_k M^k / (k + 1)!, by Taylor series, scaling and squaring.

    φ(2X) = ½ (1 + e^X) φ(X) and e^{2X} = (e^X)². Accurate to a few roundings for ‖M‖ < 2¹¹, with right derivatives
    everywhere. (`jax.scipy.linalg.expm` is off by up to 1e-8 in float64 on generators of rotations.)

    Examples:
        >>> turn, _ = exp_and_phi(jnp.pi / 2 * jnp.array([[0.0, -1.0], [1.0, 0.0]]))
        >>> print(turn.round(5) + 0.0)
        [[ 0. -1.]
         [ 1.  0.]]
    """
    norm = jax.lax.stop_gradient(jnp.max(jnp.sum(jnp.abs(m), axis=-2), axis=-1))
    times = jnp.clip(jnp.ceil(jnp.log2(norm)) + 1, 0, _SQUARINGS).astype(jnp.int32)[..., None, None]
    eye = jnp.broadcast_to(jnp.eye(m.shape[-1], dtype=m.dtype), m.shape)
    # X = M / 2^times, of norm below a half
    x = m * jnp.ldexp(jnp.ones((), m.dtype), -times)  # the derivative of ldexp is wrong at 0 in jax 0.10
    square = matmul(x, x)
    powers, fourth = jnp.stack([eye, x, square, matmul(x, square)]), matmul(square, square)  # (4, ..., n, n) and X⁴
    # 16 terms of φ(X): four polynomials of X^0..X^3, put together by Horner's rule in X⁴
    *lower, phi = jnp.tensordot(_TAYLOR.astype(m.dtype), powers, 1, precision="highest")
    for coefficient in reversed(lower):
        phi = coefficient + matmul(fourth, phi)

    def double(k, state):  # from e^X and φ(X) to those of 2X, as often as X was halved
        power, phi = state
        more = k < times
        return jnp.where(more, matmul(power, power), power), jnp.where(more, matmul(eye + power, phi) / 2, phi)

    return jax.lax.fori_loop(0, _SQUARINGS, double, (eye + matmul(x, phi), phi))
