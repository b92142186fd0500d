"""Positives beyond two views: closures of edges, and a bank of features with clusters."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from shards import assert_shards_agree

from equijax import objectives
from equijax.objectives import MemoryBank

N = 6


def edges(*pairs):
    return jnp.zeros((N, N), bool).at[tuple(zip(*pairs, strict=True))].set(True)


def test_a_path_makes_a_pair():
    close = jax.jit(objectives.transitive_pairs)
    pairs = close(edges((0, 1), (2, 3)), edges((0, 2)))
    assert pairs[1, 3]
    assert not pairs[1, 4]
    np.testing.assert_array_equal(pairs, pairs.T)
    assert not jnp.diagonal(pairs).any()
    assert not close(edges((0, 1), (2, 3)), edges((4, 5)))[1, 3]  # without the edge between the things
    # the longest path there is
    assert close(edges((0, 1), (2, 3), (4, 5)), edges((1, 2), (3, 4))).sum() == N * (N - 1)


def test_drawn_pairs_are_pairs_all_as_likely():
    pairs = edges((0, 1), (0, 3), (0, 4), (2, 5))
    column, found = jax.vmap(lambda key: objectives.draw_pairs(key, pairs))(jax.random.split(jax.random.key(0), 3000))
    np.testing.assert_array_equal(found[0], [True, False, True, False, False, False])
    assert (column[:, 2] == 5).all()
    np.testing.assert_allclose(np.bincount(column[:, 0], minlength=N) / 3000, [0, 1 / 3, 0, 1 / 3, 1 / 3, 0], atol=0.04)


CENTERS = np.eye(8)[:3]


def bank_of(labels, noise=0.0):
    rng = np.random.default_rng(0)
    features = CENTERS[labels] + noise * rng.normal(size=(len(labels), 8))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    return MemoryBank(jnp.asarray(features), jnp.asarray(labels), jnp.asarray(CENTERS))


@functools.partial(jax.jit, static_argnames=("negatives", "nearest"))
def inter_image(bank, rows, margin, negatives=12, nearest=12):
    z = bank.codes[rows]
    return objectives.inter_image(
        3 * z, 2 * z, rows, bank, key=jax.random.key(0), negatives=negatives, nearest=nearest, margin=margin,
        temperature=0.2,
    )  # fmt: skip


def test_inter_image_of_clusters_of_known_shape(x64):
    """Positives of cosine 1, the twelve of other clusters of cosine 0: log(1 + 12 e^((m − 1)/τ)) with a margin m."""
    bank, rows = bank_of(np.arange(18) % 3), jnp.arange(6)
    for margin in (0.0, -0.5):  # without a margin it is InfoNCE
        loss, terms = inter_image(bank, rows, margin)
        np.testing.assert_allclose(terms["inter"], np.log(1 + 12 * np.exp((margin - 1) / 0.2)), rtol=1e-12)
        np.testing.assert_allclose(loss, 0.75 * terms["intra"] + 0.25 * terms["inter"], rtol=1e-12)
    # the hardest of other clusters: more of them than there are do not count
    np.testing.assert_allclose(
        inter_image(bank, rows, 0.0, 18, 18)[1]["inter"], np.log(1 + 12 * np.exp(-5)), rtol=1e-12
    )
    # wrong clusters: the positives are far, and the alike ones are negatives
    assert inter_image(bank._replace(labels=jnp.arange(18) // 6), rows, 0.0)[1]["inter"] > 2
    # each alone in its cluster: the other view is the positive
    alone = bank._replace(labels=jnp.arange(18))
    assert inter_image(alone, rows, 0.0, 18, 18)[1]["inter"] < np.log(1 + 17)


def test_negatives_are_drawn_from_the_nearest(x64):
    """Two clusters of one's own, one near and one far: with few to choose from only the near one is taken."""
    labels = np.repeat([0, 1, 2], 6)
    features = np.stack([np.eye(8)[0], 0.8 * np.eye(8)[0] + 0.6 * np.eye(8)[1], np.eye(8)[2]])[labels]
    bank, rows = MemoryBank(*map(jnp.asarray, (features, labels, CENTERS))), jnp.arange(2)
    near = inter_image(bank, rows, 0.0, 4, 6)[1]["inter"]
    np.testing.assert_allclose(near, np.log(1 + 4 * np.exp(-0.2 / 0.2)), rtol=1e-12)
    far = np.log(1 + 6 * np.exp(-1) + 6 * np.exp(-5))
    np.testing.assert_allclose(inter_image(bank, rows, 0.0, 12, 12)[1]["inter"], far, rtol=1e-12)


