"""Features of two kinds, natural and pseudo: one array, or the pair (natural, pseudo); and degrees by themselves.

Under inversion, the coefficients of degree l of a natural (true) tensor change by (-1)^l, those of a pseudo-tensor by
-(-1)^l. Kinds are numbered: 0 is natural, 1 is pseudo. They add up modulo 2 in products, and a bracket adds 1.
"""

import functools
import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate, spherical
from equijax.spherical import transforms

Input: TypeAlias = ArrayLike | Sequence[ArrayLike | None]
Output: TypeAlias = Float[Array, "..."] | tuple[Float[Array, "..."] | None, Float[Array, "..."] | None]


def kinds(name: str, x: Input, axis: int = -2) -> dict[int, Float[Array, "..."]]:
    """The arrays of `x`: natural under 0, pseudo under 1.

    Raises:
        TypeError: If an array is not of real floating-point numbers.
        ValueError: If `x` is neither an array nor a pair, if both entries of a pair are None, if their shapes differ,
            or if `axis`, where the coefficients are, is not a square.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax.spherical.parity import kinds
        >>> list(kinds("x", jnp.ones((5, 4, 2)))), list(kinds("x", (None, jnp.ones((5, 4, 2)))))
        ([0], [1])
    """
    if not isinstance(x, (tuple, list)):
        found = {0: _validate.floating(name, x)}
    elif len(x) != 2:
        raise ValueError(
            f"{name}: expected an array or the pair (natural, pseudo), got a {type(x).__name__} of {len(x)}"
        )
    else:
        names = (f"{name}[0]", f"{name}[1]")
        found = {k: _validate.floating(names[k], a) for k, a in enumerate(x) if a is not None}
    if len({a.shape for a in found.values()}) != 1:
        shapes = [a.shape for a in found.values()]
        raise ValueError(f"{name}: expected one or two arrays of the same shape in (natural, pseudo), got {shapes}")
    for a in found.values():
        spherical.lmax_of(a, name, axis)
    return found


def each(name: str, x: Input, f: Callable[[Float[Array, "..."], str], Float[Array, "..."]], axis: int = -2) -> Output:
    """f(array, suffix) of each kind in `x`, in the form of `x`; the suffix, "" or "_pseudo", names its parameters."""
    done = {kind: f(a, "_pseudo" if kind else "") for kind, a in kinds(name, x, axis).items()}
    return (done.get(0), done.get(1)) if isinstance(x, (tuple, list)) else done[0]


def each_degree(x: Float[Array, "..."], f: Callable[[int, Array], Array]) -> Float[Array, "..."]:
    """f(l, x[l]) of each degree, one after the other: x[l] of shape (..., 2l + 1, channels).

    The backward pass keeps x alone, in its dtype, and computes again what f makes of it, such as norms in float32.
    """
    degrees = enumerate(transforms.by_degree(x, -2))
    return jnp.concatenate([jax.checkpoint(functools.partial(f, l))(block) for l, block in degrees], axis=-2)


def contributions(left: Iterable[int], right: Iterable[int], bracket: bool) -> dict[int, list[tuple[int, int, bool]]]:
    """The products (left, right, odd) of kinds that add up to each kind of a result; `odd` ones are brackets.

    Examples:
        >>> from equijax.spherical.parity import contributions
        >>> contributions([0], [0, 1], bracket=False)  # natural times natural, natural times pseudo
        {0: [(0, 0, False)], 1: [(0, 1, False)]}
        >>> contributions([0], [0], bracket=True)  # the bracket of natural ones is pseudo
        {0: [(0, 0, False)], 1: [(0, 0, True)]}
    """
    found: dict[int, list[tuple[int, int, bool]]] = {}
    for i, j, odd in itertools.product(left, right, (False, True)[: 1 + bracket]):
        found.setdefault((i + j + odd) % 2, []).append((i, j, odd))
    return found


def spin(x: Float[Array, "..."], axis: int = -2) -> Float[Array, "..."]:
    """x[l] / √(l(l+1)): what a factor of a bracket is divided by, so that the bracket does not grow with the degrees.

    ∇Y_lm has the mean square l(l+1) times that of Y_lm, and a bracket is made of gradients. Divided by its root, they
    are the orthonormal harmonics of spin 1 (vector harmonics), whence the name. x[0], which a bracket does not see, is
    left as it is.

    Args:
        x: Features, with the coefficients on `axis`.
        axis: That axis.
    """
    scale = spin_scale(spherical.degree_of_coefficient(spherical.lmax_of(x, "x", axis))).astype(x.dtype)
    return x * np.expand_dims(scale, tuple(k for k in range(x.ndim) if k != axis % x.ndim))


def spin_scale(l: np.ndarray) -> np.ndarray:
    """1/√(l(l+1)) for degrees l, and 1 for l = 0: see `spin`."""
    return 1 / np.sqrt(np.maximum(l * (l + 1), 1))
