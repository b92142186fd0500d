"""Every frame moves with its points, lies in its group, and ignores padding; and the tests see one that does not."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import frames, groups, reps
from equijax.groups import SE, SO, Axial, E, O, Semidirect, Similarity, Translation

SKEWNESS = functools.partial(frames.pca, signs="skewness")
LARGEST = functools.partial(frames.pca, signs="largest")
ANCHORS = functools.partial(frames.weighted_pairs, anchors=3)
SLAB = Semidirect(Translation(3), Axial(O(2)))
CASES = [
    (frames.pca, SE(3)),
    (frames.pca, O(3)),
    (frames.pca, Similarity(3)),
    (frames.pca, SLAB),
    (SKEWNESS, E(3)),
    (LARGEST, SE(2)),
    (frames.pivoted, SE(3)),
    (frames.pivoted, O(3)),
    (frames.pivoted, Axial(SO(2))),
    (frames.qr, SE(3)),
    (frames.weighted_pairs, SE(3)),
    (frames.weighted_pairs, E(3)),
    (frames.weighted_pairs, O(2)),
    (frames.weighted_pairs, SO(4)),
    (ANCHORS, E(3)),
    (frames.heaviest(frames.weighted_pairs), SE(3)),
    (frames.guarded(frames.pca, frames.pivoted), SE(3)),
    (frames.lorentz, groups.Lorentz()),
    (functools.partial(frames.lorentz, rotations=frames.weighted_pairs), groups.Lorentz()),
    (frames.whitened, groups.Affine(3)),
    (frames.whitened, groups.SL(2)),
    (frames.centroid, Translation(3)),
]
MOVES = [*CASES, (frames.polyphase((4, 6)), groups.Shift((4, 6)))]
NAMES = [f"{k}-{getattr(f, '__name__', 'partial')}-{g}" for k, (f, g) in enumerate(MOVES)]


@functools.partial(jax.jit, static_argnums=(0, 1))
def compiled(frame, group, x, mask=None):
    return frame(group, x, mask)


def dimension(group):
    return group.translation.n if isinstance(group, Semidirect) else group.size or group.n


def points_for(group, n=4, seed=0):
    rng = np.random.default_rng(seed)
    if isinstance(group, groups.Shift):
        return jnp.asarray(rng.normal(size=(*group.sizes, 2)))
    x = rng.normal(size=(n, dimension(group))) * np.arange(1, dimension(group) + 1)
    if isinstance(group, groups.Lorentz):
        x[:, 0] = np.linalg.norm(x[:, 1:], axis=1) + np.arange(n) / 4  # the first has no mass
    return jnp.asarray(x)


def features(g):
    """Odd functions of the entries of a group element, which tell weighted sets of elements apart."""
    flat = jnp.concatenate([1.0 * x.reshape(-1) for x in jax.tree.leaves(g)])
    directions = np.random.default_rng(1).normal(size=(8, flat.size))
    return jnp.sin(0.3 + directions.astype(flat.dtype) @ flat)


@functools.partial(jax.jit, static_argnums=(0, 1))
def moved_and_image(frame, group, x, h):
    """Σ_k w_k φ(g_k) at h x, Σ_k w_k φ(h g_k) with the frame at x, and that frame."""

    def mean(elements, weights):
        return weights @ jax.vmap(features)(elements)

    rep = reps.Shift((0, 1)) if isinstance(group, groups.Shift) else reps.Position()
    cloud = jnp.concatenate([x[None], jax.vmap(rep.act, (0, None))(h, x)])
    found = jax.vmap(lambda x: frame(group, x, None))(cloud)  # compiled once for all
    elements, weights, info = jax.tree.map(lambda leaf: leaf[0], found)
    image = jax.vmap(lambda h: mean(jax.vmap(lambda g: group.compose(h, g))(elements), weights))(h)
    return jax.vmap(mean)(*found[:2])[1:], image, (elements, weights, info)


def frame_error(frame, group, h):
    moved, image, _ = moved_and_image(frame, group, points_for(group), h)
    return np.max(np.abs(moved - image))


@pytest.mark.parametrize(("frame", "group"), MOVES, ids=NAMES)
def test_the_weighted_set_is_in_the_group_and_moves_with_the_points(frame, group, x64):
    h = group.sample(jax.random.key(0), (6,))
    moved, image, (elements, weights, info) = moved_and_image(frame, group, points_for(group), h)
    np.testing.assert_allclose(moved, image, atol=1e-9)
    np.testing.assert_allclose(jnp.sum(weights), 1, rtol=1e-12)
    assert weights.min() >= 0
    assert not info.degenerate
    assert info.nonfinite_row == -1
    linear = np.asarray(elements.linear if isinstance(elements, tuple) else elements)
    if linear.ndim == 2:  # a translation
        return
    whole = getattr(group, "linear", group)
    metric = np.diag([1, -1, -1, -1]) if isinstance(group, groups.Lorentz) else np.eye(linear.shape[1])
    product = np.swapaxes(linear, 1, 2) @ metric @ linear
    if whole.is_orthogonal or isinstance(group, groups.Lorentz):
        np.testing.assert_allclose(product, np.broadcast_to(metric, product.shape), atol=1e-10)
    if group == Similarity(3):
        np.testing.assert_allclose(product, product[:, :1, :1] * metric, atol=1e-10)
    determinant = np.linalg.det(linear)
    assert isinstance(whole, O) or group == SLAB or determinant.min() > 0
    assert not isinstance(group, groups.SL) or np.allclose(determinant, 1)


def identity_frame(group, points, mask=None):
    element = jax.tree.map(lambda x: x[None], group.identity(dtype=points.dtype))
    return element, jnp.ones(1, points.dtype), frames.pca(O(points.shape[1]), points, mask)[2]


@pytest.mark.parametrize("group", [SE(3), O(2), SO(4), SLAB, groups.Lorentz(), groups.SL(2)], ids=repr)
def test_the_identity_is_no_frame(group, x64):
    assert frame_error(identity_frame, group, group.sample(jax.random.key(0), (6,))) > 0.1


@pytest.mark.parametrize(("frame", "group"), [CASES[i] for i in (0, 6, 10)], ids=lambda x: getattr(x, "__name__", None))
def test_frames_of_rotations_do_not_follow_reflections(frame, group, x64):
    mirrored = groups.AffineElement(jnp.zeros((1, 3)), jnp.diag(jnp.array([-1.0, 1, 1]))[None])
    assert frame_error(frame, group, mirrored) > 1e-2


def test_frames_have_the_sizes_that_they_state(x64):
    x = points_for(E(3), n=5)
    count = lambda frame, group: len(jax.eval_shape(lambda x: frame(group, x, None)[1], x))  # noqa: E731
    assert [count(frames.pca, g) for g in (SE(3), E(3), SLAB)] == [4, 8, 4]
    assert [count(frames.weighted_pairs, g) for g in (SE(3), E(3))] == [20, 40]
    assert count(ANCHORS, SE(3)) == 6


@functools.partial(jax.jit, static_argnums=(0, 1))
def summary(frame, group, x, mask):
    elements, weights, info = frame(group, x, mask)
    return weights @ jax.vmap(features)(elements), info


@pytest.mark.core
@pytest.mark.parametrize(
    ("frame", "group"),
    [(frames.pca, SE(3)), (SKEWNESS, E(3)), (frames.pivoted, O(3)), (frames.weighted_pairs, E(3)), (ANCHORS, SE(3)),
     (frames.lorentz, groups.Lorentz()), (frames.whitened, groups.Affine(3))],
    ids=["pca", "skewness", "pivoted", "pairs", "anchors", "lorentz", "whitened"],
)  # fmt: skip
def test_padding_and_order_do_not_matter(frame, group, x64):
    x = points_for(group)
    expected, info = summary(frame, group, x, jnp.ones(4, bool))
    junk = jnp.full((3, x.shape[1]), 1e3).at[1].set(jnp.nan)
    padded = jnp.concatenate([x, junk])[np.array([6, 2, 0, 4, 1, 5, 3])]
    got, padded_info = summary(frame, group, padded, jnp.array([0, 1, 1, 0, 1, 0, 1]))
    np.testing.assert_allclose(got, expected, atol=1e-10)
    np.testing.assert_allclose(padded_info.gap, info.gap, rtol=1e-9)
    assert (padded_info.valid, padded_info.nonfinite_row) == (4, -1)


def test_qr_depends_on_the_order(x64):
    x = points_for(SE(3))
    a, b = (compiled(frames.qr, SE(3), y)[0].linear for y in (x, x[::-1]))
    assert np.abs(a - b).max() > 0.1


def network(x, v):
    """No symmetry at all: an invariant, vectors and points that are none."""
    d = x.shape[-1]
    rng = np.random.default_rng(5)
    inward, across, outward = (rng.normal(size=s).astype(x.dtype) / 2 for s in [(d, 8), (d, d), (8, d)])
    h = jnp.tanh(x @ inward + (v @ across) @ inward)
    return jnp.sum(jnp.sin(jnp.sum(h, 0))), h @ outward + 1, x + jnp.tanh(h @ outward)


@pytest.mark.gpu
@pytest.mark.parametrize(("frame", "group"), CASES, ids=NAMES[: len(CASES)])
def test_check_says_exact(frame, group):
    symmetry = ej.Symmetry(group, (reps.Position(), reps.Vector()), (None, reps.Vector(), reps.Position()))
    args = (np.asarray(points_for(group)), np.random.default_rng(2).normal(size=(4, dimension(group))))
    averaged = jax.jit(ej.frame_average(network, symmetry, frame, strategy="vmap"))
    assert ej.check(averaged, symmetry, args, samples=3).verdict == "exact"


@pytest.mark.gpu
def test_check_says_broken_with_the_identity():
    symmetry = ej.Symmetry(SE(3), (reps.Position(), reps.Vector()), (None, reps.Vector(), reps.Position()))
    args = (np.asarray(points_for(SE(3))), np.random.default_rng(2).normal(size=(4, 3)))
    averaged = jax.jit(ej.frame_average(network, symmetry, identity_frame, strategy="vmap"))
    assert ej.check(averaged, symmetry, args, samples=3).verdict == "broken"


FOUR = jnp.ones((4, 3))
BAD = [
    (lambda: frames.pca(groups.Cyclic(3), FOUR), ValueError, "pca is for .* finite groups have equijax.group_average"),
    (lambda: frames.pca(groups.Lorentz(), FOUR), ValueError, r"group: pca is for .*, got Lorentz\(\)"),
    (lambda: frames.lorentz(SO(3), FOUR), ValueError, "group: lorentz is a frame of groups.Lorentz"),
    (lambda: frames.whitened(E(3), FOUR), ValueError, "group: whitened is a frame of GLPlus, SL and Affine"),
    (lambda: frames.sorting(E(3), FOUR), ValueError, "group: sorting is a frame of permutations"),
    (lambda: frames.centroid(E(3), FOUR), ValueError, "group: centroid is a frame of translations"),
    (lambda: frames.scored(SO(3), jnp.ones(4)), ValueError, "group: scored is a frame of finite groups"),
    (lambda: frames.scored(groups.Cyclic(3), jnp.ones(4)), ValueError, r"scores: expected shape \(3,\)"),
    (lambda: frames.polyphase(2)(E(3), FOUR, None), ValueError, "group: polyphase is a frame of groups.Shift"),
    (lambda: frames.polyphase((2, 2))(groups.Shift(4), FOUR, None), ValueError, "stride: expected one, or 1, one for"),
    (lambda: frames.polyphase(3)(groups.Shift(4), FOUR, None), ValueError, r"stride: .*divisors of the sizes \(4,\)"),
    (lambda: frames.polyphase(2)(groups.Shift(6), FOUR, None), ValueError, r"points: expected a grid of shape \(6,\)"),
    (lambda: frames.polyphase(2)(groups.Shift(4), FOUR, FOUR[:, 0]), ValueError, "points: .* and no mask"),
    (lambda: frames.polyphase(2)(groups.Shift(4), jnp.ones((4, 3), int), None), TypeError, "points: .* real floating"),
    (lambda: frames.polyphase(True), TypeError, "stride: expected an integer"),
    (lambda: frames.polyphase(2, temperature=0.0), ValueError, "temperature: expected a positive number"),
    (lambda: frames.product(frames.pca)(E(3), FOUR), ValueError, "group: expected a groups.Product of 1 factors"),
    (lambda: frames.pca(E(2), FOUR), ValueError, r"points: expected shape \(n, 2\), got \(4, 3\)"),
    (lambda: frames.pca(E(3), FOUR[None]), ValueError, "points: .* use jax.vmap for a batch"),
    (lambda: frames.pca(E(3), jnp.ones((4, 3), int)), TypeError, "points: expected real floating-point"),
    (lambda: frames.pca(E(3), FOUR, jnp.ones((4, 1))), ValueError, r"mask: expected shape \(4,\).*got \(4, 1\)"),
    (lambda: frames.pca(E(3), FOUR, signs="world"), ValueError, "signs: expected one of all, skewness, largest"),
    (lambda: frames.weighted_pairs(E(3), FOUR, power=3), ValueError, "power: expected an even number"),
    (lambda: frames.weighted_pairs(E(1), FOUR[:, :1]), ValueError, r"weighted_pairs is for 2 dimensions .*got E\(1\)"),
    (lambda: frames.pivoted(SO(1), FOUR[:, :1]), ValueError, "group: pivoted is for 2 dimensions and more"),
    (lambda: frames.qr(Axial(O(1)), FOUR[:, :2]), ValueError, "group: qr is for 2 dimensions and more"),
    (lambda: frames.qr(E(3), FOUR, tolerance=0.0), ValueError, "tolerance: expected a positive number"),
    (lambda: frames.invariant_coordinates(jnp.ones(())), ValueError, r"points: expected shape \(n, d\), got \(\)"),
    (lambda: frames.coordinates_from_distances(jnp.ones(()), 2), ValueError, r"squared: .*\(n, n\), got \(\)"),
    (
        lambda: frames.sorting(groups.Permutation(4), FOUR, noise=FOUR.T, directions=2),
        ValueError,
        "noise: decides between equal rows",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        jax.eval_shape(make)  # while it is traced


def test_a_row_that_is_not_a_number_is_named():
    whitened = functools.partial(frames.whitened, rotations=frames.pivoted)
    for frame, group in [(frames.weighted_pairs, SE(3)), (frames.pivoted, E(3)), (whitened, groups.SL(3))]:
        info = compiled(frame, group, FOUR.at[2, 1].set(jnp.nan))[2]
        assert info.nonfinite_row == 2
        assert info.degenerate
