"""Five charged particles: the n-body benchmark, simulated from the published random numbers."""

import functools
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int

from equijax._validate import integer
from equijax.data import _cache

FORCE_CLIPS = ("component", "norm")
TIME_STEP = 1e-3
STRONGEST = 100.0  # force at which the simulation clips
SEED = 43
DRAWN = (10_000, 2000, 2000)  # trajectories of the published training, validation and test sets


class Windows(NamedTuple):
    """Pairs of states, one trajectory a row."""

    charges: Float[np.ndarray, "B n"]
    """1 or −1."""
    positions: Float[np.ndarray, "B n 3"]
    velocities: Float[np.ndarray, "B n 3"]
    targets: Float[np.ndarray, "B n 3"]
    """Positions at the end of the window."""
    clipped: Bool[np.ndarray, " B"]
    """Whether a force was clipped on the way."""


class ChargedParticles(NamedTuple):
    """The three sets."""

    train: Windows
    validation: Windows
    test: Windows


def charged_particles(
    *,
    force_clip: str = "component",
    train: int = 3000,
    validation: int = 2000,
    test: int = 2000,
    frames: tuple[int, int] = (30, 40),
    cache: str | Path | None = None,
) -> ChargedParticles:
    """The charged five-body benchmark: positions and velocities at one frame, positions at a later one.

    Frame k is the state after 100 (k + 1) steps of 0.001 time units. All trajectories are integrated as one array, in
    float64, which takes some three seconds on one core.

    The random numbers are those of the published program (NumPy's legacy generator, seed 43), bit for bit, and with
    them all 14,000 vectors of charges. Trajectories in which no force is clipped agree with the published ones to
    rounding; of the others, about one in twelve has come so close to another particle that rounding decides where it
    goes.

    The published simulation clips the Cartesian components of forces, which is not equivariant: the targets of about
    one test window in six depend on the orientation, and no rotation-equivariant model can have an expected mean
    squared error below 0.0022 on all windows, or 5e-7 on the others. With force_clip="norm" there is no such floor.

    Args:
        force_clip: "component", as published, or "norm".
        train: How many of the 10,000 training trajectories.
        validation: How many of the 2,000.
        test: How many of the 2,000.
        frames: The frame of the input and that of the target.
        cache: File (.npz) to read what was simulated before with the same settings, or to write it to, atomically.

    Raises:
        ValueError: If a set has fewer trajectories, the frames are not in order, or the file is a folder, damaged or of
            other settings.

    References:
        Kipf et al. 2018, arXiv:1802.04687 (the simulation); Satorras, Hoogeboom and Welling 2021, arXiv:2102.09844,
        section 5.1 (the benchmark).

    Examples:
        >>> sets = charged_particles(train=3, validation=1, test=1, frames=(0, 1))
        >>> sets.train.positions.shape
        (3, 5, 3)
    """
    _check_clip(force_clip)
    counts = (integer("train", train, 1), integer("validation", validation, 1), integer("test", test, 1))
    for name, count, most in zip(ChargedParticles._fields, counts, DRAWN, strict=True):
        if count > most:
            raise ValueError(f"{name}: expected at most {most} trajectories, got {count}")
    first, last = frames
    if not 0 <= first < last:
        raise ValueError(f"frames: expected two numbers in order, the first not negative, got {frames}")
    settings = f"force_clip={force_clip}, sets={counts}, frames={(first, last)}"
    if cache is not None and Path(cache).is_dir():
        raise ValueError(f"cache: expected a file, got the folder {cache}; pass {Path(cache) / 'sets.npz'}")
    if cache is not None and Path(cache).is_file():
        return _cache.read(Path(cache), settings, "charged_particles", ChargedParticles, Windows)

    starts = np.cumsum([0, *DRAWN[:-1]])
    rows = np.concatenate([np.arange(s, s + c) for s, c in zip(starts, counts, strict=True)])
    charges, x, v = (a[rows] for a in initial_states(int(rows[-1]) + 1))
    x, v, _ = simulate(charges, x, v, 100 * (first + 1), force_clip=force_clip)
    y, _, clipped = simulate(charges, x, v, 100 * (last - first), force_clip=force_clip)
    ends = np.cumsum(counts)[:-1]
    sets = zip(*(np.split(a, ends) for a in (charges, x, v, y, clipped)), strict=True)
    found = ChargedParticles(*(Windows(*arrays) for arrays in sets))
    if cache is not None:
        _cache.write(Path(cache), settings, found)
    return found


