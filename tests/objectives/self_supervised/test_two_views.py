"""Losses of two views: the values of their papers, what they do not see, and what happens without their guards."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from shards import assert_shards_agree

from equijax import objectives

N, D = 8, 8


VICREG = jax.jit(objectives.vicreg)


@pytest.fixture
def z(x64):
    return jax.random.normal(jax.random.key(0), (2, N, D))


def turned(z):
    """Codes after one orthogonal map for all."""
    return z @ jnp.linalg.qr(jax.random.normal(jax.random.key(7), (D, D)))[0]


def whitened(z):
    z = z - z.mean(0)
    return z @ jnp.linalg.inv(jnp.linalg.cholesky(jnp.cov(z.T)).T)


def test_vicreg_is_zero_for_white_codes_that_agree_and_one_for_collapsed_ones(z):
    white = whitened(jax.random.normal(jax.random.key(1), (64, D)))
    loss, terms = VICREG(white, white)
    assert max(loss, *terms.values()) < 1e-20
    loss, terms = VICREG(jnp.ones((64, D)), jnp.ones((64, D)))
    np.testing.assert_allclose([loss, terms["variance"]], [25 * 0.99, 0.99], rtol=1e-12)


def test_terms_of_vicreg_are_those_of_the_paper(z):
    a, b = np.asarray(z)
    c = [np.cov(v.T) for v in (a, b)]
    hinge = [np.maximum(2 - np.sqrt(np.diag(c) + 1e-4), 0).mean() for c in c]
    off = [(np.sum(c**2) - np.sum(np.diag(c) ** 2)) / D for c in c]
    _, terms = objectives.vicreg(*z, spread=2.0)
    wanted = {"invariance": np.mean((a - b) ** 2), "variance": np.mean(hinge), "covariance": np.sum(off)}
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-12), terms, wanted)
    loss, _ = objectives.vicreg(*z, spread=2.0, invariance=2.0, variance=3.0, covariance=4.0)
    np.testing.assert_allclose(loss, 2 * wanted["invariance"] + 3 * wanted["variance"] + 4 * wanted["covariance"])


def test_covariance_with_its_diagonal_is_invariant_to_orthogonal_maps_and_alone_it_is_not(z):
    def whole(z):
        return objectives.covariance_penalty(z) + jnp.sum(jnp.var(z, axis=0, ddof=1) ** 2) / D

    np.testing.assert_allclose(whole(turned(z[0])), whole(z[0]), rtol=1e-12)
    assert abs(objectives.covariance_penalty(turned(z[0])) / objectives.covariance_penalty(z[0]) - 1) > 0.01


@functools.partial(jax.jit, static_argnums=2)
def nt_xent(z, temperature, ours=True):
    """Loss, terms and gradient; those of optax instead."""

    def loss(z):
        if ours:
            return objectives.nt_xent(*z, temperature)
        return optax.losses.ntxent(jnp.concatenate(z), jnp.tile(jnp.arange(N), 2), temperature), {}

    (value, terms), slope = jax.value_and_grad(loss, has_aux=True)(z)
    return value, terms, slope


def test_nt_xent_has_the_values_of_known_codes(x64):
    codes = [np.ones((N, N)), np.eye(N), 3 * (np.eye(N) - 1 / N)]  # collapsed, orthonormal, a simplex
    for temperature in (0.5, 0.07):
        found = [nt_xent(jnp.stack([z, z]), temperature)[0] for z in codes]
        others = (2 * N - 2) * np.exp([0, -1 / temperature, -N / (N - 1) / temperature])
        np.testing.assert_allclose(found, np.log1p(others), rtol=1e-9)


def test_nt_xent_does_not_see_turns_orders_and_lengths(z):
    loss, terms, slope = nt_xent(z, 0.5)
    order = np.random.default_rng(0).permutation(N)
    for other in (turned(z), z[:, order], z[::-1], z * np.arange(1.0, N + 1)[:, None]):
        np.testing.assert_allclose(nt_xent(other, 0.5)[0], loss, rtol=1e-12)
    assert abs(nt_xent(jnp.stack([z[0], z[1, order]]), 0.5)[0] - loss) > 0.01
    u = z / np.linalg.norm(z, axis=-1, keepdims=True)
    np.testing.assert_allclose(terms["positive"], np.mean(np.sum(u[0] * u[1], axis=-1)), rtol=1e-12)
    assert nt_xent(jnp.stack([z[0], z[0]]), 0.5)[1]["accuracy"] == 1 > terms["accuracy"]
    value, _, of_optax = nt_xent(z, 0.5, False)
    np.testing.assert_allclose([loss, *slope.ravel()], [value, *of_optax.ravel()], rtol=1e-9)


def test_nt_xent_has_finite_gradients_where_those_of_optax_are_not(z):
    near = np.eye(N) + 1e-3 * z
    assert np.all(np.isfinite(nt_xent(near, 0.001)[2]))
    assert np.any(np.isnan(nt_xent(near, 0.001, False)[2]))
    assert np.all(np.isfinite(nt_xent(z.at[0, 0].set(0), 0.5)[2]))  # a code of zero


def test_siamese_targets_do_not_learn_and_predictions_do(z):
    @jax.jit
    def loss(p, t):
        return jax.value_and_grad(lambda p, t: objectives.siamese_cosine(*p, *t)[0], argnums=(0, 1))(p, t)

    u = z / np.linalg.norm(z, axis=-1, keepdims=True)
    value, slopes = loss(z, 2 * z)
    np.testing.assert_allclose(value, 1 - np.mean(np.sum(u[0] * u[1], axis=-1)), rtol=1e-12)
    assert np.all(slopes[1] == 0)
    assert np.all(np.any(slopes[0] != 0, axis=(1, 2)))
    assert loss(z, z[::-1])[0] < 1e-12  # view 1 predicts view 2
    # a target that is a moving average: after n steps dⁿ θ̄₀ + (1 − dⁿ) θ
    target, decay = jnp.ones(3), objectives.target_decay(0.5, start=0.8)
    for _ in range(5):
        target = optax.incremental_update(jnp.zeros(3), target, 1 - decay)
    np.testing.assert_allclose(target, 0.9**5, rtol=1e-12)


CODES = [lambda z1, z2, axis: objectives.vicreg(z1, z2, axis_name=axis),
         lambda z1, z2, axis: objectives.nt_xent(z1, z2, axis_name=axis),
         lambda z1, z2, axis: objectives.siamese_cosine(z1, z2, z1[:, ::-1], z2**3, axis_name=axis)]  # fmt: skip


@jax.jit
def both(z1, z2):
    return objectives.vicreg(z1, z2), objectives.nt_xent(z1, z2)


def test_codes_in_bfloat16_have_statistics_in_float32():
    half = jax.random.normal(jax.random.key(0), (2, N, D)).astype(jnp.bfloat16)
    found, wanted = (both(*z) for z in (half, half.astype(jnp.float32)))
    assert all(x.dtype == jnp.float32 for x in jax.tree.leaves(found))
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-6), found, wanted)


def test_predictions_of_any_length_have_a_cosine():
    z = jax.random.normal(jax.random.key(0), (N, D))
    for scale in (1e-14, 1e14):
        loss, slope = jax.value_and_grad(lambda p, t=scale * z: objectives.siamese_cosine(p, p, t, t)[0])(scale * z)
        assert abs(loss) < 1e-6
        assert jnp.isfinite(slope).all()
    huge = 1e20 * z
    np.testing.assert_allclose(objectives.siamese_cosine(huge, huge, -huge, -huge)[0], 2, rtol=1e-6)


def test_losses_on_four_devices_are_those_on_one(z):
    @functools.partial(jax.jit, static_argnums=3)
    def loss(w, x1, x2, axis_name):
        found = [f(jnp.tanh(x1 * w), jnp.tanh(x2 * w), axis_name) for f in CODES]
        return sum(value for value, _ in found), [terms for _, terms in found]

    assert_shards_agree(loss, jnp.linspace(0.5, 1.5, D), tuple(z))
    with pytest.raises(AssertionError):  # statistics of the own rows
        assert_shards_agree(
            lambda w, a, b, _: objectives.vicreg(a * w, b * w)[0], jnp.ones(D), tuple(z), gradient=False
        )


def test_without_variance_codes_collapse(x64):
    """Gradient descent on two noisy views through one matrix: how far the codes are spread in the end."""
    x, *noise = jax.random.normal(jax.random.key(3), (3, 32, D))

    def spread(variance, covariance):
        def loss(w):
            views = [(x + 0.3 * n) @ w for n in noise]
            return objectives.vicreg(*views, invariance=1.0, variance=variance, covariance=covariance)[0]

        w = jax.lax.fori_loop(0, 1500, lambda _, w: w - 0.3 * jax.grad(loss)(w), jnp.eye(D))
        return jnp.mean(jnp.std(x @ w, axis=0))

    guarded, *bare = jax.jit(jax.vmap(spread))(jnp.array([1.0, 0.0, 0.0]), jnp.array([0.04, 0.04, 0.0]))
    assert guarded > 0.5
    assert max(bare) < 0.01  # covariance alone is no guard


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda z: objectives.vicreg(z[:1], z[:1]), "z1: expected at least 2 samples in a batch, got 1"),
        (lambda z: objectives.nt_xent(z[:1], z[:1]), "z1: expected at least 2 samples in a batch, got 1"),
        (lambda z: objectives.vicreg(z, z[:3]), r"z2: expected the shape of z1, \(4, 4\).*got \(3, 4\)"),
        (lambda z: objectives.siamese_cosine(z, z, z, z[:, :2]), r"t2: expected the shape of p1.*got \(4, 2\)"),
        (lambda z: objectives.vicreg(z[0], z[0]), r"z1: expected one sample a row.*got \(4,\)"),
        (lambda z: objectives.nt_xent(z, z, 0.0), "temperature: expected a positive temperature, got 0.0"),
        (lambda z: objectives.target_decay(0.5, start=2.0), "start: expected a decay from 0 to 1, got 2.0"),
    ],
)
def test_what_is_no_pair_of_views_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call(jnp.eye(4))
