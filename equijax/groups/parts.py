"""What a part of a group is: what can break on its own, such as the rotations, or the translations, of a motion.

A check blames parts one at a time, a solver of linear maps asks each for its generators. A group is a part of itself,
and of larger groups by way of `Embedded`.
"""

import abc
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax._validate import random_key
from equijax.groups.elements import Element, float_dtype, static


def _with_key(sample):
    @functools.wraps(sample)
    def checked(self, key, shape=(), dtype=None):
        return sample(self, random_key("key", key), shape, dtype)

    return checked


class Part(abc.ABC):
    """Elements of a group in which one thing moves and all others are at the identity.

    A subclass gives `sample`; with `dim > 0` also `dim`, `exp` and `tangents`; a finite one `elements`, and
    `generators` if fewer elements generate them. All return elements of the whole group.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        """Every `sample`, those of users' groups too, refuses what is no random key."""
        super().__init_subclass__(**options)
        if "sample" in cls.__dict__:
            cls.sample = _with_key(cls.sample)  # type: ignore[method-assign]

    @property
    def dim(self) -> int:
        """Dimension of the Lie algebra; 0 for a discrete part."""
        return 0

    def exp(self, a: Float[Array, "*batch dim"]) -> Element:
        """Element of the one-parameter subgroup with the algebra coordinates `a`, at time 1."""
        raise missing(self, "exp", "the exponential of algebra coordinates")

    def tangents(self, dtype: DTypeLike | None = None) -> Element:
        """d exp(a) / da_i at a = 0, along a new leading axis: the basis of the Lie algebra in the form of elements."""
        raise missing(self, "tangents", "the basis of the Lie algebra")

    @abc.abstractmethod
    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> Element:
        """Random elements: Haar distributed on what is compact, exp of standard normal coordinates elsewhere."""

    def elements(self, dtype: DTypeLike | None = None) -> Element | None:
        """All elements along a new leading axis, or None if there are infinitely (or very) many."""
        return None

    def generators(self, dtype: DTypeLike | None = None) -> Element | None:
        """Elements whose products are all elements, along a new leading axis, where the part is finite."""
        return self.elements(dtype)


class Whole(abc.ABC):
    """A group that holds one or more other groups, its factors."""

    @abc.abstractmethod
    def embed(self, g: Element, slot: int = 0, dtype: DTypeLike | None = None) -> Element:
        """The element that is `g` in the factor number `slot` and the identity elsewhere; affine in `g`.

        Args:
            g: Elements of that factor.
            slot: Which factor.
            dtype: Of the real numbers of the other factors.
        """


@static
class Embedded(Part):
    """A part of a factor of a group, as a part of the whole group.

    Examples:
        >>> from equijax import groups
        >>> motion = groups.SE(2)
        >>> quarter = Embedded(motion, groups.SO(2), slot=1).exp(jnp.array([jnp.pi / 2]))
        >>> print(quarter.translation, quarter.linear.round(5)[0] + 0)
        [0. 0.] [ 0. -1.]
    """

    whole: Whole
    part: Part
    slot: int = 0

    @property
    def dim(self) -> int:
        return self.part.dim

    def exp(self, a: Float[Array, "*batch dim"]) -> Element:
        return self.whole.embed(self.part.exp(a), self.slot, a.dtype)

    def tangents(self, dtype: DTypeLike | None = None) -> Element:
        tangents = self.part.tangents(dtype)
        base = jax.tree.map(jnp.zeros_like, tangents)  # any: the derivative of an affine map is the same everywhere
        return jax.jvp(lambda t: self.whole.embed(t, self.slot, dtype), (base,), (tangents,))[1]

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> Element:
        return self.whole.embed(self.part.sample(key, shape, dtype), self.slot, dtype)

    def elements(self, dtype: DTypeLike | None = None) -> Element | None:
        return self._all(self.part.elements(dtype), dtype)

    def generators(self, dtype: DTypeLike | None = None) -> Element | None:
        return self._all(self.part.generators(dtype), dtype)

    def _all(self, elements, dtype):
        return None if elements is None else self.whole.embed(elements, self.slot, dtype)


@static
class Mirror(Part):
    """The part of a group that is one improper element, given as nested tuples."""

    matrix: tuple[tuple[float, ...], ...]

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
    ) -> Float[Array, "*batch n n"]:
        return jnp.broadcast_to(self.elements(dtype)[0], (*shape, len(self.matrix), len(self.matrix)))

    def elements(self, dtype: DTypeLike | None = None) -> Float[Array, "1 n n"]:
        return jnp.asarray([self.matrix], float_dtype(dtype))


def missing(self: Part, method: str, what: str) -> NotImplementedError:
    """The error of a method that a subclass may leave out until somebody calls it."""
    name = type(self).__name__
    return NotImplementedError(f"{method}: {self!r} does not say {what}; implement {name}.{method}")
