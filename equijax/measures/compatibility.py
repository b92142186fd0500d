"""Are the features of one model found among those of another? Galleries that were embedded by older models."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float

from equijax._validate import integers
from equijax.measures.retrieval import most_similar
from equijax.measures.samples import in_single_or_better
from equijax.numerics import AxisName, global_batch, matmul, unit


def compatibility_matrix(
    queries: ArrayLike,
    labels: ArrayLike,
    gallery: ArrayLike | None = None,
    gallery_labels: ArrayLike | None = None,
    *,
    axis_name: AxisName = None,
) -> Float[Array, "models models"]:
    """C_ij: how often the nearest entry, by cosine, in the gallery of model j is of the class of the query of model i.

    Model i is compatible with an older model j if C_ij > C_jj: its queries do better on the old gallery than those of
    the old model did. Of entries that are equally near, the share of the right class counts.

    Args:
        queries: What each model makes of some samples, (models, samples, features), the oldest model first.
        labels: Their classes, integers (samples,).
        gallery: What each model makes of others, (models, entries, features); by default the queries themselves, of
            which each sample is left out for its own query.
        gallery_labels: The classes of these.
        axis_name: Mesh axis over which samples, and entries, are spread.

    Raises:
        TypeError: If an array does not hold real floating-point numbers, or labels are no integers.
        ValueError: If shapes do not fit, or a gallery comes without labels.

    References:
        Shen et al. 2020, arXiv:2003.11942; Biondi et al. 2024, arXiv:2405.02581.

    Examples:
        >>> old = jnp.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.9, 0.1]])
        >>> new = old.at[3].set(jnp.array([0.1, 1.0]))
        >>> print(compatibility_matrix(jnp.stack([old, new]), jnp.array([0, 0, 1, 1])))
        [[0.5  0.75]
         [0.75 1.  ]]
    """
    q, y = _embedded("queries", queries, "labels", labels, axis_name)
    own = gallery is None
    if own != (gallery_labels is None):
        raise ValueError("gallery, gallery_labels: expected both or none")
    g, z = (q, y) if own else _embedded("gallery", gallery, "gallery_labels", gallery_labels, axis_name)
    if (g.shape[0], g.shape[-1]) != (q.shape[0], q.shape[-1]):
        raise ValueError(
            f"gallery: expected {q.shape[0]} models of {q.shape[-1]} features, as the queries, got shape {g.shape}"
        )
    right = y[:, None] == z
    hidden = jnp.eye(len(y), len(z), dtype=bool) & own

    def accuracy(pair):
        s = jnp.where(hidden, -jnp.inf, matmul(unit(q[pair[0]])[0], unit(g[pair[1]])[0].T))
        best = most_similar(s)
        return jnp.mean(jnp.sum(best & right, axis=1) / jnp.sum(best, axis=1), dtype=s.dtype)

    models = len(q)
    pairs = jnp.stack(jnp.meshgrid(jnp.arange(models), jnp.arange(models), indexing="ij"), axis=-1).reshape(-1, 2)
    return jax.lax.map(accuracy, pairs).reshape(models, models)


def average_compatibility(matrix: ArrayLike) -> Float[Array, ""]:
    """The share of pairs of a newer model i and an older one j that are compatible, C_ij > C_jj.

    Raises:
        TypeError: If the matrix does not hold real floating-point numbers.
        ValueError: If it is not square, or of one model.

    References:
        Biondi et al. 2024, arXiv:2405.02581.

    Examples:
        >>> print(average_compatibility(jnp.array([[0.5, 0.5], [0.75, 1.0]])))
        1.0
    """
    c = in_single_or_better("matrix", matrix)
    if c.ndim != 2 or c.shape[0] != c.shape[1] or len(c) < 2:
        raise ValueError(f"matrix: expected shape (models, models) of two models at least, got {c.shape}")
    newer = jnp.tril(jnp.ones(c.shape, bool), -1)
    return jnp.sum(jnp.where(newer, c > jnp.diagonal(c), False)) / jnp.sum(newer)


def _embedded(name, features, of_labels, labels, axis_name):
    """Features (models, rows, features) and labels (rows,) of all devices."""
    x, y = in_single_or_better(name, features), integers(of_labels, labels)
    if x.ndim != 3 or y.shape != x.shape[1:2] or not x.size:
        raise ValueError(
            f"{name}, {of_labels}: expected shapes (models, rows, features) and (rows,), got {x.shape} and {y.shape}"
        )
    return jnp.swapaxes(global_batch(jnp.swapaxes(x, 0, 1), axis_name), 0, 1), global_batch(y, axis_name)
