"""Padding: rows that stay where they are while the group moves the others, and that must not matter."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PyTree

from equijax import reps
from equijax.groups import Group, Power
from equijax.reps import Rep
from equijax.symmetry import Symmetry, selected

Mask = Bool[Array | np.ndarray, " n"]


def valid_rows(mask: int | Callable[..., PyTree] | None, args: tuple[PyTree, ...]) -> Mask | None:
    """The mask, chosen by its position among the arguments or by a function of them; None for None.

    Raises:
        ValueError: If it is no array of one axis.
    """
    if mask is None:
        return None
    valid = selected("mask", mask, args)
    valid = valid if isinstance(valid, jax.Array | np.ndarray) else np.asarray(valid)
    if valid.ndim != 1:
        raise ValueError(f"mask: expected shape (n,), True for real rows, got {valid.shape}")
    return valid.astype(bool)


def has_rows(x: Array | np.ndarray, rep: Rep | None, valid: Mask, group: Group) -> bool:
    """Whether the first axis of `x` lists the rows of the mask: it is as long, and the group does not act on it."""
    if jnp.ndim(x) == 0 or len(x) != len(valid):
        return False
    if rep is None:
        return True
    if isinstance(rep, reps.Pieces) and isinstance(group, Power):  # a row by itself has no piece, but rows stay
        return rep.axis % jnp.ndim(x) == 0 and has_rows(x, rep.rep, valid, group.group)
    if rep.whole or isinstance(rep, reps.Element | reps.Quadrature | reps.Ignore | reps.Sequence):
        return False
    row = jax.ShapeDtypeStruct(x.shape[1:], x.dtype)
    try:  # a row by itself is moved as well
        return jax.eval_shape(lambda row: rep.act(group.identity(), row), row).shape == row.shape
    except (TypeError, ValueError):
        return False


def where_valid(valid: Mask, x: Array | np.ndarray, padding: Array | np.ndarray | float | int) -> Array | np.ndarray:
    """The real rows of `x`, the padded ones of `padding`."""
    xp = np if all(isinstance(a, np.ndarray | np.generic | float | int) for a in (valid, x, padding)) else jnp
    return xp.where(valid.reshape(-1, *(1,) * (x.ndim - 1)), x, padding).astype(x.dtype)


def blank(symmetry: Symmetry, valid: Mask | None, out: PyTree) -> PyTree:
    """An output with zeros in its padded rows."""
    if valid is None:
        return out
    leaves, tree = jax.tree.flatten(out)
    acting = symmetry.output_reps(out)
    return jax.tree.unflatten(
        tree,
        [
            where_valid(valid, x, 0) if has_rows(x, rep, valid, symmetry.group) else x
            for x, rep in zip(leaves, acting, strict=True)
        ],
    )


def rows_of_inputs(symmetry: Symmetry, valid: Mask | None, args: PyTree) -> list[Mask | None]:
    """For each leaf of the arguments the mask, where the group acts on it and its first axis lists the rows.

    Raises:
        ValueError: If there is none.
    """
    leaves, acting = jax.tree.leaves(args), symmetry.input_reps(args)
    if valid is None:
        return [None] * len(leaves)
    found = [
        valid if rep is not None and has_rows(x, rep, valid, symmetry.group) else None
        for x, rep in zip(leaves, acting, strict=True)
    ]
    if all(rows is None for rows in found):
        raise ValueError(
            f"mask: no input that {symmetry.group} acts on has {len(valid)} rows that stay in their places; a group "
            "that permutes the rows moves the mask too: give it the representation Permutation, and leave out mask="
        )
    return found
