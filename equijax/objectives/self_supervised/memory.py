"""Positives from other samples: a bank of features with pseudo-labels by k-means, and the contrast against it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from equijax._validate import integer, positive, random_key
from equijax.numerics import AxisName, global_batch, matmul, unit
from equijax.objectives.self_supervised.pairs import rows as held_rows
from equijax.objectives.self_supervised.positives import draw_pairs


class MemoryBank(NamedTuple):
    """A feature of each sample of the data, and the cluster that it is in; a pytree, to be carried through training."""

    codes: Float[Array, "samples features"]
    """Features of norm 1, moving averages."""
    labels: Int[Array, " samples"]
    """The cluster of each, by the nearest center."""
    centers: Float[Array, "clusters features"]
    """Of norm 1."""


def memory_bank(key: PRNGKeyArray, features: ArrayLike, clusters: int) -> MemoryBank:
    """A bank of these features, whose centers are some of them.

    Raises:
        ValueError: If there are more clusters than samples, or none.
    """
    features = held_rows("features", features)
    if integer("clusters", clusters, 1) > len(features):
        raise ValueError(f"clusters: expected at most {len(features)}, the number of samples, got {clusters}")
    features, _ = unit(features)
    centers = jax.random.choice(random_key("key", key), features, (clusters,), replace=False)
    return MemoryBank(features, _nearest(features, centers), centers)


def update_bank(
    bank: MemoryBank,
    rows: ArrayLike,
    features: ArrayLike,
    *,
    momentum: float = 0.5,
    axis_name: AxisName = None,
) -> MemoryBank:
    """The bank after a batch: moving averages of its features, their nearest centers, then centers that are the means.

    A center without samples stays where it is. Online k-means: call it after every step.

    Args:
        bank: The bank, the same on all devices.
        rows: Which samples the batch is of, none twice.
        features: Theirs, of any length.
        momentum: What is kept of the old features.
        axis_name: The mesh axis over which the batch is split, if it is.

    References:
        Zhan et al. 2020, arXiv:2006.10645 (online deep clustering).

    Examples:
        >>> bank = memory_bank(jax.random.key(0), jnp.eye(2), 2)
        >>> update_bank(bank, jnp.array([0]), jnp.array([[0.0, 3.0]]), momentum=0.0).codes.tolist()
        [[0.0, 1.0], [0.0, 1.0]]
    """
    rows = global_batch(jnp.asarray(rows), axis_name)
    features = jax.lax.stop_gradient(held_rows("features", features, axis_name))
    new, _ = unit(momentum * bank.codes[rows] + (1 - momentum) * unit(features)[0])
    every = bank.codes.at[rows].set(new)
    labels = bank.labels.at[rows].set(_nearest(new, bank.centers))
    sums = jax.ops.segment_sum(every, labels, len(bank.centers))
    means, used = unit(sums)
    return MemoryBank(every, labels, jnp.where(used > 0, means, bank.centers))


def inter_image(
    queries: ArrayLike,
    keys: ArrayLike,
    rows: ArrayLike,
    bank: MemoryBank,
    *,
    key: PRNGKeyArray,
    negatives: int = 16_384,
    nearest: int = 128_000,
    temperature: float | Array = 0.1,
    margin: ArrayLike = -0.5,
    share: ArrayLike = 0.25,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """(1 − share) · intra + share · inter, each the mean of −log( e^{(p − m)/τ} / (e^{(p − m)/τ} + Σ_k e^{n_k/τ}) ).

    p is the cosine with the positive, n_k those with negatives. Intra: the other view of the same image, without a
    margin, and negatives at random from the bank. Inter: another image of the same cluster, with the margin m, and
    negatives at random from the `nearest` ones of other clusters, hard but not the hardest. An image that is alone in
    its cluster has its other view for a positive. A negative margin makes the boundary less strict.

    Args:
        queries: Features of the images.
        keys: Of their other views, by the moving average of the encoder; constants.
        rows: Which samples of the bank they are.
        bank: The bank, whose features are constants.
        key: For the draws. On several devices each takes its own, and the losses are averaged.
        negatives: How many, at most `nearest`.
        nearest: Out of how many, at most the size of the bank; negatives that are not there do not count.
        temperature: τ > 0.
        margin: m.
        share: Of the inter-image loss.

    Returns:
        The loss, and its terms "intra" and "inter".

    Raises:
        ValueError: If the temperature is not positive, the bank has one sample, or arrays do not fit.

    References:
        Xie et al. 2022, arXiv:2008.11702.

    Examples:
        >>> bank = memory_bank(jax.random.key(0), jax.random.normal(jax.random.key(1), (50, 8)), 5)
        >>> z = bank.codes[:4]
        >>> loss, terms = inter_image(z, z, jnp.arange(4), bank, key=jax.random.key(2), negatives=10, nearest=20)
        >>> sorted(terms)
        ['inter', 'intra']
    """
    positive("temperature", temperature)
    size = len(held_rows("bank", bank.codes, least=2))
    queries, keys, rows = held_rows("queries", queries), held_rows("keys", keys), jnp.asarray(rows)
    for name, x in {"keys": keys.shape, "rows": (*rows.shape, queries.shape[1])}.items():
        if x != queries.shape:
            raise ValueError(f"{name}: expected as many as there are queries, {len(queries)}, got {x[0]}")
    nearest = min(integer("nearest", nearest, 1), size)
    negatives = min(integer("negatives", negatives, 1), nearest)
    choose, hard, uniform = jax.random.split(random_key("key", key), 3)

    queries, keys = unit(queries)[0], jax.lax.stop_gradient(unit(keys)[0])
    similar = matmul(queries, jax.lax.stop_gradient(bank.codes).T)  # (batch, samples)
    own = jnp.arange(size) == rows[:, None]
    alike = bank.labels == bank.labels[rows][:, None]
    view = jnp.sum(queries * keys, axis=1)

    column, found = draw_pairs(choose, alike & ~own)
    partner = jnp.where(found, jnp.take_along_axis(similar, column[:, None], 1)[:, 0], view)
    # of the nearest ones of other clusters some, those whose random numbers are largest
    others = jnp.where(alike, -jnp.inf, similar)
    _, near = jax.lax.top_k(others, nearest)
    there = ~jnp.take_along_axis(alike, near, 1)
    _, drawn = jax.lax.top_k(jnp.where(there, jax.random.uniform(hard, near.shape), -1), negatives)
    semi_hard = jnp.take_along_axis(others, jnp.take_along_axis(near, drawn, 1), 1)
    # of all but itself
    _, drawn = jax.lax.top_k(jnp.where(own, -1, jax.random.uniform(uniform, own.shape)), min(negatives, size - 1))
    intra = _nce(view, jnp.take_along_axis(similar, drawn, 1), temperature, 0.0)
    inter = _nce(partner, semi_hard, temperature, margin)
    return (1 - share) * intra + share * inter, {"intra": intra, "inter": inter}


def _nce(positives, negatives, temperature, margin):
    """Mean of −log of the share of the positive; a negative of −∞ does not count."""
    logits = jnp.concatenate([positives[:, None] - margin, negatives], axis=1) / temperature
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - logits[:, 0])


def _nearest(features, centers):
    return jnp.argmax(matmul(features, centers.T), axis=1)
