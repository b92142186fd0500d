"""How far a learned action of a group on codes is from a representation."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from equijax._validate import instance, integer, random_key
from equijax.groups import Element, Group

Action = Callable[[Element, Array], Array]


class ActionDefects(NamedTuple):
    """How far ρ is from a representation by orthogonal matrices, root mean squares over random elements.

    Attributes:
        homomorphism: ‖ρ(g h) − ρ(g) ρ(h)‖ over ‖ρ(g h)‖.
        orthogonality: ‖ρ(g)ᵀ ρ(g) − I‖ over ‖I‖.
    """

    homomorphism: Float[Array, ""]
    orthogonality: Float[Array, ""]


def action_defects(
    act: Action, group: Group, size: int, *, key: PRNGKeyArray, samples: int = 16, reverse: bool = False
) -> ActionDefects:
    """How far the map (g, z) -> ρ(g) z of codes is from a representation by orthogonal matrices: zero for one.

    Pure and jittable. Norms are those of Frobenius.

    Args:
        act: Of a batch, (elements, (rows, size)) -> (rows, size), linear in codes: as objectives take a predictor.
        group: The group of the elements.
        size: Of the codes.
        key: Of `jax.random`.
        samples: How many pairs of elements.
        reverse: Whether to compare ρ(g h) with ρ(h) ρ(g), as for codes on which elements act from the right.

    Raises:
        TypeError: If the group is none, or the key.
        ValueError: If the size or the number of samples is below one.

    References:
        Garrido, Najman and LeCun 2023, arXiv:2302.10283, whose predictors are learned.

    Examples:
        >>> import functools
        >>> from equijax import groups, nn
        >>> act = functools.partial(nn.BlockAction("1x0e+1x1o").apply, {})
        >>> found = action_defects(act, groups.SO(3), 4, key=jax.random.key(0))
        >>> print(found.homomorphism < 1e-5, found.orthogonality < 1e-5)
        True True
    """
    g, h = _elements(group, size, key, 2, samples)
    both, first, second = (_matrices(act, e, size) for e in (group.compose(g, h), g, h))
    if reverse:
        first, second = second, first
    twice = jnp.matmul(first, second, precision="highest")
    gram = jnp.matmul(jnp.swapaxes(first, 1, 2), first, precision="highest")
    mean = lambda x: jnp.sqrt(jnp.sum(x**2) / samples)  # noqa: E731
    return ActionDefects(mean(both - twice) / mean(both), mean(gram - jnp.eye(size)) / size**0.5)


def action_spectrum(
    act: Action, group: Group, size: int, *, key: PRNGKeyArray, samples: int = 16
) -> Float[Array, "samples size"]:
    """Moduli of the eigenvalues of ρ(g) for random g, in rising order: all 1 for a representation of a compact group.

    Where jax has eigenvalues of matrices that are not symmetric, as on CPUs. Arguments as for `action_defects`.

    Examples:
        >>> import functools
        >>> from equijax import groups, nn
        >>> act = functools.partial(nn.BlockAction("1x1o").apply, {})
        >>> action_spectrum(act, groups.SO(3), 3, key=jax.random.key(0), samples=1).round(4).tolist()
        [[1.0, 1.0, 1.0]]
    """
    (g,) = _elements(group, size, key, 1, samples)
    return jnp.sort(jnp.abs(jnp.linalg.eigvals(_matrices(act, g, size))), axis=-1)


def _elements(group, size, key, count, samples):
    """Batches of random elements."""
    instance("group", group, Group, "a group such as groups.SO(3)")
    integer("size", size, 1)
    integer("samples", samples, 1)
    return [group.sample(k, (samples,)) for k in jax.random.split(random_key("key", key), count)]


def _matrices(act: Action, elements: Element, size: int) -> Float[Array, "samples size size"]:
    """ρ(g) of each element, from what it makes of unit vectors."""
    repeated = jax.tree.map(lambda leaf: jnp.repeat(leaf, size, axis=0), elements)
    units = jnp.tile(jnp.eye(size), (len(jax.tree.leaves(elements)[0]), 1))
    return jnp.swapaxes(act(repeated, units).reshape(-1, size, size), 1, 2)
