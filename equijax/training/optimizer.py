"""Muon for matrices and Adam for the rest, on parameters that are stacked by shape; rates that follow the run."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
import optax.contrib
from jaxtyping import Array, Float, PyTree

from equijax import _validate

_THIN = 8  # a matrix with fewer rows or columns is a set of numbers


def optimizer(
    steps: int | None,
    *,
    muon: float = 0.02,
    adam: float = 0.01,
    warmup: int = 200,
    final: float = 1e-3,
    weight_decay: float = 0.0,
) -> optax.GradientTransformationExtraArgs:
    """Muon for matrices, Adam for the rest, both warmed up and then lowered along a cosine.

    Muon replaces the momentum of each matrix by the nearest orthogonal one; the matrices of a stack (as in `Linear`,
    one a degree) are taken one by one, and what is a matrix is what `stack` says. With layers as small as those of a
    potential it costs a few per cent of a step, and reaches in one tenth of the steps what Adam reaches.

    Args:
        steps: Length of the run, in steps; None for constant rates, to be lowered by `scale_by_progress`.
        muon: Largest learning rate of the matrices.
        adam: Largest learning rate of everything else.
        warmup: Steps from zero to the largest rate; at most a tenth of the run.
        final: Last rate over the largest.
        weight_decay: Of the matrices, times their rate: it bounds their norms, which Muon lets grow in a long run.

    Raises:
        TypeError: If `steps` is neither an integer nor None.
        ValueError: If it is below 1.

    References:
        Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; optax.contrib.muon.

    Examples:
        >>> params = {"w": jnp.ones((16, 8)), "b": jnp.ones(8)}
        >>> rule = optimizer(1000)
        >>> updates, state = rule.update(params, rule.init(params), params)
        >>> params = optax.apply_updates(params, updates)
    """

    def schedule(peak):
        if steps is None:
            return peak
        total = _validate.integer("steps", steps, 1)
        return optax.warmup_cosine_decay_schedule(0.0, peak, min(warmup, total // 10), total, peak * final)

    def axes(stacks):
        matrix = optax.contrib.MuonDimensionNumbers(1, 2)
        return jax.tree.map(lambda x: matrix if min(x.shape[1:]) > 1 else None, stacks)

    return stacked(
        optax.contrib.muon(
            schedule(muon),
            adam_learning_rate=schedule(adam),
            muon_weight_dimension_numbers=axes,
            consistent_rms=None,
            weight_decay=weight_decay,
        )
    )


def stacked(transformation: optax.GradientTransformation) -> optax.GradientTransformationExtraArgs:
    """A transformation of `stack(params)` as one of the parameters themselves.

    A few large arrays are updated instead of many small ones, which is a fraction of the operations to compile.

    Examples:
        >>> params = {"a": jnp.ones((8, 8)), "b": jnp.zeros((8, 16))}
        >>> stacked(optax.trace(0.9)).init(params).trace["8x8"].shape
        (3, 8, 8)
    """
    inner = optax.with_extra_args_support(transformation)

    def init(params):
        return inner.init(stack(params))

    def update(updates, state, params=None, **extra):
        stacks, state = inner.update(stack(updates), state, None if params is None else stack(params), **extra)
        return unstack(stacks, updates), state

    return optax.GradientTransformationExtraArgs(init, update)


def cosine(progress: Float[Array, ""]) -> Float[Array, ""]:
    """From 1 at the begin of a run to 0 at its end: (1 + cos π p) / 2.

    Examples:
        >>> print(jax.vmap(cosine)(jnp.array([0.0, 0.5, 1.0])).round(3) + 0)
        [1.  0.5 0. ]
    """
    return (1 + jnp.cos(jnp.pi * progress)) / 2


def scale_by_progress(
    schedule: Callable[[Float[Array, ""]], Float[Array, ""]] = cosine,
) -> optax.GradientTransformationExtraArgs:
    """Updates times a factor that depends on the share of the run that is done, of its steps or of its time.

    `fit` says which share that is, so that a run of so many seconds, whose steps nobody knows, can lower its rates.

    Args:
        schedule: From the share, 0 to 1, to the factor.

    Examples:
        >>> rule = optax.chain(optax.sgd(1.0), scale_by_progress())
        >>> updates, _ = rule.update(jnp.ones(2), rule.init(jnp.ones(2)), progress=0.5)
        >>> updates.round(3).tolist()
        [-0.5, -0.5]
    """

    def update(updates, state, params=None, *, progress, **extra):
        factor = schedule(jnp.clip(progress, 0, 1))
        return jax.tree.map(lambda u: u * factor.astype(u.dtype), updates), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


def stack(params: PyTree[Array]) -> dict[str, Float[Array, "matrices rows columns"]]:
    """All matrices of one shape as one array.

    Leading axes of a leaf count as matrices, and so do the square blocks of a matrix that is made of such, as several
    layers side by side are. Vectors and thin matrices, as those that look a species up, become numbers.

    Raises:
        ValueError: If the parameters are of several dtypes.

    Examples:
        >>> stacks = stack({"a": jnp.ones((2, 8, 16)), "b": jnp.ones((24, 8)), "c": jnp.ones(5)})
        >>> {shape: x.shape for shape, x in stacks.items()}
        {'8x8': (7, 8, 8), '1x1': (5, 1, 1)}
    """
    stacks: dict[str, list] = {}
    leaves = jax.tree.leaves(params)
    if len({leaf.dtype for leaf in leaves}) > 1:
        raise ValueError(f"params: expected one dtype, got {sorted({str(leaf.dtype) for leaf in leaves})}")
    for leaf in leaves:
        shape, rows, columns = _blocks(leaf)
        # (matrices, blocks, rows, blocks, columns) -> (matrices * blocks * blocks, rows, columns)
        blocks = leaf.reshape(shape).swapaxes(2, 3).reshape(-1, rows, columns)
        stacks.setdefault(f"{rows}x{columns}", []).append(blocks)
    return {shape: jnp.concatenate(leaves) for shape, leaves in stacks.items()}


def unstack(stacks: dict[str, Float[Array, "matrices rows columns"]], like: PyTree) -> PyTree[Array]:
    """The inverse of `stack`; `like` has the shapes of the parameters.

    Examples:
        >>> params = {"w": jnp.arange(128.0).reshape(16, 8)}
        >>> (unstack(stack(params), params)["w"] == params["w"]).all().item()
        True
    """
    leaves, tree = jax.tree.flatten(like)
    taken, out = dict.fromkeys(stacks, 0), []
    for leaf in leaves:
        shape, rows, columns = _blocks(leaf)
        name = f"{rows}x{columns}"
        begin = taken[name]
        taken[name] = end = begin + leaf.size // (rows * columns)
        # (matrices * blocks * blocks, rows, columns) -> (matrices, blocks, blocks, rows, columns)
        blocks = stacks[name][begin:end].reshape(shape[0], shape[1], shape[3], rows, columns)
        out.append(blocks.swapaxes(2, 3).reshape(leaf.shape))
    return jax.tree.unflatten(tree, out)


def _blocks(leaf):
    """The shape (matrices, blocks, rows, blocks, columns) of a leaf cut into blocks, and rows and columns of these."""
    rows, columns = leaf.shape[-2:] if len(leaf.shape) > 1 else (1, leaf.size)
    small, large = sorted((rows, columns))
    if small < _THIN:
        return (1, leaf.size, 1, 1, 1), 1, 1
    block = (small, small) if large % small == 0 else (rows, columns)
    return (-1, rows // block[0], block[0], columns // block[1], block[1]), *block
