"""Sorting for permutations; lifts for the Lorentz group and for linear maps; invariant coordinates."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import frames, reps
from equijax.groups import SL, Affine, E, Lorentz, Permutation

RNG = np.random.default_rng(0)
MATRIX = RNG.normal(size=(4, 4))


@functools.partial(jax.jit, static_argnums=(0, 1))
def compiled(frame, group, x, mask=None):
    return frame(group, x, mask)


COORDINATES = jax.jit(frames.invariant_coordinates, static_argnames=("signs", "chiral"))
FROM_DISTANCES = jax.jit(frames.coordinates_from_distances, static_argnums=1, static_argnames="normalize")


def ordered(x):
    return jnp.sum(jnp.sin(x * jnp.arange(1.0, len(x) + 1)[:, None])), jnp.cumsum(x**2, axis=0)


@pytest.mark.core
@pytest.mark.parametrize("directions", [None, 8])
def test_sorting_makes_any_function_commute_with_permutations(directions, x64):
    symmetry = ej.Symmetry(Permutation(5), reps.Permutation(-2), (None, reps.Permutation(-2)))
    x = jnp.asarray(RNG.normal(size=(5, 3)))
    averaged = ej.frame_average(ordered, symmetry, functools.partial(frames.sorting, directions=directions))
    every = jax.jit(jax.vmap(averaged))(jnp.stack([x[np.array(p)] for p in itertools.permutations(range(5))]))
    np.testing.assert_allclose(every[0], every[0][0], rtol=1e-12)
    assert abs(ordered(x)[0] - ordered(x[::-1])[0]) > 0.1
    np.testing.assert_allclose(every[1][-1], every[1][0][::-1], rtol=1e-12)  # the last one is the reverse
    assert not averaged_info(x, directions).degenerate


def averaged_info(x, directions=None, mask=None, noise=None):
    return frames.sorting(Permutation(len(x)), x, mask, directions=directions, noise=noise)[2]


def test_jumps_of_sorting_shrink_with_the_number_of_directions(x64):
    x, y = RNG.normal(size=(2, 5, 2))
    path = jnp.asarray(x + np.linspace(0, 1, 400)[:, None, None] * (y - x))
    jump = []
    for count in (1, 16, 128):
        symmetry = ej.Symmetry(Permutation(5), reps.Permutation(-2), None)
        frame = functools.partial(frames.sorting, directions=count)
        value = jax.jit(jax.vmap(ej.frame_average(lambda x: ordered(x)[0], symmetry, frame, strategy="vmap")))(path)
        jump.append(np.abs(np.diff(value)).max())
    assert jump[0] > 3 * jump[1] > 6 * jump[2]


def test_ties_and_padding_of_keys(x64):
    x = jnp.asarray([[2.0, 1], [1, 3], [2, 0], [1, 3]])
    assert averaged_info(x).degenerate
    assert averaged_info(x[:3]).gap == 0  # the second column decides
    assert not averaged_info(x[:3]).degenerate
    assert not averaged_info(x, mask=jnp.array([1, 1, 1, 0])).degenerate
    order = frames.sorting(Permutation(4), x, jnp.array([1, 0, 1, 1]))[0]
    np.testing.assert_array_equal(order, [[3, 2, 0, 1]])
    orders = frames.sorting(Permutation(4), x, jnp.array([1, 0, 1, 1]), directions=7)[0]
    np.testing.assert_array_equal(orders[:, -1], 1)  # padding comes last, along all directions
    assert len(np.unique(orders, axis=0)) > 2
    orders = frames.sorting(Permutation(4), x, None, noise=jnp.asarray(RNG.uniform(size=(50, 4))))[0]
    assert len(np.unique(orders, axis=0)) == 2
    with pytest.raises(ValueError, match=r"points: expected keys of shape \(3, q\)"):
        frames.sorting(Permutation(3), x)


def momenta(n=5):
    p = RNG.normal(size=(n, 3))
    mass = np.arange(n) / 4  # the first has none
    return np.concatenate([np.sqrt(mass[:, None] ** 2 + np.sum(p**2, 1, keepdims=True)), p], 1)


def event(x):
    return jnp.sum(jnp.sin(x @ MATRIX.astype(x.dtype)))


@functools.cache
def invariant(group, frame):
    return jax.jit(jax.vmap(ej.frame_average(event4(group), ej.Symmetry(group, reps.Position(), None), frame)))


def event4(group):
    return event if isinstance(group, Lorentz) else lambda x: jnp.sum(jnp.sin(x @ MATRIX[:3, :3].astype(x.dtype)))


@pytest.mark.parametrize(("rapidity", "single", "double"), [(1, 1e-5, 1e-13), (3, 1e-3, 1e-11), (5, 1e-1, 1e-9)])
def test_lorentz_over_rapidity(rapidity, single, double, x64):
    p, group = momenta(), Lorentz()
    axes = RNG.normal(size=(20, 3))
    axes = rapidity * axes / np.linalg.norm(axes, axis=1, keepdims=True)
    boosts = group.from_coords(jnp.asarray(np.concatenate([axes, RNG.normal(size=(20, 3))], 1)))
    moved = np.concatenate([p[None], p @ np.swapaxes(boosts, 1, 2)])
    for dtype, bound in ((jnp.float64, double), (jnp.float32, single)):
        value = invariant(group, frames.lorentz)(jnp.asarray(moved, dtype))
        assert np.abs(value / value[0] - 1).max() < bound
    assert np.ptp(jax.vmap(event)(jnp.asarray(moved))) > 1  # without a frame


def test_a_single_particle_without_mass_has_no_rest_frame(x64):
    p = jnp.asarray(momenta())
    assert not compiled(frames.lorentz, Lorentz(), p)[2].degenerate
    fast = p @ Lorentz().exp(jnp.array([3.0, -4, 0, 0, 0, 0])).T
    energy, *momentum = fast.sum(0)
    gap = compiled(frames.lorentz, Lorentz(), fast)[2].gap
    np.testing.assert_allclose(gap, np.sqrt(energy**2 - np.sum(np.square(momentum))) / energy, rtol=1e-6)
    for bad in (p[:1], -p, 0 * p, p[:0]):
        elements, _, info = compiled(frames.lorentz, Lorentz(), bad)
        assert info.degenerate
        assert np.isfinite(elements).all()
    gradient = jax.jit(jax.grad(ej.frame_average(event, ej.Symmetry(Lorentz(), reps.Position(), None), frames.lorentz)))
    assert np.isfinite(gradient(p[:1])).all()


def test_the_unit_of_energy_does_not_matter():
    p = np.random.default_rng(4).normal(size=(5, 4))
    p[:, 0] = np.linalg.norm(p[:, 1:], axis=1)
    found = [compiled(frames.lorentz, Lorentz(), jnp.asarray(scale * p, jnp.float32)) for scale in (1, 1e-20, 1e19)]
    for elements, _, info in found:
        assert not info.degenerate
        poses = jax.vmap(lambda g: jnp.asarray(p, jnp.float32) @ Lorentz().inverse(g).T)
        values = [jnp.mean(jax.vmap(event)(poses(g))) for g in (elements, found[0][0])]
        np.testing.assert_allclose(values[0], values[1], rtol=1e-4)


@pytest.mark.parametrize("group", [Affine(3), SL(3)], ids=repr)
def test_linear_maps_over_the_condition_number(group, x64):
    x = RNG.normal(size=(5, 3))
    maps = []
    for condition in (1, 10, 100):
        left, right = (np.linalg.qr(RNG.normal(size=(3, 3)))[0] for _ in range(2))
        a = left @ np.diag(np.geomspace(1, condition, 3)) @ right
        a = a / np.cbrt(np.linalg.det(a))
        maps.append(a if isinstance(group, SL) else 2 * a)
    shift = 0 if isinstance(group, SL) else 3
    moved = np.stack([x, *(x @ a.T + shift for a in maps)])
    value = invariant(group, frames.whitened)(jnp.asarray(moved))
    np.testing.assert_allclose(value / value[0], 1, atol=1e-9)
    assert np.ptp(jax.vmap(event4(group))(jnp.asarray(moved))) > 1  # without a frame
    single = invariant(group, frames.whitened)(jnp.asarray(moved, jnp.float32))
    assert (np.abs(single / value[0] - 1) < [1e-4, 1e-4, 1e-2, 1]).all()
    scaled = invariant(group, frames.whitened)(jnp.asarray(moved) * 2)
    assert (np.abs(scaled - value).max() > 0.1) == isinstance(group, SL)  # SL keeps the scale


def test_whitening_flags_flat_sets_and_stays_finite(x64):
    flat = jnp.asarray(RNG.normal(size=(4, 3)) * [1, 1, 0])
    averaged = ej.frame_average(event4(Affine(3)), ej.Symmetry(Affine(3), reps.Position(), None), frames.whitened)
    gradient = jax.jit(jax.grad(averaged))
    for x in (flat, 0 * flat):
        elements, _, info = compiled(frames.whitened, Affine(3), x)
        assert info.degenerate
        assert np.isfinite(elements.linear).all()
        assert np.isfinite(gradient(x)).all()
    assert not compiled(frames.whitened, Affine(3), flat + jnp.eye(4)[:, :3])[2].degenerate


@pytest.mark.parametrize("n", [3, 40])
def test_coordinates_of_points_and_of_distances_agree_and_keep_distances(n, x64):
    x = jnp.asarray(RNG.normal(size=(n, 3)) * [1, 2, 3])
    squared = jnp.sum((x[:, None] - x) ** 2, -1)
    coordinates, info = COORDINATES(x)
    scaled, other = FROM_DISTANCES(squared, 3)
    np.testing.assert_allclose(scaled, coordinates, atol=1e-7)
    np.testing.assert_allclose(jnp.sum((coordinates[:, None] - coordinates) ** 2, -1), squared, atol=1e-12)
    np.testing.assert_allclose(other.gap, info.gap, rtol=1e-6)
    assert not info.degenerate
    assert not other.degenerate
    turned = x @ E(3).linear.sample(jax.random.key(0)).T + 5
    np.testing.assert_allclose(COORDINATES(turned)[0], coordinates, atol=1e-11)
    padded = jnp.asarray(RNG.normal(size=(n + 2, n + 2))).at[:n, :n].set(squared)
    got = FROM_DISTANCES(padded, 3, jnp.arange(n + 2) < n, normalize=True)[0]
    size = np.sqrt(np.mean(np.sum(coordinates**2, -1)))
    np.testing.assert_allclose(got[:n], coordinates / size, atol=1e-7)
    np.testing.assert_array_equal(got[n:], 0)


def test_coordinates_of_two_points_keep_their_distance_and_flag_the_sign(x64):
    x = jnp.asarray([[1.0, 2, 3], [3, 3, 5]])
    coordinates, info = COORDINATES(x)
    np.testing.assert_allclose(coordinates[0] - coordinates[1], [3 * np.sign(coordinates[0, 0]), 0, 0], atol=1e-12)
    assert info.degenerate


def test_chiral_coordinates_tell_mirror_images_apart(x64):
    x = jnp.asarray(RNG.normal(size=(5, 3)) * [1, 2, 3])
    mirrored = x * jnp.array([-1.0, 1, 1])
    for chiral in (False, True):
        a, b = (COORDINATES(y, chiral=chiral)[0] for y in (x, mirrored))
        assert (np.abs(a - b).max() > 0.1) == chiral
    with pytest.raises(ValueError, match="signs: expected one of skewness, largest"):
        frames.invariant_coordinates(x, signs="all")
