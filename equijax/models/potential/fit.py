"""Training of potentials in one call: from structures, or a file of them, to a model."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import optax
from jaxtyping import Array, PyTree

from equijax import data, graphs, training
from equijax.models.potential import training_set
from equijax.models.potential.energy_model import EnergyModel
from equijax.models.potential.evaluate import evaluate
from equijax.models.potential.finetune import adapt, widened
from equijax.models.potential.network import Potential
from equijax.models.potential.objective import objective
from equijax.models.potential.predict import initialize, load, predict
from equijax.models.potential.samples import Samples, of_survey, samples

STRESS_WEIGHT = 100.0  # in Å⁶: 0.01 eV/Å³, 1.6 GPa, count as much as 0.1 eV/Å

Structures = Sequence[graphs.Structure] | str | Path


class Trained(NamedTuple):
    """What `fit` gives back."""

    model: EnergyModel
    params: PyTree[Array]
    """The moving average, with `patience` that of the best validation: the ones to test and to keep."""
    run: training.Result
    validate: Sequence[graphs.Structure]
    """The structures that were held out, or given, to watch the errors of."""


def fit(
    train: Structures,
    *,
    validate: Structures | float = (),
    directory: str | Path | None = None,
    start: str | Path | tuple[EnergyModel, PyTree] | None = None,
    model: EnergyModel | None = None,
    params: PyTree | None = None,
    steps: int | None = None,
    seconds: int | float | None = None,
    batch_size: int = 5,
    seed: int = 0,
    energy_weight: int | float = 1.0,
    force_weight: int | float = 1.0,
    stress_weight: int | float | None = None,
    huber: int | float | None = None,
    max_force: int | float | None = None,
    optimizer: str | optax.GradientTransformation = "muon",
    rate: int | float | None = None,
    decay: float = 0.99,
    patience: int | None = None,
    workers: int = 0,
    held: int = training_set.HELD,
    fields: dict[str, Any] | None = None,
    **options: Any,
) -> Trained:
    """Train a potential on structures with energies, forces or stresses.

    E0 of the species, the scale of forces and the number of neighbors come from the structures, as `for_structures`
    says. Labels may be missing here and there; what has none at all is left out, with a warning. The same call goes on
    with a run that was interrupted, or killed, if it has a `directory`; `load` reads that later.

    Args:
        train: What to learn from: structures, a sequence that reads them from disk, or a file, as
            `data.open_structures` takes it.
        validate: Structures to watch the errors of, in meV and meV/Å; those of the forces say which state is the best.
            A number is the share of `train` that is held out, drawn by `seed`.
        directory: Where checkpoints are kept, and log.jsonl, a line for each record.
        start: A trained potential to go on from, its folder or (model, params): its parameters are kept, new species
            are added, and E0 are those of `train`, as `adapt` does.
        model: The model to train, `for_structures(train, **fields)` unless given.
        params: Where to start from; `initialize` unless given.
        steps: Length of the run; 6000 unless `seconds` are given.
        seconds: Length of the run in time; with `steps` too, whichever ends first.
        batch_size: Structures in a batch, on average: see `graphs.shapes`.
        seed: Of the first parameters, the order of the batches and what is held out.
        energy_weight: As for `loss`.
        force_weight: As for `loss`.
        stress_weight: As for `loss`; 100 where periodic structures have stresses, and else 0, unless given.
        huber: As for `loss`.
        max_force: In eV/Å; structures with a larger component of a force are left out, with a warning.
        optimizer: "muon", the one of `training.optimizer`, "adam", or one of optax.
        rate: Largest learning rate, of the matrices for muon; 0.02 or 0.003 unless given, and a tenth of that after
            `start`.
        decay: Of the moving average.
        patience: End the run after so many records without a better validation, and keep the best.
        workers: Processes that read structures and make neighbor lists ahead, where they do not fit in memory.
        held: As for `samples`.
        fields: Those of the model, such as cutoff and channels, where none is given.
        **options: Those of `training.fit`: every, progress, compiler_options and more.

    Raises:
        ValueError: If there are no structures with labels, they cannot be of the model, or the directory holds another
            run.

    Warns:
        UserWarning: Of structures that are left out, outliers, and E0 that mean nothing.

    Examples:
        >>> from equijax.models import potential
        >>> frames = data.acetylacetone().train[:8]
        >>> model = potential.for_structures(frames, cutoff=3.0, channels=2, layers=1, lmax=0, hidden_lmax=0)
        >>> trained = potential.fit(frames, model=model, steps=2, batch_size=2, progress=False)
        >>> trained.run.stopped, len(trained.run.history)
        ('steps', 2)
    """
    if model is not None and start is not None:
        raise ValueError("start: expected no model beside it, which it has itself")
    structures = opened(train)
    if isinstance(validate, float):
        structures, held_out = split(structures, validate, seed)
    else:
        held_out = opened(validate)
    begun = load(start) if isinstance(start, str | Path) else start
    if begun is not None:
        model, params = begun
    cutoff = (fields or {}).get("cutoff", 5.0) if model is None else model.cutoff
    found = training_set.survey(structures, cutoff, held)
    structures, found = _kept(structures, found, max_force)
    if model is None:
        model = of_training_set(found, fields or {})
    elif begun is not None and directory is not None and training.checkpoint.latest(directory) is not None:
        model = load(directory)[0]  # which was adapted when the run began
        params = widened(*begun, found.species, seed)[1]
    elif begun is not None:
        model, params = adapt(model, params, structures, found=found, batch_size=batch_size, seed=seed)
    source = of_survey(model, structures, found, batch_size)

    steps = 6000 if steps is None and seconds is None else steps
    if stress_weight is None:
        stress_weight = STRESS_WEIGHT if found.stresses.any() else 0.0
    weights: dict[str, Any] = {
        "energy_weight": energy_weight, "force_weight": force_weight, "stress_weight": stress_weight, "huber": huber,
    }  # fmt: skip
    about = {"batch_size": batch_size, "seed": seed, "units": "eV, Å", "structures": len(structures), **weights}
    run = training.fit(
        objective(model, **weights),
        initialize(model, jax.random.key(seed)) if params is None else params,
        source.batches(seed, workers=workers),
        optimizer=_optimizer(optimizer, steps, rate, 0.1 if begun else 1.0),
        steps=steps,
        seconds=seconds,
        decay=decay,
        validate=_validation(model, samples(model, held_out, batch_size, held=held)) if len(held_out) else None,
        patience=patience,
        directory=directory,
        model=model,
        about=about | options.pop("about", {}),
        **options,
    )
    return Trained(model, run.best if patience else run.params, run, held_out)


def opened(structures: Structures) -> Sequence[graphs.Structure]:
    """Structures as a sequence; those of a file are read when they are asked for."""
    return data.open_structures(structures) if isinstance(structures, str | Path) else structures


def split(
    structures: Sequence[graphs.Structure], share: float, seed: int
) -> tuple[Sequence[graphs.Structure], Sequence[graphs.Structure]]:
    """Structures to train on, and a share of them, drawn at random, that is held out; isolated atoms stay.

    Raises:
        ValueError: If the share is not between 0 and 1, or leaves nothing to train on or to hold out.

    Examples:
        >>> atoms = [graphs.Structure([1, 1], [[0, 0, 0], [0, 0, r]]) for r in (0.7, 0.8, 0.9, 1.0)]
        >>> [len(part) for part in split(atoms, 0.25, seed=0)]
        [3, 1]
    """
    if not 0 < share < 1:
        raise ValueError(f"validate: expected a share between 0 and 1, or structures, got {share}")
    order = np.random.default_rng(seed).permutation(len(structures)).tolist()
    held: set[int] = set()
    wanted = max(1, round(share * len(structures)))
    for k in order:  # atoms alone say what E0 is
        if len(held) < wanted and len(structures[k].species) > 1:
            held.add(k)
    if not held or len(held) == len(structures):
        raise ValueError(f"validate: expected two structures or more to hold a share of {share} out, got {len(order)}")
    kept = [k for k in range(len(structures)) if k not in held]
    return data.Subset(structures, kept), data.Subset(structures, sorted(held))


def for_structures(structures: Sequence[graphs.Structure], cutoff: float = 5.0, **fields: Any) -> Potential:
    """A model for structures: their species, `atomic_energies` and `statistics`, other fields as given.

    Where energies of isolated atoms are known, give them as `atomic_energies`, in the order of the atomic numbers, or
    have structures of each atom alone; with `exact_alone` too the model is held to them.

    Warns:
        UserWarning: Those of `atomic_energies`, unless these are given, and of `statistics`.

    Examples:
        >>> for_structures(data.acetylacetone().train[:8], cutoff=4.0, channels=8).species
        (1, 6, 8)
    """
    return of_training_set(training_set.survey(structures, cutoff, held=0), fields)


def of_training_set(found: training_set.Survey, fields: dict[str, Any]) -> Potential:
    """`for_structures` of structures that were read before."""
    given: dict[str, Any] = {"species": found.species}
    if "atomic_energies" not in fields:
        given["atomic_energies"] = tuple(training_set.energies_of_atoms(found).values())
    return Potential(**(given | {"cutoff": found.cutoff} | training_set.units(found) | fields))


def _kept(structures, found, max_force):
    """Structures that have a label, and none of a force beyond the largest one."""
    labeled = found.labeled()
    if not labeled.any():
        raise ValueError(
            "structures: expected some with an energy, forces or a stress, got none; name the labels as "
            "data.open_structures takes them: energy=..., forces=..., stress=..."
        )
    wild = np.nan_to_num(found.peaks) > (np.inf if max_force is None else max_force)
    for reason, left in (("have no label", ~labeled), (f"have forces above {max_force} eV/Å", wild)):
        if left.any():
            named = training_set.names(np.flatnonzero(left), found.where)
            warnings.warn(f"{named} {reason} and are left out", UserWarning, stacklevel=3)
    keep = np.flatnonzero(labeled & ~wild)
    if len(keep) == len(labeled):
        return structures, found
    if not len(keep):
        raise ValueError(f"max_force: expected one that leaves structures to train on, got {max_force} eV/Å")
    rows = {name: getattr(found, name)[keep] for name in ("sizes", "counts", "energies", "forces", "peaks", "stresses")}
    held = None if found.held is None else [found.held[k] for k in keep]
    subset = data.Subset(structures, keep.tolist())
    return subset, found._replace(**rows, held=held, where=subset.where)


def _optimizer(optimizer, steps, rate, factor) -> optax.GradientTransformation:
    """One of optax, by name or as it is."""
    if not isinstance(optimizer, str):
        return optimizer
    if optimizer == "muon":
        rate = 0.02 * factor if rate is None else rate
        found = training.optimizer(steps, muon=rate, adam=rate / 2)
    elif optimizer == "adam":
        rate = 0.003 * factor if rate is None else rate
        schedule = rate
        if steps is not None:
            schedule = optax.warmup_cosine_decay_schedule(0.0, rate, min(200, steps // 10), steps, rate * 1e-3)
        found = training.stacked(optax.adam(schedule))
    else:
        raise ValueError(f"optimizer: expected 'muon', 'adam' or one of optax, got {optimizer!r}")
    return found if steps is not None else optax.chain(found, training.scale_by_progress())


def _validation(model: EnergyModel, test: Samples) -> Callable[[PyTree], dict[str, float]]:
    """The function params -> errors of what is labeled."""
    predicted = jax.jit(lambda params, graph: predict(model, params, graph))

    def errors(params: PyTree) -> dict[str, float]:
        found = evaluate(predicted, params, test)
        named = {name: getattr(found, name) for name in ("force_rmse", "energy_rmse", "stress_rmse")}
        return {name: error for name, error in named.items() if np.isfinite(error)}

    return errors
