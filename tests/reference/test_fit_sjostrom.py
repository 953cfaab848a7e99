"""The fit of the unified rule to Sjostrom et al. (2001), the refit preset row by row, and what a spec may not say."""

import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml

from retrojax.errors import InputError
from retrojax.fit import FitConfig, Parameter, Transform, build, fit
from retrojax.fit.identify import identify, identify_information, spread_of_good_starts
from retrojax.fit.spec import set_coordinates

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "configs" / "fit_sjostrom.yaml").read_text())
# (P/P0, q, w) at 0.1, 10, 20, 40, 50 Hz, first for +10 ms, then for -10 ms: an independent run of the same preset
REFIT = np.array([
    (1.000, 1.000, 1.000), (1.038, 1.000, 1.038), (1.235, 1.013, 1.251), (1.449, 1.118, 1.620), (1.405, 1.198, 1.683),
    (0.730, 1.000, 0.730), (0.505, 1.000, 0.505), (0.668, 1.006, 0.672), (1.162, 1.090, 1.267), (1.354, 1.165, 1.577),
])


def config(**model):
    return FitConfig.model_validate({**CONFIG, "model": {**CONFIG["model"], **model}})


@pytest.fixture(scope="module")
def fitted():
    return fit(*build(config()), starts=10, key=jax.random.key(1), recovery=3)


def test_refit_preset_gives_its_table_and_chi2(x64):
    problem, model, _ = build(config(rule={"model": "unified", "preset": "sjostrom_refit"}))
    w, p, q = np.asarray(eqx.filter_jit(problem.predict.outcomes)(model)).T
    np.testing.assert_allclose(np.stack([p, q, w], -1), REFIT, atol=1e-3)
    assert np.sum(((w - problem.mean) / problem.sem) ** 2) == pytest.approx(4.39, abs=0.02)


def test_fit_reaches_the_known_optimum(fitted):
    assert fitted.chi2 <= 5
    assert fitted.n_points == 10
    assert fitted.chi2 < 0.05 * fitted.baselines["no change"]
    # from the published table alone the loss is flat: that start stays where it is
    assert fitted.starts.loss[0] > 100


def test_result_is_consistent_with_its_own_model(fitted):
    with jax.enable_x64(True):
        again = np.asarray(eqx.filter_jit(fitted.problem.predict)(fitted.model))
    np.testing.assert_allclose(again, fitted.prediction, atol=1e-10)
    assert fitted.chi2 == pytest.approx(np.sum(((again - fitted.problem.mean) / fitted.problem.sem) ** 2), abs=1e-8)


def test_report_says_what_the_data_cannot_tell(fitted):
    report = json.loads(json.dumps(fitted.to_json(), allow_nan=False))
    assert set(report["parameters"]) == set(CONFIG["parameters"])
    assert not report["parameters"]["rules.0.c_plus"]["identified"]
    assert any("c_plus" in text for text in report["undetermined"])
    assert report["recovery"]["fitted_as_well_as_truth"] > 0.5
    assert set(report["heldout"]["by_group"]) == {"0.1 Hz", "10 Hz", "20 Hz", "40 Hz", "50 Hz"}
    assert report["heldout"]["chi2"] > report["chi2"]


def test_unknown_path_names_the_nearest():
    problem, model, spec = build(config())
    wrong = {"rules.0.d_minsu": spec["rules.0.d_minus"]}
    with pytest.raises(InputError, match="did you mean 'rules.0.d_minus'"):
        fit(problem, model, wrong, starts=1, key=jax.random.key(0))


@pytest.mark.parametrize(("parameter", "word"), [
    (Parameter(Transform("lgo"), 0.1, 1.0), "transform"),
    (Parameter(Transform("log"), -0.1, 1.0), "centre"),
    (Parameter(Transform("logit", 1.0, 0.0), 0.5, 1.0), "transform"),
    (Parameter(Transform("log"), 0.1, 0.0), "spread"),
    (Parameter(Transform("log"), 0.1, 1.0, prior=(0.1, -1.0)), "prior.sd"),
])
def test_bad_spec_is_refused(parameter, word):
    problem, model, _ = build(config())
    with pytest.raises(InputError, match=word):
        fit(problem, model, {"rules.0.d_minus": parameter}, starts=1, key=jax.random.key(0))


def test_sem_of_zero_is_refused():
    problem, model, spec = build(config())
    with pytest.raises(InputError, match="10 Hz, \\+10 ms"):
        fit(problem._replace(sem=np.where(np.arange(10) == 1, 0.0, 1.0)), model, spec, starts=1, key=jax.random.key(0))


def test_transforms_invert(x64):
    for transform, x in ((Transform("log"), 3.0), (Transform("logit", 1.0, 4.0), 1.3), (Transform("identity"), -2.0)):
        assert float(transform.inverse(jnp.asarray(transform.forward(x)))) == pytest.approx(x, rel=1e-12)


def test_set_coordinates_moves_only_the_spec(x64):
    _, model, spec = build(config())
    u = np.array([p.transform.forward(p.centre) for p in spec.values()])
    u[0] += np.log(2)
    moved = set_coordinates(model, spec, jnp.asarray(u))
    assert float(moved.rules[0].d_minus) == pytest.approx(2 * 0.1771)
    assert float(moved.rules[0].d_plus) == pytest.approx(0.1548)
    assert float(moved.rules[0].lr_scale) == 1.0


def test_identify_finds_the_product_that_data_cannot_separate():
    """A model that depends on x y alone: ln x + ln y is known to the SEM, ln x - ln y not at all."""
    spec = {name: Parameter(Transform("log"), 1.0, 1.0) for name in ("a.x", "a.y")}
    found = identify(spec, np.array([2.0, 3.0]), np.array([[6.0, 6.0], [6.0, 6.0]]), np.array([10.0, 10.0]))
    assert np.all(np.isinf(found.log_sd))
    assert found.undetermined == ("x x y^-1.0 is not determined (the data say nothing about it)",)
    one = identify({"a.x": spec["a.x"]}, np.array([2.0]), np.array([[6.0], [6.0]]), np.array([10.0, 10.0]))
    assert one.log_sd[0] == pytest.approx(1 / np.sqrt(2 * 60.0**2))
    assert one.undetermined == ()


@pytest.mark.parametrize("rounding", [1e-13, 0.0, -1e-13, -1e-10])
def test_rounding_at_a_bound_leaves_the_others_known(rounding):
    spec = {"a": Parameter(Transform("logit", 4.0, 28.0), 8.0, 0.5), "b": Parameter(Transform("log"), 1.0, 1.0)}
    values = np.array([4 + 24 * np.exp(-30.0), 2.0])
    found = identify_information(spec, values, np.array([[rounding, -1e-10], [-1e-10, 400.0]]))
    assert found.log_sd[1] == pytest.approx(0.05) and np.isinf(found.log_sd[0])
    assert len(found.undetermined) == 1 and found.undetermined[0].startswith("a is not determined")


def test_another_optimum_with_the_same_loss_widens_the_uncertainty():
    spec = {"a.x": Parameter(Transform("log"), 1.0, 1.0)}
    found = spread_of_good_starts(spec, np.array([[1.0], [8.0], [100.0]]), np.array([3.0, 3.5, 9.0]))
    assert found.log_sd[0] == pytest.approx(np.log(8))
    assert found.undetermined == ("x from 1 to 8 fits about as well (loss within 1)",)
