"""U(n), SU(n), Sp(n) and O(p, q): structure, logarithms, Haar moments, Lorentz, complex representations."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups, reps
from equijax.groups import SO, SU, IndefiniteOrthogonal, Lorentz, Sp, U
from equijax.reps import ComplexTensor, Scalar, Vector, intertwiners

GROUPS = [U(1), U(2), SU(2), SU(3), Sp(1), Sp(2)]
I2 = np.eye(2)


def test_real_and_complex_forms(x64):
    rng = np.random.default_rng(0)
    a, b = jnp.asarray(rng.normal(size=(2, 3, 3)) + 1j * rng.normal(size=(2, 3, 3)))
    real = groups.real_form
    np.testing.assert_allclose(real(a @ b), real(a) @ real(b), atol=1e-13)
    np.testing.assert_allclose(groups.complex_form(real(a)), a, atol=1e-15)
    z = rng.normal(size=3) + 1j * rng.normal(size=3)
    moved = real(a) @ np.concatenate([z.real, z.imag])
    np.testing.assert_allclose(moved, np.concatenate([(a @ z).real, (a @ z).imag]), atol=1e-13)


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_structure_and_moments(group, x64):
    """E ‖tr A‖² = 1, as the vectors are irreducible; E tr² A = 1 for Sp(n), whose traces are real, 0 for U(n)."""
    elements, violation, of_other = jax.jit(samples, static_argnums=0)(group)
    assert violation.max() < 1e-12
    a = np.asarray(groups.complex_form(elements))
    size = group.complex_size
    np.testing.assert_allclose(a @ np.conj(a.swapaxes(1, 2)), np.broadcast_to(np.eye(size), a.shape), atol=1e-12)
    trace = np.trace(a, axis1=1, axis2=2)
    np.testing.assert_allclose(np.mean(np.abs(trace) ** 2), 1, atol=0.1)
    real = isinstance(group, Sp) or group == SU(2)
    np.testing.assert_allclose(np.mean(trace**2), 1 if real else 0, atol=0.1)
    if not isinstance(group, U):
        np.testing.assert_allclose(np.linalg.det(a), 1, atol=1e-12)
    if isinstance(group, Sp):
        n = group.n
        form = np.kron([[0.0, 1], [-1, 0]], np.eye(n))
        np.testing.assert_allclose(a.swapaxes(1, 2) @ form @ a, np.broadcast_to(form, a.shape), atol=1e-12)
    if group.size > 2:
        assert of_other > 0.1


def samples(group):
    elements, other = group.sample(jax.random.key(0), (4000,)), SO(group.size).sample(jax.random.key(1))
    return elements, group.violation(elements), group.violation(other)


@pytest.mark.parametrize("group", [U(2), SU(3), Sp(2)], ids=repr)
def test_logarithms_reach_every_element(group, x64):
    """Also where the principal logarithm has a trace, in SU(3), and at −1, where it is not unique."""
    g, back, derivative = jax.jit(logarithms, static_argnums=0)(group)
    np.testing.assert_allclose(back, g, atol=1e-12)
    np.testing.assert_allclose(derivative, np.broadcast_to(np.eye(group.dim), derivative.shape), atol=1e-11)


def logarithms(group):
    g = group.sample(jax.random.key(2), (50,))
    if group != SU(3):  # where −1 is no element
        g = jnp.concatenate([g, -group.identity((1,))])
    a = group.log(g)
    return g, group.exp(a), jax.vmap(jax.jacfwd(lambda b: group.log(group.exp(b))))(a[:4])


def test_determinants_of_another_sign_are_refused():
    turned = groups.real_form(jnp.diag(jnp.array([1j, 1.0])))
    assert U(2).violation(turned) < 1e-6
    with pytest.raises(ValueError, match=r"g: expected elements of SU\(2\), .* by 1.4e\+00"):
        SU(2).log(turned)
    with pytest.raises(ValueError, match=r"g: expected elements of Sp\(1\)"):
        Sp(1).log(turned)
    with pytest.raises(ValueError, match="n: expected an integer of at least 2, got 1"):
        SU(1)


def test_the_lorentz_group_is_a_component_of_o_1_3(x64):
    group, a = IndefiniteOrthogonal(1, 3), jnp.asarray(np.random.default_rng(0).normal(size=(10, 6)))

    @functools.partial(jax.jit, static_argnums=0)
    def charts(group, a, g):
        return group.exp(a), group.from_coords(a), group.log_haar_coords(a), group.log(g), group.coords(g)

    g = jax.jit(Lorentz().exp)(a / 2)
    for found, known in zip(charts(group, a, g), charts(Lorentz(), a, g), strict=True):
        np.testing.assert_allclose(found, known, rtol=1e-11, atol=1e-12)
    assert jnp.min(IndefiniteOrthogonal(3, 1).violation(g)) > 0.1  # of the other signature
    mirror = jnp.diag(jnp.array([1.0, 1, 1, -1]))
    assert group.violation(mirror) == 0
    with pytest.raises(ValueError, match=r"g: an element of IndefiniteOrthogonal\(1, 3\) outside of the component"):
        group.coords(mirror)
    with pytest.raises(ValueError, match="g: expected elements of IndefiniteOrthogonal"):
        group.coords(2 * mirror)


COUNTS = [  # group, source, target, number of real maps: complex invariants count twice
    (U(2), Vector(), Vector(), 2),  # ℂ
    (SU(2), Vector(), Vector(), 4),  # ℍ: SU(2) = Sp(1)
    (Sp(2), Vector(), Vector(), 4),
    (U(2), Scalar(), ComplexTensor(1, 1), 2),  # the Hermitian form
    (U(2), Scalar(), ComplexTensor(2), 0),
    (SU(2), Scalar(), ComplexTensor(2), 2),  # the area form
    (SU(3), Scalar(), ComplexTensor(3), 2),  # the volume form
    (Sp(2), Scalar(), ComplexTensor(2), 2),  # the symplectic form
    (SU(2), Scalar(), ComplexTensor(4), 4),  # Catalan numbers
    (SO(3), reps.Complex(Vector()), reps.Complex(Vector()), 4),
    (IndefiniteOrthogonal(2, 2), Scalar(), reps.Tensor(4), 3),
    (IndefiniteOrthogonal(2, 1), Scalar(), reps.Tensor(3), 0),
]


@pytest.mark.parametrize(("group", "source", "target", "count"), COUNTS, ids=str)
def test_numbers_of_maps(group, source, target, count):
    assert len(intertwiners(group, source, target)) == count


def test_complex_representations_are_representations(x64):
    g, h = U(2).sample(jax.random.key(0), (2,))
    for rep in (ComplexTensor(2, 1), ComplexTensor(1), reps.Complex(Vector())):
        rep.check(U(2))
        np.testing.assert_allclose(rep.matrix(g @ h), rep.matrix(g) @ rep.matrix(h), atol=1e-13)
        assert len(rep.matrix(g)) == rep.dim_of(U(2))
    np.testing.assert_allclose(ComplexTensor(1).matrix(g), Vector().matrix(g), atol=1e-15)
    with pytest.raises(ValueError, match=r"group: ComplexTensor\(1\) needs complex matrices, .* got SO\(2\)"):
        ComplexTensor(1).check(SO(2))
