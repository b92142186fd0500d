"""What a representation is: how one element of a group acts on an array."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from equijax._validate import floating, instance
from equijax.groups import AffineElement, Element, Group, linear_part
from equijax.numerics import det


class Rep:
    """How a group acts on arrays: static and hashable.

    `act` takes one group element and an array with any leading axes, and keeps the dtype of the array; use `jax.vmap`
    for a batch of elements. A linear representation of finite dimension gives its `matrix`, which acts on the last
    axis unless said otherwise. One of your own has `act` or `matrix`, and is made static by `groups.static`.

    Examples:
        >>> from equijax import groups
        >>> @groups.static
        ... class Determinant(Rep):  # numbers that are multiplied by det A
        ...     def matrix(self, g):
        ...         return det(g)[None, None]
        >>> Determinant().act(jnp.diag(jnp.array([2.0, 3.0])), jnp.ones(1)).tolist()
        [6.0]
        >>> Determinant().dim_of(groups.GLPlus(2))
        1
    """

    @property
    def dim(self) -> int | None:
        """Number of rows of `matrix`; None where it depends on the group (see `dim_of`) or there is no matrix."""
        return None

    @property
    def approximate(self) -> bool:
        """Whether act(g⁻¹, act(g, x)) may differ from x by more than rounding."""
        return False

    @property
    def whole(self) -> bool:
        """Whether `act` takes a pytree as a whole, and not every array of it on its own."""
        return False

    def matrix(self, g: Element) -> Float[Array, "dim dim"]:
        """The matrix that `act` multiplies by."""
        raise TypeError(f"matrix: {self} is not a linear representation of finite dimension; use act")

    def act(self, g: Element, x: PyTree) -> PyTree:
        """`x` moved by the group element `g`, in the shape and dtype of `x`."""
        return apply_matrix(self, self.matrix(g), x)

    def check(self, group: Group) -> None:
        """Raise a TypeError or ValueError unless this is a representation of `group`."""
        self.dim_of(group)

    def dim_of(self, group: Group) -> int:
        """Number of rows of `matrix` for the elements of `group`."""
        return jax.eval_shape(lambda: self.matrix(group.identity())).shape[-1]


def apply_matrix(rep: Rep, matrix: Float[Array, "dim dim"], x: PyTree, axis: int = -1) -> Float[Array, "..."]:
    """`matrix` times `x` along `axis` (−1 or −2), in the higher of their precisions, returned in the dtype of `x`."""
    x = floating("x", x)
    if x.ndim < -axis or x.shape[axis] != matrix.shape[-1]:
        shape = f"(..., {matrix.shape[-1]}{', channels' if axis == -2 else ''})"
        raise ValueError(f"x: expected shape {shape} for {rep}, got {x.shape}")
    dtype = jnp.promote_types(matrix.dtype, x.dtype)
    a, y = matrix.astype(dtype), x.astype(dtype)
    y = jnp.matmul(y, a.T, precision="highest") if axis == -1 else jnp.matmul(a, y, precision="highest")
    return y.astype(x.dtype)


def sign(g: Element) -> Float[Array, ""]:
    """Sign of the determinant of the linear part: −1 for a reflection."""
    a = linear_part(g)
    return jnp.sign(det(a)) if a.ndim == 2 else jnp.ones((), a.dtype)


def linear_shape(group: Group) -> tuple[int, ...]:
    """Shape of the linear part of the elements of `group`; raises where `linear_part` does."""
    return jax.eval_shape(lambda: linear_part(group.identity())).shape


def translation_part(g: Element) -> Float[Array, " n"] | None:
    """The translation of a group element, None if it has none."""
    if isinstance(g, AffineElement):
        return jnp.asarray(g.translation)
    return jnp.asarray(g) if not isinstance(g, tuple) and jnp.ndim(g) == 1 else None


def own_element(group: Group, g: Element) -> Element:
    """The part of `g` that is an element of `group`: the linear part of a pair if `group` has matrices as elements."""
    return g.linear if isinstance(g, AffineElement) and group.size is not None else g


def expect_group(name: str, group: object) -> None:
    """Raise a TypeError unless `group` is a group."""
    instance(name, group, Group, "a group such as groups.SO(3)")


def expect_rep(name: str, rep: object) -> None:
    """Raise a TypeError unless `rep` is a representation."""
    instance(name, rep, Rep, "a representation such as reps.Vector()")


def check_group(rep: Rep, expected: Group, group: Group) -> None:
    """Raise a ValueError unless `group`, or its linear part, is the group that `rep` was made for."""
    if expected not in (group, getattr(group, "linear", None)):
        raise ValueError(f"group: {rep} was made for {expected}, got {group}")
