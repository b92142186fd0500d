"""One function in one precision: at the given input, at inputs nearby, and at inputs that the group has moved."""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PyTree, PyTreeDef

from equijax import reps
from equijax.checks.inputs import Rows
from equijax.checks.programs import Arrays, Layout, Program, cast, on_cpu, on_host, precision
from equijax.groups import Element
from equijax.measures.equivariance import NEARBY, departure, largest
from equijax.measures.padding import blank, where_valid
from equijax.reps import Rep
from equijax.symmetry import Symmetry

BEFORE = 2 + NEARBY  # evaluations before those at the moved inputs: the given input, those nearby, the probe


class Run(NamedTuple):
    """What a function gives in one precision, for each output leaf that is compared.

    Evaluations are at the given input, the nearby ones, the probe, and the moved inputs: the given one by each element,
    then the first nearby one by some of them; then at the given input once more.

    Attributes:
        paths: The output leaves that are compared.
        outputs: Of each leaf, all evaluations, shape (evaluations, ...).
        images: Largest magnitude of σ(g) f(x), for each moved input and leaf.
        apart: Largest entry of |f(ρ(g) x) − σ(g) f(x)|, for each moved input and leaf.
        where: The flat index of this entry.
    """

    paths: list[str]
    outputs: list[np.ndarray]
    images: Float[np.ndarray, "moved leaves"]
    apart: Float[np.ndarray, "moved leaves"]
    where: Int[np.ndarray, "moved leaves"]


def run(
    program: Program,
    inputs: Sequence[Arrays],
    symmetry: Symmetry,
    elements: Sequence[Element],
    bases: Sequence[int],
    bits: int,
    valid: np.ndarray | None = None,
) -> Run:
    """`program` at all inputs, in float32 or float64, and what it gives held against the action on its outputs.

    Args:
        program: The function and its arguments.
        inputs: Arrays to put in the arguments, in the order of the evaluations of `Run`.
        symmetry: How the group acts on the outputs.
        elements: Group elements, one for each moved input.
        bases: Which of the inputs each of them has moved.
        bits: 32 or 64.
        valid: The mask of rows, False for padding, which counts as zero in the outputs.
    """
    base = inputs[0]
    outputs: list[list[np.ndarray]] = []
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
            host = [np.asarray(x) if i in kept else _NOTHING for i, x in enumerate(leaves)]
            outputs.append(jax.tree.leaves(blank(symmetry, valid, jax.tree.unflatten(tree, host))))
    paths = [jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(out)]
    # the action on the outputs, in float64 whatever the precision of the function
    found = []
    with on_cpu():
        before = [[cast(x, 64) for x in row] for row in outputs[:2]]
        for g, source, moved in zip(elements, bases, outputs[BEFORE:], strict=False):
            image = jax.tree.leaves(blank(symmetry, valid, _act_outputs(symmetry, tree, g, before[source])))
            found.append([_compare(moved[i], image[i]) if _counts(source, before[source][i]) else _SAME for i in kept])
    table = np.array(found, float).reshape(len(found), len(kept), 3)
    return Run(
        paths=[paths[i] for i in kept],
        outputs=[np.stack([row[i] for row in outputs]) for i in kept],
        images=table[..., 0],
        apart=table[..., 1],
        where=table[..., 2].astype(int),
    )


def act(
    symmetry: Symmetry,
    layout: Layout,
    acting: Sequence[Rep | None],
    elements: Sequence[Element],
    inputs: Sequence[Arrays],
    rows: Rows,
) -> list[list[Array | np.ndarray]]:
    """Each input moved by its element, in float64; arrays that the group does not touch are the same objects.

    Padded rows stay.
    """
    moved = []
    with on_cpu():
        for g, arrays in zip(elements, inputs, strict=True):
            new = _act_inputs(symmetry, layout, g, [cast(x, 64) for x in arrays])
            found = zip(arrays, new, acting, rows, strict=True)
            moved.append([x if r is None else _but_padding(real, on_host(y), x) for x, y, r, real in found])
    return moved


def _but_padding(real: np.ndarray | None, moved: np.ndarray, x: Array | np.ndarray) -> np.ndarray:
    return moved if real is None else np.asarray(where_valid(real, moved, np.asarray(x)))


def wide(x: Array | np.ndarray) -> np.ndarray:
    """On the host in double precision."""
    return np.asarray(x, np.complex128 if np.iscomplexobj(x) else np.float64)


_NOTHING = np.zeros(())  # stands for what is ignored, such as random keys
_SAME = (0.0, 0.0, 0)


def _counts(source: int, output: Array | np.ndarray) -> bool:
    """Whether an output is compared: nearby only where it is finite, for f may not be defined there."""
    return source == 0 or bool(np.isfinite(output).all())


def _compare(moved: Array | np.ndarray, image: Array | np.ndarray) -> tuple[float, float, int]:
    """Largest magnitude of the image, largest difference (∞ where that is not a number), and its flat index."""
    moved, image = wide(moved).ravel(), wide(image).ravel()
    if image.size == 0:
        return _SAME
    with np.errstate(invalid="ignore"):
        apart = np.asarray(departure(moved, image))
    apart = np.where(np.isnan(apart), np.inf, apart)
    where = int(np.argmax(apart))
    size = np.nan if np.isnan(image).any() else float(largest(image))
    return size, float(apart[where]), where


@functools.partial(jax.jit, static_argnums=(0, 1))
def _act_inputs(symmetry: Symmetry, layout: Layout, g: Element, arrays: Arrays) -> list[PyTree]:
    return layout.select(jax.tree.leaves(symmetry.act_inputs(g, layout.args(arrays))))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _act_outputs(symmetry: Symmetry, tree: PyTreeDef, g: Element, leaves: Arrays) -> PyTree:
    return symmetry.act_outputs(g, jax.tree.unflatten(tree, leaves))
