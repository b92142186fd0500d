"""Contrast: a view knows the other view of its sample among those of all samples."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate
from equijax.numerics import AxisName, unit
from equijax.objectives.self_supervised.pairs import pair


def nt_xent(
    z1: ArrayLike, z2: ArrayLike, temperature: float | Array = 0.5, *, axis_name: AxisName = None
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Cross-entropy of telling the other view of a sample from all other views, by cosines over a temperature τ:

        mean_i log Σ_{k≠i} exp((cos(z_i, z_k) − cos(z_i, z_j(i)))/τ) ,   over the 2N views i, whose other view is j(i).

    A view is not compared with itself: its logit is −∞. log(2N − 1) for a constant code. Memory is of order N² and
    N size. (`optax.losses.ntxent` has the same values for labels that come twice each; its gradients are NaN once τ is
    so small that the exponentials of all negatives vanish, and they hold an array of N² size.)

    Args:
        z1: Codes of one view, (rows, size), a sample a row; a zero code has cosine 0 with all others.
        z2: Those of another view of the same samples.
        temperature: τ.
        axis_name: Axis of devices over which rows are spread; negatives are of all rows.

    Returns:
        The loss; and as terms the mean cosines of pairs, "positive", and of other views, "negative", and the share of
        views whose nearest other view is of the same sample, "accuracy".

    Raises:
        TypeError: If codes are not real floating-point numbers.
        ValueError: If the views differ in shape, there is only one row, or τ is not positive.

    References:
        Chen et al. 2020, "A simple framework for contrastive learning", arXiv:2002.05709, equation 1.

    Examples:
        >>> loss, terms = nt_xent(jnp.eye(4), jnp.eye(4), temperature=0.1)
        >>> print(loss < 0.001, terms["accuracy"])
        True 1.0
    """
    _validate.positive("temperature", temperature, "temperature")
    z1, z2 = pair(z1, z2, axis_name, least=2)
    count = len(z1)
    z = jnp.concatenate([z1, z2])
    z, _ = unit(z)
    cosines = jnp.matmul(z, z.T, precision="highest")
    logits = jnp.where(jnp.eye(2 * count, dtype=bool), -jnp.inf, cosines / temperature)
    other = (jnp.arange(2 * count) + count) % (2 * count)
    positive = jnp.take_along_axis(logits, other[:, None], axis=1)[:, 0]
    own = jnp.mean(positive) * temperature
    terms = {
        "positive": own,
        "negative": (jnp.mean(jnp.sum(cosines, axis=1) - jnp.diagonal(cosines)) - own) / (2 * count - 2),
        "accuracy": jnp.mean(jnp.argmax(logits, axis=1) == other).astype(z.dtype),
    }
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - positive), terms
