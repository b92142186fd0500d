"""What groups of matrices share: the product, the Lie algebra, the adjoint representation, the test of membership."""

import abc

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax.groups.base import Group, check_coordinates, check_shape, of_elements
from equijax.groups.decompositions import invertible, matrix_log
from equijax.groups.elements import Element, float_dtype, static
from equijax.groups.parts import Part
from equijax.numerics import exp_and_phi, inv, matmul, slogdet


class Matrices(Group):
    """A group of n × n matrices, n = `size`, under the matrix product.

    A subclass gives `size` and `sample`; with dim > 0 also `dim` and the `basis` of its Lie algebra. It has
    `exp` and `log` of its own where these are better than the matrix exponential and the principal logarithm.

    Examples:
        >>> from equijax import groups
        >>> @groups.static
        ... class Shear(groups.Matrices):
        ...     size, dim = 2, 1
        ...     def basis(self):
        ...         return np.array([[[0.0, 1.0], [0.0, 0.0]]])
        ...     def sample(self, key, shape=(), dtype=None):
        ...         return self.exp(jax.random.normal(key, (*shape, 1), dtype))
        ...     def parts(self):
        ...         return {"shear": self}
        >>> Shear().inverse(Shear().exp(jnp.array([2.0]))).tolist()
        [[1.0, -2.0], [0.0, 1.0]]
    """

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """n, the number of rows."""

    def basis(self) -> np.ndarray:
        """Matrices E_i that span the Lie algebra, orthogonal to each other, shape (dim, n, n), in float64."""
        return np.zeros((0, self.size, self.size))

    def tangents(self, dtype: DTypeLike | None = None) -> Float[Array, "dim n n"]:
        return jnp.asarray(self.basis(), float_dtype(dtype))

    def identity(self, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> Float[Array, "*batch n n"]:
        return jnp.broadcast_to(jnp.eye(self.size, dtype=float_dtype(dtype)), (*shape, self.size, self.size))

    def compose(self, g: Element, h: Element) -> Float[Array, "*batch n n"]:
        check_shape(self, g)
        check_shape(self, h, "h")
        return matmul(g, h)

    def inverse(self, g: Element) -> Float[Array, "*batch n n"]:
        check_shape(self, g)
        return inv(invertible("g", g))

    def hat(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch n n"]:
        """The matrix Σ_i a_i E_i of algebra coordinates."""
        return jnp.einsum("...i,ijk->...jk", a, self.basis().astype(a.dtype), precision="highest")

    def vee(self, m: Float[Array, "*batch n n"]) -> Float[Array, "*batch dim"]:
        """Inverse of `hat`; of any matrix the coordinates of its projection on the algebra."""
        basis = self.basis()
        dual = basis / np.sum(np.square(basis), axis=(1, 2), keepdims=True)
        return jnp.einsum("...jk,ijk->...i", m, dual.astype(m.dtype), precision="highest")

    def exp(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch n n"]:
        if not self.dim:
            return super().exp(a)
        check_coordinates(self, a)
        return exp_and_phi(self.hat(a))[0]

    @of_elements
    def log(self, g: Element) -> Float[Array, "*batch dim"]:
        """Coordinates of the principal logarithm, NaN where there is none; `coords` may exist for more elements.

        Raises:
            ValueError: If an element has eigenvalues on the negative half-line and so no principal logarithm, or is
                no element, where its numbers are known.
        """
        return self.vee(matrix_log(g)) if self.dim else super().log(g)

    def adjoint(self, g: Element) -> Float[Array, "*batch dim dim"]:
        check_shape(self, g)
        moved = matmul(matmul(g[..., None, :, :], self.basis().astype(g.dtype)), self.inverse(g)[..., None, :, :])
        return jnp.swapaxes(self.vee(moved), -1, -2)

    def ad(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch dim dim"]:
        """The matrix of b → [a, b] on algebra coordinates."""
        basis, matrix = self.basis().astype(a.dtype), self.hat(a)[..., None, :, :]
        return jnp.swapaxes(self.vee(matmul(matrix, basis) - matmul(basis, matrix)), -1, -2)

    def log_haar_coords(self, a: Float[Array, "*batch dim"]) -> Float[Array, "*batch"]:
        """log ‖det φ(−ad_a)‖ in the chart of the exponential, φ(z) = (e^z − 1)/z."""
        return slogdet(exp_and_phi(-self.ad(a))[1])[1] if self.dim else super().log_haar_coords(a)


@static
class ChartPart(Part):
    """The part of a connected group whose global coordinates are zero but for those from `start` to `stop`."""

    group: Group
    start: int
    stop: int

    @property
    def dim(self) -> int:
        return self.stop - self.start

    def exp(self, a: Float[Array, "*batch dim"]) -> Element:
        before, after = (jnp.zeros((*a.shape[:-1], k), a.dtype) for k in (self.start, self.group.dim - self.stop))
        return self.group.from_coords(jnp.concatenate([before, a, after], axis=-1))

    def sample(self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None) -> Element:
        return self.exp(jax.random.normal(key, (*shape, self.dim), float_dtype(dtype)))

    def tangents(self, dtype: DTypeLike | None = None) -> Element:
        return self.group.tangents(dtype)[self.start : self.stop]
