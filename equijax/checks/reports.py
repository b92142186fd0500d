"""What the check found: a table to read, a picture, and an assertion."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from equijax.checks.elements import PADDING, TOGETHER, describe
from equijax.checks.programs import on_cpu
from equijax.checks.verdicts import BROKEN, EPS32, EPS64, ORDER, ratio
from equijax.groups import Element, Group
from equijax.measures.plots import axes

WORDS = {
    "exact": "the error is rounding alone, it shrinks with the precision",
    "limited": "the error in float64 is no larger than float32 rounding but does not vanish: a float32 constant, cast "
    "or operation inside, or a violation below float32 rounding",
    "approximate": f"the error does not depend on the precision, and is below {BROKEN:g}",
    "broken": f"the error does not depend on the precision, and is above {BROKEN:g}",
    "vacuous": "nothing was tested",
    "unresolved": "float32 alone cannot tell rounding from a small violation (a fixed dtype inside?)",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """One part of the group.

    Attributes:
        part: Its name.
        elements: How many elements were tried.
        error32: Largest relative error in float32.
        error64: The same in float64, None if the function does not run in float64.
        verdict: As of the report.
        moves: Whether any of these elements moved any input.
        element: The group element with the largest error.
        output: Path of the output leaf where that is.
        index: Index in this leaf.
    """

    part: str
    elements: int
    error32: float
    error64: float | None
    verdict: str
    moves: bool
    element: Element
    output: str
    index: tuple[int, ...]

    @property
    def error(self) -> float:
        """The error in the best precision."""
        return self.error32 if self.error64 is None else self.error64

    @property
    def place(self) -> str:
        """Where in the output the largest error is."""
        return f"output{self.output}" + (f"[{', '.join(map(str, self.index))}]" if self.index else "")


@dataclasses.dataclass(frozen=True, eq=False)
class Report:
    """How far a function is from a symmetry. `print(report)` shows a table.

    Attributes:
        verdict: One of "exact" (the error is rounding), "limited" (it stops shrinking between float32 and float64),
            "approximate" (it is the same in both, below 1e-2), "broken" (above), "vacuous" (nothing was tested) and
            "unresolved" (no verdict in float64).
        reason: The verdict in a sentence.
        error: Largest error relative to the scale of the output leaf, in float64 where that runs.
        rows: One a part of the group, one for elements of the whole group, and one for padding if there is a mask.
        group: The group.
        casts: Casts to fewer digits in the float64 program, with their source lines.
        notes: What else to know.
        floor: Error of the round trip act(g⁻¹, act(g, x)) where a representation is approximate: no function can be
            expected to do better; None if all are exact.
        nodes: How many nodes stand for the integrals in the function, where an input is `reps.Quadrature`.
        degenerate: Reports on degenerate inputs, by name.
    """

    verdict: str
    reason: str
    error: float
    rows: tuple[Row, ...]
    group: Group
    casts: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    floor: float | None = None
    nodes: int | None = None
    degenerate: dict[str, "Report"] = dataclasses.field(default_factory=dict)

    @property
    def by_part(self) -> dict[str, float]:
        """Largest error of each part of the group, in the best precision."""
        return {row.part: row.error for row in self.rows if row.part != TOGETHER}

    @property
    def worst(self) -> Row | None:
        """The row with the largest error, elements of the whole group only where no part has the same verdict.

        Of parts with the same verdict it is the padding, for what it does to real rows shows in other parts too.
        """

        def badness(row: Row) -> tuple[int, bool, bool, float]:
            word = ORDER.index(row.verdict) if row.verdict in ORDER else 0
            return word, row.part == PADDING, row.part != TOGETHER, row.error

        return max(self.rows, key=badness, default=None)

    def assert_exact(self) -> None:
        """Raise an AssertionError that shows the report unless the verdict is "exact"."""
        if self.verdict != "exact":
            raise AssertionError(f"the function is not exactly symmetric\n{self}")

    def plot(self, ax: Any = None) -> Any:
        """Errors of each part in both precisions, as bars on a logarithmic axis; returns the Matplotlib axes."""
        ax = axes(ax)
        names = [row.part for row in self.rows]
        for shift, bits, epsilon in ((-0.2, 32, EPS32), (0.2, 64, EPS64)):
            errors = [row.error32 if bits == 32 else row.error64 for row in self.rows]
            known = [(i + shift, max(e, epsilon / 8)) for i, e in enumerate(errors) if e is not None]
            if known:
                (bars,) = {ax.barh(*zip(*known, strict=True), height=0.35, label=f"float{bits}")}
                ax.axvline(epsilon, color=bars[0].get_facecolor(), linewidth=1, linestyle=":")
        ax.set(xscale="log", yticks=range(len(names)), yticklabels=names, xlabel="relative error, dotted: rounding")
        ax.set_title(f"{self.group}: {self.verdict}")
        ax.invert_yaxis()
        ax.legend()
        return ax

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {self.reason}", f"f(ρ(g) x) against σ(g) f(x) for g in {self.group}", ""]
        lines += table(
            ("part", "elements"),
            [
                (
                    (r.part, str(r.elements)),
                    r.error32,
                    r.error64,
                    r.verdict if r.moves else f"{r.verdict}, moves no input",
                )
                for r in self.rows
            ],
        )
        worst = self.worst
        if worst and worst.error > 0:
            with on_cpu():
                at = describe(worst.element, self.group.identity())
                element = "other numbers in the padded rows" if worst.part == PADDING else at
            lines += ["", f"largest error in {worst.place}, {worst.part}: {element}"]
        if self.floor is not None:
            lines.append(f"floor: the representation itself has a round-trip error of {self.floor:.1e}")
        if self.nodes is not None:
            lines.append(f"nodes: {self.nodes}, error {self.error:.1e}")
        lines += [f"input {name}: {r.verdict}, error {r.error:.1e}; {r.reason}" for name, r in self.degenerate.items()]
        if self.casts:
            lines += ["digits lost in the float64 program:", *(f"  {cast}" for cast in self.casts[:MOST_CASTS])]
            lines += [f"  and {len(self.casts) - MOST_CASTS} more"] if len(self.casts) > MOST_CASTS else []
        return "\n".join(lines + [f"note: {note}" for note in self.notes])


MOST_CASTS = 8


def table(head: Sequence[str], rows: Sequence[tuple[Sequence[str], float, float | None, str]]) -> list[str]:
    """Lines of a table: some words, then the errors in float32 and float64, their ratio and the verdict."""
    body = [(*head, "float32", "float64", "ratio", "verdict")]
    for words, in32, in64, verdict in rows:
        body.append((*words, _error(in32), _error(in64), _ratio(in32, in64), verdict))
    widths = [max(map(len, column)) for column in zip(*body, strict=True)]
    ends = (0, len(widths) - 1)
    return [
        "  ".join(
            x.ljust(w) if i in ends else x.rjust(w) for i, (x, w) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in body
    ]


def _error(error: float | None) -> str:
    return "-" if error is None else "0" if error == 0 else f"{error:.1e}"


def _ratio(in32: float, in64: float | None) -> str:
    """The ratio to one digit: 7e8, 0.9."""
    if not in64 or not math.isfinite(in64):
        return "-"
    value = ratio(in32, in64)
    if value < 1000:
        return f"{value:.0f}" if value >= 10 else f"{value:.1g}"
    return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
