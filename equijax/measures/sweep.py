"""The response of a function along a path: a turn, a shift, a light that is dimmed."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, ArrayLike, Float, PyTree

from equijax.measures.plots import axes
from equijax.symmetry import inexact


class Sweep(NamedTuple):
    """Responses along a path.

    Attributes:
        values: The parameter, in the unit of the path.
        responses: Output of f at each, in its structure, with the values as a new leading axis.
    """

    values: Float[Array, " n"]
    responses: PyTree

    def plot(self, ax: Any = None) -> Any:
        """A curve for each number of the output; returns the Matplotlib axes."""
        ax = axes(ax)
        for path, y in jax.tree_util.tree_leaves_with_path(self.responses):
            curves = np.asarray(y).reshape(len(self.values), -1)
            name = jax.tree_util.keystr(path)
            for k, curve in enumerate(curves.T):
                ax.plot(np.asarray(self.values), curve, label=f"{name}[{k}]" if curves.shape[1] > 1 else name or None)
        ax.set(xlabel="parameter", ylabel="response")
        return ax


def sweep(
    f: Callable[..., PyTree],
    args: PyTree,
    path: Callable[..., PyTree],
    values: ArrayLike,
) -> Sweep:
    """f at `path(t, *args)` for each t of `values`, one after the other: flat where f is invariant.

    Args:
        f: Function of one sample.
        args: Its arguments, one array or a tuple.
        path: `path(t, *args)` gives the arguments at t, one array or a tuple. Along a group it is
            `lambda t, *args: symmetry.act_inputs(group.exp(t * direction), args)`.
        values: The parameters, shape (n,).

    Raises:
        ValueError: If `values` is not of shape (n,).

    Examples:
        >>> import jax.numpy as jnp
        >>> turn = lambda t, x: jnp.array([[jnp.cos(t), -jnp.sin(t)], [jnp.sin(t), jnp.cos(t)]]) @ x
        >>> found = sweep(lambda x: x[0], jnp.array([1.0, 0.0]), turn, jnp.linspace(0, jnp.pi, 3))
        >>> print(found.responses.round(3) + 0)
        [ 1.  0. -1.]
    """
    values = inexact(values)
    if values.ndim != 1:
        raise ValueError(f"values: expected shape (n,), got {values.shape}")
    args = args if isinstance(args, tuple) else (args,)

    def at(t):
        moved = path(t, *args)
        return f(*moved) if isinstance(moved, tuple) else f(moved)

    return Sweep(values, jax.lax.map(at, values))
