"""Solids of a workshop, extruded and turned, with points evenly on their surfaces and the normals there."""

import itertools
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from equijax import _validate


class Solids(NamedTuple):
    """Points on the surfaces of solids."""

    points: Float[np.ndarray, "count n 3"]
    """float32; the middle of the box around a solid is at 0, and its farthest point of all that it has at 1."""
    normals: Float[np.ndarray, "count n 3"]
    """Unit vectors that point out of the solid."""
    labels: Int[np.ndarray, " count"]
    """Which of `SOLIDS` it is."""


def solids(count: int, n: int = 256, *, seed: int = 0, noise: int | float = 0.0) -> Solids:
    """Solids with axis z, each kind equally often, of random proportions and in random order.

    Points are independent and evenly distributed by area, on flat faces and on exact circles and arcs.

    Args:
        count: How many.
        n: Points of each.
        seed: Of all that is random.
        noise: Standard deviation of what is added to each coordinate of the points.

    Raises:
        ValueError: If a number is not positive, or the noise is negative.

    Examples:
        >>> found = solids(12, 100)
        >>> found.points.shape, sorted(set(found.labels.tolist())) == list(range(len(SOLIDS)))
        ((12, 100, 3), True)
    """
    _validate.integer("count", count, 1)
    _validate.integer("n", n, 1)
    if noise < 0:
        raise ValueError(f"noise: expected zero or more, got {noise}")
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(count) % len(SOLIDS))
    drawn = [_sample(rng, SOLIDS[list(SOLIDS)[k]](rng.uniform), n) for k in labels]
    points, normals = (np.stack(a).astype(np.float32) for a in zip(*drawn, strict=True))
    points += noise * rng.normal(size=points.shape).astype(np.float32)
    return Solids(points, normals, labels.astype(np.int32))


class Extrusion(NamedTuple):
    """A polygon in the plane, counterclockwise, made of convex pieces, from z = −height/2 to height/2."""

    height: float
    outline: np.ndarray
    pieces: list[np.ndarray]


class Revolution(NamedTuple):
    """What segments and arcs of the plane (radius, z) sweep about the z axis, with the solid to the left of them.

    A segment is (begin, end); an arc (center, radius, from, to) in radians, counterclockwise.
    """

    segments: list[tuple]
    arcs: list[tuple]


def _polygon(*corners):
    a = np.array(corners, float)
    return a, [a]


def _regular(k, radius):
    angle = 2 * np.pi * np.arange(k) / k
    return _polygon(*(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)))


def _rectangle(x, y, width, depth):
    return np.array([(x, y), (x + width, y), (x + width, y + depth), (x, y + depth)], float)


def _angle(a, b, t):
    """An L of legs a and b, t thick."""
    outline = np.array([(0, 0), (a, 0), (a, t), (t, t), (t, b), (0, b)], float)
    return outline, [_rectangle(0, 0, a, t), _rectangle(0, t, t, b - t)]


def _tee(a, b, t):
    """A T of a flange a wide and a web b high, t thick."""
    w = t / 2
    outline = np.array([(-w, 0), (w, 0), (w, b), (a / 2, b), (a / 2, b + t), (-a / 2, b + t), (-a / 2, b), (-w, b)])
    return outline, [_rectangle(-w, 0, t, b), _rectangle(-a / 2, b, a, t)]


def _channel(a, b, t):
    """A U of a base a wide and sides b high, t thick."""
    outline = np.array([(0, 0), (a, 0), (a, b), (a - t, b), (a - t, t), (t, t), (t, b), (0, b)], float)
    return outline, [_rectangle(0, 0, a, t), _rectangle(0, t, t, b - t), _rectangle(a - t, t, t, b - t)]


def _turned(*corners):
    """The solid of revolution whose outline in (radius, z) has these corners, from the axis or closed."""
    return Revolution(list(itertools.pairwise(corners)), [])


SOLIDS = {
    "box": lambda u: Extrusion(u(0.6, 1.8), *_polygon((0, 0), (a := u(0.6, 1.4), 0), (a, 1), (0, 1))),
    "wedge": lambda u: Extrusion(u(0.6, 1.8), *_polygon((0, 0), (u(0.8, 1.4), 0), (u(0.0, 0.5), 1))),
    "hexagonal bar": lambda u: Extrusion(u(0.6, 1.8), *_regular(6, 0.6)),
    "angle": lambda u: Extrusion(u(0.6, 1.8), *_angle(u(0.8, 1.3), u(0.8, 1.3), u(0.2, 0.4))),
    "tee": lambda u: Extrusion(u(0.6, 1.8), *_tee(u(0.9, 1.3), u(0.6, 1.0), u(0.2, 0.35))),
    "channel": lambda u: Extrusion(u(0.6, 1.8), *_channel(u(0.9, 1.3), u(0.7, 1.2), u(0.2, 0.3))),
    "cylinder": lambda u: _turned((0, 0), (0.6, 0), (0.6, h := u(0.6, 1.8)), (0, h)),
    "cone": lambda u: _turned((0, 0), (u(0.5, 0.8), 0), (0, u(0.8, 1.6))),
    "frustum": lambda u: _turned((0, 0), (0.7, 0), (u(0.25, 0.5), h := u(0.6, 1.6)), (0, h)),
    "tube": lambda u: _turned((r := u(0.3, 0.5), 0), (0.7, 0), (0.7, h := u(0.4, 1.8)), (r, h), (r, 0)),
    "capsule": lambda u: Revolution(
        [((0.5, 0), (0.5, h := u(0.2, 1.2)))], [((0, 0), 0.5, -np.pi / 2, 0), ((0, h), 0.5, 0, np.pi / 2)]
    ),
    "ring": lambda u: Revolution([], [((0.7, 0), u(0.15, 0.4), 0, 2 * np.pi)]),
}
"""A function of `uniform(low, high)` for each kind, in the order of the labels: an `Extrusion` or a `Revolution`."""


