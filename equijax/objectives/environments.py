"""Objectives over environments: predictions alike in all, codes that tell them, codes linear in actions."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax._validate import floating, integer, positive
from equijax.numerics import AxisName, global_batch, matmul
from equijax.objectives._batches import labels, masked_mean
from equijax.objectives.self_supervised.pairs import rows
from equijax.objectives.self_supervised.positives import pair_contrastive


def _squares(predictions: Float[Array, "rows ..."], targets: Float[Array, "rows ..."]) -> Float[Array, " rows"]:
    """Mean square of the error of each row."""
    return jnp.mean(jnp.square(predictions - targets).reshape(len(predictions), -1), axis=1)


def irm_v1(
    predictions: ArrayLike,
    targets: ArrayLike,
    environments: ArrayLike,
    *,
    count: int,
    loss: Callable[[Array, Array], Float[Array, " rows"]] = _squares,
    weight: ArrayLike = 1.0,
    mask: ArrayLike | None = None,
    axis_name: AxisName = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean over environments e of R_e + weight · (d/dw R_e(w ŷ) at w = 1)²: invariant risk minimization.

    The penalty is zero where no environment wants the predictions ŷ scaled. For the mean square error it is
    (2 mean ŷ (ŷ − y))². One derivative in the direction of w gives all environments.

    Args:
        predictions: ŷ.
        targets: y.
        environments: Which one each row is of, from 0 to count − 1. Traced labels outside are not counted.
        count: How many environments there are; those without rows do not count.
        loss: (ŷ, y) -> the loss of each row; the mean square error unless given.
        weight: Of the penalty.
        mask: Rows that count; if none does, all is 0.
        axis_name: The mesh axis over which the rows are split, if they are.

    Returns:
        The loss, and its terms "risk" and "penalty".

    Raises:
        TypeError: If the labels are no integers.
        ValueError: If a label is outside, or arrays differ in their rows.

    References:
        Arjovsky et al. 2019, arXiv:1907.02893, IRMv1.

    Examples:
        Twice the truth in one environment, the truth in the other.

        >>> y, e = jnp.array([1.0, 1.0, 2.0, 2.0]), jnp.array([0, 0, 1, 1])
        >>> loss, terms = irm_v1(y * jnp.array([2.0, 2.0, 1.0, 1.0]), y, e, count=2)
        >>> print(terms["risk"], terms["penalty"])  # 1/2 · 1², 1/2 · (2 · 2 · 1)²
        0.5 8.0
    """
    predictions = floating("predictions", predictions)
    one = jnp.ones((), predictions.dtype)
    losses, slopes = jax.jvp(lambda w: loss(w * predictions, jnp.asarray(targets)), (one,), (one,))
    both, present = _means(jnp.stack([losses, slopes], axis=-1), environments, count, mask, axis_name)  # (count, 2)
    risk, penalty = masked_mean(both[:, 0], present), masked_mean(jnp.square(both[:, 1]), present)
    return risk + weight * penalty, {"risk": risk, "penalty": penalty}


