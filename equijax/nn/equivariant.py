"""Networks between any two representations of any group of matrices or finite group, from their intertwiners."""

import itertools
import math
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from equijax import _validate, reps
from equijax.groups import Group
from equijax.nn.variance import gain
from equijax.reps import Rep, Scalar, Sum, TensorProduct, block_basis, dimension, summands


class EquivariantLinear(nn.Module):
    """Every linear map, with every bias, that commutes with a group:

        y = Σ_k s_k c_k B_k x + Σ_m b_m v_m ,

    over the bases B of the maps from `source` to `target` and v of the invariant vectors of `target`, see
    `reps.intertwiners`, whose order is that of the parameters c. They start as standard normal numbers; with the
    constants s, x of unit variance then gives each term of y unit variance, in the mean over its coordinates.

    All representations act on the last axis, tensors flattened in row-major order.

    Attributes:
        group: The group.
        source: How it acts on x.
        target: How it acts on y; `reps.Sum` for several terms, `reps.Sum(*[reps.Vector()] * 8)` for eight vectors.
        use_bias: Whether to add a bias where the target has invariant vectors.
        precision: Of the matrix product.

    References:
        Finzi, Welling and Wilson 2021, arXiv:2104.09459.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import groups, nn, reps
        >>> layer = nn.EquivariantLinear(groups.SO(3), reps.Tensor(2), reps.Vector())  # x × y of what x yᵀ holds
        >>> y, params = jax.jit(layer.init_with_output)(jax.random.key(0), jnp.eye(3).reshape(9))
        >>> y.tolist(), [leaf.size for leaf in jax.tree.leaves(params)]
        ([0.0, 0.0, 0.0], [1])
    """

    group: Group
    source: Rep
    target: Rep
    use_bias: bool = True
    precision: jax.lax.PrecisionLike = "highest"

    @nn.compact
    def __call__(self, x: Float[Array | np.ndarray, "*batch source"]) -> Float[Array, "*batch target"]:
        """y, in the dtype of x.

        Raises:
            TypeError: If a representation is not linear.
            ValueError: If the last axis of x is not that of `source`.
        """
        maps = block_basis(self.group, self.source, self.target)
        _validate.last_axis("x", x, maps.width)
        x = _validate.floating("x", x)
        scale = np.zeros(maps.dim)
        for rows, pieces in zip(maps.rows, maps.split(scale), strict=True):
            total = sum(piece[0].size for piece in pieces)  # maps into one copy
            for piece in pieces:
                piece[:] = np.sqrt(rows.shape[1] / max(total, 1))
        c = self.param("coefficients", nn.initializers.normal(1.0), (maps.dim,)) if maps.dim else jnp.zeros(0)
        w = reps.equivariant_matrix(self.group, self.source, self.target, (c * scale).astype(x.dtype))
        y = jnp.matmul(x, w.T, precision=self.precision)
        invariants = block_basis(self.group, Scalar(), self.target).dim
        if not self.use_bias or not invariants:
            return y
        b = self.param("bias", nn.initializers.zeros, (invariants,))
        return y + reps.equivariant_matrix(self.group, Scalar(), self.target, b.astype(x.dtype))[:, 0]


