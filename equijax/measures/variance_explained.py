"""How much of the variance of features each factor of the data explains."""

from collections.abc import Mapping

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax.measures.samples import in_single_or_better, rows
from equijax.numerics import AxisName, global_batch, matmul


def variance_explained(
    features: ArrayLike, factors: Mapping[str, ArrayLike], *, axis_name: AxisName = None
) -> dict[str, Float[Array, ""]]:
    """For each factor ‖P_f Z‖² / ‖Z‖², with centered features Z and the projection P_f on linear functions of it.

    It does not change when features are turned, moved or scaled together. Of factors that are independent in the data
    the fractions add up to what all explain. Features may carry factors that are equally useful unequally, by how
    complex they are or when they were learned, so that a small fraction is no proof that one is not there: `ridge`
    says whether it can be read off.

    Args:
        features: Z, (samples, size).
        factors: A name for each, with numbers (samples,) or (samples, k): classes as `jax.nn.one_hot`.
        axis_name: The mesh axis over which the samples are split, if they are.

    Returns:
        A fraction from 0 to 1 for each factor; 0 where the features, or the factor, are constant.

    Raises:
        TypeError: If an array does not hold real floating-point numbers.
        ValueError: If a factor has another number of samples.

    References:
        Lampinen, Chan and Hermann 2024, arXiv:2405.05847.

    Examples:
        >>> import jax
        >>> a, b = jax.random.normal(jax.random.key(0), (2, 1000))
        >>> found = variance_explained(jnp.stack([3 * a, b], axis=1), {"a": a, "b": b})
        >>> print({name: round(float(part), 1) for name, part in found.items()})
        {'a': 0.9, 'b': 0.1}
    """
    (z,) = rows(axis_name, features=features)
    z = z - jnp.mean(z, axis=0)
    total = jnp.sum(z**2)
    found = {}
    for name, factor in factors.items():
        f = global_batch(in_single_or_better(f"factors[{name!r}]", factor), axis_name)
        if f.ndim not in (1, 2) or len(f) != len(z):
            raise ValueError(f"factors[{name!r}]: expected shape ({len(z)},) or ({len(z)}, k), got {f.shape}")
        f = f.reshape(len(f), -1).astype(z.dtype)
        # an orthonormal basis of the span of the centered factor, of any rank
        u, s, _ = jnp.linalg.svd(f - jnp.mean(f, axis=0), full_matrices=False)
        u = jnp.where(s > len(f) * jnp.finfo(s.dtype).eps * jnp.linalg.norm(f), u, 0)
        found[name] = jnp.sum(matmul(u.T, z) ** 2) / jnp.where(total > 0, total, 1)
    return found
