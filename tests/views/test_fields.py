"""Random fields: known variance, spectrum and roughness; local augmentation between the identity and global maps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups, reps, views
from equijax.views.fields import amplitude, filter_noise


def roughness(field):
    """Root mean square of the difference to the next pixel along one axis."""
    return float(jnp.sqrt(jnp.mean((field - jnp.roll(field, 1, axis=-1)) ** 2)))


def test_fields_have_unit_variance_zero_mean_and_the_slope_of_the_spectrum(x64):
    phi = views.gaussian_field(jax.random.key(0), (4000, 18, 15), exponent=4.0)
    assert phi.dtype == np.float64
    assert abs(phi.var() - 1) < 0.02
    assert np.abs(phi.mean(axis=(1, 2))).max() < 1e-12
    for shape in (
        (6, 4),
        (5, 7),
    ):  # exactly: the variance of a pixel is the sum of squares of the response to one pixel
        response = filter_noise(jnp.zeros(shape).at[2, 1].set(1.0), amplitude(*shape, 1.0))
        assert abs((response**2).sum() - 1) < 1e-12
    # each wave, whose expected power is A²: −γ on logarithmic axes, and nothing at 0
    n = jnp.asarray(np.random.default_rng(0).normal(size=(64, 64)))
    k = np.hypot(np.fft.fftfreq(64)[:, None], np.fft.rfftfreq(64)) * 64
    passed = np.abs(np.fft.rfft2(filter_noise(n, amplitude(64, 64, 4.0)))[k > 0] / np.fft.rfft2(n)[k > 0]) ** 2
    slope = np.polyfit(np.log(k[k > 0]), np.log(passed), 1)[0]
    assert abs(slope + 4) < 1e-9  # γ/2 in the place of γ gives −2
    smooth = views.gaussian_field(jax.random.key(1), (2000, 16, 16), length=2.0)
    assert abs(smooth.var() - 1) < 0.05
    cut = views.gaussian_field(jax.random.key(1), (200, 16, 16), exponent=0.0, most=2.0)
    assert np.abs(np.fft.rfft2(cut)[:, 0, 3:]).max() < 1e-10


def test_the_larger_the_exponent_the_smoother_down_to_the_longest_wave(x64):
    """Forward differences at 64²: exact by the sum over waves, and close for draws; the limit is √2 sin(π/64)."""
    keys, omega, found = jax.random.key(0), 2 * np.sin(np.pi * np.fft.rfftfreq(64)), []
    weights = views.wave_weights(64)
    for exponent, published in ((2, 0.740), (4, 0.136), (6, 0.080), (8, 0.073), (20, 0.071)):
        a = weights * amplitude(64, 64, float(exponent)) ** 2
        exact = np.sqrt((a * omega**2).sum() / a.sum())
        found.append(exact)
        assert abs(exact / published - 1) < 0.03
        draws = views.gaussian_field(keys, (60, 64, 64), exponent=float(exponent))
        assert abs(roughness(draws) / exact - 1) < 0.12
    assert abs(found[-1] / (2**0.5 * np.sin(np.pi / 64)) - 1) < 1e-3
    assert sorted(found, reverse=True) == found


def test_the_field_moves_with_its_noise(x64):
    n = jnp.asarray(np.random.default_rng(0).normal(size=(12, 12)))

    def phi(n):
        return filter_noise(n, amplitude(12, 12, 3.0))

    moves = {
        "roll": lambda a: jnp.roll(a, (3, 5), axis=(0, 1)),
        "transpose": jnp.transpose,
        "flip": lambda a: a[:, ::-1],
        "turn": jnp.rot90,
    }
    for move in moves.values():
        np.testing.assert_allclose(phi(move(n)), move(phi(n)), atol=1e-13)
    stretched = amplitude(12, 12, 3.0) * (1 + np.arange(7))  # other powers along the two axes
    assert np.abs(filter_noise(n.T, stretched) - filter_noise(n, stretched).T).max() > 0.1


@pytest.fixture
def picture():
    return jnp.asarray(np.random.default_rng(0).uniform(size=(10, 14, 3)))


random_field = jax.jit(views.random_field)


def test_zero_fields_give_the_image_and_constant_ones_a_map_of_the_plane(x64, picture):
    key = jax.random.key(0)
    still, parameters = random_field(key, picture, strength=0.0)
    np.testing.assert_array_equal(still, picture)
    assert all(np.shape(p) == (10, 14) for p in parameters)
    # a linear image: its values at A p + t are known, and interpolation is exact
    y, x = np.indices((21, 31)) - np.array([10, 15])[:, None, None]
    y = -y
    plane = jnp.asarray((0.3 * x + 0.5 * y)[..., None])
    given = views.LocalParameters(turn=0.4, log_scale=-0.5, shear=0.2, right=1 / 31, up=-2 / 21)
    turn = np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    a = np.exp(-0.5) * turn @ [[1, 0.2], [0, 1]]
    expected = np.array([0.3, 0.5]) @ (a @ np.stack([x.ravel(), y.ravel()]) + [[1], [-2]])
    full = jax.tree.map(lambda p: jnp.full((21, 31), p), given)  # the same as fields
    for same in (given, full):
        inner = views.apply_local(plane, same)[7:14, 9:22, 0]
        np.testing.assert_allclose(inner, expected.reshape(21, 31)[7:14, 9:22], atol=1e-12)
        assert np.abs(views.apply_local(plane, same._replace(turn=-0.4))[7:14, 9:22, 0] - inner).max() > 1


def test_fields_sample_as_images_are_moved(x64, picture):
    turn = views.LocalParameters(turn=0.4)
    moved = {}
    for kernel in ("linear", "cubic", "spline"):
        g = groups.SO(2).exp(jnp.array([-0.4]))  # x'(p) = x(g⁻¹ p)
        moved[kernel] = jax.jit(reps.Image(kernel=kernel).act)(g, picture)
        found = views.apply_local(picture, turn, edge="constant", kernel=kernel)
        np.testing.assert_allclose(found, moved[kernel], atol=1e-12)
    assert np.abs(moved["cubic"] - moved["spline"]).max() > 0.01


def test_colors_are_changed_in_order_and_the_parameters_do_it_again(x64, picture):
    given = views.LocalParameters(brightness=0.5, contrast=-0.25, saturation=0.2, hue=0.1)
    x = np.asarray(picture) * 1.5
    x = x.mean() + 0.75 * (x - x.mean())
    gray = x.mean(axis=-1, keepdims=True)
    expected = views.hue_turn(jnp.asarray(gray + 1.2 * (x - gray)), 0.1)
    np.testing.assert_allclose(views.apply_local(picture, given), expected, atol=1e-12)
    np.testing.assert_allclose(expected.mean(-1), gray[..., 0], atol=1e-12)
    view, parameters = random_field(jax.random.key(3), picture, strength=0.5)
    np.testing.assert_allclose(views.apply_local(picture, parameters), view, atol=1e-12)
    twice = random_field(jax.random.key(3), picture, strength=1.0)[1]
    jax.tree.map(lambda one, two: np.testing.assert_allclose(two, 2 * one, atol=1e-12), parameters, twice)
    half = jax.eval_shape(views.random_field, jax.random.key(3), picture[..., :1].astype(jnp.bfloat16))[0]
    assert half.shape == (10, 14, 1)
    assert half.dtype == jnp.bfloat16


def test_hues_are_turns_that_add_up(x64, picture):
    third = views.hue_turn(picture, 1 / 3)
    np.testing.assert_allclose(third, jnp.roll(picture, 1, axis=-1), atol=1e-12)  # red becomes green
    np.testing.assert_allclose(
        views.hue_turn(views.hue_turn(picture, 0.2), 0.5), views.hue_turn(picture, 0.7), atol=1e-12
    )
    np.testing.assert_allclose(
        views.from_hsv(jnp.array([0.0, 1 / 3, 2 / 3]), 0.6, 0.5), 0.2 + 0.3 * np.eye(3), atol=1e-12
    )


KEY, IMAGE = jax.random.key(0), jnp.zeros((4, 4, 3))
BAD = [
    ( lambda: views.gaussian_field(KEY, (1, 8)), "shape: expected .* two pixels or more"),
    ( lambda: views.gaussian_field(KEY, (8,)), "shape: expected"),
    ( lambda: views.gaussian_field(KEY, (8, 8), most=0.5), "most: no wave is left of 8 × 8 pixels, got 0.5"),
    ( lambda: views.gaussian_field(KEY, (8, 8), length=100.0), "length: no wave is left"),
    ( lambda: views.gaussian_field(KEY, (8, 8), length=1.0, exponent=2.0), "exponent, length: expected one"),
    ( lambda: views.random_field(KEY, IMAGE[:, :1]), "image: expected shape .* two pixels or more"),
    ( lambda: views.random_field(KEY, IMAGE, edge="zero"), "edge: expected one of 'constant'"),
    ( lambda: views.random_field(KEY, IMAGE, kernel="fourier"), "kernel: expected one of 'linear', 'cubic', 'spline'"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), BAD, ids=[message for _, message in BAD])
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
