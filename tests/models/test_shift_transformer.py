"""Transformers of images: exact under every shift of a small image, by parts of a pixel without aliasing; limits."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, numerics, reps
from equijax.models import ShiftTransformer

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(8, 16, 2))  # patches of 1 × 2 pixels, then 8 × 8, 4 × 4 and 2 × 2 tokens
MODEL = functools.partial(
    ShiftTransformer, 3, features=(4, 4, 8), depths=(2, 1, 1), stride=(1, 2), window=2, subsampling=(2, 2, 1), heads=2
)
SHIFTS = groups.Shift((8, 16))


class Fractional(reps.Rep):
    """Images moved by any part of a pixel."""

    approximate = True

    def check(self, group):
        assert group == groups.Translation(2)

    def act(self, g, x):
        return numerics.fractional_shift(x, g)


@functools.cache
def prepared(**options):
    """A compiled model of batches, and normal numbers in the shapes of its parameters."""
    module = MODEL(**options)
    shapes = jax.eval_shape(module.init, jax.random.key(0), IMAGE.astype(np.float32))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape) * 0.5, jnp.float32), shapes)
    return jax.jit(module.apply), params


@pytest.mark.parametrize("kind", ["swin", "twins"])
def test_every_shift_of_a_small_image_gives_the_same_moved(kind, x64):
    apply, params = prepared(kind=kind, dense=True)
    every = SHIFTS.elements()  # all 128
    act = jax.vmap(reps.Shift((0, 1)).act, (0, None))
    found = apply(params, act(every, jnp.asarray(IMAGE)))
    np.testing.assert_allclose(found, act(every, found[0]), atol=1e-10)
    assert np.ptp(found[0]) > 0.1
    tokens = found[:, ::4, ::8]  # one of each patch of 4 × 8 pixels, which follows shifts by as much
    np.testing.assert_allclose(tokens[4 * 16 + 8], np.roll(tokens[0], (1, 1), (0, 1)), atol=1e-10)


def test_check_says_exact_with_anchors_and_broken_without():
    """In two stages; the scores and the tokens on their pixels."""
    symmetry = ej.Symmetry(SHIFTS, (None, reps.Shift((0, 1))), (None, reps.Shift((0, 1))))
    small = {"kind": "twins", "features": (4, 4), "depths": (2, 1), "subsampling": (2, 2)}
    verdicts = {}
    for anchored in (True, False):
        (pooled, params), (dense, same) = (prepared(**small, anchored=anchored, dense=d) for d in (False, True))
        assert jax.tree.map(jnp.shape, same) == jax.tree.map(jnp.shape, params)
        both = jax.jit(lambda params, x, pooled=pooled, dense=dense: (pooled(params, x), dense(params, x)))
        verdicts[anchored] = ej.check(both, symmetry, (params, IMAGE), samples=2).verdict
    assert verdicts == {True: "exact", False: "broken"}


def test_without_aliasing_shifts_by_parts_of_a_pixel_are_exact():
    symmetry = ej.Symmetry(groups.Translation(2), (None, Fractional()), Fractional())
    dense, params = prepared(kind="band-limited", features=(4, 4), depths=(1, 1), dense=True)
    image = np.asarray(numerics.fractional_shift(jnp.asarray(IMAGE, jnp.float32), jnp.zeros(2)))
    ej.check(dense, symmetry, (params, image), samples=2).assert_exact()


def test_what_shifts_bring_in_and_images_that_tie():
    """Shifts that fill with zeros are out of reach; phases that all tie, of a periodic image, do no harm."""
    x = jnp.asarray(IMAGE, jnp.float32)
    periodic = jnp.tile(x[:1, :2], (8, 8, 1))
    images = [x, 0 * x, 0 * x + 1, periodic]
    moved = [jnp.roll(y, (3, 5), (0, 1)) for y in images]
    filled = jnp.roll(x, 1, 0).at[0].set(0)
    apply, params = prepared(kind="swin")
    scores = apply(params, jnp.stack([*images, *moved, filled]))
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(scores[4:8], scores[:4], atol=1e-3)
    assert np.abs(scores[8] - scores[0]).max() > 0.1


def test_gradients_move_with_the_image(x64):
    apply, params = prepared(kind="twins")
    x = jnp.asarray(IMAGE)
    moved = jnp.roll(x, (3, 5), (0, 1))
    found = jax.jit(jax.grad(lambda x: jnp.sum(apply(params, x) ** 2)))(jnp.stack([x, moved]))
    assert np.abs(found).max() > 1e-3
    np.testing.assert_allclose(found[1], jnp.roll(found[0], (3, 5), (0, 1)), atol=1e-9)


BAD = [
    ({}, (9, 16, 2), "window: expected a divisor of the 9 × 8 tokens of stage 0"),
    ({"stride": 4}, (10, 16, 2), "stage 0 takes 4 × 4 pixels of a grid of 10 × 16; crop or pad the images"),
    ({}, (4, 16, 2), "window: .* 1 × 2 tokens of stage 2, which it is larger than, got 2"),
    ({"window": 1}, (2, 16, 2), "stage 2 takes 2 × 2 tokens of a grid of 1 × 4"),
    ({"window": 16}, (8, 16, 2), "window: .* 8 × 8 tokens of stage 0, which it is larger than"),
    ({"kind": "twins", "subsampling": (2, 2, 4)}, (8, 16, 2), "subsampling: .* 2 × 2 tokens of stage 2"),
    ({"kind": "twins", "subsampling": (2,)}, (8, 16, 2), r"subsampling: expected one a stage, .* got \(2,\)"),
    ({"depths": (1, 1)}, (8, 16, 2), "depths: expected one a stage"),
    ({"kind": "vit"}, (8, 16, 2), "kind: expected one of swin, twins, band-limited, got 'vit'"),
    ({}, (16, 2), r"images: expected shape \(..., height, width, channels\), got \(16, 2\)"),
]


@pytest.mark.core
@pytest.mark.parametrize(("options", "shape", "message"), BAD, ids=[message for *_, message in BAD])
def test_images_that_do_not_fit_are_named_with_the_stage(options, shape, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(MODEL(**options).init, jax.random.key(0), jnp.zeros(shape))


def test_integer_images_are_refused_with_the_way_out():
    with pytest.raises(TypeError, match=r"images: .* got uint8; pass x.astype\(jnp.float32\)"):
        jax.eval_shape(MODEL().init, jax.random.key(0), jnp.zeros((8, 16, 2), jnp.uint8))
