"""EqMotion: its symmetries, its formulas pair by pair, padding, agents that rest or coincide, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft

import equijax as ej
from equijax import groups, reps
from equijax.models import EqMotion, Forecast

N, PAST, FUTURE = 4, 5, 3
RNG = np.random.default_rng(0)
SMALL = {"future": FUTURE, "features": 6, "channels": 4, "layers": 1}
DEEP = SMALL | {"layers": 2}
Q, SPECIES = np.array([1.0, -1.0, 0.5, 1.0], np.float32), np.array([0, 1, 1, 0])
KINDS = np.eye(4, 3, dtype=int)
MASK = np.array([True, True, False, True])


def walk(d=3):
    return np.cumsum(RNG.normal(size=(N, PAST, d)), axis=1).astype(np.float32)


def parameters(module, *args, seed=0, **kwargs):
    """Normal numbers in the shapes of the parameters."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *args, **kwargs)
    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape) * 0.3, a.dtype), shapes)


MODULE = EqMotion(**SMALL)
PARAMS = parameters(MODULE, walk())
APPLY = jax.jit(lambda params, x, mask: MODULE.apply(params, x, mask=mask))
VALUE_AND_GRADIENT = jax.jit(
    jax.value_and_grad(lambda params, x: jnp.sum(MODULE.apply(params, x).positions ** 2), (0, 1))
)


def moved(d):
    """E(d) and permutations: trajectories (..., n, frames, d), numbers of agents, and pairs of agents (n, n, kinds)."""
    agents = reps.Product(None, reps.Permutation(-1))
    paths, pairs = reps.Product(reps.Position(), reps.Permutation(-3)), reps.Product(None, reps.Permutation((-3, -2)))
    group = groups.Product(groups.E(d), groups.Permutation(N))
    return ej.Symmetry(group, inputs=(None, paths, agents, agents), outputs=Forecast(paths, pairs))


@pytest.mark.core
@pytest.mark.parametrize(("channels", "frames", "count"), [(64, 20, 418_242), (32, 10, 287_042)])
def test_has_the_parameters_of_the_published_network(channels, frames, count):
    module = EqMotion(frames, channels=channels)
    shapes = jax.eval_shape(module.init, jax.random.key(0), np.ones((5, frames, 3), np.float32))
    assert sum(np.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)) == count


def test_exact_in_space_with_charges_and_species():
    module = EqMotion(**DEEP, num_species=2)
    params = parameters(module, walk(), charges=Q, species=SPECIES)
    f = jax.jit(lambda params, x, q, s: module.apply(params, x, charges=q, species=s))
    ej.check(f, moved(3), (params, walk(), Q, SPECIES), samples=2).assert_exact()


def test_exact_in_the_plane_with_heads_and_padding():
    """Categories do not turn; padded agents may hold anything."""
    module = EqMotion(**SMALL, heads=2, num_active_categories=1)
    params = parameters(module, walk(2))
    f = jax.jit(lambda params, x, _, mask: module.apply(params, x, mask=mask))
    ej.check(f, moved(2), (params, walk(2), None, np.ones(N, bool)), samples=2).assert_exact()
    found = f(params, walk(2), None, MASK)
    assert found.positions.shape == (2, N, FUTURE, 2)
    assert np.abs(found.positions[0] - found.positions[1]).max() > 0.1


def test_padding_counts_nowhere():
    x = walk()
    found, alone = APPLY(PARAMS, np.where(MASK[:, None, None], x, np.nan), MASK), APPLY(PARAMS, x[MASK], MASK[MASK])
    np.testing.assert_allclose(found.positions[MASK], alone.positions, atol=1e-4)
    np.testing.assert_allclose(found.categories[MASK][:, MASK], alone.categories, atol=1e-5)
    assert not np.any(found.positions[~MASK])
    assert not np.any(found.categories[~MASK])
    assert not np.any(found.categories[:, ~MASK])
    shape = ej.Symmetry(groups.E(3), (None, reps.Position(), None), Forecast(reps.Position(), None))
    ej.check(APPLY, shape, (PARAMS, x, MASK), mask=2, samples=2).assert_exact()


