"""Checks of arguments at trace time, shared by the whole package."""

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree


def floating(name: str, x: object) -> Array:
    """`x` as an array of real floating-point numbers.

    Raises:
        TypeError: If `x` is a list or tuple, or holds integers, booleans or complex numbers.
    """
    _no_sequence(name, x)
    dtype = jnp.result_type(x)
    if not jnp.issubdtype(dtype, jnp.floating):
        kind = "its real and imaginary parts" if jnp.issubdtype(dtype, jnp.complexfloating) else "x.astype(jnp.float32)"
        raise TypeError(f"{name}: expected real floating-point numbers, got {np.dtype(dtype).name}; pass {kind}")
    return jnp.asarray(x)


def integer(name: str, n: object, minimum: int = 0) -> int:
    """`n` as a Python integer of at least `minimum`.

    Raises:
        TypeError: If `n` is not an integer.
        ValueError: If `n` is smaller than `minimum`.
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"{name}: expected an integer, got {n!r} of type {type(n).__name__}")
    if n < minimum:
        raise ValueError(f"{name}: expected an integer of at least {minimum}, got {n}")
    return int(n)


def integers(name: str, x: Any) -> Array:
    """`x` as an array of integers.

    Raises:
        TypeError: If it is of another type.
    """
    found = jnp.asarray(x)
    if not jnp.issubdtype(found.dtype, jnp.integer):
        raise TypeError(f"{name}: expected integers, got {found.dtype.name}")
    return found


def random_key(name: str, key: Any) -> Any:
    """`key` as a random key of jax, typed or of the old kind.

    Raises:
        TypeError: If it is a seed, or anything else.
    """
    kinds = (jax.dtypes.prng_key, np.uint32)
    if isinstance(key, jax.Array | np.ndarray) and any(jnp.issubdtype(key.dtype, kind) for kind in kinds):
        return key
    came = (
        f"an array of {key.dtype}"
        if isinstance(key, jax.Array | np.ndarray)
        else f"{key!r} of type {type(key).__name__}"
    )
    seed = key if isinstance(key, int) and not isinstance(key, bool) else 0
    raise TypeError(f"{name}: expected a random key such as jax.random.key({seed}), got {came}")


def one_of(name: str, x: object, names: Collection[str]) -> None:
    """Raise a ValueError unless `x` is one of some names."""
    if x not in names:
        raise ValueError(f"{name}: expected one of {', '.join(map(repr, names))}, got {x!r}")


def instance(name: str, x: object, kind: type | tuple[type, ...], wanted: str) -> None:
    """Raise a TypeError unless `x` is of a kind, which is `wanted` in words."""
    if not isinstance(x, kind):
        hint = "; did you mean to call it?" if isinstance(x, type) and issubclass(x, kind) else ""
        raise TypeError(f"{name}: expected {wanted}, got {x!r} of type {type(x).__name__}{hint}")


def positive(name: str, x: int | float | np.number | np.ndarray | Array, what: str = "number") -> None:
    """Raise a ValueError if the number `x` is not positive; a traced one, whose value is not known yet, passes."""
    if not isinstance(x, jax.core.Tracer) and not x > 0:
        raise ValueError(f"{name}: expected a positive {what}, got {x}")


@functools.cache
def precision(value: jax.lax.PrecisionLike) -> None:
    """Raise a ValueError unless `value` is a precision of matrix products that jax knows."""
    a = jax.ShapeDtypeStruct((1, 1), np.float32)
    try:
        jax.eval_shape(lambda a: jnp.matmul(a, a, precision=value), a)
    except (ValueError, TypeError) as error:
        raise ValueError(f"precision: expected 'highest' or another jax.lax.Precision, got {value!r}") from error


def last_axis(name: str, x: Any, n: int) -> None:
    """Raise a ValueError unless the last axis of `x` has length `n`."""
    _no_sequence(name, x)
    if jnp.ndim(x) < 1 or jnp.shape(x)[-1] != n:
        raise ValueError(f"{name}: expected shape (..., {n}), got {jnp.shape(x)}")


def parameter_names(f: Callable[..., object], count: int) -> tuple[str, ...]:
    """What a function calls its first positional arguments, args[i] where it has no name for one.

    Examples:
        >>> parameter_names(lambda weight, *rest: weight, 3)
        ('weight', 'args[1]', 'args[2]')
    """
    names = _parameters(f)
    method = f if hasattr(f, "__self__") else getattr(f, "__wrapped__", f)  # what is below jax.jit
    module = getattr(method, "__self__", None)
    if getattr(f, "__name__", "") == "apply" and names == ["variables"] and callable(module):  # of a module of flax
        names += _parameters(module.__call__)
    return tuple([*names, *(f"args[{i}]" for i in range(len(names), count))][:count])


def _parameters(f: Callable[..., object]) -> list[str]:
    """The names of the positional parameters."""
    try:
        found = inspect.signature(f).parameters.values()
    except (TypeError, ValueError):  # of builtins
        return []
    return [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def mismatch(where: str, prefix: PyTree, tree: PyTree, is_leaf: Callable[[object], bool] | None = None) -> str | None:
    """Where a tree first differs from what should be a prefix of it, in words; None if nowhere.

    Examples:
        >>> print(mismatch("outputs", {"E": 1, "F": 2}, {"E": np.ones(3)}))
        outputs: expected a dictionary of 'E', 'F', as {'E': 1, 'F': 2}, got a dictionary of 'E'
    """
    if jax.tree_util.all_leaves([prefix], is_leaf):
        return None

    def level(tree):  # the topmost node and what is below it
        below, node = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda x: x is not tree)
        return node.node_data(), [jax.tree_util.keystr(path) for path, _ in below], [x for _, x in below]

    (node, keys, wanted), (came, found_keys, found) = level(prefix), level(tree)
    if node != came or keys != found_keys:
        return f"{where}: expected {_node(prefix)}, as {prefix}, got {_node(tree)}"
    parts = (mismatch(where + key, a, b, is_leaf) for key, a, b in zip(keys, wanted, found, strict=True))
    return next(filter(None, parts), None)


def _node(tree):
    """The topmost node of a tree in words."""
    if isinstance(tree, dict):
        return f"a dictionary of {', '.join(map(repr, tree)) or 'nothing'}"
    if isinstance(tree, jax.Array | np.ndarray):
        return f"an array of shape {tree.shape}"
    kind = type(tree).__name__
    return f"a {kind} of {len(tree)}" if isinstance(tree, tuple | list) else f"{tree!r} of type {kind}"


def _no_sequence(name, x):
    if isinstance(x, (list, tuple)):
        raise TypeError(f"{name}: expected an array, got a {type(x).__name__}; pass jnp.asarray({name})")
