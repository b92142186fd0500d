"""Elements of groups, and what lets a group be a static argument of a compiled function."""

import dataclasses
from typing import Any, NamedTuple, TypeAlias, TypeVar, dataclass_transform

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float

Element: TypeAlias = Any  # an array, or a tuple of elements
Nodes: TypeAlias = tuple[Element, Float[Array, " nodes"]]

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def static(cls: type[T]) -> type[T]:
    """A frozen, hashable dataclass that jax takes as a pytree without leaves, and that prints as it is written.

    A subclass keeps the constructor of its base.

    Examples:
        >>> @static
        ... class Window:
        ...     width: float
        ...     name: str = "box"
        >>> Window(2.0), Window(2.0) == Window(2.0, "box"), jax.tree.leaves(Window(2.0))
        (Window(2.0), True, [])
    """
    if cls.__repr__ is object.__repr__:
        cls.__repr__ = _repr  # type: ignore[method-assign, assignment]
    init = cls.__init__ is object.__init__
    return jax.tree_util.register_static(dataclasses.dataclass(frozen=True, repr=False, init=init)(cls))


class AffineElement(NamedTuple):
    """The map x → A x + t.

    Examples:
        >>> move = AffineElement(translation=jnp.array([1.0, 0.0]), linear=2 * jnp.eye(2))
        >>> print(move.linear @ jnp.array([3.0, 4.0]) + move.translation)
        [7. 8.]
    """

    translation: Array
    linear: Array


def linear_part(g: Element) -> Array:
    """The matrix of a group element's linear part, by the element's type.

    A pair (translation, linear) gives its linear part, a matrix itself, a translation the identity matrix, and a
    scaling stays the number that it is.

    Raises:
        TypeError: If `g` belongs to a product of groups, or holds integers.
        ValueError: If `g` is a batch of elements.

    Examples:
        >>> from equijax import groups
        >>> linear_part(groups.SE(2).identity()).tolist()
        [[1.0, 0.0], [0.0, 1.0]]
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


def float_dtype(dtype: DTypeLike | None = None) -> DTypeLike:
    """`dtype`, or jax's default float."""
    return jnp.result_type(float) if dtype is None else dtype


def _repr(self):
    required = [f for f in dataclasses.fields(self) if f.default is dataclasses.MISSING]
    changed = [f for f in dataclasses.fields(self) if f not in required and getattr(self, f.name) != f.default]
    shown = [repr(getattr(self, f.name)) for f in required] + [f"{f.name}={getattr(self, f.name)!r}" for f in changed]
    return f"{type(self).__name__}({', '.join(shown)})"
