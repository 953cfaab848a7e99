"""Posterior-predictive check: would data that the fitted model makes look like those that were measured?"""

from typing import NamedTuple

import numpy as np

from retrojax.fit.estimate import Estimate


class Predictive(NamedTuple):
    """Replicated data sets from draws of the posterior.

    - `low`, `median`, `high`: 5, 50 and 95 % points of the replicated mean of every point [n], scatter included.
    - `inside`: share of the measured points between `low` and `high`; about 0.9 if the model is right.
    - `p_value`: share of replicates that the model explains less well than it explains the data; near 0 the model
      misses something, near 1 it explains noise. `draws`: that gave finite predictions. `source`: of the draws.
    """

    low: np.ndarray
    median: np.ndarray
    high: np.ndarray
    inside: float
    p_value: float
    draws: int
    source: str


def predictive_check(estimate: Estimate, u: np.ndarray, rng: np.random.Generator, source: str) -> Predictive:
    """Replicate the data at posterior draws and compare their discrepancy with that of the data (Gelman et al. 1996).

    The discrepancy is minus twice the log density summed over the measured points, T(y, theta); the p value is the
    share of draws with T(y_rep, theta) >= T(y, theta).

    **Arguments**

    - `u`: draws of the coordinates [D, P]. `rng`: of the scatter. `source`: where the draws are from, in a word.

    The same points were fitted, so the p value is conservative: it gathers around 1/2 even for a model that is right.

    Reference: Gelman, Meng & Stern (1996) Stat Sinica 6:733.
    """
    measured = estimate.problem.is_data
    fine = np.all(np.isfinite(estimate.expected(u)), -1)
    u = u[fine]
    data = estimate.draw(u, rng)
    theirs = np.sum(estimate.density(u, data)[:, measured], -1)
    ours = np.sum(estimate.density(u)[:, measured], -1)
    low, median, high = np.quantile(data["mean"], (0.05, 0.5, 0.95), axis=0)
    mean = estimate.problem.mean
    inside = float(np.mean(((mean >= low) & (mean <= high))[measured]))
    return Predictive(low, median, high, inside, float(np.mean(theirs <= ours)), len(u), source)
