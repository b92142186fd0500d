"""What each loss guards against does happen without the guard: small linear encoders, a few hundred steps of Adam."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax

from equijax import groups, objectives, reps

N = 256
KEYS = jax.random.split(jax.random.key(0), 8)
ADAM = optax.adam(0.02)
START = {"w": jnp.eye(6), "b": jnp.full(6, 0.1)}


def descend(loss, params, steps=400, decay=1.0):
    """Parameters after `steps` of loss(params, their moving average)."""

    def step(carry, _):
        params, state, average = carry
        updates, state = ADAM.update(jax.grad(loss)(params, average), state)
        params = optax.apply_updates(params, updates)
        return (params, state, optax.incremental_update(params, average, 1 - decay)), None

    return jax.lax.scan(step, (params, ADAM.init(params), params), None, steps)[0][0]


def encode(p, x):
    return x @ p["w"] + p["b"]


def unit(z):
    return z / jnp.linalg.norm(z, axis=-1, keepdims=True)


def distance(p, t):
    """1 − cos, with a gradient for both: no guard."""
    return 1 - jnp.mean(jnp.sum(unit(p) * unit(t), axis=-1))


def spread(z):
    """About 1 where unit codes point everywhere, 0 where they are one point."""
    return jnp.mean(jnp.std(unit(z), axis=0)) * z.shape[1] ** 0.5


def test_siamese_codes_need_a_predictor_and_a_target_that_does_not_learn():
    x, *noise = jax.random.normal(KEYS[0], (3, N, 6))
    views = [x + 0.7 * n for n in noise]

    @functools.partial(jax.jit, static_argnums=0)
    def found(guarded):
        def loss(p, average):
            z, t = ([encode(q, view) for view in views] for q in (p, average))
            return objectives.siamese_cosine(*(a @ p["predict"] for a in z), *t)[0] if guarded else distance(*z)

        return spread(encode(descend(loss, START | {"predict": jnp.eye(6)}, decay=0.99), x))

    assert found(True) > 0.5
    assert found(False) < 1e-3


def test_codes_of_sequences_need_a_target_that_does_not_learn():
    r = groups.SO(3).sample(KEYS[1], (N, 3))
    a = jnp.broadcast_to(jax.random.normal(KEYS[2], (N, 1, 3)), (N, 3, 3))
    x = jnp.concatenate([jnp.einsum("nmij,nmj->nmi", r, a), a], axis=-1)  # what turns, and what stays
    x = x + 0.7 * jax.random.normal(KEYS[3], x.shape)
    actions = (r[:, 1:] @ jnp.swapaxes(r[:, :-1], -1, -2)).reshape(N, 2, 9)
    start = START | dict(zip(("summarize", "predict"), 0.3 * jax.random.normal(KEYS[4], (2, 15, 6)), strict=True))

    @functools.partial(jax.jit, static_argnums=0)
    def found(guarded):
        def loss(p, average):
            z = encode(p, x)
            aggregate = lambda tokens: jnp.mean(jnp.tanh(tokens @ p["summarize"]), axis=1)  # noqa: E731
            predict = lambda s: s @ p["predict"]  # noqa: E731
            if guarded:
                return objectives.seq_jepa(z[:, :2], actions, encode(average, x[:, 2]), aggregate, predict)[0]
            s = aggregate(objectives.sequence_tokens(z[:, :2], actions))
            return distance(predict(jnp.concatenate([s, actions[:, 1]], axis=1)), z[:, 2])

        return spread(encode(descend(loss, start, decay=0.99), x[:, 2]))

    assert found(True) > 0.5
    assert found(False) < 0.05


def test_capsules_need_the_entropy_of_their_means():
    """How far the mean probabilities are from uniform: 0, and 1 where one capsule is all that is used."""
    x, *noise = jax.random.normal(KEYS[5], (3, N, 6))
    capsules, still = 4, jnp.broadcast_to(jnp.eye(3), (N, 3, 3))
    poses = jnp.broadcast_to(still[:, None], (N, capsules, 3, 3))

    def found(entropy):
        def terms(p):
            views = [(jax.nn.softmax(encode(p, x + 2 * n)), poses) for n in noise]
            weights = {"entropy": entropy, "invariance": 1.0, "covariance": 0.0}
            return objectives.equicaps(*views, still, reps.Vector(), **weights)

        start = {"w": 0.3 * jax.random.normal(KEYS[6], (6, capsules)), "b": jnp.zeros(capsules)}
        p = descend(lambda p, _: terms(p)[0], start)
        return terms(p)[1]["entropy"] / (2 * np.log(capsules))

    guarded, bare = jax.jit(jax.vmap(found))(jnp.array([1.0, 0.0]))
    assert guarded < 0.05
    assert bare > 0.9


def test_what_is_equivariant_becomes_invariant_where_the_predictor_may_ignore_the_element():
    """How much of the second half is told by what does not turn; the predictor has ones beside R, or zeros."""
    g = groups.SO(3).sample(KEYS[1], (2, N))
    a, *noise = jax.random.normal(KEYS[2], (3, N, 3))
    c = jax.random.normal(KEYS[3], (N, 6))
    turned = [jnp.einsum("nij,nj->ni", r, a) + 0.7 * n for r, n in zip(g, noise, strict=True)]
    views = [jnp.concatenate([x, c], axis=1) for x in turned]
    relative = g[1] @ jnp.swapaxes(g[0], 1, 2)
    start = {"w": 0.5 * jax.random.normal(KEYS[4], (9, 6)), "rho": 0.3 * jax.random.normal(KEYS[5], (10, 3, 3))}

    def found(ones):
        entries = jnp.concatenate([relative.reshape(N, 9), jnp.full((N, 1), ones)], axis=1)

        def loss(p, _):
            predict = lambda g, z: jnp.einsum("nk,kij,nj->ni", entries, p["rho"], z)  # noqa: E731
            return objectives.sie(*(view @ p["w"] for view in views), predict, relative, invariant=3)[0]

        z = views[0] @ descend(loss, start, 600)["w"][:, 3:]
        q = jnp.linalg.qr(jnp.concatenate([c, jnp.ones((N, 1))], axis=1))[0]
        return 1 - jnp.sum((z - q @ (q.T @ z)) ** 2) / jnp.sum((z - z.mean(0)) ** 2)

    guarded, bare = jax.jit(jax.vmap(found))(jnp.array([0.0, 1.0]))
    assert guarded < 0.1
    assert bare > 0.9
