"""The plan says what auto does, what it costs and why."""

import pytest

from equijax.products import plan


def test_plan_follows_degree_and_backend():
    assert [plan(l, l, l, 100, 8, "cpu").method for l in (0, 1, 2, 5, 6, 8)] == ["dense"] * 2 + ["grid"] * 2 + [
        "separable"
    ] * 2
    assert [plan(l, l, l, 100, 8, "tpu").method for l in (1, 2, 8, 9)] == ["dense", "grid", "grid", "separable"]
    assert plan(2, 2, 2, 100, 8) == plan(2, 2, 2, 100, 8)
    assert hash(plan(2, 2, 2, 100, 8))


def test_plan_prints_a_table_with_the_reason():
    text = str(plan(7, 7, 7, 1000, 64, "cpu"))
    assert text.splitlines()[0] == "degrees 7 x 7 -> 7, 1000 rows x 64 channels on cpu: separable, then grid"
    assert "times fewer operations" in text
    for method in ("dense", "grid", "separable", "fft"):
        assert f"\n  {method}" in text


def test_operation_counts_are_those_of_the_specification():
    per_row = {l: dict(plan(l, l, l, 1, 1, "cpu").flops) for l in (2, 3, 4, 6)}
    for l, grid, separable in ((2, 1540, 1228), (3, 4850, 2990), (4, 13741, 6895), (6, 56050, 20470)):
        assert abs(per_row[l]["grid"] / grid - 1) < 0.02
        assert abs(per_row[l]["separable"] / separable - 1) < 0.25


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="lmax: expected at most 4"):
        plan(2, 2, 5, 1, 1)
    with pytest.raises(ValueError, match="rows: expected an integer of at least 0, got -1"):
        plan(2, 2, 2, -1, 1)
