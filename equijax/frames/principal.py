"""The frame of principal axes, `pca`."""

import functools
import itertools

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax.frames.base import Info, Rotations, from_rotations, null
from equijax.groups import Element, Group
from equijax.numerics import eigh, matmul

SIGNS = ("all", "skewness", "largest")


def pca(
    group: Group, points: ArrayLike, mask: ArrayLike | None = None, *, signs: str = "all"
) -> tuple[Element, Float[Array, " K"], Info]:
    """Principal axes of the points, with all signs or with signs that the points choose.

    C = Xᵀ X = V diag(λ) Vᵀ  about the center (about the origin where the group does not translate);  R = V diag(s).
    With all signs K = 2ᵈ for O(d), 2ᵈ⁻¹ for SO(d). The average is exact, also for points on a line or in a plane, but
    not where two eigenvalues are equal and not zero, as for a regular tetrahedron: `degenerate` says so, the average
    jumps there, and its derivatives grow like 1 / gap near it. The error in float32 is about 1e-7 / gap.

    An eigenvalue counts as zero where the points reach less far along its axis than 2e-3 (1e-7 in float64) of their
    largest spread. Among axes of zero eigenvalues the choice is arbitrary, and may change the result by as much.

    With signs="skewness", s_a is the sign of Σ_i z_ia³ of the coordinates z = X V; with "largest" that of the largest
    coordinate: K = 1, with more inputs at which the frame jumps. For SO(d) the determinant, not the points, sets the
    sign of the axis of the smallest eigenvalue.

    Args:
        group: SO(d), O(d), SE(d), E(d), Similarity(d), or the like about an axis.
        points: Shape (n, d).
        mask: Which points are valid, shape (n,).
        signs: "all", "skewness" or "largest".

    Returns:
        Elements along an axis K, weights (K,), and `Info`, whose gap is the smallest difference of two eigenvalues that
        are not both zero, over the largest (with chosen signs, also the margin of each choice).

    References:
        Puny et al. 2022, arXiv:2110.03336, section 3.1.

    Examples:
        >>> from equijax import groups
        >>> points = jnp.array([[3.0, 0, 0], [0, 2, 0], [0, 0, 1]])
        >>> (centers, axes), weights, info = pca(groups.SE(3), points)
        >>> axes.shape, weights.tolist()
        ((4, 3, 3), [0.25, 0.25, 0.25, 0.25])
    """
    if signs not in SIGNS:
        raise ValueError(f"signs: expected one of {', '.join(SIGNS)}, got {signs!r}")
    return from_rotations("pca", group, points, mask, functools.partial(_axes, signs=signs))


def _axes(points, valid, proper, signs):
    """The axes, their gap, and what chooses their signs."""
    values, vectors = eigh(matmul(points.T, points))
    empty, d = null(values), len(values)
    gap = jnp.diff(values) / jnp.where(empty[-1], 1, values[-1])
    gap = jnp.min(jnp.where(empty[1:], 1, gap), initial=1)
    rank = jnp.sum(~empty, dtype=jnp.int32)
    degenerate = jnp.zeros((), bool)
    # the signs (K, d) of the axes; for proper rotations without the first, which the determinant sets
    if signs == "all":
        choice = jnp.asarray(list(itertools.product([1.0, -1.0], repeat=d - proper)), points.dtype)
    else:
        clear = margin(matmul(points, jax.lax.stop_gradient(vectors)), signs)
        choice = jnp.where(clear >= 0, 1, -1).astype(points.dtype)[None, int(proper) :]
        gap = jnp.minimum(gap, jnp.min(jnp.where(empty, 1, jnp.abs(clear))[int(proper) :], initial=1))
        degenerate = rank < d - proper  # an axis across the points has a sign that nothing tells
    if proper:
        determinant = jax.lax.stop_gradient(jnp.sign(jnp.linalg.det(vectors)))
        choice = jnp.concatenate([determinant * jnp.prod(choice, axis=-1, keepdims=True), choice], axis=-1)
    matrices = vectors * choice[:, None, :]  # (K, d, d)
    return Rotations(matrices, jnp.full(len(choice), 1 / len(choice), points.dtype), gap, rank, degenerate)


def margin(z: Float[Array, "n d"], signs: str) -> Float[Array, " d"]:
    """How clearly each column of coordinates chooses its sign, from −1 to 1; 0 where it does not.

    (u − v) / (u + v)  with u the sum of the cubes, or the largest, of the positive coordinates, and v that of the
    negative ones without their sign.
    """
    up, down = jnp.maximum(z, 0), jnp.maximum(-z, 0)
    reduce = functools.partial(jnp.max, initial=0) if signs == "largest" else lambda x, axis: jnp.sum(x**3, axis)
    up, down = reduce(up, axis=0), reduce(down, axis=0)
    total = up + down
    return (up - down) / jnp.where(total == 0, 1, total)
