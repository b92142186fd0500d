"""Products of many functions on the sphere at once: evaluated on one grid, projected once, cut off nowhere between."""

import jax.numpy as jnp
from jax.lax import PrecisionLike
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, spherical
from equijax.products import execution, planner
from equijax.products.execution import coefficients_first
from equijax.spherical import transforms
from equijax.spherical.parity import spin


def many_body(
    factors: ArrayLike, order: int, *, lmax: int | None = None, precision: PrecisionLike = "highest"
) -> Float[Array, "*batch coefficients channels"]:
    """The pointwise products of growing order of functions f_1, ..., f_order on the sphere:

        p_2 = f_1 f_2 ,   p_3 = f_1 f_2 f_3 ,   ... ,   p_order = f_1 ... f_order ,

    of channels with the same number. Everything is evaluated on one grid that is exact for the longest product, so p_k
    equals k - 1 products by `gaunt` without a cut-off between, and is projected once.

    Args:
        factors: Features, (..., (l + 1)², order · channels): the factors side by side as channels, f_1 first.
        order: Number of factors of the longest product, at least 2.
        lmax: Largest degree kept; that of the factors if None. Degrees that a product does not reach are 0.
        precision: Of the matrix products.

    Returns:
        p_2, ..., p_order side by side as channels, (..., (lmax + 1)², (order - 1) · channels), in the dtype of the
        factors. Half precisions are computed in float32. The backward pass keeps the factors only.

    Raises:
        TypeError: If `factors` is not of real floating-point numbers, or `order` or `lmax` is not an integer.
        ValueError: If the coefficient axis is not a square, the channels are no multiple of `order`, `order` is less
            than 2, `lmax` is negative, there is no such precision, or order · l + lmax exceeds 131, the degree of the
            last Lebedev rule.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import products
        >>> f = jnp.ones((5, 4, 3 * 2))  # 5 rows, degrees 0 and 1, three factors of 2 channels
        >>> products.many_body(f, 3).shape
        (5, 4, 4)
    """
    f = _side_by_side(factors, _validate.integer("order", order, 2), precision)
    return _run(_products, f, order=order, lmax=_degree_kept(f, lmax), precision=precision)


def double_bracket(
    factors: ArrayLike, *, lmax: int | None = None, precision: PrecisionLike = "highest"
) -> Float[Array, "*batch coefficients channels"]:
    """The bracket of a bracket, {{f_1, f_2}, f_3}, with {f, g} = r̂ · (∇f × ∇g) of factors divided by √(l(l+1)).

    The inner one, a pseudo-tensor if the factors are natural, is cut off at their degree and divided by √(l(l+1)) too;
    the outer one is natural again. What `many_body` misses: it sees the paths of odd l1 + l2 + l3.

    Args:
        factors: Features, (..., (l + 1)², 3 · channels): the factors side by side as channels.
        lmax: Largest degree kept; that of the factors if None. Degrees that the bracket does not reach are 0.
        precision: Of the matrix products.

    Returns:
        Features (..., (lmax + 1)², channels) in the dtype of the factors.

    Raises:
        TypeError, ValueError: As `many_body` with order 3.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import products
        >>> x, y, z = jnp.eye(4)[1:, :, None]  # fields that are constant vectors
        >>> f = jnp.concatenate([x, y, x], axis=-1)
        >>> round(float(products.double_bracket(f)[2, 0]), 4)  # (x × y) × x is along y, the factor is 3/(16π)
        0.0597
    """
    f = _side_by_side(factors, 3, precision)
    return _run(_double_bracket, f, lmax=_degree_kept(f, lmax), precision=precision)


def _run(f, factors, **static):
    return execution.run(f, factors, chunks=planner.on_a_grid([factors.shape]).chunks, **static)


def _side_by_side(factors, order, precision):
    f = _validate.floating("factors", factors)
    spherical.lmax_of(f, "factors")
    if f.shape[-1] % order:
        raise ValueError(
            f"factors: expected a multiple of {order} channels, {order} factors side by side, got {f.shape[-1]} in "
            f"shape {f.shape}"
        )
    _validate.precision(precision)
    return f


def _degree_kept(f, lmax):
    return spherical.lmax_of(f, "factors") if lmax is None else _validate.integer("lmax", lmax)


@coefficients_first
def _products(f, *, order, lmax, precision):
    """Here and below coefficients, or points of the grid, are on the first axis."""
    degree = order * spherical.lmax_of(f, "f", 0) + lmax
    product, *others = jnp.split(transforms.to_grid("grid", f, degree, 0, "value", precision), order, axis=-1)
    products = [product := product * other for other in others]
    return transforms.from_grid("grid", jnp.concatenate(products, axis=-1), degree - lmax, lmax, precision)


@coefficients_first
def _double_bracket(f, *, lmax, precision):
    L = spherical.lmax_of(f, "f", 0)
    degree = 2 * L + max(L, lmax)  # one grid for both brackets

    def values(f, field):
        return transforms.to_grid("grid", spin(f, 0), degree, 0, field, precision)

    def bracket(f, g, lmax):
        crossed = values(f, "theta") * values(g, "phi") - values(f, "phi") * values(g, "theta")
        return transforms.from_grid("grid", crossed, degree - lmax, lmax, precision)

    f, g, h = jnp.split(f, 3, axis=-1)
    return bracket(bracket(f, g, L), h, lmax)
