"""Articulated rigid chains: limbs of several rigid links, with exact labels and motions."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from equijax._validate import integer, positive

FLATNESS = 0.6  # of the ellipses that a link has across its axis


class Link(NamedTuple):
    """A rigid tube along its axis, of elliptic cross section, that may grow thinner or thicker."""

    length: float
    start: float
    """Larger semi-axis of the cross section at the joint to the link before."""
    end: float


CHAIN = (Link(1.0, 0.32, 0.24), Link(0.8, 0.14, 0.22), Link(0.9, 0.2, 0.08), Link(0.6, 0.1, 0.3))


class Articulated(NamedTuple):
    """Points on chains that move: samples B, frames T, points n, links k, in float64. Lengths as those of the links."""

    points: Float[np.ndarray, "B T n 3"]
    normals: Float[np.ndarray, "B T n 3"]
    """Of the surface, to the outside, of length 1."""
    labels: Int[np.ndarray, " n"]
    """The link that a point is on."""
    rotations: Float[np.ndarray, "B T k 3 3"]
    """Of each link: a point is R x + t, with x where it is `at_rest`."""
    translations: Float[np.ndarray, "B T k 3"]
    at_rest: Float[np.ndarray, "B n 3"]
    """Each point in coordinates of its link, with the joint at the origin and the axis along z."""


def articulated(
    count: int,
    *,
    points: int = 128,
    frames: int = 1,
    bend: tuple[float, float] = (0.0, 0.5),
    links: tuple[Link, ...] = CHAIN,
    seed: int = 0,
) -> Articulated:
    """Chains of rigid links that are bent at their joints, each turned at random as a whole.

    Every joint is bent by an angle drawn evenly from a range, about an axis across the link before it that is drawn
    evenly, too. With several frames a chain goes from one such pose to another, the rotation vectors of its joints at
    constant speed; the points stay where they are on their links. Links may run through each other.

    Args:
        count: B, how many samples: all are of the same links, with other points and poses.
        points: n. Each link has as many as its share of the length, of all angles and heights alike.
        frames: T.
        bend: The smallest and the largest angle of a joint, in radians.
        links: From the root on, two at least.
        seed: Of all random numbers.

    Raises:
        ValueError: If there are fewer than two links or a length is not positive, the angles are not in order, a count
            is not positive, or a link gets no points.

    Examples:
        >>> chains = articulated(5, points=40, frames=3)
        >>> chains.points.shape, np.bincount(chains.labels).tolist()
        ((5, 3, 40, 3), [12, 10, 11, 7])
    """
    count, frames = integer("count", count, 1), integer("frames", frames, 1)
    low, high = bend
    if not 0 <= low <= high <= np.pi:
        raise ValueError(f"bend: expected two angles in order, from 0 to π, got {bend}")
    if len(links) < 2:
        raise ValueError(f"links: expected two at least, got {len(links)}")
    for link in links:
        for size in link:
            positive("links", size)
    labels = _labels(integer("points", points, 1), links)
    rng = np.random.default_rng(seed)
    at_rest, normals = _on_links(rng, count, labels, links)

    # rotation vectors of the joints in a first and a last pose: across the link before, by an angle in the range
    along = rng.uniform(0, 2 * np.pi, (2, count, len(links) - 1, 1))
    across = np.concatenate([np.cos(along), np.sin(along), 0 * along], axis=-1)
    first, last = across * rng.uniform(low, high, along.shape)
    step = np.linspace(0, 1, frames)[:, None, None]
    joints = first[:, None] * (1 - step) + last[:, None] * step  # (B, T, k − 1, 3)
    turns = Rotation.from_rotvec(joints.reshape(-1, 3)).as_matrix().reshape(*joints.shape, 3)
    root = Rotation.from_quat(rng.normal(size=(count, 4))).as_matrix()[:, None].repeat(frames, axis=1)

    # from the root on: a link begins where the one before ends
    rotations, translations = [root], [np.zeros((count, frames, 3))]
    for k, link in enumerate(links[:-1]):
        translations.append(translations[k] + link.length * rotations[k][..., 2])
        rotations.append(rotations[k] @ turns[:, :, k])
    rotation, translation = np.stack(rotations, axis=2), np.stack(translations, axis=2)
    of_points = rotation[:, :, labels]  # (B, T, n, 3, 3)
    moved = np.einsum("btnij,bnj->btni", of_points, at_rest) + translation[:, :, labels]
    return Articulated(moved, np.einsum("btnij,bnj->btni", of_points, normals), labels, rotation, translation, at_rest)


def _labels(points, links):
    """The link of each point, in the order of the links, by their shares of the length."""
    ends = np.cumsum([link.length for link in links])
    labels = np.searchsorted(ends / ends[-1], (np.arange(points) + 0.5) / points)
    for k, number in enumerate(np.bincount(labels, minlength=len(links))):
        if number == 0:
            raise ValueError(f"points: expected enough for {len(links)} links, got {points}: link {k} has none")
    return labels


def _on_links(rng, count, labels, links):
    """Points and normals of tubes along z, (count, n, 3) each.

    The surface is (a r cos θ, b r sin θ, l s) with r linear in s; its normal is along (b l cos θ, a l sin θ, −a b r′).
    """
    length, start, end = (np.array(sizes)[labels] for sizes in zip(*links, strict=True))
    angle, height = rng.uniform(0, 2 * np.pi, (count, len(labels))), rng.random((count, len(labels)))
    radius, cosine, sine = start + (end - start) * height, np.cos(angle), np.sin(angle)
    points = np.stack([radius * cosine, FLATNESS * radius * sine, length * height], axis=-1)
    normals = np.stack([FLATNESS * length * cosine, length * sine, FLATNESS * (start - end) + 0 * angle], axis=-1)
    return points, normals / np.linalg.norm(normals, axis=-1, keepdims=True)
