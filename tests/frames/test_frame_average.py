"""The transform: strategies, samples, gradients, policies, nesting, other libraries, and errors."""

import functools
import inspect

import chex
import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import equijax as ej
from equijax import frames, groups, reps
from equijax.groups import SE, SO, E

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
POINTS = jnp.asarray(RNG.normal(size=(4, 3)) * [1, 2, 3], jnp.float32)
WEIGHTS = RNG.normal(size=(3, 3))
ENERGY = ej.Symmetry(SE(3), reps.Position(), None)
FORCES = ej.Symmetry(SE(3), reps.Position(), reps.Vector())


def energy(x):
    return jnp.sum(jnp.sin(x @ WEIGHTS.astype(x.dtype)) * x[::-1])


def forces(x):
    return jnp.tanh(x @ WEIGHTS.astype(x.dtype)) + 1


ENERGY_FRAMES = {
    "pca": frames.pca,
    "pairs": frames.weighted_pairs,
    "pivoted": frames.pivoted,
}


def test_strategies_jit_and_batches_agree(x64):
    batch = jnp.stack([POINTS, POINTS[::-1] * 2]).astype(jnp.float64)
    expected = np.stack([ej.frame_average(forces, FORCES, frames.pca, strategy="vmap")(x) for x in batch])
    for strategy in ("vmap", "map", 3, "auto"):
        averaged = jax.jit(jax.vmap(ej.frame_average(forces, FORCES, frames.pca, strategy=strategy)))
        np.testing.assert_allclose(averaged(batch), expected, rtol=1e-12)


def test_auto_changes_its_program_for_derivatives_and_not_its_numbers(x64):
    """The function closes over integers, a mask and parameters that are differentiated, all of them batched."""

    def gradient(strategy, scale, x, order, mask):
        def f(x):
            return jnp.sum(jnp.where(mask[:, None], jnp.sin(scale * x[order] @ WEIGHTS), 0)), order

        return ej.frame_average(f, ej.Symmetry(SE(3), reps.Position(), None), frames.pca, strategy=strategy)(x)[0]

    x = jnp.stack([POINTS, POINTS[::-1] * 2]).astype(jnp.float64)
    args = (
        jnp.array([1.0, 2.0]),
        x,
        jnp.array([[0, 1, 2, 2], [3, 1, 0, 0]]),
        jnp.array([[1, 1, 1, 0], [0, 1, 1, 1]]) > 0,
    )
    value = {s: jax.vmap(functools.partial(gradient, s)) for s in ("auto", "vmap")}
    slope = {s: jax.vmap(jax.grad(functools.partial(gradient, s), argnums=(0, 1))) for s in value}
    for auto, plain in ((value["auto"], value["vmap"]), (slope["auto"], slope["vmap"])):
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-12), jax.jit(auto)(*args), jax.jit(plain)(*args)
        )
    loops = lambda f: str(jax.make_jaxpr(f)(*args)).count("scan[")  # noqa: E731
    assert [loops(f) for f in (value["auto"], slope["auto"], value["vmap"])] == [1, 0, 0]


def test_samples_average_to_the_whole_and_differ_between_samples(x64):
    x = POINTS.astype(jnp.float64)
    one = ej.frame_average(energy, ENERGY, frames.weighted_pairs, samples=1)
    both = jax.jit(jax.vmap(jax.value_and_grad(lambda x, key: one(x, key=key)), (None, 0)))
    values, gradients = both(x, jax.random.split(KEY, 4000))
    whole, gradient = jax.jit(jax.value_and_grad(ej.frame_average(energy, ENERGY, frames.weighted_pairs)))(x)
    assert len(np.unique(values.round(9))) == 12  # each its own element
    assert np.abs(values.mean() - whole) < 4 * values.std() / 4000**0.5
    error = np.abs(gradients.mean(0) - gradient)
    assert (error < 5 * gradients.std(0) / 4000**0.5).all()  # weights have gradients too
    np.testing.assert_array_equal(both(x, jax.random.split(KEY, 4000))[0], values)


@pytest.mark.core
@pytest.mark.gpu
@pytest.mark.parametrize("frame", ENERGY_FRAMES.values(), ids=ENERGY_FRAMES)
def test_forces_of_an_averaged_energy_have_no_torque_and_are_its_gradient(frame, x64):
    x = POINTS.astype(jnp.float64)
    averaged = ej.frame_average(energy, ENERGY, frame)
    gradient = jax.jit(jax.grad(averaged))
    f = gradient(x)
    assert np.abs(f).max() > 0.1
    plain = jax.grad(energy)(x)
    assert min(np.abs(plain.sum(0)).max(), np.abs(np.cross(x, plain).sum(0)).max()) > 0.1  # without a frame
    np.testing.assert_allclose(f.sum(0), 0, atol=1e-12)
    np.testing.assert_allclose(np.cross(x, f).sum(0), 0, atol=1e-12)
    direction = jnp.asarray(np.random.default_rng(3).normal(size=x.shape))
    value = jax.jit(averaged)
    difference = (value(x + 1e-5 * direction) - value(x - 1e-5 * direction)) / 2e-5
    np.testing.assert_allclose(jnp.sum(f * direction), difference, rtol=1e-7)


