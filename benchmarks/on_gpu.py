"""How right and how fast is equijax on a GPU, beside other packages and beside what the card allows?

python benchmarks/on_gpu.py --json benchmarks/results/on_gpu.jsonl

First the tests that are marked for a GPU run, then the card's two ceilings are measured (a copy, a matrix product),
then a row a program, the most telling first, until the time is over. A second start goes on with the rows that the file
lacks; `--again` measures all anew. Times are those of calls that follow each other on arguments in turn, which no cache
holds; errors are those of some rows against float64. Without a GPU it stops, but for `--small`.
"""

import argparse
import functools
import importlib.util
import itertools
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import harness
from tables.on_gpu import SIZES

ROOT = Path(__file__).parents[1]
CACHE = 2**26  # bytes, more than the second-level cache of an H100 or H200 holds
CHECKED = 64  # rows that are held against float64
TINY = {"channels": 2, "lmax": 1, "hidden_lmax": 0, "layers": 1}  # a potential for the smoke run
MODES = ("forward", "gradient", "hessian-vector")
TF32 = {"JAX_DEFAULT_MATMUL_PRECISION": "default"}  # what a GPU does to float32 unless it is told not to
EXACT = {"JAX_DEFAULT_MATMUL_PRECISION": "highest"}


class Row(NamedTuple):
    """One program of one size."""

    table: str
    name: str
    size: dict[str, Any]
    build: Callable[[], "Call | dict[str, float]"]  # a program to measure, or the figures of one that is a run
    mode: str = "forward"

    @property
    def key(self):
        return {"table": self.table, "name": self.name, "mode": self.mode, **self.size}


class Call(NamedTuple):
    """A function, arguments by which derivatives are taken, and others; what is held against float64."""

    f: Callable[..., Any]
    arguments: tuple
    fixed: tuple = ()
    rows: int = 0  # of the first axis of all arguments: some of them are checked; 0 checks nothing, -1 everything
    symmetry: Any = None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser)
    parser.add_argument("--minutes", type=float, default=8.0, help="begin no row after so many")
    parser.add_argument("--only", nargs="+", help="these tables")
    parser.add_argument("--again", action="store_true", help="measure what the file has, too")
    parser.add_argument("--no-tests", action="store_true", help="go to the rows at once")
    args = parser.parse_args()
    begin, stop = time.perf_counter(), harness.interrupted()
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the tests are processes of their own
    harness.set_platform(args)
    import jax

    try:
        card = jax.devices()[0]
    except (RuntimeError, AssertionError) as error:  # a plugin of another release of CUDA, or none
        sys.exit(f"on_gpu.py: expected a GPU, jax can use none: {str(error) or 'it has no plugin for one'}")
    if card.platform != "gpu" and not args.small:
        sys.exit(f"on_gpu.py: expected a GPU, found {card.device_kind}; --small runs a small version of it here")
    shared = {"benchmark": "on_gpu", "small": args.small, **harness.environment()}
    same = ("device", "small", "equijax", "jax")
    known = [r for r in harness.read(args.json) if all(r.get(k) == shared[k] for k in same) and not args.again]
    records = []

    def keep(record):
        records.append(shared | record)
        harness.append(args.json, records[-1])
        print(line(record), flush=True)

    if not args.no_tests and not args.only:
        for name, variables in (("float32 as it is", EXACT), ("TF32", TF32)):
            record = {"table": "tests", "name": name}
            if not any(record.items() <= r.items() for r in known):
                keep(record | tests(variables, args.small))
    ceilings = next((r for r in known if r["table"] == "ceilings"), None)
    if ceilings is None:
        keep(ceilings := {"table": "ceilings", "name": "card", **measure_ceilings(args.small)})
    for row in rows(args.small):
        if stop or time.perf_counter() - begin > 60 * args.minutes:
            print("the time is over: start again for the rows that are left")
            break
        if (args.only and row.table not in args.only) or any(row.key.items() <= r.items() for r in known):
            continue
        try:
            keep(row.key | measured(row, ceilings, 0.02 if args.small else 0.3))
        except Exception as error:  # of a package that is missing, a card too small, a route that does not lower: named
            keep(row.key | {"reason": f"{type(error).__name__}: {str(error).splitlines()[0][:160]}" if str(error)
                            else type(error).__name__})  # fmt: skip
    print("\n" + "\n".join(line(r) for r in [*known, *records]))


