"""Translations and scalings."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax._validate import integer, positive
from equijax.groups.base import Group, check_coordinates, check_shape, of_elements
from equijax.groups.elements import Element, Nodes, float_dtype, static
from equijax.groups.parts import Part


@static
class Translation(Group):
    """Translations of ℝⁿ: vectors, shape (..., n).

    `nodes` fill the cube of half-width `window` about zero, with Lebesgue weights; by default they are quasi-random.

    Examples:
        >>> print(Translation(2).compose(jnp.array([1.0, 2.0]), jnp.array([0.5, 0.0])))
        [1.5 2. ]
    """

    n: int
    window: float = 1.0

    def __post_init__(self):
        integer("n", self.n, 1)
        positive("window", self.window)

    @property
    def dim(self) -> int:
        return self.n

    @property
    def is_orthogonal(self) -> bool:
        return True

    def identity(self, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> Float[Array, "*batch n"]:
        return jnp.zeros((*shape, self.n), float_dtype(dtype))

    def compose(self, g: Element, h: Element) -> Float[Array, "*batch n"]:
        check_shape(self, g)
        check_shape(self, h, "h")
        return jnp.asarray(g) + h

    def inverse(self, g: Element) -> Float[Array, "*batch n"]:
        check_shape(self, g)
        return -jnp.asarray(g)

    def exp(self, a: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        check_coordinates(self, a)
        return a

    def tangents(self, dtype: DTypeLike | None = None) -> Float[Array, "n n"]:
        return jnp.eye(self.n, dtype=float_dtype(dtype))

    @of_elements
    def log(self, g: Float[Array, "*batch n"]) -> Float[Array, "*batch n"]:
        return g

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
    ) -> Float[Array, "*batch n"]:
        return jax.random.normal(key, (*shape, self.n), float_dtype(dtype))

    @property
    def cube_dim(self) -> int:
        return self.n

    def from_cube(self, u: Float[Array, "*batch n"]) -> tuple[Float[Array, "*batch n"], Float[Array, "*batch"]]:
        return self.window * (2 * u - 1), jnp.full(u.shape[:-1], (2 * self.window) ** self.n, u.dtype)

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        return jnp.max(jnp.where(jnp.isfinite(jnp.asarray(g)), 0.0, jnp.inf), axis=-1)

    def parts(self) -> dict[str, Part]:
        return {"translation": self}


@static
class Scaling(Group):
    """Scalings by a positive number, shape (...); the coordinate is its logarithm.

    `nodes` have logarithms equispaced in [−window, window], with trapezoidal weights for ds/s.

    Examples:
        >>> print(Scaling().inverse(jnp.array(4.0)), Scaling().log(jnp.array(1.0)))
        0.25 [0.]
    """

    window: float = 1.0

    def __post_init__(self):
        positive("window", self.window)

    @property
    def dim(self) -> int:
        return 1

    def identity(self, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> Float[Array, "*batch"]:
        return jnp.ones(shape, float_dtype(dtype))

    def compose(self, g: Element, h: Element) -> Float[Array, "*batch"]:
        check_shape(self, g)
        check_shape(self, h, "h")
        return jnp.asarray(g) * h

    def inverse(self, g: Element) -> Float[Array, "*batch"]:
        check_shape(self, g)
        return 1 / jnp.asarray(g)

    def exp(self, a: Float[Array, "*batch 1"]) -> Float[Array, "*batch"]:
        check_coordinates(self, a)
        return jnp.exp(a[..., 0])

    def tangents(self, dtype: DTypeLike | None = None) -> Float[Array, " one"]:
        return jnp.ones(1, float_dtype(dtype))

    @of_elements
    def log(self, g: Float[Array, "*batch"]) -> Float[Array, "*batch 1"]:
        """Logarithm of the factor, NaN for what is no element.

        Raises:
            ValueError: If a number is not positive, where it is known.
        """
        return jnp.log(g)[..., None]

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
    ) -> Float[Array, "*batch"]:
        return jnp.exp(jax.random.normal(key, shape, float_dtype(dtype)))

    def nodes(
        self,
        n: int | None = None,
        key: PRNGKeyArray | None = None,
        dtype: DTypeLike | None = None,
        method: str = "auto",
    ) -> Nodes:
        """n scalings (9 by default), moved by a random fraction of their spacing if a key is given."""
        if method != "auto":
            return super().nodes(n, key, dtype, method)
        n = 9 if n is None else integer("n", n, 2)
        logarithms = jnp.linspace(-self.window, self.window, n, dtype=float_dtype(dtype))
        step = 2 * self.window / (n - 1)
        if key is not None:
            logarithms = logarithms + step * jax.random.uniform(key, (), logarithms.dtype, -0.5, 0.5)
        return jnp.exp(logarithms), jnp.full(n, step, logarithms.dtype).at[np.array([0, -1])].multiply(0.5)

    @property
    def cube_dim(self) -> int:
        return 1

    def from_cube(self, u: Float[Array, "*batch 1"]) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"]]:
        return jnp.exp(self.window * (2 * u[..., 0] - 1)), jnp.full(u.shape[:-1], 2 * self.window, u.dtype)

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        g = jnp.asarray(g)
        return jnp.where((g > 0) & jnp.isfinite(g), 0.0, 1.0 + jnp.abs(g))

    def parts(self) -> dict[str, Part]:
        return {"scaling": self}
