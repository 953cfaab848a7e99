"""Profile likelihood: how far one parameter may move if all others follow."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.errors import InputError
from retrojax.fit.estimate import Estimate
from retrojax.fit.identify import coordinate_sd
from retrojax.fit.maximise import Likelihood, MaximumLikelihood, solve_all
from retrojax.fit.result import FitResult
from retrojax.fit.spec import Spec, natural

WIDEST = 4.0
"""Furthest that a profile looks from the optimum, in the coordinate (a factor of e^4 for `log`)."""

HALF_CHI2_95 = 1.9207
"""Half the 95 % point of chi^2 with one degree of freedom: fall of the log-likelihood at the end of an interval."""


class Profile(NamedTuple):
    """Profile of one parameter.

    - `values`: of the parameter, ascending [K]. `drop`: maximum of the log posterior less that with it held there [K].
    - `low`, `high`: ends of the 95 % interval in the parameter's unit; None where the profile does not fall by 1.92
      inside the range looked at, so that the data set no such bound.
    """

    path: str
    values: np.ndarray
    drop: np.ndarray
    low: float | None
    high: float | None


def profile(
    likelihood: Likelihood, model: Any, spec: Spec, fit: MaximumLikelihood, path: str, *, span: float = 2.0,
    points: int = 21,
) -> Profile:
    """Log posterior maximised over all other parameters, with one held at each of `points` values.

    Held values are equally spaced in the parameter's coordinate, `span` either side of the optimum; each solve starts
    at the optimum of the others. The 95 % interval is where the drop stays below chi^2_1(0.95)/2 = 1.92, found by
    linear interpolation (Murphy & van der Vaart 2000; Raue et al. 2009).

    **Arguments**

    - `fit`: of the same likelihood, model and spec. `path`: a key of `spec`.
    - `span`: in the coordinate (of ln x for `log`). `points`: odd, so that the optimum is one of them.

    **Raises** `InputError` if `path` is not fitted.

    A solve that ends in a worse optimum makes the profile too steep: compare `drop` at neighbouring points.

    References: Murphy & van der Vaart (2000) J Am Stat Assoc 95:449; Raue et al. (2009) Bioinformatics 25:1923.
    """
    names = list(spec)
    if path not in names:
        raise InputError("path", path, ", ".join(names), "profile a parameter that was fitted")
    number = names.index(path)
    with jax.enable_x64(True):
        u0 = np.tile(fit.coordinates, (points, 1))
        u0[:, number] += np.linspace(-span, span, points)
        solved = solve_all(likelihood, model, spec, u0, likelihood.weights, np.arange(len(names)) == number)
        values = np.asarray(natural(spec, jnp.asarray(solved.u)))[:, number]
    return _with_interval(path, values, fit.log_posterior + solved.loss)


def profile_estimate(estimate: Estimate, fit: FitResult, path: str, *, points: int = 15) -> Profile:
    """As `profile`, for a fit by least squares or with a likelihood, in a range set by its uncertainty.

    Held values reach three standard deviations of Laplace either side of the optimum, at least 0.05 and at most
    `WIDEST` in the coordinate; each is solved from the optimum, and once more from where its inner neighbour ended.

    **Arguments**

    - `estimate`, `fit`: what was fitted, and the result. `path`: a key of the spec. `points`: made odd.
    """
    number, half = list(estimate.spec).index(path), max(2, points // 2)
    sd = float(coordinate_sd(fit.information)[number])
    with jax.enable_x64(True):
        u0 = np.tile(fit.coordinates, (2 * half + 1, 1))
        u0[:, number] += float(np.clip(3 * sd, 0.05, WIDEST)) * np.linspace(-1, 1, 2 * half + 1)
        first = estimate.solve(u0, held=number)
        inner = np.arange(2 * half + 1) - np.sign(np.arange(2 * half + 1) - half)
        again = first.u[inner]
        again[:, number] = u0[:, number]
        second = estimate.solve(again, held=number)
        loss = np.minimum(first.loss, second.loss)
        values = estimate.natural(u0)[:, number]
    return _with_interval(path, values, (loss - fit.loss) / 2)


def _with_interval(path: str, values: np.ndarray, drop: np.ndarray) -> Profile:
    middle = len(values) // 2
    low = _crossing(values[middle::-1], drop[middle::-1])
    return Profile(path, values, drop, low, _crossing(values[middle:], drop[middle:]))


def _crossing(values: np.ndarray, drop: np.ndarray) -> float | None:
    """Where the drop first passes 1.92, going outwards."""
    above = np.flatnonzero(drop > HALF_CHI2_95)
    if above.size == 0 or above[0] == 0:
        return None
    i = above[0]
    if not np.isfinite(drop[i]):
        return float(values[i])
    share = (HALF_CHI2_95 - drop[i - 1]) / (drop[i] - drop[i - 1])
    return float(values[i - 1] + share * (values[i] - values[i - 1]))
