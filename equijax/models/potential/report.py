"""What a trained potential is worth: errors in a table and in pictures, and the verdict on its symmetry."""

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import PyTree

from equijax import data, graphs
from equijax.checks import Report as Check
from equijax.models.potential.energy_model import EnergyModel
from equijax.models.potential.evaluate import Errors, evaluate
from equijax.models.potential.predict import equivariance, predict
from equijax.models.potential.samples import samples
from equijax.models.potential.training_set import HELD
from equijax.training import Record, files

FIGURES = {
    "energy_rmse": ("energy", "meV"),
    "energy_per_atom_rmse": ("energy", "meV/atom"),
    "force_rmse": ("forces", "meV/Å"),
    "stress_rmse": ("stress", "meV/Å³"),
}
MOST_ATOMS = 60  # of a structure whose symmetry is looked at


class Report(NamedTuple):
    """What `report` finds."""

    errors: dict[str, Errors]
    """By set."""
    kinds: dict[str, list[str]]
    """The config_type of each structure of a set."""
    check: Check | None
    history: list[Record]


def report(
    model: EnergyModel,
    params: PyTree,
    sets: Mapping[str, Sequence[graphs.Structure]],
    history: Sequence[Record] = (),
    batch_size: int = 5,
) -> Report:
    """Errors on sets of structures, and the verdict on the symmetry of the model.

    Args:
        model: The potential.
        params: Its parameters.
        sets: Structures by what they are called.
        history: Of the run, for the learning curve.
        batch_size: Structures in a batch, on average.
    """
    predicted = jax.jit(lambda params, graph: predict(model, params, graph))
    errors, kinds = {}, {}
    for name, structures in sets.items():
        errors[name] = evaluate(predicted, params, samples(model, structures, batch_size, held=HELD))
        kinds[name] = [s.kind for s in structures]
    return Report(errors, kinds, symmetry(model, params, list(sets.values())), list(history))


def symmetry(model: EnergyModel, params: PyTree, sets: Sequence[Sequence[graphs.Structure]]) -> Check | None:
    """`equivariance` at the first structure of three atoms or more that has neighbors, taken out of its cell.

    None if there is none: of one or two atoms, symmetry says little.
    """
    for structures in sets:
        for k in range(min(len(structures), 100)):
            structure = graphs.checked(structures[k])
            atoms = len(structure.species)
            if 3 <= atoms <= MOST_ATOMS:
                alone = structure._replace(cell=None, pbc=(False, False, False))
                if len(graphs.from_structure(alone, model.cutoff).senders) >= atoms:
                    return equivariance(model, params, alone)
    return None


def summary(found: Report) -> dict[str, Any]:
    """The figures of a report, as JSON has them."""
    figures = {
        name: {figure: value for figure, value in errors._asdict().items() if isinstance(value, float)}
        for name, errors in found.errors.items()
    }
    figures = {name: {k: v for k, v in row.items() if np.isfinite(v)} for name, row in figures.items()}
    by_element = {name: dict(by_species(errors)) for name, errors in found.errors.items()}
    verdict = None if found.check is None else {"verdict": found.check.verdict, "error": found.check.error}
    worst = {
        name: [{"structure": int(k), "force_rmse": float(e)} for k, e in by_structure(errors)[:10]]
        for name, errors in found.errors.items()
    }
    return {"errors": figures, "force_rmse_by_element": by_element, "worst": worst, "equivariance": verdict}


def text(found: Report) -> str:
    """A report in some lines, for a terminal."""
    lines = []
    if found.errors:
        lines.append(f"{'RMSE':16}" + "".join(f"{f'{what}, {unit}':>20}" for what, unit in FIGURES.values()))
        for name, errors in found.errors.items():
            row = [getattr(errors, figure) for figure in FIGURES]
            lines.append(f"{name:16}" + "".join(f"{x:20.1f}" if np.isfinite(x) else f"{'-':>20}" for x in row))
    if found.check is None:
        lines.append("equivariance: not looked at, there is no structure of three neighbors or more")
    else:
        lines.append(f"equivariance: {found.check.verdict}, largest relative error {found.check.error:.0e}")
    return "\n".join(lines)


def write(folder: Path, found: Report) -> None:
    """report.json, and report.png where Matplotlib is installed, each all at once."""
    files.replace(folder / "report.json", json.dumps(summary(found), indent=1) + "\n")
    if found.errors:
        try:
            drawn = picture(found)
        except ImportError:
            print("No picture: pip install 'equijax[plot]'")
        else:
            files.replace(folder / "report.png", drawn)


