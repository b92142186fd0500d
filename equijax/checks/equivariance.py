"""`check`: is this function symmetric, how far from it, and what breaks it?"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from equijax._validate import integer
from equijax.checks import verdicts
from equijax.checks.casts import narrowing
from equijax.checks.elements import PADDING, elements_by_part, random_key
from equijax.checks.errors import (
    Errors,
    array_reps,
    array_rows,
    find_errors,
    has_padding,
    host_mask,
    quadrature_nodes,
)
from equijax.checks.inputs import hard_inputs, positions_spread
from equijax.checks.programs import Arrays, Program, on_cpu
from equijax.checks.reports import WORDS, Report, Row
from equijax.groups import Element
from equijax.symmetry import Symmetry, arguments

ILL_CONDITIONED = 1e4  # times machine epsilon
SPECIAL = 1e-3  # an error at the given input that is smaller than that nearby by more is rounding in comparison


def check(
    f: Callable[..., PyTree],
    symmetry: Symmetry,
    args: PyTree,
    *,
    mask: int | Callable[..., PyTree] | None = None,
    key: Any = None,
    samples: int = 8,
    degenerate: Sequence[str] | Mapping[str, Sequence[PyTree]] = (),
) -> Report:
    """Hold a function against a symmetry: f(ρ(g) x) = σ(g) f(x) for all g?

    The function runs in float32 and in float64 (parameters and inputs cast, matrix products at the highest precision),
    and the verdict comes from how much the error shrinks, so there is no tolerance to choose. Group elements are drawn
    and act in float64 outside of the function, part by part: rotations, reflections, translations (of the size of the
    data), permutations, ..., and all together. The error is max|f(ρ(g) x) − σ(g) f(x)| over the scale of the output
    leaf, its largest magnitude over the input and a few small perturbations of it. Some of the elements act on one of
    these as well, for an error may vanish at the given input by its own symmetry; a note says where it does.

    `f` is compiled once for each precision, or not at all if it cannot be. A function that is jitted already keeps its
    compiled programs: use `jax.jit` before many checks of one function, with what changes in the arguments.

    Args:
        f: Any function of arrays: plain, a `functools.partial`, a bound method, a linen `module.apply`, an nnx or
            equinox module. Parameters may be arguments (with the representation None), attributes or captured.
        symmetry: The group, and how it acts on the arguments and on the result.
        args: The positional arguments, as a tuple.
        mask: Which rows are real, as for `frame_average`: the position of an argument of shape (n,), or a function of
            the arguments that returns it. Padded rows are those of the arrays, among the inputs that the group acts on
            and the outputs, whose first axis has n entries that stay in their places. The group does not move them,
            they are not compared, and "padding" is a part of its own: other numbers in the padded rows.
        key: Random key; fixed if None.
        samples: Elements for each connected part of the group; discrete parts get up to four times as many.
        degenerate: Hard inputs to try as well: names among "zeros", "coincident" and "collinear", or a dict with
            arguments for each name. The verdict is the worst one; a hard input that tests nothing does not count.

    Returns:
        A report; `print` it, `.plot()` it, or `.assert_exact()` in a test.

    Raises:
        TypeError: If called under `jax.jit`, `jax.grad` or `jax.vmap`, if `args` is not a tuple or list, or `key` is no
            random key.
        ValueError: If `samples` is not positive, a degenerate input is unknown, or `mask` fits no input or has no real
            row.

    Examples:
        >>> from equijax import groups, reps, Symmetry, check
        >>> def f(x):
        ...     return x - x.mean(0)
        >>> report = check(f, Symmetry(groups.E(3), reps.Position(), reps.Vector()), (np.eye(3),))
        >>> report.verdict
        'exact'

        The mean above counts padding, if there is any:

        >>> def masked(x, mask):
        ...     return jnp.where(mask[:, None], x - x.mean(0), 0)
        >>> symmetry = Symmetry(groups.E(3), (reps.Position(), None), reps.Vector())
        >>> check(masked, symmetry, (np.eye(3), np.array([True, True, False])), mask=1).worst.part
        'padding'
    """
    integer("samples", samples, 1)
    args, key = _touched_as_arrays(symmetry, arguments(f, symmetry, args)), random_key(key)
    program = Program(f, args)
    valid = host_mask(mask, args)
    report = _report(program, program.arrays, symmetry, key, samples, valid)
    hard = {}
    if isinstance(degenerate, Mapping):
        for name, other in degenerate.items():
            other = _touched_as_arrays(symmetry, arguments(f, symmetry, other))
            hard_program = Program(f, other)
            hard[name] = _report(hard_program, hard_program.arrays, symmetry, key, samples, host_mask(mask, other))
    else:
        acting = array_reps(symmetry, program.layout)
        rows = array_rows(symmetry, program.layout, program.arrays, valid)
        for name in [degenerate] if isinstance(degenerate, str) else degenerate:
            arrays = hard_inputs(name, program.arrays, acting, rows)
            hard[name] = _report(program, arrays, symmetry, key, samples, valid)
    return _with_degenerate(report, hard)


def assert_equivariant(
    f: Callable[..., PyTree], symmetry: Symmetry, args: PyTree, *, allow: Sequence[str] = ("exact",), **options: Any
) -> None:
    """Raise an AssertionError that shows the report unless the verdict of `check` is in `allow`.

    For tests. With Hypothesis, draw numbers and not shapes, and hand over one jitted function with its parameters as
    arguments, or in a `functools.partial`: then nothing is compiled twice. Hard inputs such as zeros test nothing by
    themselves; allow ("exact", "vacuous") there.

    Args:
        f: As for `check`.
        symmetry: As for `check`.
        args: As for `check`.
        allow: Verdicts that pass.
        **options: Passed to `check`.

    Examples:
        >>> from equijax import groups, reps, Symmetry
        >>> assert_equivariant(np.negative, Symmetry(groups.Cyclic(4), reps.Vector(), reps.Vector()), (np.ones(2),))
    """
    report = check(f, symmetry, args, **options)
    if report.verdict not in allow:
        raise AssertionError(f"expected {' or '.join(allow)}\n{report}")


def _report(
    program: Program,
    arrays: Arrays,
    symmetry: Symmetry,
    key: Array | np.ndarray,
    samples: int,
    valid: np.ndarray | None,
) -> Report:
    # group elements, part by part, with translations of the size of the data
    rows_of = array_rows(symmetry, program.layout, arrays, valid)
    spread = positions_spread(arrays, array_reps(symmetry, program.layout), rows_of)
    with on_cpu():
        by_part = elements_by_part(symmetry.group, key, samples, spread, has_padding(valid))
    # the errors of all elements in both precisions, and where digits get lost on the way
    notes = _try_to_compile(program, arrays)
    errors = find_errors(program, arrays, symmetry, by_part, key, valid)
    looked = not notes and errors.in64 is not None
    casts = narrowing(program.trace(arrays, 64)) if looked else ()
    # one row a part
    ends = np.cumsum([len(elements) for elements in by_part.values()])
    rows = tuple(
        _row(part, elements, errors, slice(end - len(elements), end), bool(casts))
        for (part, elements), end in zip(by_part.items(), ends, strict=True)
    )
    verdict, reason = _verdict(rows, errors)
    return Report(
        verdict=verdict,
        reason=reason,
        error=max((row.error for row in rows), default=0.0),
        rows=rows if verdict != "vacuous" else tuple(dataclasses.replace(row, verdict=verdict) for row in rows),
        casts=casts,
        notes=(*notes, *_notes(verdict, rows, errors)),
        floor=errors.floor,
        nodes=quadrature_nodes(symmetry, program.layout, arrays),
        group=symmetry.group,
    )


def _row(part: str, elements: list[Element], errors: Errors, span: slice, narrowed: bool) -> Row:
    in32 = errors.in32[span]
    best = in32 if errors.in64 is None else errors.in64[span]
    if best.size == 0:
        return Row(part, len(elements), 0.0, None if errors.problem else 0.0, "exact", False, None, "", ())
    # the leaf with the worst verdict, and the element and the entry with the largest error in it
    highest32, highest = in32.max(axis=0), best.max(axis=0)
    found = [verdicts.judge(*three, narrowed) for three in zip(highest32, highest, errors.noise, strict=True)]
    leaf = max(range(len(found)), key=lambda i: (verdicts.ORDER.index(found[i]), highest[i]))
    element = int(np.argmax(best[:, leaf]))
    flat = errors.where[span][element, leaf]
    return Row(
        part=part,
        elements=len(elements),
        error32=float(highest32[leaf]),
        error64=None if errors.in64 is None else float(highest[leaf]),
        verdict="unresolved" if errors.problem else found[leaf],
        moves=bool(errors.moves[span].any()),
        element=elements[element],
        output=errors.paths[leaf],
        index=tuple(map(int, np.unravel_index(flat, errors.shapes[leaf]))) if 0 not in errors.shapes[leaf] else (),
    )


def _verdict(rows: tuple[Row, ...], errors: Errors) -> tuple[str, str]:
    """The verdict, and why."""
    if errors.problem:
        return "unresolved", errors.problem if errors.in64 is not None else f"{errors.problem}; {WORDS['unresolved']}"
    found = verdicts.worst([row.verdict for row in rows])
    if found == "exact":
        for nothing, why in (
            (not errors.paths, "no output is compared"),
            (errors.zero.all(), "the output is zero wherever it was evaluated"),
            (not any(row.moves for row in rows if row.part != PADDING), "the group moves none of the inputs"),
            (
                not errors.depends.any() and errors.integers.all(),
                "the output is of integers, and was the same at all inputs that were tried",
            ),
            (not errors.depends.any(), "the output does not depend on any input that the group moves"),
        ):
            if nothing:
                return "vacuous", f"{why}, so {WORDS['vacuous']}"
    return found, WORDS[found]


def _notes(verdict: str, rows: tuple[Row, ...], errors: Errors) -> list[str]:
    """What else to know, a sentence each."""
    notes = [
        f"output{path} is zero up to rounding and was not tested"
        for path, zero in zip(errors.paths, errors.zero, strict=True)
        if zero and verdict != "vacuous"
    ]
    error = max((row.error64 or 0.0 for row in rows), default=0.0)
    if verdict == "exact" and error > ILL_CONDITIONED * verdicts.EPS64:
        notes.append(f"rounding is amplified {error / verdicts.EPS64:.0e} times, the function is ill-conditioned here")
    if not errors.problem and not np.isfinite(error):
        notes.append("the output is not a number at some of the moved inputs")
    if verdict in ("limited", "approximate", "broken") and errors.given.max(initial=0.0) < SPECIAL * error:
        notes.append("the error is at an input nearby: the given one is special, or f symmetric at such inputs alone")
    if errors.in64 is not None and np.isfinite(errors.in64).all() and not np.isfinite(errors.in32).all():
        notes.append("float32 gives what is not a number where float64 does not")
    if errors.floor is not None and verdict in ("approximate", "broken") and error <= 3 * errors.floor:
        notes.append("the error is no larger than that of the representation itself")
    return notes


def _try_to_compile(program: Program, arrays: Arrays) -> list[str]:
    """Run the function without `jax.jit` if it looks at the values of its arguments, and say so."""
    try:
        program.trace(arrays, 32)
    except (jax.errors.JAXTypeError, jax.errors.JAXIndexError) as error:
        program.run = lambda captured, inputs: program.call(captured, [jnp.asarray(x) for x in inputs])
        return [f"it ran without jax.jit, and casts were not looked for ({type(error).__name__})"]
    return []


def _touched_as_arrays(symmetry: Symmetry, args: tuple[PyTree, ...]) -> tuple[PyTree, ...]:
    """`args` with an array for each Python number that the group acts on; the others stay static."""
    leaves, tree = jax.tree.flatten(args)
    acting = symmetry.input_reps(args)
    numbers = [np.asarray(x) if r and type(x) in (int, float) else x for x, r in zip(leaves, acting, strict=True)]
    return jax.tree.unflatten(tree, numbers)


def _with_degenerate(report: Report, hard: dict[str, Report]) -> Report:
    """The report with those on degenerate inputs, and the worst verdict of all."""
    rank = ("vacuous", "exact", "limited", "approximate", "unresolved", "broken")
    worst = max([("", report), *hard.items()], key=lambda pair: rank.index(pair[1].verdict))
    if report.verdict == "vacuous" or worst[1].verdict == report.verdict:
        return dataclasses.replace(report, degenerate=hard)
    return dataclasses.replace(
        report,
        verdict=worst[1].verdict,
        reason=f"at the {worst[0]} input, {worst[1].reason}",
        error=max(r.error for r in (report, *hard.values())),
        degenerate=hard,
    )
