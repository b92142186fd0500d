"""Which route computes a product, and why."""

import dataclasses
import functools
import math

import jax
import numpy as np

from equijax import _validate, spherical
from equijax.products.operands import degrees
from equijax.spherical import quadrature, reflections, transforms

METHODS = ("terms", "grid", "split", "separable", "fft")
BACKENDS = ("cpu", "gpu", "tpu")

# By platform: up to which sum of the degrees l1 + l2 + lmax and from how many rows times channels on a method is taken,
# and the next fastest; the first that fits counts. Measured on two CPU cores with `benchmarks/tensor_products.py`, with
# and without gradients. Elsewhere they follow operation counts and the preference of accelerators for large plain
# matrix products, and are not measured.
_LARGE = ((quadrature.LEBEDEV_DEGREES[-1], 0, "separable", "split"), (math.inf, 0, "separable", "fft"))
_CHOICES = {
    "cpu": (
        (6, 0, "terms", "split"),
        (12, 1024, "terms", "split"),  # with fewer columns the time to compile is not worth it
        (17, 0, "split", "grid"),
        (47, 0, "split", "separable"),
        *_LARGE,
    )
}
_CHOICES_ELSEWHERE = ((6, 0, "terms", "grid"), (26, 0, "grid", "split"), (44, 0, "split", "separable"), *_LARGE)

