"""Real spherical harmonics of Cartesian vectors, and the layout of their coefficients."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate
from equijax.numerics import unit
from equijax.spherical import quadrature


def harmonics(vectors: ArrayLike, lmax: int, *, normalize: bool = True) -> Float[Array, "*batch coefficients"]:
    """Real spherical harmonics Y_lm, l = 0..lmax, m = -l..l, orthonormal on the sphere; the polar axis is y.

    All orders of a degree at once, by the recursion in the degree

        Y_lm = a_lm y Y_{l-1,m} - b_lm r² Y_{l-2,m}  for ‖m‖ < l ,   a_lm = √((4l² - 1) / (l² - m²)) ,
        Y_{l,±l} = c_l (Re or Im)(z + i x)^l ,                       b_lm = a_lm / a_{l-1,m}  (0 for ‖m‖ = l - 1) ,

    with Y_00 = 1/√4π and c_l = √((2l + 1) / 2l) c_{l-1}, c_1 = √(3/4π): of m = l the real part, of m = -l the imaginary
    one. Polynomials in the components, so that derivatives of every order exist everywhere, on the axes too. The order
    and the signs are those of e3nn; e3nn's "component" normalization is √(4π) times this.

    Args:
        vectors: Cartesian vectors (x, y, z) of any length, shape (..., 3).
        lmax: Largest degree.
        normalize: Evaluate at the direction of the vectors. A zero vector has no direction: there Y_0 is its constant,
            all higher degrees are 0, and so are all derivatives. If false, the solid harmonics r^l Y_l are returned.

    Returns:
        Degree-major coefficients, shape (..., (lmax + 1)²), in the dtype of `vectors`. Half precisions are computed in
        float32.

    Raises:
        TypeError: If `vectors` is not of floating point, or `lmax` is not an integer.
        ValueError: If the last axis of `vectors` is not of length 3, or `lmax` is negative.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import spherical
        >>> Y = spherical.harmonics(jnp.array([[0.0, 2.0, 0.0]]), 2)  # along the polar axis: only m = 0
        >>> Y.shape, [round(float(c), 4) for c in Y[0]]
        ((1, 9), [0.2821, 0.0, 0.4886, 0.0, 0.0, 0.0, 0.6308, 0.0, 0.0])
    """
    v = _validate.floating("vectors", vectors)
    _validate.last_axis("vectors", v, 3)
    return _harmonics(v, _validate.integer("lmax", lmax), normalize)


def lmax_of(x: Any, name: str, axis: int = -2) -> int:
    """The degree lmax of spherical features whose `axis` holds (lmax + 1)² coefficients.

    Raises:
        ValueError: If there is no such axis, its length is not a square, or an explicit mesh splits it. The message
            names `name`.

    Examples:
        >>> from equijax import spherical
        >>> spherical.lmax_of(jnp.ones((5, 9, 2)), "x")
        2
    """
    shape = jnp.shape(x)
    if not -len(shape) <= axis < len(shape):
        raise ValueError(f"{name}: expected coefficients on axis {axis} (then channels last), got shape {shape}")
    n = shape[axis]
    root = math.isqrt(n)
    if n == 0 or root * root != n:
        raise ValueError(
            f"{name}: expected a square number of coefficients, (lmax + 1)², on axis {axis}, got {n} coefficients "
            f"in shape {shape}; pad missing degrees with zeros"
        )
    mesh_axis = dict(enumerate(jax.typeof(x).sharding.spec)).get(axis % len(shape))
    if mesh_axis is not None:
        raise ValueError(
            f"{name}: expected all coefficients on each device, got axis {axis} split over the mesh axis "
            f"{mesh_axis!r}; split rows or channels instead"
        )
    return root - 1


def degree_of_coefficient(lmax: int) -> np.ndarray:
    """Degree of every coefficient, (0, 1, 1, 1, 2, ...), of length (lmax + 1)².

    Examples:
        >>> from equijax import spherical
        >>> spherical.degree_of_coefficient(2).tolist()
        [0, 1, 1, 1, 2, 2, 2, 2, 2]
    """
    l = np.arange(_validate.integer("lmax", lmax) + 1)
    return np.repeat(l, 2 * l + 1)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _harmonics(v, lmax, normalize):
    dtype = v.dtype
    v = v.astype(jnp.promote_types(dtype, jnp.float32))
    if normalize:
        v, square = unit(v)
    else:
        square = jnp.sum(v * v, axis=-1, keepdims=True)
    x, y, z = v[..., 0:1], v[..., 1:2], v[..., 2:3]

    seed = 1 / math.sqrt(4 * math.pi)  # Y_00, and later c_l / √2
    cosine, sine = jnp.ones_like(x), jnp.zeros_like(x)  # real and imaginary part of (z + i x)^l
    previous, current = None, jnp.full_like(x, seed)
    out = [current]
    for l in range(1, lmax + 1):
        a, b = (t.astype(v.dtype) for t in quadrature.recursion_coefficients(l, np.arange(1 - l, l)))
        seed *= math.sqrt((2 * l + 1) / (2 * l))
        cosine, sine = z * cosine - x * sine, z * sine + x * cosine
        inner = a * y * current
        if l > 1:  # b is 0 for |m| = l - 1
            inner -= jnp.pad(b[1:-1] * square * previous, [(0, 0)] * (v.ndim - 1) + [(1, 1)])
        ends = seed * math.sqrt(2) * sine, seed * math.sqrt(2) * cosine  # m = -l and m = l
        previous, current = current, jnp.concatenate([ends[0], inner, ends[1]], axis=-1)
        out.append(current)
    return jnp.concatenate(out, axis=-1).astype(dtype)
