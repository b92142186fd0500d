"""New features that old ones can be compared with, so that a gallery need not be embedded again."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax._validate import integers
from equijax.numerics import AxisName, global_batch, matmul, unit
from equijax.objectives._batches import masked_mean
from equijax.objectives.self_supervised.pairs import pair


def compatibility(
    new: ArrayLike, old: ArrayLike, labels: ArrayLike, *, scale: ArrayLike = 10.0, axis_name: AxisName = None
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean over samples i of  −μ ⟨f_i, f′_i⟩ + log Σ_{j: y_j ≠ y_i} e^{μ ⟨f_i, f′_j⟩}  for unit features f and old f′.

    Features of the old model are constants. Added to the loss of the new one, at about a tenth, it makes these features
    comparable, beyond first order statistics. A sample of which all others are of the same class does not count.

    Args:
        new: Features of the model that is trained, (samples, features).
        old: Those of the model before for the same samples, of the same shape.
        labels: Classes, integers (samples,).
        scale: μ.
        axis_name: The mesh axis over which the samples are split, if they are.

    Returns:
        The loss, and its terms "positive" and "negative", and "alone", the share of samples that do not count.

    Raises:
        TypeError: If the labels are no integers.
        ValueError: If shapes do not fit.

    References:
        Biondi et al. 2024, "Stationary representations", arXiv:2405.02581.

    Examples:
        >>> f = jnp.eye(3)
        >>> loss, terms = compatibility(f, f, jnp.arange(3))
        >>> print(loss.round(3), terms["positive"], terms["alone"])  # −10 + log 2
        -9.307 -10.0 0.0
    """
    y = integers("labels", labels)
    f, g = pair(new, old, axis_name, names=("new", "old"))
    y = global_batch(y, axis_name)
    if y.shape != f.shape[:1]:
        raise ValueError(f"labels: expected shape {f.shape[:1]}, one for each sample, got {y.shape}")
    logits = scale * matmul(unit(f)[0], unit(jax.lax.stop_gradient(g))[0].T)
    other = y[:, None] != y
    counted = jnp.any(other, axis=1)
    # left out by where and not by a factor: e⁰ = 1 would be in the sum. Rows of nothing have no derivative, either
    kept = jnp.where(counted[:, None], other, True)
    negative = jax.nn.logsumexp(logits, axis=1, where=kept)
    positive, negative = (masked_mean(values, counted) for values in (-jnp.diagonal(logits), negative))
    return positive + negative, {
        "positive": positive,
        "negative": negative,
        "alone": jnp.mean(~counted, dtype=logits.dtype),
    }