def tests(variables, small):
    """Numbers of the tests that are marked for a GPU, and the names of those that fail."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", "--tb=line"]
    # only the files that have some: others import packages that may be missing
    marked = [p for p in sorted((ROOT / "tests").rglob("test_*.py")) if "mark.gpu" in p.read_text()]
    command += ["tests/test_canary.py"] if small else [str(p.relative_to(ROOT)) for p in marked]
    command += ["-n", "8"] if not small and importlib.util.find_spec("xdist") else []
    begin = time.perf_counter()
    try:
        run = subprocess.run(command, cwd=ROOT, env={**os.environ, "XLA_FLAGS": "", **variables}, timeout=120,
                             capture_output=True, text=True)  # fmt: skip
    except subprocess.TimeoutExpired:
        return {"reason": "not over after 120 s"}
    counts = {
        word: int(n) for n, word in re.findall(r"(\d+) (passed|failed|skipped|error)", run.stdout.splitlines()[-1])
    }
    failed = re.findall(r"^FAILED (\S+)", run.stdout, re.MULTILINE)
    return {"seconds": time.perf_counter() - begin, "counts": counts, "failed": failed}


def measure_ceilings(small):
    """Bytes a second of a large copy; operations a second of large matrix products, by their precision."""
    import jax
    import jax.numpy as jnp

    n = 256 if small else 8192
    copy, moved = harness.copy_call(n**2 if small else 2**31)
    found = {"copy_rate": moved / timed([copy], 0.2)}
    for name, dtype, precision in (("float32", jnp.float32, "highest"), ("tf32", jnp.float32, "default"),
                                   ("bfloat16", jnp.bfloat16, "default")):  # fmt: skip
        a = jax.random.normal(jax.random.key(0), (n, n), dtype)
        product = jax.jit(functools.partial(jnp.matmul, precision=precision))
        found[f"{name}_rate"] = 2 * n**3 / timed([functools.partial(product, a, a)], 0.2)
    return found


def timed(calls, seconds):
    """Median seconds of a call, of batches of calls that follow each other in turn, without waiting for each."""
    import jax

    def batch(n):
        begin = time.perf_counter()
        results = [calls[k % len(calls)]() for k in range(n)]
        jax.block_until_ready(results[-1])
        return (time.perf_counter() - begin) / n

    batch(len(calls))
    n = max(1, min(200, int(seconds / 10 / batch(2))))
    return statistics.median(batch(n) for _ in range(9))


def measured(row, ceilings, seconds):
    """The figures of a row."""
    import jax
    import jax.numpy as jnp

    call = row.build()
    if isinstance(call, dict):
        return call
    f = in_mode(call.f, row.mode)
    arguments = (call.arguments, call.fixed)
    program = harness.compiled(f, *arguments)
    size = sum(a.nbytes for a in jax.tree.leaves(arguments))
    sets = [arguments] + [jax.tree.map(jnp.copy, arguments) for _ in range(min(7, CACHE // max(size, 1)))]
    median = timed([functools.partial(program.call, *one) for one in sets], seconds)
    bounds = {
        "memory": program.least_bytes / ceilings["copy_rate"],
        "arithmetic": program.operations / ceilings["float32_rate"],
    }
    bound = max(bounds, key=bounds.__getitem__)
    found = {"seconds": median, "bound": bound, "fraction": bounds[bound] / median, "bytes": program.least_bytes,
             "operations": program.operations, "temporary_bytes": program.temporary_bytes,
             "compile_seconds": program.trace_seconds + program.compile_seconds}  # fmt: skip
    if call.rows:
        rows = slice(None) if call.rows < 0 else slice(min(call.rows, CHECKED))
        some = jax.tree.map(lambda a: a[rows] if a.shape[:1] == (call.rows,) else a, arguments)
        found["error"] = error_of(f, some)
        if call.symmetry is not None and row.mode == "forward":
            from equijax import equivariance_error

            with jax.default_matmul_precision("default"):
                error = equivariance_error(call.f, call.symmetry, some[0], key=jax.random.key(0))
            found["equivariance_error"] = float(error)
    return found


def error_of(f, arguments):
    """Largest relative error of the results against those in float64, result by result."""
    import jax
    import numpy as np

    def wide(a):
        return np.asarray(a, np.float64) if jax.numpy.issubdtype(a.dtype, np.inexact) else np.asarray(a)

    single = jax.device_get(jax.jit(f)(*arguments))
    with jax.enable_x64(True):
        double = jax.device_get(jax.jit(f)(*jax.tree.map(wide, jax.device_get(arguments))))
    pairs = zip(jax.tree.leaves(single), jax.tree.leaves(double), strict=True)
    return max(float(np.max(np.abs(wide(a) - b), initial=0) / (np.max(np.abs(b), initial=0) or 1)) for a, b in pairs)


def in_mode(f, mode):
    """f itself, its value and gradient, or the derivative of its gradient along the arguments."""
    import jax
    import jax.numpy as jnp

    def total(arguments, fixed):
        return sum(jnp.sum(jnp.square(y.astype(jnp.promote_types(y.dtype, jnp.float32))))
                   for y in jax.tree.leaves(f(*arguments, *fixed)))  # fmt: skip

    if mode == "forward":
        return lambda arguments, fixed: f(*arguments, *fixed)
    if mode == "gradient":
        return jax.value_and_grad(total)
    return lambda arguments, fixed: jax.jvp(lambda a: jax.grad(total)(a, fixed), (arguments,), (arguments,))[1]


def rows(small: bool) -> Iterator[Row]:
    """All of them, the most telling first."""
    degrees, large, few = ((2,), (8, 4), (4, 2)) if small else (range(1, 7), (16384, 128), (64, 16))
    atoms = (12,) if small else (138, 1205, 3000)
    for mode in MODES:
        for name in ("gaunt", "gaunt and bracket"):
            yield from (product_row(name, l, *large, mode) for l in degrees)
    yield from (potential_row(n, mode, small) for n in atoms for mode in ("forces", "training"))
    yield from (dynamics_row(n, small) for n in atoms)
    yield from network_rows(small)
    yield from (convolution_row(l, "auto", mode, small) for l in ((2,) if small else (2, 3)) for mode in MODES[:2])
    yield from peer_rows((1,) if small else (2, 3, 4), large, few, small)
    if small:
        degrees = ()
    for method in ("terms", "grid", "split", "separable", "fft"):
        for mode in MODES[:2]:
            yield from (product_row("gaunt", l, *large, mode, method=method) for l in degrees)
    for l in () if small else (2, 4, 6):
        for options in ({"precision": "default"}, {"precision": "high"}, {"dtype": "bfloat16"}):
            yield from (product_row("gaunt", l, *large, mode, **options) for mode in MODES[:2])
    for name in ("bracket", "power", "many_body", "clebsch_gordan"):
        for mode in MODES[:2]:
            yield from (product_row(name, l, *large, mode) for l in degrees if l <= 4)
    for method in () if small else ("matrix", "direct", "zonal", "aligned"):
        yield from (convolution_row(2, method, mode, small) for mode in MODES[:2])
    yield from program_rows(small)


def product_row(name, l, n, channels, mode, method="auto", precision="highest", dtype="float32"):
    """A product of features of degree L."""

    def build():
        import jax
        import jax.numpy as jnp

        from equijax import Symmetry, groups, products, reps

        shape, count = (n, (l + 1) ** 2, channels), {"power": 1, "many_body": 1}.get(name, 2)
        draw = lambda k: jax.random.normal(jax.random.key(k), shape, dtype)  # noqa: E731
        options = {"method": method, "precision": precision}
        f = {
            "gaunt": lambda x, y: products.gaunt(x, y, **options),
            "bracket": lambda x, y: products.bracket(x, y, **options),
            "gaunt and bracket": lambda x, y: (products.gaunt(x, y, **options), products.bracket(x, y, **options)),
            "power": lambda x: products.power(x, 3, **options),
            "many_body": lambda x: products.many_body(jnp.concatenate([x, x, x], -1), 3, precision=precision),
            "clebsch_gordan": lambda x, y: products.clebsch_gordan(x, y, precision=precision),
        }[name]
        rep, even = reps.Spherical(l), name not in ("bracket", "gaunt and bracket")
        symmetry = Symmetry(groups.O(3), (rep,) * count, rep) if even else None
        return Call(f, tuple(map(draw, range(count))), rows=n, symmetry=symmetry)

    size = {"degree": l, "rows": n, "channels": channels, "method": method, "precision": precision, "dtype": dtype}
    return Row("products", name, size, build, mode)


def peer_rows(degrees, large, few, small):
    """The same, and products with a weight a path, as every package computes them; also where little is to do."""

    def build(entry, size):
        import peers

        if entry.package in peers.missing():
            raise ModuleNotFoundError(f"{entry.package} is not installed")
        call = entry.build(peers.sample(*size))
        return Call(call.f, tuple(call.arguments), tuple(call.fixed))

    import peers

    wanted = [e for e in peers.PRODUCTS if e.package != "equijax" or e.name in ("gaunt, auto", "clebsch_gordan")]
    for (rows, channels), l, entry in itertools.product((large, few), degrees, wanted):
        size = {"degree": l, "rows": rows, "channels": channels, "package": entry.package, "map": entry.map}
        for mode in MODES[:1] if small else MODES[: 2 + (rows == large[0])]:
            yield Row("peers", entry.name, size, functools.partial(build, entry, (l, rows, channels)), mode)


def convolution_row(l, method, mode, small):
    """Messages of all edges of a graph, added up at their receivers."""
    nodes, edges, channels = (20, 200, 8) if small else (3000, 160_000, 128)

    def build():
        import jax
        import numpy as np

        from equijax import products

        ends = np.random.default_rng(0).integers(0, nodes, (2, edges))
        senders, receivers = ends[0].astype(np.int32), np.sort(ends[1]).astype(np.int32)
        keys = jax.random.split(jax.random.key(0), 3)
        shapes = (nodes, (l + 1) ** 2, channels), (edges, 3), (edges, l + 1, channels)

        def f(x, r, w, senders, receivers):
            messages = products.convolution(x[senders], r, w, method=method)
            return jax.ops.segment_sum(messages, receivers, nodes, indices_are_sorted=True)

        arguments = tuple(jax.random.normal(key, shape) for key, shape in zip(keys, shapes, strict=True))
        return Call(f, arguments, tuple(map(jax.numpy.asarray, (senders, receivers))))

    size = {"degree": l, "atoms": nodes, "edges": edges, "channels": channels, "method": method}
    return Row("convolution", "convolution", size, build, mode)


def potential_row(atoms, what, small):
    """Energy and forces of a crystal with vacancies, or the gradient of a loss of them by the parameters."""

    def build():
        import jax
        import jax.numpy as jnp

        from equijax import graphs
        from equijax.models import potential

        model = potential.Potential((29,), (0.0,), mean_neighbors=40.0, **(TINY if small else {}))
        graph = graphs.batch([crystal(atoms)], model.cutoff)
        params = potential.initialize(model, jax.random.key(0))
        if what == "forces":
            f = lambda params, graph: potential.predict(model, params, graph)[:2]  # noqa: E731
        else:

            def loss(params, graph):
                found = potential.predict(model, params, graph)
                return jnp.sum((found.energies - 1) ** 2) + jnp.mean((found.forces - 1) ** 2)

            f = jax.value_and_grad(loss)
        return Call(f, (), (params, jax.tree.map(jnp.asarray, graph)), rows=-1 if atoms < 200 else 0)

    return Row("potential", what, {"atoms": atoms}, build)


def crystal(atoms):
    """Copper with vacancies."""
    import numpy as np

    from equijax import graphs

    rng, side = np.random.default_rng(0), int(np.ceil((atoms / 4) ** (1 / 3)))
    corners = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    sites = (corners + np.array([[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]])).reshape(-1, 3)
    sites = sites[np.sort(rng.permutation(len(sites))[:atoms])]
    positions = 3.61 * sites + 0.05 * rng.normal(size=sites.shape)
    return graphs.Structure(np.full(atoms, 29), positions, 3.61 * side * np.eye(3), (True,) * 3)


def dynamics_row(atoms, small):
    """A step of molecular dynamics in one program, with its neighbor lists; weak forces, so that no atom is lost."""

    def build():
        import jax

        from equijax.models import potential
        from equijax.models.potential import dynamics

        steps = 2 if small else 200
        model = potential.Potential((29,), (0.0,), mean_neighbors=40.0, scale=1e-7, **(TINY if small else {}))
        start, params = crystal(atoms), potential.initialize(model, jax.random.key(0))
        run = functools.partial(dynamics.run, model, params, start, steps, dynamics.NVE(0.5), every=steps, frames=1)
        begin = time.perf_counter()
        state = run().state  # compiles
        seconds = [time.perf_counter() - begin]
        for _ in range(3):
            begin = time.perf_counter()
            state = run(state=state).state
            seconds.append(time.perf_counter() - begin)
        median = statistics.median(seconds[1:])
        return {"seconds": median / steps, "compile_seconds": seconds[0] - median}

    return Row("potential", "dynamics", {"atoms": atoms}, build, "NVE")


def network_rows(small):
    """A step of networks on digits that Lie groups move, and of averaged networks of points, beside plain ones."""
    import affine_digits

    batch, points, width = (2, 6, 4) if small else (256, 100, 128)

    def digits(name):
        import jax
        import jax.numpy as jnp

        model = affine_digits.models()[name]
        images = jax.random.uniform(jax.random.key(0), (batch, 40, 40, 1))
        variables = jax.jit(model.network.init)(jax.random.key(1), images[:1], model.nodes)
        return Call(lambda v, x: jnp.square(model.network.apply(v, x, model.nodes)), (variables,), (images,))

    def averaged(name):
        import jax
        import jax.numpy as jnp

        import equijax as ej
        from equijax import frames, groups, models, reps

        network = models.SetNetwork(features=width, layers=4)
        x, v, charges = (jax.random.normal(jax.random.key(k), (batch, points, d)) for k, d in enumerate((3, 3, 1)))
        params = jax.jit(network.init)(jax.random.key(3), x[0], v[0], charges[0])
        f = network.apply
        if name != "plain":
            symmetry = ej.Symmetry(groups.E(3), (None, reps.Position(), reps.Vector(), None), reps.Position())
            frame = getattr(frames, name)
            f = ej.frame_average(f, symmetry, frame, frame_input=1, strategy="vmap")
        return Call(lambda p, *a: jnp.square(jax.vmap(f, (None, 0, 0, 0))(p, *a)), (params,), (x, v, charges))

    for name in ("CNN",) if small else ("CNN", "SE(2)", "Sim(2)", "Aff(2)"):
        yield Row("networks", f"digits, {name}", {"rows": batch}, functools.partial(digits, name), "gradient")
    for name in ("pivoted",) if small else ("plain", "pivoted", "pca"):
        yield Row("networks", f"points, {name}", {"rows": batch}, functools.partial(averaged, name), "gradient")


def program_rows(small):
    """All layers, transforms and models, each as a training step takes it."""
    import jax.numpy as jnp

    from harness import programs

    sizes = (64, 8) if small else (8192, 64)
    cases = itertools.chain(programs.layers(jnp.float32, *sizes), programs.transforms(jnp.float32))
    for case in itertools.islice(cases, 1 if small else None):
        for mode in MODES[: 1 + case.gradient]:
            yield Row("programs", case.name, {}, functools.partial(drawn, case), mode)


def drawn(case):
    """A case with numbers in place of shapes: normal, but for integers, which are 0, and flags, which are true."""
    import jax
    import jax.numpy as jnp

    def number(k, a):
        if jnp.issubdtype(a.dtype, jax.dtypes.prng_key):
            return jax.random.key(k)
        if jnp.issubdtype(a.dtype, jnp.floating):
            return jax.random.normal(jax.random.key(k), a.shape, a.dtype)
        return jnp.ones(a.shape, a.dtype) if a.dtype == bool else jnp.zeros(a.shape, a.dtype)

    leaves, tree = jax.tree.flatten(case.arguments)
    leaves = [number(k, a) for k, a in enumerate(leaves)]
    moving = [k for k, a in enumerate(leaves) if jnp.issubdtype(a.dtype, jnp.floating)]
    fixed = {k: a for k, a in enumerate(leaves) if k not in moving}

    def f(*moved):
        given = fixed | dict(zip(moving, moved, strict=True))
        out = case.f(*jax.tree.unflatten(tree, [given[k] for k in range(len(leaves))]))
        return [y for y in jax.tree.leaves(out) if jnp.issubdtype(y.dtype, jnp.floating)]

    return Call(f, tuple(leaves[k] for k in moving))


def line(r):
    """A record for a terminal."""
    if r["table"] == "tests":
        return f"tests, {r['name']}: {r.get('reason') or r['counts']} {' '.join(r.get('failed', []))}"
    if r["table"] == "ceilings":
        rates = ", ".join(f"{k.removesuffix('_rate')} {v / 1e12:.2f}" for k, v in r.items() if k.endswith("_rate"))
        return f"ceilings in 1e12 a second: {rates}"
    sizes = [str(r[k]) for k in SIZES if k in r]
    head = f"{r['table']:11} {r['name'][:34]:34} {r['mode'][:8]:8} {' '.join(sizes)[:48]:48}"
    if "reason" in r:
        return f"{head} {r['reason']}"
    if "fraction" not in r:
        return f"{head} {1e6 * r['seconds']:10.1f} µs  compile {r['compile_seconds']:.1f} s"
    errors = "".join(f"  {name} {r[name]:.0e}" for name in ("error", "equivariance_error") if name in r)
    return (f"{head} {1e6 * r['seconds']:10.1f} µs  {100 * r['fraction']:3.0f} % of {r['bound']:10} "
            f"compile {r['compile_seconds']:.1f} s{errors}")  # fmt: skip


if __name__ == "__main__":
    main()
