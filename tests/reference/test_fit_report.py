"""What a fit reports, on a straight line whose answers are known in closed form, and both ways of solving compared."""

import copy
import importlib.util
import inspect
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from scipy import stats

from retrojax.errors import InputError
from retrojax.fit import FitConfig, Parameter, Problem, Transform, build, compare, fit, fit_config
from retrojax.fit.config import build_alternative
from retrojax.fit.cost import predict_cost
from retrojax.fit.fitting import fit_prepared, prepare, simple_answers
from retrojax.fit.identify import directions, verdict
from retrojax.fit.posterior import laplace_root
from retrojax.fit.predictive import predictive_check
from retrojax.fit.profile import profile_estimate
from retrojax.fit.spec import centres, set_coordinates

N = 12
X = np.linspace(-1, 2, N)
SEM = np.linspace(0.2, 0.4, N)
Y = 1 + 0.5 * X + SEM * np.random.default_rng(5).standard_normal(N)
WEIGHT = np.stack([np.ones(N), X], -1) / SEM[:, None]
INFORMATION = WEIGHT.T @ WEIGHT
BEST = np.linalg.solve(INFORMATION, WEIGHT.T @ (Y / SEM))
SPEC = {"level": Parameter(Transform("identity"), 0.0, 1.0), "slope": Parameter(Transform("identity"), 0.0, 1.0)}


class Line(eqx.Module):
    level: jax.Array
    slope: jax.Array


class Predict(eqx.Module):
    x: jax.Array

    def __call__(self, model: Line):
        return model.level + model.slope * self.x


@pytest.fixture(scope="module")
def line():
    """(estimate, result) of the line, left out by quarters, with 400 synthetic data sets."""
    with jax.enable_x64(True):
        groups = tuple(f"g{k % 4}" for k in range(N))
        problem = Problem(Y, SEM, Predict(jnp.asarray(X)), tuple(map(str, X)), X, ("line",) * N, groups,
                          np.ones(N, bool))
        estimate = prepare(problem, Line(jnp.asarray(0.0), jnp.asarray(0.0)), SPEC, batch=64, tolerance=1e-8)
        return estimate, fit_prepared(estimate, starts=64, key=jax.random.key(0), screen=1, recovery=400)


def test_optimum_information_and_density_are_those_of_regression(line):
    _, result = line
    np.testing.assert_allclose(result.coordinates, BEST, atol=1e-7)
    np.testing.assert_allclose(result.information, INFORMATION, rtol=1e-9)
    density = stats.norm.logpdf(Y, BEST[0] + BEST[1] * X, SEM)
    assert result.log_likelihood == pytest.approx(density.sum(), abs=1e-9) and result.n_observations == N


def test_heldout_density_is_that_of_the_fit_without_the_group(line):
    _, result = line
    for number in range(4):
        kept = np.arange(N) % 4 != number
        beta = np.linalg.lstsq(WEIGHT[kept], (Y / SEM)[kept])[0]
        score = stats.norm.logpdf(Y, beta[0] + beta[1] * X, SEM)[~kept].sum()
        assert result.heldout.log_likelihood[f"g{number}"] == pytest.approx(score, abs=1e-6)


def test_profile_is_the_parabola_of_the_schur_complement(line):
    estimate, result = line
    found = profile_estimate(estimate, result, "slope", points=9)
    stiffness = INFORMATION[1, 1] - INFORMATION[0, 1] ** 2 / INFORMATION[0, 0]
    np.testing.assert_allclose(found.drop, stiffness * (found.values - BEST[1]) ** 2 / 2, atol=1e-6)
    half = 1.959964 / np.sqrt(stiffness)
    # linear interpolation between nine points, three standard deviations wide
    assert found.low == pytest.approx(BEST[1] - half, abs=0.03 * half)
    assert found.high == pytest.approx(BEST[1] + half, abs=0.03 * half)


def test_recovered_ranks_are_uniform_where_laplace_is_exact(line):
    found = line[1].recovery
    assert found["fitted_as_well_as_truth"] == 1.0
    for one in found["parameters"].values():
        assert abs(one["within_68"] - 0.68) < 4 * np.sqrt(0.68 * 0.32 / 400)
        assert abs(one["within_95"] - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 400)
        assert one["rank_p"] > 1e-3
        assert stats.kstest((np.array(one["ranks"]) + 0.5) / 100, "uniform").pvalue > 1e-3


