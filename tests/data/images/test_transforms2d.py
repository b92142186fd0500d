"""Transforms-2D: exact actions on coordinates, two draws of the same objects, and each transformation by itself."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage

from equijax import data, groups
from equijax.data.images import distortions
from equijax.data.images.transforms2d import appearance, draw_prototype, geometric_element, grid


def test_objects_are_moved_exactly_by_the_affine_group(x64):
    """The object moved by g h is that moved by h, looked at from g⁻¹ p; and turns by 90° are those of the grid."""
    affine, prototype = groups.Affine(2), draw_prototype(jax.random.key(1))
    points = jnp.asarray(grid(8))
    g, h = (
        geometric_element({"translate": t, "rotate": a, "scale": s, "shear": k, "vertical_flip": f})
        for t, a, s, k, f in (
            (jnp.array([0.2, -0.1]), 0.7, 0.8, jnp.array([0.3, -0.2]), 1),
            (jnp.array([-0.3, 0.1]), 2.0, 0.5, jnp.array([-0.1, 0.6]), 0),
        )
    )
    inverse = affine.inverse(g)
    back = points @ inverse.linear.T + inverse.translation
    both = appearance(prototype, points, affine.compose(g, h))
    for one, other, swapped in zip(
        both,
        appearance(prototype, back, h),
        appearance(prototype, points, affine.compose(h, g)),
        strict=True,
    ):
        np.testing.assert_allclose(one, other, atol=1e-12)
        assert np.abs(swapped - other).max() > 0.1
    still, turned = (appearance(prototype, points, geometric_element({"rotate": a}))[0] for a in (0.0, np.pi / 2))
    np.testing.assert_allclose(turned, np.rot90(still), atol=1e-12)  # counterclockwise
    mirrored = appearance(prototype, points, geometric_element({"horizontal_flip": 1}))[0]
    np.testing.assert_allclose(mirrored, still[:, ::-1], atol=1e-12)
    np.testing.assert_allclose(jnp.linalg.det(g.linear), -0.64, atol=1e-12)  # shear and rotation have 1, the flip −1


def test_draws_differ_in_the_transformation_alone():
    plain, again = (data.transforms2d(40, [], classes=4, size=16, draw=d) for d in (0, 1))
    np.testing.assert_array_equal(plain.images, again.images)
    assert plain.images.dtype == np.float32
    assert 0 <= plain.images.min() <= plain.images.max() <= 1
    assert set(plain.labels) == {0, 1, 2, 3}
    one, other = (data.transforms2d(40, ["rotate"], classes=4, size=16, draw=d) for d in (0, 1))
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_allclose(one.images[:, 0, 0], plain.images[:, 0, 0], atol=1e-3)  # the background in a corner
    assert (np.abs(one.images - other.images).max(axis=(1, 2, 3)) > 0.1).mean() > 0.9  # but for angles that are close
    assert (one.parameters["rotate"] != other.parameters["rotate"]).all()
    fresh = data.transforms2d(40, [], classes=4, size=16, stream=1)
    assert (np.abs(fresh.images - plain.images).max(axis=(1, 2, 3)) > 0.1).all()
    # objects are known by their numbers: class 3 of a list is class 3 of a count
    listed = data.transforms2d(40, [], classes=[3], size=16)
    k = int(np.argmax(plain.labels == 3))
    np.testing.assert_allclose(listed.images[k], plain.images[k], atol=1e-6)


RGB = jnp.asarray(np.random.default_rng(0).uniform(0.35, 0.65, (16, 16, 3)), jnp.float32)


@jax.jit
def steps(key):
    """Each step by itself on one object, at some keys."""
    shown, keys = (RGB, jnp.ones((16, 16, 1))), jax.random.split(key, 12)
    return {
        name: jax.vmap(lambda k, name=name: distortions.distort(lambda points: shown, RGB[..., :2], {name: k}))(keys)
        for name in (*distortions.PHOTOMETRIC, *distortions.CORRUPTION)
    }


def test_each_transformation_does_what_its_name_says():
    found = {name: (rgb, alpha, p[name]) for name, (rgb, alpha, p) in steps(jax.random.key(0)).items()}
    for name, (rgb, alpha, done) in found.items():
        if name in ("hue", "brightness", "blur", "contrast"):
            assert len(set(np.asarray(done).tolist())) == 12
        else:  # every second one, and others stay as they are
            assert set(np.asarray(done).tolist()) == {0, 1}
            np.testing.assert_array_equal(rgb[done == 0], jnp.broadcast_to(RGB, rgb.shape)[done == 0])
        if name != "elastic":  # whose object here is the same everywhere
            assert np.abs(rgb[done != 0] - RGB).max() + np.abs(alpha[done != 0] - 1).max() > 0.05
    first = {name: (rgb[k := int(np.argmax(p != 0))], alpha[k], p[k]) for name, (rgb, alpha, p) in found.items()}
    np.testing.assert_allclose(first["hue"][0].mean(), RGB.mean(), atol=1e-3)  # but for what is clipped
    np.testing.assert_allclose(first["brightness"][0], np.clip(first["brightness"][2] * RGB, 0, 1), atol=1e-6)
    np.testing.assert_allclose(first["grayscale"][0], RGB.mean(-1, keepdims=True) * np.ones(3), atol=1e-6)
    assert set(np.unique(first["posterize"][0]).tolist()) == {0.0, 0.5}
    np.testing.assert_allclose(first["invert"][0], 1 - RGB, atol=1e-6)
    assert len(np.unique(first["pixelate"][0][..., 0])) == 5**2  # 30 % of 16 along each side
    assert (first["erase"][1] == 0).sum() == 7**2
    found, factor, mean = *first["contrast"][::2], RGB.mean()
    np.testing.assert_allclose(found, np.clip(mean + factor * (RGB - mean), 0, 1), atol=1e-5)
    inside, around = slice(4, -4), np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]]) / 13
    smooth = scipy.ndimage.convolve(np.asarray(RGB), around[..., None])
    np.testing.assert_allclose(
        first["sharpen"][0][inside, inside], np.clip(smooth + 7 * (RGB - smooth), 0, 1)[inside, inside], atol=1e-5
    )
    taps = np.exp(-0.5 * (np.arange(-3, 4) / first["blur"][2]) ** 2)
    blurred = scipy.ndimage.correlate1d(np.asarray(RGB), taps / taps.sum(), axis=0)
    blurred = scipy.ndimage.correlate1d(blurred, taps / taps.sum(), axis=1)
    np.testing.assert_allclose(first["blur"][0][inside, inside], blurred[inside, inside], atol=1e-5)
    assert 0.8 < (found_noise := np.abs(first["noise"][0] - RGB)).max() / 0.65 <= 1.0 + 1e-6  # of σ 1, clipped
    assert found_noise.mean() > 0.25


BAD = [
    (lambda: data.transforms2d(0), "count: expected an integer of at least 1"),
    (lambda: data.transforms2d(2, ["spin"]), "transforms: expected some of translate, .*, got 'spin'"),
    (lambda: data.transforms2d(2, ["hue", "hue"]), "transforms: expected each name once, got hue, hue"),
    (lambda: data.transforms2d(2, size=4), "size: expected an integer of at least 8"),
    (lambda: data.transforms2d(2, classes=[]), "classes: expected a number of classes or a list"),
    (lambda: data.transforms2d(2, classes=[-1]), "classes: expected a number of classes or a list"),
]


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message for _, message in BAD])
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
