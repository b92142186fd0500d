"""Products of functions on the sphere: multiply two of them, take their bracket, raise one to a power.

All are exact for band-limited functions, equivariant under O(3) by construction, and linear in each factor.
"""

import dataclasses
import functools
import operator

import jax.numpy as jnp
from jax.lax import PrecisionLike
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, spherical
from equijax.products import execution, planner
from equijax.products.form import Known, Multilinear, Out, columns, rest
from equijax.products.operands import degrees, operands
from equijax.products.routes import couplings, grid, tpu
from equijax.products.routes.tiles import Tiled
from equijax.products.trilinear import Trilinear, X, Y, Z
from equijax.spherical import transforms


def gaunt(
    x: ArrayLike, y: ArrayLike, *, lmax: int | None = None, method: str = "auto", precision: PrecisionLike = "highest"
) -> Float[Array, "*batch coefficients channels"]:
    """The Gaunt product: coefficients of the product of the functions Σ x_i Y_i and Σ y_j Y_j on the sphere.

        z_k = Σ_ij x_i y_j ∫ Y_i Y_j Y_k ,  degrees of k up to lmax,  channel by channel.

    Commutative, with unit √(4π) δ_l0, associative while nothing is cut off. It couples degrees with an even sum
    l1 + l2 + l3 only, so natural (true) tensors give natural ones; the odd half is `bracket`. Each path has the weight
    √((2l1+1)(2l2+1)(2l3+1)/4π) ‖(l1 l2 l3; 0 0 0)‖ times the Clebsch-Gordan tensor of norm 1.

    The backward pass is two more such products and keeps x and y only. All derivatives of all orders, `vmap` and
    `shard_map` work.

    Args:
        x: Features, (..., (l1 + 1)², channels).
        y: Features, (..., (l2 + 1)², channels); leading axes are broadcast, one channel serves all.
        lmax: Largest degree kept, at most l1 + l2; max(l1, l2) if None.
        method: "terms" (all couplings that are not zero, one by one), "grid", "split", "separable", "fft" (see
            `spherical.transforms`), all equal to rounding, or "auto": the fastest for these degrees, rows and channels
            on the platform compiled for; see `plan`. "terms" exists for l1 + l2 + lmax up to 12, "grid" and "split" up
            to 131.
        precision: Of the matrix products. Lower ones break equivariance by 5e-4 (TF32) or 4e-3 (bfloat16).

    Returns:
        Features (..., (lmax + 1)², channels) in the common dtype of x and y. Half precisions are computed in float32.

    Raises:
        TypeError: If x or y are not real floating-point numbers.
        ValueError: If a coefficient axis is not a square, channels or leading axes do not fit, lmax is negative or
            exceeds l1 + l2, or there is no such method or precision.

    References:
        Luo, Chen and Krishnapriyan 2024, arXiv:2401.10216.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import products
        >>> x, y = jnp.ones((5, 4, 2)), jnp.ones((5, 9, 2))  # 5 rows of degrees 1 and 2, 2 channels
        >>> products.gaunt(x, y).shape, products.gaunt(x, y, lmax=3).shape
        ((5, 9, 2), (5, 16, 2))
    """
    return product(*operands(x, y, lmax, precision), method=method, odd=False, precision=precision)


def bracket(
    x: ArrayLike, y: ArrayLike, *, lmax: int | None = None, method: str = "auto", precision: PrecisionLike = "highest"
) -> Float[Array, "*batch coefficients channels"]:
    """The Poisson bracket {f, g} = r̂ · (∇f × ∇g) of two functions on the sphere: the paths with odd l1 + l2 + l3.

        z_k = Σ_ij x_i y_j ∫ Y_k {Y_i, Y_j} .

    Antisymmetric, of degree at most l1 + l2 - 1; for l1 = l2 = l3 = 1 it is √(3/4π) times the cross product. Two
    natural tensors give a pseudo-tensor, of parity -(-1)^l. It grows like l1 l2: scale the inputs by 1/√(l(l+1)) where
    that matters. Arguments, result and errors are those of `gaunt`.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import products
        >>> x, y, z = jnp.eye(4)[1:, :, None]  # vectors along the axes
        >>> [round(float(c), 4) for c in products.bracket(x, y)[:, 0]]  # along z
        [0.0, 0.0, 0.0, 0.4886]
    """
    return product(*operands(x, y, lmax, precision), method=method, odd=True, precision=precision)


