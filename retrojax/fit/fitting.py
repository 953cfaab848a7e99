"""The fit: many starts, then its uncertainty, held-out score, baselines and a recovery test, through one executable."""

import time
from typing import Any

import jax
import numpy as np

from retrojax.errors import InputError
from retrojax.fit.estimate import Ends, Estimate, LeastSquares
from retrojax.fit.estimate_descent import ByDescent, Descending
from retrojax.fit.estimate_likelihood import MostLikely
from retrojax.fit.identify import (
    Identified,
    directions,
    identify,
    identify_information,
    spread_of_good_starts,
)
from retrojax.fit.observation import Observation
from retrojax.fit.problem import Problem, check_problem
from retrojax.fit.recovery import recover as recover_parameters
from retrojax.fit.result import FitResult, HeldOut, Starts, parameter_results
from retrojax.fit.saved import Saved
from retrojax.fit.spec import Spec, check_spec, double, draw_starts
from retrojax.types import SeedKey


def fit(
    problem: Problem,
    model: Any,
    spec: Spec,
    *,
    starts: int,
    key: SeedKey,
    screen: int = 8,
    max_steps: int | None = None,
    tolerance: float | None = None,
    recovery: int = 8,
    recover: str = "fitted",
    batch: int | None = None,
    enough: int | None = None,
    saved: Saved | None = None,
    descent: Descending | None = None,
) -> FitResult:
    """Fit the parameters in `spec` from many starts at once, in float64.

    Least squares where `problem.predict` gives numbers: the loss is sum [(prediction - mean)/SEM]^2, minus twice the
    log-likelihood of the data up to a constant, plus the priors; Levenberg-Marquardt with a forward-mode Jacobian.
    Maximum likelihood where it is an `Observation`: the loss is minus twice the log posterior; BFGS. With `descent`
    either is solved by an optax transformation instead, in mini-batches where wanted. The one compiled solve is used
    again for every held-out group and for synthetic data.

    **Arguments**

    - `problem`: the points and the function that predicts them (`Problem`).
    - `model`: any pytree; `problem.predict(model)` gives the n predictions.
    - `spec`: dotted path -> `Parameter`.
    - `starts`: number of starts; the first stands at the centres of `spec`.
    - `key`: typed key of the starts and of the synthetic data.
    - `screen`: this many times `starts` are drawn and the ones of lowest loss kept, as a bad draw often lands where the
      loss is flat; 1 keeps every draw.
    - `max_steps`, `tolerance`: of each solve; by default 60 and 1e-4 for least squares, 200 and 1e-6 for likelihoods.
    - `recovery`: synthetic data sets; 0 leaves the test out. `recover`: their truth, `fitted` or `priors`.
    - `batch`: starts solved at once, all by default. `enough`: no further batch once so many of them ended within 0.1
      of the best loss.
    - `saved`: solves that an interrupted fit left behind.
    - `descent`: optimiser, steps and mini-batch; `max_steps` and `tolerance` then say nothing.

    **Returns** `FitResult`. **Raises** `InputError` for a spec or points that cannot be used.

    Build `problem` and `model` under `jax.enable_x64(True)` too: times rounded to float32 stay rounded.
    """
    with jax.enable_x64(True):
        estimate = prepare(problem, model, spec, batch=min(batch or starts, starts), max_steps=max_steps,
                           tolerance=tolerance, recovery=recovery, saved=saved, descent=descent)
        return fit_prepared(estimate, starts=starts, key=key, screen=screen, recovery=recovery, recover=recover,
                            enough=enough)


