"""What to do with a potential: parameters, energies and forces, its symmetry, its checkpoints."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from equijax import graphs, groups, reps
from equijax._validate import instance, random_key
from equijax.checks import Report, check
from equijax.models.potential.energy_model import EnergyModel, FromNormal, expect_model, model_class
from equijax.symmetry import Symmetry
from equijax.training import checkpoint


class Prediction(NamedTuple):
    """What a potential says of a graph; zero for padding."""

    energies: Float[Array, " B"]
    """Energies of the structures in eV, less those of their isolated atoms; `baseline` gives these."""
    forces: Float[Array, "N 3"]
    """-∂E/∂x in eV/Å."""
    stresses: Float[Array, "B 3 3"]
    """(∂E/∂ε)/volume in eV/Å³, tensile positive.

    Zero without a periodic axis, as for padding: there is no volume. Open axes without a cell vector count 1 Å, so that
    a sheet with two cell vectors has its tension in eV/Å².
    """
    node_energies: Float[Array, " N"]
    """Each atom's share of the energy in eV, less E0."""


def initialize(model: EnergyModel, key: PRNGKeyArray) -> PyTree:
    """Parameters as `model.init` draws them, from one draw of standard normal numbers, which compiles at once.

    A model whose parameters do not start as such has a method `from_normal` that makes of these what they start as.

    Args:
        model: The potential.
        key: A key of `jax.random`. Under `jax.vmap` over keys, parameters of an ensemble.

    Examples:
        >>> import jax
        >>> from equijax import graphs
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> params = initialize(model, jax.random.key(0))
        >>> params["params"]["embedding"]["kernel"].shape
        (2, 2)
    """
    expect_model(model)
    random_key("key", key)
    count, vector, flag = np.zeros(1, np.int32), np.ones((1, 3), np.float32), np.ones(1, bool)
    atom = graphs.Graph(
        species=count, node_mask=flag, graph_of_node=count, senders=count, receivers=count,
        shifts=np.zeros((1, 3), np.int32), vectors=vector, edge_mask=flag, cells=np.eye(3, dtype=np.float32)[None],
        pbc=np.zeros((1, 3), bool), graph_mask=flag,
    )  # fmt: skip
    shapes, tree = jax.tree.flatten(jax.eval_shape(model.init, key, vector, atom))
    ends = np.cumsum([leaf.size for leaf in shapes])
    draws: Any = jax.random.normal(key, (ends[-1],), np.float32)
    if not isinstance(draws, jax.core.Tracer):
        draws = np.asarray(draws)  # to be cut without a program for each leaf
    leaves = [draws[end - leaf.size : end].reshape(leaf.shape) for end, leaf in zip(ends, shapes, strict=True)]
    normal = jax.tree.unflatten(tree, list(map(jnp.asarray, leaves)))
    return model.from_normal(normal) if isinstance(model, FromNormal) else normal


def predict(
    model: EnergyModel, params: PyTree, graph: graphs.Graph, positions=None, axis_name: str | None = None
) -> Prediction:
    """Energies, forces and stresses in one reverse pass, through the gradient with respect to the edge vectors.

    With g_e = ∂E/∂r_e:  F_i = Σ_{e to i} g_e - Σ_{e from i} g_e  and  ∂E/∂ε = Σ_e g_e r_eᵀ, where the strain ε acts on
    positions and cell.

    Args:
        model: The potential.
        params: Its parameters; their dtype and that of the edge vectors set the precision.
        graph: From `graphs.batch` with the model's cutoff or more, or with edges of `graphs.traced_neighbor_list`.
        positions: (N, 3), from which the edge vectors are made anew, instead of those of the graph.
        axis_name: Inside of `jax.shard_map` over this axis, where each device has one shard of `graphs.partition`:
            forces and node energies are those of the shard, energies and stresses those of all.

    Returns:
        The prediction: NaN for structures with a species that the model does not know, where species are traced.

    Raises:
        ValueError: If the graph was made with a smaller cutoff than the model's, or, where species are not traced, has
            one that the model does not know.

    Examples:
        >>> import jax
        >>> from equijax import graphs
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> pair = graphs.from_structure(graphs.Structure([8, 1], [[0.0, 0, 0], [0, 0, 0.97]]), model.cutoff)
        >>> f = lambda params: potential.predict(model, params, pair)
        >>> found = jax.eval_shape(f, potential.initialize(model, jax.random.key(0)))  # `jax.jit(f)` to compute it
        >>> found.energies.shape, found.forces.shape  # one structure, two atoms
        ((1,), (2, 3))
    """
    expect_model(model)
    instance("graph", graph, graphs.Graph, "a graph as graphs.batch(structures, cutoff) makes it")
    if graph.cutoff is not None and graph.cutoff < model.cutoff:
        raise ValueError(
            f"graph: expected all edges up to {model.cutoff} Å, the model's, got those up to {graph.cutoff}"
        )
    # Edge vectors (E, 3), of the graph or of other positions
    of_node = jnp.asarray(graph.graph_of_node)
    of_all = graphs.whole(of_node, axis_name)
    if positions is None:
        vectors = jnp.asarray(graph.vectors)
    else:
        everywhere = graphs.whole(jnp.asarray(positions), axis_name)
        vectors = graphs.edge_vectors(everywhere, graph._replace(graph_of_node=of_all))

    def total(vectors):
        node_energies = model.apply(params, vectors, graph, axis_name)
        return jnp.sum(node_energies), node_energies

    # One reverse pass gives g (E, 3); forces are its sums at both ends of the edges, negative at the sender
    g, node_energies = jax.grad(total, has_aux=True)(vectors)
    senders, receivers, nodes = jnp.asarray(graph.senders), jnp.asarray(graph.receivers), len(graph.species)
    pull = jax.ops.segment_sum(g, receivers - graphs.first_node(nodes, axis_name), nodes)
    push = jax.ops.segment_sum(g, senders, len(of_all))
    count = len(graph.graph_mask)
    energies = jax.ops.segment_sum(node_energies, of_node, count)
    virial = jax.ops.segment_sum(g[:, :, None] * vectors[:, None, :], of_all[receivers], count)
    if axis_name is not None:
        push = jax.lax.psum_scatter(push, axis_name, tiled=True)
        energies, virial = jax.lax.psum((energies, virial), axis_name)
    volumes = jnp.abs(jnp.linalg.det(jnp.asarray(graph.cells, vectors.dtype)))
    periodic = jnp.any(jnp.asarray(graph.pbc), axis=-1)  # (B,)
    found = Prediction(
        energies=energies,
        forces=pull - push,
        stresses=jnp.where(periodic[:, None, None], virial / volumes[:, None, None], 0),
        node_energies=node_energies,
    )
    return _nowhere_unknown(found, model, graph, axis_name)


