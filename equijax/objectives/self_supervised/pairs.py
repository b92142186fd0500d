"""Two views of the same samples: what is asked of them, and their rows on all devices."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from equijax import _validate
from equijax.numerics import AxisName, global_batch


def rows(name: str, z: ArrayLike, axis_name: AxisName = None, least: int = 1) -> Float[Array, "rows ..."]:
    """Codes, one sample a row, with the rows of all devices; in float32 or better, as sums over a batch want them.

    Raises:
        TypeError: If they are not real floating-point numbers.
        ValueError: If there are no rows, or fewer than `least`.
    """
    z = _validate.floating(name, z)
    if z.ndim < 2:
        raise ValueError(f"{name}: expected one sample a row, shape (rows, size), got {z.shape}")
    z = global_batch(z, axis_name)
    if len(z) < least:
        raise ValueError(
            f"{name}: expected at least {least} samples in a batch, got {len(z)}; statistics of a batch, and "
            "negatives, are of several samples"
        )
    return z.astype(jnp.promote_types(z.dtype, jnp.float32))


def pair(
    z1: ArrayLike,
    z2: ArrayLike,
    axis_name: AxisName = None,
    least: int = 1,
    names: tuple[str, str] = ("z1", "z2"),
) -> tuple[Float[Array, "rows ..."], Float[Array, "rows ..."]]:
    """Codes of two views, row by row of the same samples, as `rows` gives them.

    Raises:
        TypeError: If they are not real floating-point numbers.
        ValueError: If the shapes differ, or there are fewer than `least` rows.
    """
    first, second = (rows(name, z, axis_name, least) for name, z in zip(names, (z1, z2), strict=True))
    if first.shape != second.shape:
        raise ValueError(
            f"{names[1]}: expected the shape of {names[0]}, {first.shape}, since row i of both is of sample i, "
            f"got {second.shape}"
        )
    return first, second


def one_a_row(name: str, elements: PyTree, count: int) -> None:
    """Raise a ValueError unless every array of a batch of group elements has an element for each of `count` samples."""
    shapes = [jnp.shape(leaf) for leaf in jax.tree.leaves(elements)]
    if not shapes or any(shape[:1] != (count,) for shape in shapes):
        came = ", ".join(map(str, shapes)) or "nothing"
        raise ValueError(f"{name}: expected one group element for each of {count} samples, got shapes {came}")