def prepare(
    problem: Problem, model: Any, spec: Spec, *, batch: int, max_steps: int | None = None,
    tolerance: float | None = None, recovery: int = 0, saved: Saved | None = None,
    descent: Descending | None = None,
) -> Estimate:
    """The compiled way to estimate a problem's parameters; arguments as of `fit`, under x64."""
    _check_counts({"starts": batch, "max_steps": 1 if max_steps is None else max_steps}, recovery)
    check_problem(problem)
    check_spec(model, spec)
    problem, model = problem._replace(predict=double(problem.predict)), double(model)
    estimate: Estimate
    pieces = descent.batch if descent else None
    if isinstance(problem.predict, Observation):
        slots = max(1, min(recovery, batch))
        estimate = MostLikely(problem, model, spec, batch, max_steps, tolerance, saved, slots, pieces)
    else:
        estimate = LeastSquares(problem, model, spec, batch, max_steps, tolerance, saved, pieces=pieces)
    return estimate if descent is None else ByDescent(estimate, descent, saved)


def fit_prepared(
    estimate: Estimate, *, starts: int, key: SeedKey, screen: int = 8, recovery: int = 8, recover: str = "fitted",
    enough: int | None = None,
) -> FitResult:
    """`fit` with what `prepare` gave; further reports (`retrojax.fit.report`) then compile nothing."""
    began = time.perf_counter()
    _check_counts({"starts": starts, "screen": screen}, recovery)
    problem, spec = estimate.problem, estimate.spec
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
    u0, solved = _solve_starts(estimate, _screened(estimate, draw_starts(spec, starts * screen, rng), starts), enough)
    best = int(np.argmin(solved.loss))
    if not np.isfinite(solved.loss[best]):
        raise InputError("parameters", "all starts", "a start with finite predictions", "narrow the starts' spread")
    promising = u0[np.argsort(solved.loss, kind="stable")]
    heldout, fold_steps = _leave_out(estimate, promising)
    recovered, synthetic_steps = (None, 0) if recovery == 0 else recover_parameters(
        estimate, promising, solved.u[best], recovery, rng, recover)
    values = estimate.natural(solved.u)
    information, local = _uncertainty(estimate, solved, best, values[best])
    others = spread_of_good_starts(spec, values, solved.loss)
    expected, density = estimate.expected(solved.u[best : best + 1])[0], estimate.density(solved.u[best : best + 1])[0]
    return FitResult(
        model=estimate.model_at(solved.u[best]), problem=problem, prediction=expected, loss=float(solved.loss[best]),
        chi2=_chi2(problem, expected), n_points=int(np.sum(problem.is_data)),
        n_observations=problem.predict.count if isinstance(problem.predict, Observation) else int(
            np.sum(problem.is_data)),
        log_likelihood=float(np.sum(density[problem.is_data])),
        parameters=parameter_results(spec, values[best], np.maximum(local.log_sd, others.log_sd)),
        coordinates=solved.u[best], information=information,
        directions=directions(spec, values[best], information),
        undetermined=local.undetermined + others.undetermined,
        starts=Starts(solved.loss, solved.converged, solved.steps, estimate.natural(u0), values),
        heldout=heldout, baselines=_baselines(estimate, u0[:1], heldout is not None), recovery=recovered,
        evaluations=int(solved.steps.sum()) + fold_steps + synthetic_steps,
        compile_s=estimate.compile_s, wall_s=time.perf_counter() - began + np.nan_to_num(estimate.compile_s),
    )


def _solve_starts(estimate: Estimate, u0: np.ndarray, enough: int | None) -> tuple[np.ndarray, Ends]:
    """Starts in batches, until enough of them ended together; those that were solved, and where they ended."""
    pieces: list[Ends] = []
    for first in range(0, len(u0), estimate.batch):
        pieces.append(estimate.solve(u0[first : first + estimate.batch]))
        loss = np.concatenate([piece.loss for piece in pieces])
        if enough is not None and np.isfinite(loss.min()) and np.sum(loss < loss.min() + 0.1) >= enough:
            break
    u, loss, converged, steps = (np.concatenate(column) for column in zip(*(one[:4] for one in pieces), strict=True))
    slopes = [piece.jacobian for piece in pieces if piece.jacobian is not None]
    return u0[: len(u)], Ends(u, loss, converged, steps, np.concatenate(slopes) if slopes else None)


