"""Cells whose states flow: the theorem for all orders, truncated sets, the linear recurrence in three ways."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, reps
from equijax.groups import Shift

TORUS, GRID = Shift((3, 4)), reps.Shift((-3, -2))
FRAMES = np.random.default_rng(0).normal(size=(4, 3, 4, 2))


class Map(nn.Module):
    """A circular convolution; normal weights."""

    features: int

    @nn.compact
    def __call__(self, x):
        normal = nn.initializers.normal(0.3)
        return nn.Conv(self.features, (3, 3), padding="CIRCULAR", use_bias=False, dtype=x.dtype, kernel_init=normal)(x)


class Steps(nn.Module):
    """All states of a cell along a sequence."""

    order: str
    mixing: bool = False

    @nn.compact
    def __call__(self, frames, velocities):
        cell = ej.nn.FlowCell(3, GRID, Map, Map, self.order, self.mixing, activation=jnp.tanh)
        states, found = jnp.zeros((len(velocities), 3, 4, 3), frames.dtype), []
        for frame in frames:
            states = cell(states, frame, velocities)
            found.append(states)
        return jnp.stack(found)


@functools.cache
def program(order, mixing=False):
    """The states of a cell with random weights, compiled once for all velocities and frames."""
    model = Steps(order, mixing)
    params = jax.jit(model.init)(jax.random.key(0), FRAMES[:1], jnp.zeros((1, 2), int))
    return jax.jit(functools.partial(model.apply, params))


def flowing(frames, velocity, start=0):
    """Frame t moved t + start times."""
    return np.stack([np.roll(f, (np.asarray(velocity) * (t + start)), (-3, -2)) for t, f in enumerate(frames)])


@pytest.mark.parametrize(("order", "lag"), [("post", 1), ("pre", 0), ("gated", 0)])
@pytest.mark.parametrize("mixing", [False, True])
def test_a_flow_of_the_frames_moves_the_states_and_swaps_them(order, lag, mixing, x64):
    """h'_t(ν) = (t + lag) ν̂ · h_t(ν − ν̂) on the full set of velocities, for every ν̂."""
    velocities = np.asarray(ej.nn.velocity_set(TORUS))
    run = program(order, mixing)
    still = np.asarray(run(FRAMES, velocities))
    for velocity in velocities[[1, 7]]:
        source = [np.flatnonzero(((velocities - v + velocity) % (3, 4) == 0).all(-1))[0] for v in velocities]
        np.testing.assert_allclose(
            run(flowing(FRAMES, velocity), velocities), flowing(still[:, source], velocity, lag), atol=1e-13
        )


def test_of_a_truncated_set_the_states_that_have_a_partner_are_exact(x64):
    velocities = np.asarray(ej.nn.velocity_set(Shift((3, 4)), most=1))  # along the axis of 4 pixels −1, 0, 1 only
    run, velocity = program("post"), np.array([0, 1])
    found = run(flowing(FRAMES, velocity), velocities)
    partner = [np.flatnonzero((velocities == v - velocity).all(-1)) for v in velocities]
    kept = [k for k, p in enumerate(partner) if len(p)]
    assert (len(velocities), len(kept)) == (9, 6)
    still = flowing(np.asarray(run(FRAMES, velocities))[:, [partner[k][0] for k in kept]], velocity, 1)
    np.testing.assert_allclose(found[:, kept], still, atol=1e-13)
    assert np.abs(found.max(axis=1) - flowing(np.asarray(run(FRAMES, velocities)).max(axis=1), velocity, 1)).max() > 0.1


def test_the_state_that_moves_along_sees_the_scene_at_rest(x64):
    velocities = np.asarray(ej.nn.velocity_set(TORUS))
    still = np.repeat(FRAMES[:1], 4, axis=0)
    moving = np.asarray(program("post")(flowing(still, (1, 2)), velocities))[:, 1 * 4 + 2]
    back = np.stack([np.roll(h, (-(t + 1), -2 * (t + 1)), (0, 1)) for t, h in enumerate(moving)])
    np.testing.assert_allclose(back, np.asarray(program("post")(still, velocities))[:, 0], atol=1e-13)


def test_a_step_of_each_order_is_its_formula(x64):
    velocities = jnp.array([[0, 0], [1, -1]])
    states = jnp.asarray(np.random.default_rng(1).normal(size=(2, 3, 4, 3)))
    frame, move = FRAMES[0], lambda h: jnp.stack([h[0], jnp.roll(h[1], (1, -1), (0, 1))])
    for order in ("post", "pre", "gated"):
        cell = ej.nn.FlowCell(3, GRID, Map, Map, order)
        params = jax.jit(cell.init)(jax.random.key(1), states, frame, velocities)
        maps = {k: lambda x, w=w["Conv_0"]["kernel"]: _circular(x, w) for k, w in params["params"].items()}
        u, w = maps["lift"](frame), maps["update"]
        if order == "gated":
            g = move(states)
            z, r = np.split(jax.nn.sigmoid(maps["gates"](g) + u[..., :6]), 2, axis=-1)
            expected = (1 - z) * g + z * jnp.tanh(u[..., 6:] + w(r * g))
        elif order == "post":
            expected = move(jax.nn.relu(w(states) + u))
        else:
            expected = jax.nn.relu(move(w(states)) + u)
        np.testing.assert_allclose(cell.apply(params, states, frame, velocities), expected, atol=1e-12)


