"""A committee of potentials of one model: their mean, and their spread as a measure of what they do not know.

Its parameters are those of the members with one more axis in front; members differ by their first parameters, or by
what they have been trained on.

References:
    Schran, Brezina and Marsalek 2020, arXiv:2006.01541 (committees); Busk et al. 2021, arXiv:2107.06068 (calibration).
"""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from equijax import _validate, graphs
from equijax.models.potential import predict as single
from equijax.models.potential.energy_model import EnergyModel
from equijax.models.potential.predict import Prediction


class Opinion(NamedTuple):
    """What a committee says of a graph."""

    mean: Prediction
    spread: Prediction
    """Standard deviation over the members, of each number; √(Σ (x - mean)² / (members - 1))."""


def initialize(model: EnergyModel, key: PRNGKeyArray, members: int) -> PyTree:
    """First parameters of each member, in one program.

    Raises:
        ValueError: If there are fewer than two members.

    Examples:
        >>> from equijax.models.potential import Potential
        >>> model = Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> initialize(model, jax.random.key(0), 3)["params"]["embedding"]["kernel"].shape
        (3, 2, 2)
    """
    _validate.random_key("key", key)
    keys = jax.random.split(key, _validate.integer("members", members, 2))
    return jax.vmap(lambda key: single.initialize(model, key))(keys)


def stack(members: Sequence[PyTree]) -> PyTree:
    """Parameters of models that were trained one by one, as those of a committee.

    Raises:
        ValueError: If there are fewer than two, or they are of different models.

    Examples:
        >>> stack([{"w": jnp.zeros(3)}, {"w": jnp.ones(3)}])["w"].shape
        (2, 3)
    """
    if len(members) < 2:
        raise ValueError(f"members: expected at least two, got {len(members)}")
    shapes = [jax.tree.map(jnp.shape, member) for member in members]
    if any(shape != shapes[0] for shape in shapes):
        raise ValueError("members: expected parameters of one model, got some of another structure or shape")
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *members)


def predict(
    model: EnergyModel, params: PyTree, graph: graphs.Graph, positions: Float[Array, "N 3"] | None = None
) -> Opinion:
    """Mean and spread of the members' predictions.

    Args:
        model: The potential of all members.
        params: Of `initialize` or `stack`.
        graph: As for `potential.predict`.
        positions: As for `potential.predict`.

    Raises:
        ValueError: If there are fewer than two members, or those of `potential.predict`.

    Examples:
        >>> from equijax.models.potential import Potential
        >>> model = Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> pair = graphs.from_structure(graphs.Structure([8, 1], [[0.0, 0, 0], [0, 0, 0.97]]), model.cutoff)
        >>> f = lambda key: predict(model, initialize(model, key, 3), pair)
        >>> jax.eval_shape(f, jax.random.key(0)).spread.forces.shape
        (2, 3)
    """
    sizes = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(params)}
    if len(sizes) != 1 or (size := sizes.pop()) < (2,):
        raise ValueError("params: expected those of two members or more, with one axis in front; see committee.stack")
    all_of_them = jax.vmap(lambda member: single.predict(model, member, graph, positions))(params)
    spread = jax.tree.map(lambda x: jnp.std(x, axis=0) * (size[0] / (size[0] - 1)) ** 0.5, all_of_them)
    return Opinion(jax.tree.map(lambda x: jnp.mean(x, axis=0), all_of_them), spread)


@functools.cache
def mean(model: EnergyModel) -> Callable[[PyTree, graphs.Graph], Prediction]:
    """The mean of a committee as a function (params, graph) -> `Prediction`, the same one for equal models.

    `dynamics.run(committee.mean(model), params, structure, 1000, cutoff=model.cutoff)` moves atoms by it.

    Examples:
        >>> from equijax.models.potential import Potential
        >>> model = Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0))
        >>> mean(model) is mean(model.clone())
        True
    """
    return lambda params, graph: predict(model, params, graph).mean


def calibration(errors: Float[np.ndarray | Array, "..."], spread: Float[np.ndarray | Array, "..."]) -> float:
    """The factor s by which a spread has to be multiplied to be the size of errors of the mean:

        s² = mean (error / spread)² ,

    the most likely one if errors are normal with s spread as their deviation. Find it on validation data.

    Raises:
        ValueError: If the two differ in shape, there are none, or a spread is not positive.

    Examples:
        >>> calibration(np.array([0.2, -0.4, 0.6]), np.array([0.1, 0.2, 0.3]))
        2.0
    """
    errors, spread = np.asarray(errors, np.float64), np.asarray(spread, np.float64)
    if errors.shape != spread.shape or not errors.size:
        raise ValueError(f"spread: expected shape {errors.shape}, one for each error, got {spread.shape}")
    if not (spread > 0).all():
        raise ValueError("spread: expected positive numbers, got some that are not; leave padding out")
    return float(np.sqrt(np.mean((errors / spread) ** 2)))
