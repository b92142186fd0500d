"""Crops of real pictures."""

import numpy as np

from equijax._validate import integer
from equijax.data.images.digits import Digits

PICTURES = (  # of scikit-image, part of its package
    *("astronaut", "brick", "cat", "coffee", "grass", "gravel"),
    *("hubble_deep_field", "immunohistochemistry", "page", "retina", "rocket", "text"),
)


def picture_crops(size: int = 32, train: int = 300, test: int = 100, seed: int = 0) -> Digits:
    """Square crops of twelve pictures that come with scikit-image: from which picture is a crop?

    Pictures are averaged over 2 × 2 pixels. Crops for the test come from the right-hand third of each picture, those to
    train on from the rest, with no pixel in common.

    Args:
        size: Pixels along each side of a crop.
        train: Crops of each picture to train on.
        test: Crops of each picture for the test.
        seed: Of the random places; equal seeds give equal crops.

    Returns:
        Images (n, size, size, 3), uint8, the pictures in turns, and labels 0 to 11.

    Raises:
        ImportError: If scikit-image is not installed.
        ValueError: If a crop does not fit into a third of the smallest picture, or there is none.

    Examples:
        >>> picture_crops(train=2, test=1).train.shape  # doctest: +SKIP
        (24, 32, 32, 3)
    """
    for name, count in (("size", size), ("train", train), ("test", test)):
        integer(name, count, 1)
    try:
        import skimage.data
    except ImportError as error:
        raise ImportError("the pictures come with scikit-image: pip install 'equijax[pictures]'") from error
    rng = np.random.default_rng(seed)
    found: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    for name in PICTURES:
        picture = _halved(getattr(skimage.data, name)())
        cut = 2 * picture.shape[1] // 3
        for into, part, count in zip(found, (picture[:, :cut], picture[:, cut:]), (train, test), strict=True):
            height, width = part.shape[0] - size, part.shape[1] - size
            if min(height, width) < 0:
                raise ValueError(f"size: expected at most {min(part.shape[:2])}, a third of {name}, got {size}")
            corners = zip(rng.integers(0, height + 1, count), rng.integers(0, width + 1, count), strict=True)
            into.append(np.stack([part[i : i + size, j : j + size] for i, j in corners]))
    # (pictures, count, ...) -> (count pictures, ...), the pictures in turns
    images = [np.stack(into, axis=1).reshape(-1, size, size, 3) for into in found]
    labels = [np.tile(np.arange(len(PICTURES), dtype=np.uint8), count) for count in (train, test)]
    return Digits(images[0], labels[0], images[1], labels[1])


def _halved(picture: np.ndarray) -> np.ndarray:
    """A picture in color, averaged over 2 × 2 pixels."""
    picture = np.repeat(picture[..., None], 3, axis=-1) if picture.ndim == 2 else picture[..., :3]
    h, w = picture.shape[0] // 2, picture.shape[1] // 2
    return picture[: 2 * h, : 2 * w].reshape(h, 2, w, 2, 3).mean(axis=(1, 3)).round().astype(np.uint8)
