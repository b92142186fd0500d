"""The measurement behind the check: one function, two precisions, every group element."""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from equijax import reps
from equijax.checks.inputs import leaf_reps, perturbed
from equijax.checks.programs import Layout, Program, cast, on_cpu, on_host, precision

NEARBY = 3  # perturbed inputs, which set the scale of each output together with the given one
NUDGE = 0.05  # size of these perturbations, relative to the spread of the input
ROUNDING = 1e-6  # an output that shrinks by more from float32 to float64, or is zero there, is zero up to rounding


class Errors(NamedTuple):
    """Equivariance errors, relative to the scale of each output leaf.

    Attributes:
        paths: The output leaves that are compared.
        shapes: Their shapes.
        in32: Errors in float32, of shape (elements, leaves).
        in64: Errors in float64, of the same shape; None if the function does not run in float64.
        where: Flat index of the largest error in each leaf, in the best precision.
        noise: For each leaf, the largest relative difference between the float32 and the float64 outputs.
        zero: For each leaf, whether it is zero up to rounding wherever it was evaluated.
        moves: For each element, whether it moves any input.
        depends: Whether any output changed with the inputs that the group moves.
        floor: Round-trip error of the representations that act only approximately; None without such.
        problem: Why there are no float64 errors.
    """

    paths: list[str]
    shapes: list[tuple[int, ...]]
    in32: np.ndarray
    in64: np.ndarray | None
    where: np.ndarray
    noise: np.ndarray
    zero: np.ndarray
    moves: np.ndarray
    depends: bool
    floor: float | None
    problem: str


class _Run(NamedTuple):
    """One precision, for each output leaf that is compared.

    Evaluations are at the given input, the nearby ones, the probe, and the inputs moved by each element.
    """

    paths: list[str]
    outputs: list[np.ndarray]  # (evaluations, ...)
    images: np.ndarray  # (elements, leaves), largest magnitude of the output at the given input, acted on
    apart: np.ndarray  # (elements, leaves), largest difference of the moved output and this image
    where: np.ndarray  # its flat index


def measure(
    program: Program,
    arrays: Sequence[Any],
    symmetry: Any,
    elements: Sequence[Any],
    key: Any,
) -> Errors:
    """Hold f(ρ(g) x) against σ(g) f(x), in float32 and in float64.

    The actions run in float64 outside of the function; the moved inputs are cast afterwards.

    Args:
        program: The function and its arguments.
        arrays: Arrays to put in the arguments.
        symmetry: The symmetry to hold the function against.
        elements: Group elements, in float64 on the host.
        key: Random key of the perturbations.
    """
    acting = array_reps(symmetry, program.layout)
    moved = _act(symmetry, program.layout, acting, elements, [arrays] * len(elements))
    moves = np.asarray([[_moved(x, y) for x, y in zip(arrays, m, strict=True)] for m in moved], bool)
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    nearby = [perturbed(arrays, [rep is not None for rep in acting], rng, NUDGE) for _ in range(NEARBY)]
    probe = perturbed(arrays, np.logical_or.reduce(moves, axis=0).tolist(), rng, 1.0)  # does f depend on what moves?
    evaluate = functools.partial(_run, program, [list(arrays), *nearby, probe, *moved], symmetry, elements)
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

    leaves = range(len(best.paths))
    scales, zero = np.array([_scale(i, run32, run64) for i in leaves]).reshape(-1, 2).T
    return Errors(
        paths=best.paths,
        shapes=[best.outputs[i].shape[1:] for i in leaves],
        in32=np.where(zero, 0, run32.apart / scales),
        in64=None if run64 is None else np.where(zero, 0, run64.apart / scales),
        where=best.where,
        noise=np.array([_noise(run32.outputs[i], run64.outputs[i]) / scales[i] if run64 else 0.0 for i in leaves]),
        zero=zero.astype(bool),
        moves=np.asarray(moves.any(axis=1)),
        depends=any(_differ(best.outputs[i][0], best.outputs[i][1 + NEARBY :]) for i in leaves),
        floor=_floor(symmetry, program.layout, acting, arrays, moved, elements),
        problem=problem,
    )


def array_reps(symmetry: Any, layout: Layout) -> list[Any]:
    """The representation that acts on each array argument, None for those that the group does not touch."""
    found = layout.select(leaf_reps(symmetry.inputs, layout.tree))
    return [None if isinstance(rep, reps.Quadrature) else rep for rep in found]


def quadrature_nodes(symmetry: Any, layout: Layout, arrays: Sequence[Any]) -> int | None:
    """Number of nodes among the arguments that are marked as such, None if none are."""
    found = layout.select(leaf_reps(symmetry.inputs, layout.tree))
    return next((len(x) for x, rep in zip(arrays, found, strict=True) if isinstance(rep, reps.Quadrature)), None)


