"""The projection penalty: how far the weights of a network are from those that commute with a group."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from equijax import reps
from equijax.groups import Group, static
from equijax.reps import Rep, Scalar


@static
class LayerSymmetry:
    """How a group acts on the input and on the output of a dense layer, y = x W + b, both on the last axis.

    Attributes:
        source: The representation of the input.
        target: The representation of the output.

    Examples:
        >>> LayerSymmetry(source=reps.Vector(), target=reps.Sum(reps.Scalar(), reps.Vector()))
        LayerSymmetry(Vector(), Sum(Scalar(), Vector()))
    """

    source: Rep
    target: Rep


def projection_penalty(
    group: Group, layers: Mapping[str, LayerSymmetry], params: Mapping[str, PyTree]
) -> Float[Array, ""]:
    """R = ½ Σ_l (‖W_l − P W_l‖² + ‖b_l − P b_l‖²) over dense layers l, with the projections P of `reps.project`.

    It is zero if and only if every layer commutes with the group, and with nonlinearities that commute (`nn.gated`) so
    does the network then. Its gradient is W − P W. Where the representations are orthogonal, 4 R is the average over
    the group of ‖ρ W ρ⁻¹ − W‖² + ‖ρ b − b‖²: no sampling is needed.

    Args:
        group: The group.
        layers: How it acts on each layer, by the path in `params`, such as "params/Dense_0".
        params: Nested dicts, with arrays "kernel" (in, out) and, if any, "bias" (out,) at each path, as of `nn.Dense`.

    Returns:
        R, in the dtype of the parameters.

    Raises:
        ValueError: If there is no layer at a path, or its weights do not have the shapes of the representations.

    References:
        Kim et al. 2023, arXiv:2306.00356, eq. 5.

    Examples:
        >>> from equijax import groups
        >>> layers = {"params/Dense_0": LayerSymmetry(reps.Vector(), reps.Vector())}
        >>> params = {"params": {"Dense_0": {"kernel": jnp.diag(jnp.array([1.0, 3.0]))}}}
        >>> round(float(projection_penalty(groups.SO(2), layers, params)), 4)  # P W is diag(2, 2)
        1.0
    """
    flat, projected = _projected(group, layers, params)
    zero = jnp.zeros((), jnp.result_type(*projected.values()) if projected else None)
    return sum((jnp.sum(jnp.square(flat[name] - x)) / 2 for name, x in projected.items()), start=zero)


def projection_penalties(
    groups: Sequence[Group], layers: Mapping[str, LayerSymmetry], params: Mapping[str, PyTree]
) -> Float[Array, " groups"]:
    """`projection_penalty` of each of several groups, for the weighted sum Σ_i λ_i R_i of a mixed symmetry.

    Examples:
        >>> from equijax import groups
        >>> layers = {"params/Dense_0": LayerSymmetry(reps.Vector(), reps.Vector())}
        >>> params = {"params": {"Dense_0": {"kernel": jnp.array([[1.0, -1.0], [1.0, 1.0]])}}}
        >>> projection_penalties([groups.SO(2), groups.O(2)], layers, params).round(4).tolist()
        [0.0, 1.0]
    """
    return jnp.stack([projection_penalty(group, layers, params) for group in groups])


def proximal_step(
    group: Group, layers: Mapping[str, LayerSymmetry], params: Mapping[str, PyTree], amount: float | Array
) -> dict[str, PyTree]:
    """Parameters after the proximal step of `amount` times the penalty, W ← P W + (W − P W) / (1 + amount).

    Of any amount ≥ 0 it is stable: infinity gives the equivariant parameters next to `params`.

    Raises:
        ValueError: If the amount is negative, where it is known, or as for `projection_penalty`.

    Examples:
        >>> from equijax import groups
        >>> layers = {"params/Dense_0": LayerSymmetry(reps.Vector(), reps.Vector())}
        >>> params = {"params": {"Dense_0": {"kernel": jnp.diag(jnp.array([1.0, 3.0]))}}}
        >>> nearest = proximal_step(groups.SO(2), layers, params, jnp.inf)
        >>> nearest["params"]["Dense_0"]["kernel"].round(4).tolist()
        [[2.0, 0.0], [0.0, 2.0]]
    """
    if not isinstance(amount, jax.core.Tracer) and not amount >= 0:
        raise ValueError(f"amount: expected a number of at least 0, got {amount}")
    flat, projected = _projected(group, layers, params)
    moved = {name: x + (flat[name] - x) / (1 + amount) for name, x in projected.items()}
    return _unflatten(flat | moved)


def _projected(
    group: Group, layers: Mapping[str, LayerSymmetry], params: Mapping[str, PyTree]
) -> tuple[dict[str, PyTree], dict[str, Float[Array, "..."]]]:
    """All arrays by their paths, and the projections of those of `layers`."""
    flat, found = _flatten(params), {}
    for path, layer in layers.items():
        if f"{path}/kernel" not in flat:
            kernels = [name.removesuffix("/kernel") for name in flat if name.endswith("/kernel")]
            raise ValueError(f"layers: no dense layer at {path!r}, there are {', '.join(kernels)}")
        # kernels are (in, out), maps are (out, in); a bias is a map from scalars, (out, 1)
        found[f"{path}/kernel"] = reps.project(group, layer.source, layer.target, flat[f"{path}/kernel"].T).T
        if f"{path}/bias" in flat:
            found[f"{path}/bias"] = reps.project(group, Scalar(), layer.target, flat[f"{path}/bias"][:, None])[:, 0]
    return flat, found


def _flatten(params: Mapping[str, PyTree]) -> dict[str, PyTree]:
    """Nested dicts as one, with names joined by "/"; what is no dict, or an empty one, is kept as it is."""
    flat: dict[str, PyTree] = {}
    for name, value in params.items():
        if isinstance(value, Mapping) and value:
            flat |= {f"{name}/{below}": x for below, x in _flatten(value).items()}
        else:
            flat[name] = value
    return flat


def _unflatten(flat: Mapping[str, PyTree]) -> dict[str, PyTree]:
    """The nested dicts of `_flatten`."""
    params: dict[str, PyTree] = {}
    for path, value in flat.items():
        *above, name = path.split("/")
        place = params
        for step in above:
            place = place.setdefault(step, {})
        place[name] = value
    return params
