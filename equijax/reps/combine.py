"""Representations made of others."""

import functools
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equijax import groups
from equijax.groups import Group, static
from equijax.numerics import inv
from equijax.reps.base import Rep

T = TypeVar("T")


@static
class _Several(Rep):
    """A representation made of several, given one after the other."""

    reps: tuple[Any, ...]

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


@_keeping_constructor
class Sum(_Several):
    """Direct sum: the representations one after the other along the last axis."""

    @property
    def dim(self) -> int | None:
        dims = [rep.dim for rep in self.reps]
        return None if None in dims else sum(dim for dim in dims if dim)

    def matrix(self, g: Any) -> Float[Array, "dim dim"]:
        return jax.scipy.linalg.block_diag(*(rep.matrix(g) for rep in self.reps))

    def check(self, group: Group) -> None:
        super().check(group)
        self.dim_of(group)


@_keeping_constructor
class TensorProduct(_Several):
    """Tensor product on the last axis, flattened in row-major order: the Kronecker product of the matrices."""

    @property
    def dim(self) -> int | None:
        dims = [rep.dim for rep in self.reps]
        return None if None in dims else int(np.prod([dim for dim in dims if dim is not None]))

    def matrix(self, g: Any) -> Float[Array, "dim dim"]:
        return functools.reduce(jnp.kron, [rep.matrix(g) for rep in self.reps])

    def check(self, group: Group) -> None:
        super().check(group)
        self.dim_of(group)


@static
class Dual(Rep):
    """Dual representation on the last axis, with the matrix ρ(g)⁻ᵀ; the same as ρ where ρ is orthogonal."""

    rep: Rep

    @property
    def dim(self) -> int | None:
        return self.rep.dim

    def matrix(self, g: Any) -> Float[Array, "dim dim"]:
        return inv(self.rep.matrix(g)).T

    def check(self, group: Group) -> None:
        self.rep.check(group)
        self.dim_of(group)


@_keeping_constructor
class Joint(_Several):
    """One element acts by several representations, each on axes of its own, such as `Joint(Image(), Vector())`."""

    def act(self, g: Any, x: Any) -> Any:
        return functools.reduce(lambda y, rep: rep.act(g, y), self.reps, x)


@_keeping_constructor
class Product(_Several):
    """One representation a factor of `groups.Product`, each on axes of its own; None leaves a factor without effect.

    `Product(Position(), Permutation(-2))` moves atoms for `groups.Product(E(3), Permutation(n))`.
    """

    def act(self, g: Any, x: Any) -> Any:
        if isinstance(g, groups.AffineElement) or not isinstance(g, tuple) or len(g) != len(self.reps):
            raise TypeError(f"g: {self} expected a tuple of {len(self.reps)} elements, one a factor of groups.Product")
        for rep, h in zip(self.reps, g, strict=True):
            x = rep.act(h, x) if rep else x
        return x

    def check(self, group: Group) -> None:
        if not isinstance(group, groups.Product) or len(group.groups) != len(self.reps):
            raise TypeError(f"group: {self} acts for a groups.Product of {len(self.reps)} factors, got {group}")
        for rep, factor in zip(self.reps, group.groups, strict=True):
            if rep:
                rep.check(factor)


@static
class Ignore(Rep):
    """An output that is not compared."""

    @property
    def whole(self) -> bool:
        return True

    def act(self, g: Any, x: Any) -> Any:
        return x

    def check(self, group: Group) -> None:
        pass


@static
class Quadrature(Ignore):
    """An input that is nodes of an integral, (elements, weights): not moved, and counted by `check`.

    How far a function is from a symmetry then depends on how many there are, and the report says so beside the error.
    """