def by_pairs(params, x, kinds):
    """The formulas of the paper, agent by agent and pair by pair, in NumPy: positions and categories."""
    p, n, D = params["params"], len(x), lambda t: scipy.fft.dct(np.eye(t), axis=0, norm="ortho")
    silu = lambda a: a / (1 + np.exp(-a))  # noqa: E731
    dense = lambda p, a: a @ p["kernel"] + p.get("bias", 0)  # noqa: E731
    length = lambda a: np.sqrt((a**2).sum(1))  # noqa: E731

    def edge(p, i, j, *a):  # [h_i, h_j, a]
        w = np.concatenate([p[name]["kernel"] for name in ("receiver", "sender", "edge_0")])
        return np.concatenate([i, j, *a]) @ w + p["bias"]

    v = np.diff(x, axis=1)
    v = np.concatenate([v[:, :1], v], axis=1)
    center = x.mean((0, 1))
    X = D(PAST) @ (x - center)  # (n, coefficients, d)
    mean = X.mean((0, 1))
    G = [(p["positions"]["kernel"].T @ (a - mean) + mean).T for a in X]  # (d, channels) each
    U = [(p["velocities"]["kernel"].T @ D(PAST) @ a).T for a in v]
    h = []
    for a in v:
        cosine = [a[max(t - 1, 0)] @ a[t] / length(a[[max(t - 1, 0), t]]).prod() for t in range(PAST)]
        angles = np.arccos(np.clip(cosine, -1, 1))
        h.append(np.concatenate([dense(p["speeds"], length(a)), dense(p["angles"], angles)]))

    r, others = p["reasoning"], [[j for j in range(n) if j != i] for i in range(n)]
    two = lambda p, first, second, a: silu(dense(p[second], silu(dense(p[first], a))))  # noqa: E731
    z = [np.concatenate([g, u], axis=1) for g, u in zip(G, U, strict=True)]
    far = {(i, j): two(r, "distance", "distance_hidden", length((z[i] - z[j]).T)) for i in range(n) for j in others[i]}
    hidden = lambda name, i, j, h: silu(  # noqa: E731
        dense(r[f"{name}_hidden"], silu(edge(r[name], h[i], h[j], far[i, j])))
    )
    heard = [sum(hidden("message", i, j, h) for j in others[i]) for i in range(n)]
    pattern = [two(r, "update", "update_hidden", np.concatenate([h[i], heard[i]])) for i in range(n)]
    c = np.zeros((n, n, kinds))
    for i in range(n):
        for j in others[i]:
            e = np.exp(hidden("category", i, j, pattern))
            c[i, j] = e / e.sum()

    for t in range(2):
        q, width = p[f"layer_{t}"], SMALL["features"]
        new, messages = [], []
        center_of_all = np.mean(G, axis=(0, 2))[:, None]
        for i in range(n):
            g, message = G[i] + silu(dense(q["attention"], h[i])) * (G[i] - center_of_all), 0
            for j in others[i]:
                delta = G[i] - G[j]
                seen = silu(edge(q["pairs"], h[i], h[j], length(delta.T)))
                message = message + silu(dense(q["message"], seen[:width]))
                w = 0
                for k in range(kinds):
                    part = seen[(1 + k) * width : (2 + k) * width]
                    w = w + c[i, j, k] * silu(dense(q[f"category_{k}"], part))
                g = g + two(q, "interaction", "interaction_hidden", w) * delta
            new.append(g + U[i] @ q["velocity"]["kernel"])
            messages.append(message)
        center_of_all = np.mean(new, axis=(0, 2))[:, None]
        G = []
        for g in new:
            a, k = ((g - center_of_all) @ q[name]["kernel"] for name in ("query", "key"))
            dot = (a * k).sum(0)
            G.append(center_of_all + np.where(dot >= 0, a, a - dot / ((k**2).sum(0) + 1e-4) * k))
        h = [
            h[i] + dense(q["update_out"], silu(dense(q["update"], np.concatenate([h[i], messages[i]]))))
            for i in range(n)
        ]
    center_of_all = np.mean(G, axis=(0, 2))[:, None]
    Y = [(g - center_of_all) @ p["readout"]["mixture"]["kernel"] + center_of_all for g in G]
    return np.stack([D(FUTURE).T @ y.T + center for y in Y]), c


def test_is_the_formulas_of_the_paper_pair_by_pair(x64):
    """Which sees what the symmetries do not: senders and receivers, means, the order of the steps."""
    module, x = EqMotion(**DEEP, categories=3), walk().astype(np.float64)
    params = jax.tree.map(lambda a: np.asarray(a, np.float64), parameters(module, walk()))
    found, (positions, categories) = jax.jit(module.apply)(params, x), by_pairs(params, x, kinds=3)
    np.testing.assert_allclose(found.categories, categories, atol=1e-12)
    np.testing.assert_allclose(found.positions, positions, atol=1e-9 * np.abs(positions).max())
    assert np.abs(categories - categories.swapaxes(0, 1)).max() > 1e-3


