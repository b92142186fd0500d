"""Published weights: the reference numbers where they are at hand, pinned numbers of random weights where not."""

import io
import json
import os
from pathlib import Path

import jax
import numpy as np
import pytest

from equijax import graphs
from equijax.interop import nequix
from equijax.models import potential
from equijax.products import separate

DATA = Path(os.environ.get("EQUIJAX_DATA", "../shared/data")) / "nequix"
SHARED = {"atomic_numbers": [8, 1, 6], "mlp_init_scale": 4.0, "optimizer": "muon"}
SMALL = {  # headers of two models, shapes of their arrays
    "by_species": (
        {
            **SHARED, "hidden_irreps": "4x0e + 3x1o + 2x2e", "lmax": 2, "n_layers": 3, "cutoff": 3.0,
            "radial_basis_size": 4, "radial_mlp_size": 5, "radial_mlp_layers": 2, "radial_polynomial_p": 6.0,
            "index_weights": True, "layer_norm": False, "scale": 0.7, "shift": 0.2, "avg_n_neighbors": 9.0,
        },
        "3; 4 5; 5 5; 5 9; 3 3; 3 9; 3 3; 3 2; 3 3 9; 4 5; 5 5; 5 32; 4 4; 3 3; 2 2; 9 9; 12 3; 11 2; 3 4 9; 3 3 3;"
        "3 2 2; 4 5; 5 5; 5 9; 4 4; 3 3; 2 2; 9 4; 3 4 4; 4 1",
    ),
    "normalized": (
        {
            **SHARED, "hidden_irreps": "3x0e + 2x1o", "lmax": 3, "n_layers": 2, "cutoff": 2.5, "radial_basis_size": 8,
            "radial_mlp_size": 6, "radial_mlp_layers": 1, "radial_polynomial_p": 4.0, "index_weights": False,
            "layer_norm": True, "scale": 1.3, "shift": -0.4, "avg_n_neighbors": 5.0,
        },
        "3; 8 6; 6 6; 3 3; 3 5; 3 2; 3 5; 5; 2; 8 6; 6 5; 3 3; 2 2; 5 3; 3 3; 3; 3 1",
    ),
}  # fmt: skip
KNOWN = {  # energy, force on the last atom, stress on the first face: by nequix 0.4.5 in float64
    "by_species": [
        1.59841730075674, -0.2956338224891, 0.21217402851101, -0.62467665713898,
        0.03742333577717, 0.00603697622903, 0.00978177470316,
    ],
    "normalized": [
        0.34980180987624, -0.01191479657178, -0.16817126847436, 0.03209871838495,
        -0.00802479516971, -0.00782887039744, 0.00445908786526,
    ],
}  # fmt: skip
predict = jax.jit(potential.predict, static_argnums=0)


def as_dtype(tree, dtype):
    return jax.tree.map(lambda a: a.astype(dtype) if np.asarray(a).dtype.kind == "f" else a, tree)


def written(folder, name, header=None, keep=None):
    """A file of random weights, as the package writes it."""
    fields, shapes = SMALL[name]
    rng, arrays = np.random.default_rng(1), io.BytesIO()
    for shape in shapes.split(";"):
        np.save(arrays, rng.normal(size=tuple(map(int, shape.split()))).astype(np.float32))
    path = folder / f"{name}.nqx"
    path.write_bytes(json.dumps({**fields, **(header or {})}).encode() + b"\n" + arrays.getvalue()[:keep])
    return path


def crystal():
    rng = np.random.default_rng(0)
    cell = np.array([[3.1, 0.2, 0], [0.5, 3.3, 0.1], [0, 0.4, 3.2]])
    corners = np.array([[0, 0, 0], [1.5, 1.6, 0], [0, 1.5, 1.7], [1.6, 0, 1.5]])
    return graphs.Structure(np.array([6, 1, 8, 1]), corners + rng.uniform(-0.2, 0.2, (4, 3)), cell, (True,) * 3)


def numbers(model, params, graph):
    """Energy, force on the last atom, stress on the first face."""
    found = predict(model, as_dtype(params, np.float64), graph)
    energy = found.energies[0] + potential.baseline(model, crystal().species).sum()
    return np.array([energy, *found.forces[3], *found.stresses[0, 0]])


