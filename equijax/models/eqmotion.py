"""EqMotion: where agents go, from where they were, with kinds of interaction that nobody labels."""

import functools
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from equijax import _validate
from equijax.nn.graphs.all_pairs import off_diagonal, with_diagonal
from equijax.nn.graphs.motion import InteractionReasoning, MotionLayer, mean_of_all
from equijax.nn.plain import Dense
from equijax.numerics import norm, unit


class Forecast(NamedTuple):
    """What `EqMotion` says."""

    positions: Float[Array, "*heads n future d"]
    """Of the frames to come; of each head, where there are heads."""
    categories: Float[Array, "n n categories"]
    """How much of each kind the interaction of agent i with sender j is: sums to 1, and is 0 on the diagonal."""


class EqMotion(nn.Module):
    """Frames to come of n agents, from past ones; equivariant under E(d) and permutations of the agents, any d.

    Positions minus their mean x̄ over agents and frames, and velocities v_t = x_t − x_{t−1}, become channels by a cosine
    transform along time and a mixture, vectors G and U; lengths of velocities and angles between successive ones become
    scalars h. `nn.InteractionReasoning` finds how much of each kind an interaction is, once; `nn.MotionLayer` lets
    vectors and scalars hear of each other, layer by layer; a last mixture and the inverse transform give the frames.

        G = W_G C (x − x̄) ,   U = W_U C v ,   h = [W ‖v‖ + b, W ∡(v_{t−1}, v_t) + b] ,   x_future = C⁻¹ W G + x̄

    Categories beyond `num_active_categories` have no network of their own, and leave agents to a function of h and
    distances that all pairs share. The published programs for skeletons and pedestrians have four categories of which
    two are active without saying so; their gradients are NaN where two agents coincide or one rests, and infinite where
    one goes straight on. Here all are finite: lengths have the gradient 0 at 0, and angles come from arctan, where an
    agent that rests turns by π/2, as there.

    One agent alone has no interaction, and moves by its own past. NaN in the past of a valid agent makes all positions
    NaN, since all agents share the mean; padded agents may hold anything. Positions should be of size one.

    Attributes:
        future: How many frames to predict.
        features: Width of the scalars.
        channels: Of the vectors.
        layers: How often agents hear of each other.
        categories: Kinds of interaction.
        num_active_categories: How many of them have a network; all if None.
        temperature: Of the softmax over the kinds; 0.5 in the published runs that look for interactions.
        heads: How many futures to predict: each has a last layer and a last mixture of its own. None for one future,
            without an axis of heads.
        num_species: How many species there are, where agents have one.

    References:
        Xu et al. 2023, arXiv:2303.10876.

    Examples:
        >>> from equijax.models import EqMotion
        >>> past = jax.random.normal(jax.random.key(0), (5, 8, 2))  # five agents in the plane, eight frames
        >>> forecast, params = EqMotion(future=12, features=16).init_with_output(jax.random.key(1), past)
        >>> forecast.positions.shape, forecast.categories.shape
        ((5, 12, 2), (5, 5, 2))
    """

    future: int
    features: int = 64
    channels: int = 64
    layers: int = 4
    categories: int = 2
    num_active_categories: int | None = None
    temperature: float = 1.0
    heads: int | None = None
    num_species: int | None = None

    @nn.compact
    def __call__(
        self,
        past: ArrayLike,
        *,
        charges: ArrayLike | None = None,
        species: ArrayLike | None = None,
        categories: ArrayLike | None = None,
        mask: ArrayLike | None = None,
    ) -> Forecast:
        """The frames to come, and the kinds of interaction.

        Args:
            past: Positions (n, frames, d), two frames at least, equally long apart.
            charges: A number for each agent, (n,).
            species: Which of `num_species` each agent is, integers (n,).
            categories: The kind of each interaction where it is known, integers (n, n), receivers first; it takes the
                place of what is found.
            mask: Which agents are valid, (n,); the others count nowhere, and their positions and categories are 0.

        Raises:
            TypeError: If the past or the charges are not real floating-point numbers, or species or categories not
                integers.
            ValueError: If a shape is another one, there are fewer than two frames, or `num_species` is missing.
        """
        past, active = _validate.floating("past", past), self._checked()
        if past.ndim != 3 or not past.shape[0] or not past.shape[2]:
            raise ValueError(f"past: expected shape (n, frames, d) for n agents, one at least, got {past.shape}")
        n, frames, _ = past.shape
        if frames < 2:
            raise ValueError(f"past: expected two frames at least, which make a velocity, got {frames} of {past.shape}")
        valid = jnp.ones(n, bool) if mask is None else jnp.asarray(_of_shape("mask", mask, (n,)), bool)
        there = valid[:, None, None]
        x = jnp.where(there, jnp.swapaxes(past, 1, 2), 0)  # (n, d, frames)
        center = mean_of_all(x, valid)
        x = jnp.where(there, x - center, 0)
        v = jnp.diff(x, axis=-1)
        v = jnp.concatenate([v[..., :1], v], axis=-1)

        C, mix = _cosines(frames), functools.partial(Dense, self.channels, use_bias=False)
        X = _times(x, C.T)
        mean = mean_of_all(X, valid)
        G = mix(name="positions")(X - mean) + mean  # (n, d, channels)
        U = mix(name="velocities")(_times(v, C.T))
        half = self.features // 2
        speeds = Dense(self.features - half, name="speeds")(norm(v, axis=-2))
        h = jnp.concatenate([speeds, Dense(half, name="angles")(_angles(v))], axis=-1)
        h = self._with_attributes(h, charges, species)

        reason = InteractionReasoning(self.features, self.categories, self.temperature, name="reasoning")
        if categories is None:
            c = reason(h, jnp.concatenate([G, U], axis=-1), valid)
        else:
            given = _validate.integers("categories", _of_shape("categories", categories, (n, n)))
            c = jax.nn.one_hot(off_diagonal(given), self.categories, dtype=h.dtype)
        for t in range(self.layers - (self.heads is not None)):
            h, G = MotionLayer(self.features, active, name=f"layer_{t}")(h, G, U, c, valid)
        ends = {"features": self.features, "categories": active, "future": self.future, "name": "readout"}
        if self.heads is None:
            y = _Readout(layers=0, **ends)(h, G, U, c, valid)
        else:
            many = nn.vmap(
                _Readout, {"params": 0}, {"params": True}, in_axes=None, axis_size=self.heads
            )  # parameters of its own for each head
            y = many(layers=1, **ends)(h, G, U, c, valid)
        positions = jnp.where(there, _times(y, _cosines(self.future)) + center, 0)  # (..., n, d, future)
        both = (valid[:, None] & valid)[..., None]
        return Forecast(jnp.swapaxes(positions, -1, -2), jnp.where(both, with_diagonal(c), 0))

    def _with_attributes(self, h, charges, species):
        """h, which has heard of charges and species where there are some."""
        known = []
        if charges is not None:
            charges = _of_shape("charges", _validate.floating("charges", charges), h.shape[:1])
            known.append(Dense(self.features, name="charges")(charges[:, None]))
        if species is not None:
            if self.num_species is None:
                raise ValueError("species: the model knows of none; give it num_species=, how many there are")
            of_each = jax.nn.one_hot(
                _validate.integers("species", _of_shape("species", species, h.shape[:1])),
                self.num_species,
                dtype=h.dtype,
            )
            known.append(Dense(self.features, use_bias=False, name="species")(of_each))
        if not known:
            return h
        h = jax.nn.silu(Dense(self.features, name="attributes")(jnp.concatenate([h, sum(known)], axis=-1)))
        return Dense(self.features, name="attributes_out")(h)

    def _checked(self):
        """How many categories are active, when all numbers are what they should be."""
        least = {"future": 1, "features": 2, "channels": 1, "layers": 1, "categories": 1}
        for name, minimum in least.items():
            _validate.integer(name, getattr(self, name), minimum)
        for name in ("heads", "num_species", "num_active_categories"):
            if getattr(self, name) is not None:
                _validate.integer(name, getattr(self, name), 1)
        _validate.positive("temperature", self.temperature)
        active = self.num_active_categories or self.categories
        if active > self.categories:
            raise ValueError(f"num_active_categories: expected at most categories={self.categories}, got {active}")
        return active


