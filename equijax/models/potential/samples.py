"""Structures as batches of a few shapes, from memory or from a file."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Int

from equijax import _validate, graphs, training
from equijax.models.potential.energy_model import EnergyModel, expect_model
from equijax.models.potential.predict import baseline
from equijax.models.potential.training_set import HELD, Survey, survey

Batch = tuple[graphs.Graph, graphs.Labels]


class Samples(NamedTuple):
    """Structures ready to be batched, to a few shapes, in float32."""

    structures: Sequence[graphs.Structure]
    """As they were given."""
    batch_size: int
    shapes: tuple[graphs.Shape, ...]
    """Of batches, from small to large: see `graphs.shapes`."""
    sizes: Int[np.ndarray, "n 2"]
    """Atoms and edges of each structure."""
    species: tuple[int, ...]
    energies: tuple[float, ...]
    """E0 of these species, taken off in float64."""
    cutoff: float
    held: list[tuple[graphs.Graph, graphs.Structure]] | None
    """The structures with their edges, where these fit in memory; else they are read again for each batch."""

    def __repr__(self) -> str:
        shapes = " or ".join(f"{s.nodes} nodes and {s.edges} edges" for s in self.shapes)
        return f"Samples({len(self.structures)} structures in batches of {self.batch_size}: {shapes})"

    def packs(self) -> list[graphs.Pack]:
        """Every structure once, in the batches of a test."""
        return graphs.pack(self.sizes, self.shapes)

    def batches(self, seed: int, shards: int = 1, workers: int = 0) -> Callable[[int], Iterator[Batch]]:
        """Batch after batch for `training.fit`, in the order of `graphs.windows`.

        Args:
            seed: Of the order.
            shards: As for `batch`; each batch is of as many packs.
            workers: Processes that read structures and make neighbor lists ahead of the training, as
                `training.prefetch` has them; none where all is in memory.

        Raises:
            ValueError: If a batch is larger than an epoch.
        """
        _validate.integer("shards", shards, 1)
        if shards * self.batch_size > len(self.structures):
            raise ValueError(
                f"batch_size: expected 1 to {len(self.structures) // shards}, the number of structures over that of "
                f"shards, got {self.batch_size}"
            )
        order = _Order(self, seed, shards)
        if self.held is not None or not workers:
            return lambda first: map(order.batch, order.packs(first))
        return lambda first: training.prefetch(order, first, workers)

    def batch(self, indices: Sequence[int] | Int[np.ndarray, " batch"], shards: int = 1) -> Batch:
        """One padded graph of these structures, and its labels, in the smallest shape that holds them.

        With `shards` as many graphs behind each other, one for each device, all of one shape.

        Raises:
            ValueError: If there are no indices, they fit in no shape, or `shards` does not divide their number.
        """
        if not len(indices):
            raise ValueError("indices: expected at least one, got none")
        if shards < 1 or len(indices) % shards:
            raise ValueError(f"shards: expected a divisor of the {len(indices)} structures of the batch, got {shards}")
        size = len(indices) // shards
        parts = [indices[begin : begin + size] for begin in range(0, len(indices), size)]
        room = np.max([[*self.sizes[list(part)].sum(axis=0), len(part)] for part in parts], axis=0).tolist()
        shape = next((s for s in self.shapes if s.holds(*room)), None)
        if shape is None:
            most = self.shapes[-1]
            raise ValueError(
                f"indices: expected at most {most.nodes - 1} atoms, {most.edges} edges and {most.graphs - 1} "
                f"structures for each graph, got {room}; `packs` and `batches` choose what goes together"
            )
        return self.of_packs([graphs.Pack(tuple(map(int, part)), shape) for part in parts])

    def of_packs(self, packs: Sequence[graphs.Pack]) -> Batch:
        """The batch of a pack, or of one for each device."""
        pairs = []
        for members, shape in packs:
            singles, structures = zip(*map(self._ready, members), strict=True)
            graph = graphs.concatenate(singles, **shape._asdict())
            pairs.append((graph, graphs.labels(structures, graph)))
        return jax.tree.map(lambda *leaves: _single_precision(np.concatenate(leaves)), *pairs)

    def _ready(self, k: int) -> tuple[graphs.Graph, graphs.Structure]:
        """A structure with its edges, less the energies of its atoms."""
        if self.held is not None:
            single, structure = self.held[k]
        else:
            structure = graphs.checked(self.structures[k])
            single = graphs.from_structure(structure, self.cutoff)
        if structure.energy is not None:
            alone = np.asarray(self.energies)[graphs.species_index(structure.species, self.species)].sum()
            structure = structure._replace(energy=structure.energy - alone)
        return single, structure


class _Order:
    """The batches of a run by number, which worker processes ask for, in ascending order."""

    def __init__(self, samples: Samples, seed: int, shards: int):
        self.samples, self.shards = samples, shards
        self.windows = (samples.sizes, samples.shapes, samples.batch_size, seed)
        self._next = 0
        self._rest: Iterator[list[graphs.Pack]] | None = None

    def packs(self, first: int) -> Iterator[list[graphs.Pack]]:
        """From a step on, of each step one pack for each device, which all get the largest shape of them."""
        stream = graphs.windows(*self.windows)(first * self.shards)
        while True:
            packs = [next(stream) for _ in range(self.shards)]
            shape = max((p.shape for p in packs), key=self.samples.shapes.index)
            yield [p._replace(shape=shape) for p in packs]

    def batch(self, packs: list[graphs.Pack]) -> Batch:
        return self.samples.of_packs(packs)

    def __getitem__(self, step: int) -> Batch:
        if self._rest is None or step < self._next:
            self._next, self._rest = step, self.packs(step)
        while self._next <= step:
            packs, self._next = next(self._rest), self._next + 1
        return self.batch(packs)

    def __getstate__(self):
        return self.__dict__ | {"_rest": None}


def samples(
    model: EnergyModel, structures: Sequence[graphs.Structure], batch_size: int, *, held: int = HELD
) -> Samples:
    """Structures that were all read once, and the shapes that their batches have.

    Args:
        model: Whose cut-off and E0 are taken.
        structures: A list, or a sequence that reads them from a file, as `data.open_extended_xyz` gives.
        batch_size: Structures in a batch, on average: see `graphs.shapes`.
        held: Bytes of edges that may stay in memory; where they are more, structures are read again and their neighbor
            lists made again for each batch.

    Raises:
        ValueError: If there are no structures, or one is empty, has coincident atoms, labels that do not fit or species
            that the model lacks.

    Examples:
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> place = [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]
        >>> water = graphs.Structure([8, 1, 1], place, energy=-2078.0, forces=np.full((3, 3), 0.1))
        >>> graph, labels = samples(model, [water, water], batch_size=2).batch([0, 1])
        >>> print(labels.energies[labels.energy_mask].round(1))  # less those of the atoms
        [-9.8 -9.8]
    """
    expect_model(model)
    if not structures:
        raise ValueError("structures: expected at least one, got none")
    return of_survey(model, structures, survey(structures, model.cutoff, held), batch_size)


def of_survey(model: EnergyModel, structures: Sequence[graphs.Structure], found: Survey, batch_size: int) -> Samples:
    """`samples` of structures that were read before."""
    unknown = [k for k, z in enumerate(found.species) if z not in model.species]
    if unknown:
        first = int(np.argmax(found.counts[:, unknown].any(axis=1)))
        try:
            baseline(model, np.array(found.species)[found.counts[first] > 0])
        except ValueError as error:
            raise ValueError(f"structures[{first}].{error}") from error
    _validate.integer("batch_size", batch_size, 1)
    return Samples(
        structures, batch_size, graphs.shapes(found.sizes, batch_size), found.sizes, tuple(model.species),
        tuple(model.atomic_energies), float(model.cutoff), found.held,
    )  # fmt: skip


def _single_precision(a: np.ndarray) -> np.ndarray:
    return a.astype(np.float32) if a.dtype == np.float64 else a
