"""What the products become: residuals, derivatives of every order and kind, sharding, export, constants."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax.products import bracket, clebsch_gordan, convolution, gaunt, planner, pointwise, power
from equijax.products.form import Out
from equijax.products.trilinear import X, Y, Z


def features(lmax=2, seed=0, channels=2, rows=4):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(rows, (lmax + 1) ** 2, channels)), jnp.float32)


@pytest.mark.core
@pytest.mark.parametrize("f", [gaunt, bracket])
@pytest.mark.parametrize("method", ["terms", "grid", "split", "separable", "fft", "auto"])
def test_the_backward_pass_keeps_x_and_y_only(f, method):
    x, y = features(), features(1, seed=1)
    for g in (f, jax.jit(f, static_argnames="method")):
        _, pullback = jax.vjp(functools.partial(g, method=method), x, y)
        assert {a.shape for a in jax.tree.leaves(pullback)} <= {x.shape, y.shape}
    _, pullback = jax.vjp(functools.partial(power, order=3), x)
    assert {a.shape for a in jax.tree.leaves(pullback)} <= {x.shape}


@pytest.mark.parametrize("method", ["terms", "grid", "split", "separable", "fft"])
def test_64_bit_types_may_be_switched_on_and_off(method):
    """What is cached in one mode, as a table of indices is, serves the other."""
    x = np.asarray(features(3))
    for f in (lambda x: gaunt(x, x, method=method), lambda x: power(x, 3, method=method)):
        for on in (False, True, False):
            with jax.enable_x64(on):
                assert jax.vjp(f, x)[0].dtype == np.float32


def test_derivatives_of_every_kind(x64):
    """Forward, reverse, both ways of the second order, against central differences; all compiled, once."""
    x, y, dx, dy = (features(seed=seed).astype(jnp.float64) for seed in range(4))
    for f in (gaunt, bracket):

        @jax.jit
        def run(x, y, f=f):
            loss = lambda x, y: jnp.sum(jnp.sin(f(x, y)))  # noqa: E731
            grad = jax.grad(loss, argnums=(0, 1))
            inner = lambda x, y: sum(jnp.sum(g * d) for g, d in zip(grad(x, y), (dx, dy), strict=True))  # noqa: E731
            value, forward = jax.jvp(loss, (x, y), (dx, dy))
            gradient, second = jax.jvp(grad, (x, y), (dx, dy))
            return value, gradient, forward, inner(x, y), second, jax.grad(inner, argnums=(0, 1))(x, y)

        _, _, forward, reverse, second, second_reverse = run(x, y)
        (up, g_up, *_), (down, g_down, *_) = (run(x + h * dx, y + h * dy) for h in (1e-5, -1e-5))
        np.testing.assert_allclose([forward, reverse], (up - down) / 2e-5, rtol=1e-6)
        for a, b, p, m in zip(second, second_reverse, g_up, g_down, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-11)
            np.testing.assert_allclose(a, (p - m) / 2e-5, atol=1e-6)


@pytest.mark.parametrize("lmax", [2, 8])
@pytest.mark.parametrize("shared", [False, True])
def test_shard_map_over_rows(x64, lmax, shared):
    """Of both factors, or of one beside a row that all devices share; 8 is of four parts."""
    x, y = (features(lmax, seed=seed).astype(jnp.float64) for seed in range(2))
    y = y[: 1 if shared else None]
    mesh = jax.make_mesh((2,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.sharding.PartitionSpec("rows")
    specs = (rows, jax.sharding.PartitionSpec() if shared else rows)
    loss = lambda x, y: jnp.sum(gaunt(x, y) ** 2, axis=(1, 2))  # noqa: E731
    sharded = jax.shard_map(loss, mesh=mesh, in_specs=specs, out_specs=rows)
    grad = lambda f: jax.jit(jax.grad(lambda x, y: jnp.sum(f(x, y)), argnums=(0, 1)))(x, y)  # noqa: E731
    for got, want in zip(grad(sharded), grad(loss), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-11)


def exported(f, lmax, platforms):
    shape = jax.ShapeDtypeStruct((4, (lmax + 1) ** 2, 2), jnp.float32)
    return jax.export.export(jax.jit(f), platforms=platforms)(shape, shape).mlir_module()


def test_auto_settles_for_the_platform_compiled_for_and_never_takes_the_fft():
    """No choice in the program where all platforms agree; where they do not, each gets its own route."""

    def choices(l):
        x = features(l)
        methods = planner.pointwise((l, l, l), (x.shape, x.shape), "auto").methods
        form, out = pointwise.Pointwise((l, l, l), methods=methods), Out(Z, x.shape, x.dtype)
        f = lambda x, y: pointwise.contract(form, {X: x, Y: y}, (out,))  # noqa: E731
        return str(jax.make_jaxpr(f)(x, x)).count("platform_index")

    assert [choices(l) > 0 for l in (1, 2, 5, 9, 15, 20)] == [False, False, True, False, True, False]
    cpu, tpu = exported(gaunt, 15, ["cpu"]), exported(gaunt, 15, ["tpu"])
    batched = re.compile(r"dot_general.*batching_dims = \[0\]")  # one matrix an order: the separable route
    assert not batched.search(cpu)
    assert batched.search(tpu)
    assert "stablehlo.fft" not in exported(gaunt, 7, ["cpu", "cuda", "tpu"])
    assert "stablehlo.fft" in exported(functools.partial(gaunt, method="fft"), 2, ["tpu"])


def test_tables_are_small():
    """Less than 4 MiB of constants at degree 20, in the program that auto makes."""
    text = exported(gaunt, 20, ["cpu"])
    tables = re.findall(r"stablehlo.constant dense.* : tensor<([\dx]+)xf32>", text)
    assert 0 < 4 * sum(int(np.prod([int(n) for n in table.split("x")])) for table in tables) < 4 * 2**20


METHODS = {gaunt: planner.METHODS, bracket: planner.METHODS, convolution: ("matrix", "direct", "zonal", "aligned")}


@pytest.mark.parametrize("shape", [(0, 9, 2), (2, 9, 0)], ids=["rows", "channels"])
def test_nothing_gives_nothing(shape):
    x, r = jnp.zeros(shape), jnp.zeros((shape[0], 3))
    cases = [functools.partial(f, method=m) for f, methods in METHODS.items() for m in methods]
    for f in (*cases, clebsch_gordan, functools.partial(clebsch_gordan, lmax=4)):
        args = (x, r, x[:, :3]) if getattr(f, "func", f) is convolution else (x, x)

        @jax.jit
        def run(*args, f=f):
            value, pullback = jax.vjp(f, *args)
            return value, pullback(value), () if shape[0] else jax.vmap(f)(*(a[None][:0] for a in args))

        value, gradients, batched = run(*args)
        assert value.shape[::2] == shape[::2]
        assert [a.shape for a in gradients] == [a.shape for a in args]
        assert shape[0] or batched.shape[:2] == (0, 0)


def test_without_jit(x64):
    x, r = features(3), jnp.ones((4, 3))
    functions = (
        gaunt,
        functools.partial(gaunt, method="split"),
        clebsch_gordan,
        lambda x, y: convolution(x, r, y[:, :2]),
    )
    for f in functions:
        run = jax.value_and_grad(lambda x, y, f=f: jnp.sum(f(x, y) ** 2), argnums=(0, 1))
        want = run(x, x)
        with jax.disable_jit():
            jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), run(x, x), want)


def test_precisions_are_checked_where_none_is_needed():
    x = features(1)
    for f in (gaunt, bracket, clebsch_gordan, lambda x, y, **o: power(x, 2, **o)):
        with pytest.raises(ValueError, match=r"precision: expected 'highest' or another .* got 'hgihest'"):
            f(x, x, precision="hgihest")
    with pytest.raises(ValueError, match="precision: expected"):
        convolution(x, jnp.ones((4, 3)), x[:, :2], precision="hgihest")
