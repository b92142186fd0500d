"""Gᵏ: an element of a group for each of several things that move on their own."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax._validate import integer
from equijax.groups.base import Group, batch_shape, check_coordinates, check_shape, of_elements
from equijax.groups.composite import Composite
from equijax.groups.elements import Element, static
from equijax.groups.parts import Embedded, Part


class PowerElement(NamedTuple):
    """One element of a group for each copy, along an axis after the leading ones."""

    each: Element


@static
class Power(Composite):
    """Gᵏ, k copies of a group: k pieces that move on their own. `reps.Pieces` says which points each has.

    Elements are those of `Product(G, ..., G)`, kept as arrays `PowerElement(each)`, with an axis of length k after the
    leading axes, so that a large k costs no more to compile than a small one.

    Attributes:
        group: G.
        count: k.

    Examples:
        >>> from equijax import groups
        >>> pieces = Power(groups.SE(3), 2)
        >>> pieces.dim, pieces.identity().each.linear.shape
        (12, (2, 3, 3))
        >>> sorted(pieces.parts())
        ['rotation of piece 0', 'rotation of piece 1', 'translation of piece 0', 'translation of piece 1']
    """

    group: Group
    count: int

    def __post_init__(self):
        if not isinstance(self.group, Group):
            raise TypeError(f"group: expected a group such as groups.E(3), got {self.group!r}")
        integer("count", self.count, 1)

    @property
    def factors(self) -> tuple[Group, ...]:
        return (self.group,) * self.count

    def join(self, *elements: Element) -> PowerElement:
        batch = len(batch_shape(self.group, elements[0]))
        return PowerElement(jax.tree.map(lambda *leaves: jnp.stack(leaves, axis=batch), *elements))

    def split(self, g: Element, name: str = "g") -> tuple[Element, ...]:
        check_shape(self, g, name)
        batch = len(batch_shape(self, g))
        return tuple(jax.tree.map(lambda x, k=k: jnp.take(x, k, axis=batch), g.each) for k in range(self.count))

    def embed(self, g: Element, slot: int = 0, dtype: DTypeLike | None = None) -> PowerElement:
        shape = batch_shape(self.group, g)
        one = (slice(None),) * len(shape) + (slot,)
        return PowerElement(jax.tree.map(lambda e, x: e.at[one].set(x), self.identity(shape, dtype).each, g))

    @property
    def is_orthogonal(self) -> bool:
        return self.group.is_orthogonal

    def identity(self, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> PowerElement:
        return PowerElement(self.group.identity((*shape, self.count), dtype))

    def compose(self, g: Element, h: Element) -> PowerElement:
        check_shape(self, g)
        check_shape(self, h, "h")
        return PowerElement(self.group.compose(g.each, h.each))

    def inverse(self, g: Element) -> PowerElement:
        check_shape(self, g)
        return PowerElement(self.group.inverse(g.each))

    def exp(self, a: Float[Array, "*batch dim"]) -> PowerElement:
        check_coordinates(self, a)
        return PowerElement(self.group.exp(self._of_copies(a)))

    @of_elements
    def log(self, g: Element) -> Float[Array, "*batch dim"]:
        return self._in_one_row(self.group.log(g.each))

    @of_elements
    def coords(self, g: Element) -> Float[Array, "*batch dim"]:
        return self._in_one_row(self.group.coords(g.each))

    def from_coords(self, a: Float[Array, "*batch dim"]) -> PowerElement:
        check_coordinates(self, a)
        return PowerElement(self.group.from_coords(self._of_copies(a)))

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> PowerElement:
        return PowerElement(self.group.sample(key, (*shape, self.count), dtype))

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        return jnp.max(self.group.violation(g.each), axis=-1)

    def parts(self) -> dict[str, Part]:
        found = {(name, k): part for name, part in self.group.parts().items() for k in range(self.count)}
        return {f"{name} of piece {k}": Embedded(self, part, k) for (name, k), part in found.items()}

    def _of_copies(self, a):
        """(..., k dim) -> (..., k, dim)."""
        return a.reshape(*a.shape[:-1], self.count, self.group.dim)

    def _in_one_row(self, a):
        """(..., k, dim) -> (..., k dim)."""
        return a.reshape(*a.shape[:-2], self.dim)