def test_a_stopped_frame_gives_an_equivariant_field_with_a_torque(x64):
    x = POINTS.astype(jnp.float64)
    gradient = jax.jit(jax.grad(ej.frame_average(energy, ENERGY, frames.stopped(frames.pca))))
    assert np.abs(np.cross(x, gradient(x)).sum(0)).max() > 1e-2
    assert jax.jit(functools.partial(ej.equivariance_error, gradient, FORCES, key=KEY))((x,)) < 1e-10
    scaled = lambda frame: ej.frame_average(lambda p, x: p * energy(p * x), PARAMETERS, frame)  # noqa: E731
    exact, stopped = (jax.jit(jax.grad(scaled(f)))(2.0, x) for f in (frames.pca, frames.stopped(frames.pca)))
    np.testing.assert_allclose(exact, stopped, rtol=1e-12)
    weighted = lambda x: frames.stopped(frames.weighted_pairs)(groups.O(2), x)[:2]  # noqa: E731
    assert not any(jnp.any(d) for d in jax.tree.leaves(jax.jit(jax.jacfwd(weighted))(x[:3, :2])))


PARAMETERS = ej.Symmetry(SE(3), (None, reps.Position()), None)


def test_hessians_are_symmetric(x64):
    x = POINTS.astype(jnp.float64)
    hessian = jax.jit(jax.hessian(ej.frame_average(energy, ENERGY, frames.pca)))(x).reshape(12, 12)
    np.testing.assert_allclose(hessian, hessian.T, atol=1e-10)
    np.testing.assert_allclose(hessian.reshape(12, 4, 3).sum(1), 0, atol=1e-10)


def test_masks_velocities_and_pseudoscalars(x64):
    symmetry = ej.Symmetry(
        E(3), (None, {"x": reps.Position(), "v": reps.Vector()}), (reps.Scalar(pseudo=True), reps.Vector())
    )

    def f(mask, state):
        x, v = jnp.where(mask[:, None], state["x"], 0), jnp.where(mask[:, None], state["v"], 0)
        return jnp.linalg.det(x[:3] + 0.3 * v[:3]) + jnp.sum(jnp.sin(x)), x**2 @ WEIGHTS + v

    state = {"x": POINTS.astype(jnp.float64), "v": POINTS[::-1].astype(jnp.float64) ** 2 + 1.0}
    averaged = jax.jit(ej.frame_average(f, symmetry, frames.pca, mask=0))
    mask = jnp.ones(4, bool)
    out = averaged(mask, state)
    assert np.abs(out[0]) > 1e-6
    error = lambda f: jax.jit(functools.partial(ej.equivariance_error, f, symmetry, key=KEY))((mask, state))  # noqa: E731
    assert error(averaged) < 1e-10
    assert error(f) > 0.1
    padded = jax.tree.map(lambda x: jnp.concatenate([x, jnp.full((2, 3), 1e3)]), state)
    wide = averaged(jnp.arange(6) < 4, padded)
    np.testing.assert_allclose(wide[0], out[0], rtol=1e-9)
    np.testing.assert_allclose(wide[1][:4], out[1], atol=1e-10)


def test_info_and_policies_at_a_tetrahedron():
    tetrahedron = jnp.array([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    averaged = functools.cache(lambda frame: jax.jit(ej.frame_average(energy, ENERGY, frame, return_info=True)))
    run = lambda frame, x: averaged(frame)(x)  # noqa: E731
    audited = frames.guarded(frames.pca)
    assert run(frames.pca, tetrahedron)[1].degenerate
    assert not run(frames.pca, POINTS)[1].degenerate
    assert not run(frames.weighted_pairs, tetrahedron)[1].degenerate
    assert jnp.isnan(run(audited, tetrahedron)[0])
    assert jnp.isfinite(run(audited, POINTS)[0])
    either = frames.guarded(frames.pca, frames.weighted_pairs)
    for x, frame in ((tetrahedron, frames.weighted_pairs), (POINTS, frames.pca)):
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5), run(either, x), run(frame, x))


