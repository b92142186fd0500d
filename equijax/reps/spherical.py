"""Features by degree: coefficients of functions on the sphere, and e3nn's irreps."""

import re

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from equijax._validate import floating, integer, last_axis
from equijax.groups import Element, Group, linear_part, static
from equijax.reps.base import Rep, apply_matrix, linear_shape, sign
from equijax.spherical import wigner_blocks, wigner_matrix


@static
class Spherical(Rep):
    """Coefficients of degrees 0..lmax on the last axis but one, shape (..., (lmax + 1)², channels).

    Natural parity, (−1)^l under inversion; pseudo-tensors also change their sign under reflections.

    Examples:
        Inversion leaves even degrees and changes the sign of odd ones:

        >>> Spherical(1).act(-jnp.eye(3), jnp.ones((4, 1)))[:, 0].round(3).tolist()
        [1.0, -1.0, -1.0, -1.0]
    """

    lmax: int
    pseudo: bool = False

    def __post_init__(self):
        integer("lmax", self.lmax)

    @property
    def dim(self) -> int:
        return (self.lmax + 1) ** 2

    def matrix(self, g: Element) -> Float[Array, "dim dim"]:
        matrix = wigner_matrix(_in_space(self, g), self.lmax)
        return matrix * sign(g) if self.pseudo else matrix

    def act(self, g: Element, x: PyTree) -> Array:
        return apply_matrix(self, self.matrix(g), x, axis=-2)

    def check(self, group: Group) -> None:
        _check_orthogonal(self, group)


@static
class Irreps(Rep):
    """Features in e3nn's layout on the last axis, such as "8x0e+4x1o": 8 scalars, then 4 vectors.

    Each term "8x1o" is an array (8, 2l + 1), flattened; l is the degree, "e" and "o" the parity, even or odd. An
    `e3nn_jax.Irreps` may be given for the string.

    Examples:
        >>> Irreps("8x0e+4x1o").dim
        20
        >>> Irreps("0o+1e").act(-jnp.eye(3), jnp.ones(4)).round(3).tolist()
        [-1.0, 1.0, 1.0, 1.0]

    Raises:
        ValueError: If a term does not read as above.
    """

    irreps: str

    def __init__(self, irreps: object):
        terms = [term.strip() for term in str(irreps).split("+") if term.strip()]
        for term in terms:
            if not _TERM.fullmatch(term):
                raise ValueError(f'irreps: expected terms like "8x0e" joined by "+", got {term!r} in {irreps!r}')
        object.__setattr__(self, "irreps", "+".join(terms))

    @property
    def terms(self) -> list[tuple[int, int, int]]:
        """(multiplicity, degree, parity ±1) of each term."""
        found = [_TERM.fullmatch(term) for term in self.irreps.split("+") if term]
        return [(int(m[1] or 1), int(m[2]), 1 if m[3] == "e" else -1) for m in found if m]

    @property
    def dim(self) -> int:
        return sum(mul * (2 * degree + 1) for mul, degree, _ in self.terms)

    def matrix(self, g: Element) -> Float[Array, "dim dim"]:
        pairs = zip(self.terms, self._blocks(g), strict=True)
        return jax.scipy.linalg.block_diag(*(jnp.kron(jnp.eye(mul), block) for (mul, _, _), block in pairs))

    def act(self, g: Element, x: PyTree) -> Array:
        x, start, moved = floating("x", x), 0, []
        last_axis("x", x, self.dim)
        for (mul, degree, _), block in zip(self.terms, self._blocks(g), strict=True):
            term = x[..., start : start + mul * (2 * degree + 1)]
            start += term.shape[-1]
            copies = term.reshape(*x.shape[:-1], mul, 2 * degree + 1)
            moved.append(apply_matrix(self, block, copies).reshape(term.shape))
        return jnp.concatenate(moved, axis=-1) if moved else x

    def check(self, group: Group) -> None:
        _check_orthogonal(self, group)

    def _blocks(self, g: Element) -> list[Float[Array, "_ _"]]:
        """D_l(R) of each term, times the sign of det R where its parity is not the natural one."""
        blocks = wigner_blocks(_in_space(self, g), max((degree for _, degree, _ in self.terms), default=0))
        return [blocks[k] if p == (-1) ** k else blocks[k] * sign(g) for _, k, p in self.terms]


_TERM = re.compile(r"(?:(\d+)\s*x\s*)?(\d+)([eo])")


def _in_space(rep: Rep, g: Element) -> Float[Array, "3 3"]:
    """The linear part of `g`, held to be a matrix of space."""
    a = linear_part(g)
    if a.shape != (3, 3):
        raise ValueError(f"g: {rep} needs an orthogonal 3 x 3 matrix as linear part, got shape {a.shape}")
    return a


def _check_orthogonal(rep: Rep, group: Group) -> None:
    """Raise a ValueError unless `group` acts on space by orthogonal matrices."""
    if linear_shape(group) != (3, 3) or not group.is_orthogonal:
        raise ValueError(f"group: {rep} needs rotations or reflections of space, got {group}")
