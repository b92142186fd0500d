"""Groups of affine maps ℝⁿ ⋊ H: SE(n), E(n), Sim(n), Aff⁺(n)."""

import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax.groups.base import Group, check_shape, of_elements
from equijax.groups.composite import Composite
from equijax.groups.elements import AffineElement, Element, Nodes, static
from equijax.groups.orthogonal import SO, O
from equijax.groups.scaled import GLPlus, Scaled
from equijax.groups.vector import Translation
from equijax.numerics import det, exp_and_phi, matmul, slogdet, solve


@static
class Semidirect(Composite):
    """ℝⁿ ⋊ H: maps x → A x + t with A in a group H of matrices; elements are `AffineElement(translation, linear)`.

    (t₁, A₁)(t₂, A₂) = (t₁ + A₁ t₂, A₁ A₂). Coordinates are those of the translation, then those of H:
    exp(v, a) = (φ(â) v, exp a) with φ(M) = (e^M − 1)/M.

    Examples:
        >>> from equijax import groups
        >>> screws = groups.Semidirect(groups.Translation(3), groups.Axial(groups.SO(2)))
        >>> screws.dim, sorted(screws.parts())
        (4, ['rotation', 'translation'])
    """

    translation: Translation
    linear: Group

    def __post_init__(self):
        if not isinstance(self.translation, Translation):
            raise TypeError(f"translation: expected groups.Translation(n), got {self.translation!r}")
        if getattr(self.linear, "size", None) != self.translation.n:
            raise ValueError(
                f"linear: expected a group of {self.translation.n} x {self.translation.n} matrices, got {self.linear!r}"
            )

    def __repr__(self):
        for named in (SE, E, Similarity, Affine):
            if self == named(self.translation.n):
                return f"{named.__name__}({self.translation.n})"
        return f"Semidirect({self.translation}, {self.linear})"

    @property
    def factors(self) -> tuple[Group, ...]:
        return self.translation, self.linear

    @property
    def is_orthogonal(self) -> bool:
        return self.linear.is_orthogonal

    def join(self, *elements: Element) -> AffineElement:
        return AffineElement(*elements)

    def split(self, g: Element, name: str = "g") -> tuple[Element, ...]:
        check_shape(self, g, name)
        return g.translation, g.linear

    def compose(self, g: Element, h: Element) -> AffineElement:
        (s, a), (t, b) = self.split(g), self.split(h, "h")
        linear = self.linear.compose(a, b)
        return AffineElement(s + _apply(a, t), linear)

    def inverse(self, g: Element) -> AffineElement:
        translation, linear = self.split(g)
        linear = self.linear.inverse(linear)
        return AffineElement(-_apply(linear, translation), linear)

    def exp(self, a: Float[Array, "*batch dim"]) -> AffineElement:
        v, b = self.split_coords(a)
        return AffineElement(_apply(self._phi(b), v), self.linear.exp(b))

    @of_elements
    def log(self, g: Element) -> Float[Array, "*batch dim"]:
        translation, linear = self.split(g)
        b = self.linear.log(linear)
        v = solve(self._phi(b), translation[..., None])[..., 0]
        return jnp.concatenate([v, b], axis=-1)

    def nodes(
        self,
        n: int | None = None,
        key: PRNGKeyArray | None = None,
        dtype: DTypeLike | None = None,
        method: str = "auto",
    ) -> Nodes:
        """The nodes of both factors in all combinations, with weights of the left Haar measure ‖det A‖⁻¹ dt dμ(A)."""
        elements, weights = super().nodes(n, key, dtype, method)
        return elements, weights / jnp.abs(det(elements.linear))

    def adjoint(self, g: Element) -> Float[Array, "*batch dim dim"]:
        """Ad(t, A)(v, a) = (A v − (Ad(A) a)^ t, Ad(A) a)."""
        translation, linear = self.split(g)
        below = self.linear.adjoint(linear)  # (..., dim H, dim H)
        turned = self.linear.hat(jnp.swapaxes(below, -1, -2))  # of each basis element, (..., dim H, n, n)
        beside = -jnp.swapaxes(_apply(turned, translation[..., None, :]), -1, -2)  # (..., n, dim H)
        top = jnp.concatenate([linear, beside], axis=-1)
        bottom = jnp.concatenate([jnp.zeros_like(jnp.swapaxes(beside, -1, -2)), below], axis=-1)
        return jnp.concatenate([top, bottom], axis=-2)

    def log_modular(self, g: Element) -> Float[Array, "*batch"]:
        return self.linear.log_modular(g.linear) - slogdet(g.linear)[1]

    def log_haar_coords(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        linear = self.linear.from_coords(self.split_coords(a)[1])
        return super().log_haar_coords(a) - slogdet(linear)[1]

    def _phi(self, b):
        if self.linear.dim == 0:
            return jnp.eye(self.translation.n, dtype=b.dtype)
        return exp_and_phi(self.linear.hat(b))[1]


def SE(n: int) -> Semidirect:
    """Rotations and translations of ℝⁿ.

    Examples:
        >>> move = SE(2).exp(jnp.array([1.0, 2.0, 0.0]))  # coordinates: translation, angle
        >>> print(SE(2).compose(move, move).translation)
        [2. 4.]
    """
    return Semidirect(Translation(n), SO(n))


def E(n: int) -> Semidirect:
    """Rotations, reflections and translations of ℝⁿ.

    Examples:
        >>> E(3), E(3).dim, sorted(E(3).parts())
        (E(3), 6, ['reflection', 'rotation', 'translation'])
    """
    return Semidirect(Translation(n), O(n))


def Similarity(n: int) -> Semidirect:
    """Rotations, scalings and translations of ℝⁿ; the linear part is the matrix s R.

    Examples:
        >>> sorted(Similarity(3).parts())
        ['rotation', 'scaling', 'translation']
    """
    return Semidirect(Translation(n), Scaled(SO(n)))


def Affine(n: int) -> Semidirect:
    """Maps x → A x + t of ℝⁿ that keep the orientation, det A > 0.

    Examples:
        >>> Affine(2).dim, Affine(2).linear
        (6, GLPlus(2))
    """
    return Semidirect(Translation(n), GLPlus(n))


def _apply(matrix, vector):
    return matmul(matrix, jnp.asarray(vector)[..., None])[..., 0]
