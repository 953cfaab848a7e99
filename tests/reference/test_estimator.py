"""The scikit-learn face of a fit: it finds what made its data, and keeps the conventions."""

import numpy as np
import pytest

from retrojax.engine.rows import Bounds, Synapse
from retrojax.errors import InputError
from retrojax.fit import Parameter, PlasticityRegressor, Transform
from retrojax.fit.estimator import NotFittedError
from retrojax.parts import CalciumSpine, TsodyksMarkram, unified_rule
from retrojax.protocols import bursts

PROTOCOLS = [bursts(rate, lag, count=3) for rate in (10.0, 20.0, 50.0) for lag in (10.0, -10.0)]


def _synapse(**changes):
    rule = unified_rule("sjostrom_refit", **changes)
    return Synapse(CalciumSpine(), TsodyksMarkram(), (rule,), p_release=0.5, q=1.0, bounds=Bounds(0, 1, 0, 2))


SPEC = {f"rules.0.{name}": Parameter(Transform("log"), centre, 0.5) for name, centre in
        (("d_minus", 0.05), ("d_plus", 0.2))}


@pytest.fixture(scope="module")
def fitted():
    truth = PlasticityRegressor(_synapse(d_minus=0.1, d_plus=0.3), SPEC)
    truth.model_ = truth.model
    strengths = truth.predict(PROTOCOLS)
    regressor = PlasticityRegressor(_synapse(), SPEC, starts=4, screen=2)
    return strengths, regressor.fit(PROTOCOLS, strengths, 0.01 * np.ones(6))


def test_it_finds_what_made_the_data(fitted):
    strengths, regressor = fitted
    assert float(regressor.model_.rules[0].d_minus) == pytest.approx(0.1, rel=1e-3)
    assert float(regressor.model_.rules[0].d_plus) == pytest.approx(0.3, rel=1e-3)
    np.testing.assert_allclose(regressor.predict(PROTOCOLS), strengths, atol=1e-5)
    assert regressor.score(PROTOCOLS, strengths) > 1 - 1e-6 and np.ptp(strengths) > 0.1


def test_it_keeps_the_conventions(fitted):
    _, regressor = fitted
    again = PlasticityRegressor(**regressor.get_params())
    assert again.get_params() == regressor.get_params() and not hasattr(again, "model_")
    assert again.set_params(starts=7).starts == 7
    with pytest.raises(AttributeError, match="fit") as early:
        again.predict(PROTOCOLS)
    assert isinstance(early.value, NotFittedError) and isinstance(early.value, ValueError)
    assert regressor.n_features_in_ == 1 and not hasattr(again, "n_features_in_")
    with pytest.raises(InputError, match="strats"):
        again.set_params(starts=9, strats=3)
    assert again.starts == 7
    with pytest.raises(InputError, match="sem"):
        again.fit(PROTOCOLS, np.ones(6), np.ones(5))
    with pytest.raises(InputError, match="X = 'empty'"):
        again.fit([], [])
    with pytest.raises(InputError, match="X = 'empty'"):
        regressor.predict([])


@pytest.mark.repro
def test_scikit_learn_clones_and_splits_it(fitted):
    base = pytest.importorskip("sklearn.base")
    from sklearn.model_selection import cross_val_score
    from sklearn.utils.validation import check_is_fitted

    strengths, regressor = fitted
    check_is_fitted(regressor)
    again = base.clone(regressor)
    assert base.is_regressor(again) and again.get_params().keys() == regressor.get_params().keys()
    assert again.starts == regressor.starts and again.spec == regressor.spec and not again.__sklearn_is_fitted__()
    assert base.clone(again.set_params(max_steps=7)).max_steps == 7
    with pytest.raises(ValueError, match="not fitted"):
        check_is_fitted(again)
    # 0 is no better than the mean
    scores = cross_val_score(again.set_params(max_steps=60, screen=1), PROTOCOLS, strengths, cv=2)
    assert scores.shape == (2,) and np.all(scores > 0)
