"""PaRot: exact by construction, approximate as published, and blind to padding, order and duplicates."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, reps
from equijax.models import PaRot, parot

N = 24
RNG = np.random.default_rng(0)
X = jnp.asarray(RNG.normal(size=(N, 3)) * [1, 2, 3], jnp.float32)
CLASSES, POINTS = (PaRot(3, s, centers=6, patch=6, sparse=5, neighbors=4, features=8) for s in (False, True))
SIAMESE = CLASSES.clone(exact=False)


@functools.cache
def parameters(module):
    """Normal numbers in the shapes of the parameters: to compile those of the start would take seconds."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), X)
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape) * 0.4, a.dtype), shapes)


@functools.partial(jax.jit, static_argnums=0)
def applied(module, params, x, mask=None):
    return module.apply(params, x, mask)


@pytest.mark.parametrize(
    ("module", "group", "inputs", "outputs"),
    [
        (CLASSES, groups.SE(3), reps.Position(), None),
        (
            POINTS,
            groups.Product(groups.SE(3), groups.Permutation(N)),
            reps.Product(reps.Position(), reps.Permutation(-2)),
            reps.Product(None, reps.Permutation(-2)),
        ),
    ],
    ids=["classes", "points"],
)
def test_exact_by_construction(module, group, inputs, outputs):
    symmetry = ej.Symmetry(group, (None, inputs), outputs)
    report = ej.check(functools.partial(applied, module), symmetry, (parameters(module), X), samples=2)
    report.assert_exact()
    assert np.ptp(applied(module, parameters(module), X)) > 0.01


def test_the_published_variant_is_not_exact_without_training_and_exact_ones_see_reflections():
    symmetry = ej.Symmetry(groups.E(3), (None, reps.Position()), None)
    errors = {}
    for module in (CLASSES, SIAMESE):
        f = functools.partial(applied, module)
        errors[module.exact] = ej.check(f, symmetry, (parameters(module), X), samples=2).by_part
    assert errors[True]["rotation"] < 1e-12
    assert errors[True]["reflection"] > 1e-6  # u × v is no vector of O(3)
    assert errors[False]["rotation"] > 1e-6
    assert errors[False]["translation"] < 1e-12


def test_the_siamese_terms_are_zero_for_exact_poses_only():
    R = groups.SO(3).sample(jax.random.key(1))

    def poses(module, x):
        return module.apply(parameters(module), x, mutable=["intermediates"])[1]["intermediates"]

    for module in (CLASSES, SIAMESE):
        first, second = jax.jit(lambda x, m=module: (poses(m, x), poses(m, x @ R.T)))(X)
        for kind in ("near_poses", "sparse_poses"):
            terms = parot.siamese(first[kind][0], second[kind][0], R)
            assert all((v < 1e-9) == module.exact for v in terms.values()), terms
    # a direction that is off by a quarter turn about z: (x, y) - (-y, x), mean over six numbers
    still = parot.Poses(jnp.zeros((1, 1)), jnp.eye(3)[None], jnp.ones(1))
    quarter = jnp.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert float(parot.siamese(still, still, quarter)["direction"]) == pytest.approx(4 / 6)


def test_padding_duplicates_and_few_points():
    params, f = parameters(POINTS), functools.partial(applied, POINTS)
    padded = jnp.concatenate([X, jnp.full((3, 3), jnp.nan)])
    found = f(params, padded, np.arange(N + 3) < N)
    np.testing.assert_allclose(found[:N], f(params, X), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found[N:], 0)
    loss = jax.jit(jax.grad(lambda params, x: jnp.sum(POINTS.apply(params, x) ** 2), (0, 1)))
    for x in (X.at[1:8].set(X[0]), jnp.zeros_like(X)):
        assert all(np.isfinite(g).all() for g in jax.tree.leaves(loss(params, x)))


def test_bad_input_is_named():
    cases = {
        r"points: expected shape \(n, 3\), got \(2, 24, 3\); use jax.vmap": (CLASSES, X[None].repeat(2, 0)),
        r"points: expected shape \(n, 3\), got \(24, 2\)": (CLASSES, X[:, :2]),
        "centers: expected at most 4, the number of points, got 6": (CLASSES, X[:4]),
        "patch: expected at most 24, the number of points, got 25": (CLASSES.clone(patch=25), X),
        "patch: expected an integer of at least 3": (CLASSES.clone(patch=2), X),
        "neighbors: expected at most 6": (CLASSES.clone(neighbors=9), X),
    }
    for message, (module, x) in cases.items():
        with pytest.raises(ValueError, match=message):
            jax.eval_shape(module.init, jax.random.key(0), x)
    with pytest.raises(TypeError, match="points: expected real floating-point"):
        jax.eval_shape(CLASSES.init, jax.random.key(0), jnp.ones((N, 3), int))
