"""Permutations of places, shifts of grids, functions on a finite group, elements of a group."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from equijax import groups
from equijax._validate import integer, integers
from equijax.groups import Group, static
from equijax.reps.base import Rep, check_group, own_element


@static
class Permutation(Rep):
    """Places along an axis, or along each of several axes (−3 and −2 of pairs of nodes, say): (p x)_i = x_{p⁻¹(i)}.

    Examples:
        >>> cycle = jnp.array([1, 2, 0])  # what is at place 0 goes to place 1
        >>> Permutation().act(cycle, jnp.array([7, 8, 9])).tolist()
        [9, 7, 8]
    """

    axis: int | tuple[int, ...] = -1

    def matrix(self, g: groups.Element) -> Float[Array, "n n"]:
        if len(_axes(self.axis)) != 1:
            raise TypeError(f"matrix: {self} moves several axes; use act, or reps.TensorProduct on flattened pairs")
        places = _places(g)
        return jnp.eye(places.shape[0])[jnp.argsort(places)]

    def act(self, g: groups.Element, x: PyTree) -> Array:
        x, source = jnp.asarray(x), jnp.argsort(_places(g))
        for axis in _axes(self.axis):
            if not -x.ndim <= axis < x.ndim or x.shape[axis] != len(source):
                raise ValueError(f"x: expected length {len(source)} along axis {axis}, got shape {x.shape}")
            x = jnp.take(x, source, axis=axis)
        return x

    def check(self, group: Group) -> None:
        _check_kind(self, groups.Permutation, group)


@static
class Index(Rep):
    """Labels of places, such as the senders and receivers of edges: i → p_i; values outside 0..n−1 stay.

    Examples:
        >>> Index().act(jnp.array([1, 2, 0]), jnp.array([0, 0, 2, -1])).tolist()
        [1, 1, 0, -1]
    """

    def act(self, g: groups.Element, x: PyTree) -> Array:
        x, places = integers("x", x), _places(g)
        n = len(places)
        return jnp.where((x >= 0) & (x < n), places[jnp.clip(x, 0, n - 1)].astype(x.dtype), x)

    def check(self, group: Group) -> None:
        _check_kind(self, groups.Permutation, group)


@static
class Shift(Rep):
    """Periodic shifts of a grid along `axes`, of an array that keeps every `stride`-th point of the grid.

    A shift that is no multiple of the stride is rounded down: no function is then equivariant, as it should read.

    Examples:
        >>> x = jnp.arange(4)
        >>> Shift(0).act(jnp.array([2]), x).tolist(), Shift(0, stride=2).act(jnp.array([2]), x).tolist()
        ([2, 3, 0, 1], [3, 0, 1, 2])
    """

    axes: int | tuple[int, ...]
    stride: int = 1

    def __post_init__(self):
        integer("stride", self.stride, 1)

    def act(self, g: groups.Element, x: PyTree) -> Array:
        shift, axes = jnp.asarray(g), _axes(self.axes)
        if not jnp.issubdtype(shift.dtype, jnp.integer) or shift.shape != (len(axes),):
            raise ValueError(f"g: expected {len(axes)} integers, one an axis, got {shift.dtype} of shape {shift.shape}")
        x = jnp.asarray(x)
        for steps, axis in zip(shift // self.stride, axes, strict=True):
            # for a batch of shifts many times faster than jnp.roll, forward and backward
            x = jnp.take(x, (jnp.arange(x.shape[axis]) - steps) % x.shape[axis], axis, mode="clip")
        return x

    def check(self, group: Group) -> None:
        _check_kind(self, groups.Shift, group)
        if len(group.sizes) != len(_axes(self.axes)):  # type: ignore[attr-defined]
            raise ValueError(f"axes: expected one for each axis of {group}, got {self.axes}")


@static
class Regular(Rep):
    """Functions on a finite group, listed along `axis` in the order of `group.elements()`: (g F)(h) = F(g⁻¹ h).

    Examples:
        >>> group = groups.Cyclic(3)  # turns by 0°, 120° and 240°
        >>> Regular(group).act(group.elements()[1], jnp.array([7, 8, 9])).tolist()
        [9, 7, 8]
    """

    group: Group
    axis: int = -1

    def __post_init__(self):
        if not isinstance(self.group, Group) or self.group.elements() is None:
            raise ValueError(f"group: expected a finite group with a table of elements, got {self.group!r}")

    @property
    def dim(self) -> int | None:
        return self.group.order

    def matrix(self, g: groups.Element) -> Float[Array, "order order"]:
        return jnp.eye(self.group.order or 0)[self._source(g)]

    def act(self, g: groups.Element, x: PyTree) -> Array:
        if not -jnp.ndim(x) <= self.axis < jnp.ndim(x) or jnp.shape(x)[self.axis] != self.dim:
            raise ValueError(f"x: expected length {self.dim} along axis {self.axis}, got shape {jnp.shape(x)}")
        return jnp.take(jnp.asarray(x), self._source(g), axis=self.axis)

    def check(self, group: Group) -> None:
        check_group(self, self.group, group)

    def _source(self, g: groups.Element) -> Int[Array, " order"]:
        """Places of g⁻¹ h for all h, found in the table as the nearest element."""
        table = self.group.elements()
        back = self.group.inverse(own_element(self.group, g))
        moved = jax.vmap(lambda h: self.group.compose(back, h))(table)
        distance = sum(  # (order, order), squared, of g⁻¹ h from each element of the table
            jnp.sum(jnp.square(a[:, None] - b[None]).reshape(len(a), len(b), -1), -1)
            for a, b in zip(jax.tree.leaves(moved), jax.tree.leaves(table), strict=True)
        )
        return jnp.argmin(distance, axis=1)


@static
class Element(Rep):
    """Elements of the group themselves, h → g h, such as the frames that a function returns.

    Examples:
        >>> quarter = jnp.array([[0.0, -1.0], [1.0, 0.0]])
        >>> Element(groups.SO(2)).act(quarter, quarter).tolist()
        [[-1.0, 0.0], [0.0, -1.0]]
    """

    group: Group

    @property
    def whole(self) -> bool:
        return True

    def act(self, g: groups.Element, x: PyTree) -> PyTree:
        moved = self.group.compose(own_element(self.group, g), x)
        return jax.tree.map(lambda a, b: a.astype(jnp.result_type(b)), moved, x)

    def check(self, group: Group) -> None:
        check_group(self, self.group, group)


def _axes(axis: int | tuple[int, ...]) -> tuple[int, ...]:
    return axis if isinstance(axis, tuple) else (axis,)


def _places(g: groups.Element) -> Int[Array, " n"]:
    """`g` as a permutation of places, held to be one."""
    g = g if isinstance(g, tuple) else jnp.asarray(g)
    if isinstance(g, tuple) or not jnp.issubdtype(g.dtype, jnp.integer) or g.ndim != 1:
        came = f"a tuple of {len(g)}" if isinstance(g, tuple) else f"{g.dtype.name} of shape {g.shape}"
        raise TypeError(
            f"g: expected one permutation, integers of shape (n,), got {came}; see reps.Product and jax.vmap"
        )
    return g


def _check_kind(rep: Rep, kind: type[Group], group: Group) -> None:
    """Raise a TypeError unless `group` is of the kind that `rep` acts for."""
    if not isinstance(group, kind):
        hint = "; use reps.Product with one representation a factor" if isinstance(group, groups.Product) else ""
        raise TypeError(f"group: {rep} acts for groups.{kind.__name__}, got {group}{hint}")