# A TPU v5e: bytes from main memory, operations of its matrix units on bfloat16 and of its vector units, in a second. A
# float32 product takes several passes of the former; tables of fewer than 128 columns (of points on the way back) are
# padded to that.
BANDWIDTH, _MATRIX, _VECTOR, _PASSES, _WIDTH = 819e9, 197e12, 6.1e12, {"default": 1, "high": 3, "highest": 6}, 128
_FUSED_UP_TO = 36  # degree of the integrand: beyond it, kernels take too long to compile
_MOST_TERMS = 7000  # the same for couplings one by one
_KERNEL_BOTH_FROM = 24  # degree from which kernels use two reflections and not one


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
    """
    if backend not in (None, *BACKENDS):
        raise ValueError(f"backend: expected one of {', '.join(map(repr, BACKENDS))}, got {backend!r}")
    l1, l2, lmax = (_validate.integer(n, v) for n, v in (("l1", l1), ("l2", l2), ("lmax", lmax)))
    rows, channels = _validate.integer("rows", rows), _validate.integer("channels", channels)
    degrees(l1, l2, lmax)
    backend = backend or jax.default_backend()
    methods = available(l1 + l2 + lmax)
    flops = {m: rows * channels * _flops(m, l1, l2, lmax) for m in methods}
    memory = {m: 4 * (rows * channels * _floats(m, l1, l2, lmax) + _table(m, l1, l2, lmax)) for m in methods}
    order = sorted(methods, key=flops.__getitem__)
    method, runner_up, reason = _choice(l1 + l2 + lmax, rows * channels, backend)
    kernel = fused(l1, l2, lmax, rows, channels) if backend == "tpu" else None
    if kernel:
        by_terms = kernel == "terms"
        operations = 2 * _terms(l1, l2, lmax, False) if by_terms else _flops("fused", l1, l2, lmax)
        flops["fused"] = rows * channels * operations
        memory["fused"] = 4 * rows * channels * sum((l + 1) ** 2 for l in (l1, l2, lmax))
        method, runner_up, order = "fused", method, sorted(flops, key=flops.__getitem__)
        moved = memory["fused"] / BANDWIDTH
        least = max(moved, rows * channels * kernel_seconds(l1, l2, lmax, False, "highest")[kernel])
        spilling = max(memory[runner_up] / BANDWIDTH, _PASSES["highest"] * flops[runner_up] / _MATRIX)
        reason = (
            f"{'sums over couplings' if by_terms else 'values on the grid'} never leave fast memory: at least "
            f"{1e3 * least:.2g} ms on a v5e, and {1e3 * spilling:.2g} ms otherwise (by bandwidth and operations, not "
            "measured)"
        )
    return Plan(
        l1, l2, lmax, rows, channels, backend, method, runner_up, reason,
        tuple((m, flops[m]) for m in order), tuple((m, memory[m]) for m in order),
    )  # fmt: skip


def choose(l1: int, l2: int, lmax: int, columns: int, platform: str) -> str:
    """The route that "auto" takes on a platform for so many rows times channels."""
    return _choice(l1 + l2 + lmax, columns, platform)[0]


def chunked_from(l1: int, l2: int, lmax: int, columns: int, method: str) -> int | float:
    """From how many chunks of its rows on a CPU takes them one by one, so that what lies between stays in a cache.

    Sums over couplings keep nothing between, and at low degrees do too little with the features to move them twice.
    """
    if method == "auto":
        method = choose(l1, l2, lmax, columns, "cpu")
    if method != "terms":
        return 2
    return math.inf if l1 + l2 + lmax <= 6 else 4


def available(degree: int) -> tuple[str, ...]:
    """The methods for products whose integrands l1 + l2 + lmax have that degree.

    "terms" ends at 12, beyond which it takes over a second to compile; the known Lebedev rules end at 131.
    """
    last = {"terms": 12, "grid": quadrature.LEBEDEV_DEGREES[-1], "split": quadrature.LEBEDEV_DEGREES[-1]}
    return tuple(m for m in METHODS if degree <= last.get(m, degree))


def route(f, method: str, sizes: tuple[int, int, int], columns: int, *arrays):
    """f(method)(*arrays), with "auto" settled for the platform that the program is compiled for."""
    if method != "auto":
        return f(method)(*arrays)
    platforms = {p: choose(*sizes, columns, p) for p in _CHOICES}
    default = choose(*sizes, columns, "elsewhere")
    if set(platforms.values()) == {default}:
        return f(default)(*arrays)
    return jax.lax.platform_dependent(*arrays, default=f(default), **{p: f(m) for p, m in platforms.items()})


def fused(
    l1: int, l2: int, lmax: int, rows: int, channels: int, odd: bool = False, precision: str = "highest"
) -> str | None:
    """How a kernel that spills nothing computes the product on a TPU: by "terms" or on a "grid".

    None where there is no kernel: for channels that are no multiple of 128, few rows, high degrees. Where there is one,
    plain XLA has no lower bound: it has the operations of "grid", and moves the values on the grid too.
    """
    if channels % _WIDTH or not channels or rows < 32 or l1 + l2 + lmax > _FUSED_UP_TO or precision not in _PASSES:
        return None
    memory = bytes_moved(l1, l2, lmax)[0] / BANDWIDTH
    seconds = {k: max(memory, v) for k, v in kernel_seconds(l1, l2, lmax, odd, precision).items()}
    return min(seconds, key=seconds.__getitem__)


def bytes_moved(l1: int, l2: int, lmax: int) -> tuple[int, int]:
    """Main-memory traffic of a product for a row and channel, in float32: of a kernel, and of plain XLA."""
    return 4 * sum((l + 1) ** 2 for l in (l1, l2, lmax)), 4 * _floats(choose(l1, l2, lmax, 0, "tpu"), l1, l2, lmax)


def reflections_of(method: str, degree: int) -> int:
    """How many reflections a method, or a "fused" kernel, uses on the Lebedev points of that degree."""
    kernel = 1 if degree < _KERNEL_BOTH_FROM else 2
    return {"split": transforms.split_reflections(degree), "fused": kernel}.get(method, 0)


@functools.cache
def kernel_seconds(l1: int, l2: int, lmax: int, odd: bool, precision: str) -> dict[str, float]:
    """What the operations of a kernel take for a row and channel on a TPU v5e, at full rate."""
    sizes = [(l + 1) ** 2 for l in (l1, l2, lmax)]
    points, fields = _points("fused", l1 + l2 + lmax), 1 + odd
    back = sizes[2] * -(-points // _WIDTH)
    matrix = 2 * _WIDTH * (points * _parts("fused", l1 + l2 + lmax) * 2 * fields + back) * _PASSES[precision] / _MATRIX
    seconds = {}
    if math.prod(sizes) < 2**18 and _terms(l1, l2, lmax, odd) <= _MOST_TERMS:
        seconds["terms"] = 2 * _terms(l1, l2, lmax, odd) / _VECTOR
    return seconds | {"grid": matrix}


def _terms(l1, l2, lmax, odd):
    """How many couplings are not zero."""
    coefficients = spherical.bracket_coefficients if odd else spherical.gaunt_coefficients
    return int(np.count_nonzero(coefficients(l1, l2, lmax)))


def known(method: str, methods: tuple[str, ...], what: str = "") -> None:
    """Raise a ValueError unless `method` is "auto" or one of `methods`."""
    if method not in ("auto", *methods):
        raise ValueError(f"method: expected one of {', '.join(map(repr, ('auto', *methods)))}{what}, got {method!r}")


def _choice(degree, columns, platform):
    """Method, runner-up and reason."""
    choices = _CHOICES.get(platform, _CHOICES_ELSEWHERE)
    fits = next(k for k, (last, least, *_) in enumerate(choices) if degree <= last and columns >= least)
    last, least, method, runner_up = choices[fits]
    where = f"measured on {platform}" if platform in _CHOICES else f"by operation counts, not measured on {platform}"
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


def _flops(method: str, l1: int, l2: int, lmax: int) -> int:
    """Floating-point operations for one row and channel."""
    degree, k = l1 + l2 + lmax, sum((l + 1) ** 2 for l in (l1, l2, lmax))
    if method == "terms":
        return 2 * _terms(l1, l2, lmax, False)
    if method == "fft":
        n_u, n_v = transforms.torus_sizes(l1 + l2, lmax)
        points = n_u * n_v
        return points + 3 * int(2.5 * points * points.bit_length()) + 8 * n_u * k
    points = _points(method, degree)
    if method == "separable":
        legendre = 2 * (degree // 2 + 1) * sum((2 * l + 1) * (l + 1) for l in (l1, l2, lmax))
        return legendre + points * (6 + 2 * sum(2 * l + 1 for l in (l1, l2, lmax)))
    parts = _parts(method, degree)
    return points * (2 * k + parts * (2 * parts - 1))


def _floats(method: str, l1: int, l2: int, lmax: int) -> int:
    """Numbers read and written for one row and channel."""
    degree, k = l1 + l2 + lmax, sum((l + 1) ** 2 for l in (l1, l2, lmax))
    if method == "terms":
        return k
    if method == "fft":
        n_u, n_v = transforms.torus_sizes(l1 + l2, lmax)
        return k + 12 * n_u * n_v
    between = 2 * (degree // 2 + 1) * (2 * degree + 3) if method == "separable" else 0
    return k + 6 * _parts(method, degree) * _points(method, degree) + between


def _table(method: str, l1: int, l2: int, lmax: int) -> int:
    """Numbers in the constant tables."""
    degree, sizes = l1 + l2 + lmax, (l1, l2, lmax)
    if method == "terms":
        return 0
    if method == "fft":
        return 2 * transforms.torus_sizes(l1 + l2, lmax)[0] * sum((l + 1) ** 2 for l in sizes)
    if method == "separable":
        return sum((2 * l + 1) * ((degree // 2 + 1) * (l + 1) + degree // 2 + 1) for l in sizes)
    return _points(method, degree) * sum((l + 1) ** 2 for l in sizes)


def _points(method: str, degree: int) -> int:
    if method == "separable":
        return (degree // 2 + 1) * (degree // 2 + 1 + degree % 2)
    return len(reflections.orbits(degree, reflections_of(method, degree))[0])


def _parts(method: str, degree: int) -> int:
    return 2 if method == "separable" else 2 ** reflections_of(method, degree)
