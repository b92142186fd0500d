"""Representations made of others."""

import functools
import math
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from equijax import groups
from equijax.groups import Group, static
from equijax.numerics import inv
from equijax.reps.base import Rep

T = TypeVar("T")


@static
class _Several(Rep):
    """A representation made of several, given one after the other."""

    reps: tuple[Rep, ...]

    def __init__(self, *reps: Rep | None):
        if not reps:
            raise ValueError("reps: expected at least one representation, got none")
        for i, rep in enumerate(reps):
            if not isinstance(rep, Rep) and not (rep is None and isinstance(self, Product)):
                raise TypeError(f"reps: expected representations, got {rep!r} of type {type(rep).__name__} at {i}")
        object.__setattr__(self, "reps", reps)

    def __repr__(self):
        return f"{type(self).__name__}({', '.join(map(repr, self.reps))})"

    @property
    def approximate(self) -> bool:
        return any(rep.approximate for rep in self.reps if rep)

    def check(self, group: Group) -> None:
        for rep in self.reps:
            rep.check(group)


def _keeping_constructor(cls: type[T]) -> type[T]:
    """`static` for a subclass without fields of its own: a type checker sees the constructor of the base."""
    return static(cls)


class _OnOneAxis(_Several):
    """Several linear ones, whose matrices together are that of one."""

    def check(self, group: Group) -> None:
        super().check(group)
        self.dim_of(group)


@_keeping_constructor
class Sum(_OnOneAxis):
    """Direct sum: the representations one after the other along the last axis.

    Examples:
        >>> from equijax.reps import Scalar, Vector
        >>> quarter = jnp.array([[0.0, -1.0], [1.0, 0.0]])
        >>> Sum(Scalar(), Vector()).act(quarter, jnp.array([5.0, 1.0, 0.0])).tolist()
        [5.0, 0.0, 1.0]
    """

    @property
    def dim(self) -> int | None:
        dims = [rep.dim for rep in self.reps]
        return None if None in dims else sum(dim for dim in dims if dim)

    def matrix(self, g: groups.Element) -> Float[Array, "dim dim"]:
        return jax.scipy.linalg.block_diag(*(rep.matrix(g) for rep in self.reps))


@_keeping_constructor
class TensorProduct(_OnOneAxis):
    """Tensor product on the last axis, flattened in row-major order: the Kronecker product of the matrices.

    Examples:
        >>> from equijax.reps import Vector
        >>> double = TensorProduct(Vector(), Vector())
        >>> double.dim_of(groups.SO(3))
        9
        >>> double.act(2 * jnp.eye(2), jnp.arange(4.0)).tolist()
        [0.0, 4.0, 8.0, 12.0]
    """

    @property
    def dim(self) -> int | None:
        dims = [rep.dim for rep in self.reps]
        return None if None in dims else int(np.prod([dim for dim in dims if dim is not None]))

    def matrix(self, g: groups.Element) -> Float[Array, "dim dim"]:
        return functools.reduce(jnp.kron, [rep.matrix(g) for rep in self.reps])


@static
class Dual(Rep):
    """Dual representation on the last axis, with the matrix ρ(g)⁻ᵀ; the same as ρ where ρ is orthogonal.

    Examples:
        The pairing of a vector with a dual vector is an invariant:

        >>> from equijax.reps import Vector
        >>> a, v = jnp.array([[2.0, 1.0], [0.0, 1.0]]), jnp.array([1.0, 3.0])
        >>> float(Dual(Vector()).act(a, v) @ Vector().act(a, v)), float(v @ v)
        (10.0, 10.0)
    """

    rep: Rep

    @property
    def dim(self) -> int | None:
        return self.rep.dim

    def matrix(self, g: groups.Element) -> Float[Array, "dim dim"]:
        return inv(self.rep.matrix(g)).T

    def check(self, group: Group) -> None:
        self.rep.check(group)
        self.dim_of(group)


