"""A Gaussian for each class in the space of features."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from equijax._validate import integer
from equijax.measures.samples import in_single_or_better
from equijax.numerics import matmul


class ClassGaussians(NamedTuple):
    """Means, covariances and shares of classes."""

    means: Float[Array, "classes size"]
    covariances: Float[Array, "classes size size"]
    shares: Float[Array, " classes"]

    def log_density(self, features: ArrayLike) -> Float[Array, "samples classes"]:
        """log N(z; mean, covariance) of each class, without shares: a rare class is as good as a common one."""
        lower = jnp.linalg.cholesky(self.covariances)
        volume = jnp.sum(jnp.log(jnp.diagonal(lower, axis1=1, axis2=2)), axis=1)
        return -self.square_distance(features) / 2 - volume - self.means.shape[1] / 2 * jnp.log(2 * jnp.pi)

    def square_distance(self, features: ArrayLike) -> Float[Array, "samples classes"]:
        """The square of Mahalanobis' distance to each class, (z − mean)ᵀ C⁻¹ (z − mean)."""
        z, lower = in_single_or_better("features", features), jnp.linalg.cholesky(self.covariances)
        apart = jnp.swapaxes(z - self.means[:, None], 1, 2)  # (classes, size, samples)
        white = jax.vmap(lambda a, b: jax.scipy.linalg.solve_triangular(a, b, lower=True))(lower, apart)
        return jnp.sum(white**2, axis=1).T

    def classify(self, features: ArrayLike) -> Int[Array, " samples"]:
        """The class of the largest density."""
        return jnp.argmax(self.log_density(features), axis=1)

    def sample(self, key: Array, labels: Int[Array, " samples"]) -> Float[Array, "samples size"]:
        """A random feature of each label, such as more of those of rare classes."""
        noise = jax.random.normal(key, (len(labels), self.means.shape[1]), self.means.dtype)
        lower = jnp.linalg.cholesky(self.covariances)[labels]
        return self.means[labels] + jnp.einsum("nij,nj->ni", lower, noise, precision="highest")


def class_gaussians(
    features: ArrayLike, labels: ArrayLike, classes: int, *, shrink: float = 0.1, rounds: int = 1
) -> ClassGaussians:
    """Means and covariances of the features of each class, also where labels are noisy and classes are rare.

    After the first one, each further round weighs a sample of a class by its squared Mahalanobis distance r² to the
    mean of the round before, as min(1, size / r²): far ones, whose labels may be wrong, count less. Covariances are
    mixed with the mean over classes, a rare class the more: by shrink · size / (count + shrink · size). Classes of
    samples do not change when all features are moved by an affine map.

    Args:
        features: Such as those of contrastive learning, which has not seen the labels: (samples, size).
        labels: Integers from 0 to classes − 1; samples with other ones do not count.
        classes: How many; one without samples has the mean of all.
        shrink: How much of the mean covariance.
        rounds: Of weighing, at least one.

    Raises:
        TypeError: If features are not real floating-point numbers.
        ValueError: If there is not one label a sample, or a number is too small.

    References:
        Zhang et al. 2023, arXiv:2211.10955.

    Examples:
        >>> z = jnp.array([[0.0, 0], [1, 0], [0, 1], [9, 9], [8, 9], [9, 8]])
        >>> found = class_gaussians(z, jnp.array([0, 0, 0, 1, 1, 1]), 2)
        >>> found.classify(jnp.array([[1.0, 1], [7, 8]])).tolist()
        [0, 1]
    """
    integer("classes", classes, 1)
    z, labels = in_single_or_better("features", features), jnp.asarray(labels)
    if z.ndim != 2 or labels.shape != z.shape[:1]:
        raise ValueError(
            f"labels: expected one a row of features of shape (samples, size), got {labels.shape}, {z.shape}"
        )
    if not shrink > 0:
        raise ValueError(f"shrink: expected a positive number, without which covariances may be singular, got {shrink}")
    size, member = z.shape[1], (labels[:, None] == jnp.arange(classes)).astype(z.dtype)  # (samples, classes)
    counts = jnp.sum(member, axis=0)
    used = (counts > 0)[:, None]

    def fit(weights):
        total = jnp.maximum(jnp.sum(weights, axis=0), 1e-12)[:, None]
        means = jnp.where(used, matmul(weights.T, z) / total, jnp.mean(z, axis=0))
        apart = z[:, None] - means  # (samples, classes, size)
        each = jnp.einsum("nk,nki,nkj->kij", weights, apart, apart, precision="highest") / total[..., None]
        pooled = jnp.sum(each * (counts / jnp.sum(counts))[:, None, None], axis=0)
        mix = (shrink * size / (counts + shrink * size))[:, None, None]
        return ClassGaussians(means, (1 - mix) * each + mix * pooled, counts / jnp.sum(counts))

    found = fit(member)
    for _ in range(integer("rounds", rounds, 1) - 1):
        found = fit(member * jnp.minimum(1, size / jnp.maximum(found.square_distance(z), 1e-12)))
    return found
