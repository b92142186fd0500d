"""Representations against what others compute, and against hand-made answers."""

import functools

import e3nn_jax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups, reps
from equijax.groups import SE, SO, E

TURN = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
TURN = np.stack([TURN, -TURN]) * np.linalg.det(TURN)  # proper, then improper


@pytest.mark.parametrize("matrix", TURN, ids=["proper", "improper"])
def test_irreps_are_those_of_e3nn(matrix, x64):
    rep = reps.Irreps("2x0e+1x0o+3x1o+2x1e+1x2e+1x3e")
    expected = e3nn_jax.Irreps(rep.irreps).D_from_matrix(jnp.asarray(matrix))
    np.testing.assert_allclose(rep.matrix(matrix), expected, atol=1e-7)  # e3nn goes through angles
    assert reps.Irreps(e3nn_jax.Irreps(rep.irreps)) == rep
    assert rep.dim == e3nn_jax.Irreps(rep.irreps).dim


@pytest.mark.core
def test_a_vector_is_1o_and_a_pseudovector_1e(x64):
    for matrix in TURN:
        for pseudo, name in ((False, "1o"), (True, "1e")):
            np.testing.assert_allclose(reps.Irreps(name).matrix(matrix), reps.Vector(pseudo).matrix(matrix), atol=1e-14)
    x, y = jnp.array([1.0, 2.0, 3.0]), jnp.array([-1.0, 0.5, 2.0])
    mirrored = jnp.cross(*(reps.Vector().act(TURN[1], v) for v in (x, y)))
    np.testing.assert_allclose(reps.Vector(pseudo=True).act(TURN[1], jnp.cross(x, y)), mirrored, atol=1e-14)


@pytest.mark.core
def test_pseudo_kinds_differ_by_the_sign_of_a_reflection(x64):
    for make in (reps.Scalar, reps.Vector, functools.partial(reps.Tensor, 2), functools.partial(reps.Spherical, 2)):
        for matrix, sign in zip(TURN, (1, -1), strict=True):
            natural, pseudo = make(), make(pseudo=True)
            np.testing.assert_allclose(pseudo.matrix(matrix), sign * natural.matrix(matrix), atol=1e-14)
            x = np.random.default_rng(0).normal(size=(natural.dim or 3, 3 if natural.dim != 1 else 1))
            np.testing.assert_allclose(pseudo.act(matrix, x), sign * natural.act(matrix, x), atol=1e-14)
    np.testing.assert_allclose(reps.Spherical(1).matrix(-np.eye(3)), np.diag([1.0, -1, -1, -1]), atol=1e-14)


def test_positions_take_any_element_of_a_motion():
    x = jnp.array([[1.0, 2.0], [0.0, 0.5]])
    quarter = groups.Cyclic(4).table()[1]
    np.testing.assert_allclose(reps.Position().act(quarter, x), [[-2, 1], [-0.5, 0]])
    np.testing.assert_allclose(reps.Position().act(jnp.array([1.0, -1.0]), x), x + np.array([1.0, -1.0]))
    np.testing.assert_allclose(reps.Position().act(jnp.array(2.0), x), 2 * x)
    g = groups.AffineElement(jnp.array([1.0, 0.0]), quarter)
    np.testing.assert_allclose(reps.Position().act(g, x), [[-1, 1], [0.5, 0]])
    np.testing.assert_allclose(reps.Vector().act(g, x), [[-2, 1], [-0.5, 0]])
    np.testing.assert_allclose(reps.Tensor(2).act(jnp.array(2.0), jnp.eye(2)), 4 * np.eye(2))


