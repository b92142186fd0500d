"""Networks from intertwiners: exact for every kind of group, all maps that there are, unit variance, errors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, nn, reps
from equijax.reps import Permutation, Scalar, Sum, Tensor, TensorProduct, Vector

S, PS, V, VV, P = Scalar(), Scalar(pseudo=True), Vector(), Tensor(2), Permutation()
PP = TensorProduct(P, P)
S5 = groups.Permutation(5)
POINTS = Sum(V, S, V)
CASES = {  # group, input, output, hidden layer
    "sets and graphs": (S5, Sum(P, PP), Sum(PP, S), Sum(S, P, P, PP)),
    "rotations": (groups.SO(3), POINTS, Sum(VV, S), Sum(S, S, V, V, VV)),
    "reflections": (groups.O(3), POINTS, Sum(PS, Vector(pseudo=True), S), Sum(S, V, PS, VV)),
    "Lorentz": (groups.Lorentz(), Sum(V, V), Sum(VV, S, V), Sum(S, S, V, V)),
    "turns by quarters": (groups.Cyclic(4), Sum(V, V), V, Sum(S, reps.Regular(groups.Cyclic(4)), V)),
    "irreps": (groups.O(3), reps.Irreps("0e+2x1o"), reps.Irreps("2e+1e"), reps.Irreps("2x0e+2x1o+1e")),
}


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def parameters(module, x, seed=1):
    """Normal numbers for all parameters, also for biases, which start at 0."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), x)
    leaves, treedef = jax.tree.flatten(shapes)
    return treedef.unflatten([normal((seed, k), *leaf.shape) for k, leaf in enumerate(leaves)])


def network(name):
    group, source, target, hidden = CASES[name]
    return nn.EquivariantMLP(group, source, target, (hidden,), rank=2), jnp.asarray(normal(0, source.dim_of(group)))


@pytest.mark.parametrize("name", CASES)
def test_networks_are_exact(name):
    model, x = network(name)
    symmetry = ej.Symmetry(model.group, (None, model.source), model.target)
    ej.check(model.apply, symmetry, (parameters(model, x), x), samples=3).assert_exact()


def test_a_pointwise_function_of_vectors_is_seen():
    model, x = network("rotations")
    symmetry = ej.Symmetry(model.group, (None, model.source), model.target)
    broken = lambda params, x: model.apply(params, jnp.tanh(x))  # noqa: E731
    assert ej.check(broken, symmetry, (parameters(model, x), x), samples=3).verdict == "broken"


@pytest.mark.core
@pytest.mark.parametrize(("name", "scales"), [("rotations", (1, 3)), ("sets and graphs", (1 / 3, 25 / 20))])
def test_the_linear_layer_is_its_basis(name, scales, x64):
    group, source, target, _ = CASES[name]
    layer, x = nn.EquivariantLinear(group, source, target), jnp.asarray(normal(0, 3, source.dim_of(group)), float)
    params = parameters(layer, x)
    basis = reps.intertwiners(group, source, target)
    gradient = jax.jit(jax.jacfwd(layer.apply))(params, x)["params"]
    assert gradient["coefficients"].shape == (3, target.dim_of(group), len(basis))
    unscaled = np.einsum("kij,nj->nik", basis, x)
    scale = gradient["coefficients"][unscaled != 0] / unscaled[unscaled != 0]
    assert (scale > 0).all()  # each map has a parameter, in the order of the basis
    np.testing.assert_allclose(np.unique(scale.round(6) ** 2), scales, rtol=1e-5)  # dim over number of maps
    invariants = reps.intertwiners(group, S, target)[..., 0].T
    np.testing.assert_allclose(gradient["bias"], np.broadcast_to(invariants, gradient["bias"].shape))


