"""Makes `acetylacetone_gfn2.npz`: molecular dynamics of acetylacetone with GFN2-xTB energies and forces.

    pip install -e '.[labels]'
    OMP_NUM_THREADS=1 python -m equijax.data.molecules.generate_acetylacetone --work DIR

Three independent Langevin trajectories (other seeds, other starting momenta) of the enol form, C5H8O2, in vacuum. Every
snapshot is kept in DIR, and every second becomes a frame, labeled by a fresh calculation of tight accuracy, so that no
label depends on the path. Some twenty minutes on one core; a killed run goes on from its last chunk.

References:
    Bannwarth, Ehlert and Grimme 2019, doi:10.1021/acs.jctc.8b01176 (GFN2-xTB).
"""

import argparse
import hashlib
import json
import os
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ase import Atoms, units
from ase.constraints import FixInternals
from ase.md.langevin import Langevin
from ase.optimize import BFGS
from tblite.ase import TBLite

# The order of atoms of the published DFT set (arXiv:2205.06643), so that one model reads both; planar, in Å.
SYMBOLS = "C3OCOCH8"
START = [
    [-1.20, 0.17, 0.00],  # C–OH
    [0.00, 0.82, 0.00],  # CH
    [1.24, 0.08, 0.00],  # C=O
    [1.27, -1.16, 0.00],
    [2.51, 0.89, 0.00],  # CH3 beside C=O
    [-1.29, -1.14, 0.00],
    [-2.50, 0.90, 0.00],  # CH3 beside C–OH
    [0.04, 1.89, 0.00],
    [3.37, 0.24, 0.00],
    [2.53, 1.53, 0.88],
    [2.53, 1.53, -0.88],
    [-0.36, -1.51, 0.00],  # the hydrogen bond
    [-3.32, 0.18, 0.00],
    [-2.58, 1.54, 0.88],
    [-2.58, 1.54, -0.88],
]
TORSION = [0, 1, 2, 3]  # C=C–C=O
METHYLS = [[1, 2, 4, 8], [1, 0, 6, 12]]
PROTON, OXYGENS = 11, [5, 3]

TRAJECTORIES = {"train_300K": (300, 1, 500), "test_300K": (300, 2, 250), "test_600K": (600, 3, 250)}  # K, seed, frames
TIME_STEP = 0.5  # fs
FRICTION = 0.02  # 1/fs
SNAPSHOT = 100  # steps from one snapshot to the next: 50 fs
STRIDE = 2  # snapshots from one frame to the next: 100 fs
EQUILIBRATION = 50  # snapshots left out at the start: 2.5 ps
CHUNK = 50  # snapshots a file

ANGLES = np.arange(1.0, 180.0, 4.0)  # degrees, as in the published scan
MULTIPLICITIES = {"H": 2, "C": 3, "O": 3}
# forces repeat within 1e-5 eV/Å at this accuracy
LABELS: dict[str, str | float] = {"method": "GFN2-xTB", "accuracy": 0.01, "verbosity": 0}
PROPAGATION = LABELS | {"accuracy": 1.0}  # only has to sample


def relaxed() -> Atoms:
    """The enol form at the minimum of GFN2-xTB."""
    atoms = Atoms(SYMBOLS, START, calculator=TBLite(**LABELS))
    BFGS(atoms, logfile=None).run(fmax=1e-3)
    return atoms


