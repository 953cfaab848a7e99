"""The eight observation models of a fit config: densities against SciPy, draws against their moments, assumptions."""

import copy
from pathlib import Path

import equinox as eqx
import numpy as np
import pytest
import yaml
from scipy import stats

from retrojax.errors import InputError
from retrojax.fit import FitConfig, build
from retrojax.fit.observation import KINDS, Densities, Seen

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "configs" / "fit_sjostrom.yaml").read_text())
N, CELLS = 3, 5
SEEN = Seen(np.array([0.8, 1.2, 1.5]), np.array([0.3, 0.5, 0.6]), np.array([0.9, 1.0, 1.2]))
SEM, SITES = np.array([0.1, 0.2, 0.15]), 4
VALUES = np.random.default_rng(0).gamma(6.0, 0.2, (N, CELLS))
OBSERVED = {
    "mean": VALUES.mean(1), "count": np.full(N, float(CELLS)), "variance": VALUES.var(1, ddof=1), "values": VALUES,
    "relative": SEM / VALUES.mean(1), "present": np.ones((N, CELLS), bool), "mean_log": np.log(VALUES).mean(1),
}
NOISE = {"between_sd": 0.3, "dof": 4.0, "log_sd": 0.2, "cv": 0.4, "quantum": 0.5, "noise_sd": 0.1, "quantal_cv": 0.3}


def moments():
    mu = SITES * SEEN.p * SEEN.q * 0.5
    return mu, SITES * (SEEN.q * 0.5) ** 2 * SEEN.p * (1 - SEEN.p + 0.09)


def trials():
    k = np.arange(SITES + 1)
    q = 0.5 * SEEN.q
    return [sum(np.log(sum(stats.binom.pmf(k, SITES, p) * stats.norm.pdf(x, k * a, np.sqrt(0.01 + k * (0.3 * a) ** 2))))
                for x in row) for row, p, a in zip(VALUES, SEEN.p, q, strict=True)]


MEAN = OBSERVED["mean"]
EXPECTED = {
    "gaussian": lambda: stats.norm.logpdf(MEAN, SEEN.value, SEM),
    "between_cells": lambda: stats.norm.logpdf(MEAN, SEEN.value, np.sqrt(SEM**2 + 0.09)),
    "student_t": lambda: stats.t.logpdf(MEAN, 4, SEEN.value, SEM),
    "lognormal": lambda: stats.lognorm.logpdf(MEAN, 0.2, scale=SEEN.value),
    "gamma": lambda: stats.gamma.logpdf(MEAN, 0.4**-2, scale=SEEN.value * 0.16),
    "gamma_sum": lambda: stats.gamma.logpdf(VALUES, 0.4**-2, scale=SEEN.value[:, None] * 0.16).sum(1),
    "quantal_moments": lambda: stats.norm.logpdf(
        MEAN, moments()[0], np.sqrt(moments()[1] / CELLS)) + stats.gamma.logpdf(
        OBSERVED["variance"], (CELLS - 1) / 2, scale=2 * moments()[1] / (CELLS - 1)),
    "binomial_release": trials,
}


