"""The program of a simulation: steps, frames and neighbor lists inside of `jax.lax.scan`."""

import functools
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree

from equijax import graphs
from equijax.graphs.neighbors import PADDED_EDGE
from equijax.models.potential.dynamics.ensembles import drift
from equijax.models.potential.dynamics.states import ACCELERATION, State
from equijax.models.potential.energy_model import EnergyModel
from equijax.models.potential.predict import Prediction, predict

Predictor: TypeAlias = EnergyModel | Callable[[PyTree, graphs.Graph], Prediction]
FINE, FULL, LOST = range(3)  # how a chunk ended: a list that is too small, numbers that are none


class Sizes(NamedTuple):
    """Of the list with its skin, and of the edges that the model sees."""

    outer: graphs.Room
    inner: int


class _List(NamedTuple):
    """A list with the positions and the cell that it was made of."""

    edges: graphs.Neighbors
    positions: Array
    cell: Array


def sizes_for(state, pbc, spare, cutoff, skin, shrinking):
    """Sizes of the lists of a state, for cells that may shrink by that much."""
    x, cell = (np.asarray(a, np.float64) for a in (state.positions, state.cell))
    outer = graphs.room(x, cell, pbc, shrinking * (cutoff + skin), spare=spare)
    edges = len(graphs.neighbor_list(x, cell, pbc, shrinking * cutoff)[0])
    return Sizes(outer, graphs.bucket(int((1 + spare) * edges) + 1, 64))


@functools.partial(jax.jit, static_argnames=("model", "cutoff", "skin", "sizes", "frames"))
def chunk(model, params, ensemble, atoms, state, key, last, every, *, cutoff, skin, sizes, frames):
    """`frames` frames: the state in the end, those in between, which of these are there, and how it ended."""
    species, masses, pbc = (jnp.asarray(a) for a in atoms)
    n, dtype = len(species), state.positions.dtype
    masses = masses.astype(dtype)[:, None]
    padded = jnp.arange(n + 1) < n

    def build(x, cell):
        room = sizes.outer._asdict()
        edges = graphs.traced_neighbor_list(_pad(x), cell, cutoff=cutoff + skin, node_mask=padded, **room)
        return _List(edges, x, cell)

    def graph_of(x, cell, edges):
        """The graph of one structure and one of padding with the edges below the cutoff, and whether they fit."""
        fields = {name: getattr(edges, name) for name in ("senders", "receivers", "shifts", "vectors", "edge_mask")}
        graph = graphs.with_padding(jnp.append(species, 0), padded, cell, pbc, **fields)
        vectors = graphs.edge_vectors(_pad(x), graph)
        near = graph.edge_mask & (jnp.sum(vectors**2, axis=-1) < cutoff**2)
        chosen, count = jnp.nonzero(near, size=sizes.inner)[0], jnp.sum(near)
        there = jnp.arange(sizes.inner) < count
        return graph._replace(
            senders=jnp.where(there, graph.senders[chosen], n),
            receivers=jnp.where(there, graph.receivers[chosen], n),
            shifts=jnp.where(there[:, None], graph.shifts[chosen], 0),
            vectors=jnp.where(there[:, None], vectors[chosen], jnp.array(PADDED_EDGE, dtype)),
            edge_mask=there,
        ), count <= sizes.inner  # fmt: skip

    def step(carry):
        state, listed, _ = carry
        new = jnp.isnan(state.energy)  # forces are not known yet: a step of no time
        dt = jnp.where(new, 0, ensemble.timestep).astype(dtype)
        kick = 0.5 * dt * ACCELERATION / masses
        v = state.velocities + kick * state.forces
        x, cell, v = drift(ensemble, dt, state, v, masses, jax.random.fold_in(key, state.step))

        # a new list where an atom may have come nearer than the cutoff to one that is not in the old list
        grown = jnp.cbrt(jnp.abs(jnp.linalg.det(cell) / jnp.linalg.det(listed.cell)))
        moved = jnp.sqrt(jnp.max(jnp.sum((x - grown * listed.positions) ** 2, axis=-1)))
        held = cutoff + 2 * moved <= grown * (cutoff + skin)
        listed = jax.lax.cond(held, lambda x, cell: listed, build, x, cell)
        graph, fits = graph_of(x, cell, listed.edges)
        found = prediction(model, params, graph)
        after = State(
            step=state.step + jnp.where(new, 0, 1),
            positions=x,
            velocities=v + kick * found.forces[:n],
            cell=cell,
            forces=found.forces[:n],
            energy=found.energies[0],
            stress=found.stresses[0],
        )
        finite = functools.reduce(jnp.logical_and, (jnp.all(jnp.isfinite(a)) for a in jax.tree.leaves(after)))
        full = listed.edges.overflow | ~fits
        ended = jnp.where(~jnp.all(jnp.isfinite(x)), LOST, jnp.where(full, FULL, jnp.where(finite, FINE, LOST)))
        state = jax.tree.map(lambda a, b: jnp.where(ended == FINE, a.astype(b.dtype), b), after, state)
        return state, listed, ended

    def frame(carry, _):
        first = carry[0].step
        target = jnp.minimum((first // every + 1) * every, last)
        carry = jax.lax.while_loop(lambda c: (c[0].step < target) & (c[2] == FINE), step, carry)
        return carry, (carry[0], (carry[0].step == target) & (first < target))

    carry = (state, build(state.positions, state.cell), jnp.asarray(FINE))
    (state, _, ended), (found, valid) = jax.lax.scan(frame, carry, length=frames)
    return state, found, valid, ended


def prediction(model, params, graph):
    return predict(model, params, graph) if isinstance(model, EnergyModel) else model(params, graph)


def _pad(x):
    return jnp.pad(x, ((0, 1), (0, 0)))
