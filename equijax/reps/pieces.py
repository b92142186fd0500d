"""Pieces: points of a partition, each part of which is moved by an element of its own."""

import operator
from collections.abc import Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from equijax._validate import integer
from equijax.groups import Element, Group, Power, PowerElement, static
from equijax.reps.base import Rep


@static
class Pieces(Rep):
    """Points that move with the piece they belong to: point i by the element number labels[i] of `groups.Power(G, k)`.

    A network that sees which rigid body each point is on keeps the motion of each of k bodies if it has the symmetry
    of `Power(E(3), k)`; `check` then says which piece breaks it, by names such as "rotation of piece 2".

    What there is one of for each piece, such as its center, has the labels 0 to k − 1. Points of the label −1 belong to
    no piece and stay where they are, as padded points do. A piece without points is allowed.

    Attributes:
        rep: How the element of a piece moves one of its points.
        labels: The piece of each point, k − 1 at most.
        axis: Which axis lists the points; `rep` acts on the others.

    Raises:
        TypeError: If a label is not an integer.
        ValueError: If there are no labels, one is below −1, or the array has another number of points.

    Examples:
        >>> from equijax import groups
        >>> from equijax.reps import Position
        >>> two = groups.Power(groups.Translation(2), 2)
        >>> points = jnp.zeros((3, 2))
        >>> moves = groups.PowerElement(jnp.array([[1.0, 0.0], [0.0, 5.0]]))
        >>> Pieces(Position(), labels=(0, 1, 1)).act(moves, points).tolist()
        [[1.0, 0.0], [0.0, 5.0], [0.0, 5.0]]
    """

    rep: Rep
    labels: tuple[int, ...]
    axis: int = 0

    def __init__(self, rep: Rep, labels: Iterable[object], axis: int = 0):
        if not isinstance(rep, Rep):
            raise TypeError(f"rep: expected a representation, got {rep!r}")
        found = tuple(integer("labels", label, -1) for label in labels)
        if not found:
            raise ValueError("labels: expected one a point, got none")
        for name, value in (("rep", rep), ("labels", found), ("axis", operator.index(axis))):
            object.__setattr__(self, name, value)

    def __repr__(self):
        pieces = len(set(self.labels) - {-1})
        return f"Pieces({self.rep}, labels of {len(self.labels)} points in {pieces} pieces)"

    @property
    def reps(self) -> tuple[Rep]:
        """The representation of a point, as of what is made of several."""
        return (self.rep,)

    @property
    def approximate(self) -> bool:
        return self.rep.approximate

    def act(self, g: Element, x: PyTree) -> Array:
        x, n = jnp.asarray(x), len(self.labels)
        if not -x.ndim <= self.axis < x.ndim or x.shape[self.axis] != n:
            raise ValueError(f"x: expected {n} points along axis {self.axis} for {self}, got shape {x.shape}")
        if not isinstance(g, PowerElement):
            raise TypeError(f"g: {self} expected an element of groups.Power(group, pieces), got {type(g).__name__}")
        labels, moving = np.maximum(self.labels, 0), np.greater_equal(self.labels, 0)
        each = jax.tree.map(lambda leaf: leaf[labels], g.each)  # (n, ...)
        moved = jax.vmap(self.rep.act, (0, self.axis), self.axis)(each, x)
        if moving.all():
            return moved
        return jnp.where(np.expand_dims(moving, [k for k in range(x.ndim) if k != self.axis % x.ndim]), moved, x)

    def check(self, group: Group) -> None:
        if not isinstance(group, Power):
            raise TypeError(f"group: {self} acts for groups.Power(group, pieces), got {group}")
        if max(self.labels) >= group.count:
            raise ValueError(
                f"labels: expected 0 to {group.count - 1}, the pieces of {group}, or -1 for points of none, got "
                f"{max(self.labels)}"
            )
        self.rep.check(group.group)
