"""What a model has to be, to be trained, tested and run as a potential."""

import importlib
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Array, PyTree


@runtime_checkable
class EnergyModel(Protocol):
    """A flax module `model(vectors, graph, axis_name=None)` that gives each atom's energy less E0, with these fields.

    `models.Potential` is one. Its gradient with respect to the edge vectors (E, 3) gives forces and stresses, so that
    `predict`, `fit`, `evaluate` and all else of `models.potential` take any other as well.
    """

    species: tuple[int, ...]
    """Atomic numbers that the model knows."""
    atomic_energies: tuple[float, ...]
    """E0 of each of them in eV."""
    cutoff: float
    """Longest edge in Å."""
    scale: float
    """Unit of energies in eV in which a loss is taken."""

    def init(self, *args: Any, **kwargs: Any) -> Any:
        """Parameters, as flax draws them."""

    def apply(self, *args: Any, **kwargs: Any) -> Any:
        """The energies (N,) of params, vectors (E, 3), graph and axis_name."""

    def clone(self, **fields: Any) -> Any:
        """The model with other fields."""


@runtime_checkable
class FromNormal(Protocol):
    """A model whose parameters do not start as standard normal numbers."""

    def from_normal(self, params: PyTree[Array]) -> PyTree[Array]:
        """What they start as, of standard normal numbers of their shapes."""


@runtime_checkable
class TakesSpecies(Protocol):
    """A model that can be given more species."""

    def with_species(self, new: Sequence[int]) -> EnergyModel:
        """The model with more species behind its own, whose E0 are 0."""

    def widened(
        self, params: PyTree[Array | np.ndarray], drawn: PyTree[Array | np.ndarray]
    ) -> PyTree[Array | np.ndarray]:
        """Parameters of the model with more species behind its own, which says of known ones what it said.

        Args:
            params: Those of this model.
            drawn: Those that the wider one starts with.
        """


def expect_model(model: object) -> None:
    """Raise a TypeError unless it is one.

    Examples:
        >>> expect_model([1, 8])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        TypeError: model: expected a models.Potential, before all else, or another model of energies, got [1, 8] of ...
    """
    if isinstance(model, type) or not isinstance(model, EnergyModel):
        hint = "; did you mean to call it?" if isinstance(model, type) else ""
        raise TypeError(
            "model: expected a models.Potential, before all else, or another model of energies, got "
            f"{model!r} of type {type(model).__name__}{hint}"
        )


def model_class(name: str | None) -> type:
    """The class of that name in `equijax.models`, of which a checkpoint is.

    Raises:
        ValueError: If there is none, or it is no model of energies.
    """
    found = getattr(importlib.import_module("equijax.models"), name or "", None)
    if not isinstance(found, type) or not {"species", "atomic_energies", "cutoff"} <= set(found.__annotations__):
        raise ValueError(f"config: expected a checkpoint of a potential, such as models.Potential, got one of {name}")
    return found
