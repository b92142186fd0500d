"""Does a correlation on a group become equivariant as its nodes grow in number, and does that need the Haar weights?

For each group a correlation y(g) = ∫ F(g̃) k(g⁻¹ g̃) dμ(g̃) of a smooth feature F with a smooth kernel k, both of them
functions of the chart, over the nodes of `groups`. The error is that of y[L_h F](η) against y[F](h⁻¹ η), relative, over
a few outputs η: zero for the integral, and for nodes what they have not integrated. On SE(2) the nodes are those of the
angle, beside a fine grid in the plane, and an image is lifted first; elsewhere they stand for all coordinates.

"ours" are quasi-random nodes (equispaced angles on SE(2)) with left Haar weights, "random" independent ones with the
same weights, and "unweighted" ours with the Lebesgue measure of the chart in place of Haar's.
"""

import argparse
import functools
import math
import time

import jax
import jax.numpy as jnp
import numpy as np

from equijax import groups
from harness import add_arguments, append, environment, set_platform

RULES = ("ours", "random", "unweighted")
DRAWS = 4  # of the nodes, moved at random


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    args = parser.parse_args()
    set_platform(args)
    with jax.enable_x64(True):
        for name, (measure, counts) in list(CASES.items())[: 2 if args.small else None]:
            for rule in RULES:
                if name == "SE(2)" and rule == "unweighted":
                    continue
                begin, taken = time.perf_counter(), counts[:2] if args.small else counts
                errors = [measure(rule, taken, jax.random.key(draw)) for draw in range(2 if args.small else DRAWS)]
                seconds = (time.perf_counter() - begin) / len(taken)
                for n, found in zip(taken, np.asarray(errors).T, strict=True):
                    result = {
                        "benchmark": "lie_convergence",
                        "group": name,
                        "rule": rule,
                        "nodes": n,
                        "error": math.exp(np.mean(np.log(found))),
                        "largest": max(found),
                        "seconds": seconds,
                        **environment(),
                    }
                    print(f"{name:6} {rule:10} {n:7} nodes: error {result['error']:.1e}, at most {max(found):.1e}")
                    append(args.json, result)


def relative(found, exact):
    return jnp.linalg.norm(found - exact, axis=0) / jnp.linalg.norm(exact, axis=0)


# ----------------------------------------------------------------------------------- SE(2): lifting, then correlation


def se2(rule, counts, key):
    return [se2_error(rule, n, key) for n in counts]


@functools.partial(jax.jit, static_argnums=(0, 1))
def se2_error(rule, n, key):
    """Of an image, lifted to SE(2) and correlated; nodes for the angle, fine grids in the plane."""
    rng = np.random.default_rng(0)
    centers, amplitudes = rng.normal(size=(4, 2)) * 0.5, rng.normal(size=4)
    widths = rng.uniform(0.25, 0.4, 4)
    outputs = groups.AffineElement(rng.normal(size=(4, 2)) * 0.4, groups.SO(2).exp(rng.uniform(0, 2 * np.pi, (4, 1))))
    turn = groups.SO(2).exp(jnp.array([0.37]))
    so2 = groups.SO(2)
    rotations, weights = so2.nodes(n, key, method="random" if rule == "random" else "auto")

    def plane(width, points):
        line = np.linspace(-width, width, points)
        w = np.full(points, line[1] - line[0])
        w[[0, -1]] /= 2
        return np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(-1, 2), np.outer(w, w).ravel()

    pixels, areas = plane(4.0, 61)
    places, cells = plane(2.5, 21)

    def image(turned):
        at = pixels @ turned  # f(h⁻¹ y) for the turned image
        return jnp.exp(-jnp.sum((at[:, None] - centers) ** 2, -1) / (2 * widths**2)) @ amplitudes

    def lift(f):
        def one(rotation, t):
            x = (pixels - t) @ rotation
            k = (x[:, 0] + 0.5 * x[:, 1] ** 2 - 0.3 * x[:, 0] * x[:, 1]) * jnp.exp(-jnp.sum(x**2, -1) / (2 * 0.5**2))
            return jnp.tanh(areas @ (f * k))

        return jax.lax.map(lambda r: jax.vmap(lambda t: one(r, t))(places), rotations)

    def correlate(features, g):
        x = (places - g.translation) @ g.linear
        spatial = (1 + 0.7 * x[:, 0] - 0.4 * x[:, 0] * x[:, 1]) * jnp.exp(-jnp.sum(x**2, -1) / (2 * 0.8**2))
        angle = so2.log(so2.compose(so2.inverse(g.linear), rotations))[:, 0]
        return 2 * jnp.pi * weights * jnp.exp(1.5 * (jnp.cos(angle - 0.4) - 1)) @ (features @ (cells * spatial))

    there, here = lift(image(turn)), lift(image(jnp.eye(2)))
    back = groups.SE(2).compose(groups.AffineElement(jnp.zeros(2), turn.T), outputs)
    return relative(jax.vmap(lambda g: correlate(there, g))(outputs), jax.vmap(lambda g: correlate(here, g))(back))