@pytest.mark.skipif(not (DATA / "reference.npz").exists(), reason="published weights are not at hand")
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-9), (np.float32, 2e-5)])
def test_the_reference(dtype, tolerance):
    reference = np.load(DATA / "reference.npz")
    model, params = nequix.load(DATA / "nequix-mp-1.nqx")
    names = sorted({key.split("/")[0] for key in reference})
    of = lambda name, key: reference[f"{name}/{key}"]  # noqa: E731
    structures = [
        graphs.Structure(*(of(name, key) for key in ("numbers", "positions", "cell")), tuple(of(name, "pbc").tolist()))
        for name in names
    ]
    with jax.enable_x64(dtype == np.float64):
        graph = graphs.batch(structures, model.cutoff)
        found = jax.tree.map(np.asarray, predict(model, as_dtype(params, dtype), as_dtype(graph, dtype)))
    assert found.forces.dtype == dtype
    for k, (name, structure) in enumerate(zip(names, structures, strict=True)):
        energy = found.energies[k] + potential.baseline(model, structure.species).sum()
        results = {"energy": energy, "forces": found.forces[graph.graph_of_node == k], "stress": found.stresses[k]}
        for key, result in results.items():
            wanted = of(name, key)
            scale = max(np.abs(wanted).max(), 1e-2)  # forces vanish where the symmetry of a crystal says so
            assert np.abs(result - wanted).max() <= tolerance * scale, (name, key)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("name", SMALL)
def test_random_weights(tmp_path, name):
    """As the package nequix has them, with weights by species and without, normalization and without, other sizes."""
    model, params = nequix.load(written(tmp_path, name))
    found = numbers(model, params, graphs.batch([crystal()], model.cutoff))
    np.testing.assert_allclose(found, KNOWN[name], rtol=1e-9, atol=1e-13)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("fault", [None, "order of paths", "norm of couplings", "senders", "sign of edges"])
def test_mistakes_that_keep_the_symmetry_are_seen(tmp_path, monkeypatch, fault):
    """Of edges in one direction alone, so that it matters which end is which; the number is that of nequix, too."""
    model, params = nequix.load(written(tmp_path, "by_species"))
    graph, ways, table = graphs.from_structure(crystal(), model.cutoff), separate.separate_paths, separate.path_table
    up = graph.senders > graph.receivers
    one_way = {name: getattr(graph, name)[up] for name in ("senders", "receivers", "shifts", "vectors", "edge_mask")}
    graph = graph._replace(**one_way)
    if fault == "order of paths":
        monkeypatch.setattr(separate, "separate_paths", lambda *args: tuple(sorted(ways(*args))))
    elif fault == "norm of couplings":
        monkeypatch.setattr(separate, "path_table", lambda a, b, ends: table(a, b, ends) / (2 * ends[0] + 1) ** 0.5)
    elif fault == "senders":
        graph = graph._replace(senders=graph.receivers, receivers=graph.senders)
    elif fault == "sign of edges":
        graph = graph._replace(senders=graph.receivers, receivers=graph.senders, vectors=-graph.vectors)
    energy = jax.jit(lambda r: model.apply(as_dtype(params, np.float64), r, graph).sum())(graph.vectors)
    off = abs(energy + potential.baseline(model, crystal().species).sum() - 2.3554000836747138)
    assert off < 1e-12 if fault is None else off > 1e-5, off


def test_files_that_are_none(tmp_path):
    """Of another family, cut short, too long, not finite: each says what is wrong with it."""

    def message(name="by_species", **options):
        path = written(tmp_path, name, **options)
        with pytest.raises(ValueError, match=r"\.nqx: ") as error:
            nequix.load(path)
        return str(error.value).split(": ", 1)[1]

    assert message(header={"hidden_irreps": "4x0e + 3x1e"}).startswith("its header describes no model")
    assert message(header={"radial_mlp_layers": "two"}).startswith("its header describes no model")
    assert message(header={"radial_polynomial_p": 2.5}).startswith("its header describes no model")
    assert message(header={"lmax": 1}).startswith("expected messages_0/radial_2 of shape (5, 6), in finite")
    assert message(header={"layer_norm": True}).startswith("expected normalization_0/scale_0 of shape (9,)")
    assert message(keep=100).startswith("atom_energies at byte")
    assert message(keep=-40).startswith("readout/kernel_0 at byte")
    assert message(keep=-144).startswith("expected readout/kernel_0, an array of shape (4, 1), at byte")
    assert message(header={"n_layers": 2}).startswith("expected")
    path = written(tmp_path, "by_species")
    path.write_bytes(path.read_bytes() + b"more")
    with pytest.raises(ValueError, match="got more"):
        nequix.load(path)
    for other in (b"", b"\x80\x04pickle", b"[1, 2]\n", b'{"model": "mace"}\n'):
        path.write_bytes(other)
        with pytest.raises(ValueError, match="expected"):
            nequix.load(path)
    with pytest.raises(FileNotFoundError):
        nequix.load(tmp_path / "none.nqx")
