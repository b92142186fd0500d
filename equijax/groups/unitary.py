"""Unitary and compact symplectic groups, as real matrices: U(n), SU(n), Sp(n)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Complex, Float, PRNGKeyArray

from equijax._validate import integer
from equijax.groups.base import of_elements
from equijax.groups.constants import skew_basis, traceless_basis
from equijax.groups.decompositions import log_by_roots, orthogonal_factor
from equijax.groups.elements import Element, float_dtype, static
from equijax.groups.orthogonal import OrthogonalMatrices
from equijax.groups.parts import Part
from equijax.numerics import exp_and_phi, in_single, matmul


def real_form(a: Complex[Array, "*batch m n"]) -> Float[Array, "*batch 2*m 2*n"]:
    """The real matrix [[Re A, −Im A], [Im A, Re A]] that does to (Re z, Im z) what a complex matrix A does to z.

    Examples:
        >>> print(real_form(jnp.array([[2.0 + 1.0j]])))
        [[ 2. -1.]
         [ 1.  2.]]
    """
    return jnp.block([[a.real, -a.imag], [a.imag, a.real]])


def complex_form(g: Float[Array, "*batch m2 n2"]) -> Complex[Array, "*batch m n"]:
    """Inverse of `real_form`; of any matrix the part that is linear over the complex numbers.

    Examples:
        >>> print(complex_form(jnp.array([[2.0, -1.0], [1.0, 2.0]])))
        [[2.+1.j]]
    """
    m, n = g.shape[-2] // 2, g.shape[-1] // 2
    same, other = g[..., :m, :n] + g[..., m:, n:], g[..., m:, :n] - g[..., :m, n:]
    return (same + 1j * other) / 2


@static
class ComplexMatrices(OrthogonalMatrices):
    """What U(n), SU(n) and Sp(n) share: unitary matrices, written as real ones of twice the size, see `real_form`.

    They act on (Re z, Im z), one after the other on one axis, and are orthogonal: whatever takes rotations takes them.
    `exp` reaches every element, and `log` is its inverse where angles are below π.
    """

    n: int

    def __post_init__(self):
        integer("n", self.n, 1)

    @property
    def complex_size(self) -> int:
        """Number of rows of the complex matrices."""
        return self.n

    @property
    def size(self) -> int:
        return 2 * self.complex_size

    @property
    def dim(self) -> int:
        return len(self.basis())

    @of_elements
    def log(self, g: Float[Array, "*batch n n"]) -> Float[Array, "*batch dim"]:
        """Coordinates of a logarithm with angles in [−π, π]; where some are π it is one of the possible ones.

        In SU(n) the angles have to sum to zero: where those of the principal logarithm sum to 2π k, the k largest are
        less by 2π. The derivative is that of the exponential solved, and zero where that is singular.

        Raises:
            ValueError: If `g` is no element, where its numbers are known.
        """
        return _log_in_single(g, self)

    def sample(
        self, key: PRNGKeyArray, shape: tuple[int, ...] = (), dtype: DTypeLike | None = None
    ) -> Float[Array, "*batch n n"]:
        """Haar distributed: the unitary factor of a matrix of independent normal numbers."""
        wide = jnp.promote_types(float_dtype(dtype), jnp.float32)  # no bfloat16 in LAPACK
        normal = jax.random.normal(key, (*shape, self._components, self.n, self.n), wide)
        return self._nearest(normal).astype(float_dtype(dtype))

    @property
    def cube_dim(self) -> int:
        return self._components * self.n**2

    def from_cube(self, u: Float[Array, "*batch cube"]) -> tuple[Float[Array, "*batch n n"], Float[Array, "*batch"]]:
        normal = jax.scipy.special.ndtri(u).reshape(*u.shape[:-1], self._components, self.n, self.n)
        return self._nearest(normal), jnp.ones(u.shape[:-1], u.dtype)

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        apart = jnp.max(jnp.abs(g - _joined(_components(g, self._components))), axis=(-2, -1))
        return jnp.maximum(super().violation(g), apart)

    def parts(self) -> dict[str, Part]:
        return {"unitary": self}

    @property
    def _components(self) -> int:
        """Real matrices that make one: 2 of complex numbers, 4 of quaternions."""
        return 2

    @property
    def _whole(self) -> "ComplexMatrices":
        """The group in which logarithms are principal."""
        return self

    def _nearest(self, normal):
        return orthogonal_factor(_joined(normal))


@static
class U(ComplexMatrices):
    """Unitary matrices, A Aᴴ = 1, as real matrices of shape (..., 2n, 2n).

    Coordinates: those of SO(n) for the real part of the algebra, then those of the imaginary part, symmetric.

    Examples:
        >>> from equijax import groups
        >>> quarter = groups.U(1).exp(jnp.array([jnp.pi / 2]))  # i
        >>> print(quarter.round(3) + 0)
        [[ 0. -1.]
         [ 1.  0.]]
    """

    @functools.cache  # noqa: B019
    def basis(self) -> np.ndarray:
        return _basis([skew_basis(self.n), _symmetric_basis(self.n)])


@static
class SU(ComplexMatrices):
    """Unitary matrices of determinant 1, as real matrices of shape (..., 2n, 2n), with n ≥ 2.

    Coordinates: those of SO(n) for the real part of the algebra, then those of the imaginary part, symmetric without
    trace, as in SL(n). The angles of SU(2) are half of those of the rotations that it covers twice, `adjoint`.

    Examples:
        >>> from equijax import groups
        >>> groups.SU(3).dim, groups.SU(3).size
        (8, 6)
    """

    def __post_init__(self):
        integer("n", self.n, 2)

    @functools.cache  # noqa: B019
    def basis(self) -> np.ndarray:
        return _basis([skew_basis(self.n), traceless_basis(self.n)])

    def violation(self, g: Element) -> Float[Array, "*batch"]:
        return jnp.maximum(super().violation(g), jnp.abs(jnp.linalg.det(complex_form(g)) - 1))

    @property
    def _whole(self) -> ComplexMatrices:
        return U(self.n)

    def _nearest(self, normal):
        a = complex_form(super()._nearest(normal))
        turn = jnp.conj(jnp.linalg.det(a))[..., None, None]
        return real_form(a * jnp.where(jnp.arange(self.n) == 0, turn, 1))


@static
class Sp(ComplexMatrices):
    """Unitary matrices of n × n quaternions: the compact symplectic group, Sp(n) = U(2n) ∩ Sp(2n, ℂ), also USp(2n).

    Not Sp(2n, ℝ), which is not compact. The quaternions a + b j, of complex a and b, are the complex matrices
    [[a, −b̄], [b, ā]], and these real ones of shape (..., 4n, 4n). Sp(1) is SU(2).

    Coordinates: those of SO(n) for the real parts of the algebra, then those of the other three parts, symmetric.

    Examples:
        >>> from equijax import groups
        >>> groups.Sp(1).dim, groups.Sp(2).dim, groups.Sp(2).size
        (3, 10, 8)
    """

    @property
    def complex_size(self) -> int:
        return 2 * self.n

    @functools.cache  # noqa: B019
    def basis(self) -> np.ndarray:
        return _basis([skew_basis(self.n), *[_symmetric_basis(self.n)] * 3])

    @property
    def _components(self) -> int:
        return 4


def _joined(pieces):
    """The real matrix of x + i y, or of the quaternions x + i y + (z + i w) j, along the axis −3."""
    block = np.block if isinstance(pieces, np.ndarray) else jnp.block
    x, y, *rest = (pieces[..., i, :, :] for i in range(pieces.shape[-3]))
    if not rest:
        return block([[x, -y], [y, x]])
    z, w = rest
    return block([[x, -z, -y, -w], [z, x, -w, y], [y, w, x, -z], [w, -y, z, x]])


def _components(g, count):
    """Inverse of `_joined`; of any matrix the nearest such one."""
    a = complex_form(g)
    if count == 2:
        return jnp.stack([a.real, a.imag], axis=-3)
    n = a.shape[-1] // 2
    first = (a[..., :n, :n] + jnp.conj(a[..., n:, n:])) / 2
    second = (a[..., n:, :n] - jnp.conj(a[..., :n, n:])) / 2
    return jnp.stack([first.real, first.imag, second.real, second.imag], axis=-3)


def _basis(of_components):
    """The basis of an algebra from one of each component."""
    n, total = of_components[0].shape[-1], sum(map(len, of_components))
    found, start = np.zeros((total, len(of_components), n, n)), 0
    for place, basis in enumerate(of_components):
        found[start : start + len(basis), place] = basis
        start += len(basis)
    return _joined(found)


def _symmetric_basis(n):
    """E_ij + E_ji for i < j, and E_ii, in rows."""
    found = []
    for i in range(n):
        for j in range(i, n):
            e = np.zeros((n, n))
            e[i, j] = e[j, i] = 1
            found.append(e)
    return np.stack(found)


@in_single
def _log_in_single(g, group):
    return _compiled_log(group, g)


@functools.partial(jax.custom_jvp, nondiff_argnums=(0,))
def _log(group, g):
    """Coordinates of the logarithm, by square roots within the group, as for rotations in `matrix_log`."""
    whole, eps, eye = group._whole, jnp.finfo(g.dtype).eps, jnp.eye(group.size, dtype=g.dtype)
    generic = whole.hat(jnp.asarray(np.random.default_rng(0).normal(size=whole.dim), g.dtype))
    q = g + eps**0.5 * generic  # decides how to halve a turn by π
    a = whole.vee(log_by_roots(q, 4, lambda q: orthogonal_factor(eye + q)))
    # a Newton step: g e^{−L} = 1 + rest, whose logarithm is rest − rest²/2 + …
    rest = matmul(g, exp_and_phi(-whole.hat(a))[0]) - eye
    step = _solve_dexp(whole, a, whole.vee(rest - matmul(rest, rest) / 2))
    a = a + jnp.where(jnp.max(jnp.abs(step), axis=-1, keepdims=True) < 0.01, step, 0)
    return a if whole == group else group.vee(_without_trace(whole.hat(a)))


@_log.defjvp
def _(group, primals, tangents):
    """φ(ad_a) da = dg g⁻¹  with  φ(z) = (e^z − 1)/z."""
    (g,), (dg,) = primals, tangents
    a = _log(group, g)
    return a, _solve_dexp(group, a, group.vee(matmul(dg, jnp.swapaxes(g, -1, -2))))


_compiled_log = jax.jit(_log, static_argnums=0)  # one program, where every operation on its own would be compiled too


def _solve_dexp(group, a, b):
    """The d with φ(ad_a) d = b, zero where that is singular."""
    system = exp_and_phi(group.ad(a))[1]
    s = jnp.linalg.svd(jax.lax.stop_gradient(system), compute_uv=False)
    regular = s[..., -1:] > 64 * jnp.finfo(s.dtype).eps * s[..., :1]
    system = jnp.where(regular[..., None], system, jnp.eye(group.dim, dtype=system.dtype))
    return jnp.linalg.solve(system, jnp.where(regular, b, 0)[..., None])[..., 0]


def _without_trace(log):
    """A logarithm of the same matrix whose angles sum to zero: if they sum to 2π k, k of them are less by 2π."""
    angles, vectors = jnp.linalg.eigh(-1j * complex_form(log))
    n = angles.shape[-1]
    k = jnp.round(jnp.sum(angles, axis=-1, keepdims=True) / (2 * jnp.pi))
    place = jnp.arange(n)
    turns = jnp.where(place >= n - k, -1.0, 0.0) + jnp.where(place < -k, 1.0, 0.0)
    angles = (angles + 2 * jnp.pi * turns).astype(angles.dtype)
    back = jnp.conj(jnp.swapaxes(vectors, -1, -2))
    return real_form(1j * jnp.matmul(vectors * angles[..., None, :], back, precision="highest"))