def _nowhere_unknown(found, model, graph, axis_name):
    """The prediction with NaN for structures that have an unknown species."""
    unknown = ~graphs.known_species(graph.species, model.species)
    lost = jnp.zeros(len(graph.graph_mask), jnp.int32).at[jnp.asarray(graph.graph_of_node)].max(unknown)
    lost = (lost if axis_name is None else jax.lax.pmax(lost, axis_name)) > 0
    of_node = lost[jnp.asarray(graph.graph_of_node)]
    return Prediction(
        energies=jnp.where(lost, jnp.nan, found.energies),
        forces=jnp.where(of_node[:, None], jnp.nan, found.forces),
        stresses=jnp.where(lost[:, None, None], jnp.nan, found.stresses),
        node_energies=jnp.where(of_node, jnp.nan, found.node_energies),
    )


def equivariance(model: EnergyModel, params: PyTree, structure: graphs.Structure, **options: Any) -> Report:
    """Hold energy and forces at a structure without cell against E(3) and the permutations of its atoms.

    Args:
        model: The potential.
        params: Its parameters.
        structure: Where to look.
        **options: Those of `check`.

    Raises:
        ValueError: If the structure is periodic: its cell would have to turn with it.

    Examples:
        >>> import jax
        >>> from equijax import graphs
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> water = graphs.Structure([8, 1, 1], [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
        >>> equivariance(model, potential.initialize(model, jax.random.key(0)), water, samples=2).verdict
        'exact'
    """
    if any(structure.pbc):
        raise ValueError(f"structure: expected one without cell, got pbc {structure.pbc}")
    single, n = graphs.from_structure(structure, model.cutoff), len(structure.species)

    def energy_and_forces(params, positions, species, senders, receivers):
        graph = single._replace(species=species, senders=senders, receivers=receivers)
        found = predict(model, params, graph, positions)
        return found.energies, found.forces

    index = reps.Product(None, reps.Index())
    moved = tuple(reps.Product(part, reps.Permutation(-2)) for part in (reps.Position(), reps.Vector()))
    symmetry = Symmetry(
        groups.Product(groups.E(3), groups.Permutation(n)),
        inputs=(None, moved[0], reps.Product(None, reps.Permutation(-1)), index, index),
        outputs=(None, moved[1]),
    )
    positions = np.asarray(structure.positions, np.float32)
    return check(
        energy_and_forces, symmetry, (params, positions, single.species, single.senders, single.receivers), **options
    )


def load(directory: str | Path) -> tuple[EnergyModel, PyTree]:
    """The model and its parameters from the last checkpoint in a folder, as `checkpoint.save` wrote it.

    Raises:
        FileNotFoundError: If there is no checkpoint.
        ValueError: If it cannot be read or is not of a potential of `equijax.models`.

    Examples:
        >>> import tempfile, jax
        >>> from equijax.models import potential
        >>> from equijax.training import checkpoint
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     checkpoint.save(folder, 0, model, potential.initialize(model, jax.random.key(0)))
        ...     restored, params = load(folder)
        >>> restored == model
        True
    """
    found = checkpoint.restore(directory)
    return checkpoint.rebuild(model_class(found.config["model"]), found.config), found.params


def baseline(model: EnergyModel, species) -> np.ndarray:
    """E0 of each atom in eV, in float64 on the host: what `Prediction.energies` leave out.

    Raises:
        ValueError: If the model does not know one of the atomic numbers.

    Examples:
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0))
        >>> baseline(model, [8, 1, 1]).tolist()
        [-2041.0, -13.6, -13.6]
    """
    expect_model(model)
    energies, species = np.asarray(model.atomic_energies, np.float64), np.asarray(species)
    if np.any(species == 0):
        raise ValueError("species: expected atomic numbers, got 0, which stands for padding")
    return energies[graphs.species_index(species, model.species)]