def test_a_flow_moves_each_frame_once_more():
    scene = jnp.asarray(np.random.default_rng(0).normal(size=(1, 5, 5, 1)), jnp.float32)
    still = jnp.repeat(scene, 4, axis=0)
    rolled = reps.Sequence(reps.Shift((0, 1)), start=2).act(jnp.array([1, -2]), still)
    turned = reps.Sequence(reps.Image()).act(groups.Cyclic(4).table()[1], still)
    for t in range(4):
        np.testing.assert_array_equal(rolled[t], np.roll(scene[0], (t + 2, -2 * (t + 2)), axis=(0, 1)))
        np.testing.assert_array_equal(turned[t], np.rot90(scene[0], t))
    fly = reps.Sequence(reps.Position()).act(jnp.array([1.0, -1.0]), jnp.zeros((3, 2, 2)))
    np.testing.assert_array_equal(fly[:, 1], [[0, 0], [1, -1], [2, -2]])


def test_e3nn_strings_are_read_as_they_come():
    assert reps.Irreps(" 8x0e + 4 x 1o+2e").terms == [(8, 0, 1), (4, 1, -1), (1, 2, 1)]
    assert reps.Irreps("8x0e+1o") == reps.Irreps(" 8x0e  +  1o ")
    assert reps.Irreps("").dim == 0


def test_places_and_labels_move_together():
    """An edge from i to j joins the same two atoms after they have changed places."""
    atoms = jnp.array([10.0, 20.0, 30.0, 40.0])
    senders = jnp.array([0, 2, 3, 4, -1])  # 4 and -1: padding
    p = jnp.array([2, 0, 3, 1])
    moved, labels = reps.Permutation(0).act(p, atoms), reps.Index().act(p, senders)
    np.testing.assert_array_equal(moved, [20, 40, 10, 30])
    np.testing.assert_array_equal(moved[labels[:3]], atoms[senders[:3]])
    np.testing.assert_array_equal(labels[3:], [4, -1])
    pairs = jnp.arange(16.0).reshape(4, 4)
    np.testing.assert_array_equal(reps.Permutation((0, 1)).act(p, pairs)[p[1], p[2]], pairs[1, 2])


@pytest.mark.core
@pytest.mark.parametrize("size", [4, 5])
def test_turns_of_an_image_are_rot90(size):
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, size, size, 3)), jnp.float32)
    table = groups.Dihedral(4).table()
    act = jax.jit(reps.Image().act)
    for turns in range(4):
        expected = np.rot90(x, turns, axes=(1, 2))
        np.testing.assert_array_equal(act(table[turns], x), expected)
    np.testing.assert_array_equal(act(table[4], x), x[:, :, ::-1])
    np.testing.assert_array_equal(act(-table[4], x), x[:, ::-1])


def test_an_image_shifts_right_and_up():
    x = jnp.zeros((5, 7, 1)).at[2, 3].set(1.0)
    moved = reps.Image().act(groups.AffineElement(jnp.array([2.0, 1.0]), jnp.eye(2)), x)
    assert moved[1, 5, 0] == 1
    for part in (0.5, 0.05, 1e-3):
        moved = reps.Image().act(jnp.array([part, 0.0]), x)
        np.testing.assert_allclose(moved[2, 3:5, 0], [1 - part, part], atol=1e-6)


def test_a_volume_moves_with_its_axes():
    """The k-th coordinate grows along the k-th axis: signed permutations are transposes and flips, bit by bit."""
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 4, 4, 4, 3)), jnp.float32)
    act = jax.jit(reps.Image(3).act)
    for matrix in groups.Octahedral(reflections=True).table()[::7]:
        expected = np.transpose(x, (0, *(1 + np.abs(matrix).argmax(1)), 4))
        for axis in range(3):
            expected = np.flip(expected, 1 + axis) if matrix[axis].sum() < 0 else expected
        np.testing.assert_array_equal(act(matrix, x), expected, err_msg=str(matrix))
    moved = act(groups.AffineElement(jnp.array([1.0, 0.0, -1.0]), jnp.eye(3)), x)
    np.testing.assert_array_equal(moved[:, 1:, :, :-1], x[:, :-1, :, 1:])


