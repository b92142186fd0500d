"""Points on a line, in a plane, at one place, none at all, and shapes with symmetries."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import frames, reps
from equijax.groups import SE, E, O, Similarity

RNG = np.random.default_rng(0)
WEIGHTS = RNG.normal(size=(3, 3))
TURN = np.linalg.qr(RNG.normal(size=(3, 3)))[0]
TETRAHEDRON = np.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
HARD = {
    "line": np.outer([1.0, 2, -2, 4], [1, 2, 3]),
    "plane": np.concatenate([RNG.normal(size=(4, 2)), np.zeros((4, 1))], 1) @ TURN,
    "two places": np.outer([1.0, 1, -2, -2], [1, 2, 3]) + 1,
    "one place": np.ones((4, 3)),
    "tetrahedron": TETRAHEDRON,
}
ANCHORS = functools.partial(frames.weighted_pairs, anchors=3)


@functools.partial(jax.jit, static_argnums=(0, 1))
def compiled(frame, group, x, mask=None):
    return frame(group, x, mask)


def energy(x):
    return jnp.sum(jnp.sin(x @ WEIGHTS.astype(x.dtype)), 0) @ jnp.array([1.0, 2.0, 3.0])


def forces(x):
    return jnp.tanh(x @ WEIGHTS) + 1


def head(x):
    return frames.span_head(jnp.tanh(x @ WEIGHTS @ x.T + x[:, :1]), x)


TURNS = np.linalg.qr(np.random.default_rng(1).normal(size=(6, 3, 3)))[0]
TURNS = TURNS * np.linalg.det(TURNS)[:, None, None]


@functools.cache
def values(frame, group):
    """The averaged energy and its gradient, over a batch."""
    averaged = ej.frame_average(energy, ej.Symmetry(group, reps.Position(), None), frame)
    return jax.jit(jax.vmap(jax.value_and_grad(averaged)))


def batch(x, noise=0.0, turn=True):
    """Turned copies of x, with noise."""
    copies = x @ np.swapaxes(TURNS, 1, 2) if turn else np.repeat(x[None], len(TURNS), axis=0)
    return jnp.asarray(copies + noise * np.random.default_rng(3).normal(size=copies.shape))


@pytest.mark.parametrize("group", [SE(3), E(3)], ids=repr)
@pytest.mark.parametrize("name", HARD)
def test_energies_from_pairs_are_exact_and_continuous_everywhere(name, group, x64):
    run = values(frames.weighted_pairs, group)
    x = HARD[name]
    still = run(batch(x))
    assert np.ptp(still[0]) < 1e-12
    assert np.ptp(jax.vmap(energy)(batch(x))) > 0.1  # without a frame
    assert np.isfinite(still[1]).all()
    assert np.ptp(run(batch(x, 1e-6))[0]) < 1e-4


@pytest.mark.core
@pytest.mark.gpu
def test_principal_axes_jump_at_a_tetrahedron_and_say_so(x64):
    run = values(frames.pca, SE(3))
    value = run(batch(TETRAHEDRON, 1e-6))[0]
    assert np.ptp(value) > 0.05  # so that the bound for the pairs means something
    assert compiled(frames.pca, SE(3), jnp.asarray(TETRAHEDRON))[2].degenerate
    assert np.isfinite(run(batch(TETRAHEDRON))[1]).all()


@pytest.mark.core
@pytest.mark.parametrize("name", [name for name in HARD if name != "tetrahedron"])
def test_principal_axes_are_exact_where_only_zero_eigenvalues_are_equal(name, x64):
    x = HARD[name]
    run = values(frames.pca, SE(3))
    value = run(batch(x))[0]
    assert np.ptp(value) < 1e-11
    assert not compiled(frames.pca, SE(3), jnp.asarray(x))[2].degenerate
    direction = np.random.default_rng(2).normal(size=x.shape)
    ends = run(jnp.stack([x + 1e-5 * direction, x - 1e-5 * direction] * 3))[0]
    slope = np.sum(np.asarray(run(batch(x, turn=False))[1][0]) * direction)
    np.testing.assert_allclose((ends[0] - ends[1]) / 2e-5, slope, atol=1e-7)


@pytest.mark.parametrize("frame", [frames.pca, frames.pivoted, frames.weighted_pairs, frames.qr])
def test_few_points_and_none(frame, x64):
    averaged = ej.frame_average(energy, ej.Symmetry(E(3), reps.Position(), None), frame, return_info=True)
    for n in (0, 1):
        (value, info), gradient = jax.jit(jax.value_and_grad(averaged, has_aux=True))(jnp.ones((n, 3)))
        np.testing.assert_allclose(value, 0, atol=1e-12)
        assert np.isfinite(gradient).all()
        assert (info.rank, info.valid) == (0, n)
        assert info.degenerate or n


@functools.cache
def vectors(kind, group):
    symmetry = ej.Symmetry(group, reps.Position(), reps.Vector())
    averaged = ej.frame_average(head if kind == "head" else forces, symmetry, frames.weighted_pairs)
    if kind == "projection":
        plain = averaged
        averaged = lambda x: frames.span_projection(group, x, plain(x))  # noqa: E731
    return jax.jit(jax.vmap(averaged))


def vector_error(kind, group, x):
    """How far turned points, reflected ones if they are in the group, are from giving turned vectors."""
    turns = jnp.asarray(TURNS * (-1 if isinstance(group.linear, O) else 1))
    plain, turned = vectors(kind, group)(batch(x, turn=False)), vectors(kind, group)(x @ jnp.swapaxes(turns, 1, 2))
    return np.abs(turned - plain @ jnp.swapaxes(turns, 1, 2)).max()


@pytest.mark.parametrize("group", [SE(3), E(3)], ids=repr)
def test_vectors_need_the_head_or_the_projection_on_a_line(group, x64):
    line = HARD["line"]
    jumps = lambda kind: np.ptp(vectors(kind, group)(batch(line, 1e-6, turn=False)), axis=0).max()  # noqa: E731
    assert vector_error("plain", group, line) > 0.1
    assert vector_error("projection", group, line) < 1e-10
    assert vector_error("head", group, line) < 1e-10
    assert jumps("projection") > 1e-2
    assert jumps("head") < 1e-3
    assert compiled(frames.weighted_pairs, group, jnp.asarray(line))[2].degenerate


def test_vectors_in_a_plane_are_exact(x64):
    flat, v = jnp.array([[3.0, 0, 0], [0, 1, 0], [0, 0, 0]]), jnp.array([1.0, 2.0, 3.0])
    for group, projected in ((SE(3), v), (E(3), v.at[2].set(0))):  # rotations know the normal, reflections do not
        np.testing.assert_allclose(frames.span_projection(group, flat, v), projected, atol=1e-12)
    np.testing.assert_allclose(frames.span_projection(O(3), flat + jnp.eye(3)[2], v), v, atol=1e-12)
    for group in (SE(3), E(3)):
        assert vector_error("plain", group, HARD["plane"]) < 1e-10
        assert not compiled(frames.weighted_pairs, group, jnp.asarray(HARD["plane"]))[2].degenerate


def test_vectors_from_principal_axes_lie_on_the_line_of_the_points(x64):
    averaged = ej.frame_average(forces, ej.Symmetry(E(3), reps.Position(), reps.Vector()), frames.pca)
    found = jax.jit(averaged)(jnp.asarray(HARD["line"]))
    assert np.abs(found).max() > 0.1
    np.testing.assert_allclose(np.cross(found, HARD["line"][0]), 0, atol=1e-12)


def test_the_head_with_cross_products(x64):
    x = jnp.asarray(RNG.normal(size=(4, 3)))
    crossed = lambda x: frames.span_head(jnp.sin(x[:, :1] + x @ x.T), x, cross=jnp.cos(x[:, :1, None] + x @ x.T))  # noqa: E731
    averaged = ej.frame_average(crossed, ej.Symmetry(SE(3), reps.Position(), reps.Vector()), frames.weighted_pairs)
    run, turns = jax.jit(jax.vmap(averaged)), np.swapaxes(TURNS, 1, 2)
    for points in (np.asarray(x), HARD["line"]):
        found = run(batch(points, turn=False))
        assert np.abs(found).max() > 0.1
        np.testing.assert_allclose(run(batch(points)), found @ turns, atol=1e-10)
    with pytest.raises(ValueError, match=r"cross: expected shape \(4, 4, 4\)"):
        frames.span_head(jnp.ones((4, 4)), x, cross=jnp.ones((4, 4)))
    with pytest.raises(ValueError, match=r"coefficients: expected shape \(..., 4\)"):
        frames.span_head(jnp.ones((4, 3)), x)


def test_weights_of_points_that_are_padding_are_zero(x64):
    x = jnp.asarray(np.concatenate([TETRAHEDRON, np.full((2, 3), 1e3)]))
    weights = compiled(frames.weighted_pairs, SE(3), x, jnp.arange(6) < 4)[1]
    assert np.count_nonzero(weights) == 12
    np.testing.assert_allclose(np.sort(weights)[-12:], 1 / 12, rtol=1e-12)


def test_weights_of_pairs_and_signs_are_those_of_the_formula():
    """Lengths 2, 1, 2, weights 4/9, 1/9, 4/9; across (2, 0) the other points are 1 on one side, 2 on the other."""
    x = jnp.array([[2.0, 0], [0, 1], [0, -2]])
    matrices, weights, _ = compiled(frames.weighted_pairs, O(2), x)
    np.testing.assert_allclose(weights, [4 / 45, 0, 4 / 9, 16 / 45, 1 / 9, 0], atol=1e-6)
    np.testing.assert_allclose(matrices[np.array([0, 3])], [np.eye(2), np.diag([1, -1])], atol=1e-6)


@pytest.mark.core
def test_points_that_coincide_to_rounding_are_one_place():
    """In optimized programs the mean of equal points is not quite equal to them; neither are points an ulp apart."""
    same = np.tile(np.float32([1, 0, 0]), (3, 1))
    for points in (same, same * (1 + np.float32([[0], [1.2e-7], [0]]))):
        x, mask = jnp.asarray([*points, [7.0, 7, 7], [7.0, 7, 7]], jnp.float32), jnp.arange(5) < 3
        matrix = lambda x, mask: frames.weighted_pairs(SE(3), x, mask)[0].linear[0]  # noqa: E731
        assert np.isfinite(jax.jit(matrix)(x, mask)).all()
        assert np.isfinite(jax.jit(jax.jacrev(matrix))(x, mask)).all()
        assert compiled(frames.pca, SE(3), x, mask)[2].rank == 0
        assert compiled(frames.pca, Similarity(3), x, mask)[2].degenerate


def test_qr_flags_points_that_lie_within_its_tolerance_of_a_line():
    x = jnp.array([[2.0, 0, 0], [-1, 0.009, 0.0055], [2.2, 0.0065, -0.0075], [-3, -0.006, 0.007]])
    group = SE(3)
    info = compiled(frames.qr, group, x)[2]
    assert (info.gap, bool(info.degenerate)) == (0, True)
    turn = jnp.asarray(TURNS[0], jnp.float32)
    frame, turned = (compiled(frames.qr, group, y)[0].linear[0] for y in (x, x @ turn.T))
    np.testing.assert_allclose(turned, turn @ frame, atol=1e-3)


def test_gradients_of_the_projection_and_of_gaps_are_finite():
    one = jax.jit(jax.grad(lambda x: frames.span_projection(SE(3), x, jnp.ones((1, 3))).sum()))(jnp.ones((1, 3)))
    np.testing.assert_array_equal(one, 0)
    x = jnp.asarray(np.random.default_rng(4).normal(size=(5, 3)), jnp.float32)
    for frame in (frames.pivoted, frames.qr):
        gap = jax.jit(jax.grad(lambda x, frame=frame: frame(SE(3), x, jnp.arange(5) < 4)[2].gap))(x)
        assert np.isfinite(gap).all()
        assert np.abs(gap).max() > 0


def test_high_powers_do_not_overflow():
    x = jnp.asarray(np.random.default_rng(4).normal(size=(20, 3)), jnp.float32).at[0].mul(20)
    for group in (SE(3), E(3)):
        weights = compiled(functools.partial(frames.weighted_pairs, power=80), group, x)[1]
        np.testing.assert_allclose(jnp.sum(weights), 1, rtol=1e-5)


def test_anchors_of_a_set_with_an_inversion_center_vanish_and_say_so(x64):
    x = jnp.asarray(np.concatenate([TETRAHEDRON, -TETRAHEDRON]) * [1, 2, 3])
    assert compiled(ANCHORS, SE(3), x)[2].degenerate


@pytest.mark.core
@pytest.mark.gpu
def test_float32_error_grows_as_one_over_the_gap():
    shape = RNG.normal(size=(6, 3))
    shape = np.linalg.qr(shape - shape.mean(0))[0]
    run = jax.jit(jax.vmap(ej.frame_average(energy, ej.Symmetry(SE(3), reps.Position(), None), frames.pca)))
    for gap in (1e-1, 1e-3):
        x = (shape * np.sqrt([1, 2, 2 * (1 + gap)])).astype(np.float32)
        assert np.ptp(run(batch(x).astype(jnp.float32))) < 1e-6 / gap
        found = float(compiled(frames.pca, SE(3), jnp.asarray(x))[2].gap)
        np.testing.assert_allclose(found, gap / (1 + gap), rtol=1e-2)
