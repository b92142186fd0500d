"""Matrices that keep an indefinite metric: O(p, q)."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax._validate import integer, positive
from equijax.groups.base import check_coordinates, check_shape, of_elements
from equijax.groups.decompositions import log_polar, sinhc
from equijax.groups.elements import Element, Nodes, static
from equijax.groups.general_linear import gaussian_log_volume
from equijax.groups.matrices import ChartPart, Matrices
from equijax.groups.orthogonal import SO, O
from equijax.groups.parts import Mirror, Part
from equijax.numerics import det, exp_and_phi, matmul, slogdet


@static
class IndefiniteOrthogonal(Matrices):
    """O(p, q): matrices Λ of shape (..., p + q, p + q) with Λᵀ η Λ = η = diag(1, …, 1, −1, …, −1), p times 1.

    It has four components; `exp` reaches a part of that of the identity. Coordinates: the p q boosts, row by row, then
    those of SO(p) and of SO(q). `coords` is the polar chart Λ = e^X R of the component of the identity, with X a
    symmetric matrix of boosts and R in SO(p) × SO(q). `Lorentz()` is that component of O(1, 3), with a logarithm in
    closed form.

    `nodes` have normal boosts with the standard deviation `window`, and weights of the Haar measure.

    Examples:
        >>> from equijax import groups
        >>> group = groups.IndefiniteOrthogonal(2, 2)
        >>> group.dim, sorted(group.parts())
        (6, ['boost', 'reflection', 'rotation', 'time reversal'])
    """

    p: int
    q: int
    window: float = 0.5

    def __post_init__(self):
        integer("p", self.p, 1)
        integer("q", self.q, 1)
        positive("window", self.window)

    @property
    def size(self) -> int:
        return self.p + self.q

    @property
    def dim(self) -> int:
        return math.comb(self.size, 2)

    def basis(self) -> np.ndarray:
        p, q, boosts = self.p, self.q, self.p * self.q
        basis = np.zeros((self.dim, self.size, self.size))
        for place, (i, j) in enumerate(np.ndindex(p, q)):
            basis[place, i, p + j] = basis[place, p + j, i] = 1
        basis[boosts : boosts + SO(p).dim, :p, :p] = SO(p).basis()
        basis[boosts + SO(p).dim :, p:, p:] = SO(q).basis()
        return basis

    def inverse(self, g: Element) -> Float[Array, "*batch n n"]:
        """η Λᵀ η."""
        check_shape(self, g)
        return jnp.swapaxes(g, -1, -2) * np.outer(self._signs, self._signs).astype(g.dtype)

    @of_elements
    def coords(self, g: Float[Array, "*batch n n"]) -> Float[Array, "*batch dim"]:
        """Those of X and of log R in Λ = e^X R; NaN outside of the identity's component.

        Raises:
            ValueError: If an element is in another component, or `g` is no element, where its numbers are known.
        """
        x, r = log_polar(g)
        first, second = r[..., : self.p, : self.p], r[..., self.p :, self.p :]
        proper = ((det(first) > 0) & (det(second) > 0))[..., None]
        if not isinstance(proper, jax.core.Tracer) and not proper.all():
            raise ValueError(
                f"g: an element of {self} outside of the component of the identity has no coordinates; compose it "
                "with a reflection first"
            )
        turns = [SO(self.p).log_of_rotation(first), SO(self.q).log_of_rotation(second)]
        found = jnp.concatenate([self.vee(x)[..., : self._boosts], *turns], axis=-1)
        return jnp.where(proper, found, jnp.nan)

    def from_coords(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch n n"]:
        check_coordinates(self, a)
        boosts, first, second = self._split(a)
        return matmul(self._boost(boosts), _diagonal(SO(self.p).exp(first), SO(self.q).exp(second)))

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
    ) -> Float[Array, "*batch n n"]:
        """e^X R with standard normal coordinates of X, and R from the Haar measure of O(p) × O(q)."""
        key_x, key_p, key_q = jax.random.split(key, 3)
        r = _diagonal(O(self.p).sample(key_p, shape, dtype), O(self.q).sample(key_q, shape, dtype))
        return matmul(ChartPart(self, 0, self._boosts).sample(key_x, shape, dtype), r)

    def nodes(
        self,
        n: int | None = None,
        key: PRNGKeyArray | None = None,
        dtype: DTypeLike | None = None,
        method: str = "auto",
    ) -> Nodes:
        """n / 4 nodes of the identity's component, and each times one element of every component."""
        one, weights = super().nodes(None if n is None else max(1, integer("n", n, 4) // 4), key, dtype, method)
        signs = np.ones((4, self.size))
        signs[1::2, 0], signs[2:, -1] = -1, -1
        elements = jnp.concatenate([one * row.astype(one.dtype) for row in signs])
        return elements, jnp.concatenate([weights] * 4) / 4

    @property
    def cube_dim(self) -> int:
        return self._boosts + SO(self.p).cube_dim + SO(self.q).cube_dim

    def from_cube(self, u: Float[Array, "*batch cube"]) -> tuple[Float[Array, "*batch n n"], Float[Array, "*batch"]]:
        normal = jax.scipy.special.ndtri(u[..., : self._boosts])
        middle = self._boosts + SO(self.p).cube_dim
        first, second = SO(self.p).from_cube(u[..., self._boosts : middle])[0], SO(self.q).from_cube(u[..., middle:])[0]
        a = self.window * normal
        log_volume = gaussian_log_volume(normal, self.window) + self._log_haar_of_boosts(a)
        return matmul(self._boost(a), _diagonal(first, second)), jnp.exp(log_volume)

    def log_haar_coords(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        """log det sinhc(ad_X) on the boosts, and the densities of SO(p) and SO(q).

        With singular values x of the block of X and ‖p − q‖ more zeros, a product of sinhc(xᵢ ± xⱼ) for i < j, and of
        sinhc(xᵢ) to that power.
        """
        boosts, first, second = self._split(a)
        turns = SO(self.p).log_haar_coords(first) + SO(self.q).log_haar_coords(second)
        return self._log_haar_of_boosts(boosts) + turns

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        eta = np.diag(self._signs).astype(g.dtype)
        apart = jnp.max(jnp.abs(matmul(jnp.swapaxes(g, -1, -2), matmul(eta, g)) - eta), axis=(-2, -1))
        return apart / jnp.maximum(jnp.max(jnp.abs(g), axis=(-2, -1)) ** 2, 1)

    def parts(self) -> dict[str, Part]:
        found: dict[str, Part] = {"boost": ChartPart(self, 0, self._boosts)}
        if self.dim > self._boosts:
            found["rotation"] = ChartPart(self, self._boosts, self.dim)
        for name, place in (("time reversal", 0), ("reflection", self.size - 1)):
            signs = np.where(np.arange(self.size) == place, -1.0, 1.0)
            found[name] = Mirror(tuple(map(tuple, np.diag(signs).tolist())))
        return found

    @property
    def _signs(self) -> np.ndarray:
        return np.array([1.0] * self.p + [-1.0] * self.q)

    @property
    def _boosts(self) -> int:
        """Number of coordinates of X."""
        return self.p * self.q

    def _split(self, a):
        middle = self._boosts + SO(self.p).dim
        return a[..., : self._boosts], a[..., self._boosts : middle], a[..., middle:]

    def _pad(self, boosts):
        return jnp.concatenate(
            [boosts, jnp.zeros((*boosts.shape[:-1], self.dim - self._boosts), boosts.dtype)], axis=-1
        )

    def _boost(self, boosts):
        return exp_and_phi(self.hat(self._pad(boosts)))[0]

    def _log_haar_of_boosts(self, boosts):
        return slogdet(sinhc(self.ad(self._pad(boosts)))[..., : self._boosts, : self._boosts])[1]


def _diagonal(first, second):
    """The block-diagonal matrices of two batches."""
    p, q = first.shape[-1], second.shape[-1]
    top = jnp.concatenate([first, jnp.zeros((*first.shape[:-1], q), first.dtype)], axis=-1)
    return jnp.concatenate([top, jnp.concatenate([jnp.zeros((*second.shape[:-1], p), second.dtype), second], -1)], -2)
