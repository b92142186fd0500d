"""An equivariant interatomic potential: message passing with Gaunt products and many-body powers."""

import functools
from collections.abc import Mapping, Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PyTree

from equijax import _validate, graphs, spherical
from equijax.models.potential.energy_model import EnergyModel
from equijax.models.potential.repulsion import covalent_radii, short_range
from equijax.nn import plain
from equijax.nn.graphs.edges import EdgeConvolution, GraphEdges
from equijax.nn.graphs.radial import bessel_basis, polynomial_cutoff
from equijax.nn.spherical.linear import Linear
from equijax.nn.spherical.many_body import ManyBodyProduct
from equijax.nn.variance import gain

Dense = functools.partial(plain.Dense, use_bias=False, unit_variance=True)


class Potential(nn.Module):
    """Energies of atoms from their neighborhoods; every layer is equivariant, so the energy is invariant under E(3).

    With the functions on the sphere h_i of atom i (scalars at first, an embedding of its species z_i), a layer is

        A_i = Σ_j f(r) [R_l s_j Y_l(r̂) + R'_l h_j^l] / √n̄      with R(B(r), h_i^0, h_j^0, h_i(r̂), h_j(r̂))
        h_i ← W_0 h_i + W_1 A_i + W_2 (A ⊗ A)_i + W_3 (A ⊗ A ⊗ A)_i + W_4 {{A, A}, A}_i ,

    where species scale the channels before each W. A small network reads the energy from the h_i^0 of all layers. Here
    r = x_j - x_i, f is a smooth cut-off, B are Bessel functions and R is a small network. An edge sees the features at
    its ends as the values h(r̂) of these functions in its direction, which are invariant: no tensor product is formed on
    the edges, the Gaunt products and brackets are taken once an atom.

    Attributes:
        species: Atomic numbers that the model knows.
        atomic_energies: E0 of each of them in eV, added to the network's energies: those of isolated atoms, or what a
            fit finds, which need not be near these.
        cutoff: Radius of a neighborhood in Å.
        channels: Channels of all features.
        lmax: Degree of the one-particle basis A.
        hidden_lmax: Degree of the features h between layers.
        layers: How often messages are passed.
        order: Factors of the longest product.
        bracket: Whether to take the double bracket.
        probes: Channels in which an edge sees h_i(r̂) and h_j(r̂).
        radial_features: Width of the network R.
        radial_functions: Bessel functions.
        mean_neighbors: n̄, over the training set.
        scale: Unit of the network's energies in eV: the root mean square of the training forces' components, in eV/Å.
        exact_alone: Whether an atom without neighbors has exactly E0: what the network says of one is taken off. Of use
            where E0 are energies of isolated atoms.
        repulsion: Radii in Å, one for each species: nuclei i and j repel each other (`repulsion.zbl`) below the sum of
            theirs, whatever the network says, so that atoms do not fall together. `repulsion.covalent_radii(species)`
            are some; none of them, as it is unless given, leaves the term out.

    References:
        Batatia et al. 2022, arXiv:2206.07697 (many-body messages); Luo, Chen and Krishnapriyan 2024, arXiv:2401.10216
        (Gaunt products); Bochkarev, Lysogorskiy and Drautz 2026, arXiv:2605.15073 (the bracket).

    Examples:
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=8, layers=1)
        >>> pair = graphs.from_structure(graphs.Structure([8, 1], [[0.0, 0, 0], [0, 0, 0.97]]), model.cutoff)
        >>> f = lambda key: model.init_with_output(key, jnp.asarray(pair.vectors), pair)[0]
        >>> jax.eval_shape(f, jax.random.key(0)).shape  # an energy an atom; `potential.predict` gives forces, too
        (2,)
    """

    species: tuple[int, ...]
    atomic_energies: tuple[float, ...]
    cutoff: float = 5.0
    channels: int = 32
    lmax: int = 2
    hidden_lmax: int = 2
    layers: int = 2
    order: int = 3
    bracket: bool = False
    probes: int = 16
    radial_features: int = 64
    radial_functions: int = 8
    mean_neighbors: float = 12.0
    scale: float = 1.0
    exact_alone: bool = False
    repulsion: tuple[float, ...] = ()

    def __post_init__(self):
        """Fields as they are annotated, so that a model can be hashed: lists, dicts by species and numbers of jax too.

        Raises:
            TypeError, ValueError: If a field is none of these.
        """
        fields = hashable_fields(self, positive=("cutoff", "mean_neighbors", "scale"))
        fields["repulsion"] = _radii(self.repulsion, fields["species"], fields["cutoff"])
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        super().__post_init__()

    @nn.compact
    def __call__(
        self, vectors: Float[Array, "E 3"], graph: graphs.Graph, axis_name: str | None = None
    ) -> Float[Array, " N"]:
        """Each atom's energy less E0, in eV, from the edge vectors of `graphs.edge_vectors`, in their dtype.

        With `axis_name` the graph is one shard of those of `graphs.partition`, and features of its senders come from
        the other shards.
        """
        _validate.integer("layers", self.layers, 1)
        edges = GraphEdges(graph, self.mean_neighbors, axis_name)
        species = graphs.species_index(graph.species, self.species)
        species = jax.nn.one_hot(species, len(self.species), dtype=vectors.dtype)  # (N, species)

        r = graphs.edge_lengths(vectors)
        cutoff = polynomial_cutoff(r, self.cutoff) * jnp.asarray(graph.edge_mask)
        basis = bessel_basis(r, self.cutoff, self.radial_functions) * (cutoff[:, None] * self.cutoff**0.5)
        Y = spherical.harmonics(vectors, max(self.lmax, self.hidden_lmax)) * (4 * np.pi) ** 0.5  # (E, coefficients)

        def energies_of(species: Array, edges: GraphEdges, Y: Array, basis: Array, cutoff: Array) -> Float[Array, " N"]:
            h = embedding(species)[:, None]  # (N, coefficients, channels), scalars at first
            scalars = []
            for send, message, update in layers:
                A = message(h, send(h), Y, edges, basis, cutoff=cutoff)
                h = update(A, h, species)
                scalars.append(h[:, 0])
            x = hidden(jnp.concatenate(scalars, axis=-1))
            return readout(jax.nn.silu(x) * gain(jax.nn.silu))[:, 0]

        embedding = Dense(self.channels, name="embedding")
        layers = [
            (
                Linear(self.channels, self.lmax, name=f"senders_{t}"),
                EdgeConvolution(self.radial_features, self.lmax, self.probes, name=f"messages_{t}"),
                Update(self.hidden_lmax if t + 1 < self.layers else 0, self.order, self.bracket, name=f"update_{t}"),
            )
            for t in range(self.layers)
        ]
        hidden, readout = Dense(self.channels, name="readout_hidden"), Dense(1, name="readout")
        energies = energies_of(species, edges, Y, basis, cutoff)
        if self.exact_alone:  # one atom of each species, and no edges
            one_each = jnp.eye(len(self.species), dtype=vectors.dtype)
            alone = energies_of(one_each, _no_edges(graph, one_each), Y[:0], basis[:0], cutoff[:0])
            energies = energies - jnp.matmul(species, alone, precision="highest")
        energies = energies * self.scale
        if self.repulsion:
            charges = jnp.asarray(graph.species, vectors.dtype)
            radii = jnp.matmul(species, jnp.asarray(self.repulsion, vectors.dtype), precision="highest")
            ends = [x for side in (edges.senders, edges.receivers) for x in (side(charges), side(radii))]
            pairs = short_range(r, ends[0], ends[2], ends[1] + ends[3]) * jnp.asarray(graph.edge_mask)
            energies = energies + edges.total(pairs[:, None])[:, 0] * (self.mean_neighbors**0.5 / 2)  # half to each end
        return jnp.where(graph.node_mask, energies, 0)

    def with_species(self, new: Sequence[int]) -> "Potential":
        """The model with more species behind its own, whose E0 are 0; a repulsion with radii of theirs."""
        radii = [min(radius, self.cutoff / 2) for radius in covalent_radii(new)] if self.repulsion else ()
        return self.clone(
            species=(*self.species, *new),
            atomic_energies=(*self.atomic_energies, *len(new) * (0.0,)),
            repulsion=(*self.repulsion, *radii),
        )

    def widened(
        self, params: PyTree[Array | np.ndarray], drawn: PyTree[Array | np.ndarray]
    ) -> PyTree[Array | np.ndarray]:
        """Parameters of this model with more species behind its own, which says of known ones what it said.

        Args:
            params: Those of this model.
            drawn: Those that the wider one starts with.
        """
        old = len(self.species)

        def rows(path, start, kept):
            if start.shape == kept.shape:
                return kept
            # Of one-hot vectors, the embedding divides by √species; the weights of the layers do not
            factor = (len(start) / old) ** 0.5 if path[1].key == "embedding" else 1.0
            return jnp.asarray(np.concatenate([factor * np.asarray(kept), start[old:]]))

        return jax.tree_util.tree_map_with_path(rows, drawn, params)


