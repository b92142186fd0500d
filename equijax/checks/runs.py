"""The measurement behind the check: one function, two precisions, every group element."""

import functools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from equijax import reps
from equijax.checks.inputs import perturbed
from equijax.checks.programs import Layout, Program, cast, on_cpu, on_host, precision
from equijax.measures.equivariance import NEARBY, NUDGE, can_be_perturbed, departure, first_nonzero, largest
from equijax.reps import Rep
from equijax.symmetry import Symmetry

AGAIN = 8  # one of so many elements acts on the first of them as well
ROUNDING = 1e-6  # an output that shrinks by more from float32 to float64, or is zero there, is zero up to rounding


class Errors(NamedTuple):
    """Equivariance errors, relative to the scale of each output leaf.

    Attributes:
        paths: The output leaves that are compared.
        shapes: Their shapes.
        in32: Errors in float32, of shape (elements, leaves).
        in64: Errors in float64, of the same shape; None if the function does not run in float64.
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
    in32: np.ndarray
    in64: np.ndarray | None
    where: np.ndarray
    given: np.ndarray
    noise: np.ndarray
    zero: np.ndarray
    moves: np.ndarray
    depends: np.ndarray
    floor: float | None
    problem: str


class _Run(NamedTuple):
    """One precision, for each output leaf that is compared.

    Evaluations are at the given input, the nearby ones, the probe, and the moved inputs: the given one by each element,
    then the first nearby one by some of them.
    """

    paths: list[str]
    outputs: list[np.ndarray]  # (evaluations, ...)
    images: np.ndarray  # (moved inputs, leaves), largest magnitude of the output before the move, acted on
    apart: np.ndarray  # (moved inputs, leaves), largest difference of the moved output and this image
    where: np.ndarray  # its flat index


def measure(
    program: Program,
    arrays: Sequence[Any],
    symmetry: Symmetry,
    by_part: Mapping[str, Sequence[Any]],
    key: Any,
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
    elements = [g for part in by_part.values() for g in part]
    moved = _act(symmetry, program.layout, acting, elements, [arrays] * len(elements))
    moves = np.array([_moved(x, y) for m in moved for x, y in zip(arrays, m, strict=True)], bool)
    moves = moves.reshape(len(elements), len(arrays))
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    free = [can_be_perturbed(x, rep) for x, rep in zip(arrays, acting, strict=True)]
    nearby = [perturbed(arrays, free, rng, NUDGE) for _ in range(NEARBY)]
    probe = perturbed(arrays, np.logical_or.reduce(moves, axis=0).tolist(), rng, 1.0)  # does f depend on what moves?
    again = _again(by_part) if _worth_moving(nearby[0], arrays, acting) else []
    bases, elements = [0] * len(elements) + [1] * len(again), [*elements, *(elements[i] for i in again)]
    moved += _act(symmetry, program.layout, acting, elements[len(moved) :], nearby[:1] * len(again))
    evaluate = functools.partial(_run, program, [list(arrays), *nearby, probe, *moved], symmetry, elements, bases)
    run32, run64, problem = evaluate(32), None, ""
    for attempt in range(2):
        try:
            run64, problem = evaluate(64), ""
            break
        except Exception as error:  # whatever stops the function in float64 is the answer
            problem = f"it does not run in float64 ({_first_line(error)})"
            if not attempt:  # jax may remember the width of a NumPy index from the float32 program
                jax.clear_caches()
    best = run64 or run32
    problem = problem or _not_a_number(best)

    leaves, probed = range(len(best.paths)), slice(1 + NEARBY, 2 + NEARBY + len(moves))
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
        noise=np.array([_noise(run32.outputs[i], run64.outputs[i]) / scales[i] if run64 else 0.0 for i in leaves]),
        zero=zero.astype(bool),
        moves=np.asarray(moves.any(axis=1)),
        depends=np.array([_differ(best.outputs[i][0], best.outputs[i][probed]) for i in leaves], bool),
        floor=_floor(symmetry, program.layout, acting, arrays, moved, elements),
        problem=problem,
    )


def array_reps(symmetry: Symmetry, layout: Layout) -> list[Any]:
    """The representation that acts on each array argument, None for those that the group does not touch."""
    found = _all_reps(symmetry, layout)
    return [None if isinstance(rep, reps.Quadrature) else rep for rep in found]


def quadrature_nodes(symmetry: Symmetry, layout: Layout, arrays: Sequence[Any]) -> int | None:
    """Number of nodes among the arguments that are marked as such, None if none are."""
    found = _all_reps(symmetry, layout)
    return next((len(x) for x, rep in zip(arrays, found, strict=True) if isinstance(rep, reps.Quadrature)), None)


def _all_reps(symmetry: Symmetry, layout: Layout) -> list[Rep | None]:
    return layout.select(symmetry.input_reps(jax.tree.unflatten(layout.tree, layout.static)))


def _again(by_part: Mapping[str, Sequence[Any]]) -> list[int]:
    """Places of the last element of each part, and of every eighth before it: tables begin with the identity."""
    sizes = [len(part) for part in by_part.values()]
    return [i for size, end in zip(sizes, np.cumsum(sizes), strict=True) for i in range(end - size, end)[::-AGAIN]]


def _worth_moving(nearby: list[Any], arrays: Sequence[Any], acting: list[Any]) -> bool:
    """Whether nearby inputs are others than the given one, and noise makes no action worse."""
    rough = any(getattr(rep, "approximate", False) for rep in acting)
    return not rough and any(x is not y for x, y in zip(nearby, arrays, strict=True))


def _larger(errors: np.ndarray, again: list[int], values: np.ndarray | None = None) -> np.ndarray:
    """One row an element, of those at the given input and then those nearby: where the error is larger."""
    values = errors if values is None else values
    found = values[: len(errors) - len(again)].copy()
    nearby = len(found)
    found[again] = np.where(errors[nearby:] > errors[again], values[nearby:], values[again])
    return found


def _act(symmetry: Symmetry, layout: Layout, acting: list[Any], elements: Any, inputs: list[Any]) -> list[list[Any]]:
    """Each input moved by its element, in float64; arrays that the group does not touch are the same objects."""
    moved = []
    with on_cpu():
        for g, arrays in zip(elements, inputs, strict=True):
            new = _act_inputs(symmetry, layout, g, [cast(x, 64) for x in arrays])
            moved.append([x if r is None else on_host(y) for x, y, r in zip(arrays, new, acting, strict=True)])
    return moved


@functools.partial(jax.jit, static_argnums=(0, 1))
def _act_inputs(symmetry: Symmetry, layout: Layout, g: Any, arrays: list[Any]) -> list[Any]:
    return layout.select(jax.tree.leaves(symmetry.act_inputs(g, layout.args(arrays))))


def _moved(x: Any, y: Any) -> bool:
    return y is not x and not np.array_equal(x, y)


def _run(
    program: Program, inputs: list[list[Any]], symmetry: Symmetry, elements: Any, bases: Sequence[int], bits: int
) -> _Run:
    """`program` on all inputs; the last ones are the inputs `bases`, each moved by its element."""
    base, found = inputs[0], []
    outputs: list[list[Any]] = []
    with precision(bits):
        carried = [jnp.asarray(cast(x, bits)) for x in program.captured]
        held = [jnp.asarray(cast(x, bits)) for x in base]  # what is not moved stays on the device
        for row in inputs:
            out = program.run(
                carried, [h if x is b else cast(x, bits) for x, b, h in zip(row, base, held, strict=True)]
            )
            leaves, tree = jax.tree.flatten(out)
            if not outputs:
                acting = symmetry.output_reps(out)
                kept = [i for i, rep in enumerate(acting) if not isinstance(rep, reps.Ignore)]
            outputs.append([np.asarray(x) if i in kept else _NOTHING for i, x in enumerate(leaves)])
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(out)]
    with on_cpu():
        wide = [[cast(x, 64) for x in row] for row in outputs[:2]]
        for g, source, moved in zip(elements, bases, outputs[2 + NEARBY :], strict=True):
            image = _act_outputs(symmetry, tree, g, wide[source])
            found.append([_compare(moved[i], image[i]) if _counts(source, wide[source][i]) else _SAME for i in kept])
    table = np.array(found).reshape(len(found), len(kept), 3)
    return _Run(
        paths=[paths[i] for i in kept],
        outputs=[np.stack([row[i] for row in outputs]) for i in kept],
        images=table[..., 0],
        apart=table[..., 1],
        where=table[..., 2].astype(int),
    )


_NOTHING = np.zeros(())  # stands for what is ignored, such as random keys
_SAME = (0.0, 0.0, 0)


def _counts(source: int, output: Any) -> bool:
    """Whether an output is compared: nearby only where it is finite, for f may not be defined there."""
    return source == 0 or bool(np.isfinite(output).all())


@functools.partial(jax.jit, static_argnums=(0, 1))
def _act_outputs(symmetry: Symmetry, tree: Any, g: Any, leaves: list[Any]) -> list[Any]:
    return jax.tree.leaves(symmetry.act_outputs(g, jax.tree.unflatten(tree, leaves)))


def _compare(moved: Any, image: Any) -> tuple[float, float, int]:
    """Largest magnitude of the image, largest difference (∞ where that is not a number), and its flat index."""
    moved, image = _wide(moved).ravel(), _wide(image).ravel()
    if image.size == 0:
        return _SAME
    with np.errstate(invalid="ignore"):
        apart = departure(moved, image)
    apart = np.where(np.isnan(apart), np.inf, apart)
    where = int(np.argmax(apart))
    size = np.nan if np.isnan(image).any() else float(largest(image))
    return size, float(apart[where]), where


def _wide(x: Any) -> np.ndarray:
    """In double precision."""
    return np.asarray(x, np.complex128 if np.iscomplexobj(x) else np.float64)


def _differ(x: Any, others: Any) -> bool:
    return bool(np.any((others != x) & ~(np.isnan(others) & np.isnan(x))))


def _scale(i: int, run32: _Run, run64: _Run | None) -> tuple[float, bool]:
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


def _noise(in32: np.ndarray, in64: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        return float(largest(_wide(in64) - _wide(in32)))


def _not_a_number(run: _Run) -> str:
    """Where the output at the given input, or its image, is not a number, in words."""
    for i, path in enumerate(run.paths):
        if (bad := np.isnan(run.outputs[i][0])).any():
            index = ", ".join(map(str, np.argwhere(bad)[0]))
            return f"the output{path}{index and f'[{index}]'} is not a number at this input"
        if np.isnan(run.images[:, i]).any():
            return f"the output{path} is not finite at this input, and the group cannot act on it"
    return ""


def _floor(symmetry: Symmetry, layout: Layout, acting: Any, arrays: Any, moved: Any, elements: Any) -> float | None:
    """Largest relative error of act(g⁻¹, act(g, x)) over the inputs whose action is approximate."""
    rough = [getattr(rep, "approximate", False) for rep in acting]
    if not any(rough):
        return None
    with on_cpu():
        inverses = [jax.device_get(symmetry.group.inverse(g)) for g in elements]
    there_and_back = _act(symmetry, layout, acting, inverses, moved)
    backs = [x for x, r in zip(zip(*there_and_back, strict=True), rough, strict=True) if r]
    given = [x for x, r in zip(arrays, rough, strict=True) if r]
    pairs = zip(backs, given, strict=True)
    return max(float(largest(np.stack(back) - x) / first_nonzero(largest(x))) for back, x in pairs)


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0].split(". ")[0]
    return f"{type(error).__name__}: {text[:120]}" if text else type(error).__name__
