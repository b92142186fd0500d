"""Training of potentials: losses, the optimizer, one step, errors on a test set."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
from jaxtyping import Array, Float, Int

from equijax import _validate, graphs
from equijax.models.potential.network import Potential
from equijax.models.potential.predict import Prediction, baseline, predict


class State(NamedTuple):
    """All that training needs to go on; a pytree of arrays. `unstack` gives the parameters their shape back."""

    step: Int[Array | np.ndarray, ""]
    params: dict[str, Any]
    average: dict[str, Any]
    """Exponential moving average of the parameters: the ones to test and to keep."""
    optimizer: Any


def optimizer(
    steps: int | None,
    *,
    muon: float = 0.02,
    adam: float = 0.01,
    warmup: int = 200,
    final: float = 1e-3,
    weight_decay: float = 0.0,
) -> optax.GradientTransformation:
    """Muon for matrices, Adam for the rest, both warmed up and then lowered along a cosine.

    Muon replaces the momentum of each matrix by the nearest orthogonal one; the matrices of a stack (as in `Linear`,
    one a degree) are taken one by one. With layers as small as those of a potential it costs a few per cent of a step,
    and reaches in one tenth of the steps what Adam reaches.

    Args:
        steps: Length of the run, in steps; None for constant rates, to be multiplied by a schedule of the caller.
        muon: Largest learning rate of the matrices.
        adam: Largest learning rate of everything else.
        warmup: Steps from zero to the largest rate; at most a tenth of the run.
        final: Last rate over the largest.
        weight_decay: Of the matrices, times their rate: it bounds their norms, which Muon lets grow in a long run.

    Raises:
        TypeError: If `steps` is neither an integer nor None.
        ValueError: If it is below 1.

    References:
        Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks"; optax.contrib.muon.
    """

    def schedule(peak):
        if steps is None:
            return peak
        total = _validate.integer("steps", steps, 1)
        return optax.warmup_cosine_decay_schedule(0.0, peak, min(warmup, total // 10), total, peak * final)

    def axes(stacks):
        matrix = optax.contrib.MuonDimensionNumbers(1, 2)
        return jax.tree.map(lambda x: matrix if min(x.shape[1:]) > 1 else None, stacks)

    return optax.contrib.muon(
        schedule(muon),
        adam_learning_rate=schedule(adam),
        muon_weight_dimension_numbers=axes,
        consistent_rms=None,
        weight_decay=weight_decay,
    )


def stack(params: Any) -> dict[str, Float[Array, "matrices rows columns"]]:
    """All matrices of one shape as one array, so that an optimizer updates a few large arrays, not many small ones.

    That is a tenth of the operations to compile. Leading axes of a leaf count as matrices, and so do the square blocks
    of a matrix that is made of such, as several layers side by side are. Vectors and thin matrices, as those that look
    a species up, become numbers.

    Raises:
        ValueError: If the parameters are of several dtypes.
    """
    stacks: dict[str, list] = {}
    leaves = jax.tree.leaves(params)
    if len({leaf.dtype for leaf in leaves}) > 1:
        raise ValueError(f"params: expected one dtype, got {sorted({str(leaf.dtype) for leaf in leaves})}")
    for leaf in leaves:
        shape, rows, columns = _blocks(leaf)
        blocks = leaf.reshape(shape).swapaxes(2, 3).reshape(-1, rows, columns)
        stacks.setdefault(f"{rows}x{columns}", []).append(blocks)
    return {shape: jnp.concatenate(leaves) for shape, leaves in stacks.items()}


def unstack(stacks: dict[str, Float[Array, "matrices rows columns"]], like: Any) -> Any:
    """The inverse of `stack`; `like` has the shapes of the parameters."""
    leaves, tree = jax.tree.flatten(like)
    taken, out = dict.fromkeys(stacks, 0), []
    for leaf in leaves:
        shape, rows, columns = _blocks(leaf)
        name = f"{rows}x{columns}"
        begin = taken[name]
        taken[name] = end = begin + leaf.size // (rows * columns)
        blocks = stacks[name][begin:end].reshape(shape[0], shape[1], shape[3], rows, columns)
        out.append(blocks.swapaxes(2, 3).reshape(leaf.shape))
    return jax.tree.unflatten(tree, out)


def start(params: Any, transformation: optax.GradientTransformation) -> State:
    """The state before the first step."""
    stacks = stack(params)
    return State(jnp.zeros((), jnp.int32), stacks, jax.tree.map(jnp.copy, stacks), transformation.init(stacks))


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

    n is the number of atoms of the structure: errors of atoms that add up at random count the same at any size. Inside
    of `jax.shard_map` over `axis_name` the means are those over the structures of all devices.
    """
    atoms = jax.ops.segment_sum(jnp.asarray(graph.node_mask, jnp.float32), graph.graph_of_node, len(graph.graph_mask))
    energy = (prediction.energies - labels.energies) ** 2 / jnp.maximum(atoms, 1)
    force = jnp.mean((prediction.forces - labels.forces) ** 2, axis=-1)
    stress = jnp.mean((prediction.stresses - labels.stresses) ** 2, axis=(-1, -2))
    terms = [
        (energy_weight, energy, labels.energy_mask),
        (force_weight, force, labels.force_mask),
        (stress_weight, stress, labels.stress_mask),
    ]
    return sum(weight * _mean(values, mask, axis_name) for weight, values, mask in terms if weight) / scale**2


