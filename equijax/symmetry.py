"""A symmetry: a group, how it acts on the inputs of a function, and how it acts on the outputs."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float

from equijax import reps
from equijax._validate import integer
from equijax.groups import Group
from equijax.reps import Rep


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
        ValueError: If a leaf is no representation of the group, or an input is `Ignore`.
    """

    group: Group
    _inputs: tuple[Any, Any]  # (leaves, treedef), hashable whatever the containers are
    _outputs: tuple[Any, Any]

    def __init__(self, group: Any, inputs: Any, outputs: Any):
        if not isinstance(group, Group):
            raise TypeError(f"group: expected a group such as groups.SO(3), got {group!r}")
        object.__setattr__(self, "group", group)
        object.__setattr__(self, "_inputs", _flatten("inputs", group, inputs))
        object.__setattr__(self, "_outputs", _flatten("outputs", group, outputs))
        if any(type(rep) is reps.Ignore for rep in self._inputs[0]):
            raise ValueError("inputs: reps.Ignore() marks outputs; use None for an input that the group does not touch")

    @property
    def inputs(self) -> Any:
        leaves, treedef = self._inputs
        return treedef.unflatten(leaves)

    @property
    def outputs(self) -> Any:
        leaves, treedef = self._outputs
        return treedef.unflatten(leaves)

    def act_inputs(self, g: Any, args: Any) -> tuple:
        """The arguments moved by `g`, each array in its own dtype."""
        return _act("inputs", self._inputs, g, args)

    def act_outputs(self, g: Any, out: Any) -> Any:
        """The result moved by `g`, each array in its own dtype."""
        return _act("outputs", self._outputs, g, out)

    def compared(self, out: Any) -> Any:
        """`out` without what is ignored: None stands for it."""
        return _map("outputs", self._outputs, lambda rep, x: None if isinstance(rep, reps.Ignore) else x, out)

    def __repr__(self):
        return f"Symmetry({self.group}, inputs={self.inputs}, outputs={self.outputs})"


def equivariance_error(f: Callable, symmetry: Symmetry, args: Any, *, key: Any, samples: int = 8) -> Float[Array, ""]:
    """Largest relative error  max_g max‖f(ρ(g) x) − σ(g) f(x)‖ / scale  over random g; pure and jittable.

    Dimensionless; about 1e-7 for a correct float32 f, of order 1 for a wrong one, NaN if f gives NaN. The scale is
    that of `output_scale`, leaf by leaf; the norm is the largest entry. The group moves the given input alone: where an
    error vanishes at it, such as that of reflections at points in a plane, it is not seen, while `check` looks nearby.

    Args:
        f: Function of positional arguments, of one sample.
        symmetry: The symmetry to hold it against.
        args: Its arguments, as a tuple.
        key: For the group elements and the perturbations of the scale.
        samples: Number of group elements.

    Raises:
        TypeError: If `args` is not a tuple or list.
        ValueError: If nothing of the output is compared, or `samples` is not positive.
    """
    integer("samples", samples, 1)
    args, group = positional(args), symmetry.group
    key_scale, key_g = jax.random.split(key)
    g = jax.tree.map(lambda e, h: jnp.concatenate([e[None], h]), group.identity(), group.sample(key_g, (samples,)))
    with jax.default_matmul_precision("highest"):  # TPU and TF32 defaults hide small errors
        scale = output_scale(lambda *args: symmetry.compared(f(*args)), args, key_scale)
        moved = jax.vmap(lambda g: f(*symmetry.act_inputs(g, args)))(g)
    out = jax.tree.map(lambda y: y[0], moved)  # f is compiled once for the identity and all the others
    image = jax.vmap(lambda g: symmetry.act_outputs(g, out))(g)
    errors = jax.tree.map(_error, symmetry.compared(moved), symmetry.compared(image), scale)
    if not jax.tree.leaves(errors):
        raise ValueError("outputs: nothing to compare; f returns no array, or none that is not ignored")
    return jnp.max(jnp.stack(jax.tree.leaves(errors)))


def output_scale(f: Callable, args: Any, key: Any, perturbations: int = 3) -> Any:
    """Largest magnitude of each output leaf over `args` and a few random perturbations of them, 1 where all is zero.

    Floating-point arrays are perturbed by normal noise of a twentieth of their spread, so that a function that
    vanishes at `args`, such as the forces at equilibrium, still has a scale. Values that are not finite do not count.

    Raises:
        TypeError: If `args` is not a tuple or list.
    """
    leaves, treedef = jax.tree.flatten(positional(args))
    real = [i for i, x in enumerate(leaves) if jnp.issubdtype(getattr(x, "dtype", int), jnp.floating)]
    flat, unravel = ravel_pytree([jnp.asarray(leaves[i]) for i in real])
    spread, _ = ravel_pytree([_spread(jnp.asarray(leaves[i])) for i in real])

    def largest(noise):
        moved = dict(zip(real, unravel((flat + 0.05 * spread * noise).astype(flat.dtype)), strict=True))
        out = f(*treedef.unflatten([moved.get(i, x) for i, x in enumerate(leaves)]))
        return jax.tree.map(_finite_maximum, out)

    noise = jax.random.normal(key, (perturbations + 1, flat.size)).at[0].set(0)
    scale = jax.tree.map(jnp.max, jax.lax.map(largest, noise))
    return jax.tree.map(lambda s: jnp.where(s > 0, s, jnp.ones_like(s)), scale)


