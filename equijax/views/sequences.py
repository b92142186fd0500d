"""Several views of an object, in random order, from a set that has them."""

import jax
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray, PyTree

from equijax._validate import integer, random_key


def sequence_views(key: PRNGKeyArray, orbits: PyTree, rows: int, length: int) -> PyTree:
    """A batch of sequences: `length` different views, in random order, of each of `rows` random objects.

    What goes with a view, such as its group element, comes along, so that the element from view to view is one of
    neighbors: g_{m+1} g_m⁻¹, or R_mᵀ R_{m+1} for poses. An object may be drawn more than once. `objectives.seq_jepa`
    takes M + 1 views, losses of two views take 2.

    Args:
        orbits: Arrays with the objects and their views as the first two axes, such as (views, rotations).
        rows: How many sequences.
        length: Of each.

    Returns:
        The same structure, with the first two axes (rows, length).

    Raises:
        ValueError: If arrays differ in their first two axes, or objects have fewer views than `length`.

    Examples:
        >>> from equijax import data
        >>> train = data.orbit_projections(classes=2, instances=6, views=5).train
        >>> x, r = sequence_views(jax.random.key(0), (train.views, train.rotations), rows=32, length=4)
        >>> actions = jnp.swapaxes(r[:, :-1], -1, -2) @ r[:, 1:]  # to the next view
        >>> x.shape, actions.shape
        ((32, 4, 64), (32, 3, 3, 3))
    """
    sizes = {jnp.shape(leaf)[:2] for leaf in jax.tree.leaves(orbits)}
    if len(sizes) != 1 or len(size := next(iter(sizes))) < 2:
        raise ValueError(f"orbits: expected arrays with the same first two axes, objects and views, got {sizes}")
    if not integer("length", length, 1) <= size[1]:
        raise ValueError(f"length: expected at most {size[1]}, the number of views of an object, got {length}")
    for_objects, for_views = jax.random.split(random_key("key", key))
    objects = jax.random.randint(for_objects, (integer("rows", rows, 1), 1), 0, size[0])
    chosen = jnp.argsort(jax.random.uniform(for_views, (rows, size[1])), axis=1)[:, :length]
    return jax.tree.map(lambda leaf: jnp.asarray(leaf)[objects, chosen], orbits)
