"""States of a simulation, frames and numbers of them."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from equijax import graphs

ACCELERATION = 0.009648533212331  # Å/fs² of 1 eV/Å on 1 amu
BOLTZMANN = 8.617333262e-5  # eV/K


class State(NamedTuple):
    """Where a simulation is, for it to go on from; one structure."""

    step: Int[Array | np.ndarray, ""]
    positions: Float[Array | np.ndarray, "n 3"]
    """In Å, not wrapped into the cell."""
    velocities: Float[Array | np.ndarray, "n 3"]
    cell: Float[Array | np.ndarray, "3 3"]
    forces: Float[Array | np.ndarray, "n 3"]
    energy: Float[Array | np.ndarray, ""]
    """Of `Prediction.energies`: less the isolated atoms."""
    stress: Float[Array | np.ndarray, "3 3"]
    """Of `Prediction.stresses`, without the motion of the atoms."""


class Frames(NamedTuple):
    """States one after the other, on the host, in float64 where they are numbers."""

    steps: Int[np.ndarray, " k"]
    positions: Float[np.ndarray, "k n 3"]
    velocities: Float[np.ndarray, "k n 3"]
    cells: Float[np.ndarray, "k 3 3"]
    forces: Float[np.ndarray, "k n 3"]
    energies: Float[np.ndarray, " k"]
    """Potential energies in eV, isolated atoms included where the model knows them."""
    stresses: Float[np.ndarray, "k 3 3"]
    kinetic: Float[np.ndarray, " k"]
    """Kinetic energies in eV."""


class Log(NamedTuple):
    """Numbers of each frame of a run."""

    steps: Int[np.ndarray, " k"]
    energies: Float[np.ndarray, " k"]
    """Potential energy in eV."""
    kinetic: Float[np.ndarray, " k"]
    temperatures: Float[np.ndarray, " k"]
    """2 K / (3 n k) in K."""
    volumes: Float[np.ndarray, " k"]
    """In Å³, of the cell; 1 without one."""
    pressures: Float[np.ndarray, " k"]
    """(2 K / V - tr σ) / 3 in eV/Å³."""


def begin(structure: graphs.Structure, velocities: Float[np.ndarray | Array, "n 3"] | None = None) -> State:
    """The state of a structure, as `graphs.checked` makes it, at step 0: energy and forces are not known yet.

    Raises:
        ValueError: If the velocities, in Å/fs, are not those of its atoms.
    """
    x, cell = jnp.asarray(structure.positions, float), jnp.asarray(structure.cell, float)
    v = jnp.zeros_like(x) if velocities is None else jnp.asarray(velocities, x.dtype)
    if v.shape != x.shape:
        raise ValueError(f"velocities: expected shape {x.shape}, got {v.shape}")
    nothing = jnp.zeros((3, 3), x.dtype)
    return State(jnp.zeros((), jnp.int32), x, v, cell, jnp.zeros_like(x), jnp.full((), jnp.nan, x.dtype), nothing)


def frames_of(found, valid, masses, alone):
    steps, x, v, cells, forces, energies, stresses = (np.asarray(a)[valid] for a in found)
    x, v, cells, forces, energies, stresses = (np.float64(a) for a in (x, v, cells, forces, energies, stresses))
    kinetic = np.sum(masses[:, None] * v**2, axis=(1, 2)) / (2 * ACCELERATION)
    return Frames(steps, x, v, cells, forces, energies + alone, stresses, kinetic)


def log_of(frames: Frames) -> Log:
    """The numbers of frames."""
    volumes = np.abs(np.linalg.det(frames.cells))
    stress = np.trace(frames.stresses, axis1=1, axis2=2)
    temperatures = 2 * frames.kinetic / (3 * frames.positions.shape[1] * BOLTZMANN)
    pressures = (2 * frames.kinetic / volumes - stress) / 3
    return Log(frames.steps, frames.energies, frames.kinetic, temperatures, volumes, pressures)


def masses(species: Int[np.ndarray, " n"]) -> Float[np.ndarray, " n"]:
    """Masses in amu of atoms in their natural mixture of isotopes, of ASE's table.

    Raises:
        ImportError: If ASE is not installed.

    Examples:
        >>> masses(np.array([1, 8])).tolist()
        [1.008, 15.999]
    """
    try:
        from ase.data import atomic_masses
    except ImportError as error:
        raise ImportError("masses: expected some in amu; those of ASE need pip install 'equijax[molecules]'") from error
    return np.asarray(atomic_masses[species], np.float64)
