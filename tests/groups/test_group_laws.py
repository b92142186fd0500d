"""Every group: the laws, the exponential, samples, nodes, parts, equality."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import groups, lie, reps
from equijax.groups import SE, SO, E, O

LIE = [
    SO(2),
    SO(3),
    SO(4),
    SE(2),
    SE(3),
    groups.Translation(3),
    groups.Scaling(),
    groups.Similarity(3),
    groups.SL(3),
    groups.Affine(2),
    groups.U(2),
    groups.SU(3),
    groups.Sp(1),
    groups.IndefiniteOrthogonal(2, 1),
    groups.Axial(SO(2), axis=1),
    groups.Lorentz(),
    groups.Affine(1),
    groups.Power(SE(3), 2),
]
WITH_MIRRORS = [O(1), O(2), O(3), E(3)]
FINITE = [
    groups.Cyclic(5),
    groups.Dihedral(4),
    groups.Tetrahedral(),
    groups.Tetrahedral(reflections=True),
    groups.Octahedral(),
    groups.Octahedral(reflections=True),
    groups.Icosahedral(),
    groups.Icosahedral(reflections=True),
    groups.Permutation(4),
    groups.Shift((4, 6), step=2),
    groups.Product(groups.Cyclic(3), groups.Permutation(3)),
    groups.Power(groups.Dihedral(3), 2),
]
MIXED = [
    groups.Product(E(2), groups.Permutation(5)),
    groups.Semidirect(groups.Translation(2), groups.Dihedral(4)),
    groups.Power(E(2), 3),
]
QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}  # compiling is the cost
ALL = [*LIE, *WITH_MIRRORS, *FINITE, *MIXED]


def distance(a, b):
    return jnp.max(jnp.stack([jnp.max(jnp.abs(x - y)) for x, y in zip(*map(jax.tree.leaves, (a, b)), strict=True)]))


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def violations(group, g, h, k):
    product, e, back = group.compose(g, h), group.identity((20,)), group.inverse(g)
    return {
        "associative": distance(group.compose(product, k), group.compose(g, group.compose(h, k))),
        "neutral": distance(group.compose(group.identity(), g), g) + distance(group.compose(g, e), g),
        "inverse": distance(group.compose(g, back), e) + distance(group.compose(back, g), e),
    }


@pytest.mark.parametrize("group", ALL, ids=repr)
def test_laws(group, x64):
    nodes, weights = jax.tree.map(np.asarray, group.nodes(64))
    chosen = np.random.default_rng(0).integers(len(weights), size=(3, 20))
    found = violations(group, *(jax.tree.map(lambda x, i=i: x[i], nodes) for i in chosen))
    assert all(value < 1e-13 for value in found.values()), found


@functools.partial(jax.jit, static_argnums=0, compiler_options=QUICK)
def round_trips(group, a):
    a = jnp.stack([a, 2 * a, 3 * a])
    g = group.exp(a)
    first, second, third = (jax.tree.map(lambda x, i=i: x[i], g) for i in range(3))
    return {
        "log exp": distance(group.log(g), a),
        "coords": distance(group.from_coords(group.coords(g)), g),
        "one parameter": distance(group.compose(first, second), third),
    }


@pytest.mark.parametrize("group", LIE, ids=repr)
def test_exponential(group, x64):
    a = np.random.default_rng(0).uniform(-0.4, 0.4, (20, group.dim))
    found = round_trips(group, jnp.asarray(a))
    assert all(value < 1e-13 for value in found.values()), found


@pytest.mark.parametrize("group", ALL, ids=repr)
def test_equal_groups_are_one(group):
    again = type(group)(*vars_of(group))
    assert again == group
    assert hash(again) == hash(group)
    assert group not in [other for other in ALL if other is not group]
    assert jax.tree.leaves(group) == []


@pytest.mark.core
def test_an_equal_group_does_not_compile_again():
    @functools.partial(jax.jit, static_argnums=0)
    @chex.assert_max_traces(n=1)
    def size(group, g):
        return distance(g, group.identity())

    g = E(3).identity()
    assert size(E(3), g) == size(groups.Semidirect(groups.Translation(3), O(3)), g) == 0


@pytest.mark.parametrize("group", FINITE, ids=repr)
def test_finite_groups_list_their_elements_once_and_are_closed(group):
    elements = group.elements()

    def flat(g):
        rows = np.concatenate([np.asarray(x, float).reshape(len(x), -1) for x in jax.tree.leaves(g)], 1)
        return rows.round(5) + 0.0

    table = {tuple(row) for row in flat(elements)}
    assert len(table) == group.order == len(jax.tree.leaves(elements)[0])
    assert distance(jax.tree.map(lambda x: x[0], elements), group.identity()) < 1e-6
    last = jax.tree.map(lambda x: x[-1:], elements)
    repeated = jax.tree.map(lambda x: jnp.broadcast_to(x, (group.order, *x.shape[1:])), last)
    assert {tuple(row) for row in flat(group.compose(repeated, elements))} == table
    everything, weights = group.nodes(3)
    assert distance(everything, elements) == 0
    np.testing.assert_allclose(weights, 1 / group.order)


@pytest.mark.parametrize(
    "group",
    [*WITH_MIRRORS, *MIXED, groups.Dihedral(4), groups.Tetrahedral(True), groups.Similarity(3), *LIE[-2:]],
    ids=repr,
)
def test_parts_leave_the_other_factors_alone(group):
    parts = group.parts()
    found = {}
    for name, part in parts.items():
        g = part.sample(jax.random.key(2), (6,))
        assert jax.tree.structure(g) == jax.tree.structure(group.identity())
        chex.assert_trees_all_equal_shapes_and_dtypes(g, group.identity((6,)))
        assert distance(g, group.identity((6,))) > 1e-3
        linear = jax.tree.leaves(g.linear if isinstance(g, groups.AffineElement) else g)[
            -1 if name != "reflection" else 0
        ]
        found[name] = linear
        if part.dim:
            a = jnp.ones((6, part.dim))
            chex.assert_trees_all_equal_shapes_and_dtypes(part.exp(a), group.identity((6,)))
        elements = part.elements()
        if elements is not None:
            assert jax.tree.structure(elements) == jax.tree.structure(group.identity())
    assert sum(part.dim for part in parts.values()) == group.dim


EMBEDDED = [
    (E(3), "reflection", 1),
    (groups.Affine(2), "shear", 1),
    (groups.Axial(O(2), axis=0), "rotation", 0),
    (groups.Lorentz(), "rotation", 0),
    (groups.Product(SO(2), groups.Permutation(3), groups.Scaling()), "permutation", 1),
]


@pytest.mark.parametrize(("group", "name", "slot"), EMBEDDED, ids=lambda x: repr(x))
def test_embedded_parts(group, name, slot, x64):
    """A part of a factor, embedded: homomorphic, with the tangents of its exponential, of its own dtype, hashable."""
    part = group.parts()[name]
    assert isinstance(part, groups.Embedded)
    assert part == groups.Embedded(group, part.part, slot) == type(group)(*vars_of(group)).parts()[name]
    assert hash(part) == hash(group.parts()[name])
    assert jax.tree.leaves(part) == []
    found = defects_of_embedding(group, part, slot)
    assert all(value < 1e-13 for value in found.values()), found
    single = jax.eval_shape(lambda: part.sample(jax.random.key(0), (2,), jnp.float32))
    chex.assert_trees_all_equal_shapes_and_dtypes(single, group.identity((2,), jnp.float32))
    if not part.dim:
        everything = part.elements()
        count = len(jax.tree.leaves(part.part.elements())[0])
        assert distance(everything, group.embed(part.part.elements(), slot)) == 0
        assert len(jax.tree.leaves(everything)[0]) == count
        assert distance(part.generators(), group.embed(part.part.generators(), slot)) == 0


@functools.partial(jax.jit, static_argnums=(0, 1, 2), compiler_options=QUICK)
def defects_of_embedding(group, part, slot):
    g, h = (part.sample(jax.random.key(seed), (5,)) for seed in (0, 1))
    inner = group.factors[slot] if isinstance(group, groups.Composite) else getattr(group, "group", SO(3))
    pair = [part.part.sample(jax.random.key(seed), (5,)) for seed in (0, 1)]
    found = {
        "element": jnp.max(group.violation(g)),
        "homomorphism": distance(group.compose(g, h), group.embed(inner.compose(*pair), slot)),
    }
    if part.dim:
        a = jnp.arange(1.0, 1 + part.dim)
        along = jax.tree.map(lambda t: jnp.tensordot(a, t, 1), part.tangents())
        found["tangents"] = distance(jax.jvp(part.exp, (0 * a,), (a,))[1], along)
    return found


def vars_of(group):
    fields = [getattr(group, name) for name in group.__dataclass_fields__]
    return fields[0] if isinstance(group, groups.Product) else fields


@groups.static
class Reals(groups.Group):
    """The real numbers without zero, under multiplication: no more than what every group has to have."""

    order = None

    def identity(self, shape=(), dtype=None):
        return jnp.ones(shape, dtype)

    def compose(self, g, h):
        return g * h

    def inverse(self, g):
        return 1 / g

    def sample(self, key, shape=(), dtype=None):
        return jnp.exp(jax.random.normal(key, shape, dtype))


@groups.static
class Connected(Reals):
    dim = 1


def without(name):
    """`Reals` with a method that is abstract again."""
    return type(f"Without{name.title()}", (Reals,), {name: getattr(groups.Group, name)})


@pytest.mark.parametrize("name", ["identity", "compose", "inverse", "sample"])
def test_a_group_without_its_law_cannot_be_made(name):
    assert Reals() == Reals()
    with pytest.raises(TypeError, match=rf"abstract class Without{name.title()} .*{name}"):
        without(name)()


@pytest.mark.parametrize(
    ("base", "names"),
    [
        (groups.Matrices, "sample.*size"),
        (groups.FiniteMatrices, "table"),
        (groups.FiniteGroup, "compose.*elements.*identity.*inverse.*order"),
        (groups.Composite, "compose.*factors.*inverse.*join.*split"),
        (groups.Part, "sample"),
        (groups.Whole, "embed"),
    ],
    ids=lambda x: getattr(x, "__name__", x),
)
def test_what_a_subclass_has_to_give_is_named(base, names):
    with pytest.raises(TypeError, match=f"abstract class Mine .*{names}"):
        type("Mine", (base,), {})()


@pytest.mark.parametrize(
    ("group", "call", "name"),
    [
        (Reals(), lambda group: group.parts(), "parts"),
        (Reals(), lambda group: group.nodes(3), "nodes"),
        (Reals(), lambda group: group.basis(), "basis"),
        (Reals(), lambda group: group.hat(jnp.ones(1)), "hat"),
        (Connected(), lambda group: group.exp(jnp.ones(1)), "exp"),
        (Connected(), lambda group: group.log(jnp.ones(1)), "log"),
        (Connected(), lambda group: group.coords(jnp.ones(1)), "log"),
        (Connected(), lambda group: group.tangents(), "tangents"),
    ],
)
def test_a_method_that_is_missing_says_its_name_when_it_is_called(group, call, name):
    with pytest.raises(NotImplementedError, match=rf"{name}: .*; implement {type(group).__name__}\.{name}"):
        call(group)


@pytest.mark.parametrize("method", ["auto", "quasi", "equispaced", "gauss", "stratified", "random"])
def test_every_method_gives_all_elements_of_a_finite_group(method):
    elements, weights = groups.Dihedral(3).nodes(2, method=method)
    np.testing.assert_array_equal(elements, groups.Dihedral(3).elements())
    np.testing.assert_allclose(weights, 1 / 6)
    group, key = groups.Permutation(9), jax.random.key(0)
    if method in ("auto", "random"):
        assert group.nodes(5, key, method=method)[0].shape == (5, 9)
    else:
        with pytest.raises(ValueError, match=f"method: .* its nodes are random, .* got '{method}'"):
            group.nodes(5, key, method=method)


def test_names_of_parts():
    atoms = groups.Product(E(3), groups.Permutation(4))
    assert set(atoms.parts()) == {"translation", "rotation", "reflection", "permutation"}
    assert set(groups.Affine(2).parts()) == {"translation", "scaling", "rotation", "shear"}
    assert set(groups.Lorentz().parts()) == {"boost", "rotation"}
    assert set(groups.Similarity(2).parts()) == {"translation", "scaling", "rotation"}
    assert set(groups.Product(SO(2), SO(2)).parts()) == {"rotation", "rotation 2"}
    translation = atoms.parts()["translation"].sample(jax.random.key(0))
    np.testing.assert_array_equal(translation[0].linear, np.eye(3))
    np.testing.assert_array_equal(translation[1], np.arange(4))
    mirror = E(3).parts()["reflection"].sample(jax.random.key(0))
    np.testing.assert_array_equal(mirror.linear, np.diag([-1.0, 1, 1]))
    np.testing.assert_array_equal(mirror.translation, 0)
    rotation = E(3).parts()["rotation"].sample(jax.random.key(0), (50,)).linear
    assert (jnp.linalg.det(rotation) > 0).all()
    swap = groups.Tetrahedral(reflections=True).parts()["reflection"].elements()
    assert jnp.linalg.det(swap[0]) == -1


@pytest.mark.parametrize(
    ("group", "compact", "finite", "dim"),
    [
        (SO(3), True, False, 3),
        (E(2), False, False, 3),
        (groups.Similarity(3), False, False, 7),
        (groups.Product(O(3), groups.Permutation(9)), True, False, 3),
        (groups.Dihedral(3), True, True, 0),
        (groups.Scaling(), False, False, 1),
        (groups.Shift(8), True, True, 0),
        (SO(5), True, False, 10),
    ],
    ids=repr,
)
def test_static_properties(group, compact, finite, dim):
    assert (group.is_compact, group.is_finite, group.dim) == (compact, finite, dim)


@pytest.mark.parametrize("dtype", [jnp.float64, jnp.bfloat16])
def test_dtype_of_elements(dtype, x64):
    group = groups.Product(groups.Translation(2), groups.Cyclic(3), SO(3), groups.Permutation(2))
    makers = [
        lambda: group.identity((2,), dtype),
        lambda: group.nodes(40, dtype=dtype)[0],
        lambda: group.sample(jax.random.key(0), (2,), dtype),
    ]
    for make in makers:
        *real, permutation = jax.eval_shape(make)
        assert {x.dtype for x in real} == {jnp.dtype(dtype)}
        assert permutation.dtype == jnp.int64


@pytest.mark.parametrize("group", [SO(4), groups.SL(2), groups.Lorentz(), groups.Similarity(3)], ids=repr)
def test_half_precision(group):
    """LAPACK has no bfloat16: what needs it is computed in single precision."""
    a = jnp.full(group.dim, 0.2, jnp.bfloat16)

    @functools.partial(jax.jit, compiler_options=QUICK)
    def everything(a):
        g = group.from_coords(a)
        return group.coords(g), group.log(g), group.inverse(g), group.adjoint(g), group.log_haar_coords(a)

    found = everything(a)
    assert {x.dtype for x in jax.tree.leaves(found)} == {jnp.dtype(jnp.bfloat16)}
    np.testing.assert_allclose(found[0].astype(float), a.astype(float), atol=0.05)


def test_elements_that_are_known_are_checked_under_jit_too():
    good, bad = jnp.eye(3), 2 * jnp.eye(3)
    np.testing.assert_array_equal(jax.jit(lambda x: x * SO(3).log(good))(1.0), 0)
    with pytest.raises(ValueError, match="g: expected elements of SO"):
        jax.jit(lambda x: x * SO(3).log(bad))(1.0)
    mirror = jax.jit(O(2).log)(jnp.diag(jnp.array([-1.0, 1.0])))
    assert jnp.isnan(mirror).all()


def test_they_print_as_they_are_written():
    written = "Product(E(3), Permutation(4), Shift((8, 8), step=2), Semidirect(Translation(2), Cyclic(4)))"
    made = eval(written, vars(groups))
    assert repr(made) == written


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SO(0), ValueError, "n: expected an integer of at least 1, got 0"),
        (lambda: groups.Shift((9, 8), step=2), ValueError, "sizes: expected multiples of step = 2"),
        (
            lambda: groups.Semidirect(groups.Translation(2), SO(3)),
            ValueError,
            "linear: expected a group of 2 x 2 matrices",
        ),
        (
            lambda: groups.Scaled(groups.Permutation(3)),
            TypeError,
            "group: expected a group of matrices with determinant",
        ),
        (lambda: SO(3).exp(jnp.ones(2)), ValueError, r"a: SO\(3\) has coordinates of shape \(..., 3\), got \(2,\)"),
        (lambda: groups.Axial(SO(2), axis=3), ValueError, "axis: expected one of the 3 coordinates, got 3"),
        (lambda: groups.SL(1), ValueError, "n: expected an integer of at least 2, got 1"),
        (lambda: groups.SL(2).coords(2 * jnp.eye(2)), ValueError, r"g: expected elements of SL\(2\), .* by 7.5e-01"),
        (
            lambda: groups.GLPlus(2).log(jnp.diag(jnp.array([1.0, -1.0]))),
            ValueError,
            r"g: expected elements of GLPlus\(2\)",
        ),
        (lambda: groups.GLPlus(2).coords(jnp.ones((2, 2))), ValueError, "g: expected elements"),
        (
            lambda: groups.SL(2).log(jnp.diag(jnp.array([-2.0, -0.5]))),
            ValueError,
            "no real principal logarithm, .* the polar chart, `coords`",
        ),
        (lambda: SO(3).log(1.1 * jnp.eye(3)), ValueError, r"g: expected elements of SO\(3\), .* by 2.1e-01"),
        (lambda: SO(2).log(jnp.diag(jnp.array([1.0, -1.0]))), ValueError, "g: expected elements of SO"),
        (lambda: SE(3).log(SE(3).identity()._replace(linear=jnp.ones((3, 3)))), ValueError, r"elements of SE\(3\)"),
        (lambda: O(3).log(jnp.zeros((3, 3))), ValueError, r"g: expected elements of O\(3\), .* by 1.0e\+00"),
        (
            lambda: O(3).log(jnp.diag(jnp.array([-1.0, 1, 1]))),
            ValueError,
            r"g: an improper element of O\(3\) has no log",
        ),
        (lambda: groups.Lorentz().log(-jnp.eye(4)), ValueError, "g: expected elements of Lorentz"),
        (lambda: groups.Scaling().log(jnp.array(-1.0)), ValueError, r"g: expected elements of Scaling\(\), .* by 2.0e"),
        (lambda: groups.Axial(SO(2)).coords(jnp.diag(jnp.array([1.0, 1, -1]))), ValueError, "expected elements of Ax"),
        (
            lambda: groups.check_element(SO(3), np.eye(3, dtype=int)),
            TypeError,
            "g: expected real floating-point numbers, got int",
        ),
        (
            lambda: SO(2).log(jnp.eye(3)),
            ValueError,
            r"g: expected elements of SO\(2\), shape \(..., 2, 2\), got \(3, 3\)",
        ),
        (lambda: groups.SL(2).coords(jnp.eye(3)), ValueError, r"SL\(2\), shape \(..., 2, 2\), got \(3, 3\)"),
        (lambda: SO(2).compose(jnp.eye(2), jnp.eye(3)), ValueError, r"h: expected elements of SO\(2\), shape"),
        (lambda: groups.Translation(3).log(jnp.ones(2)), ValueError, r"shape \(..., 3\), got \(2,\)"),
        (lambda: SE(2).log(jnp.eye(3)), TypeError, r"g: expected elements of SE\(2\), of type AffineElement, got "),
        (lambda: groups.check_element(SE(2), jnp.eye(3)), TypeError, "of type AffineElement, got ArrayImpl"),
        (lambda: groups.SL(2, window=0.0), ValueError, "window: expected a positive number, got 0.0"),
        (lambda: groups.Lorentz(window=-1.0), ValueError, "window: expected a positive number"),
        (lambda: groups.Translation(2, window=0.0), ValueError, "window: expected a positive number"),
        (lambda: groups.Scaling(window=-1.0), ValueError, "window: expected a positive number"),
        (lambda: groups.Cyclic(4).log(jnp.eye(2)), ValueError, "discrete"),
        (lambda: groups.Polyhedral("cube"), ValueError, "kind: expected one of 'tetrahedron', .* got 'cube'"),
        (lambda: groups.Cyclic(3).nodes(method="sobol"), ValueError, "method: expected 'auto' or .* got 'sobol'"),
        (lambda: groups.Axial(groups.Permutation(3)), TypeError, "group: expected a group of orthogonal matrices"),
        (lambda: groups.Axial(groups.SL(2)), TypeError, "group: expected a group of orthogonal matrices"),
        (
            lambda: groups.Product(SO(2), groups.Permutation(9)).nodes(9, jax.random.key(0), method="sobol"),
            ValueError,
            "method: expected 'auto' or one of .* got 'sobol'",
        ),
        (lambda: groups.Permutation(9).nodes(), ValueError, "362880 elements, too many to list; pass both n and key"),
        (
            lambda: groups.Product(SO(3), SO(2)).inverse(jnp.eye(3)),
            TypeError,
            "g: expected elements of .*, of type tuple",
        ),
        (lambda: groups.GLPlus(2).inverse(jnp.ones((2, 2))), ValueError, "g: a matrix is singular in float32"),
        (lambda: groups.check_element(groups.Permutation(3), jnp.array([0, 5, 1])), ValueError, "g: .* by 3.0e"),
        (lambda: groups.check_element(groups.Shift((4,), step=2), jnp.array([1])), ValueError, "g: .* by 1.0e"),
        (lambda: groups.Translation(1).log(jnp.array([jnp.inf])), ValueError, "g: expected elements of Translation"),
        (
            lambda: groups.linear_part((jnp.eye(3), jnp.eye(3))),
            TypeError,
            "use reps.Product with one representation a factor",
        ),
        (lambda: groups.linear_part(jnp.arange(3)), TypeError, "permutations and shifts act by reps.Permutation"),
        (lambda: groups.linear_part(jnp.ones((5, 3, 3))), ValueError, "use jax.vmap for a batch"),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize("group", ALL, ids=repr)
def test_elements_of_another_size_are_refused(group):
    one = group.identity()
    other = jax.tree.map(lambda x: jnp.zeros((*x.shape[:-1], x.shape[-1] + 1), x.dtype) if x.ndim else x > 0, one)
    calls = [lambda: group.compose(one, other), lambda: group.compose(other, one), lambda: group.inverse(other)]
    if group.dim:
        calls += [lambda: group.log(other), lambda: group.coords(other)]
    for call in calls:
        with pytest.raises((TypeError, ValueError), match=r"(g|h): expected"):
            call()


MIRROR = jnp.diag(jnp.array([1.0, 1.0, -1.0]))


@pytest.mark.parametrize(
    ("group", "g"),
    [
        (SO(3), -jnp.eye(3)),
        (SO(4), jnp.diag(jnp.array([1.0, 1, 1, -1]))),
        (O(3), MIRROR),
        (groups.SL(3), MIRROR),
        (groups.GLPlus(3), MIRROR),
        (groups.Affine(3), groups.AffineElement(jnp.zeros(3), MIRROR)),
        (groups.Affine(1), groups.AffineElement(jnp.zeros(1), -jnp.eye(1))),
        (groups.Lorentz(), jnp.diag(jnp.array([1.0, 1, 1, -1]))),
        (groups.Axial(SO(2)), MIRROR),
        (groups.Scaling(), jnp.array(-1.0)),
    ],
    ids=repr,
)
def test_what_has_no_logarithm_gets_nan_under_jit(group, g):
    charts = [group.log] if isinstance(group, O) else [group.log, group.coords]
    both = jax.tree.map(lambda x, e: jnp.stack([x, e]), g, group.identity())
    for chart in charts:
        first, second = jax.jit(chart)(both)
        assert bool(jnp.isnan(first).any())
        np.testing.assert_allclose(second, 0, atol=1e-6)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_large_boosts_are_elements(dtype):
    """The determinant of a boost is 1 by cancellation of e^2ζ."""
    group = groups.Lorentz()
    a = jax.random.normal(jax.random.key(1), (500, 6)) * jnp.array([3.0, 3, 3, 0.5, 0.5, 0.5])  # rapidities up to 12
    if dtype == jnp.float32:
        np.testing.assert_allclose(group.coords(group.from_coords(a))[:, :3], a[:, :3], atol=1e-3)
    assert bool(jnp.isfinite(group.log(group.sample(jax.random.key(0), (2000,), dtype))).all())


def test_elements_of_integers_are_elements():
    for group in (groups.Permutation(4), groups.Shift((4, 6), step=2), MIXED[0]):
        g = group.sample(jax.random.key(0), (5,))
        groups.check_element(group, g)
        assert bool((group.violation(g) < 1e-5).all())


def test_in_one_dimension():
    assert len(SO(1).nodes(7)[1]) == 1
    assert groups.Affine(1) == groups.Similarity(1)
    assert len(reps.intertwiners(O(1), reps.Vector(), reps.Vector())) == 1
    assert len(reps.intertwiners(groups.Affine(1), reps.Vector(), reps.Scalar())) == 0
    nodes, weights = lie.chart_nodes(groups.Affine(1).linear, 5, 0.3)
    np.testing.assert_allclose(jnp.sum(weights), 0.6, rtol=1e-6)
    assert bool((nodes > 0).all())
