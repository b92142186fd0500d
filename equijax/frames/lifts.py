"""Frames of groups that are not compact: `lorentz`, and `whitened` for linear and affine maps.

Both choose one element g that brings the points to a standard form up to rotations, and continue with a frame of
rotations R_k of the points g⁻¹ x. The elements are g R_k.
"""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax.frames.base import Frame, Info, about_center, null, radius
from equijax.frames.pairs import weighted_pairs
from equijax.frames.principal import pca
from equijax.groups import SL, SO, AffineElement, Element, Group, Lorentz, Scaled, Semidirect
from equijax.numerics import matmul, tolerance


def lorentz(
    group: Group, points: ArrayLike, mask: ArrayLike | None = None, *, rotations: Frame = pca
) -> tuple[Element, Float[Array, " K"], Info]:
    """The boost to the rest frame of the total momentum, then a frame of rotations there.

    P = Σ_i p_i ,  u = P / √(P·P) ,  B = [[u₀, uᵀ], [u, 1 + u uᵀ / (1 + u₀)]] ;  the elements are B diag(1, R_k), with
    R_k from the momenta B⁻¹ p_i. Since Λ B(P) = B(Λ P) W with a rotation W, they move to Λ B diag(1, R_k).

    Degenerate where P is not timelike and directed to the future, as for a single particle without mass. The relative
    error of invariants grows with the rapidity of P. In float32 it is about 1e-6 at rapidity 1, 1e-4 at 3, 2e-3 at 5,
    and at 7 no digit is right; in float64 it is 3e-15, 2e-13, 1e-11 and 1e-9. Boost fast events to their rest frame, in
    float64, when the data are prepared.

    Args:
        group: Lorentz().
        points: Momenta (E, px, py, pz), shape (n, 4); they may be without mass.
        mask: Which momenta are valid, shape (n,).
        rotations: A frame of SO(3).

    Returns:
        Elements along an axis K, weights (K,), and `Info`, whose gap is that of `rotations`, or √(P·P) / E if that is
        less.

    Examples:
        >>> from equijax import groups
        >>> momenta = jnp.array([[2.0, 1, 0, 0], [2, 0, 1, 0], [3, 0, 0, 1]])
        >>> elements, weights, info = lorentz(groups.Lorentz(), momenta)
        >>> elements.shape
        (4, 4, 4)
    """
    if not isinstance(group, Lorentz):
        raise ValueError(f"group: lorentz is a frame of groups.Lorentz(), got {group}")
    momenta, valid, _, info = about_center(points, mask, 4, False)

    # the mass and the velocity u of the total momentum P
    total = jnp.sum(momenta, axis=0)
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(total)))
    total = total / jnp.where(size > 0, size, 1)  # no square of it is too large or too small
    energy, momentum = total[0], jnp.sqrt(_positive(jnp.sum(jnp.square(total[1:]))))
    square = (energy - momentum) * (energy + momentum)  # P·P without overflow of the difference of squares
    timelike = (energy > 0) & (square > 4 * jnp.finfo(total.dtype).eps * jnp.square(energy))
    u = jnp.where(timelike, total, jnp.eye(4, dtype=total.dtype)[0]) / jnp.sqrt(jnp.where(timelike, square, 1))

    # the boost from its rest frame, and a frame of the momenta there
    spatial = jnp.eye(3, dtype=u.dtype) + jnp.outer(u[1:], u[1:]) / (1 + u[0])
    boost = jnp.block([[u[:1, None], u[None, 1:]], [u[1:, None], spatial]])
    at_rest = matmul(momenta, group.inverse(boost).T)[:, 1:]
    matrices, weights, inner = rotations(SO(3), at_rest, valid)
    elements = matmul(boost, jnp.pad(matrices, ((0, 0), (1, 0), (1, 0))).at[:, 0, 0].set(1))  # B diag(1, R), (K, 4, 4)
    slowness = jnp.where(timelike, jnp.sqrt(jnp.where(timelike, square, 1)) / jnp.where(timelike, energy, 1), 0)
    gap, degenerate = jnp.minimum(inner.gap, slowness), inner.degenerate | ~timelike | info.degenerate
    return elements, weights, inner._replace(gap=gap, degenerate=degenerate, nonfinite_row=info.nonfinite_row)


