"""Finite groups as tables on the host: which element is which, products, inverses."""

import abc
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from equijax.groups import Element, Group
from equijax.reps.base import Rep, own_element

MOST_LISTED = 1000  # order of the largest group whose table of products is made
_SAME = 1e-5  # distance between equal elements


class Tabulated(Rep, abc.ABC):
    """A representation of a finite group whose matrices are known on the host."""

    group: Group

    @abc.abstractmethod
    def tabulate(self, places: Int[np.ndarray, " count"]) -> Float[np.ndarray, "count dim dim"] | None:
        """Matrices of the elements at these places of `group.elements()`, None if they are not listed."""


@functools.cache
def listed(group: Group) -> Float[np.ndarray, "order numbers"]:
    """All elements of a finite group in float64, one a row.

    Raises:
        ValueError: If the group is not finite, or has too many elements.
    """
    if group.order is None or group.order > MOST_LISTED:
        raise ValueError(f"group: expected a finite group of at most {MOST_LISTED} elements, got {group}")
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        return _rows(group.elements(), group.order)


@functools.cache
def products(group: Group) -> Int[np.ndarray, "order order"]:
    """Place in `group.elements()` of g h, for all pairs (g, h) of places."""
    rows, order = listed(group), group.order or 0

    @jax.jit
    def all_products(elements):
        return jax.vmap(lambda g: jax.vmap(lambda h: group.compose(g, h))(elements))(elements)

    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        found = _rows(all_products(group.elements()), order**2)
    places, apart = _nearest(rows, found)
    if apart > _SAME:
        raise ValueError(
            f"group: the elements of {group} are not closed: a product is {apart:.1e} away from all of them"
        )
    return places.reshape(order, order)


@functools.cache
def inverses(group: Group) -> Int[np.ndarray, " order"]:
    """Place of g⁻¹, for each place of g."""
    table = products(group)
    return np.argmax(table == table[0, 0], axis=1)


def places_in(group: Group, elements: Element, count: int) -> Int[np.ndarray, " count"]:
    """Places in `group.elements()` of known elements along a leading axis.

    Raises:
        ValueError: If one of them is no element.
    """
    rows, found = listed(group), _rows(elements, count)
    if found.shape[1] != rows.shape[1]:
        raise ValueError(f"expected elements of {group}, {rows.shape[1]} numbers each, got {found.shape[1]}")
    places, apart = _nearest(rows, found)
    if apart > _SAME:
        raise ValueError(f"expected elements of {group}, got one that is {apart:.1e} away from all of them")
    return places


def place_of(group: Group, g: Element) -> Int[Array, ""]:
    """Place in `group.elements()` of one element, that of the nearest one; may be traced."""
    g = own_element(group, g)
    distance = sum(
        jnp.sum(jnp.square(table - a).reshape(len(table), -1), -1)
        for a, table in zip(jax.tree.leaves(g), jax.tree.leaves(group.elements()), strict=True)
    )
    return jnp.argmin(jnp.asarray(distance))


def _rows(elements, count):
    return np.concatenate([np.asarray(x, float).reshape(count, -1) for x in jax.tree.leaves(elements)], axis=1)


def _nearest(rows, points):
    """Places of the nearest rows, and the largest distance."""
    from scipy.spatial import KDTree

    distance, places = KDTree(rows).query(points)
    return places, float(distance.max(initial=0))
