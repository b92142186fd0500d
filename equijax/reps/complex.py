"""Complex vectors and tensors, as real arrays of twice the length: (Re z, Im z)."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from equijax._validate import integer
from equijax.groups import Element, Group, complex_form, linear_part, real_form, static
from equijax.reps.base import Rep


@static
class Complex(Rep):
    """Complex vectors that a real representation moves, (Re z, Im z) on the last axis: both parts by ρ, 1₂ ⊗ ρ.

    Examples:
        >>> from equijax import groups, reps
        >>> reps.intertwiners(groups.SO(3), reps.Complex(reps.Vector()), reps.Complex(reps.Vector())).shape
        (4, 6, 6)
    """

    rep: Rep

    @property
    def dim(self) -> int | None:
        return None if self.rep.dim is None else 2 * self.rep.dim

    def matrix(self, g: Element) -> Float[Array, "dim dim"]:
        return jnp.kron(jnp.eye(2), self.rep.matrix(g))

    def check(self, group: Group) -> None:
        self.rep.check(group)
        self.dim_of(group)


@static
class ComplexTensor(Rep):
    """Complex tensors of U(n), SU(n) and Sp(n), flattened, (Re T, Im T) on the last axis: T → A ⊗ … ⊗ A ⊗ Ā ⊗ … ⊗ Ā T.

    `ComplexTensor(1)` are complex vectors, the same as `Vector()` of these groups.

    Args:
        rank: Number of axes that A moves.
        conjugate: Number of axes, after those, that its conjugate moves.

    Raises:
        ValueError: If a number is negative; from `check`, if the elements of the group are no complex matrices.

    Examples:
        >>> from equijax import groups, reps
        >>> spin = reps.ComplexTensor(2)  # of two spins the singlet is invariant, times any complex number
        >>> len(reps.intertwiners(groups.SU(2), reps.Scalar(), spin))
        2
    """

    rank: int
    conjugate: int = 0

    def __post_init__(self):
        integer("rank", self.rank)
        integer("conjugate", self.conjugate)

    def matrix(self, g: Element) -> Float[Array, "dim dim"]:
        a = complex_form(linear_part(g))
        power = jnp.ones((1, 1), a.dtype)
        for factor in [a] * self.rank + [jnp.conj(a)] * self.conjugate:
            power = jnp.kron(power, factor)
        return real_form(power)

    def check(self, group: Group) -> None:
        if not hasattr(getattr(group, "linear", group), "complex_size"):
            raise ValueError(f"group: {self} needs complex matrices, as of groups.U(n), got {group}")
