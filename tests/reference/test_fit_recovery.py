"""The recovery test of a fit against the algebra of a straight line with priors that stand off the truth."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from retrojax.engine.rows import Synapse
from retrojax.fit import Parameter, Problem, Transform
from retrojax.fit.fitting import prepare
from retrojax.fit.observation import Measured, Observation
from retrojax.fit.problem import PairOutcome
from retrojax.fit.recovery import recover
from retrojax.parts import SilentSpine, TsodyksMarkram

N, SETS = 12, 400
X = np.linspace(-1, 2, N)
SEM = np.linspace(0.2, 0.4, N)
TRUTH, SD = np.array([1.0, 0.5]), np.array([0.1, 0.1])
OFF = np.array([-2.0, 2.0])
"""Where the priors' means stand, in their standard deviations."""

PRIORS = np.diag(SD**-2.0)
ROOT = np.stack([np.ones(N), X], -1) / SEM[:, None]
INFORMATION = ROOT.T @ ROOT + PRIORS
SPEC = {name: Parameter(Transform("identity"), 0.0, 1.0, prior=(float(mean), float(sd)))
        for name, mean, sd in zip(("noise.level", "noise.slope"), TRUTH + OFF * SD, SD, strict=True)}


class Heights(PairOutcome):
    """Heights of a line at `x`, where an outcome of protocols has the strength; level and slope stand in the noise."""

    x: Any = None

    def outcomes(self, model: Measured):
        height = model.noise["level"] + model.noise["slope"] * self.x
        return jnp.stack([height, jnp.ones(N), jnp.ones(N)], -1)


def prepared(kind: str):
    """The line by least squares, or by maximum likelihood of the same normal points."""
    y = TRUTH[0] + TRUTH[1] * X
    predict: Any = Heights(None, jnp.arange(N), jnp.zeros(N, int), x=jnp.asarray(X))
    if kind == "likelihood":
        observed = {"mean": jnp.asarray(y)[None], "count": jnp.ones((1, N))}
        predict = Observation(predict, "gaussian", 1, observed, jnp.asarray(SEM), jnp.zeros(N, bool))
    problem = Problem(y, SEM, predict, tuple(map(str, X)), X, ("line",) * N, ("all",) * N, np.ones(N, bool))
    line = Measured(Synapse(SilentSpine(), TsodyksMarkram()), {"level": 0.0, "slope": 0.0})
    return prepare(problem, line, SPEC, batch=100, tolerance=1e-8, recovery=SETS)


@pytest.mark.parametrize("kind", ["squares", "likelihood"])
def test_a_fixed_truth_comes_back_where_the_means_of_priors_are_drawn_about_it(kind):
    """Refits scatter about the truth as their error bars say; with the means left in their place they stand off it.

    By how much they then do is algebra: I^-1 L (mean - truth), with L the information of the priors and I that of all.
    """
    with jax.enable_x64(True):
        estimate = prepared(kind)
        rng = np.random.default_rng(3)
        found, _ = recover(estimate, np.zeros((4, 2)), TRUTH, SETS, rng)
        data = estimate.draw(np.tile(TRUTH, (SETS, 1)), rng)
        left = estimate.solve(np.zeros((SETS, 2)), data=data, sets=np.arange(SETS)).u
    covariance = np.linalg.inv(INFORMATION)
    sd, sd_left = np.sqrt(np.diag(covariance)), np.sqrt(np.diag(covariance @ (INFORMATION - PRIORS) @ covariance))
    pull = covariance @ PRIORS @ (OFF * SD)
    assert np.all(np.abs(pull) > 10 * sd / np.sqrt(SETS))
    np.testing.assert_allclose((left.mean(0) - TRUTH - pull) / (sd_left / np.sqrt(SETS)), 0, atol=4)
    assert found["fitted_as_well_as_truth"] == 1.0
    for one, spread, true in zip(found["parameters"].values(), sd, TRUTH, strict=True):
        # relative standard errors of n normal numbers: sqrt(pi/2n) sd of the median, sqrt(0.93/n) of half the width
        # between the 16 and 84 % points
        assert abs(one["median"] - true) < 4 * spread * np.sqrt(np.pi / 2 / SETS)
        assert abs((one["high"] - one["low"]) / 2 / (0.994458 * spread) - 1) < 4 * np.sqrt(0.93 / SETS)
        assert abs(one["within_68"] - 0.68) < 4 * np.sqrt(0.68 * 0.32 / SETS)
        assert one["rank_p"] > 1e-3
        assert stats.kstest((np.array(one["ranks"]) + 0.5) / 100, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("kind", ["squares", "likelihood"])
def test_truths_from_the_priors_leave_their_means_in_place(kind):
    """Simulation-based calibration: refits are drawn towards the means, so they scatter by L^-1 - I^-1 about these.

    With means that went along with the truths they would scatter by L^-1 + I^-1.
    """
    with jax.enable_x64(True):
        estimate = prepared(kind)
        found, _ = recover(estimate, np.zeros((4, 2)), TRUTH, SETS, np.random.default_rng(3), "priors")
    shrunk = np.sqrt(np.diag(np.linalg.inv(PRIORS) - np.linalg.inv(INFORMATION)))
    for one, mean, sd, spread in zip(found["parameters"].values(), TRUTH + OFF * SD, SD, shrunk, strict=True):
        assert abs((one["high"] - one["low"]) / 2 / (0.994458 * spread) - 1) < 4 * np.sqrt(0.93 / SETS)
        assert abs(one["true"] - mean) < 4 * sd * np.sqrt(np.pi / 2 / SETS)
        assert abs(one["within_68"] - 0.68) < 4 * np.sqrt(0.68 * 0.32 / SETS)
        assert stats.kstest((np.array(one["ranks"]) + 0.5) / 100, "uniform").pvalue > 1e-3
