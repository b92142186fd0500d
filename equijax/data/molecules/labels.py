"""From atoms of ASE to structures with labels: under which names programs write them, in which units and signs."""

import dataclasses
import warnings
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np

from equijax.graphs import Structure

ISOLATED = "IsolatedAtom"  # a config_type by which files tell the energies of isolated atoms
AUTO = "auto"
NAMES = {  # in the order in which they are taken; with REF_ or dft_ in front a label is meant to be learned from
    "energy": (
        *("REF_energy", "ref_energy", "dft_energy", "DFT_energy", "energy_dft", "energy", "Energy", "total_energy"),
        *("TotEnergy", "corrected_total_energy", "free_energy"),
    ),
    "forces": (
        *("REF_forces", "ref_forces", "REF_force", "dft_forces", "DFT_forces", "dft_force", "forces_dft", "forces"),
        *("force", "Forces", "gradient"),
    ),
    "stress": (
        *("REF_stress", "ref_stress", "dft_stress", "DFT_stress", "stress", "Stress"),
        *("REF_virials", "REF_virial", "ref_virial", "dft_virials", "dft_virial", "virials", "virial", "Virial"),
    ),
}
CHARGES = ("charge", "total_charge", "Charge")  # that matter where they are not 0
SPINS = ("spin", "total_spin", "multiplicity", "spin_multiplicity")  # ... neither 0 nor 1
WEIGHTS = ("config_weight", "weight")
HARTREE, BOHR = 27.211386245988, 0.529177210903  # CODATA 2018, in eV and Å
ENERGIES = {
    "eV": 1.0, "meV": 1e-3, "Ha": HARTREE, "Ry": HARTREE / 2, "kcal/mol": 0.0433641043, "kJ/mol": 0.0103642697,
}  # fmt: skip
LENGTHS = {"Å": 1.0, "A": 1.0, "bohr": BOHR}
PRESSURES = {
    "eV/Å³": 1.0,
    "eV/A3": 1.0,
    "GPa": 1 / 160.21766208,
    "kbar": 0.1 / 160.21766208,
    "Ha/bohr³": HARTREE / BOHR**3,
}


@runtime_checkable
class Atoms(Protocol):
    """What is read of an `ase.Atoms`; ASE itself is imported where a file is opened."""

    numbers: np.ndarray
    positions: np.ndarray
    pbc: np.ndarray
    arrays: dict[str, np.ndarray]
    info: dict[str, object]
    calc: Any
    cell: Any

    def __len__(self) -> int: ...

    def get_volume(self) -> float:
        """In Å³."""


@dataclasses.dataclass(frozen=True)
class Labeling:
    """Where labels are, and what they are in."""

    energy: str | None = AUTO
    forces: str | None = AUTO
    stress: str | None = AUTO
    energy_unit: str = "eV"
    force_unit: str = "eV/Å"
    stress_unit: str = "eV/Å³"
    weights: Mapping[str, float] = dataclasses.field(default_factory=dict)
    strict: bool = False
    """Whether a label that is missing is an error."""

    def __post_init__(self):
        _hold("energy_unit", self.energy_unit, ENERGIES)
        force_factor(self.force_unit)
        _hold("stress_unit", self.stress_unit.removeprefix("-"), PRESSURES)

    def chosen(self, where: str, frames: Iterable[Atoms]) -> "Labeling":
        """The same with names in the place of "auto": of each label the first one that frames have.

        Raises:
            ValueError: If there is no label at all, and some were looked for.
        """
        wanted = [kind for kind in NAMES if getattr(self, kind) == AUTO]
        if not wanted:
            return self
        there: dict[str, list[object]] = {}
        for atoms in frames:
            for name, value in available(atoms).items():
                there.setdefault(name, []).append(value)
        names = {kind: [name for name in NAMES[kind] if name in there] for kind in wanted}
        if len(wanted) == len(NAMES) and not any(names.values()):
            raise ValueError(
                f"{where}: no energy, forces or stress under a usual name, only {sorted(there)}; pass energy=NAME, "
                "forces=NAME, stress=NAME, and None for what is to be left out"
            )
        for kind, found in names.items():
            others = [name for name in found[1:] if "free" not in name and not _same(there[found[0]], there[name])]
            if others:
                warnings.warn(
                    f"{where}: the {kind} {found[0]!r} are taken, and not {', '.join(map(repr, others))}, which are "
                    f"other numbers; pass {kind}=NAME",
                    UserWarning,
                    stacklevel=4,
                )
        taken: dict[str, Any] = {kind: found[0] if found else None for kind, found in names.items()}
        return dataclasses.replace(self, **taken)

    def structure(self, where: str, atoms: Atoms) -> Structure:
        """A structure of ASE's atoms, with its labels in eV and Å.

        Raises:
            ValueError: If a number is not finite, a label has another shape or is missing where it must not be.
        """
        found, n = available(atoms), len(atoms)
        kind = str(found.get("config_type", ""))
        alone = kind == ISOLATED
        if alone and n != 1:
            raise ValueError(f"{where}: expected one atom where config_type={ISOLATED}, got {n}")
        if not np.isfinite(atoms.positions).all():
            atom = np.argwhere(~np.isfinite(atoms.positions))[0, 0]
            raise ValueError(f"{where}: position of atom {atom} is not finite; remove or repair the frame")
        missing = atoms.pbc & ~atoms.cell.array.any(axis=1)
        if missing.any() and not alone:
            raise ValueError(
                f"{where}: periodic along axis {np.argmax(missing)}, but there is no cell vector; add the Lattice, or "
                'write pbc="F F F"'
            )
        _say_what_is_ignored(where, found)
        periodic = atoms.pbc.any() and not alone
        energy = self._label(where, "energy", found, ())
        forces = None if alone else self._label(where, "forces", found, (n, 3))
        stress = None if alone else self._label(where, "stress", found, (3, 3))
        if energy is not None:
            energy = float(energy) * ENERGIES[self.energy_unit]
        if forces is not None:
            forces = forces * force_factor(self.force_unit) * (-1 if self.forces == "gradient" else 1)
        if stress is not None and not np.allclose(stress, stress.T, atol=1e-2 * np.abs(stress).max()):
            raise ValueError(f"{where}: stress {self.stress!r} expected as a symmetric tensor, got {stress.tolist()}")
        if stress is not None and "virial" in str(self.stress).lower():
            # in the unit of energies; there is no volume of what is not periodic
            stress = -stress * ENERGIES[self.energy_unit] / atoms.get_volume() if periodic else None
        elif stress is not None:
            sign = -1 if self.stress_unit.startswith("-") else 1
            stress = sign * stress * PRESSURES[self.stress_unit.removeprefix("-")]
        weight = float(next((found[name] for name in WEIGHTS if name in found), 1.0)) * self.weights.get(kind, 1.0)
        return Structure(
            species=atoms.numbers.astype(np.int32),
            positions=atoms.positions,
            cell=atoms.cell.array if periodic else None,
            pbc=tuple(atoms.pbc.tolist()) if periodic else (False, False, False),
            energy=energy,
            forces=forces,
            stress=stress,
            weight=weight,
            kind=kind,
        )

    def _label(self, where, kind, found, shape):
        name = getattr(self, kind)
        if name is None or name == AUTO:
            return None
        if name not in found:
            if not self.strict:
                return None
            others = sorted(set(found) - {"numbers", "positions"})
            raise ValueError(
                f"{where}: no {kind} named {name!r}, only {others}; pass {kind}=NAME, or None to read without"
            )
        value = np.asarray(found[name])
        if shape == (3, 3) and value.shape == (6,):  # Voigt order
            value = value[np.array([[0, 5, 4], [5, 1, 3], [4, 3, 2]])]
        elif shape == (3, 3) and value.shape == (9,):
            value = value.reshape(shape)
        if value.shape != shape or value.dtype.kind not in "if" or not np.isfinite(value).all():
            raise ValueError(
                f"{where}: {kind} {name!r} expected as finite numbers of shape {shape}, got {value.dtype} of shape "
                f"{value.shape}{_first_that_is_none(value)}; remove or repair the frame"
            )
        return value.astype(np.float64)


