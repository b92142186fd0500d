"""What a group is: the interface, and what all groups share."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, dataclass_transform

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from equijax._validate import floating, integer
from equijax.groups.quadrature import cube_points

Element: TypeAlias = Any  # an array, or a tuple of elements
Nodes: TypeAlias = tuple[Element, Float[Array, " nodes"]]

MOST_ELEMENTS = 5040  # finite groups up to this order (7!) are written out in full


@dataclass_transform(frozen_default=True)
def static(cls):
    """A frozen, hashable dataclass that jax takes as a pytree without leaves, and that prints as it is written.

    A subclass keeps the constructor of its base.
    """
    if cls.__repr__ is object.__repr__:
        cls.__repr__ = _repr
    init = cls.__init__ is object.__init__
    return jax.tree_util.register_static(dataclasses.dataclass(frozen=True, repr=False, init=init)(cls))


class AffineElement(NamedTuple):
    """The map x → A x + t."""

    translation: Any
    linear: Any


class Group:
    """A group: static and hashable, with arrays as elements.

    All methods are pure and broadcast over leading axes. Matrices act on columns from the left. A subclass gives
    `identity`, `compose`, `inverse`, `sample` and `from_cube` or `nodes`; with `dim > 0` also `exp` and `log`; `coords`
    where the logarithm is not a chart of the whole group.

    `dtype` is that of the elements that are real numbers, by default jax's default float.
    """

    @property
    def dim(self) -> int:
        """Dimension of the Lie algebra; 0 for a discrete group."""
        return 0

    @property
    def order(self) -> int | None:
        """Number of elements, None if infinite."""
        return None

    @property
    def size(self) -> int | None:
        """Number of rows of the elements, None if they are not matrices."""
        return None

    @property
    def is_finite(self) -> bool:
        return self.order is not None

    @property
    def is_compact(self) -> bool:
        return self.is_finite

    @property
    def is_orthogonal(self) -> bool:
        """Whether the elements, or their linear parts, are orthogonal matrices."""
        return False

    def identity(self, shape: tuple[int, ...] = (), dtype: Any = None) -> Element:
        """The neutral element, repeated to the leading axes `shape`."""
        raise NotImplementedError

    def compose(self, g: Element, h: Element) -> Element:
        """g h: first h, then g."""
        raise NotImplementedError

    def inverse(self, g: Element) -> Element:
        """g⁻¹."""
        raise NotImplementedError

    def exp(self, a: Float[Array, "*batch dim"]) -> Element:
        """Element of the one-parameter subgroup with the algebra coordinates `a`, at time 1."""
        check_coordinates(self, a)
        return self.identity(a.shape[:-1], a.dtype)

    def log(self, g: Element) -> Float[Array, "*batch dim"]:
        """Algebra coordinates with exp(log g) = g.

        Raises:
            ValueError: If `g` is no element, where its numbers are known; under `jax.jit` it gets NaN.
        """
        raise ValueError(f"log: {self} is discrete and has no logarithm; use its elements() instead")

    def basis(self) -> np.ndarray:
        """Matrices E_i that span the Lie algebra of a group of matrices, shape (dim, n, n), in float64."""
        raise NotImplementedError

    def hat(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch n n"]:
        """The matrix Σ_i a_i E_i of algebra coordinates, of groups of matrices."""
        raise NotImplementedError

    def tangents(self, dtype: Any = None) -> Element:
        """d exp(a) / da_i at a = 0, along a new leading axis: the basis of the Lie algebra in the form of elements."""
        return jnp.zeros((0, *jax.eval_shape(self.identity).shape), float_dtype(dtype))

    def coords(self, g: Element) -> Float[Array, "*batch dim"]:
        """Coordinates of the chart that covers the whole (connected) group; of what is no element as for `log`."""
        return self.log(g)

    def from_coords(self, a: Float[Array, "*batch dim"]) -> Element:
        """Inverse of `coords`."""
        return self.exp(a)

    def sample(self, key: Any, shape: tuple[int, ...] = (), dtype: Any = None) -> Element:
        """Random elements: Haar distributed on compact groups, exp of standard normal coordinates elsewhere."""
        raise NotImplementedError

    def nodes(self, n: int | None = None, key: Any = None, dtype: Any = None, method: str = "auto") -> Nodes:
        """Elements and weights that stand for the left Haar integral, Σ_j w_j F(g_j) ≈ ∫ F dμ.

        Args:
            n: Most elements to return, 100 by default; finite groups return all of theirs.
            key: If given, the nodes are moved at random, so that the sum is unbiased.
            dtype: Of elements and weights.
            method: "quasi", "equispaced", "gauss", "stratified" or "random", see `cube_points`; "auto" is the best that
                is known for the group.

        Returns:
            The pair (elements, weights); the weights sum to one on compact groups, and stand for the measure in the
            stated window elsewhere.
        """
        if self.cube_dim is None:
            raise NotImplementedError
        n, dtype = 100 if n is None else integer("n", n, 1), float_dtype(dtype)
        points, weights = cube_points("quasi" if method == "auto" else method, n, self.cube_dim, key, dtype)
        elements, density = _from_cube(self, points)
        return jax.tree.map(lambda x: x.astype(dtype), (elements, weights * density))

    @property
    def cube_dim(self) -> int | None:
        """Dimension of the cube that `from_cube` maps to the group, None if it does not."""
        return None

    def from_cube(self, u: Float[Array, "*batch cube"]) -> tuple[Element, Float[Array, "*batch"]]:
        """Elements for points of the unit cube, and the density of the Haar measure over that of the points."""
        raise NotImplementedError

    def adjoint(self, g: Element) -> Float[Array, "*batch dim dim"]:
        """The matrix Ad(g) on algebra coordinates: g exp(a) g⁻¹ = exp(Ad(g) a)."""
        eye = jnp.eye(self.dim, dtype=jnp.result_type(float, *jax.tree.leaves(g)))  # all elements commute
        return jnp.broadcast_to(eye, (*batch_shape(self, g), self.dim, self.dim))

    def log_modular(self, g: Element) -> Float[Array, "*batch"]:
        """log Δ(g) = −log ‖det Ad(g)‖: right translation by g multiplies the left Haar measure of a set by Δ(g)."""
        return jnp.zeros(batch_shape(self, g))

    def log_haar_coords(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        """Logarithm of the density of the left Haar measure in the chart of `coords`, zero at the identity."""
        return jnp.zeros(a.shape[:-1], a.dtype)

    def elements(self, dtype: Any = None) -> Element | None:
        """All elements along a new leading axis, or None if there are infinitely (or very) many."""
        return None

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        """How far `g` is from being an element: zero up to rounding for elements, NaN where numbers of `g` are."""
        return jnp.zeros(batch_shape(self, g))

    def parts(self) -> dict[str, Any]:
        """The factors that can break on their own, such as rotation, reflection, translation, scaling, shear and boost.

        Each has `dim`, `sample(key, shape, dtype)` and `elements(dtype)`, and `exp(a)` and `tangents(dtype)` if
        `dim > 0`; all of them return elements of this group, with the other factors at the identity.
        """
        raise NotImplementedError


class FiniteGroup(Group):
    """A group given by the table of its elements, the identity first."""

    @property
    def order(self) -> int:
        raise NotImplementedError

    def elements(self, dtype: Any = None) -> Element | None:
        raise NotImplementedError

    def generators(self, dtype: Any = None) -> Element:
        """Elements whose products are all elements, along a new leading axis."""
        return self.elements(dtype)

    def sample(self, key: Any, shape: tuple[int, ...] = (), dtype: Any = None) -> Element:
        table = self.elements(dtype)
        index = jax.random.randint(key, shape, 0, self.order)
        return jax.tree.map(lambda x: x[index], table)

    def nodes(self, n: int | None = None, key: Any = None, dtype: Any = None, method: str = "auto") -> Nodes:
        elements = self.elements(dtype)
        if elements is None:
            if n is None or key is None:
                raise ValueError(f"nodes: {self} has {self.order} elements, too many to list; pass both n and key")
            return self.sample(key, (n,), dtype), jnp.full(n, 1 / n, float_dtype(dtype))
        return elements, jnp.full(self.order, 1 / self.order, float_dtype(dtype))


def linear_part(g: Element) -> jax.Array:
    """The matrix of a group element's linear part, by the element's type.

    A pair (translation, linear) gives its linear part, a matrix itself, a translation the identity matrix, and a
    scaling stays the number that it is.

    Raises:
        TypeError: If `g` belongs to a product of groups, or holds integers.
        ValueError: If `g` is a batch of elements.
    """
    g = g.linear if isinstance(g, AffineElement) else g
    if isinstance(g, tuple):
        raise TypeError(
            f"g: expected an element of one group, got a tuple of {len(g)}, an element of a product of groups; "
            "use reps.Product with one representation a factor"
        )
    g = jnp.asarray(g)
    if not jnp.issubdtype(g.dtype, jnp.floating):
        raise TypeError(
            f"g: expected a matrix or a translation, got {g.dtype.name} of shape {g.shape}; "
            "permutations and shifts act by reps.Permutation, reps.Index and reps.Shift"
        )
    if g.ndim == 1:
        return jnp.eye(g.shape[0], dtype=g.dtype)
    if g.ndim > 2 or (g.ndim == 2 and g.shape[0] != g.shape[1]):
        raise ValueError(f"g: expected one element, a square matrix, got shape {g.shape}; use jax.vmap for a batch")
    return g


def float_dtype(dtype: Any = None) -> Any:
    """`dtype`, or jax's default float."""
    return jnp.result_type(float) if dtype is None else dtype


