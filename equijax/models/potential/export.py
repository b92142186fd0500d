"""A potential as one file that runs with jax alone."""

import importlib.util
import io
import itertools
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from equijax import _validate, graphs
from equijax.models.potential import exported
from equijax.models.potential.energy_model import EnergyModel
from equijax.models.potential.predict import predict
from equijax.training import files

UNITS = {"energy": "eV", "forces": "eV/Å", "stress": "eV/Å³, tensile positive", "positions": "Å"}


def export(
    model: EnergyModel,
    params: PyTree,
    path: str | Path,
    sizes: Sequence[tuple[int, int]] | None = None,
    *,
    precision: str = "float32",
    platforms: Sequence[str] | None = None,
) -> Path:
    """Write energy, forces and stress of one structure as programs of `jax.export`, one for each size, in one file.

    The file is a zip of header.json (cut-off, units, species and their E0, sizes, precision, version of jax),
    params.npz, the programs, and exported.py, which runs them with jax, NumPy and flatbuffers, in which `jax.export`
    keeps programs: neither equijax nor flax is needed. It is written beside the path, and moved there when it is whole.

    Args:
        model: A `models.Potential`, or another model of energies.
        params: Its parameters.
        path: The file; one that is there is replaced.
        sizes: Atoms and edges that the programs have room for, smallest first; ten, a hundred and a thousand atoms with
            twice the model's mean number of neighbors unless given. A structure runs in the first that it fits in.
        precision: Of the programs, "float32" or "float64".
        platforms: Such as ("cpu", "cuda", "tpu"); the one that jax runs on unless given.

    Returns:
        The path.

    Raises:
        ValueError: If there are no sizes, they do not grow, or the precision is another one.
        OSError: If the file cannot be written; nothing is left of it then, and one that was there stays.
        ImportError: If flatbuffers is not installed.

    Examples:
        >>> import tempfile
        >>> from equijax.models import potential
        >>> model = potential.Potential(species=(1, 8), atomic_energies=(-13.6, -2041.0), channels=2, layers=1, lmax=1)
        >>> params = potential.initialize(model, jax.random.key(0))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     run = potential.exported.load(potential.export(model, params, f"{folder}/water.potential", [(4, 16)]))
        >>> found = run([8, 1, 1], [[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
        >>> found["forces"].shape, run.header["cutoff"], run.header["sizes"][0]["edges"]
        ((3, 3), 5.0, 16)
    """
    if importlib.util.find_spec("flatbuffers") is None:
        raise ImportError("programs are written with flatbuffers: pip install 'equijax[export]'")
    path = Path(path)
    if sizes is None:
        sizes = [(n, int(2 * getattr(model, "mean_neighbors", 40.0) * n) + 1) for n in (10, 100, 1000)]
    for atoms, edges in sizes:
        _validate.integer("sizes", atoms, 1)
        _validate.integer("sizes", edges, 1)
    if not sizes or any(a > c or b > d for (a, b), (c, d) in itertools.pairwise(sizes)):
        raise ValueError(f"sizes: expected pairs of atoms and edges that grow, got {sizes}")
    if precision not in ("float32", "float64"):
        raise ValueError(f"precision: expected 'float32' or 'float64', got {precision!r}")
    leaves, tree = jax.tree.flatten(params)
    leaves = [np.asarray(leaf, precision) for leaf in leaves]
    rungs: list[dict[str, Any]] = [
        {"nodes": atoms + 1, "edges": edges, "program": f"{k}.bin"} for k, (atoms, edges) in enumerate(sizes)
    ]
    header = {
        "format": exported.FORMAT,
        "version": exported.VERSION,
        "units": UNITS,
        "cutoff": model.cutoff,
        "species": list(model.species),
        "atomic_energies": list(model.atomic_energies),
        "precision": precision,
        "platforms": list(platforms or (jax.default_backend(),)),
        "jax": jax.__version__,
        "sizes": rungs,
    }
    whole, arrays = io.BytesIO(), io.BytesIO()
    np.savez(arrays, *leaves)
    with jax.enable_x64(precision == "float64"), zipfile.ZipFile(whole, "w") as file:
        file.writestr("header.json", json.dumps(header, indent=1, ensure_ascii=False))
        file.writestr("params.npz", arrays.getvalue())
        for size in rungs:
            program = _program(model, tree, leaves, size["nodes"], size["edges"], precision, header["platforms"])
            file.writestr(size["program"], program)
        file.writestr("exported.py", Path(exported.__file__).read_text(encoding="utf-8"))
    files.replace(path, whole.getvalue())
    return path


def _program(model, tree, leaves, nodes, edges, precision, platforms):
    """The serialized program of a size."""

    def f(leaves, species, senders, receivers, vectors, cell, pbc, atoms, count):
        graph = graphs.with_padding(
            species, jnp.arange(nodes) < atoms, cell, pbc, senders=senders, receivers=receivers,
            shifts=jnp.zeros((edges, 3), jnp.int32), vectors=vectors, edge_mask=jnp.arange(edges) < count,
        )  # fmt: skip
        found = predict(model, jax.tree.unflatten(tree, leaves), graph)
        return {"energy": found.energies[0], "forces": found.forces, "stress": found.stresses[0]}

    shapes = [
        ((nodes,), np.int32), ((edges,), np.int32), ((edges,), np.int32), ((edges, 3), precision), ((3, 3), precision),
        ((3,), bool), ((), np.int32), ((), np.int32),
    ]  # fmt: skip
    arguments = [jax.ShapeDtypeStruct(shape, np.dtype(dtype)) for shape, dtype in shapes]
    weights = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
    return bytes(jax.export.export(jax.jit(f), platforms=platforms)(weights, *arguments).serialize())