def augment(symmetry: Symmetry, key: Any, args: Any, targets: Any = None) -> Any:
    """Arguments, and targets if given, moved by one random group element.

    Returns:
        The moved arguments, or the pair (arguments, targets). One sample a call; batches by `jax.vmap` over `key` too.

    Raises:
        TypeError: If `args` is not a tuple or list.
    """
    g = symmetry.group.sample(key)
    moved = symmetry.act_inputs(g, args)
    return moved if targets is None else (moved, symmetry.act_outputs(g, targets))


def group_average(f: Callable, symmetry: Symmetry, *, samples: int | None = None) -> Callable:
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
    """
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

    def f_sym(*args, key=None, **keywords):
        if keywords:
            raise TypeError(
                f"{', '.join(keywords)}: only positional arguments are moved; bind others by functools.partial"
            )
        elements, weights = _nodes(group, samples, key)

        def term(g):
            return symmetry.act_outputs(group.inverse(g), f(*symmetry.act_inputs(g, args)))

        terms = jax.lax.map(term, elements, batch_size=min(64, len(weights)))
        return jax.tree.map(lambda y: weighted_mean(weights, y), terms)

    return f_sym


def positional(args: Any) -> tuple:
    """`args` as a tuple.

    Raises:
        TypeError: If it is not a tuple or list, but an array that would be split into its rows, say.
    """
    if isinstance(args, jax.Array | np.ndarray | Mapping) or not isinstance(args, Sequence):
        raise TypeError(f"args: expected the tuple of positional arguments, got {type(args).__name__}; pass (x,)")
    return tuple(args)


def inexact(x: Any) -> Array:
    """`x` in at least float32."""
    return jnp.asarray(x, jnp.promote_types(jnp.result_type(x), jnp.float32))


def weighted_mean(weights: Float[Array, " n"], y: Any) -> Array:
    """Σ_k w_k y_k over the leading axis, in the dtype of `y`, or a float for integers."""
    mean = jnp.tensordot(weights, inexact(y), 1, precision="highest")
    return mean.astype(y.dtype) if jnp.issubdtype(y.dtype, jnp.inexact) else mean


def _nodes(group, samples, key):
    if samples is None or not group.is_finite:
        return group.nodes(samples, key)
    if key is None:
        raise ValueError(f"key: random elements of {group} need one; call f_sym(*args, key=key), or leave out samples")
    return group.sample(key, (samples,)), jnp.full(samples, 1 / samples)


def _error(moved, image, scale):
    moved, image = inexact(moved), inexact(image)
    same = moved == image  # infinities too, whose difference is no number
    return jnp.max(jnp.abs(jnp.where(same, 0, moved) - jnp.where(same, 0, image)), initial=0.0) / scale


def _finite_maximum(y):
    size = jnp.abs(inexact(y))
    return jnp.max(jnp.where(jnp.isfinite(size), size, 0), initial=0.0)


def _spread(x):
    """Standard deviation of `x` about its mean over all axes but the last, or its size, or 1; in the shape of `x`."""
    x = jax.lax.stop_gradient(x)  # the standard deviation of equal numbers has no derivative
    spread = jnp.std(x, axis=tuple(range(max(1, x.ndim - 1))) if x.ndim else ()).max(initial=0.0)
    spread = jnp.where(spread > 0, spread, jnp.max(jnp.abs(x), initial=0.0))
    return jnp.full_like(x, jnp.where(spread > 0, spread, 1))


def _is_leaf(x):
    return x is None or isinstance(x, Rep)


def _flatten(name, group, prefix):
    """(leaves, treedef) of a prefix, with each representation held against the group."""
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
    return tuple(rep for _, rep in paths), treedef


def _map(name, prefix, act, tree):
    """`act(rep, subtree)` for each leaf of a prefix."""
    leaves, treedef = prefix
    try:
        subtrees = treedef.flatten_up_to(positional(tree) if name == "inputs" else tree)
    except ValueError as error:
        came = jax.tree.structure(tree)
        raise ValueError(f"{name}: {treedef.unflatten(leaves)} is no prefix of what came, {came}: {error}") from None
    return treedef.unflatten([act(rep, x) for rep, x in zip(leaves, subtrees, strict=True)])


def _act(name, prefix, g, tree):
    def act(rep, x):
        if rep is None:
            return x
        return rep.act(g, x) if rep.whole else jax.tree.map(lambda leaf: rep.act(g, leaf), x)

    return _map(name, prefix, act, tree)
