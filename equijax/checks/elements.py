"""Group elements for a check: part by part, in float64, with translations of the size of the data."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from equijax import _validate, groups
from equijax.groups import Element, Group, Part

TOGETHER = "all together"
PADDING = "padding"  # a part beside those of the group
FILLS = 4  # other numbers in padded rows, so many times


def random_key(key: object) -> Array | np.ndarray:
    """`key`, or a fixed one for None.

    Raises:
        TypeError: If it is no random key.
    """
    if key is None:
        return jax.random.key(0)
    return _validate.random_key("key", key)


def elements_by_part(
    group: Group, key: Array | np.ndarray, samples: int, spread: float, padding: bool = False
) -> dict[str, list[Element]]:
    """Elements that blame one part of the group each, then elements of the whole group, on the host in float64.

    A connected part gives `samples` random elements; a discrete part all of its elements where there are at most
    4 `samples`, else that many random ones, because half of them may lie in a subgroup that is not broken.
    Translations are multiplied by `spread`. With `padding`, there is the identity a few times for it. Call it inside
    `on_cpu()`.
    """
    stacked = jax.device_get(_elements(group, samples, key, spread))
    names = [name for name in (*group.parts(), TOGETHER) if name in stacked]  # jit has sorted them
    found = {name: _unstack(stacked[name]) for name in names}
    return found | {PADDING: [jax.device_get(group.identity())] * FILLS} if padding else found


@functools.partial(jax.jit, static_argnums=(0, 1), compiler_options={"xla_backend_optimization_level": 0})
def _elements(group: Group, samples: int, key: Array | np.ndarray, spread: float | Array) -> dict[str, Element]:
    """Elements of each part, stacked along a leading axis."""
    parts = group.parts()
    keys = jax.random.split(key, len(parts) + 1)
    found = {name: _of_part(part, k, samples) for (name, part), k in zip(parts.items(), keys[1:], strict=True)}
    if len(parts) > 1:
        found[TOGETHER] = group.sample(keys[0], (samples,), dtype=jnp.float64)
    return {name: _stretch(group, g, spread) for name, g in found.items()}


def _of_part(part: Part, key: Array, samples: int) -> Element:
    count = samples if part.dim else 4 * samples
    listed = None if part.dim else part.elements(jnp.float64)
    if listed is not None and len(jax.tree.leaves(listed)[0]) <= count:
        return listed
    return part.sample(key, (count,), dtype=jnp.float64)


def _stretch(group: Group, g: Element, by: float | Array) -> Element:
    """`g` with the translations in it multiplied by `by`."""
    if isinstance(group, groups.Translation):
        return g * by
    if not _translates(group):
        return g
    if isinstance(group, groups.Power):
        return groups.PowerElement(_stretch(group.group, g.each, by))
    return group.join(*(_stretch(f, x, by) for f, x in zip(group.factors, group.split(g), strict=True)))  # type: ignore[attr-defined]


def _translates(group: Group) -> bool:
    """Whether translations are a factor of a group, or of one of its factors."""
    return isinstance(group, groups.Translation) or any(_translates(f) for f in getattr(group, "factors", ()))


def _unstack(tree: Element) -> list[Element]:
    return [jax.tree.map(lambda x, i=i: x[i], tree) for i in range(len(jax.tree.leaves(tree)[0]))]


def describe(g: Element, identity: Element) -> str:
    """A group element in a line, without the factors that are at the identity."""
    if isinstance(g, groups.PowerElement):
        pieces = [
            (f"piece {k}", *pair) for k, pair in enumerate(zip(*map(_unstack, (g.each, identity.each)), strict=True))
        ]
        return _moving(pieces)
    if isinstance(g, tuple):
        names = getattr(g, "_fields", [f"factor {i + 1}" for i in range(len(g))])
        return _moving(list(zip(names, g, identity, strict=True)))
    with np.printoptions(precision=3, suppress=True, threshold=12, edgeitems=2):
        return " ".join(str(np.asarray(g)).split())


def _moving(factors: list[tuple[str, Element, Element]]) -> str:
    """The factors that are not at the identity, each a name, an element and the identity."""
    found = [f"{name} {describe(x, e)}" for name, x, e in factors if not _equal(x, e)]
    return ", ".join(found) or "the identity"


def _equal(g: Element, h: Element) -> bool:
    return all(map(np.array_equal, jax.tree.leaves(g), jax.tree.leaves(h)))
