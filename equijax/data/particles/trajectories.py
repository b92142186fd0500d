"""Whole trajectories of particles on springs and of charged ones, as EqMotion is trained on."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from equijax._validate import integer
from equijax.data.particles.charged import TIME_STEP, initial_states, simulate

STIFFNESS = 0.1
STRIDE = 200  # steps from frame to frame
FRAMES = 49  # of the published program
SEED = 42


class Springs(NamedTuple):
    """Particles on springs, one system a row."""

    positions: Float[np.ndarray, "B n frames 3"]
    edges: Int[np.ndarray, "B n n"]
    """1 between two particles with a spring, else 0; symmetric."""


class ChargedTrajectories(NamedTuple):
    """Charged particles, one system a row."""

    positions: Float[np.ndarray, "B n frames 3"]
    charges: Float[np.ndarray, "B n"]
    """1 or −1."""
    clipped: Bool[np.ndarray, " B"]
    """Whether a force was clipped on the way."""


def springs(count: int, *, frames: int = 40, particles: int = 5, seed: int = SEED) -> Springs:
    """Particles of unit mass, of which each two are on a spring with probability 1/2: the springs benchmark in space.

        a_i = −0.1 Σ_j e_ij (x_i − x_j) ,   v ← v + Δ a(x) ,   x ← x + Δ v ,   Δ = 0.001 .

    Positions are normal of deviation 0.5 and velocities of length 0.5 at first; frame k is the state after 200 (k + 1)
    steps. The system is linear, so that frames come from the 200th power of the matrix of a step, to rounding. Edges,
    positions and velocities are drawn in the order of the published program by NumPy's legacy generator, with its
    seed; sets to train and test on are cut from one call, for the same seed gives the same systems.

    Args:
        count: How many systems.
        frames: How many frames, 0.2 time units apart.
        particles: n.
        seed: Of the generator.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If one is below 1, or there are more frames than the program makes.

    References:
        Kipf et al. 2018, arXiv:1802.04687 (the simulation); Xu et al. 2023, arXiv:2303.10876, section 4.1 (in space).

    Examples:
        >>> found = springs(2)
        >>> found.positions.shape, found.edges.shape
        ((2, 5, 40, 3), (2, 5, 5))
    """
    count, n, frames = integer("count", count, 1), integer("particles", particles, 1), _frames(frames)
    random = np.random.RandomState(seed)
    edges, x, v = np.empty((count, n, n), int), np.empty((count, n, 3)), np.empty((count, n, 3))
    for k in range(count):
        lower = np.tril(random.choice([0.0, 0.5, 1.0], size=(n, n), p=[0.5, 0, 0.5]), -1)
        edges[k] = lower + lower.T
        x[k] = 0.5 * random.randn(3, n).T
        velocity = random.randn(3, n)
        v[k] = (velocity * 0.5 / np.sqrt((velocity**2).sum(axis=0))).T
        random.randn(2, FRAMES, 3, n)  # the noise of size zero
    eye = np.broadcast_to(np.eye(n), edges.shape)
    pull = STIFFNESS * (edges.sum(-1)[:, None] * np.eye(n) - edges)  # a = −pull x, (B, n, n)
    step = np.block([[eye - TIME_STEP**2 * pull, TIME_STEP * eye], [-TIME_STEP * pull, eye]])  # of (x, v)
    steps, state, found = np.linalg.matrix_power(step, STRIDE), np.concatenate([x, v], axis=1), []
    for _ in range(frames):
        state = steps @ state
        found.append(state[:, :n])
    return Springs(np.stack(found, axis=2), edges)


def charged_trajectories(
    count: int, *, frames: int = 40, particles: int = 5, seed: int = SEED, force_clip: str = "component"
) -> ChargedTrajectories:
    """Charged particles as in `charged_particles`, as whole trajectories: frame k is after 200 (k + 1) steps of 0.001.

    Args:
        count: How many systems.
        frames: How many frames, 0.2 time units apart.
        particles: n.
        seed: Of NumPy's legacy generator.
        force_clip: As for `simulate`; "component", as published, is not equivariant.

    Raises:
        TypeError: If a number is not an integer.
        ValueError: If one is below 1, there are more frames than the program makes, or the clip is unknown.

    References:
        Kipf et al. 2018, arXiv:1802.04687; Xu et al. 2023, arXiv:2303.10876, section 4.1.

    Examples:
        >>> charged_trajectories(2, frames=3).positions.shape
        (2, 5, 3, 3)
    """
    charges, x, v = initial_states(integer("count", count, 1), particles, seed)
    clipped, found = np.zeros(count, bool), []
    for _ in range(_frames(frames)):
        x, v, now = simulate(charges, x, v, STRIDE, force_clip=force_clip)
        clipped |= now
        found.append(x)
    return ChargedTrajectories(np.stack(found, axis=2), charges, clipped)


def _frames(frames):
    if integer("frames", frames, 1) > FRAMES:
        raise ValueError(f"frames: expected at most {FRAMES}, as the published program makes, got {frames}")
    return frames