def test_is_the_identity_where_all_maps_are(x64):
    """The cosine transform and back, with mixtures that mix nothing and interactions that are off."""
    module, x = EqMotion(PAST, features=6, channels=PAST, layers=1), walk().astype(np.float64)
    params = jax.tree.map(lambda a: np.zeros(a.shape), parameters(module, x))["params"]
    for kernel in (params["positions"], params["layer_0"]["query"], params["readout"]["mixture"]):
        kernel["kernel"] = np.eye(PAST)
    np.testing.assert_allclose(jax.jit(module.apply)({"params": params}, x).positions, x, atol=1e-12)


@pytest.mark.parametrize("case", ["at rest", "coincident", "straight on"])
def test_gradients_are_finite_where_published_ones_are_not(case):
    x = {"at rest": walk()[:, :1].repeat(PAST, 1), "coincident": walk()[:1].repeat(N, 0)}.get(case)
    if x is None:
        x = walk()[:, :1] * np.arange(PAST)[:, None].astype(np.float32)
    found, slope = VALUE_AND_GRADIENT(PARAMS, x)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((found, slope)))
    assert any(np.any(leaf) for leaf in jax.tree.leaves(slope))


def test_known_kinds_take_the_place_of_those_found_and_inactive_ones_have_no_network():
    module, x = EqMotion(**SMALL, categories=3, num_active_categories=2), walk()
    params = parameters(module, x)
    apply = jax.jit(lambda params, kinds: module.apply(params, x, categories=kinds))
    kinds = np.full((N, N), 2)
    found = apply(params, kinds)
    np.testing.assert_array_equal(found.categories[~np.eye(N, dtype=bool)], np.tile([0, 0, 1], (N * (N - 1), 1)))
    other = jax.tree_util.tree_map_with_path(lambda path, a: a + ("category_0" in str(path)), params)
    np.testing.assert_array_equal(apply(other, kinds).positions, found.positions)
    kinds[1, 2] = 0  # what 1 hears from 2; means of all agents tell the others a little
    changed = np.abs(apply(other, kinds).positions - found.positions).max(axis=(1, 2))
    assert changed[1] > 1e-3
    assert changed[1] > 2 * np.delete(changed, 1).max()
    assert "category_2" not in params["params"]["layer_0"]


def test_one_agent_moves_by_its_own_past_and_nan_is_not_hidden():
    x = walk()
    found = APPLY(PARAMS, x[:1], MASK[:1])
    assert np.isfinite(found.positions).all()
    np.testing.assert_array_equal(found.categories, np.zeros((1, 1, 2)))
    x[2, 1, 0] = np.nan
    assert np.isnan(APPLY(PARAMS, x, MASK | True).positions).all()


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64])
def test_dtype_is_that_of_the_past(dtype, x64):
    found = jax.eval_shape(MODULE.apply, PARAMS, walk().astype(dtype))
    assert {leaf.dtype for leaf in found} == {jnp.dtype(dtype)}


def test_bad_input_is_named():
    x = walk()
    cases = [
        (ValueError, r"past: expected shape \(n, frames, d\) .* one at least, got \(5, 3\)", {}, x[0], {}),
        (ValueError, "past: .* one at least", {}, x[:0], {}),
        (ValueError, "past: expected two frames at least, which make a velocity, got 1", {}, x[:, :1], {}),
        (TypeError, "past: expected real floating-point numbers, got int", {}, x.astype(int), {}),
        (ValueError, r"mask: expected shape \(4,\), got \(3,\)", {}, x, {"mask": MASK[:3]}),
        (ValueError, r"charges: expected shape \(4,\), got \(4, 1\)", {}, x, {"charges": Q[:, None]}),
        (TypeError, "charges: expected real floating-point", {}, x, {"charges": SPECIES}),
        (ValueError, "species: the model knows of none; give it num_species=", {}, x, {"species": SPECIES}),
        (TypeError, "species: expected integers, got float32", {"num_species": 2}, x, {"species": Q}),
        (ValueError, r"categories: expected shape \(4, 4\), got \(4, 3\)", {}, x, {"categories": KINDS}),
        (ValueError, "num_active_categories: expected at most categories=2", {"num_active_categories": 3}, x, {}),
        (ValueError, "heads: expected an integer of at least 1", {"heads": 0}, x, {}),
        (ValueError, "temperature: expected a positive number", {"temperature": 0.0}, x, {}),
        (ValueError, "future: expected an integer of at least 1", {"future": 0}, x, {}),
    ]  # fmt: skip
    for error, message, fields, past, kwargs in cases:
        module = EqMotion(**SMALL | fields)
        with pytest.raises(error, match=message):
            jax.eval_shape(lambda key: module.init(key, past, **kwargs), jax.random.key(0))  # noqa: B023
