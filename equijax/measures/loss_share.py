"""How much of the loss of a model is due to broken symmetry: its loss, against that of its average over the group."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from equijax._validate import integer, random_key
from equijax.measures.batches import batch_of, returned, row_keys, something
from equijax.numerics import AxisName, global_batch
from equijax.symmetry import Symmetry

LISTED = 64  # finite groups of no more elements are averaged over exactly


class LossShare(NamedTuple):
    """What the loss of a model would be without its broken symmetry.

    Attributes:
        share: 1 − twirled / loss; 0 of a loss that is zero.
        interval: Confidence interval of the share, (lowest, highest), of the sampling of data and group elements.
        loss: Mean loss of the model.
        twirled: Mean loss of the model averaged over the group.
    """

    share: Float[Array, ""]
    interval: Float[Array, "2"]
    loss: Float[Array, ""]
    twirled: Float[Array, ""]


def loss_share(
    f: Callable[..., PyTree],
    symmetry: Symmetry,
    loss: Callable[[PyTree, PyTree], Float[Array, ""]],
    inputs: PyTree,
    targets: PyTree,
    *,
    key: PRNGKeyArray,
    samples: int = 8,
    at: str = "data",
    level: float = 0.95,
    resamples: int = 1000,
    axis_name: AxisName = None,
) -> LossShare:
    """The part of E ℓ(f(x), y) that is gone once f is averaged over the group:

        share = (E ℓ(f(x), y) − E ℓ(f̄(x), y)) / E ℓ(f(x), y) ,   f̄(x) = ∫ σ(g)⁻¹ f(ρ(g) x) dg .

    By Jensen's inequality it is not negative where ℓ is convex in the prediction and data are as likely as moved data;
    of squared errors it is then E‖f − f̄‖² / E ℓ. Elsewhere it may be negative: breaking the symmetry pays. If the data
    have an orientation of their own, `at="orbit"` takes the loss of f at randomly moved data,
    ∫ ℓ(σ(g)⁻¹ f(ρ(g) x), y) dg, and no share of a convex loss is negative but by chance. For a loss that is not convex
    the number is computed all the same, and no sign means anything.

    **Estimates.** Finite groups of up to 64 elements are averaged over exactly. Elsewhere ℓ at the mean of n samples
    would be too large, by order 1/n. The jackknife of second order takes that out,

        ½ n² T_n − (n − 1)² T_{n−1} + ½ (n − 2)² T_{n−2} ,   T_k = mean of ℓ at the means of k of the n samples:

    no bias at all for losses that are polynomials of degree three or less, such as squared errors, and one of order
    1/n³ for other smooth ones, such as cross-entropy (two samples: of first order, squared errors exact, and 1/n²).
    Near a kink, as of absolute errors, it is of order 1/√n at worst. The quotient of means has a bias of order one over
    the number of data, much below the interval.

    Args:
        f: Function of one sample.
        symmetry: How the group acts on its arguments and its output. Of a group that is not compact the average is
            over `group.sample`.
        loss: loss(prediction, target) of one sample, a number, convex in the prediction.
        inputs: Arguments of f, one array or a tuple, with the batch as the first axis of each array.
        targets: One for each sample, with the batch as the first axis; they stay, since predictions are moved back.
        key: For group elements, which are drawn for each sample, and the bootstrap.
        samples: How many group elements; n evaluations of f a sample, and n² / 2 of the loss.
        at: "data", the loss of f at the data as they are, or "orbit", at moved data.
        level: Of the interval, which holds the middle of the shares of `resamples` batches drawn from this one.
        resamples: How many.
        axis_name: Mesh axis over which the batch is sharded; the same key everywhere.

    Raises:
        TypeError, ValueError: If there are fewer than two samples of the data or the group, as many targets as samples
            are not there, the loss is no number, or an argument is not as the symmetry says.

    Examples:
        A model that has learned ‖x‖², but for 0.5 and 0.2 x₀. Both are an error, and turning tells which is which:

        >>> from equijax import groups, reps, Symmetry
        >>> symmetry = Symmetry(groups.Cyclic(8), reps.Vector(), None)
        >>> x = jax.random.normal(jax.random.key(0), (500, 2))
        >>> f = lambda x: jnp.sum(x**2) + 0.5 + 0.2 * x[0]
        >>> squared_error = lambda prediction, target: (prediction - target) ** 2
        >>> found = loss_share(f, symmetry, squared_error, x, jnp.sum(x**2, axis=1), key=jax.random.key(1), at="orbit")
        >>> truth = 0.04 / (0.04 + 0.25)  # E 0.2² x₀² against 0.5²
        >>> low, high = found.interval
        >>> bool(low < truth < high), round(float(found.twirled), 4)
        (True, 0.25)

    References:
        Elesedy and Zaidi 2021, "Provably Strict Generalisation Benefit for Equivariant Models", arXiv:2102.10333;
        Schucany, Gray and Owen 1971, "On Bias Reduction in Estimation", J. Am. Stat. Assoc. 66, 524.
    """
    args, count = batch_of(f, symmetry, inputs, least=1 if axis_name else 2)
    _hold(targets, count, at, level)
    integer("samples", samples, 2)
    integer("resamples", resamples, 1)
    key_rows, key_boot = jax.random.split(random_key("key", key))
    predict, group = returned(f, symmetry), symmetry.group
    something(jax.eval_shape(jax.vmap(predict, (None, 0)), group.identity(), args))
    listed = group.elements() if group.order is not None and group.order <= LISTED else None

    def values(predictions):
        found = jax.vmap(loss)(predictions, targets)
        if jnp.shape(found) != (count,):
            raise ValueError(f"loss: expected a number for one sample, got shape {jnp.shape(found)[1:]}")
        return found

    if listed is None:
        g = jax.vmap(lambda k: group.sample(k, (samples,)))(row_keys(key_rows, count, axis_name))
        g = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), g)  # (samples, rows, ...)
        z = jax.lax.map(lambda g: jax.vmap(predict)(g, args), g)
        twirled = _jackknife(values, z)
    else:
        z = jax.lax.map(lambda g: jax.vmap(predict, (None, 0))(g, args), listed)
        twirled = values(_mean(z))
    if at == "data":
        whole = values(jax.vmap(predict, (None, 0))(group.identity(), args))
    else:
        whole = jnp.mean(jax.lax.map(values, z), axis=0)
    whole, twirled = (global_batch(x, axis_name) for x in (whole, twirled))

    def share(rows=slice(None)):
        above, below = jnp.mean(whole[rows] - twirled[rows]), jnp.mean(whole[rows])
        return jnp.where(below == 0, 0.0, above / jnp.where(below == 0, 1, below))

    shares = jax.lax.map(
        lambda k: share(jax.random.randint(k, whole.shape, 0, len(whole))), jax.random.split(key_boot, resamples)
    )
    interval = jnp.quantile(shares, jnp.array([(1 - level) / 2, (1 + level) / 2], shares.dtype))
    return LossShare(share(), interval, jnp.mean(whole), jnp.mean(twirled))


def _jackknife(values: Callable[[PyTree], Float[Array, " rows"]], z: PyTree) -> Float[Array, " rows"]:
    """ℓ at the mean of predictions along the first axis, without its bias of first and second order."""
    n, mean = len(jax.tree.leaves(z)[0]), _mean(z)

    def without(*left: Array) -> Float[Array, " rows"]:
        """ℓ at the mean of all samples but these."""
        fewer = jax.tree.map(lambda z, m: m + sum(m - z[i] for i in left) / (n - len(left)), z, mean)
        return values(fewer)

    whole = values(mean)
    one = jnp.mean(jax.lax.map(without, jnp.arange(n)), axis=0)
    if n == 2:
        return n * whole - (n - 1) * one
    pairs = jnp.asarray(np.array(list(itertools.combinations(range(n), 2))))
    two = jnp.mean(jax.lax.map(lambda pair: without(pair[0], pair[1]), pairs), axis=0)
    # written as corrections of the plain value, which keeps the digits of what is exact already
    return whole + (n - 1) ** 2 * (whole - one) - (n - 2) ** 2 / 2 * (whole - two)


def _mean(z: PyTree) -> PyTree:
    return jax.tree.map(lambda z: jnp.mean(z, axis=0), z)


def _hold(targets: PyTree, count: int, at: str, level: float) -> None:
    """Raise unless there is a target for each sample, and the options are known."""
    shapes = [jnp.shape(y) for y in jax.tree.leaves(targets)]
    if any(shape[:1] != (count,) for shape in shapes):
        raise ValueError(f"targets: expected one for each of {count} samples, along the first axis, got {shapes}")
    if at not in ("data", "orbit"):
        raise ValueError(f"at: expected 'data' or 'orbit', got {at!r}")
    if not 0 < level < 1:
        raise ValueError(f"level: expected a number between 0 and 1, such as 0.95, got {level}")
