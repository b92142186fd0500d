"""What layers that are made of known representations are found to be made of."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups, reps
from equijax.measures import irreps_content
from equijax.symmetry import Symmetry

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)
PLANE, SPACE = RNG.standard_normal((40, 2)), RNG.standard_normal((40, 3))
MIXED = RNG.standard_normal((17, 17))  # of layers no basis is known


@functools.partial(jax.jit, static_argnums=(0, 1), static_argnames="highest")
def content(layer, group, data, **options):
    return irreps_content(layer, Symmetry(group, reps.Vector(), None), data, key=KEY, **options)


def waves(x):  # frequency 0 twice, 1 twice, 2 once; a dead unit and a copy count for nothing
    z, square = x[0] + 1j * x[1], jnp.sum(x**2)
    complex_ones = jnp.stack([z, z**2, z * square])
    known = jnp.concatenate([complex_ones.real, complex_ones.imag, jnp.stack([square, 1.0, 0.0, square])])
    return MIXED[:10, :10] @ known


@pytest.mark.parametrize(
    ("group", "wanted"),
    [
        (groups.SO(2), {0: 2, 1: 2, 2: 1}),
        (groups.O(2), {(0, 0): 2, (1, 1): 2, (1, 2): 1}),
        (groups.Cyclic(3), {0: 2, 1: 3}),  # frequencies 2 and −1 are one
        (groups.Dihedral(4), {(0, 0): 2, (1, 1): 2, (0, 2): 1, (1, 2): 1}),
    ],
    ids=str,
)
def test_waves_of_the_plane(x64, group, wanted):
    found = content(waves, group, PLANE, **({} if group.is_finite else {"highest": 2}))
    assert {rep.label: count for rep, count in found.multiplicities.items()} == wanted
    assert found.rank == 8
    np.testing.assert_allclose([found.residual, found.rest, found.fit, found.defect], 0, atol=1e-11)


@pytest.mark.parametrize(
    ("group", "wanted"),
    [
        (groups.SO(3), {"0e": 1, "1o": 2, "2e": 1}),
        (groups.O(3), {"0e": 1, "1o": 1, "1e": 1, "2e": 1}),
        (groups.Octahedral(), {"A1": 1, "E": 1, "T1": 2, "T2": 1}),
    ],
    ids=str,
)
def test_tensors_of_space(x64, group, wanted):
    def layer(x, spin):  # the last is an axial vector
        known = jnp.concatenate([x * (1 + x @ x), jnp.outer(x, x).ravel(), spin])
        return MIXED[:15, :15] @ known

    @jax.jit
    def found():
        acting = (reps.Vector(), reps.Vector(pseudo=True))
        options = {} if group.is_finite else {"highest": 2}
        data = SPACE, SPACE[::-1]
        return irreps_content(layer, Symmetry(group, acting, None), data, key=KEY, **options)

    result = found()
    named = {getattr(rep, "label", None) or str(rep)[8:-2]: count for rep, count in result.multiplicities.items()}
    assert named == wanted
    assert result.rank == 12
    np.testing.assert_allclose([result.residual, result.rest, result.fit, result.defect], 0, atol=1e-11)


def test_higher_degrees_are_left_over_and_broken_layers_are_seen(x64):
    found = content(waves, groups.SO(2), PLANE, highest=1)
    np.testing.assert_allclose(found.raw, [2, 2], atol=1e-11)
    np.testing.assert_allclose(found.rest, 2, atol=1e-11)
    third = content(lambda x: jnp.stack([x[0] ** 3 - 3 * x[0] * x[1] ** 2, 3 * x[0] ** 2 * x[1] - x[1] ** 3]),
                    groups.SO(2), PLANE, highest=1)  # fmt: skip
    np.testing.assert_allclose([*third.raw, third.rest], [0, 0, 2], atol=1e-11)  # frequency 3 does not look like 1
    half = content(
        lambda x: jnp.append(waves(x)[:8], x[0] ** 3), groups.SO(2), PLANE, highest=2
    )  # no frequency 3 in full
    bent = content(lambda x: jnp.tanh(MIXED[:8, :2] @ x), groups.SO(2), PLANE, highest=2)
    for one in (half, bent):
        assert one.fit > 0.02
        assert one.defect > 0.05
    assert bent.residual > 0.05


def test_float32_and_a_constant_layer():
    found = content(waves, groups.SO(2), PLANE.astype(np.float32), highest=2)
    np.testing.assert_allclose(found.raw, [2, 2, 1], atol=2e-3)
    found = content(lambda x: jnp.array([1.0, 2.0]), groups.Cyclic(4), PLANE)
    assert [*found.multiplicities.values()] == [1]
    assert found.rank == 1
    assert found.fit < 1e-2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: content(lambda x: jnp.tile(x, 60), groups.SO(2), PLANE[:20]),
            "20 samples times 4 turns are 80 rows for",
        ),
        (lambda: content(waves, groups.Cyclic(300), PLANE), "more than 120 are not enumerated"),
        (
            lambda: irreps_content(jnp.sum, Symmetry(groups.SE(2), reps.Position(), None), PLANE, key=KEY),
            "have no names",
        ),
        (lambda: content(waves, groups.SO(2), PLANE, highest=-1), "highest: expected an integer of at least 0"),
    ],
    ids=["few", "many", "unknown", "highest"],
)
def test_errors_name_the_argument(make, message):
    with pytest.raises(ValueError, match=message):
        make()
