"""Recurrent cells whose states flow: one state for each velocity, carried along with it from frame to frame."""

import itertools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate
from equijax.groups import Cyclic, Element, Group, Shift, check_element
from equijax.reps import Rep

ORDERS = ("post", "pre", "gated")


def velocity_set(group: Group, most: int | None = None) -> Element:
    """Velocities of a finite group for `FlowCell`: elements, that move from one frame to the next.

    All of them, for which networks are exactly equivariant under flows; or shifts by up to `most` steps either way
    along each axis, or turns by as many.

    Args:
        group: `groups.Shift` or `groups.Cyclic`; any finite one for all elements.
        most: Largest number of steps.

    Raises:
        TypeError: If `most` is given for another group.
        ValueError: If the group is not finite, or has too many elements to list.

    Examples:
        >>> from equijax import groups
        >>> len(velocity_set(groups.Shift((28, 28)), most=2)), len(velocity_set(groups.Cyclic(36), most=4))
        (25, 9)
        >>> len(velocity_set(groups.Shift((3, 5)))), velocity_set(groups.Shift((3, 5)), most=1)[0].tolist()
        (15, [-1, -1])
    """
    if most is None:
        found = group.elements()
        if found is None:
            raise ValueError(f"group: expected a finite group of at most 5040 elements, got {group}; pass most")
        return found
    _validate.integer("most", most)
    if isinstance(group, Shift):
        return group.step * jnp.asarray(list(itertools.product(*(_steps(n // group.step, most) for n in group.sizes))))
    if isinstance(group, Cyclic):
        return group.elements()[jnp.asarray(_steps(group.n, most))]
    raise TypeError(f"group: expected groups.Shift or groups.Cyclic for velocities of so many steps, got {group}")


def _steps(count: int, most: int) -> range:
    """Steps from −most to most around a circle of so many, none twice."""
    return range(-most, most + 1) if 2 * most < count else range(count)


def check_closed(group: Group, velocities: Element) -> None:
    """Raise a ValueError unless velocities are a group of them, as exact equivariance under their flows asks for.

    Examples:
        >>> from equijax import groups
        >>> check_closed(groups.Shift(28), velocity_set(groups.Shift(28), most=2))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: velocities: expected a group, but number 0 after number 0 is not among the 5; pass all of ...
    """
    velocities = checked_velocities(group, velocities)
    known = _rows(group.compose(velocities, group.identity()))  # a shift by −1 as one by M − 1
    i, j = np.indices((len(known), len(known))).reshape(2, -1)
    first, then = (jax.tree.map(lambda leaf, rows=rows: leaf[rows], velocities) for rows in (i, j))
    members = set(known)
    outside = [k for k, row in enumerate(_rows(group.compose(then, first))) if row not in members]
    if outside:
        raise ValueError(
            f"velocities: expected a group, but number {j[outside[0]]} after number {i[outside[0]]} is not among the "
            f"{len(known)}; pass all of {group}, nn.velocity_set({group}), or those of a subgroup"
        )


def _rows(elements: Element) -> list[bytes]:
    """Elements as what can be compared, to four digits."""
    leaves = [np.asarray(leaf) for leaf in jax.tree.leaves(elements)]
    return [
        (np.concatenate([leaf[k].ravel() for leaf in leaves]).round(4) + 0.0).tobytes() for k in range(len(leaves[0]))
    ]


def checked_velocities(group: Group, velocities: Element) -> Element:
    """Velocities along one leading axis, held to be elements of the group where their numbers are known."""
    kinds = [jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in jax.tree.leaves(jax.eval_shape(group.identity))]
    found = [jnp.issubdtype(jnp.result_type(leaf), jnp.floating) for leaf in jax.tree.leaves(velocities)]
    if len(found) == len(kinds) and found != kinds:
        raise TypeError(
            f"velocities: expected {'real numbers' if kinds[0] else 'integers'}, elements of {group}, got "
            f"{jnp.result_type(jax.tree.leaves(velocities)[0]).name}; fractions of a pixel flow in nn.LinearFlow"
        )
    check_element(group, velocities, "velocities")
    single = jax.tree.leaves(jax.eval_shape(group.identity))[0].ndim
    if jnp.ndim(jax.tree.leaves(velocities)[0]) != single + 1:
        raise ValueError(
            f"velocities: expected elements of {group} along one leading axis, got {jnp.shape(velocities)}"
        )
    return jax.tree.map(jnp.asarray, velocities)


def flowed(
    rep: Rep, velocities: Element, states: Float[Array | np.ndarray, "velocities ..."]
) -> Float[Array, "velocities ..."]:
    """States one frame later, where nothing is seen: that of each velocity moved by it.

    Args:
        rep: How the group moves one state.
        velocities: What moves from one frame to the next, an element of the group each, along a leading axis.
        states: One a velocity.

    Examples:
        >>> from equijax import reps
        >>> flowed(reps.Shift(-1), jnp.array([[0], [1]]), jnp.array([[1.0, 0, 0], [1, 0, 0]])).tolist()
        [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    return jax.vmap(rep.act)(velocities, states)


class FlowCell(nn.Module):
    """One step of a recurrent network on states that flow, h_t(ν) for each velocity ν, an element of a group:

        post    h_t(ν) = ν·σ(W ⋆ h_{t−1}(ν) + U ⋆ f_t)
        pre     h_t(ν) = σ(ν·(W ⋆ h_{t−1}(ν)) + U ⋆ f_t)                                  as published
        gated   h_t(ν) = (1 − z) g + z tanh(U ⋆ f_t + W ⋆ (r g))
        with    g = ν·h_{t−1}(ν)   and   z, r = sigmoid(U ⋆ f_t + W ⋆ g) ,

    with maps U and W that commute with the group, each of weights of its own. Where the elements commute and the
    velocities are a group V of them, a flow ν̂ ∈ V of the frames, f_t → ν̂ᵗ f_t, moves the states and swaps them:

        h_t(ν) → ν̂ᵗ⁺¹·h_t(ν ν̂⁻¹) after the order "post" ,   ν̂ᵗ·h_t(ν ν̂⁻¹) after the others,

    from a first state that is the same for all velocities and that no element moves. With fewer velocities that holds
    for the states where both ν and ν ν̂⁻¹ are among them.

    Attributes:
        features: Channels of a state.
        rep: How the group moves a state.
        lift: Makes U from a number of channels, and a name.
        update: Makes W from a number of channels, and a name.
        order: "post", "pre" or "gated".
        mixing: Whether states hear of each other: W ⋆ h(ν) gets another map of the mean of all h added.
        activation: σ, which acts on each number by itself.

    Raises:
        ValueError: If the order is none of these.

    References:
        Keller 2025, arXiv:2507.14793 (the order "pre").
    """

    features: int
    rep: Rep
    lift: Callable[..., nn.Module]
    update: Callable[..., nn.Module]
    order: str = "post"
    mixing: bool = False
    activation: Callable[[Array], Array] = jax.nn.relu

    @nn.compact
    def __call__(
        self,
        states: Float[Array | np.ndarray, "velocities ..."],
        frame: Float[Array | np.ndarray, "..."],
        velocities: Element,
    ) -> Float[Array, "velocities ..."]:
        """The states after a frame, in their shape; velocities as for `flowed`."""
        _validate.one_of("order", self.order, ORDERS)
        if self.order == "gated":
            return self._gated(states, frame, velocities)
        seen, kept = self.lift(self.features, name="lift")(frame), self._updated(states, self.features, "update")
        if self.order == "post":
            return flowed(self.rep, velocities, self.activation(kept + seen))
        return self.activation(flowed(self.rep, velocities, kept) + seen)

    def ahead(
        self, states: Float[Array | np.ndarray, "velocities ..."], velocities: Element
    ) -> Float[Array, "velocities ..."]:
        """The states as they flow with the frame that comes next, from which it is told."""
        return jnp.asarray(states) if self.order == "post" else flowed(self.rep, velocities, states)

    def _gated(self, states, frame, velocities):
        n = self.features
        before = flowed(self.rep, velocities, states)
        seen = self.lift(3 * n, name="lift")(frame)
        z, r = jnp.split(jax.nn.sigmoid(self._updated(before, 2 * n, "gates") + seen[..., : 2 * n]), 2, axis=-1)
        after = jnp.tanh(seen[..., 2 * n :] + self._updated(r * before, n, "update"))
        return (1 - z) * before + z * after

    def _updated(self, states, features, name):
        y = self.update(features, name=name)(states)
        if self.mixing:
            y = y + self.update(features, name=f"{name}_mean")(jnp.mean(states, axis=0, keepdims=True))
        return y


def linear_flow(
    frames: ArrayLike, velocities: ArrayLike, decay: ArrayLike
) -> Float[Array, "time velocities height width channels"]:
    """The linear recurrence of states that flow on a torus, at velocities of any real numbers of pixels a frame:

        h_t(ν) = a ν·h_{t−1}(ν) + f_t = Σ_s a^s (s ν)·f_{t−s} .

    Fourier coefficients do not mix, each is multiplied by a e^{−2πi k·ν/M} from frame to frame, so that all frames are
    computed at once, by an associative scan. On an even number M of pixels the highest frequency, half a cycle a pixel,
    is left out, for it cannot move by a part of one.

    Args:
        frames: The sequence, (time, height, width, channels).
        velocities: ν along the axes (height, width), one a state, (velocities, 2).
        decay: a of each channel, below one for a memory that fades.

    Raises:
        TypeError: If frames or velocities are no floating-point numbers.
        ValueError: If the shapes do not fit.

    References:
        Keller 2025, arXiv:2507.14793, for the recurrence.

    Examples:
        >>> frames = jnp.zeros((3, 1, 5, 1)).at[0, 0, 0].set(1.0)  # a point that is seen once
        >>> states = linear_flow(frames, jnp.array([[0.0, 1.0]]), jnp.array([0.5]))
        >>> print(states[2, 0, 0, :, 0].round(5) + 0.0)
        [0.   0.   0.25 0.   0.  ]
    """
    frames, velocities = _validate.floating("frames", frames), _validate.floating("velocities", velocities)
    if frames.ndim != 4 or jnp.shape(decay) != frames.shape[-1:]:
        raise ValueError(
            f"frames: expected (time, height, width, channels) and a decay a channel, got {frames.shape} and "
            f"{jnp.shape(decay)}"
        )
    if velocities.ndim != 2 or velocities.shape[-1] != 2:
        raise ValueError(f"velocities: expected shape (velocities, 2), got {velocities.shape}")
    dtype, (height, width) = jnp.promote_types(frames.dtype, jnp.float32), frames.shape[1:3]
    # cycles a pixel of each coefficient, (height, width // 2 + 1), and those below half a cycle
    along, across = jnp.meshgrid(jnp.fft.fftfreq(height), jnp.fft.rfftfreq(width), indexing="ij")
    kept = (jnp.abs(along) < 0.5) & (across < 0.5)
    seen = jnp.where(kept[..., None], jnp.fft.rfft2(frames.astype(dtype), axes=(1, 2)), 0)[:, None]
    cycles = velocities[:, 0, None, None] * along + velocities[:, 1, None, None] * across
    turns = jnp.exp(-2j * jnp.pi * cycles.astype(dtype))[..., None] * jnp.asarray(decay, dtype)
    # (time, velocities, height, width // 2 + 1, channels): what the state is multiplied by, and what is added to it
    factors, terms = jnp.broadcast_arrays(turns[None], seen)

    def join(first, then):
        return then[0] * first[0], then[0] * first[1] + then[1]

    _, states = jax.lax.associative_scan(join, (factors, terms))
    return jnp.fft.irfft2(states, (height, width), axes=(2, 3)).astype(frames.dtype)


class LinearFlow(nn.Module):
    """`linear_flow` of a lifted sequence, each channel with a decay of its own: a first layer without steps in time.

    Attributes:
        features: Channels of a state.
        lift: Makes the map U of a frame from a number of channels.
    """

    features: int
    lift: Callable[..., nn.Module]

    @nn.compact
    def __call__(
        self,
        frames: Float[Array | np.ndarray, "time height width channels"],
        velocities: ArrayLike,
    ) -> Float[Array, "time velocities height width features"]:
        """The states after each frame."""
        logit = self.param("decay", nn.initializers.constant(2.0), (self.features,))
        return linear_flow(self.lift(self.features, name="lift")(frames), velocities, jax.nn.sigmoid(logit))