class EquivariantBilinear(nn.Module):
    """Products of pairs of linear maps of x, mapped on:

        y = Σ_r Σ_{a ≤ b} W_ab^r (u_a^r ⊗ v_b^r) ,   u = U x ,   v = V x ,

    where a and b run through the distinct terms of `factors`, r through `rank` copies of each, and U, V and W are
    equivariant linear maps. This is what makes invariants of vectors, and vectors of tensors.

    Attributes:
        group: The group.
        source: How it acts on x.
        target: How it acts on y.
        factors: Terms that are multiplied; None for scalars and those of `source` whose coordinates the group does not
            only permute, on which a pointwise function does as well.
        rank: Copies of each.
        precision: Of the matrix products.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import groups, nn, reps
        >>> layer = nn.EquivariantBilinear(groups.O(2), reps.Sum(*[reps.Vector()] * 2), reps.Scalar())
        >>> jax.jit(layer.init_with_output)(jax.random.key(0), jnp.ones((5, 4)))[0].shape
        (5, 1)
    """

    group: Group
    source: Rep
    target: Rep
    factors: Rep | None = None
    rank: int = 4
    precision: jax.lax.PrecisionLike = "highest"

    @nn.compact
    def __call__(self, x: Float[Array | np.ndarray, "*batch source"]) -> Float[Array, "*batch target"]:
        """y, in the dtype of x; its size is the square of that of x."""
        _expect(self.group, source=self.source, target=self.target, factors=self.factors or Scalar())
        rank = _validate.integer("rank", self.rank, 1)
        # Which terms are multiplied: scalars, and those of the source that are not only permuted
        if self.factors is None:
            kinds = [Scalar(), *(term for term in dict.fromkeys(summands(self.source)) if _is_gated(self.group, term))]
        else:
            kinds = list(dict.fromkeys(summands(self.factors)))
        if kinds == [Scalar()]:
            raise ValueError(f"factors: {self.source} only has coordinates that are permuted; name the terms")
        # `rank` copies of each term from two linear maps, (..., rank, dim) a term
        copies = Sum(*(term for term in kinds for _ in range(rank)))
        maps = (
            EquivariantLinear(self.group, self.source, copies, False, self.precision, name=name)
            for name in ("left", "right")
        )
        left, right = (self._by_kind(linear(x), kinds, rank) for linear in maps)
        # Outer products of the copies, pair by pair of terms, (..., rank dim dim) each
        pairs = list(itertools.combinations_with_replacement(range(len(kinds)), 2))
        products = [left[a][..., :, None] * right[b][..., None, :] for a, b in pairs]
        products = [p.reshape(*p.shape[:-3], math.prod(p.shape[-3:])) for p in products]
        # What all of them are, and the linear map from there to the target
        spread = Sum(*(TensorProduct(kinds[a], kinds[b]) for a, b in pairs for _ in range(rank)))
        out = EquivariantLinear(self.group, spread, self.target, False, self.precision, name="out")
        return out(jnp.concatenate(products, axis=-1))

    def _by_kind(self, x, kinds, rank):
        """The copies of each term, (..., rank, dim)."""
        sizes = [dimension(self.group, term) for term in kinds]
        copies = jnp.split(x, np.cumsum(np.multiply(sizes, rank))[:-1], axis=-1)
        return [y.reshape(*y.shape[:-1], rank, size) for y, size in zip(copies, sizes, strict=True)]


