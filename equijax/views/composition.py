"""Views one after the other; views by elements of a group, whose parameters have a relative element."""

import functools
from collections.abc import Callable, Sequence

import jax
from jaxtyping import PRNGKeyArray, PyTree

from equijax._validate import random_key
from equijax.groups import Element, Group, check_element, static
from equijax.symmetry import Symmetry
from equijax.views.temporal import View

SIDES = ("right", "left")


@static
class GroupView:
    """x → ρ(g) x with a random g, and g: made by `action`."""

    symmetry: Symmetry
    sampler: Callable[[PRNGKeyArray], Element] | None = None

    @property
    def group(self) -> Group:
        return self.symmetry.group

    def __call__(self, key: PRNGKeyArray, x: PyTree) -> tuple[PyTree, Element]:
        """The moved sample, and the element."""
        random_key("key", key)
        g = self.group.sample(key) if self.sampler is None else self.sampler(key)
        if self.sampler is not None:
            check_element(self.group, g, "sampler")
        return self.symmetry.act_inputs(g, (x,))[0], g

    def relative(self, first: Element, second: Element, side: str = "right") -> Element:
        """g₁⁻¹ g₂, so that g₂ = g₁ g_rel; of side "left" g₂ g₁⁻¹, which moves view 1 to view 2. Batches broadcast.

        "right" is what the papers on poses use, R_rel = R₁ᵀ R₂: it does not change when the world is turned. "left" is
        what an equivariant predictor of view 2 from view 1 needs, ρ(g₂) x = ρ(g₂ g₁⁻¹) ρ(g₁) x. In commutative groups
        they are the same.

        Raises:
            ValueError: If the side is unknown, or the elements are not of the group.
        """
        if side not in SIDES:
            raise ValueError(f"side: expected 'right' or 'left', got {side!r}")
        check_element(self.group, first, "first")
        check_element(self.group, second, "second")
        inverse = self.group.inverse(first)
        return self.group.compose(inverse, second) if side == "right" else self.group.compose(second, inverse)


def action(group: Group, rep: PyTree, *, sampler: Callable[[PRNGKeyArray], Element] | None = None) -> GroupView:
    """The view that moves a sample by a random element of a group, and says which.

    Args:
        group: Any of `groups`.
        rep: How it acts on a sample, a prefix of its tree as in `Symmetry`; None where it does not.
        sampler: key -> element; the samples of the group unless given.

    Raises:
        TypeError: If `group` is no group, or a leaf of `rep` no representation.
        ValueError: If a representation is none of the group.

    Examples:
        >>> from equijax import groups, reps
        >>> turn = action(groups.SO(3), reps.Vector())
        >>> x, (one, two) = jax.numpy.eye(3), jax.random.split(jax.random.key(0))
        >>> (x1, g1), (x2, g2) = turn(one, x), turn(two, x)
        >>> bool(jax.numpy.allclose(turn.relative(g1, g2), g1.T @ g2, atol=1e-6))
        True
    """
    return GroupView(Symmetry(group, inputs=(rep,), outputs=None), sampler)


@static
class Composition:
    """Views one after the other: made by `compose`."""

    views: tuple[View, ...]

    def __call__(self, key: PRNGKeyArray, x: PyTree) -> tuple[PyTree, tuple]:
        """The sample after all views, and the parameters of each, in order."""
        parameters = []
        keys = jax.random.split(random_key("key", key), len(self.views))
        for k, view in enumerate(self.views):
            found = view(keys[k], x)
            if not isinstance(found, tuple) or len(found) != 2:
                raise TypeError(
                    f"views[{k}]: expected a pair (view of the sample, parameters), got {type(found).__name__}"
                )
            x, one = found
            parameters.append(one)
        return x, tuple(parameters)

    def total(self, parameters: tuple) -> Element:
        """The one element that does what all views did, g_n … g₂ g₁.

        Raises:
            TypeError: If a view is not by elements of a group.
            ValueError: If the views are of several groups or representations.
        """
        compose = self._one().group.compose
        return functools.reduce(lambda g, h: compose(h, g), parameters)

    def relative(self, first: tuple, second: tuple, side: str = "right") -> Element:
        """That of the `total` elements, as in `GroupView.relative`.

        Raises:
            TypeError: If a view is not by elements of a group.
            ValueError: If the views are of several groups or representations, or the side is unknown.
        """
        return self._one().relative(self.total(first), self.total(second), side)

    def _one(self) -> GroupView:
        """The first view, after the others were held against it."""
        by_group = []
        for k, view in enumerate(self.views):
            if not isinstance(view, GroupView):
                raise TypeError(
                    f"views[{k}]: expected views.action(group, rep), got {view!r}, which is no element of a group; "
                    f"take views[k].relative(first[k], second[k]) of those that are"
                )
            by_group.append(view)
            if view.symmetry != by_group[0].symmetry:
                raise ValueError(
                    f"views[{k}]: expected {by_group[0].symmetry}, as views[0], got {view.symmetry}; make one view "
                    f"of them, of groups.Product if they commute and groups.Semidirect if not"
                )
        return by_group[0]


def compose(views: Sequence[View]) -> Composition:
    """One view of several: (key, x) -> (x', (parameters of the first view, of the second, ...)).

    Each view is a function (key, sample) -> (view of the sample, parameters), and gets a key of its own.
    `compose(...).relative(first, second)` is the relative element of two draws, where all views are by elements
    of one group.

    Raises:
        TypeError: If a view cannot be called.
        ValueError: If there is none.

    Examples:
        >>> from equijax import groups, reps
        >>> noisy = lambda key, x: (x + 0.1 * jax.random.normal(key, x.shape), None)
        >>> view = compose([action(groups.SO(3), reps.Vector()), noisy])
        >>> moved, (rotation, _) = view(jax.random.key(0), jax.numpy.eye(3))
        >>> moved.shape, rotation.shape
        ((3, 3), (3, 3))
    """
    views = tuple(views)
    if not views:
        raise ValueError("views: expected one view or more, got none")
    for k, view in enumerate(views):
        if not callable(view):
            raise TypeError(f"views[{k}]: expected a function (key, sample) -> (view, parameters), got {view!r}")
    return Composition(views)
