"""Penalties for soft symmetries: zero where they hold, right constants, strengths that find the right group."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import equijax as ej
from equijax import groups, objectives, reps
from equijax.objectives import LayerSymmetry
from equijax.reps import Scalar, Sum, Tensor, Vector

S, V, VV = Scalar(), Vector(), Tensor(2)
TURNS = tuple(groups.Axial(groups.SO(2), axis) for axis in (0, 1, 2))  # about x, y and z
LAYERS = {"params/first": LayerSymmetry(V, Sum(S, V)), "params/second": LayerSymmetry(Sum(S, V), VV)}


def weights(seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"first": (3, 4), "second": (4, 9), "other": (2, 2)}
    return {"params": {k: {"kernel": rng.normal(size=s), "bias": rng.normal(size=s[1:])} for k, s in shapes.items()}}


@functools.partial(jax.jit, static_argnums=(0, 1))
def measured(group, square, params):
    layers = {"params/square": LayerSymmetry(V, V)} if square else LAYERS
    penalty = functools.partial(objectives.projection_penalty, group, layers)
    nearest, half = (objectives.proximal_step(group, layers, params, amount) for amount in (jnp.inf, 1.0))
    return penalty(params), penalty(nearest), nearest, half, jax.grad(penalty)(params)


@pytest.mark.core
@pytest.mark.parametrize("group", [groups.SO(3), TURNS[2], groups.Octahedral(), groups.Lorentz()], ids=repr)
def test_zero_on_projected_weights_only(group, x64):
    square = group == groups.Lorentz()
    params = {"params": {"square": {"kernel": np.arange(16.0).reshape(4, 4)}}} if square else weights()
    value, zero, nearest, half, gradient = measured(group, square, params)
    assert value > 0.1
    assert zero < 1e-25
    assert jax.tree.structure(nearest) == jax.tree.structure(params)
    for whole, end, mean, g in zip(*map(jax.tree.leaves, (params, nearest, half, gradient)), strict=True):
        np.testing.assert_allclose(mean, (whole + end) / 2, atol=1e-14)
        np.testing.assert_allclose(g, whole - end, atol=1e-13)


def test_four_times_the_penalty_is_the_average_over_the_group(x64):
    """The root mean square of ρ W ρ⁻¹ − W is √2 times the distance of W to its projection."""
    params = weights()
    elements, node_weights = groups.SO(3).nodes(75)
    total = 0
    for path, layer in LAYERS.items():
        w, b = (np.asarray(params["params"][path[7:]][name]).T for name in ("kernel", "bias"))
        ins, outs = (np.asarray(jax.vmap(rep.matrix)(elements)) for rep in (layer.source, layer.target))
        total += node_weights @ np.sum((outs @ w @ ins.swapaxes(1, 2) - w) ** 2, axis=(1, 2))
        total += node_weights @ np.sum((outs @ b - b) ** 2, axis=1)
    np.testing.assert_allclose(total, 4 * objectives.projection_penalty(groups.SO(3), LAYERS, params))


def test_networks_of_projected_weights_are_exact(x64):
    def network(params, x):
        for name in ("first", "second"):
            kernel, bias = (params["params"][name][k].astype(x.dtype) for k in ("kernel", "bias"))
            x = jnp.matmul(x, kernel, precision="highest") + bias
        return x.reshape(3, 3)

    nearest = measured(groups.SO(3), False, weights())[2]
    x, symmetry = jnp.arange(3.0), ej.Symmetry(groups.SO(3), (None, V), VV)
    ej.check(network, symmetry, (nearest, x), samples=3).assert_exact()
    assert ej.check(network, symmetry, (weights(), x), samples=3).verdict == "broken"


def test_the_right_group_keeps_its_strength(x64):
    """A linear map that commutes with turns about z only; penalties for turns about x, y and z, none known to hold."""
    rng = np.random.default_rng(0)
    truth = reps.project(TURNS[2], V, V, jnp.asarray(rng.normal(size=(3, 3))))
    x = jnp.asarray(rng.normal(size=(200, 3)))
    layers, optimizer = {"map": LayerSymmetry(V, V)}, optax.sgd(0.05)

    @jax.jit
    def step(carry, _):
        params, state, strengths = carry
        penalties = objectives.projection_penalties(TURNS, layers, params)
        loss = lambda p: (  # noqa: E731
            jnp.mean(jnp.sum((x @ p["map"]["kernel"] - x @ truth.T) ** 2, 1))
            + strengths.values @ objectives.projection_penalties(TURNS, layers, p)
        )
        value, gradient = jax.value_and_grad(loss)(params)
        updates, state = optimizer.update(gradient, state)
        strengths = objectives.tune(strengths, penalties, start=20, at=200)
        return (optax.apply_updates(params, updates), state, strengths), (value, strengths.values)

    params = {"map": {"kernel": jnp.zeros((3, 3))}}
    start = (params, optimizer.init(params), objectives.equal_strengths(3, 1.0))
    (params, _, strengths), (values, history) = jax.lax.scan(step, start, length=600)
    assert values[199] > 0.05  # a wrong penalty does not let it fit
    assert values[-1] < 1e-6
    np.testing.assert_array_equal(history[:200], 1)
    np.testing.assert_array_equal(history[201:], np.broadcast_to(history[201], (399, 3)))
    assert strengths.values[2] == 1
    assert (strengths.values[:2] < 1e-5).all()
    np.testing.assert_allclose(params["map"]["kernel"].T, truth, atol=1e-3)


def test_strengths_that_are_zero_stay_and_do_not_count():
    tune = jax.jit(objectives.tune, static_argnames=("start", "at", "power"))
    strengths = objectives.equal_strengths(3)._replace(values=jnp.array([0.0, 1.0, 2.0]))
    for penalties in ([9.0, 9.0, 9.0], [0.0, 2.0, 4.0], [1.0, 3.0, 3.0], [0.0, 0.0, 0.0]):  # warm-up, two, change
        strengths = tune(strengths, jnp.array(penalties), start=1, at=3, power=1.0)
    np.testing.assert_allclose(strengths.values, [0, 1, 2 * 2 / 3])
    np.testing.assert_allclose(strengths.smallest, [0, 2, 3])
    silent = tune(objectives.equal_strengths(3), jnp.zeros(3), start=1, at=3, power=1.0)._replace(step=jnp.array(3))
    np.testing.assert_array_equal(tune(silent, jnp.zeros(3), start=1, at=3, power=1.0).values, 1)


def test_the_penalty_on_a_function(x64):
    """f(x) = W x: the mean over turns of ‖W R x − R W x‖² / 3, on its nodes as on random elements."""
    w, x = (jnp.asarray(np.random.default_rng(k).normal(size=s)) for k, s in ((0, (3, 3)), (1, (3,))))
    symmetry = ej.Symmetry(groups.SO(3), V, V)
    penalty = jax.jit(
        lambda w, key: objectives.equivariance_penalty(lambda x: w @ x, symmetry, (x,), key=key, samples=4000)
    )
    r, weight = groups.SO(3).nodes(75)
    exact = weight @ jnp.mean(((w @ r - r @ w) @ x) ** 2, axis=1)
    np.testing.assert_allclose(penalty(w, jax.random.key(0)), exact, rtol=0.05)
    assert penalty(w, jax.random.key(0)) != penalty(w, jax.random.key(1))
    assert penalty(2.0 * jnp.eye(3), jax.random.key(0)) < 1e-25


def test_ignored_and_untouched_outputs():
    f = lambda x: {"norm": jnp.sum(x**2), "vector": x, "index": jnp.argmax(x)}  # noqa: E731
    outputs = {"norm": None, "vector": V, "index": reps.Ignore()}
    symmetry = ej.Symmetry(groups.SO(3), V, outputs)
    penalty = lambda symmetry: objectives.equivariance_penalty(f, symmetry, (jnp.arange(3.0),), key=jax.random.key(0))  # noqa: E731
    assert penalty(symmetry) < 1e-10
    assert penalty(ej.Symmetry(groups.SO(3), V, outputs | {"vector": None})) > 1e-3
    with pytest.raises(ValueError, match="outputs: nothing to compare"):
        penalty(ej.Symmetry(groups.SO(3), V, reps.Ignore()))


def test_complex_and_boolean_outputs_count():
    symmetry = ej.Symmetry(groups.Octahedral(), V, None)
    penalty = functools.partial(objectives.equivariance_penalty, key=jax.random.key(0), samples=100)
    x = (jnp.array([1.0, 2.0, 3.0]),)
    real = penalty(lambda x: x, symmetry, x)
    np.testing.assert_allclose(penalty(lambda x: 1j * x, symmetry, x), real, rtol=1e-6)
    assert 0 < penalty(lambda x: x > 0, symmetry, x) < 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [({"samples": 0}, ValueError, "samples: .* got 0"), ({"args": jnp.ones(3)}, TypeError, "args: .* tuple")],
)
def test_arguments_of_the_penalty_are_checked(options, error, message):
    options = {"args": (jnp.ones(3),), "key": jax.random.key(0)} | options
    with pytest.raises(error, match=message):
        objectives.equivariance_penalty(jnp.tanh, ej.Symmetry(groups.SO(3), V, V), **options)


def test_a_penalty_that_is_not_a_number_once_does_not_count():
    strengths = objectives.equal_strengths(2)
    for penalties in ([1.0, jnp.nan], [1.0, 2.0], [1.0, 2.0]):
        strengths = objectives.tune(strengths, jnp.array(penalties), start=0, at=2)
    np.testing.assert_allclose(strengths.values, [1, 0.25])


def test_penalty_and_step_keep_dtype_and_structure():
    params = jax.tree.map(lambda x: x.astype(jnp.bfloat16), weights()) | {"empty": {}}
    assert objectives.projection_penalty(groups.SO(3), LAYERS, params).dtype == jnp.bfloat16
    moved = objectives.proximal_step(groups.SO(3), LAYERS, params, 1.0)
    assert jax.tree.structure(moved) == jax.tree.structure(params)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: objectives.projection_penalty(groups.SO(3), {"params/third": LAYERS["params/first"]}, weights()),
            "layers: no dense layer at 'params/third', there are params/first, params/second",
        ),
        (
            lambda: objectives.projection_penalty(groups.SO(3), {"params/second": LAYERS["params/first"]}, weights()),
            r"w: expected shape \(4, 3\)",
        ),
        (lambda: objectives.tune(objectives.equal_strengths(2), jnp.ones(2), start=5, at=5), "start, at: .* 5 and 5"),
        (lambda: objectives.tune(objectives.equal_strengths(2), jnp.ones(3), start=0, at=5), r"penalties: .* \(3,\)"),
        (lambda: objectives.proximal_step(groups.SO(3), LAYERS, weights(), -1.0), "amount: expected a number of at"),
    ],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
