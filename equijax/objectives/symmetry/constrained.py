"""Augmentation as a constraint: a small loss on the worst transformations, with a multiplier that tells if it binds."""

import dataclasses
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray, PyTree

from equijax._validate import integer, random_key


@dataclasses.dataclass(frozen=True)
class Transformations:
    """A set of transformations to choose from: a group, a window of one, or a list of operations.

    Attributes:
        draw: (key, shape) -> random elements, arrays with these leading axes, such as `group.sample`.
        move: (element, sample) -> the moved sample, such as `symmetry.act_inputs`.
        kind: element -> an integer from 0 to kinds − 1, for a histogram of those that are accepted.
        kinds: How many kinds there are; 0 without `kind`.

    Examples:
        >>> signs = Transformations(lambda key, shape: jax.random.rademacher(key, shape), lambda sign, x: sign * x)
        >>> signs.move(-1, 2.0)
        -2.0
    """

    draw: Callable[[PRNGKeyArray, tuple[int, ...]], PyTree]
    move: Callable[[PyTree, PyTree], PyTree]
    kind: Callable[[PyTree], Int[Array, ""]] | None = None
    kinds: int = 0


def invariance_constrained(
    losses: Callable[[PyTree, PyTree], Float[Array, " samples"]],
    params: PyTree,
    batch: PyTree,
    transformations: Transformations,
    multiplier: ArrayLike,
    *,
    key: PRNGKeyArray,
    proposals: int = 3,
    steps: ArrayLike | None = None,
    one_pass: bool = False,
) -> tuple[Float[Array, ""], dict[str, Array]]:
    """ℓ_clean + μ ℓ_aug, the Lagrangian of learning with a bound on the loss over bad transformations:

        min over θ of E ℓ(x)  such that  E_x E_{g ~ λ_x} ℓ(g x) ≤ ε ,   λ_x(g) ∝ ℓ(g x) .

    λ_x is sampled by `metropolis_hastings` from proposals that are drawn, and whose losses are computed, all at once
    and without a gradient. After each step of the optimizer raise or lower μ by `dual_step`. A batch that lies on
    several devices takes a key of its own on each, and the mean of the results.

    Args:
        losses: (params, batch) -> the loss of each sample, none negative.
        params: Its parameters θ.
        batch: Samples x, targets included: a tree of arrays with as many rows.
        transformations: Which there are.
        multiplier: μ ≥ 0, a constant here.
        key: For proposals and acceptance.
        proposals: Elements drawn for each sample, with the first one: one step of the chain less. 1 is plain
            augmentation.
        steps: Steps of the chain to take, proposals − 1 at most, which is the default; may be traced.
        one_pass: Instead of both, compute each sample clean with probability 1/(1 + μ), and else moved: the same loss
            on average, for one pass with a gradient and not two. What it says of the clean loss is of fewer samples.

    Returns:
        The loss, and its terms: "clean" and "augmented" losses, "multiplier", "acceptance" (the fraction of steps that
        accepted), and with `kind` the "histogram" of the transformations accepted last, fractions of shape (kinds,).

    Raises:
        ValueError: If there are no samples, `batch` has arrays of several lengths, `losses` does not give a number a
            sample, or `proposals` is not positive.
        TypeError: If `key` is no random key.

    References:
        Hounie, Chamon and Ribeiro 2023, arXiv:2209.15031.

    Examples:
        A reflection costs (θ + 1)², the identity (θ − 1)², for θ = ½: the reflection is nine times as likely.

        >>> signs = Transformations(lambda key, shape: jax.random.rademacher(key, shape), lambda sign, x: sign * x)
        >>> losses = lambda theta, x: (theta - x) ** 2
        >>> loss, terms = invariance_constrained(
        ...     losses, 0.5, jnp.ones(4000), signs, 0.1, key=jax.random.key(0), proposals=8)
        >>> print(f"{terms['clean']:.2f} {terms['augmented']:.1f} {loss:.1f}")  # (81 + 1) / 40
        0.25 2.1 0.5
    """
    integer("proposals", proposals, 1)
    count = _samples(batch)
    draw, chain, choice = jax.random.split(random_key("key", key), 3)
    multiplier = jax.lax.stop_gradient(jnp.asarray(multiplier))

    elements = transformations.draw(draw, (proposals, count))
    moved = jax.vmap(jax.vmap(transformations.move), (0, None))(elements, batch)  # (proposals, samples, ...)
    # (proposals · samples, ...): one pass, without a gradient
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), moved)
    tried = _held(losses, jax.lax.stop_gradient((params, flat)), proposals * count).reshape(proposals, count)
    states, accepted = metropolis_hastings(tried, chain, steps)

    def last(tree: PyTree) -> PyTree:
        return jax.tree.map(lambda x: x[states[-1], jnp.arange(count)], tree)

    if one_pass:
        clean = jax.random.uniform(choice, (count,)) * (1 + multiplier) < 1
        pick = lambda x, y: jnp.where(clean.reshape(-1, *(1,) * (x.ndim - 1)), x, y)  # noqa: E731
        values = _held(losses, (params, jax.tree.map(pick, batch, last(moved))), count)
        loss = (1 + multiplier) * jnp.mean(values)
        terms = {
            "clean": jnp.sum(jnp.where(clean, values, 0)) / jnp.maximum(jnp.sum(clean), 1),
            "augmented": jnp.mean(last(tried)),
        }
    else:
        both = jax.tree.map(lambda x, y: jnp.concatenate([x, y]), batch, last(moved))
        values = jnp.mean(_held(losses, (params, both), 2 * count).reshape(2, count), axis=1)
        terms = {"clean": values[0], "augmented": values[1]}
        loss = values[0] + multiplier * values[1]
    terms |= {"multiplier": multiplier, "acceptance": _acceptance(accepted, steps)}
    if transformations.kind is not None:
        kinds = jax.vmap(transformations.kind)(last(elements))
        terms["histogram"] = jnp.bincount(kinds, length=transformations.kinds) / count
    return loss, terms


