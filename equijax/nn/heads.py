"""Heads: classifiers of nested features, and one that is fixed and has the symmetry of its classes."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

from equijax import _validate, reps
from equijax.nn.plain import uniform


class MatryoshkaHead(nn.Module):
    """A linear head on each of some nested parts of its features, so that one network is good at several sizes.

        y_k = W_k z_k + b_k ,   z_1 ⊂ z_2 ⊂ … ⊂ z ,

    where z_k are the first numbers of z, or with `irreps` the invariants of its first copies of each irrep: a scalar
    itself, ‖x‖²/(2l + 1) of every other copy, so that y_k is invariant at every level. Tied, W_k are the first columns
    of one W, and all levels take one product of each block and a cumulative sum.

    Attributes:
        features: Length of each y_k, such as the number of classes.
        levels: What is in z_k, smaller ones first: how many numbers, or with `irreps` also how many copies of each
            term, as `nest` takes it.
        irreps: How z turns, such as "8x0e+4x1o"; plain numbers unless given.
        tied: Whether levels share W and b.
        use_bias: Whether there is a b.
        precision: Of the matrix products.

    Raises:
        ValueError: If levels do not grow, z has another length, or a level cuts an irrep.

    References:
        Kusupati et al. 2022, arXiv:2205.13147, eq. 1 and section 3 (MRL, and MRL-E, which is tied).

    Examples:
        >>> import jax, jax.numpy as jnp
        >>> from equijax import nn
        >>> y, params = nn.MatryoshkaHead(10, (4, 8, 16)).init_with_output(jax.random.key(0), jnp.ones((5, 16)))
        >>> y.shape, params["params"]["kernel"].shape  # levels first
        ((3, 5, 10), (16, 10))
    """

    features: int
    levels: tuple[int | tuple[int, ...], ...]
    irreps: str | None = None
    tied: bool = True
    use_bias: bool = True
    precision: jax.lax.PrecisionLike = "highest"

    @nn.compact
    def __call__(self, z: ArrayLike) -> Float[Array, "levels ... features"]:
        """The results of each row of z, (..., dim), at every level."""
        z = _validate.floating("z", z)
        irreps = reps.Irreps(f"{z.shape[-1]}x0e" if self.irreps is None else self.irreps)
        _validate.last_axis("z", z, irreps.dim)
        blocks = _blocks(irreps, self.levels)  # what each level adds
        x = _invariants(irreps, z)
        if self.tied:
            w, b = self._weights("", sum(map(len, blocks)), x.dtype)
            ends = np.cumsum([len(block) for block in blocks])
            parts = np.split(np.concatenate(blocks), ends[:-1]), jnp.split(w, ends[:-1])
            products = [self._product(x[..., block], rows) for block, rows in zip(*parts, strict=True)]
            return jnp.cumsum(jnp.stack(products), axis=0) + b
        results = []
        for k in range(len(blocks)):
            part = np.concatenate(blocks[: k + 1])
            w, b = self._weights(f"_{k}", len(part), x.dtype)
            results.append(self._product(x[..., part], w) + b)
        return jnp.stack(results)

    def _weights(self, suffix, inputs, dtype):
        drawn = uniform(inputs**-0.5)
        w = self.param(f"kernel{suffix}", drawn, (inputs, self.features)).astype(dtype)
        return w, self.param(f"bias{suffix}", drawn, (self.features,)).astype(dtype) if self.use_bias else 0

    def _product(self, x, w):
        return jnp.matmul(x, w, precision=self.precision)


def nest(irreps: object, keep: int | Sequence[int]) -> Int[np.ndarray, " kept"]:
    """Places of the first copies of irreps in features of e3nn's layout: a smaller code that turns as the whole one.

    Copies of an irrep turn alike and apart from all others, so that any of them may be left out, but no part of one:
    what is left of it would turn with what is not there.

    Args:
        irreps: How the features turn, such as "8x0e+4x1o".
        keep: How many copies of each term, such as (4, 2); or how many numbers of the whole, from the first.

    Raises:
        ValueError: If there are not as many copies, or so many numbers end within an irrep.

    Examples:
        >>> nest("4x0e+2x1o", (2, 1)).tolist(), nest("4x0e+2x1o", 7).tolist()
        ([0, 1, 4, 5, 6], [0, 1, 2, 3, 4, 5, 6])
    """
    terms = reps.Irreps(irreps).terms
    copies = np.repeat(np.arange(sum(mul for mul, *_ in terms)), [2 * l + 1 for mul, l, _ in terms for _ in range(mul)])
    if isinstance(keep, int):
        ends = np.flatnonzero(np.diff(copies, append=-1)) + 1  # where a copy is whole
        if _validate.integer("keep", keep, 1) not in ends:
            below, above = ends[ends < keep][-1:], ends[ends > keep][:1]
            near = " or ".join(str(n) for n in (*below, *above))
            raise ValueError(
                f"keep: the first {keep} numbers of {reps.Irreps(irreps).irreps} cut an irrep; keep {near}"
            )
        return np.arange(keep)
    if len(keep) != len(terms) or any(not 0 <= n <= mul for n, (mul, *_) in zip(keep, terms, strict=False)):
        raise ValueError(
            f"keep: expected at most {tuple(mul for mul, *_ in terms)} copies of {irreps}, got {tuple(keep)}"
        )
    kept = np.concatenate([np.arange(mul) < n for n, (mul, *_) in zip(keep, terms, strict=True)])
    return np.flatnonzero(kept[copies])


def d_simplex(classes: int) -> Float[Array, "classes classes-1"]:
    """Weights of a fixed classifier: the corners of a regular simplex around 0, unit vectors one a class.

        W Wᵀ = K/(K − 1) 1 − 1/(K − 1) ,   Wᵀ W = K/(K − 1) 1 ,   Σ_k W_k = 0 .

    Features that are trained against it agree between trainings: it has no freedom. Classes that are renamed by a
    permutation P are turned by an orthogonal matrix, P W = W O with O = (K − 1)/K Wᵀ P W, the standard representation
    of the symmetric group: no class is different from another. Have more classes than there are yet, for those to come;
    the corners for fewer are no part of these.

    Raises:
        TypeError: If `classes` is no integer.
        ValueError: If it is less than 2.

    References:
        Pernici et al. 2021, "Regular polytope networks"; Biondi et al. 2024, arXiv:2405.02581.

    Examples:
        >>> w = d_simplex(3)
        >>> print((w @ w.T).round(2))
        [[ 1.  -0.5 -0.5]
         [-0.5  1.  -0.5]
         [-0.5 -0.5  1. ]]
    """
    k = _validate.integer("classes", classes, 2)
    corners = np.concatenate([np.eye(k - 1), np.full((1, k - 1), (1 - np.sqrt(k)) / (k - 1))])
    corners -= corners.mean(0)
    return jnp.asarray(corners / np.linalg.norm(corners, axis=1, keepdims=True), jnp.result_type(float))


def _invariants(irreps: reps.Irreps, z: Array) -> Float[Array, "... copies"]:
    """One number of each copy: a true scalar as it is, the mean square of the entries of others."""
    start, found = 0, []
    for mul, l, parity in irreps.terms:
        copies = z[..., start : start + mul * (2 * l + 1)].reshape(*z.shape[:-1], mul, 2 * l + 1)
        start += mul * (2 * l + 1)
        found.append(copies[..., 0] if (l, parity) == (0, 1) else jnp.mean(copies**2, axis=-1))
    return jnp.concatenate(found, axis=-1)


def _blocks(irreps: reps.Irreps, levels: Sequence[int | Sequence[int]]) -> list[Int[np.ndarray, " copies"]]:
    """The copies that each level has and the level before had not."""
    first = np.cumsum([0, *(2 * l + 1 for mul, l, _ in irreps.terms for _ in range(mul))])[:-1]  # place of each copy
    kept = [np.isin(first, nest(irreps.irreps, level)) for level in levels]
    before = [np.zeros_like(kept[0]), *kept] if kept else []
    if not kept or any((a & ~b).any() or (a == b).all() for a, b in zip(before, kept, strict=False)):
        raise ValueError(f"levels: expected parts of {irreps} that grow, smaller ones first, got {levels}")
    return [np.flatnonzero(b & ~a) for a, b in zip(before, kept, strict=False)]
