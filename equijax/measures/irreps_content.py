"""How a hidden layer of any network transforms: the representation that fits its activations, in irreducible parts."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from equijax import reps
from equijax._validate import integer, random_key
from equijax.groups import SO, Cyclic, Dihedral, Element, Group, O
from equijax.measures.batches import batch_of, flat
from equijax.numerics import unit
from equijax.reps import Rep
from equijax.symmetry import Symmetry, inexact

LISTED = 120  # finite groups of no more elements are enumerated


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class IrrepsContent:
    """Which irreducible representations a layer holds, and how far it is from any representation.

    Attributes:
        raw: How often each of `irreps` occurs: whole numbers if the layer transforms by a representation.
        rank: Dimension of the space that the activations span; dead and dependent units count for nothing.
        fit: ‖h(g x) − ρ(g) h(x)‖ over the spread of h(g x), both root mean squares over data and elements: 0 if
            activations are moved by a linear map, 1 if they say nothing of each other.
        defect: ‖ρ(g) ρ(h) − ρ(g h)‖ / √rank, the root mean square over random pairs, in coordinates in which the
            activations are white: 0 for a representation.
        irreps: The irreducible representations, of an infinite group up to a frequency or degree.
        dims: Their dimensions.
    """

    raw: Float[Array, " irreps"]
    rank: Int[Array, ""]
    fit: Float[Array, ""]
    defect: Float[Array, ""]
    irreps: tuple[Rep, ...] = dataclasses.field(metadata={"static": True})
    dims: tuple[int, ...] = dataclasses.field(metadata={"static": True})

    @property
    def multiplicities(self) -> dict[Rep, int]:
        """The nearest whole numbers, of those that occur."""
        return {rep: round(float(m)) for rep, m in zip(self.irreps, self.raw, strict=True) if round(float(m))}

    @property
    def residual(self) -> Float[Array, ""]:
        """The largest distance from a whole number: where it is not small, the rounded numbers mean nothing."""
        return jnp.max(jnp.abs(self.raw - jnp.round(self.raw)))

    @property
    def rest(self) -> Float[Array, ""]:
        """Dimensions that none of `irreps` accounts for: of higher frequencies, or lost to a bad fit."""
        return self.rank - jnp.dot(self.raw, jnp.array(self.dims, self.raw.dtype))


def irreps_content(
    layer: Callable[..., PyTree],
    symmetry: Symmetry,
    data: PyTree,
    *,
    key: PRNGKeyArray,
    highest: int = 3,
    turns: int = 4,
    pairs: int = 8,
) -> IrrepsContent:
    """The representation ρ with h(ρ_in(g) x) ≈ ρ(g) h(x), found by least squares, and what it consists of.

    For each g of a list the matrix that takes the activations at x to those at g x, on the space that they span. Its
    traces are the character of ρ, whose inner products with irreducible characters are the multiplicities,

        m_i = ∫ tr ρ(g) χ_i(g) dg / ∫ χ_i(g)² dg ,

    over all elements of a finite group, equispaced turns of the plane, and in space one turn about a random axis for
    each node of the Haar measure of classes, (2/π) sin²(θ/2) dθ, with χ_l = sin((2l + 1) θ/2) / sin(θ/2).

    Features that are flat in x (biases, say) are the trivial representation. Least squares needs several times more
    rows, which are data times `turns`, than there are features; pool an image first.

    Args:
        layer: Function h of one sample; its output is taken as a vector. How it should transform is not asked.
        symmetry: The group, and how it acts on the arguments; its outputs are not used.
        data: Arguments of h, one array or a tuple, with the batch as the first axis of each array.
        key: For random turns of the data, the axes and the pairs.
        highest: Last frequency or degree of SO(2), O(2), SO(3) and O(3).
        turns: How many elements each sample is moved by first, so that the data need not be moved themselves.
        pairs: How many products of two elements the defect is measured at.

    Raises:
        TypeError, ValueError: If the irreducible representations of the group are not known, it has more than 120
            elements, or there are no more rows than features.

    References:
        Serre 1977, Linear Representations of Finite Groups, section 2.3.

    Examples:
        >>> from equijax import groups, reps, Symmetry
        >>> x, quarter_turns = jax.random.normal(jax.random.key(0), (50, 2)), groups.Cyclic(4)
        >>> layer = lambda x: jnp.stack([x[0] + x[1], x[0], x[0] * x[1], x[0] ** 2, x[1] ** 2])
        >>> found = irreps_content(layer, Symmetry(quarter_turns, reps.Vector(), None), x, key=jax.random.key(1))
        >>> {rep.label: count for rep, count in found.multiplicities.items()}
        {0: 1, 1: 1, 2: 2}
    """
    for name, value in (("turns", turns), ("pairs", pairs), ("highest", highest)):
        integer(name, value, 0 if name == "highest" else 1)
    args, count = batch_of(layer, symmetry, data)
    group = symmetry.group
    key_turns, key_axes, key_pairs = jax.random.split(random_key("key", key), 3)
    terms, elements, weights, characters = _nodes(group, highest, key_axes)
    first = group.sample(key_turns, (turns,))

    def activations(g: Element) -> Float[Array, "rows features"]:
        """h at all data, moved by each of the turns and then by g."""

        def moved(turn, args):
            with jax.default_matmul_precision("highest"):
                return jax.tree.map(inexact, layer(*symmetry.act_inputs(group.compose(g, turn), args)))

        rows = jax.vmap(lambda turn: flat(jax.vmap(moved, (None, 0))(turn, args)))(first)
        return rows.reshape(turns * count, -1)

    rows = activations(group.identity())
    if len(rows) <= rows.shape[1]:
        raise ValueError(
            f"data: {count} samples times {turns} turns are {len(rows)} rows for {rows.shape[1]} features, which any "
            "matrix fits; give several times more, or a layer of fewer features, such as pooled ones"
        )
    # white coordinates u = h V / s on the span, of which U has the values at the data
    white, sizes, directions = jnp.linalg.svd(rows, full_matrices=False)
    kept = sizes > sizes[0] * max(rows.shape) * jnp.finfo(rows.dtype).eps
    white, rank = white * kept, jnp.sum(kept)
    whitened = directions.T * jnp.where(kept, 1 / jnp.where(kept, sizes, 1), 0)

    def fitted(g):
        """ρ(g) in white coordinates, what is left, and the spread of the activations."""
        moved = activations(g)
        matrix = (moved @ whitened).T @ white
        left = moved - white @ matrix.T @ (sizes[:, None] * directions)
        spread, size = jnp.sum((moved - jnp.mean(moved, axis=0)) ** 2), jnp.sum(moved**2)
        return matrix, jnp.sum(left**2), jnp.maximum(spread, size * jnp.finfo(size.dtype).eps)  # constants: 0 / 0 is 0

    g, h = (group.sample(k, (pairs,)) for k in jax.random.split(key_pairs))
    lists = (elements, g, h, jax.vmap(group.compose)(g, h))
    with jax.default_matmul_precision("highest"):
        matrices, left, spread = jax.lax.map(fitted, jax.tree.map(lambda *x: jnp.concatenate(x), *lists))
        of_g, of_h, of_both = jnp.split(matrices[len(weights) :], 3)
        defect = jnp.sum((of_g @ of_h - of_both) ** 2) / pairs
    traces = jnp.trace(matrices[: len(weights)], axis1=1, axis2=2)
    raw = characters @ (weights * traces) / (characters**2 @ weights)
    fit = jnp.sqrt(jnp.sum(left) / jnp.where(jnp.sum(spread) == 0, 1, jnp.sum(spread)))
    dims = tuple(rep.dim_of(group) for rep in terms)
    return IrrepsContent(raw, rank, fit, jnp.sqrt(defect / jnp.maximum(rank, 1)), terms, dims)


def _nodes(
    group: Group, highest: int, key: PRNGKeyArray
) -> tuple[tuple[Rep, ...], Element, Float[Array, " nodes"], Float[Array, "irreps nodes"]]:
    """The irreducible representations, elements and weights for integrals of class functions, and their characters."""
    if group in (SO(3), O(3)):
        return _in_space(group, highest, key)
    terms = reps.irreps(group, highest if group in (SO(2), O(2)) else None)
    listed: Group = group
    if not group.is_finite:  # turns of the plane: frequencies above 3 · highest + 3 would look like lower ones
        listed = (Cyclic if group == SO(2) else Dihedral)(4 * highest + 4)
    if listed.order is None or listed.order > LISTED:
        raise ValueError(f"symmetry: {group} has {listed.order} elements; more than {LISTED} are not enumerated here")
    elements = listed.elements()
    if elements is None:
        raise ValueError(f"symmetry: the elements of {group} cannot be listed")
    characters = jnp.stack([jax.vmap(lambda g, rep=rep: reps.character(rep, g))(elements) for rep in terms])
    return terms, elements, jnp.full(listed.order, 1 / listed.order), characters


def _in_space(group: Group, highest: int, key: PRNGKeyArray):
    """Turns about random axes by angles that integrate class functions, up to degree 3 · highest + 2 exactly."""
    terms, count = reps.irreps(group, highest), 2 * highest + 2
    angles = (jnp.arange(count) + 0.5) * jnp.pi / count
    axes, _ = unit(jax.random.normal(key, (count, 3), angles.dtype))
    turns, weights = SO(3).exp(angles[:, None] * axes), 2 / count * jnp.sin(angles / 2) ** 2
    degrees = jnp.arange(highest + 1)[:, None]
    characters = jnp.sin((2 * degrees + 1) * angles / 2) / jnp.sin(angles / 2)
    if group == SO(3):
        return terms, turns, weights, characters
    # of O(3) each degree has an even and an odd one, which differ at the inversion of each turn
    signs = jnp.array([1.0, -1.0])
    both = (characters[:, None, None] * jnp.stack([jnp.ones(2), signs])[None, :, :, None]).reshape(len(terms), -1)
    return terms, jnp.concatenate([turns, -turns]), jnp.concatenate([weights, weights]) / 2, both
