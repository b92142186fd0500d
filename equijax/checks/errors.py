"""The errors behind a check: of one function, in two precisions, for every group element."""

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from equijax import reps
from equijax.checks.elements import PADDING
from equijax.checks.inputs import Rows, padded, perturbed
from equijax.checks.programs import Arrays, Layout, Program, on_cpu
from equijax.checks.runs import BEFORE, Run, act, run, wide
from equijax.groups import Element
from equijax.measures.equivariance import NEARBY, NUDGE, can_be_perturbed, first_nonzero, largest
from equijax.measures.padding import rows_of_inputs, valid_rows
from equijax.reps import Rep
from equijax.symmetry import Symmetry

AGAIN = 8  # one of so many elements acts on the first of the nearby inputs as well
TWO_ANSWERS = 1e-6  # answers for one input that differ by less are rounding, of sums in another order, say
ROUNDING = 1e-6  # an output that shrinks by more from float32 to float64, or is zero there, is zero up to rounding


class Errors(NamedTuple):
    """Equivariance errors, relative to the scale of each output leaf.

    Attributes:
        paths: The output leaves that are compared.
        shapes: Their shapes.
        in32: Errors in float32.
        in64: Errors in float64; None if the function does not run in float64.
        where: Flat index of the largest error in each leaf, in the best precision.
        given: Errors in the best precision at the given input alone; the others are also at one nearby.
        noise: For each leaf, the largest relative difference between the float32 and the float64 outputs.
        zero: For each leaf, whether it is zero up to rounding wherever it was evaluated.
        moves: For each element, whether it moves any input.
        depends: For each leaf, whether it changed with the inputs that the group moves.
        floor: Round-trip error of the representations that act only approximately; None without such.
        integers: For each leaf, whether it is of integers or truth values.
        problem: Why there are no float64 errors.
    """

    paths: list[str]
    shapes: list[tuple[int, ...]]
    in32: Float[np.ndarray, "elements leaves"]
    in64: Float[np.ndarray, "elements leaves"] | None
    where: Int[np.ndarray, "elements leaves"]
    given: Float[np.ndarray, "elements leaves"]
    noise: Float[np.ndarray, " leaves"]
    zero: Bool[np.ndarray, " leaves"]
    moves: Bool[np.ndarray, " elements"]
    depends: Bool[np.ndarray, " leaves"]
    floor: float | None
    integers: Bool[np.ndarray, " leaves"]
    problem: str


def find_errors(
    program: Program,
    arrays: Arrays,
    symmetry: Symmetry,
    by_part: Mapping[str, Sequence[Element]],
    key: Array | np.ndarray,
    valid: np.ndarray | None = None,
) -> Errors:
    """Hold f(ρ(g) x) against σ(g) f(x), in float32 and in float64.

    The actions run in float64 outside of the function; the moved inputs are cast afterwards. The given input may be so
    special that the error vanishes there (all points in a plane, or in one place), so an eighth of the elements, and
    one of each part at least, acts on an input nearby as well. Left out there is what a function need not stand: images
    and the like, which noise makes rough, and outputs that are not finite.

    Args:
        program: The function and its arguments.
        arrays: Arrays to put in the arguments.
        symmetry: The symmetry to hold the function against.
        by_part: Group elements of each part, in float64 on the host; those of "padding" are the identity, and padded
            rows hold other numbers there.
        key: Random key of the perturbations.
        valid: The mask of rows, False for padding.
    """
    acting, rows = array_reps(symmetry, program.layout), array_rows(symmetry, program.layout, arrays, valid)
    # the given input, moved by each element, and which of its arrays each element moves: (elements, arrays)
    elements = [g for part in by_part.values() for g in part]
    fills = [part == PADDING for part, found in by_part.items() for _ in found]
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    moved = act(symmetry, program.layout, acting, elements, [arrays] * len(elements), rows)
    each = np.array([_moved(x, y) for m in moved for x, y in zip(arrays, m, strict=True)], bool)
    turned = np.logical_or.reduce(each.reshape(len(elements), len(arrays)), axis=0).tolist()
    moved = [padded(x, rng, rows) if fill else x for x, fill in zip(moved, fills, strict=True)]
    moves = np.array([_moved(x, y) for m in moved for x, y in zip(arrays, m, strict=True)], bool)
    moves = moves.reshape(len(elements), len(arrays))

    # inputs nearby set the scale; the probe, far from the given input, shows whether f depends on what the group moves
    free = [can_be_perturbed(x, rep) for x, rep in zip(arrays, acting, strict=True)]
    nearby = [perturbed(arrays, free, rng, NUDGE, rows) for _ in range(NEARBY)]
    probe = perturbed(arrays, turned, rng, 1.0, rows)

    # the first of those nearby, moved by some of the elements
    again = _again(by_part) if _worth_moving(nearby[0], arrays, acting) else []
    bases, elements = [0] * len(elements) + [1] * len(again), [*elements, *(elements[i] for i in again)]
    moved += act(symmetry, program.layout, acting, elements[len(moved) :], nearby[:1] * len(again), rows)

    inputs = [arrays, *nearby, probe, *moved, arrays]
    run32, run64, problem = _run_twice(program, inputs, symmetry, elements, bases, valid)
    best = run64 or run32
    leaves, probed = range(len(best.paths)), slice(1 + NEARBY, BEFORE + len(moves))
    scales, zero = np.array([_scale(i, run32, run64) for i in leaves]).reshape(-1, 2).T
    in32 = np.where(zero, 0, run32.apart / scales)
    in64 = None if run64 is None else np.where(zero, 0, run64.apart / scales)
    finest = in32 if in64 is None else in64
    noise = np.array([_noise(i, run32, run64) / scales[i] for i in leaves], float)

    def compile_anew() -> Run:
        fresh = copy.copy(program)
        fresh.run = jax.jit(lambda captured, inputs: program.call(captured, inputs))
        return run(fresh, [arrays], symmetry, [], [], 32 if run64 is None else 64, valid)

    anew = compile_anew if noise.max(initial=0.0) > TWO_ANSWERS and run64 is not None else None
    return Errors(
        paths=best.paths,
        shapes=[best.outputs[i].shape[1:] for i in leaves],
        in32=_larger(in32, again),
        in64=None if in64 is None else _larger(in64, again),
        where=_larger(finest, again, best.where),
        given=finest[: len(moves)],
        noise=noise,
        zero=zero.astype(bool),
        moves=np.asarray(moves.any(axis=1)),
        depends=np.array([_differ(best.outputs[i][:1], best.outputs[i][probed]) for i in leaves], bool),
        floor=_floor(symmetry, program.layout, acting, arrays, moved, elements, rows),
        integers=np.array([not np.issubdtype(best.outputs[i].dtype, np.inexact) for i in leaves], bool),
        problem=problem or _not_a_number(best) or _two_answers(best, scales, finest, anew),
    )


