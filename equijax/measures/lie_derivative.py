"""The Lie derivative of a function along a group: how fast it departs from symmetry at the identity."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Inexact, PyTree

from equijax import reps
from equijax.groups import Part
from equijax.reps import Rep
from equijax.symmetry import Symmetry, arguments


def lie_derivative(f: Callable[..., PyTree], symmetry: Symmetry, args: PyTree) -> dict[str, PyTree]:
    """L_a f(x) = d/dt σ(exp −ta) f(ρ(exp ta) x) at t = 0, for each direction a of the Lie algebra.

    Zero if and only if f is symmetric to first order in the connected part of the group; one forward derivative
    (`jax.jvp`) a direction, so one and one more evaluation each. Pure: it can be jitted, differentiated and used as a
    loss. Rotations are measured per radian, translations per unit of length (of images, a pixel), scalings per factor
    of e; numbers for images depend on the resolution if shifts are counted in fractions of the image.

    Args:
        f: The function; differentiable where the group moves its inputs.
        symmetry: The symmetry to hold it against. Images have `reps.Image(kernel="cubic")`, or "fourier".
        args: The positional arguments, as a tuple.

    Returns:
        For each connected part of the group, a pytree like the output of `f` with the directions as a new leading
        axis. Outputs that are not floating-point numbers give zeros, those that are ignored None.

    Raises:
        TypeError: If `args` is not a tuple or list.
        ValueError: If the group is discrete, or an image is interpolated linearly, with kinks where it stands.

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
    return {name: _along_all(f, symmetry, args, part) for name, part in connected_parts(symmetry).items()}


def connected_parts(symmetry: Symmetry) -> dict[str, Part]:
    """The parts of the group that have a Lie algebra.

    Raises:
        ValueError: If there is none, or a representation has no derivative at the identity.
    """
    parts = {name: part for name, part in symmetry.group.parts().items() if part.dim}
    if not parts:
        raise ValueError(f"symmetry: {symmetry.group} is discrete and has no Lie derivative; use check instead")
    leaves = jax.tree.leaves((symmetry.inputs, symmetry.outputs), is_leaf=lambda x: isinstance(x, Rep))
    for rep in leaves:
        if image := _with_kinks(rep):
            raise ValueError(
                f"symmetry: {image} interpolates linearly and has no derivative at the identity; take "
                f"reps.Image({image.axes}, kernel='cubic'), or 'fourier' for translations of periodic images"
            )
    return parts


def _with_kinks(rep: Rep) -> reps.Image | None:
    """The representation of images that are interpolated linearly, in this one or a part of it."""
    if isinstance(rep, reps.Image):
        return rep if rep.kernel == "linear" else None
    return next(filter(None, (_with_kinks(part) for part in getattr(rep, "reps", ()))), None)


def _along_all(f: Callable[..., PyTree], symmetry: Symmetry, args: PyTree, part: Part) -> PyTree:
    """The derivative along each direction of the algebra of one part, stacked."""
    dtype = jnp.result_type(float)
    identity, treedef = jax.tree.flatten(symmetry.group.identity(dtype=dtype))
    moving = [i for i, leaf in enumerate(identity) if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    base = [identity[i] for i in moving]

    def element(changed):
        leaves = list(identity)
        for i, x in zip(moving, changed, strict=True):
            leaves[i] = x
        return treedef.unflatten(leaves)

    def departure(there, back):
        moved = f(*symmetry.act_inputs(element(there), args))
        return jax.tree.map(_floating, symmetry.compared(symmetry.act_outputs(element(back), moved)))

    def along(tangent):  # d exp(ta) / dt, and minus that for its inverse
        with jax.default_matmul_precision("highest"):
            return jax.jvp(departure, (base, base), (tangent, [-x for x in tangent]))[1]

    # only tangents are mapped over: f itself is evaluated once for all of them
    tangents = jax.tree.leaves(part.tangents(dtype))
    return jax.vmap(along)([tangents[i] for i in moving])


def _floating(x: ArrayLike) -> Inexact[Array, "..."]:
    """`x`, or zeros for what has no derivative, such as integers."""
    x = jnp.asarray(x)
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else jnp.zeros(x.shape)
