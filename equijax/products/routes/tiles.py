"""The arithmetic of fused kernels: contractions of the trilinear form for one tile of rows and channels.

Here every coefficient is an array (rows, channels) by itself. The second factor of the form may be a filter,
y_lm = w_l Y_lm(r̂), and then T is linear in the weights w and in the harmonics Y too.
"""

import dataclasses
import functools
import itertools
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np

from equijax import spherical
from equijax.products import planner
from equijax.products.trilinear import H, Trilinear, X, Y, Z
from equijax.spherical import reflections

Key = tuple[int, int, bool]  # argument, sector, whether the table leads from points back to coefficients


@dataclasses.dataclass(frozen=True)
class Tiled(Trilinear):
    """The trilinear form, and how a tile of it is computed.

    Attributes:
        filtered: Whether y is made of weights and harmonics.
        method: "terms" adds up the products with non-zero couplings one by one, in float32 whatever the precision is;
            "grid" multiplies values at the points of a quadrature rule, for a precision of "default", "high" or
            "highest".
    """

    filtered: bool = False
    method: str = "grid"

    @classmethod
    def of(cls, form: Trilinear, method: str, filtered: bool = False) -> "Tiled":
        """The same form for tiles."""
        return cls(form.degrees, form.odd, planner.precision_name(form.precision), filtered, method)

    def size(self, argument: int) -> int:
        """Coefficients of an argument."""
        if self.filtered and argument == Y:
            return self.degrees[1] + 1
        return (self.degrees[1 if argument == H else argument] + 1) ** 2

    def tables(self, outs: Sequence[int]) -> dict[Key, np.ndarray]:
        """The matrices with which `contracted` finds these contractions."""
        if self.method == "terms":
            return {}
        targets = {Y if k == H else k for k in outs}
        sectors = _sectors(self)[0]
        there = {(k, sector, False): table for (k, sector), (_, table) in sectors.items() if targets - {k}}
        back = {(k, sector, True): table.T for (k, sector), (_, table) in sectors.items() if k in targets}
        return {key: table.astype(np.float32) for key, table in (there | back).items()}


def contracted(form: Tiled, tables: Any, known: dict[int, Any], outs: Sequence[int]) -> dict[int, list[Any]]:
    """∂T/∂(out) for each of `outs`.

    Args:
        form: T.
        tables: A mapping with `form.tables(outs)`.
        known: The coefficients of every argument that is known, arrays (rows, channels); of harmonics (rows, 1).
        outs: Arguments.

    Returns:
        The same for every out.
    """
    features = {k: list(v) for k, v in known.items() if k in (X, Z) or (k == Y and not form.filtered)}
    degree = spherical.degree_of_coefficient(form.degrees[1])
    if form.filtered and Y in known and H in known:
        features[Y] = [known[Y][l] * h for l, h in zip(degree, known[H], strict=True)]
    find = _by_terms if form.method == "terms" else _by_grid
    found = find(form, tables, features, sorted({Y if k == H else k for k in outs}))
    if form.filtered and Y in found:
        gradient = found.pop(Y)
        if Y in outs:
            along = [g * h for g, h in zip(gradient, known[H], strict=True)]
            found[Y] = [_total(along[l * l : (l + 1) ** 2]) for l in range(form.degrees[1] + 1)]
        if H in outs:
            found[H] = [jnp.sum(known[Y][l] * g, -1, keepdims=True) for l, g in zip(degree, gradient, strict=True)]
    return found


def _by_terms(form, tables, features, targets):
    """z_k = Σ_i x_i Σ_j T_ijk y_j, and the like for x and y."""
    couplings, found = form.couplings, {}  # (x, y, z)
    for out in targets:
        a, b = (k for k in (X, Y, Z) if k != out)
        found[out] = [jnp.zeros_like(features[a][0] * features[b][0])] * couplings.shape[out]
        for k, matrix in enumerate(couplings.transpose(out, a, b)):
            rows = [
                x * _total([y * float(t) for y, t in zip(features[b], row, strict=True) if t])
                for x, row in zip(features[a], matrix, strict=True)
                if row.any()
            ]
            if rows:
                found[out][k] = _total(rows)
    return found


def _by_grid(form, tables, features, targets):
    """Values of all sectors of the given functions at the points, their products, and these projected."""
    sectors, terms = _sectors(form)

    @functools.cache
    def values(argument, sector):
        x = jnp.stack([features[argument][i] for i in sectors[argument, sector][0]])
        return _dot(tables[argument, sector, False], x.reshape(len(x), -1), form.precision)

    # For each result: the products of the other two, sector by sector, and back to coefficients
    found = {}
    for out in targets:
        a, b = (k for k in (X, Y, Z) if k != out)
        shape = features[a][0].shape
        found[out] = [jnp.zeros(shape, jnp.float32)] * (form.degrees[out] + 1) ** 2
        for sector in [sector for argument, sector in sectors if argument == out]:
            ways = [term for term in terms if term[out] == sector]
            product = _total([term[3] * (values(a, term[a]) * values(b, term[b])) for term in ways])
            z = _dot(tables[out, sector, True], product, form.precision).reshape(-1, *shape)
            for i, k in enumerate(sectors[out, sector][0]):
                found[out][k] = found[out][k] + z[i]
    return found


@functools.cache
def _sectors(form):
    """Sectors of x, y and z, and how they make T: Σ ± Σ_p x_a(p) y_b(p) z_c(p) over the terms (a, b, c, ±1).

    A sector (argument, a) has the indices of its coefficients and a table (points, coefficients). The sectors are even
    or odd under reflections, and of x and y in a bracket there are those of both components of the gradient.
    """
    degree, fields = sum(form.degrees), ("theta", "phi") if form.odd else ("value",)
    count = planner.kernel_reflections(degree)
    weights, sectors = reflections.orbits(degree, count)[1][:, None], {}
    for argument, l in enumerate(form.degrees):
        for k, field in enumerate(("value",) if argument == Z else fields):
            order, tables = reflections.tables(l, degree, count, field)
            ends = np.cumsum([table.shape[1] for table in tables])
            for a, (indices, table) in enumerate(zip(np.split(order, ends[:-1]), tables, strict=True)):
                if len(indices):
                    sector = k * len(tables) + a
                    sectors[argument, sector] = indices, table * weights if argument == Z else table
    n = len(tables)
    pairs = ((0, 1, 1), (1, 0, -1)) if form.odd else ((0, 0, 1),)
    ways = ((n * i + a, n * j + b, a ^ b, s) for (i, j, s), a, b in itertools.product(pairs, range(n), range(n)))
    return sectors, [way for way in ways if all((k, way[k]) in sectors for k in (X, Y, Z))]


def _total(terms):
    return functools.reduce(lambda a, b: a + b, terms)


def _dot(a, b, precision):
    """A matrix product in float32; "high" is three passes of bfloat16, which kernels do not offer."""
    dot = functools.partial(jnp.dot, preferred_element_type=jnp.float32)
    if precision != "high":
        return dot(a, b, precision=precision)
    (a, a_rest), (b, b_rest) = _halves(a), _halves(b)
    return dot(a, b) + (dot(a, b_rest) + dot(a_rest, b))


def _halves(a):
    high = a.astype(jnp.bfloat16)
    return high, (a - high.astype(jnp.float32)).astype(jnp.bfloat16)