@pytest.mark.parametrize("kind", KINDS)
def test_density_is_that_of_scipy(kind, x64):
    found = KINDS[kind].density(OBSERVED, SEEN, NOISE, SEM, SITES)
    np.testing.assert_allclose(np.asarray(found), EXPECTED[kind](), rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_have_the_moments_of_the_model(kind):
    rng = np.random.default_rng(1)
    drawn = [KINDS[kind].draw(rng, SEEN, NOISE, SEM, OBSERVED, SITES)["mean"] for _ in range(4000)]
    mu, spread = moments()
    mean = mu if KINDS[kind].quantal else SEEN.value * (np.exp(0.02) if kind == "lognormal" else 1)
    sd = {"gaussian": SEM, "between_cells": np.sqrt(SEM**2 + 0.09), "student_t": SEM * np.sqrt(2),
          "lognormal": SEEN.value * np.exp(0.02) * np.sqrt(np.expm1(0.04)), "gamma": 0.4 * SEEN.value,
          "gamma_sum": 0.4 * SEEN.value / np.sqrt(CELLS), "quantal_moments": np.sqrt(spread / CELLS),
          "binomial_release": np.sqrt((spread + 0.01) / CELLS)}[kind]
    np.testing.assert_allclose(np.mean(drawn, 0), mean, atol=4 * np.max(sd) / np.sqrt(4000))
    np.testing.assert_allclose(np.std(drawn, 0), sd, rtol=0.15 if kind == "student_t" else 0.06)


def test_each_point_has_its_own_spread_where_none_is_given(x64):
    noise = {}
    found = np.asarray(KINDS["lognormal"].density(OBSERVED, SEEN, noise, SEM, SITES))
    np.testing.assert_allclose(found, stats.lognorm.logpdf(MEAN, SEM / MEAN, scale=SEEN.value), rtol=1e-9)
    found = np.asarray(KINDS["gamma"].density(OBSERVED, SEEN, noise, SEM, SITES))
    relative = (SEM / MEAN) ** 2
    np.testing.assert_allclose(found, stats.gamma.logpdf(MEAN, 1 / relative, scale=SEEN.value * relative), rtol=1e-9)


def with_likelihood(likelihood, **data):
    raw = copy.deepcopy(CONFIG)
    for point in raw["data"]["points"]:
        point |= {"values": [0.9 * point["mean"], 1.1 * point["mean"], point["mean"]], "variance": 0.1}
    return FitConfig.model_validate({**raw, "likelihood": likelihood, "data": {**raw["data"], **data}})


def test_an_assumption_is_normal_and_noise_can_be_fitted(x64):
    assumed = [{"protocol": "single", "rate": "0.1 Hz", "delta_t": "10 ms", "quantity": "q", "value": 1.2, "sd": 0.03}]
    config = with_likelihood({"kind": "student_t", "dof": 4}, assumptions=assumed)
    more = {**config.parameters, "noise.dof": config.parameters["rules.0.c_plus"]}
    problem, model, spec = build(config.model_copy(update={"parameters": more}))
    density = np.asarray(eqx.filter_jit(Densities(problem.predict))(model))
    assert density.shape == (11,) and spec["noise.dof"].centre == 4.0 and problem.predict.count == 10
    # one pairing every ten seconds leaves q alone
    assert density[-1] == pytest.approx(stats.norm.logpdf(1.2, 1.0, 0.03), rel=1e-6)


def test_quantal_kinds_see_p_and_q_of_the_synapse(x64):
    problem, model, _ = build(with_likelihood({"kind": "quantal_moments", "n_sites": 5, "quantum": 0.4}))
    expected = np.asarray(eqx.filter_jit(problem.predict)(model))
    assert expected[0] == pytest.approx(5 * 0.5 * 1.0 * 0.4, rel=1e-3)
    ratio = np.asarray(eqx.filter_jit(problem.predict.outcome.outcomes)(model))[1]
    assert expected[1] == pytest.approx(5 * (0.5 * ratio[1]) * ratio[2] * 0.4, rel=1e-6)


@pytest.mark.parametrize(("likelihood", "words"), [
    ({"kind": "studentt"}, "likelihood.kind"),
    ({"kind": "student_t"}, r"likelihood\.dof.*student_t needs"),
    ({"kind": "gaussian", "dof": 3}, r"likelihood\.dof.*for gaussian: no argument"),
    ({"kind": "binomial_release", "quantum": 1, "noise_sd": 0.1}, r"likelihood\.n_sites"),
    ({"kind": "student_t", "dfo": 3}, "did you mean 'dof'"),
    ({"kind": "between_cells", "between_sd": -1}, "between_sd"),
])
def test_one_refusal_per_mistake(likelihood, words):
    from retrojax.validation import validate

    with pytest.raises(InputError, match=words):
        validate(FitConfig, {**CONFIG, "likelihood": likelihood})


def test_points_that_lack_what_a_law_reads_are_refused():
    from retrojax.validation import validate

    with pytest.raises(InputError, match=r"data\.points\[0\]\.values.*binomial_release"):
        validate(FitConfig, {**CONFIG, "likelihood": {"kind": "binomial_release", "quantum": 1, "noise_sd": 0.1,
                                                      "n_sites": 3}})
    negative = copy.deepcopy(CONFIG)
    negative["data"]["points"][2]["mean"] = -0.1
    with pytest.raises(InputError, match=r"data\.points\[2\].*positive numbers, for gamma"):
        validate(FitConfig, {**negative, "likelihood": {"kind": "gamma"}})
