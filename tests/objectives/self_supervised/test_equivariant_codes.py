"""Losses of codes that move by a group: zero for ideal codes, known floors without them, and what collapses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from shards import assert_shards_agree

from equijax import groups, nn, objectives, reps

N, B = 16, 4
VECTOR, HAND = reps.Vector(), reps.Homogeneous()


@pytest.fixture
def rng(x64):
    return np.random.default_rng(0)


def rotations(rng, shape):
    return Rotation.random(int(np.prod(shape)), random_state=rng).as_matrix().reshape(*shape, 3, 3)


def transpose(r):
    return np.swapaxes(r, -1, -2)


def quaternion_product(p, q):
    """(x, y, z, w) of p q."""
    return (Rotation.from_quat(p) * Rotation.from_quat(q)).as_quat()


def test_sie_is_zero_for_codes_that_are_quaternions_or_rotations_by_the_right_hypernetwork(rng):
    r1, relative = rotations(rng, (2, N))
    q1, q = (Rotation.from_matrix(r).as_quat() for r in (r1, relative))
    q2 = quaternion_product(q1, q)
    signs = np.sign(np.sum(Rotation.from_matrix(r1 @ relative).as_quat() * q2, axis=1))
    np.testing.assert_allclose(signs[:, None] * q2, Rotation.from_matrix(r1 @ relative).as_quat(), atol=1e-12)
    # W_k multiplies by the k-th unit quaternion from the right: ρ(q₁ q₂) = ρ(q₂) ρ(q₁), orthogonal
    w = np.stack([[quaternion_product(i, k) for i in np.eye(4)] for k in np.eye(4)]).swapaxes(1, 2)
    rho = lambda q: np.einsum("k,kij->ij", q, w)  # noqa: E731
    np.testing.assert_allclose(rho(quaternion_product(q1[0], q[0])), rho(q[0]) @ rho(q1[0]), atol=1e-12)
    np.testing.assert_allclose(rho(q[0]).T @ rho(q[0]), np.eye(4), atol=1e-12)
    error = equivariance(q1, q2, q, lambda g, z: jnp.einsum("nk,kij,nj->ni", g, w, z))
    assert error < 1e-24
    # z = vec of A R moves by Rᵀ on rows: the matrix is I ⊗ R_relᵀ, linear in R_relᵀ
    codes = [r.reshape(N, 9) for r in (r1, r1 @ relative)]
    w = np.einsum("ab,ci,dj->ijacbd", np.eye(3), np.eye(3), np.eye(3)).reshape(9, 9, 9)
    predict = functools.partial(nn.HyperLinear().apply, {"params": {"kernel": jnp.asarray(w)}})
    assert equivariance(*codes, transpose(relative), predict) < 1e-24
    assert equivariance(*codes, relative, predict) > 0.1  # the element of the other direction
    assert equivariance(*codes, transpose(relative), nn.BlockAction(reps.Sum(*[VECTOR] * 3)).bind({})) < 1e-24


def equivariance(z1, z2, g, predict):
    ones = np.ones((N, 1))
    views = [np.concatenate([ones, z], axis=1) for z in (z1, z2)]
    return jax.jit(lambda *views: objectives.sie(*views, predict, jnp.asarray(g), invariant=1))(*views)[1][
        "equivariance"
    ]


def test_terms_of_sie_are_weighted_as_published(rng):
    z1, z2 = rng.normal(size=(2, N, 5))
    g, y = rotations(rng, (N,)), rng.normal(size=(2, N, 3))
    found = jax.jit(lambda **weights: objectives.sie(
        z1, z2, lambda g, z: 2 * z, g, invariant=2, maps=[(y[0], y[1], VECTOR)], **weights))(soft=7.0)  # fmt: skip
    loss, terms = jax.tree.map(float, found)
    var = lambda z: np.maximum(1 - np.sqrt(z.var(0, ddof=1) + 1e-4), 0).mean()  # noqa: E731
    off = lambda z: (np.sum(np.cov(z.T) ** 2) - np.sum(np.diag(np.cov(z.T)) ** 2)) / z.shape[1]  # noqa: E731
    moved = np.einsum("nij,nj->ni", g, y[0])
    total = (np.sum(y[0] ** 2, 1) + np.sum(y[1] ** 2, 1)) / 2
    wanted = {
        "invariance": np.mean((z1[:, :2] - z2[:, :2]) ** 2),
        "equivariance": np.mean((2 * z1[:, 2:] - z2[:, 2:]) ** 2),
        "variance": (var(z1) + var(z2)) / 2,
        "predicted": var(2 * z1[:, 2:]) / 2,
        "covariance": off(z1) + off(z2),
        "maps": np.mean(np.sum((moved - y[1]) ** 2, 1) / total),
    }
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-9), terms, wanted)
    np.testing.assert_allclose(loss, np.dot([10, 4.5, 10, 10, 1, 7], list(wanted.values())), rtol=1e-9)


def test_an_mlp_may_collapse_to_invariance_and_a_hypernetwork_may_not(rng):
    """The best prediction of equivariant codes from constant ones: none is left to find by a bias-free linear map."""
    relative = rotations(rng, (2000,))
    z = np.ones((2000, 3))  # invariant codes, the same in both views
    # ρ(g) z has entries linear in R: least squares for W, and for a predictor that may add a constant
    design = np.einsum("nk,ni->nki", relative.reshape(-1, 9), z).reshape(2000, -1)
    left = [np.mean((d @ np.linalg.lstsq(d, z, rcond=None)[0] - z) ** 2) for d in (design, np.c_[design, z[:, :1]])]
    assert left[0] > 0.98
    assert left[1] < 1e-20


@functools.partial(jax.jit, static_argnames=("rep", "size"))
def pose_loss(poses1, poses2, g, rep=VECTOR, size=None):
    return objectives.pose_equivariance(poses1, poses2, g, rep, size=size)


def test_poses_of_rotations_are_moved_from_the_right_and_constant_ones_have_their_floor(rng):
    r1, relative = rotations(rng, (2, 4000))
    a = rng.normal(size=(4000, B, 3, 3))
    poses = a @ r1[:, None], a @ (r1 @ relative)[:, None]
    loss, terms = pose_loss(*poses, transpose(relative))
    assert loss < 1e-28 < 0.1 < terms["unmoved"]
    assert pose_loss(*poses, relative)[0] > 0.05
    assert pose_loss(poses[0] @ a[0, 0], poses[1], transpose(relative))[0] > 0.05
    constant = np.broadcast_to(a[0], a.shape)
    p = a[0]
    gram = np.einsum("bji,bjk->bik", p, p) / np.sum(p**2, axis=(1, 2))[:, None, None]
    floor = 2 / 9 * (1 - np.mean(np.einsum("nij,bji->nb", relative, gram)))
    loss, terms = pose_loss(constant, constant, transpose(relative))
    np.testing.assert_allclose([loss, terms["unmoved"]], floor, rtol=1e-9)
    np.testing.assert_allclose(loss, 2 / 9, rtol=0.02)


def test_poses_in_space_are_normalized_by_their_rotations(rng):
    def homogeneous(count):
        m = np.zeros((count, 1, 4, 4))
        m[:, 0, :3, :3], m[:, 0, :3, 3], m[:, 0, 3, 3] = rotations(rng, (count,)), 2 * rng.normal(size=(count, 3)), 1
        return m

    m, relative = homogeneous(N), homogeneous(N)
    g = groups.AffineElement(relative[:, 0, :3, 3], relative[:, 0, :3, :3])
    base = transpose(m), transpose(relative @ m)  # columns as rows
    frame = m, m @ relative
    for views, elements, rep in ((base, g, HAND), (frame, jax.vmap(groups.SE(3).inverse)(g), reps.Dual(HAND))):
        assert pose_loss(*views, elements, rep, objectives.rotational_size)[0] < 1e-24
        # translations change the norm of all entries, which poses far away would lose weight by
        sizes = [(objectives.rotational_size(p), np.linalg.norm(p, axis=(-2, -1))) for p in views]
        np.testing.assert_allclose(sizes[0][0], sizes[1][0], rtol=1e-12)
        assert np.max(np.abs(sizes[0][1] - sizes[1][1])) > 1


def test_equicaps_has_the_values_of_known_capsules(rng):
    r1, relative = rotations(rng, (2, 4000))
    one_hot = np.eye(B)[rng.integers(B, size=4000)]
    views = [(one_hot, np.repeat(r[:, None], B, axis=1)) for r in (r1, r1 @ relative)]
    run = jax.jit(functools.partial(objectives.equicaps, rep=VECTOR), static_argnames="published")
    loss, terms = run(*views, transpose(relative))
    assert terms["equivariance"] < 1e-28
    assert terms["invariance"] < 1e-12
    assert terms["entropy"] < 2e-3  # nearly uniform
    assert terms["variance"] < 0.01  # entries of Haar rotations over √3 have a spread of 1/3: closed
    _, published = run(*views, transpose(relative), published=True)
    spread = np.concatenate([np.full(B, (1 / B * (1 - 1 / B)) ** 0.5), np.full(9 * B, 1 / 3)])
    np.testing.assert_allclose(published["variance"], 1 - np.mean(spread), rtol=0.01)
    assert published["variance"] > 0.65  # open for poses that could not be spread further
    weights = {"invariance": 0.1, "entropy": 1, "equivariance": 5, "variance": 10, "covariance": 1}
    np.testing.assert_allclose(loss, sum(w * terms[k] for k, w in weights.items()), rtol=1e-9)
    collapsed = [(np.eye(B)[np.zeros(4000, int)], poses) for _, poses in views]
    _, terms = run(*collapsed, transpose(relative))
    np.testing.assert_allclose(terms["entropy"], 2 * np.log(B), rtol=1e-9)
    uniform = [(np.full((4000, B), 1 / B), poses) for _, poses in views]
    _, terms = run(*uniform, transpose(relative))
    np.testing.assert_allclose([terms["entropy"], terms["invariance"]], [0, np.log(B)], atol=1e-12)
    sure = np.broadcast_to([0.7, 0.1, 0.1, 0.1], (4000, B))  # view 2 tells what view 1 should say
    _, terms = run((sure, views[0][1]), collapsed[1], transpose(relative))
    np.testing.assert_allclose(terms["invariance"], -np.log(0.7), rtol=1e-9)


def test_seq_jepa_does_not_see_the_order_nor_the_last_action_in_its_summary(rng):
    codes, actions, target = (jnp.asarray(rng.normal(size=s)) for s in ((N, 3, 6), (N, 3, 2), (N, 5)))
    model = nn.TokenAggregator(heads=2, layers=1)
    params = jax.jit(model.init)(jax.random.key(0), jnp.ones((N, 3, 8)))
    params = jax.tree.map(lambda p: p + 0.1 * rng.normal(size=p.shape), params)
    apply = jax.jit(model.apply)
    summary = lambda codes, actions: apply(params, objectives.sequence_tokens(codes, actions))  # noqa: E731
    s = summary(codes, actions)
    np.testing.assert_array_equal(summary(codes, actions.at[:, -1].add(1)), s)
    assert jnp.max(jnp.abs(summary(codes, actions.at[:, 0].add(1)) - s)) > 1e-3
    tokens = np.asarray(objectives.sequence_tokens(codes, actions))
    assert np.all(tokens[:, -1, 6:] == 0)
    np.testing.assert_array_equal(tokens[:, :-1, 6:], actions[:, :-1])
    alone = objectives.sequence_tokens(codes[:, 2:], actions[:, 2:])[:, 0]  # M = 1
    np.testing.assert_array_equal(alone, np.c_[codes[:, 2], np.zeros((N, 2))])
    np.testing.assert_allclose(apply(params, tokens[:, [2, 0, 1]]), s, rtol=1e-10)
    padded = np.concatenate([tokens, rng.normal(size=(N, 2, 8))], axis=1)
    there = np.broadcast_to(np.arange(5) < 3, (N, 5))
    np.testing.assert_allclose(apply(params, padded, there), s, rtol=1e-10)

    w = rng.normal(size=(10, 5))

    @functools.partial(jax.grad, argnums=(0, 1, 2))
    def slopes(codes, actions, target):
        return objectives.seq_jepa(codes, actions, target, lambda t: model.apply(params, t), lambda x: x @ w)[0]

    by_codes, by_actions, by_target = jax.jit(slopes)(codes[:, 1:], actions[:, 1:], target)
    assert jnp.all(by_target == 0)
    assert all(jnp.all(jnp.any(x != 0, axis=(0, 2))) for x in (by_codes, by_actions))  # the last action by prediction


def test_on_four_devices_they_are_what_they_are_on_one(rng):
    z, y = (jnp.asarray(rng.normal(size=(2, N, size))) for size in (6, 3))
    g, poses = jnp.asarray(rotations(rng, (N,))), jnp.asarray(rng.normal(size=(2, N, 2, 3, 3)))

    @functools.partial(jax.jit, static_argnums=(2,))
    def all_of_them(w, batch, axis):
        g, y1, y2, z1, z2, p1, p2 = batch
        capsules = [(jax.nn.softmax(z * w)[:, :2], w[0] * p**2) for z, p in ((z1, p1), (z2, p2))]
        found = [
            objectives.sie(z1 * w, z2 * w, lambda g, z: 2 * z, g, invariant=2, axis_name=axis),
            objectives.equicaps(*capsules, g, VECTOR, maps=[(y1 * w[1], y2, VECTOR)], axis_name=axis),
            objectives.pose_equivariance(p1 * w[2] + 1, p2, g, VECTOR, axis_name=axis),
            objectives.seq_jepa(p1[..., 0], p1[..., 1], z1, lambda t: t[:, 0, :3], lambda x: x * w, axis_name=axis),
        ]
        return sum(value for value, _ in found), [terms for _, terms in found]

    batch = (g, y[0], y[1], z[0], z[1], poses[0], poses[1])
    assert_shards_agree(lambda w, *rest: all_of_them(w, rest[:-1], rest[-1]), jnp.linspace(0.5, 1.5, 6), batch)


POSES, TURNS = jnp.ones((4, 2, 3, 3)), jnp.broadcast_to(jnp.eye(3), (4, 3, 3))
FLAT, HALVES, ONES = TURNS[:, :2, :2], jnp.ones((4, 2)), jnp.ones((4, 5))


def sie(predict=lambda g, z: z, elements=TURNS, invariant=2, z=ONES, **options):
    return objectives.sie(z, z, predict, elements, invariant=invariant, **options)


def poses(poses1, poses2, elements):
    return objectives.pose_equivariance(poses1, poses2, elements, VECTOR)


def capsules(p, poses, elements):
    return objectives.equicaps((p, poses), (p, poses), elements, VECTOR)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: sie(elements=TURNS[:3]), "elements: expected one group element for each of 4 samples, got shapes"),
        (lambda: sie(invariant=5), r"invariant: expected fewer coordinates .* got 5 of \(4, 5\)"),
        (lambda: sie(lambda g, z: z[:, :1]), r"predict: expected .*\(4, 3\), got shape \(4, 1\)"),
        (lambda: sie(nn.BlockAction("2x1o").bind({})), "z: expected codes of size 6, that of Irreps"),
        (lambda: sie(nn.BlockAction("1x1o").bind({}), FLAT), r"g: expected elements of SO\(3\)"),
        (lambda: sie(nn.BlockAction("1x1o").bind({}), -TURNS), r"g: expected elements of SO\(3\)"),
        (lambda: sie(maps=[]), "maps: expected"),
        (lambda: sie(elements=TURNS[:1], z=ONES[:1]), "z1: expected at least 2 samples in a batch, got 1"),
        (lambda: poses(POSES, POSES[:, :1], TURNS), "poses2: expected the shape of poses1"),
        (lambda: poses(POSES, POSES, FLAT), r"x: expected shape \(..., 2\)"),
        (lambda: poses(POSES[:, 0, 0], POSES[:, 0, 0], TURNS), "poses1: expected several poses a row"),
        (lambda: capsules(ONES, POSES, TURNS), r"p1: expected one probability a pose, \(4, 2\), got \(4, 5\)"),
        (lambda: capsules(HALVES[:1], POSES[:1], TURNS[:1]), "p1: expected at least 2 samples"),
        (lambda: objectives.sequence_tokens(POSES[..., 0], POSES[:, :1, 0]), "actions: expected one for each view"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
