"""What can be read off features: linear probes, R² in each of its meanings, and rotations.

Papers mean different numbers by R². Centered, the errors are held against the variance of each output. Pooled, they are
held against the deviations from one mean over samples and outputs, so that the best constant scores the floor f₀, not
zero: 0.228 on relative quaternions of views turned by up to ±π/2. One follows from the other:

    1 − pooled = (1 − f₀)(1 − centered) .
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float, Int

from equijax._validate import floating
from equijax.measures.samples import constant, rows
from equijax.numerics import AxisName, global_batch, matmul


class LinearProbe(NamedTuple):
    """x ↦ x W + b, fitted by `ridge`; call it with features."""

    kernel: Float[Array, "features outputs"]
    bias: Float[Array, " outputs"]
    constant: Int[Array, ""]
    """How many features are the same in all samples: their weights are zero."""

    def __call__(self, features: ArrayLike) -> Float[Array, "... outputs"]:
        """What the probe reads off features (..., features)."""
        return matmul(floating("features", features), self.kernel) + self.bias


def ridge(
    features: ArrayLike,
    target: ArrayLike,
    *,
    penalty: int | float | Array = 1e-3,
    mask: ArrayLike | None = None,
    axis_name: AxisName = None,
) -> LinearProbe:
    """The linear map of least squares with a penalty: deterministic, in closed form, without training.

        W = (XᵀX + λ)⁻¹ XᵀY   for centered X and Y, and b so that means go to means,

    computed from X itself, whose condition number is not squared. Features that are constant get the weight zero. With
    fewer samples than features the data do not determine W: the penalty does, the probe goes through every sample, and
    only its score on others says something; without a penalty that is an error.

    Args:
        features: X of shape (samples, features).
        target: Y of shape (samples, outputs); for classes one-hot rows.
        penalty: λ, which is not divided by the number of samples.
        mask: Samples that count, shape (samples,); all unless given. Traced, it is the caller who knows that they are
            enough.
        axis_name: Mesh axis over which the samples are spread.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If the shapes do not fit, no sample counts, the penalty is negative, or it is zero and there are no
            more samples than features.

    Examples:
        >>> x = jnp.array([[0.0, 7.0], [1.0, 7.0], [2.0, 7.0], [4.0, 7.0]])  # the second feature says nothing
        >>> probe = ridge(x, 3 * x[:, :1] - 1, penalty=0.0)
        >>> print(probe.kernel.ravel().round(4) + 0.0, probe.bias.round(4), probe.constant)
        [3. 0.] [-1.] 1
    """
    x, y = rows(axis_name, features=features, target=target)
    known = isinstance(penalty, int | float)
    if known and not penalty >= 0:
        raise ValueError(f"penalty: expected zero or more, got {penalty}")
    shown = jnp.ones(len(x), bool) if mask is None else _shown(mask, jnp.shape(features)[0], axis_name)
    count = len(x) if isinstance(shown, jax.core.Tracer) else int(jnp.sum(shown))
    if count == 0 or (known and penalty == 0 and count <= x.shape[1]):
        raise ValueError(
            f"features: {count} samples do not determine a probe of {x.shape[1]} features; give more, or a penalty"
        )
    # those that do not count are copies of one that does: they may hold anything
    x, y = (jnp.where(shown[:, None], a, a[jnp.argmax(shown)]) for a in (x, y))
    mean_x, mean_y = (jnp.sum(jnp.where(shown[:, None], a, 0), axis=0) / jnp.sum(shown) for a in (x, y))
    same = constant(x)
    # W minimizes the squares of [X; √λ 1] W − [Y; 0]. A constant column is zero in X, and any penalty keeps it there
    damping = jnp.diag(jnp.where(same, 1, jnp.sqrt(jnp.asarray(penalty, x.dtype))))
    q, r = jnp.linalg.qr(jnp.concatenate([jnp.where(same | ~shown[:, None], 0, x - mean_x), damping]))
    kernel = jnp.linalg.solve(r, matmul(q[: len(x)].T, y - mean_y))
    return LinearProbe(kernel, mean_y - matmul(mean_x, kernel), jnp.sum(same))


def _shown(mask, count, axis_name):
    if jnp.shape(mask) != (count,):
        raise ValueError(f"mask: expected shape {(count,)}, one a sample, got {jnp.shape(mask)}")
    return global_batch(jnp.asarray(mask, bool), axis_name)


class R2(NamedTuple):
    """Every R² of predictions; 1 is perfect."""

    centered: Float[Array, ""]
    """1 − Σ‖t − p‖² / Σ‖t − mean t‖², with a mean of each output; outputs count by their variance."""
    uniform: Float[Array, ""]
    """The mean over outputs of the R² of each, without those that are constant, whose R² is 0/0."""
    pooled: Float[Array, ""]
    """1 − Σ(t − p)² / Σ(t − m)², with one mean m over samples and outputs."""
    floor: Float[Array, ""]
    """f₀, the pooled R² of the best constant."""
    constant: Int[Array, ""]
    """How many outputs have the same target in all samples."""


def r2_scores(prediction: ArrayLike, target: ArrayLike, *, axis_name: AxisName = None) -> R2:
    """Centered, uniform and pooled R², the floor of the pooled one, and how many outputs are constant.

    NaN where it is 0/0: centered and uniform if all outputs are constant, pooled if all targets are one number.

    Args:
        prediction: Shape (samples, outputs).
        target: The same.
        axis_name: Mesh axis over which the samples are spread.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If the shapes differ.

    Examples:
        >>> target = jnp.array([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
        >>> scores = r2_scores(target.at[:, 0].set(2.0), target)  # a constant
        >>> print(scores.centered, scores.pooled.round(3), scores.floor.round(3), scores.constant)
        0.0 0.628 0.628 1
    """
    p, t = rows(axis_name, same=True, prediction=prediction, target=target)
    error, same = jnp.sum((t - p) ** 2, axis=0), constant(t)
    spread = jnp.where(same, 0, jnp.sum((t - t.mean(0)) ** 2, axis=0))
    each = jnp.where(same, 0, 1 - error / jnp.where(same, 1, spread))
    around = jnp.sum((t - t.mean()) ** 2)
    return R2(
        centered=1 - jnp.sum(error) / jnp.where(same.all(), jnp.nan, jnp.sum(spread)),
        uniform=jnp.sum(each) / jnp.where(same.all(), jnp.nan, jnp.sum(~same)),
        pooled=1 - jnp.sum(error) / jnp.where(constant(t.reshape(-1, 1))[0], jnp.nan, around),
        floor=1 - jnp.sum(spread) / jnp.where(constant(t.reshape(-1, 1))[0], jnp.nan, around),
        constant=jnp.sum(same),
    )


def r2(
    prediction: ArrayLike,
    target: ArrayLike,
    *,
    pooled: bool = False,
    uniform: bool = False,
    axis_name: AxisName = None,
) -> Float[Array, ""]:
    """R², centered by output and weighted by variance; or `pooled`, or the `uniform` average over outputs.

    `r2_scores` has all of them, and what each means. Default for rotations: centered, on the nine entries.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If the shapes differ, or both options are asked for.

    Examples:
        >>> target = jnp.array([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]])
        >>> print(r2(target.at[0, 0].set(1.0), target), r2(target.at[0, 0].set(1.0), target, pooled=True) > 0.95)
        0.875 True
    """
    if pooled and uniform:
        raise ValueError("pooled, uniform: expected one of them, got both; r2_scores has every R²")
    scores = r2_scores(prediction, target, axis_name=axis_name)
    return scores.pooled if pooled else scores.uniform if uniform else scores.centered


def r2_floor(target: ArrayLike, *, axis_name: AxisName = None) -> Float[Array, ""]:
    """f₀, the pooled R² of the best constant predictor of targets (samples, outputs).

    Examples:
        >>> print(r2_floor(jnp.array([[0.0, 5.0], [2.0, 5.0], [4.0, 5.0]])).round(3))
        0.628
    """
    return r2_scores(target, target, axis_name=axis_name).floor


def r2_centered(pooled: ArrayLike, floor: ArrayLike) -> Float[Array, "..."]:
    """The centered R² of a pooled one, 1 − (1 − pooled) / (1 − f₀): what was published in the other convention.

    Examples:
        >>> print(r2_centered(0.73, 0.228).round(2))  # on relative quaternions, whose floor is 0.228
        0.65
    """
    return 1 - (1 - jnp.asarray(pooled)) / (1 - jnp.asarray(floor))
