"""Which self-supervised loss learns both what a thing is and how it is turned, with the same encoder and budget?

Views of objects that are turned at random, and no labels but the rotation from view to view, which some losses use.
Each method sees as many views. Then the encoder is frozen: a network of two layers reads the rotation between two views
off their codes, a linear map the class off one code, both fitted to training objects and tested on others; and codes
that are predicted for another view of an object are looked for among the codes of all of its views.
"""

import argparse
import functools
import itertools
import time

import flax.linen as linen
import jax
import jax.numpy as jnp
import numpy as np
import optax

from equijax import groups, measures, nn, objectives, reps, rotations, training, views
from harness import add_arguments, append, completed, environment, holds, set_platform
from harness.views import SETS

SIZE, HALF, HIDDEN = 64, 32, 256  # of codes, of their invariant half, of hidden layers
BATCH = 512  # views a step
CAPSULES = 8
PROTOCOL = "projectors and probes as published"  # results of another one are not of the same case


class Encoder(linen.Module):
    """Dense layers with normalizations, of vectors and tiny images; before them convolutions of images in color."""

    @linen.compact
    def __call__(self, x):
        if x.ndim == 5:  # (objects, views, rows, columns, 3)
            for channels in (32, 64, 128):
                x = linen.relu(linen.GroupNorm(8)(linen.Conv(channels, (3, 3), strides=2)(x)))
        x = x.reshape(*x.shape[:2], -1)
        for _ in range(2):
            x = linen.relu(linen.LayerNorm()(linen.Dense(HIDDEN)(x)))
        return linen.Dense(SIZE)(x)


def mlp(*features):
    """Dense layers with biases and rectifiers between them, drawn as in most papers: what predicts, and what probes."""
    layers = [layer for size in features for layer in (linen.Dense(size), linen.relu)]
    return linen.Sequential(layers[:-1])


class Projector(linen.Module):
    """What losses see of a code, so that it need not give up what they ask it to; thrown away afterwards.

    Three layers with normalizations over the batch, as published. `settled`, they are by the statistics that are kept.
    """

    features: int
    settled: bool = False

    @linen.compact
    def __call__(self, z):
        for _ in range(2):
            normalize = linen.BatchNorm(self.settled, momentum=0.0)  # keeps the statistics of the last batch
            z = linen.relu(normalize(linen.Dense(HIDDEN)(z)))
        return linen.Dense(self.features, use_bias=False)(z)


class Method:
    """A loss on the codes of some views of each object, with what it has to learn beside the encoder."""

    views = 2  # of an object in a batch
    average = False  # whether it needs codes by a moving average of the encoder
    rate = 1e-3  # of learning, at first

    def heads(self, d):
        """Modules by name, each with arguments to be initialized with; d is the dimension of space."""
        return {"project": (Projector(SIZE), jnp.ones((1, SIZE)))}

    def project(self, net, z):
        """What the loss sees of codes."""
        return net("project", z)

    def loss(self, net, z, r, target):
        """(loss, terms) of codes (objects, views, size), where `net(name, *args)` applies a module."""
        return jnp.zeros(()), {}  # nothing is learned, as by an encoder that stays as it was drawn

    def move(self, net, z, r1, r2):
        """Codes z (rows, size) of views that are turned by r1, as the loss sees them, predicted for views by r2."""
        return self.project(net, z)


def relative(r1, r2):
    """g from view to view: the inverse of R₁ᵀR₂, which moves the rows of R₁ to those of R₂ = R₁ (R₁ᵀR₂)."""
    return jnp.swapaxes(r2, -1, -2) @ r1


def quaternion(r1, r2):
    """That of R₁ᵀR₂ as a product of two with w ≥ 0, whose sign does not jump."""
    (w, *u), (v, *s) = (jnp.moveaxis(rotations.to_quaternion(r), -1, 0) for r in (r1, r2))
    u, s = -jnp.stack(u, -1), jnp.stack(s, -1)
    scalar = w * v - jnp.sum(u * s, axis=-1)
    return jnp.concatenate([scalar[..., None], w[..., None] * s + v[..., None] * u + jnp.cross(u, s)], axis=-1)


class VICReg(Method):
    def loss(self, net, z, r, target):
        z = self.project(net, z)
        return objectives.vicreg(z[:, 0], z[:, 1], invariance=10.0, variance=10.0)


class NTXent(Method):
    def loss(self, net, z, r, target):
        z = self.project(net, z)
        return objectives.nt_xent(z[:, 0], z[:, 1], 0.2)


