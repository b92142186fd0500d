"""A symmetry: a group, how it acts on the inputs of a function, and how it acts on the outputs."""

import contextlib
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PRNGKeyArray, PyTree, PyTreeDef

from equijax import reps
from equijax._validate import integer, mismatch, parameter_names, random_key
from equijax.groups import Element, Group
from equijax.reps import Rep


class _Prefix(NamedTuple):
    """A pytree of representations, taken apart: hashable whatever its containers are."""

    leaves: tuple[Rep | None, ...]
    treedef: PyTreeDef

    @property
    def tree(self) -> PyTree:
        return self.treedef.unflatten(self.leaves)


@jax.tree_util.register_static
@dataclasses.dataclass(frozen=True, init=False, repr=False)
class Symmetry:
    """f(ρ_in(g) x) = ρ_out(g) f(x) for every g of a group.

    `inputs` and `outputs` are pytree prefixes, of the positional arguments of f and of its result, as `in_axes` is
    for `jax.vmap`; their leaves are representations or None. None is what the group does not touch: an untouched
    input, an invariant output. `reps.Ignore()` is an output that is not compared. Static and hashable.

    Examples:
        >>> from equijax import groups, reps
        >>> Symmetry(groups.E(3), inputs=(None, reps.Position(), reps.Scalar()), outputs=reps.Vector())
        Symmetry(E(3), inputs=(None, Position(), Scalar()), outputs=Vector())

    Raises:
        TypeError: If a leaf is neither a representation nor None.
        ValueError: If a leaf is no representation of the group, an input is `Ignore`, or an output `Quadrature`.
    """

    group: Group
    _inputs: _Prefix
    _outputs: _Prefix

    def __init__(self, group: Any, inputs: PyTree, outputs: PyTree):
        if not isinstance(group, Group):
            raise TypeError(f"group: expected a group such as groups.SO(3), got {group!r}")
        object.__setattr__(self, "group", group)
        object.__setattr__(self, "_inputs", _flatten("inputs", group, inputs))
        object.__setattr__(self, "_outputs", _flatten("outputs", group, outputs))
        if any(isinstance(rep, reps.Ignore) for rep in self._inputs.leaves):
            raise ValueError("inputs: reps.Ignore() marks outputs; use None for an input that the group does not touch")
        if any(isinstance(rep, reps.Quadrature) for rep in self._outputs.leaves):
            raise ValueError("outputs: reps.Quadrature() marks inputs; use reps.Ignore() for what is not compared")

    @property
    def inputs(self) -> PyTree[Rep | None]:
        """How the group acts on the arguments, as given."""
        return self._inputs.tree

    @property
    def outputs(self) -> PyTree[Rep | None]:
        """How the group acts on the result, as given."""
        return self._outputs.tree

    def act_inputs(self, g: Element, args: PyTree) -> tuple:
        """The arguments moved by `g`, each array in its own dtype."""
        return _act("inputs", self._inputs, g, args)

    def act_outputs(self, g: Element, out: PyTree) -> PyTree:
        """The result moved by `g`, each array in its own dtype."""
        return _act("outputs", self._outputs, g, out)

    def hold_inputs(self, args: tuple[PyTree, ...], names: Sequence[str]) -> None:
        """Raise a TypeError or ValueError unless the group can move these arguments, which are called `names`."""
        g = jax.eval_shape(self.group.identity)
        _act("inputs", self._inputs, g, args, names, _movable)

    def input_reps(self, args: PyTree) -> list[Rep | None]:
        """The representation of each leaf of the arguments, None for those that the group does not touch."""
        return _of_leaves("inputs", self._inputs, args)

    def output_reps(self, out: PyTree) -> list[Rep | None]:
        """The representation of each leaf of the result, None for invariants."""
        return _of_leaves("outputs", self._outputs, out)

    def compared(self, out: PyTree) -> PyTree:
        """`out` without what is ignored: None stands for it."""
        return _map("outputs", self._outputs, lambda rep, x: None if isinstance(rep, reps.Ignore) else x, out)

    def __repr__(self):
        return f"Symmetry({self.group}, inputs={self.inputs}, outputs={self.outputs})"


def augment(
    symmetry: Symmetry, key: PRNGKeyArray, args: PyTree, targets: PyTree = None
) -> tuple | tuple[tuple, PyTree]:
    """Arguments, and targets if given, moved by one random group element.

    Returns:
        The moved arguments, or the pair (arguments, targets). One sample a call; batches by `jax.vmap` over `key` too.

    Raises:
        TypeError: If `args` is not a tuple or list, or `key` no random key.

    Examples:
        >>> from equijax import groups, reps
        >>> symmetry = Symmetry(groups.E(3), inputs=reps.Position(), outputs=reps.Vector())
        >>> positions, forces = jnp.eye(3), jnp.ones((3, 3))
        >>> (moved,), turned = augment(symmetry, jax.random.key(0), (positions,), targets=forces)
        >>> moved.shape, turned.shape
        ((3, 3), (3, 3))
    """
    if not isinstance(symmetry, Symmetry):
        raise TypeError(f"symmetry: expected a Symmetry, as augment(symmetry, key, args), got {symmetry!r}")
    g = symmetry.group.sample(random_key("key", key))
    moved = symmetry.act_inputs(g, args)
    return moved if targets is None else (moved, symmetry.act_outputs(g, targets))


