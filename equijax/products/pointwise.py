"""Products of functions on the sphere: multiply two of them, take their bracket, raise one to a power.

All are exact for band-limited functions, equivariant under O(3) by construction, and linear in each factor.
"""

import functools
import operator

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, spherical
from equijax.products import planner
from equijax.products.form import multiply
from equijax.products.operands import degree, degrees, kernel, operands
from equijax.products.routes import tpu
from equijax.spherical import transforms


def gaunt(
    x: ArrayLike, y: ArrayLike, *, lmax: int | None = None, method="auto", precision="highest"
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
    """
    x, y, (l1, l2, lmax) = operands(x, y, lmax, precision)
    _known(method, l1 + l2 + lmax)
    return _product(x, y, lmax=lmax, method=method, precision=precision, odd=False)


def bracket(
    x: ArrayLike, y: ArrayLike, *, lmax: int | None = None, method="auto", precision="highest"
) -> Float[Array, "*batch coefficients channels"]:
    """The Poisson bracket {f, g} = r̂ · (∇f × ∇g) of two functions on the sphere: the paths with odd l1 + l2 + l3.

        z_k = Σ_ij x_i y_j ∫ Y_k {Y_i, Y_j} .

    Antisymmetric, of degree at most l1 + l2 - 1; for l1 = l2 = l3 = 1 it is √(3/4π) times the cross product. Two
    natural tensors give a pseudo-tensor, of parity -(-1)^l. It grows like l1 l2: scale the inputs by 1/√(l(l+1)) where
    that matters. Arguments, result and errors are those of `gaunt`.
    """
    x, y, (l1, l2, lmax) = operands(x, y, lmax, precision)
    _known(method, l1 + l2 + lmax)
    return _product(x, y, lmax=lmax, method=method, precision=precision, odd=True)


def power(
    x: ArrayLike, order: int, *, lmax: int | None = None, method="auto", precision="highest"
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
    """
    x = _validate.floating("x", x)
    l = spherical.lmax_of(x, "x")
    order = _validate.integer("order", order, 1)
    lmax = degrees(l, (order - 1) * l, l if lmax is None else lmax)
    _known(method, order * l + lmax)
    _validate.precision(precision)
    return _power(x, order=order, lmax=lmax, method=method, precision=precision)


def _on_tpu(x, y, *, lmax, method, precision, odd):
    if method != "auto":
        return None
    return tpu.on_features(x, y, lmax=lmax, odd=odd, precision=precision)


def _chunked_from(columns, x, y, *, lmax, method, **_):
    return planner.chunked_from(degree(x), degree(y), lmax, columns, method)


_product = kernel(multiply, front=False, fused=_on_tpu, chunked_from=_chunked_from)


@functools.partial(kernel, front=False)
def _power(x, *, order, lmax, method, precision):
    l = degree(x)

    def compute(method):
        def f(x):
            if method == "terms":
                z = x
                for k in range(2, order + 1):
                    up_to = k * l if k < order else lmax
                    z = multiply(z, x, lmax=up_to, method=method, precision=precision, odd=False)
                return z[..., : (lmax + 1) ** 2, :]
            values = transforms.to_grid(method, jnp.moveaxis(x, -2, 0), order * l, lmax, precision=precision)
            product = functools.reduce(operator.mul, [values] * order)
            return jnp.moveaxis(transforms.from_grid(method, product, order * l, lmax, precision), 0, -2)

        return f

    columns = x.size // x.shape[-2] if order == 2 else 0  # chains of longer sums over couplings compile for seconds
    return planner.route(compute, method, (l, (order - 1) * l, lmax), columns, x)


def _known(method, degree):
    planner.known(method, planner.available(degree), f" for degrees that add up to {degree}")
