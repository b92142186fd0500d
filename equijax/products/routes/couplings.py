"""Sums over the couplings that are not zero, written out, in loops over all rows and channels.

Features (..., coefficients, channels) of the same rank. No matrix product rounds here.
"""

import functools
import math
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from equijax import spherical
from equijax.numerics import one_pass
from equijax.products import planner
from equijax.products.form import Known, Out, add_up, rest
from equijax.products.trilinear import Trilinear
from equijax.products.weighted import W, Weighted, X, Y, Z


def contract(form: Trilinear, known: Known, outs: tuple[Out, ...]) -> list[Array]:
    """∂T/∂(out) for each of `outs`, of functions on the sphere."""
    return [
        _contract(*(known[k] for k in form.factors(out.argument)), form.turned(out.argument), out.shape) for out in outs
    ]


@functools.partial(jax.jit, static_argnums=(2, 3))  # traced once for derivatives that are the same program
def _contract(x, y, form, shape):
    return add_up(product(x, y, form.couplings), shape)


def contract_paths(form: Weighted, known: Known, outs: tuple[Out, ...]) -> list[Array]:
    """∂T/∂(out) for each of `outs`, of weighted paths."""
    table, found = form.couplings(), []
    for out in outs:
        if out.argument == W:
            z = path_sums(known[X], known[Y], known[Z], table, form.paths)
        else:
            axes = *(k for k in (X, Y, Z) if k != out.argument), out.argument
            turned = [tuple(way[k] for k in axes) for way in form.paths]
            z = weighted_product(known[axes[0]], known[axes[1]], known[W], table.transpose(axes), turned)
        found.append(add_up(z, out.shape))
    return found


def product(x: Array, y: Array, table: np.ndarray) -> Array:
    """z_k = Σ_ij t_ijk x_i y_j ."""
    xs, ys = _coefficients(x, y)
    orders = _orders(table)

    def terms(group):
        if _share_pairs(orders[2], group):
            return _terms_of_pairs(xs, ys, table[:, :, group])
        inner = {}
        return [_terms(xs, ys, table[:, :, k], orders, inner) for k in group]

    return _in_groups(terms, _by_order(orders[2], alone=True), xs[0])


def weighted_product(x: Array, y: Array, weights: Array, table: np.ndarray, paths: Sequence[tuple]) -> Array:
    """z_k = Σ_p w_p Σ_ij t_ijk x_i y_j, where i, j and k are of the degrees (a, b, c) of the path p."""
    xs, ys, ws = _coefficients(x, y, weights)
    orders = _orders(table)

    def terms(group):
        inner = {}
        return [
            [
                (1, w * _of_path(xs, ys, table, path, k, orders, inner))
                for w, path in zip(ws, paths, strict=True)
                if path[2] == math.isqrt(k)
            ]
            for k in group
        ]

    return _in_groups(terms, _by_order(orders[2]), xs[0])


def path_sums(x: Array, y: Array, z: Array, table: np.ndarray, paths: Sequence[tuple]) -> Array:
    """Σ_ijk t_ijk x_i y_j z_k for every path, where i, j and k are of its degrees."""
    xs, ys, zs = _coefficients(x, y, z)
    orders = _orders(table)

    def terms(group):
        inner = {}
        ends = [(paths[p], range(paths[p][2] ** 2, (paths[p][2] + 1) ** 2)) for p in group]
        return [[(1, zs[k] * _of_path(xs, ys, table, path, k, orders, inner)) for k in end] for path, end in ends]

    return _in_groups(terms, _batches(range(len(paths)), planner.MOST_RESULTS), xs[0])


def _in_groups(terms, groups, like):
    """The results by themselves, each a sum of terms, on one axis; those of a group are computed in one loop."""
    rows = {}
    for group in groups:
        sums = [[_sum(half, like) for half in one_pass.halves(found)] for found in terms(group)]
        rows |= dict(zip(group, one_pass.add(*zip(*sums, strict=True)), strict=True))
    return jnp.concatenate([like[..., :0, :], *(rows[k] for k in range(len(rows)))], axis=-2)


