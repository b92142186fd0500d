"""Where in a network does symmetry get lost? The error of every intermediate output."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol, runtime_checkable

from jaxtyping import PyTree

from equijax._validate import integer, parameter_names
from equijax.checks import verdicts
from equijax.checks.casts import narrowing
from equijax.checks.elements import elements_by_part, random_key
from equijax.checks.errors import Errors, array_reps, array_rows, find_errors, has_padding, host_mask
from equijax.checks.inputs import positions_spread
from equijax.checks.programs import Program, on_cpu
from equijax.checks.reports import table
from equijax.measures.plots import axes
from equijax.symmetry import Symmetry, hold_symmetry, positional

OUTPUT = "output"


@runtime_checkable
class Applied(Protocol):
    """A module whose parameters come with the call, as those of `flax.linen`."""

    def apply(self, variables: PyTree, *args: PyTree, **options: PyTree) -> PyTree:
        """The output, or the pair of it and the collections that `mutable` names."""


@dataclasses.dataclass(frozen=True)
class Layer:
    """One intermediate output.

    Attributes:
        path: Of the layer.
        error32: Largest relative error of everything up to here, in float32.
        error64: The same in float64, None if the module does not run in float64.
        verdict: As of `Report`.
    """

    path: str
    error32: float
    error64: float | None
    verdict: str


@dataclasses.dataclass(frozen=True)
class Layers:
    """Errors through the layers of a network, in the order asked for and the output last.

    Attributes:
        layers: One entry a layer.
        group: The group, in words.
        problem: Why there are no float64 errors, or empty.
    """

    layers: tuple[Layer, ...]
    group: str = ""
    problem: str = ""

    @property
    def first_bad(self) -> Layer | None:
        """The first layer that is not exact, None if all are."""
        return next((layer for layer in self.layers if layer.verdict != "exact"), None)

    def plot(self, ax: Any = None) -> Any:
        """The error through the layers, in both precisions; returns the Matplotlib axes."""
        ax = axes(ax)
        names = [layer.path for layer in self.layers]
        for label, errors, floor in (
            ("float32", [layer.error32 for layer in self.layers], verdicts.EPS32),
            ("float64", [layer.error64 for layer in self.layers], verdicts.EPS64),
        ):
            known = [(i, max(e, floor / 8)) for i, e in enumerate(errors) if e is not None]
            if known:
                (line,) = ax.plot(*zip(*known, strict=True), marker="o", label=label)
                ax.axhline(floor, color=line.get_color(), linewidth=1, linestyle=":")
        ax.set_xticks(range(len(names)), names, rotation=30, ha="right")
        ax.set(yscale="log", ylabel="relative error, dotted: rounding", title=self.group)
        ax.legend()
        return ax

    def __str__(self) -> str:
        first = self.first_bad
        head = "every layer is exact" if first is None else f"{first.path} is the first layer that is {first.verdict}"
        rows = [(layer.path, layer.error32, layer.error64, layer.verdict) for layer in self.layers]
        note = [f"note: {self.problem}"] if self.problem else []
        return "\n".join(
            [f"{head}, for g in {self.group}", "", *table(("layer",), [((r[0],), *r[1:]) for r in rows]), *note]
        )


def layerwise(
    module: Applied | Callable[..., tuple[PyTree, Mapping[str, PyTree]]],
    variables: PyTree,
    sym: Symmetry,
    args: PyTree,
    outputs: Mapping[str, PyTree],
    *,
    mask: int | Callable[..., PyTree] | None = None,
    key: Any = None,
    samples: int = 8,
) -> Layers:
    """The equivariance error as it grows through a network.

    The network runs once for each group element, and every intermediate output is held against the way that it should
    transform, so an error at a layer is that of everything up to it: the first layer that is not exact is at fault.

    Args:
        module: A `flax.linen` module, whose layers are found by `capture_intermediates`; or, for any other library, a
            function of `(variables, *args)` that returns the pair of its output and a dict of intermediate outputs.
        variables: Its parameters, as for `module.apply`.
        sym: The symmetry of `module(*args)`, without the variables.
        args: The positional arguments, as a tuple.
        outputs: The representation of each layer's output, by path such as "block_0/Dense_1"; None for invariants.
        mask: As for `check`; a position is one of `args`. Layers whose first axis lists the rows are compared in the
            real ones, and padding counts as an element of the group.
        key: Random key; fixed if None.
        samples: Elements for each connected part of the group.

    Returns:
        Errors by layer; `print` it or `.plot()` it.

    Raises:
        ValueError: If a path is not that of a layer, or `samples` is not positive.
        TypeError: If called under a jax transform, if `args` is not a tuple or list, or `key` is no random key.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import groups, reps, Symmetry
        >>> def network(weights, x):  # of the library of your choice
        ...     first = x * weights
        ...     second = first + jnp.array([1.0, 0.0])
        ...     return second, {"scale": first, "shift": second}
        >>> turns = Symmetry(groups.Cyclic(4), reps.Vector(), reps.Vector())
        >>> outputs = {"scale": reps.Vector(), "shift": reps.Vector()}
        >>> layerwise(network, jnp.array(2.0), turns, (jnp.array([1.0, 2.0]),), outputs).first_bad.path
        'shift'
    """
    integer("samples", samples, 1)
    hold_symmetry(module, sym)
    args, key, wanted = positional(args), random_key(key), dict(outputs)
    call = module.apply if isinstance(module, Applied) else module
    sym.hold_inputs(args, parameter_names(call, 1 + len(args))[1:])
    valid = host_mask(mask, args)
    # one function whose outputs are those of the layers, then the output; the variables are its first argument
    run = _tapped(module, tuple(wanted))
    inputs = sym.inputs if isinstance(sym.inputs, tuple) else (sym.inputs,) * len(args)
    symmetry = Symmetry(sym.group, (None, *inputs), [*wanted.values(), sym.outputs])
    program = Program(run, (variables, *args))
    with on_cpu():
        rows = array_rows(symmetry, program.layout, program.arrays, valid)
        spread = positions_spread(program.arrays, array_reps(symmetry, program.layout), rows)
        by_part = elements_by_part(sym.group, key, samples, spread, has_padding(valid))
    errors = find_errors(program, program.arrays, symmetry, by_part, key, valid)
    narrowed = errors.in64 is not None and bool(narrowing(program.trace(program.arrays, 64)))
    # the leaves of the i-th of these outputs have paths that begin with [i]
    layers = []
    for i, path in enumerate((*wanted, OUTPUT)):
        leaves = [k for k, leaf in enumerate(errors.paths) if leaf.startswith(f"[{i}]")]
        layers.append(_layer(path, leaves, errors, narrowed))
    return Layers(tuple(layers), str(sym.group), errors.problem)


def _layer(path: str, leaves: list[int], errors: Errors, narrowed: bool) -> Layer:
    """The errors of one layer, from those of the leaves of its output."""
    highest32 = errors.in32[:, leaves].max(axis=0, initial=0.0)
    if errors.in64 is None:
        return Layer(path, float(highest32.max(initial=0.0)), None, "unresolved")
    highest = errors.in64[:, leaves].max(axis=0, initial=0.0)
    found = [verdicts.judge(*three, narrowed) for three in zip(highest32, highest, errors.noise[leaves], strict=True)]
    worst = max(range(len(leaves)), key=lambda k: (verdicts.ORDER.index(found[k]), highest[k]), default=None)
    if worst is None or errors.zero[leaves].all():
        return Layer(path, 0.0, 0.0, "vacuous")
    untested = found[worst] == "exact" and not (errors.moves.any() and errors.depends[leaves].any())
    return Layer(path, float(highest32[worst]), float(highest[worst]), "vacuous" if untested else found[worst])


def _tapped(module: Applied | Callable, wanted: tuple[str, ...]) -> Callable[..., list[PyTree]]:
    """A function of (variables, *args) that returns the wanted intermediate outputs, then the output."""

    def run(variables, *args):
        output, found = _call(module, variables, args)
        unknown = [path for path in wanted if path not in found]
        if unknown:
            raise ValueError(f"outputs: no layer {unknown[0]!r}; there are {', '.join(map(repr, sorted(found)))}")
        return [*(found[path] for path in wanted), output]

    return run


def _call(
    module: Applied | Callable, variables: PyTree, args: tuple[PyTree, ...]
) -> tuple[PyTree, Mapping[str, PyTree]]:
    """The output, and the intermediate outputs by path."""
    if not isinstance(module, Applied):
        return module(variables, *args)
    output, state = module.apply(variables, *args, capture_intermediates=True, mutable=["intermediates"])
    found: dict[str, PyTree] = {}
    _collect(state["intermediates"], (), found)
    return output, found


def _collect(tree: Mapping[str, PyTree], path: tuple[str, ...], found: dict[str, PyTree]) -> None:
    """The outputs of `__call__` by path; a layer that is called twice gives "path", then "path:1"."""
    for name, value in tree.items():
        if isinstance(value, Mapping):
            _collect(value, (*path, name), found)
        elif name == "__call__" and path:
            for i, output in enumerate(value):
                found["/".join(path) + (f":{i}" if i else "")] = output
