"""Symmetries about an axis: what leaves one coordinate alone."""

from typing import cast

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax.groups.base import Group, of_elements
from equijax.groups.elements import Element, Nodes, static
from equijax.groups.matrices import Matrices
from equijax.groups.orthogonal import OrthogonalMatrices
from equijax.groups.parts import Embedded, Part, Whole


@static
class Axial(Whole, OrthogonalMatrices):
    """The matrices diag(A, 1) for A in a group of orthogonal matrices: `Axial(SO(2))` turns space about the z axis.

    For slabs, gravity and external fields; `Semidirect(Translation(3), Axial(O(2)))` has all translations as well.
    Another `axis` may be left alone, 0 for x; A then acts on the others in their order. Coordinates are those of A.

    Examples:
        >>> from equijax import groups
        >>> print(Axial(groups.SO(2)).exp(jnp.array([jnp.pi])).round(5).diagonal())
        [-1. -1.  1.]
    """

    group: Group
    axis: int = -1

    def __post_init__(self):
        if not (isinstance(self.group, Matrices) and self.group.is_orthogonal):
            raise TypeError(f"group: expected a group of orthogonal matrices, got {self.group!r}")
        if not -self.size <= self.axis < self.size:
            raise ValueError(f"axis: expected one of the {self.size} coordinates, got {self.axis}")
        object.__setattr__(self, "axis", self.axis % self.size - self.size)  # one axis, one name

    @property
    def size(self) -> int:
        return cast(Matrices, self.group).size + 1

    @property
    def dim(self) -> int:
        return self.group.dim

    @property
    def order(self) -> int | None:
        return self.group.order

    def exp(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch n n"]:
        return self.embed(self.group.exp(a))

    @of_elements
    def log(self, g: Element) -> Float[Array, "*batch dim"]:
        return self.group.log(self._inner(g))

    def basis(self) -> np.ndarray:
        return np.insert(np.insert(self.group.basis(), self._place, 0, axis=1), self._place, 0, axis=2)

    @of_elements
    def coords(self, g: Element) -> Float[Array, "*batch dim"]:
        return self.group.coords(self._inner(g))

    def from_coords(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch n n"]:
        return self.embed(self.group.from_coords(a))

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
    ) -> Float[Array, "*batch n n"]:
        return self.embed(self.group.sample(key, shape, dtype))

    def nodes(
        self,
        n: int | None = None,
        key: PRNGKeyArray | None = None,
        dtype: DTypeLike | None = None,
        method: str = "auto",
    ) -> Nodes:
        elements, weights = self.group.nodes(n, key, dtype, method)
        return self.embed(elements), weights

    def elements(self, dtype: DTypeLike | None = None) -> Float[Array, "order n n"] | None:
        elements = self.group.elements(dtype)
        return None if elements is None else self.embed(elements)

    def parts(self) -> dict[str, Part]:
        return {name: Embedded(self, part) for name, part in self.group.parts().items()}

    def embed(self, g: Element, slot: int = 0, dtype: DTypeLike | None = None) -> Float[Array, "*batch n n"]:
        """The element diag(A, 1) of a matrix A."""
        matrix = jnp.insert(jnp.insert(g, self._place, 0, axis=-2), self._place, 0, axis=-1)
        return matrix.at[..., self._place, self._place].set(1)

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        inner = self._inner(g)
        apart = jnp.max(jnp.abs(g - self.embed(inner)), axis=(-2, -1))
        return jnp.maximum(apart, self.group.violation(inner))

    @property
    def _place(self) -> int:
        return self.axis % self.size

    def _inner(self, g):
        return jnp.delete(jnp.delete(g, self._place, axis=-2), self._place, axis=-1)