def hashable_fields(model: EnergyModel, positive: Sequence[str], numbers: Sequence[str] = ()) -> dict[str, object]:
    """The species, energies of atoms and other numbers of a model as its fields are annotated.

    Raises:
        TypeError, ValueError: If a field is no such thing, or one of `positive` is not positive.
    """
    species = _table(model.species)
    fields: dict[str, object] = {"species": species, "atomic_energies": _energies(model.atomic_energies, species)}
    for name in (*positive, *numbers):
        fields[name] = number = _number(name, getattr(model, name))
        if name in positive:
            _validate.positive(name, number)
    return fields


def _table(species) -> tuple[int, ...]:
    """Atomic numbers that differ from each other."""
    numbers = np.asarray(species)
    if numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.integer):
        raise TypeError(f"species: expected a tuple of atomic numbers, such as (1, 6, 8), got {species!r}")
    graphs.species_index(np.zeros(0, int), table := tuple(numbers.tolist()))
    return table


def _energies(energies, species) -> tuple[float, ...]:
    """One energy for each species, in their order."""
    if isinstance(energies, Mapping):
        if set(energies) != set(species):
            raise ValueError(f"atomic_energies: expected one for each of species {species}, got {dict(energies)}")
        energies = [energies[z] for z in species]
    if isinstance(energies, str) or np.ndim(energies) != 1:
        raise TypeError(f"atomic_energies: expected a tuple of numbers in eV, one for each species, got {energies!r}")
    if len(energies) != len(species):
        raise ValueError(f"atomic_energies: expected one for each of species {species}, got {len(energies)}")
    return tuple(_number("atomic_energies", energy) for energy in energies)