class _Readout(nn.Module):
    """Coefficients of the frames to come, (n, d, future), after so many layers more."""

    features: int
    categories: int
    future: int
    layers: int

    @nn.compact
    def __call__(self, h, G, U, c, valid):
        for t in range(self.layers):
            h, G = MotionLayer(self.features, self.categories, name=f"layer_{t}")(h, G, U, c, valid)
        mean = mean_of_all(G, valid)
        return Dense(self.future, use_bias=False, name="mixture")(G - mean) + mean


def _angles(v: Float[Array, "n d frames"]) -> Float[Array, "n frames"]:
    """By how much velocities turn from frame to frame, 0 at the first; π/2 where one of the two is zero.

    2 arctan(‖u − w‖ / ‖u + w‖) of unit vectors u and w, in any dimension; its gradients at 0 and π are finite.
    """
    w, moving = unit(v, axis=-2)
    u = jnp.concatenate([w[..., :1], w[..., :-1]], axis=-1)
    rests = jnp.squeeze(moving, -2) == 0
    rests |= jnp.concatenate([rests[..., :1], rests[..., :-1]], axis=-1)
    across, along = (jnp.where(rests, 1, norm(a, axis=-2)) for a in (u - w, u + w))
    return 2 * jnp.arctan2(across, along)


@functools.cache
def _cosines(frames: int) -> np.ndarray:
    """The orthogonal matrix C of the cosine transform, (coefficients, frames)."""
    return scipy.fft.dct(np.eye(frames), axis=0, norm="ortho")


def _times(x, matrix):
    return jnp.matmul(x, jnp.asarray(matrix, x.dtype), precision="highest")


def _of_shape(name, x, shape):
    if jnp.shape(x) != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {jnp.shape(x)}")
    return x
