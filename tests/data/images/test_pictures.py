"""Crops of pictures: which pixels they come from, seeds, labels; and of the real ones, where scikit-image is."""

import sys
import types

import numpy as np
import pytest

from equijax import data
from equijax.data.images.pictures import PICTURES


def ramp(k):
    """A gray or colored picture of 80 × 240 pixels whose columns are numbered in pairs, from 0 to 119."""
    picture = np.broadcast_to(np.repeat(np.arange(120, dtype=np.uint8), 2), (80, 240))
    return picture if k % 2 else np.stack([picture, picture, picture, 0 * picture], axis=-1)


@pytest.fixture
def pictures(monkeypatch):
    """In place of those of scikit-image."""
    fake = types.ModuleType("skimage.data")
    for k, name in enumerate(PICTURES):
        setattr(fake, name, lambda k=k: ramp(k))
    package = types.ModuleType("skimage")
    package.data = fake
    monkeypatch.setitem(sys.modules, "skimage", package)
    monkeypatch.setitem(sys.modules, "skimage.data", fake)


@pytest.mark.core
def test_crops_to_train_on_and_for_the_test_have_no_pixel_in_common(pictures):
    found = data.picture_crops(size=16, train=20, test=10)
    assert (found.train.shape, found.test.shape) == ((240, 16, 16, 3), (120, 16, 16, 3))
    assert found.train.dtype == found.test.dtype == np.uint8
    np.testing.assert_array_equal(found.train_labels[:13], [*range(12), 0])
    assert found.train.max() < 80 <= found.test.min()
    np.testing.assert_array_equal(np.diff(found.test.astype(int), axis=2), 1)  # neighbors are neighbors
    again, other = data.picture_crops(16, 20, 10), data.picture_crops(16, 20, 10, seed=1)
    np.testing.assert_array_equal(again.train, found.train)
    assert not np.array_equal(other.train, found.train)


def test_crops_that_do_not_fit_are_named(pictures):
    with pytest.raises(ValueError, match="size: expected at most 40, a third of astronaut, got 41"):
        data.picture_crops(size=41)
    with pytest.raises(ValueError, match="test: expected an integer of at least 1"):
        data.picture_crops(test=0)


def test_without_scikit_image_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(ImportError, match=r"scikit-image: pip install 'equijax\[pictures\]'"):
        data.picture_crops()


def test_real_pictures_are_all_different():
    pytest.importorskip("skimage.data")
    found = data.picture_crops(train=2, test=1)
    means = found.train.reshape(2, 12, -1).mean(axis=(0, 2))
    assert len(np.unique(means.round(3))) == 12
