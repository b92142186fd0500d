"""Rotations and reflections: SO(n) and O(n)."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax._validate import integer
from equijax.groups.base import check_coordinates, check_shape, of_elements
from equijax.groups.constants import reflection, skew_basis
from equijax.groups.decompositions import matrix_log
from equijax.groups.elements import Element, Nodes, float_dtype, static
from equijax.groups.matrices import Matrices
from equijax.groups.parts import Mirror, Part
from equijax.groups.quadrature import rotation_nodes
from equijax.groups.quaternions import from_quaternion, quaternion, rotation_vector
from equijax.numerics import det, exp_and_phi, matmul, sinc_sqrt


class OrthogonalMatrices(Matrices):
    """What SO(n), O(n) and their finite subgroups share: matrices with A Aᵀ = I."""

    @property
    def is_compact(self) -> bool:
        return True

    @property
    def is_orthogonal(self) -> bool:
        return True

    def inverse(self, g: Element) -> Float[Array, "*batch n n"]:
        check_shape(self, g)
        return jnp.swapaxes(g, -1, -2)

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        return jnp.max(jnp.abs(matmul(g, jnp.swapaxes(g, -1, -2)) - jnp.eye(self.size, dtype=g.dtype)), axis=(-2, -1))


@static
class Orthogonal(OrthogonalMatrices):
    """What SO(n) and O(n) share: n and the Lie algebra of skew matrices."""

    n: int

    def __post_init__(self):
        integer("n", self.n, 1)

    @property
    def size(self) -> int:
        return self.n

    @property
    def dim(self) -> int:
        return math.comb(self.n, 2)

    def basis(self) -> np.ndarray:
        return skew_basis(self.n)


@static
class SO(Orthogonal):
    """Rotations of ℝⁿ: matrices R with R Rᵀ = I and det R = 1, shape (..., n, n).

    Coordinates: the angle for n = 2, the rotation vector for n = 3, and above the angles in the planes (i, j), i < j,
    each turning axis i towards axis j. Angles in radians.

    Examples:
        >>> turn = SO(3).exp(jnp.array([0.0, 0.0, jnp.pi / 2]))  # a quarter about z takes x to y
        >>> print((turn @ jnp.array([1.0, 0.0, 0.0])).round(5) + 0.0)
        [0. 1. 0.]
    """

    def exp(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch n n"]:
        """e^{â}, orthogonal to rounding, with right derivatives everywhere.

        n = 3:  R = I + S(t) ω̂ + ½ S(t/4)² ω̂²  with  t = ‖ω‖²  and  S(t) = sin√t / √t,  entire in t.

        References:
            Gallego and Yezzi 2015, arXiv:1312.0788, eq. 1 (Rodrigues' formula).
        """
        check_coordinates(self, a)
        if self.n == 2:
            c, s = jnp.cos(a), jnp.sin(a)
            return jnp.stack([jnp.concatenate([c, -s], -1), jnp.concatenate([s, c], -1)], -2)
        if self.n != 3:
            return exp_and_phi(self.hat(a))[0]
        hat = self.hat(a)
        t = jnp.sum(a**2, axis=-1)[..., None, None]
        eye = jnp.eye(3, dtype=a.dtype)
        return eye + sinc_sqrt(t) * hat + 0.5 * sinc_sqrt(t / 4) ** 2 * matmul(hat, hat)

    @of_elements
    def log(self, g: Float[Array, "*batch n n"]) -> Float[Array, "*batch dim"]:
        """Coordinates of the shortest turn; angles in [−π, π], the axis of a turn by π with either sign.

        n = 3 goes through the quaternion (w, v): ω = 2 atan2(‖v‖, w) / ‖v‖ · v, accurate to rounding at all angles. See
        `matrix_log` for n > 3.

        Raises:
            ValueError: If `g` is no rotation, where its numbers are known.
        """
        return self.log_of_rotation(g)

    def log_of_rotation(self, g: Float[Array, "*batch n n"]) -> Float[Array, "*batch dim"]:
        """`log` of what is known to be a rotation, up to more than rounding perhaps."""
        if self.n > 3:
            return self.vee(matrix_log(g, True))
        if self.n == 3:
            return rotation_vector(quaternion(g))
        if self.n == 2:
            return jnp.arctan2(g[..., 1, 0] - g[..., 0, 1], g[..., 0, 0] + g[..., 1, 1])[..., None]
        return jnp.zeros((*g.shape[:-2], 0), g.dtype)

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
    ) -> Float[Array, "*batch n n"]:
        return _proper(_haar(key, (*shape, self.n, self.n), dtype)).astype(float_dtype(dtype))

    def nodes(
        self,
        n: int | None = None,
        key: PRNGKeyArray | None = None,
        dtype: DTypeLike | None = None,
        method: str = "auto",
    ) -> Nodes:
        """Rotations with Haar weights that sum to one.

        SO(2): n equispaced angles, exact for frequencies below n. SO(3): the largest grid of Euler angles with at
        most n nodes, (d + 1)² (⌊d/2⌋ + 1) of them (4, 18, 32, 75, 108, 196, ...), exact for Wigner functions up to
        degree d. Above: n quasi-random rotations. By default n = 196.
        """
        if method != "auto":
            return super().nodes(n, key, dtype, method)
        matrices, weights = rotation_nodes(self.n, 196 if n is None else integer("n", n, 1))
        elements = jnp.asarray(matrices, float_dtype(dtype))
        if key is not None:
            elements = self.compose(self.sample(key, dtype=dtype), elements)
        return elements, jnp.asarray(weights, float_dtype(dtype))

    @property
    def cube_dim(self) -> int:
        return {1: 0, 2: 1, 3: 3}.get(self.n, self.n**2)

    def from_cube(self, u: Float[Array, "*batch cube"]) -> tuple[Float[Array, "*batch n n"], Float[Array, "*batch"]]:
        """n = 2: the angle. n = 3: a uniform point of the sphere of quaternions. Above: QR of a normal matrix."""
        if self.n <= 2:
            return self.exp(2 * jnp.pi * u), jnp.ones(u.shape[:-1], u.dtype)
        if self.n == 3:
            first, second = 2 * jnp.pi * u[..., 1], 2 * jnp.pi * u[..., 2]
            inner, outer = jnp.sqrt(1 - u[..., 0]), jnp.sqrt(u[..., 0])
            q = [inner * jnp.sin(first), inner * jnp.cos(first), outer * jnp.sin(second), outer * jnp.cos(second)]
            return from_quaternion(jnp.stack(q, axis=-1)), jnp.ones(u.shape[:-1], u.dtype)
        normal = jax.scipy.special.ndtri(u).reshape(*u.shape[:-1], self.n, self.n)
        return _proper(_positive_qr(normal)), jnp.ones(u.shape[:-1], u.dtype)

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        return jnp.where(det(g) > 0, super().violation(g), jnp.maximum(super().violation(g), 1))

    def parts(self) -> dict[str, Part]:
        return {"rotation": self} if self.dim else {}


@static
class O(Orthogonal):  # noqa: E742
    """Rotations and reflections of ℝⁿ: matrices with A Aᵀ = I, shape (..., n, n).

    Coordinates as for SO(n), which `exp` maps onto; an improper element has none.

    Examples:
        >>> sorted(O(3).parts()), O(3).parts()["reflection"].elements()[0].tolist()
        (['reflection', 'rotation'], [[-1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    """

    def exp(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch n n"]:
        return SO(self.n).exp(a)

    @of_elements
    def log(self, g: Float[Array, "*batch n n"]) -> Float[Array, "*batch dim"]:
        """Coordinates of the shortest turn, as for SO(n); NaN for improper elements.

        Raises:
            ValueError: If an element is improper, or `g` is no element, where its numbers are known.
        """
        proper = det(g)[..., None] > 0
        if not isinstance(proper, jax.core.Tracer) and not proper.all():
            raise ValueError(f"g: an improper element of {self} has no logarithm; compose it with a reflection first")
        return jnp.where(proper, SO(self.n).log_of_rotation(g), jnp.nan)

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
    ) -> Float[Array, "*batch n n"]:
        return _haar(key, (*shape, self.n, self.n), dtype).astype(float_dtype(dtype))

    def nodes(
        self,
        n: int | None = None,
        key: PRNGKeyArray | None = None,
        dtype: DTypeLike | None = None,
        method: str = "auto",
    ) -> Nodes:
        """The nodes of SO(n), n / 2 of them, and each times the reflection."""
        proper, weights = SO(self.n).nodes(None if n is None else max(1, integer("n", n, 2) // 2), key, dtype, method)
        mirror = Mirror(reflection(self.n)).elements(dtype)
        return jnp.concatenate([proper, matmul(proper, mirror)]), jnp.concatenate([weights, weights]) / 2

    def parts(self) -> dict[str, Part]:
        return SO(self.n).parts() | {"reflection": Mirror(reflection(self.n))}


def _haar(key, shape, dtype):
    """Haar on O(n): QR of a normal matrix, R with a positive diagonal (Mezzadri 2007, arXiv:math-ph/0609050)."""
    normal = jax.random.normal(key, shape, jnp.promote_types(float_dtype(dtype), jnp.float32))  # no bfloat16 in LAPACK
    return _positive_qr(normal)


def _positive_qr(a):
    """Q of A = Q R with a positive diagonal of R."""
    q, r = jnp.linalg.qr(a)
    diagonal = jnp.diagonal(r, axis1=-2, axis2=-1)[..., None, :]
    return jnp.where(diagonal < 0, -q, q)


def _proper(q):
    """Orthogonal matrices, the first column turned round where the determinant is −1."""
    sign = jnp.sign(det(q))[..., None, None]
    return q * jnp.where(jnp.arange(q.shape[-1]) == 0, sign, 1)  # a scatter is miscompiled on CPU, jax 0.10.1
