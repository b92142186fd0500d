"""Flow-equivariant recurrent networks: what a scene does at rest, they do when it moves."""

import functools
from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float, PyTree

from equijax import _validate, reps
from equijax.groups import Cyclic, Element, Group, Shift
from equijax.nn.lie.group_convolution import GroupConv, LiftingConv
from equijax.nn.recurrent import FlowCell, checked_velocities, flowed
from equijax.reps import Rep

ROLLOUTS = ("feed", "coast")


class _Flowing(nn.Module):
    """The states after a sequence of frames, and what `FERNN` and `FERNNClassifier` share.

    Attributes:
        group: What moves frames: `groups.Shift((height, width))`, on a torus, or `groups.Cyclic(n)`, turns about the
            center, with states that are functions on its n turns too. Quarter turns are exact, others interpolate.
        features: Channels of each state.
        size: Pixels along the side of each kernel.
        cell: Order of the `nn.FlowCell`: "post", "gated", or "pre", as published.
        mixing: Whether the states of different velocities hear of each other.
        remat: Whether to compute each step anew in the backward pass, which takes less memory.
        unroll: Whether to compile all steps one after the other rather than a loop, which takes longer to compile: on
            CPU convolutions in a loop are about 15 times slower.
    """

    group: Group
    features: int = 16
    size: int = 3
    cell: str = "post"
    mixing: bool = False
    remat: bool = False
    unroll: bool = False

    def setup(self):
        rep, lift, update = _maps(self.group, self.size)
        self.step = FlowCell(self.features, rep, lift, update, self.cell, self.mixing)

    def _seen(self, frames, velocities, mask, twice=False):
        """The states after all frames, the last of them shown twice or not."""
        frames, valid = _frames(self.group, frames, mask)
        if twice:
            last = frames[jnp.sum(valid) - 1]
            frames, valid = jnp.concatenate([frames, last[None]]), jnp.append(valid, True)
        turns = (self.group.n,) if isinstance(self.group, Cyclic) else ()
        shape = (len(velocities), *turns, *frames.shape[1:-1], self.features)

        def step(module, states, seen):
            frame, real = seen
            return jnp.where(real, module.step(states, jnp.where(real, frame, 0), velocities), states), None

        return self._scan(step, len(frames))(self, jnp.zeros(shape, frames.dtype), (frames, valid))[0]

    def _scan(self, step, length):
        step = nn.remat(step) if self.remat else step
        options = {"length": length, "unroll": length if self.unroll else 1}
        return nn.scan(step, variable_broadcast="params", split_rngs={"params": False}, **options)


class FERNN(_Flowing):
    """The frames that follow, told by a recurrent network with a state for each velocity, which flows along with it.

        h_t(ν) = ν·σ(W ⋆ h_{t−1}(ν) + U ⋆ f_t) ,   f̂_{t+1} = D(max_ν h_t(ν)) ,

    each prediction taken for the next frame, or none: "coasting", the states flow on by themselves, and predictions
    do not drift however many there are.

    A flow of what is seen, f_t → ν̂ᵗ f_t with a velocity ν̂, is one of what is told: exactly where the velocities are
    a group (`nn.check_closed`), and as far as the states at the edge of the set do not matter where they are not. The
    published network, cell="pre", is not equivariant: its states flow a frame behind what it feeds them.

    NaN in a frame is NaN in what is told. Velocities are an argument: others, of the same number, do not compile again;
    and the identity alone makes a plain recurrent network.

    Attributes:
        outputs: Channels of a frame.
        layers: Convolutions with `features` channels between the states and what is told.
        rollout: "feed" or "coast".

    References:
        Keller 2025, arXiv:2507.14793.

    Examples:
        >>> from equijax import groups, nn
        >>> torus = groups.Shift((8, 8))
        >>> model, velocities = FERNN(torus, features=4), nn.velocity_set(torus, most=1)
        >>> told, params = model.init_with_output(jax.random.key(0), jnp.ones((5, 8, 8, 1)), velocities, steps=3)
        >>> told.shape
        (3, 8, 8, 1)
    """

    outputs: int = 1
    layers: int = 2
    rollout: str = "feed"

    def setup(self):
        super().setup()
        _, _, update = _maps(self.group, self.size)
        self.decoder = [update(self.features, name=f"decoder_{k}") for k in range(self.layers)]
        self.readout = update(self.outputs, name="readout")

    def __call__(
        self, frames: PyTree, velocities: Element, *, steps: int = 1, mask: ArrayLike | None = None
    ) -> Float[Array, "steps height width outputs"]:
        """The frames after those of a sequence.

        Args:
            frames: What is seen, (time, height, width, channels).
            velocities: Of the states, elements of the group along a leading axis, such as `nn.velocity_set` makes.
            steps: How many frames to tell.
            mask: Which frames are real, (time,), all of them before the others.

        Raises:
            TypeError: If frames are a list, or no floating-point numbers, or velocities are of another kind than the
                elements of the group.
            ValueError: If there are fewer than two frames, they do not fit the group, or an option is unknown.
        """
        _validate.integer("steps", steps, 1)
        _validate.one_of("rollout", self.rollout, ROLLOUTS)
        velocities = checked_velocities(self.group, velocities)
        published = self.cell == "pre" and self.rollout == "feed"
        states = self._seen(frames, velocities, mask, twice=published)

        def step(module, states, _):
            ahead = states if published else module.step.ahead(states, velocities)
            told = module._decoded(ahead)
            if module.rollout == "coast":
                return flowed(module.step.rep, velocities, states), told
            return module.step(states, told, velocities), told

        return self._scan(step, steps)(self, states, None)[1]

    def _decoded(self, states):
        y = jnp.max(states, axis=0)
        for layer in self.decoder:
            y = jax.nn.relu(layer(y))
        y = self.readout(y)
        return jnp.mean(y, axis=0) if isinstance(self.group, Cyclic) else y


