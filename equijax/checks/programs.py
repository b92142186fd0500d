"""A call f(*args) as a function of arrays, so that one program runs in float32 and in float64.

Parameters may sit anywhere: in the arguments, in the leaves of a callable pytree (equinox, nnx), in a
`functools.partial`, behind a bound method, in an object's attributes, or in the closure or the defaults of a function.
Every jax array found there becomes an input of the program and is cast with the other inputs, so no parameter stays
behind in single precision.
"""

import contextlib
import copy
import dataclasses
import functools
import types
from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr
from jaxtyping import Array, PyTree, PyTreeDef

T = TypeVar("T")
Arrays = Sequence[Array | np.ndarray]


@contextlib.contextmanager
def precision(bits: int) -> Iterator[None]:
    """Run in float32 (`bits` = 32) or float64 (64), matrix products at the highest precision.

    Float64 runs on the CPU where the default backend has none.
    """
    lacking = bits == 64 and jax.default_backend() not in ("cpu", "gpu")
    with (
        jax.enable_x64(bits == 64),
        jax.default_matmul_precision("highest"),
        _cpu() if lacking else contextlib.nullcontext(),
    ):
        yield


@contextlib.contextmanager
def on_cpu() -> Iterator[None]:
    """Run in float64 on the CPU."""
    with precision(64), _cpu():
        yield


def is_array(x: object) -> bool:
    """Whether `x` is an array of numbers (a typed random key is not)."""
    return isinstance(x, jax.Array | np.ndarray | np.generic) and not jnp.issubdtype(x.dtype, jax.dtypes.extended)


def on_host(x: PyTree) -> PyTree:
    """A NumPy array if `x` is an array of numbers, else `x`."""
    return np.asarray(x) if is_array(x) else x


