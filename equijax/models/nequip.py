"""NequIP: a potential of convolutions whose every path has radial weights, with other channels at each degree."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from equijax import _validate, graphs, spherical
from equijax.models.potential.network import hashable_fields
from equijax.nn.graphs.edges import GraphEdges
from equijax.nn.graphs.path_convolution import PathConvolution
from equijax.nn.graphs.radial import bessel_basis, polynomial_cutoff
from equijax.nn.spherical.by_degree import LinearByDegree, NormalizationByDegree, check_channels, gate_by_degree


class NequIP(nn.Module):
    """Energies of atoms from their neighborhoods, by convolutions with a radial weight for every path of a product.

    Features h of an atom are tensors of natural parity with other channels at each degree, scalars of its species at
    first. In a layer

        A_i = 1/√n̄ Σ_{e: j → i} R_abc(B(r) f(r)) ((W_1 h_j)_a ⊗ Y_b(r̂))_c ,     r = x_j - x_i,
        h_i ← gate(norm(W_2 A_i + W_s h_i)) ,

    with Bessel functions B, the smooth cut-off f, and W that mix the channels of each degree; the last layer has
    scalars alone, and an atom's energy is linear in them. What `potential.predict`, `potential.fit` and the calculator
    of ASE do with a `Potential` they do with this.

    Attributes:
        species: Atomic numbers that the model knows.
        atomic_energies: E0 of each of them in eV, added to the network's energies.
        cutoff: Radius of a neighborhood in Å.
        channels: Of the features between layers, one number a degree.
        lmax: Degree of the harmonics Y.
        layers: How often messages are passed.
        radial_functions: Bessel functions.
        radial_features: Widths of the hidden layers of R.
        radial_order: p of `nn.polynomial_cutoff`.
        normalize: Whether there is norm, of `nn.NormalizationByDegree`.
        skip_by_species: Whether W_s is one for each species.
        mean_neighbors: n̄, over the training set.
        scale: Unit of the network's energies in eV.
        shift: Added to each atom's energy, in eV.
        gate_scale: s of `nn.gate_by_degree`, 1/√E[silu(z)²] unless given; published weights have been trained with a
            number near that.

    References:
        Batzner et al. 2022, arXiv:2101.03164 (NequIP); Koker et al. 2025, arXiv:2508.16067 (Nequix: the normalization,
        and other channels at each degree).

    Examples:
        >>> from equijax import models
        >>> from equijax.models import potential
        >>> model = models.NequIP(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=(8, 4), lmax=1, layers=2)
        >>> water = graphs.Structure([8, 1, 1], [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
        >>> graph = graphs.from_structure(water, model.cutoff)
        >>> f = lambda key: potential.predict(model, potential.initialize(model, key), graph)
        >>> jax.eval_shape(f, jax.random.key(0)).forces.shape
        (3, 3)
    """

    species: tuple[int, ...]
    atomic_energies: tuple[float, ...]
    cutoff: float = 5.0
    channels: tuple[int, ...] = (128, 64, 32, 32)
    lmax: int = 3
    layers: int = 4
    radial_functions: int = 8
    radial_features: tuple[int, ...] = (64, 64)
    radial_order: int = 6
    normalize: bool = True
    skip_by_species: bool = False
    mean_neighbors: float = 12.0
    scale: float = 1.0
    shift: float = 0.0
    gate_scale: float | None = None

    def __post_init__(self):
        """Fields as they are annotated, as in `Potential`.

        Raises:
            TypeError, ValueError: If a field is none of these.
        """
        fields = hashable_fields(self, positive=("cutoff", "mean_neighbors", "scale"), numbers=("shift",))
        for name in ("channels", "radial_features"):
            fields[name] = check_channels(name, getattr(self, name))
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, vectors: Float[Array, "E 3"], graph: graphs.Graph, axis_name: str | None = None
    ) -> Float[Array, " N"]:
        """Each atom's energy less E0, in eV, as `Potential` gives it."""
        _validate.integer("layers", self.layers, 1)
        edges = GraphEdges(graph, self.mean_neighbors, axis_name)
        kind = jnp.asarray(graphs.species_index(graph.species, self.species))
        h = {0: jax.nn.one_hot(kind, len(self.species), dtype=vectors.dtype)[:, None]}  # (N, 1, species)
        r = graphs.edge_lengths(vectors)
        basis = bessel_basis(r, self.cutoff, self.radial_functions) * (2 / self.cutoff) ** 0.5
        basis = basis * polynomial_cutoff(r, self.cutoff, self.radial_order)[:, None]  # (E, functions)
        Y = spherical.harmonics(vectors, self.lmax) * (4 * np.pi) ** 0.5  # (E, coefficients)
        kinds = len(self.species) if self.skip_by_species else None
        for t in range(self.layers):
            channels = self.channels if t + 1 < self.layers else self.channels[:1]
            wide = (channels[0] + sum(channels[1:]), *channels[1:])  # with the scalars that gate
            sent = LinearByDegree(tuple(h[l].shape[-1] for l in h), name=f"senders_{t}")(h)
            A = PathConvolution(len(channels) - 1, self.radial_features, name=f"messages_{t}")(sent, Y, basis, edges)
            kept = LinearByDegree(wide, kinds, name=f"skip_{t}")(h, kind if kinds else None)
            y = LinearByDegree(wide, name=f"mix_{t}")(A)
            y = {l: y[l] + kept[l] if l in kept else y[l] for l in y}
            if self.normalize:
                y = NormalizationByDegree(name=f"normalization_{t}")(y)
            h = gate_by_degree(y, scale=self.gate_scale)
        energies = LinearByDegree((1,), name="readout")(h)[0][:, 0, 0] * self.scale + self.shift
        return jnp.where(graph.node_mask, energies, 0)

    def from_normal(self, params: PyTree[Array]) -> PyTree[Array]:
        """Parameters to start from, of standard normal numbers: as `init` draws them."""

        def started(path, draw):
            module, name = path[-2].key, path[-1].key
            if name.startswith("scale"):
                return jnp.ones_like(draw)
            hidden = module.startswith("radial")
            return draw * ((1 + hidden) * draw.shape[0] ** -0.5) if hidden or name.startswith("radial") else draw

        return jax.tree_util.tree_map_with_path(started, params)

    def with_species(self, new: Sequence[int]) -> "NequIP":
        """The model with more species behind its own, whose E0 are 0."""
        energies = (*self.atomic_energies, *len(new) * (0.0,))
        return self.clone(species=(*self.species, *new), atomic_energies=energies)

    def widened(
        self, params: PyTree[Array | np.ndarray], drawn: PyTree[Array | np.ndarray]
    ) -> PyTree[Array | np.ndarray]:
        """Parameters of this model with more species behind its own, which says of known ones what it said.

        Channels of the first layer are species: known ones send nothing on those of new ones.

        Args:
            params: Those of this model.
            drawn: Those that the wider one starts with.
        """
        known = len(self.species)

        def placed(path, start, kept):
            if start.shape == kept.shape:
                return kept
            module, kept = path[-2].key, np.asarray(kept)
            start = np.array(start, kept.dtype)
            if module == "messages_0":  # (hidden, paths · species)
                by_path = start.reshape(len(start), kept.shape[1] // known, -1)
                by_path[..., :known] = kept.reshape(*by_path.shape[:2], known)
                return jnp.asarray(start)
            if module == "senders_0":
                start[:known, known:] = 0
            factor = (start.shape[-2] / kept.shape[-2]) ** 0.5  # by which LinearByDegree divides more
            start[tuple(map(slice, kept.shape))] = factor * kept
            return jnp.asarray(start)

        return jax.tree_util.tree_map_with_path(placed, drawn, params)
