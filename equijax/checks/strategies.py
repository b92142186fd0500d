"""Hypothesis strategies: group elements, features and hard inputs, for users' own tests.

Shapes are fixed and numbers are drawn from seeds, so that shrinking is fast and nothing is compiled twice. Needs
Hypothesis (`pip install hypothesis`), which is imported on use.

Examples:
    A test of a layer of one's own::

        @given(x=strategies.points(5), seed=strategies.seeds())
        @settings(deadline=None)  # the first call compiles
        def test_layer(x, seed):
            assert_equivariant(layer, symmetry, (params, x), key=jax.random.key(seed), allow=("exact", "vacuous"))
"""

import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import DTypeLike, PRNGKeyArray

from equijax._validate import integer
from equijax.checks.inputs import coincident, collinear
from equijax.checks.programs import precision
from equijax.groups import Element, Group

POLE = 1  # the polar axis of the spherical harmonics is y


def seeds() -> Any:
    """Seeds of random keys and generators.

    Examples:
        >>> strategy = seeds()  # for `hypothesis.given`
    """
    return _hypothesis().integers(0, 2**31 - 1)


def elements(group: Group, dtype: DTypeLike = np.float32) -> Any:
    """Group elements, on the host: random ones, one part of the group at a time or all together, and special ones.

    Special are the identity, turns by π about each axis, and the elements of small discrete parts.

    Examples:
        >>> from equijax import groups
        >>> strategy = elements(groups.Cyclic(4))  # of matrices (2, 2), for `hypothesis.given`
    """
    st = _hypothesis()
    special = _special(group, np.dtype(dtype).name)
    kinds = (None, *group.parts())
    for kind in kinds:  # compiled here, for a draw is to be fast
        _random(group, kind, 0, np.dtype(dtype).name)
    drawn = st.builds(
        lambda kind, seed: _random(group, kind, seed, np.dtype(dtype).name), st.sampled_from(kinds), seeds()
    )
    return st.sampled_from(special).map(lambda g: jax.tree.map(np.copy, g)) | drawn


def features(shape: tuple[int, ...], dtype: DTypeLike = np.float32) -> Any:
    """Arrays of a given shape: normal numbers, zeros, one entry, and a row of zeros among others."""
    kinds: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "normal": lambda x: x,
        "zeros": np.zeros_like,
        "one entry": lambda x: np.where(np.arange(x.size).reshape(x.shape) == x.size // 2, x, 0),
        "zero row": lambda x: np.concatenate([np.zeros_like(x[:1]), x[1:]]) if x.ndim else x,
    }
    return _arrays(kinds, shape, dtype)


def vectors(n: int | None = None, dim: int = 3, dtype: DTypeLike = np.float32) -> Any:
    """Vectors of shape (dim,), or (n, dim): generic ones, zeros, along the axes (poles among them), tiny and huge."""
    shape = (dim,) if n is None else (integer("n", n, 1), dim)
    kinds: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "generic": lambda x: x,
        "zeros": np.zeros_like,
        "poles": lambda x: np.where(np.arange(dim) == min(POLE, dim - 1), np.copysign(1.0, x), 0.0),
        "axes": lambda x: np.where(np.abs(x) == np.max(np.abs(x), axis=-1, keepdims=True), x, 0.0),
        "tiny": lambda x: x * 1e-4,
        "huge": lambda x: x * 1e4,
    }
    return _arrays(kinds, shape, dtype)


def points(n: int, dim: int = 3, dtype: DTypeLike = np.float32, hard: bool = True) -> Any:
    """Positions of shape (n, dim): generic, and if `hard` zeros, coincident, collinear, planar, on the pole too."""
    kinds: dict[str, Callable[[np.ndarray], np.ndarray]] = {"generic": lambda x: x}
    if hard:
        kinds |= {"zeros": np.zeros_like, "on the polar axis": _polar, "planar": _planar}
        kinds |= {"coincident": coincident, "collinear": collinear} if n > 1 else {}
    return _arrays(kinds, (integer("n", n, 1), dim), dtype)


def padded_points(n: int, dim: int = 3, dtype: DTypeLike = np.float32, hard: bool = True) -> Any:
    """Pairs of positions (n, dim) and a mask (n,), False for padding; from one real point to all of them.

    The padding holds zeros, or numbers that must not matter.
    """
    st = _hypothesis()

    def pad(x: np.ndarray, real: int, filled: bool) -> tuple[np.ndarray, np.ndarray]:
        mask = np.arange(n) < real
        return (x if filled else np.where(mask[:, None], x, 0).astype(x.dtype)), mask

    return st.builds(pad, points(n, dim, dtype, hard), st.integers(1, n), st.booleans())


def _arrays(kinds: dict[str, Callable[[np.ndarray], np.ndarray]], shape: tuple[int, ...], dtype: DTypeLike) -> Any:
    def make(kind: str, seed: int) -> np.ndarray:
        x = np.random.default_rng(seed).standard_normal(shape)
        return np.asarray(kinds[kind](x), dtype)

    st = _hypothesis()
    return st.builds(make, st.sampled_from(list(kinds)), seeds())


def _polar(x: np.ndarray) -> np.ndarray:
    return np.where(np.arange(x.shape[-1]) == min(POLE, x.shape[-1] - 1), x, 0.0)


def _planar(x: np.ndarray) -> np.ndarray:
    return np.where(np.arange(x.shape[-1]) == x.shape[-1] - 1, 0.0, x)


@functools.cache
def _special(group: Group, dtype: str) -> tuple[Element, ...]:
    """The identity, turns by π, and all elements of discrete parts that have few."""
    with precision(64):
        found = [group.identity(dtype=dtype)]
        for name, part in group.parts().items():
            if part.dim and name.startswith("rotation"):
                found += [part.exp(math.pi * a) for a in jnp.eye(part.dim, dtype=dtype)]
            listed = None if part.dim else part.elements(dtype)
            if listed is not None and len(jax.tree.leaves(listed)[0]) <= 64:
                count = len(jax.tree.leaves(listed)[0])
                found += [jax.tree.map(lambda x, i=i: x[i], listed) for i in range(count)]
        return tuple(jax.device_get(g) for g in found)


def _random(group: Group, kind: str | None, seed: int, dtype: str) -> Element:
    with precision(64):
        return jax.device_get(_sample(group, kind, dtype, jax.random.key(seed)))


@functools.partial(jax.jit, static_argnums=(0, 1, 2), compiler_options={"xla_backend_optimization_level": 0})
def _sample(group: Group, kind: str | None, dtype: str, key: PRNGKeyArray) -> Element:
    return (group if kind is None else group.parts()[kind]).sample(key, (), dtype=dtype)


def _hypothesis() -> Any:
    try:
        import hypothesis.strategies
    except ImportError as error:
        raise ImportError("equijax.checks.strategies needs Hypothesis: pip install hypothesis") from error
    return hypothesis.strategies
