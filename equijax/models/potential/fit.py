"""Training of potentials: from structures to a model, its loss, batches and errors on a test set."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, PyTree

from equijax import _validate, graphs, training
from equijax.models.potential.network import Potential
from equijax.models.potential.predict import Prediction, baseline, initialize, predict
from equijax.models.potential.training_set import atomic_energies, statistics

Batch = tuple[graphs.Graph, graphs.Labels]


class Trained(NamedTuple):
    """What `fit` gives back."""

    model: Potential
    params: PyTree[Array]
    """The moving average: the ones to test and to keep."""
    run: training.Result


def fit(
    train: Sequence[graphs.Structure],
    *,
    validate: Sequence[graphs.Structure] = (),
    model: Potential | None = None,
    params: PyTree | None = None,
    steps: int = 6000,
    batch_size: int = 5,
    seed: int = 0,
    energy_weight: float = 1.0,
    force_weight: float = 1.0,
    stress_weight: float = 0.0,
    optimizer: optax.GradientTransformation | None = None,
    decay: float = 0.99,
    **options: Any,
) -> Trained:
    """Train a potential on structures with energies, forces or stresses.

    The same call goes on with a run that was interrupted, if it has a `directory`; `load` reads that later.

    Args:
        train: What to learn from; labels may be missing here and there.
        validate: Structures to watch the errors of, in meV and meV/Å; those of the forces say which state is the best.
        model: `for_structures(train)` unless given.
        params: Where to start from; `initialize` unless given.
        steps: Length of the run.
        batch_size: Structures in a batch.
        seed: Of the first parameters and the order of the batches.
        energy_weight: As for `loss`.
        force_weight: As for `loss`.
        stress_weight: As for `loss`.
        optimizer: `training.optimizer(steps)` unless given.
        decay: Of the moving average.
        **options: Those of `training.fit`: directory, every, progress, seconds, compiler_options and more.

    Raises:
        ValueError: If there are no structures, they cannot be of the model, or the directory holds another run.

    Examples:
        >>> from equijax import data
        >>> from equijax.models import potential
        >>> frames = data.acetylacetone().train[:8]
        >>> model = potential.for_structures(frames, cutoff=3.0, channels=2, layers=1, lmax=0, hidden_lmax=0)
        >>> trained = potential.fit(frames, model=model, steps=2, batch_size=2, progress=False)
        >>> trained.run.stopped, len(trained.run.history)
        ('steps', 2)
    """
    model = model or for_structures(train)
    found = samples(model, train, batch_size)
    weights: dict[str, Any] = {
        "energy_weight": energy_weight,
        "force_weight": force_weight,
        "stress_weight": stress_weight,
    }
    about = {"batch_size": batch_size, "seed": seed, "units": "eV, Å", **weights, **options.pop("about", {})}
    run = training.fit(
        objective(model, None, **weights),
        initialize(model, jax.random.key(seed)) if params is None else params,
        found.batches(seed),
        optimizer=optimizer or training.optimizer(steps),
        steps=steps,
        decay=decay,
        validate=_validation(model, samples(model, validate, batch_size)) if validate else None,
        model=model,
        about=about,
        **options,
    )
    return Trained(model, run.params, run)


def for_structures(structures: Sequence[graphs.Structure], cutoff: float = 5.0, **fields: Any) -> Potential:
    """A model for structures: their species, `atomic_energies` and `statistics`, other fields as given.

    Where energies of isolated atoms are known, give them as `atomic_energies`, in the order of the atomic numbers, or
    have structures of each atom alone; with `exact_alone` too the model is held to them.

    Warns:
        UserWarning: That of `atomic_energies`, unless these are given.

    Examples:
        >>> from equijax import data
        >>> for_structures(data.acetylacetone().train[:8], cutoff=4.0, channels=8).species
        (1, 6, 8)
    """
    if "atomic_energies" in fields:
        structures = graphs.each(graphs.checked, structures)
        found: dict[str, Any] = {"species": tuple(sorted({int(z) for s in structures for z in s.species}))}
    else:
        energies = atomic_energies(structures, cutoff)
        found = {"species": tuple(energies), "atomic_energies": tuple(energies.values())}
    return Potential(cutoff=cutoff, **(found | statistics(structures, cutoff) | fields))


def loss(
    prediction: Prediction,
    labels: graphs.Labels,
    graph: graphs.Graph,
    scale: float,
    energy_weight: float = 1.0,
    force_weight: float = 1.0,
    stress_weight: float = 0.0,
    axis_name: str | None = None,
) -> Float[Array, ""]:
    """w_E mean (ΔE)²/n + w_F mean (ΔF)² + w_σ mean (Δσ)², in units of `scale` squared; means over what is labeled.

    Squares of forces and stresses are means over their components. Stresses of structures without a periodic axis are
    left out, labeled or not: see `Prediction`. n is the number of atoms of the structure: errors of atoms that add up
    at random count the same at any size. Inside of `jax.shard_map` over `axis_name` the means are those over the
    structures of all devices.

    Examples:
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> place = [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]
        >>> water = graphs.Structure([8, 1, 1], place, energy=-2078.0, forces=np.full((3, 3), 0.1))
        >>> graph, labels = samples(model, [water], batch_size=1).batch([0])
        >>> right = potential.Prediction(labels.energies, labels.forces, labels.stresses, labels.energies)
        >>> off = right._replace(forces=labels.forces + 0.2)
        >>> float(loss(right, labels, graph, scale=0.1)), round(float(loss(off, labels, graph, scale=0.1)), 3)
        (0.0, 4.0)
    """
    atoms = jax.ops.segment_sum(jnp.asarray(graph.node_mask, jnp.float32), graph.graph_of_node, len(graph.graph_mask))
    energy = (prediction.energies - labels.energies) ** 2 / jnp.maximum(atoms, 1)
    force = jnp.mean((prediction.forces - labels.forces) ** 2, axis=-1)
    stress = jnp.mean((prediction.stresses - labels.stresses) ** 2, axis=(-1, -2))
    terms = [
        (energy_weight, energy, labels.energy_mask),
        (force_weight, force, labels.force_mask),
        (stress_weight, stress, labels.stress_mask & jnp.any(jnp.asarray(graph.pbc), axis=-1)),
    ]
    total = sum(weight * _mean(values, mask, axis_name) for weight, values, mask in terms if weight)
    return jnp.asarray(total) / scale**2


def objective(model: Potential, axis_name: str | None = None, **weights: float) -> Callable[[PyTree, Batch], Array]:
    """The loss of a model's parameters on a batch of `Samples`, as `training.fit` takes it.

    Args:
        model: The potential.
        axis_name: As for `loss`.
        **weights: Those of `loss`.

    Examples:
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> place = [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]
        >>> water = graphs.Structure([8, 1, 1], place, energy=-2078.0, forces=np.full((3, 3), 0.1))
        >>> batch = samples(model, [water], batch_size=1).batch([0])
        >>> params = potential.initialize(model, jax.random.key(0))
        >>> jax.eval_shape(objective(model, force_weight=10.0), params, batch).shape  # a number; for `training.fit`
        ()
    """

    def of_batch(params: PyTree, batch: Batch) -> Array:
        graph, labels = batch
        found = predict(model, params, graph)
        return loss(found, labels, graph, model.scale, axis_name=axis_name, **weights)

    return of_batch


class Samples(NamedTuple):
    """Structures ready to be batched, all to one shape, in float32."""

    singles: list[graphs.Graph]
    structures: list[graphs.Structure]
    """With the energies of isolated atoms taken off in float64."""
    batch_size: int
    nodes: int
    edges: int

    def __repr__(self) -> str:
        return (
            f"Samples({len(self.structures)} structures in batches of {self.batch_size}: {self.nodes} nodes, "
            f"{self.edges} edges)"
        )

    def batches(self, seed: int, shards: int = 1) -> Callable[[int], Iterator[Batch]]:
        """Batch after batch for `training.fit`, in the order of `training.epochs`.

        Args:
            seed: Of the order.
            shards: As for `batch`; each batch has `shards` times `batch_size` structures.

        Raises:
            ValueError: If a batch is larger than an epoch.
        """
        size = shards * self.batch_size
        training.epochs(len(self.structures), size, seed)  # a wrong size is said here, not at the first batch

        def from_step(first: int) -> Iterator[Batch]:
            return (self.batch(i, shards) for i in training.epochs(len(self.structures), size, seed, first))

        return from_step

    def batch(self, indices: Sequence[int] | Int[np.ndarray, " batch"], shards: int = 1) -> Batch:
        """One padded graph of these structures, and its labels, in one shape for up to `batch_size` structures.

        With `shards` as many graphs behind each other, one for each device, each of up to `batch_size`.

        Raises:
            ValueError: If there are no indices or too many, or `shards` does not divide their number.
        """
        if not len(indices):
            raise ValueError("indices: expected at least one, got none")
        if shards < 1 or len(indices) % shards:
            raise ValueError(f"shards: expected a divisor of the {len(indices)} structures of the batch, got {shards}")
        if len(indices) > shards * self.batch_size:
            raise ValueError(f"indices: expected at most {self.batch_size} for each graph, got {len(indices)}")
        size, pairs = len(indices) // shards, []
        for begin in range(0, len(indices), size):
            some = indices[begin : begin + size]
            sizes = {"nodes": self.nodes, "edges": self.edges, "graphs": self.batch_size + 1}
            graph = graphs.concatenate([self.singles[i] for i in some], **sizes)
            pairs.append((graph, graphs.labels([self.structures[i] for i in some], graph)))
        return jax.tree.map(lambda *leaves: _single_precision(np.concatenate(leaves)), *pairs)


def samples(model: Potential, structures: Sequence[graphs.Structure], batch_size: int) -> Samples:
    """Neighbor lists of all structures, and the shape that every batch of that size, or a smaller one, fits in.

    Raises:
        ValueError: If there are no structures, or one is empty, has coincident atoms, labels that do not fit or species
            that the model lacks.

    Examples:
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> place = [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]
        >>> water = graphs.Structure([8, 1, 1], place, energy=-2078.0, forces=np.full((3, 3), 0.1))
        >>> graph, labels = samples(model, [water, water], batch_size=2).batch([0, 1])
        >>> print(labels.energies[labels.energy_mask].round(1))  # less those of the atoms
        [-9.8 -9.8]
    """
    _validate.instance("model", model, Potential, "a models.Potential, before the structures")
    if not structures:
        raise ValueError("structures: expected at least one, got none")
    _validate.integer("batch_size", batch_size, 1)

    def ready(structure: graphs.Structure) -> tuple[graphs.Graph, graphs.Structure]:
        structure = graphs.checked(structure)
        alone = baseline(model, structure.species).sum()
        less = None if structure.energy is None else structure.energy - alone
        return graphs.from_structure(structure, model.cutoff), structure._replace(energy=less)

    singles, less = map(list, zip(*graphs.each(ready, structures), strict=True))
    nodes, edges = (
        sum(sorted((len(getattr(g, name)) for g in singles), reverse=True)[:batch_size])
        for name in ("species", "senders")
    )
    return Samples(singles, less, batch_size, _rounded(nodes + 1), _rounded(edges))


class Errors(NamedTuple):
    """Errors over a test set: energies in meV a structure, forces in meV/Å a component."""

    energy_rmse: float
    energy_mae: float
    force_rmse: float
    force_mae: float
    energies: Float[np.ndarray, "structures 2"]
    """Predicted and true, in eV, less the isolated atoms."""
    forces: Float[np.ndarray, "components 2"]


def evaluate(predict: Callable[[PyTree, graphs.Graph], Prediction], params: PyTree, test: Samples) -> Errors:
    """Errors of a model.

    Args:
        predict: The jitted function (params, graph) -> Prediction.
        params: Parameters.
        test: From `samples` of that model, which refuses species that the model does not know (`predict` gives NaN for
            them, and so would the errors); as many structures a call as it was told.

    Examples:
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> place = [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]]
        >>> water = graphs.Structure([8, 1, 1], place, energy=-2078.0, forces=np.full((3, 3), 0.1))
        >>> right = lambda params, graph: potential.Prediction(np.array([-9.8, 0.0]), np.full((8, 3), 0.1), None, None)
        >>> errors = evaluate(right, {}, samples(model, [water], batch_size=1))
        >>> round(errors.energy_mae, 2), round(errors.force_rmse, 2)
        (0.0, 0.0)
    """
    _validate.instance("test", test, Samples, "potential.samples(model, structures, batch_size)")
    energies, forces, count = [], [], len(test.structures)
    for begin in range(0, count, test.batch_size):
        graph, labels = test.batch(range(begin, min(begin + test.batch_size, count)))
        found = predict(params, graph)
        energies.append(np.stack([found.energies, labels.energies], -1)[labels.energy_mask])
        forces.append(np.stack([found.forces, labels.forces], -1)[labels.force_mask].reshape(-1, 2))
    pairs = [np.concatenate(rows).astype(np.float64) for rows in (energies, forces)]
    off = [1e3 * (pair[:, 0] - pair[:, 1]) if len(pair) else np.array(np.nan) for pair in pairs]
    rmse = [float(np.sqrt(np.mean(o**2))) for o in off]
    mae = [float(np.mean(np.abs(o))) for o in off]
    return Errors(rmse[0], mae[0], rmse[1], mae[1], *pairs)


def _validation(model: Potential, test: Samples) -> Callable[[PyTree], dict[str, float]]:
    """The function params -> errors of what is labeled."""
    predicted = jax.jit(lambda params, graph: predict(model, params, graph))

    def errors(params: PyTree) -> dict[str, float]:
        of = evaluate(predicted, params, test)
        named = {"force_rmse": (of.force_rmse, of.forces), "energy_rmse": (of.energy_rmse, of.energies)}
        return {name: error for name, (error, rows) in named.items() if len(rows)}

    return errors


def _mean(
    values: Float[Array, "..."], mask: Bool[Array | np.ndarray, "..."], axis_name: str | None
) -> Float[Array, ""]:
    """Of the values where the mask is true, on all devices of the axis together; 0 if there are none."""
    mask = jnp.asarray(mask)
    total, count = jnp.sum(jnp.where(mask, values, 0)), jnp.sum(mask)
    if axis_name is not None:
        total, count = jax.lax.psum((total, count), axis_name)
    return total / jnp.maximum(count, 1)


def _rounded(size: int, step: int = 8) -> int:
    """Up to a multiple, so that fewer shapes are compiled."""
    return -(-size // step) * step


def _single_precision(a: np.ndarray) -> np.ndarray:
    return a.astype(np.float32) if a.dtype == np.float64 else a