def initial_states(
    count: int, particles: int = 5, seed: int = SEED
) -> tuple[Float[np.ndarray, "count n"], Float[np.ndarray, "count n 3"], Float[np.ndarray, "count n 3"]]:
    """Charges, positions and velocities of the first trajectories of the published stream of random numbers.

    Charges are ±1; positions are normal with variance (n/5)^(2/3), reflected at ±5; velocities have norm 0.5. The
    published program also draws noise after each trajectory, and multiplies it by zero; it is drawn and dropped here,
    so that the next trajectory starts from the same random numbers.

    Args:
        count: Number of trajectories.
        particles: n.
        seed: Of NumPy's legacy generator.

    Returns:
        Charges (count, n), positions and velocities (count, n, 3), float64.

    Examples:
        >>> charges, positions, velocities = initial_states(2)
        >>> positions.shape
        (2, 5, 3)
    """
    random = np.random.RandomState(seed)
    n, frames, count = integer("particles", particles, 1), 49, integer("count", count, 1)
    charges, x, v = np.empty((count, n)), np.empty((count, n, 3)), np.empty((count, n, 3))
    for k in range(count):
        charges[k] = random.choice([-1.0, 0.0, 1.0], size=(n, 1), p=[0.5, 0, 0.5])[:, 0]
        x[k] = random.randn(3, n).T * (n / 5) ** (1 / 3)
        velocity = random.randn(3, n)
        v[k] = (velocity * 0.5 / np.sqrt((velocity**2).sum(axis=0))).T
        random.randn(2, frames, 3, n)  # the noise of size zero
    outside = np.abs(x) > 5
    v = np.where(outside, -np.sign(x) * np.abs(v), v)
    return charges, np.where(outside, 10 * np.sign(x) - x, x), v


def simulate(
    charges: ArrayLike, positions: ArrayLike, velocities: ArrayLike, steps: int, *, force_clip: str = "component"
) -> tuple[Float[np.ndarray, "*B n d"], Float[np.ndarray, "*B n d"], Bool[np.ndarray, "*B"]]:
    """Particles of unit mass under the Coulomb force, by the semi-implicit Euler method, in float64.

        a_i = Σ_j q_i q_j (x_i − x_j) / ‖x_i − x_j‖³ ,  clipped to 100 ;   v ← v + Δ a(x) ,  x ← x + Δ v ,  Δ = 0.001 .

    Two runs in a row are one run of all their steps.

    Args:
        charges: Shape (..., n).
        positions: Shape (..., n, d).
        velocities: Shape (..., n, d).
        steps: How many.
        force_clip: "component" for each Cartesian component, "norm" for the length, which is equivariant.

    Returns:
        Positions, velocities, and whether a force of the system was clipped, shape (...).

    Raises:
        ValueError: If the shapes do not fit.

    Examples:
        >>> positions, velocities, clipped = simulate(*initial_states(2), steps=10, force_clip="norm")
        >>> clipped
        array([False, False])
    """
    _check_clip(force_clip)
    charges, x, v = (np.asarray(a, np.float64) for a in (charges, positions, velocities))
    if x.ndim < 2 or v.shape != x.shape or charges.shape != x.shape[:-1]:
        raise ValueError(
            "charges, positions, velocities: expected shapes (..., n), (..., n, d), (..., n, d), got "
            f"{charges.shape}, {x.shape}, {v.shape}"
        )
    batch, (n, d) = x.shape[:-2], x.shape[-2:]
    # one axis of all systems, and that last, so that they lie side by side in memory: (n, B), (n, d, B), (n, d, B)
    last = [np.moveaxis(a.reshape(-1, *a.shape[len(batch) :]), 0, -1) for a in (charges, x, v)]
    with jax.enable_x64(True):
        x, v, clipped = (np.asarray(a) for a in _advance(*last, integer("steps", steps), force_clip))
    x, v = (np.ascontiguousarray(np.moveaxis(a, -1, 0)).reshape(*batch, n, d) for a in (x, v))
    return x, v, clipped.reshape(batch)


@functools.partial(jax.jit, static_argnames="force_clip")
def _advance(
    charges: Float[Array, "n B"],
    x: Float[Array, "n d B"],
    v: Float[Array, "n d B"],
    steps: Int[Array, ""],
    force_clip: str,
) -> tuple[Float[Array, "n d B"], Float[Array, "n d B"], Bool[Array, " B"]]:
    others = 1 - jnp.eye(len(charges))[..., None]  # no force of a particle on itself
    pairs = (charges[:, None] * charges * others)[:, :, None]  # q_i q_j, (n, n, 1, B)

    def step(_, state):
        x, v, clipped = state
        r = x[:, None] - x  # (n, n, d, B)
        square = jnp.sum(r * r, axis=2, keepdims=True)
        a = jnp.sum(pairs * r / jnp.where(square > 0, square * jnp.sqrt(square), 1), axis=1)
        size = jnp.abs(a) if force_clip == "component" else jnp.sqrt(jnp.sum(a * a, axis=1, keepdims=True))
        factor = STRONGEST / jnp.maximum(size, STRONGEST)
        v = v + TIME_STEP * (a * factor)
        return x + TIME_STEP * v, v, clipped | jnp.any(size > STRONGEST, axis=(0, 1))

    return jax.lax.fori_loop(0, steps, step, (x, v, jnp.zeros(x.shape[-1], bool)))


def _check_clip(force_clip):
    if force_clip not in FORCE_CLIPS:
        raise ValueError(f"force_clip: expected one of {', '.join(FORCE_CLIPS)}, got {force_clip!r}")
