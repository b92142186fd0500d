"""Objectives over environments: closed forms, what they cannot see, bad rows, and devices."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from shards import assert_shards_agree

from equijax import objectives

RNG = np.random.default_rng(0)
E, N = 3, 24
LABELS = np.arange(N) % E
PREDICTIONS, TARGETS = RNG.normal(size=(2, N, 2))


@functools.partial(jax.jit, static_argnames=("count", "axis_name"))
def both(weight, predictions, targets, environments, axis_name=None, mask=None, count=E):
    """IRM and V-REx of the same rows."""
    predictions = weight * predictions
    losses = jnp.mean((predictions - targets) ** 2, axis=1)
    options = {"count": count, "mask": mask, "axis_name": axis_name}
    irm, terms = objectives.irm_v1(predictions, targets, environments, weight=0.7, **options)
    rex, others = objectives.vrex(losses, environments, weight=0.3, **options)
    return irm + rex, {"irm": terms, "rex": others}


def test_penalties_are_the_closed_forms(x64):
    _, terms = both(1.0, PREDICTIONS, TARGETS, LABELS)
    slopes = [2 * np.mean(PREDICTIONS[e::E] * (PREDICTIONS[e::E] - TARGETS[e::E])) for e in range(E)]
    risks = [np.mean((PREDICTIONS[e::E] - TARGETS[e::E]) ** 2) for e in range(E)]
    np.testing.assert_allclose(terms["irm"]["penalty"], np.mean(np.square(slopes)), rtol=1e-13)
    np.testing.assert_allclose(terms["rex"]["penalty"], np.var(risks), rtol=1e-13)
    np.testing.assert_allclose([terms[k]["risk"] for k in terms], np.mean(risks), rtol=1e-13)
    # another assignment of the rows has another penalty: the environments count
    _, shuffled = both(1.0, PREDICTIONS, TARGETS, np.sort(LABELS))
    assert abs(shuffled["irm"]["penalty"] / terms["irm"]["penalty"] - 1) > 0.01


def test_an_invariant_predictor_has_no_penalty_and_a_spurious_one_has(x64):
    """y = a + noise in all environments; b = s_e y + noise tells y too, in each environment by another slope."""
    rng = np.random.default_rng(1)
    e = np.repeat([0, 1], 20_000)
    a, n, m = rng.normal(size=(3, len(e)))
    y = a + n
    b = np.where(e == 0, 0.5, 2.0) * y + 0.3 * m
    fit = (b @ y / (b @ b)) * b  # the best multiple of b over both
    found = [objectives.irm_v1(x[:, None], y[:, None], e, count=2)[1]["penalty"] for x in (a, fit)]
    assert found[0] < 1e-2
    assert found[1] > 0.1
    assert (
        objectives.vrex((a - y) ** 2, e, count=2)[1]["penalty"] < 1e-2 < objectives.vrex((fit - y) ** 2, e, count=2)[0]
    )


def test_rows_that_are_hidden_do_not_count(x64):
    mask = LABELS != 1
    broken = np.where(mask[:, None], PREDICTIONS, 1e6)
    found = both(1.0, broken, TARGETS, LABELS, mask=mask)[0]
    wanted = both(1.0, PREDICTIONS[mask], TARGETS[mask], LABELS[mask])[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-13)
    # a traced label outside of the environments does not count either
    np.testing.assert_allclose(both(1.0, PREDICTIONS, TARGETS, np.where(mask, LABELS, 7))[0], wanted, rtol=1e-13)
    value, slope = jax.value_and_grad(lambda w: both(w, broken, TARGETS, LABELS, mask=mask & False)[0])(1.0)
    assert value == 0 == slope


@pytest.mark.core
def test_style_codes_of_known_shape(x64):
    """Collapsed codes: log(N − 1). Aligned within, orthogonal between: log(m − 1 + (N − m) e^(−1/τ))."""
    labels, tau = np.arange(12) % 4, 0.3
    run = jax.jit(functools.partial(objectives.style_contrastive, temperature=tau))
    np.testing.assert_allclose(run(np.ones((12, 4)), labels)[0], np.log(11), rtol=1e-13)
    aligned = 3 * np.eye(4)[labels]
    np.testing.assert_allclose(run(aligned, labels)[0], np.log(2 + 9 * np.exp(-1 / tau)), rtol=1e-13)
    assert run(aligned, np.arange(12) // 3)[0] > np.log(11)  # the wrong rows together
    # alone in its environment: it is one of the others only
    loss, terms = run(aligned, np.where(np.arange(12) < 8, labels, 4 + np.arange(12)))  # one pair, and one as near
    np.testing.assert_allclose(loss, np.log(2 + 9 * np.exp(-1 / tau)), rtol=1e-13)
    np.testing.assert_allclose(terms["anchors"], 8 / 12)
    # nothing is shown: no loss, and no slope
    hidden = jax.value_and_grad(lambda z: run(z, labels, mask=np.zeros(12, bool))[0])(aligned)
    assert hidden[0] == 0
    assert not hidden[1].any()


@functools.partial(jax.jit, static_argnames=("linear", "unbiased", "bandwidth"))
def restriction(codes, actions, linear=False, unbiased=True, bandwidth=1.0):
    kernel = (lambda a, b: 1 + a @ b.T) if linear else None
    options = {"kernel": kernel, "unbiased": unbiased, "bandwidth": bandwidth}
    return objectives.linear_invariance(codes, actions, codes, codes, **options)[1]["penalty"]


def test_the_moment_restriction_sees_what_is_not_linear_in_the_actions(x64):
    rng = np.random.default_rng(2)
    a = rng.uniform(-1, 1, (60, 2))
    codes = np.concatenate([a @ rng.normal(size=(2, 3)) + 1, np.sin(3 * a)], axis=1)
    value = restriction(codes, a, unbiased=False)
    assert value > 1e-3
    assert restriction(codes[:, :3], a, unbiased=False) < 1e-28  # linear
    assert abs(restriction(codes, a, linear=True, unbiased=False)) < 1e-15 < value  # by orthogonality
    assert restriction(np.ones((60, 2)), a, unbiased=False) < 1e-28  # constant codes: never without reconstruction
    # orthogonal maps of the codes change nothing, others do
    q = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    np.testing.assert_allclose(restriction(codes @ q, a, unbiased=False), value, rtol=1e-12)
    assert abs(restriction(codes @ np.diag([1, 1, 1, 2, 1]), a, unbiased=False) / value - 1) > 0.1
    # without the diagonal: smaller by E ‖r‖² / n, but for the factor n / (n − 1)
    design = np.column_stack([np.ones(60), a])
    r = codes - design @ np.linalg.lstsq(design, codes, rcond=None)[0]
    k = np.exp(-np.sum((a[:, None] - a) ** 2, axis=-1) / 2)
    np.testing.assert_allclose(value, np.sum(k * (r @ r.T)) / 60**2, rtol=1e-12)
    narrow = restriction(codes, a, unbiased=False, bandwidth=0.5)
    np.testing.assert_allclose(narrow, np.sum(k**4 * (r @ r.T)) / 60**2, rtol=1e-12)
    np.testing.assert_allclose(restriction(codes, a) * 59 / 60 + np.mean(np.sum(r**2, axis=1)) / 60, value, rtol=1e-12)
    # noise that has nothing to do with the actions: with the diagonal too large by E ‖r‖² / n, 0.05 here, by a kernel
    # that sees more than the fit took away; without it too small by as much, by one that does not
    noise = rng.normal(size=(60, 3))
    sharp = [restriction(noise, a, unbiased=unbiased, bandwidth=0.05) for unbiased in (False, True)]
    np.testing.assert_allclose(sharp, [0.05, 0], atol=0.015)
    broad = [restriction(noise, a, unbiased=unbiased) for unbiased in (False, True)]
    np.testing.assert_allclose(broad, [0, -0.05], atol=0.015)
    # an action twice does not make the fit worse
    np.testing.assert_allclose(restriction(codes, a[:, [0, 1, 1]] / [1, 2**0.5, 2**0.5], unbiased=False), value)


def test_the_moment_restriction_of_codes_in_bfloat16_is_in_float32():
    a = jnp.linspace(-1, 1, 40, dtype=jnp.bfloat16)[:, None]
    half = restriction(a**2, a)
    assert half.dtype == jnp.float32
    assert half == restriction((a**2).astype(jnp.float32), a.astype(jnp.float32)) > 0


def test_reconstruction_is_a_part_of_the_loss(x64):
    codes, a = RNG.normal(size=(2, 12, 2))
    loss, terms = objectives.linear_invariance(codes, a, codes, codes + 2, weight=3.0)
    np.testing.assert_allclose(terms["reconstruction"], 4)
    np.testing.assert_allclose(loss, 4 + 3 * terms["penalty"])


def test_four_devices_give_the_loss_of_one(x64):
    def loss(weight, predictions, targets, environments, axis_name):
        a, terms = both(weight, predictions, targets, environments, axis_name)
        tilted = predictions + weight * jnp.tanh(targets)
        b, style = objectives.style_contrastive(tilted, environments, axis_name=axis_name)
        c, rest = objectives.linear_invariance(tilted, targets, tilted, targets, axis_name=axis_name)
        return a + b + c, (terms, style, rest)

    assert_shards_agree(loss, 0.9, (PREDICTIONS, TARGETS, LABELS))


Z = jnp.ones((4, 2))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: objectives.irm_v1(Z, Z, jnp.array([0, 1, 2, 0]), count=2),
            ValueError,
            "environments: .* 0 to 1, got 2",
        ),
        (lambda: objectives.vrex(Z[:, 0], jnp.array([0, -1, 1, 0]), count=2), ValueError, "environments: .* got -1"),
        (lambda: objectives.vrex(Z[:, 0], Z[:, 0], count=2), TypeError, "environments: expected integers"),
        (
            lambda: objectives.vrex(Z[:, 0], jnp.zeros(3, int), count=2),
            ValueError,
            r"environments: .* \(4,\), one a row",
        ),
        (lambda: objectives.vrex(Z[:, 0], jnp.zeros(4, int), count=0), ValueError, "count: .* at least 1"),
        (
            lambda: objectives.style_contrastive(Z, jnp.zeros(3, int)),
            ValueError,
            r"environments: expected shape \(4,\)",
        ),
        (lambda: objectives.style_contrastive(Z[:1], jnp.zeros(1, int)), ValueError, "codes: .* at least 2 samples"),
        (
            lambda: objectives.style_contrastive(Z, jnp.zeros(4, int), temperature=0.0),
            ValueError,
            "temperature: expected a positive",
        ),
        (lambda: objectives.linear_invariance(Z[:3], Z[:3], Z, Z), ValueError, "reconstruction: expected 3 rows"),
        (lambda: objectives.linear_invariance(*4 * [Z[:3]]), ValueError, "codes: .* at least 4 samples"),
        (lambda: objectives.linear_invariance(Z, Z, Z, Z, bandwidth=0.0), ValueError, "bandwidth: expected a positive"),
    ],
)
def test_errors_name_what_is_wrong(call, error, message):
    with pytest.raises(error, match=message):
        call()
