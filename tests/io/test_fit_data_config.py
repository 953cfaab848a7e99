"""A fit config that names a CSV file holds the same points as one that spells them out."""

from pathlib import Path

import pytest
import yaml

from retrojax.errors import InputError
from retrojax.fit import FitConfig
from retrojax.fit.data_config import beside
from retrojax.validation import validate

CONFIG = yaml.safe_load((Path(__file__).parents[2] / "configs" / "fit_sjostrom.yaml").read_text())
INLINE = FitConfig.model_validate(CONFIG).data.points


def write(folder: Path, **replace) -> dict:
    """The config with its points moved to a file of other headers, lags in s, and a row of another paper."""
    lines = ["kind,f,lag_s,mean,sem,n,paper"]
    lines += [f"{p.protocol},{p.rate},{p.delta_t / 1e3},{p.mean},{p.sem},{p.n},Sjostrom" for p in INLINE]
    (folder / "points.csv").write_text("\n".join([*lines, "single,1,0.01,9,1,1,other"]) + "\n")
    file = {"path": "points.csv", "where": {"paper": "Sjostrom"},
            "columns": {"protocol": {"name": "kind"}, "rate": {"name": "f"}, "delta_t": {"name": "lag_s", "unit": "s"}}}
    data = {key: value for key, value in CONFIG["data"].items() if key != "points"}
    return beside({**CONFIG, "data": {**data, "file": {**file, **replace}}}, folder)


def test_the_file_gives_the_points_of_the_config(tmp_path):
    read = validate(FitConfig, write(tmp_path)).data.points
    assert len(read) == len(INLINE) == 10
    for ours, theirs in zip(read, INLINE, strict=True):
        same = {"protocol", "rate", "delta_t", "mean", "sem", "n"}
        assert ours.model_dump(include=same) == pytest.approx(theirs.model_dump(include=same))


def test_a_kept_column_can_be_left_out_together(tmp_path):
    read = validate(FitConfig, {**write(tmp_path, keep=["paper"]), "report": {"leave_one_out": "paper"}})
    assert {point.columns["paper"] for point in read.data.points} == {"Sjostrom"}
    with pytest.raises(InputError, match=r"report\.leave_one_out.*did you mean 'paper'"):
        validate(FitConfig, {**write(tmp_path, keep=["paper"]), "report": {"leave_one_out": "papre"}})


@pytest.mark.parametrize(("replace", "words"), [
    ({"path": "pionts.csv"}, "pionts.csv"),
    ({"where": {"paper": "nobody"}}, "some row meets"),
    ({"where": {"papr": "x"}}, "did you mean 'paper'"),
    ({"columns": {"delta_tt": {"name": "lag_s"}}}, "did you mean 'delta_t'"),
    ({"keep": ["papr"]}, "did you mean 'paper'"),
    ({"columns": {}}, "columns.rate = 'rate'"),
    ({"columns": {"rate": "f"}}, r"data\.file\.columns\.rate = 'f'.*a table with name, unit"),
    ({"pth": "points.csv"}, r"data\.file\.pth = 'unknown key'.*did you mean 'path'"),
    ({"protocl": "single"}, "protocl"),
    ({"where": {"paper": "other"}, "columns": {}}, "columns.rate"),
])
def test_one_refusal_per_mistake(tmp_path, replace, words):
    with pytest.raises(InputError, match=words):
        validate(FitConfig, write(tmp_path, **replace))


@pytest.mark.parametrize(("cell", "words"), [
    ("single,1,0.01,9,0,1,", r"sem, row 11 = 0.0.*positive"), ("single,0,0.01,9,1,1,", r"f, row 11 = 0.0.*positive"),
    ("single,1,0.01,9,1,1.5,", r"n, row 11 = 1.5.*whole number"), ("single,1,0.01,,1,1,", r"mean, row 11 = ''"),
])
def test_a_mistake_is_named_by_its_row_in_the_file(tmp_path, cell, words):
    config = write(tmp_path, where={"paper": "other"})
    file = tmp_path / "points.csv"
    file.write_text(file.read_text().replace("single,1,0.01,9,1,1,", cell))
    with pytest.raises(InputError, match=rf"points\.csv: {words}"):
        validate(FitConfig, config, "fit.yaml")


def test_a_file_that_is_only_a_name_is_refused(tmp_path):
    config = write(tmp_path)
    with pytest.raises(InputError, match=r"data\.file = 'points.csv'.*a table with path, columns"):
        validate(FitConfig, {**config, "data": {**config["data"], "file": "points.csv"}})


def test_a_protocol_beyond_memory_is_refused(tmp_path):
    endless = {"single": {"kind": "pairs", "count": 10**9}, "bursts": CONFIG["protocols"]["bursts"]}
    with pytest.raises(InputError, match=r"protocols\.single\.count = 1000000000"):
        validate(FitConfig, {**write(tmp_path), "protocols": endless})


def test_a_seed_beyond_what_draws_take_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"solver\.seed = 10000000000"):
        validate(FitConfig, {**write(tmp_path), "solver": {"seed": 10**10}})


def test_points_and_file_together_are_refused(tmp_path):
    config = write(tmp_path)
    with pytest.raises(InputError, match="points, or a file"):
        validate(FitConfig, {**config, "data": {**config["data"], "points": CONFIG["data"]["points"]}})
