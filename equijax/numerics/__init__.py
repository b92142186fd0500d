"""The ground floor: linear algebra with right derivatives, safe functions, primitives that lower on every platform.

No mathematics of symmetries: what is here could stand in any package that differentiates through linear algebra.
"""

from equijax.numerics.batches import AxisName, global_batch
from equijax.numerics.grids import (
    distinct,
    fractional_shift,
    largest_phase,
    phase_energies,
    resample,
    roll,
)
from equijax.numerics.interpolation import EDGES, KERNELS, interpolate
from equijax.numerics.linear_algebra import (
    det,
    eigh,
    exp_and_phi,
    in_single,
    inv,
    matmul,
    slogdet,
    solve,
    svd,
    tolerance,
)
from equijax.numerics.mixtures import Mixture, fit_mixture, log_assignment
from equijax.numerics.orthonormal import completion, orthonormal_rows, unit_across
from equijax.numerics.primitives import compile_alone
from equijax.numerics.safe import (
    angle_over_sine,
    norm,
    rapidity_over_sinh,
    sinc,
    sinc_sqrt,
    sinhc_sqrt,
    sqrt,
    unit,
)

__all__ = [
    "EDGES",
    "KERNELS",
    "AxisName",
    "Mixture",
    "angle_over_sine",
    "compile_alone",
    "completion",
    "det",
    "distinct",
    "eigh",
    "exp_and_phi",
    "fit_mixture",
    "fractional_shift",
    "global_batch",
    "in_single",
    "interpolate",
    "inv",
    "largest_phase",
    "log_assignment",
    "matmul",
    "norm",
    "orthonormal_rows",
    "phase_energies",
    "rapidity_over_sinh",
    "resample",
    "roll",
    "sinc",
    "sinc_sqrt",
    "sinhc_sqrt",
    "slogdet",
    "solve",
    "sqrt",
    "svd",
    "tolerance",
    "unit",
    "unit_across",
]