def _sample(rng, solid, n):
    """n points and normals, evenly by area, in the box of the solid moved and scaled as `Solids` says."""
    if isinstance(solid, Extrusion):
        points, normals = _on_extrusion(rng, solid, n)
        low, high = solid.outline.min(0), solid.outline.max(0)
        middle = [*(low + high) / 2, 0.0]
        corners = np.concatenate([solid.outline, np.full((len(solid.outline), 1), solid.height / 2)], axis=1)
    else:
        points, normals = _on_revolution(rng, solid, n)
        ends = [p for segment in solid.segments for p in segment]
        turns = np.linspace(0, 1, 65)
        for (r, z), radius, begin, end in solid.arcs:
            angle = begin + (end - begin) * turns
            ends += list(zip(r + radius * np.cos(angle), z + radius * np.sin(angle), strict=True))
        profile = np.array(ends)
        middle = [0.0, 0.0, (profile[:, 1].min() + profile[:, 1].max()) / 2]
        corners = np.stack([profile[:, 0], 0 * profile[:, 0], profile[:, 1]], axis=1)
    size = np.linalg.norm(corners - middle, axis=1).max()
    return (points - middle) / size, normals


def _on_extrusion(rng, solid, n):
    """Points of sides (an edge of the outline times the height) and of the two caps (triangles of the pieces)."""
    begin, end = solid.outline, np.roll(solid.outline, -1, axis=0)
    along = end - begin
    lengths = np.linalg.norm(along, axis=1)
    triangles = np.array([(p[0], p[k], p[k + 1]) for p in solid.pieces for k in range(1, len(p) - 1)])
    u, v = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    cap = np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]) / 2
    areas = np.concatenate([lengths * solid.height, cap, cap])
    face = rng.choice(len(areas), n, p=areas / areas.sum())
    s, t, z = rng.uniform(size=(3, n))

    side = np.minimum(face, len(lengths) - 1)
    outward = np.stack([along[:, 1], -along[:, 0], 0 * lengths], axis=1) / lengths[:, None]
    on_side = np.concatenate([begin[side] + s[:, None] * along[side], (z[:, None] - 0.5) * solid.height], axis=1)

    flat = (face - len(lengths)) % len(cap)
    s, t = np.where(s + t > 1, 1 - s, s), np.where(s + t > 1, 1 - t, t)  # the triangle's half of the parallelogram
    plane = triangles[flat, 0] + s[:, None] * u[flat] + t[:, None] * v[flat]
    up = np.where(face < len(lengths) + len(cap), 1.0, -1.0)[:, None]
    on_cap = np.concatenate([plane, up * solid.height / 2], axis=1)

    is_side = (face < len(lengths))[:, None]
    return np.where(is_side, on_side, on_cap), np.where(is_side, outward[side], up * np.array([0.0, 0.0, 1.0]))


def _on_revolution(rng, solid, n):
    """Points of swept segments, r dr-weighted along each, and of swept arcs, by rejection."""
    pieces, areas = [], []
    for a, b in solid.segments:
        a, b = np.array(a, float), np.array(b, float)
        length = np.linalg.norm(b - a)
        pieces.append((a, b))
        areas.append(np.pi * (a[0] + b[0]) * length)
    for center, radius, begin, end in solid.arcs:
        pieces.append((center, radius, begin, end))
        # the integral of 2π (r + ρ cos θ) ρ dθ
        swept = center[0] * (end - begin) + radius * (np.sin(end) - np.sin(begin))
        areas.append(2 * np.pi * radius * swept)
    chosen = rng.choice(len(areas), n, p=np.array(areas) / sum(areas))
    profile, slope = np.zeros((n, 2)), np.zeros((n, 2))
    for k, piece in enumerate(pieces):
        rows = np.flatnonzero(chosen == k)
        if len(piece) == 2:
            a, b = piece
            u = rng.uniform(size=len(rows))
            # r is a + t (b − a): the share of the area up to t is (a t + (b − a) t²/2) / ((a + b)/2)
            step = b[0] - a[0]
            root = np.sqrt(a[0] ** 2 + u * step * (a[0] + b[0]))
            t = u if abs(step) < 1e-12 else (root - a[0]) / step
            profile[rows] = a + t[:, None] * (b - a)
            slope[rows] = np.array([b[1] - a[1], a[0] - b[0]]) / np.linalg.norm(b - a)
        else:
            (r, z), radius, begin, end = piece
            angle = np.zeros(0)
            while len(angle) < len(rows):
                tried = rng.uniform(begin, end, 4 * n)
                angle = np.concatenate(
                    [angle, tried[rng.uniform(size=4 * n) * (r + radius) < r + radius * np.cos(tried)]]
                )
            slope[rows] = np.stack([np.cos(angle), np.sin(angle)], axis=1)[: len(rows)]
            profile[rows] = (r, z) + radius * slope[rows]
    turn = rng.uniform(0, 2 * np.pi, n)
    about = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    points = np.concatenate([profile[:, :1] * about, profile[:, 1:]], axis=1)
    return points, np.concatenate([slope[:, :1] * about, slope[:, 1:]], axis=1)