def metropolis_hastings(
    losses: Float[Array, "proposals samples"], key: PRNGKeyArray, steps: ArrayLike | None = None
) -> tuple[Int[Array, "proposals samples"], Bool[Array, "steps samples"]]:
    """Chains over proposals that were drawn at once: the next one is accepted with probability min(1, ℓ'/ℓ).

    For uniform proposals g the states come to have the density ∝ ℓ(g). A loss of zero accepts whatever comes, and a
    loss that is not a number is never accepted, and accepts whatever comes.

    Args:
        losses: ℓ ≥ 0 of each proposal, of which a chain begins at the first.
        key: For acceptance.
        steps: Steps to take; later ones stay. All unless given; may be traced, so that one program serves any number.

    Returns:
        Which proposal each chain is at after 0, 1, 2, ... steps, and whether each step accepted.

    References:
        Hounie, Chamon and Ribeiro 2023, arXiv:2209.15031.

    Examples:
        >>> states, accepted = metropolis_hastings(jnp.array([[1.0, 0.0], [0.0, 0.0], [2.0, 3.0]]), jax.random.key(0))
        >>> states.tolist()
        [[0, 0], [0, 1], [2, 2]]
    """
    chances = jax.random.uniform(key, losses[1:].shape, jnp.promote_types(losses.dtype, jnp.float32))
    allowed = len(losses) if steps is None else steps

    def step(carry, proposal):
        at, held = carry
        number, new, chance = proposal
        # no quotient: a loss of zero accepts, and so does one that is not a number
        accept = ~(chance * held > new) & ~jnp.isnan(new) & (number <= allowed)
        at, held = jnp.where(accept, number, at), jnp.where(accept, new, held)
        return (at, held), (at, accept)

    begin = jnp.zeros(losses.shape[1], int)
    _, (later, accepted) = jax.lax.scan(step, (begin, losses[0]), (jnp.arange(1, len(losses)), losses[1:], chances))
    return jnp.concatenate([begin[None], later]), accepted


def dual_step(
    multiplier: ArrayLike,
    augmented: ArrayLike,
    margin: ArrayLike,
    rate: float = 1e-4,
) -> Float[Array, ""]:
    """μ ← max(0, μ + rate · (ℓ_aug − ε)), once after each step of the optimizer.

    μ stays positive only where the bound ε binds: where the transformations do not come for free.

    Args:
        multiplier: μ.
        augmented: ℓ_aug, the term "augmented" of `invariance_constrained`, of all devices.
        margin: ε, in the unit of the loss.
        rate: Of the ascent.

    References:
        Hounie, Chamon and Ribeiro 2023, arXiv:2209.15031.

    Examples:
        >>> [float(dual_step(1.0, augmented, margin=2.0, rate=0.5)) for augmented in (3.0, 0.0, -5.0)]
        [1.5, 0.0, 0.0]
    """
    return jnp.maximum(0, multiplier + rate * (jax.lax.stop_gradient(jnp.asarray(augmented)) - margin))


def _acceptance(accepted: Bool[Array, "steps samples"], steps: ArrayLike | None) -> Float[Array, ""]:
    """The fraction of the steps taken that accepted; 0 where there are none."""
    taken = len(accepted) if steps is None else jnp.minimum(steps, len(accepted))
    return jnp.sum(accepted) / jnp.maximum(taken * accepted.shape[1], 1)


def _samples(batch: PyTree) -> int:
    """How many rows all arrays of a batch have."""
    lengths = sorted({jnp.shape(x)[0] if jnp.ndim(x) else 0 for x in jax.tree.leaves(batch)})
    if len(lengths) != 1 or not lengths[0]:
        raise ValueError(f"batch: expected arrays with as many rows, one at least, got {lengths or 'no array'}")
    return lengths[0]


def _held(losses: Callable[..., Array], args: Sequence[PyTree], count: int) -> Float[Array, " samples"]:
    """The loss of each sample."""
    values = losses(*args)
    if jnp.shape(values) != (count,):
        raise ValueError(f"losses: expected shape ({count},), a number a sample, got {jnp.shape(values)}")
    return values