class FERNNClassifier(_Flowing):
    """Scores of what moves, whatever the velocity: of the largest state, on the average over the pixels and turns.

    As invariant under flows as `FERNN` is equivariant, and under the group itself, in all orders of the cell.

    Attributes:
        classes: Number of scores.

    References:
        Keller 2025, arXiv:2507.14793.

    Examples:
        >>> from equijax import groups, nn
        >>> torus = groups.Shift((8, 8))
        >>> model, velocities = FERNNClassifier(torus, features=4, classes=6), nn.velocity_set(torus, most=1)
        >>> model.init_with_output(jax.random.key(0), jnp.ones((3, 8, 8, 1)), velocities)[0].shape
        (6,)
    """

    classes: int = 10

    def setup(self):
        super().setup()
        self.readout = nn.Dense(self.classes)

    def __call__(self, frames: PyTree, velocities: Element, mask: ArrayLike | None = None) -> Float[Array, " classes"]:
        """The scores of a sequence; arguments and errors as of `FERNN`."""
        states = self._seen(frames, checked_velocities(self.group, velocities), mask)
        states = jnp.max(states, axis=0)
        return self.readout(jnp.mean(states, axis=range(states.ndim - 1)))


class _Torus(nn.Module):
    """A convolution on a torus."""

    features: int
    size: int

    @nn.compact
    def __call__(self, x):
        kernel = (self.size, self.size)
        options = {"padding": "CIRCULAR", "use_bias": False, "dtype": x.dtype, "precision": "highest"}
        return nn.Conv(self.features, kernel, **options)(x)


class _Lift(nn.Module):
    """A frame as a function on turns too."""

    features: int
    size: int
    group: Cyclic

    @nn.compact
    def __call__(self, x):
        return LiftingConv(self.features, self.size, use_bias=False)(x, self.group.nodes(dtype=x.dtype))


class _Turns(nn.Module):
    """A correlation on turns and places."""

    features: int
    size: int
    group: Cyclic

    @nn.compact
    def __call__(self, x):
        return GroupConv(self.features, size=self.size, use_bias=False)(x, self.group.nodes(dtype=x.dtype))


def _maps(group: Group, size: int) -> tuple[Rep, Callable[..., nn.Module], Callable[..., nn.Module]]:
    """How the group moves a state, and what makes maps of a frame to a state and between states."""
    if isinstance(group, Shift) and len(group.sizes) == 2:
        torus = functools.partial(_Torus, size=size)
        return reps.Shift((-3, -2)), torus, torus
    if isinstance(group, Cyclic):
        turns = reps.Joint(reps.Image(), reps.Regular(group, axis=-4))
        lift, update = (functools.partial(made, size=size, group=group) for made in (_Lift, _Turns))
        return turns, lift, update
    raise TypeError(f"group: expected groups.Shift((height, width)) or groups.Cyclic(n), got {group}")


def _frames(group: Group, frames: PyTree, mask: ArrayLike | None) -> tuple[Array, Array]:
    """Frames that fit the group, and which of them are real."""
    if isinstance(frames, list | tuple):
        raise TypeError(
            f"frames: expected one array (time, height, width, channels), got a {type(frames).__name__}; pad sequences "
            "of unequal lengths to one, pass mask, (time,), and batches by jax.vmap"
        )
    frames = _validate.floating("frames", frames)
    if frames.ndim != 4 or len(frames) < 2:
        raise ValueError(
            "frames: expected (time, height, width, channels) with two frames or more, which velocities show in, got "
            f"{frames.shape}"
        )
    if isinstance(group, Shift) and frames.shape[1:3] != group.sizes:
        raise ValueError(f"frames: expected {group.sizes} pixels, the sizes of {group}, got {frames.shape[1:3]}")
    if isinstance(group, Cyclic) and frames.shape[1] != frames.shape[2]:
        raise ValueError(f"frames: expected as many rows as columns, or turns do not fit, got {frames.shape[1:3]}")
    valid = jnp.ones(len(frames), bool) if mask is None else jnp.asarray(mask, bool)
    if valid.shape != (len(frames),):
        raise ValueError(f"mask: expected shape ({len(frames)},), one entry a frame, got {valid.shape}")
    return frames, valid