def test_a_line_is_flipped_and_four_axes_are_turned():
    x = jnp.arange(5.0)[:, None]
    np.testing.assert_array_equal(reps.Image(1).act(-jnp.eye(1), x), x[::-1])
    y = jnp.asarray(np.random.default_rng(0).normal(size=(3, 3, 3, 3, 1)), jnp.float32)
    swap = jnp.eye(4)[np.array([1, 0, 2, 3])]
    np.testing.assert_array_equal(reps.Image(4).act(swap, y), jnp.swapaxes(y, 0, 1))


def test_the_floor_of_an_image_between_grid_points_is_seen():
    """A smooth image comes back from a turn by 20° to a few percent only, which `approximate` announces."""
    grid = np.stack(np.meshgrid(*[np.linspace(-2, 2, 33)] * 2), -1)
    x = jnp.asarray(np.exp(-((grid - np.array([0.3, 0.2])) ** 2).sum(-1))[..., None])
    g = SO(2).exp(jnp.array([np.pi / 9]))
    back = reps.Image().act(g.T, reps.Image().act(g, x))
    inner = np.s_[8:-8, 8:-8]
    floor = np.abs(np.asarray(back - x))[inner].max()
    assert 1e-4 < floor < 3e-2
    assert reps.Image().approximate
    assert reps.Joint(reps.Image(), reps.Scalar()).approximate
    assert not reps.Vector().approximate


def test_a_field_of_vectors_turns_its_values_too():
    x = jnp.zeros((3, 3, 2)).at[1, 2, 0].set(1.0)  # to the right of the center, pointing right
    moved = reps.Joint(reps.Image(), reps.Vector()).act(groups.Cyclic(4).table()[1], x)
    np.testing.assert_allclose(moved[0, 1], [0, 1])  # above the center, pointing up


def test_functions_on_a_group_move_to_the_left():
    group = groups.Permutation(3)
    table = [tuple(p) for p in np.asarray(group.elements())]
    g, f = jnp.array([2, 0, 1]), np.arange(6.0)
    expected = np.empty(6)
    for h, value in zip(table, f, strict=True):  # what sits at h goes to g h
        expected[table.index(tuple(np.asarray(group.compose(g, jnp.array(h)))))] = value
    np.testing.assert_array_equal(reps.Regular(group).act(g, jnp.asarray(f)), expected)


def test_elements_are_multiplied_from_the_left():
    group = SE(2)
    g, h = (group.exp(jnp.array(a)) for a in ([1.0, 2.0, 0.3], [0.5, -1.0, -2.0]))
    moved = reps.Element(group).act(g, h)
    np.testing.assert_allclose(moved.translation, g.translation + g.linear @ h.translation, atol=1e-6)
    np.testing.assert_allclose(reps.Element(SO(2)).act(g, h.linear), g.linear @ h.linear, atol=1e-6)


def test_shifts_are_rolls():
    x = jnp.arange(24.0).reshape(4, 6, 1)
    np.testing.assert_array_equal(reps.Shift((0, 1)).act(jnp.array([2, 4]), x), np.roll(x, (2, 4), (0, 1)))
    half = x[::2, ::2]
    moved = reps.Shift((0, 1)).act(jnp.array([2, 4]), x)[::2, ::2]
    np.testing.assert_array_equal(reps.Shift((0, 1), stride=2).act(jnp.array([2, 4]), half), moved)


def test_the_dual_pairs_to_invariants(x64):
    g = groups.Scaled(SO(2)).exp(jnp.array([0.7, 0.4]))
    x, y = jnp.array([1.0, 2.0]), jnp.array([-1.0, 3.0])
    np.testing.assert_allclose(reps.Dual(reps.Vector()).act(g, x) @ reps.Vector().act(g, y), x @ y, rtol=1e-14)