def whitened(
    group: Group, points: ArrayLike, mask: ArrayLike | None = None, *, rotations: Frame = weighted_pairs
) -> tuple[Element, Float[Array, " K"], Info]:
    """The linear map that gives the points unit covariance, then a frame of rotations of what it leaves.

    C = Xᵀ X / n = L Lᵀ,  Y = X L⁻ᵀ;  the elements are L R_k with R_k from Y. For x → A x, L moves to A L U with a
    rotation U. For SL(d) L is divided by det(L)^{1/d}, so that Y has the volume of X. The covariance of Y is a multiple
    of the identity, so that Y has no principal axes: the default is `weighted_pairs`.

    Degenerate where the points span fewer than d dimensions. The error grows with the square of the condition number of
    the points: in float32 about 1e-6 for round sets, 1e-4 at a condition number of 10, 1e-2 at 100 (float64: 1e-11).

    Args:
        group: GLPlus(d), SL(d), Affine(d), or SL(d) with translations.
        points: Shape (n, d), d > 1.
        mask: Which points are valid, shape (n,).
        rotations: A frame of SO(d).

    Returns:
        Elements along an axis K, weights (K,), and `Info`, whose gap is that of `rotations`, or one over the condition
        number if that is less.

    Examples:
        >>> from equijax import groups
        >>> points = jnp.array([[1.0, 0], [0, 2], [-1, -1]])
        >>> (centers, linear), weights, info = whitened(groups.Affine(2), points)
        >>> linear.shape, bool(info.degenerate)
        ((3, 2, 2), False)
    """
    translates = isinstance(group, Semidirect)
    linear = group.linear if isinstance(group, Semidirect) else group
    special = linear.group if isinstance(linear, Scaled) else linear
    if not isinstance(special, SL):
        raise ValueError(f"group: whitened is a frame of GLPlus, SL and Affine, got {group}; see pca for rotations")
    d = special.n

    # the covariance C of the points of size one, and its root L; the identity where points span fewer dimensions
    cloud, valid, center, info = about_center(points, mask, d, translates)
    size = jax.lax.stop_gradient(radius(cloud, valid))
    size = jnp.where(size > 0, size, 1)
    unit = cloud / size
    covariance = matmul(unit.T, unit) / jnp.maximum(info.valid, 1)
    values = jnp.linalg.eigvalsh(jax.lax.stop_gradient(covariance))
    flat = null(values)[0]
    root = jnp.linalg.cholesky(jnp.where(flat, jnp.eye(d, dtype=unit.dtype), covariance), symmetrize_input=False)
    if linear == special:  # of determinant 1: the size stays with the points
        root = root / jnp.exp(jnp.mean(jnp.log(jnp.diagonal(root))))
        size = jnp.ones_like(size)
        unit = cloud

    # a frame of what is left, Y = X L⁻ᵀ
    left = jax.scipy.linalg.solve_triangular(root, unit.T, lower=True).T
    matrices, weights, inner = rotations(SO(d), left, valid)
    elements = matmul(size * root, matrices)
    roundness = jnp.sqrt(_positive(values[0]) / jnp.where(values[-1] > 0, values[-1], 1))
    gap = jnp.minimum(inner.gap, jnp.where(flat, 0, roundness))
    degenerate = inner.degenerate | info.degenerate | ~(gap >= tolerance(gap.dtype, 1e-4, 1e-8))
    info = inner._replace(
        gap=gap, rank=jnp.sum(~null(values), dtype=jnp.int32), degenerate=degenerate, nonfinite_row=info.nonfinite_row
    )
    if translates:
        return AffineElement(jnp.broadcast_to(center, (len(weights), d)), elements), weights, info
    return elements, weights, info


def _positive(x):
    """x, with a smallest value that keeps the derivative of a root finite."""
    return jnp.maximum(x, jnp.finfo(x.dtype).tiny)
