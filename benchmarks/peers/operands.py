"""Operands of the products, and how a package takes them."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from equijax import products, spherical


class Sample(NamedTuple):
    """Operands in our layout, degree L everywhere; the first axis is that of the rows, or of the edges."""

    x: jax.Array  # (rows, (L + 1)², channels)
    y: jax.Array
    paths: jax.Array  # a weight a path and channel, (paths, channels)
    degrees: jax.Array  # a weight a factor, degree and channel, (3, L + 1, channels)
    direction: jax.Array  # (rows, 3)
    radial: jax.Array  # (rows, L + 1, channels)
    radial_paths: jax.Array  # (rows, paths, channels)

    @property
    def degree(self):
        return spherical.lmax_of(self.x, "x")


def sample(l, rows, channels, seed=0):
    """Standard normal numbers in float32."""
    n, k = len(products.paths(l, l, l)), (l + 1) ** 2
    shapes = [(rows, k, channels)] * 2
    shapes += [(n, channels), (3, l + 1, channels), (rows, 3), (rows, l + 1, channels), (rows, n, channels)]
    draw = np.random.default_rng(seed).standard_normal
    return Sample(*(jnp.asarray(draw(shape), jnp.float32) for shape in shapes))


class Call(NamedTuple):
    """A function of arrays, `f(*arguments, *fixed)`, and its arguments; no gradients are taken by the fixed ones."""

    f: Callable[..., Any]
    arguments: tuple
    back: Callable[..., Any] = lambda z: z  # the result as (rows, (L + 1)², channels), None if it is another map
    fixed: tuple = ()


class Entry(NamedTuple):
    """A line of a table."""

    package: str
    name: str
    map: str
    build: Callable[[Sample], Call]


def by_end(l, weights):
    """Weights (..., paths, channels) as a list over the degrees of the result."""
    ends = np.array([c for _, _, c in products.paths(l, l, l)])
    return [weights[..., ends == c, :] for c in range(l + 1)]