def group_average(f: Callable[..., PyTree], symmetry: Symmetry, *, samples: int | None = None) -> Callable[..., PyTree]:
    """f made symmetric by averaging:  f_sym(x) = ∫ σ(g)⁻¹ f(ρ(g) x) dg.

    Exact for a finite group. On other compact groups the average runs over the quadrature nodes of `group.nodes`: as
    exact as they are.

    Args:
        f: Function of positional arguments, of one sample.
        symmetry: With a compact group.
        samples: Most evaluations of `f`; by default all elements of a finite group, and the default nodes of others. A
            finite group draws that many random elements.

    Returns:
        `f_sym(*args, key=None)`, a pure function. With a key the nodes are moved at random, which makes the average
        unbiased; a finite group with `samples` needs one.

    Raises:
        ValueError: If the group is not compact, or has too many elements for an exact average, or `samples` is not
            positive.

    Examples:
        >>> from equijax import groups, reps
        >>> symmetry = Symmetry(groups.Permutation(3), inputs=reps.Permutation(), outputs=None)
        >>> first_but_one = group_average(lambda x: x[1], symmetry)
        >>> round(float(first_but_one(jnp.array([1.0, 2.0, 6.0]))), 5)
        3.0
    """
    hold_symmetry(f, symmetry)
    group = symmetry.group
    if samples is not None:
        integer("samples", samples, 1)
    if not group.is_compact:
        raise ValueError(
            f"symmetry: {group} is not compact and has no average; center the inputs and average over the compact part"
        )
    if samples is None and group.is_finite and group.elements() is None:
        raise ValueError(
            f"samples: {group} has {group.order} elements, too many to list; pass samples, and a key later"
        )

    def f_sym(*args: PyTree, key: PRNGKeyArray | None = None, **keywords: PyTree) -> PyTree:
        if keywords:
            raise TypeError(
                f"{', '.join(keywords)}: only positional arguments are moved; bind others by functools.partial"
            )
        args = arguments(f, symmetry, args)
        elements, weights = _nodes(group, samples, key)

        def term(g):
            return symmetry.act_outputs(group.inverse(g), f(*symmetry.act_inputs(g, args)))

        terms = jax.lax.map(term, elements, batch_size=min(64, len(weights)))
        return jax.tree.map(lambda y: weighted_mean(weights, y), terms)

    return f_sym


def positional(args: PyTree) -> tuple:
    """`args` as a tuple.

    Raises:
        TypeError: If it is not a tuple or list, but an array that would be split into its rows, say.
    """
    if isinstance(args, jax.Array | np.ndarray | Mapping) or not isinstance(args, Sequence):
        kind = "an array" if isinstance(args, jax.Array | np.ndarray) else f"{args!r} of type {type(args).__name__}"
        raise TypeError(f"args: expected the tuple of positional arguments, got {kind}; pass (x,)")
    return tuple(args)


def hold_symmetry(f: Any, symmetry: Any) -> None:
    """Raise a TypeError unless there is a function and its symmetry, in this order."""
    if not isinstance(symmetry, Symmetry):
        hint = "; the function comes first, then its symmetry" if isinstance(f, Symmetry) else ""
        raise TypeError(f"symmetry: expected a Symmetry, got {symmetry!r}{hint}")
    if not callable(f):
        raise TypeError(f"f: expected a function, got {f!r} of type {type(f).__name__}")


def arguments(f: Any, symmetry: Any, args: PyTree) -> tuple:
    """`args` as a tuple, once each argument is seen to be what the symmetry says of it.

    Raises:
        TypeError, ValueError: If not; it names the argument as `f` does.

    Examples:
        >>> from equijax import groups, reps
        >>> symmetry = Symmetry(groups.SO(3), (None, reps.Vector()), None)
        >>> arguments(lambda weight, forces: weight * forces, symmetry, (2.0, jnp.ones(2)))
        Traceback (most recent call last):
        ValueError: forces: expected shape (..., 3) for Vector(), got (2,)
    """
    hold_symmetry(f, symmetry)
    args = positional(args)
    symmetry.hold_inputs(args, parameter_names(f, len(args)))
    return args


def selected(name: str, choice: int | Callable[..., PyTree], args: tuple[PyTree, ...]) -> PyTree:
    """One array among some arguments, by the position of the argument, or by a function of all of them.

    Raises:
        ValueError: If there is no such argument, or it is not one array.
    """
    if callable(choice):
        return choice(*args)
    index = integer(name, choice)
    if index >= len(args):
        raise ValueError(f"{name}: expected a position among {len(args)} arguments, got {index}")
    if len(jax.tree.leaves(args[index])) != 1:
        raise ValueError(f"{name}: argument {index} is not one array; pass a function of the arguments that returns it")
    return jax.tree.leaves(args[index])[0]


