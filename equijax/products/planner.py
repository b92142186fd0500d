"""Which route computes a product, and why."""

import dataclasses

import jax

from equijax import _validate
from equijax.products._kernel import degrees
from equijax.spherical import transforms

METHODS = ("dense", "grid", "separable", "fft")

# The mean degree (l1 + l2 + lmax) / 3 from which the separable route beats one plain matrix product on the full grid.
# Measured on one CPU core, with gradients, 2,400 to 64,000 rows times channels. Accelerators prefer large plain matrix
# products for longer; their figure follows the operation counts and is not measured.
_SEPARABLE_FROM = {"cpu": 6}
_SEPARABLE_FROM_ELSEWHERE = 9
_DENSE_UP_TO = 1


@dataclasses.dataclass(frozen=True)
class Plan:
    """What `method="auto"` does for one product, and what every route would cost, forward only, in float32.

    `flops` and `bytes` are (method, count) pairs, cheapest in operations first; bytes are those of the inputs, the
    output, the tables and all intermediate arrays once each, an upper bound that fusion lowers.
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
        ValueError: If a size is negative, or `lmax` exceeds l1 + l2.
    """
    l1, l2, lmax = (_validate.integer(n, v) for n, v in (("l1", l1), ("l2", l2), ("lmax", lmax)))
    rows, channels = _validate.integer("rows", rows), _validate.integer("channels", channels)
    degrees(l1, l2, lmax)
    backend = backend or jax.default_backend()
    method = choose(l1, l2, lmax, backend)
    flops = {m: rows * channels * _flops(m, l1, l2, lmax) for m in METHODS}
    memory = {m: 4 * (rows * channels * _floats(m, l1, l2, lmax) + _table(m, l1, l2, lmax)) for m in METHODS}
    order = sorted(METHODS, key=flops.__getitem__)
    runner_up = {"dense": "grid", "grid": "separable", "separable": "grid"}[method]
    return Plan(
        l1,
        l2,
        lmax,
        rows,
        channels,
        backend,
        method,
        runner_up,
        _reason(method, backend, flops),
        tuple((m, flops[m]) for m in order),
        tuple((m, memory[m]) for m in order),
    )


def choose(l1: int, l2: int, lmax: int, platform: str) -> str:
    """The route that "auto" takes on a platform."""
    if max(l1, l2, lmax) <= _DENSE_UP_TO:
        return "dense"
    threshold = _SEPARABLE_FROM.get(platform, _SEPARABLE_FROM_ELSEWHERE)
    return "separable" if l1 + l2 + lmax >= 3 * threshold else "grid"


def route(f, method: str, sizes: tuple[int, int, int], *arrays):
    """f(method)(*arrays), with "auto" settled for the platform that the program is compiled for."""
    if method != "auto":
        return f(method)(*arrays)
    platforms = {p: choose(*sizes, p) for p in _SEPARABLE_FROM}
    default = choose(*sizes, "elsewhere")
    if set(platforms.values()) == {default}:
        return f(default)(*arrays)
    return jax.lax.platform_dependent(*arrays, default=f(default), **{p: f(m) for p, m in platforms.items()})


def known(method: str, methods: tuple[str, ...] = METHODS) -> None:
    """Raise a ValueError unless `method` is "auto" or one of `methods`."""
    if method not in ("auto", *methods):
        raise ValueError(f"method: expected one of {', '.join(map(repr, ('auto', *methods)))}, got {method!r}")


def _grid_size(l1, l2, lmax):
    band = l1 + l2 + lmax
    return band // 2 + 1, band + 1


def _flops(method: str, l1: int, l2: int, lmax: int) -> int:
    """Floating-point operations for one row and channel."""
    k = [(l + 1) ** 2 for l in (l1, l2, lmax)]
    if method == "dense":
        return k[0] * k[1] + 2 * k[0] * k[1] * k[2]
    n_theta, n_phi = _grid_size(l1, l2, lmax)
    if method == "grid":
        return n_theta * n_phi * (1 + 2 * sum(k))
    orders = [2 * l + 1 for l in (l1, l2, lmax)]
    if method == "separable":
        return n_theta * n_phi * (1 + 2 * sum(orders)) + 2 * n_theta * sum(m * (m + 1) // 2 for m in orders)
    n_u, n_v = transforms.torus_sizes(l1 + l2, lmax)
    points = n_u * n_v
    return points + 3 * int(2.5 * points * points.bit_length()) + 8 * n_u * sum((l + 1) ** 2 for l in (l1, l2, lmax))


def _floats(method: str, l1: int, l2: int, lmax: int) -> int:
    """Numbers read and written for one row and channel."""
    k = sum((l + 1) ** 2 for l in (l1, l2, lmax))
    if method == "dense":
        return k + 2 * (l1 + 1) ** 2 * (l2 + 1) ** 2
    n_theta, n_phi = _grid_size(l1, l2, lmax)
    if method == "grid":
        return k + 6 * n_theta * n_phi
    if method == "separable":
        return k + 6 * n_theta * n_phi + 2 * n_theta * (2 * (l1 + l2 + lmax) + 3)
    n_u, n_v = transforms.torus_sizes(l1 + l2, lmax)
    return k + 12 * n_u * n_v


def _table(method: str, l1: int, l2: int, lmax: int) -> int:
    """Numbers in the constant tables."""
    sizes = (l1, l2, lmax)
    if method == "dense":
        return (l1 + 1) ** 2 * (l2 + 1) ** 2 * (lmax + 1) ** 2
    n_theta, n_phi = _grid_size(l1, l2, lmax)
    if method == "grid":
        return n_theta * n_phi * sum((l + 1) ** 2 for l in sizes)
    if method == "separable":
        return sum((2 * l + 1) * (n_theta * (l + 1) + n_phi) for l in sizes)
    return 2 * transforms.torus_sizes(l1 + l2, lmax)[0] * sum((l + 1) ** 2 for l in sizes)


def _reason(method: str, backend: str, flops: dict[str, int]) -> str:
    if method == "dense":
        return "degrees up to 1: a few terms, the table of all couplings fits in registers"
    where = "measured" if backend in _SEPARABLE_FROM else "from operation counts, not measured"
    start = _SEPARABLE_FROM.get(backend, _SEPARABLE_FROM_ELSEWHERE)
    if method == "grid":
        return (
            f"below mean degree {start} on {backend} ({where}) plain matrix products on the full grid win over the "
            f"separable route, although they take {flops['grid'] / max(flops['separable'], 1):.1f} times its operations"
        )
    return (
        f"from mean degree {start} on {backend} ({where}) transforming one angle after the other wins: "
        f"{flops['grid'] / max(flops['separable'], 1):.1f} times fewer operations than plain matrix products"
    )