@functools.partial(jax.jit, static_argnums=0)
def _from_cube(group, u):  # one program, where every operation on its own would be compiled too
    return group.from_cube(u)


def check_coordinates(group: Group, a: Any) -> None:
    """Raise unless `a` holds algebra coordinates of `group`."""
    if not jnp.issubdtype(jnp.result_type(a), jnp.floating):
        raise TypeError(f"a: expected real floating-point coordinates, got {jnp.result_type(a).name}")
    if np.shape(a)[-1:] != (group.dim,):
        raise ValueError(f"a: {group} has coordinates of shape (..., {group.dim}), got {np.shape(a)}")


def check_shape(group: Group, g: Element, name: str = "g") -> None:
    """Raise unless `g` has the structure, the shape and the kind of numbers of elements of `group`."""
    single = _single(group)
    leaves, singles = jax.tree.leaves(g), jax.tree.leaves(single)
    structure: Any = jax.tree.structure(g)
    if structure != jax.tree.structure(single):
        kind = type(single).__name__ if isinstance(single, tuple) else "array"
        raise TypeError(f"{name}: expected elements of {group}, of type {kind}, got {type(g).__name__}")
    for leaf, one in zip(leaves, singles, strict=True):
        if jnp.issubdtype(one.dtype, jnp.floating):
            floating(name, leaf)
        if jnp.ndim(leaf) < one.ndim or jnp.shape(leaf)[jnp.ndim(leaf) - one.ndim :] != one.shape:
            shape = ", ".join(["...", *map(str, one.shape)])
            raise ValueError(f"{name}: expected elements of {group}, shape ({shape}), got {jnp.shape(leaf)}")


