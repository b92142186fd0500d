"""Relative representations: a sample by its similarities to anchors, on which encoders of different axes agree."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int, PRNGKeyArray, PyTree

from equijax import _validate
from equijax.graphs import farthest_points
from equijax.measures.compare import distances
from equijax.measures.samples import in_single_or_better
from equijax.numerics import matmul, unit


def relative(x: ArrayLike, anchors: ArrayLike, kind: str = "cosine") -> Float[Array, "*batch anchors"]:
    """The representation of x by anchors a₁ … a_K of the same space.

    Entry k of each kind, and the maps of the space that do not change it:

    - "cosine": ⟨x, a_k⟩ / ‖x‖ ‖a_k‖; O(d), a common scale, a scale of each sample.
    - "centered": the same after the mean anchor is subtracted; O(d), a common scale, translations.
    - "euclidean": ‖x − a_k‖; O(d), translations.
    - "angular": the angle between x and a_k over π; what does not change the cosine.
    - "inner": ⟨x, a_k⟩ / √d; O(d).
    - "basis": the coefficient c_k of least squares in x ≈ Σ_k c_k a_k; O(d) and scales, and with d independent anchors
      all of GL(d).

    A vector that is zero has cosine 0 and angle ½ with all. Coefficients of more anchors than d are the shortest ones.

    Args:
        x: Shape (..., d).
        anchors: Shape (K, d): what the same encoder makes of fixed inputs.
        kind: Which similarity.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If the shapes do not fit, or the kind is unknown.

    References:
        Moschella et al. 2023, arXiv:2209.15430, eq. 2.

    Examples:
        >>> anchors = jnp.array([[1.0, 0.0], [0.0, 2.0]])
        >>> print(relative(jnp.array([3.0, 4.0]), anchors), relative(jnp.array([3.0, 4.0]), anchors, "basis"))
        [0.6 0.8] [3. 2.]
    """
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {tuple(KINDS)}, got {kind!r}")
    x, a = in_single_or_better("x", x), in_single_or_better("anchors", anchors)
    if a.ndim != 2 or not a.size:
        raise ValueError(f"anchors: expected shape (anchors, features), got {a.shape}")
    _validate.last_axis("x", x, a.shape[1])
    return KINDS[kind](x.reshape(-1, a.shape[1]), a).reshape(*x.shape[:-1], len(a))


def stitch(
    decoder: Callable[..., PyTree], trained: ArrayLike, anchors: ArrayLike, kind: str = "cosine"
) -> Callable[[ArrayLike], PyTree]:
    """A decoder that was trained on relative representations of one encoder, for those of another.

    Both encoders have to embed the same anchor inputs, in the same order.

    Args:
        decoder: Function of relative representations (..., K).
        trained: What the encoder of its training made of the anchor inputs, (K, d).
        anchors: What the other one makes of them, (K, e).
        kind: Of the relative representation that the decoder was trained on.

    Returns:
        The function z ↦ decoder(relative(z, anchors, kind)) of embeddings (..., e) of the other encoder.

    Raises:
        ValueError: If the lists of anchors differ in length, or have no such shapes.

    Examples:
        >>> a = jax.random.normal(jax.random.key(0), (5, 3))
        >>> turned = 2.0 * a[:, ::-1]  # of another encoder
        >>> bool(jnp.allclose(stitch(jnp.sum, a, turned)(turned[:2]), jnp.sum(relative(a[:2], a)), atol=1e-5))
        True
    """
    shapes = [np.shape(a) for a in (trained, anchors)]
    if any(len(shape) != 2 for shape in shapes) or shapes[0][0] != shapes[1][0]:
        raise ValueError(
            "trained, anchors: expected shapes (anchors, features) of the same anchor inputs in the same order, "
            f"got {shapes[0]} and {shapes[1]}"
        )
    return lambda z: decoder(relative(z, anchors, kind))


def choose_anchors(
    x: ArrayLike, count: int, method: str = "uniform", *, key: PRNGKeyArray | None = None
) -> Int[Array, " count"]:
    """Which samples may serve as anchors: indices, no sample twice, for the same inputs in every encoder.

    Args:
        x: Samples (samples, features), as one encoder embeds them.
        count: How many anchors.
        method: "uniform", at random; "farthest", each as far as can be from those before it; or "kmeans", the samples
            nearest to the centers of clusters, found on the host by SciPy from the farthest samples on.
        key: For "uniform".

    Raises:
        TypeError: If `x` does not hold real floating-point numbers, or `key` is no random key.
        ValueError: If `count` is more than the samples, or the method is unknown.

    Examples:
        >>> line = jnp.array([[0.0], [1.0], [5.0], [9.0]])
        >>> choose_anchors(line, 2, "farthest").tolist()
        [3, 0]
    """
    x = in_single_or_better("x", x)
    if x.ndim != 2:
        raise ValueError(f"x: expected shape (samples, features), got {x.shape}")
    if _validate.integer("count", count, 1) > len(x):
        raise ValueError(f"count: expected at most {len(x)}, the samples, got {count}")
    if method == "farthest":
        return farthest_points(x, count).indices
    if method not in ("uniform", "kmeans"):
        raise ValueError(f"method: expected 'uniform', 'farthest' or 'kmeans', got {method!r}")
    if method == "uniform":
        return jax.random.choice(_validate.random_key("key", key), len(x), (count,), replace=False)
    return jnp.asarray(_nearest_to_centers(np.asarray(x, float), np.asarray(farthest_points(x, count).indices)))


def _nearest_to_centers(x, start):
    """Of each center of k-means in turn the nearest sample that is not taken."""
    from scipy.cluster.vq import kmeans2

    centers, _ = kmeans2(x, x[start], minit="matrix")
    chosen = []
    for center in centers:
        away = np.sum((x - center) ** 2, axis=1)
        away[chosen] = np.inf
        chosen.append(int(np.argmin(away)))
    return chosen


def _cosine(x, a):
    return matmul(unit(x)[0], unit(a)[0].T)


def _angular(x, a):
    """2 atan2(‖u − w‖, ‖u + w‖) / π of unit vectors: accurate at small angles, where the arccosine is not."""
    u, w = unit(x)[0], unit(a)[0]
    zero = (jnp.sum(u**2, axis=-1, keepdims=True) == 0) | (jnp.sum(w**2, axis=-1) == 0)
    difference, total = distances(u, w), distances(u, -w)
    return jnp.where(zero, 0.5, 2 / jnp.pi * jnp.arctan2(*(jnp.where(zero, 1, s) for s in (difference, total))))


KINDS: dict[str, Callable[[Array, Array], Array]] = {
    "cosine": _cosine,
    "centered": lambda x, a: _cosine(x - a.mean(0), a - a.mean(0)),
    "euclidean": distances,
    "angular": _angular,
    "inner": lambda x, a: matmul(x, a.T) / a.shape[1] ** 0.5,
    "basis": lambda x, a: matmul(x, jnp.linalg.pinv(a)),
}
"""What each kind of relative representation makes of x (n, d) and anchors (K, d)."""
