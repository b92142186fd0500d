"""How far is each layer from equivariant, by precision of its matrix products and by dtype?

python benchmarks/precision.py --json benchmarks/results/precision.jsonl

What a CPU multiplies in full, an accelerator may round: every matrix product of the traced function is replaced by what
one pass of bfloat16 (a TPU's default), TF32 (that of newer NVIDIA GPUs), or three passes of bfloat16 ("high") make of
its factors, all sums in float32. Errors are max‖D f(x) − f(D x)‖ over max‖f‖ at random rotations.
"""

import argparse
import functools

import harness

MODES = ("bfloat16", "TF32", "three passes", "highest")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    harness.add_arguments(parser)
    args = parser.parse_args()
    harness.set_platform(args)
    for name, f, inputs, outputs in cases(args.small):
        narrow = () if name.startswith("forces") else (("bfloat16", ("bfloat16", "highest")),)  # positions are not
        for dtype, modes in (("float32", MODES), *narrow):
            for mode in modes[-1:] if args.small else modes:
                record = {
                    "case": name,
                    "dtype": dtype,
                    "precision": mode,
                    "error": error(f, inputs, outputs, dtype, mode),
                }
                print(f"{name}, {dtype}, {mode}: {record['error']:.1e}")
                harness.append(args.json, record | harness.environment())


def cases(small):
    """Names, functions, their inputs, and whether rotations turn these and the output, as features or as vectors."""
    import jax
    import numpy as np

    from equijax import data, graphs, nn, products
    from equijax.models import potential

    rng = np.random.default_rng(0)

    def features(l, channels=8):
        return rng.normal(size=(32, (l + 1) ** 2, channels))

    for l in (2,) if small else (2, 4, 6):
        yield f"gaunt, L = {l}", products.gaunt, [(features(l), True), (features(l), True)], True
    if small:
        return
    yield "bracket, L = 4", products.bracket, [(features(4), True), (features(4), True)], True
    yield "power of order 3, L = 2", functools.partial(products.power, order=3), [(features(2), True)], True
    yield "clebsch_gordan, L = 2", products.clebsch_gordan, [(features(2), True), (features(2), True)], True
    for method in ("auto", "zonal", "aligned"):
        filters = [(rng.normal(size=(32, 3)), True), (rng.normal(size=(32, 3, 8)), False)]
        f = functools.partial(products.convolution, method=method)
        yield f"convolution, {method}, L = 2", f, [(features(2), True), *filters], True
    for module in (
        nn.Linear(16),
        nn.Gate(),
        nn.NormActivation(),
        nn.Normalization(),
        nn.ManyBodyProduct(),
        nn.ManyBodyProduct(bracket=True),
    ):
        x = features(2)
        params = module.init(jax.random.key(0), x.astype(np.float32))
        name = f"nn.{type(module).__name__}{', bracket' if getattr(module, 'bracket', False) else ''}, L = 2"
        yield name, functools.partial(module.apply, params), [(x, True)], True
    params = nn.GauntProduct().init(jax.random.key(0), *[features(2).astype(np.float32)] * 2)
    f = functools.partial(nn.GauntProduct().apply, params)
    yield "nn.GauntProduct, L = 2", f, [(features(2), True), (features(2), True)], True
    points = graphs.Structure(np.ones(32, int), rng.uniform(0, 4, (32, 3)))
    graph = graphs.from_structure(points, 2.5)
    layer = nn.ZonalConvolution(2.5, mean_neighbors=len(graph.senders) / 32)
    params = layer.init(jax.random.key(0), features(2).astype(np.float32), graph.vectors.astype(np.float32), graph)
    f = lambda x, r: layer.apply(params, x, r, graph)  # noqa: E731
    yield "nn.ZonalConvolution, L = 2", f, [(features(2), True), (graph.vectors, True)], True
    model = potential.Potential(species=(1, 6, 8), atomic_energies=(0.0, 0.0, 0.0), channels=32)
    params = potential.initialize(model, jax.random.key(1))
    molecule = data.acetylacetone().train[0]
    graph = graphs.from_structure(molecule, model.cutoff)
    graph = jax.tree.map(lambda a: a.astype(np.float32) if a.dtype == np.float64 else a, graph)
    forces = lambda x: potential.predict(model, params, graph, x).forces  # noqa: E731
    yield "forces of a potential", forces, [(molecule.positions, True)], True


