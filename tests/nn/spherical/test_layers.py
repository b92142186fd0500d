"""What every layer has to do: commute with O(3), keep dtype and variance, stay finite at zero, name what is wrong."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, nn, reps

LMAX, CHANNELS = 2, 3

LAYERS = {  # the module and its inputs: n is natural, p the pair (None, pseudo), np the pair of both
    "linear": (nn.Linear(4, lmax=1, use_bias=True), ("np",)),
    "gate": (nn.Gate(), ("np",)),  # neither even nor odd, so that pseudoscalars must not pass it
    "norm": (nn.NormActivation(), ("np",)),
    "normalization": (nn.Normalization(axes=(0,)), ("np",)),
    "many_body": (nn.ManyBodyProduct(order=3, bracket=True), ("n",)),
    "gaunt": (nn.GauntProduct(lmax=3, rank=2), ("n", "n")),
    "gaunt_pairs": (nn.GauntProduct(bracket=True), ("np", "p")),
}


def features(seed, shape=(4,), channels=CHANNELS):
    return np.random.default_rng(seed).normal(size=(*shape, (LMAX + 1) ** 2, channels)).astype(np.float32)


def inputs(kinds, dtype=np.float32):
    draw = lambda seed: jnp.asarray(features(seed), dtype)  # noqa: E731
    makers = {"n": lambda s: draw(s), "p": lambda s: (None, draw(s)), "np": lambda s: (draw(s), draw(s + 1))}
    return tuple(makers[kind](2 * k) for k, kind in enumerate(kinds))


def parameters(module, *args, seed=7):
    """Normal numbers for all parameters, also for those that start at 0 or 1, which hides mistakes."""
    shapes, rng = jax.eval_shape(module.init, jax.random.key(0), *args), np.random.default_rng(seed)
    return jax.tree.map(lambda p: rng.normal(size=p.shape).astype(np.float32), shapes)


def rep_of(x):
    degree = lambda a: round(a.shape[-2] ** 0.5) - 1  # noqa: E731
    if isinstance(x, tuple):
        return tuple(None if a is None else reps.Spherical(degree(a), bool(k)) for k, a in enumerate(x))
    return jax.tree.map(lambda a: reps.Spherical(degree(a)), x)


@pytest.mark.parametrize("name", LAYERS)
def test_exact_under_rotations_and_reflections(name):
    module, kinds = LAYERS[name]
    args = inputs(kinds)
    params = parameters(module, *args)
    out = rep_of(jax.eval_shape(module.apply, params, *args))
    symmetry = ej.Symmetry(groups.O(3), (None, *map(rep_of, args)), out)
    report = ej.check(module.apply, symmetry, (params, *args), samples=3)
    report.assert_exact()
    assert set(report.by_part) >= {"rotation", "reflection"}


NATURAL, PSEUDO = reps.Spherical(LMAX), reps.Spherical(LMAX, pseudo=True)


def applied(module, *args):
    return module.apply(parameters(module, *args), *args)


BROKEN = {  # a function, the representations of its input and output, the errors under rotations and reflections
    "an elementwise nonlinearity": (jnp.tanh, NATURAL, NATURAL, True, True),
    "a bias on a pseudoscalar": (lambda x: applied(nn.Linear(3, use_bias=True), x), PSEUDO, PSEUDO, False, True),
    "pseudoscalars that gate": (lambda x: applied(nn.Gate(), x), PSEUDO, PSEUDO, False, True),
    "a bracket called natural": (lambda x: bracket(x)[1], NATURAL, NATURAL, False, True),
    "a product of pseudo-tensors called pseudo": (lambda x: bracket(x)[0], PSEUDO, PSEUDO, False, True),
    "a factor within a degree": (lambda x: x.at[..., 3:5, :].mul(2), NATURAL, NATURAL, True, True),
}


def bracket(x):
    return applied(nn.GauntProduct(bracket=True, method="grid"), x, x[::-1])


@pytest.mark.parametrize("name", BROKEN)
def test_broken_variants_are_seen(name):
    f, rep_in, rep_out, *broken = BROKEN[name]

    @jax.jit
    def errors(x):
        mirror = groups.O(3).sample(jax.random.key(0), (8,))
        elements = mirror * jnp.linalg.det(mirror)[:, None, None] * jnp.array([1, -1] * 4)[:, None, None]
        moved = jax.vmap(lambda g: f(rep_in.act(g, x)))(elements)
        return jnp.max(jnp.abs(moved - jax.vmap(lambda g: rep_out.act(g, f(x)))(elements)), axis=(1, 2, 3))

    found = errors(features(2))
    for error, wrong in zip((found[::2], found[1::2]), broken, strict=True):
        assert (error > 1e-2).all() if wrong else (error < 1e-4).all()


@pytest.mark.parametrize("name", LAYERS)
def test_dtype_of_the_output_is_that_of_the_input(x64, name):
    module, kinds = LAYERS[name]
    for dtype in (jnp.bfloat16, jnp.float32, jnp.float64):
        args = inputs(kinds, dtype)
        for params in (parameters(module, *args), jax.eval_shape(module.init, jax.random.key(0), *args)):
            out = jax.tree.leaves(jax.eval_shape(module.apply, params, *args))
            assert {leaf.dtype for leaf in out} == {jnp.dtype(dtype)}


@pytest.mark.parametrize("name", LAYERS)
def test_backward_pass_keeps_no_feature_in_a_wider_dtype(name):
    module, kinds = LAYERS[name]
    rows = 61
    args = jax.tree.map(lambda a: jnp.broadcast_to(a[:1], (rows, *a.shape[1:])), inputs(kinds, jnp.bfloat16))
    kept = jax.eval_shape(lambda *args: jax.vjp(module.apply, *args)[1], parameters(module, *args), *args)
    assert {k.dtype for k in jax.tree.leaves(kept) if rows in k.shape} <= {jnp.dtype(jnp.bfloat16), jnp.dtype(bool)}


@pytest.mark.parametrize("name", LAYERS)
def test_zero_input_has_finite_value_and_gradients(name):
    module, kinds = LAYERS[name]
    args = jax.tree.map(jnp.zeros_like, inputs(kinds))

    def loss(params, *args):
        return sum(jnp.sum(jnp.sin(a)) for a in jax.tree.leaves(module.apply(params, *args)))

    every = tuple(range(1 + len(args)))
    found = jax.jit(jax.value_and_grad(loss, every))(parameters(module, *args), *args)
    assert all(np.isfinite(a).all() for a in jax.tree.leaves(found))
    if len(args) == 1 and name != "many_body":  # of first order in x: the slope at 0 is not lost
        assert all((np.abs(g).max(axis=(0, 2)) > 0)[:4].all() for g in jax.tree.leaves(found[1][1]))


@pytest.mark.core
def test_unit_variance():
    """Each coefficient of the output, over many rows; all weights of products 1."""
    n, p = features(3, (2, 500), 64)
    other = features(4, (500,), 64)
    cases = [
        (nn.Gate(), (n, p)),
        (nn.Gate(jnp.sin, jnp.tanh), n),
        (nn.NormActivation(jnp.tanh), (n, p)),
        (nn.Normalization(), 3 * n),
        (nn.GauntProduct(bracket=True, method="grid"), (n, p), other),
        (nn.GauntProduct(lmax=3), (None, p), other[:, :4]),
        (nn.GauntProduct(lmax=1, rank=2, method="grid"), n, other),
    ]

    def initial(path, p):
        """As `init` draws it, products apart; to draw inside of the compiled function takes long."""
        if "kernel" in path[-1].key:
            return np.random.default_rng(5).normal(size=p.shape)
        return np.full(p.shape, "bias" not in path[-1].key, np.float32)

    @jax.jit
    def mean_squares(inputs):
        found = []
        for (module, *_), args in zip(cases, inputs, strict=True):
            shapes = jax.eval_shape(module.init, jax.random.key(0), *args)
            out = module.apply(jax.tree_util.tree_map_with_path(initial, shapes), *args)
            found.append([jnp.mean(a**2, (0, 2)) for a in jax.tree.leaves(out)])
        return found

    means = mean_squares([args for _, *args in cases])
    for (module, *_), found in zip(cases, means, strict=True):
        rank = getattr(module, "rank", 1)  # equal weights: R equal terms over √R
        for squares in found:
            np.testing.assert_allclose(squares / rank, 1, atol=0.06, err_msg=str(module))


@pytest.mark.parametrize("name", LAYERS)
def test_errors_name_the_argument(name):
    module, kinds = LAYERS[name]
    args = inputs(kinds)
    for change, error, match in [
        (lambda a: a[..., :8, :], ValueError, "x: .* 8 coefficients"),
        (lambda a: a.astype(jnp.int32), TypeError, r"x(\[.\])?: .*int32"),
        (lambda a: a.astype(jnp.complex64), TypeError, r"x(\[.\])?: .*complex64"),
    ]:
        with pytest.raises(error, match=match):
            jax.eval_shape(module.init, jax.random.key(0), jax.tree.map(change, args[0]), *args[1:])


X = jnp.ones((4, 9, CHANNELS))


@pytest.mark.parametrize(
    ("module", "args", "match"),
    [
        (nn.Linear(2), ((X, X, X),), r"x: expected an array or the pair .* tuple of 3"),
        (nn.Linear(2), ((None, None),), r"x: expected one or two arrays"),
        (nn.Linear(2), ((X, X[:, :4]),), r"x: expected one or two arrays of the same shape"),
        (nn.Gate(), ((None, X),), r"x: expected a natural part.*NormActivation"),
        (nn.Normalization(axes=(1,)), (X,), r"axes: expected leading axes"),
        (nn.Normalization(), (X, jnp.ones(3, bool)), r"mask: expected shape \(4,\)"),
        (nn.GauntProduct(), (X, X[..., :2]), r"y: expected 3 channels"),
        (nn.GauntProduct(lmax=5), (X, X), r"lmax: expected at most 4"),
        (nn.GauntProduct(rank=0), (X, X), r"rank: expected an integer of at least 1"),
        (nn.GauntProduct(method="none"), (X, X), r"method: expected one of"),
        (nn.ManyBodyProduct(order=1), (X,), r"order: expected an integer of at least 2"),
    ],
)
def test_errors_of_attributes(module, args, match):
    with pytest.raises(ValueError, match=match):
        jax.eval_shape(module.init, jax.random.key(0), *args)


@pytest.mark.parametrize("name", LAYERS)
def test_no_rows(name):
    module, kinds = LAYERS[name]
    args = jax.tree.map(lambda a: a[:0], inputs(kinds))
    out = module.apply(parameters(module, *args), *args)
    assert all(a.shape[0] == 0 for a in jax.tree.leaves(out))


def test_a_gate_without_anything_to_gate_has_no_parameters():
    x = jnp.ones((4, 1, CHANNELS))
    assert nn.Gate().init(jax.random.key(0), x) == {}
    assert nn.Gate().apply({}, x).shape == x.shape


def test_gate_has_a_gate_of_its_own_for_each_degree():
    x = jax.random.normal(jax.random.key(0), (5, 9, 4))
    gate = nn.Gate()
    y = gate.apply(gate.init(jax.random.key(1), x), x)
    first, second = y[:, 1:4] / x[:, 1:4], y[:, 4:] / x[:, 4:]  # one number a degree and channel
    for factor in (first, second):
        np.testing.assert_allclose(factor, jnp.broadcast_to(factor[:, :1], factor.shape), rtol=1e-5)
    assert float(jnp.min(jnp.abs(first[:, 0] - second[:, 0]))) > 1e-6
