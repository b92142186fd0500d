"""Groups of matrices with scalings: ℝ₊ × H, and all matrices of positive determinant."""

from typing import cast

import jax.numpy as jnp
import numpy as np
from jax.typing import DTypeLike
from jaxtyping import Array, Float, PRNGKeyArray

from equijax.groups.base import Group, check_shape
from equijax.groups.composite import Composite
from equijax.groups.decompositions import invertible
from equijax.groups.elements import Element, Nodes, static
from equijax.groups.general_linear import SL
from equijax.groups.matrices import Matrices
from equijax.groups.orthogonal import SO
from equijax.groups.vector import Scaling
from equijax.numerics import slogdet


@static
class Scaled(Composite, Matrices):
    """ℝ₊ × H for a group H of matrices with determinant ±1, as the matrices s A; coordinates (log s, those of H).

    Examples:
        >>> from equijax import groups
        >>> scale, turn = Scaled(groups.SO(2)).split(3 * jnp.eye(2))
        >>> print(scale, turn.round(5).tolist())
        3.0 [[1.0, 0.0], [0.0, 1.0]]
    """

    group: Group
    scaling: Scaling = Scaling()

    def __post_init__(self):
        if not isinstance(self.group, Matrices) or isinstance(self.group, Scaled):
            raise TypeError(f"group: expected a group of matrices with determinant ±1, got {self.group!r}")

    def __repr__(self):
        named = isinstance(self.group, SL) and self == GLPlus(self.group.n)
        return f"GLPlus({self.group.n})" if named else f"Scaled({self.group})"

    @property
    def factors(self) -> tuple[Group, ...]:
        return self.scaling, self.group

    @property
    def size(self) -> int:
        return cast(Matrices, self.group).size

    def basis(self) -> np.ndarray:
        return np.concatenate([np.eye(self.size)[None], self.group.basis()])

    def join(self, *elements: Element) -> Element:
        scale, matrix = elements
        return jnp.asarray(scale)[..., None, None] * matrix

    def split(self, g: Element, name: str = "g") -> tuple[Element, ...]:
        check_shape(self, g, name)
        scale = jnp.exp(slogdet(g)[1] / self.size)
        return scale, g / scale[..., None, None]

    def nodes(
        self,
        n: int | None = None,
        key: PRNGKeyArray | None = None,
        dtype: DTypeLike | None = None,
        method: str = "auto",
    ) -> Nodes:
        """All combinations of the nodes of the factors; common quasi-random points if the group is not compact."""
        joint = method == "auto" and not self.group.is_compact
        return super().nodes(n, key, dtype, "quasi" if joint else method)

    def inverse(self, g: Element) -> Float[Array, "*batch n n"]:
        scale, matrix = self.split(g)
        invertible("g", g)
        return self.group.inverse(matrix) / scale[..., None, None]


def GLPlus(n: int) -> Scaled:
    """Matrices of positive determinant, A = s A₁ with A₁ in SL(n): coordinates log s, then those of SL(n), if n > 1.

    Examples:
        >>> GLPlus(2), GLPlus(2).dim, sorted(GLPlus(2).parts())
        (GLPlus(2), 4, ['rotation', 'scaling', 'shear'])
    """
    return Scaled(SL(n) if n != 1 else SO(1))