def gradient(model: Potential, like: Any, axis_name: str | None = None, **weights: float):
    """The function (stacked parameters, graph, labels) -> (loss, stacked gradient), to be jitted.

    It and `update` are two programs rather than one, because they compile faster so, and at the same time.

    Args:
        model: The potential.
        like: Parameters of the model, for their shapes.
        axis_name: As for `loss`.
        **weights: Those of `loss`.
    """
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), like)

    def value_and_gradient(stacks, graph: graphs.Graph, labels: graphs.Labels):
        def objective(params):
            found = predict(model, params, graph)
            return loss(found, labels, graph, model.scale, axis_name=axis_name, **weights)

        value, found = jax.value_and_grad(objective)(unstack(stacks, like))
        return value, stack(found)

    return value_and_gradient


def update(transformation: optax.GradientTransformation, decay: float = 0.99):
    """The function (state, stacked gradient) -> state, to be jitted; `decay` is that of the average."""

    def step(state: State, gradient) -> State:
        change, optimizer_state = transformation.update(gradient, state.optimizer, state.params)
        params = optax.apply_updates(state.params, change)
        average = optax.incremental_update(params, state.average, 1 - decay)
        return State(state.step + 1, params, average, optimizer_state)

    return step


class Samples(NamedTuple):
    """Structures ready to be batched, all to one shape, in float32."""

    singles: list[graphs.Graph]
    structures: list[graphs.Structure]
    """With the energies of isolated atoms taken off in float64."""
    batch_size: int
    nodes: int
    edges: int

    def batch(
        self, indices: Sequence[int] | Int[np.ndarray, " batch"], parts: int = 1
    ) -> tuple[graphs.Graph, graphs.Labels]:
        """One padded graph of these structures, and its labels, in one shape for up to `batch_size` structures.

        With `parts` as many graphs behind each other, one for each device, each of up to `batch_size`.

        Raises:
            ValueError: If there are no indices or too many, or `parts` does not divide their number.
        """
        if not len(indices):
            raise ValueError("indices: expected at least one, got none")
        if parts < 1 or len(indices) % parts:
            raise ValueError(f"parts: expected a divisor of the {len(indices)} structures of the batch, got {parts}")
        if len(indices) > parts * self.batch_size:
            raise ValueError(f"indices: expected at most {self.batch_size} for each graph, got {len(indices)}")
        size, pairs = len(indices) // parts, []
        for begin in range(0, len(indices), size):
            part = indices[begin : begin + size]
            sizes = {"nodes": self.nodes, "edges": self.edges, "graphs": self.batch_size + 1}
            graph = graphs.concatenate([self.singles[i] for i in part], **sizes)
            pairs.append((graph, graphs.labels([self.structures[i] for i in part], graph)))
        return jax.tree.map(lambda *leaves: _single_precision(np.concatenate(leaves)), *pairs)


def samples(model: Potential, structures: Sequence[graphs.Structure], batch_size: int) -> Samples:
    """Neighbor lists of all structures, and the shape that every batch of that size, or a smaller one, fits in.

    Raises:
        ValueError: If there are no structures, or one is empty, has coincident atoms or species that the model lacks.
    """
    if not structures:
        raise ValueError("structures: expected at least one, got none")
    _validate.integer("batch_size", batch_size, 1)
    singles = [graphs.from_structure(s, model.cutoff) for s in structures]
    less = [
        s if s.energy is None else s._replace(energy=s.energy - baseline(model, s.species).sum()) for s in structures
    ]
    nodes, edges = (
        sum(sorted((len(getattr(g, name)) for g in singles), reverse=True)[:batch_size])
        for name in ("species", "senders")
    )
    return Samples(singles, less, batch_size, _rounded(nodes + 1), _rounded(edges))