class Siamese(Method):
    average = True

    def heads(self, d):
        return super().heads(d) | {"predict": (mlp(HIDDEN, SIZE), jnp.ones((1, SIZE)))}

    def loss(self, net, z, r, target):
        p = net("predict", self.project(net, z))
        return objectives.siamese_cosine(p[:, 0], p[:, 1], target[:, 0], target[:, 1])


class SIE(Method):
    """A predictor of the second half, by [z, quaternion], quaternion, the matrix, or declared vectors."""

    def __init__(self, kind):
        self.kind = kind

    def heads(self, d):
        z, g = jnp.ones((1, HALF)), jnp.eye(d)[None]
        return {"first": (Projector(HALF), z), "second": (Projector(HALF), z), "predict": self.predictor(d, g, z)}

    def predictor(self, d, g, z):
        if self.kind == "MLP":
            return mlp(HIDDEN, HALF), jnp.ones((1, HALF + 4))
        if self.kind == "quaternion":
            return linen.Dense(HALF, use_bias=False), jnp.ones((1, 4 * HALF))
        if self.kind == "vectors":
            rest = HALF - HALF // d * d
            rep = reps.Sum(*[reps.Vector()] * (HALF // d), *[reps.Scalar()] * rest)
            return nn.BlockAction(rep, groups.SO(d)), g, z
        return nn.HyperLinear(groups.SO(d)), g, z

    def project(self, net, z):
        return jnp.concatenate([net("first", z[..., :HALF]), net("second", z[..., HALF:])], axis=-1)

    def element(self, r1, r2):
        return quaternion(r1, r2) if self.kind in ("MLP", "quaternion") else relative(r1, r2)

    def predict(self, net, g, z):
        if self.kind == "MLP":
            return net("predict", jnp.concatenate([z, g], axis=-1))
        if self.kind == "quaternion":
            return net("predict", (g[..., None] * z[..., None, :]).reshape(*z.shape[:-1], -1))
        return net("predict", g, z)

    def loss(self, net, z, r, target):
        z, g = self.project(net, z), self.element(r[:, 0], r[:, 1])
        return objectives.sie(z[:, 0], z[:, 1], functools.partial(self.predict, net), g, invariant=HALF)

    def move(self, net, z, r1, r2):
        z = self.project(net, z)
        return jnp.concatenate([z[:, :HALF], self.predict(net, self.element(r1, r2), z[:, HALF:])], axis=-1)


class Capsules(Method):
    """Probabilities of capsules by the first half, and their poses by a dense layer of the second."""

    def heads(self, d):
        z = jnp.ones((1, HALF))
        poses = linen.Dense(CAPSULES * d * d, use_bias=False)
        return {"poses": (poses, z), "first": (Projector(CAPSULES), z)}

    def poses(self, net, z):
        found = net("poses", z[..., HALF:])
        d = round((found.shape[-1] / CAPSULES) ** 0.5)
        return found.reshape(*z.shape[:-1], CAPSULES, d, d)

    def project(self, net, z):
        return self.poses(net, z).reshape(*z.shape[:-1], -1)

    def loss(self, net, z, r, target):
        p, poses = linen.softmax(net("first", z[..., :HALF])), self.poses(net, z)
        views = [(p[:, k], poses[:, k]) for k in (0, 1)]
        return objectives.equicaps(*views, relative(r[:, 0], r[:, 1]), reps.Vector(), published=True)

    def move(self, net, z, r1, r2):
        moved = jax.vmap(reps.Vector().act)(relative(r1, r2), self.poses(net, z))
        return moved.reshape(len(z), -1)


class Poses(Capsules):
    """VICReg of the first half behind a projector, and pose matrices of the second, spread likewise."""

    def __init__(self, rate=1e-3):
        self.rate = rate

    def heads(self, d):
        return super().heads(d) | {"first": (Projector(HALF), jnp.ones((1, HALF)))}

    def loss(self, net, z, r, target):
        d, first, poses = r.shape[-1], net("first", z[..., :HALF]), self.poses(net, z)
        loss, terms = objectives.vicreg(first[:, 0], first[:, 1], invariance=10.0, variance=10.0)
        g = relative(r[:, 0], r[:, 1])
        error, _ = objectives.pose_equivariance(poses[:, 0], poses[:, 1], g, reps.Vector())
        unit = d * poses / jnp.sqrt(jnp.sum(poses**2, axis=(-2, -1), keepdims=True) + 1e-12)  # a mean square of one
        unit = unit.reshape(poses.shape[0] * poses.shape[1], -1)
        terms |= {
            "equivariance": d * d * error,
            "spread": objectives.variance_hinge(unit),
            "apart": objectives.covariance_penalty(unit),
        }
        return loss + 5 * terms["equivariance"] + 10 * terms["spread"] + terms["apart"], terms


class SeqJEPA(Method):
    views, average = 4, True

    def heads(self, d):
        summary = SIZE + HALF
        return {
            "act": (linen.Dense(HALF, use_bias=False), jnp.ones((1, d * d))),
            "aggregate": (nn.TokenAggregator(heads=4, layers=1, expansion=2), jnp.ones((1, 1, summary))),
            "predict": (mlp(HIDDEN, SIZE), jnp.ones((1, summary + HALF))),
        }

    def loss(self, net, z, r, target):
        g = relative(r[:, :-1], r[:, 1:])
        actions = net("act", g.reshape(*g.shape[:2], -1))
        aggregate, predict = (functools.partial(net, name) for name in ("aggregate", "predict"))
        return objectives.seq_jepa(z[:, :-1], actions, target[:, -1], aggregate, predict)

    def project(self, net, z):
        return z

    def move(self, net, z, r1, r2):
        action = net("act", relative(r1, r2).reshape(len(z), -1))
        tokens = objectives.sequence_tokens(z[:, None], action[:, None])
        return net("predict", jnp.concatenate([net("aggregate", tokens), action], axis=-1))


class Supervised(Method):
    """The rotation itself, by a head that is thrown away."""

    def heads(self, d):
        return {"read": (mlp(HIDDEN, d * d), jnp.ones((1, 2 * SIZE)))}

    def project(self, net, z):
        return z

    def loss(self, net, z, r, target):
        goal = jnp.swapaxes(r[:, 0], 1, 2) @ r[:, 1]
        read = net("read", z.reshape(len(z), -1))
        return jnp.mean((read - goal.reshape(len(z), -1)) ** 2), {}


METHODS = {
    "untrained": Method(),
    "VICReg": VICReg(),
    "NT-Xent": NTXent(),
    "siamese": Siamese(),
    "SIE, MLP of quaternion": SIE("MLP"),
    "SIE, hypernetwork of quaternion": SIE("quaternion"),
    "SIE, hypernetwork of matrix": SIE("matrix"),
    "SIE, declared vectors": SIE("vectors"),
    "EquiCaps as published": Capsules(),
    "pose matrices": Poses(),
    "seq-JEPA, matrices": SeqJEPA(),
    "supervised by rotations": Supervised(),
    "poses beside VICReg": Poses(rate=4e-3),
}

SMALL = ("SIE, hypernetwork of matrix", "seq-JEPA, matrices", "poses beside VICReg")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    parser.add_argument("--set", choices=SETS, action="append", help="unless given orbits and digits; may be repeated")
    parser.add_argument("--long", action="store_true", help="mini3d too: images of scenes, hours on a few cores")
    parser.add_argument("--method", choices=METHODS, action="append", help="all unless given; may be repeated")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--validation", action="store_true", help="score on held-out training objects, for choices")
    args = parser.parse_args()
    set_platform(args)
    steps, seeds = (2, 1) if args.small else (args.steps, args.seeds)
    sets = args.set or list(SETS)[: 1 if args.small else 3 if args.long else 2]
    for seed, name in itertools.product(range(seeds), sets):
        data = SETS[name](seed, args.small, args.validation)
        for method in args.method or (SMALL if args.small else METHODS):
            case = {"set": name, "method": method, "seed": seed, "steps": steps, "validation": args.validation}
            case["protocol"] = PROTOCOL
            if holds(args.json, **case) or ("quaternion" in method and data.train.rotations.shape[-1] != 3):
                continue
            begin = time.process_time()
            params, net = train(METHODS[method], data, seed, steps)
            found = scores(METHODS[method], params, net, data, seed, steps)
            seconds = time.process_time() - begin
            shown = ", ".join(f"{k} {v:.3f}" for k, v in found.items() if isinstance(v, float))
            print(f"{name}, {method}, seed {seed}: {shown}; {seconds:.0f} s", flush=True)
            append(args.json, {"benchmark": "self_supervised", **case, **found, "seconds": seconds, **environment()})


def train(method, data, seed, steps):
    """Parameters, and the function (params, name, *args) that applies a module to them, one view a row."""
    x, r = jnp.asarray(data.train.views), jnp.asarray(data.train.rotations, jnp.float32)
    modules = {"encoder": (Encoder(), x[:1, :1]), **method.heads(r.shape[-1])}
    keys = jax.random.split(jax.random.key(seed), len(modules) + 1)
    params = {}
    for key, (name, (module, *example)) in zip(keys, modules.items(), strict=False):
        params[name] = jax.jit(module.init)(key, *example)

    def net(params, name, *args):
        return modules[name][0].apply(params[name], *args, mutable=["batch_stats"])[0]

    def loss(params, _, *, key, carry):
        seen, turned = views.sequence_views(key, (x, r), BATCH // method.views, method.views)
        z, target = net(params, "encoder", seen), None
        if method.average:
            step, average = carry
            target = jax.lax.stop_gradient(net({"encoder": average}, "encoder", seen))
            decay = objectives.target_decay(step / steps, 0.99)
            carry = step + 1, optax.incremental_update(params["encoder"], average, 1 - decay)
        value, terms = method.loss(functools.partial(net, params), z, turned, target)
        return value, terms, carry

    found = params if type(method) is Method else completed(training.fit(
        loss, params, [()], optimizer=optax.adam(optax.cosine_decay_schedule(method.rate, steps)), steps=steps,
        carry=(jnp.zeros(()), params["encoder"] if method.average else {}), key=keys[-1], progress=False,
    )).params  # fmt: skip
    return settled(method, modules, found, x, r)


def settled(method, modules, params, x, r):
    """Parameters with the statistics of training views for the normalizations over batches, and how they are used."""
    seen, turned = views.sequence_views(jax.random.key(0), (x, r), min(len(x), 512), method.views)

    @jax.jit
    def recorded(params):
        kept = dict(params)

        def net(name, *args):
            found, statistics = modules[name][0].apply(kept[name], *args, mutable=["batch_stats"])
            kept[name] = kept[name] | statistics
            return found

        z = net("encoder", seen)
        method.loss(net, z, turned, z)
        return kept

    fixed = {name: m.clone(settled=True) if isinstance(m, Projector) else m for name, (m, *_) in modules.items()}

    def net(params, name, *args):
        return fixed[name].apply(params[name], *args)

    return recorded(params), net


def scores(method, params, net, data, seed, steps):
    """All figures of a frozen encoder, on objects that were not trained on."""
    encode = jax.jit(functools.partial(net, params, "encoder"))
    sets = {
        name: (encode(part.views), jnp.asarray(part.rotations, jnp.float32)) for name, part in data._asdict().items()
    }
    z, r = sets["test"]
    found = rotation_scores(sets, seed, steps)
    flat = [sets[name][0].reshape(-1, SIZE) for name in ("train", "test")]
    labels = [np.repeat(part.classes, part.views.shape[1]) for part in (data.train, data.test)]
    mean, spread = flat[0].mean(0), flat[0].std(0) + 1e-6
    flat = [(x - mean) / spread for x in flat]
    for name, part in HALVES.items():
        probe = jax.jit(measures.ridge)(flat[0][:, part], jax.nn.one_hot(labels[0], labels[0].max() + 1))
        decided = jnp.argmax(probe(flat[1][:, part]), axis=1)
        found[f"top1_{name}"] = float(jnp.mean(decided == labels[1]))
        of_views = decided.reshape(z.shape[:2])
        found[f"decisions_{name}"] = float(jnp.mean(of_views[:, :1] == of_views[:, 1:]))  # that stay

    def look_up(z, r):  # each view of an object, predicted from its first one
        first = (jnp.broadcast_to(x[:1], x.shape) for x in (z, r))
        moved = method.move(functools.partial(net, params), *first, r)
        return measures.retrieval(moved[1:], method.project(functools.partial(net, params), z)[1:]).mrr

    found["mrr"] = float(jnp.mean(jax.jit(jax.vmap(look_up))(z, r)))
    for figure, values in symmetry_scores(jax.random.key(seed), sets["train"], sets["test"]).items():
        found |= {f"{figure}_{name}": float(value) for name, value in zip(HALVES, values, strict=True)}
    for name, part in HALVES.items():
        same = jnp.linalg.norm(z[:, 0, part] - z[:, 1, part], axis=-1)
        other = jnp.linalg.norm(z[:, 0, part] - jnp.roll(z[:, 1, part], 1, axis=0), axis=-1)
        found[f"invariance_{name}"] = float(jnp.mean(same) / jnp.mean(other))  # 0 invariant, 1 not at all
    if isinstance(method, SIE) and method.kind in ("matrix", "vectors"):
        act = functools.partial(net, params, "predict")
        defects = measures.action_defects(act, groups.SO(r.shape[-1]), HALF, key=jax.random.key(seed))
        found |= {name: float(value) for name, value in defects._asdict().items()}
    return found


@jax.jit
def symmetry_scores(key, train, test):
    """How codes (objects, views, size), with rotations, vary along orbits, and the matrices that move them best.

    ρ(g) = W₀ + Σ_k g_k W_k, by least squares on two views of training objects, is what a hypernetwork may learn; of a
    code that holds m₀ invariants and m₁ vectors it is one of these, m₀ = tr W₀ and m₁ = Σ_i tr W_ii / d by characters.
    """
    z, d = train[0], train[1].shape[-1]
    mean, spread = z.mean((0, 1)), z.std((0, 1)) + 1e-6

    def entries(g, z):
        g = jnp.concatenate([jnp.ones_like(g[:, 0, :1]), g.reshape(len(g), -1)], axis=1)
        return (g[:, :, None] * z[:, None]).reshape(len(z), -1)

    def pairs(which, count):
        z, r = views.sequence_views(key, which, count, 2)
        return jnp.moveaxis((z - mean) / spread, 1, 0), relative(r[:, 0], r[:, 1])

    def of_half(mask):  # the other half is zero
        along, over = (jnp.sum(mask * jnp.mean(jnp.var(test[0], axis=axis, ddof=1), axis=0)) for axis in (1, 0))
        (x, goal), g = pairs(train, min(8000, 4 * z.shape[0] * z.shape[1]))
        probe = measures.ridge(entries(g, mask * x), mask * goal, penalty=1.0)
        (x, goal), g = pairs(test, 4000)
        w = probe.kernel.reshape(1 + d * d, SIZE, SIZE)  # of 1 and of the entries of g
        traces = jnp.trace(w, axis1=1, axis2=2)
        act = lambda g, z: entries(g, z) @ probe.kernel  # noqa: E731
        return {
            "variance": along / over,
            "moved": measures.r2(probe(entries(g, mask * x)), mask * goal),
            "invariants": traces[0],
            "vectors": jnp.sum(traces[1 :: d + 1]) / d,
            "defect": measures.action_defects(act, groups.SO(d), SIZE, key=key).homomorphism,
        }

    return jax.lax.map(of_half, masks())


HALVES = {"all": slice(None), "invariant": slice(0, HALF), "equivariant": slice(HALF, None)}


def masks():
    """Of the halves, one a row."""
    return jnp.stack([jnp.zeros(SIZE).at[part].set(1) for part in HALVES.values()])


def rotation_scores(sets, seed, steps):
    """R² and median angle of the rotation between two views, read off codes and their halves by two hidden layers."""
    z, r = sets["train"]
    d = r.shape[-1]
    mean, spread = z.mean((0, 1)), z.std((0, 1)) + 1e-6
    halves = masks()
    probe = mlp(HIDDEN, HIDDEN, d * d)

    def pairs(sets, key, count):
        z, r = views.sequence_views(key, sets, count, 2)
        return (z - mean) / spread, (jnp.swapaxes(r[:, 0], 1, 2) @ r[:, 1]).reshape(count, -1)

    def read(params, z):  # by each of the probes, (probes, rows, d d)
        inputs = (z * halves[:, None, None]).reshape(len(halves), len(z), -1)
        return jax.vmap(probe.apply)(params, inputs)

    def loss(params, _, *, key):
        z, goal = pairs(sets["train"], key, BATCH // 2)
        return jnp.sum(jnp.mean((read(params, z) - goal) ** 2, axis=(1, 2)))

    keys = jax.random.split(jax.random.key(100 + seed), len(halves))
    params = jax.jit(jax.vmap(probe.init, (0, None)))(keys, jnp.ones((1, 2 * SIZE)))
    optimizer = optax.adam(optax.cosine_decay_schedule(1e-3, steps))
    trained = training.fit(loss, params, [()], optimizer=optimizer, steps=steps, key=keys[0], progress=False)
    found = {}
    for where in ("test", "outside"):
        z, goal = pairs(sets[where], jax.random.key(7), 4000)
        for name, prediction in zip(HALVES, jax.jit(read)(completed(trained).params, z), strict=True):
            found[f"r2_{name}_{where}"] = float(measures.r2(prediction, goal))
            if d == 3:
                found[f"degrees_{name}_{where}"] = float(
                    jnp.degrees(measures.rotation_score(prediction.reshape(-1, 3, 3), goal.reshape(-1, 3, 3)).angle)
                )
    return found


if __name__ == "__main__":
    main()