def array_reps(symmetry: Symmetry, layout: Layout) -> list[Rep | None]:
    """The representation that acts on each array argument, None for those that the group does not touch."""
    return [None if isinstance(rep, reps.Quadrature) else rep for rep in _all_reps(symmetry, layout)]


def host_mask(mask: int | Callable | None, args: tuple) -> np.ndarray | None:
    """The mask among the arguments, on the host.

    Raises:
        TypeError: If it is traced.
        ValueError: If no row is real.
    """
    valid = valid_rows(mask, args)
    if isinstance(valid, jax.core.Tracer):
        raise TypeError("mask: a check runs on the host with numbers, got a traced array; use ej.equivariance_error")
    if valid is not None and not np.any(valid):
        raise ValueError("mask: expected at least one real row, got none")
    return None if valid is None else np.asarray(valid)


def has_padding(valid: np.ndarray | None) -> bool:
    """Whether any row is padding."""
    return valid is not None and not valid.all()


def array_rows(symmetry: Symmetry, layout: Layout, arrays: Arrays, valid: np.ndarray | None) -> list[np.ndarray | None]:
    """For each array argument the mask where its first axis lists the rows and the group acts on it, else None."""
    found = rows_of_inputs(symmetry, valid, layout.args(arrays))
    return [None if real is None else np.asarray(real) for real in layout.select(found)]


def quadrature_nodes(symmetry: Symmetry, layout: Layout, arrays: Arrays) -> int | None:
    """Number of nodes among the arguments that are marked as such, None if none are."""
    found = zip(arrays, _all_reps(symmetry, layout), strict=True)
    return next((len(x) for x, rep in found if isinstance(rep, reps.Quadrature)), None)


def _all_reps(symmetry: Symmetry, layout: Layout) -> list[Rep | None]:
    return layout.select(symmetry.input_reps(jax.tree.unflatten(layout.tree, layout.static)))


def _run_twice(
    program: Program,
    inputs: Sequence[Arrays],
    symmetry: Symmetry,
    elements: Sequence[Element],
    bases: Sequence[int],
    valid: np.ndarray | None,
) -> tuple[Run, Run | None, str]:
    """The runs in float32 and in float64, and why there is none in float64."""
    evaluate = functools.partial(run, program, inputs, symmetry, elements, bases, valid=valid)
    run32, problem = evaluate(32), ""
    for attempt in range(2):
        try:
            return run32, evaluate(64), ""
        except Exception as error:  # whatever stops the function in float64 is the answer
            problem = f"it does not run in float64 ({_first_line(error)})"
            if not attempt:  # jax may remember the width of a NumPy index from the float32 program
                jax.clear_caches()
    return run32, None, problem


def _again(by_part: Mapping[str, Sequence[Element]]) -> list[int]:
    """Places of the last element of each part, and of every eighth before it: tables begin with the identity."""
    sizes = [len(part) for part in by_part.values()]
    return [i for size, end in zip(sizes, np.cumsum(sizes), strict=True) for i in range(end - size, end)[::-AGAIN]]


def _worth_moving(nearby: Arrays, arrays: Arrays, acting: Sequence[Rep | None]) -> bool:
    """Whether nearby inputs are others than the given one, and noise makes no action worse."""
    rough = any(rep.approximate for rep in acting if rep)
    return not rough and any(x is not y for x, y in zip(nearby, arrays, strict=True))


