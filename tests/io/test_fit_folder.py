"""`retrojax fit` and `retrojax plot` on one folder: what fit.json holds, figures drawn again, and refusals."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import yaml

from retrojax.cli import fitting
from retrojax.cli.fitting import execute_fit
from retrojax.cli.plotting import draw
from retrojax.errors import InputError
from retrojax.fit import report_from_json

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "configs" / "fit_sjostrom.yaml").read_text())
QUICK = {"starts": 6, "screen": 4, "max_steps": 20}
SHORT = {"recovery": 0, "predictive": 0}
KEYS = {"loss", "chi2", "n_points", "parameters", "heldout", "baselines", "evaluations", "compile_s", "wall_s"}


def write(folder: Path, **changes) -> Path:
    path = folder / "fit.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, "solver": QUICK, "report": SHORT, **changes}))
    return path


@pytest.fixture(scope="module")
def fitted(tmp_path_factory) -> Path:
    """A folder that `retrojax fit` wrote."""
    folder = tmp_path_factory.mktemp("fit")
    execute_fit(write(folder), folder / "out", "", quiet=True, as_json=False)
    return folder / "out"


def test_fit_json_holds_what_the_design_names(fitted):
    content = json.loads((fitted / "fit.json").read_text())
    assert set(content) >= KEYS
    assert set(content["parameters"]) == set(CONFIG["parameters"])
    for found in content["parameters"].values():
        assert set(found) == {"value", "sd", "unit", "bound", "identified"}
    assert content["n_points"] == len(content["points"]) == 10
    assert set(content["heldout"]["by_group"]) == {"0.1 Hz", "10 Hz", "20 Hz", "40 Hz", "50 Hz"}
    assert "no change" in content["baselines"]


def test_the_memory_of_a_mini_batch_is_said_before_anything_is_solved(tmp_path, monkeypatch, capsys):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(fitting, "fit_config", stop)
    said = {}
    for batch in (2, 8):
        solver = {"starts": 4, "descent": {"learning_rate": 0.05, "batch": batch}}
        with pytest.raises(KeyboardInterrupt):
            execute_fit(write(tmp_path, solver=solver), tmp_path / f"out{batch}", "", quiet=False, as_json=False)
        text = capsys.readouterr().err
        assert f"run of {batch} protocols" in text
        said[batch] = float(re.search(r"([0-9.]+) MiB predicted", text)[1])
    assert said[8] == pytest.approx(4 * said[2], abs=0.1)


def test_fit_json_read_back_says_the_same(fitted):
    content = json.loads((fitted / "fit.json").read_text())
    whole = report_from_json(content)
    assert json.loads(json.dumps(whole.to_json())) == content
    again = whole.fit
    assert again.model is None and again.problem.predict is None
    chi2 = np.sum(((again.prediction - again.problem.mean) / again.problem.sem) ** 2)
    assert again.chi2 == pytest.approx(chi2)


def test_figures_are_drawn_again_from_fit_json_alone(fitted):
    first = {path.name: path.read_bytes() for path in (fitted / "figures").iterdir()}
    for path in (fitted / "figures").iterdir():
        path.unlink()
    assert {path.name for path in draw(fitted)} == set(first) == {
        "data_and_model.png", "parameters.png", "residuals.png"}
    assert {path.name: path.read_bytes() for path in (fitted / "figures").iterdir()} == first


def test_a_fit_json_of_something_else_is_refused(tmp_path):
    (tmp_path / "fit.json").write_text('{"loss": 1.0}')
    with pytest.raises(InputError, match="fit again"):
        draw(tmp_path)


def test_a_different_fit_into_the_same_folder_is_refused(fitted, tmp_path):
    before = (fitted / "fit.json").read_bytes()
    other = write(tmp_path, solver={**QUICK, "seed": 1})
    with pytest.raises(InputError, match="does not hold a different fit"):
        execute_fit(other, fitted, "", quiet=True, as_json=False)
    assert (fitted / "fit.json").read_bytes() == before


def test_unknown_key_names_the_nearest(tmp_path):
    wrong = write(tmp_path, solver={"strats": 6})
    with pytest.raises(InputError, match=r"solver\.strats.*did you mean 'starts'"):
        execute_fit(wrong, tmp_path / "out", "", quiet=True, as_json=False)
    assert not (tmp_path / "out").exists()


def test_unknown_parameter_of_the_rule_names_the_nearest(tmp_path):
    wrong = write(tmp_path, model={**CONFIG["model"], "rule": {"model": "unified", "d_mnus": 0.1}})
    with pytest.raises(InputError, match=r"model\.rule\.d_mnus.*did you mean 'd_minus'"):
        execute_fit(wrong, tmp_path / "out", "", quiet=True, as_json=False)
