"""What a group is: the interface, and what all groups share."""

import abc
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike, DTypeLike
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from equijax._validate import floating, integer
from equijax.groups.elements import Element, Nodes, float_dtype
from equijax.groups.parts import Part, missing
from equijax.groups.quadrature import check_method, cube_points

MOST_ELEMENTS = 5040  # finite groups up to this order (7!) are written out in full


class Group(Part):
    """A group: static and hashable, with arrays as elements.

    All methods are pure and broadcast over leading axes. Matrices act on columns from the left.

    A subclass has to give `identity`, `compose`, `inverse` and `sample`, or it cannot be made. What else it gives is
    what it can be used for: `parts` for checks and linear maps; `cube_dim` and `from_cube`, or `nodes`, for averages;
    with `dim > 0` also `exp`, `log` and `tangents`, and `coords` where the logarithm is not a chart of the whole group.
    Each of these says its name when it is called and missing.

    `dtype` is that of the elements that are real numbers, by default jax's default float.

    Examples:
        The real numbers without zero, under multiplication:

        >>> from equijax import groups
        >>> @groups.static
        ... class Reals(groups.Group):
        ...     def identity(self, shape=(), dtype=None):
        ...         return jnp.ones(shape, dtype)
        ...     def compose(self, g, h):
        ...         return g * h
        ...     def inverse(self, g):
        ...         return 1 / g
        ...     def sample(self, key, shape=(), dtype=None):
        ...         return jnp.exp(jax.random.normal(key, shape)) * jax.random.rademacher(key, shape)
        >>> Reals().parts()
        Traceback (most recent call last):
            ...
        NotImplementedError: parts: Reals() does not say what can break on its own; implement Reals.parts
    """

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

    @abc.abstractmethod
    def identity(self, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> Element:
        """The neutral element, repeated to the leading axes `shape`."""

    @abc.abstractmethod
    def compose(self, g: Element, h: Element) -> Element:
        """g h: first h, then g."""

    @abc.abstractmethod
    def inverse(self, g: Element) -> Element:
        """g⁻¹."""

    def exp(self, a: Float[Array, "*batch dim"]) -> Element:
        """Element of the one-parameter subgroup with the algebra coordinates `a`, at time 1."""
        if self.dim:
            return super().exp(a)
        check_coordinates(self, a)
        return self.identity(a.shape[:-1], a.dtype)

    def log(self, g: Element) -> Float[Array, "*batch dim"]:
        """Algebra coordinates with exp(log g) = g.

        Raises:
            ValueError: If `g` is no element, where its numbers are known; under `jax.jit` it gets NaN.
        """
        if self.dim:
            raise missing(self, "log", "the inverse of its exponential")
        raise ValueError(f"log: {self} is discrete and has no logarithm; use its elements() instead")

    def basis(self) -> np.ndarray:
        """Matrices E_i that span the Lie algebra of a group of matrices, shape (dim, n, n), in float64."""
        raise missing(self, "basis", "which matrices span its Lie algebra")

    def hat(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch n n"]:
        """The matrix Σ_i a_i E_i of algebra coordinates, of groups of matrices."""
        raise missing(self, "hat", "the matrix of algebra coordinates")

    def tangents(self, dtype: DTypeLike | None = None) -> Element:
        """d exp(a) / da_i at a = 0, along a new leading axis: the basis of the Lie algebra in the form of elements."""
        if self.dim:
            return super().tangents(dtype)
        return jnp.zeros((0, *jax.eval_shape(self.identity).shape), float_dtype(dtype))

    def coords(self, g: Element) -> Float[Array, "*batch dim"]:
        """Coordinates of the chart that covers the whole (connected) group; of what is no element as for `log`."""
        return self.log(g)

    def from_coords(self, a: Float[Array, "*batch dim"]) -> Element:
        """Inverse of `coords`."""
        return self.exp(a)

    def nodes(
        self,
        n: int | None = None,
        key: PRNGKeyArray | None = None,
        dtype: DTypeLike | None = None,
        method: str = "auto",
    ) -> Nodes:
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
            raise missing(self, "nodes", "which elements stand for an integral over it")
        n, dtype = 100 if n is None else integer("n", n, 1), float_dtype(dtype)
        points, weights = cube_points(method, n, self.cube_dim, key, dtype)
        elements, density = _from_cube(self, points)
        return jax.tree.map(lambda x: x.astype(dtype), (elements, weights * density))

    @property
    def cube_dim(self) -> int | None:
        """Dimension of the cube that `from_cube` maps to the group, None if it does not."""
        return None

    def from_cube(self, u: Float[Array, "*batch cube"]) -> tuple[Element, Float[Array, "*batch"]]:
        """Elements for points of the unit cube, and the density of the Haar measure over that of the points."""
        raise missing(self, "from_cube", "how the unit cube covers it")

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

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        """How far `g` is from being an element: zero up to rounding for elements, NaN where numbers of `g` are."""
        return jnp.zeros(batch_shape(self, g))

    def parts(self) -> dict[str, Part]:
        """The factors that can break on their own, such as rotation, reflection, translation, scaling, shear and boost.

        Their elements are elements of this group, with the other factors at the identity. A group that does not come
        apart is its own part.
        """
        raise missing(self, "parts", "what can break on its own")


class FiniteGroup(Group):
    """A group given by the table of its elements, the identity first."""

    @property
    @abc.abstractmethod
    def order(self) -> int:
        """Number of elements."""

    @abc.abstractmethod
    def elements(self, dtype: DTypeLike | None = None) -> Element | None:
        """All elements along a new leading axis, the identity first, or None if there are more than 5040."""

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> Element:
        table = self.elements(dtype)
        index = jax.random.randint(key, shape, 0, self.order)
        return jax.tree.map(lambda x: x[index], table)

    def nodes(
        self,
        n: int | None = None,
        key: PRNGKeyArray | None = None,
        dtype: DTypeLike | None = None,
        method: str = "auto",
    ) -> Nodes:
        """All elements, whatever n, each of the same weight: the average itself, which every method converges to.

        Of more than 5040 elements n random ones, which need a key; method="auto" means "random" then.
        """
        check_method(method)
        elements = self.elements(dtype)
        if elements is not None:
            return elements, jnp.full(self.order, 1 / self.order, float_dtype(dtype))
        if n is None or key is None:
            raise ValueError(f"nodes: {self} has {self.order} elements, too many to list; pass both n and key")
        if method not in ("auto", "random"):
            raise ValueError(
                f"method: {self} has {self.order} elements, too many to list; its nodes are random, "
                f"method='auto' or 'random', got {method!r}"
            )
        return self.sample(key, (n,), dtype), jnp.full(n, 1 / n, float_dtype(dtype))


@functools.partial(jax.jit, static_argnums=0)
def _from_cube(group, u):  # one program, where every operation on its own would be compiled too
    return group.from_cube(u)


def check_coordinates(group: Group, a: ArrayLike) -> None:
    """Raise unless `a` holds algebra coordinates of `group`."""
    floating("a", a)
    if np.shape(a)[-1:] != (group.dim,):
        raise ValueError(f"a: {group} has coordinates of shape (..., {group.dim}), got {np.shape(a)}")


def check_shape(group: Group, g: Element, name: str = "g") -> None:
    """Raise unless `g` has the structure, the shape and the kind of numbers of elements of `group`."""
    single = _single(group)
    leaves, singles = jax.tree.leaves(g), jax.tree.leaves(single)
    if jax.tree.structure(g) != jax.tree.structure(single):  # type: ignore[operator]
        kind = type(single).__name__ if isinstance(single, tuple) else "array"
        raise TypeError(f"{name}: expected elements of {group}, of type {kind}, got {type(g).__name__}")
    for leaf, one in zip(leaves, singles, strict=True):
        if jnp.issubdtype(one.dtype, jnp.floating):
            floating(name, leaf)
        if jnp.ndim(leaf) < one.ndim or jnp.shape(leaf)[jnp.ndim(leaf) - one.ndim :] != one.shape:
            shape = ", ".join(["...", *map(str, one.shape)])
            raise ValueError(f"{name}: expected elements of {group}, shape ({shape}), got {jnp.shape(leaf)}")


def check_element(group: Group, g: Element, name: str = "g") -> None:
    """Raise unless `g` holds elements of `group`; looks at the shapes only where the numbers are not known.

    Examples:
        >>> from equijax import groups
        >>> check_element(groups.SO(2), 2 * jnp.eye(2))
        Traceback (most recent call last):
            ...
        ValueError: g: expected elements of SO(2), the worst is off by 3.0e+00; see group.violation(g)
    """
    check_shape(group, g, name)
    if not _is_known(g):
        return
    with jax.ensure_compile_time_eval():  # also while something else is being traced
        good, violations = _judged(group, g)
        if not np.all(good):
            violation = np.max(np.asarray(violations))
            raise ValueError(
                f"{name}: expected elements of {group}, the worst is off by {violation:.1e}; see group.violation(g)"
            )


@functools.partial(jax.jit, static_argnums=0)
def _judged(group, g):  # one program, where every operation on its own would be compiled too
    return is_element(group, g), group.violation(g)


def is_element(group: Group, g: Element) -> Bool[Array, "*batch"]:
    """Whether `g` is an element of `group` to half of the digits of its numbers."""
    real = [leaf.dtype for leaf in map(jnp.asarray, jax.tree.leaves(g)) if jnp.issubdtype(leaf.dtype, jnp.floating)]
    tolerance = jnp.finfo(jnp.result_type(*real)).eps ** 0.5 if real else 0
    return jax.lax.stop_gradient(group.violation(jax.lax.stop_gradient(g))) <= tolerance


def of_elements(method: Callable[..., Array]) -> Callable[..., Array]:
    """Let a method that gives coordinates of elements refuse whatever is no element of the group.

    It raises where the numbers are known, and gives NaN for what is no element elsewhere, as under `jax.jit`.
    """

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
