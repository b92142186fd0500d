"""What was done to the input is to be told from features: which element of a finite set, or its parameters."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, PRNGKeyArray

from equijax._validate import floating, integer
from equijax.objectives._batches import labels as held_labels
from equijax.objectives._batches import masked_mean

Head = Callable[[Float[Array, "rows both"]], Float[Array, "rows outputs"]]


def transform_classification(
    classify: Head,
    first: ArrayLike,
    second: ArrayLike,
    labels: ArrayLike,
    *,
    mask: ArrayLike | None = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""] | float]]:
    """Cross-entropy of which element of a finite set took the first view to the second one.

    Args:
        classify: Features of both views, one after the other along the last axis, -> logits of the elements.
        first: Of the first views.
        second: Of the second views.
        labels: Which element each; see `balanced_labels`. Traced labels outside of the classes do not count.
        mask: Rows that count; if none does, the loss is 0.

    Returns:
        The loss, and its terms "accuracy" and "chance", log(classes), the loss of one who does not know.

    Raises:
        ValueError: If the views are not as many, or a label is outside of the classes.
        TypeError: If the labels are no integers.

    Examples:
        >>> loss, terms = transform_classification(
        ...     lambda z: 0 * z, jnp.ones((2, 2)), jnp.ones((2, 2)), jnp.array([3, 0]))
        >>> print(f"{loss:.3f} {terms['chance']:.3f}")
        1.386 1.386
    """
    logits = classify(_both(first, second))
    classes = logits.shape[-1]
    labels = held_labels("labels", labels, classes)
    if labels.shape != logits.shape[:1]:
        raise ValueError(f"labels: expected shape {logits.shape[:1]}, got {labels.shape}")
    inside = (labels >= 0) & (labels < classes)
    counts = inside if mask is None else inside & mask
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.where(inside, labels, 0))
    right = (jnp.argmax(logits, axis=-1) == labels).astype(logits.dtype)
    return masked_mean(losses, counts), {"accuracy": masked_mean(right, counts), "chance": math.log(classes)}


def balanced_labels(key: PRNGKeyArray, count: int, classes: int) -> Int[Array, " count"]:
    """`count` labels in random order, of which each class has as many, or one more.

    Examples:
        >>> jnp.bincount(balanced_labels(jax.random.key(0), 10, 4)).tolist()
        [3, 3, 2, 2]
    """
    return jax.random.permutation(key, jnp.arange(integer("count", count, 1)) % integer("classes", classes, 1))


def augself(
    predict: Head,
    first: ArrayLike,
    second: ArrayLike,
    parameters: ArrayLike,
    *,
    generated: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean of (p − ω)², where p(z₁, z₂) guesses what took the first view to the second one.

    For a discriminator of a generative network, `generated` has the same of generated samples, whose targets are −ω:
    p then also tells real from generated, and the best one is ω (p_r − p_g)/(p_r + p_g) for densities p_r and p_g.
    The generator adds `augself_generator`.

    Args:
        predict: Features of both views, one after the other along the last axis, -> guesses of ω.
        first: Of the first views.
        second: Of the second views.
        parameters: ω, in units in which they are of size one.
        generated: first, second and parameters of generated samples.

    Returns:
        The loss, and its terms "real" and, if given, "generated".

    Raises:
        ValueError: If the views are not as many, or the guesses have not the shape of the parameters.

    References:
        Lee et al. 2021, arXiv:2111.09613; Hou et al. 2023, arXiv:2205.15677.

    Examples:
        >>> z, ω = jnp.eye(2), jnp.array([[1.0], [0.0]])
        >>> print(augself(lambda both: both[:, :1], z, z, ω)[0])
        0.0
    """
    guess, parameters = _guess(predict, first, second, parameters)
    real = jnp.mean(jnp.square(guess - parameters))
    if generated is None:
        return real, {"real": real}
    guess, parameters = _guess(predict, *generated)
    fake = jnp.mean(jnp.square(guess + parameters))
    return real + fake, {"real": real, "generated": fake}


def augself_generator(
    predict: Head, first: ArrayLike, second: ArrayLike, parameters: ArrayLike
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean of (p − ω)² − (p + ω)² = −4 p ω, which a generator lowers: its samples are to be taken for real ones.

    Args, Raises: As of `augself`, for generated samples; the predictor is a constant of the optimizer.

    References:
        Hou et al. 2023, arXiv:2205.15677.

    Examples:
        >>> z, ω = jnp.eye(2), jnp.array([[1.0], [0.0]])
        >>> print(augself_generator(lambda both: both[:, :1], z, z, ω)[0])
        -2.0
    """
    guess, parameters = _guess(predict, first, second, parameters)
    real, fake = (jnp.mean(jnp.square(guess - sign * parameters)) for sign in (1, -1))
    return real - fake, {"real": real, "generated": fake}


def _guess(predict, first, second, parameters):
    """What is guessed, and what it was."""
    guess, parameters = predict(_both(first, second)), floating("parameters", parameters)
    if guess.shape != parameters.shape:
        raise ValueError(f"parameters: expected the shape of the guesses, {guess.shape}, got {parameters.shape}")
    return guess, parameters


def _both(first: ArrayLike, second: ArrayLike) -> Float[Array, "rows both"]:
    """Features of two views side by side."""
    first, second = floating("first", first), floating("second", second)
    if len(first) != len(second):
        raise ValueError(f"second: expected {len(first)} rows, as the first views, got {len(second)}")
    return jnp.concatenate([first, second], axis=-1)
