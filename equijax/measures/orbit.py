"""How much an output varies along orbits of the group, against how much it varies over the data."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree

from equijax._validate import one_of, random_key
from equijax.groups import Element
from equijax.measures.batches import batch_of, chosen_elements, flat, returned, row_keys, something
from equijax.numerics import AxisName, global_batch, norm, unit
from equijax.symmetry import Symmetry

METRICS = ("l2", "cosine", "dot")


class Orbit(NamedTuple):
    """Variances of each unit, which is one number of the output of f, or one channel.

    Attributes:
        transformation: Mean over samples of the variance over group elements, in the structure of one output.
        sample: Mean over group elements of the variance over samples.
        normalized: Their quotient: 0 for a unit with the symmetry; 1 for one that tells group elements from each other
            as it tells samples; ∞ for one that sees group elements alone. A dead unit, 0 / 0, has 1.
        dead: How many units are.
    """

    transformation: PyTree
    sample: PyTree
    normalized: PyTree
    dead: Int[Array, ""]


def orbit(
    f: Callable[..., PyTree],
    symmetry: Symmetry,
    inputs: PyTree,
    *,
    key: PRNGKeyArray | None = None,
    samples: int = 16,
    elements: Element | None = None,
    average: int | Sequence[int] = (),
    axis_name: AxisName = None,
) -> Orbit:
    """Variance of a[s, t] = σ(g_t)⁻¹ f(ρ(g_t) x_s) over group elements t, against that over samples s.

        TV = mean_s var_t a ,   SV = mean_t var_s a ,   NV = TV / SV ,

    unbiased variances, unit by unit. With `outputs=None` of the symmetry it measures invariance, of a hidden layer say;
    with a representation there, whether f moves as this says. Welford's updates inside a scan: as many evaluations as
    there are elements, and memory for the outputs at one of them.

    Args:
        f: Function of one sample, such as a network up to a layer, with its parameters bound.
        symmetry: How the group acts on its arguments, and on its output.
        inputs: Its arguments, one array or a tuple, with the batch as the first axis of each array.
        key: For random elements, the same for all samples.
        samples: Most elements; a finite group with no more gives all of its own.
        elements: Elements along a leading axis, instead of these.
        average: Axes of the output of one sample over which both variances are averaged before the quotient: (0, 1)
            for channels of images.
        axis_name: Mesh axis over which the batch is sharded; the variances are those of the whole batch.

    Raises:
        TypeError, ValueError: If there are fewer than two samples or elements, a random element lacks its key, an axis
            to average over is missing, or an argument is not as the symmetry says.

    References:
        Quiroga et al. 2023, "Invariance Measures for Neural Networks", arXiv:2310.17404, eq. 1 to 6.

    Examples:
        >>> from equijax import groups, reps, Symmetry
        >>> x, turns = jax.random.normal(jax.random.key(0), (64, 2)), Symmetry(groups.Cyclic(8), reps.Vector(), None)
        >>> f = lambda x: jnp.stack([jnp.sum(x**2), x[0], jnp.ones(())])
        >>> found = jax.jit(lambda x: orbit(f, turns, x))(x)
        >>> print((found.normalized > 0.5).tolist(), int(found.dead))
        [False, True, True] 1
    """
    args, _ = batch_of(f, symmetry, inputs, least=1 if axis_name else 2)
    elements, count = chosen_elements(symmetry.group, elements, key, samples, least=2)
    at = jax.vmap(returned(f, symmetry), (None, 0))
    one = jax.eval_shape(at, jax.tree.map(lambda g: g[0], elements), args)
    axes = _axes(average, one)

    def step(carry, item):
        mean, square, over_samples, size = carry
        t, g = item
        a = at(g, args)
        change = jax.tree.map(jnp.subtract, a, mean)
        mean = jax.tree.map(lambda m, d: m + d / (t + 1), mean, change)
        square = jax.tree.map(lambda q, d, y, m: q + d * (y - m), square, change, a, mean)
        over_samples = jax.tree.map(lambda v, y: v + _variance(global_batch(y, axis_name)), over_samples, a)
        size = jax.tree.map(lambda v, y: v + jnp.mean(global_batch(y, axis_name) ** 2, axis=0), size, a)
        return (mean, square, over_samples, size), None

    rows = jax.tree.map(lambda y: jnp.zeros(y.shape, y.dtype), one)
    units = jax.tree.map(lambda y: jnp.zeros(y.shape[1:], y.dtype), one)
    (_, square, sv, size), _ = jax.lax.scan(step, (rows, rows, units, units), (jnp.arange(count), elements))
    tv = jax.tree.map(lambda q: jnp.mean(global_batch(q, axis_name), axis=0) * (count / (count - 1)), square)
    tv, sv, size = (jax.tree.map(lambda v: jnp.mean(v / count, axis=axes), tree) for tree in (tv, sv, size))
    dead = jax.tree.map(lambda t, s, size: jnp.maximum(t, s) <= size * (8 * jnp.finfo(t.dtype).eps) ** 2, tv, sv, size)
    quotient = jax.tree.map(lambda t, s, d: jnp.where(d, 1, t / jnp.where(d, 1, s)), tv, sv, dead)
    return Orbit(tv, sv, quotient, jnp.sum(jnp.stack([jnp.sum(d) for d in jax.tree.leaves(dead)])))


def invariance_score(
    f: Callable[..., PyTree],
    symmetry: Symmetry,
    inputs: PyTree,
    *,
    key: PRNGKeyArray,
    metric: str = "l2",
    axis_name: AxisName = None,
) -> Float[Array, ""]:
    """How far two views of a sample lie apart, over how far views of two samples do: 0 invariant, 1 not at all.

        I = mean d(z(g x), z(h x)) / mean d(z(g x), z(h x')) ,   z(g x) = σ(g)⁻¹ f(ρ(g) x)

    with g and h drawn for each sample, and x' never x itself: a random cycle through the batch. If f is constant on
    the data, 0 / 0, the score is 1.

    Args:
        f, symmetry, inputs: As for `orbit`.
        key: For the elements and the pairs.
        metric: "l2", the distance; "cosine", 1 − cos; or "dot", ½‖z‖² + ½‖z'‖² − ⟨z, z'⟩.
        axis_name: Mesh axis over which the batch is sharded.

    Raises:
        TypeError, ValueError: If the metric is unknown, there are fewer than two samples, or an argument is not as the
            symmetry says.

    References:
        Speicher et al. 2024, "Understanding the Role of Invariance in Transfer Learning", arXiv:2407.04325.

    Examples:
        >>> from equijax import groups, reps, Symmetry
        >>> x, turns = jax.random.normal(jax.random.key(0), (64, 2)), Symmetry(groups.SO(2), reps.Vector(), None)
        >>> score = lambda f: jax.jit(lambda x: invariance_score(f, turns, x, key=jax.random.key(1)))(x)
        >>> bool(score(lambda x: jnp.sum(x**2)) < 1e-6), bool(score(lambda x: x) > 0.7)
        (True, True)
    """
    one_of("metric", metric, METRICS)
    args, count = batch_of(f, symmetry, inputs, least=1 if axis_name else 2)
    key_rows, key_pairs = jax.random.split(random_key("key", key))
    at = jax.vmap(returned(f, symmetry))

    def view(number):
        keys = row_keys(jax.random.fold_in(key_rows, number), count, axis_name)
        return global_batch(flat(at(jax.vmap(symmetry.group.sample)(keys), args)), axis_name)

    first, second = view(0), view(1)
    cycle = jax.random.permutation(key_pairs, len(first))
    same = jnp.mean(_distance(metric, first, second))
    other = jnp.mean(_distance(metric, first[cycle], second[jnp.roll(cycle, 1)]))
    return jnp.where(other == 0, jnp.ones_like(same), same / jnp.where(other == 0, 1, other))


def _variance(a: Float[Array, "rows ..."]) -> Float[Array, "..."]:
    """Unbiased, and exactly zero where all rows are equal."""
    return jnp.var(a - a[:1], axis=0, ddof=1)


def _axes(average: int | Sequence[int], rows: PyTree) -> tuple[int, ...]:
    """The axes to average over, once every output is seen to have them."""
    axes = (average,) if isinstance(average, int) else tuple(average)
    for y in something(rows):
        ndim = len(y.shape) - 1
        if any(not -ndim <= axis < ndim for axis in axes):
            raise ValueError(
                f"average: expected axes of an output of one sample, of shape {y.shape[1:]}, got {average}"
            )
    return axes


def _distance(metric: str, x: Float[Array, "rows d"], y: Float[Array, "rows d"]) -> Float[Array, " rows"]:
    """Zero, without rounding, of equal rows."""
    if metric == "l2":
        return norm(x - y)
    if metric == "cosine":
        (x, _), (y, _) = unit(x), unit(y)  # 1 − cos = ½‖x̂ − ŷ‖²
    return jnp.sum((x - y) ** 2, axis=-1) / 2
