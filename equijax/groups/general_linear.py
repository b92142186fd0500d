"""Matrices of determinant one: SL(n)."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax._validate import integer, positive
from equijax.groups.base import check_coordinates, of_elements
from equijax.groups.constants import traceless_basis
from equijax.groups.decompositions import adjoint_of_algebra, log_polar, sinhc
from equijax.groups.elements import Element, static
from equijax.groups.matrices import ChartPart, Matrices
from equijax.groups.orthogonal import SO
from equijax.groups.parts import Part
from equijax.numerics import det, exp_and_phi, matmul, slogdet


@static
class SL(Matrices):
    """Matrices of determinant 1, shape (..., n, n), with n ≥ 2.

    Coordinates: those of X, symmetric without trace, in an orthonormal basis, then those of SO(n). `exp` is the
    exponential of their sum. It does not reach every element; `coords` is the polar chart, which does: A = e^X R.

    `nodes` have normal X with the standard deviation `window` in each coordinate, and weights of the Haar measure.

    Examples:
        >>> SL(2).dim, SL(2).parts()["shear"].dim, SL(2).parts()["rotation"]
        (3, 2, SO(2))
    """

    n: int
    window: float = 0.5

    def __post_init__(self):
        integer("n", self.n, 2)
        positive("window", self.window)

    @property
    def size(self) -> int:
        return self.n

    @property
    def dim(self) -> int:
        return self.n**2 - 1

    def basis(self) -> np.ndarray:
        return np.concatenate([traceless_basis(self.n), SO(self.n).basis()])

    @of_elements
    def coords(self, g: Float[Array, "*batch n n"]) -> Float[Array, "*batch dim"]:
        """Those of X and of log R in A = e^X R: a chart of the whole group, smooth but where R turns by π."""
        x, r = log_polar(g)
        return self.vee(x).at[..., self._symmetric :].set(SO(self.n).log_of_rotation(r))

    def from_coords(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch n n"]:
        check_coordinates(self, a)
        x, omega = self._split(a)
        return matmul(exp_and_phi(x)[0], SO(self.n).exp(omega))

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
    ) -> Float[Array, "*batch n n"]:
        """e^X R with standard normal coordinates of X, and R from the Haar measure."""
        key_x, key_r = jax.random.split(key)
        x = ChartPart(self, 0, self._symmetric).sample(key_x, shape, dtype)
        return matmul(x, SO(self.n).sample(key_r, shape, dtype))

    @property
    def cube_dim(self) -> int:
        return self._symmetric + SO(self.n).cube_dim

    def from_cube(self, u: Float[Array, "*batch cube"]) -> tuple[Float[Array, "*batch n n"], Float[Array, "*batch"]]:
        # X from a normal law, R from the Haar measure, each from coordinates of its own
        normal = jax.scipy.special.ndtri(u[..., : self._symmetric])
        r, density = SO(self.n).from_cube(u[..., self._symmetric :])
        x = self._traceless(self.window * normal)
        log_volume = gaussian_log_volume(normal, self.window) + _log_haar_of_symmetric(x)
        return matmul(exp_and_phi(x)[0], r), density * jnp.exp(log_volume)

    def log_haar_coords(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        """log Π_{i<j} sinhc(x_i − x_j), with the eigenvalues x of X, and the density of SO(n)."""
        x, omega = self._split(a)
        return _log_haar_of_symmetric(x) + SO(self.n).log_haar_coords(omega)

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        bound = jnp.mean(jnp.sum(g**2, axis=-1), axis=-1) ** (self.n / 2)  # of the determinant
        return jnp.abs(det(g) - 1) / jnp.maximum(bound, 1)

    def parts(self) -> dict[str, Part]:
        return {"rotation": SO(self.n), "shear": ChartPart(self, 0, self._symmetric)}

    @property
    def _symmetric(self) -> int:
        """Number of coordinates of X."""
        return self.dim - math.comb(self.n, 2)

    def _split(self, a):
        """(X, ω) of coordinates."""
        return self._traceless(a[..., : self._symmetric]), a[..., self._symmetric :]

    def _traceless(self, a):
        return jnp.einsum("...i,ijk->...jk", a, traceless_basis(self.n).astype(a.dtype), precision="highest")


def gaussian_log_volume(normal: Float[Array, "*batch d"], window: float) -> Float[Array, "*batch"]:
    """Logarithm of the volume that a sample of a normal law stands for, one over its density, at window · `normal`."""
    return jnp.sum(normal**2 / 2 + math.log(window * math.sqrt(2 * math.pi)), axis=-1)


def _log_haar_of_symmetric(x):
    """log Π_{i<j} sinhc(x_i − x_j): ad_X has the eigenvalues x_i − x_j for all i and j."""
    return slogdet(sinhc(adjoint_of_algebra(x)))[1] / 2
