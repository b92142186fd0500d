"""Layers of periodic grids: exact under shifts where they are anchored, broken without; formulas; bad input."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import equijax as ej
from equijax import groups, nn, numerics, reps
from equijax.nn import attention

RNG = np.random.default_rng(0)
TOKENS = RNG.normal(size=(4, 8, 4))
SHIFTS = ej.Symmetry(groups.Shift((4, 8)), (None, reps.Shift((-3, -2))), reps.Shift((-3, -2)))


def parameters(module, *args):
    """Normal numbers in the shapes of the parameters, so that no small one at the start hides an error."""
    shapes = jax.eval_shape(module.init, jax.random.key(0), *args)
    rng = np.random.default_rng(1)
    return jax.tree.map(lambda a: jnp.asarray(rng.normal(size=a.shape)), shapes)


def error(module, move, shifts, anchor=None):
    """The largest |f(moved x) − moved f(x)| over shifts of which the first is none; anchors from a function of x."""
    x = move(jnp.asarray(TOKENS), shifts[0])
    params = parameters(module, x)

    @jax.jit
    def apply(params, x):  # a batch
        return module.apply(params, x) if anchor is None else module.apply(params, x, anchor(x))

    found = apply(params, jnp.stack([move(x, s) for s in shifts]))
    assert np.abs(found).max() > 0.1
    return max(np.abs(y - move(found[0], s)).max() for y, s in zip(found, shifts, strict=True))


def whole(x, s):
    return jnp.roll(x, tuple(int(k) for k in s), (0, 1))


def partly(x, s):
    return numerics.fractional_shift(x, jnp.array(s))


EVERY = [(i, j) for i in range(4) for j in range(8)]
PARTS = [(0.0, 0.0), (0.3, 1.7), (-2.4, 0.5)]
ANCHORED = [nn.WindowAttention(2, 2), nn.WindowAttention(2, 4, 2), nn.SubsampledAttention(2, 2)]


@pytest.mark.core
@pytest.mark.parametrize("module", ANCHORED, ids=["windows", "windows with an offset", "subsampled"])
def test_anchored_layers_commute_with_all_shifts_and_plain_ones_do_not(module, x64):
    assert error(module, whole, EVERY) < 1e-12
    assert error(module.clone(anchored=False), whole, EVERY) > 0.1


def test_check_says_exact():
    module = nn.WindowAttention(2, 2)
    params = jax.tree.map(lambda a: a.astype(jnp.float32), parameters(module, jnp.asarray(TOKENS, jnp.float32)))
    ej.check(jax.jit(module.apply), SHIFTS, (params, TOKENS), samples=2).assert_exact()


@pytest.mark.parametrize("module", [nn.CrossCovarianceAttention(2), nn.CircularConv(), nn.Polynomial()], ids=repr)
def test_layers_without_a_beginning_commute_with_shifts_by_parts_of_a_token(module, x64):
    assert error(module, partly, PARTS) < 1e-12


def test_windows_do_not_commute_with_shifts_by_parts_of_a_token(x64):
    assert error(nn.WindowAttention(2, 2), partly, PARTS) > 0.01


WRONG = {  # anchors that do not move with the tokens
    "seen from the corner": lambda x, strides, right: right(x * jnp.arange(1.0, 9)[:, None], strides),
    "the other way": lambda x, strides, right: -right(x, strides) + jnp.array([0, 1]),
    "axes exchanged": lambda x, strides, right: right(x, strides)[..., ::-1],
    "one off where it is odd": lambda x, strides, right: right(x, strides) + right(x, strides) % 2,
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_anchors_are_seen(name, monkeypatch, x64):
    right = attention.anchor_phase
    monkeypatch.setattr(attention, "anchor_phase", lambda x, strides: WRONG[name](x, strides, right))
    assert error(nn.SubsampledAttention(2, 4), whole, EVERY) > 0.1


def test_anchors_are_taken_where_they_are_asked_for(x64):
    """Of tokens before they are normalized; and not of a ramp, which does not move."""
    normalized = nn.WindowAttention(2, 2)
    assert error(normalized, whole, EVERY, anchor=lambda x: x**3) < 1e-12
    assert error(normalized, whole, EVERY, anchor=lambda x: x * jnp.arange(1.0, 9)[:, None]) > 0.1


def test_the_result_of_windows_is_rolled_back(monkeypatch, x64):
    back = attention.roll
    there = []

    def only_there(x, shift):
        there.append(shift)
        return back(x, shift) if len(there) % 2 else x

    monkeypatch.setattr(attention, "roll", only_there)
    assert error(nn.WindowAttention(2, 2), whole, EVERY) > 0.1


def test_attention_in_one_window_is_the_formula(x64):
    x = jnp.asarray(TOKENS[:2, :2])
    module = nn.WindowAttention(2, 2, anchored=False)
    params = parameters(module, x)
    p = params["params"]
    flat = np.asarray(x).reshape(4, 4)
    qkv = flat @ p["qkv"]["kernel"] + p["qkv"]["bias"]
    out = []
    for head in range(2):
        q, k, v = (qkv[:, 4 * part + 2 * head : 4 * part + 2 * head + 2] for part in range(3))
        logits = q @ k.T / np.sqrt(2)
        for i in range(4):
            for j in range(4):
                rows, columns = i // 2 - j // 2 + 1, i % 2 - j % 2 + 1
                logits = logits.at[i, j].add(p["bias"][head, 3 * rows + columns])
        out.append(jax.nn.softmax(logits, axis=1) @ v)
    expected = np.concatenate(out, axis=1) @ p["out"]["kernel"] + p["out"]["bias"]
    np.testing.assert_allclose(module.apply(params, x).reshape(4, 4), expected, rtol=1e-10)


def test_windows_are_squares_of_tokens_next_to_each_other(x64):
    module = nn.WindowAttention(2, 2, anchored=False)
    params = parameters(module, jnp.asarray(TOKENS))
    slopes = jax.grad(lambda x, offset: module.clone(offset=offset).apply(params, x)[2, 5].sum())
    for offset, seen in ((0, ({2, 3}, {4, 5})), (1, ({1, 2}, {5, 6 % TOKENS.shape[1]}))):
        rows, columns = np.nonzero(np.abs(jax.jit(slopes, static_argnums=1)(jnp.asarray(TOKENS), offset)).sum(-1))
        assert (set(rows), set(columns)) == seen


@pytest.mark.core
def test_patches_are_a_strided_convolution(x64):
    image = jnp.asarray(RNG.normal(size=(2, 4, 6, 3)))
    module = nn.Patches(5, (2, 3), "fixed")
    params = parameters(module, image)
    kernel = params["params"]["linear"]["kernel"].reshape(2, 3, 3, 5)
    expected = jax.lax.conv_general_dilated(image, kernel, (2, 3), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
    tokens, phase = module.apply(params, image)
    np.testing.assert_allclose(tokens, expected + params["params"]["linear"]["bias"], rtol=1e-10)
    np.testing.assert_array_equal(phase, np.zeros((2, 2)))


@pytest.mark.core
@pytest.mark.parametrize("filtered", [False, True])
def test_anchored_patches_of_all_shifts_are_the_same_tokens(filtered, x64):
    image = jnp.asarray(RNG.normal(size=(4, 6, 2)))
    module = nn.Patches(5, (2, 3), filtered=filtered)
    params = parameters(module, image)
    every = groups.Shift((4, 6)).elements()
    moved = jax.vmap(reps.Shift((0, 1)).act, (0, None))(every, image)
    tokens, phase = jax.jit(module.apply)(params, moved)  # a batch
    np.testing.assert_array_equal(phase, (phase[0] + every) % np.array([2, 3]))
    k = (every + phase[0] - phase) // np.array([2, 3])
    expected = jax.vmap(reps.Shift((0, 1)).act, (0, None))(k, tokens[0])
    np.testing.assert_allclose(tokens, expected, atol=1e-12)
    pixels = nn.on_pixels(tokens, phase, (2, 3))
    np.testing.assert_allclose(pixels, jax.vmap(reps.Shift((0, 1)).act, (0, None))(every, pixels[0]), atol=1e-12)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float64])
def test_dtype_is_that_of_the_tokens(dtype, x64):
    x = jnp.asarray(TOKENS, dtype)
    for module in (nn.WindowAttention(2, 2), nn.SubsampledAttention(2, 2), nn.CrossCovarianceAttention(2),
                   nn.CircularConv(), nn.Polynomial()):  # fmt: skip
        params = jax.eval_shape(module.init, jax.random.key(0), jnp.asarray(TOKENS, jnp.float32))
        assert jax.eval_shape(module.apply, params, x).dtype == dtype


TEN = jnp.ones((4, 8, 4))
BAD = [
    (nn.WindowAttention(2, 8), TEN, ValueError, "window: .*4 × 8 tokens, got 8; it is larger than the grid"),
    (nn.WindowAttention(2, 3), TEN, ValueError, "window: expected a divisor of the 4 × 8 tokens, got 3"),
    (nn.WindowAttention(3, 2), TEN, ValueError, r"x: .* 3 heads dividing it, got \(4, 8, 4\)"),
    (nn.SubsampledAttention(2, 3), TEN, ValueError, "stride: expected a divisor of the 4 × 8 tokens, got 3"),
    (nn.SubsampledAttention(2, 2), TEN[0], ValueError, r"x: expected shape \(..., rows, columns, channels\)"),
    (nn.CrossCovarianceAttention(2), TEN.astype(int), TypeError, "x: expected real floating-point numbers"),
    (nn.Patches(2, (3, 2)), TEN, ValueError, r"x: .* multiples of the stride \(3, 2\), got \(4, 8, 4\)"),
    (
        nn.Patches(2, (2, 2), "anchor"),
        TEN,
        ValueError,
        "how: expected one of fixed, anchored, band-limited, got 'anchor'",
    ),
    (nn.Patches(2, (2, 2)), TEN.astype(jnp.uint8), TypeError, r"x: .* pass x.astype\(jnp.float32\)"),
]


@pytest.mark.parametrize(("module", "x", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_errors_name_the_argument(module, x, error, message):
    with pytest.raises(error, match=message):
        jax.eval_shape(functools.partial(module.init, jax.random.key(0)), x)
