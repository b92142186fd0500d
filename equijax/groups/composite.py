"""Groups put together from others: direct and semidirect products, SE(n), E(n), Sim(n), GL⁺(n), Aff⁺(n)."""

import functools
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equijax.groups.base import (
    MOST_ELEMENTS,
    AffineElement,
    Element,
    Group,
    Nodes,
    check_coordinates,
    check_shape,
    float_dtype,
    of_elements,
    static,
)
from equijax.groups.decompositions import invertible
from equijax.groups.general_linear import SL
from equijax.groups.matrices import Matrices
from equijax.groups.orthogonal import SO, O
from equijax.groups.vector import Scaling, Translation
from equijax.numerics import det, exp_and_phi, matmul, slogdet, solve


class Composite(Group):
    """A group whose elements are made of one element of each of its factors."""

    @property
    def factors(self) -> tuple[Group, ...]:
        raise NotImplementedError

    def join(self, *elements: Element) -> Element:
        """The element made of one element a factor."""
        raise NotImplementedError

    def split(self, g: Element, name: str = "g") -> tuple[Element, ...]:
        """Inverse of `join`; errors name the argument by `name`."""
        raise NotImplementedError

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

    def identity(self, shape: tuple[int, ...] = (), dtype: Any = None) -> Element:
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

    def sample(self, key: Any, shape: tuple[int, ...] = (), dtype: Any = None) -> Element:
        keys = jax.random.split(key, len(self.factors))
        return self.join(*(factor.sample(k, shape, dtype) for factor, k in zip(self.factors, keys, strict=True)))

    def elements(self, dtype: Any = None) -> Element | None:
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

    def nodes(self, n: int | None = None, key: Any = None, dtype: Any = None, method: str = "auto") -> Nodes:
        """All combinations of the nodes of the factors, at most n where they can be so few.

        A finite factor gives all of its elements, and the others share the rest of n by their dimensions. A compact
        group with a factor of more than 5040 elements gives n random elements instead. By default a compact group
        takes the default nodes of its factors, another one 1000 a combination of its finite factors. With a method
        given, connected factors share one set of points in the cube of all their coordinates.
        """
        if method != "auto" and self.cube_dim is not None:
            return super().nodes(n, key, dtype, method)
        large = any((factor.order or 0) > MOST_ELEMENTS for factor in self.factors)
        if large and self.is_compact and n is not None and key is not None:
            return self.sample(key, (n,), dtype), jnp.full(n, 1 / n, float_dtype(dtype))
        keys = [None] * len(self.factors) if key is None else list(jax.random.split(key, len(self.factors)))
        rest = 1000 if n is None else n / math.prod(factor.order or 1 for factor in self.factors)
        default, dims, rules = n is None and self.is_compact, self.dim, {}
        for k in sorted(range(len(keys)), key=lambda k: not self.factors[k].is_compact):  # last what fills any share
            share = max(2, int(rest + 1e-9) if (dim := self.factors[k].dim) == dims else round(rest ** (dim / dims)))
            rules[k] = self.factors[k].nodes(None if default else share, keys[k], dtype, method)
            rest, dims = rest / (1 if self.factors[k].order else len(rules[k][1])), dims - dim
        elements, weights = map(_grid, zip(*(rules[k] for k in range(len(keys))), strict=True))
        return self.join(*elements), functools.reduce(jnp.multiply, weights)

    def adjoint(self, g: Element) -> Float[Array, "*batch dim dim"]:
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

    def parts(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for slot, factor in enumerate(self.factors):
            for name, part in factor.parts().items():
                unique = name if name not in found else f"{name} {slot + 1}"
                found[unique] = Part(self, slot, part)
        return found


@static
class Product(Composite):
    """Direct product, `Product(E(3), Permutation(n))`: elements are tuples with one element a factor."""

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


@static
class Semidirect(Composite):
    """ℝⁿ ⋊ H: maps x → A x + t with A in a group H of matrices; elements are `AffineElement(translation, linear)`.

    (t₁, A₁)(t₂, A₂) = (t₁ + A₁ t₂, A₁ A₂). Coordinates are those of the translation, then those of H:
    exp(v, a) = (φ(â) v, exp a) with φ(M) = (e^M − 1)/M.
    """

    translation: Translation
    linear: Group

    def __post_init__(self):
        if not isinstance(self.translation, Translation):
            raise TypeError(f"translation: expected groups.Translation(n), got {self.translation!r}")
        if getattr(self.linear, "size", None) != self.translation.n:
            raise ValueError(
                f"linear: expected a group of {self.translation.n} x {self.translation.n} matrices, got {self.linear!r}"
            )

    def __repr__(self):
        for named in (SE, E, Similarity, Affine):
            if self == named(self.translation.n):
                return f"{named.__name__}({self.translation.n})"
        return f"Semidirect({self.translation}, {self.linear})"

    @property
    def factors(self) -> tuple[Group, ...]:
        return self.translation, self.linear

    @property
    def is_orthogonal(self) -> bool:
        return self.linear.is_orthogonal

    def join(self, *elements: Element) -> AffineElement:
        return AffineElement(*elements)

    def split(self, g: Element, name: str = "g") -> tuple[Element, ...]:
        check_shape(self, g, name)
        return g.translation, g.linear

    def compose(self, g: Element, h: Element) -> AffineElement:
        (s, a), (t, b) = self.split(g), self.split(h, "h")
        linear = self.linear.compose(a, b)
        return AffineElement(s + _apply(a, t), linear)

    def inverse(self, g: Element) -> AffineElement:
        translation, linear = self.split(g)
        linear = self.linear.inverse(linear)
        return AffineElement(-_apply(linear, translation), linear)

    def exp(self, a: Float[Array, "*batch dim"]) -> AffineElement:
        v, b = self.split_coords(a)
        return AffineElement(_apply(self._phi(b), v), self.linear.exp(b))

    @of_elements
    def log(self, g: Element) -> Float[Array, "*batch dim"]:
        translation, linear = self.split(g)
        b = self.linear.log(linear)
        v = solve(self._phi(b), translation[..., None])[..., 0]
        return jnp.concatenate([v, b], axis=-1)

    def nodes(self, n: int | None = None, key: Any = None, dtype: Any = None, method: str = "auto") -> Nodes:
        """The nodes of both factors in all combinations, with weights of the left Haar measure ‖det A‖⁻¹ dt dμ(A)."""
        elements, weights = super().nodes(n, key, dtype, method)
        return elements, weights / jnp.abs(det(elements.linear))

    def adjoint(self, g: Element) -> Float[Array, "*batch dim dim"]:
        """Ad(t, A)(v, a) = (A v − (Ad(A) a)^ t, Ad(A) a)."""
        translation, linear = self.split(g)
        below = self.linear.adjoint(linear)
        turned = self.linear.hat(jnp.swapaxes(below, -1, -2))  # of each basis element
        beside = -jnp.swapaxes(_apply(turned, translation[..., None, :]), -1, -2)
        top = jnp.concatenate([linear, beside], axis=-1)
        return jnp.concatenate([top, jnp.concatenate([jnp.zeros_like(jnp.swapaxes(beside, -1, -2)), below], -1)], -2)

    def log_modular(self, g: Element) -> Float[Array, "*batch"]:
        return self.linear.log_modular(g.linear) - slogdet(g.linear)[1]

    def log_haar_coords(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        linear = self.linear.from_coords(self.split_coords(a)[1])
        return super().log_haar_coords(a) - slogdet(linear)[1]

    def _phi(self, b):
        if self.linear.dim == 0:
            return jnp.eye(self.translation.n, dtype=b.dtype)
        return exp_and_phi(self.linear.hat(b))[1]


@static
class Scaled(Composite, Matrices):
    """ℝ₊ × H for a group H of matrices with determinant ±1, as the matrices s A; coordinates (log s, those of H)."""

    group: Group
    scaling: Scaling = Scaling()

    def __post_init__(self):
        if not isinstance(self.group, Matrices) or isinstance(self.group, Scaled):
            raise TypeError(f"group: expected a group of matrices with determinant ±1, got {self.group!r}")

    def __repr__(self):
        named = isinstance(self.group, SL) and self == GLPlus(self.group.n)
        return f"GLPlus({self.group.n})" if named else f"Scaled({self.group})"

    @property
    def factors(self) -> tuple[Group, ...]:
        return self.scaling, self.group

    @property
    def size(self) -> int | None:
        return self.group.size

    def basis(self) -> np.ndarray:
        return np.concatenate([np.eye(self.group.size or 0)[None], self.group.basis()])

    def join(self, *elements: Element) -> Element:
        scale, matrix = elements
        return jnp.asarray(scale)[..., None, None] * matrix

    def split(self, g: Element, name: str = "g") -> tuple[Element, ...]:
        check_shape(self, g, name)
        scale = jnp.exp(slogdet(g)[1] / self.size)
        return scale, g / scale[..., None, None]

    def nodes(self, n: int | None = None, key: Any = None, dtype: Any = None, method: str = "auto") -> Nodes:
        """All combinations of the nodes of the factors; common quasi-random points if the group is not compact."""
        joint = method == "auto" and not self.group.is_compact
        return super().nodes(n, key, dtype, "quasi" if joint else method)

    def inverse(self, g: Element) -> Float[Array, "*batch n n"]:
        scale, matrix = self.split(g)
        invertible("g", g)
        return self.group.inverse(matrix) / scale[..., None, None]


@static
class Part:
    """One part of one factor of a composite group, the other factors at the identity."""

    whole: Composite
    slot: int
    part: Any

    @property
    def dim(self) -> int:
        return self.part.dim

    def exp(self, a: Float[Array, "*batch dim"]) -> Element:
        return self._embed(self.part.exp(a), a.shape[:-1], a.dtype)

    def tangents(self, dtype: Any = None) -> Element:
        others = [factor.identity(dtype=dtype) for factor in self.whole.factors]

        def along(tangent):
            join = lambda h: self.whole.join(*others[: self.slot], h, *others[self.slot + 1 :])  # noqa: E731
            return jax.jvp(join, (others[self.slot],), (tangent,))[1]

        return jax.vmap(along)(self.part.tangents(dtype))

    def sample(self, key: Any, shape: tuple[int, ...] = (), dtype: Any = None) -> Element:
        return self._embed(self.part.sample(key, shape, dtype), shape, dtype)

    def elements(self, dtype: Any = None) -> Element | None:
        elements = self.part.elements(dtype)
        return None if elements is None else self._embed(elements, jax.tree.leaves(elements)[0].shape[:1], dtype)

    def generators(self, dtype: Any = None) -> Element:
        """Generators of a discrete part."""
        elements = getattr(self.part, "generators", self.part.elements)(dtype)
        return self._embed(elements, jax.tree.leaves(elements)[0].shape[:1], dtype)

    def _embed(self, element, shape, dtype):
        others = [factor.identity(shape, dtype) for factor in self.whole.factors]
        others[self.slot] = element
        return self.whole.join(*others)


def SE(n: int) -> Semidirect:
    """Rotations and translations of ℝⁿ."""
    return Semidirect(Translation(n), SO(n))


def E(n: int) -> Semidirect:
    """Rotations, reflections and translations of ℝⁿ."""
    return Semidirect(Translation(n), O(n))


def Similarity(n: int) -> Semidirect:
    """Rotations, scalings and translations of ℝⁿ; the linear part is the matrix s R."""
    return Semidirect(Translation(n), Scaled(SO(n)))


def GLPlus(n: int) -> Scaled:
    """Matrices of positive determinant, A = s A₁ with A₁ in SL(n): coordinates log s, then those of SL(n), if n > 1."""
    return Scaled(SL(n) if n != 1 else SO(1))


def Affine(n: int) -> Semidirect:
    """Maps x → A x + t of ℝⁿ that keep the orientation, det A > 0."""
    return Semidirect(Translation(n), GLPlus(n))


def _apply(matrix, vector):
    return matmul(matrix, jnp.asarray(vector)[..., None])[..., 0]


def _grid(trees):
    """Each tree with its leading axis repeated so that together they run through all combinations, the last fastest."""
    lengths = [jax.tree.leaves(tree)[0].shape[0] for tree in trees]
    indices = np.indices(lengths).reshape(len(trees), -1)
    return [jax.tree.map(lambda x, i=i: x[i], tree) for tree, i in zip(trees, indices, strict=True)]
