"""A callable taken apart into arrays and a hashable rest, so that one program runs in float32 and in float64.

Parameters may sit anywhere: in the arguments, in the leaves of a callable pytree (equinox, nnx), in a
`functools.partial`, behind a bound method, in an object's attributes, or in the closure or the defaults of a function.
Every jax array found there becomes an input of the compiled program and is cast with the other inputs, so no parameter
stays behind in single precision. Two callables that differ only in those arrays share their compiled programs.
"""

import contextlib
import copy
import dataclasses
import functools
import types
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


@contextlib.contextmanager
def precision(bits: int) -> Iterator[None]:
    """Run in float32 (`bits` = 32) or float64 (64), matrix products at the highest precision.

    Float64 runs on the CPU where the default backend has none.
    """
    lacking = bits == 64 and jax.default_backend() not in ("cpu", "gpu")
    with jax.enable_x64(bits == 64), jax.default_matmul_precision("highest"), _cpu() if lacking else _anywhere():
        yield


@contextlib.contextmanager
def on_cpu() -> Iterator[None]:
    """Run in float64 on the CPU."""
    with precision(64), _cpu():
        yield


def is_array(x: Any) -> bool:
    """Whether `x` is an array of numbers (a typed random key is not)."""
    return isinstance(x, jax.Array | np.ndarray | np.generic) and not jnp.issubdtype(x.dtype, jax.dtypes.extended)


def on_host(x: Any) -> Any:
    """A NumPy array if `x` is an array of numbers, else `x`."""
    return np.asarray(x) if is_array(x) else x


def cast(x: Any, bits: int) -> Any:
    """`x` in float32 or float64 (complex64 or complex128) if it is an array of such numbers, else as it is."""
    if not is_array(x) or not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    kind = f"complex{2 * bits}" if jnp.issubdtype(x.dtype, jnp.complexfloating) else f"float{bits}"
    return np.asarray(x).astype(kind)


@dataclasses.dataclass(frozen=True)
class Program:
    """The static part of a call f(*args): hashable, and the key of the compiled programs.

    Its methods take `captured`, the arrays that the callable carries, and `arrays`, those in the arguments.
    """

    f_tree: Any
    f_static: tuple[Hashable, ...]
    args_tree: Any
    args_static: tuple[Hashable, ...]

    def args(self, arrays: Sequence[Any]) -> tuple[Any, ...]:
        """The positional arguments with `arrays` put in."""
        return jax.tree.unflatten(self.args_tree, _merge(self.args_static, arrays))

    def arrays_of(self, args: tuple[Any, ...]) -> list[Any]:
        """The inverse of `args`."""
        return [x for s, x in zip(self.args_static, jax.tree.leaves(args), strict=True) if s is _ARRAY]

    def call(self, captured: Sequence[Any], arrays: Sequence[Any]) -> Any:
        """f(*args), not compiled."""
        f = jax.tree.unflatten(self.f_tree, _merge(self.f_static, captured))
        return _put_together(f)(*self.args(arrays))

    def run(self, captured: Sequence[Any], arrays: Sequence[Any]) -> Any:
        """f(*args), compiled once for each precision and shape."""
        return _run(self, captured, arrays)

    def jaxpr(self, captured: Sequence[Any], arrays: Sequence[Any]) -> Any:
        """The program as JAX sees it; the tracing is shared with `run`."""
        return _run.trace(self, captured, arrays).jaxpr


def program(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Program, list[Any], list[Any]]:
    """The static part of f(*args), the arrays that `f` carries, and those in `args`; arrays on the host.

    Raises:
        TypeError: If any of them is traced, or under `jax.jit`.
    """
    f_leaves, f_tree = jax.tree.flatten(_take_apart(f))
    args_leaves, args_tree = jax.tree.flatten(args)
    if any(isinstance(x, jax.core.Tracer) for x in [*f_leaves, *args_leaves, jnp.zeros(())]):  # under jit, zeros too
        raise TypeError(
            "a check runs on the host with numbers, got traced arrays; under jax.jit, jax.grad or jax.vmap use "
            "ej.equivariance_error(f, symmetry, args, key=key)"
        )
    f_static, captured = _split(f_leaves, lambda x: isinstance(x, jax.Array))  # NumPy tables stay constants
    args_static, arrays = _split(args_leaves, lambda x: isinstance(x, jax.Array) or is_array(x))
    return Program(f_tree, f_static, args_tree, args_static), captured, arrays


@functools.partial(jax.jit, static_argnums=0)
def _run(static: Program, captured: Any, arrays: Any) -> Any:
    return static.call(captured, arrays)


