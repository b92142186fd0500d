"""Variance, invariance, covariance: two views agree, and no coordinate is lost."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax.numerics import AxisName, sqrt
from equijax.objectives.self_supervised.pairs import pair, rows

Terms = dict[str, Float[Array, ""]]
NOISE = 1e-4  # added to variances, so that their roots have derivatives


def vicreg(
    z1: ArrayLike,
    z2: ArrayLike,
    *,
    invariance: float | Array = 25.0,
    variance: float | Array = 25.0,
    covariance: float | Array = 1.0,
    spread: float = 1.0,
    axis_name: AxisName = None,
) -> tuple[Float[Array, ""], Terms]:
    """λ mean (z − z′)² + μ ½ (v(z) + v(z′)) + ν (c(z) + c(z′)): views agree, coordinates stay apart.

    v is `variance_hinge`, c is `covariance_penalty`. The first term alone is zero for a constant code.

    Args:
        z1: Codes of one view, (rows, size), a sample a row.
        z2: Those of another view of the same samples.
        invariance: λ; means are over rows and coordinates.
        variance: μ.
        covariance: ν.
        spread: The standard deviation that each coordinate should have.
        axis_name: Axis of devices over which rows are spread; statistics are of all rows.

    Returns:
        The loss, and its terms before they are weighted: "invariance", "variance", "covariance".

    Raises:
        TypeError: If codes are not real floating-point numbers.
        ValueError: If the views differ in shape, or there is only one row.

    References:
        Bardes, Ponce and LeCun 2022, "VICReg", arXiv:2105.04906, equations 1 to 6.

    Examples:
        >>> import jax
        >>> z = jax.random.normal(jax.random.key(0), (64, 8))
        >>> loss, terms = vicreg(z, z)
        >>> print(terms["invariance"], terms["variance"] < 0.1)
        0.0 True
        >>> print(round(float(vicreg(0 * z, 0 * z)[1]["variance"]), 2))  # collapsed
        0.99
    """
    z1, z2 = pair(z1, z2, axis_name, least=2)
    terms = {
        "invariance": jnp.mean((z1 - z2) ** 2),
        "variance": (variance_hinge(z1, spread) + variance_hinge(z2, spread)) / 2,
        "covariance": covariance_penalty(z1) + covariance_penalty(z2),
    }
    return invariance * terms["invariance"] + variance * terms["variance"] + covariance * terms["covariance"], terms


def variance_hinge(z: ArrayLike, spread: float = 1.0, axis_name: AxisName = None) -> Float[Array, ""]:
    """mean_j max(0, spread − √(var_j + 10⁻⁴)) over the coordinates of codes (rows, size): zero where all are spread.

    References:
        Bardes, Ponce and LeCun 2022, arXiv:2105.04906, equation 1.

    Examples:
        >>> print(round(float(variance_hinge(jnp.zeros((4, 3)))), 2))
        0.99
    """
    z = rows("z", z, axis_name, least=2)
    return jnp.mean(jnp.maximum(spread - sqrt(jnp.var(z, axis=0, ddof=1) + NOISE), 0))


def covariance_penalty(z: ArrayLike, axis_name: AxisName = None) -> Float[Array, ""]:
    """(1/size) Σ_{i≠j} C_ij² with the unbiased covariance C of codes (rows, size): zero where none are correlated.

    References:
        Bardes, Ponce and LeCun 2022, arXiv:2105.04906, equations 3 and 4.

    Examples:
        >>> print(covariance_penalty(jnp.array([[1.0, 1.0], [-1.0, -1.0]])))  # C is 2 everywhere
        4.0
    """
    z = rows("z", z, axis_name, least=2)
    z = z - jnp.mean(z, axis=0)
    c = jnp.matmul(z.T, z, precision="highest") / (len(z) - 1)
    return jnp.sum(jnp.where(jnp.eye(len(c), dtype=bool), 0, c) ** 2) / len(c)