def test_the_bank_follows_the_features(x64):
    """Online k-means finds three clusters from centers that are some of the samples; features stay of norm one."""
    truth = np.arange(60) % 3
    clear = bank_of(truth, noise=0.15)
    start = objectives.memory_bank(jax.random.key(3), clear.codes, 3)
    start = start._replace(centers=clear.codes[jnp.array([0, 1, 2])])
    update = jax.jit(objectives.update_bank)
    bank = start
    for rows in (jnp.arange(30), jnp.arange(30, 60)) * 2:
        bank = update(bank, rows, 5 * clear.codes[rows])
    np.testing.assert_array_equal(bank.labels, truth)
    np.testing.assert_allclose(jnp.linalg.norm(bank.codes, axis=1), 1, rtol=1e-12)
    assert jnp.min(jnp.sum(bank.centers * CENTERS, axis=1)) > 0.98
    # an average: half of the old feature, half of the new one
    moved = update(bank, jnp.array([0]), jnp.asarray(CENTERS[1:2]))
    wanted = bank.codes[0] + CENTERS[1]
    np.testing.assert_allclose(moved.codes[0], wanted / np.linalg.norm(wanted), rtol=1e-12)
    # a cluster that nobody is in keeps its center
    empty = update(bank._replace(labels=jnp.zeros(60, int)), jnp.array([0]), clear.codes[:1])
    np.testing.assert_array_equal(empty.centers[1:], bank.centers[1:])


def test_four_devices_share_the_bank_and_the_pairs(x64):
    bank = bank_of(np.arange(16) % 3, noise=0.5)
    rows, z = np.arange(8), np.random.default_rng(1).normal(size=(8, 8))

    def update(scale, rows, features, axis_name):
        return objectives.update_bank(bank, rows, scale * features, axis_name=axis_name)

    assert_shards_agree(update, 1.0, (rows, z), gradient=False)

    def contrast(scale, codes, mask, pairs, axis_name):
        return objectives.pair_contrastive(codes + scale * jnp.sin(codes), pairs, mask=mask, axis_name=axis_name)

    pairs = np.arange(8)[:, None] % 3 == np.arange(8) % 3
    assert_shards_agree(contrast, 0.5, (z, rows != 4, pairs))


Z, ROWS, KEY = jnp.ones((2, 8)), jnp.arange(2), jax.random.key(0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: objectives.transitive_pairs(edges((0, 1)), edges((0, 1))[:3]), r"similar: .* \(6, 6\), got \(3, 6\)"),
        (
            lambda: objectives.pair_contrastive(Z, jnp.ones((2, 3), bool)),
            r"pairs: expected shape \(2, 2\), got \(2, 3\)",
        ),
        (lambda: objectives.pair_contrastive(Z[:1], jnp.ones((1, 1), bool)), "codes: .* at least 2 samples"),
        (
            lambda: objectives.pair_contrastive(Z, jnp.ones((2, 2), bool), temperature=0.0),
            "temperature: expected a pos",
        ),
        (lambda: objectives.memory_bank(KEY, Z, 3), "clusters: expected at most 2"),
        (lambda: inter_image_of(temperature=0.0), "temperature: expected a positive"),
        (lambda: inter_image_of(keys=Z[:1]), "keys: expected as many as there are queries, 2, got 1"),
        (lambda: inter_image_of(rows=ROWS[:1]), "rows: expected as many as there are queries, 2, got 1"),
        (lambda: inter_image_of(bank=bank_of(np.zeros(1, int))), "bank: .* at least 2 samples"),
    ],
)
def test_errors_of_positives(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def inter_image_of(keys=Z, rows=ROWS, bank=None, **options):
    bank = bank or bank_of(np.arange(4) % 3)
    return objectives.inter_image(Z, keys, rows, bank, key=KEY, **options)
