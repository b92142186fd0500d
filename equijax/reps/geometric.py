"""Scalars, vectors, points and tensors."""

import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from equijax._validate import floating, integer
from equijax.groups import Element, Group, linear_part, static
from equijax.reps.base import Rep, apply_matrix, linear_shape, sign, translation_part


@static
class Scalar(Rep):
    """Numbers that do not move; pseudoscalars change their sign under reflections.

    Examples:
        >>> mirror = jnp.diag(jnp.array([-1.0, 1.0, 1.0]))
        >>> Scalar().act(mirror, jnp.ones(2)).tolist(), Scalar(pseudo=True).act(mirror, jnp.ones(2)).tolist()
        ([1.0, 1.0], [-1.0, -1.0])
    """

    pseudo: bool = False

    @property
    def dim(self) -> int:
        return 1

    def matrix(self, g: Element) -> Float[Array, "1 1"]:
        return sign(g)[None, None] if self.pseudo else jnp.ones((1, 1))

    def act(self, g: Element, x: PyTree) -> PyTree:
        if not self.pseudo:
            return x
        x = floating("x", x)
        return x * sign(g).astype(x.dtype)


@static
class Vector(Rep):
    """Vectors on the last axis, v → A v with the linear part A; pseudovectors also times the sign of det A.

    Translations do not move them.

    Examples:
        >>> from equijax.groups import AffineElement
        >>> move = AffineElement(jnp.array([5.0, 5.0]), jnp.array([[0.0, -1.0], [1.0, 0.0]]))
        >>> Vector().act(move, jnp.array([[1.0, 0.0], [0.0, 2.0]])).tolist()
        [[0.0, 1.0], [-2.0, 0.0]]
    """

    pseudo: bool = False

    def matrix(self, g: Element) -> Float[Array, "n n"]:
        a = linear_part(g)
        if a.ndim == 0:
            raise ValueError(f"g: the number {a} alone does not tell the dimension of the vectors; use act")
        return a * sign(a) if self.pseudo else a

    def act(self, g: Element, x: PyTree) -> Array:
        a = linear_part(g)
        return _scaled(a, x) if a.ndim == 0 else apply_matrix(self, self.matrix(g), x)

    def check(self, group: Group) -> None:
        linear_shape(group)


@static
class Position(Rep):
    """Points on the last axis, x → A x + t. Not linear, so without a matrix.

    Examples:
        >>> from equijax.groups import AffineElement
        >>> move = AffineElement(jnp.array([5.0, 5.0]), jnp.array([[0.0, -1.0], [1.0, 0.0]]))
        >>> Position().act(move, jnp.array([[1.0, 0.0], [0.0, 2.0]])).tolist()
        [[5.0, 6.0], [3.0, 5.0]]
    """

    def act(self, g: Element, x: PyTree) -> Array:
        a, t = linear_part(g), translation_part(g)
        if a.ndim == 0:
            return _scaled(a, x)
        x = floating("x", x)
        dtype = jnp.promote_types(a.dtype, x.dtype)
        y = apply_matrix(self, a, x.astype(dtype))
        return (y if t is None else y + t.astype(dtype)).astype(x.dtype)

    def check(self, group: Group) -> None:
        linear_shape(group)


@static
class Homogeneous(Rep):
    """Points in homogeneous coordinates on the last axis, (x, w) → (A x + w t, w), by the matrix [[A, t], [0, 1]].

    Examples:
        >>> from equijax.groups import AffineElement
        >>> move = AffineElement(jnp.array([5.0, 5.0]), jnp.array([[0.0, -1.0], [1.0, 0.0]]))
        >>> Homogeneous().act(move, jnp.array([[1.0, 0.0, 1.0], [1.0, 0.0, 0.0]])).tolist()  # a point, a direction
        [[5.0, 6.0, 1.0], [0.0, 1.0, 0.0]]
    """

    def matrix(self, g: Element) -> Float[Array, "n n"]:
        a, t = Vector().matrix(g), translation_part(g)
        n = len(a)
        matrix = jnp.eye(n + 1, dtype=a.dtype).at[:n, :n].set(a)
        return matrix if t is None else matrix.at[:n, n].set(t.astype(a.dtype))


@static
class Tensor(Rep):
    """Tensors on the last `rank` axes, T → A ⊗ … ⊗ A T; pseudotensors also times the sign of det A.

    The matrix acts on those axes flattened into one, in row-major order.

    Examples:
        Stress, of rank 2, turns from the xx to the yy component:

        >>> quarter = jnp.array([[0.0, -1.0], [1.0, 0.0]])
        >>> Tensor(2).act(quarter, jnp.array([[1.0, 0.0], [0.0, 0.0]])).tolist()
        [[0.0, 0.0], [0.0, 1.0]]
    """

    rank: int
    pseudo: bool = False

    def __post_init__(self):
        integer("rank", self.rank)

    def matrix(self, g: Element) -> Float[Array, "dim dim"]:
        a = Vector().matrix(g)
        power = jnp.ones((1, 1), a.dtype) * (sign(a) if self.pseudo else 1)
        for _ in range(self.rank):
            power = jnp.kron(power, a)
        return power

    def act(self, g: Element, x: PyTree) -> Array:
        x, a = floating("x", x), linear_part(g)
        if a.ndim == 0:
            return _scaled(a**self.rank, x)
        n = a.shape[0]
        if x.ndim < self.rank or x.shape[x.ndim - self.rank :] != (n,) * self.rank:
            raise ValueError(f"x: expected shape (...{f', {n}' * self.rank}) for {self}, got {x.shape}")
        y = x.astype(jnp.promote_types(a.dtype, x.dtype))
        for axis in range(x.ndim - self.rank, x.ndim):
            y = jnp.moveaxis(apply_matrix(self, a, jnp.moveaxis(y, axis, -1)), -1, axis)
        return (y * sign(a) if self.pseudo else y).astype(x.dtype)

    def check(self, group: Group) -> None:
        linear_shape(group)


def _scaled(factor: Float[Array, ""], x: PyTree) -> Float[Array, "..."]:
    """`x` times a scaling."""
    x = floating("x", x)
    return (x * factor).astype(x.dtype)