class EquivariantMLP(nn.Module):
    """A network that commutes with a group: in each hidden layer a linear and a bilinear map, and gates,

        h ← gate((L h + P(h)) / √2) ,   and a linear map at the end.

    The bilinear map P is left out where the group only permutes the coordinates of h, as in networks on sets and
    graphs. All representations act on the last axis, tensors flattened in row-major order.

    Attributes:
        group: The group.
        source: How it acts on the input.
        target: How it acts on the output.
        hidden: How it acts on each hidden layer, such as `reps.Sum(*[reps.Scalar()] * 16, *[reps.Vector()] * 8)`.
        rank: Of the bilinear maps.
        activation: φ of `gated`.
        gate_activation: σ of `gated`.
        precision: Of the matrix products.

    References:
        Finzi, Welling and Wilson 2021, arXiv:2104.09459, section 5.

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import groups, nn, reps
        >>> hidden = reps.Sum(*[reps.Scalar()] * 4, *[reps.Vector()] * 2)
        >>> network = nn.EquivariantMLP(groups.O(2), reps.Sum(*[reps.Vector()] * 2), reps.Vector(), (hidden,))
        >>> jax.jit(network.init_with_output)(jax.random.key(0), jnp.ones((5, 4)))[0].shape
        (5, 2)
    """

    group: Group
    source: Rep
    target: Rep
    hidden: tuple[Rep, ...]
    rank: int = 4
    activation: Callable = jax.nn.silu
    gate_activation: Callable = jax.nn.sigmoid
    precision: jax.lax.PrecisionLike = "highest"

    @nn.compact
    def __call__(self, x: Float[Array | np.ndarray, "*batch source"]) -> Float[Array, "*batch target"]:
        """The output, in the dtype of x."""
        _expect(self.group, source=self.source, target=self.target)
        if not isinstance(self.hidden, tuple | list):
            raise TypeError(
                f"hidden: expected a tuple of representations, one for each hidden layer, got {self.hidden!r}; "
                f"pass (reps.Sum(*[reps.Scalar()] * 16, *[reps.Vector()] * 8),), say"
            )
        source = self.source
        for i, hidden in enumerate(self.hidden):
            _expect(self.group, **{f"hidden[{i}]": hidden})
            # A scalar more for each term that is gated, by a linear map and a bilinear one
            gates = sum(_is_gated(self.group, term) for term in summands(hidden))
            target = Sum(hidden, *[Scalar()] * gates)
            y = EquivariantLinear(self.group, source, target, precision=self.precision)(x)
            if any(_is_gated(self.group, term) for term in summands(source)):
                bilinear = EquivariantBilinear(self.group, source, target, rank=self.rank, precision=self.precision)
                y = (y + bilinear(x)) / 2**0.5
            x = gated(self.group, hidden, y, activation=self.activation, gate_activation=self.gate_activation)
            source = hidden
        return EquivariantLinear(self.group, source, self.target, precision=self.precision)(x)


def gated(
    group: Group,
    rep: Rep,
    x: Float[Array | np.ndarray, "*batch dim_and_gates"],
    *,
    activation: Callable = jax.nn.silu,
    gate_activation: Callable = jax.nn.sigmoid,
) -> Float[Array, "*batch dim"]:
    """A nonlinearity that commutes with any group:

        y_t = φ(x_t)  for terms t of `rep` whose coordinates the group only permutes,   y_t = σ(g_t) x_t  for others,

    with one scalar g_t for each of the others behind the features in the last axis of `x`. φ and σ are scaled to keep
    unit variance.

    Raises:
        ValueError: If the last axis of `x` is not that of `rep` and the gates.

    Examples:
        >>> import jax.numpy as jnp
        >>> from equijax import groups, nn, reps
        >>> x = jnp.array([3.0, 4.0, 100.0, -100.0])  # two vectors on a line, then their gates: open and shut
        >>> two = reps.Sum(reps.Vector(), reps.Vector())
        >>> y = nn.gated(groups.O(1), two, x, gate_activation=lambda g: (g > 0) * 1.0)
        >>> bool(y[0] > 0), float(y[1])
        (True, 0.0)
    """
    _expect(group, rep=rep)
    dims = [dimension(group, term) for term in summands(rep)]
    others = np.array([_is_gated(group, term) for term in summands(rep)])
    dim, gates = sum(dims), int(others.sum())
    _validate.last_axis("x", x, dim + gates)
    x = _validate.floating("x", x)
    features = x[..., :dim]
    y = activation(features) * gain(activation)
    if not gates:
        return y
    which = np.repeat(np.where(others, np.cumsum(others) - 1, 0), dims)
    factor = (gate_activation(x[..., dim:]) * gain(gate_activation))[..., which]
    return jnp.where(np.repeat(others, dims), factor * features, y)


def _expect(group: Group, **representations: Rep) -> None:
    """Raise a TypeError unless a group is one, and each of some representations is one, by its name."""
    _validate.instance("group", group, Group, "a group such as groups.SO(3)")
    for name, rep in representations.items():
        _validate.instance(name, rep, Rep, "a representation such as reps.Vector()")


def _is_gated(group: Group, term: Rep) -> bool:
    return not reps.permutes_coordinates(group, term)
