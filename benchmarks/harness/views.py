"""Data sets of objects in several views, with the rotation of each view, split by object."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np

from equijax import data


class Views(NamedTuple):
    """Views (objects, views, ...), rotations (objects, views, d, d), classes (objects,)."""

    views: np.ndarray
    rotations: np.ndarray
    classes: np.ndarray


class Split(NamedTuple):
    """Objects to train on; others; and those others turned further than any view in training."""

    train: Views
    test: Views
    outside: Views


def orbits(seed, small, validation):
    """`data.orbit_projections`: vectors; three angles up to ±90 degrees, outside up to ±180."""
    sizes = {"classes": 4, "instances": 8, "views": 8, "held_out": 2} if small else {}
    inside, outside = (data.orbit_projections(**sizes, angle=angle, seed=seed) for angle in (np.pi / 2, np.pi))

    def taken(part, chosen=slice(None)):
        return Views(part.views[chosen], part.rotations[chosen], part.classes[chosen])

    if validation:
        last = inside.train.instances >= inside.train.instances.max() - (0 if small else 3)
        return Split(taken(inside.train, ~last), taken(inside.train, last), taken(outside.train, last))
    return Split(taken(inside.train), taken(inside.test), taken(outside.test))


def digits(seed, small, validation):
    """scikit-learn's digits, 8 x 8, turned in the plane by angles up to ±90 degrees, outside up to ±180."""
    from scipy.ndimage import affine_transform
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))[: 60 if small else None]
    cut, views = 2 * len(order) // 3, 8 if small else 12
    train, test = order[:cut], order[cut:]
    if validation:
        train, test = train[: 3 * cut // 4], train[3 * cut // 4 :]

    def turned(chosen, most):
        angles = rng.uniform(-most, most, (len(chosen), views))
        c, s = np.cos(angles), np.sin(angles)
        r = np.stack([np.stack([c, -s], -1), np.stack([s, c], -1)], -2)
        padded = np.pad(images[chosen].reshape(-1, 8, 8) / 16, ((0, 0), (1, 1), (1, 1)))
        center = np.full(2, 4.5)
        x = np.array(
            [
                [affine_transform(image, m.T, center - m.T @ center, order=1) for m in rows]
                for image, rows in zip(padded, r, strict=True)
            ]
        )
        return Views(x.astype(np.float32), r, labels[chosen])

    return Split(turned(train, np.pi / 2), turned(test, np.pi / 2), turned(test, np.pi))


def mini3d(seed, small, validation):
    """`data.mini3d`: images of scenes; three angles up to ±90 degrees, outside from there to ±180."""
    sizes = {"classes": 2, "instances": 4, "views": 4, "held_out": 1, "size": 16} if small else {}

    def rendered(unusual):
        kept = Path(tempfile.gettempdir()) / f"equijax_mini3d_{seed}_{unusual}_{small}.npz"
        return data.mini3d(**sizes, unusual=unusual, seed=seed, cache=kept)

    inside, outside = rendered(False), rendered(True)

    def taken(part, chosen=slice(None)):
        return Views(part.images[chosen].astype(np.float32) / 255, part.rotations[chosen], part.classes[chosen])

    if validation:
        last = inside.train.instances >= inside.train.instances.max() - (0 if small else 7)
        return Split(taken(inside.train, ~last), taken(inside.train, last), taken(outside.train, last))
    return Split(taken(inside.train), taken(inside.test), taken(outside.test))


SETS = {"orbits": orbits, "digits": digits, "mini3d": mini3d}
