"""Finite groups: cyclic, dihedral and polyhedral matrices, permutations, shifts of a grid."""

import abc
import functools
import itertools
import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from equijax._validate import integer, one_of
from equijax.groups.base import MOST_ELEMENTS, FiniteGroup, check_shape
from equijax.groups.constants import plane_rotation, reflection, snap
from equijax.groups.elements import Element, float_dtype, static
from equijax.groups.orthogonal import OrthogonalMatrices
from equijax.groups.parts import Mirror, Part


class FiniteMatrices(FiniteGroup, OrthogonalMatrices):
    """A finite group of orthogonal matrices; a subclass gives the table of them in float64.

    Examples:
        >>> from equijax import groups
        >>> @groups.static
        ... class Inversion(groups.FiniteMatrices):
        ...     n: int
        ...     def table(self):
        ...         return np.stack([np.eye(self.n), -np.eye(self.n)])
        >>> Inversion(3).order, Inversion(3) == Inversion(3)
        (2, True)
    """

    @abc.abstractmethod
    def table(self) -> np.ndarray:
        """All elements, the identity first, shape (order, n, n)."""

    @property
    def order(self) -> int:
        return len(self.table())

    @property
    def size(self) -> int:
        return self.table().shape[-1]

    def elements(self, dtype: DTypeLike | None = None) -> Float[Array, "order n n"]:
        _hold_closure(self)
        return jnp.asarray(self.table(), float_dtype(dtype))

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        g = jnp.asarray(g)
        apart = jnp.abs(g[..., None, :, :] - self.elements(g.dtype))
        return jnp.min(jnp.max(apart, axis=(-2, -1)), axis=-1)  # from the nearest element

    def parts(self) -> dict[str, Part]:
        return {"rotation": self}


@functools.cache
def _hold_closure(group: FiniteMatrices) -> None:
    """Raise a ValueError, once a group, unless its table holds the identity first and the product of any two of it.

    Of tables of more than 256 elements the identity alone is looked at.
    """
    table = np.asarray(group.table(), float)
    if not np.allclose(table[0], np.eye(table.shape[-1]), atol=1e-6):
        raise ValueError(f"table: expected the identity as the first element of {group}, got {table[0].tolist()}")
    if len(table) > 256:
        return
    for i, a in enumerate(table):
        apart = np.abs((a @ table)[:, None] - table).max(axis=(-2, -1)).min(axis=-1)  # to the nearest element
        j = np.argmax(apart)
        if apart[j] > 1e-6:
            raise ValueError(f"table: element {i} times element {j} is not in the table of {group}, so it is no group")


@static
class Cyclic(FiniteMatrices):
    """C_n: turns of the plane by multiples of 2π/n, element k by 2πk/n.

    Examples:
        >>> Cyclic(4).table()[1].tolist()
        [[0.0, -1.0], [1.0, 0.0]]
    """

    n: int

    def __post_init__(self):
        integer("n", self.n, 1)

    def generators(self, dtype: DTypeLike | None = None) -> Float[Array, "generators 2 2"]:
        return self.elements(dtype)[-1:]

    @functools.cache  # noqa: B019
    def table(self) -> np.ndarray:
        return plane_rotation(2 * np.pi * np.arange(self.n) / self.n)


@static
class Dihedral(FiniteMatrices):
    """D_n, of order 2n: the turns r^k of C_n, then r^k s with the reflection s = diag(−1, 1).

    Examples:
        >>> Dihedral(4).order, Dihedral(4).table()[4].tolist()
        (8, [[-1.0, 0.0], [0.0, 1.0]])
    """

    n: int

    def __post_init__(self):
        integer("n", self.n, 1)

    @functools.cache  # noqa: B019
    def table(self) -> np.ndarray:
        turns = Cyclic(self.n).table()
        return np.concatenate([turns, turns @ np.array(reflection(2)) + 0.0])

    def parts(self) -> dict[str, Part]:
        return {"rotation": Cyclic(self.n), "reflection": Mirror(reflection(2))}


