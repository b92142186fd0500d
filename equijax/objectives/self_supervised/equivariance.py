"""Equivariance of codes without a predictor: a representation says how the code of one view moves to the other's."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax._validate import floating
from equijax.groups import Element
from equijax.numerics import AxisName, sqrt
from equijax.objectives.self_supervised.pairs import one_a_row, pair
from equijax.reps import Rep

Maps: TypeAlias = Sequence[tuple[ArrayLike, ArrayLike, Rep]]
Size: TypeAlias = Callable[[Array], Array]


def pose_equivariance(
    poses1: ArrayLike,
    poses2: ArrayLike,
    elements: Element,
    rep: Rep,
    *,
    size: Size | None = None,
    axis_name: AxisName = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """mean (N(g·P) − N(P′))² over all entries, N(P) = P/‖P‖ one pose at a time: zero where P moves by g between views.

    A group, an action, and nothing to learn. Normalized, poses cannot shrink; `variance_hinge` keeps them from being
    constant, for which the loss is (2/9)(1 − tr(R PᵀP)/‖P‖²) for 3 × 3 matrices: 2/9 on average over SO(3).

    Args:
        poses1: P of one view, (rows, poses, ...), moved on the last axes by `rep`.
        poses2: P′ of the other view of the same samples.
        elements: g of each sample, from view 1 to view 2. Where rotations R₁ and R₂ turn the views, R₂R₁ᵀ for rows
            that are vectors R a; for P = A R, which becomes P R₁ᵀR₂, the inverse of R₁ᵀR₂, since its rows are Rᵀ a.
        rep: How one element moves one sample, such as `reps.Vector()` for matrices, row by row.
        size: ‖P‖ of poses (..., poses, ...) as an array (..., poses), the root of the sum of squares unless given;
            `rotational_size` for homogeneous matrices.
        axis_name: Axis of devices over which rows are spread.

    Returns:
        The loss; and as a term "unmoved", what it would be if the poses of view 2 were those of view 1.

    Raises:
        TypeError: If poses are not real floating-point numbers.
        ValueError: If the views differ in shape, there is not one element for each sample, or the elements or the
            poses do not fit the representation.

    References:
        Durrant and Leontidis, "Capsule network projectors are equivariant and invariant learners" (EquiCaps), for
        rotations; any group here.

    Examples:
        >>> from equijax import groups, reps
        >>> g = groups.SO(3).sample(jax.random.key(0), (64,))
        >>> poses = jax.random.normal(jax.random.key(1), (64, 4, 3, 3))
        >>> loss, terms = pose_equivariance(poses, poses @ jnp.swapaxes(g, 1, 2)[:, None], g, reps.Vector())
        >>> print(loss < 1e-12, terms["unmoved"] > 0.1)
        True True
    """
    moved, unmoved, goal = normalized_poses(poses1, poses2, elements, rep, size, axis_name)
    return jnp.mean((moved - goal) ** 2), {"unmoved": jax.lax.stop_gradient(jnp.mean((moved - unmoved) ** 2))}


def map_equivariance(maps: Maps, elements: Element, *, axis_name: AxisName = None) -> Float[Array, ""]:
    """mean ‖g·y − y′‖² / ½ (‖y‖² + ‖y′‖²) of maps y and y′ of two views, sample by sample: zero where y moves by g.

    A soft pull on what a network has between its layers, beside a loss of its codes; it costs a sum a map.

    Args:
        maps: (y, y′, rep) of each map: rows first, and how one element moves one row.
        elements: g of each sample, from view 1 to view 2.
        axis_name: Axis of devices over which rows are spread.

    Raises:
        TypeError: If maps are not real floating-point numbers.
        ValueError: If there is no map, views differ in shape, or elements or maps do not fit the representation.

    Examples:
        >>> from equijax import groups, reps
        >>> turn = groups.Cyclic(4).elements()[1:2]  # of one image, by a quarter
        >>> y = jax.random.normal(jax.random.key(0), (1, 5, 5, 3))
        >>> turned = jnp.rot90(y, 1, (1, 2))
        >>> errors = [map_equivariance([(y, other, reps.Image())], turn) for other in (turned, y)]
        >>> print(min(errors) < 1e-10, max(errors) > 0.1)
        True True
    """
    if not maps:
        raise ValueError("maps: expected (y, y′, rep) of one map at least, got none")

    def of_one(k, y1, y2, rep):
        names = f"maps[{k}][0]", f"maps[{k}][1]"
        moved, goal = pair(moved_by(rep, elements, y1), y2, axis_name, names=names)
        over = tuple(range(1, goal.ndim))
        total = (jnp.sum(moved**2, axis=over) + jnp.sum(goal**2, axis=over)) / 2
        return jnp.mean(jnp.sum((moved - goal) ** 2, axis=over) / jnp.where(total > 0, total, 1))

    return jnp.mean(jnp.stack([of_one(k, *one) for k, one in enumerate(maps)]))


def rotational_size(poses: ArrayLike) -> Float[Array, "..."]:
    """‖A‖ of homogeneous matrices [[A, t], [0, 1]], as they are or transposed: translations do not change it.

    Examples:
        >>> print(rotational_size(jnp.eye(4).at[0, 3].set(100.0)) ** 2)
        3.0
    """
    a = floating("poses", poses)[..., :-1, :-1]
    return sqrt(jnp.sum(a * a, axis=(-2, -1)))


def normalized_poses(
    poses1: ArrayLike, poses2: ArrayLike, elements: Element, rep: Rep, size: Size | None, axis_name: AxisName
) -> list[Float[Array, "rows poses ..."]]:
    """N(g·P), N(P) and N(P′), with the rows of all devices."""
    poses1 = floating("poses1", poses1)
    moved, goal = pair(moved_by(rep, elements, poses1), poses2, axis_name, names=("poses1", "poses2"))
    unmoved, _ = pair(poses1, poses2, axis_name, names=("poses1", "poses2"))
    if goal.ndim < 3:
        raise ValueError(f"poses1: expected several poses a row, shape (rows, poses, ...), got {goal.shape}")

    def length(p):
        if size is not None:
            return size(p).reshape(p.shape[:2] + (1,) * (p.ndim - 2))
        return sqrt(jnp.sum(p * p, axis=tuple(range(2, p.ndim)), keepdims=True))

    return [p / jnp.maximum(length(p), jnp.finfo(p.dtype).tiny) for p in (moved, unmoved, goal)]


def moved_by(rep: Rep, elements: Element, x: ArrayLike) -> Float[Array, "rows ..."]:
    """Each row of x moved by its element."""
    x = floating("x", x)
    one_a_row("elements", elements, len(x))
    return jax.vmap(rep.act)(elements, x)
