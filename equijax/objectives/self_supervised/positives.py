"""Which samples belong together, beyond two views of one, and the contrast that draws them together."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from equijax._validate import positive
from equijax.numerics import AxisName, global_batch, matmul, unit
from equijax.objectives._batches import masked_mean
from equijax.objectives.self_supervised.pairs import rows


def pair_contrastive(
    codes: ArrayLike,
    pairs: ArrayLike,
    *,
    temperature: float | Array = 0.1,
    mask: ArrayLike | None = None,
    axis_name: AxisName = None,
) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
    """Mean over rows i of −Σ_{p ∈ P(i)} log( exp(z_i·z_p / τ) / Σ_{a≠i} exp(z_i·z_a / τ) ) / n_i, with ‖z‖ = 1.

    n_i is the number of pairs P(i). The supervised contrastive loss, for pairs of any kind. Rows without one count as
    others only.

    Args:
        codes: z, of any length.
        pairs: P, which rows belong together; the diagonal does not count. Of a split batch, the columns are the rows of
            all devices.
        temperature: τ > 0.
        mask: Rows that there are.
        axis_name: The mesh axis over which the rows are split, if they are.

    Returns:
        The loss, 0 where there is no pair, and its terms: "anchors", the fraction of rows that have one.

    Raises:
        ValueError: If the temperature is not positive, there is one row, or `pairs` has not a column for each row.

    References:
        Khosla et al. 2020, arXiv:2004.11362, eq. 2.

    Examples:
        >>> pairs = jnp.zeros((4, 4), bool).at[0, 1].set(True).at[1, 0].set(True)
        >>> loss, terms = pair_contrastive(jnp.ones((4, 2)), pairs)
        >>> print(f"{loss:.4f} {terms['anchors']}")  # log 3, where all codes are equal
        1.0986 0.5
    """
    positive("temperature", temperature)
    every, codes = rows("codes", codes, axis_name, least=2), jnp.asarray(codes)
    n = len(every)
    if jnp.shape(pairs) != (len(codes), n):
        raise ValueError(f"pairs: expected shape {(len(codes), n)}, got {jnp.shape(pairs)}")
    shown = jnp.ones(len(codes), bool) if mask is None else jnp.asarray(mask)
    all_shown = global_batch(shown, axis_name)
    # where this device's rows are among all
    first = 0 if axis_name is None else jax.lax.axis_index(axis_name) * len(codes)
    other = (first + jnp.arange(len(codes)))[:, None] != jnp.arange(n)
    counts = other & all_shown & shown[:, None]
    logits = matmul(unit(codes)[0], unit(every)[0].T) / temperature
    logits = logits - jax.nn.logsumexp(logits, axis=1, where=counts, keepdims=True)
    drawn = pairs & counts
    found = jnp.sum(drawn, axis=1)
    each = -jnp.sum(jnp.where(drawn, logits, 0), axis=1) / jnp.maximum(found, 1)
    each, anchors, shown = (global_batch(x, axis_name) for x in (each, found > 0, shown))
    return masked_mean(each, anchors), {"anchors": masked_mean(anchors.astype(each.dtype), shown)}


def transitive_pairs(same: ArrayLike, similar: ArrayLike) -> Bool[Array, "n n"]:
    """Whom a path joins, of edges between views of the same instance and edges between similar instances.

    If a and a' are views of one thing, b and b' of another, and a is like b, then a' and b' are a pair too: alike in
    ways that neither kind of edge tells alone. The closure, by ⌈log₂ n⌉ squares of a Boolean matrix; to be given to
    `pair_contrastive` or `draw_pairs`. Edges count in both directions, and nobody is joined to itself.

    Args:
        same: Edges between views of the same instance, as of a track in a film.
        similar: Edges between instances that look alike.

    Raises:
        ValueError: If they are not two square matrices of one size.

    References:
        Wang, He and Gupta 2017, arXiv:1708.02901.

    Examples:
        Views 0, 1 of one thing and 2, 3 of another; 0 and 2 are alike, and so 1 and 3 are a pair.

        >>> edges = lambda *pairs: jnp.zeros((5, 5), bool).at[tuple(zip(*pairs))].set(True)
        >>> pairs = transitive_pairs(edges((0, 1), (2, 3)), edges((0, 2)))
        >>> bool(pairs[1, 3]), bool(pairs[1, 4])
        (True, False)
    """
    n = len(jnp.asarray(same))
    for name, edges in {"same": same, "similar": similar}.items():
        if jnp.shape(edges) != (n, n):
            raise ValueError(f"{name}: expected a square matrix of shape {(n, n)}, got {jnp.shape(edges)}")
    edges = jnp.asarray(same) | jnp.asarray(similar)
    near = (edges | edges.T | jnp.eye(n, dtype=bool)).astype(jnp.float32)
    reach = jax.lax.fori_loop(0, max(n - 1, 1).bit_length(), lambda _, a: (a @ a > 0).astype(a.dtype), near)
    return (reach > 0) & ~jnp.eye(n, dtype=bool)


def draw_pairs(key: PRNGKeyArray, pairs: ArrayLike) -> tuple[Int[Array, " rows"], Bool[Array, " rows"]]:
    """For each row a column of those that are its pairs, all as likely, and whether there is one.

    Examples:
        >>> column, found = draw_pairs(jax.random.key(0), jnp.array([[False, True, False], [False, False, False]]))
        >>> column[0].tolist(), found.tolist()
        (1, [True, False])
    """
    pairs = jnp.asarray(pairs)
    chance = jax.random.uniform(key, pairs.shape)
    return jnp.argmax(jnp.where(pairs, chance, -1), axis=1), jnp.any(pairs, axis=1)
