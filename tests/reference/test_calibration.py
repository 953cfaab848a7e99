"""Simulation-based calibration on a conjugate model: the exact posterior is uniform, a wrong one is found out."""

import numpy as np
from scipy import stats

from retrojax.fit.calibration import calibrate

N = 5


def posterior(width=1.0, shift=0.0):
    """Draws of a normal mean with unit prior and unit noise, its sd scaled by `width`."""
    def draws(true, rng):
        data = true + rng.standard_normal((N, 2))
        mean, sd = data.sum(0) / (N + 1), 1 / np.sqrt(N + 1)
        return mean + shift + width * sd * rng.standard_normal((99, 2))

    return draws


def prior(rng):
    return rng.standard_normal(2)


def test_exact_posterior_has_uniform_ranks():
    found = calibrate(prior, posterior(), sets=500, seed=0)
    assert found.ranks.shape == (500, 2) and found.draws == 99 and found.ranks.max() <= 99
    assert np.all(found.chi2 < stats.chi2.ppf(0.999, found.bins - 1))
    assert stats.kstest((found.ranks[:, 0] + 0.5) / 100, "uniform").pvalue > 1e-3


def test_narrow_wide_and_shifted_posteriors_are_found_out():
    threshold = stats.chi2.ppf(0.9999, 9)
    narrow, wide, shifted = (calibrate(prior, posterior(*how), sets=500, seed=1)
                             for how in ((0.6,), (1.6,), (1.0, 0.3)))
    assert np.all(narrow.chi2 > threshold) and np.all(wide.chi2 > threshold) and np.all(shifted.chi2 > threshold)
    ends = [np.mean((x.ranks < 10) | (x.ranks >= 90)) for x in (narrow, wide)]
    assert ends[0] > 0.25 and ends[1] < 0.15
    assert shifted.ranks.mean() < 45