def vrex(
    losses: ArrayLike,
    environments: ArrayLike,
    *,
    count: int,
    weight: ArrayLike = 1.0,
    mask: ArrayLike | None = None,
    axis_name: AxisName = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean over environments e of R_e + weight · (R_e − mean R)²: risk extrapolation, which wants equal risks.

    The variance is that of the environments at hand (over their number), so that it is 0 for one.

    Args:
        losses: The loss of each row.
        environments, count, weight, mask, axis_name: As of `irm_v1`.

    Returns:
        The loss, and its terms "risk" and "penalty".

    Raises:
        TypeError, ValueError: As `irm_v1` does.

    References:
        Krueger et al. 2021, arXiv:2003.00688.

    Examples:
        >>> loss, terms = vrex(jnp.array([1.0, 3.0, 4.0]), jnp.array([0, 0, 1]), count=2)
        >>> print(terms["risk"], terms["penalty"])
        3.0 1.0
    """
    risks, present = _means(floating("losses", losses)[:, None], environments, count, mask, axis_name)
    risk = masked_mean(risks[:, 0], present)
    penalty = masked_mean(jnp.square(risks[:, 0] - risk), present)
    return risk + weight * penalty, {"risk": risk, "penalty": penalty}


def style_contrastive(
    codes: ArrayLike,
    environments: ArrayLike,
    *,
    temperature: float | Array = 0.1,
    mask: ArrayLike | None = None,
    axis_name: AxisName = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """`pair_contrastive` in which rows of the same environment belong together: a code that says which one it is.

    Args:
        codes: A row each, of any length.
        environments: Integers; rows with the same one are pairs.
        temperature, mask, axis_name: As of `pair_contrastive`.

    References:
        Liu et al. 2022, arXiv:2111.14820.

    Examples:
        >>> codes = jnp.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
        >>> print(f"{style_contrastive(codes, jnp.array([0, 0, 1, 1]))[0]:.4f}")  # log(1 + 2 e⁻¹⁰)
        0.0001
    """
    if jnp.shape(environments) != jnp.shape(codes)[:1]:
        raise ValueError(f"environments: expected shape {jnp.shape(codes)[:1]}, got {jnp.shape(environments)}")
    environments = jnp.asarray(environments)
    pairs = environments[:, None] == global_batch(environments, axis_name)
    return pair_contrastive(codes, pairs, temperature=temperature, mask=mask, axis_name=axis_name)


def linear_invariance(
    codes: ArrayLike,
    actions: ArrayLike,
    reconstruction: ArrayLike,
    inputs: ArrayLike,
    *,
    weight: ArrayLike = 1.0,
    bandwidth: float = 1.0,
    kernel: Callable[[Array, Array], Float[Array, "rows rows"]] | None = None,
    unbiased: bool = True,
    axis_name: AxisName = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean square error of the reconstruction + weight · Σ_{i≠j} k(a_i, a_j) r_i · r_j / (n (n − 1)): codes whose mean
    is linear in the actions, and so extrapolates to actions that were not seen.

    r are the residuals of the least squares fit of the codes φ by [1, a]; the penalty is the maximum moment restriction
    E[r | a] = 0. A linear kernel cannot see anything, since the residuals are orthogonal to the actions. Orthogonal
    maps of the codes change nothing. Constant codes have no penalty either: it is of use with a reconstruction only.

    Args:
        codes: φ.
        actions: a, the interventions; constants.
        reconstruction: What a decoder makes of the codes.
        inputs: What it should be.
        weight: Of the penalty.
        bandwidth: Of k(a, b) = exp(−‖a − b‖² / (2 bandwidth²)), in the unit of the actions.
        kernel: Another k, (n, actions), (m, actions) -> (n, m).
        unbiased: False adds i = j, over n²: never negative, and for a narrow kernel too large by E k(a, a) ‖r‖² / n.
            For one as wide as the range of the actions it is the sum without them that is too small by as much, since
            the fit has taken away what such a kernel sees.
        axis_name: The mesh axis over which the rows are split, if they are.

    Returns:
        The loss, and its terms "reconstruction" and "penalty".

    Raises:
        ValueError: If there are not at least two rows more than actions, or arrays differ in their rows.

    References:
        Saengkyongam et al. 2024, arXiv:2310.04295.

    Examples:
        >>> a = jnp.linspace(-1, 1, 40)[:, None]
        >>> straight, bent = (linear_invariance(z, a, z, z, bandwidth=0.3)[1]["penalty"] for z in (3 * a + 1, a**2))
        >>> print(bool(abs(straight) < 1e-6), bool(bent > 1e-3))
        True True
    """
    positive("bandwidth", bandwidth)
    given = {"codes": codes, "actions": actions, "reconstruction": reconstruction, "inputs": inputs}
    codes, actions, reconstruction, inputs = (floating(name, x) for name, x in given.items())
    for name, x in zip(given, (codes, actions, reconstruction, inputs), strict=True):
        if len(x) != len(codes):
            raise ValueError(f"{name}: expected {len(codes)} rows, one a code, got {len(x)}")
    error = jnp.mean(global_batch(_squares(reconstruction, inputs), axis_name))
    codes = rows("codes", codes, axis_name, least=actions.shape[1] + 2)
    n, actions = len(codes), jax.lax.stop_gradient(global_batch(actions, axis_name))
    codes, actions = (x.astype(jnp.promote_types(x.dtype, jnp.float32)) for x in (codes, actions))
    # residuals: what is left of the codes beside the column space of [1, a], of any rank
    u, s, _ = jnp.linalg.svd(jnp.concatenate([jnp.ones_like(actions[:, :1]), actions], axis=1), full_matrices=False)
    u = jnp.where(s > n * jnp.finfo(s.dtype).eps * s[0], u, 0).astype(codes.dtype)
    residuals = codes - matmul(u, matmul(u.T, codes))
    if kernel is None:
        apart = jnp.sum(jnp.square(actions[:, None] - actions), axis=-1)
        k = jnp.exp(-apart / (2 * bandwidth**2))
    else:
        k = kernel(actions, actions)
    products = k * matmul(residuals, residuals.T)  # (n, n)
    penalty = (jnp.sum(products) - jnp.trace(products)) / (n * (n - 1)) if unbiased else jnp.mean(products)
    return error + weight * penalty, {"reconstruction": error, "penalty": penalty}


def _means(values, environments, count, mask, axis_name):
    """The mean of (rows, k) values in each environment, (count, k), and which of them have rows."""
    integer("count", count, 1)
    environments = labels("environments", environments, count)
    for name, x in {"environments": environments, "mask": mask}.items():
        if x is not None and jnp.shape(x) != values.shape[:1]:
            raise ValueError(f"{name}: expected shape {values.shape[:1]}, one a row, got {jnp.shape(x)}")
    shown = jnp.ones(len(values), bool) if mask is None else mask
    values, environments, shown = (global_batch(x, axis_name) for x in (values, environments, jnp.asarray(shown)))
    member = (environments[:, None] == jnp.arange(count)) & shown[:, None]  # (rows, count)
    sizes = jnp.sum(member, axis=0)
    # a row that is hidden may hold what is not a number
    sums = matmul(member.T.astype(values.dtype), jnp.where(shown[:, None], values, 0))
    return sums / jnp.maximum(sizes, 1)[:, None], sizes > 0