def check_element(group: Group, g: Element, name: str = "g") -> None:
    """Raise unless `g` holds elements of `group`; looks at the shapes only where the numbers are not known."""
    check_shape(group, g, name)
    if not _is_known(g):
        return
    with jax.ensure_compile_time_eval():  # also while something else is being traced
        if not np.all(is_element(group, g)):
            violation = np.max(np.asarray(group.violation(g)))
            raise ValueError(
                f"{name}: expected elements of {group}, got what is not, by {violation:.1e}; "
                "group.violation(g) tells how far each one is"
            )


def is_element(group: Group, g: Element) -> Bool[Array, "*batch"]:
    """Whether `g` is an element of `group` to half of the digits of its numbers."""
    real = [leaf.dtype for leaf in map(jnp.asarray, jax.tree.leaves(g)) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    tolerance = jnp.finfo(jnp.result_type(*real)).eps ** 0.5 if real else 0
    return jax.lax.stop_gradient(group.violation(jax.lax.stop_gradient(g))) <= tolerance


def of_elements(method: Callable) -> Callable:
    """Coordinates of elements: what is none is refused where its numbers are known, and gets NaN elsewhere."""

    @functools.wraps(method)
    def checked(self, g):
        check_element(self, g)
        found = method(self, g)
        return found if _is_known(g) else jnp.where(is_element(self, g)[..., None], found, jnp.nan)

    return checked


def _is_known(g):
    return not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(g))


def batch_shape(group: Group, g: Element) -> tuple[int, ...]:
    """The leading axes of a batch of elements."""
    leaf, single = (jax.tree.leaves(x)[0] for x in (g, _single(group)))
    return jnp.shape(leaf)[: jnp.ndim(leaf) - single.ndim]


@functools.cache
def _single(group):
    """Shapes of one element."""
    return jax.eval_shape(group.identity)


def _repr(self):
    required = [f for f in dataclasses.fields(self) if f.default is dataclasses.MISSING]
    changed = [f for f in dataclasses.fields(self) if f not in required and getattr(self, f.name) != f.default]
    shown = [repr(getattr(self, f.name)) for f in required] + [f"{f.name}={getattr(self, f.name)!r}" for f in changed]
    return f"{type(self).__name__}({', '.join(shown)})"
