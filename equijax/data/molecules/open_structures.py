"""Any file of structures, by its name."""

from collections.abc import Callable, Mapping
from pathlib import Path

from equijax.data.molecules.extended_xyz import ExtendedXYZ
from equijax.data.molecules.labels import AUTO, Labeling
from equijax.data.molecules.structures import Database, InMemory, Structures, Trajectory

KINDS: dict[str, Callable[[str | Path, Labeling], Structures]] = {
    ".xyz": ExtendedXYZ, ".extxyz": ExtendedXYZ, ".db": Database, ".json": Database, ".aselmdb": Database,
    ".traj": Trajectory,
}  # fmt: skip


def open_structures(
    path: str | Path,
    *,
    energy: str | None = AUTO,
    forces: str | None = AUTO,
    stress: str | None = AUTO,
    energy_unit: str = "eV",
    force_unit: str = "eV/Å",
    stress_unit: str = "eV/Å³",
    weights: Mapping[str, float] | None = None,
) -> Structures:
    """The structures of a file, read one by one when they are asked for.

    Extended XYZ (.xyz, .extxyz) is indexed by byte offsets in one pass, 8 bytes a frame; ASE databases (.db, .json,
    and .aselmdb, which is LMDB) and trajectories (.traj) have an index. Any other file is given to ASE, and is then in
    memory.

    Labels that a frame lacks are None. Names are those that programs use, of which the first one in a file is taken:
    REF_energy, dft_energy, energy, total_energy, free_energy and the like, and so for forces and stress. Stress is
    (∂E/∂ε)/volume, tensile positive, as ASE has it; what is called a virial is -(∂E/∂ε) in the unit of energies, as
    MACE and QUIP have it, and a gradient is minus a force. Six numbers are in Voigt's order, xx yy zz yz xz xy.

    Total charges and spins are not used, which a warning says where they are not those of a neutral closed shell. D and
    T are hydrogen. A frame that says config_type=IsolatedAtom is one atom, without cell, whose energy is E0.

    Args:
        path: The file.
        energy: Name of the energy; None to read without.
        forces: Name of the forces.
        stress: Name of the stress or the virial.
        energy_unit: eV, meV, Ha, Ry, kcal/mol or kJ/mol.
        force_unit: One of these over Å or bohr.
        stress_unit: eV/Å³, GPa, kbar or Ha/bohr³; with a minus sign in front where pressures are positive, as in VASP:
            "-kbar".
        weights: Of frames in a loss, by their config_type. A frame's own `config_weight` is multiplied with it.

    Returns:
        A sequence of `graphs.Structure` in eV and Å.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read, or has no labels under such names; frames say what is wrong with them when
            they are read.
        ImportError: If ASE is not installed, or what a database needs.

    Examples:
        >>> import tempfile
        >>> from ase.build import molecule
        >>> water = molecule("H2O")
        >>> water.info["dft_energy"] = -76.4
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     water.write(f"{folder}/water.xyz")
        ...     (frame,) = open_structures(f"{folder}/water.xyz", energy_unit="Ha")
        >>> round(frame.energy, 2), frame.forces
        (-2078.95, None)
    """
    labeling = Labeling(energy, forces, stress, energy_unit, force_unit, stress_unit, weights or {})
    return KINDS.get(Path(path).suffix.lower(), InMemory)(path, labeling)