def _radii(radii, species, cutoff) -> tuple[float, ...]:
    """None, or one for each species, all pairs within the cutoff."""
    if np.ndim(radii) != 1 or len(radii) not in (0, len(species)):
        raise ValueError(f"repulsion: expected a radius in Å for each of species {species}, or none, got {radii!r}")
    radii = tuple(_number("repulsion", radius) for radius in radii)
    if radii and not (min(radii) > 0 and 2 * max(radii) <= cutoff):
        raise ValueError(f"repulsion: expected positive radii, at most half of the cutoff of {cutoff} Å, got {radii}")
    return radii


def _number(name, x) -> float:
    """A number of Python, of NumPy or of jax as a float."""
    if isinstance(x, jax.core.Tracer) or np.ndim(x) or not np.issubdtype(np.asarray(x).dtype, np.number):
        raise TypeError(f"{name}: expected a number that is known before a program is compiled, got {x!r}")
    return float(x)


def _no_edges(graph, nodes):
    """Edges of a graph of these nodes, each alone."""
    arrays = ("senders", "receivers", "shifts", "vectors", "edge_mask")
    none = {name: getattr(graph, name)[:0] for name in arrays}
    return GraphEdges(graph._replace(**none, species=np.arange(len(nodes))))


class Update(nn.Module):
    """h ← W (w[z] (A, p_2, ..., p_ν, h)) up to degree `lmax`, with the products p of A; all side by side."""

    lmax: int
    order: int
    bracket: bool

    @nn.compact
    def __call__(self, A, h, species):
        coefficients = (self.lmax + 1) ** 2
        products = ManyBodyProduct(self.order, self.lmax, self.bracket, name="products")(A)
        A, h = (jnp.pad(x[:, :coefficients], ((0, 0), (0, max(0, coefficients - x.shape[1])), (0, 0))) for x in (A, h))
        terms = jnp.concatenate([A, products, h], axis=-1)  # (N, coefficients, channels of all)
        w = Dense((self.lmax + 1) * terms.shape[-1], name="species")(species) * species.shape[-1] ** 0.5
        w = _by_coefficient(w.reshape(len(species), self.lmax + 1, -1))
        return Linear(A.shape[-1], name="mix")(terms * w)


def _by_coefficient(x):
    """(N, degrees, channels) repeated to (N, coefficients, channels), as a product: it compiles faster."""
    lmax = x.shape[1] - 1
    repeat = np.eye(lmax + 1, dtype=x.dtype)[spherical.degree_of_coefficient(lmax)]
    return jnp.einsum("ml,nlc->nmc", repeat, x, precision="highest")