def _larger(errors: np.ndarray, again: list[int], values: np.ndarray | None = None) -> np.ndarray:
    """One row an element, of those at the given input and then those nearby: where the error is larger."""
    values = errors if values is None else values
    found = values[: len(errors) - len(again)].copy()
    nearby = len(found)
    found[again] = np.where(errors[nearby:] > errors[again], values[nearby:], values[again])
    return found


def _moved(x: Array | np.ndarray, y: Array | np.ndarray) -> bool:
    return y is not x and not np.array_equal(x, y)


def _differ(x: np.ndarray, others: np.ndarray) -> bool:
    """Whether any of the others, (evaluations, ...), is another than x, (1, ...)."""
    return bool(np.any((others != x) & ~(np.isnan(others) & np.isnan(x))))


def _scale(i: int, run32: Run, run64: Run | None) -> tuple[float, bool]:
    """The scale of leaf i, and whether it is zero up to rounding.

    The scale is the largest magnitude at the given input and those nearby. Where that is zero, it is that of the moved
    inputs; where the leaf is always zero, that of its images (a position at the origin still moves).
    """
    best = run64 or run32
    everywhere = largest(best.outputs[i])
    if not np.isfinite(best.outputs[i]).all():
        return float(first_nonzero(everywhere)), False
    if not _is_zero(run32.outputs[i], float(everywhere)):
        return float(first_nonzero(largest(best.outputs[i][: 1 + NEARBY]), everywhere)), False
    images = largest(best.images[:, i])
    zero = _is_zero(run32.images[:, i], float(images))
    return 1.0 if zero else float(first_nonzero(images)), zero


def _is_zero(in32: np.ndarray, size: float) -> bool:
    """Whether what has this largest magnitude is zero up to rounding; where float32 overflows it cannot tell."""
    if not np.isfinite(in32).all():
        return size == 0
    return not size > ROUNDING * float(largest(in32)) > 0


def _noise(i: int, run32: Run, run64: Run | None) -> float:
    """Largest difference between the outputs in float32 and in float64, of leaf i."""
    if run64 is None:
        return 0.0
    with np.errstate(invalid="ignore"):
        return float(largest(wide(run64.outputs[i]) - wide(run32.outputs[i])))


def _not_a_number(best: Run) -> str:
    """Where the output at the given input, or its image, is not a number, in words."""
    for i, path in enumerate(best.paths):
        if (bad := np.isnan(best.outputs[i][0])).any():
            index = ", ".join(map(str, np.argwhere(bad)[0]))
            return f"the output{path}{index and f'[{index}]'} is not a number at this input"
        if np.isnan(best.images[:, i]).any():
            return f"the output{path} is not finite at this input, and the group cannot act on it"
    return ""


def _two_answers(best: Run, scales: np.ndarray, errors: np.ndarray, compile_anew: Callable[[], Run] | None) -> str:
    """What tells that the function gives two answers for one input, in words; empty if it does not.

    The last evaluation is at the given input again. Random numbers of NumPy are constants of a compiled program, so
    where the two precisions are far apart it is compiled once more.
    """

    def apart(run: Run, i: int) -> float:
        pairs = zip(best.outputs, run.outputs, scales, strict=True)
        return max(
            (float(largest(wide(x[:1]) - wide(y[i : i + 1 or None])) / scale) for x, y, scale in pairs), default=0.0
        )

    # what is not small beside the error explains it; sums in another order, as on GPUs, do not
    least = max(TWO_ANSWERS, 0.01 * errors.max(initial=0.0))
    with np.errstate(invalid="ignore"):
        found = apart(best, -1)
        if compile_anew is not None and found < least < errors.max(initial=0.0):
            found = apart(compile_anew(), 0)
    return (
        f"the function is not deterministic, two answers for one input differ by {found:.1e}" if found > least else ""
    )


def _floor(
    symmetry: Symmetry,
    layout: Layout,
    acting: Sequence[Rep | None],
    arrays: Arrays,
    moved: Sequence[Arrays],
    elements: Sequence[Element],
    rows: Rows,
) -> float | None:
    """Largest relative error of act(g⁻¹, act(g, x)) over the inputs whose action is approximate."""
    rough = [rep is not None and rep.approximate for rep in acting]
    if not any(rough):
        return None
    with on_cpu():
        inverses = [jax.device_get(symmetry.group.inverse(g)) for g in elements]
    there_and_back = act(symmetry, layout, acting, inverses, moved, rows)
    # of each such input, all that came back
    backs = [x for x, r in zip(zip(*there_and_back, strict=True), rough, strict=True) if r]
    given = [np.asarray(x) for x, r in zip(arrays, rough, strict=True) if r]
    pairs = zip(backs, given, strict=True)
    return max(float(largest(np.stack(back) - x) / first_nonzero(largest(x))) for back, x in pairs)


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0].split(". ")[0]
    return f"{type(error).__name__}: {text[:120]}" if text else type(error).__name__
