"""Repulsion of nuclei: the universal potential, its smooth end, as a part of a model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import graphs
from equijax.models import potential
from equijax.models.potential import Potential, repulsion

MODEL = Potential(
    species=(1, 29), atomic_energies=(0.0, 0.0), cutoff=3.0, channels=2, lmax=0, hidden_lmax=0, layers=1, order=2,
    probes=1, radial_features=4, radial_functions=2, mean_neighbors=5.0, scale=0.1,
)  # fmt: skip
RADII = (0.31, 1.32)


def test_the_universal_potential():
    """Numbers of the formula by hand: bare charges near, e^-3.2 of the screening length far; the same both ways."""
    assert float(repulsion.zbl(1.0, 29, 29)) == pytest.approx(135.0308, rel=1e-5)
    assert float(repulsion.zbl(0.011, 1, 1) * 0.011 / 14.399645) == pytest.approx(0.947, abs=0.001)
    assert float(repulsion.zbl(0.7, 1, 29)) == float(repulsion.zbl(0.7, 29, 1))
    assert float(repulsion.zbl(0.0, 1, 1)) == float(repulsion.zbl(0.01, 1, 1))  # atoms at one place: finite
    assert repulsion.covalent_radii((1, 29)) == RADII


@pytest.mark.usefixtures("x64")
def test_a_model_with_it_is_the_model_and_the_repulsion():
    """In a small crystal with images, both kinds of pairs; forces are derivatives; zero beyond the radii."""
    model, params = MODEL.clone(repulsion=RADII), potential.initialize(MODEL, jax.random.key(0))
    params = jax.tree.map(lambda a: np.asarray(a, np.float64), params)
    place = np.array([[0, 0, 0], [0.9, 0, 0], [0.1, 1.2, 0.3]])
    crystal = graphs.Structure([29, 1, 29], place, np.diag([2.0, 2.5, 3.0]), (True,) * 3)
    single = graphs.from_structure(crystal, 3.0)
    graph = graphs.concatenate([single], edges=len(single.senders) + 5)

    def difference(vectors):
        energies = (m.apply(params, vectors, graph) for m in (model, MODEL))
        with_it, without = (jnp.sum(e) for e in energies)
        return with_it - without, with_it

    (found, _), slope = jax.jit(jax.value_and_grad(difference, has_aux=True))(jnp.asarray(graph.vectors))
    z, radii = np.array([29, 1, 29]), np.array([1.32, 0.31, 1.32])
    wanted = 0.0
    for j, i, r in zip(single.senders, single.receivers, np.linalg.norm(single.vectors, axis=1), strict=True):
        u = r / (radii[i] + radii[j])
        smooth = 1 - 28 * u**6 + 48 * u**7 - 21 * u**8 if u < 1 else 0.0
        wanted += float(repulsion.zbl(r, z[i], z[j])) * smooth / 2
    assert wanted > 10
    assert float(found) == pytest.approx(wanted, rel=1e-9)
    far = np.linalg.norm(graph.vectors, axis=1) > 2 * 1.32
    assert far.sum() > 5
    np.testing.assert_allclose(np.asarray(slope)[far], 0, atol=1e-13)
    assert np.asarray(slope)[: len(single.senders)].any()


def test_radii_that_cannot_be_are_named():
    for radii, message in (
        ((0.3,), r"repulsion: expected a radius in Å for each of species \(1, 29\)"),
        ((0.3, 1.6), "repulsion: expected positive radii, at most half of the cutoff of 3.0 Å"),
        ((0.3, 0.0), "repulsion: expected positive radii"),
    ):
        with pytest.raises(ValueError, match=message):
            MODEL.clone(repulsion=radii)
