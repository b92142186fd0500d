"""Lie-derivative errors against closed forms: linear maps, images that are shifted by parts of a pixel, layers."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from shards import assert_shards_agree

from equijax import groups, reps
from equijax.measures import lie_derivative, lie_error, lie_layers
from equijax.symmetry import Symmetry

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
GENERATORS = np.array(
    [[[0, 0, 0], [0, 0, -1], [0, 1, 0]], [[0, 0, 1], [0, 0, 0], [-1, 0, 0]], [[0, -1, 0], [1, 0, 0], [0, 0, 0]]]
)
W = 16
LINE = reps.Image(1, kernel="fourier")
SHIFTS = Symmetry(groups.Translation(1), LINE, LINE)


def noise(highest, count=2000):
    """Lines of 16 points with frequencies up to `highest`, each of variance one, shape (count, 16, 1)."""
    kept = np.abs(np.fft.fftfreq(W, 1 / W)) <= highest
    x = np.fft.ifft(np.fft.fft(RNG.standard_normal((count, W))) * kept).real
    return jnp.asarray(x / np.sqrt(kept.mean()))[..., None]


@functools.partial(jax.jit, static_argnums=(0, 1))
def error(f, symmetry, x):
    return lie_error(f, symmetry, x)


@pytest.mark.core
def test_of_a_linear_map_it_is_the_norm_of_the_commutator(x64):
    w = RNG.standard_normal((3, 3))
    symmetry = Symmetry(groups.SO(3), reps.Vector(), reps.Vector())
    found = error(lambda x: w @ x, symmetry, jnp.eye(3) * 3**0.5)["rotation"]  # rows with E xxᵀ = 1
    np.testing.assert_allclose(3 * found.squared, [np.sum((w @ a - a @ w) ** 2) for a in GENERATORS], rtol=1e-12)
    # an output that does not move has no second term; a map that commutes has none at all
    found = error(lambda x: w[0] @ x, Symmetry(groups.SO(3), reps.Vector(), None), jnp.eye(3) * 3**0.5)["rotation"]
    np.testing.assert_allclose(found.squared, [np.sum((w[0] @ a) ** 2) for a in GENERATORS], rtol=1e-12)
    np.testing.assert_allclose(found.absolute, [np.abs(w[0] @ a).sum() / 3**0.5 for a in GENERATORS], rtol=1e-12)
    assert np.max(error(lambda x: 2 * x, symmetry, jnp.eye(3))["rotation"].squared) < 1e-28
    assert found.unit == "radian"


def test_a_convolution_commutes_with_shifts_by_parts_of_a_pixel_and_a_stencil_that_moves_along_does_not(x64):
    image = reps.Image(kernel="fourier")
    shifts, taps = Symmetry(groups.Translation(2), image, image), RNG.standard_normal(3)
    x = jnp.asarray(RNG.standard_normal((2, 8, 6, 2)))
    blur = lambda x: sum(tap * jnp.roll(x, (k, 1 - k), (0, 1)) for k, tap in enumerate(taps))  # noqa: E731
    found = error(blur, shifts, x)["translation"]
    assert found.squared.shape == (2,)  # to the right, and up
    assert np.max(found.squared) < 1e-28
    assert found.unit == "unit of length, of images a pixel"
    ramp = lambda x: x * jnp.arange(6)[:, None]  # x f has the derivative −f along x, and none along y  # noqa: E731
    band = jnp.stack([jnp.cos(2 * jnp.pi * jnp.arange(6) / 6)] * 8)[..., None]
    windowed = jnp.cos(2 * jnp.pi * (jnp.arange(6) - 1.0) / 6)[:, None]
    found = error(lambda x: x * windowed, shifts, band[None])["translation"]
    slope = 2 * jnp.pi / 6 * jnp.sin(2 * jnp.pi * (jnp.arange(6) - 1.0) / 6)
    np.testing.assert_allclose(found.squared, [jnp.mean((band[..., 0] * slope) ** 2), 0], atol=1e-12)
    assert error(ramp, shifts, x)["translation"].squared[0] > 0.1


def test_whole_shifts_are_exact_and_the_highest_frequency_stands_between_two_signs(x64):
    line, ends = jnp.asarray(RNG.standard_normal((W, 1))), (-1.0) ** jnp.arange(W)[:, None]
    for shift in (0, 3):
        np.testing.assert_allclose(LINE.act(jnp.array([1.0 * shift]), line), np.roll(line, shift, axis=0), atol=1e-12)
    np.testing.assert_allclose(LINE.act(jnp.array([1 / 3]), ends), ends / 2, atol=1e-12)  # cos π/3


def test_aliasing_of_nonlinearities(x64):
    for highest in (3, 5):  # the square of what has frequencies up to W/4 − 1 fits on the grid
        squared = error(jnp.square, SHIFTS, noise(highest))["translation"].squared
        assert (squared < 1e-28) == (highest == 3), highest
    found = [error(jax.nn.relu, SHIFTS, noise(k))["translation"].squared[0] ** 0.5 for k in (7, 5, 3, 2, 1)]
    np.testing.assert_allclose(found, [0.96, 0.596, 0.234, 0.132, 0.058], rtol=0.08)


def test_it_is_the_limit_of_finite_differences(x64):
    symmetry = Symmetry(groups.SO(2), reps.Vector(), reps.Vector())
    x = jnp.array([1.0, 0.3])
    f = lambda x: jnp.stack([jnp.sin(x[0]) * x[1], x[0] ** 2])  # noqa: E731
    exact = jnp.linalg.norm(lie_derivative(f, symmetry, (x,))["rotation"][0])
    off = []
    for step in (0.1, 0.01, 0.001):
        g = groups.SO(2).exp(jnp.array([step]))
        off.append(abs(jnp.linalg.norm(f(g @ x) - g @ f(x)) / (step * exact) - 1))
    assert 1e-5 < off[2] < 0.11 * off[1] < 0.015 * off[0] < 0.015


def test_smooth_images_are_turned_smoothly_and_kinks_are_refused(x64):
    y, x = np.meshgrid(np.arange(20.0)[::-1] - 9.5, np.arange(20.0) - 9.5, indexing="ij")
    a, b = x - 1.5, y + 0.7
    blob = np.exp(-(a**2 + b**2) / 50)[..., None]
    wanted = blob[..., 0] * (-y * a + x * b) / 25  # −∇f · (−y, x)
    for kernel, off in {"cubic": 0.03, "spline": 0.001}.items():
        turns = Symmetry(groups.SO(2), reps.Image(kernel=kernel), None)
        found = jax.jit(lambda x, turns=turns: lie_derivative(lambda x: x, turns, (x,)))(blob)["rotation"][0]
        inner = np.s_[6:-6, 6:-6]
        np.testing.assert_allclose(found[..., 0][inner], wanted[inner], atol=off * np.abs(wanted).max(), err_msg=kernel)
    # at float32 rounding below or above whole pixels the derivative is the same
    line = jnp.asarray(RNG.standard_normal((9, 1)))
    slopes = [
        jax.grad(lambda t: reps.Image(1, kernel="cubic").act(t[None], line)[4, 0])(jnp.float64(t))
        for t in (-1e-7, 1e-7)
    ]
    np.testing.assert_allclose(slopes, (line[3, 0] - line[5, 0]) / 2, atol=1e-5)
    for rep in (reps.Image(), reps.Joint(reps.Image(), reps.Vector())):
        with pytest.raises(ValueError, match=r"Image\(\) interpolates linearly .* kernel='cubic'"):
            lie_error(jnp.sum, Symmetry(groups.SO(2), rep, None), jnp.ones((1, 4, 4, 2)))


def test_layers_add_up_and_each_has_its_share(x64):
    w = jnp.asarray(RNG.standard_normal((2, 3, 3)))
    out = jnp.asarray(RNG.standard_normal(3))
    layers = {"first": lambda x: w[0] @ x, "bend": lambda x: jnp.tanh(w[1] @ x), "last": lambda x: out @ x}
    symmetry, x = Symmetry(groups.SO(3), reps.Vector(), None), jnp.asarray(RNG.standard_normal((4, 3)))
    network = lambda x: layers["last"](layers["bend"](layers["first"](x)))  # noqa: E731

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def parts(first, bend):
        return lie_layers(layers, symmetry, x, {"first": first, "bend": bend}, key=KEY)["rotation"]

    found = {reps_of: parts(*reps_of) for reps_of in ((reps.Vector(), reps.Vector()), (None, reps.Vector()))}
    for one in found.values():  # the sum is that of the whole, whatever is between
        np.testing.assert_allclose(one.whole, error(network, symmetry, x)["rotation"].squared, rtol=1e-12)
    as_vectors, as_scalars = found.values()
    assert not np.allclose(as_vectors.through, as_scalars.through, rtol=0.1)
    # of one number a sign is exact: J L f_1 by hand, and the last layer alone
    slope = jax.vmap(jax.grad(lambda h: layers["last"](layers["bend"](h))))(x @ w[0].T)
    by_hand = [jnp.mean(jnp.sum(slope * (x @ (w[0] @ a - a @ w[0]).T), axis=1) ** 2) for a in GENERATORS]
    np.testing.assert_allclose(as_vectors.through[0], by_hand, rtol=1e-12)
    np.testing.assert_allclose(as_vectors.through[2], as_vectors.alone[2], rtol=1e-12)


def test_many_probes_find_the_norm(x64):
    w = jnp.asarray(RNG.standard_normal((2, 3, 3)))
    layers = {"first": lambda x: w[0] @ x, "second": lambda x: w[1] @ x}
    symmetry, x = Symmetry(groups.SO(3), reps.Vector(), reps.Vector()), jnp.eye(3) * 3**0.5
    found = jax.jit(lambda: lie_layers(layers, symmetry, x, {"first": reps.Vector()}, key=KEY, probes=5000))()[
        "rotation"
    ]
    through = [np.sum(np.asarray(w[1] @ (w[0] @ a - a @ w[0])) ** 2) / 3 for a in GENERATORS]
    np.testing.assert_allclose(found.through[0], through, rtol=0.03)
    both = np.asarray(w[1] @ w[0])
    np.testing.assert_allclose(found.whole, [np.sum((both @ a - a @ both) ** 2) / 3 for a in GENERATORS], rtol=0.03)
    np.testing.assert_allclose(found.alone[0], [np.sum(np.asarray(w[0] @ a - a @ w[0]) ** 2) / 3 for a in GENERATORS])


def test_it_costs_less_than_three_evaluations():
    weights = jnp.asarray(RNG.standard_normal((256, 256)), jnp.float32)
    x = jnp.asarray(RNG.standard_normal((4, 256, 2)), jnp.float32)
    symmetry = Symmetry(groups.SO(2), reps.Vector(), reps.Vector())
    f = lambda x: weights @ jnp.tanh(weights @ x)  # noqa: E731
    count = lambda g: jax.jit(g).lower(x).compile().cost_analysis()["flops"]  # noqa: E731
    assert count(lambda x: lie_error(f, symmetry, x)) < 3 * count(jax.vmap(f))
    turns = Symmetry(groups.SO(3), reps.Vector(), reps.Vector())  # four for three directions, and not six
    y = jnp.ones((256, 3))
    count = lambda g: jax.jit(g).lower(y).compile().cost_analysis()["flops"]  # noqa: E731
    assert count(lambda y: lie_derivative(f, turns, (y,))) < 4.5 * count(f)


def test_on_four_devices_as_on_one(x64):
    x = jnp.asarray(RNG.standard_normal((8, 2)))
    symmetry = Symmetry(groups.SO(2), reps.Vector(), None)

    @functools.partial(jax.jit, static_argnums=2)
    def statistics(w, x, axis_name):
        layers = {"first": lambda x: jnp.tanh(w @ x), "last": jnp.sum}
        between = {"first": reps.Vector()}
        found = lie_layers(layers, symmetry, x, between, key=KEY, axis_name=axis_name)["rotation"]
        whole = lie_error(lambda x: jnp.sum(jnp.tanh(w @ x)), symmetry, x, axis_name=axis_name)["rotation"]
        return jnp.sum(whole.squared), {"layers": found, "absolute": whole.absolute}

    assert_shards_agree(statistics, jnp.asarray(RNG.standard_normal((2, 2))), (x,))


X = jnp.ones((2, 3))
TURNS = Symmetry(groups.SO(3), reps.Vector(), None)
TWO = {"first": lambda x: x[:2], "last": jnp.sum}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lie_layers(TWO, TURNS, X, {}, key=KEY), r"for each of the layers but the last, \['first'\], got \[\]"),
        (lambda: lie_layers(TWO, TURNS, X, {"first": reps.Vector()}, key=KEY), r"layer 'first': outputs: .*\(..., 3\)"),
        (lambda: lie_layers({}, TURNS, X, {}, key=KEY), "layers: expected at least one"),
        (lambda: lie_layers(TWO, TURNS, X, {"first": None}, key=KEY, probes=0), "probes: expected an integer of at"),
        (lambda: lie_error(jnp.sum, Symmetry(groups.Cyclic(4), reps.Vector(), None), X[:, :2]), "is discrete"),
        (lambda: reps.Image(kernel="nearest"), "kernel: expected one of 'linear', 'cubic', 'spline', 'fourier'"),
        (lambda: reps.Image(kernel="fourier").check(groups.SE(2)), r"needs groups.Translation\(2\), got SE\(2\)"),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
