"""Known answers: layers of e3nn-jax and e3x are exact, an MLP is not; models of linen, nnx and equinox are taken."""

import functools

import flax.linen
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import equijax as ej
from equijax import groups, reps
from equijax.checks import assert_equivariant, check

RNG = np.random.default_rng(1)
PERMUTATIONS = ej.Symmetry(groups.Permutation(4), reps.Permutation(-2), reps.Permutation(-2))
X = RNG.standard_normal((4, 3)).astype(np.float32)


def test_layers_of_e3nn_are_exact():
    import e3nn_jax as e3nn

    irreps = e3nn.Irreps("2x0e + 1x1o + 1x2e")
    layer = e3nn.flax.Linear(irreps)
    x = RNG.standard_normal(irreps.dim).astype(np.float32)

    def f(params, x):
        x = e3nn.IrrepsArray(irreps, x)
        return layer.apply(params, e3nn.tensor_product(x, x).filter(keep=irreps)).array

    product = jax.jit(lambda x: e3nn.tensor_product(*2 * [e3nn.IrrepsArray(irreps, x)]).filter(keep=irreps))
    params = jax.jit(layer.init)(jax.random.key(0), product(x))
    rep = reps.Irreps(str(irreps))
    report = check(f, ej.Symmetry(groups.O(3), (None, rep), rep), (params, x))
    assert report.verdict == "exact", report


def test_a_layer_of_e3x_is_exact():
    e3x = pytest.importorskip("e3x")
    layer = e3x.nn.TensorDense(features=2, max_degree=1, include_pseudotensors=False)
    scalars, vectors = (RNG.standard_normal(shape).astype(np.float32) for shape in ((1, 2), (2, 3)))

    def f(params, scalars, vectors):  # e3x has (parity, coefficient, channel), ours is (channel, xyz)
        y = layer.apply(params, jnp.concatenate([scalars, vectors.T])[None])
        return y[0, :1], y[0, 1:].T

    params = jax.jit(layer.init)(jax.random.key(0), np.zeros((1, 4, 2), np.float32))
    symmetry = ej.Symmetry(groups.O(3), (None, None, reps.Vector()), (None, reps.Vector()))
    report = check(f, symmetry, (params, scalars, vectors))
    assert report.verdict == "exact", report


class MLP(flax.linen.Module):
    dtype: type | None = None

    @flax.linen.compact
    def __call__(self, x):
        x = flax.linen.silu(flax.linen.Dense(8, dtype=self.dtype)(x))
        return flax.linen.Dense(3, dtype=self.dtype)(x)


@pytest.mark.core
def test_a_plain_mlp_is_broken_for_rotations_and_exact_for_permutations():
    params = jax.jit(MLP().init)(jax.random.key(0), X)
    rotations = ej.Symmetry(groups.O(3), (None, reps.Vector()), reps.Vector())
    assert check(MLP().apply, rotations, (params, X)).verdict == "broken"
    assert check(functools.partial(MLP().apply, params), PERMUTATIONS, (X,)).verdict == "exact"


@pytest.mark.core
def test_vectors_mixed_in_bfloat16_are_approximate_and_the_casts_named():
    rotations = ej.Symmetry(groups.O(3), (None, reps.Vector()), reps.Vector())
    for dtype, verdict in ((None, "exact"), (jnp.bfloat16, "approximate")):
        layer = flax.linen.Dense(2, use_bias=False, dtype=dtype)
        params = jax.jit(layer.init)(jax.random.key(0), X.T)
        report = check(lambda p, x, layer=layer: layer.apply(p, x.T).T, rotations, (params, X))
        assert report.verdict == verdict
        assert any("bfloat16" in cast and "Dense" in cast for cast in report.casts) == (verdict != "exact")
        assert ("bfloat16" in str(report)) == (verdict != "exact")


def test_nnx_modules_are_taken_as_they_are():
    class Net(nnx.Module):
        def __init__(self, rngs):
            self.first, self.norm = nnx.Linear(3, 8, rngs=rngs), nnx.LayerNorm(8, rngs=rngs)

        def __call__(self, x):
            return nnx.silu(self.norm(self.first(x)))

    net = Net(nnx.Rngs(0))
    assert_equivariant(net, PERMUTATIONS, (X,))
    assert_equivariant(lambda x: net(x), PERMUTATIONS, (X,))
    with_net = ej.Symmetry(groups.Permutation(4), (None, reps.Permutation(-2)), reps.Permutation(-2))
    assert_equivariant(lambda net, x: net(x), with_net, (net, X))
    assert net.first.kernel.dtype == jnp.float32
    with pytest.raises(AssertionError, match="permutation"):
        assert_equivariant(lambda x: net(x) * jnp.arange(4.0)[:, None], PERMUTATIONS, (X,))


def test_equinox_modules_are_taken_as_they_are():
    eqx = pytest.importorskip("equinox")
    layer = eqx.nn.MLP(3, 2, 8, 1, key=jax.random.key(0))
    assert_equivariant(jax.vmap(layer), PERMUTATIONS, (X,))
    convolution = eqx.nn.Conv1d(1, 2, 3, padding=1, padding_mode="CIRCULAR", key=jax.random.key(0))
    shifts = ej.Symmetry(groups.Shift(8), reps.Shift(-1), reps.Shift(-1))
    report = check(convolution, shifts, (RNG.standard_normal((1, 8)).astype(np.float32),))
    assert report.verdict == "exact", report


def test_a_circular_convolution_with_stride_2_is_exact_for_even_shifts_only():
    layer = flax.linen.Conv(2, (3, 3), strides=2, padding="CIRCULAR")
    x = RNG.standard_normal((8, 8, 1)).astype(np.float32)
    params = jax.jit(layer.init)(jax.random.key(0), x)

    def symmetry(step):
        return ej.Symmetry(
            groups.Shift((8, 8), step=step), (None, reps.Shift((-3, -2))), reps.Shift((-3, -2), stride=2)
        )

    report = check(layer.apply, symmetry(2), (params, x))
    assert report.verdict == "exact", report

    def pooled(params, x):
        return jnp.sum(layer.apply(params, x) ** 2, axis=(0, 1))

    for step, verdict in ((2, "exact"), (1, "broken")):
        invariant = ej.Symmetry(groups.Shift((8, 8), step=step), (None, reps.Shift((-3, -2))), None)
        assert check(pooled, invariant, (params, x)).verdict == verdict
