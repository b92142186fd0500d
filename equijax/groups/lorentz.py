"""The Lorentz group of special relativity."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax._validate import positive
from equijax.groups.base import check_coordinates, check_shape, of_elements
from equijax.groups.elements import Element, static
from equijax.groups.general_linear import gaussian_log_volume
from equijax.groups.matrices import ChartPart, Matrices
from equijax.groups.orthogonal import SO
from equijax.groups.parts import Embedded, Part, Whole
from equijax.groups.quaternions import quaternion
from equijax.numerics import det, matmul, rapidity_over_sinh, sinhc_sqrt

_METRIC = np.diag([1.0, -1.0, -1.0, -1.0])


@static
class Lorentz(Whole, Matrices):
    """Matrices Λ of shape (..., 4, 4) with Λᵀ η Λ = η = diag(1, −1, −1, −1), det Λ = 1 and Λ₀₀ > 0: SO⁺(1, 3).

    They act on (t, x, y, z), time first. Coordinates: the rapidity ζ, then the rotation vector ω. `exp` is the
    exponential of their sum, and reaches every element; `coords` is the polar chart Λ = B(ζ) R(ω), a boost after a
    rotation. The boost by ζ along x is [[cosh ζ, sinh ζ], [sinh ζ, cosh ζ]] on (t, x).

    `nodes` have normal rapidities with the standard deviation `window`, and weights of the Haar measure.

    Examples:
        >>> at_rest = jnp.array([1.0, 0.0, 0.0, 0.0])  # energy and momentum
        >>> print((boost(jnp.array([0.5, 0.0, 0.0])) @ at_rest).round(3))
        [1.128 0.521 0.    0.   ]
    """

    window: float = 0.5

    def __post_init__(self):
        positive("window", self.window)

    @property
    def size(self) -> int:
        return 4

    @property
    def dim(self) -> int:
        return 6

    def basis(self) -> np.ndarray:
        basis = np.zeros((6, 4, 4))
        for i in range(3):
            basis[i, 0, i + 1] = basis[i, i + 1, 0] = 1
        basis[3:, 1:, 1:] = SO(3).basis()
        return basis

    def inverse(self, g: Element) -> Float[Array, "*batch 4 4"]:
        """η Λᵀ η."""
        check_shape(self, g)
        signs = np.outer(np.diagonal(_METRIC), np.diagonal(_METRIC))
        return jnp.swapaxes(g, -1, -2) * signs.astype(g.dtype)

    @of_elements
    def log(self, g: Float[Array, "*batch 4 4"]) -> Float[Array, "*batch 6"]:
        """Coordinates of the principal logarithm, by way of the spinor w + v·σ = exp(½ (ζ − i ω)·σ) with Re w ≥ 0.

        ζ − i ω = z / sinh(z / 2) · v  where  cosh(z / 2) = w  and  sinh²(z / 2) = v·v.

        Raises:
            ValueError: If `g` is no element, where its numbers are known.
        """
        u, gamma, r = _boost_and_rotation(g)
        # the spinors of the boost, (w1, v1), and of the rotation, (w2, v2), and their product
        half = jnp.sqrt((1 + gamma) / 2)  # cosh of half the rapidity
        q = quaternion(r)
        w1, v1, w2, v2 = half, u / (2 * half), q[..., :1], -1j * q[..., 1:]
        w = w1 * w2 + jnp.sum(v1 * v2, axis=-1, keepdims=True)
        v = w1 * v2 + w2 * v1 + 1j * jnp.cross(v1, v2)
        # of the two spinors of Λ the one with Re w ≥ 0
        w, v = jnp.where(w.real < 0, -w, w), jnp.where(w.real < 0, -v, v)
        c = 2 * rapidity_over_sinh(jnp.sum(v * v, axis=-1, keepdims=True), w) * v
        return jnp.concatenate([c.real, -c.imag], axis=-1).astype(g.dtype)

    @of_elements
    def coords(self, g: Float[Array, "*batch 4 4"]) -> Float[Array, "*batch 6"]:
        """(ζ, ω) of Λ = B(ζ) R(ω).

        Raises:
            ValueError: If `g` is no element, where its numbers are known.
        """
        u, gamma, r = _boost_and_rotation(g)
        zeta = rapidity_over_sinh(jnp.sum(u**2, axis=-1, keepdims=True), gamma) * u
        return jnp.concatenate([zeta, SO(3).log_of_rotation(r)], axis=-1)

    def from_coords(self, a: Float[Array, "*batch 6"]) -> Float[Array, "*batch 4 4"]:
        check_coordinates(self, a)
        return matmul(boost(a[..., :3]), self.embed(SO(3).exp(a[..., 3:])))

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
    ) -> Float[Array, "*batch 4 4"]:
        """B(ζ) R with standard normal rapidities ζ, and R from the Haar measure."""
        key_boost, key_turn = jax.random.split(key)
        turn = self.embed(SO(3).sample(key_turn, shape, dtype))
        return matmul(ChartPart(self, 0, 3).sample(key_boost, shape, dtype), turn)

    @property
    def cube_dim(self) -> int:
        return 6

    def from_cube(self, u: Float[Array, "*batch 6"]) -> tuple[Float[Array, "*batch 4 4"], Float[Array, "*batch"]]:
        normal = jax.scipy.special.ndtri(u[..., :3])
        zeta, turn = self.window * normal, self.embed(SO(3).from_cube(u[..., 3:])[0])
        log_volume = gaussian_log_volume(normal, self.window) + _log_haar_of_boosts(zeta)
        return matmul(boost(zeta), turn), jnp.exp(log_volume)

    def log_haar_coords(self, a: Float[Array, "*batch 6"]) -> Float[Array, "*batch"]:
        """log (sinh ‖ζ‖ / ‖ζ‖)², and the density of SO(3)."""
        return _log_haar_of_boosts(a[..., :3]) + SO(3).log_haar_coords(a[..., 3:])

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        eta = _METRIC.astype(g.dtype)
        apart = jnp.max(jnp.abs(matmul(jnp.swapaxes(g, -1, -2), matmul(eta, g)) - eta), axis=(-2, -1))
        inside = (g[..., 0, 0] > 0) & (det(_boost_and_rotation(g)[2]) > 0)  # that of g cancels at large rapidities
        return jnp.where(inside, apart / jnp.max(jnp.abs(g), axis=(-2, -1)) ** 2, jnp.maximum(apart, 1))

    def parts(self) -> dict[str, Part]:
        return {"boost": ChartPart(self, 0, 3), "rotation": Embedded(self, SO(3))}

    def embed(self, g: Element, slot: int = 0, dtype: DTypeLike | None = None) -> Float[Array, "*batch 4 4"]:
        """Rotations of space as 4 × 4 matrices."""
        eye = jnp.eye(4, dtype=g.dtype)
        return jnp.broadcast_to(eye, (*g.shape[:-2], 4, 4)).at[..., 1:, 1:].set(g)


def boost(zeta: Float[Array, "*batch 3"]) -> Float[Array, "*batch 4 4"]:
    """The boost B(ζ) by the rapidity ‖ζ‖ along ζ, a symmetric matrix."""
    t = jnp.sum(zeta**2, axis=-1)[..., None, None]
    column, row = zeta[..., :, None], zeta[..., None, :]
    factor = sinhc_sqrt(t / 4) ** 2 / 2  # (cosh ‖ζ‖ − 1) / ‖ζ‖²
    space = jnp.eye(3, dtype=zeta.dtype) + factor * column * row
    top = jnp.concatenate([1 + factor * t, sinhc_sqrt(t) * row], axis=-1)
    return jnp.concatenate([top, jnp.concatenate([sinhc_sqrt(t) * column, space], axis=-1)], axis=-2)


def _log_haar_of_boosts(zeta):
    return 2 * jnp.log(sinhc_sqrt(jnp.sum(zeta**2, axis=-1)))


def _boost_and_rotation(g):
    """(u, γ, R) of Λ = B R, where the first column of B is (γ, u)."""
    u, time = g[..., 1:, 0], g[..., 0, 1:]
    gamma = jnp.sqrt(1 + jnp.sum(u**2, axis=-1, keepdims=True))
    return u, gamma, g[..., 1:, 1:] - u[..., :, None] * (time / (1 + gamma))[..., None, :]
