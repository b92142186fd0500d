"""The adjoint representation, the modular function and the Haar density of every kind of group."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups
from equijax.groups import SE, SL, SO, Affine, GLPlus, Lorentz, Similarity
from equijax.groups.quadrature import cube_points

GROUPS = [SO(4), Similarity(2), SL(3), Affine(2), Lorentz()]
NOT_UNIMODULAR = [Similarity(2), Affine(2)]

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}  # compiling is the cost


def distance(a, b):
    return jnp.max(jnp.stack([jnp.max(jnp.abs(x - y)) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True)]))


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def defects(group, a, b, c):
    g, h = group.from_coords(a), group.from_coords(b)
    gh, adjoint = group.compose(g, h), group.adjoint(g)
    moved = jnp.einsum("...ij,...j->...i", adjoint, c)

    def translated(x, y, left):
        """Coordinates of h g, or of g h: g moves, h stays."""
        g, h = group.from_coords(x), group.from_coords(y)
        product = group.compose(*jax.tree.map(lambda *pair: jnp.where(left, *pair), (h, g), (g, h)))
        there = group.coords(product)
        return there, there

    @jax.vmap
    def change_of_density(left):
        """log ρ(T(a)) + log ‖det DT(a)‖ − log ρ(a) for a translation T by h in the chart."""
        jacobian, there = jax.vmap(jax.jacfwd(translated, has_aux=True), (0, 0, None))(a, b, left)
        return group.log_haar_coords(there) + jnp.linalg.slogdet(jacobian)[1] - group.log_haar_coords(a)

    left, right = change_of_density(jnp.array([True, False]))
    return {
        "homomorphism": distance(group.adjoint(gh), adjoint @ group.adjoint(h)),
        "conjugation": distance(group.exp(moved), group.compose(group.compose(g, group.exp(c)), group.inverse(g))),
        "modular": distance(group.log_modular(g), -jnp.linalg.slogdet(adjoint)[1]),
        "left": distance(left, 0 * left),
        "right": distance(right, group.log_modular(h)),
    }, group.log_modular(g)


@pytest.mark.parametrize("group", GROUPS, ids=repr)
def test_adjoint_modular_function_and_haar_density(group, x64):
    a, b, c = (jnp.asarray(x) for x in np.random.default_rng(0).uniform(-0.6, 0.6, (3, 4, group.dim)))
    found, modular = defects(group, a, b, c)
    assert all(value < 1e-11 for value in found.values()), found
    assert (jnp.abs(modular).min() > 0.01) == (group in NOT_UNIMODULAR)


@pytest.mark.core
def test_densities_of_rotations_are_those_of_the_books(x64):
    omega = jnp.array([[0.0, 0, 0], [1.0, 0, 0], [0, -2.0, 1.0], [1e-9, 0, 0]])
    theta = np.maximum(np.linalg.norm(omega, axis=-1), 1e-4)
    np.testing.assert_allclose(SO(3).log_haar_coords(omega), np.log(2 * (1 - np.cos(theta)) / theta**2), atol=1e-8)


def test_discrete_groups_and_products(x64):
    group = groups.Product(groups.Dihedral(3), SE(2), groups.Permutation(3))
    elements, weights = group.nodes(72)
    adjoint = group.adjoint(elements)
    assert adjoint.shape == (len(weights), 3, 3)
    assert group.log_modular(elements).shape == weights.shape
    np.testing.assert_allclose(jnp.linalg.det(adjoint), 1)
    np.testing.assert_array_equal(groups.Cyclic(4).adjoint(groups.Cyclic(4).elements()), np.zeros((4, 0, 0)))


def bump(coords):
    return jnp.exp(-jnp.sum(coords**2, axis=-1) / (2 * 0.3**2))


@functools.partial(jax.jit, static_argnums=(0, 1, 2), compiler_options=QUICK)
def integrals(group, n, noncompact, h):
    """∫ F(g) dμ and ∫ F(h g) dμ for a bump F, and the same without the Haar density."""
    elements, weights = group.nodes(n)
    plain = weights / jnp.exp(group.log_haar_coords(group.coords(elements)))
    values = jnp.stack([bump(group.coords(g)[..., :noncompact]) for g in (elements, group.compose(h, elements))])
    return values @ weights, values @ plain


@pytest.mark.parametrize(("group", "noncompact"), [(SL(2), 2), (Lorentz(), 3)], ids=repr)
def test_weighted_nodes_integrate_invariantly_and_unweighted_ones_do_not(group, noncompact, x64):
    h = group.from_coords(jnp.zeros(group.dim).at[0].set(0.6))
    weighted, plain = integrals(group, 20_000, noncompact, h)
    np.testing.assert_allclose(weighted[1] / weighted[0], 1, atol=0.03)
    r = (np.arange(4000) + 0.5) / 1000  # ‖X‖, over which sinhc √2 r, or (sinhc r)², is the density
    density = np.sinh(2**0.5 * r) / 2**0.5 * 2 * np.pi if noncompact == 2 else 4 * np.pi * np.sinh(r) ** 2
    np.testing.assert_allclose(weighted[0], np.sum(density * np.exp(-(r**2) / 0.18)) / 1000, rtol=0.03)
    assert abs(plain[1] / plain[0] - 1) > 0.08


METHODS = ("auto", "quasi", "equispaced", "gauss", "stratified", "random")


@pytest.mark.parametrize("method", METHODS)
def test_methods_of_nodes_agree(method, x64):
    """∫ exp(−‖x‖² / 2 · 0.3²) dx over the plane times a moment of the rotation."""
    key = jax.random.key(0) if method in ("stratified", "random") else None
    elements, weights = SE(2).nodes(4096, key, method=method)
    found = weights @ (bump(elements.translation) * elements.linear[..., 0, 0] ** 2)
    np.testing.assert_allclose(found, 2 * np.pi * 0.3**2 / 2, rtol=0.15 if method == "random" else 0.03)
    moved = None if method == "gauss" else SE(2).nodes(64, jax.random.key(1), method=method)[0].translation
    assert moved is None or distance(moved, SE(2).nodes(64, jax.random.key(2), method=method)[0].translation) > 0.01


def test_nodes_by_method_of_composites(x64):
    elements, weights = GLPlus(2).nodes(50)
    assert len(jnp.unique(jnp.linalg.det(elements).round(8))) == len(weights) == 50  # no grid of scales
    mixed = groups.Product(groups.O(2), groups.Permutation(2))
    elements, weights = mixed.nodes(40, method="quasi")
    assert len(weights) == 40
    np.testing.assert_allclose(weights, 1 / 40)
    points, _ = cube_points("stratified", 40, 2, jax.random.key(0), jnp.float64)
    np.testing.assert_array_equal(jnp.sort((40 * points).astype(int), axis=0).T, [np.arange(40)] * 2)
    assert abs(np.corrcoef(points.T)[0, 1]) < 0.5  # each axis in an order of its own
    assert {x.dtype for x in jax.tree.leaves(Affine(2).nodes(20, dtype=jnp.bfloat16))} == {jnp.dtype(jnp.bfloat16)}


def test_effective_size():
    np.testing.assert_allclose(groups.effective_size(jnp.ones(7)), 7)
    np.testing.assert_allclose(groups.effective_size(jnp.array([1.0, 0, 0])), 1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "guass"}, "method: expected 'auto' or one of 'quasi', .*, got 'guass'"),
        ({"method": "random"}, "key: method='random' draws its nodes at random and needs a key"),
        ({"method": "gauss", "key": jax.random.key(0)}, "key: the nodes of method='gauss' do not move"),
    ],
)
def test_errors_name_the_method(options, message):
    with pytest.raises(ValueError, match=message):
        SL(2).nodes(8, **options)
