"""A model of energies that compiles at once: embedded atoms, for tests of what is done with any model."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from equijax import graphs
from equijax.nn import polynomial_cutoff


class EmbeddedAtoms(nn.Module):
    """E_i = Σ_j a_z f(r)² - √(Σ_j b_zj f(r) + 0.1), with two numbers a and b of each species."""

    species: tuple[int, ...]
    atomic_energies: tuple[float, ...]
    cutoff: float = 3.0
    scale: float = 1.0
    mean_neighbors: float = 4.0

    @nn.compact
    def __call__(self, vectors, graph, axis_name=None):
        a, b = self.param("strengths", nn.initializers.normal(1.0), (2, len(self.species))) ** 2 + 1
        z = graphs.species_index(graph.species, self.species)
        f = polynomial_cutoff(graphs.edge_lengths(vectors), self.cutoff) * graph.edge_mask
        total = lambda x: jax.ops.segment_sum(x, graph.receivers, len(graph.species))  # noqa: E731
        energies = a[z] * total(f**2) - jnp.sqrt(total(b[z][graph.senders] * f) + 0.1)
        return jnp.where(graph.node_mask, energies, 0)
