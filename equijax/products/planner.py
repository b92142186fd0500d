"""Which route computes a product, and why: every threshold, and the one decision that is taken about a call."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax.lax import PrecisionLike
from jaxtyping import Array

from equijax import _validate
from equijax.products import costs
from equijax.products.operands import degrees as _degrees
from equijax.spherical import quadrature

METHODS = ("terms", "grid", "split", "separable", "fft")
BACKENDS = ("cpu", "gpu", "tpu")

# Tables of choices, by platform: (last, least, method, runner-up). A row is for products whose degrees l1 + l2 + lmax
# add up to `last` at most, with at least `least` columns (rows times channels); the first that fits counts. Measured on
# two CPU cores with `benchmarks/tensor_products.py`, with and without gradients. Elsewhere they follow operation counts
# (`costs.flops`) and the preference of accelerators for large plain matrix products, and are not measured.
_LARGE = ((quadrature.LEBEDEV_DEGREES[-1], 0, "separable", "split"), (math.inf, 0, "separable", "fft"))
POINTWISE = {
    "cpu": (
        (6, 0, "terms", "split"),
        (12, 1024, "terms", "split"),  # with fewer columns the time to compile is not worth it
        (17, 0, "split", "grid"),
        (47, 0, "split", "separable"),
        *_LARGE,
    ),
    "default": ((6, 0, "terms", "grid"), (26, 0, "grid", "split"), (44, 0, "split", "separable"), *_LARGE),
}
# Of weighted paths: sums over couplings that are written out, on a CPU 3 to 12 times as fast as matrix products, or
# these. Beyond 15, they take 11 s to compile with gradient, and matrix products 3.
PATHS = {
    "cpu": ((9, 0, "terms", "matrices"), (15, 1024, "terms", "matrices"), (math.inf, 0, "matrices", "matrices")),
    "default": ((6, 0, "terms", "matrices"), (math.inf, 0, "matrices", "matrices")),
}

LAST_TERMS = 12  # l1 + l2 + lmax up to which there are "terms": beyond it they take over a second to compile
LAST_LEBEDEV = quadrature.LEBEDEV_DEGREES[-1]  # the same of "grid" and "split": the last rule that is known

# How many reflections "split" uses is a part of that method: `spherical.transforms.split_reflections`.

# Where a CPU, or a TPU without a fused kernel, takes a few rows at a time, so that what lies between the features stays
# in a cache or in fast memory.
CHUNK = 300_000  # numbers of the largest feature in a chunk; measured on two cores with 1 to 2 MB of cache each
CHUNKS = 2  # the fewest chunks that are worth a loop
CHUNKS_OF_TERMS = 4  # the same for sums over couplings, which keep nothing between the features
LAST_TERMS_WHOLE = 6  # up to that sum of degrees they do too little with the features to move them twice: no chunks
FILTERS = 2  # so many times as many chunks for sums over couplings with filters, which are made and not read

# Fused kernels of TPUs. Beyond these sizes they take too long to compile.
FUSED_UP_TO = 36  # l1 + l2 + lmax
FUSED_ROWS = 32  # fewer rows do not fill the registers
FUSED_TERMS = 7000  # couplings that are not zero
FUSED_TABLE = 2**18  # couplings, zeros too, that are looked through for that
FUSED_TILE = 4 * 2**20  # bytes of the tiles of all arguments and results; each is held twice
FUSED_MEMORY = 2**26  # bytes of fast memory that a kernel may take: half of what a TPU v5e, v5p or v6e has
FUSED_REFLECTIONS = (24,)  # l1 + l2 + lmax from which a second reflection is used beside the first one

# Loops over rows and channels, written out by `routes.couplings`.
MOST_RESULTS = 6  # of a loop; measured on a CPU with 32 vector registers
SHARED_FROM = 3  # degrees of one order m from which pairs x_i y_j are shared: fewer operations than by sums for each

Methods: TypeAlias = tuple[tuple[str, tuple[tuple[int, str], ...]], ...]


class Decision(NamedTuple):
    """All that is decided about one call, when it is traced; hashable, a part of what is compiled.

    Attributes:
        methods: For each platform, and "default", the methods by the least number of columns from which one is taken,
            the first that fits. Settled when a program is lowered, by `settle`: only then its platform is known, and
            how many rows the batches of `jax.vmap` add up to.
        chunks: For each platform that takes a few rows at a time, in how many chunks.
        fused: How a fused kernel of a TPU computes the product, "terms" or "grid"; None if there is none.
    """

    methods: Methods = ()
    chunks: tuple[tuple[str, int], ...] = ()
    fused: str | None = None


def pointwise(
    degrees: tuple[int, int, int],
    shapes: Sequence[tuple[int, ...]],
    method: str,
    *,
    odd: bool = False,
    filtered: bool = False,
    fusable: bool = False,
    precision: PrecisionLike = "highest",
) -> Decision:
    """About a product of functions on the sphere.

    Args:
        degrees: l1, l2 and lmax.
        shapes: Of all features, (..., coefficients, channels).
        method: One of `METHODS`, or "auto".
        odd: Whether it is a bracket.
        filtered: Whether the second factor is made of weights and harmonics on the way.
        fusable: Whether a fused kernel takes features of these shapes and types.
        precision: Of matrix products.
    """
    total = sum(degrees)
    check_method(method, available(total), f" for degrees that add up to {total}")
    methods = _methods(POINTWISE, total, method)
    rows, channels = shapes[0][:-2], shapes[0][-1]
    fused_by = None
    if method == "auto" and fusable:
        fused_by = fused(*degrees, math.prod(rows), channels, odd, precision)
    return Decision(methods, _chunks(shapes, total, methods, FILTERS if filtered else 1), fused_by)


def paths(degrees: tuple[int, int, int], shapes: Sequence[tuple[int, ...]]) -> Decision:
    """About a product with a weight for every path."""
    methods = _methods(PATHS, sum(degrees), "auto")
    return Decision(methods, _chunks(shapes, sum(degrees), methods))


def power(l: int, order: int, lmax: int, shape: tuple[int, ...], method: str) -> Decision:
    """About the power of a function of degree l.

    Of high degrees, sums over couplings are for squares only: several, one after the other, take seconds to compile.
    """
    total = order * l + lmax
    check_method(method, available(total), f" for degrees that add up to {total}")
    table = {p: tuple(row for row in rows if row[1] == 0 or order == 2) for p, rows in POINTWISE.items()}
    return Decision(_methods(table, total, method), on_a_grid([shape]).chunks)


def on_a_grid(shapes: Sequence[tuple[int, ...]]) -> Decision:
    """About anything else whose values on a grid, or the like, lie between features of these shapes."""
    return Decision(chunks=_chunks(shapes))


def settle(methods: Methods, columns: int, f: Callable[[str], Callable], *arrays: Array):
    """f(method)(*arrays), with the method for so many columns on the platform that the program is compiled for."""
    chosen = {p: _first(rows, columns) for p, rows in methods}
    default = chosen.pop("default")
    if set(chosen.values()) <= {default}:
        return f(default)(*arrays)
    return jax.lax.platform_dependent(*arrays, default=f(default), **{p: f(m) for p, m in chosen.items()})


def available(degree: int) -> tuple[str, ...]:
    """The methods for products whose degrees l1 + l2 + lmax add up to `degree`."""
    last = {"terms": LAST_TERMS, "grid": LAST_LEBEDEV, "split": LAST_LEBEDEV}
    return tuple(m for m in METHODS if degree <= last.get(m, degree))


def check_method(method: str, methods: tuple[str, ...], what: str = "") -> None:
    """Raise a ValueError unless `method` is "auto" or one of `methods`."""
    if method not in ("auto", *methods):
        raise ValueError(f"method: expected one of {', '.join(map(repr, ('auto', *methods)))}{what}, got {method!r}")


def fused(
    l1: int,
    l2: int,
    lmax: int,
    rows: int,
    channels: int,
    odd: bool = False,
    precision: PrecisionLike = "highest",
) -> str | None:
    """How a fused kernel, which spills nothing, computes the product on a TPU: by "terms" or on a "grid".

    None where there is no kernel: for channels that are no multiple of 128, few rows, high degrees. Where there is one,
    plain XLA has no lower bound: it has the operations of "grid", and moves the values on the grid too.
    """
    name = precision_name(precision)
    wide = channels > 0 and channels % costs.WIDTH == 0
    if not wide or rows < FUSED_ROWS or l1 + l2 + lmax > FUSED_UP_TO or name not in costs.PASSES:
        return None
    memory = costs.kernel_bytes(l1, l2, lmax) / costs.BANDWIDTH
    seconds = {k: max(memory, v) for k, v in kernel_seconds(l1, l2, lmax, odd, name).items()}
    return min(seconds, key=seconds.__getitem__)


def kernel_seconds(l1: int, l2: int, lmax: int, odd: bool, precision: str) -> dict[str, float]:
    """What the operations of each fused kernel take for a row and channel on a TPU v5e, at full rate."""
    seconds = {}
    small = math.prod((l + 1) ** 2 for l in (l1, l2, lmax)) < FUSED_TABLE
    if small and costs.couplings(l1, l2, lmax, odd=odd) <= FUSED_TERMS:
        seconds["terms"] = costs.kernel_by_terms(l1, l2, lmax, odd)
    count = kernel_reflections(l1 + l2 + lmax)
    return seconds | {"grid": costs.kernel_by_grid(l1, l2, lmax, odd, precision, count)}


def precision_name(precision: PrecisionLike) -> str:
    """A precision of matrix products as `costs.PASSES` names it, if it does; None is "default"."""
    return str(getattr(precision, "name", precision or "default")).lower()


def kernel_reflections(degree: int) -> int:
    """How many reflections a fused kernel uses on the Lebedev points of that degree."""
    return 1 + sum(degree >= first for first in FUSED_REFLECTIONS)


def bytes_moved(l1: int, l2: int, lmax: int) -> tuple[int, int]:
    """Main-memory traffic of a product for a row and channel, in float32: of a fused kernel, and of plain XLA."""
    plain = _first(dict(_methods(POINTWISE, l1 + l2 + lmax, "auto"))["default"], 0)
    return costs.kernel_bytes(l1, l2, lmax), 4 * costs.floats(plain, l1, l2, lmax)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What `method="auto"` does for one product, and what every route would cost, forward only, in float32.

    "fused" is a kernel for TPUs, taken for channels that are multiples of 128. `flops` and `bytes` are (method, count)
    pairs, cheapest in operations first; bytes are those of the inputs, the output, the tables and all intermediate
    arrays once each, an upper bound that fusion lowers.
    """

    l1: int
    l2: int
    lmax: int
    rows: int
    channels: int
    backend: str
    method: str
    runner_up: str
    reason: str
    flops: tuple[tuple[str, int], ...]
    bytes: tuple[tuple[str, int], ...]

    def __str__(self) -> str:
        memory = dict(self.bytes)
        lines = [
            f"degrees {self.l1} x {self.l2} -> {self.lmax}, {self.rows} rows x {self.channels} channels "
            f"on {self.backend}: {self.method}, then {self.runner_up}",
            f"  {self.reason}",
            f"  {'method':<10} {'Mflop':>12} {'MB':>10}",
        ]
        lines += [f"  {m:<10} {n / 1e6:>12.3f} {memory[m] / 1e6:>10.3f}" for m, n in self.flops]
        return "\n".join(lines)


