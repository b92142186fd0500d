"""Lie derivatives of a batch as numbers, of a network as a whole and layer by layer."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from equijax._validate import integer, random_key
from equijax.measures.batches import batch_of, flat, row_keys
from equijax.measures.lie_derivative import connected_parts, lie_derivative
from equijax.numerics import AxisName, global_batch
from equijax.reps import Rep
from equijax.symmetry import Symmetry

UNITS = {
    "rotation": "radian",
    "translation": "unit of length, of images a pixel",
    "scaling": "factor of e",
    "boost": "unit of rapidity",
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LieError:
    """How fast a function departs from its symmetry along one part of the group.

    Attributes:
        squared: Mean over samples and numbers of an output of L², for each direction of the part.
        absolute: The mean of ‖L‖.
        unit: What one unit of t is: `absolute` is per that.
    """

    squared: Float[Array, " directions"]
    absolute: Float[Array, " directions"]
    unit: str = dataclasses.field(metadata={"static": True})


def lie_error(
    f: Callable[..., PyTree], symmetry: Symmetry, inputs: PyTree, *, axis_name: AxisName = None
) -> dict[str, LieError]:
    """E_x ‖L f(x)‖² / dim of the output, and the mean of ‖L f‖, for each direction of the connected part of a group.

    As `lie_derivative`, over a batch: two evaluations for one direction. Of a classifier take the probabilities, whose
    scale is known.

    Args:
        f: Function of one sample.
        symmetry: As for `lie_derivative`.
        inputs: Arguments of f, one array or a tuple, with the batch as the first axis of each array.
        axis_name: Mesh axis over which the batch is sharded.

    Returns:
        One entry for each connected part of the group, such as "rotation".

    Raises:
        TypeError, ValueError: As `lie_derivative`, or if the arguments are no batch.

    References:
        Gruver et al. 2023, arXiv:2210.02984, eq. 5; their code logs the mean absolute value.

    Examples:
        >>> from equijax import groups, reps, Symmetry
        >>> symmetry = Symmetry(groups.SO(2), reps.Vector(), None)
        >>> found = lie_error(lambda x: x[0], symmetry, jnp.array([[0.0, 2.0], [1.0, 0.0]]))["rotation"]
        >>> print(found.squared, found.absolute, found.unit)
        [2.] [1.] radian
    """
    args, _ = batch_of(f, symmetry, inputs)
    found = jax.vmap(lambda *x: lie_derivative(f, symmetry, x))(*args)

    def summary(name, derivative):
        rows = global_batch(_by_direction(derivative), axis_name)
        return LieError(jnp.mean(rows**2, axis=(0, 2)), jnp.mean(jnp.abs(rows), axis=(0, 2)), _unit(name))

    return {name: summary(name, derivative) for name, derivative in found.items()}


class LieLayers(NamedTuple):
    """Where in a network one part of its symmetry is lost; layers in their order, one column a direction.

    Attributes:
        through: E ‖J L f_k‖² / dim of the output of the network, for each layer: the violation of this layer alone,
            carried by the derivative J of those after it. **A single number depends on how the layers in between are
            said to transform; the sum of the vectors J L f_k, which is L f, does not.**
        alone: E ‖L f_k‖² / dim of the output of the layer.
        whole: E ‖L f‖² / dim of the output, of the network as a whole.
    """

    through: Float[Array, "layers directions"]
    alone: Float[Array, "layers directions"]
    whole: Float[Array, " directions"]


def lie_layers(
    layers: Mapping[str, Callable[[Array], Array]],
    symmetry: Symmetry,
    inputs: Float[Array, "batch ..."],
    outputs: Mapping[str, Rep | None],
    *,
    key: PRNGKeyArray,
    probes: int = 1,
    axis_name: AxisName = None,
) -> dict[str, LieLayers]:
    """The Lie derivative of f = f_K ∘ … ∘ f_1 as a sum over its layers: L f = Σ_k J_K … J_{k+1} L f_k(x_{k−1}).

    Each term is projected on random signs v by one backward pass: (v · J L f_k)² has the mean ‖J L f_k‖², and is that
    if the output is one number.

    Args:
        layers: The layers by name, in their order; functions of one array, of one sample.
        symmetry: Of the whole network.
        inputs: The samples along the first axis.
        outputs: How the output of each layer but the last transforms, None for invariants. Of features that are said
            to transform in no way, take the one that is closest; see `LieLayers.through`.
        key: For the signs.
        probes: How many of them for each sample.
        axis_name: Mesh axis over which the batch is sharded.

    Returns:
        One entry for each connected part of the group.

    Raises:
        TypeError, ValueError: If a layer has no representation, or one that does not fit its output, or as
            `lie_derivative`.

    References:
        Gruver et al. 2023, arXiv:2210.02984, eq. 7 and 8.

    Examples:
        >>> from equijax import groups, reps, Symmetry
        >>> layers = {"scale": lambda x: 2 * x, "bend": lambda x: jnp.sum(x**2) + x[0]}
        >>> symmetry = Symmetry(groups.SO(2), reps.Vector(), None)
        >>> found = lie_layers(layers, symmetry, jnp.ones((1, 2)), {"scale": reps.Vector()}, key=jax.random.key(0))
        >>> print(found["rotation"].through[:, 0])
        [0. 4.]
    """
    integer("probes", probes, 1)
    parts, key = connected_parts(symmetry), random_key("key", key)
    steps = _steps(layers, symmetry, outputs)
    (x,), count = batch_of(next(iter(layers.values())), symmetry, inputs)

    def of_sample(x, key):
        derivatives, backs = [], []
        for name, (f, step) in steps.items():
            try:
                derivatives.append(lie_derivative(f, step, (x,)))
            except (TypeError, ValueError) as error:
                raise type(error)(f"layer {name!r}: {error}") from error
            x, back = jax.vjp(f, x)
            backs.append(back)

        def projected(key):
            v, terms = jax.random.rademacher(key, x.shape, x.dtype), []
            for derivative, back in zip(reversed(derivatives), reversed(backs), strict=True):
                # v · L f_k for each direction, then v J_k for the layer before
                terms.append({part: _by_sample(derivative[part]) @ v.ravel() for part in parts})
                (v,) = back(v)
            return {part: jnp.stack([term[part] for term in reversed(terms)]) for part in parts}

        alone = {p: jnp.stack([jnp.mean(_by_sample(d[p]) ** 2, axis=1) for d in derivatives]) for p in parts}
        return jax.vmap(projected)(jax.random.split(key, probes)), alone, jnp.full((), x.size)

    terms, alone, size = jax.vmap(of_sample)(x, row_keys(key, count, axis_name))

    def summary(part):
        projections = global_batch(terms[part], axis_name)  # (batch, probes, layers, directions)
        return LieLayers(
            jnp.mean(projections**2, axis=(0, 1)) / size[0],
            jnp.mean(global_batch(alone[part], axis_name), axis=0),
            jnp.mean(jnp.sum(projections, axis=2) ** 2, axis=(0, 1)) / size[0],
        )

    return {part: summary(part) for part in parts}


def _steps(layers, symmetry, outputs):
    """Each layer with the symmetry of its input and output."""
    names = list(layers)
    if not names:
        raise ValueError("layers: expected at least one")
    if set(outputs) != set(names[:-1]):
        raise ValueError(
            f"outputs: expected a representation, or None, for each of the layers but the last, {names[:-1]}, "
            f"got {list(outputs)}"
        )
    interfaces = [symmetry.inputs, *(outputs[name] for name in names[:-1]), symmetry.outputs]
    pairs = zip(names, interfaces, interfaces[1:], strict=False)
    return {name: (layers[name], Symmetry(symmetry.group, before, after)) for name, before, after in pairs}


def _by_direction(derivative: PyTree) -> Float[Array, "batch directions numbers"]:
    """All numbers of the output side by side."""
    return jax.vmap(flat)(derivative)


def _by_sample(derivative: Float[Array, "directions ..."]) -> Float[Array, "directions numbers"]:
    return derivative.reshape(len(derivative), -1)


def _unit(part: str) -> str:
    """What one unit of t is along a part of a group, by its name."""
    kind = next((kind for kind in UNITS if part.startswith(kind)), None)
    return "unit of the coordinates of the algebra" if kind is None else UNITS[kind]
