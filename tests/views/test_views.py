"""Masks in clusters, clips, and views by elements of groups: known counts, distributions and relative elements."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from equijax import groups, reps, views

KEY = jax.random.key(0)


def test_counts_are_those_of_a_cox_process(x64):
    """Mean H W exp(μ + σ²/2), and a variance far above that of independent patches, for which it is the mean."""
    keys = jax.random.split(KEY, 1500)
    count = jax.jit(jax.vmap(lambda key, s: views.cox_counts(key, (12, 12), -1.0, deviation=s).sum(), (0, None)))
    clustered, alone = count(keys, 1.0), count(keys, 0.0)
    assert abs(clustered.mean() / (144 * np.exp(-0.5)) - 1) < 0.05
    assert clustered.var() / clustered.mean() > 4
    assert abs(alone.mean() / (144 * np.exp(-1)) - 1) < 0.02
    assert 0.85 < alone.var() / alone.mean() < 1.15


def test_masks_hide_what_was_asked_for(x64):
    ratios = jnp.array([0.02, 0.3, 0.75, 0.98])
    mu = views.cox_mean(ratios, 1.5)
    phi, weights = np.polynomial.hermite_e.hermegauss(200)
    hidden = (weights / weights.sum()) @ (1 - np.exp(-np.exp(mu + 1.5 * phi[:, None])))
    np.testing.assert_allclose(hidden, ratios, atol=1e-6)
    assert abs((weights / weights.sum()) @ (1 - np.exp(-np.exp(mu[1] + 1.0 * phi))) - 0.3) > 0.01  # another σ
    mask = jax.jit(jax.vmap(lambda key, ratio: views.cox_mask(key, (10, 10), ratio=ratio), (0, None)))
    masks = mask(jax.random.split(KEY, 2000), 0.6)
    assert masks.dtype == bool
    assert abs(masks.mean() - 0.6) < 0.02
    # neighbors are hidden together: more often than ratio²
    assert (masks & jnp.roll(masks, 1, axis=1))[:, 1:].mean() > 0.36 + 0.05


def wobble(key, frame):
    """Adds a random number: a view whose parameter comes from the key alone."""
    step = jax.random.normal(key)
    return frame + step, step


def test_all_frames_of_a_clip_move_alike():
    clip = jax.random.normal(KEY, (5, 6, 6, 1))
    view = jax.jit(views.temporally_consistent(views.random_field))
    moved, parameters = view(KEY, clip)
    assert parameters.turn.shape == (6, 6)
    np.testing.assert_allclose(moved[2], views.apply_local(clip[2], parameters), atol=1e-5)
    order = np.array([3, 0, 4, 1, 2])
    np.testing.assert_allclose(view(KEY, clip[order])[0], moved[order], atol=1e-6)
    each = jax.vmap(wobble)(jax.random.split(KEY, 5), clip)[0]  # a draw a frame does not commute
    assert np.abs(jax.vmap(wobble)(jax.random.split(KEY, 5), clip[order])[0] - each[order]).max() > 0.1
    with pytest.raises(ValueError, match="view: its parameters depend on the frame"):
        views.temporally_consistent(lambda key, frame: (frame, frame.mean()))(KEY, clip)


@pytest.mark.parametrize("power", [1.0, 3.0])
def test_intervals_have_their_distribution(x64, power):
    apart = np.asarray(views.clip_interval(KEY, 30.0, power=power, shape=(20_000,))) / 30
    assert abs(apart.mean() - (power + 1) / (2 * (power + 2))) < 0.005  # a third for power 1

    def cdf(u):
        return ((power + 1) * u - u ** (power + 1)) / power

    assert scipy.stats.kstest(apart, cdf).pvalue > 0.01
    assert scipy.stats.kstest(1 - apart, cdf).pvalue < 1e-9  # rising in the place of falling
    if power == 1.0:  # the inverse T (1 − √(1 − u)) of the linear one
        u = np.linspace(0, 1, 11)
        np.testing.assert_allclose(cdf(1 - np.sqrt(1 - u)), u, atol=1e-12)


def test_sequences_are_of_different_views_of_one_object():
    objects, count = 3, 4
    x = jnp.arange(objects * count).reshape(objects, count)
    number, same = views.sequence_views(KEY, (x, {"twice": 2.0 * x}), 4000, 3)
    np.testing.assert_array_equal(same["twice"], 2 * number)  # what goes with a view comes along
    of, view = number // count, number % count
    assert (of == of[:, :1]).all()
    assert (np.diff(np.sort(view, axis=1), axis=1) > 0).all()
    orders = np.unique(np.c_[of[:, 0], view], axis=0, return_counts=True)[1]
    assert len(orders) == 3 * 24  # every object, every order
    assert abs(orders / 4000 * 72 - 1).max() < 0.5


def test_relative_elements_are_those_of_two_views(x64):
    """R_rel = R₁ᵀ R₂, q₂ = ± q₁ q_rel; the left one moves view 1 to view 2."""
    turn = views.action(groups.SO(3), {"forces": reps.Vector(), "charges": None})
    x = {"forces": jax.random.normal(KEY, (4, 3)), "charges": jnp.ones(4)}
    view = views.compose([turn, turn])
    (x1, p1), (x2, p2) = (view(key, x) for key in jax.random.split(KEY))
    r1, r2 = view.total(p1), view.total(p2)
    np.testing.assert_allclose(x1["forces"], x["forces"] @ r1.T, atol=1e-12)  # g₂ g₁, not g₁ g₂
    assert np.abs(x["forces"] @ (p1[0] @ p1[1]).T - x1["forces"]).max() > 0.1
    np.testing.assert_array_equal(x1["charges"], 1)
    relative = view.relative(p1, p2)
    np.testing.assert_allclose(relative, r1.T @ r2, atol=1e-12)
    np.testing.assert_allclose(r1 @ relative, r2, atol=1e-12)
    assert np.abs(relative @ r1 - r2).max() > 0.1
    left = view.relative(p1, p2, "left")
    np.testing.assert_allclose(x1["forces"] @ left.T, x2["forces"], atol=1e-12)


@pytest.mark.parametrize(
    ("group", "rep", "x"),
    [
        (groups.SE(3), reps.Position(), np.ones((4, 3))),
        (groups.Permutation(4), reps.Permutation(-1), np.arange(4.0)),
        (groups.Cyclic(4), reps.Image(), np.arange(9.0).reshape(3, 3, 1)),
        (groups.Scaling(), reps.Vector(), np.ones(3)),
    ],
    ids=lambda v: str(v) if isinstance(v, groups.Group) else "",
)
def test_views_of_any_group_have_relative_elements(group, rep, x):
    view = views.action(group, rep)
    (x1, g1), (x2, g2) = (view(key, jnp.asarray(x, jnp.float32)) for key in jax.random.split(jax.random.key(5)))

    def act(g, y):
        return view.symmetry.act_inputs(g, (y,))[0]

    np.testing.assert_allclose(act(view.relative(g1, g2, "left"), x1), x2, atol=1e-5)
    right = view.relative(g1, g2)
    np.testing.assert_allclose(act(group.compose(g1, right), jnp.asarray(x, jnp.float32)), x2, atol=1e-5)


def test_a_sampler_is_held_to_its_group():
    def about_z(key):
        return groups.SO(3).exp(jnp.array([0.0, 0.0, 1.0]) * jax.random.uniform(key, minval=-0.1, maxval=0.1))

    _, g = views.action(groups.SO(3), reps.Vector(), sampler=about_z)(KEY, jnp.eye(3))
    assert g[2, 2] == 1
    with pytest.raises(ValueError, match=r"sampler: expected elements of SO\(3\)"):
        views.action(groups.SO(3), reps.Vector(), sampler=lambda key: 2 * jnp.eye(3))(KEY, jnp.eye(3))


TURN, SPIN = views.action(groups.SO(3), reps.Vector()), views.action(groups.SO(2), reps.Vector())
BAD = [
    (ValueError, lambda: views.compose([]), "views: expected one view or more"),
    (TypeError, lambda: views.compose([lambda key, x: x])(KEY, jnp.eye(3)), r"views\[0\]: expected a pair"),
    (TypeError, lambda: views.compose([TURN, wobble]).total((jnp.eye(3), 1.0)), r"views\[1\]: expected views.action"),
    (ValueError, lambda: views.compose([TURN, SPIN]).total((jnp.eye(3), jnp.eye(2))), r"views\[1\]: .*SO\(3\)"),
    (ValueError, lambda: TURN.relative(jnp.eye(3), jnp.eye(3), "both"), "side: expected 'right' or 'left', got 'both'"),
    (ValueError, lambda: TURN.relative(jnp.eye(3), 2 * jnp.eye(3)), "second: expected elements of"),
    (ValueError, lambda: views.cox_mask(KEY, (8, 8), ratio=1.0), "ratio: expected numbers between 0 and 1, got 1.0"),
    (ValueError, lambda: views.cox_mask(KEY, (8, 8), deviation=-1.0), "deviation: expected zero or more"),
    (ValueError, lambda: views.cox_mask(KEY, (1, 8)), "shape: expected .* two pixels or more"),
    (ValueError, lambda: views.clip_interval(KEY, 0), "longest: expected a positive number"),
    (ValueError, lambda: views.clip_interval(KEY, 9, power=0), "power: expected a positive number"),
    (ValueError, lambda: views.sequence_views(KEY, jnp.ones((3, 4)), 2, 5), "length: expected at most 4, .* got 5"),
    (ValueError, lambda: views.sequence_views(KEY, (jnp.ones((3, 4)), jnp.ones((3, 5))), 2, 2), "orbits: expected"),
    (ValueError, lambda: views.sequence_views(KEY, jnp.ones(3), 2, 2), "orbits: expected"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "make", "message"), BAD, ids=[message for *_, message in BAD])
def test_errors_name_the_argument(kind, make, message):
    with pytest.raises(kind, match=message):
        make()
