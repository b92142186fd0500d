"""Rotations that are read off features, and how far they are from the true ones."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from equijax import rotations
from equijax.groups import SO
from equijax.groups.base import check_element
from equijax.measures.probe import r2
from equijax.measures.samples import in_single_or_better
from equijax.numerics import AxisName, global_batch, tolerance


class RotationScore(NamedTuple):
    """How well rotations are predicted."""

    r2: Float[Array, ""]
    """Centered R² of the nine entries, as they were predicted."""
    angle: Float[Array, ""]
    """Median angle in radians between the nearest rotations and the true ones."""
    ambiguous: Float[Array, ""]
    """Share of samples where no single rotation is the nearest, as that of a zero matrix."""


def rotation_score(prediction: ArrayLike, target: ArrayLike, *, axis_name: AxisName = None) -> RotationScore:
    """R² of rotations by their entries, and the median angle after projection to the nearest rotation.

    Args:
        prediction: Any matrices, (samples, 3, 3).
        target: Rotations, (samples, 3, 3).
        axis_name: Mesh axis over which the samples are spread.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If a shape is wrong, or a target is no rotation.

    Examples:
        >>> turns = rotations.from_axis_angle(jnp.array([[0.1, 0, 0], [0, 1, 0], [0, 0, 3]]))
        >>> score = rotation_score(0.5 * turns, turns)  # half as large, in the right direction
        >>> print(score.r2 < 0.9, score.angle < 1e-3, score.ambiguous)
        True True 0.0
    """
    p, t = (global_batch(a, axis_name) for a in _matrices(3, prediction=prediction, target=target))
    check_element(SO(3), t, "target")
    angles = jax.vmap(rotations.angle)(rotations.from_svd(p), t)
    return RotationScore(r2(p.reshape(-1, 9), t.reshape(-1, 9)), jnp.median(angles), _ambiguous(p))


def relative_rotation(poses: ArrayLike, moved: ArrayLike) -> Float[Array, "samples 3 3"]:
    """The rotation R with P′ ≈ P R for the pose matrices of two views, without a trained head (Kabsch).

        H = Σ_b P_bᵀ P′_b ,   R = U diag(1, 1, det U Vᵀ) Vᵀ  for  H = U S Vᵀ ,

    exact for poses that turn as they should, P′ = P R, if all P together have rank two at least.

    Args:
        poses: P of shape (samples, capsules, 3, 3).
        moved: P′ of the same shape.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If a shape is wrong.

    References:
        Kabsch 1976, "A solution for the best rotation to relate two sets of vectors".

    Examples:
        >>> poses, turn = jnp.eye(3)[None, None], rotations.from_axis_angle(jnp.array([0.0, 0.0, jnp.pi / 2]))
        >>> print(relative_rotation(poses, poses @ turn)[0].round(3) + 0.0)
        [[ 0. -1.  0.]
         [ 1.  0.  0.]
         [ 0.  0.  1.]]
    """
    return rotations.from_svd(_correlation(poses, moved))


def pose_score(poses: ArrayLike, moved: ArrayLike, relative: ArrayLike, *, axis_name: AxisName = None) -> RotationScore:
    """How well the pose matrices of two views tell the rotation between them, by `relative_rotation`: no training.

    Args:
        poses: P of shape (samples, capsules, 3, 3).
        moved: P′ of the same shape; P R if the poses are ideal.
        relative: R of shape (samples, 3, 3).
        axis_name: Mesh axis over which the samples are spread.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If a shape is wrong, or `relative` holds no rotations.

    Examples:
        >>> turns = rotations.from_axis_angle(jnp.array([[0.1, 0, 0], [0, 1, 0], [0, 0, 3]]))
        >>> poses = jax.random.normal(jax.random.key(0), (3, 4, 3, 3))
        >>> score = jax.jit(pose_score)
        >>> print(score(poses, poses @ turns[:, None], turns).r2.round(4), score(poses, poses, turns).r2 < 0)
        1.0 True
    """
    h = _correlation(poses, moved)
    score = rotation_score(rotations.from_svd(h), relative, axis_name=axis_name)
    return score._replace(ambiguous=_ambiguous(global_batch(h, axis_name)))


def _matrices(axes, **arrays):
    """Arrays of 3 × 3 matrices with so many axes and of the same shape, by the names of the arguments."""
    found = {name: in_single_or_better(name, a) for name, a in arrays.items()}
    first, shape = next((name, a.shape) for name, a in found.items())
    for name, a in found.items():
        if a.ndim != axes or a.shape[-2:] != (3, 3) or not a.size:
            wanted = "(samples, 3, 3)" if axes == 3 else "(samples, capsules, 3, 3)"
            hint = f"; pass {name}.reshape(*{name}.shape[:-1], 3, 3)" if a.shape[-1:] == (9,) else ""
            raise ValueError(f"{name}: expected shape {wanted}, got {a.shape}{hint}")
        if a.shape != shape:
            raise ValueError(f"{name}: expected shape {shape}, as {first} has, got {a.shape}")
    return list(found.values())


def _correlation(poses, moved):
    """H = Σ_b P_bᵀ P′_b."""
    return jnp.einsum("nbki,nbkj->nij", *_matrices(4, poses=poses, moved=moved), precision="highest")


def _ambiguous(m):
    return jnp.mean(rotations.svd_gap(m) <= tolerance(m.dtype, 1e-5, 1e-12), dtype=m.dtype)
