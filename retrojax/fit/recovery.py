"""Recovery: fit data made from known parameters, and see what comes back and whether its error bars are right."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.fit.calibration import judge
from retrojax.fit.estimate import Estimate
from retrojax.fit.identify import coordinate_sd
from retrojax.fit.solve import FLAT
from retrojax.fit.spec import prior_coordinates

DRAWS = 99
"""Ranks are those of the truth among this many draws of its Laplace posterior."""


def recover(
    estimate: Estimate, starts: np.ndarray, best: np.ndarray, sets: int, rng: np.random.Generator,
    truth: str = "fitted",
) -> tuple[dict[str, Any], int]:
    """Fit `sets` data sets that the model itself made, all in batches of one compiled solve.

    The rank of every true value in the Laplace posterior of its data set is uniform if uncertainties are right. A hump
    in the middle means error bars that are too wide, horns too narrow ones. What is drawn anew for each set depends on
    the truth:

    - from the priors: the truth and the data; the priors stay (Talts et al. 2018, exact for an exact posterior).
    - fixed, at the fit: the data, and with them the means of the priors, normal about the truth with the priors' sd. A
      prior then counts as a measurement made earlier, whose mean scatters as the data do (parametric bootstrap of the
      penalised likelihood). Means left at their places would pull every set the same way, by as much as the truth
      stands off them, and that is no error of the fit. Exact for a linear model with normal scatter.

    **Arguments**

    - `starts`: first guesses, most promising first [S, P]. `best`: the fitted coordinates [P].
    - `truth`: `fitted`, or `priors` to draw the true parameters of each set from the priors.

    **Returns** the report, and the evaluations used. Per parameter: `true`, and of what came back the `median` and the
    16 % and 84 % points (`low`, `high`); `within_68`, `within_95`: share of sets whose interval holds the truth;
    `ranks` and `rank_p`, the probability of ranks at least so uneven.

    References: Talts et al. (2018) arXiv:1804.06788; Efron & Tibshirani (1993) An Introduction to the Bootstrap
    (Chapman & Hall), section 6.5.
    """
    mean, inverse_sd = prior_coordinates(estimate.spec)
    coordinates = np.tile(best, (sets, 1))
    if truth == "priors":
        coordinates = mean + rng.standard_normal(coordinates.shape) / inverse_sd
    data = estimate.draw(coordinates, rng)
    if truth == "fitted":
        sd = np.divide(1.0, inverse_sd, out=np.zeros_like(inverse_sd), where=inverse_sd > 0)
        data = data | {"prior": coordinates + sd * rng.standard_normal(coordinates.shape)}
    each = min(len(starts), max(4, estimate.batch // sets))
    order = np.repeat(np.arange(sets), each)
    again = estimate.solve(np.tile(starts[:each], (sets, 1)), data=data, sets=order)
    chosen = again.loss.reshape(sets, each).argmin(-1) + np.arange(sets) * each
    ends = again.take(chosen)
    information = estimate.information(ends, data, np.arange(sets))
    as_well = float(np.mean(ends.loss <= estimate.loss(coordinates, data) + FLAT))
    report = _parameters(estimate, coordinates, ends.u, information)
    found = {"sets": sets, "truth": truth, "fitted_as_well_as_truth": as_well, "parameters": report}
    return found, int(again.steps.sum())


def _parameters(estimate: Estimate, true: np.ndarray, u: np.ndarray, information: np.ndarray) -> dict[str, Any]:
    z = (true - u) / coordinate_sd(information)
    ranks = np.floor(np.asarray(jax.scipy.stats.norm.cdf(jnp.asarray(z))) * (DRAWS + 1)).astype(int)
    ranks = np.minimum(ranks, DRAWS)
    uneven = judge(ranks, DRAWS, bins=max(2, min(10, len(u) // 5)))
    p = np.asarray(jax.scipy.stats.chi2.sf(jnp.asarray(uneven.chi2), uneven.bins - 1.0))
    values, truth = estimate.natural(u), estimate.natural(true)
    return {
        path: {"true": float(np.median(truth[:, i])), "median": float(np.median(values[:, i])),
               "low": float(np.quantile(values[:, i], 0.16)), "high": float(np.quantile(values[:, i], 0.84)),
               "within_68": float(np.mean(np.abs(z[:, i]) < 0.994458)),
               "within_95": float(np.mean(np.abs(z[:, i]) < 1.959964)),
               "ranks": ranks[:, i].tolist(), "rank_p": float(p[i])}
        for i, path in enumerate(estimate.spec)
    }