def _terms_of_pairs(xs, ys, table):
    """Σ_ij t_ijk x_i y_j as signs and terms for each k, as Σ_s c_sk (Σ_ij ± x_i y_j): pairs that all k take alike, but
    for a sign, are added up first.
    """
    sums = {}
    for i, j in zip(*np.nonzero(table.any(axis=2)), strict=True):
        couplings = table[i, j]
        sign = np.sign(couplings[np.flatnonzero(couplings)[0]])
        of_sum = sums.setdefault(tuple(np.round(sign * couplings, 9)), (sign * couplings, []))
        of_sum[1].append((sign, xs[i] * ys[j]))
    found = [(couplings, _sum(pairs, xs[0])) for couplings, pairs in sums.values()]
    return [[(1, float(c[k]) * s) for c, s in found if c[k]] for k in range(table.shape[2])]


def _terms(xs, ys, table, orders, inner):
    """Σ_ij t_ij x_i y_j as signs and terms, in the order Σ_i x_i (Σ_j t_ij y_j), or the other way round if y_j has the
    larger ‖m‖. `inner` keeps the inner sums: two results ±m have them in common, but for signs.
    """
    outer = {}
    for i, j in zip(*np.nonzero(table), strict=True):
        of_y = orders[0][i] >= orders[1][j]
        outer.setdefault((of_y, i) if of_y else (of_y, j), []).append(j if of_y else i)
    terms = []
    for (of_y, i), summed in outer.items():
        coefficients = table[i, summed] if of_y else table[summed, i]
        sign, values = np.sign(coefficients[0]), ys if of_y else xs
        scaled = {j: float(sign * c) for j, c in zip(summed, coefficients, strict=True)}
        key = (of_y, *((j, round(c, 9)) for j, c in scaled.items()))
        if key not in inner:
            inner[key] = functools.reduce(operator.add, [c * values[j] for j, c in scaled.items()])
        terms.append((sign, (xs if of_y else ys)[i] * inner[key]))
    return terms


def _sum(terms, like):
    if not terms:
        return jnp.zeros_like(like)
    (sign, total), *others = terms
    total = total if sign > 0 else -total
    for sign, term in others:
        total = total + term if sign > 0 else total - term
    return total


def _by_order(orders, alone=False):
    """Coefficients in groups by ‖m‖; ±m of a degree are not parted. `alone`: orders that share pairs are groups."""
    groups = [[]]
    for m in range(max(orders) + 1):
        of_order = np.flatnonzero(orders == m).tolist()
        if alone and _share_pairs(orders, of_order):
            groups += [of_order, []]
            continue
        for pair in _batches(of_order, 1 if m == 0 else 2):
            if len(groups[-1]) + len(pair) > planner.MOST_RESULTS:
                groups.append([])
            groups[-1] += pair
    return [group for group in groups if group]


def _share_pairs(orders, group):
    """Whether it is of so many degrees of one order that every product x_i y_j serves more than one of them."""
    return len(set(orders[group])) == 1 and len({math.isqrt(k) for k in group}) >= planner.SHARED_FROM


def _batches(items, size):
    return [items[i : i + size] for i in range(0, len(items), size)]


def _of_path(xs, ys, table, path, k, orders, inner):
    """Σ_ij t_ijk x_i y_j where i and j are of the degrees of a path."""
    block, at = np.zeros_like(table[:, :, k]), tuple(slice(l * l, (l + 1) ** 2) for l in path[:2])
    block[at] = table[:, :, k][at]
    return _sum(_terms(xs, ys, block, orders, inner), xs[0])


def _coefficients(*features):
    """Every coefficient of the features by itself, (..., 1, channels), all of the same shape."""
    *rows, channels = jnp.broadcast_shapes(*map(rest, features))
    full = (jnp.broadcast_to(a, (*rows, a.shape[-2], channels)) for a in features)
    return [jax.lax.split(a, (1,) * a.shape[-2], axis=len(rows)) for a in full]


def _orders(table):
    """‖m‖ of the coefficients of each axis."""
    degrees = [spherical.degree_of_coefficient(math.isqrt(n) - 1) for n in table.shape]
    return [np.abs(np.arange(len(l)) - l * (l + 1)) for l in degrees]
