"""Transforms of functions by a frame: `frame_average` over all of its poses, `canonicalize` in its only one."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from equijax import reps
from equijax._validate import integer, parameter_names, random_key
from equijax.frames.base import Frame, centroid
from equijax.groups import AffineElement, Permutation, Semidirect, Shift
from equijax.symmetry import Symmetry, arguments, hold_symmetry, selected, weighted_mean

STRATEGIES = ("auto", "vmap", "map")


def frame_average(
    f: Callable[..., PyTree],
    symmetry: Symmetry,
    frame: Frame,
    *,
    frame_input: int | Callable[..., PyTree] | None = None,
    mask: int | Callable[..., PyTree] | None = None,
    samples: int | None = None,
    strategy: str | int = "auto",
    return_info: bool = False,
) -> Callable[..., PyTree]:
    """f made symmetric by averaging over a frame:  f_sym(x) = Σ_k w_k σ(g_k) f(ρ(g_k)⁻¹ x).

    The frame (g_k, w_k) is computed from the points of the input and moves with them, so that f_sym has the symmetry
    exactly, for any f. If f commutes with permutations of the points, so does f_sym.

    The derivative includes that of the frame, as the forces of an energy need it; `frames.stopped(frame)` leaves it
    out. Where the frame is degenerate, `frames.guarded(frame, ...)` takes another one.

    Args:
        f: Function of positional arguments, of one sample. If it is random, it takes its key as an argument, so that
            it draws the same numbers in all poses.
        symmetry: The group, and how it acts on the arguments and on the result.
        frame: `frame(group, points, mask) -> (elements, weights, info)`, such as `frames.pca`.
        frame_input: Where the points (n, d) of the frame are found: the position of an argument, or a function of the
            arguments that returns them. By default the only argument with the representation `Position` (`Permutation`
            for groups of permutations, `Shift` for those of shifts). The axes of an argument that shift come first in
            the grid that the frame is given. The function may return a pair (points, vectors): then the translation is
            that of the points, and the linear part that of the vectors, which may come from an equivariant network. The
            mask applies to the vectors too if there are as many as points; otherwise all vectors are valid.
        mask: Which points are valid: a position of an argument, or a function of the arguments. By default all.
        samples: Average over that many elements only, drawn with probability w_k. Results and gradients are right in
            expectation, but for the gradient of weights that are zero, as those of `scored` with hard=True: such
            elements are never drawn. By default all elements.
        strategy: "vmap" evaluates f in all poses at once, "map" in one after the other, an integer in that many at
            once. "auto" is "vmap"; on CPUs it is 2 where no derivative is taken, as two poses fit into the cache.
        return_info: Return the pair of the result and the `Info` of the frame.

    Returns:
        `f_sym(*args, key=None)`, a pure function. `key` is for `samples` only; give each sample of a batch its own.

    Raises:
        TypeError, ValueError: At trace time, if the arguments do not fit the symmetry, the frame is of another group or
            dimension, the group does not move the points, or `samples` comes without a key.

    References:
        Puny et al. 2022, arXiv:2110.03336, equation 5; Dym, Lawrence and Siegel 2024, arXiv:2402.16077, for weights.

    Examples:
        >>> from equijax import groups, reps, frames, Symmetry
        >>> symmetry = Symmetry(groups.E(3), inputs=reps.Position(), outputs=reps.Vector())
        >>> f = frame_average(lambda x: x**2 - x[:1], symmetry, frames.pca)
        >>> f(jnp.ones((5, 3))).shape
        (5, 3)
    """
    hold_symmetry(f, symmetry)
    if not callable(frame):
        raise TypeError(f"frame: expected a function such as frames.pca, got {frame!r} of type {type(frame).__name__}")
    if samples is not None:
        integer("samples", samples, 1)
    if strategy not in STRATEGIES:
        integer("strategy", strategy, 1) if not isinstance(strategy, str) else _unknown_strategy(strategy)
    group = symmetry.group

    def f_sym(*args, key=None, **keywords):
        if keywords:
            raise TypeError(
                f"{', '.join(keywords)}: only positional arguments are moved; bind others by functools.partial"
            )
        args = arguments(f, symmetry, args)
        points = _points(f, symmetry, args, frame_input)
        valid = None if mask is None else selected("mask", mask, args)
        elements, weights, info = _elements(frame, group, points, valid)
        if samples is not None:
            elements, weights = _draw(elements, weights, samples, key)

        def term(g):
            return symmetry.act_outputs(g, f(*symmetry.act_inputs(group.inverse(g), args)))

        terms = _in_all_poses(term, elements, len(weights), strategy)  # σ(g_k) f(ρ(g_k)⁻¹ x), leaves (K, ...)
        out = jax.tree.map(lambda y: weighted_mean(weights, y), terms)
        return (out, info) if return_info else out

    return f_sym


def canonicalize(
    f: Callable[..., PyTree],
    symmetry: Symmetry,
    frame: Frame,
    *,
    frame_input: int | Callable[..., PyTree] | None = None,
    mask: int | Callable[..., PyTree] | None = None,
    return_info: bool = False,
) -> Callable[..., PyTree]:
    """f evaluated once, in the pose that the frame chooses:  f_sym(x) = σ(g) f(ρ(g)⁻¹ x).

    As `frame_average` for a frame of one element, such as `frames.pivoted`, `frames.qr`, or `frames.pca` with
    signs="skewness". A learned pose comes from an equivariant network h that returns vectors:
    `canonicalize(f, symmetry, frames.qr, frame_input=lambda params, x: (x, h(params, x)))`.

    Args:
        f: As for `frame_average`.
        symmetry: As for `frame_average`.
        frame: A frame of one element.
        frame_input: As for `frame_average`.
        mask: As for `frame_average`.
        return_info: As for `frame_average`.

    Returns:
        `f_sym(*args)`, a pure function.

    Raises:
        ValueError: If the frame has more than one element, as well as where `frame_average` does.

    References:
        Kaba et al. 2023, arXiv:2211.06489.

    Examples:
        >>> from equijax import groups, reps, frames, Symmetry
        >>> symmetry = Symmetry(groups.E(2), inputs=reps.Position(), outputs=None)
        >>> f = canonicalize(lambda x: jnp.sum(x[:, 0] ** 3), symmetry, frames.pivoted)
        >>> x = jnp.array([[0.0, 0], [3, 0], [0, 1]])
        >>> bool(jnp.allclose(f(x), f(x @ jnp.array([[0.0, 1], [-1, 0]]) + 5), rtol=1e-4))
        True
    """

    def single(group, points, valid):
        elements, weights, info = frame(group, points, valid)
        if len(weights) != 1:
            raise ValueError(
                f"frame: expected a single element, got {len(weights)}; take frames.pivoted, frames.pca with "
                "signs='skewness' or frames.heaviest, or average with frame_average"
            )
        return elements, weights, info

    return frame_average(f, symmetry, single, frame_input=frame_input, mask=mask, return_info=return_info)


def _elements(frame, group, points, valid):
    """The frame at the points, or at a pair (points, vectors)."""
    if not isinstance(points, tuple):
        return frame(group, points, valid)
    if not isinstance(group, Semidirect) or len(points) != 2:
        raise ValueError(
            f"frame_input: a pair (points, vectors) is for groups with translations, got {len(points)} for {group}; "
            "return one array of vectors"
        )
    # the translation of the points, and a frame of the linear part from the vectors; `Info` tells of both
    center, _, about = centroid(group.translation, points[0], valid)
    one_each = jnp.shape(points[1])[:1] == jnp.shape(points[0])[:1]
    linear, weights, info = frame(group.linear, points[1], valid if one_each else None)
    row = jnp.where(about.nonfinite_row < 0, info.nonfinite_row, about.nonfinite_row)
    info = info._replace(degenerate=info.degenerate | about.degenerate, valid=about.valid, nonfinite_row=row)
    return AffineElement(jnp.repeat(center, len(weights), axis=0), linear), weights, info


def _draw(elements, weights, samples, key):
    """Elements drawn with their weights as probabilities; the new weights, all 1 / samples, have derivatives.

    The derivative of w_k / (samples · w_k), the denominator a constant, is right in expectation.
    """
    if key is None:
        raise ValueError("key: samples of a frame need one; call f_sym(*args, key=key), or leave out samples")
    random_key("key", key)
    fixed = jax.lax.stop_gradient(weights)
    index = jax.random.categorical(key, jnp.log(fixed), shape=(samples,))  # (samples,)
    weights = weights[index] / fixed[index] / samples
    return jax.tree.map(lambda x: x[index], elements), weights


def _in_all_poses(term, elements, count, strategy):
    """`term` of each of `count` elements, by the strategy."""
    if strategy == "auto" and count > 2 and jax.default_backend() == "cpu":
        return _two_at_once(term, elements)
    if strategy in ("auto", "vmap") or count == 1:
        return jax.vmap(term)(elements)
    return jax.lax.map(term, elements, batch_size=None if strategy == "map" else min(strategy, count))


def _two_at_once(term, elements):
    """Two terms at a time; all at once where a derivative is taken, for which all of them are kept in memory anyway.

    A custom derivative must not close over traced arrays: those that `term` closes over become arguments.
    """
    program, shapes = jax.make_jaxpr(term, return_shape=True)(jax.tree.map(lambda x: x[0], elements))

    def at(closed_over):
        return lambda leaves: jax.core.eval_jaxpr(program.jaxpr, closed_over, *leaves)

    @jax.custom_jvp
    def in_pairs(closed_over, leaves):
        return jax.lax.map(at(closed_over), leaves, batch_size=2)

    @in_pairs.defjvp
    def _derivative(primals, tangents):
        return jax.jvp(lambda closed_over, leaves: jax.vmap(at(closed_over))(leaves), primals, tangents)

    return jax.tree.unflatten(jax.tree.structure(shapes), in_pairs(program.consts, jax.tree.leaves(elements)))


def _unknown_strategy(strategy):
    raise ValueError(f"strategy: expected one of {', '.join(STRATEGIES)} or an integer, got {strategy!r}")


def _points(f, symmetry, args, choice):
    """The points of the frame, or the pair (points, vectors); an error if an argument does not move as points do."""
    paths, _ = jax.tree_util.tree_flatten_with_path(args)
    moving, called = symmetry.input_reps(args), parameter_names(f, len(args))
    if choice is None:
        kind = next((rep for group, rep in _MOVED_BY.items() if isinstance(symmetry.group, group)), reps.Position)
        found = [i for i, rep in enumerate(moving) if _has(rep, kind)]
        if len(found) == 1:
            return _grid_first(moving[found[0]], paths[found[0]][1])
        # none or several: the error names the arguments that may be meant
        candidates = [i for i, rep in enumerate(moving) if i in found or (not found and rep is not None)]
        names = ", ".join(f"{_name(called, paths[i][0])} ({moving[i]})" for i in candidates)
        raise ValueError(
            f"frame_input: expected one input with the representation {kind.__name__}, found {len(found)}; "
            f"choose by a position or a function of the arguments{': ' + names if names else ''}"
        )
    points = selected("frame_input", choice, args)
    # if they are an argument as it is, its representation must be one that moves, with translations where the group has
    located = points[0] if isinstance(points, tuple) else points
    for (path, leaf), rep in zip(paths, moving, strict=True):
        if leaf is not located if callable(choice) else path[0].idx != choice:
            continue
        name = _name(called, path)
        if not _moves(rep):
            raise ValueError(f"frame_input: {symmetry.group} does not move {name}, a frame of it would not move either")
        if isinstance(symmetry.group, Semidirect) and not _has(rep, reps.Position):
            raise ValueError(
                f"frame_input: {name} is {rep}, which tells nothing of the translations of {symmetry.group}; choose "
                "points, or a function that returns a pair (points, vectors)"
            )
        return _grid_first(rep, points)
    return points


def _name(called, path):
    """What an array among the arguments is called, of which those have these names."""
    return called[path[0].idx] + jax.tree_util.keystr(path[1:])


def _grid_first(rep, x):
    """The array, the axes that shift moved to the front."""
    if not isinstance(rep, reps.Shift):
        return x
    axes = np.atleast_1d(np.asarray(rep.axes))
    return jnp.moveaxis(jnp.asarray(x), axes, range(len(axes)))


_MOVED_BY: dict[type, type[reps.Rep]] = {Permutation: reps.Permutation, Shift: reps.Shift}


def _has(rep, kind):
    return isinstance(rep, kind) or any(_has(r, kind) for r in getattr(rep, "reps", ()))


def _moves(rep):
    return rep is not None and rep != reps.Scalar()
