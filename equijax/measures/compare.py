"""Do two representations say the same? CKA of the samples they are of, and matrices of the distances between them.

A representational dissimilarity matrix (RDM) has the distance of each pair of samples. `geo_topological` keeps of it
what is neither noise of near pairs nor the exact distance of far ones, `geodesics` the distances along near pairs, and
`rdm_correlation` holds two of them against each other.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float, Int

from equijax import _validate
from equijax.measures.samples import constant, in_single_or_better, rows
from equijax.numerics import AxisName, matmul, norm, unit

METRICS = ("euclidean", "correlation")


def cka(x: ArrayLike, y: ArrayLike, *, debiased: bool = False, axis_name: AxisName = None) -> Float[Array, ""]:
    """Linear CKA of two representations of the same samples, 1 if they are equal up to rotation, scale and translation.

        ‖XᵀY‖² / (‖XᵀX‖ ‖YᵀY‖)   for centered columns.

    It is large for few samples of many features, whatever they are; the debiased one, with the unbiased estimator of
    HSIC in each place, is about zero for independent features, and may be below. NaN, as 0/0, where no feature varies.

    Args:
        x: Shape (samples, features).
        y: Shape (samples, other features).
        debiased: For few samples; four at least.
        axis_name: Mesh axis over which the samples are spread.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If the numbers of samples differ, or are less than 4 for the debiased one.

    References:
        Kornblith et al. 2019, arXiv:1905.00414, section 3; Song et al. 2012, "Feature selection via dependence
        maximization".

    Examples:
        >>> x = jax.random.normal(jax.random.key(0), (20, 30))
        >>> y = jax.random.normal(jax.random.key(1), (20, 30))
        >>> compare = jax.jit(cka, static_argnames="debiased")
        >>> print(compare(x, 3 * x[:, ::-1] + 1).round(3), compare(x, y) > 0.5, abs(compare(x, y, debiased=True)) < 0.2)
        1.0 True True
    """
    x, y = rows(axis_name, x=x, y=y)
    if debiased and len(x) < 4:
        raise ValueError(f"x, y: expected 4 samples at least where debiased, got {len(x)}")
    x, y = (_of_size_one(jnp.where(constant(a), 0, a - a.mean(0))) for a in (x, y))
    hsic = _unbiased if debiased else _squared_product
    return hsic(x, y) / jnp.sqrt(hsic(x, x) * hsic(y, y))


def rdm(x: ArrayLike, metric: str = "euclidean", *, axis_name: AxisName = None) -> Float[Array, "samples samples"]:
    """The distance of each pair of samples, zero from themselves; no isometry changes it.

    Args:
        x: Shape (samples, features).
        metric: "euclidean", or "correlation": 1 − r, which is 1 from a sample whose features are all the same, where
            r is 0/0.
        axis_name: Mesh axis over which the samples are spread.

    Raises:
        TypeError: If `x` does not hold real floating-point numbers.
        ValueError: If its shape is wrong, or the metric is unknown.

    Examples:
        >>> print(rdm(jnp.array([[0.0, 0.0], [3.0, 4.0]])))
        [[0. 5.]
         [5. 0.]]
    """
    if metric not in METRICS:
        raise ValueError(f"metric: expected one of {METRICS}, got {metric!r}")
    (x,) = rows(axis_name, x=x)
    if metric == "correlation":
        x = unit(x - x.mean(1, keepdims=True))[0]
        return jnp.where(jnp.eye(len(x), dtype=bool), 0, 1 - matmul(x, x.T))
    return distances(x, x)


def rdm_correlation(a: ArrayLike, b: ArrayLike) -> Float[Array, "..."]:
    """Pearson's correlation of two matrices (..., n, n) of distances, each pair of samples counted once.

    NaN where all distances are equal, which is 0/0.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If the shapes differ, or there are less than three samples.

    Examples:
        >>> x = jax.random.normal(jax.random.key(0), (6, 3))
        >>> print(rdm_correlation(rdm(x), 1 + 2 * rdm(x)).round(4))
        1.0
    """
    first, second = _square("a", a, 3), _square("b", b, 3)
    if first.shape != second.shape:
        raise ValueError(f"b: expected shape {first.shape}, as a has, got {second.shape}")
    u, v = (pairs - pairs.mean(-1, keepdims=True) for pairs in (_pairs(first), _pairs(second)))
    return jnp.sum(u * v, axis=-1) / jnp.sqrt(jnp.sum(u**2, axis=-1) * jnp.sum(v**2, axis=-1))


def geo_topological(
    rdm: ArrayLike,
    lower: int | float = 0.2,
    upper: int | float = 0.8,
    *,
    rank: bool = True,
    pooled: bool = False,
    sigmoid: tuple[int | float, int | float] | None = None,
) -> Float[Array, "*batch n n"]:
    """Distances between 0, for near pairs that are the same but for noise, and 1, for pairs that are just far apart.

    The distances v of all pairs are replaced by their ranks, ties by the mean rank, and moved to [0, 1]; then

        0 below a,  (v − a)/(b − a) between,  1 above b,    with a and b the quantiles `lower` and `upper` of v,

    or σ(α (v − β)) for `sigmoid=(α, β)`. (0, 1) is rank RSA; lower = upper is a graph of the pairs that are not near, 1
    above the quantile. With ranks no increasing map of the distances changes anything; without, no affine one does.
    Where all distances are equal, 0/0, they become 0.

    Args:
        rdm: Distances (..., n, n), of which the upper triangle is read.
        lower: Quantile below which pairs are the same.
        upper: Quantile above which they are far.
        rank: Whether distances are replaced by their ranks first. (What is thresholded first and ranked then is another
            matrix.)
        pooled: Whether the ranks, the range and the quantiles are of all matrices together, not of each.
        sigmoid: Slope α and center β of the smooth form, such as (10, 0.5), in the place of the quantiles.

    Raises:
        TypeError: If `rdm` does not hold real floating-point numbers.
        ValueError: If its shape is wrong, or not 0 ≤ lower ≤ upper ≤ 1.

    References:
        Lin and Kriegeskorte 2024, "The topology and geometry of neural representations", PNAS 121.

    Examples:
        >>> line = rdm(jnp.array([[0.0], [1.0], [3.0], [7.0]]))  # distances 1, 2, 3, 4, 6, 7
        >>> print(geo_topological(line, 0.0, 1.0)[0], geo_topological(line, 0.5, 0.5)[0])
        [0.  0.  0.4 1. ] [0. 0. 0. 1.]
    """
    d = _square("rdm", rdm, 2)
    if not 0 <= lower <= upper <= 1:
        raise ValueError(f"lower, upper: expected 0 ≤ lower ≤ upper ≤ 1, got {lower} and {upper}")
    pairs = _pairs(d)
    v = pairs.reshape(-1) if pooled else pairs
    if rank:
        v = jax.scipy.stats.rankdata(v, axis=-1).astype(d.dtype)
    low, high = jnp.min(v, axis=-1, keepdims=True), jnp.max(v, axis=-1, keepdims=True)
    v = jnp.where(high > low, (v - low) / jnp.where(high > low, high - low, 1), 0)
    if sigmoid is not None:
        slope, center = sigmoid
        v = jax.nn.sigmoid(slope * (v - center))
    else:
        a, b = jnp.quantile(v, jnp.array([lower, upper], d.dtype), axis=-1, keepdims=True)
        v = jnp.where(b > a, jnp.clip((v - a) / jnp.where(b > a, b - a, 1), 0, 1), v > a)
    return _matrix(v.reshape(pairs.shape), d.shape[-1])


class Geodesics(NamedTuple):
    """Lengths of the shortest paths along near pairs."""

    distances: Float[Array, "*batch n n"]
    """The largest finite one for pairs that no path connects."""
    unreachable: Int[Array, "*batch"]
    """How many pairs no path connects."""


def geodesics(rdm: ArrayLike, quantile: int | float | None = None, *, neighbors: int | None = None) -> Geodesics:
    """Shortest paths over pairs that are near: at most at a quantile of all distances, or among the nearest of either.

    No path is shorter than the distance itself; with all pairs near, paths are the distances, if these are a metric.

    Args:
        rdm: Distances (..., n, n).
        quantile: Pairs up to this quantile of the distances are near.
        neighbors: In its place, so many nearest others of each sample are near; ties too.

    Raises:
        TypeError: If `rdm` does not hold real floating-point numbers.
        ValueError: If its shape is wrong, not one of the two options is given, or it is out of range.

    References:
        Tenenbaum et al. 2000, "A global geometric framework for nonlinear dimensionality reduction"; Floyd 1962,
        "Algorithm 97: shortest path".

    Examples:
        >>> circle = rdm(jnp.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [9.0, 9.0]]))
        >>> near = geodesics(circle, 0.4)  # the sides of a square; the last point is far from all
        >>> print(near.distances[0], near.unreachable)
        [0. 1. 2. 1. 2.] 4
    """
    d = _square("rdm", rdm, 2)
    n = d.shape[-1]
    if (quantile is None) == (neighbors is None):
        raise ValueError("quantile, neighbors: expected one of them")
    if quantile is not None:
        if not 0 <= quantile <= 1:
            raise ValueError(f"quantile: expected a number from 0 to 1, got {quantile}")
        near = d <= jnp.quantile(_pairs(d), quantile, axis=-1)[..., None, None]
    else:
        if _validate.integer("neighbors", neighbors, 1) >= n:
            raise ValueError(f"neighbors: expected at most {n - 1}, the others of each sample, got {neighbors}")
        reach = jnp.sort(jnp.where(jnp.eye(n, dtype=bool), -jnp.inf, d), axis=-1)[..., neighbors]
        near = (d <= reach[..., None]) | (d <= reach[..., None, :])
    paths = jnp.where(jnp.eye(n, dtype=bool), 0, jnp.where(near, d, jnp.inf))

    def through(k, paths):  # Floyd and Warshall: paths whose inner points are up to k
        return jnp.minimum(paths, paths[..., :, k, None] + paths[..., None, k, :])

    paths = jax.lax.fori_loop(0, n, through, paths)
    reached = jnp.isfinite(paths)
    longest = jnp.max(jnp.where(reached, paths, 0), axis=(-2, -1), keepdims=True)
    return Geodesics(jnp.where(reached, paths, longest), jnp.sum(~reached, axis=(-2, -1)) // 2)


def distances(x: Float[Array, "n d"], y: Float[Array, "m d"]) -> Float[Array, "n m"]:
    """‖x_i − y_j‖, from differences, so that near points keep their digits; one y at a time in memory."""
    return jax.lax.map(lambda point: norm(x - point), y).T


def _of_size_one(x):
    size = norm(x, axis=None)
    return x / jnp.where(size > 0, size, jnp.nan)


def _squared_product(x, y):
    """‖XᵀY‖² = tr(XXᵀ YYᵀ), by way of the smaller matrices."""
    if len(x) < max(x.shape[1], y.shape[1]):
        return jnp.sum(matmul(x, x.T) * matmul(y, y.T))
    return jnp.sum(matmul(x.T, y) ** 2)


def _unbiased(x, y):
    """n(n − 3) times the unbiased HSIC of K = XXᵀ and L = YYᵀ without their diagonals, K̃ and L̃.

    tr K̃L̃ + 1ᵀK̃1 1ᵀL̃1 / (n − 1)(n − 2) − 2 1ᵀK̃L̃1 / (n − 2) .
    """
    n = len(x)
    diagonals = [jnp.sum(a**2, axis=1) for a in (x, y)]
    u, v = (matmul(a, a.sum(0)) - diagonal for a, diagonal in zip((x, y), diagonals, strict=True))  # K̃1 and L̃1
    trace = _squared_product(x, y) - jnp.sum(diagonals[0] * diagonals[1])
    return trace + jnp.sum(u) * jnp.sum(v) / ((n - 1) * (n - 2)) - 2 * jnp.sum(u * v) / (n - 2)


def _square(name, d, least):
    d = in_single_or_better(name, d)
    if d.ndim < 2 or d.shape[-1] != d.shape[-2] or d.shape[-1] < least:
        raise ValueError(f"{name}: expected shape (..., n, n) with {least} samples at least, got {d.shape}")
    return d


def _pairs(d):
    """The upper triangle, (..., n(n − 1)/2)."""
    return d[(..., *np.triu_indices(d.shape[-1], 1))]


def _matrix(v, n):
    """The symmetric matrix of an upper triangle."""
    upper = jnp.zeros((*v.shape[:-1], n, n), v.dtype).at[(..., *np.triu_indices(n, 1))].set(v)
    return upper + jnp.swapaxes(upper, -1, -2)
