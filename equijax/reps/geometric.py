"""Scalars, vectors, points and tensors."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

from equijax._validate import floating, integer
from equijax.groups import Group, linear_part, static
from equijax.reps.base import Rep, linear_shape, multiply, sign, translation_part


@static
class Scalar(Rep):
    """Numbers that do not move; pseudoscalars change their sign under reflections."""

    pseudo: bool = False

    @property
    def dim(self) -> int:
        return 1

    def matrix(self, g: Any) -> Float[Array, "1 1"]:
        return sign(g)[None, None] if self.pseudo else jnp.ones((1, 1))

    def act(self, g: Any, x: Any) -> Any:
        if not self.pseudo:
            return x
        x = floating("x", x)
        return x * sign(g).astype(x.dtype)


@static
class Vector(Rep):
    """Vectors on the last axis, v → A v with the linear part A; pseudovectors also times the sign of det A."""

    pseudo: bool = False

    def matrix(self, g: Any) -> Float[Array, "n n"]:
        a = linear_part(g)
        if a.ndim == 0:
            raise ValueError(f"g: the number {a} alone does not tell the dimension of the vectors; use act")
        return a * sign(a) if self.pseudo else a

    def act(self, g: Any, x: Any) -> Any:
        a = linear_part(g)
        return _scaled(a, x) if a.ndim == 0 else multiply(self, self.matrix(g), x)

    def check(self, group: Group) -> None:
        linear_shape(group)


@static
class Position(Rep):
    """Points on the last axis, x → A x + t. Not linear, so without a matrix."""

    def act(self, g: Any, x: Any) -> Any:
        a, t = linear_part(g), translation_part(g)
        if a.ndim == 0:
            return _scaled(a, x)
        x = floating("x", x)
        dtype = jnp.promote_types(a.dtype, x.dtype)
        y = multiply(self, a, x.astype(dtype))
        return (y if t is None else y + t.astype(dtype)).astype(x.dtype)

    def check(self, group: Group) -> None:
        linear_shape(group)


@static
class Tensor(Rep):
    """Tensors on the last `rank` axes, T → A ⊗ … ⊗ A T; pseudotensors also times the sign of det A.

    The matrix acts on those axes flattened into one, in row-major order.
    """

    rank: int
    pseudo: bool = False

    def __post_init__(self):
        integer("rank", self.rank)

    def matrix(self, g: Any) -> Float[Array, "dim dim"]:
        a = Vector().matrix(g)
        power = jnp.ones((1, 1), a.dtype) * (sign(a) if self.pseudo else 1)
        for _ in range(self.rank):
            power = jnp.kron(power, a)
        return power

    def act(self, g: Any, x: Any) -> Any:
        x, a = floating("x", x), linear_part(g)
        if a.ndim == 0:
            return _scaled(a**self.rank, x)
        n = a.shape[0]
        if x.ndim < self.rank or x.shape[x.ndim - self.rank :] != (n,) * self.rank:
            raise ValueError(f"x: expected shape (...{f', {n}' * self.rank}) for {self}, got {x.shape}")
        y = x.astype(jnp.promote_types(a.dtype, x.dtype))
        for axis in range(x.ndim - self.rank, x.ndim):
            y = jnp.moveaxis(multiply(self, a, jnp.moveaxis(y, axis, -1)), -1, axis)
        return (y * sign(a) if self.pseudo else y).astype(x.dtype)

    def check(self, group: Group) -> None:
        linear_shape(group)


def _scaled(factor, x):
    """`x` times a scaling."""
    x = floating("x", x)
    return (x * factor).astype(x.dtype)
