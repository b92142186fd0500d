"""Pytrees as a checkpoint has them: arrays of numbers by name, and in JSON what the nodes and the leaves were."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

NUMBERS = {kind.__name__: kind for kind in (bool, int, float, complex)}  # those of Python
KEY = "key "  # before the name of its generator
EMPTY = "empty "  # before the dtype and the shape of an array without numbers


def stored(leaf: Any, name: str) -> tuple[Array | np.ndarray | jax.ShapeDtypeStruct, str]:
    """A leaf as an array of numbers, and its kind: "array", "int" and the like, "key" of a generator, or "empty" array.

    Raises:
        TypeError: If it is no number, array of numbers or key.

    Examples:
        >>> stored(2.5, "rate")
        (array(2.5), 'float')
        >>> stored(jax.random.key(0), "rng")[1]
        'key threefry2x32'
    """
    array: Any
    if type(leaf).__name__ in NUMBERS and type(leaf) is NUMBERS[type(leaf).__name__]:
        array, kind = np.asarray(leaf), type(leaf).__name__
    elif isinstance(leaf, np.generic):
        array, kind = np.asarray(leaf), "array"
    elif not hasattr(leaf, "dtype") or not hasattr(leaf, "shape"):
        raise TypeError(f"{name}: expected an array, a key or a number, got {leaf!r}")
    elif jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        kind = f"{KEY}{jax.random.key_impl(leaf)}"
        abstract = isinstance(leaf, jax.ShapeDtypeStruct)
        array = jax.eval_shape(jax.random.key_data, leaf) if abstract else jax.random.key_data(leaf)
    else:
        array, kind = leaf, "array"
    if not (jnp.issubdtype(array.dtype, jnp.number) or array.dtype == bool):
        raise TypeError(f"{name}: expected an array of numbers or a key, got one of dtype {array.dtype}")
    if array.size == 0:  # which Orbax does not write
        if kind != "array":
            raise TypeError(f"{name}: expected one key at least, got shape {leaf.shape}")
        array, kind = np.zeros(1, array.dtype), f"{EMPTY}{array.dtype} {'x'.join(map(str, array.shape))}"
    return array, kind


def restored(array: Array | np.ndarray, kind: str) -> Any:
    """The leaf that `stored` was given."""
    if kind in NUMBERS:
        return NUMBERS[kind](np.asarray(array).item())
    if kind.startswith(KEY):
        return jax.random.wrap_key_data(jnp.asarray(array), impl=kind.removeprefix(KEY))
    if kind.startswith(EMPTY):
        _, dtype, shape = kind.split()
        return np.zeros([int(size) for size in shape.split("x")], jnp.dtype(dtype))
    return array


def nested(tree: PyTree, name: str) -> tuple[Any, Any]:
    """A tree as nested dicts of arrays, and its form in JSON, from which `rebuilt` makes it without another one.

    A form is the kind of a leaf, or ["dict", [[key, form], ...]], or "list" or "tuple" in the place of "dict".

    Raises:
        TypeError: If a leaf is not as `stored` takes it, or a key of a dict is neither a name nor an integer.

    Examples:
        >>> nested({3: (1.0, None)}, "params")
        ({'3': {'0': array(1.)}}, ['dict', [[3, ['tuple', [[0, 'float'], [1, 'None']]]]]])
    """
    if tree is None:
        return {}, "None"
    if jax.tree_util.all_leaves([tree]):
        return stored(tree, name)
    node, children = "dict", {}
    if isinstance(tree, dict):
        children = tree
    elif type(tree) in (list, tuple):
        node, children = type(tree).__name__, dict(enumerate(tree))
    else:  # NamedTuples and what else is registered
        entries = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda x: x is not tree)
        children = {jax.tree_util.keystr(path, simple=True): child for path, child in entries}
    arrays, forms = {}, []
    for key, child in children.items():
        if isinstance(key, bool) or not isinstance(key, (str, int, np.integer)):
            raise TypeError(f"{name}: expected names or integers for keys, got {key!r}")
        found, form = nested(child, f"{name}[{key!r}]")
        if not (isinstance(found, dict) and not found):  # of no arrays
            arrays[str(key)] = found
        forms.append([key if isinstance(key, str) else int(key), form])
    return arrays, [node, forms]


def rebuilt(form: Any, arrays: Any) -> PyTree:
    """The tree that `nested` was given, from its form and arrays; other nodes than dict, list and tuple as dicts."""
    if form == "None":
        return None
    if isinstance(form, str):
        return restored(arrays, form)
    node, children = form
    found = {key: rebuilt(child, arrays.get(str(key), {})) for key, child in children}
    return found if node == "dict" else (list if node == "list" else tuple)(found.values())


def flat(tree: PyTree, name: str) -> tuple[dict[str, Any], list[list[Any]]]:
    """The leaves as arrays by number, and of each of them the path, dtype, shape and kind, as JSON has them.

    Raises:
        TypeError: If a leaf is not as `stored` takes it.
    """
    arrays, forms = {}, []
    for k, (path, leaf) in enumerate(jax.tree_util.tree_leaves_with_path(tree)):
        array, kind = stored(leaf, f"{name}{jax.tree_util.keystr(path)}")
        arrays[str(k)] = array
        at = jax.tree_util.keystr(path, simple=True, separator="/")
        forms.append([at, str(array.dtype), list(array.shape), kind])
    return arrays, forms


def differences(saved: list[list[Any]] | None, wanted: list[list[Any]]) -> str:
    """How leaves of one form differ from those of another, as `flat` has them, in words; empty if they do not.

    Examples:
        >>> differences([["mu", "float32", [3], "array"]], [["mu", "float32", [4], "array"]])
        'mu is of [3], expected [4]'
        >>> differences([["mu", "float32", [3], "array"]], [])
        "it has ['mu'] that is not expected, and lacks nothing"
    """
    if saved is None:
        return "it was saved without training"
    one, other = ({form[0]: form[1:] for form in forms} for forms in (saved, wanted))
    if one.keys() != other.keys():
        return (
            f"it has {sorted(one.keys() - other.keys()) or 'nothing'} that is not expected, and lacks "
            f"{sorted(other.keys() - one.keys()) or 'nothing'}"
        )
    found = ((at, *pair) for at, form in one.items() for pair in zip(form, other[at], strict=True))
    return next((f"{at} is of {came}, expected {expected}" for at, came, expected in found if came != expected), "")


def refilled(tree: PyTree, forms: list[list[Any]], arrays: dict[str, Any]) -> PyTree:
    """A tree like another one, with the leaves that `flat` was given."""
    leaves = [restored(arrays[str(k)], form[-1]) for k, form in enumerate(forms)]
    return jax.tree.unflatten(jax.tree.structure(tree), leaves)
