"""Simulations: programs one after the other, with larger lists where they are too small."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from equijax import _validate, graphs
from equijax.models.potential.dynamics import ensembles, program, states
from equijax.models.potential.dynamics.ensembles import NPT, NVE, Ensemble
from equijax.models.potential.dynamics.states import Frames, Log, State
from equijax.models.potential.energy_model import EnergyModel
from equijax.models.potential.predict import baseline

MARGIN = 1.05  # a cell may shrink by that much before lists are made larger


class Result(NamedTuple):
    """What `run` gives back."""

    state: State
    log: Log
    growths: int
    """How often neighbor lists were too small, and were made larger."""


def run(
    model: program.Predictor,
    params: PyTree,
    structure: graphs.Structure,
    steps: int,
    ensemble: Ensemble | None = None,
    *,
    cutoff: float | None = None,
    velocities: Float[np.ndarray | Array, "n 3"] | None = None,
    state: State | None = None,
    masses: Float[np.ndarray, " n"] | None = None,
    key: PRNGKeyArray | None = None,
    every: int = 10,
    frames: int = 20,
    skin: float = 0.5,
    spare: float = 0.25,
    write: Callable[[Frames], object] | None = None,
) -> Result:
    """Molecular dynamics of one structure, in programs of `frames` times `every` steps.

    Neighbor lists reach `skin` further than the model, and are made anew, in the program, when an atom has moved so far
    that one could miss an edge. The model sees those edges that are shorter than its cutoff. Where there are more edges
    than there is room for, the step is not made: larger lists are compiled, and it goes on from there, with the same
    numbers. Numbers are in float64 where jax has it enabled, and else in float32.

    Args:
        model: A `models.Potential`, or a function (params, graph) -> `Prediction`, the same object each time.
        params: Its parameters.
        structure: Species, positions and cell.
        steps: How many to make, from `state` on.
        ensemble: `NVE()` unless given. Its numbers may change without another compilation.
        cutoff: Of a function; a model has its own.
        velocities: In Å/fs; zero unless given. `maxwell_boltzmann` draws some.
        state: To go on from, of `Result` or of a file, in the place of positions, velocities and cell.
        masses: In amu; those of ASE unless given.
        key: For ensembles with a temperature. The draws of a step depend on the key and the number of the step.
        every: Steps from one frame to the next.
        frames: Frames a program; memory holds as many.
        skin: In Å.
        spare: How much more edges than at first there is room for.
        write: Is called with the frames of each program while the simulation runs; `TrajectoryFile` is one.
            The first frame is the one after `every` steps.

    Raises:
        TypeError: If there is no key and the ensemble needs one, or an argument is of the wrong kind.
        ValueError: If the structure is empty, has coincident atoms, a flat cell, none where it is periodic, or species
            that the model does not know; or a size, a step or a temperature is no positive number.
        FloatingPointError: If energy, forces or positions are no longer numbers. All frames before have been written.

    Examples:
        >>> from equijax.models.potential import Prediction
        >>> from equijax.models.potential.dynamics import NVE
        >>> def springs(params, graph):  # E = Σ_e (r_e - 1)²/2, of each bond in both directions
        ...     r = graphs.edge_lengths(graph.vectors)
        ...     g = ((r - 1) / r * graph.edge_mask)[:, None] * graph.vectors  # ∂E/∂r_e
        ...     n, count = len(graph.species), len(graph.graph_mask)
        ...     forces = jax.ops.segment_sum(g, graph.receivers, n) - jax.ops.segment_sum(g, graph.senders, n)
        ...     energies = jnp.zeros(count).at[0].set(jnp.sum((r - 1) ** 2 * graph.edge_mask) / 2)
        ...     return Prediction(energies, forces, jnp.zeros((count, 3, 3)), jnp.zeros(n))
        >>> pair = graphs.Structure([1, 1], [[0, 0, 0], [0, 0, 1.1]])
        >>> found = run(springs, None, pair, 100, NVE(0.5), cutoff=2.0, masses=np.ones(2))
        >>> total = found.log.energies + found.log.kinetic
        >>> len(total), bool(np.ptp(total) < 1e-2 * total[0])
        (10, True)
    """
    structure = graphs.checked(structure)
    species, n = structure.species, len(structure.species)
    ensemble = NVE() if ensemble is None else ensemble
    ensembles.check(ensemble, structure, key)
    cutoff, alone = _model(model, cutoff, species)
    steps = _validate.integer("steps", steps)
    steps, every, frames = (
        _validate.integer(name, value, 1) for name, value in (("steps", steps), ("every", every), ("frames", frames))
    )
    _validate.positive("skin", skin, "length")
    masses = states.masses(species) if masses is None else np.asarray(masses, np.float64)
    if masses.shape != (n,) or not (masses > 0).all():
        raise ValueError(f"masses: expected {n} positive numbers in amu, got {masses}")
    state = states.begin(structure, velocities) if state is None else jax.tree.map(jnp.asarray, state)
    if state.positions.shape != (n, 3):
        raise ValueError(f"state: expected one of {n} atoms, as the structure, got {state.positions.shape[0]}")
    key = jax.random.key(0) if key is None else key
    sides = {"cutoff": cutoff, "skin": skin, "shrinking": MARGIN if isinstance(ensemble, NPT) else 1.0}
    atoms = (species, masses, np.array(structure.pbc))
    last, logs, growths, wanted, before, sizes = int(state.step) + steps, [], 0, spare, None, None
    while int(state.step) < last:
        sizes = sizes or program.sizes_for(state, structure.pbc, wanted, **sides)
        state, found, valid, ended = program.chunk(
            model,
            params,
            ensemble,
            atoms,
            state,
            key,
            last,
            every,
            cutoff=cutoff,
            skin=skin,
            sizes=sizes,
            frames=frames,
        )
        kept = states.frames_of(found, np.asarray(valid), masses, alone)
        if len(kept.steps):
            logs.append(states.log_of(kept))
            if write is not None:
                write(kept)
        if ended == program.LOST:
            raise FloatingPointError(
                f"step {int(state.step) + 1}: energy, forces or positions are no finite numbers; take a smaller "
                "timestep, check the structure, or train the model on structures like the last one"
            )
        if ended == program.FULL:  # twice at the same step: more room than there is usually to spare
            wanted = 2 * wanted + 0.1 if before == int(state.step) else spare
            before, growths, sizes = int(state.step), growths + 1, None
    return Result(state, jax.tree.map(lambda *a: np.concatenate(a), *logs), growths)


def _model(model, cutoff, species):
    """The cutoff, and the energy of the isolated atoms."""
    if isinstance(model, EnergyModel):
        if cutoff is not None:
            raise ValueError(f"cutoff: expected none beside a model, which has its own, got {cutoff}")
        return model.cutoff, float(baseline(model, species).sum())
    if not callable(model):
        raise TypeError(
            f"model: expected a models.Potential or a function (params, graph) -> Prediction, got {model!r}"
        )
    if cutoff is None:
        raise ValueError("cutoff: expected that of the function in Å, got None")
    _validate.positive("cutoff", cutoff, "length")
    return float(cutoff), 0.0