@static
class Polyhedral(FiniteMatrices):
    """The turns, or all symmetries, of a regular polyhedron whose two-fold (or four-fold) axes are x, y and z.

    Raises:
        ValueError: If the kind is none of "tetrahedron", "octahedron" and "icosahedron".

    Examples:
        >>> from equijax import groups
        >>> turns, all_of_them = (groups.Polyhedral("octahedron", reflections) for reflections in (False, True))
        >>> len(turns.elements()), len(all_of_them.elements())
        (24, 48)
    """

    kind: str
    reflections: bool = False

    def __post_init__(self):
        one_of("kind", self.kind, _TURNS)

    @functools.cache  # noqa: B019
    def table(self) -> np.ndarray:
        return _closure(self._generators)

    def generators(self, dtype: DTypeLike | None = None) -> Float[Array, "generators 3 3"]:
        return jnp.asarray(np.stack(self._generators), float_dtype(dtype))

    def parts(self) -> dict[str, Part]:
        rotation = Polyhedral(self.kind)
        return {"rotation": rotation} | ({"reflection": Mirror(self._mirror)} if self.reflections else {})

    @property
    def _generators(self):
        return [_CYCLE, *_TURNS[self.kind], *([np.array(self._mirror)] if self.reflections else [])]

    @property
    def _mirror(self):
        return _SWAP if self.kind == "tetrahedron" else reflection(3)


def Tetrahedral(reflections: bool = False) -> Polyhedral:
    """T, the 12 turns of the tetrahedron; with reflections T_d, of order 24, whose mirrors contain its edges.

    Examples:
        >>> Tetrahedral().order, Tetrahedral(reflections=True).order
        (12, 24)
    """
    return Polyhedral("tetrahedron", reflections)


def Octahedral(reflections: bool = False) -> Polyhedral:
    """O, the 24 turns of the cube; with reflections O_h, the 48 signed permutation matrices.

    Examples:
        >>> Octahedral().order, Octahedral(reflections=True).order
        (24, 48)
    """
    return Polyhedral("octahedron", reflections)


def Icosahedral(reflections: bool = False) -> Polyhedral:
    """I, the 60 turns of the icosahedron with vertices (0, ±1, ±φ) and cyclic; with reflections I_h, of order 120.

    Examples:
        >>> Icosahedral().order, Icosahedral(reflections=True).order
        (60, 120)
    """
    return Polyhedral("icosahedron", reflections)


@static
class Permutation(FiniteGroup):
    """S_n: integer arrays p of shape (..., n) that send place i to place p_i, so (p x)_i = x_{p⁻¹(i)}.

    Examples:
        >>> Permutation(3).inverse(jnp.array([1, 2, 0])).tolist(), Permutation(3).order
        ([2, 0, 1], 6)
    """

    n: int

    def __post_init__(self):
        integer("n", self.n, 1)

    @property
    def order(self) -> int:
        return math.factorial(self.n)

    def identity(self, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> Int[Array, "*batch n"]:
        return jnp.broadcast_to(jnp.arange(self.n), (*shape, self.n))

    def compose(self, g: Element, h: Element) -> Int[Array, "*batch n"]:
        check_shape(self, g)
        check_shape(self, h, "h")
        g, h = jnp.broadcast_arrays(g, h)
        return jnp.take_along_axis(g, h, axis=-1)

    def generators(self, dtype: DTypeLike | None = None) -> Int[Array, "generators n"]:
        """The swap of the first two places, and the cycle of all."""
        places = np.arange(self.n)
        swap = np.concatenate([places[:2][::-1], places[2:]])
        return jnp.asarray(np.stack([swap, np.roll(places, 1)]))

    def inverse(self, g: Element) -> Int[Array, "*batch n"]:
        check_shape(self, g)
        return jnp.argsort(g, axis=-1)

    def elements(self, dtype: DTypeLike | None = None) -> Int[Array, "order n"] | None:
        if self.order > MOST_ELEMENTS:
            return None
        return jnp.asarray(list(itertools.permutations(range(self.n))))

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
    ) -> Int[Array, "*batch n"]:
        return jax.random.permutation(key, self.identity(shape), axis=-1, independent=True)

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        return jnp.max(jnp.abs(jnp.sort(g, axis=-1) - jnp.arange(self.n)), axis=-1).astype(float_dtype())

    def parts(self) -> dict[str, Part]:
        return {"permutation": self}


