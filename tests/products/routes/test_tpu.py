"""The kernels for TPUs against plain XLA: numbers in interpret mode, derivatives, what is lowered where."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from equijax import spherical
from equijax.numerics import primitives
from equijax.products import bracket, convolution, gaunt, planner
from equijax.products.form import Out
from equijax.products.routes import tpu
from equijax.products.routes.tiles import Tiled
from equijax.products.trilinear import H, X, Y, Z

FORMS = [((1, 1, 2), False, jnp.float32), ((1, 1, 2), False, jnp.bfloat16), ((1, 2, 1), True, jnp.float32)]


def arrays(degrees, dtype=jnp.float32, rows=20, filtered=False, seed=0):
    """x, y (or weights), z and harmonics; 20 rows are no whole number of registers."""
    rng = np.random.default_rng(seed)
    sizes = [(l + 1) ** 2 for l in degrees]
    if filtered:
        sizes[1] = degrees[1] + 1
    x, y, z = (jnp.asarray(rng.normal(size=(n, rows, 128)), dtype) for n in sizes)
    h = spherical.harmonics(jnp.asarray(rng.normal(size=(rows, 3)), jnp.float32), degrees[1])
    return {X: x, Y: y, Z: z} | ({H: h[None]} if filtered else {})


def contract(f, form, known, outs):
    """∂T/∂(out) of a dictionary by argument, by the kernel or by plain XLA."""
    dtypes = tuple(known.get(k, known[X]).dtype for k in outs)
    call = jax.jit(functools.partial(f, form=form, given=tuple(sorted(known)), outs=outs, dtypes=dtypes))
    return [np.asarray(a, np.float64) for a in call(*(known[k] for k in sorted(known)))]


def close(found, wanted, rtol):
    for a, b in zip(found, wanted, strict=True):
        assert a.shape == b.shape
        assert np.max(np.abs(a - b)) < rtol * np.max(np.abs(b))


interpreted = functools.partial(tpu.kernel, interpret=True)
front = functools.partial(jnp.moveaxis, source=0, destination=-2)


@pytest.fixture(autouse=True)
def small_tiles(monkeypatch):
    """Several tiles, the last one not full."""
    monkeypatch.setattr(planner, "FUSED_TILE", 1)


@pytest.mark.core
@pytest.mark.parametrize(("degrees", "odd", "dtype"), FORMS)
@pytest.mark.parametrize("method", ["terms", "grid"])
def test_kernel_agrees_with_the_plain_route(degrees, odd, dtype, method):
    """Value and both gradients; those of bfloat16 are rounded once."""
    a = arrays(degrees, dtype)
    f = functools.partial(bracket if odd else gaunt, lmax=degrees[2], method="grid")
    z, pull = jax.vjp(f, *(front(a[k].astype(jnp.float32)) for k in (X, Y)))
    wanted = [np.moveaxis(np.asarray(b), -2, 0) for b in (*pull(front(a[Z].astype(jnp.float32))), z)]
    found = contract(interpreted, Tiled(degrees, odd, method=method), a, (X, Y, Z))
    close(found, wanted, 2e-6 if dtype == jnp.float32 else 5e-3)


@pytest.mark.parametrize(("odd", "method"), [(False, "terms"), (True, "grid")])
def test_kernel_of_a_filter(odd, method):
    """Against the convolution; gradients in features, weights and harmonics, of two blocks of channels."""
    a, form = arrays((1, 1, 1), filtered=True), Tiled((1, 1, 1), odd, filtered=True, method=method)
    a = {k: v if k == H else jnp.concatenate([v, 2 * v], axis=-1) for k, v in a.items()}
    vectors = a[H][0, :, 1:]  # Y_1 is along the direction
    z = np.moveaxis(convolution(front(a[X]), vectors, front(a[Y]), method="zonal", odd=odd), -2, 0)
    found = contract(interpreted, form, a, (X, Y, Z, H))
    close(found[2:3], [z], 2e-6)
    close(found, contract(tpu.plain, form, a, (X, Y, Z, H)), 2e-6)
    for k, gradient in zip((X, Y, H), (*found[:2], found[3]), strict=True):  # T is linear in each argument
        np.testing.assert_allclose(np.sum(gradient * a[k]), np.sum(z * a[Z]), rtol=1e-4)


def test_precisions_of_the_grid_kernel():
    """Three passes of bfloat16 are a hundred times closer than one would be."""
    a = arrays((1, 1, 1))
    wanted = contract(tpu.plain, Tiled((1, 1, 1)), {X: a[X], Y: a[Y]}, (Z,))
    found = contract(interpreted, Tiled((1, 1, 1), precision="high"), {X: a[X], Y: a[Y]}, (Z,))
    close(found, wanted, 5e-5)
    with pytest.raises(AssertionError):
        close(found, wanted, 1e-7)


def test_derivatives_of_every_kind():
    """Forward, reverse, second order both ways, batched; the primitives against automatic derivatives of plain XLA."""
    form = Tiled((1, 1, 1), filtered=True)
    a = arrays((1, 1, 1), rows=4, filtered=True)
    b = arrays((1, 1, 1), rows=4, filtered=True, seed=1)
    primals, changes = (tuple(c[k] for k in (X, Y, H)) for c in (a, b))

    def primitive(x, y, h):
        last = {X: front(x), Y: front(y), H: h[0][..., None]}  # coefficients on the last axis but one
        return jnp.moveaxis(tpu.contraction(form, last, Out(Z, (4, 4, 128), jnp.dtype("float32"))), -2, 0)

    def reference(x, y, h):
        params = {"form": form, "given": (X, Y, H), "outs": (Z,), "dtypes": (jnp.dtype("float32"),)}
        return tpu.plain(x, y, h, **params)[0]

    def all_of(f):
        loss = lambda *p: jnp.sum(jnp.sin(f(*p)) * a[Z])  # noqa: E731
        grad = jax.grad(loss, argnums=(0, 1, 2))
        along = lambda *p: sum(jnp.vdot(g, d) for g, d in zip(grad(*p), changes, strict=True))  # noqa: E731
        batch = [jnp.stack([p, d]) for p, d in zip(primals, changes, strict=True)]
        some = (0, None, 2)
        moved = [batch[0], primals[1], jnp.moveaxis(batch[2], 0, 2)]
        return (
            jax.jvp(f, primals, changes),
            grad(*primals),
            jax.jvp(grad, primals, changes),
            jax.grad(along, argnums=(0, 1, 2))(*primals),
            jax.grad(lambda *p: jax.jvp(loss, p, changes)[1], argnums=(0, 1, 2))(*primals),
            jax.vmap(grad, some)(*moved),
            jax.vmap(lambda *d: jax.jvp(f, primals, d)[1])(*batch),
            jax.linear_transpose(lambda x: f(x, *primals[1:]), primals[0])(a[Z]),
        )

    found, wanted = (jax.tree.leaves(jax.jit(functools.partial(all_of, f))()) for f in (primitive, reference))
    for p, q in zip(found, wanted, strict=True):
        np.testing.assert_allclose(p, q, atol=2e-4 * float(jnp.max(jnp.abs(q))))


@pytest.mark.parametrize("lmax", [0, 1, 3])
def test_derivatives_by_the_direction_of_a_filter(lmax):
    """The matrices of the gradient formula against the recursion; an edge of no length too."""
    rng = np.random.default_rng(0)
    x, w, r, change, c = (
        jnp.asarray(rng.normal(size=s), jnp.float32)
        for s in ((40, 4, 128), (40, lmax + 1, 128), (40, 3), (40, 3), (40, 9, 128))
    )
    r = r.at[2].set(0)
    options = {"lmax": min(2, 1 + lmax), "odd": False, "precision": "highest"}
    c = c[:, : (options["lmax"] + 1) ** 2]

    def all_of(f):
        grad = jax.grad(lambda r: jnp.sum(jnp.sin(f(r)) * c))
        return f(r), grad(r), *jax.jvp(f, (r,), (change,)), *jax.jvp(grad, (r,), (change,))

    form = Tiled((1, lmax, options["lmax"]), filtered=True, method="terms")
    found = jax.jit(lambda: all_of(lambda r: tpu.convolution(form, x, r[..., None], w)))()
    wanted = jax.jit(lambda: all_of(lambda r: convolution(x, r, w, method="direct", lmax=options["lmax"])))()
    for p, q in zip(found, wanted, strict=True):
        np.testing.assert_allclose(p, q, atol=1e-5 * max(1, float(jnp.max(jnp.abs(q)))))


def lowered(f, *shapes, platform="tpu"):
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return jax.export.export(jax.jit(f), platforms=[platform])(*shapes).mlir_module()


def test_a_tpu_runs_one_kernel_and_nothing_else_does():
    """Value: one kernel; gradient: one kernel more at most. None on other platforms, and none where there is none."""
    x, w, r = (64, 9, 128), (64, 3, 128), (64, 3)
    cases = [(gaunt, (x, x)), (bracket, (x, x)), (convolution, (x, r, w))]
    for f, shapes in cases:
        squares = lambda *a, f=f: jnp.sum(f(*a) ** 2)  # noqa: E731
        assert lowered(f, *shapes).count("tpu_custom_call") == 1
        assert lowered(jax.grad(squares, argnums=tuple(range(len(shapes)))), *shapes).count("tpu_custom_call") == 2
        assert "custom_call @tpu" not in lowered(f, *shapes, platform="cuda")
        assert "tpu_custom_call" not in lowered(f, *shapes, platform="cpu")
    assert "tpu_custom_call" not in lowered(gaunt, (64, 9, 96), (64, 9, 96))
    assert "tpu_custom_call" not in lowered(gaunt, x, (1, 9, 128))
    assert "tpu_custom_call" not in lowered(functools.partial(gaunt, method="grid"), x, x)
    assert "tpu_custom_call" in lowered(jax.vmap(gaunt), (2, *x), (2, *x))


def test_without_a_kernel_a_tpu_takes_a_few_rows_at_a_time():
    grid = functools.partial(gaunt, method="grid")
    x = (4096, 9, 128)
    assert "stablehlo.while" in lowered(grid, x, x)
    assert "stablehlo.while" not in lowered(grid, x, x, platform="cuda")


def test_shard_map_takes_the_kernel_and_a_divided_program_does_not():
    mesh = jax.sharding.AbstractMesh((2,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.sharding.PartitionSpec("rows")
    loss = lambda x, y: jnp.sum(gaunt(x, y) ** 2, axis=(1, 2))  # noqa: E731
    sharded = jax.shard_map(loss, mesh=mesh, in_specs=(rows, rows), out_specs=rows)
    x = jax.ShapeDtypeStruct((128, 9, 128), jnp.float32, sharding=jax.sharding.NamedSharding(mesh, rows))
    for f, count in ((sharded, 2), (loss, 0)):
        grad = jax.grad(lambda x, y, f=f: jnp.sum(f(x, y)), argnums=(0, 1))
        text = jax.export.export(jax.jit(grad), platforms=["tpu"])(x, x).mlir_module()
        assert text.count("tpu_custom_call") == count


def test_only_programs_that_the_compiler_divides_are_divided():
    mesh = jax.make_mesh((2,), ("rows",), axis_types=(jax.sharding.AxisType.Auto,))
    rows = jax.sharding.PartitionSpec("rows")
    divided = lambda x: x + primitives.divided()  # noqa: E731
    x = jnp.zeros(2)
    assert not jax.jit(divided)(x).any()
    split = jax.device_put(x, jax.sharding.NamedSharding(mesh, rows))
    assert jax.jit(divided)(split).all()
    assert not jax.jit(jax.shard_map(divided, mesh=mesh, in_specs=rows, out_specs=rows))(split).any()


def test_which_kernel():
    """Couplings one by one up to degree 6, values on a grid beyond it or where a product is one pass only."""
    chosen = planner.plan(4, 4, 4, 1024, 128, "tpu")
    assert (chosen.method, chosen.runner_up) == ("fused", "grid")
    assert "never leave fast memory: at least" in str(chosen)
    kernels = [planner.fused(l, l, l, 1024, 128) for l in (1, 6, 7, 12, 13)]
    assert kernels == ["terms", "terms", "grid", "grid", None]
    assert planner.fused(4, 4, 4, 1024, 128, precision="default") == "grid"
    for rows, channels in itertools.product((8, 1024), (0, 64)):
        assert planner.fused(2, 2, 2, rows, channels) is None
