"""Drugs: what a dose does, how it comes and goes, and that a config applies exactly that."""

from pathlib import Path

import jax
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from retrojax.cli.main import app
from retrojax.engine.rows import Synapse
from retrojax.errors import InputError
from retrojax.io.build import build
from retrojax.io.config import dump_config, load_config
from retrojax.parts import CB1, CalciumSpine, TsodyksMarkram
from retrojax.protocols import treated
from retrojax.protocols.pharmacology import acting, course, drugs, half_dose

QUICKSTART = Path(__file__).parents[2] / "configs" / "quickstart.yaml"


def _model_at(intervention: str, ms: float):
    simulation = build(load_config(QUICKSTART, ["sleep=null", f"interventions=[{intervention}]"]), QUICKSTART)
    return simulation.model_at(round(ms / simulation.tick_ms))


@pytest.mark.parametrize("name", list(drugs()))
def test_the_reference_dose_has_the_stated_effect_and_none_has_none(name):
    drug = drugs()[name]
    stated = [effect.value.number for effect in drug.effects for _ in effect.targets]
    found = [act.amount if act.amount else act.factor for act in acting(drug, None)]
    np.testing.assert_allclose(found, stated, rtol=1e-12)
    assert {(act.factor, act.amount) for act in acting(drug, None, 0.0)} == {(1.0, 0.0)}


def test_dose_response_of_an_inhibitor():
    drug = drugs()["JZL184"]
    half = half_dose(drug.effects[0], drug.dose)
    assert half == pytest.approx(1000 * 0.15 / 0.85)
    for multiple in (0.1, 1.0, 10.0):
        assert acting(drug, multiple * half)[0].factor == pytest.approx(1 / (1 + multiple))


def test_a_drug_that_leaves_nothing_leaves_more_at_less_than_its_reference_dose():
    drug = drugs()["L-NAME"]
    factor = lambda dose: acting(drug, dose)[0].factor  # noqa: E731
    half = half_dose(drug.effects[0], drug.dose)
    assert half == pytest.approx(1e5 / 101, rel=0.02) and factor(half) == pytest.approx(0.5)
    assert factor(1.0) > 0.99 and factor(1e5) == factor(1e6) == 0.0
    assert 0 < factor(0.9e5) < factor(1e4) < factor(1e3) < 1


@pytest.mark.parametrize("name, line", [("JZL184", "multiplied by 1 / (1 + (d / 176 nM)^1)"),
                                        ("L-NAME", "half is left at 990 nM"), ("nNOS -/-", None)])
def test_describe_says_what_a_lower_dose_leaves(name, line):
    text = CliRunner().invoke(app, ["describe", "drug", name]).output
    assert line in text if line else "dose" not in text


def test_a_dose_follows_its_exponentials_to_half_a_step_and_ends():
    start, stop, onset, washout = 100.0, 260.0, 60.0, 300.0
    found = course(start, stop, onset, washout)
    assert np.all(np.diff(found.moments) > 0) and found.at(99.9) == 0 and found.at(1e9) == 0
    times = np.linspace(start, stop - 0.1, 400)
    shares = np.array([found.at(t) for t in times])
    np.testing.assert_allclose(shares, 1 - np.exp(-(times - start) / onset), atol=0.5 / 16 + 1e-9)
    later = np.linspace(stop, stop + 2000, 400)
    top = found.at(stop - 0.1)
    left = np.array([found.at(t) for t in later])
    np.testing.assert_allclose(left, top * np.exp(-(later - stop) / washout), atol=0.5 / 16 + 1e-9)


def test_a_drug_in_a_config_is_its_factor_on_the_parameter():
    given = _model_at('{drug: AM251, dose: "2 uM", from: 1 s, onset: 0 s}', 1000)
    byhand = _model_at("{target: rules.cb1.alpha, multiply: 0.01, start: 1 s}", 1000)
    before = _model_at('{drug: AM251, dose: "2 uM", from: 1 s, onset: 0 s}', 990)
    alpha, kon = (lambda m: m.synapse.rules[2].alpha), (lambda m: m.synapse.rules[2].eff_kon)
    np.testing.assert_allclose(alpha(given), alpha(byhand), rtol=1e-6)
    np.testing.assert_allclose(kon(given), 0.01 * kon(before), rtol=1e-6)
    same = jax.tree.map(lambda a, b: bool(np.all(a == b)), given.messengers, before.messengers)
    assert all(jax.tree.leaves(same))


def test_a_drug_that_digests_the_matrix_acts_on_what_diffuses_outside_cells_alone():
    model = _model_at('{drug: hyaluronidase, dose: "0.1 uM", onset: 0 s}', 0)
    plain = _model_at("{target: inhibition, multiply: 1}", 0)
    for found, before, factor in zip(model.messengers, plain.messengers, (1.0, 1.05), strict=True):
        np.testing.assert_allclose(found.volume_fraction, factor * before.volume_fraction, rtol=1e-6)


def test_a_single_synapse_under_a_drug():
    synapse = Synapse(CalciumSpine(), TsodyksMarkram(), (CB1(),))
    np.testing.assert_allclose(treated(synapse, "WIN55,212-2", "5 uM").rules[0].agonist, 5000)
    np.testing.assert_allclose(treated(synapse, "CB1 -/-").rules[0].alpha, 0)
    with pytest.raises(InputError, match=r"synthesis\.NO\.rate"):
        treated(synapse, "L-NAME", "100 uM")


@pytest.mark.parametrize(
    ("intervention", "parts"),
    [
        ('{drug: AM2511, dose: "2 uM"}', ("drug", "AM2511", "'AM251'")),
        ("{drug: AM251}", ("interventions.0.dose", "missing", "2 uM")),
        ('{drug: AM251, dose: "2 mV"}', ("interventions.0.dose", "2 mV", "nM")),
        ('{drug: "CB1 -/-", dose: "2 uM"}', ("interventions.0.dose", "no dose")),
        ('{drug: AM251, dose: "2 uM", target: inhibition}', ("either a drug or a target",)),
        ("{target: inhibition}", ("interventions.0.multiply", "missing")),
        ("{target: inhibition, multiply: 2, onset: 1 s}", ("interventions.0.onset", "other kind")),
        ('{drug: AM251, dose: "2 uM", from: 9 s, until: 3 s}', ("interventions.0.until", "after 9000 ms")),
        ('{drug: URB597, dose: "1 uM"}', ("interventions.0.drug", "messengers.anandamide.loss")),
    ],
)
def test_what_cannot_be_applied_is_refused(intervention, parts):
    with pytest.raises(InputError) as caught:
        build(load_config(QUICKSTART, [f"interventions=[{intervention}]"]), QUICKSTART)
    assert all(part in str(caught.value) for part in parts), str(caught.value)


def test_a_resolved_config_gives_the_same_interventions(tmp_path):
    config = load_config(QUICKSTART, ['interventions=[{drug: AM251, dose: "2 uM", from: 300 s, until: 600 s}]'])
    again = tmp_path / "again.yaml"
    again.write_text(dump_config(config))
    assert load_config(again).interventions == config.interventions
    assert yaml.safe_load(again.read_text())["interventions"][0]["start"] == 300_000