def power(
    x: ArrayLike, order: int, *, lmax: int | None = None, method: str = "auto", precision: PrecisionLike = "highest"
) -> Float[Array, "*batch coefficients channels"]:
    """The power f^order of the function f = Σ x_i Y_i, exactly: nothing is cut off before the end.

    One transform each way, whatever the order. Cutting off every intermediate product at lmax, as a chain of
    `gaunt(..., lmax=lmax)` does, is a different operation whose result depends on the order of the factors.

    Args:
        x: Features, (..., (l + 1)², channels).
        order: The exponent, at least 1.
        lmax: Largest degree kept, at most order · l; that of x if None.
        method: As for `gaunt`; "terms" multiplies one factor after the other.
        precision: As for `gaunt`.

    Returns:
        Features (..., (lmax + 1)², channels) in the dtype of x.

    Raises:
        TypeError: If x is not real floating-point, or order is not an integer.
        ValueError: As for `gaunt`, and if order is less than 1.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import products
        >>> products.power(jnp.ones((5, 4, 2)), 3, lmax=3).shape
        (5, 16, 2)
    """
    x = _validate.floating("x", x)
    l = spherical.lmax_of(x, "x")
    order = _validate.integer("order", order, 1)
    lmax = degrees(l, (order - 1) * l, l if lmax is None else lmax)
    decision = planner.power(l, order, lmax, x.shape, method)
    _validate.precision(precision)
    return execution.run(
        _power, x, chunks=decision.chunks, l=l, order=order, lmax=lmax, methods=decision.methods, precision=precision
    )


def product(
    x: Array, y: Array, sizes: tuple[int, int, int], *, method: str, odd: bool, precision: PrecisionLike
) -> Float[Array, "*batch coefficients channels"]:
    """`gaunt`, or with `odd` the `bracket`, of what `operands` has checked: factors and degrees (l1, l2, lmax)."""
    decision = planner.pointwise(
        sizes, (x.shape, y.shape), method, odd=odd, fusable=tpu.takes(x, y), precision=precision
    )
    form = Pointwise(sizes, odd, precision, decision.methods)
    fused = (tpu.product, Tiled.of(form, decision.fused)) if decision.fused else None
    return execution.run(multiply, x, y, chunks=decision.chunks, fused=fused, form=form)


@dataclasses.dataclass(frozen=True)
class Pointwise(Trilinear):
    """The trilinear form, by the method that the planner has chosen for the platform and number of columns."""

    methods: planner.Methods = ()


def multiply(x: Array, y: Array, *, form: Pointwise) -> Array:
    """∂T/∂z: the product, or bracket, of features (..., coefficients, channels) of the same rank and dtype."""
    lead = jnp.broadcast_shapes(rest(x), rest(y))
    shape = (*lead[:-1], (form.degrees[Z] + 1) ** 2, lead[-1])
    return contraction(form, {X: x, Y: y}, Out(Z, shape, x.dtype))


def contract(form: Pointwise, known: Known, outs: tuple[Out, ...]) -> list[Array]:
    """∂T/∂(out) for each of `outs`, by the route that the platform and the number of columns ask for."""

    def by(method):
        def f(*arrays):
            at = dict(zip(known, arrays, strict=True))
            if method == "terms":
                return couplings.contract(form, at, outs)
            return grid.contract(form, at, outs, method=method)

        return f

    return planner.settle(form.methods, columns(known), by, *known.values())


contraction = Multilinear("product_on_sphere", contract)


def _power(x, *, l, order, lmax, methods, precision):
    def by_terms(x):
        z = x
        for k in range(2, order + 1):
            kept = k * l if k < order else lmax
            z = multiply(
                z, x, form=Pointwise(((k - 1) * l, l, kept), False, precision, (("default", ((0, "terms"),)),))
            )
        return z[..., : (lmax + 1) ** 2, :]

    def by(method):
        def on_grid(x):
            values = transforms.to_grid(method, jnp.moveaxis(x, -2, 0), order * l, lmax, precision=precision)
            product = functools.reduce(operator.mul, [values] * order)
            return jnp.moveaxis(transforms.from_grid(method, product, order * l, lmax, precision), 0, -2)

        return by_terms if method == "terms" else on_grid

    return planner.settle(methods, x.size // x.shape[-2], by, x)