def test_a_backbone_that_commutes_with_permutations_stays_so(x64):
    x = POINTS.astype(jnp.float64)
    pointwise = jax.jit(ej.frame_average(forces, FORCES, frames.pca))
    order = np.array([2, 0, 3, 1])
    np.testing.assert_allclose(pointwise(x[order]), pointwise(x)[order], atol=1e-13)
    group = groups.Product(SE(3), groups.Permutation(4))
    atoms = reps.Product(reps.Position(), reps.Permutation(-2))
    symmetry = ej.Symmetry(group, atoms, reps.Product(reps.Vector(), reps.Permutation(-2)))
    ordered = lambda x: forces(x) * jnp.arange(4.0)[:, None]  # noqa: E731
    error = functools.partial(ej.equivariance_error, symmetry=symmetry, args=(x,), key=KEY, samples=4)
    both = jax.jit(ej.frame_average(ordered, symmetry, frames.product(frames.pca, frames.sorting)))
    assert jax.jit(lambda: error(both))() < 1e-11
    assert jax.jit(lambda: error(lambda x: ej.frame_average(ordered, FORCES, frames.pca)(x)))() > 0.1


def test_a_product_is_degenerate_where_any_of_its_frames_is(x64):
    x = POINTS.astype(jnp.float64)
    both, group = frames.product(frames.sorting, frames.pivoted), groups.Product(groups.Permutation(4), SE(3))
    flag = jax.jit(lambda x: both(group, x, None)[2].degenerate)
    assert not flag(x)
    assert flag(x * jnp.array([1.0, 0, 0]))  # on a line: the order is known, and no rotation


def test_poses_from_an_equivariant_network(x64):
    x = POINTS.astype(jnp.float64)
    symmetry = ej.Symmetry(SE(3), (None, reps.Position()), reps.Vector())

    def vectors(params, x):
        y = x - x.mean(0)
        return jnp.stack([jnp.sum(y * jnp.sum(y**2, -1, keepdims=True) ** p, 0) for p in params])

    params = jnp.array([1.0, 2.0])
    learned = ej.canonicalize(
        lambda _, x: forces(x), symmetry, frames.qr, frame_input=lambda p, x: (x, vectors(p, x)), return_info=True
    )
    run = jax.jit(lambda p, x: learned(p, x)[0])
    assert jax.jit(functools.partial(ej.equivariance_error, run, symmetry, key=KEY))((params, x)) < 1e-10
    assert not jax.jit(learned)(params, x)[1].degenerate
    gradient = jax.jit(jax.grad(lambda p: jnp.sum(run(p, x) ** 2 * jnp.arange(3))))(params)
    assert np.abs(gradient).min() > 1e-6  # frames that parameters move have gradients


def test_vectors_of_padding_are_not_read():
    symmetry = ej.Symmetry(SE(3), (reps.Position(), reps.Vector(), None), reps.Vector())

    def total(x, v, mask):
        return jnp.sum(jnp.where(mask[:, None], forces(x) + jnp.sin(v), 0), 0)

    averaged = jax.jit(
        ej.frame_average(total, symmetry, frames.pca, frame_input=lambda x, v, _: (x, v), mask=2, return_info=True)
    )
    mask, v = jnp.arange(6) < 4, POINTS[::-1] ** 2
    found = [averaged(*(jnp.concatenate([y, jnp.full((2, 3), c)]) for y in (POINTS, v)), mask) for c in (0.0, 7.0)]
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-6)
    np.testing.assert_allclose(found[0][1].gap, found[1][1].gap, rtol=1e-5)


def test_scores_choose_among_the_elements_of_a_finite_group(x64):
    group = groups.Cyclic(4)
    symmetry = ej.Symmetry(group, reps.Vector(), None)
    x = POINTS[:, :2].astype(jnp.float64)

    def scores(x):
        """A function on the group: s(g) = φ(g⁻¹ x)."""
        return jax.vmap(lambda g: jnp.sum(jnp.sin(x @ g) * jnp.arange(1.0, 9).reshape(4, 2)))(group.elements())

    f = lambda x: jnp.sum(x**3 * jnp.arange(8.0).reshape(4, 2))  # noqa: E731
    soft = ej.frame_average(f, symmetry, frames.scored, frame_input=scores)
    hard = ej.frame_average(f, symmetry, functools.partial(frames.scored, hard=True), frame_input=scores)
    single = ej.canonicalize(f, symmetry, frames.heaviest(frames.scored), frame_input=scores)
    soft, hard, single = map(jax.jit, (soft, hard, single))
    for averaged in (soft, hard, single):
        np.testing.assert_allclose([averaged(x @ g) for g in group.elements()], averaged(x), rtol=1e-11)
    np.testing.assert_allclose(hard(x), single(x), rtol=1e-12)
    assert abs(soft(x) - single(x)) > 1e-6
    assert np.abs(jax.grad(hard)(x) - jax.grad(single)(x)).max() > 1e-3


