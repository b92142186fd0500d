"""Every matrix product on which equivariance depends asks for the highest precision, in derivatives too."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import frames, groups, lie, measures, nn, products, reps, spherical

partial = functools.partial
RNG = np.random.default_rng(0)
X, Y, H, W = (jnp.asarray(RNG.normal(size=s), jnp.float32) for s in ((3, 9, 2), (3, 4, 2), (3, 16, 2), (3, 2, 2)))
R, IMAGE = jnp.asarray(RNG.normal(size=(3, 3)), jnp.float32), jnp.ones((6, 6, 2))
TURN, NODES = groups.SO(3).exp(R), groups.Cyclic(4).nodes()
VECTORS = ej.Symmetry(groups.SO(3), reps.Vector(), reps.Vector())


def layer(module, *args):
    return lambda x: module.init_with_output(jax.random.key(0), x, *args)[0]


def frame(f, group):
    return lambda x: f(group, x, None)[:2]


def plain(x):  # a product at the default precision, which the measures raise
    return jnp.tanh(x @ R)


CASES = {
    **{f"gaunt {m}": (partial(products.gaunt, method=m), X, Y) for m in ("grid", "split", "separable", "fft")},
    "bracket": (partial(products.bracket, method="split"), X, Y),
    **{f"convolution {m}": (partial(products.convolution, method=m), X, R, W) for m in ("matrix", "zonal", "aligned")},
    "convolution direct": (partial(products.convolution, odd=True), H, R, jnp.ones((3, 5, 2))),
    "clebsch_gordan": (partial(products.clebsch_gordan, lmax=5), H, H),
    "power": (partial(products.power, order=3, lmax=6, method="grid"), X),
    "many_body": (partial(products.many_body, order=2), X),
    "double_bracket": (products.double_bracket, jnp.ones((2, 9, 3))),
    "wigner_matrix": (partial(spherical.wigner_matrix, lmax=3), TURN),
    "pca": (frame(frames.pca, groups.SE(3)), R),
    "weighted_pairs": (frame(frames.weighted_pairs, groups.O(2)), R[:, :2]),
    "lorentz": (frame(frames.lorentz, groups.Lorentz()), Y[0, :, :].T + jnp.array([9.0, 0, 0, 0])),
    "whitened": (frame(frames.whitened, groups.SL(2)), Y[0]),
    "span_projection": (partial(frames.span_projection, groups.SO(3)), R, R),
    "span_head": (frames.span_head, R, R),
    "compose": (groups.E(3).compose, groups.AffineElement(R[0], TURN[0]), groups.AffineElement(R[1], TURN[1])),
    "exp": (groups.SL(3).exp, RNG.normal(size=8).astype(np.float32)),
    "log": (groups.GLPlus(2).log, jnp.eye(2)),
    "lift": (partial(lie.lift, kernel=lambda p: jnp.ones((*p.shape[:-1], 2, 1)), nodes=NODES, size=3), IMAGE),
    "Linear": (layer(nn.Linear(3)), X),
    "GroupConv": (layer(nn.GroupConv(2, size=3), NODES), jnp.ones((4, 6, 6, 2))),
    "EquivariantLinear": (layer(nn.EquivariantLinear(groups.O(3), reps.Vector(), reps.Vector())), R[0]),
    "equivariance_error": (lambda x: measures.equivariance_error(plain, VECTORS, (x,), key=jax.random.key(0)), R[0]),
    "lie_derivative": (lambda x: measures.lie_derivative(plain, VECTORS, (x,)), R[0]),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_matrix_products_are_at_the_highest_precision(case):
    f, *args = CASES[case]

    def loss(*args):
        return sum(jnp.sum(jnp.sin(y)) for y in jax.tree.leaves(f(*args)))

    text = jax.jit(jax.value_and_grad(loss, argnums=range(len(args)))).lower(*args).as_text()
    found = re.findall(r"stablehlo\.(?:dot_general|convolution).*", text)
    assert found
    assert not [line for line in found if len(re.findall(r"HIGHEST\b", line)) != 2]
