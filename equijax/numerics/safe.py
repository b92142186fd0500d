"""Norms, unit vectors, sin(x)/x and its kin: finite, with right derivatives, where the plain formulas give NaN.

Two tricks are behind all of them. A formula that divides by zero in the branch not taken gets another argument there,
since a derivative of NaN times zero is NaN. A length is divided by its largest entry first, a constant as far as
derivatives are concerned, so that no square is too large or too small for the dtype.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Inexact


def sqrt(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """√x for x ≥ 0; the derivatives at 0 are 0, not infinite.

    Examples:
        >>> print(jax.grad(sqrt)(0.0), jax.grad(sqrt)(4.0))
        0.0 0.25
    """
    positive = x != 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)


def norm(
    v: Float[Array, "..."], axis: int | tuple[int, ...] | None = -1, keepdims: bool = False
) -> Float[Array, "..."]:
    """‖v‖ along `axis`, all axes for None; 0 for a zero vector, where all derivatives are 0 too.

    No square overflows or vanishes. NaN for what is not finite.

    Examples:
        >>> print(norm(jnp.array([3e30, 4e30])), jax.grad(norm)(jnp.zeros(2)))
        5e+30 [0. 0.]
    """
    v, size, moving = _of_size_one(v, axis)
    length = jnp.where(moving, size * jnp.sqrt(jnp.sum(v * v, axis=axis, keepdims=True)), 0)
    return length if keepdims else jnp.squeeze(length, axis)


def unit(v: Float[Array, "..."], axis: int = -1) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """v/‖v‖ along `axis`, and its squared length: 1, or 0 for a zero vector, whose direction and derivatives are 0.

    NaN for what is not finite. Vectors so short that 1/‖v‖² times a million may not fit into the dtype (below 1e-16 in
    float32, 1e-151 in float64) have their direction, as a constant: all derivatives are 0, not infinite.
    The first one, 1/‖v‖, would fit down to 1e-38, the second one not: a function has all of its derivatives or none.

    Examples:
        >>> direction, square = unit(jnp.array([[0.0, 2.0], [0.0, 0.0]]))
        >>> print(direction.tolist(), square.tolist())
        [[0.0, 1.0], [0.0, 0.0]] [[1.0], [0.0]]
    """
    fixed = jax.lax.stop_gradient(v)
    short = jnp.max(jnp.abs(fixed), axis=axis, keepdims=True, initial=0) < 2.0 ** (jnp.finfo(v.dtype).minexp // 2 + 10)
    v, _, moving = _of_size_one(jnp.where(short, fixed, v), axis)
    v = v * jax.lax.rsqrt(jnp.sum(v * v, axis=axis, keepdims=True))
    return jnp.where(moving, v, 0.0), moving.astype(v.dtype)


def sinc(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """sin(x)/x, smooth at 0. (`jnp.sinc` is sin(πx)/(πx).)

    Examples:
        >>> print(sinc(jnp.array(0.0)), jax.grad(jax.grad(sinc))(0.0))
        1.0 -0.33333334
    """
    return sinc_sqrt(x * x)


def sinc_sqrt(t: Float[Array, "..."]) -> Float[Array, "..."]:
    """S(t) = sin√t / √t for t ≥ 0, smooth at 0:  1 − t/3! + t²/5! − t³/7! + …"""
    small, root = _root_unless_small(t)
    return jnp.where(small, 1 - t / 6 * (1 - t / 20 * (1 - t / 42)), jnp.sin(root) / root)


def sinhc_sqrt(t: Float[Array, "..."]) -> Float[Array, "..."]:
    """sinh√t / √t for t ≥ 0, smooth at 0:  1 + t/3! + t²/5! + t³/7! + …"""
    small, root = _root_unless_small(t)
    return jnp.where(small, 1 + t / 6 * (1 + t / 20 * (1 + t / 42)), jnp.sinh(root) / root)


def angle_over_sine(square: Float[Array, "..."], cosine: Float[Array, "..."]) -> Float[Array, "..."]:
    """θ / sin θ from sin²θ and cos θ ≥ 0; smooth at θ = 0.

    Near there it is arctan(τ)/τ / cos θ = (1 − τ²/3 + τ⁴/5 − …) / cos θ, with τ = tan θ.
    """
    small = square < 1e-6
    sine = jnp.sqrt(jnp.where(small, 1.0, square))  # the branch not taken stays differentiable
    near_one = jnp.where(small, cosine, 1.0)
    tangent2 = square / near_one**2
    return jnp.where(small, (1 - tangent2 * (1 / 3 - tangent2 / 5)) / near_one, jnp.arctan2(sine, cosine) / sine)


def rapidity_over_sinh(square: Inexact[Array, "..."], cosh: Inexact[Array, "..."]) -> Inexact[Array, "..."]:
    """z / sinh z from s = sinh²z and cosh z with real part ≥ 0, real or complex; smooth at z = 0.

    Near there it is the series of arsinh,  1 − s/6 + 3 s²/40 − 5 s³/112 + 35 s⁴/1152 − …;  elsewhere
    log(cosh z + sinh z) / sinh z, with the sign of sinh z = ±√s for which the sum does not cancel.
    """
    s = square
    small = (jnp.abs(s) < 1e-3) & (jnp.real(cosh) > 0.5)
    series = 1 - s / 6 * (1 - s * 9 / 20 * (1 - s * 25 / 42 * (1 - s * 49 / 72)))
    root = jnp.sqrt(jnp.where(small, 1.0, s))
    root = jnp.where(jnp.abs(cosh + root) < 1, -root, root)
    return jnp.where(small, series, jnp.log(jnp.where(small, 1.0, cosh) + root) / root)


def _of_size_one(v, axis):
    """v over its largest entry, that entry, a constant, and whether it is not zero: else a vector of ones."""
    size = jax.lax.stop_gradient(jnp.max(jnp.abs(v), axis=axis, keepdims=True, initial=0))
    moving = ~(size < jnp.finfo(v.dtype).smallest_normal)  # NaN moves, and stays
    # First towards one: compilers divide by way of 1 / size, which may be too small for the dtype. No further than so:
    # of constants they take the division out of sums of squares, and the square of what is left has to be in range.
    step = 2.0 ** (jnp.finfo(v.dtype).minexp // 4)
    scale = jnp.where(size > 1, step, 1 / step).astype(v.dtype)
    return jnp.where(moving, v * scale, 1.0) / jnp.where(moving, size * scale, 1.0), size, moving


def _root_unless_small(t):
    """Where the series in t is exact to rounding in float64, and √t elsewhere, 1 there."""
    small = t < 1e-3
    return small, jnp.sqrt(jnp.where(small, 1.0, t))
