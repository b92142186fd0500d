"""Arrays on the devices of a mesh: batches split, parameters on each.

A mesh is one axis of devices, of one host or of many: `jax.make_mesh((jax.device_count(),), ("devices",))`.
"""

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding
from jaxtyping import PyTree


def split(tree: PyTree, mesh: Mesh) -> PyTree:
    """Arrays of the host on the devices of a mesh, equal shares of their first axis on each.

    Every process of a run gives the same whole arrays, and keeps the shares of its own devices.

    Raises:
        ValueError: If the mesh has several axes, or does not divide a first axis.

    Examples:
        >>> mesh = jax.make_mesh((1,), ("devices",))
        >>> split({"x": np.ones((4, 3))}, mesh)["x"].shape
        (4, 3)
    """
    axis, devices = axis_of(mesh), mesh.size
    for path, x in jax.tree_util.tree_leaves_with_path(tree):
        if np.ndim(x) < 1 or np.shape(x)[0] % devices:
            raise ValueError(
                f"tree{jax.tree_util.keystr(path)}: expected a first axis that the {devices} devices of the mesh "
                f"divide, got shape {np.shape(x)}; pad it, or take a mesh of fewer devices"
            )
    return _put(tree, NamedSharding(mesh, PartitionSpec(axis)))


def replicate(tree: PyTree, mesh: Mesh) -> PyTree:
    """Arrays of the host on each device of a mesh: parameters, the state of an optimizer.

    Examples:
        >>> mesh = jax.make_mesh((1,), ("devices",))
        >>> replicate({"w": np.ones(3)}, mesh)["w"].sharding.is_fully_replicated
        True
    """
    return _put(tree, NamedSharding(mesh, PartitionSpec()))


def axis_of(mesh: Mesh) -> str:
    """The name of the one axis of a mesh.

    Raises:
        ValueError: If it has several.

    Examples:
        >>> axis_of(jax.make_mesh((1,), ("devices",)))
        'devices'
    """
    if len(mesh.axis_names) != 1:
        raise ValueError(
            f"mesh: expected one axis, got {mesh.axis_names}; jax.make_mesh((jax.device_count(),), ('devices',))"
        )
    return mesh.axis_names[0]


def _put(tree: PyTree, sharding: Sharding) -> PyTree:
    return jax.tree.map(lambda x: jax.make_array_from_callback(np.shape(x), sharding, np.asarray(x).__getitem__), tree)