def epochs(count: int, batch_size: int, seed: int, first_step: int = 0) -> Iterator[np.ndarray]:
    """Indices of batch after batch, each epoch in an order of its own; the same ones whenever training resumes.

    Raises:
        ValueError: If a batch is empty, or larger than an epoch.
    """
    if not 1 <= batch_size <= count:
        raise ValueError(f"batch_size: expected 1 to {count}, the number of structures, got {batch_size}")
    batches = count // batch_size
    epoch, skip = divmod(first_step, batches)

    def of_epoch(epoch):
        order = np.random.default_rng([seed, epoch]).permutation(count)
        return order[: batches * batch_size].reshape(batches, batch_size)

    return itertools.islice(itertools.chain.from_iterable(map(of_epoch, itertools.count(epoch))), skip, None)


class Errors(NamedTuple):
    """Errors over a test set: energies in meV a structure, forces in meV/Å a component."""

    energy_rmse: float
    energy_mae: float
    force_rmse: float
    force_mae: float
    energies: Float[np.ndarray, "structures 2"]
    """Predicted and true, in eV, less the isolated atoms."""
    forces: Float[np.ndarray, "components 2"]


def evaluate(predict, params: Any, test: Samples) -> Errors:
    """Errors of a model.

    Args:
        predict: The jitted function (params, graph) -> Prediction.
        params: Parameters.
        test: From `samples`; as many structures a call as it was told.
    """
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


def atomic_energies(structures: Sequence[graphs.Structure]) -> dict[int, float]:
    """E0 by atomic number from a least-squares fit to the energies, the smallest one where it is not unique.

    Energies of isolated atoms are the better choice where they are known and the energies span a wide range; the fit
    leaves less to learn. Structures without an energy tell which species there are.

    Raises:
        ValueError: If no structure has an energy.
    """
    species = sorted({int(z) for s in structures for z in s.species})
    known = [s for s in structures if s.energy is not None]
    if not known:
        raise ValueError("structures: expected one with an energy at least, got none")
    counts = np.array([[np.count_nonzero(s.species == z) for z in species] for s in known], float)
    fit = np.linalg.lstsq(counts, np.array([s.energy for s in known], float))[0]
    return dict(zip(species, fit.tolist(), strict=True))


def statistics(structures: Sequence[graphs.Structure], cutoff: float) -> dict[str, float]:
    """`mean_neighbors` and `scale` of a training set, as `Potential` takes them.

    Raises:
        ValueError: If no atom has a neighbor, or there are no forces other than 0.
    """
    edges = sum(len(graphs.from_structure(s, cutoff).senders) for s in structures)
    forces = np.concatenate([np.zeros((0, 3)), *(s.forces for s in structures if s.forces is not None)])
    if not edges or not forces.any():
        missing = "forces that are not all zero" if edges else f"two atoms nearer to each other than {cutoff}"
        raise ValueError(f"structures: expected {missing}, got none")
    return {
        "mean_neighbors": edges / sum(len(s.species) for s in structures),
        "scale": float(np.sqrt(np.mean(forces**2))),
    }


def _blocks(leaf, thin=8):
    """The shape (matrices, blocks, rows, blocks, columns) of a leaf cut into blocks, and rows and columns of these."""
    rows, columns = leaf.shape[-2:] if len(leaf.shape) > 1 else (1, leaf.size)
    small, large = sorted((rows, columns))
    if small < thin:
        return (1, leaf.size, 1, 1, 1), 1, 1
    block = (small, small) if large % small == 0 else (rows, columns)
    return (-1, rows // block[0], block[0], columns // block[1], block[1]), *block


def _mean(values, mask, axis_name):
    mask = jnp.asarray(mask)
    total, count = jnp.sum(jnp.where(mask, values, 0)), jnp.sum(mask)
    if axis_name is not None:
        total, count = jax.lax.psum((total, count), axis_name)
    return total / jnp.maximum(count, 1)


def _rounded(size, step=8):
    return -(-size // step) * step


def _single_precision(a):
    return a.astype(np.float32) if a.dtype == np.float64 else a
