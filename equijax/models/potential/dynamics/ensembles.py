"""What is kept constant, how atoms and cell move in a step, and with which velocities they begin."""

from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from equijax import _validate
from equijax.models.potential.dynamics.states import ACCELERATION, BOLTZMANN

GPA = 0.006241509074461  # eV/Å³


class NVE(NamedTuple):
    """Constant energy: velocity Verlet."""

    timestep: float = 0.5
    """In fs."""


class Langevin(NamedTuple):
    """Constant temperature: Langevin dynamics by BAOAB."""

    timestep: float = 0.5
    temperature: float = 300.0
    """In K."""
    friction: float = 0.01
    """γ in 1/fs."""


class NPT(NamedTuple):
    """Constant temperature and pressure: Langevin dynamics in a cell that keeps its shape.

    Its volume V = e^ε follows

        dε = (β/τ) (P - P₀) dt + √(2 kT β / (V τ)) dW .

    β and τ only set how fast: it is their ratio that counts.

    References:
        Bernetti and Bussi 2020, arXiv:2006.09250, stochastic cell rescaling.
    """

    timestep: float = 0.5
    temperature: float = 300.0
    friction: float = 0.01
    pressure: float = 0.0
    """P₀ in eV/Å³."""
    compressibility: float = 0.5
    """β in Å³/eV, of the order of the material's: 1.6 Å³/eV is 0.01 / GPa."""
    relaxation: float = 1000.0
    """τ in fs."""


Ensemble: TypeAlias = NVE | Langevin | NPT


def maxwell_boltzmann(
    key: PRNGKeyArray, masses: Float[np.ndarray | Array, " n"], temperature: float
) -> Float[Array, "n 3"]:
    """Velocities in Å/fs of atoms of these masses, in amu, at a temperature in K, with no momentum in total.

    Examples:
        >>> v = maxwell_boltzmann(jax.random.key(0), np.full(1000, 12.0), 300.0)
        >>> bool(abs(12 * jnp.sum(v**2) / ACCELERATION / (3 * 1000 * BOLTZMANN) - 300) < 15)
        True
    """
    _validate.random_key("key", key)
    masses = jnp.asarray(masses, float)[:, None]
    if not temperature >= 0:
        raise ValueError(f"temperature: expected a number of at least 0 K, got {temperature}")
    v = jnp.sqrt(BOLTZMANN * temperature * ACCELERATION / masses) * jax.random.normal(key, (len(masses), 3), float)
    return v - jnp.sum(masses * v, axis=0) / jnp.sum(masses)


def check(ensemble, structure, key):
    """Raise what `run` says of an ensemble."""
    _validate.instance("ensemble", ensemble, (NVE, Langevin, NPT), "dynamics.NVE(), Langevin() or NPT()")
    for name, value in ensemble._asdict().items():
        if name == "pressure":
            continue
        if not (value >= 0 if name == "temperature" else value > 0):
            raise ValueError(f"{name}: expected a positive number, got {value}")
    if isinstance(ensemble, NVE):
        return
    if key is None:
        raise TypeError(f"key: expected a random key for {type(ensemble).__name__}, got None; pass jax.random.key(0)")
    _validate.random_key("key", key)
    if isinstance(ensemble, NPT) and not all(structure.pbc):
        raise ValueError(f"structure: expected three periodic axes for NPT, got pbc {structure.pbc}; take Langevin")


def drift(ensemble, dt, state, v, masses, key):
    """Positions, cell and velocities after A, O and A, and the change of the cell."""
    x = state.positions + 0.5 * dt * v
    if isinstance(ensemble, NVE):
        return x + 0.5 * dt * v, state.cell, v
    thermal = BOLTZMANN * ensemble.temperature
    c = jnp.exp(-ensemble.friction * dt)
    noise = jax.random.normal(key, v.shape, v.dtype)
    v = c * v + jnp.sqrt((1 - c**2) * thermal * ACCELERATION / masses) * noise
    x = x + 0.5 * dt * v
    if isinstance(ensemble, Langevin):
        return x, state.cell, v
    volume = jnp.abs(jnp.linalg.det(state.cell))
    pressure = (jnp.sum(masses * v**2) / ACCELERATION / volume - jnp.trace(state.stress)) / 3
    mobility = ensemble.compressibility / ensemble.relaxation * dt
    noise = jax.random.normal(jax.random.fold_in(key, 1), (), v.dtype)
    growth = mobility * (pressure - ensemble.pressure) + jnp.sqrt(2 * thermal * mobility / volume) * noise
    factor = jnp.exp(growth / 3).astype(v.dtype)
    return x * factor, state.cell * factor, v / factor