def by_species(errors: Errors) -> list[tuple[int, float]]:
    """Atomic numbers, and the RMSE of forces on their atoms in meV/Å."""
    off = 1e3 * (errors.forces[:, 0] - errors.forces[:, 1])
    return [(int(z), _rms(off[errors.force_species == z])) for z in np.unique(errors.force_species)]


def by_structure(errors: Errors) -> list[tuple[int, float]]:
    """Structures, and the RMSE of forces on their atoms in meV/Å, the worst first."""
    off = 1e3 * (errors.forces[:, 0] - errors.forces[:, 1])
    found = [(int(k), _rms(off[errors.force_of == k])) for k in np.unique(errors.force_of)]
    return sorted(found, key=lambda pair: -pair[1])


def by_magnitude(errors: Errors, bins: int = 12) -> list[tuple[float, float]]:
    """Magnitudes of the true force in eV/Å, geometric means of bins, and the RMSE of the forces there in meV/Å."""
    true = np.linalg.norm(errors.forces[:, 1].reshape(-1, 3), axis=1)
    off = 1e3 * (errors.forces[:, 0] - errors.forces[:, 1]).reshape(-1, 3)
    off, true = off[true > 0], true[true > 0]
    if not len(true):
        return []
    edges = np.geomspace(true.min(), true.max() * (1 + 1e-9), bins + 1)
    of = np.clip(np.searchsorted(edges, true, side="right") - 1, 0, bins - 1)
    return [(float(np.sqrt(edges[k] * edges[k + 1])), _rms(off[of == k])) for k in range(bins) if (of == k).any()]


def picture(found: Report) -> bytes:
    """Six pictures as PNG: parity of forces and energies, the learning curve, and where the errors of forces are.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(13, 8), layout="constrained")
    parity, energy, learning, element, magnitude, structure = axes.ravel()
    for name, errors in found.errors.items():
        style = {"ms": 2, "rasterized": True}
        label = f"{name}: {errors.force_rmse:.1f} meV/Å"
        parity.plot(errors.forces[:, 1], errors.forces[:, 0], ".", label=label, **style)
        low = errors.energies[:, 1].min() if len(errors.energies) else 0.0
        label = f"{name}: {errors.energy_per_atom_rmse:.2f} meV/atom"
        energy.plot(errors.energies[:, 1] - low, errors.energies[:, 0] - low, ".", label=label)
        species = by_species(errors)
        element.plot(range(len(species)), [e for _, e in species], "o", label=name)
        element.set_xticks(range(len(species)), [f"{z}" for z, _ in species])
        if found_at := by_magnitude(errors):
            magnitude.loglog(*zip(*found_at, strict=True), ".-", label=name)
        ranked = by_structure(errors)
        kinds = found.kinds[name]
        for kind in sorted(set(kinds)):
            of = [(i, e) for i, (k, e) in enumerate(ranked) if kinds[k] == kind]
            if of:
                structure.semilogy(*zip(*of, strict=True), ".", label=f"{name} {kind}".strip())
    for axis, what, unit in ((parity, "force", "eV/Å"), (energy, "energy", "eV")):
        axis.axline((0, 0), slope=1, color="gray", lw=0.8, zorder=0)
        axis.set(xlabel=f"{what}, reference ({unit})", ylabel=f"{what}, model ({unit})")
    for name in sorted({name for record in found.history for name in record.validation}):
        rows = [(record.step, record.validation[name]) for record in found.history if name in record.validation]
        learning.semilogy(*zip(*rows, strict=True), ".-", label=name)
    learning.set(xlabel="step", ylabel="validation (meV, meV/Å, meV/Å³)")
    element.set(xlabel="atomic number", ylabel="force RMSE (meV/Å)")
    element.margins(0.1)
    magnitude.set(xlabel="force (eV/Å)", ylabel="force RMSE (meV/Å)")
    structure.set(xlabel="structures, the worst first", ylabel="force RMSE (meV/Å)")
    for axis in axes.ravel():
        if axis.get_legend_handles_labels()[0]:
            axis.legend(frameon=False)
    file = io.BytesIO()
    figure.savefig(file, dpi=110, format="png")
    plt.close(figure)
    return file.getvalue()


def opened(path: str | Path, labels: Mapping[str, Any]) -> data.Structures:
    """The structures of a file, with options of labels as a TOML file has them, "none" for None."""
    named: dict[str, Any] = {name: None if value == "none" else value for name, value in labels.items()}
    return data.open_structures(path, **named)


def _rms(x):
    return float(np.sqrt(np.mean(x**2)))
