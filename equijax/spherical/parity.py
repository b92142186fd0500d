"""Features by their parts: natural and pseudo ones, one array or the pair (natural, pseudo), and degrees."""

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, spherical
from equijax.spherical import transforms

Input: TypeAlias = ArrayLike | Sequence[ArrayLike | None]
Output: TypeAlias = Float[Array, "..."] | tuple[Float[Array, "..."] | None, Float[Array, "..."] | None]


def parts(name: str, x: Any, axis: int = -2) -> dict[int, Array]:
    """The arrays of `x`: natural under 0, pseudo under 1.

    Raises:
        TypeError: If an array is not of real floating-point numbers.
        ValueError: If `x` is neither an array nor a pair, if both of its parts are None, if their shapes differ, or if
            `axis`, where the coefficients are, is not a square.
    """
    if not isinstance(x, (tuple, list)):
        found = {0: _validate.floating(name, x)}
    elif len(x) != 2:
        raise ValueError(f"{name}: expected an array or the pair (natural, pseudo), got {len(x)} entries")
    else:
        names = (f"{name}[0]", f"{name}[1]")
        found = {k: _validate.floating(names[k], a) for k, a in enumerate(x) if a is not None}
    if len({a.shape for a in found.values()}) != 1:
        shapes = [a.shape for a in found.values()]
        raise ValueError(f"{name}: expected one or two arrays of the same shape in (natural, pseudo), got {shapes}")
    for a in found.values():
        spherical.lmax_of(a, name, axis)
    return found


def each(name: str, x: Any, f: Callable[[Array, str], Array], axis: int = -2) -> Any:
    """f(array, suffix) of each part of `x`, in the form of `x`; the suffix names the parameters of the part."""
    done = {kind: f(a, "_pseudo" if kind else "") for kind, a in parts(name, x, axis).items()}
    return (done.get(0), done.get(1)) if isinstance(x, (tuple, list)) else done[0]


def each_degree(x: Float[Array, "..."], f: Callable[[int, Array], Array]) -> Float[Array, "..."]:
    """f(l, x[l]) of each degree, one after the other: x[l] of shape (..., 2l + 1, channels).

    The backward pass keeps x alone, in its dtype, and computes again what f makes of it, such as norms in float32.
    """
    degrees = enumerate(transforms.by_degree(x, -2))
    return jnp.concatenate([jax.checkpoint(functools.partial(f, l))(part) for l, part in degrees], axis=-2)


def contributions(left: Iterable[int], right: Iterable[int], bracket: bool) -> dict[int, list[tuple[int, int, bool]]]:
    """The products (left, right, odd) of parts that add up to each part of a result; brackets flip the parity."""
    found: dict[int, list[tuple[int, int, bool]]] = {}
    for i, j, odd in itertools.product(left, right, (False, True)[: 1 + bracket]):
        found.setdefault((i + j + odd) % 2, []).append((i, j, odd))
    return found


def spin(x: Float[Array, "..."], axis: int = -2) -> Float[Array, "..."]:
    """x[l] / √(l(l+1)), with which a bracket does not grow with the degrees; x[0], which it does not see, as it is."""
    l = spherical.degree_of_coefficient(spherical.lmax_of(x, "x", axis))
    scale = (1 / np.sqrt(np.maximum(l * (l + 1), 1))).astype(x.dtype)
    return x * np.expand_dims(scale, tuple(k for k in range(x.ndim) if k != axis % x.ndim))