def from_ase(atoms: Atoms, **labels: Any) -> Structure:
    """A structure of an `ase.Atoms`, with the labels that its calculator, `info` and `arrays` hold.

    Args:
        atoms: The atoms.
        **labels: As for `open_structures`.

    Raises:
        ValueError: If a number is not finite, or a label has another shape.

    Examples:
        >>> import ase
        >>> atoms = ase.Atoms("H2", [[0, 0, 0], [0, 0, 0.74]], info={"REF_energy": -1.17})
        >>> round(from_ase(atoms, energy_unit="Ha").energy, 3)
        -31.837
    """
    labeling = Labeling(**labels)
    if any(name in available(atoms) for names in NAMES.values() for name in names):
        labeling = labeling.chosen("atoms", [atoms])
    return labeling.structure("atoms", atoms)


def available(atoms: Atoms) -> dict[str, Any]:
    """All that atoms hold by name: what a calculator has computed, of the frame, and by atom."""
    results = {} if atoms.calc is None else {k: v for k, v in atoms.calc.results.items() if v is not None}
    return atoms.arrays | atoms.info | results


def force_factor(unit: str) -> float:
    """A unit of forces, an energy over a length, in eV/Å."""
    energy, _, length = unit.rpartition("/")
    if energy not in ENERGIES or length not in LENGTHS:
        raise ValueError(
            f"force_unit: expected one of {', '.join(ENERGIES)} over one of {', '.join(LENGTHS)}, got {unit!r}"
        )
    return ENERGIES[energy] / LENGTHS[length]


def _hold(name, unit, table):
    """Raise a ValueError if a unit is not known."""
    if unit not in table:
        raise ValueError(f"{name}: expected one of {', '.join(table)}, got {unit!r}")


def _same(one, other):
    """Whether labels of frames are the same numbers, where both are arrays of one shape."""
    try:
        return len(one) == len(other) and all(np.allclose(a, b, atol=1e-6) for a, b in zip(one, other, strict=True))
    except (TypeError, ValueError):
        return False


def _say_what_is_ignored(where, found):
    path = where.rpartition(", frame")[0] or where
    for names, none, what in ((CHARGES, (0,), "total charges"), (SPINS, (0, 1), "spins")):
        if any(name in found and np.ndim(found[name]) == 0 and found[name] not in none for name in names):
            warnings.warn(f"{path}: {what} are not used: the potential does not know them", UserWarning, stacklevel=4)


def _first_that_is_none(value):
    """In words, the first number that is not finite."""
    wrong = value[~np.isfinite(value)] if value.dtype.kind == "f" else np.zeros(0)
    return f" with {wrong[0]}" if wrong.size else ""
