"""The fit: many starts, then its uncertainty, held-out score, baselines and a recovery test, through one executable."""

import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.errors import InputError
from retrojax.fit.identify import KNOWN_WITHIN, identify, spread_of_good_starts
from retrojax.fit.problem import Problem, check_problem
from retrojax.fit.result import FitResult, HeldOut, ParameterResult, Starts
from retrojax.fit.solve import FLAT, Solved, Solver, compile_solver, loss_of, solve_all
from retrojax.fit.spec import Parameter, Spec, check_spec, double, draw_starts, natural, set_coordinates
from retrojax.types import SeedKey


def fit(
    problem: Problem,
    model: Any,
    spec: Spec,
    *,
    starts: int,
    key: SeedKey,
    screen: int = 8,
    max_steps: int = 60,
    tolerance: float = 1e-4,
    recovery: int = 8,
) -> FitResult:
    """Least-squares fit of the parameters in `spec`, from many starts at once, in float64.

    The loss is sum [(prediction - mean)/SEM]^2, minus twice the log-likelihood of the data up to a constant, plus the
    priors. Levenberg-Marquardt with a forward-mode Jacobian; the one compiled solve is used again for every held-out
    group and for synthetic data.

    **Arguments**

    - `problem`: the points and the function that predicts them (`Problem`).
    - `model`: any pytree; `problem.predict(model)` gives the n predictions.
    - `spec`: dotted path -> `Parameter`.
    - `starts`: number of starts; the first stands at the centres of `spec`.
    - `key`: typed key of the starts and of the synthetic data.
    - `screen`: this many times `starts` are drawn and the ones of lowest loss kept, as a bad draw often lands where the
      loss is flat; 1 keeps every draw.
    - `max_steps`, `tolerance`: of each solve.
    - `recovery`: synthetic data sets; 0 leaves the test out.

    **Returns** `FitResult`. **Raises** `InputError` for a spec or points that cannot be used.

    Build `problem` and `model` under `jax.enable_x64(True)` too: times rounded to float32 stay rounded.
    """
    began = time.perf_counter()
    _check_counts({"starts": starts, "screen": screen, "max_steps": max_steps}, recovery)
    check_problem(problem)
    check_spec(model, spec)
    with jax.enable_x64(True):
        problem = problem._replace(predict=double(problem.predict))
        model = double(model)
        rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
        solver = compile_solver(problem, model, spec, starts, max_steps, tolerance)
        weight = 1 / problem.sem
        u0 = _screened(solver, problem, spec, draw_starts(spec, starts * screen, rng))
        solved = solve_all(solver, u0, *_repeat(starts, problem.mean, weight))
        loss = loss_of(spec, solved.u, solved.prediction, problem.mean, weight)
        best = int(np.argmin(loss))
        if not np.isfinite(loss[best]):
            raise InputError("parameters", "all starts", "a start with finite predictions", "narrow the starts' spread")
        promising = u0[np.argsort(loss, kind="stable")]
        heldout, fold_steps = _leave_out(solver, problem, spec, promising)
        recovered, synthetic_steps = _recover(solver, problem, spec, promising, solved, best, recovery, rng)
        values = np.asarray(natural(spec, jnp.asarray(solved.u)))
        local = identify(spec, values[best], solved.jacobian[best], weight)
        others = spread_of_good_starts(spec, values, loss)
        return FitResult(
            model=set_coordinates(model, spec, jnp.asarray(solved.u[best])),
            problem=problem,
            prediction=solved.prediction[best],
            loss=float(loss[best]),
            chi2=_chi2(problem, solved.prediction[best]),
            n_points=int(np.sum(problem.is_data)),
            parameters=_parameters(spec, values[best], np.maximum(local.log_sd, others.log_sd)),
            undetermined=local.undetermined + others.undetermined,
            starts=Starts(loss, solved.converged, solved.steps,
                          np.asarray(natural(spec, jnp.asarray(u0))), values),
            heldout=heldout,
            baselines=_baselines(solver, problem, u0[:1], heldout is not None),
            recovery=recovered,
            evaluations=int(solved.steps.sum()) + fold_steps + synthetic_steps,
            compile_s=solver.compile_s,
            wall_s=time.perf_counter() - began,
        )


def _screened(solver: Solver, problem: Problem, spec: Spec, u: np.ndarray) -> np.ndarray:
    """The first start and those of lowest loss, as many as one batch takes."""
    if len(u) == solver.batch:
        return u
    prediction = evaluate(solver, problem, u)
    loss = loss_of(spec, u, prediction, problem.mean, 1 / problem.sem)
    rest = 1 + np.argsort(loss[1:], kind="stable")
    return u[np.concatenate([[0], rest[: solver.batch - 1]])]


def evaluate(solver: Solver, problem: Problem, u: np.ndarray) -> np.ndarray:
    """Predictions at coordinates `u` [K, P], by the executable of the fit."""
    nothing = np.zeros((len(u), problem.mean.size))
    return solve_all(solver, u, nothing, nothing, np.zeros(len(u))).prediction