def trajectory(start: Atoms, temperature: float, seed: int, frames: int, work: Path) -> tuple[np.ndarray, np.ndarray]:
    """Positions (snapshots, 15, 3), about their center of mass, and energies (snapshots,) after equilibration.

    Chunk k of the random numbers has the seed (seed, k), so a run that was killed gives the same frames as one that
    was not.
    """
    snapshots = EQUILIBRATION + frames * STRIDE
    masses = start.get_masses()[:, None]
    noise = np.random.default_rng(seed).standard_normal((len(start), 3))
    state = start.positions, noise * np.sqrt(masses * units.kB * temperature)
    pieces = []
    for k in range(-(-snapshots // CHUNK)):
        path = work / f"{k:03d}.npz"
        if not path.exists():
            piece = _propagate(start, *state, temperature, np.random.default_rng([seed, k]))
            temporary = path.with_suffix(".tmp.npz")
            np.savez(temporary, **piece)
            os.replace(temporary, path)
            print(path, f"mean energy {piece['energies'].mean():.4f} eV", flush=True)
        with np.load(path) as file:
            pieces.append(dict(file))
        state = pieces[-1]["positions"][-1], pieces[-1]["momenta"]
    positions, energies = (np.concatenate([p[key] for p in pieces]) for key in ("positions", "energies"))
    centers = np.sum(masses * positions, axis=1, keepdims=True) / masses.sum()
    return (positions - centers)[EQUILIBRATION:snapshots], energies[EQUILIBRATION:snapshots]


def _propagate(start, positions, momenta, temperature, rng):
    atoms = Atoms(start.symbols, positions, momenta=momenta, calculator=TBLite(**PROPAGATION))
    settings = {"temperature_K": temperature, "friction": FRICTION / units.fs, "rng": rng, "fixcm": False}
    dynamics = Langevin(atoms, TIME_STEP * units.fs, **settings)
    snapshots = []
    for _ in range(CHUNK):
        dynamics.run(SNAPSHOT)
        snapshots.append((atoms.get_positions(), atoms.get_potential_energy()))
    positions, energies = zip(*snapshots, strict=True)
    return {"positions": np.array(positions), "energies": np.array(energies), "momenta": atoms.get_momenta()}


def label(positions: np.ndarray, symbols=SYMBOLS, **settings) -> tuple[np.ndarray, np.ndarray]:
    """Energies (frames,) in eV and forces (frames, atoms, 3) in eV/Å, each frame by a calculation from scratch."""
    energies, forces = [], []
    for x in positions:
        atoms = Atoms(symbols, x, calculator=TBLite(**LABELS, **settings))
        energies.append(atoms.get_potential_energy())
        forces.append(atoms.get_forces())
    return np.array(energies), np.array(forces)


def scan(start: Atoms) -> np.ndarray:
    """Positions (angles, 15, 3), all but the torsion C=C–C=O relaxed; the next angle starts from the last."""
    atoms, positions = start.copy(), []
    moving = [3, 4, 8, 9, 10]  # the acetyl group, which turns about the bond from atom 1 to atom 2
    for angle in ANGLES:
        atoms.set_constraint()
        atoms.set_dihedral(*TORSION, angle, indices=moving)
        atoms.set_constraint(FixInternals(dihedrals_deg=[[angle, TORSION]]))
        atoms.calc = TBLite(**LABELS)
        BFGS(atoms, logfile=None).run(fmax=0.005, steps=500)
        positions.append(atoms.get_positions() - atoms.get_center_of_mass())
    return np.array(positions)


def correlations(positions: np.ndarray, energies: np.ndarray) -> dict[str, float]:
    """Correlation of neighboring frames, Re⟨a(t) a*(t + Δt)⟩ / ⟨‖a‖²⟩, of some observables a with their mean taken off.

    The torsions of the methyl groups have three equal minima. The proton hops between the two oxygen atoms, which makes
    the mirror image of the molecule with other names of its atoms.
    """
    to_oxygens = np.linalg.norm(positions[:, [PROTON]] - positions[:, OXYGENS], axis=-1)
    series = {
        "energy": energies,
        "torsion": torsions(positions, TORSION),
        "methyl 1": np.exp(3j * torsions(positions, METHYLS[0])),
        "methyl 2": np.exp(3j * torsions(positions, METHYLS[1])),
        "proton": to_oxygens[:, 0] - to_oxygens[:, 1],
        "proton, unsigned": np.abs(to_oxygens[:, 0] - to_oxygens[:, 1]),
    }
    centered = {name: a - a.mean() for name, a in series.items()}
    return {
        name: round(float(np.mean((a[STRIDE:] * a[:-STRIDE].conj()).real) / np.mean(np.abs(a) ** 2)), 3)
        for name, a in centered.items()
    }


def torsions(positions: np.ndarray, indices) -> np.ndarray:
    """Torsion angles in radians, shape (frames,)."""
    a, b, c, d = np.moveaxis(positions[:, indices], 1, 0)
    axis = c - b
    m, n = np.cross(b - a, axis), np.cross(axis, d - c)
    return np.arctan2(np.sum(np.cross(m, n) * axis, -1) / np.linalg.norm(axis, axis=-1), np.sum(m * n, -1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--work", type=Path, required=True, help="folder of the chunks, to go on from")
    parser.add_argument("--output", type=Path, default=Path(__file__).with_name("acetylacetone_gfn2.npz"))
    arguments = parser.parse_args()

    start = relaxed()
    arrays, measured = {"species": start.numbers}, {}
    for name, (temperature, seed, frames) in TRAJECTORIES.items():
        folder = arguments.work / name
        folder.mkdir(parents=True, exist_ok=True)
        positions, energies = trajectory(start, temperature, seed, frames, folder)
        measured[name] = correlations(positions, energies)
        print(name, "correlation of neighboring frames:", measured[name], flush=True)
        arrays[f"{name}/positions"] = positions[STRIDE - 1 :: STRIDE]
    arrays["dihedral/positions"], arrays["dihedral/angles"] = scan(start), ANGLES
    for name in [*TRAJECTORIES, "dihedral"]:
        arrays[f"{name}/energies"], arrays[f"{name}/forces"] = label(arrays[f"{name}/positions"])
    atoms = [label(np.zeros((1, 1, 3)), s, multiplicity=m)[0][0] for s, m in MULTIPLICITIES.items()]
    arrays["atoms/species"], arrays["atoms/energies"] = Atoms(list(MULTIPLICITIES)).numbers, np.array(atoms)
    metadata = {
        "labels": LABELS,
        "versions": {package: version(package) for package in ("tblite", "ase", "numpy")},
        "time step, fs": TIME_STEP,
        "friction, 1/fs": FRICTION,
        "between frames, fs": TIME_STEP * SNAPSHOT * STRIDE,
        "correlation of neighboring frames": measured,
    }
    arrays["metadata"] = np.array(json.dumps(metadata))
    np.savez_compressed(arguments.output, **arrays)
    data = arguments.output.read_bytes()
    print(f"{arguments.output}: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
