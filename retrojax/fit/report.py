"""Everything a fit reports beyond its optimum: baselines, profiles, other rules, predictive check, posterior sample."""

import importlib.util
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from retrojax.errors import InputError
from retrojax.fit.compare import Comparison, compare
from retrojax.fit.config import FitConfig, build, build_alternative, published
from retrojax.fit.estimate import Estimate
from retrojax.fit.fitting import fit_prepared, mean_of_others, prepare, simple_answers
from retrojax.fit.pieces import evaluated_in_pieces
from retrojax.fit.posterior import Posterior, laplace_root, sample_posterior
from retrojax.fit.predictive import Predictive, predictive_check
from retrojax.fit.profile import Profile, profile_estimate
from retrojax.fit.result import FitResult, finite
from retrojax.fit.saved import Saved
from retrojax.fit.sections import SampleSection
from retrojax.fit.spec import double

OnStage = Callable[[str], None]


class Baseline(NamedTuple):
    """What an answer is worth, over the measured points: `chi2` and `log_likelihood`, and both where each group is
    predicted from the others (`heldout_*`; not-a-number without groups). `fit` is the fit itself."""

    name: str
    chi2: float
    log_likelihood: float
    heldout_chi2: float
    heldout_log_likelihood: float


class FitReport(NamedTuple):
    """A fit with everything its config asked for.

    - `fit`: the optimum. `baselines`: the fit and simpler answers. `profiles`: by parameter.
    - `comparison`: the rules, best first; `others`: fits of the other rules by name.
    - `predictive`, `posterior`: None where not asked for.
    """

    fit: FitResult
    baselines: tuple[Baseline, ...]
    profiles: dict[str, Profile]
    comparison: tuple[Comparison, ...]
    others: dict[str, FitResult]
    predictive: Predictive | None
    posterior: Posterior | None

    def to_json(self) -> dict[str, Any]:
        """The content of `fit.json`: that of the fit, and `report`."""
        profiles = {path: {"values": one.values.tolist(), "drop": one.drop.tolist(), "low": one.low, "high": one.high}
                    for path, one in self.profiles.items()}
        check = self.predictive and {**self.predictive._asdict(), **{
            name: getattr(self.predictive, name).tolist() for name in ("low", "median", "high")}}
        return finite({**self.fit.to_json(), "report": {
            "baselines": [one._asdict() for one in self.baselines], "profiles": profiles,
            "comparison": [{**one._asdict(), "ahead": list(one.ahead)} for one in self.comparison],
            "others": {name: other.to_json() for name, other in self.others.items()},
            "predictive": check, "posterior": self.posterior and _posterior_json(self.posterior),
        }})


def fit_config(config: FitConfig, saved: Saved | None = None, on_stage: OnStage = lambda name: None) -> FitReport:
    """Fit a config and everything that its `report` section asks for; what `retrojax fit` does, without files.

    **Arguments**

    - `saved`: solves that an interrupted fit left behind. `on_stage`: called with the name of each stage as it begins.

    **Raises** `InputError` for what cannot be fitted, and for `report.sample` where the sampler is not installed.
    """
    ask, key = config.report, jax.random.key(config.solver.seed)
    if ask.sample is not None and importlib.util.find_spec("blackjax") is None:
        raise InputError("report.sample", "given", "an installation with blackjax", "pip install 'retrojax[bayes]'")
    on_stage("compiling")
    with jax.enable_x64(True):
        problem, model, spec = build(config)
        estimate = _prepared(config, (problem, model, spec), saved)
        on_stage("fitting from many starts")
        result = _fitted(config, estimate, ask.recovery)
        others = {}
        for name in ask.compare:
            on_stage(f"fitting {name}")
            others[name] = _fitted(config, _prepared(config, build_alternative(config, name), saved), 0)
        on_stage("baselines")
        baselines = _baselines(config, estimate, result)
        profiles = {}
        for path in _profiled(config, result):
            on_stage(f"profile of {path}")
            profiles[path] = profile_estimate(estimate, result, path, points=ask.profile_points)
        posterior = None
        if ask.sample:
            on_stage("sampling the posterior")
            posterior = _sampled(ask.sample, config.solver.seed, estimate, result, saved)
        check = None
        if ask.predictive:
            on_stage("posterior-predictive check")
            rng = np.random.default_rng([*np.asarray(jax.random.key_data(key)).ravel(), 1])
            u, source = _draws(ask.predictive, result, posterior, rng)
            check = predictive_check(estimate, u, rng, source)
    own = config.model.rule.model
    own = f"{own} (this config)" if own in others else own
    comparison = tuple(compare({own: result, **others})) if others else ()
    return FitReport(result, baselines, profiles, comparison, others, check, posterior)


def _prepared(config: FitConfig, built: Any, saved: Saved | None) -> Estimate:
    solver = config.solver
    return prepare(*built, batch=min(solver.batch or solver.starts, solver.starts), max_steps=solver.max_steps,
                   tolerance=solver.tolerance, recovery=config.report.recovery, saved=saved,
                   descent=solver.descending())


def _fitted(config: FitConfig, estimate: Estimate, recovery: int) -> FitResult:
    solver = config.solver
    return fit_prepared(estimate, starts=solver.starts, key=jax.random.key(solver.seed), screen=solver.screen,
                        recovery=recovery, recover=config.report.recover, enough=solver.enough)


