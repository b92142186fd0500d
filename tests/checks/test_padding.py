"""Padding is no part of the symmetry: it stays, it is not compared, and what depends on it is blamed on it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, find, settings

import equijax as ej
from equijax import groups, reps
from equijax.checks import assert_equivariant, check, layerwise, strategies

X = np.random.default_rng(0).standard_normal((6, 3)).astype(np.float32)
MASK = np.arange(6) < 4
KEY = jax.random.key(0)
SYMMETRY = ej.Symmetry(groups.E(3), (reps.Position(), None), reps.Vector())


@jax.jit
def over_all(x, mask):
    return jnp.where(mask[:, None], x - x.mean(0), 0)


@jax.jit
def over_real(x, mask):
    mean = jnp.sum(jnp.where(mask[:, None], x, 0), axis=0) / jnp.sum(mask)
    return x - mean  # padded rows hold something, which does not count


@pytest.mark.core
@pytest.mark.parametrize("padding", [0.0, 1.0, 1e4, np.nan])
def test_padding_that_matters_is_blamed_and_what_is_in_it_does_not_count(padding):
    x = np.where(MASK[:, None], X, np.float32(padding))
    report = check(over_real, SYMMETRY, (x, MASK), mask=1, degenerate=["coincident", "collinear"])
    assert report.verdict == "exact", report
    assert set(report.by_part) == {"translation", "rotation", "reflection", "padding"}
    if np.isfinite(padding):
        assert check(over_all, SYMMETRY, (x, MASK)).verdict == "exact"  # all rows are moved
        report = check(over_all, SYMMETRY, (x, MASK), mask=lambda x, mask: mask)
        assert report.verdict == "broken"
        assert report.worst.part == "padding"
        assert report.by_part["padding"] > 0.05
        assert "padded rows" in str(report)


def test_a_sum_over_padding_is_blamed_though_the_group_does_not_see_it():
    symmetry = ej.Symmetry(groups.O(3), (reps.Vector(), None), None)
    report = check(lambda x, mask: jnp.sum(x**2), symmetry, (X, MASK), mask=1)
    assert {part for part, error in report.by_part.items() if error > 1e-6} == {"padding"}
    of = lambda **mask: ej.equivariance_error(lambda x, m: jnp.sum(x**2), symmetry, (X, MASK), key=KEY, **mask)  # noqa: E731
    assert of() < 1e-6 < 0.1 < of(mask=1)


def test_all_rows_real_is_as_without_a_mask():
    report = check(over_all, SYMMETRY, (X, MASK | True), mask=1)
    assert report.verdict == "exact"
    assert "padding" not in report.by_part


@pytest.mark.parametrize(("f", "exact"), [(over_real, True), (over_all, False)])
def test_the_other_measures_know_the_mask(f, exact):
    error = jax.jit(lambda x, mask: ej.equivariance_error(f, SYMMETRY, (x, mask), key=jax.random.key(0), mask=1))
    assert (error(X, MASK) < 1e-6) == exact
    assert (ej.equivariance_error(f, SYMMETRY, (X, MASK), key=jax.random.key(0), mask=1, samples=1) < 1e-6) == exact
    network = lambda scale, x, mask: (f(x, mask), {"first": f(scale * x, mask)})  # noqa: E731
    layers = layerwise(network, jnp.float32(2), SYMMETRY, (X, MASK), {"first": reps.Vector()}, mask=1)
    assert (layers.first_bad is None) == exact
    if exact:
        assert_equivariant(f, SYMMETRY, (X, MASK), mask=1)
    else:
        with pytest.raises(AssertionError, match="padding"):
            assert_equivariant(f, SYMMETRY, (X, MASK), mask=1)


def test_padded_points_find_a_forgotten_mask():
    def breaks(drawn):
        return check(over_all, SYMMETRY, drawn, mask=1, samples=1).verdict == "broken"

    found = find(strategies.padded_points(4), breaks, settings=settings(phases=[Phase.generate], derandomize=True))
    assert not found[1].all()


def test_a_mask_that_fits_nothing_is_refused():
    for mask, match in [(X, "shape"), (MASK[:5], "no input that E"), (MASK & False, "one real row")]:
        with pytest.raises(ValueError, match=f"mask: .*{match}"):
            check(over_real, SYMMETRY, (X, MASK), mask=lambda *args, mask=mask: mask)