def test_elements_in_bfloat16_act():
    g = jax.tree.map(
        lambda x: x.astype(jnp.bfloat16), groups.AffineElement(jnp.ones(2), jnp.array([[0.0, -1], [1, 0]]))
    )
    x = jnp.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(reps.Dual(reps.Vector()).act(g, x), x @ g.linear.T)
    mirror = jnp.diag(jnp.array([-1.0, 1, 1, 1], jnp.bfloat16))
    np.testing.assert_array_equal(reps.Scalar(pseudo=True).act(mirror, x), -x)
    image = jnp.arange(600.0).reshape(1, 600, 1) % 7  # places above 256 are no numbers in bfloat16
    shift = g._replace(linear=jnp.eye(2, dtype=jnp.bfloat16), translation=jnp.array([1, 0], jnp.bfloat16))
    np.testing.assert_array_equal(reps.Image().act(shift, image)[:, 1:], image[:, :-1])


def test_irreps_without_copies_take_no_room():
    rep, x = reps.Irreps("0x0e+2x1o"), jnp.arange(12.0).reshape(2, 6)
    np.testing.assert_allclose(rep.act(jnp.eye(3), x), x, atol=1e-6)
    assert rep.matrix(jnp.eye(3)).shape == (6, 6)


@pytest.mark.parametrize(
    ("rep", "group"),
    [
        (reps.Sum(reps.Scalar(), reps.Irreps("2e")), groups.SL(3)),
        (reps.Dual(reps.Irreps("1o")), groups.SL(3)),
        (reps.TensorProduct(reps.Spherical(1), reps.Vector()), groups.Affine(3)),
        (reps.Sum(reps.Regular(groups.Cyclic(4))), groups.Cyclic(8)),
        (reps.Joint(reps.Vector(), reps.Image()), SO(3)),
    ],
    ids=repr,
)
def test_what_is_made_of_others_checks_them(rep, group):
    with pytest.raises(ValueError, match="group: "):
        rep.check(group)
    for made in (reps.Sum, reps.TensorProduct, reps.Dual):
        made(reps.Vector()).check(group)
        with pytest.raises(TypeError, match="is not a linear representation"):
            made(reps.Position()).check(group)


