"""Codes in two halves: one that a transformation leaves alone, and one that it moves."""

from collections.abc import Callable

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax._validate import floating, integer
from equijax.groups import Element
from equijax.numerics import AxisName, global_batch
from equijax.objectives.self_supervised.equivariance import Maps, map_equivariance
from equijax.objectives.self_supervised.pairs import one_a_row, pair, rows
from equijax.objectives.self_supervised.vicreg import Terms, covariance_penalty, variance_hinge


def sie(
    z1: ArrayLike,
    z2: ArrayLike,
    predict: Callable[[Element, Array], Array],
    elements: Element,
    *,
    invariant: int,
    invariance: float | Array = 10.0,
    equivariance: float | Array = 4.5,
    variance: float | Array = 10.0,
    predicted: float | Array = 10.0,
    covariance: float | Array = 1.0,
    maps: Maps | None = None,
    soft: float | Array = 1.0,
    axis_name: AxisName = None,
) -> tuple[Float[Array, ""], Terms]:
    """Codes z = [z_inv, z_eq]: the first half agrees between views, the second is predicted from view to view:

        λ mean (z_inv − z′_inv)² + λ_e mean (ρ(g) z_eq − z′_eq)²
            + μ ½ (v(z) + v(z′)) + μ_p ½ v(ρ(g) z_eq) + ν (c(z) + c(z′)) .

    v and c are `variance_hinge` and `covariance_penalty`; c, of whole codes, also takes away what both halves say.
    A predictor that may ignore g, such as an MLP of [z, g], lets the second half collapse to an invariant one, which
    v does not see; `nn.HyperLinear` and `nn.BlockAction` do not.

    Args:
        z1: Codes of one view, (rows, size), a sample a row.
        z2: Those of another view of the same samples.
        predict: (g, z_eq) -> ρ(g) z_eq for a batch, with its parameters, such as
            `functools.partial(nn.HyperLinear().apply, params)`.
        elements: g of each sample, from view 1 to view 2, as `predict` takes it.
        invariant: How many coordinates of a code, the first ones, are invariant.
        invariance: λ; means are over rows and coordinates.
        equivariance: λ_e.
        variance: μ.
        predicted: μ_p.
        covariance: ν.
        maps: Maps between the layers, as for `map_equivariance`, which is added with the weight `soft`.
        soft: The weight of "maps".
        axis_name: Axis of devices over which rows are spread; statistics are of all rows.

    Returns:
        The loss, and its terms before they are weighted: "invariance", "equivariance", "variance", "predicted",
        "covariance", and "maps" where there are some.

    Raises:
        TypeError: If codes are not real floating-point numbers.
        ValueError: If the views differ in shape, there is only one row, no coordinate is left for the second half,
            there is not one element for each row, or the prediction has another shape.

    References:
        Garrido, Najman and LeCun 2023, arXiv:2302.10283, equations 1 to 3.

    Examples:
        >>> import jax
        >>> from equijax import groups, reps
        >>> r = groups.SO(3).sample(jax.random.key(0), (64, 2))  # of two views
        >>> g = r[:, 1] @ jnp.swapaxes(r[:, 0], 1, 2)
        >>> z = [jnp.concatenate([jnp.ones((64, 1)), r[:, k, :, 0]], axis=1) for k in (0, 1)]
        >>> loss, terms = sie(*z, jax.vmap(reps.Vector().act), g, invariant=1)
        >>> print(terms["invariance"], terms["equivariance"] < 1e-12)
        0.0 True
    """
    invariant = integer("invariant", invariant)
    own = floating("z1", z1)
    if own.ndim != 2 or not invariant < own.shape[1]:
        raise ValueError(
            f"invariant: expected fewer coordinates than codes have, with z1 of shape (rows, size), got {invariant} "
            f"of {own.shape}"
        )
    one_a_row("elements", elements, len(own))
    moved = predict(elements, own[:, invariant:])
    if jnp.shape(moved) != own[:, invariant:].shape:
        raise ValueError(
            f"predict: expected a prediction for each equivariant code, {own[:, invariant:].shape}, got shape "
            f"{jnp.shape(moved)}"
        )
    a, b = pair(z1, z2, axis_name, least=2)
    moved = global_batch(moved, axis_name)
    terms = {
        "invariance": jnp.mean((a[:, :invariant] - b[:, :invariant]) ** 2) if invariant else jnp.zeros(()),
        "equivariance": jnp.mean((moved - b[:, invariant:]) ** 2),
        "variance": (variance_hinge(a) + variance_hinge(b)) / 2,
        "predicted": variance_hinge(rows("predict", moved, least=2)) / 2,
        "covariance": covariance_penalty(a) + covariance_penalty(b),
    }
    weights = [invariance, equivariance, variance, predicted, covariance]
    return with_maps(terms, weights, maps, elements, soft, axis_name)


def with_maps(
    terms: Terms,
    weights: list[float | Array],
    maps: Maps | None,
    elements: Element,
    soft: float | Array,
    axis_name: AxisName,
) -> tuple[Float[Array, ""], Terms]:
    """The weighted sum of terms, and "maps" beside them where there are some."""
    if maps is not None:
        terms = terms | {"maps": map_equivariance(maps, elements, axis_name=axis_name)}
        weights = [*weights, soft]
    total = sum((w * term for w, term in zip(weights, terms.values(), strict=True)), jnp.zeros(()))
    return total, terms
