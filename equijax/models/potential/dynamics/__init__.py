"""Molecular dynamics in one program: neighbor lists with a skin, forces and steps inside of `jax.lax.scan`.

Å, eV, fs, K and atomic mass units; velocities in Å/fs, pressures in eV/Å³ (1 GPa is 0.00624151 eV/Å³). A force of
1 eV/Å accelerates 1 amu by `ACCELERATION` Å/fs².

A step is the splitting BAOAB, with the acceleration a = F/m:

    v ← v + a Δt/2,   x ← x + v Δt/2,   v ← c v + √((1 - c²) kT/m) ξ,   x ← x + v Δt/2,   v ← v + a Δt/2

where c = exp(-γ Δt) and ξ is standard normal. Without friction it is velocity Verlet.

References:
    Leimkuhler and Matthews 2013, doi:10.1093/amrx/abs010 (BAOAB); Bernetti and Bussi 2020, arXiv:2006.09250
    (stochastic cell rescaling).
"""

from equijax.models.potential.dynamics.ensembles import (
    ACCELERATION,
    BOLTZMANN,
    GPA,
    NPT,
    NVE,
    Ensemble,
    Langevin,
    maxwell_boltzmann,
)
from equijax.models.potential.dynamics.files import TrajectoryFile, last_state
from equijax.models.potential.dynamics.program import Predictor
from equijax.models.potential.dynamics.simulation import Result, run
from equijax.models.potential.dynamics.states import Frames, Log, State, begin, log_of, masses

__all__ = [
    "ACCELERATION",
    "BOLTZMANN",
    "GPA",
    "NPT",
    "NVE",
    "Ensemble",
    "Frames",
    "Langevin",
    "Log",
    "Predictor",
    "Result",
    "State",
    "TrajectoryFile",
    "begin",
    "last_state",
    "log_of",
    "masses",
    "maxwell_boltzmann",
    "run",
]