_anywhere = contextlib.nullcontext


def _cpu() -> Any:
    try:
        return jax.default_device(jax.devices("cpu")[0])
    except RuntimeError:  # the CPU backend is turned off
        return _anywhere()


_ARRAY = "<array>"


class _ById:
    """A static part that is not hashable, compared by identity."""

    def __init__(self, value: Any):
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and self.value is other.value


@functools.partial(jax.tree_util.register_dataclass, data_fields=["inner"], meta_fields=["build"])
@dataclasses.dataclass(frozen=True)
class _Parts:
    """A callable that carries arrays: `inner` shows them, `build(inner)` gives the callable back."""

    build: Callable[[Any], Any]
    inner: Any


def _take_apart(f: Any, seen: tuple[int, ...] = ()) -> Any:
    """`f` with the arrays in partials, bound methods, closures and attributes shown as leaves of a pytree."""
    if id(f) in seen or isinstance(f, type) or is_array(f):
        return f  # a function that refers to itself, a class, an array

    def apart(tree: Any) -> Any:
        return jax.tree.map(lambda x: _take_apart(x, (*seen, id(f))) if callable(x) else x, tree)

    if type(f) is functools.partial:
        parts = _Parts(_build_partial, apart((f.func, f.args, f.keywords)))
    elif isinstance(f, types.MethodType):
        parts = _Parts(_BuildMethod(f.__func__), _take_apart(f.__self__, (*seen, id(f))))
    elif isinstance(f, types.FunctionType):
        cells = {i: apart(c.cell_contents) for i, c in enumerate(f.__closure__ or ()) if not _is_empty(c)}
        cells = {i: x for i, x in cells.items() if _carries_arrays(x)}  # the others stay the cells that they are
        kept = tuple(None if i in cells else _ById(c) for i, c in enumerate(f.__closure__ or ()))
        defaults = (apart(f.__defaults__), apart(f.__kwdefaults__))
        parts = _Parts(_BuildFunction(f.__code__, _ById(f.__globals__), kept), (cells, *defaults))
    elif jax.tree_util.all_leaves([f]) and hasattr(f, "__dict__"):
        parts = _Parts(_BuildObject(_ById(f)), apart(dict(vars(f))))
    else:
        return apart(f) if not jax.tree_util.all_leaves([f]) else f
    return parts if _carries_arrays(parts) else f


def _put_together(tree: Any) -> Any:
    def is_parts(x):
        return isinstance(x, _Parts)

    return jax.tree.map(lambda x: x.build(_put_together(x.inner)) if is_parts(x) else x, tree, is_leaf=is_parts)


def _build_partial(inner: Any) -> Any:
    func, args, keywords = inner
    return functools.partial(func, *args, **keywords)


@dataclasses.dataclass(frozen=True)
class _BuildMethod:
    func: Any

    def __call__(self, inner: Any) -> Any:
        return types.MethodType(self.func, inner)


@dataclasses.dataclass(frozen=True)
class _BuildFunction:
    code: types.CodeType
    global_names: _ById
    kept: tuple[_ById | None, ...]

    def __call__(self, inner: Any) -> Any:
        cells, defaults, kwdefaults = inner
        closure = tuple(types.CellType(cells[i]) if c is None else c.value for i, c in enumerate(self.kept))
        f = types.FunctionType(self.code, self.global_names.value, self.code.co_name, defaults, closure)
        f.__kwdefaults__ = kwdefaults
        return f


@dataclasses.dataclass(frozen=True)
class _BuildObject:
    original: _ById

    def __call__(self, inner: Any) -> Any:
        new = copy.copy(self.original.value)
        vars(new).update(inner)
        return new


def _carries_arrays(tree: Any) -> bool:
    return any(isinstance(x, jax.Array) for x in jax.tree.leaves(tree))


def _is_empty(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def _split(leaves: list[Any], is_dynamic: Callable[[Any], bool]) -> tuple[tuple[Hashable, ...], list[Any]]:
    static = tuple(_ARRAY if is_dynamic(x) else x if _is_hashable(x) else _ById(x) for x in leaves)
    return static, [on_host(x) for x in leaves if is_dynamic(x)]


def _is_hashable(x: Any) -> bool:
    try:
        hash(x)
    except TypeError:
        return False
    return True


def _merge(static: Sequence[Any], arrays: Sequence[Any]) -> list[Any]:
    rest = iter(arrays)
    return [next(rest) if s is _ARRAY else s.value if isinstance(s, _ById) else s for s in static]