def _leave_out(solver: Solver, problem: Problem, spec: Spec, starts: np.ndarray) -> tuple[HeldOut | None, int]:
    """Fit without each group in turn, and predict it. Starts are first guesses, never the optimum of the full fit."""
    groups = np.asarray(problem.groups)
    names = list(dict.fromkeys(groups[problem.is_data].tolist()))
    if len(names) < 2:
        return None, 0
    each = max(1, solver.batch // len(names))
    kept = np.stack([(groups != name) / problem.sem for name in names])
    weight = np.repeat(kept, each, axis=0)
    mean = np.broadcast_to(problem.mean, weight.shape)
    solved = solve_all(solver, np.tile(starts[:each], (len(names), 1)), mean, weight)
    chosen = _best_of(loss_of(spec, solved.u, solved.prediction, mean, weight), len(names))
    prediction, by_group = np.array(problem.mean, float), {}
    for name, row in zip(names, chosen, strict=True):
        out = (groups == name) & problem.is_data
        prediction[out] = solved.prediction[row][out]
        by_group[name] = float(np.sum(((prediction - problem.mean) / problem.sem)[out] ** 2))
    return HeldOut(sum(by_group.values()), by_group, prediction), int(solved.steps.sum())


def _recover(
    solver: Solver, problem: Problem, spec: Spec, starts: np.ndarray, solved: Solved, best: int, sets: int,
    rng: np.random.Generator,
) -> tuple[dict[str, Any] | None, int]:
    """Fit data made by the best model with noise of the measured SEM; what comes back says what can be known."""
    if sets == 0:
        return None, 0
    each = max(1, solver.batch // sets)
    truth = solved.prediction[best]
    made = truth + problem.sem * rng.standard_normal((sets, truth.size))
    mean = np.repeat(made, each, axis=0)
    weight = np.broadcast_to(1 / problem.sem, mean.shape)
    again = solve_all(solver, np.tile(starts[:each], (sets, 1)), mean, weight)
    loss = loss_of(spec, again.u, again.prediction, mean, weight)
    chosen = _best_of(loss, sets)
    values = np.asarray(natural(spec, jnp.asarray(again.u[chosen])))
    true = np.asarray(natural(spec, jnp.asarray(solved.u[best])))
    report = {
        path: {"true": float(true[i]), "median": float(np.median(values[:, i])),
               "low": float(np.quantile(values[:, i], 0.16)), "high": float(np.quantile(values[:, i], 0.84))}
        for i, path in enumerate(spec)
    }
    at_truth = np.sum(((made - truth) / problem.sem) ** 2, -1)
    fraction = float(np.mean(loss[chosen] <= at_truth + _prior_loss(spec, solved, best, problem) + FLAT))
    return {"sets": sets, "fitted_as_well_as_truth": fraction, "parameters": report}, int(again.steps.sum())


def _prior_loss(spec: Spec, solved: Solved, best: int, problem: Problem) -> float:
    none = np.zeros(problem.mean.size)
    return float(loss_of(spec, solved.u, solved.prediction, problem.mean, none)[best])


def _baselines(solver: Solver, problem: Problem, centre: np.ndarray, folds: bool) -> dict[str, float]:
    """chi2 of saying 1 everywhere, of one constant, and of the model at the centre of the starts."""
    data = problem.is_data
    groups, mean, weight = np.asarray(problem.groups)[data], problem.mean[data], problem.sem[data] ** -2.0
    constant = np.full(mean.shape, np.average(mean, weights=weight))
    result = {
        "no change": float(np.sum(weight * (mean - 1) ** 2)),
        "mean of data": float(np.sum(weight * (mean - constant) ** 2)),
        "centre of starts": _chi2(problem, evaluate(solver, problem, centre)[0]),
    }
    if folds:
        others = [np.average(mean[groups != g], weights=weight[groups != g]) for g in groups]
        result["mean of data, held out"] = float(np.sum(weight * (mean - others) ** 2))
    return result


def _parameters(spec: Spec, values: np.ndarray, log_sd: np.ndarray) -> dict[str, ParameterResult]:
    return {path: _one_parameter(p, float(v), float(s)) for (path, p), v, s in
            zip(spec.items(), values, log_sd, strict=True)}


def _one_parameter(parameter: Parameter, value: float, log_sd: float) -> ParameterResult:
    bound = parameter.transform.bound(value)
    scale = parameter.spread if parameter.transform.kind == "identity" else abs(value)
    sd = log_sd * scale if np.isfinite(log_sd) else None
    return ParameterResult(value, sd, parameter.unit, bound, bound is None and log_sd < KNOWN_WITHIN)


def _chi2(problem: Problem, prediction: np.ndarray) -> float:
    return float(np.sum((((prediction - problem.mean) / problem.sem) ** 2)[problem.is_data]))


def _best_of(loss: np.ndarray, sets: int) -> np.ndarray:
    """Row of the lowest loss in each of `sets` equal stretches."""
    each = loss.reshape(sets, -1)
    return each.argmin(-1) + np.arange(sets) * each.shape[1]


def _repeat(count: int, *rows: np.ndarray) -> list[np.ndarray]:
    return [np.tile(row, (count, 1)) for row in rows]


def _check_counts(counts: dict[str, int], recovery: int) -> None:
    for name, count in counts.items():
        if count < 1:
            raise InputError(f"solver.{name}", count, "1 or more", "give a positive number, or leave the default")
    if recovery < 0:
        raise InputError("solver.recovery", recovery, "0 or more", "0 leaves the recovery test out; 8 is usual")