BAD = [
    (
        lambda: reps.Vector().act(np.eye(3), jnp.ones((4, 2))),
        ValueError,
        r"x: expected shape \(..., 3\) for Vector\(\), got",
    ),
    (lambda: reps.Vector().act(np.eye(3), jnp.ones(3, int)), TypeError, "x: expected real floating-point numbers"),
    (lambda: reps.Vector().act(np.eye(3), jnp.ones(3, complex)), TypeError, "x: expected real floating-point numbers"),
    (lambda: reps.Vector().act((np.eye(3), np.eye(3)), jnp.ones(3)), TypeError, "use reps.Product"),
    (lambda: reps.Vector().act(np.ones((2, 3, 3)), jnp.ones(3)), ValueError, "use jax.vmap"),
    (lambda: reps.Vector().matrix(jnp.array(2.0)), ValueError, "does not tell the dimension"),
    (lambda: reps.Position().matrix(np.eye(3)), TypeError, "matrix: Position.. is not a linear representation"),
    (lambda: reps.Spherical(2).act(np.eye(3), jnp.ones((8, 2))), ValueError, r"expected shape \(..., 9, channels\)"),
    (
        lambda: reps.Spherical(2).act(np.eye(2), jnp.ones((9, 2))),
        ValueError,
        "g: Spherical.2. needs an orthogonal 3 x 3",
    ),
    (lambda: reps.Spherical(-1), ValueError, "lmax: expected an integer of at least 0, got -1"),
    (lambda: reps.Irreps("4x1"), ValueError, "irreps: expected terms like .*, got '4x1'"),
    (lambda: reps.Irreps("1o").act(np.eye(3), jnp.ones(4)), ValueError, r"x: expected shape \(..., 3\)"),
    (lambda: reps.Tensor(2).act(np.eye(3), jnp.ones((3, 2))), ValueError, r"x: expected shape \(..., 3, 3\)"),
    (lambda: reps.Permutation((-2, -1)).matrix(jnp.arange(3)), TypeError, "matrix: Permutation.* moves several axes"),
    (lambda: reps.Permutation().act(np.eye(3), jnp.ones(3)), TypeError, "g: expected one permutation"),
    (
        lambda: reps.Permutation(-3).act(jnp.arange(3), jnp.ones((4, 3))),
        ValueError,
        "x: expected length 3 along axis -3",
    ),
    (lambda: reps.Index().act(jnp.arange(3), jnp.ones(3)), TypeError, "x: expected integers, got float32"),
    (lambda: reps.Shift((0, 1)).act(jnp.arange(3), jnp.ones((3, 3))), ValueError, "g: expected 2 integers"),
    (lambda: reps.Shift(0, stride=0), ValueError, "stride: expected an integer of at least 1"),
    (lambda: reps.Regular(SO(2)), ValueError, "group: expected a finite group with a table"),
    (
        lambda: reps.Regular(groups.Cyclic(4)).act(np.eye(2), jnp.ones(5)),
        ValueError,
        "x: expected length 4 along axis -1",
    ),
    (lambda: reps.Product(reps.Vector()).act(np.eye(3), jnp.ones(3)), TypeError, "expected a tuple of 1 elements"),
    (lambda: reps.Image().act(np.eye(2), jnp.ones((4, 4))), ValueError, r"shape \(..., height, width, channels\)"),
    (lambda: reps.TensorProduct(), ValueError, "reps: expected at least one representation, got none"),
    (lambda: reps.Vector().act(np.eye(3), [1.0, 2.0, 3.0]), TypeError, "x: expected an array, got a list"),
    (lambda: reps.Vector().check(groups.Permutation(3)), TypeError, "permutations and shifts act by reps.Permutation"),
    (lambda: reps.Vector().check(groups.Product(SO(3))), TypeError, "use reps.Product"),
    (lambda: reps.Spherical(1).check(SO(2)), ValueError, "needs rotations or reflections of space, got SO.2."),
    (lambda: reps.Irreps("1o").check(groups.Similarity(3)), ValueError, "needs rotations or reflections of space"),
    (lambda: reps.Permutation().check(E(3)), TypeError, r"acts for groups.Permutation, got E\(3\)"),
    (lambda: reps.Index().check(groups.Product(E(3))), TypeError, "use reps.Product"),
    (lambda: reps.Shift((0, 1)).check(groups.Shift(8)), ValueError, "axes: expected one for each axis"),
    (
        lambda: reps.Regular(groups.Cyclic(4)).check(groups.Cyclic(8)),
        ValueError,
        "was made for Cyclic.4., got Cyclic.8.",
    ),
    (lambda: reps.Element(SO(3)).check(SO(2)), ValueError, "was made for SO.3., got SO.2."),
    (lambda: reps.Product(reps.Vector()).check(E(3)), TypeError, "acts for a groups.Product of 1 factors"),
    (lambda: reps.Image().check(SO(3)), ValueError, "needs a group that acts on the plane"),
    (lambda: reps.Image(3).check(SO(2)), ValueError, "needs a group that acts on 3 coordinates, got SO"),
    (
        lambda: reps.Image(3).act(np.eye(2), jnp.ones((4, 4, 4, 1))),
        ValueError,
        r"x: .* \(..., n0, n1, n2, channels\)",
    ),
    (lambda: reps.Image(0), ValueError, "axes: expected an integer of at least 1"),
    (lambda: reps.Sequence(reps.Vector(), start=-1), ValueError, "start: expected an integer of at least 0"),
    (lambda: reps.Sequence(reps.Vector()).act(np.eye(2), jnp.ones(())), ValueError, r"x: expected arrays \(time,"),
    (lambda: reps.Sequence(reps.Vector()).check(SO(3)), ValueError, r"elements commute, got SO\(3\): a flow by h"),
    (lambda: reps.Sequence(reps.Position()).check(groups.SE(2)), ValueError, "elements commute, got SE"),
    (lambda: reps.Sequence(reps.Image()).check(groups.Dihedral(4)), ValueError, "elements commute, got Dihedral"),
    (
        lambda: reps.Sequence(reps.Permutation()).check(groups.Permutation(2)),
        ValueError,
        "multiples of vectors and integers, which are not those of Permutation",
    ),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()