# --------------------------------------------------------------------------------------------- groups with a chart


def bump(group, g, spread, center, turn):
    """exp(−‖a − c‖² / 2 spread² + ½ (tr Rᵀ C − n)) of the chart (a, log R), with a and R; smooth everywhere."""
    coordinates, rotations = group.coords(g), rotations_of(group)
    a, r = coordinates[..., : -rotations.dim], rotations.exp(coordinates[..., -rotations.dim :])
    angle = (jnp.sum(r * turn, axis=(-2, -1)) - rotations.n) / 2
    return jnp.exp(angle - jnp.sum((a - center) ** 2, -1) / (2 * spread**2)), a, r


def rotations_of(group):
    """The rotations at the end of the chart."""
    return groups.SO((group.linear if isinstance(group, groups.Semidirect) else group).size)


def chart_errors(group, rule, counts, key):
    """For each number of nodes: the first so many of one sequence, which both kinds of points allow."""
    elements, weights = group.nodes(counts[-1], key, method="random" if rule == "random" else "quasi")
    if rule == "unweighted":
        weights = weights / jax.jit(lambda g: jnp.exp(group.log_haar_coords(group.coords(g))))(elements)
    return errors_of_prefixes(group, counts, elements, weights)


@functools.partial(jax.jit, static_argnums=(0, 1))
def errors_of_prefixes(group, counts, elements, weights):
    rng, rotations = np.random.default_rng(0), rotations_of(group)
    free = group.dim - rotations.dim
    size = np.repeat([0.2, 1.0], [free, rotations.dim])
    outputs = group.from_coords(jnp.asarray(rng.normal(size=(6, group.dim)) * size))
    h = group.from_coords(jnp.asarray(np.repeat([0.2, 0.7], [free, rotations.dim]) * rng.choice([-1, 1], group.dim)))
    center, slope = 0.1 * rng.choice([-1, 1], free), 0.5 * rng.normal(size=free)
    turn = rotations.exp(jnp.full(rotations.dim, 0.3))

    def kernel(g):
        value, a, r = bump(group, g, 0.35, 0.0, jnp.eye(rotations.n))
        return (1 + a @ slope + 0.5 * r[..., 1, 0]) * value

    def correlate(shift, outputs):
        feature, *_ = bump(group, group.compose(group.inverse(shift), elements), 0.3, center, turn)
        terms = jax.lax.map(lambda g: weights * feature * kernel(group.compose(group.inverse(g), elements)), outputs)
        return jnp.cumsum(terms, axis=1)[:, np.array(counts) - 1]

    exact = correlate(group.identity(), group.compose(group.inverse(h), outputs))
    return relative(correlate(h, outputs), exact)


PLANE, SPACE = groups.Translation(2, window=1.2), groups.Translation(3, window=1.4)
COUNTS = (100, 300, 1000, 3000, 10_000)
CASES = {  # how to measure, numbers of nodes
    "SE(2)": (se2, (2, 4, 8, 16, 32)),
    "SL(2)": (functools.partial(chart_errors, groups.SL(2, window=0.45)), (10, 32, *COUNTS)),
    "Aff(2)": (
        functools.partial(chart_errors, groups.Semidirect(PLANE, groups.Scaled(groups.SL(2, window=0.45)))),
        COUNTS,
    ),
    "SE(3)": (functools.partial(chart_errors, groups.Semidirect(SPACE, groups.SO(3))), COUNTS),
}


if __name__ == "__main__":
    main()
