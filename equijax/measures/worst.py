"""The worst case over a list of group elements, and whether decisions stay what they are."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from equijax.groups import Element
from equijax.measures.batches import batch_of, chosen_elements, flat, returned
from equijax.numerics import AxisName, global_batch, norm
from equijax.symmetry import Symmetry


class WorstCase(NamedTuple):
    """Where a function is furthest from its symmetry.

    Attributes:
        distance: ‖σ(g)⁻¹ f(ρ(g) x) − f(x)‖ there.
        element: Which of the elements.
        sample: Which of the samples.
        of_elements: The largest distance at each element.
    """

    distance: Float[Array, ""]
    element: Int[Array, ""]
    sample: Int[Array, ""]
    of_elements: Float[Array, " elements"]


def worst_case(
    f: Callable[..., PyTree],
    symmetry: Symmetry,
    inputs: PyTree,
    *,
    elements: Element | None = None,
    key: PRNGKeyArray | None = None,
    samples: int = 64,
    axis_name: AxisName = None,
) -> WorstCase:
    """max over g and x of ‖σ(g)⁻¹ f(ρ(g) x) − f(x)‖, the norm over all numbers of one output.

    Args:
        f: Function of one sample.
        symmetry: How the group acts on its arguments and its output; outputs=None for invariance.
        inputs: Its arguments, one array or a tuple, with the batch as the first axis of each array.
        elements: Elements along a leading axis, such as a few shifts.
        key, samples: Where there are none, all elements of a finite group with no more than `samples`, or random ones.
        axis_name: Mesh axis over which the batch is sharded.

    Raises:
        TypeError, ValueError: If random elements lack their key, or an argument is not as the symmetry says.

    Examples:
        >>> from equijax import groups, reps, Symmetry
        >>> shifts = Symmetry(groups.Shift(4), reps.Shift(0), None)
        >>> found = worst_case(lambda x: x[0], shifts, jnp.array([[0.0, 1, 2, 3], [0.0, 0, 0, -5]]))
        >>> print(found.distance, found.element, found.sample)
        5.0 1 1
    """
    args, _ = batch_of(f, symmetry, inputs)
    elements, _ = chosen_elements(symmetry.group, elements, key, samples)
    at = jax.vmap(returned(f, symmetry), (None, 0))
    still = flat(at(symmetry.group.identity(), args))

    def far(g):
        distance = global_batch(norm(flat(at(g, args)) - still), axis_name)
        sample = jnp.argmax(distance)
        return distance[sample], sample

    distances, samples_of = jax.lax.map(far, elements)
    element = jnp.argmax(distances)
    return WorstCase(distances[element], element, samples_of[element], distances)


def consistency(
    f: Callable[..., Float[Array, " classes"]],
    symmetry: Symmetry,
    inputs: PyTree,
    *,
    elements: Element | None = None,
    key: PRNGKeyArray | None = None,
    samples: int = 64,
    axis_name: AxisName = None,
) -> Float[Array, ""]:
    """P[argmax f(ρ(g) x) = argmax f(x)] over samples and elements: how often a decision stays what it is.

    If the group acts on the classes too, the decision is that of σ(g)⁻¹ f(ρ(g) x). Of equal scores the first counts.

    Args:
        f: Scores of the classes for one sample, shape (classes,).
        symmetry, inputs, elements, key, samples, axis_name: As for `worst_case`.

    Raises:
        TypeError, ValueError: If f gives no scores, or as for `worst_case`.

    Examples:
        >>> from equijax import groups, reps, Symmetry
        >>> quarter_turns = Symmetry(groups.Cyclic(4), reps.Vector(), None)
        >>> right_or_left = lambda x: jnp.stack([x[0], -x[0]])
        >>> print(consistency(right_or_left, quarter_turns, jnp.array([[1.0, 0.5], [-2.0, 1.0]])))
        0.5
    """
    args, _ = batch_of(f, symmetry, inputs)
    elements, _ = chosen_elements(symmetry.group, elements, key, samples)
    at = jax.vmap(returned(f, symmetry), (None, 0))

    def decisions(g) -> Int[Array, " rows"]:
        leaves = jax.tree.leaves(at(g, args))
        if len(leaves) != 1 or leaves[0].ndim != 2:
            shapes = [x.shape[1:] for x in leaves]
            raise ValueError(f"f: expected scores of shape (classes,), got {shapes[0] if len(shapes) == 1 else shapes}")
        return jnp.argmax(leaves[0], axis=-1)

    still = decisions(symmetry.group.identity())

    def same(g) -> Bool[Array, " rows"]:
        return decisions(g) == still

    kept = jax.lax.map(lambda g: jnp.mean(global_batch(same(g), axis_name)), elements)
    return jnp.mean(kept)
