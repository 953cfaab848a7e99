"""Which of several rules the data favour: information criteria and held-out log-likelihood."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from retrojax.errors import InputError
from retrojax.fit.maximise import MaximumLikelihood
from retrojax.fit.result import FitResult


class Score(NamedTuple):
    """What a comparison needs of a fit: `log_likelihood`; number of fitted `parameters` and of observations `n`; and
    the log-likelihood of each group under the fit to the others, `heldout`, empty without folds."""

    log_likelihood: float
    parameters: int
    n: int
    heldout: dict[str, float]

    @property
    def heldout_total(self) -> float:
        """Sum of the held-out log-likelihoods; not-a-number without folds."""
        return sum(self.heldout.values()) if self.heldout else math.nan


def score(fit: MaximumLikelihood | FitResult) -> Score:
    """The score of a fit by either way."""
    if isinstance(fit, FitResult):
        heldout = fit.heldout.log_likelihood if fit.heldout else {}
        return Score(fit.log_likelihood, len(fit.parameters), fit.n_observations, heldout)
    return Score(fit.log_likelihood, len(fit.parameters), fit.n, fit.heldout)


class Comparison(NamedTuple):
    """One row of a comparison.

    - `log_likelihood`, `parameters`, `n`: of the fit.
    - `aic`, `aicc`, `bic`: -2 lnL + 2k; plus 2k(k+1)/(n-k-1), infinite where n <= k + 1; -2 lnL + k ln n.
    - `weight`: Akaike weight among the rows, from AICc if all are finite, else from AIC.
    - `heldout`: summed held-out log-likelihood; not-a-number without folds.
    - `ahead`: held-out log-likelihood less that of the best row, and its standard error over groups (0, 0 of the best).
    """

    name: str
    log_likelihood: float
    parameters: int
    n: int
    aic: float
    aicc: float
    bic: float
    weight: float
    heldout: float
    ahead: tuple[float, float]


def compare(fits: Mapping[str, MaximumLikelihood | FitResult | Score]) -> list[Comparison]:
    """Rows in order of held-out log-likelihood where there is one, else of AIC; the best first.

    **Arguments**

    - `fits`: name -> fit (or its `Score`), all of the same observations.

    **Raises** `InputError` if they differ in the number of observations or in their groups.

    The standard error of a held-out difference is sqrt(G) x the standard deviation of the difference per group over G
    groups (Vehtari, Gelman & Gabry 2017, eq. 24); with few groups it is itself uncertain.

    References: Burnham & Anderson (2002) Model Selection and Multimodel Inference; Vehtari, Gelman & Gabry (2017) Stat
    Comput 27:1413.
    """
    scores = {name: fit if isinstance(fit, Score) else score(fit) for name, fit in fits.items()}
    counts, groups = {one.n for one in scores.values()}, {tuple(one.heldout) for one in scores.values()}
    if len(counts) != 1 or len(groups) != 1:
        raise InputError("fits", sorted(counts), "one set of observations and groups", "fit the same data with each")
    criteria = {name: information_criteria(one.log_likelihood, one.parameters, one.n) for name, one in scores.items()}
    column = 1 if all(math.isfinite(row[1]) for row in criteria.values()) else 0
    least = min(row[column] for row in criteria.values())
    weights = {name: math.exp((least - row[column]) / 2) for name, row in criteria.items()}
    has_folds = bool(next(iter(groups)))
    order = sorted(scores, key=lambda name: -scores[name].heldout_total if has_folds else criteria[name][0])
    best = np.array(list(scores[order[0]].heldout.values()))
    rows = []
    for name in order:
        one, mine = scores[name], np.array(list(scores[name].heldout.values()))
        difference = mine - best
        error = math.sqrt(difference.size) * float(np.std(difference, ddof=1)) if difference.size > 1 else math.nan
        rows.append(Comparison(name, one.log_likelihood, one.parameters, one.n, *criteria[name],
                               weights[name] / sum(weights.values()), one.heldout_total,
                               (float(difference.sum()), error) if has_folds else (math.nan, math.nan)))
    return rows


def information_criteria(log_likelihood: float, parameters: int, n: int) -> tuple[float, float, float]:
    """(AIC, AICc, BIC) of a maximum log-likelihood with that many fitted parameters and observations."""
    aic = 2 * parameters - 2 * log_likelihood
    room = n - parameters - 1
    aicc = aic + 2 * parameters * (parameters + 1) / room if room > 0 else math.inf
    return aic, aicc, parameters * math.log(n) - 2 * log_likelihood


def table(rows: list[Comparison]) -> str:
    """The comparison in words, one line each."""
    width = max([28, *(len(row.name) + 1 for row in rows)])
    head = f"{'':<{width}}{'lnL':>11}{'k':>4}{'AIC':>11}{'BIC':>11}{'weight':>8}{'held out':>12}  behind the best"
    lines = [f"{r.name:<{width}}{r.log_likelihood:>11.2f}{r.parameters:>4}{r.aic:>11.2f}{r.bic:>11.2f}{r.weight:>8.3f}"
             f"{r.heldout:>12.2f}  {r.ahead[0]:.2f} +- {r.ahead[1]:.2f}" for r in rows]
    return "\n".join([head, *lines])