def test_predictive_band_and_p_value_of_a_right_and_a_wrong_model(line):
    estimate, result = line
    rng = np.random.default_rng(0)
    with jax.enable_x64(True):
        draws = BEST + rng.standard_normal((4000, 2)) @ laplace_root(INFORMATION).T
        right = predictive_check(estimate, draws, rng, "test")
        wrong = predictive_check(estimate, draws + [0.6, 0.0], rng, "test")
    sd = np.sqrt(np.einsum("ni,ij,nj->n", WEIGHT, np.linalg.inv(INFORMATION), WEIGHT) + 1) * SEM
    middle = BEST[0] + BEST[1] * X
    np.testing.assert_allclose(right.high, middle + 1.644854 * sd, atol=0.05)
    np.testing.assert_allclose(right.low, middle - 1.644854 * sd, atol=0.05)
    # chi2 of new data about a draw has N degrees of freedom, that of the data chi2_min + chi2 with 2
    extra = rng.chisquare(2, 100_000)
    assert right.p_value == pytest.approx(np.mean(stats.chi2.sf(result.chi2 + extra, N)), abs=0.03)
    assert wrong.p_value < 0.01 and right.draws == 4000


def test_no_further_batch_once_enough_starts_ended_together(line):
    estimate, _ = line
    with jax.enable_x64(True):
        found = fit(estimate.problem, estimate.model, SPEC, starts=64, batch=8, enough=8, screen=1,
                    key=jax.random.key(0), recovery=0)
    assert found.starts.loss.size == 8 and found.chi2 == pytest.approx(line[1].chi2, abs=1e-6)


def test_comparison_takes_either_kind_of_fit_and_refuses_other_data(line):
    flat = {"level": SPEC["level"]}
    estimate, result = line
    with jax.enable_x64(True):
        less = fit(estimate.problem, estimate.model, flat, starts=2, screen=1, key=jax.random.key(0), recovery=0)
    best, other = compare({"line": result, "flat": less})
    assert (best.name, best.parameters, other.parameters) == ("line", 2, 1)
    assert other.log_likelihood == pytest.approx(stats.norm.logpdf(Y, np.average(Y, weights=SEM**-2.0), SEM).sum())
    with pytest.raises(InputError, match="one set of observations"):
        compare({"line": result, "flat": less._replace(n_observations=3)})


def test_directions_and_verdict_of_a_product(x64):
    spec = {name: Parameter(Transform("log"), 1.0, 1.0) for name in ("a.x", "a.y")}
    information = 100.0 * np.array([[1.0, 1.0], [1.0, 1.0]]) + 1e-4 * np.eye(2)
    found = directions(spec, np.array([2.0, 3.0]), information)
    assert found.log_sd == pytest.approx([1 / np.sqrt(200), 100.0], rel=1e-3) or np.isinf(found.log_sd[1])
    assert np.abs(found.powers[0]) == pytest.approx([np.sqrt(0.5)] * 2, rel=1e-6)
    known = directions(spec, np.array([2.0, 3.0]), 100.0 * np.array([[1.0, 0.95], [0.95, 1.0]]))
    assert known.correlation[0, 1] == pytest.approx(-0.95, rel=1e-9)
    from retrojax.fit.result import ParameterResult

    results = {path: ParameterResult(2.0, None, "1", None, False) for path in spec}
    text = verdict(results, found)
    assert "0 of 2 parameters known" in text and "1 independent combination of parameters is free" in text
    assert "Best known is x x y" in text or "Best known is y x x" in text
    assert "(-0.95)" in verdict(results, known)


CONFIG = yaml.safe_load((Path(__file__).parents[2] / "configs" / "fit_rules.yaml").read_text())


def small(**changes):
    """The triplet rule on single bursts: seconds, not minutes."""
    raw = copy.deepcopy(CONFIG)
    raw["protocols"] = {"single": {"kind": "pairs", "count": 3}, "bursts": {
        "kind": "bursts", "count": 2, "per_burst": 3, "every": "1 s"}}
    raw["solver"] = {"starts": 4, "screen": 2}
    raw["report"] = {"recovery": 0, "predictive": 0, "baselines": ["no change", "mean of data"]}
    raw.pop("likelihood")
    return FitConfig.model_validate({**raw, **changes})


