"""Linear structural models: x = B x + ε holds, interventions move what is listed and no more."""

import numpy as np
import pytest

from equijax import data


def test_nodes_solve_the_equations_with_the_noise_of_their_environment():
    found = data.linear_sem(4, 20_000, nodes=5, intervened=[1, 3], shift=2.0, scale=3.0, noise=0.5, seed=1)
    epsilon = found.nodes - found.nodes @ found.weights.T
    np.testing.assert_allclose(epsilon.mean(1), found.shifts, atol=0.05)
    np.testing.assert_allclose(epsilon.std(1), found.scales, rtol=0.03)
    assert not np.triu(found.weights).any()
    assert (np.abs(found.weights[np.tril_indices(5, -1)]) >= 0.5).all()
    assert (found.shifts[:, [0, 2, 4]] == 0).all()
    assert (found.scales[:, [0, 2, 4]] == 0.5).all()
    assert (np.abs(found.shifts[:, [1, 3]]) > 0).all()
    assert found.scales[:, [1, 3]].min() >= 0.5 / 3
    correlation = np.corrcoef(epsilon[0].T) - np.eye(5)
    assert np.abs(correlation).max() < 0.03  # independent noise; the nodes themselves are not
    assert np.abs(np.corrcoef(found.nodes[0].T) - np.eye(5)).max() > 0.3


def test_given_weights_and_seeds():
    weights = np.array([[0, 0], [2.0, 0]])
    a, b = (data.linear_sem(2, 50, weights=weights, noise=0.0, seed=seed) for seed in (0, 0))
    np.testing.assert_array_equal(a.nodes, b.nodes)
    others, target = a.split(1)
    np.testing.assert_allclose(target, 2 * others[..., 0] + a.shifts[:, [1]], atol=1e-12)
    assert not np.array_equal(a.nodes, data.linear_sem(2, 50, weights=weights, noise=0.0, seed=1).nodes)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": np.eye(3)}, "weights: expected a strictly lower triangular matrix"),
        ({"intervened": [5]}, "intervened: expected nodes from 0 to 4, got"),
        ({"scale": 0.5}, "shift, scale, noise: expected at least 0, 1 and 0, got 1.0, 0.5 and 1.0"),
        ({"nodes": 0}, "nodes: expected an integer of at least 1"),
    ],
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        data.linear_sem(2, 3, **options)
