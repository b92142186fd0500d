"""Actions, latents, observations, outcomes: which of them is linear in the actions, and what confounds."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist

from equijax import data


def unexplained(y, *columns):
    """Mean squared residual of y by least squares on columns and a constant, over the variance of y."""
    x = np.concatenate([np.ones((len(y), 1)), *columns], axis=1)
    return np.mean((y - x @ np.linalg.lstsq(x, y, rcond=None)[0]) ** 2) / np.mean((y - y.mean(0)) ** 2)


def test_latents_are_linear_in_actions_and_observations_are_not():
    train, test = data.intervention_extrapolation(5000, 500, noise=0.2)
    a = train.actions
    bent = np.concatenate([a**2, a**3, a[:, :1] * a[:, 1:]], axis=1)
    assert unexplained(train.latents, a) - unexplained(train.latents, a, bent) < 1e-3
    assert unexplained(train.observations, a) - unexplained(train.observations, a, bent) > 0.02
    loading = np.linalg.lstsq(a, train.latents, rcond=None)[0]
    np.testing.assert_allclose((train.latents - a @ loading).std(0), 0.2, rtol=0.05)
    np.testing.assert_allclose((test.latents - test.actions @ loading).std(0), 0.2, rtol=0.1)  # of one model
    assert (np.abs(a).max(), np.abs(test.actions).max()) == (pytest.approx(1, abs=0.01), pytest.approx(3, abs=0.05))


def test_no_two_latents_give_one_observation():
    found = data.intervention_extrapolation(200, 200).test
    assert (
        pdist(found.observations) / pdist(found.latents)
    ).min() > 3**3 / 4**2  # 3 of each matrix, ¼ of each activation


def test_outcomes_follow_the_latents_and_are_confounded():
    plain, confounded = (data.intervention_extrapolation(300, 10, confounding=c, seed=3).train for c in (0.0, 2.0))
    np.testing.assert_array_equal(plain.observations, confounded.observations)
    extra = confounded.outcomes - plain.outcomes
    noise = plain.latents - plain.actions @ np.linalg.lstsq(plain.actions, plain.latents, rcond=None)[0]
    assert np.corrcoef(extra[:, 0], noise.mean(1))[0, 1] > 0.99
    z = plain.latents
    powers = [z**k for k in range(1, 7)] + [z[:, :1] * z[:, 1:]]
    assert unexplained(plain.outcomes, *powers) < 0.1 < unexplained(plain.outcomes, z)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"latents": 3}, "latents: expected at most 2, the actions"),
        ({"features": 1}, "latents: expected at most 2, the actions, and 1, the features"),
        ({"reach": 0.5}, "reach, noise: expected at least 1 and 0"),
    ],
)
def test_errors_name_the_argument(options, message):
    with pytest.raises(ValueError, match=message):
        data.intervention_extrapolation(10, 10, **options)
