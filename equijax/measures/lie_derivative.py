"""The Lie derivative of a function along a group: how fast it departs from symmetry at the identity."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Inexact, PyTree

from equijax.groups import Part
from equijax.symmetry import Symmetry, arguments


def lie_derivative(f: Callable[..., PyTree], symmetry: Symmetry, args: PyTree) -> dict[str, PyTree]:
    """L_a f(x) = d/dt σ(exp −ta) f(ρ(exp ta) x) at t = 0, for each direction a of the Lie algebra.

    Zero if and only if f is symmetric to first order in the connected part of the group; one forward derivative
    (`jax.jvp`) a direction. Pure: it can be jitted, differentiated and used as a loss. Rotations are measured per
    radian, translations per unit of length, scalings per factor of e; numbers for images depend on the resolution
    if shifts are counted in fractions of the image.

    Args:
        f: The function; differentiable where the group moves its inputs.
        symmetry: The symmetry to hold it against.
        args: The positional arguments, as a tuple.

    Returns:
        For each connected part of the group, a pytree like the output of `f` with the directions as a new leading
        axis. Outputs that are not floating-point numbers give zeros, those that are ignored None.

    Raises:
        TypeError: If `args` is not a tuple or list.
        ValueError: If the group is discrete.

    References:
        Gruver et al. 2023, "The Lie derivative for measuring learned equivariance", arXiv:2210.02984, eq. 4.

    Examples:
        >>> from equijax import groups, reps, Symmetry
        >>> symmetry = Symmetry(groups.SO(2), reps.Vector(), reps.Vector())
        >>> sheared = lie_derivative(lambda x: x * jnp.array([1.0, 2.0]), symmetry, (jnp.array([1.0, 0.0]),))
        >>> jax.tree.map(jnp.shape, sheared)
        {'rotation': (1, 2)}
    """
    args = arguments(f, symmetry, args)
    parts = {name: part for name, part in symmetry.group.parts().items() if part.dim}
    if not parts:
        raise ValueError(f"symmetry: {symmetry.group} is discrete and has no Lie derivative; use check instead")
    return {name: _along_all(f, symmetry, args, part) for name, part in parts.items()}


def _along_all(f: Callable[..., PyTree], symmetry: Symmetry, args: PyTree, part: Part) -> PyTree:
    """The derivative along each direction of the algebra of one part, stacked."""
    dtype = jnp.result_type(float)

    def along(direction):
        def departure(t):
            moved = f(*symmetry.act_inputs(part.exp(t * direction), args))
            return jax.tree.map(_floating, symmetry.compared(symmetry.act_outputs(part.exp(-t * direction), moved)))

        with jax.default_matmul_precision("highest"):
            return jax.jvp(departure, (jnp.zeros((), dtype),), (jnp.ones((), dtype),))[1]

    return jax.vmap(along)(jnp.eye(part.dim, dtype=dtype))


def _floating(x: ArrayLike) -> Inexact[Array, "..."]:
    """`x`, or zeros for what has no derivative, such as integers."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else jnp.zeros(x.shape)
