"""The config that shows everything a fit reports, in full (minutes on a busy machine), and what `check` says of it."""

import json
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from retrojax.cli.fitting import execute_fit
from retrojax.cli.main import app
from retrojax.cli.plotting import draw

FOLDER = Path(__file__).parents[2] / "configs"
CONFIG = FOLDER / "fit_rules.yaml"


def output(*words):
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, (result.output, result.exception)
    return " ".join(result.output.split())


def test_check_of_a_fit_says_what_it_will_do():
    text = output("check", CONFIG)
    for piece in ("10 points of 10 protocols", "student_t", "leave one out", "recovery", "profile", "unified",
                  "16 solves at once", "forward mode, 5 tangents", "MiB predicted"):
        assert piece in text


def test_check_warns_of_more_parameters_than_points(tmp_path):
    raw = yaml.safe_load(CONFIG.read_text())
    raw["data"]["points"] = raw["data"]["points"][:4]
    (tmp_path / "few.yaml").write_text(yaml.safe_dump(raw))
    assert "unified: 6 parameters for" in output("check", tmp_path / "few.yaml")


def test_cite_of_a_fit_names_both_rules():
    text = output("cite", CONFIG)
    assert "{Pfister2006," in text and "{Costa2015," in text


@pytest.mark.repro
def test_a_posterior_sample_is_kept_and_read_again(tmp_path, capsys):
    pytest.importorskip("blackjax")
    raw = yaml.safe_load(CONFIG.read_text())
    raw["protocols"]["bursts"]["count"] = raw["protocols"]["single"]["count"] = 3
    raw |= {"solver": {"starts": 4}, "report": {"recovery": 0, "sample": {"chains": 2, "warmup": 150, "draws": 200}}}
    (tmp_path / "fit.yaml").write_text(yaml.safe_dump(raw))
    execute_fit(tmp_path / "fit.yaml", tmp_path / "out", "", quiet=False, as_json=False)
    first = capsys.readouterr().out
    content = json.loads((tmp_path / "out" / "fit.json").read_text())
    assert content["report"]["posterior"]["divergences"] == 0 and "posterior sample" in first
    for path, one in content["report"]["posterior"]["parameters"].items():
        assert one["r_hat"] < 1.1 and one["effective"] > 50
        assert one["low"] < content["parameters"][path]["value"] < one["high"]
    execute_fit(tmp_path / "fit.yaml", tmp_path / "out", "", quiet=False, as_json=False)
    assert capsys.readouterr().out == first


@pytest.mark.repro
def test_the_whole_report(tmp_path, capsys):
    execute_fit(CONFIG, tmp_path / "out", "", quiet=False, as_json=False)
    text = " ".join(capsys.readouterr().out.split())
    for piece in ("Identifiability: 5 of 5 parameters known", "Against simpler answers", "Rules on the same points",
                  "best predicted by triplet", "Posterior-predictive check", "ranks of the truth are even"):
        assert piece in text
    content = json.loads((tmp_path / "out" / "fit.json").read_text())
    report = content["report"]
    assert content["chi2"] == pytest.approx(4.67, abs=0.05) and content["heldout"]["chi2"] < 10
    assert set(report["profiles"]) == set(content["parameters"])
    assert all(one["low"] < content["parameters"][path]["value"] < one["high"]
               for path, one in report["profiles"].items())
    assert [row["name"] for row in report["baselines"]] == ["fit", "no change", "mean of data", "published"]
    assert [row["name"] for row in report["comparison"]] == ["triplet", "unified"]
    # 40 sets x 5 parameters are 200 draws of a share of 0.68, though not independent ones
    within = [one["within_68"] for one in content["recovery"]["parameters"].values()]
    assert 0.5 < sum(within) / len(within) < 0.86
    assert {path.name for path in draw(tmp_path / "out")} == {
        "data_and_model.png", "residuals.png", "parameters.png", "profiles.png", "predictive.png", "ranks.png"}
