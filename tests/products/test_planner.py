"""The plan says what auto does, what it costs and why."""

import itertools

import pytest

from equijax.products import costs, plan


def test_plan_follows_degree_and_backend():
    chosen = lambda backend, degrees: [plan(l, l, l, 100, 8, backend).method for l in degrees]  # noqa: E731
    assert chosen("cpu", (0, 2, 3, 15, 16, 64)) == ["terms"] * 2 + ["split"] * 2 + ["separable"] * 2
    assert chosen("tpu", (2, 3, 8, 9, 14, 15)) == ["terms"] + ["grid"] * 2 + ["split"] * 2 + ["separable"]
    assert [plan(4, 4, 4, rows, 16, "cpu").method for rows in (63, 64)] == ["split", "terms"]
    assert [plan(l1, 4, 4, 64, 16, "cpu").method for l1 in (4, 5)] == ["terms", "split"]
    assert plan(2, 2, 2, 100, 8) == plan(2, 2, 2, 100, 8)
    assert hash(plan(2, 2, 2, 100, 8))


def test_plan_prints_a_table_with_runner_up_and_reason():
    text = str(plan(7, 7, 7, 1000, 64, "cpu"))
    assert text.splitlines()[0] == "degrees 7 x 7 -> 7, 1000 rows x 64 channels on cpu: split, then separable"
    assert "l1 + l2 + lmax = 21 <= 47: parts even or odd under reflections" in text
    assert "l1 + l2 + lmax = 9 <= 12 and rows x channels = 1024 >= 1024: few" in str(plan(3, 3, 3, 1024, 1, "cpu"))
    for method in ("grid", "split", "separable", "fft"):
        assert f"\n  {method}" in text
    assert "\n  terms" not in text
    assert "\n  terms" in str(plan(2, 2, 2, 1, 1))
    assert str(plan(44, 44, 44, 1, 1)).count("grid") == 0  # there is no such rule
    for backend, degree in itertools.product(("cpu", "tpu"), range(50)):  # the next fastest exists
        of = plan(degree, degree, degree, 1, 1, backend)
        assert of.runner_up in set(dict(of.flops)) - {of.method}


def test_operation_counts_are_below_those_of_the_specification():
    """The plain grid of the specification takes 1,540, 13,741 and 158,275, its separable route 45,409 at degree 8."""
    per_row = {l: dict(plan(l, l, l, 1, 1, "cpu").flops) for l in (2, 4, 8, 10, 12)}
    for l, grid in ((2, 1540), (4, 13741), (8, 158275)):
        assert 0.7 < per_row[l]["grid"] / grid < 0.95
        assert per_row[l]["split"] < (0.3 if l == 8 else 0.6) * per_row[l]["grid"]
    assert per_row[8]["separable"] < per_row[8]["split"] < 45_000
    assert per_row[10]["split"] < 85_168


def test_costs_by_hand():
    """Degrees 1 x 1 -> 1: 12 coefficients, 10 couplings; 6 Lebedev points, or 3 pairs; 2 colatitudes, 3 azimuths."""
    of = plan(1, 1, 1, 10, 2, "cpu")
    points_times_table = 2 * 6 * 12
    assert dict(of.flops) == {
        "terms": 20 * 2 * 10,
        "grid": 20 * (points_times_table + 6),
        "split": 20 * (points_times_table // 2 + 3 * 2 * 3),
        "separable": 20 * (2 * 2 * 3 * 6 + 2 * 6 * 9 + 6 * 2 * 3),
        "fft": 20 * (20 + 3 * 250 + 8 * 5 * 12),  # 5 colatitudes all around, 4 azimuths; log₂ 20 is 5
    }
    assert dict(of.bytes) == {
        "terms": 4 * 20 * 12,
        "grid": 4 * (20 * (12 + 6 * 6) + 6 * 12),
        "split": 4 * (20 * (12 + 6 * 6) + 3 * 12),
        "separable": 4 * (20 * (12 + 6 * 12 + 2 * 2 * 9) + 3 * 18),
        "fft": 4 * (20 * (12 + 12 * 20) + 2 * 5 * 12),
    }
    assert costs.kernel_by_terms(1, 1, 1, False) == 20 / 6.1e12
    assert costs.kernel_by_grid(1, 1, 1, True, "high", 1) == 2 * 3 * (3 * 2 * 4 + 4) * 128 / 197e12
    assert costs.kernel_bytes(1, 1, 1) == 4 * 12


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="lmax: expected at most 4"):
        plan(2, 2, 5, 1, 1)
    with pytest.raises(ValueError, match="rows: expected an integer of at least 0, got -1"):
        plan(2, 2, 2, -1, 1)
    with pytest.raises(ValueError, match="backend: expected one of 'cpu', 'gpu', 'tpu', got 'npu'"):
        plan(2, 2, 2, 1, 1, "npu")
