"""Contrast of points, flows, what was done to the input, occlusion."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, objectives, reps

RNG = np.random.default_rng(0)
N = 20
TURNS = ej.Symmetry(groups.SO(3), reps.Position(), reps.Vector())
X, FLOW = RNG.normal(size=(2, N, 3))


def descriptor(x):
    """Equivariant vectors of points: to the others, weighted by distance."""
    r = x[:, None] - x
    return jnp.sum(r * jnp.exp(-jnp.sum(r**2, axis=-1, keepdims=True) / 2), axis=1)


@functools.partial(jax.jit, static_argnames="plain")
def infonce(z, moved, g, mask=None, plain=False):
    back = () if plain else (TURNS, g)
    loss = lambda z: objectives.pointwise_infonce(z, moved, *back, temperature=0.05, mask=mask)  # noqa: E731
    (value, terms), slope = jax.value_and_grad(loss, has_aux=True)(z)
    return value, terms["accuracy"], slope


def test_each_of_two_sets_of_features_finds_the_other(x64):
    """The loss is the mean of both directions: which set comes first does not matter."""
    first, second = np.random.default_rng(5).normal(size=(2, 6, 3))
    one, other = (objectives.pointwise_infonce(*pair)[0] for pair in ((first, second), (second, first)))
    np.testing.assert_allclose(one, other, rtol=1e-12)


def test_points_know_themselves_after_a_turn(x64):
    g = groups.SO(3).sample(jax.random.key(0), dtype=jnp.float64)
    z, moved = descriptor(X), descriptor(X @ g.T)
    value, accuracy, _ = infonce(z, moved, g)
    cosines = np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True))
    logits = cosines @ cosines.T / 0.05
    np.testing.assert_allclose(value, np.mean(np.log(np.exp(logits).sum(1)) - np.diag(logits)), rtol=1e-10)
    assert accuracy == 1
    for wrong in (infonce(z, moved, g, plain=True), infonce(z, moved, g.T), infonce(z, moved[::-1], g)):
        assert wrong[0] > 2 * value
        assert wrong[1] < 0.5
    order = RNG.permutation(N)
    np.testing.assert_allclose(infonce(z[order], moved[order], g)[0], value, rtol=1e-12)


def test_points_that_are_hidden_do_not_count(x64):
    g, mask = jnp.eye(3), np.arange(N) < 12
    z, moved = RNG.normal(size=(2, N, 3))
    wanted = infonce(z[:12], moved[:12], g)
    found = infonce(z, moved, g, mask)
    np.testing.assert_allclose(found[:2], wanted[:2], rtol=1e-12)
    np.testing.assert_allclose(found[2], np.pad(wanted[2], ((0, N - 12), (0, 0))), atol=1e-14)
    value, accuracy, slope = infonce(z, moved, g, mask & False)
    assert value == accuracy == 0
    assert not slope.any()


@functools.partial(jax.jit, static_argnames=("plain", "neighbors"))
def consistency(z, later, x, later_x, flow, g=None, masks=(None, None), plain=True, neighbors=1):
    back = () if plain else (TURNS, g)
    loss, terms = objectives.flow_consistency(
        z, later, x, later_x, flow, *back, neighbors=neighbors, mask=masks[0], later_mask=masks[1]
    )
    return loss, terms["distance"]


def test_an_equivariant_descriptor_is_consistent_along_a_rigid_flow(x64):
    """Zero, in whatever order the points come later; not without the flow, nor without the turn."""
    g = groups.SO(3).sample(jax.random.key(0), dtype=jnp.float64)
    order = RNG.permutation(N)
    y = X @ g.T + 0.5
    z, later = descriptor(X), descriptor(y)[order]
    args = (z, later, X, y[order], y - X)
    found = consistency(*args, g, plain=False)
    assert max(found) < 1e-14
    assert consistency(*args)[0] > 0.1  # features that were not taken back
    assert consistency(*args[:4], 0 * X, g, plain=False)[0] > 0.1  # no flow
    lengths = jnp.linalg.norm(z, axis=1, keepdims=True)  # invariant features need no element
    invariant = jnp.concatenate([lengths, lengths**2], axis=1)
    assert consistency(invariant, invariant[order], *args[2:])[0] < 1e-14
    slope = jax.grad(lambda later: consistency(z, later, *args[2:], g, plain=False)[0])(later)
    assert not slope.any()  # the target is a constant


def test_flow_to_several_neighbors_and_masks(x64):
    later_x = jnp.array([[0.0, 0, 0], [1.0, 0, 0], [9.0, 0, 0]])
    later = jnp.array([[1.0, 0.0], [0.0, 1.0], [5.0, 5.0]])
    args = jnp.array([[1.0, 1.0]]), later, jnp.array([[0.0, 0, 0]]), later_x, jnp.array([[0.5, 0, 0]])
    assert consistency(*args, neighbors=2)[0] < 1e-14  # half of each
    np.testing.assert_allclose(consistency(*args)[0], 1 - 0.5**0.5, rtol=1e-12)  # the first of the nearest
    masks = (None, jnp.array([False, False, True]))
    np.testing.assert_allclose(consistency(*args, masks=masks), [0, 8.5], atol=1e-12)
    for masks in ((jnp.array([False]), None), (None, jnp.zeros(3, bool))):
        assert consistency(*args, masks=masks) == (0, 0)


def test_classification_of_transformations(x64):
    first, second = RNG.normal(size=(2, 8, 4))
    labels = objectives.balanced_labels(jax.random.key(0), 8, 4)
    assert (jnp.bincount(labels) == 2).all()
    head = RNG.normal(size=(8, 4))
    run = jax.jit(
        lambda head, labels, mask=None: objectives.transform_classification(
            lambda z: z @ head, first, second, labels, mask=mask
        )
    )
    loss, terms = run(0 * head, labels)
    np.testing.assert_allclose([loss, terms["chance"]], np.log(4), rtol=1e-12)
    logits = np.concatenate([first, second], axis=1) @ head
    each = np.log(np.exp(logits).sum(1)) - logits[np.arange(8), labels]
    np.testing.assert_allclose(run(head, labels)[0], each.mean(), rtol=1e-12)
    np.testing.assert_allclose(run(head, labels)[1]["accuracy"], np.mean(logits.argmax(1) == labels))
    np.testing.assert_allclose(run(head, labels, np.arange(8) < 3)[0], each[:3].mean(), rtol=1e-12)
    outside = jnp.where(jnp.arange(8) < 3, labels, 4)  # traced: not counted
    np.testing.assert_allclose(run(head, outside)[0], each[:3].mean(), rtol=1e-12)
    assert run(head, labels, np.zeros(8, bool))[0] == 0


def test_what_augself_says_of_generated_samples(x64):
    """Identity of the generator: −4 mean(p ω). The best guess is ω (p_r − p_g)/(p_r + p_g)."""
    z, w = RNG.normal(size=(2, 6, 3))
    predict = lambda both: jnp.tanh(both[:, :3] + both[:, 3:])  # noqa: E731
    guess = np.tanh(2 * z)
    loss, terms = objectives.augself_generator(predict, z, z, w)
    np.testing.assert_allclose(loss, -4 * np.mean(guess * w), rtol=1e-12)
    real, _ = objectives.augself(predict, z, z, w)
    np.testing.assert_allclose([real, terms["real"]], np.mean((guess - w) ** 2), rtol=1e-12)
    both, parts = objectives.augself(predict, z, z, w, generated=(z, z, w))
    np.testing.assert_allclose(both, np.mean((guess - w) ** 2) + np.mean((guess + w) ** 2), rtol=1e-12)
    np.testing.assert_allclose(parts["generated"] - parts["real"], -loss, rtol=1e-12)
    # the same input, three times real and once generated: densities ¾ and ¼
    one, w = jnp.ones((4, 1)), 0.8

    def discriminator(p):
        constant = lambda both: jnp.full((len(both), 1), p)  # noqa: E731
        a, b = (
            objectives.augself(constant, one[:n], one[:n], jnp.full((n, 1), s * w))[0] for n, s in ((3, 1), (1, -1))
        )
        return 3 * a + b  # means over samples, weighted by the densities

    best = w * (3 - 1) / (3 + 1)
    assert abs(jax.grad(discriminator)(best)) < 1e-14
    assert abs(jax.grad(discriminator)(w)) > 0.1


def test_features_that_occlusion_does_not_change(x64):
    image = jnp.asarray(RNG.normal(size=(4, 6, 2)))
    encode = lambda x: jnp.sum(x, axis=(0, 1))  # noqa: E731
    run = jax.jit(lambda mask: objectives.occlusion_invariance(encode, image, mask))
    patches = jnp.zeros((2, 3), bool)
    assert run(patches)[0] == 0
    loss, terms = run(patches.at[1, 2].set(True))
    np.testing.assert_allclose(loss, np.mean(np.sum(image[2:, 4:], axis=(0, 1)) ** 2), rtol=1e-12)
    np.testing.assert_allclose(terms["hidden"], 1 / 6)
    loss, terms = run(patches | True)  # everything: the features of zeros
    np.testing.assert_allclose(loss, np.mean(encode(image) ** 2), rtol=1e-12)
    tokens = image.reshape(24, 2)
    loss, _ = objectives.occlusion_invariance(lambda x: x, tokens, jnp.arange(24) == 3, fill=1.0)
    np.testing.assert_allclose(loss, np.sum((tokens[3] - 1) ** 2) / 48, rtol=1e-12)


Z, P, LABELS = jnp.ones((4, 2)), jnp.ones((4, 3)), jnp.zeros(4, int)
classify = functools.partial(objectives.transform_classification, lambda z: z)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: objectives.pointwise_infonce(Z[:1], Z[:1]), ValueError, "features: .* at least 2"),
        (lambda: objectives.pointwise_infonce(Z, Z[:3]), ValueError, r"moved: expected shape \(4, 2\).* got \(3, 2\)"),
        (lambda: objectives.pointwise_infonce(Z, Z, temperature=0.0), ValueError, "temperature: expected a positive"),
        (lambda: objectives.pointwise_infonce(P, P, TURNS), TypeError, "element: expected one"),
        (lambda: objectives.pointwise_infonce(P, P, None, jnp.eye(3)), TypeError, "symmetry: expected one"),
        (lambda: objectives.flow_consistency(Z, Z, P, P, P[:2]), ValueError, r"flow: expected shape \(4, 3\)"),
        (lambda: objectives.flow_consistency(Z, Z, P, P, P, neighbors=5), ValueError, "k: "),
        (lambda: classify(Z, Z, LABELS.at[1].set(4)), ValueError, "labels: expected integers from 0 to 3, got 4"),
        (lambda: classify(Z, Z, LABELS - 1), ValueError, "labels: expected integers from 0 to 3, got -1"),
        (lambda: classify(Z, Z, 1.0 * LABELS), TypeError, "labels: expected integers"),
        (lambda: classify(Z, Z[:3], LABELS), ValueError, "second: expected 4 rows"),
        (lambda: objectives.augself(lambda z: z, Z, Z, P), ValueError, r"parameters: .* \(4, 4\), got \(4, 3\)"),
        (lambda: objectives.occlusion_invariance(lambda x: x, Z, jnp.ones(3, bool)), ValueError, r"mask: .* \(4,\)"),
        (lambda: objectives.occlusion_invariance(lambda x: x, Z, jnp.ones(4)), TypeError, "mask: expected booleans"),
    ],
)
def test_errors_name_the_argument_of_points(call, error, message):
    with pytest.raises(error, match=message):
        call()