def cast(x: Array | np.ndarray, bits: int) -> Array | np.ndarray:
    """`x` in float32 or float64 (complex64 or complex128) if it is an array of such numbers, else as it is."""
    if not is_array(x) or not jnp.issubdtype(x.dtype, jnp.inexact):
        return x
    kind = f"complex{2 * bits}" if jnp.issubdtype(x.dtype, jnp.complexfloating) else f"float{bits}"
    return np.asarray(x).astype(kind)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Arguments without their arrays; hashable."""

    tree: PyTreeDef
    static: tuple[Hashable, ...]

    def args(self, arrays: Arrays) -> tuple[PyTree, ...]:
        """The positional arguments with `arrays` put in."""
        rest = iter(arrays)
        leaves = [next(rest) if s is _ARRAY else s.value if isinstance(s, _ById) else s for s in self.static]
        return jax.tree.unflatten(self.tree, leaves)

    def select(self, leaves: Sequence[T]) -> list[T]:
        """Of one thing for each leaf of the arguments, those for the arrays."""
        return [x for s, x in zip(self.static, leaves, strict=True) if s is _ARRAY]


class Program:
    """A call f(*args) as a function of two lists of arrays: those that f carries, and those in the arguments.

    It is compiled anew for each instance, because f may depend on things that change unseen, such as global names. A
    function that is jitted already runs as it is, and keeps its compiled programs.

    Attributes:
        layout: The arguments without their arrays.
        captured: The arrays that f carries, on the host.
        arrays: The arrays in the arguments, on the host.
        run: f(*args) of (captured, arrays).

    Raises:
        TypeError: If any array is traced, or under `jax.jit`.
    """

    def __init__(self, f: Callable[..., PyTree], args: tuple[PyTree, ...]):
        captured: list[Array] = []
        _replace(f, functools.partial(_keep, captured))
        leaves, tree = jax.tree.flatten(args)
        if any(isinstance(x, jax.core.Tracer) for x in [*captured, *leaves, jnp.zeros(())]):  # under jit, zeros too
            raise TypeError(
                "a check runs on the host with numbers, got traced arrays; under jax.jit, jax.grad or jax.vmap use "
                "ej.equivariance_error(f, symmetry, args, key=key)"
            )
        self._f = f
        self.captured = [on_host(x) for x in captured]
        self.arrays = [on_host(x) for x in leaves if _is_input(x)]
        self.layout = Layout(tree, tuple(_ARRAY if _is_input(x) else _hashable(x) for x in leaves))
        self.run: Callable[[Arrays, Arrays], PyTree] = self.call if _is_jitted(f) else jax.jit(self.call)

    def call(self, captured: Arrays, arrays: Arrays) -> PyTree:
        """f(*args), not compiled."""
        rest = iter(captured)
        return _replace(self._f, lambda x: next(rest))(*self.layout.args(arrays))

    def trace(self, arrays: Arrays, bits: int) -> ClosedJaxpr:
        """The program in float32 or float64 as a jaxpr; a function that is not jitted is traced once with `run`."""
        with precision(bits):
            captured, arrays = ([jnp.asarray(cast(x, bits)) for x in xs] for xs in (self.captured, arrays))
            return (self.run if hasattr(self.run, "trace") else jax.jit(self.call)).trace(captured, arrays).jaxpr


_ARRAY = "<array>"


class _ById:
    """A static argument that is not hashable, compared by identity."""

    def __init__(self, value: object):
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and self.value is other.value


def _hashable(x: object) -> Hashable:
    try:
        hash(x)
    except TypeError:
        return _ById(x)
    return x


def _is_input(x: object) -> bool:
    return isinstance(x, jax.Array) or is_array(x)


def _is_jitted(f: Callable[..., PyTree]) -> bool:
    while type(f) is functools.partial:
        f = f.func
    return isinstance(f, jax.stages.Wrapped)


def _replace(x: PyTree, change: Callable[[Array], PyTree], seen: tuple[int, ...] = ()) -> PyTree:
    """`x` with `change` applied to every jax array that it carries; `x` itself if nothing changes."""
    if isinstance(x, jax.Array):
        return change(x)
    # what cannot be looked into: what is being looked into already, types, modules, what is jitted already
    if id(x) in seen or isinstance(x, type | types.ModuleType | jax.stages.Wrapped):
        return x
    deeper = functools.partial(_replace, change=change, seen=(*seen, id(x)))
    if type(x) is dict:  # its keys may have no order, as jax would want them
        new = [deeper(value) if _may_carry(value) else value for value in x.values()]
        return x if _same(new, list(x.values())) else dict(zip(x, new, strict=True))
    # containers, and callables that are pytrees themselves
    leaves, tree = jax.tree.flatten(x, is_leaf=lambda y: type(y) is dict)
    if not jax.tree_util.all_leaves([x]):
        new = [deeper(leaf) if _may_carry(leaf) else leaf for leaf in leaves]
        return x if _same(new, leaves) else jax.tree.unflatten(tree, new)
    # callables that are leaves to jax: partials, bound methods, functions, objects with `__call__`
    if type(x) is functools.partial:
        old = (x.func, x.args, x.keywords)
        new = deeper(old)
        return x if new is old else functools.partial(new[0], *new[1], **new[2])
    if isinstance(x, types.MethodType):
        new = _replace_attributes(x.__self__, deeper)
        return x if new is x.__self__ else types.MethodType(x.__func__, new)
    if isinstance(x, types.FunctionType):
        return _replace_in_function(x, deeper)
    return _replace_attributes(x, deeper)


def _may_carry(x: PyTree) -> bool:
    """Whether to look for arrays in `x`, in a container: not if it is neither a function nor a container itself."""
    return isinstance(x, jax.Array) or callable(x) or not jax.tree_util.all_leaves([x])


def _keep(found: list[Array], x: Array) -> Array:
    found.append(x)
    return x


def _replace_attributes(x: PyTree, deeper: Callable[[PyTree], PyTree]) -> PyTree:
    if not jax.tree_util.all_leaves([x]) or not hasattr(x, "__dict__"):
        return deeper(x)
    old = dict(vars(x))
    new = deeper(old)
    if new is old:
        return x
    twin = copy.copy(x)
    if twin is not x:  # as of the wrapper of `functools.cache`, whose arrays stay as they are
        vars(twin).update(new)
    return twin


def _replace_in_function(f: types.FunctionType, deeper: Callable[[PyTree], PyTree]) -> types.FunctionType:
    # what the function refers to: its closure, and the defaults of its arguments
    cells = f.__closure__ or ()
    old: list[PyTree] = [[c.cell_contents for c in cells if not _is_empty(c)], f.__defaults__, f.__kwdefaults__]
    new: list[PyTree] = [[deeper(x) for x in old[0]], *map(deeper, old[1:])]
    if _same([*new[0], *new[1:]], [*old[0], *old[1:]]):
        return f
    # a copy of the function with new cells where they have changed
    contents = iter(zip(old[0], new[0], strict=True))
    pairs = [(c, (None, None) if _is_empty(c) else next(contents)) for c in cells]
    closure = tuple(c if x is y else types.CellType(y) for c, (x, y) in pairs)  # a cell without arrays stays shared
    twin = types.FunctionType(f.__code__, f.__globals__, f.__name__, new[1], closure)
    twin.__kwdefaults__ = new[2]
    return twin


def _is_empty(cell: types.CellType) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return True
    return False


def _same(xs: Sequence[object], ys: Sequence[object]) -> bool:
    return all(x is y for x, y in zip(xs, ys, strict=True))


def _cpu() -> contextlib.AbstractContextManager:
    try:
        return jax.default_device(jax.devices("cpu")[0])
    except RuntimeError:  # the CPU backend is turned off
        return contextlib.nullcontext()
