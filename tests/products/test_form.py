"""The rule of derivatives on a form that is plain to see: the product of three numbers, at each row and channel."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from equijax.products.form import Multilinear, Out, add_up


def contract(scale, known, outs):
    """T(a, b, c) = scale Σ a b c."""
    others = [[a for k, a in known.items() if k != out.argument] for out in outs]
    return [add_up(scale * math.prod(factors), out.shape) for factors, out in zip(others, outs, strict=True)]


ELEMENTWISE = Multilinear("elementwise", contract)


def product(x, y, scale=2):
    x, y = jnp.asarray(x), jnp.asarray(y)
    shape = jnp.broadcast_shapes(x.shape, y.shape)
    return ELEMENTWISE(scale, {0: x, 1: y}, Out(2, shape, x.dtype))


def numbers(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


@pytest.mark.gpu
@pytest.mark.parametrize("shape", [(3, 1, 2), (1, 1, 2), (3, 1, 1)])
def test_derivatives_of_all_orders_and_of_shared_arguments(x64, shape):
    x, y = numbers(3, 1, 2), numbers(*shape, seed=1)
    np.testing.assert_allclose(product(x, y), 2 * x * y)
    check_grads(jax.jit(product), (x, y), order=2)
    pull = jax.linear_transpose(functools.partial(product, x), y)
    np.testing.assert_allclose(pull(x)[0], jax.vjp(lambda y: 2 * x * y, y)[1](x)[0])


@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 2), (1, 0)])
def test_batches(x64, axes):
    """Of values and of gradients."""
    x, y = (numbers(*(4,) * (3 if k is None else 4), seed=i) for i, k in enumerate(axes))
    mapped = jax.vmap(product, axes)
    np.testing.assert_allclose(mapped(x, y), jax.vmap(lambda x, y: 2 * x * y, axes)(x, y))
    check_grads(jax.jit(mapped), (x, y), order=1)


def test_gradients_are_one_contraction_and_nothing_else_is_kept(x64):
    x, y = numbers(3, 1, 2), numbers(3, 1, 2, seed=1)
    _, pull = jax.vjp(product, x, y)
    assert {a.shape for a in jax.tree.leaves(pull)} == {x.shape}
    backward = str(jax.make_jaxpr(pull)(x))
    assert backward.count("= elementwise[") == 1
    assert "given=(0, 1, 2)" in backward


def test_equal_descriptions_compile_once(x64):
    x, traces = numbers(3, 1, 2), []

    def counted(form, known, outs):
        traces.append(form)
        return contract(form[0], known, outs)

    once = Multilinear("counted", counted)
    for scale in (1, 1, 2):
        once((scale,), {0: x, 1: x}, Out(2, x.shape, x.dtype))
    assert traces == [(1,), (2,)]
