"""Views of turned point sets behind a fixed nonlinear mixing: orbits of rotations without a renderer."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from equijax._validate import integer, positive

POINTS = 8
NUISANCE = 3
FEATURES = 64


class Orbits(NamedTuple):
    """Views of objects, and the rotation of each. View 0 of an object is as random as the others."""

    views: Float[np.ndarray, "objects views features"]
    """float32; what a network sees."""
    rotations: Float[np.ndarray, "objects views 3 3"]
    """float64; R of each view. From view a to view b: R_rel = R_aᵀ R_b, so that R_b = R_a R_rel."""
    classes: Int[np.ndarray, " objects"]
    instances: Int[np.ndarray, " objects"]
    """Of its class, counted from 0 over the training and the test objects together."""


class OrbitProjections(NamedTuple):
    """No object of the test is one of the training; the classes are the same."""

    train: Orbits
    test: Orbits


def orbit_projections(
    classes: int = 20,
    instances: int = 30,
    views: int = 24,
    *,
    held_out: int = 5,
    angle: float = np.pi / 2,
    spread: float = 0.15,
    nuisance: float = 1.0,
    noise: float = 0.02,
    seed: int | Sequence[int] = 0,
) -> OrbitProjections:
    """Views  x = tanh(1.2 W [(R P)₁₂, c]) + 0.02 ε  of labeled points P (8, 3) that are turned by random R.

    A class is 8 points P from N(0, 1); an instance adds N(0, `spread`²) to them; a view shows the first two coordinates
    of the turned points (16 numbers) and three more numbers c from N(0, `nuisance`²), through one W (64, 19) for all,
    with entries from N(0, 1/19). R = R_z(γ) R_y(β) R_x(α), turns about fixed axes, each angle uniform in ±`angle`.

    Args:
        classes: How many.
        instances: Of each class.
        views: Of each instance.
        held_out: Instances of each class, the last ones, that are the test.
        angle: In radians; π/2 is that of 3DIEBench.
        spread: Of the points of an instance about those of its class.
        nuisance: Standard deviation of what changes from view to view beside R.
        noise: Standard deviation of ε.
        seed: Of all that is random, W and the classes included; equal seeds give equal data.

    Raises:
        ValueError: If there are too few of something, all instances are held out, or a size is negative.

    References:
        After Garrido, Najman and LeCun 2023, arXiv:2302.10283 (3DIEBench: its angles, and its split by object).

    Examples:
        >>> train, test = orbit_projections(classes=3, instances=6, views=4)
        >>> train.views.shape, test.views.shape, test.instances.tolist()
        ((3, 4, 64), (15, 4, 64), [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 1, 2, 3, 4, 5])
    """
    classes, instances, views = (
        integer("classes", classes, 1),
        integer("instances", instances, 2),
        integer("views", views, 1),
    )
    held_out = integer("held_out", held_out)
    if held_out >= instances:
        raise ValueError(f"held_out: expected fewer than the {instances} instances of a class, got {held_out}")
    positive("angle", angle)
    for name, size in {"spread": spread, "nuisance": nuisance, "noise": noise}.items():
        if size < 0:
            raise ValueError(f"{name}: expected zero or more, got {size}")
    rng = np.random.default_rng(seed)
    mixing = 1.2 * rng.normal(size=(FEATURES, 2 * POINTS + NUISANCE)) / np.sqrt(2 * POINTS + NUISANCE)
    prototypes = rng.normal(size=(classes, 1, POINTS, 3))
    points = prototypes + spread * rng.normal(size=(classes, instances, POINTS, 3))
    angles = rng.uniform(-angle, angle, size=(classes, instances, views, 3))
    turns = Rotation.from_euler("xyz", angles.reshape(-1, 3)).as_matrix().reshape(*angles.shape, 3)
    flat = np.einsum("kivab,kipb->kivpa", turns[..., :2, :], points)  # (classes, instances, views, points, 2)
    seen = np.concatenate(
        [flat.reshape(*angles.shape[:3], 2 * POINTS), nuisance * rng.normal(size=(*angles.shape[:3], NUISANCE))],
        axis=-1,
    )
    images = np.tanh(seen @ mixing.T) + noise * rng.normal(size=(*angles.shape[:3], FEATURES))
    label, number = np.indices((classes, instances), np.int32)
    cut = instances - held_out

    def some(chosen):
        arrays = images.astype(np.float32), turns, label, number
        return Orbits(*(a[:, chosen].reshape(-1, *a.shape[2:]) for a in arrays))

    return OrbitProjections(some(slice(0, cut)), some(slice(cut, None)))