def _screened(estimate: Estimate, u: np.ndarray, starts: int) -> np.ndarray:
    """The first start and those of lowest loss."""
    if len(u) == starts:
        return u
    rest = 1 + np.argsort(estimate.loss(u)[1:], kind="stable")
    return u[np.concatenate([[0], rest[: starts - 1]])]


def _uncertainty(estimate: Estimate, solved: Ends, best: int, values: np.ndarray) -> tuple[np.ndarray, Identified]:
    """Information on the coordinates at the optimum, and what it says about the parameters."""
    information = estimate.information(solved.take(np.array([best])))[0]
    if solved.jacobian is None:
        return information, identify_information(estimate.spec, values, information)
    return information, identify(estimate.spec, values, solved.jacobian[best], 1 / estimate.problem.sem)


def _leave_out(estimate: Estimate, starts: np.ndarray) -> tuple[HeldOut | None, int]:
    """Fit without each group in turn, and predict it. Starts are first guesses, never the optimum of the full fit."""
    problem = estimate.problem
    groups = np.asarray(problem.groups)
    names = list(dict.fromkeys(groups[problem.is_data].tolist()))
    if len(names) < 2:
        return None, 0
    each = min(len(starts), max(1, estimate.batch // len(names)))
    keep = np.repeat(np.stack([groups != name for name in names]), each, axis=0)
    solved = estimate.solve(np.tile(starts[:each], (len(names), 1)), keep=keep)
    chosen = solved.loss.reshape(len(names), each).argmin(-1) + np.arange(len(names)) * each
    expected, density = estimate.expected(solved.u[chosen]), estimate.density(solved.u[chosen])
    prediction, by_group, scores = np.array(problem.mean, float), {}, {}
    for row, name in enumerate(names):
        out = (groups == name) & problem.is_data
        prediction[out] = expected[row][out]
        by_group[name] = float(np.sum(((prediction - problem.mean) / problem.sem)[out] ** 2))
        scores[name] = float(np.sum(density[row][out]))
    return HeldOut(sum(by_group.values()), by_group, prediction, scores), int(solved.steps.sum())


def _baselines(estimate: Estimate, centre: np.ndarray, folds: bool) -> dict[str, float]:
    """chi2 of no change anywhere, of one constant, and of the model at the centre of the starts."""
    problem = estimate.problem
    found = {name: _chi2(problem, values) for name, values in simple_answers(estimate).items()}
    found["centre of starts"] = _chi2(problem, estimate.expected(centre)[0])
    if folds:
        found["mean of data, held out"] = _chi2(problem, mean_of_others(problem))
    return found


def simple_answers(estimate: Estimate) -> dict[str, np.ndarray]:
    """Expected means [n] by name: no change, and the mean of the data weighted by 1/SEM^2."""
    problem = estimate.problem
    weight = np.where(problem.is_data, problem.sem**-2.0, 0.0)
    constant = np.full(problem.mean.shape, np.average(problem.mean, weights=weight))
    return {"no change": estimate.unchanged(), "mean of data": constant}


def mean_of_others(problem: Problem) -> np.ndarray:
    """For every point the weighted mean of the data of all other groups [n]."""
    groups, data = np.asarray(problem.groups), problem.is_data
    weight = np.where(data, problem.sem**-2.0, 0.0)
    return np.array([np.average(problem.mean, weights=weight * (groups != g)) if is_data else mean
                     for g, is_data, mean in zip(groups, data, problem.mean, strict=True)])


def _chi2(problem: Problem, prediction: np.ndarray) -> float:
    return float(np.sum((((prediction - problem.mean) / problem.sem) ** 2)[problem.is_data]))


def _check_counts(counts: dict[str, int], recovery: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise InputError(f"solver.{name}", count, "1 or more", "give a positive number, or leave the default")
    if recovery < 0:
        raise InputError("report.recovery", recovery, "0 or more", "0 leaves the recovery test out; 8 is usual")
