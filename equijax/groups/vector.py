"""Translations and scalings."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equijax._validate import integer
from equijax.groups._numerics import kronecker
from equijax.groups.base import Element, Group, Nodes, check_coordinates, float_dtype, static


@static
class Translation(Group):
    """Translations of ℝⁿ: vectors, shape (..., n).

    `nodes` fill the cube of half-width `window` about zero, with Lebesgue weights.
    """

    n: int
    window: float = 1.0

    def __post_init__(self):
        integer("n", self.n, 1)

    @property
    def dim(self) -> int:
        return self.n

    @property
    def is_orthogonal(self) -> bool:
        return True

    def identity(self, shape: tuple[int, ...] = (), dtype: Any = None) -> Float[Array, "*batch n"]:
        return jnp.zeros((*shape, self.n), float_dtype(dtype))

    def compose(self, g: Element, h: Element) -> Float[Array, "*batch n"]:
        return jnp.asarray(g) + h

    def inverse(self, g: Element) -> Float[Array, "*batch n"]:
        return -jnp.asarray(g)

    def exp(self, a: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        check_coordinates(self, a)
        return a

    def log(self, g: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        return g

    def sample(self, key: Any, shape: tuple[int, ...] = (), dtype: Any = None) -> Float[Array, "*batch n"]:
        return jax.random.normal(key, (*shape, self.n), float_dtype(dtype))

    def nodes(self, n: int | None = None, key: Any = None, dtype: Any = None) -> Nodes:
        """n quasi-random points (100 by default), moved by a random vector modulo the window if a key is given."""
        n = 100 if n is None else integer("n", n, 1)
        points = jnp.asarray(kronecker(n, self.n), float_dtype(dtype))
        if key is not None:
            points = (points + jax.random.uniform(key, (self.n,), points.dtype)) % 1
        volume = (2 * self.window) ** self.n
        return self.window * (2 * points - 1), jnp.full(n, volume / n, points.dtype)

    def parts(self) -> dict[str, Any]:
        return {"translation": self}


@static
class Scaling(Group):
    """Scalings by a positive number, shape (...); the coordinate is its logarithm.

    `nodes` have logarithms equispaced in [−window, window], with trapezoidal weights for ds/s.
    """

    window: float = 1.0

    @property
    def dim(self) -> int:
        return 1

    def identity(self, shape: tuple[int, ...] = (), dtype: Any = None) -> Float[Array, "*batch"]:
        return jnp.ones(shape, float_dtype(dtype))

    def compose(self, g: Element, h: Element) -> Float[Array, "*batch"]:
        return jnp.asarray(g) * h

    def inverse(self, g: Element) -> Float[Array, "*batch"]:
        return 1 / jnp.asarray(g)

    def exp(self, a: Float[Array, "*batch 1"]) -> Float[Array, "*batch"]:
        check_coordinates(self, a)
        return jnp.exp(a[..., 0])

    def log(self, g: Float[Array, "*batch"]) -> Float[Array, "*batch 1"]:
        return jnp.log(g)[..., None]

    def sample(self, key: Any, shape: tuple[int, ...] = (), dtype: Any = None) -> Float[Array, "*batch"]:
        return jnp.exp(jax.random.normal(key, shape, float_dtype(dtype)))

    def nodes(self, n: int | None = None, key: Any = None, dtype: Any = None) -> Nodes:
        """n scalings (9 by default), moved by a random fraction of their spacing if a key is given."""
        n = 9 if n is None else integer("n", n, 2)
        logarithms = jnp.linspace(-self.window, self.window, n, dtype=float_dtype(dtype))
        step = 2 * self.window / (n - 1)
        if key is not None:
            logarithms = logarithms + step * jax.random.uniform(key, (), logarithms.dtype, -0.5, 0.5)
        return jnp.exp(logarithms), jnp.full(n, step, logarithms.dtype).at[np.array([0, -1])].multiply(0.5)

    def parts(self) -> dict[str, Any]:
        return {"scaling": self}