def inexact(x: ArrayLike) -> Array:
    """`x` in at least float32."""
    return jnp.asarray(x, jnp.promote_types(jnp.result_type(x), jnp.float32))


def weighted_mean(weights: Float[Array, " n"], y: Array) -> Array:
    """Σ_k w_k y_k over the leading axis, in the dtype of `y`, or a float for integers."""
    mean = jnp.tensordot(weights, inexact(y), 1, precision="highest")
    return mean.astype(y.dtype) if jnp.issubdtype(y.dtype, jnp.inexact) else mean


def _nodes(group: Group, samples: int | None, key: PRNGKeyArray | None) -> tuple[Element, Float[Array, " nodes"]]:
    """Elements and weights of the average."""
    if samples is None or not group.is_finite:
        return group.nodes(samples, key)
    if key is None:
        raise ValueError(f"key: random elements of {group} need one; call f_sym(*args, key=key), or leave out samples")
    return group.sample(key, (samples,)), jnp.full(samples, 1 / samples)


def _is_leaf(x: PyTree) -> bool:
    return x is None or isinstance(x, Rep)


def _flatten(name: str, group: Group, prefix: PyTree) -> _Prefix:
    """A prefix taken apart, with each representation held against the group."""
    if name == "inputs" and isinstance(prefix, list):
        prefix = tuple(prefix)
    paths, treedef = jax.tree_util.tree_flatten_with_path(prefix, is_leaf=_is_leaf)
    for path, rep in paths:
        where = name + jax.tree_util.keystr(path)
        if not _is_leaf(rep):
            hint = "; did you mean to call it?" if isinstance(rep, type) else ""
            raise TypeError(f"{where}: expected a representation or None, got {rep!r}{hint}")
        if rep is not None:
            try:
                rep.check(group)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{where}: {error}") from None
    return _Prefix(tuple(rep for _, rep in paths), treedef)


def _map(name: str, prefix: _Prefix, act: Callable[[Rep | None, PyTree], PyTree], tree: PyTree) -> PyTree:
    """`act(rep, subtree)` for each leaf of a prefix."""
    if name == "inputs":
        tree = positional(tree)
        if isinstance(prefix.tree, tuple) and len(tree) != len(prefix.tree):
            raise ValueError(f"inputs: expected {len(prefix.tree)} arguments, as {prefix.tree}, got {len(tree)}")
    try:
        subtrees = prefix.treedef.flatten_up_to(tree)
    except ValueError as error:
        raise ValueError(mismatch(name, prefix.tree, tree, _is_leaf) or f"{name}: {error}") from None
    return prefix.treedef.unflatten([act(rep, x) for rep, x in zip(prefix.leaves, subtrees, strict=True)])


def _of_leaves(name: str, prefix: _Prefix, tree: PyTree) -> list[Rep | None]:
    """The representation of each leaf of `tree`."""
    found: list[Rep | None] = []
    _map(name, prefix, lambda rep, below: found.extend([rep] * len(jax.tree.leaves(below))), tree)
    return found


def _act(
    name: str,
    prefix: _Prefix,
    g: Element,
    tree: PyTree,
    names: Sequence[str] = (),
    move: Callable[[Rep, Element, PyTree], PyTree] = lambda rep, g, x: rep.act(g, x),
) -> PyTree:
    """A tree moved by `g`; an error says which array it was, an argument by its name, or args[i] where it has none."""
    places = iter(jax.tree_util.tree_flatten_with_path(prefix.tree, is_leaf=_is_leaf)[0])

    def called(path):
        if name == "outputs":
            return name + jax.tree_util.keystr(path)
        first, rest = path[0].idx, jax.tree_util.keystr(path[1:])
        return (names[first] if first < len(names) else f"args[{first}]") + rest

    def moved(rep, path, x):
        if name == "inputs" and type(x) in (int, float) and any(hasattr(key, "idx") for key in path[1:]):
            where = called(path[:1])
            raise TypeError(f"{where}: expected an array, got a list of numbers; pass jnp.asarray({where})")
        try:
            return move(rep, g, x)
        except (TypeError, ValueError) as error:
            if type(error) not in (TypeError, ValueError):  # those of jax have a meaning of their own
                raise
            raise type(error)(f"{called(path)}: {str(error).removeprefix('x: ')}") from error

    def act(rep, x):
        place, _ = next(places)
        if rep is None:
            return x
        if rep.whole:
            return moved(rep, place, x)
        return jax.tree_util.tree_map_with_path(lambda path, leaf: moved(rep, (*place, *path), leaf), x)

    return _map(name, prefix, act, tree)


def _movable(rep: Rep, g: Element, x: PyTree) -> None:
    """Raise what moving `x` would raise, without doing it."""
    with contextlib.suppress(jax.errors.JAXTypeError):  # of a representation that needs values
        jax.eval_shape(rep.act, g, x)