def _act(symmetry: Any, layout: Layout, acting: list[Any], elements: Any, inputs: list[Any]) -> list[list[Any]]:
    """Each input moved by its element, in float64; arrays that the group does not touch are the same objects."""
    moved = []
    with on_cpu():
        for g, arrays in zip(elements, inputs, strict=True):
            new = _act_inputs(symmetry, layout, g, [cast(x, 64) for x in arrays])
            moved.append([x if r is None else on_host(y) for x, y, r in zip(arrays, new, acting, strict=True)])
    return moved


@functools.partial(jax.jit, static_argnums=(0, 1))
def _act_inputs(symmetry: Any, layout: Layout, g: Any, arrays: list[Any]) -> list[Any]:
    return layout.select(jax.tree.leaves(symmetry.act_inputs(g, layout.args(arrays))))


def _moved(x: Any, y: Any) -> bool:
    return y is not x and not np.array_equal(x, y)


def _run(program: Program, inputs: list[list[Any]], symmetry: Any, elements: Any, bits: int) -> _Run:
    base, outputs, images = inputs[0], [], []
    with precision(bits):
        carried = [jnp.asarray(cast(x, bits)) for x in program.captured]
        held = [jnp.asarray(cast(x, bits)) for x in base]  # what is not moved stays on the device
        for row in inputs:
            out = program.run(
                carried, [h if x is b else cast(x, bits) for x, b, h in zip(row, base, held, strict=True)]
            )
            leaves, tree = jax.tree.flatten(out)
            outputs.append([np.asarray(x) for x in leaves])
    kept = [i for i, rep in enumerate(leaf_reps(symmetry.outputs, tree)) if not isinstance(rep, reps.Ignore)]
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(out)]
    with on_cpu():
        wide = [cast(x, 64) for x in outputs[0]]
        for g, moved in zip(elements, outputs[2 + NEARBY :], strict=True):
            image = _act_outputs(symmetry, tree, g, wide)
            images.append([_compare(moved[i], image[i]) for i in kept])
    found = np.array(images).reshape(len(images), len(kept), 3)
    return _Run(
        paths=[paths[i] for i in kept],
        outputs=[np.stack([row[i] for row in outputs]) for i in kept],
        images=found[..., 0],
        apart=found[..., 1],
        where=found[..., 2].astype(int),
    )


@functools.partial(jax.jit, static_argnums=(0, 1))
def _act_outputs(symmetry: Any, tree: Any, g: Any, leaves: list[Any]) -> list[Any]:
    return jax.tree.leaves(symmetry.act_outputs(g, jax.tree.unflatten(tree, leaves)))


def _compare(moved: Any, image: Any) -> tuple[float, float, int]:
    """Largest magnitude of the image, largest difference (∞ where that is not a number), and its flat index."""
    moved, image = _wide(moved).ravel(), _wide(image).ravel()
    if image.size == 0:
        return 0.0, 0.0, 0
    with np.errstate(invalid="ignore"):
        apart = np.where(moved == image, 0.0, np.abs(moved - image))
    apart = np.where(np.isnan(apart), np.inf, apart)
    where = int(np.argmax(apart))
    size = np.nan if np.isnan(image).any() else _largest(image)
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
    everywhere32, everywhere = _largest(run32.outputs[i]), _largest(best.outputs[i])
    if not np.isfinite(best.outputs[i]).all():
        return everywhere or 1.0, False
    if everywhere32 > 0 and everywhere > ROUNDING * everywhere32:
        return _largest(best.outputs[i][: 1 + NEARBY]) or everywhere, False
    images32, images = _largest(run32.images[:, i]), _largest(best.images[:, i])
    zero = not (images32 > 0 and images > ROUNDING * images32)
    return (1.0 if zero else images), zero


def _noise(in32: np.ndarray, in64: np.ndarray) -> float:
    with np.errstate(invalid="ignore"):
        return _largest(_wide(in64) - _wide(in32))


def _largest(x: Any) -> float:
    """Largest finite magnitude."""
    return float(np.max(np.abs(x), initial=0.0, where=np.isfinite(x)))


def _not_a_number(run: _Run) -> str:
    """Where the output at the given input, or its image, is not a number, in words."""
    for i, path in enumerate(run.paths):
        if (bad := np.isnan(run.outputs[i][0])).any():
            index = ", ".join(map(str, np.argwhere(bad)[0]))
            return f"the output{path}{index and f'[{index}]'} is not a number at this input"
        if np.isnan(run.images[:, i]).any():
            return f"the output{path} is not finite at this input, and the group cannot act on it"
    return ""


def _floor(symmetry: Any, layout: Layout, acting: Any, arrays: Any, moved: Any, elements: Any) -> float | None:
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
    return max(_largest(np.stack(back) - x) / (_largest(x) or 1.0) for back, x in pairs)


def _first_line(error: Exception) -> str:
    text = str(error).strip().split("\n")[0].split(". ")[0]
    return f"{type(error).__name__}: {text[:120]}" if text else type(error).__name__