@static
class Shift(FiniteGroup):
    """Periodic shifts of a grid: integers of shape (..., axes), in points, multiples of `step` modulo `sizes`.

    Raises:
        ValueError: If a size is not a multiple of the step, so that the shifts would not close.

    Examples:
        >>> Shift((4, 6), step=2).compose(jnp.array([2, 4]), jnp.array([2, 4])).tolist()
        [0, 2]
    """

    sizes: tuple[int, ...]
    step: int = 1

    def __init__(self, sizes: int | Sequence[int], step: int = 1):
        several = np.ravel(np.asarray(sizes, object))
        object.__setattr__(self, "sizes", tuple(integer("sizes", size, 1) for size in several))
        object.__setattr__(self, "step", integer("step", step, 1))
        if any(size % self.step for size in self.sizes):
            raise ValueError(f"sizes: expected multiples of step = {self.step}, got {self.sizes}; crop or pad the grid")

    @property
    def order(self) -> int:
        return math.prod(self._counts)

    def identity(self, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> Int[Array, "*batch axes"]:
        return jnp.zeros((*shape, len(self.sizes)), jnp.result_type(int))

    def compose(self, g: Element, h: Element) -> Int[Array, "*batch axes"]:
        check_shape(self, g)
        check_shape(self, h, "h")
        return (jnp.asarray(g) + h) % np.array(self.sizes)

    def inverse(self, g: Element) -> Int[Array, "*batch axes"]:
        check_shape(self, g)
        return -jnp.asarray(g) % np.array(self.sizes)

    def generators(self, dtype: DTypeLike | None = None) -> Int[Array, "generators axes"]:
        """A step along each axis."""
        return self.step * jnp.eye(len(self.sizes), dtype=jnp.result_type(int))

    def elements(self, dtype: DTypeLike | None = None) -> Int[Array, "order axes"] | None:
        if self.order > MOST_ELEMENTS:
            return None
        return self.step * jnp.asarray(list(np.ndindex(self._counts)))

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
    ) -> Int[Array, "*batch axes"]:
        return self.step * jax.random.randint(key, (*shape, len(self.sizes)), 0, np.array(self._counts))

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        return jnp.max(jnp.asarray(g) % self.step, axis=-1).astype(float_dtype())

    def parts(self) -> dict[str, Part]:
        return {"shift": self}

    @property
    def _counts(self) -> tuple[int, ...]:
        return tuple(size // self.step for size in self.sizes)


_CYCLE = np.eye(3)[[2, 0, 1]]  # x → y → z → x
_SWAP = ((0.0, 1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0))
_PHI = (1 + 5**0.5) / 2
_TURNS = {  # one more turn beside _CYCLE generates each group
    "tetrahedron": [np.diag([1.0, -1.0, -1.0])],
    "octahedron": [np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])],
    "icosahedron": [
        np.diag([1.0, -1.0, -1.0]),
        np.array([[1 / _PHI, -_PHI, 1.0], [_PHI, 1.0, 1 / _PHI], [-1.0, 1 / _PHI, _PHI]]) / 2,  # 2π/5 about (0, 1, φ)
    ],
}


def _closure(generators: list[np.ndarray]) -> np.ndarray:
    """All products of the generators, the identity first, each polished by a Newton step towards orthogonality."""
    found: dict[bytes, np.ndarray] = {}
    queue = [np.eye(len(generators[0]))]
    for matrix in queue:
        mark = (np.round(matrix, 6) + 0.0).tobytes()
        if mark not in found:
            found[mark] = matrix
            queue.extend(_polish(generator @ matrix) for generator in generators)
    return np.stack(list(found.values()))


def _polish(matrix: np.ndarray) -> np.ndarray:
    return snap(1.5 * matrix - 0.5 * matrix @ matrix.T @ matrix)