def _baselines(config: FitConfig, estimate: Estimate, result: FitResult) -> tuple[Baseline, ...]:
    """The fit, and what `report.baselines` names; only the mean of the data changes when points are left out."""
    problem, held = estimate.problem, result.heldout

    def row(name: str, values: np.ndarray, density: np.ndarray, out: np.ndarray, out_density: np.ndarray) -> Baseline:
        data = problem.is_data
        chi2, out_chi2 = (float(np.sum((((x - problem.mean) / problem.sem) ** 2)[data])) for x in (values, out))
        folds = (out_chi2, float(np.sum(out_density[data]))) if held else (math.nan, math.nan)
        return Baseline(name, chi2, float(np.sum(density[data])), *folds)

    rows = [Baseline("fit", result.chi2, result.log_likelihood, held.chi2 if held else math.nan,
                     sum(held.log_likelihood.values()) if held else math.nan)]
    simple = simple_answers(estimate)
    for name in config.report.baselines:
        if name == "published":
            model = double(published(config))
            values, density = (evaluated_in_pieces(function, model, problem.mean.size, estimate.pieces)
                               for function in (problem.predict, estimate.likelihood().log_density))
            rows.append(row(name, values, density, values, density))
            continue
        values = simple[name]
        out = mean_of_others(problem) if name == "mean of data" and held else values
        rows.append(row(name, values, estimate.density_of(values), out, estimate.density_of(out)))
    return tuple(rows)


def _profiled(config: FitConfig, result: FitResult) -> list[str]:
    asked = config.report.profile
    return asked if isinstance(asked, list) else list(result.parameters) if asked else []


def _sampled(size: SampleSection, seed: int, estimate: Estimate, result: FitResult, saved: Saved | None) -> Posterior:
    """NUTS; the whole sample is one saved step."""
    key = jax.random.key(seed)

    def run(*_: Any) -> tuple[Any, ...]:
        drawn = sample_posterior(estimate.likelihood(), estimate.model, estimate.spec, result, key, chains=size.chains,
                                 warmup=size.warmup, draws=size.draws, pieces=estimate.pieces)
        return drawn[1:]

    problem = estimate.problem
    fixed = (estimate.model, problem.predict, problem.mean, problem.sem, str(estimate.spec), str(size), seed,
             estimate.pieces)
    sample = run if saved is None else saved.remember("sample", run, fixed)
    draws, coordinates, r_hat, effective, divergences = (np.asarray(field) for field in sample(result.coordinates))
    return Posterior(tuple(result.parameters), draws, coordinates, r_hat, effective, int(divergences))


def _draws(count: int, result: FitResult, posterior: Posterior | None,
           rng: np.random.Generator) -> tuple[np.ndarray, str]:
    """Coordinates [count, P] from the sample, or from Laplace's approximation; and which."""
    if posterior is not None:
        every = posterior.coordinates.reshape(-1, posterior.coordinates.shape[-1])
        return every[np.linspace(0, len(every) - 1, min(count, len(every))).astype(int)], "posterior sample"
    root = laplace_root(result.information)
    return result.coordinates + rng.standard_normal((count, len(root))) @ root.T, "Laplace approximation"


def _posterior_json(drawn: Posterior) -> dict[str, Any]:
    flat = drawn.draws.reshape(-1, len(drawn.paths))
    low, median, high = np.quantile(flat, (0.05, 0.5, 0.95), axis=0)
    return {
        "chains": drawn.draws.shape[0], "draws": drawn.draws.shape[1], "divergences": drawn.divergences,
        "parameters": {path: {
            "mean": float(flat[:, i].mean()), "sd": float(flat[:, i].std(ddof=1)), "low": float(low[i]),
            "median": float(median[i]), "high": float(high[i]), "r_hat": float(drawn.r_hat[i]),
            "effective": float(drawn.effective[i])} for i, path in enumerate(drawn.paths)},
    }


def report_from_json(content: dict[str, Any]) -> FitReport:
    """The report that `to_json` described, without the draws of a posterior sample, which stand in `samples.zarr`.

    **Raises** `InputError` if a key is missing: the file is no fit, or that of an older version.
    """
    try:
        found = content["report"]
        check = found["predictive"] and Predictive(**{
            **found["predictive"], **{name: _numbers(found["predictive"][name]) for name in ("low", "median", "high")}})
        return FitReport(
            FitResult.from_json(content),
            tuple(Baseline(one["name"], *_numbers([one[name] for name in Baseline._fields[1:]]).tolist())
                  for one in found["baselines"]),
            {path: Profile(path, _numbers(one["values"]), np.nan_to_num(_numbers(one["drop"]), nan=np.inf), one["low"],
                           one["high"]) for path, one in found["profiles"].items()},
            tuple(_comparison_of(one) for one in found["comparison"]),
            {name: FitResult.from_json(other) for name, other in found["others"].items()}, check, None)
    except (KeyError, TypeError) as error:
        raise InputError("fit.json", str(error), "everything that `retrojax fit` writes", "fit again") from None


def _comparison_of(content: dict[str, Any]) -> Comparison:
    """A row in which `to_json` wrote None for what is not finite: AICc without room, scores without folds."""
    row = {**content, "aicc": math.inf if content["aicc"] is None else content["aicc"],
           "heldout": math.nan if content["heldout"] is None else content["heldout"]}
    ahead, error = _numbers(content["ahead"]).tolist()
    return Comparison._make([*(row[name] for name in Comparison._fields[:-1]), (ahead, error)])


def _numbers(values: Any) -> np.ndarray:
    return np.array(values, float)
