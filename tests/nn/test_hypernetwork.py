"""Learned and declared actions on codes, and how far the former are from the latter."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups, measures, nn, reps

SO3 = groups.SO(3)


@pytest.fixture
def g(x64):
    return SO3.sample(jax.random.key(0), (6,))


def test_a_hypernetwork_is_linear_in_the_matrix_without_storing_one_for_each_code(g):
    z = jax.random.normal(jax.random.key(1), (6, 5))
    model = nn.HyperLinear()
    w = jax.random.normal(jax.random.key(2), (9, 5, 5))
    apply = jax.jit(lambda w, z: model.apply({"params": {"kernel": w}}, g, z))
    np.testing.assert_allclose(apply(w, z), np.einsum("nk,kij,nj->ni", g.reshape(6, 9), w, z), rtol=1e-10)
    np.testing.assert_array_equal(apply(w, 0 * z), 0)  # no bias anywhere
    identity = jnp.zeros((9, 5, 5)).at[jnp.array([0, 4, 8])].set(jnp.eye(5) / 3)
    at_one = jax.jit(model.apply)({"params": {"kernel": identity}}, SO3.identity((6,)), z)
    np.testing.assert_allclose(at_one, z, rtol=1e-12)
    slope = jax.jit(jax.grad(lambda w: jnp.sum(apply(w, z) ** 2)))(w)
    direction, step = np.random.default_rng(0).normal(size=w.shape), 1e-6
    finite = [np.sum(np.asarray(apply(w + s * step * direction, z)) ** 2) for s in (1, -1)]
    np.testing.assert_allclose((finite[0] - finite[1]) / (2 * step), np.sum(slope * direction), rtol=1e-6)
    # codes of unit variance stay so
    rows, size = 2000, 64
    many = SO3.sample(jax.random.key(4), (rows,)), jax.random.normal(jax.random.key(5), (rows, size))
    program = jax.jit(model.init_with_output).lower(jax.random.key(6), *many).compile()
    moved, params = program(jax.random.key(6), *many)
    assert params["params"]["kernel"].shape == (9, size, size)
    np.testing.assert_allclose(np.std(moved), 1, rtol=0.1)
    assert program.memory_analysis().temp_size_in_bytes < rows * size * size * 8


def test_groups_with_translations_are_seen_whole(x64):
    move = groups.AffineElement(np.array([[1.0, 2.0]]), np.eye(2)[None])
    model = nn.HyperLinear(groups.SE(2))
    z = jnp.ones((1, 3))
    moved, params = jax.jit(model.init_with_output)(jax.random.key(0), move, z)
    assert params["params"]["kernel"].shape == (6, 3, 3)
    still = model.apply(params, move._replace(translation=np.zeros((1, 2))), z)
    assert np.max(np.abs(moved - still)) > 0.1
    of_irreps = nn.HyperLinear(groups.O(3), reps.Irreps("1x1o+1x2e"))
    shapes = jax.eval_shape(of_irreps.init, jax.random.key(0), np.eye(3)[None], z)
    assert shapes["params"]["kernel"].shape == (64, 3, 3)


def test_a_declared_action_is_that_of_the_representation(g):
    z = jax.random.normal(jax.random.key(1), (6, 8))
    model = nn.BlockAction("2x0e+2x1o")
    assert model.init(jax.random.key(0), g, z) == {}
    moved = model.apply({}, g, z)
    np.testing.assert_allclose(moved[:, :2], z[:, :2], rtol=1e-12)
    rep = reps.Irreps("2x0e+2x1o")
    np.testing.assert_allclose(moved[3], rep.act(g[3], z[3]), rtol=1e-12)


def test_defects_are_zero_for_representations_and_known_for_what_is_none(g):
    key = jax.random.key(0)

    block = functools.partial(nn.BlockAction("1x0e+1x1o+1x2e").apply, {})
    right = lambda g, z: jnp.einsum("nji,nj->ni", g, z)  # noqa: E731  z moves by gᵀ: an action from the right

    @jax.jit
    def found():
        defects = functools.partial(measures.action_defects, group=SO3, key=key, samples=4)
        spectrum = functools.partial(measures.action_spectrum, group=SO3, key=key, samples=2)
        return (
            (defects(block, size=9), defects(right, size=3, reverse=True), spectrum(block, size=9)),
            (defects(right, size=3), defects(lambda g, z: 2 * z, size=4), spectrum(lambda g, z: 2 * z, size=4)),
        )

    (exact, reverse, moduli), (wrong, doubled, twice) = found()
    assert max(*exact, *reverse) < 1e-12
    np.testing.assert_allclose(moduli, 1, rtol=1e-9)
    assert wrong.homomorphism > 0.5
    np.testing.assert_allclose(doubled, [1, 3], rtol=1e-12)  # ‖2 − 4‖/2, ‖4 − 1‖
    np.testing.assert_allclose(twice, 2)


@pytest.mark.parametrize(
    ("model", "elements", "codes", "message"),
    [
        (nn.BlockAction("2x1o"), jnp.eye(3)[None], jnp.ones((1, 5)), "z: expected codes of size 6, that of Irreps"),
        (nn.BlockAction("1x1o"), jnp.eye(3)[None], jnp.ones((2, 3)), "z: expected one code for each element"),
        (nn.HyperLinear(), jnp.eye(2)[None], jnp.ones((1, 3)), r"g: expected elements of SO\(3\), shape"),
        (nn.HyperLinear(), -jnp.eye(3)[None], jnp.ones((1, 3)), r"g: expected elements of SO\(3\), the worst"),
        (nn.SelfRouting(2, 9), jnp.ones((1, 3)), jnp.ones((1, 4, 2)), "activations: expected one for each pose"),
        (nn.TokenAggregator(heads=3), jnp.ones((1, 3, 8)), None, "tokens: expected shape .*, 3 heads dividing it"),
    ],
)
def test_what_does_not_fit_is_refused(model, elements, codes, message):
    with pytest.raises(ValueError, match=message):
        model.init(jax.random.key(0), elements, *([] if codes is None else [codes]))


def test_routing_shares_parts_among_wholes(x64):
    keys = iter(jax.random.split(jax.random.key(0), 9))
    a, u = jax.random.uniform(next(keys), (4, 7)), jax.random.normal(next(keys), (4, 7, 5))
    model = nn.SelfRouting(capsules=3, size=9)
    params = model.init(next(keys), a, u)
    run = jax.jit(lambda params, a, u: model.apply({"params": params}, a, u))
    first = params["params"]
    votes = np.einsum("bicd,nic->nibd", first["votes"], u)
    p, poses = run(first, a, u)
    np.testing.assert_allclose(p, 1 / 3, rtol=1e-12)
    np.testing.assert_allclose(poses, np.einsum("ni,nibd->nbd", a, votes) / np.sum(a, 1)[:, None, None], rtol=1e-9)
    w = jax.tree.map(lambda x: x + jax.random.normal(jax.random.key(x.size), x.shape), first)
    p, poses = run(w, a, u)
    logits = np.einsum("nic,icb->nib", u, w["routing"]) + w["bias"]
    r = a[..., None] * np.exp(logits) / np.sum(np.exp(logits), axis=-1, keepdims=True)
    wanted = np.einsum("nib,bicd,nic->nbd", r, w["votes"], u) / np.sum(r, axis=1)[..., None]
    np.testing.assert_allclose(p, np.sum(r, axis=1) / np.sum(a, axis=1)[:, None], rtol=1e-9)
    np.testing.assert_allclose(poses, wanted, rtol=1e-9)
    np.testing.assert_allclose(np.sum(p, axis=-1), 1, rtol=1e-12)
    order = np.random.default_rng(0).permutation(7)
    together = {"routing": w["routing"][order], "bias": w["bias"][order], "votes": w["votes"][:, order]}
    for other in (run(w, 0.1 * a, u), run(together, a[:, order], u[:, order])):
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-9), other, (p, poses))
    assert np.max(np.abs(run(w, a[:, order], u[:, order])[1] - poses)) > 0.1  # parts without their weights
    assert np.all(np.isfinite(run(w, 0 * a, u)[1]))