def _circular(x, kernel):
    shifted = (np.roll(x, (1 - i, 1 - j), (-3, -2)) @ kernel[i, j] for i in range(3) for j in range(3))
    return sum(shifted)


def test_the_linear_flow_is_the_recurrence_and_its_sum_in_closed_form(x64):
    frames = np.random.default_rng(2).normal(size=(5, 3, 5, 2))
    whole, decay = np.array([[0.0, 0.0], [1.0, -2.0]]), np.array([0.5, 0.9])
    states, found = np.zeros((2, 3, 5, 2)), np.asarray(ej.nn.linear_flow(frames, whole, decay))
    for t, frame in enumerate(frames):
        states = decay * np.stack([states[0], np.roll(states[1], (1, -2), (0, 1))]) + frame
        np.testing.assert_allclose(found[t], states, atol=1e-13)
    # a real velocity: Σ_s a^s (s ν)·f_{t−s}, and a flow by another one moves the states, on odd numbers of pixels
    real, by = np.array([[0.3, -1.7]]), np.array([0.45, 0.8])
    total = sum(decay**s * _moved(frames[4 - s], s * real[0]) for s in range(5))
    np.testing.assert_allclose(ej.nn.linear_flow(frames, real, decay)[4, 0], total, atol=1e-13)
    flown = np.stack([_moved(f, t * by) for t, f in enumerate(frames)])
    expected = _moved(ej.nn.linear_flow(frames, real, decay)[4, 0], 4 * by)
    np.testing.assert_allclose(ej.nn.linear_flow(flown, real + by, decay)[4, 0], expected, atol=1e-13)


def _moved(x, by):
    """An image (odd, odd, channels) by a real number of pixels: its Fourier series there."""
    phase = np.exp(-2j * np.pi * (np.fft.fftfreq(x.shape[0])[:, None] * by[0] + np.fft.fftfreq(x.shape[1]) * by[1]))
    return np.fft.ifft2(np.fft.fft2(x, axes=(0, 1)) * phase[..., None], axes=(0, 1)).real


def test_on_an_even_number_of_pixels_the_highest_frequency_is_left_out(x64):
    stripes = np.cos(np.pi * np.arange(4))[:, None, None] * np.ones((4, 4, 1))
    both = 1 + stripes + 2 * stripes.swapaxes(0, 1)
    found = ej.nn.linear_flow(both[None], np.zeros((1, 2)), np.ones(1))
    np.testing.assert_allclose(found[0, 0], np.ones((4, 4, 1)), atol=1e-14)


def test_linear_flow_is_a_layer_in_the_dtype_of_the_frames():
    layer, velocities = ej.nn.LinearFlow(3, Map), jnp.array([[0.5, 0.0]])
    for dtype in (jnp.bfloat16, jnp.float32):
        frames = jnp.asarray(FRAMES, dtype)
        found = jax.eval_shape(lambda f: layer.init_with_output(jax.random.key(0), f, velocities)[0], frames)
        assert (found.shape, found.dtype) == ((4, 1, 3, 4, 3), dtype)


def test_velocities_that_are_a_group_pass_and_others_do_not():
    for group in (TORUS, groups.Cyclic(8)):
        ej.nn.check_closed(group, ej.nn.velocity_set(group))
    ej.nn.check_closed(groups.Cyclic(8), groups.Cyclic(8).elements()[::2])
    ej.nn.check_closed(Shift(4), np.array([[0], [-2]]))
    with pytest.raises(ValueError, match=r"number 1 after number 1 is not among the 2; pass all of Cyclic\(8\)"):
        ej.nn.check_closed(groups.Cyclic(8), groups.Cyclic(8).elements()[:2])


BAD = [
    (lambda: ej.nn.velocity_set(Shift((100, 100))), ValueError, "at most 5040 elements, got .*; pass most"),
    (lambda: ej.nn.velocity_set(groups.Dihedral(4), most=1), TypeError, "groups.Shift or groups.Cyclic for vel"),
    (lambda: ej.nn.check_closed(TORUS, np.zeros((2, 2))), TypeError, "velocities: expected integers, .*LinearFlow"),
    (lambda: ej.nn.check_closed(TORUS, np.zeros(2, int)), ValueError, "velocities: .* along one leading axis"),
    (lambda: ej.nn.check_closed(groups.Cyclic(4), groups.Cyclic(8).elements()), ValueError, "velocities: expected ele"),
    (lambda: ej.nn.linear_flow(FRAMES, jnp.zeros((1, 3)), jnp.ones(2)), ValueError, r"shape \(velocities, 2\)"),
    (lambda: ej.nn.linear_flow(FRAMES, jnp.zeros((1, 2)), jnp.ones(3)), ValueError, "and a decay a channel, got"),
    (lambda: ej.nn.linear_flow(FRAMES, jnp.zeros((1, 2), int), jnp.ones(2)), TypeError, "velocities: expected real"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()
