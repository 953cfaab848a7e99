"""What a config may say about a parameter: its coordinate, bounds, prior, ties, or that it stays fixed."""

from pathlib import Path

import pytest
import yaml

from retrojax.errors import InputError
from retrojax.fit import FitConfig, build
from retrojax.validation import validate

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "configs" / "fit_sjostrom.yaml").read_text())


def built(parameters, **changes):
    return build(validate(FitConfig, {**CONFIG, "parameters": parameters, **changes}))


def test_every_transform_reads_its_bounds_in_the_unit():
    _, _, spec = built({
        "rules.0.d_minus": {"transform": "identity"},
        "rules.0.tau_y_minus": {"transform": "logit(0.001 s, 1 s)", "unit": "ms"},
        "rules.0.tau_y_plus": {"transform": "softplus(2 ms)", "unit": "ms"},
        "rules.0.d_plus": {"transform": "simplex(0.5, rules.0.c_plus)", "centre": 0.1},
    })
    transforms = [parameter.transform for parameter in spec.values()]
    assert [one.kind for one in transforms] == ["identity", "logit", "softplus", "simplex"]
    assert transforms[1][1:3] == (1.0, 1000.0) and transforms[2].low == 2.0
    assert transforms[3].high == 0.5 and transforms[3].rest == "rules.0.c_plus"
    assert spec["rules.0.d_minus"].centre == pytest.approx(0.1771)


def test_fixed_stays_and_tied_follows():
    _, model, spec = built({
        "rules.0.d_minus": {"tied": {"rules.0.d_plus": 0.5}},
        "rules.0.tau_x_plus": {"transform": "fixed", "centre": "0.05 s", "unit": "ms"},
    })
    assert list(spec) == ["rules.0.d_minus"] and spec["rules.0.d_minus"].tied == (("rules.0.d_plus", 0.5),)
    assert float(model.rules[0].tau_x_plus) == 50.0


@pytest.mark.parametrize(("by", "groups"), [
    ("protocol", {"single", "bursts"}), ("delta_t", {"+10 ms", "-10 ms"}), ("cell", {"a", "b"}), ("none", {"all"})])
def test_what_is_left_out_together(by, groups):
    points = [{**point, "columns": {"cell": "ab"[number % 2]}} for number, point in enumerate(CONFIG["data"]["points"])]
    problem, _, _ = built({"rules.0.d_minus": {}}, data={**CONFIG["data"], "points": points},
                          report={"leave_one_out": by})
    assert set(problem.groups) == groups


def test_a_prior_may_stand_apart():
    prior = {"mean": "30 ms", "sd": 0.5}
    _, _, apart = built({"rules.0.tau_x_plus": {"unit": "ms"}}, priors={"rules.0.tau_x_plus": prior})
    _, _, inside = built({"rules.0.tau_x_plus": {"unit": "ms", "prior": prior}})
    assert apart == inside and apart["rules.0.tau_x_plus"].prior == (30.0, 0.5)


@pytest.mark.parametrize(("parameters", "changes", "words"), [
    ({"rules.0.d_minus": {"transform": "logit(1)"}}, {}, r"transform.*logit\(low, high\)"),
    ({"rules.0.d_minus": {"transform": "fixed"}, "rules.0.x": {}}, {}, "did you mean"),
    ({"rules.0.d_minus": {"tied": {"rules.0.d_pls": 2}}}, {}, "did you mean 'rules.0.d_plus'"),
    ({"rules.0.d_minus": {"prior": {"mean": 1, "sd": 1}}}, {"priors": {"rules.0.d_minus": {"mean": 1, "sd": 1}}},
     "one prior for each parameter"),
    ({"rules.0.d_minus": {"transform": "fixed"}}, {}, "at least one of"),
    ({"rules.0.tau_y_plus": {"unit": "mV"}}, {}, r"tau_y_plus\.unit = '1 mV'.*convertible to 'ms'"),
    ({"rules.0.tau_y_plus": {"unit": "s", "centre": "0.05 s"}}, {}, r"tau_y_plus\.unit = 's'.*Allowed: ms"),
    ({"rules.0.tau_y_plus": {"unit": "s", "centre": "0.05 s", "transform": "fixed"}}, {}, r"unit = 's'.*Allowed: ms"),
    ({"rules.0.d_minus": {}}, {"protocols": {**CONFIG["protocols"], "bursts": {
        "kind": "bursts", "count": 15, "every": "100 ms"}}}, r"protocols\.bursts, at 10 Hz and \+10 ms: rate_hz"),
    ({}, {"model": {**CONFIG["model"], "p_range": [1, 0]}}, r"p_range = '\[1, 0\]'.*order"),
    ({}, {"model": {**CONFIG["model"], "q": 3}}, r"q = 3.*0 to 2, its range"),
])
def test_one_refusal_per_mistake(parameters, changes, words):
    with pytest.raises(InputError, match=words):
        built(parameters, **changes)
