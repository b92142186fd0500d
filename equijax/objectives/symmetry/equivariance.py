"""The penalty on a function: how far it is from a symmetry on given data."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from equijax._validate import integer, random_key
from equijax.symmetry import Symmetry, arguments, inexact


def equivariance_penalty(
    f: Callable[..., PyTree], symmetry: Symmetry, args: PyTree, *, key: PRNGKeyArray, samples: int = 1
) -> Float[Array, ""]:
    """Mean square of f(ρ(g) x) − σ(g) f(x) over random g and all entries that are compared; for any function.

    An unbiased estimate of the mean over the group, differentiable in all arguments. One sample of the data a call;
    batches by `jax.vmap` over `args` and `key`.

    Args:
        f: Function of positional arguments, of one sample.
        symmetry: The symmetry to encourage.
        args: Its arguments, as a tuple.
        key: For the group elements.
        samples: Number of group elements.

    Returns:
        The penalty, in the square of the unit of f.

    Raises:
        TypeError: If `args` is not a tuple or list, or `key` no random key.
        ValueError: If nothing of the output is compared, or `samples` is not positive.

    Examples:
        >>> from equijax import groups, reps
        >>> sym = Symmetry(groups.SO(3), reps.Vector(), reps.Vector())
        >>> bool(equivariance_penalty(jnp.tanh, sym, (jnp.ones(3),), key=jax.random.key(0)) > 1e-3)
        True
    """
    integer("samples", samples, 1)
    args, key = arguments(f, symmetry, args), random_key("key", key)
    out, g = f(*args), symmetry.group.sample(key, (samples,))

    def squares(g):
        """|f(ρ(g) x) − σ(g) f(x)|² of each array that is compared, flattened."""
        moved, image = f(*symmetry.act_inputs(g, args)), symmetry.act_outputs(g, out)
        apart = jax.tree.map(lambda a, b: inexact(a) - inexact(b), symmetry.compared(moved), symmetry.compared(image))
        return [jnp.square(jnp.abs(x)).ravel() for x in jax.tree.leaves(apart)]

    found = jax.vmap(squares)(g)
    if not found:
        raise ValueError("outputs: nothing to compare; f returns no array, or none that is not ignored")
    return jnp.mean(jnp.concatenate(found, axis=-1))