def test_a_rule_that_comes_with_its_spec_predicts_what_the_config_would(x64):
    ready = {"rule": {"model": "triplet", "A2_minus": 0.01, "A3_plus": 0.01, "tau_plus": 20, "tau_minus": 30,
                      "tau_y": 100}, "spine": {"model": "silent"}}
    config = small(model=ready)
    problem, model, spec = build_alternative(config, "triplet")
    own, synapse, _ = build(config)
    assert set(spec) >= {"synapse.rules.0.tau_plus", "gains.rules.0.A2_minus.0"} and problem.groups == own.groups
    there = set_coordinates(model, spec, jnp.asarray(centres(spec)))
    np.testing.assert_allclose(eqx.filter_jit(problem.predict)(there), eqx.filter_jit(own.predict)(synapse), rtol=1e-9)
    with pytest.raises(InputError, match="in `alternatives`, with a likelihood"):
        build_alternative(small(likelihood={"kind": "gaussian"}), "triplet")


@pytest.fixture(scope="module")
def squares():
    """(config, estimate, result) of the small fit by least squares."""
    config = small()
    with jax.enable_x64(True):
        estimate = prepare(*build(config), batch=4)
        return config, estimate, fit_prepared(estimate, starts=4, screen=2, key=jax.random.key(0), recovery=0)


@pytest.mark.repro
def test_a_normal_likelihood_is_least_squares(squares):
    """BFGS on the log posterior ends where Levenberg-Marquardt does, with the same densities, folds and curvature."""
    _, ours, a = squares
    with jax.enable_x64(True):
        theirs = prepare(*build(small(likelihood={"kind": "gaussian"})), batch=4, recovery=3)
        b = fit_prepared(theirs, starts=4, screen=2, key=jax.random.key(0), recovery=3, recover="priors")
        np.testing.assert_allclose(b.coordinates, a.coordinates, atol=2e-3)
        np.testing.assert_allclose(b.information, finite_hessian(ours, a), rtol=1e-3, atol=0.05)
        for name, values in simple_answers(ours).items():
            np.testing.assert_allclose(simple_answers(theirs)[name], values)
            np.testing.assert_allclose(theirs.density_of(values), ours.density_of(values), rtol=1e-9)
    assert b.log_likelihood == pytest.approx(a.log_likelihood, abs=1e-4)
    for group, one in a.heldout.log_likelihood.items():
        assert b.heldout.log_likelihood[group] == pytest.approx(one, abs=5e-3)
    assert b.recovery["fitted_as_well_as_truth"] == 1.0 and len(b.recovery["parameters"]["rules.0.tau_y"]["ranks"]) == 3
    found = profile_estimate(theirs, b, "rules.0.tau_y", points=5)
    assert found.drop[2] == pytest.approx(0, abs=1e-4) and np.all(found.drop[[0, 1, 3, 4]] > 0.3)
    assert found.low < b.parameters["rules.0.tau_y"].value < found.high


def finite_hessian(estimate, result, h=1e-3):
    """Second differences of half the loss at the optimum."""
    eye = h * np.eye(len(result.coordinates))
    corners = [result.coordinates + a * p + b * q for p in eye for q in eye for a in (1, -1) for b in (1, -1)]
    loss = estimate.loss(np.array(corners)).reshape(len(eye), len(eye), 4)
    return (loss @ [1, -1, -1, 1]) / (8 * h**2)


def test_predicted_memory_is_that_of_the_compiled_solve(squares):
    config, estimate, _ = squares
    executable = inspect.getclosurevars(estimate._solver.run).nonlocals["executable"]
    measured = executable.compiled.memory_analysis().temp_size_in_bytes
    assert 0.5 < predict_cost(config)[0].memory_bytes / measured < 2


@pytest.mark.skipif(importlib.util.find_spec("blackjax") is not None, reason="the sampler is installed")
def test_a_sample_without_the_sampler_says_what_to_install():
    with pytest.raises(InputError, match=r"report\.sample.*retrojax\[bayes\]"):
        fit_config(small(report={"sample": {}}))


def test_what_a_report_cannot_hold_is_refused():
    from retrojax.validation import validate

    for changes, words in (
        ({"report": {"compare": ["tripplet"]}}, r"report\.compare.*did you mean 'triplet'"),
        ({"report": {"leave_one_out": "cell"}}, r"report\.leave_one_out.*protocol"),
        ({"report": {"profile": ["rules.0.tau_x"]}}, r"report\.profile.*did you mean"),
        ({"report": {"recover": "priors"}, "priors": {}}, r"report\.recover.*give one of rules\.0\.A2_minus"),
        ({"report": {"baselines": ["nothing"]}}, r"report\.baselines"),
        ({"priors": {"rules.0.tau_plsu": {"mean": 1, "sd": 1}}}, r"priors.*did you mean 'rules\.0\.tau_plus'"),
    ):
        with pytest.raises(InputError, match=words):
            validate(FitConfig, {**CONFIG, **changes})
