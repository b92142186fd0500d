"""Repulsion of nuclei at short range, so that atoms do not fall together where there are no data.

References:
    Ziegler, Biersack and Littmark 1985, The Stopping and Range of Ions in Matter (the universal screening function).
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax.nn.graphs.radial import polynomial_cutoff

COULOMB = 14.399645478425668  # e²/4πε₀ in eV Å
LENGTH = 0.46850  # 0.8854 Bohr radii in Å
AMOUNTS = (0.18175, 0.50986, 0.28022, 0.02817)
RATES = (3.19980, 0.94229, 0.40290, 0.20162)
NEAREST = 0.01  # Å, below which the energy is that of this distance


def zbl(r: ArrayLike, z_i: ArrayLike, z_j: ArrayLike) -> Float[Array, "..."]:
    """Energy in eV of two nuclei with charges z_i and z_j at a distance r in Å, screened by their electrons:

        V(r) = k z_i z_j / r Σ_n c_n exp(-d_n r/a) ,   a = 0.4685 Å / (z_i^0.23 + z_j^0.23) ,   k = 14.3996 eV Å .

    Constant below 0.01 Å, where the derivative is 0.

    Examples:
        >>> round(float(zbl(1.0, 29, 29)), 1)  # two of copper
        135.0
    """
    r, z_i, z_j = (jnp.asarray(x, float) if not hasattr(x, "dtype") else jnp.asarray(x) for x in (r, z_i, z_j))
    r = jnp.maximum(r, NEAREST)
    x = r * (z_i**0.23 + z_j**0.23) / LENGTH
    screening = sum(c * jnp.exp(-d * x) for c, d in zip(AMOUNTS, RATES, strict=True))
    return COULOMB * z_i * z_j / r * screening


def short_range(
    r: Float[Array, " E"], z_i: Float[Array, " E"], z_j: Float[Array, " E"], reach: Float[Array, " E"]
) -> Float[Array, " E"]:
    """`zbl`, going to zero at the reach of each pair with two continuous derivatives."""
    return zbl(r, z_i, z_j) * polynomial_cutoff(r / reach, 1.0)


def covalent_radii(species: Sequence[int]) -> tuple[float, ...]:
    """Covalent radii in Å, for `models.Potential(repulsion=...)`, of ASE's table (Cordero et al. 2008).

    Raises:
        ImportError: If ASE is not installed.

    Examples:
        >>> covalent_radii((1, 8))
        (0.31, 0.66)
    """
    try:
        from ase.data import covalent_radii
    except ImportError as error:
        raise ImportError("covalent radii are those of ASE: pip install 'equijax[molecules]', or give radii") from error
    return tuple(np.asarray(covalent_radii)[list(species)].tolist())