def plan(l1: int, l2: int, lmax: int, rows: int, channels: int, backend: str | None = None) -> Plan:
    """What `gaunt(..., method="auto")` does for these sizes, with the cost of every route.

    Args:
        l1: Degree of the first factor.
        l2: Degree of the second factor.
        lmax: Degree of the product, at most l1 + l2.
        rows: Number of rows (the leading axes, multiplied).
        channels: Number of channels.
        backend: "cpu", "gpu" or "tpu"; the default one if None.

    Raises:
        TypeError: If a size is not an integer.
        ValueError: If a size is negative, `lmax` exceeds l1 + l2, or there is no such backend.

    Examples:
        >>> from equijax import products
        >>> chosen = products.plan(4, 4, 4, rows=1000, channels=64, backend="cpu")
        >>> chosen.method, chosen.runner_up
        ('terms', 'split')
    """
    if backend not in (None, *BACKENDS):
        raise ValueError(f"backend: expected one of {', '.join(map(repr, BACKENDS))}, got {backend!r}")
    l1, l2, lmax = (_validate.integer(n, v) for n, v in (("l1", l1), ("l2", l2), ("lmax", lmax)))
    rows, channels = _validate.integer("rows", rows), _validate.integer("channels", channels)
    _degrees(l1, l2, lmax)
    backend = backend or jax.default_backend()

    # What each route costs, and the one that is taken by the thresholds
    methods, columns = available(l1 + l2 + lmax), rows * channels
    flops = {m: columns * costs.flops(m, l1, l2, lmax) for m in methods}
    memory = {m: 4 * (columns * costs.floats(m, l1, l2, lmax) + costs.table(m, l1, l2, lmax)) for m in methods}
    method, runner_up, reason = _explained(l1 + l2 + lmax, columns, backend)
    # On a TPU a fused kernel goes first, where there is one
    kernel = fused(l1, l2, lmax, rows, channels) if backend == "tpu" else None
    if kernel:
        flops["fused"] = columns * _kernel_flops(l1, l2, lmax, kernel)
        memory["fused"] = columns * costs.kernel_bytes(l1, l2, lmax)
        method, runner_up = "fused", method
        seconds = columns * kernel_seconds(l1, l2, lmax, False, "highest")[kernel]
        least = max(memory["fused"] / costs.BANDWIDTH, seconds)
        passes = costs.PASSES["highest"] * flops[runner_up] / costs.MATRIX
        spilling = max(memory[runner_up] / costs.BANDWIDTH, passes)
        reason = (
            f"{'sums over couplings' if kernel == 'terms' else 'values on the grid'} never leave fast memory: at least "
            f"{1e3 * least:.2g} ms on a v5e, and {1e3 * spilling:.2g} ms otherwise (by bandwidth and operations, not "
            "measured)"
        )
    order = sorted(flops, key=flops.__getitem__)
    return Plan(
        l1, l2, lmax, rows, channels, backend, method, runner_up, reason,
        tuple((m, flops[m]) for m in order), tuple((m, memory[m]) for m in order),
    )  # fmt: skip


