"""Batches of samples and how the group moves them: what measures over data share."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray, PyTree, UInt32

from equijax._validate import integer, parameter_names, random_key
from equijax.groups import Element, Group
from equijax.groups.base import check_shape
from equijax.numerics import AxisName
from equijax.symmetry import Symmetry, hold_symmetry, inexact


def batch_of(f: Callable[..., PyTree], symmetry: Symmetry, inputs: PyTree, least: int = 1) -> tuple[tuple, int]:
    """The arguments of f as a tuple, every array with the batch as its first axis, and the number of samples.

    Raises:
        TypeError, ValueError: If the arrays differ in their first axis, hold fewer than `least` samples, or one sample
            is nothing that the group can move; it names the argument as f does.
    """
    hold_symmetry(f, symmetry)
    args = inputs if isinstance(inputs, tuple) else (inputs,)
    names = parameter_names(f, len(args))
    rows: dict[str, int] = {}
    for path, x in jax.tree_util.tree_leaves_with_path(args):
        name = names[path[0].idx] + jax.tree_util.keystr(path[1:])
        if jnp.ndim(x) == 0:
            raise ValueError(f"{name}: expected a batch, with the samples along the first axis, got a single number")
        rows[name] = jnp.shape(x)[0]
    if len(set(rows.values())) != 1:
        raise ValueError(
            f"inputs: expected as many samples in each array, got {rows}; bind what belongs to all samples, such as "
            "parameters, by functools.partial"
        )
    count = next(iter(rows.values()))
    if count < least:
        raise ValueError(f"inputs: expected at least {least} samples, got {count}")
    symmetry.hold_inputs(
        jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x)[1:], jnp.result_type(x)), args), names
    )
    return args, count


def returned(f: Callable[..., PyTree], symmetry: Symmetry) -> Callable[[Element, tuple], PyTree]:
    """(g, x) ↦ σ(g)⁻¹ f(ρ(g) x), the same for all g if f has the symmetry; at least float32, None if ignored."""

    def at(g: Element, args: tuple) -> PyTree:
        with jax.default_matmul_precision("highest"):
            out = symmetry.act_outputs(symmetry.group.inverse(g), f(*symmetry.act_inputs(g, args)))
        return jax.tree.map(inexact, symmetry.compared(out))

    return at


def chosen_elements(
    group: Group, elements: Element | None, key: PRNGKeyArray | None, samples: int, least: int = 1
) -> tuple[Element, int]:
    """Elements along a leading axis, and how many: the given ones, all of a finite group that has no more than
    `samples`, or as many random ones.

    Raises:
        TypeError, ValueError: If they are no elements of the group, fewer than `least`, or random without a key.
    """
    integer("samples", samples, least)
    if elements is None:
        order = group.order
        if order is not None and least <= order <= samples:
            elements = group.elements()
        elif order is not None and order < least:
            raise ValueError(f"symmetry: {group} has {order} element, and an orbit of {order} does not vary")
        elif key is None:
            raise ValueError(f"key: random elements of {group} need one; or pass elements=")
        else:
            elements = group.sample(random_key("key", key), (samples,))
    check_shape(group, elements, "elements")
    single = jax.tree.leaves(jax.eval_shape(group.identity))[0].ndim
    first = jax.tree.leaves(elements)[0]
    if jnp.ndim(first) != single + 1 or len(first) < least:
        why = "; an orbit of one element does not vary" if least > 1 else ""
        raise ValueError(f"elements: expected {least} or more along a leading axis, got shape {jnp.shape(first)}{why}")
    return elements, len(first)


def row_keys(key: PRNGKeyArray, count: int, axis_name: AxisName) -> Key[Array, " rows"] | UInt32[Array, "rows words"]:
    """A key for each of `count` samples, which depends on its place in the whole batch."""
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * count
    return jax.vmap(lambda row: jax.random.fold_in(key, row))(first + jnp.arange(count))


def flat(rows: PyTree) -> Float[Array, "samples features"]:
    """The numbers of each sample in a row, all arrays of an output side by side."""
    return jnp.concatenate([x.reshape(len(x), -1) for x in something(rows)], axis=1)


def something(out: PyTree) -> list:
    """The arrays of an output; an error if there are none."""
    if leaves := jax.tree.leaves(out):
        return leaves
    raise ValueError("outputs: nothing to compare; f returns no array, or none that is not ignored")
