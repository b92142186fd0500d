"""Sequences that flow: each frame is moved by a power of one element."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, PyTree

from equijax._validate import integer
from equijax.groups import Element, Group, static
from equijax.reps.base import Rep


@static
class Sequence(Rep):
    """The flow of a commutative group on sequences: frame t of (time, ...) is moved by g^(start + t).

    A scene that moves at constant velocity is a scene at rest, moved so: g is what happens between two frames. The
    elements have to commute, for a flow by h and then one by g move frame t by g^t h^t, which is (g h)^t only then:
    shifts, translations, turns about one axis, scalings and their products, but not turns together with translations.

    Outputs that begin later than the inputs take a `start`: a prediction of the frames that follow n given ones is
    `Sequence(rep, start=n)`.

    Attributes:
        rep: How a frame is moved.
        start: Power of the first frame.

    Examples:
        >>> from equijax.reps import Shift
        >>> still = jnp.array([[1, 0, 0, 0]] * 3)
        >>> Sequence(Shift(-1)).act(jnp.array([1]), still).tolist()
        [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0]]

    References:
        Keller 2025, arXiv:2507.14793 (flow equivariance of sequence models).
    """

    rep: Rep
    start: int = 0

    def __post_init__(self):
        integer("start", self.start)

    @property
    def reps(self) -> tuple[Rep]:
        """The representation of a frame, as of what is made of several."""
        return (self.rep,)

    @property
    def approximate(self) -> bool:
        return self.rep.approximate

    @property
    def whole(self) -> bool:
        return self.rep.whole

    def act(self, g: Element, x: PyTree) -> PyTree:
        lengths = {jnp.shape(leaf)[:1] for leaf in jax.tree.leaves(x)}
        if len(lengths) != 1 or lengths == {()}:
            raise ValueError(f"x: expected arrays (time, ...) of one length, got lengths {sorted(lengths)}")
        ((frames,),) = lengths
        each = jax.tree.map(lambda power: power[self.start :], _powers(g, self.start + frames))
        return jax.vmap(self.rep.act)(each, x)

    def check(self, group: Group) -> None:
        self.rep.check(group)
        commute, known = _laws(group)
        if not commute:
            raise ValueError(
                f"group: {self} needs a group whose elements commute, got {group}: a flow by h and then one by g move "
                "frame t by g^t h^t, which is not (g h)^t; take a subgroup whose elements do, such as one of rotations "
                "about one axis, or of translations alone"
            )
        if not known:
            raise ValueError(
                f"group: {self} takes powers of matrices and numbers, and multiples of vectors and integers, which are "
                f"not those of {group}; take another form of it, such as groups.Shift"
            )


def _powers(g: Element, count: int) -> Element:
    """g⁰, g¹, … along a new leading axis, so many: of vectors and integers the multiples."""
    return jax.tree.map(lambda leaf: _powers_of_array(jnp.asarray(leaf), count), g)


def _powers_of_array(g: Array, count: int) -> Array:
    if g.ndim == 1:
        return jnp.arange(count, dtype=g.dtype)[:, None] * g
    if g.ndim == 0:
        return g ** jnp.arange(count)
    powers, double = jnp.eye(g.shape[-1], dtype=g.dtype)[None], g  # double: g to the number of powers
    while len(powers) < count:
        powers = jnp.concatenate([powers, jnp.matmul(powers, double, precision="highest")])
        double = jnp.matmul(double, double, precision="highest")
    return powers[:count]


@functools.cache
def _laws(group: Group) -> tuple[bool, bool]:
    """Whether elements commute, and whether `_powers` gives their powers: of generators, or random elements."""

    def laws() -> tuple[Array, Array]:
        some = []
        for k, part in enumerate(group.parts().values()):
            generators = part.generators() if part.dim == 0 else None
            some.append(part.sample(jax.random.key(k), (3,)) if generators is None else generators)
        g: Element = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *some)
        i, j = np.indices((len(jax.tree.leaves(g)[0]),) * 2).reshape(2, -1)  # all pairs
        first, second = (jax.tree.map(lambda leaf, rows=rows: leaf[rows], g) for rows in (i, j))
        squares = jax.vmap(lambda g: jax.tree.map(lambda powers: powers[2], _powers(g, 3)))(g)
        commute = _same(group, group.compose(first, second), group.compose(second, first))
        return commute, _same(group, group.compose(g, g), squares)

    commute, known = jax.jit(laws).lower().compile()()  # numbers also while something else is being traced
    return bool(commute), bool(known)


def _same(group: Group, g: Element, h: Element) -> Bool[Array, ""]:
    """Whether g⁻¹ h is the identity everywhere."""
    pairs = zip(*map(jax.tree.leaves, (group.compose(group.inverse(g), h), group.identity())), strict=True)
    return jnp.all(jnp.stack([jnp.max(jnp.abs(leaf - one)) < 1e-3 for leaf, one in pairs]))
