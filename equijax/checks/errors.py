"""The errors behind a check: of one function, in two precisions, for every group element."""

import functools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from equijax import reps
from equijax.checks.inputs import perturbed
from equijax.checks.programs import Arrays, Layout, Program, on_cpu
from equijax.checks.runs import BEFORE, Run, act, run, wide
from equijax.groups import Element
from equijax.measures.equivariance import NEARBY, NUDGE, can_be_perturbed, first_nonzero, largest
from equijax.reps import Rep
from equijax.symmetry import Symmetry

AGAIN = 8  # one of so many elements acts on the first of the nearby inputs as well
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
    problem: str


def find_errors(
    program: Program,
    arrays: Arrays,
    symmetry: Symmetry,
    by_part: Mapping[str, Sequence[Element]],
    key: Array | np.ndarray,
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
        by_part: Group elements of each part, in float64 on the host.
        key: Random key of the perturbations.
    """
    acting = array_reps(symmetry, program.layout)
    # the given input, moved by each element, and which of its arrays each element moves: (elements, arrays)
    elements = [g for part in by_part.values() for g in part]
    moved = act(symmetry, program.layout, acting, elements, [arrays] * len(elements))
    moves = np.array([_moved(x, y) for m in moved for x, y in zip(arrays, m, strict=True)], bool)
    moves = moves.reshape(len(elements), len(arrays))

    # inputs nearby set the scale; the probe, far from the given input, shows whether f depends on what the group moves
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    free = [can_be_perturbed(x, rep) for x, rep in zip(arrays, acting, strict=True)]
    nearby = [perturbed(arrays, free, rng, NUDGE) for _ in range(NEARBY)]
    probe = perturbed(arrays, np.logical_or.reduce(moves, axis=0).tolist(), rng, 1.0)

    # the first of those nearby, moved by some of the elements
    again = _again(by_part) if _worth_moving(nearby[0], arrays, acting) else []
    bases, elements = [0] * len(elements) + [1] * len(again), [*elements, *(elements[i] for i in again)]
    moved += act(symmetry, program.layout, acting, elements[len(moved) :], nearby[:1] * len(again))

    run32, run64, problem = _run_twice(program, [arrays, *nearby, probe, *moved], symmetry, elements, bases)
    best = run64 or run32
    leaves, probed = range(len(best.paths)), slice(1 + NEARBY, BEFORE + len(moves))
    scales, zero = np.array([_scale(i, run32, run64) for i in leaves]).reshape(-1, 2).T
    in32 = np.where(zero, 0, run32.apart / scales)
    in64 = None if run64 is None else np.where(zero, 0, run64.apart / scales)
    finest = in32 if in64 is None else in64
    return Errors(
        paths=best.paths,
        shapes=[best.outputs[i].shape[1:] for i in leaves],
        in32=_larger(in32, again),
        in64=None if in64 is None else _larger(in64, again),
        where=_larger(finest, again, best.where),
        given=finest[: len(moves)],
        noise=np.array([_noise(i, run32, run64) / scales[i] for i in leaves], float),
        zero=zero.astype(bool),
        moves=np.asarray(moves.any(axis=1)),
        depends=np.array([_differ(best.outputs[i][:1], best.outputs[i][probed]) for i in leaves], bool),
        floor=_floor(symmetry, program.layout, acting, arrays, moved, elements),
        problem=problem or _not_a_number(best),
    )


def array_reps(symmetry: Symmetry, layout: Layout) -> list[Rep | None]:
    """The representation that acts on each array argument, None for those that the group does not touch."""
    return [None if isinstance(rep, reps.Quadrature) else rep for rep in _all_reps(symmetry, layout)]


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
) -> tuple[Run, Run | None, str]:
    """The runs in float32 and in float64, and why there is none in float64."""
    evaluate = functools.partial(run, program, inputs, symmetry, elements, bases)
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


def _floor(
    symmetry: Symmetry,
    layout: Layout,
    acting: Sequence[Rep | None],
    arrays: Arrays,
    moved: Sequence[Arrays],
    elements: Sequence[Element],
) -> float | None:
    """Largest relative error of act(g⁻¹, act(g, x)) over the inputs whose action is approximate."""
    rough = [rep is not None and rep.approximate for rep in acting]
    if not any(rough):
        return None
    with on_cpu():
        inverses = [jax.device_get(symmetry.group.inverse(g)) for g in elements]
    there_and_back = act(symmetry, layout, acting, inverses, moved)
    # of each such input, all that came back
    backs = [x for x, r in zip(zip(*there_and_back, strict=True), rough, strict=True) if r]
    given = [np.asarray(x) for x, r in zip(arrays, rough, strict=True) if r]
    pairs = zip(backs, given, strict=True)
    return max(float(largest(np.stack(back) - x) / first_nonzero(largest(x))) for back, x in pairs)


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0].split(". ")[0]
    return f"{type(error).__name__}: {text[:120]}" if text else type(error).__name__
