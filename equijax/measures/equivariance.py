"""The error of a function against a symmetry, and what it is relative to.

    error = max|f(ρ(g) x) − σ(g) f(x)| / scale

for each array of the output. The scale is the largest magnitude of that array over the given input and a few random
perturbations of it, so that forces at equilibrium, which vanish, still have one.

The functions after `equivariance_error` are this definition, piece by piece. They take arrays of JAX or of NumPy and
give the like: `equivariance_error` puts them together under `jax.jit`, `check` in float64 on the host.
"""

from collections.abc import Callable
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Inexact, PRNGKeyArray, PyTree, Real, Shaped

from equijax import reps
from equijax._validate import integer, random_key
from equijax.groups import Element
from equijax.measures.padding import Mask, blank, rows_of_inputs, valid_rows, where_valid
from equijax.reps import Rep
from equijax.symmetry import Symmetry, arguments, inexact

NEARBY = 3  # perturbed inputs, which set the scale of each output together with the given one
NUDGE = 0.05  # size of these perturbations, relative to the spread of the input


def equivariance_error(
    f: Callable[..., PyTree],
    symmetry: Symmetry,
    args: PyTree,
    *,
    key: PRNGKeyArray,
    mask: int | Callable[..., PyTree] | None = None,
    samples: int = 8,
) -> Float[Array, ""]:
    """Largest relative error  max_g max|f(ρ(g) x) − σ(g) f(x)| / scale  over random g; pure and jittable.

    Dimensionless; about 1e-7 for a correct float32 f, of order 1 for a wrong one, NaN if f gives NaN. Each array of
    the output has a scale of its own: its largest magnitude over the given input and a few small perturbations of it,
    or where that is zero, over the moved inputs. The group moves the given input alone: where an error vanishes at it,
    such as that of reflections at points in a plane, it is not seen, while `check` looks nearby.

    Args:
        f: Function of positional arguments, of one sample.
        symmetry: The symmetry to hold it against.
        args: Its arguments, as a tuple.
        key: For the group elements and the perturbations of the scale.
        mask: Which rows are real: a position of an argument, or a function of the arguments. Padded rows are not moved
            and not compared, and every second evaluation has other numbers in them: they must not matter.
        samples: Number of group elements.

    Raises:
        TypeError: If `args` is not a tuple or list, or `key` no random key.
        ValueError: If nothing of the output is compared, `samples` is not positive, or `mask` fits no input.

    Examples:
        >>> from equijax import groups, reps, Symmetry
        >>> symmetry = Symmetry(groups.SO(2), reps.Vector(), reps.Vector())
        >>> x, key = jnp.array([1.0, 2.0]), jax.random.key(0)
        >>> error = lambda f: jax.jit(lambda x: equivariance_error(f, symmetry, (x,), key=key))(x)
        >>> bool(error(lambda x: 2 * x) < 1e-6), bool(error(lambda x: x + 1) > 0.1)
        (True, True)
    """
    integer("samples", samples, 1)
    args, group, key = arguments(f, symmetry, args), symmetry.group, random_key("key", key)
    key_near, key_g = jax.random.split(key)
    # the identity comes first, so that f is compiled once for the given input and the moved ones
    g = jax.tree.map(lambda e, h: jnp.concatenate([e[None], h]), group.identity(), group.sample(key_g, (samples,)))
    valid = valid_rows(mask, args)

    def real(*args):
        return blank(symmetry, valid, f(*args))

    with jax.default_matmul_precision("highest"):  # TPU and TF32 defaults hide small errors
        near = size_nearby(real, symmetry, args, key_near, valid)
        moved = jax.vmap(lambda g, i: real(*_move(symmetry, g, args, valid, jax.random.fold_in(key_near, i), i % 2)))(
            g, jnp.arange(samples + 1)
        )
    out = jax.tree.map(lambda y: y[0], moved)
    image = jax.vmap(lambda g: blank(symmetry, valid, symmetry.act_outputs(g, out)))(g)

    def error(a, b, size):
        a, b = inexact(a), inexact(b)
        return jnp.max(departure(a, b), initial=0.0) / first_nonzero(size, largest(a), largest(b))

    errors = jax.tree.leaves(jax.tree.map(error, symmetry.compared(moved), symmetry.compared(image), near))
    if not errors:
        raise ValueError("outputs: nothing to compare; f returns no array, or none that is not ignored")
    return jnp.max(jnp.stack(errors))