def error(f, inputs, turned, dtype, mode, rotations=4):
    """The largest relative error over a few rotations, of f with its matrix products in `mode`."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from equijax import groups, spherical

    with jax.enable_x64(True):
        R = groups.SO(3).sample(jax.random.key(0), (rotations,))
        matrices = {(l + 1) ** 2: np.asarray(spherical.wigner_matrix(R, l)) for l in range(7)}
        R = np.asarray(R)

    def act(x, k):
        x = np.asarray(x, np.float64)
        return x @ R[k].T if x.shape[-1] == 3 else np.einsum("ij,...jc->...ic", matrices[x.shape[-2]][k], x)

    def run(*arrays):
        return np.asarray(emulated(f, mode)(*(jnp.asarray(a, dtype) for a in arrays)), np.float64)

    at_x = run(*(a for a, _ in inputs))
    worst = [
        np.max(np.abs((act(at_x, k) if turned else at_x) - run(*(act(a, k) if moves else a for a, moves in inputs))))
        for k in range(rotations)
    ]
    return float(max(worst) / np.max(np.abs(at_x)))


def emulated(f, mode):
    """f with every matrix product of float32 as `mode` has it, evaluated operation by operation."""
    import jax

    def g(*args):
        closed, shape = jax.make_jaxpr(f, return_shape=True)(*args)
        return jax.tree.unflatten(
            jax.tree.structure(shape), evaluate(closed.jaxpr, closed.consts, jax.tree.leaves(args), mode)
        )

    return g if mode != "highest" else f


def evaluate(jaxpr, consts, args, mode):
    """The values of a jaxpr."""
    import jax
    import jax.numpy as jnp

    values = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*consts, *args), strict=True))
    read = lambda v: v.val if isinstance(v, jax.extend.core.Literal) else values[v]  # noqa: E731
    for eqn in jaxpr.eqns:
        operands, params = [read(v) for v in eqn.invars], eqn.params
        inner = next((params[k] for k in ("jaxpr", "call_jaxpr") if k in params), None)
        if eqn.primitive.name == "dot_general" and operands[0].dtype == jnp.float32:
            out = [rounded_product(functools.partial(eqn.primitive.bind, **params), *operands, mode)]
        elif eqn.primitive.name == "cond":
            index, *operands = operands
            branch = params["branches"][int(index)]
            out = evaluate(branch.jaxpr, branch.consts, operands, mode)
        elif inner is not None:
            out = evaluate(getattr(inner, "jaxpr", inner), getattr(inner, "consts", ()), operands, mode)
        else:
            out = eqn.primitive.bind(*operands, **params)
            out = out if eqn.primitive.multiple_results else [out]
        values |= zip(eqn.outvars, out, strict=True)
    return [read(v) for v in jaxpr.outvars]


def rounded_product(product, a, b, mode):
    """The product of what the hardware makes of the factors; sums in float32."""
    import jax.numpy as jnp
    from jax import lax

    def half(x):
        return x.astype(jnp.bfloat16).astype(jnp.float32)

    if mode == "TF32":
        return product(lax.reduce_precision(a, 8, 10), lax.reduce_precision(b, 8, 10))
    if mode == "bfloat16":
        return product(half(a), half(b))
    return product(half(a), half(b)) + product(half(a), half(b - half(b))) + product(half(a - half(a)), half(b))


if __name__ == "__main__":
    main()