@_keeping_constructor
class Joint(_Several):
    """One element acts by several representations, each on axes of its own.

    Examples:
        A field of vectors on pixels: a quarter turn moves the pixels, and turns the vector at each of them.

        >>> from equijax.reps import Image, Vector
        >>> field = jnp.zeros((3, 3, 2)).at[0, 0].set(jnp.array([1.0, 0.0]))
        >>> turned = Joint(Image(), Vector()).act(jnp.array([[0.0, -1.0], [1.0, 0.0]]), field)
        >>> turned[2, 0].tolist()
        [0.0, 1.0]
    """

    def act(self, g: groups.Element, x: PyTree) -> PyTree:
        return functools.reduce(lambda y, rep: rep.act(g, y), self.reps, x)


@_keeping_constructor
class Product(_Several):
    """One representation a factor of `groups.Product`, each on axes of its own; None leaves a factor without effect.

    `Product(Position(), Permutation(-2))` moves atoms for `groups.Product(E(3), Permutation(n))`.

    Examples:
        >>> from equijax.reps import Permutation, Vector
        >>> turn_and_swap = (jnp.array([[0.0, -1.0], [1.0, 0.0]]), jnp.array([1, 0]))
        >>> atoms = jnp.array([[1.0, 0.0], [2.0, 0.0]])
        >>> Product(Vector(), Permutation(-2)).act(turn_and_swap, atoms).tolist()
        [[0.0, 2.0], [0.0, 1.0]]

    Linear representations make an outer product, ρ₁(g₁) ⊗ ρ₂(g₂) ⊗ …: its `matrix` is their Kronecker product, for the
    axes of the factors in the order of the factors, flattened into one.
    """

    @property
    def dim(self) -> int | None:
        dims = [rep.dim if rep else 1 for rep in self.reps]
        return None if None in dims else math.prod(dim for dim in dims if dim is not None)

    def matrix(self, g: groups.Element) -> Float[Array, "dim dim"]:
        pairs = zip(self.reps, self._split(g), strict=True)
        return functools.reduce(jnp.kron, [rep.matrix(h) if rep else jnp.ones((1, 1)) for rep, h in pairs])

    def act(self, g: groups.Element, x: PyTree) -> PyTree:
        for rep, h in zip(self.reps, self._split(g), strict=True):
            x = rep.act(h, x) if rep else x
        return x

    def _split(self, g: groups.Element) -> tuple[groups.Element, ...]:
        """One element a factor."""
        if isinstance(g, groups.AffineElement) or not isinstance(g, tuple) or len(g) != len(self.reps):
            raise TypeError(f"g: {self} expected a tuple of {len(self.reps)} elements, one a factor of groups.Product")
        return g

    def check(self, group: Group) -> None:
        if not isinstance(group, groups.Product) or len(group.groups) != len(self.reps):
            raise TypeError(f"group: {self} acts for a groups.Product of {len(self.reps)} factors, got {group}")
        for rep, factor in zip(self.reps, group.groups, strict=True):
            if rep:
                rep.check(factor)


@static
class Ignore(Rep):
    """Marks an output that is not compared, such as an index or a random key. No input is marked so: see `Quadrature`.

    Examples:
        >>> from equijax import Symmetry, reps
        >>> Symmetry(groups.SO(3), inputs=reps.Vector(), outputs=(reps.Vector(), Ignore()))
        Symmetry(SO(3), inputs=Vector(), outputs=(Vector(), Ignore()))
    """

    @property
    def whole(self) -> bool:
        return True

    def act(self, g: groups.Element, x: PyTree) -> PyTree:
        return x

    def check(self, group: Group) -> None:
        pass


@static
class Quadrature(Rep):
    """Marks an input that is nodes of an integral, (elements, weights): not moved, and counted by `check`.

    How far a function is from a symmetry then depends on how many there are, and the report says so beside the error.

    Examples:
        >>> from equijax import Symmetry, reps
        >>> Symmetry(groups.SO(2), inputs=(reps.Vector(), Quadrature()), outputs=None)
        Symmetry(SO(2), inputs=(Vector(), Quadrature()), outputs=None)
    """

    @property
    def whole(self) -> bool:
        return True

    def act(self, g: groups.Element, x: PyTree) -> PyTree:
        return x

    def check(self, group: Group) -> None:
        pass