@pytest.mark.parametrize("name", ["rotations", "sets and graphs"])
def test_unit_variance(name):
    group, source, target, _ = CASES[name]
    layer, x = nn.EquivariantLinear(group, source, target), normal(0, 200, source.dim_of(group))
    params = {"params": {"coefficients": normal(1, 300, len(reps.intertwiners(group, source, target)))}}
    params["params"]["bias"] = np.zeros((300, len(reps.intertwiners(group, S, target))), np.float32)
    y = jax.jit(jax.vmap(layer.apply, (0, None)))(params, x)
    np.testing.assert_allclose(
        jnp.mean(y[..., : (9 if target != CASES["sets and graphs"][2] else 25)] ** 2), 1, atol=0.1
    )
    np.testing.assert_allclose(jnp.mean(y[..., -1] ** 2), 1, atol=0.2)


def test_products_make_what_no_linear_map_makes(x64):
    """The scalar product of two vectors, and the cross product: a bilinear map of rank 1 with the right numbers."""
    layer = nn.EquivariantBilinear(groups.SO(3), Sum(V, V), Sum(S, V), factors=V, rank=1)
    left, right = {"coefficients": np.array([1.0, 0])}, {"coefficients": np.array([0, 1.0])}
    params = {"params": {"left": left, "right": right, "out": {"coefficients": np.ones(2)}}}
    a, b = np.random.default_rng(0).normal(size=(2, 7, 3))
    y = np.asarray(layer.apply(params, jnp.concatenate([a, b], axis=1)))
    for found, expected in ((y[:, :1], np.sum(a * b, 1, keepdims=True)), (y[:, 1:], np.cross(a, b))):
        ratio = found / expected
        np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-12)


def test_gates_and_pointwise_functions():
    rep = Sum(V, S, V)
    x = jnp.asarray(normal(0, 4, 7 + 2))
    y = nn.gated(groups.O(3), rep, x, activation=jnp.tanh, gate_activation=lambda x: x)
    np.testing.assert_allclose(y[:, :3], x[:, :3] * x[:, 7:8], rtol=1e-5)
    np.testing.assert_allclose(y[:, 4:7], x[:, 4:7] * x[:, 8:9], rtol=1e-5)
    ratio = np.asarray(y[:, 3] / jnp.tanh(x[:, 3]))
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)
    assert nn.gated(S5, Sum(P, S), x[:, :6]).shape == (4, 6)  # nothing to gate


def test_no_rows_and_no_maps():
    model, x = network("rotations")
    assert model.apply(parameters(model, x), x[None][:0]).shape[0] == 0
    none = nn.EquivariantLinear(groups.SO(3), V, S)  # nothing linear makes a scalar of a vector
    params = none.init(jax.random.key(0), jnp.ones(3))
    assert all(a.size for a in jax.tree.leaves(params))
    assert none.apply(params, jnp.ones(3)).tolist() == [0.0]


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32, jnp.float64])
def test_dtype_zeros_and_gradients(dtype, x64):
    model, x = network("rotations")
    params, zero = parameters(model, x), jnp.zeros((2, *x.shape), dtype)
    assert jax.eval_shape(model.apply, params, zero).dtype == dtype
    if dtype == jnp.float32:
        value = jax.jit(jax.value_and_grad(lambda p, x: jnp.sum(model.apply(p, x) ** 2), (0, 1)))(params, zero)
        assert all(np.isfinite(a).all() for a in jax.tree.leaves(value))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: nn.EquivariantLinear(groups.SO(3), V, V), ValueError, r"x: expected shape \(..., 3\), got \(4,\)"),
        (lambda: nn.EquivariantLinear(groups.SE(3), reps.Position(), V), TypeError, "is not a linear representation"),
        (lambda: nn.EquivariantBilinear(S5, P, P), ValueError, "factors: .* only has coordinates that are permuted"),
        (lambda: nn.EquivariantBilinear(groups.SO(3), V, V, rank=0), ValueError, "rank: .* at least 1"),
    ],
)
def test_errors_name_the_argument(make, error, message):
    with pytest.raises(error, match=message):
        jax.eval_shape(make().init, jax.random.key(0), jnp.ones(4))
