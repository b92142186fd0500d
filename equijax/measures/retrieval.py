"""Retrieval: does a predicted embedding find that of the right view among many?"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from equijax import _validate
from equijax.groups import SO
from equijax.groups.base import check_element
from equijax.measures.samples import in_single_or_better
from equijax.numerics import AxisName, global_batch, unit

ROUNDING = 32  # cosines that differ by less than so many roundings are equal


class Retrieval(NamedTuple):
    """How early the right one comes."""

    mrr: Float[Array, ""]
    """Mean reciprocal rank."""
    hits: Float[Array, " ks"]
    """For each k the share of queries where the right one is among the first k."""
    ranks: Float[Array, "*objects queries"]
    """The rank of the right one, from 1; the mean rank where several are equally similar."""


def retrieval(
    prediction: ArrayLike,
    gallery: ArrayLike,
    target: ArrayLike | None = None,
    *,
    hits: tuple[int, ...] = (1, 5),
    axis_name: AxisName = None,
) -> Retrieval:
    """Rank of the right entry of a gallery, ordered by the cosine with a prediction: MRR and hits at k.

        rank = 1 + #{j : s_j > s_t} + ½ #{j ≠ t : s_j = s_t} ,   s_j = cos(prediction, gallery_j) ,

    so that embeddings that have collapsed to one score what a coin scores, not 1. Cosines that differ by rounding are
    equal.

    Args:
        prediction: Shape (..., queries, features), such as the views of each object as a predictor tells them from one.
        gallery: Shape (..., entries, features), with the same leading axes.
        target: Which entry is right, (..., queries); by default entry k for query k.
        hits: The numbers k.
        axis_name: Mesh axis over which the first axis of all arrays is spread. Targets count entries of all devices.

    Raises:
        TypeError: If an array does not hold real floating-point numbers, or a target is no integer.
        ValueError: If shapes do not fit, a k is not positive, or a known target is not one of the entries.

    References:
        Devillers and Lefort 2023, arXiv:2211.01244; Garrido et al. 2023, arXiv:2302.10283.

    Examples:
        >>> gallery = jnp.eye(4)
        >>> found = retrieval(gallery.at[3].set(gallery[0]), gallery, hits=(1, 3))  # the last finds another first
        >>> print(found.ranks, found.hits)
        [1. 1. 1. 3.] [0.75 1.  ]
        >>> collapsed = retrieval(jnp.ones((4, 4)), jnp.ones((4, 4)))
        >>> print(collapsed.ranks, collapsed.hits)
        [2.5 2.5 2.5 2.5] [0. 1.]
    """
    p, g = (
        global_batch(in_single_or_better(*a), axis_name) for a in (("prediction", prediction), ("gallery", gallery))
    )
    if min(p.ndim, g.ndim) < 2 or p.shape[:-2] != g.shape[:-2] or p.shape[-1] != g.shape[-1] or not (p.size and g.size):
        raise ValueError(
            "prediction, gallery: expected shapes (..., queries, features) and (..., entries, features), "
            f"got {p.shape} and {g.shape}"
        )
    entries = g.shape[-2]
    t = _targets(target, p.shape[:-1], entries, axis_name)
    ks = [_validate.integer("hits", k, 1) for k in hits]
    s = _cosines(p, g)
    right = jnp.take_along_axis(s, t[..., None], axis=-1)
    equal = jnp.abs(s - right) <= ROUNDING * jnp.finfo(s.dtype).eps
    better = jnp.sum((s > right) & ~equal, axis=-1)
    ranks = (1 + better + (jnp.sum(equal, axis=-1) - 1) / 2).astype(s.dtype)
    return Retrieval(jnp.mean(1 / ranks), jnp.stack([jnp.mean(ranks <= k, dtype=s.dtype) for k in ks]), ranks)


class Chance(NamedTuple):
    """What a random order scores."""

    mrr: float
    hits: tuple[float, ...]


def retrieval_chance(entries: int, hits: tuple[int, ...] = (1, 5)) -> Chance:
    """MRR and hits at k of a random order: H_n / n, with the harmonic number H_n, and k / n.

    Raises:
        TypeError: If `entries` is no integer.
        ValueError: If it is not positive.

    Examples:
        >>> chance = retrieval_chance(50)
        >>> print(round(chance.mrr, 5), chance.hits)
        0.08998 (0.02, 0.1)
    """
    n = _validate.integer("entries", entries, 1)
    return Chance(float(np.mean(1 / np.arange(1, n + 1))), tuple(min(k / n, 1.0) for k in hits))


def prediction_retrieval_error(
    prediction: ArrayLike, gallery: ArrayLike, rotations: ArrayLike, target: ArrayLike, *, axis_name: AxisName = None
) -> Float[Array, ""]:
    """PRE: 1 − ⟨q, q̂⟩² = sin²(θ/2) between the right rotation and that of the most similar entry, on average.

    Zero if entries with the right rotation are found; ¾ by chance if rotations are evenly distributed. Of entries that
    are equally similar the mean counts.

    Args:
        prediction: Shape (queries, features).
        gallery: Shape (entries, features), as large as can be: all views of all objects.
        rotations: Of the entries, (entries, 3, 3).
        target: The right ones, (queries, 3, 3).
        axis_name: Mesh axis over which the first axis of all arrays is spread.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If shapes do not fit, or a matrix is no rotation.

    References:
        Garrido et al. 2023, arXiv:2302.10283.

    Examples:
        >>> turns = jnp.stack([jnp.eye(3), jnp.diag(jnp.array([1.0, -1, -1]))])
        >>> print(prediction_retrieval_error(jnp.eye(2), jnp.eye(2), turns, turns))
        0.0
        >>> print(prediction_retrieval_error(jnp.ones((2, 2)), jnp.eye(2), turns, turns))
        0.5
    """
    arrays = {"prediction": prediction, "gallery": gallery, "rotations": rotations, "target": target}
    p, g, r, t = (global_batch(in_single_or_better(name, a), axis_name) for name, a in arrays.items())
    if p.ndim != 2 or g.ndim != 2 or p.shape[1] != g.shape[1] or not (p.size and g.size):
        raise ValueError(
            "prediction, gallery: expected shapes (queries, features) and (entries, features), "
            f"got {p.shape} and {g.shape}"
        )
    for name, a, rows in (("rotations", r, len(g)), ("target", t, len(p))):
        if a.shape != (rows, 3, 3):
            raise ValueError(f"{name}: expected shape ({rows}, 3, 3), got {a.shape}")
        check_element(SO(3), a, name)
    s = _cosines(p, g)
    best = most_similar(s)
    found = jnp.einsum("qn,nij->qij", best / jnp.sum(best, axis=-1, keepdims=True), r, precision="highest")
    return jnp.mean(3 - jnp.sum(found * t, axis=(-2, -1))) / 4  # tr RᵀR̂ = 1 + 2 cos θ = 3 − 4 sin²(θ/2)


def most_similar(s: Float[Array, "*batch entries"]) -> Bool[Array, "*batch entries"]:
    """Which entries are as similar as the most similar one, but for rounding."""
    return s >= jnp.max(s, axis=-1, keepdims=True) - ROUNDING * jnp.finfo(s.dtype).eps


def _cosines(p, g):
    return jnp.einsum("...qf,...nf->...qn", unit(p)[0], unit(g)[0], precision="highest")


def _targets(target, shape, entries, axis_name):
    """Which entry is right for each query."""
    if target is None:
        if shape[-1] != entries:
            raise ValueError(
                f"target: expected one for each of {shape[-1]} queries, whose gallery has {entries} entries"
            )
        return jnp.broadcast_to(jnp.arange(entries), shape)
    t = global_batch(_validate.integers("target", target), axis_name)
    if t.shape != shape:
        raise ValueError(f"target: expected shape {shape}, one for each query, got {t.shape}")
    if not isinstance(t, jax.core.Tracer) and bool(jnp.any((t < 0) | (t >= entries))):
        raise ValueError(f"target: expected entries of the gallery, from 0 to {entries - 1}")
    return t