def test_linen_nnx_and_nesting():
    module = linen.Dense(3)
    params = jax.jit(module.init)(KEY, POINTS)
    symmetry = ej.Symmetry(SE(3), (None, reps.Position()), reps.Vector())
    ours = jax.jit(ej.frame_average(module.apply, symmetry, frames.pca))(params, POINTS)
    bridged = nnx.Linear(3, 3, rngs=nnx.Rngs(0))
    bridged.kernel[...], bridged.bias[...] = params["params"]["kernel"], params["params"]["bias"]
    np.testing.assert_allclose(jax.jit(ej.frame_average(bridged, FORCES, frames.pca))(POINTS), ours, atol=1e-5)
    twice = ej.frame_average(ej.frame_average(forces, FORCES, frames.pca), FORCES, frames.pivoted)
    once = jax.jit(ej.frame_average(forces, FORCES, frames.pca))
    np.testing.assert_allclose(jax.jit(twice)(POINTS), once(POINTS), atol=1e-5)


def test_dtypes_stay_and_nothing_compiles_twice():
    averaged = ej.frame_average(forces, FORCES, frames.pca)
    assert jax.eval_shape(averaged, POINTS.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    counted = jax.jit(chex.assert_max_traces(averaged, n=1))
    for scale in (1, 2):
        counted(POINTS * scale)


MOVING = ej.Symmetry(SE(3), (reps.Position(), reps.Vector()), None)
TWO = ej.Symmetry(SE(3), (reps.Position(), {"y": reps.Position()}), None)
BAD = [
    (  # without the checks of types that only tests make
        lambda: inspect.unwrap(ej.frame_average)(abs, "SE(3)", frames.pca),
        TypeError,
        "symmetry: expected a Symmetry",
    ),
    (lambda: ej.frame_average(abs, ENERGY, frames.pca, samples=0), ValueError, "samples: .* at least 1"),
    (lambda: ej.frame_average(abs, ENERGY, frames.pca, strategy="loop"), ValueError, "strategy: expected one of auto"),
    (lambda: ej.frame_average(energy, ENERGY, frames.pca, samples=1)(POINTS), ValueError, "key: samples of a frame"),
    (lambda: ej.frame_average(energy, ENERGY, frames.pca)(x=POINTS), TypeError, "x: only positional arguments"),
    (
        lambda: ej.frame_average(lambda x, y: x, TWO, frames.pca)(POINTS, {"y": POINTS}),
        ValueError,
        r"frame_input: .*found 2; choose .*: x \(Position\(\)\), y\['y'\]",
    ),
    (
        lambda: ej.frame_average(abs, ej.Symmetry(SO(3), reps.Vector(), None), frames.pca)(POINTS),
        ValueError,
        r"frame_input: .*found 0; .*x \(Vector\(\)\)",
    ),
    (
        lambda: ej.frame_average(abs, PARAMETERS, frames.pca, frame_input=0)(POINTS, POINTS),
        ValueError,
        r"frame_input: SE\(3\) does not move x",
    ),
    (
        lambda: ej.frame_average(abs, PARAMETERS, frames.pca, frame_input=lambda p, x: p)(POINTS, POINTS),
        ValueError,
        r"frame_input: SE\(3\) does not move x",
    ),
    (
        lambda: ej.frame_average(energy, MOVING, frames.pca, frame_input=1)(POINTS, POINTS),
        ValueError,
        r"frame_input: args\[1\] is Vector\(\), which tells nothing of the translations of SE\(3\)",
    ),
    (
        lambda: ej.frame_average(energy, MOVING, frames.pca, frame_input=lambda x, v: (v, v))(POINTS, POINTS + 1),
        ValueError,
        r"frame_input: args\[1\] is Vector\(\), which tells nothing of the translations",
    ),
    (
        lambda: ej.frame_average(abs, TWO, frames.pca, frame_input=2)(POINTS, {"y": POINTS}),
        ValueError,
        "frame_input: expected a position among 2 arguments, got 2",
    ),
    (lambda: ej.frame_average(abs, PARAMETERS, frames.pca)(POINTS), ValueError, "inputs: expected . arguments"),
    (
        lambda: ej.frame_average(abs, PARAMETERS, frames.pca, mask=0)(jnp.ones(3), POINTS),
        ValueError,
        r"mask: expected shape \(4,\)",
    ),
    (lambda: ej.canonicalize(energy, ENERGY, frames.pca)(POINTS), ValueError, "frame: expected a single element"),
    (
        lambda: ej.frame_average(energy, ENERGY, frames.lorentz)(POINTS),
        ValueError,
        r"group: lorentz is a frame of groups.Lorentz\(\), got SE\(3\)",
    ),
    (
        lambda: ej.frame_average(energy, ej.Symmetry(SE(2), reps.Position(), None), frames.pca)(POINTS),
        ValueError,
        r"x: expected shape \(..., 2\) for Position\(\), got \(4, 3\)",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        jax.eval_shape(make)  # while it is traced
