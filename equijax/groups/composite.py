"""Groups put together from others: what all of them share, and direct products."""

import abc
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax.groups.base import MOST_ELEMENTS, Group, batch_shape, check_coordinates, check_shape, of_elements
from equijax.groups.elements import Element, Nodes, float_dtype, static
from equijax.groups.parts import Embedded, Part, Whole
from equijax.groups.quadrature import check_method


class Composite(Whole, Group):
    """A group whose elements are made of one element of each of its factors."""

    @property
    @abc.abstractmethod
    def factors(self) -> tuple[Group, ...]:
        """The groups that it is made of."""

    @abc.abstractmethod
    def join(self, *elements: Element) -> Element:
        """The element made of one element a factor; affine in each of them."""

    @abc.abstractmethod
    def split(self, g: Element, name: str = "g") -> tuple[Element, ...]:
        """Inverse of `join`; errors name the argument by `name`."""

    def embed(self, g: Element, slot: int = 0, dtype: DTypeLike | None = None) -> Element:
        shape = batch_shape(self.factors[slot], g)
        elements = [factor.identity(shape, dtype) for factor in self.factors]
        elements[slot] = g
        return self.join(*elements)

    @property
    def dim(self) -> int:
        return sum(factor.dim for factor in self.factors)

    @property
    def order(self) -> int | None:
        orders = [factor.order for factor in self.factors]
        return None if None in orders else math.prod(order for order in orders if order)

    @property
    def is_compact(self) -> bool:
        return all(factor.is_compact for factor in self.factors)

    def identity(self, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> Element:
        return self.join(*(factor.identity(shape, dtype) for factor in self.factors))

    def exp(self, a: Float[Array, "*batch dim"]) -> Element:
        return self.join(*(factor.exp(b) for factor, b in zip(self.factors, self.split_coords(a), strict=True)))

    @of_elements
    def log(self, g: Element) -> Float[Array, "*batch dim"]:
        pairs = zip(self.factors, self.split(g), strict=True)
        return jnp.concatenate([factor.log(h) for factor, h in pairs], axis=-1)

    @of_elements
    def coords(self, g: Element) -> Float[Array, "*batch dim"]:
        pairs = zip(self.factors, self.split(g), strict=True)
        return jnp.concatenate([factor.coords(h) for factor, h in pairs], axis=-1)

    def from_coords(self, a: Float[Array, "*batch dim"]) -> Element:
        pairs = zip(self.factors, self.split_coords(a), strict=True)
        return self.join(*(factor.from_coords(b) for factor, b in pairs))

    def split_coords(self, a: Float[Array, "*batch dim"]) -> list[Float[Array, "*batch _"]]:
        """The coordinates of each factor, in the order of the factors."""
        check_coordinates(self, a)
        return jnp.split(a, np.cumsum([factor.dim for factor in self.factors])[:-1], axis=-1)

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> Element:
        keys = jax.random.split(key, len(self.factors))
        return self.join(*(factor.sample(k, shape, dtype) for factor, k in zip(self.factors, keys, strict=True)))

    def elements(self, dtype: DTypeLike | None = None) -> Element | None:
        if self.order is None or self.order > MOST_ELEMENTS:
            return None
        return self.join(*_grid([factor.elements(dtype) for factor in self.factors]))

    @property
    def cube_dim(self) -> int | None:
        dims = [factor.cube_dim for factor in self.factors]
        return None if None in dims else sum(dim for dim in dims if dim)

    def from_cube(self, u: Float[Array, "*batch cube"]) -> tuple[Element, Float[Array, "*batch"]]:
        pieces = jnp.split(u, np.cumsum([factor.cube_dim or 0 for factor in self.factors])[:-1], axis=-1)
        found = [factor.from_cube(piece) for factor, piece in zip(self.factors, pieces, strict=True)]
        return self.join(*(g for g, _ in found)), functools.reduce(jnp.multiply, [density for _, density in found])

    def nodes(
        self,
        n: int | None = None,
        key: PRNGKeyArray | None = None,
        dtype: DTypeLike | None = None,
        method: str = "auto",
    ) -> Nodes:
        """All combinations of the nodes of the factors, at most n where they can be so few.

        A finite factor gives all of its elements, and the others share the rest of n by their dimensions. A compact
        group with a factor of more than 5040 elements gives n random elements instead. By default a compact group
        takes the default nodes of its factors, another one 1000 a combination of its finite factors. With a method
        given, connected factors share one set of points in the cube of all their coordinates.
        """
        check_method(method)
        if method != "auto" and self.cube_dim is not None:
            return super().nodes(n, key, dtype, method)
        large = any((factor.order or 0) > MOST_ELEMENTS for factor in self.factors)
        if large and self.is_compact and n is not None and key is not None:
            return self.sample(key, (n,), dtype), jnp.full(n, 1 / n, float_dtype(dtype))
        elements, weights = map(_grid, zip(*self._nodes_of_factors(n, key, dtype, method), strict=True))
        return self.join(*elements), functools.reduce(jnp.multiply, weights)

    def _nodes_of_factors(self, n, key, dtype, method):
        """Nodes of each factor, whose combinations are at most n where they can be so few."""
        keys = [None] * len(self.factors) if key is None else list(jax.random.split(key, len(self.factors)))
        default = n is None and self.is_compact
        rest = 1000 if n is None else n / math.prod(factor.order or 1 for factor in self.factors)
        dims, found = self.dim, {}
        # Compact factors first: their grids may have fewer nodes than their share, and the others fill what is left.
        for k in sorted(range(len(keys)), key=lambda k: not self.factors[k].is_compact):
            factor = self.factors[k]
            share = None if default else _share(rest, factor.dim, dims)
            found[k] = factor.nodes(share, keys[k], dtype, method)
            dims -= factor.dim
            if not factor.is_finite:
                rest /= len(found[k][1])
        return [found[k] for k in range(len(keys))]

    def adjoint(self, g: Element) -> Float[Array, "*batch dim dim"]:
        # one block a factor on the diagonal
        blocks = [factor.adjoint(h) for factor, h in zip(self.factors, self.split(g), strict=True)]
        place = np.cumsum([0, *(block.shape[-1] for block in blocks)])
        whole = jnp.zeros((*blocks[0].shape[:-2], self.dim, self.dim), jnp.result_type(*blocks))
        for block, i, j in zip(blocks, place[:-1], place[1:], strict=True):
            whole = whole.at[..., i:j, i:j].set(block)
        return whole

    def log_modular(self, g: Element) -> Float[Array, "*batch"]:
        found = [factor.log_modular(h) for factor, h in zip(self.factors, self.split(g), strict=True)]
        return functools.reduce(jnp.add, found)

    def log_haar_coords(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        pairs = zip(self.factors, self.split_coords(a), strict=True)
        return sum((factor.log_haar_coords(b) for factor, b in pairs), start=jnp.zeros((), a.dtype))

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        found = [factor.violation(h) for factor, h in zip(self.factors, self.split(g), strict=True)]
        return functools.reduce(jnp.maximum, found)

    def parts(self) -> dict[str, Part]:
        found: dict[str, Part] = {}
        for slot, factor in enumerate(self.factors):
            for name, part in factor.parts().items():
                unique = name if name not in found else f"{name} {slot + 1}"
                found[unique] = Embedded(self, part, slot)
        return found


@static
class Product(Composite):
    """Direct product, `Product(E(3), Permutation(n))`: elements are tuples with one element a factor.

    Examples:
        >>> from equijax import groups
        >>> motion = Product(groups.SE(2), groups.Permutation(3))  # of three particles of a kind
        >>> sorted(motion.parts()), motion.identity()[1].tolist()
        (['permutation', 'rotation', 'translation'], [0, 1, 2])
    """

    groups: tuple[Group, ...]

    def __init__(self, *groups: Group):
        for i, group in enumerate(groups):
            if not isinstance(group, Group):
                raise TypeError(f"groups: expected groups, got {group!r} of type {type(group).__name__} at {i}")
        object.__setattr__(self, "groups", groups)

    def __repr__(self):
        return f"Product({', '.join(map(repr, self.groups))})"

    @property
    def factors(self) -> tuple[Group, ...]:
        return self.groups

    def join(self, *elements: Element) -> Element:
        return elements

    def split(self, g: Element, name: str = "g") -> tuple[Element, ...]:
        check_shape(self, g, name)
        return g

    def compose(self, g: Element, h: Element) -> Element:
        triples = zip(self.groups, self.split(g), self.split(h, "h"), strict=True)
        return tuple(factor.compose(a, b) for factor, a, b in triples)

    def inverse(self, g: Element) -> Element:
        return tuple(factor.inverse(a) for factor, a in zip(self.groups, self.split(g), strict=True))


def _share(rest, dim, dims):
    """How many of `rest` nodes a factor with `dim` of the remaining `dims` dimensions gets: rest^(dim / dims)."""
    return max(2, int(rest + 1e-9) if dim == dims else round(rest ** (dim / dims)))


def _grid(trees):
    """Each tree with its leading axis repeated so that together they run through all combinations, the last fastest."""
    lengths = [jax.tree.leaves(tree)[0].shape[0] for tree in trees]
    indices = np.indices(lengths).reshape(len(trees), -1)
    return [jax.tree.map(lambda x, i=i: x[i], tree) for tree, i in zip(trees, indices, strict=True)]