def _move(symmetry: Symmetry, g: Element, args: tuple, valid: Mask | None, key: Array, fill: Array) -> tuple:
    """The arguments moved by `g`, but for padded rows, which stay, or hold other numbers if `fill` is 1."""
    moved = symmetry.act_inputs(g, args)
    if valid is None:
        return moved
    leaves, treedef = jax.tree.flatten(args)
    rows, acting = rows_of_inputs(symmetry, valid, args), symmetry.input_reps(args)
    new = []
    for i, (x, y, real, rep) in enumerate(zip(leaves, jax.tree.leaves(moved), rows, acting, strict=True)):
        if real is not None and can_be_perturbed(x, rep):
            noise = jax.random.normal(jax.random.fold_in(key, i), x.shape, x.dtype)
            x = jnp.where(fill == 1, jax.lax.stop_gradient(spread(x, real)) * noise, x)
        new.append(y if real is None else where_valid(real, y, x))
    return jax.tree.unflatten(treedef, new)


def size_nearby(
    f: Callable[..., PyTree], symmetry: Symmetry, args: PyTree, key: PRNGKeyArray, valid: Mask | None = None
) -> PyTree[Float[Array, ""]]:
    """Largest magnitude of each output that is compared, over `args` and a few random perturbations of them.

    Rows that are not `valid` are not perturbed.
    """
    leaves, treedef = jax.tree.flatten(args)
    rows = rows_of_inputs(symmetry, valid, args)
    free = [i for i, rep in enumerate(symmetry.input_reps(args)) if can_be_perturbed(leaves[i], rep)]
    ends = np.cumsum([jnp.size(leaves[i]) for i in free], dtype=int)
    noise = jax.random.normal(key, (1 + NEARBY, ends[-1] if free else 0)).at[0].set(0)  # the given input first

    def nudge(x, noise, real):
        # the standard deviation of equal rows has no derivative
        by = jax.lax.stop_gradient(NUDGE * spread(x, real) * noise.reshape(-1, *x.shape))  # (1 + NEARBY, ...)
        return by.astype(x.dtype) if real is None else jax.vmap(lambda b: where_valid(real, b, 0))(by.astype(x.dtype))

    def sizes(nudges):
        near = dict(zip(free, nudges, strict=True))
        inputs = [x + near[i] if i in near else x for i, x in enumerate(leaves)]
        return jax.tree.map(lambda y: largest(inexact(y)), symmetry.compared(f(*treedef.unflatten(inputs))))

    nudges = [
        nudge(leaves[i], part, rows[i]) for i, part in zip(free, jnp.split(noise, ends[:-1], axis=1), strict=False)
    ]
    _, found = jax.lax.scan(lambda _, near: (None, sizes(near)), None, nudges, length=1 + NEARBY)
    return jax.tree.map(jnp.max, found)


def can_be_perturbed(x: ArrayLike, rep: Rep | None) -> bool:
    """Whether noise on `x` gives another input of the function: on real numbers that the group acts on.

    A sum of noise and a group element is none, and quadrature nodes stay where they are.
    """
    real = jnp.issubdtype(getattr(x, "dtype", int), jnp.floating)
    return real and rep is not None and not isinstance(rep, reps.Element | reps.Quadrature)


def spread(x: Float[Array | np.ndarray, "..."], real: Mask | None = None) -> Float[Array | np.ndarray, ""]:
    """How far the rows of `x` lie apart: the largest standard deviation of any column, over all axes but the last.

    Of a single row, or equal ones, it is the largest magnitude; 1 if that is zero too. Only `real` rows count.
    """
    xp = _namespace(x)
    if x.size == 0:
        return xp.ones((), x.dtype)
    rows = tuple(range(max(1, x.ndim - 1))) if x.ndim else ()  # of a vector its only axis
    counted = True if real is None else xp.broadcast_to(real.reshape(-1, *(1,) * (x.ndim - 1)), x.shape)
    return first_nonzero(xp.asarray(xp.max(xp.std(x, axis=rows, where=counted))), largest(xp.where(counted, x, 0)))


def departure(
    a: Inexact[Array | np.ndarray, "..."], b: Inexact[Array | np.ndarray, "..."]
) -> Float[Array | np.ndarray, "..."]:
    """|a − b|, entry by entry; zero where they are equal, infinities too, whose difference is no number."""
    xp = _namespace(a)
    same = a == b
    return xp.abs(xp.where(same, 0, a) - xp.where(same, 0, b))


def largest(y: Shaped[Array | np.ndarray, "..."]) -> Real[Array | np.ndarray, ""]:
    """The largest finite magnitude, zero of none."""
    xp = _namespace(y)
    return xp.asarray(xp.max(xp.where(xp.isfinite(y), xp.abs(y), 0), initial=0))


def first_nonzero(*sizes: Real[Array | np.ndarray, ""]) -> Real[Array | np.ndarray, ""]:
    """The first of some magnitudes that is larger than zero, 1 if none is: what an error is relative to."""
    xp = _namespace(*sizes)
    found = xp.ones_like(sizes[-1])
    for size in reversed(sizes):
        found = xp.where(size > 0, size, found)
    return found


def _namespace(*arrays: Array | np.ndarray) -> ModuleType:
    """`jax.numpy`, or NumPy where all arrays are of NumPy."""
    return np if all(isinstance(x, np.ndarray) for x in arrays) else jnp
