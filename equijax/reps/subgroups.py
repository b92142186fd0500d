"""Representations of subgroups: restricted from the group, and induced to it."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from equijax.groups import Element, Group, static
from equijax.reps.base import Rep, check_group, expect_group, expect_rep
from equijax.reps.tables import Tabulated, inverses, place_of, places_in, products

Embedding = Callable[[Element], Element]


@static
class Restricted(Rep):
    """A representation of a group, of one of its subgroups; `restrict` makes it."""

    rep: Rep
    subgroup: Group
    embedding: Embedding | None = None

    @property
    def dim(self) -> int:
        return self.dim_of(self.subgroup)

    def matrix(self, g: Element) -> Float[Array, "dim dim"]:
        return self.rep.matrix(self.embedding(g) if self.embedding else g)

    def check(self, group: Group) -> None:
        check_group(self, self.subgroup, group)


def restrict(rep: Rep, subgroup: Group, embedding: Embedding | None = None) -> Restricted:
    """The representation h → ρ(ι(h)) of a subgroup, on the last axis, for a representation ρ of the group.

    Args:
        rep: Representation of the group, linear and of finite dimension.
        subgroup: Its elements are elements of the group, or become some by the embedding.
        embedding: ι, a function of one element, such as `Axial(SO(2)).embed`; hashed by identity, so define it once.

    Raises:
        TypeError: If `rep` is no linear representation.
        ValueError: If ρ(ι(g h)) is not ρ(ι(g)) ρ(ι(h)): ι is no homomorphism, or does not lead to the group.

    Examples:
        >>> from equijax import groups, reps
        >>> turns = reps.restrict(reps.irrep(groups.SO(2), 5), groups.Cyclic(4))
        >>> reps.decompose(groups.Cyclic(4), turns).multiplicities
        {Irrep(Cyclic(4), 1): 1}
    """
    expect_rep("rep", rep)
    expect_group("subgroup", subgroup)
    restricted = Restricted(rep, subgroup, embedding)
    try:
        apart = _apart(restricted)
    except (TypeError, ValueError) as error:
        raise type(error)(f"rep, subgroup, embedding: {rep} does not act by elements of {subgroup}: {error}") from None
    if not apart < 1e-6:
        raise ValueError(
            f"subgroup, embedding: {rep} restricted to {subgroup} is no homomorphism, by {apart:.1e}; the elements of "
            "the subgroup have to be elements of the group, or an embedding has to make some of them"
        )
    return restricted


@functools.cache
def _apart(rep: Restricted) -> float:
    """Largest ‖ρ(g h) − ρ(g) ρ(h)‖ over a few elements, relative to the entries of ρ."""
    group = rep.subgroup
    with jax.enable_x64(True), jax.ensure_compile_time_eval():
        nodes, weights = group.nodes(32, jax.random.key(0))
        chosen = np.random.default_rng(0).integers(len(weights), size=(2, 16))
        g, h = (jax.tree.map(lambda x, i=i: x[i], nodes) for i in chosen)
        left, right, both = jax.jit(lambda *gs: tuple(jax.vmap(rep.matrix)(x) for x in gs))(g, h, group.compose(g, h))
        return float(jnp.max(jnp.abs(left @ right - both)) / jnp.max(jnp.abs(both)))


@static
class Induced(Tabulated):
    """The representation of a finite group induced from one of a subgroup; `induce` makes it."""

    rep: Rep
    subgroup: Group
    group: Group
    embedding: Embedding | None = None

    @property
    def dim(self) -> int:
        tables = _cosets(self)
        return tables.cosets.shape[1] * tables.matrices.shape[1]

    def matrix(self, g: Element) -> Float[Array, "dim dim"]:
        tables, place = _cosets(self), place_of(self.group, g)
        blocks = jnp.asarray(tables.matrices)[jnp.asarray(tables.inner)[place]]  # ρ(t_i⁻¹ g t_j) for each j
        places = jax.nn.one_hot(jnp.asarray(tables.cosets)[place], len(blocks), dtype=blocks.dtype)  # (j, i)
        return jnp.einsum("ji,jab->iajb", places, blocks, precision="highest").reshape(self.dim, self.dim)

    def tabulate(self, places: Int[np.ndarray, " count"]) -> Float[np.ndarray, "count dim dim"]:
        tables = _cosets(self)
        blocks, target = tables.matrices[tables.inner[places]], np.eye(tables.cosets.shape[1])[tables.cosets[places]]
        return np.einsum("gji,gjab->giajb", target, blocks).reshape(len(places), self.dim, self.dim)

    def check(self, group: Group) -> None:
        check_group(self, self.group, group)


def induce(rep: Rep, subgroup: Group, group: Group, embedding: Embedding | None = None) -> Induced:
    """The representation of a finite group G induced from ρ of a subgroup H, of dimension (G : H) dim ρ.

    With one t_i in each coset t_i H, the block (i, j) of its matrix at g is ρ(t_i⁻¹ g t_j) where that is in H, and zero
    elsewhere. The t_i are the first elements of their cosets in the order of `group.elements()`.

    Args:
        rep: Representation of the subgroup, linear and of finite dimension; `Scalar` gives the permutations of cosets.
        subgroup: A finite group whose elements are elements of the group, or become some by the embedding.
        group: A finite group of at most 1000 elements.
        embedding: Function of one element of the subgroup, to one of the group; hashed by identity, so define it once.

    Raises:
        TypeError: If `rep` is no linear representation.
        ValueError: If a group is not finite or too large, or an element of the subgroup is none of the group.

    References:
        Serre 1977, Linear Representations of Finite Groups, section 3.3.

    Examples:
        >>> from equijax import groups, reps
        >>> corners = reps.induce(reps.Scalar(), groups.Cyclic(2), groups.Cyclic(6))
        >>> corners.dim, list(reps.decompose(groups.Cyclic(6), corners).multiplicities.values())
        (3, [1, 1])
    """
    expect_rep("rep", rep)
    expect_group("subgroup", subgroup)
    expect_group("group", group)
    induced = Induced(rep, subgroup, group, embedding)
    rep.check(subgroup)
    _cosets(induced)
    return induced


class _Cosets:
    """For each element g and each coset j: the coset i of g t_j, and the place of t_i⁻¹ g t_j in the subgroup."""

    cosets: Int[np.ndarray, "order index"]
    inner: Int[np.ndarray, "order index"]
    matrices: Float[np.ndarray, "suborder d d"]

    def __init__(self, induced: Induced):
        group, subgroup = induced.group, induced.subgroup
        table, back, count = products(group), inverses(group), len(products(subgroup))
        with jax.enable_x64(True), jax.ensure_compile_time_eval():
            elements = subgroup.elements()
            embedded = jax.vmap(induced.embedding)(elements) if induced.embedding else elements
            self.matrices = np.asarray(jax.jit(jax.vmap(induced.rep.matrix))(elements))
        try:
            members = places_in(group, embedded, count)  # place in the group of each element of the subgroup
        except ValueError as error:
            raise ValueError(f"subgroup, embedding: {error}") from None
        if (table[np.ix_(members, members)] != members[products(subgroup)]).any():
            raise ValueError(f"subgroup, embedding: products in {subgroup} are not those in {group}")
        coset = np.full(len(table), -1)
        first: list[int] = []
        for place in range(len(table)):
            if coset[place] < 0:
                coset[table[place, members]] = len(first)
                first.append(place)
        place_inside = np.full(len(table), -1)
        place_inside[members] = np.arange(count)
        moved = table[:, first]  # g t_j
        self.cosets = coset[moved]
        self.inner = place_inside[table[back[np.array(first)[self.cosets]], moved]]


_cosets = functools.cache(_Cosets)