def _kernel_flops(l1, l2, lmax, kernel):
    if kernel == "terms":
        return costs.flops("terms", l1, l2, lmax)
    count = kernel_reflections(l1 + l2 + lmax)
    S, K = 2**count, sum((l + 1) ** 2 for l in (l1, l2, lmax))
    return costs.orbits(l1 + l2 + lmax, count) * (2 * K + S * (2 * S - 1))


def _methods(table, degree, method) -> Methods:
    """The rows of a table for that sum of degrees, without what is known by then."""
    if method != "auto":
        return (("default", ((0, method),)),)
    return tuple((p, tuple((row[1], row[2]) for row in rows if degree <= row[0])) for p, rows in table.items())


def _first(rows, columns):
    return next(method for least, method in rows if columns >= least)


def _chunks(shapes, degree=0, methods: Methods = (), factor=1):
    """In how many chunks platforms take features of these shapes; none for those that take them as a whole."""
    columns = math.prod(jnp.broadcast_shapes(*(s[:-2] for s in shapes))) * max(s[-1] for s in shapes)
    chunks = columns * max(s[-2] for s in shapes) // CHUNK
    if chunks < CHUNKS:
        return ()
    by_platform = dict(methods)
    on_cpu = by_platform.get("cpu", by_platform.get("default"))
    least: float = CHUNKS
    if on_cpu and _first(on_cpu, columns) == "terms":
        least = factor * (CHUNKS_OF_TERMS if degree > LAST_TERMS_WHOLE else math.inf)
    return (("tpu", chunks), *((("cpu", chunks),) if chunks >= least else ()))


def _explained(degree, columns, platform):
    """Method, runner-up and reason."""
    choices = POINTWISE.get(platform, POINTWISE["default"])
    last, least, method, runner_up = next(row for row in choices if degree <= row[0] and columns >= row[1])
    where = f"measured on {platform}" if platform in POINTWISE else f"by operation counts, not measured on {platform}"
    span = "" if last == math.inf else f" <= {last}"
    for_columns = f" and rows x channels = {columns} >= {least}" if least else ""
    reason = f"l1 + l2 + lmax = {degree}{span}{for_columns}: {_WHY[method]} ({where})"
    return method, runner_up, reason


_WHY = {
    "terms": "few couplings are not zero, and their sum, written out, moves nothing but the features",
    "grid": "one plain matrix product each way beats fewer operations in smaller ones",
    "split": "parts even or odd under reflections take an eighth to a half of the operations of plain matrix products",
    "separable": "one angle after the other takes the fewest operations",
}
