"""Grids between their points: values of SciPy, the order of each kernel, and grids that only move."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from scipy import ndimage

from equijax.numerics import EDGES, KERNELS, interpolate

RNG = np.random.default_rng(0)


@functools.partial(jax.jit, static_argnames="edges")
def at(x, places, edges=("constant",)):
    """By each kernel, beyond each edge."""
    x, places = jnp.asarray(x), [jnp.asarray(p) for p in places]
    return {kernel: [interpolate(x, places, kernel, edge) for edge in edges] for kernel in KERNELS}


def test_values_inside_and_beyond_the_edge_are_those_of_scipy(x64):
    x, places = RNG.normal(size=9), RNG.uniform(-6, 14, size=(1, 50))
    found = at(x, places, EDGES)
    for kernel, order in {"linear": 1, "spline": 3}.items():
        for edge, values in zip(EDGES, found[kernel], strict=True):
            mode = {"constant": "grid-constant", "wrap": "grid-wrap"}.get(edge, edge)
            wanted = ndimage.map_coordinates(x, places, order=order, mode=mode)
            np.testing.assert_allclose(values, wanted, atol=2e-8, err_msg=f"{kernel}, {edge}")


def test_at_points_values_stay_and_beyond_them_there_is_nothing(x64):
    x, whole = RNG.normal(size=(2, 5, 6)), np.indices((11, 12)) - 3.0
    for dtype, error in ((np.float64, 1e-14), (np.float32, 2e-6)):
        for kernel, (values,) in at(x.astype(dtype), whole.astype(dtype)).items():
            np.testing.assert_allclose(values, np.pad(x, ((0, 0), (3, 3), (3, 3))), atol=error, err_msg=kernel)


def test_the_order_of_each_kernel_and_how_often_it_can_be_differentiated(x64):
    t, line = np.linspace(0, 1, 101)[:-1], jnp.asarray(RNG.normal(size=9))
    waves = [at(np.sin(2 * np.pi * np.arange(n) / n), t[None] * n, ("wrap",)) for n in (32, 64)]

    @jax.jit
    def derivatives(t):  # of order 0 to 3 of each kernel, by t
        found = []
        for kernel in KERNELS:
            f = functools.partial(lambda kernel, t: interpolate(line, [t[None]], kernel)[0], kernel)
            found.append([f := jax.grad(f) if k else f for k in range(4)])
        return jnp.stack([jnp.stack([f(t) for f in fs]) for fs in found])

    jumps = np.abs(derivatives(4 + 1e-9) - derivatives(4 - 1e-9)) > 1e-6
    for kernel, order, jump in zip(KERNELS, (2, 3, 4), jumps, strict=True):
        errors = [np.abs(wave[kernel][0] - np.sin(2 * np.pi * t)).max() for wave in waves]
        assert abs(np.log2(errors[0] / errors[1]) - order) < 0.1, kernel
        assert np.argmax(jump) == order - 1, kernel
