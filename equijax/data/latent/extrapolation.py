"""Actions that move hidden variables: what comes of actions that are stronger than any in training?"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from equijax import _validate


class Interventions(NamedTuple):
    """Samples of one set; float64."""

    actions: Float[np.ndarray, "samples actions"]
    """A."""
    latents: Float[np.ndarray, "samples latents"]
    """Z, which a learner does not see."""
    observations: Float[np.ndarray, "samples features"]
    """X."""
    outcomes: Float[np.ndarray, "samples 1"]
    """Y."""


class InterventionExtrapolation(NamedTuple):
    """Both sets are of one mixing and one outcome; only the actions differ."""

    train: Interventions
    test: Interventions


def intervention_extrapolation(
    train: int = 10_000,
    test: int = 2000,
    *,
    actions: int = 2,
    latents: int = 2,
    features: int = 10,
    reach: int | float = 3.0,
    noise: int | float = 0.3,
    confounding: int | float = 0.5,
    seed: int = 0,
) -> InterventionExtrapolation:
    """Actions A, latents Z = A Mᵀ + V, observations X = g(Z) and outcomes Y = h(Z) + U.

    A is uniform in [−1, 1] for training and in [−reach, reach] for the test, V is N(0, noise²), and U is
    `confounding` times the mean of V plus N(0, 0.1²): A moves Y through Z alone, and V is a common cause. g is a random
    network of matrices of full rank and increasing activations, so that no two Z give one X; h is a sum of sines, a
    product and squares.

    From X alone Z cannot be told. Z is linear in A on average, and a code of X that is so too is an affine map of Z:
    with it Y extrapolates to actions that were never tried.

    Args:
        train: Samples to learn from.
        test: Samples of stronger actions.
        actions: Length of A.
        latents: Length of Z, at most that of A.
        features: Length of X, at least that of Z.
        reach: The strongest test action, at least 1.
        noise: Standard deviation of V.
        confounding: What V does to Y apart from Z.
        seed: Of all that is random.

    Raises:
        ValueError: If a number is out of range.

    References:
        Saengkyongam et al. 2024, arXiv:2310.04295.

    Examples:
        >>> found = intervention_extrapolation(100, 50)
        >>> found.train.observations.shape, abs(found.train.actions).max() <= 1, abs(found.test.actions).max() > 2.5
        ((100, 10), np.True_, np.True_)
    """
    for name, n in (
        ("train", train),
        ("test", test),
        ("actions", actions),
        ("latents", latents),
        ("features", features),
    ):
        _validate.integer(name, n, 1)
    if latents > actions or features < latents:
        raise ValueError(
            f"latents: expected at most {actions}, the actions, and {features}, the features, got {latents}"
        )
    if reach < 1 or noise < 0:
        raise ValueError(f"reach, noise: expected at least 1 and 0, got {reach} and {noise}")
    rng = np.random.default_rng(seed)
    loading = np.linalg.qr(rng.normal(size=(actions, latents)))[0].T + 0.2 * rng.normal(size=(latents, actions))
    layers = [3 * np.linalg.qr(rng.normal(size=(features, width)))[0].T for width in (latents, features, features)]
    biases = rng.normal(size=(2, features))
    frequency, phase = rng.uniform(1, 2, latents), rng.uniform(0.5, 1.5, latents)

    def draw(count, bound):
        a = rng.uniform(-bound, bound, (count, actions))
        v = noise * rng.normal(size=(count, latents))
        z = a @ loading.T + v
        x = z @ layers[0]
        for layer, bias in zip(layers[1:], biases, strict=True):
            x = ((x + bias) / 4 + np.tanh(x + bias)) @ layer  # (samples, features)
        y = np.sin(frequency * z + phase).sum(1) + 0.5 * z[:, 0] * z[:, -1] + 0.1 * (z**2).sum(1)
        u = confounding * v.mean(1) + 0.1 * rng.normal(size=count)
        return Interventions(a, z, x, (y + u)[:, None])

    return InterventionExtrapolation(draw(train, 1.0), draw(test, float(reach)))
