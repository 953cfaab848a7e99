"""`run.py --score FILE` of the ten fits: a perturbed copy of the data is scored beside baselines, or refused."""

import csv
import gzip
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from run_modules import EXPERIMENTS, experiment

from retrojax.testing import Recordings, keep

RECORDINGS = Path(os.environ.get("RETROJAX_DATA", EXPERIMENTS.parents[1] / "shared" / "data"))
PAIRS = "stdp_neocortex_pairs/paired_recordings.csv"
FILES = {  # recording, a column of values, and what must be said beside the fit
    "design_next_experiment": (PAIRS, "mean_epsp_ratio", "no change"),
    "fit_bdnf": ("bdnf_signalling_findsim/time_courses.csv", "value", "constant level"),
    "fit_ca1_cells": ("stdp_ca1_wittenberg2006/cells_fig1d_fig3e.csv", "strength_ratio", "mean"),
    "fit_hippocampal_traces": ("stp_hippocampome/digitized_traces.csv.gz", "y", "first event repeated"),
    "fit_larkman_quantal": ("ltp_quantal_larkman1992/ltp_p_q_by_cell.csv", "pr_after", "equal split"),
    "fit_mossy_fibre": ("stp_mossyfiber_chamberland/responses_normalized.csv.gz", "r1", "no plasticity"),
    "fit_neocortical_stdp": (PAIRS, "mean_epsp_ratio", "no change"),
    "fit_space": ("dendrite_ei_synapses_horton2024/synapses_along_branch.csv", "um_along_branch", "no messenger"),
    "fit_synapse_size": ("synapse_size_melander2021/psd95_weights.csv.gz", "weight_norm", "fixed size"),
    "fit_vip_stp": ("stp_vip_mcfarlan2024/epsp_trains_by_cell.csv", "epsp1_V", "constant train"),
}
MEANINGS = {"fit_hippocampal_traces": "stp_hippocampome/published_tm_fits.csv.gz"}
CURVE = "file,readout,t_after_ligand_s,value,error"
MADE = {  # parameters as the script keeps them, and a held-back file, and what is said of its new label
    "fit_bdnf": (
        {"AKT": {"experiment": "e", "zero": 1.0, "largest": 3.0, "scale": {"constant level": 2.0},
                 "u": {"constant level": [0.0, 0.0, 0.0]}}},
        (CURVE, "e,aAKT,60,2.9,0.3", "e,aAKT,600,3.1,", "e,other,60,1.0,"), "value", "readout other"),
    "fit_larkman_quantal": (
        {"rule": {"k": 1.4, "sd": 0.1}, "spread": dict.fromkeys(
            ("fitted rule", "equal split", "all postsynaptic", "share 1 - P"), 0.1)},
        ("recording,pr_before,pr_after,q_before_uV,q_after_uV", "L1,0.2,0.3,100,120", "new,0.4,0.5,90,130"),
        "pr_after", "n = 2"),
    "fit_space": (
        {"estimate": np.log([20.0, 5e-4, 0.0346]).tolist(), "truth": np.log([20.0, 5e-4, 0.0346]).tolist()},
        ("branch,synapse_type,um_along_branch", *(f"x,{'excitatory_spine' if k % 5 else 'inhibitory_shaft'},{0.7 * k}"
                                                  for k in range(60))), "um_along_branch", "1 branches"),
}


def perturbed(rows: list[dict], column: str, folder: Path, **first: str) -> Path:
    """A copy of a table with one row less and values of one column moved by 2 %; `first`: entries of the first row."""
    rng, path = np.random.default_rng(0), folder / "held.csv"
    moved = [{**row, column: f"{float(row[column]) * (1 + 0.02 * rng.standard_normal()):.6g}" if row[column] else ""}
             for row in [*rows[:1], *rows[2:]]]
    moved[0] |= first
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(moved)
    return path


@pytest.mark.repro
@pytest.mark.parametrize("name", FILES)
def test_a_perturbed_copy_of_the_recordings_is_scored_or_refused(name, tmp_path):
    recording, column, baseline = FILES[name]
    source = RECORDINGS / recording
    if not source.is_file():
        pytest.skip(f"{source} is not there")
    with (gzip.open if source.suffix == ".gz" else open)(source, "rt") as file:
        rows = list(csv.DictReader(file))
    meaning = ["--protocols", RECORDINGS / MEANINGS[name]] if name in MEANINGS else []

    def scored(path: Path) -> subprocess.CompletedProcess:
        command = [sys.executable, EXPERIMENTS / name / "run.py", "--data", RECORDINGS, "--score", path, *meaning]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    done = scored(perturbed(rows, column, tmp_path))
    said = [line for line in done.stdout.splitlines() if line.startswith("--score")]
    assert done.returncode == 0, done.stderr
    assert any(baseline in line for line in said) and len(said) > 1 and not any("nan" in line for line in said)
    refused = scored(perturbed(rows, column, tmp_path, **{column: "abc"}))
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1 and column in refused.stderr


@pytest.fixture(params=MADE)
def made(request, tmp_path, monkeypatch):
    """A function that scores rows with the script's `main` and kept parameters, and those rows."""
    name = request.param
    run, (fitted, lines, column, said) = experiment(name), MADE[name]
    recording = tmp_path / "data" / FILES[name][0]
    recording.parent.mkdir(parents=True)
    recording.write_text("never read\n")
    monkeypatch.setattr(run, "HERE", tmp_path)
    keep(Recordings(tmp_path / "data", None, None, False, (recording,)), tmp_path, fitted)

    def score(path: Path) -> None:
        monkeypatch.setattr(sys, "argv", ["run.py", "--data", str(tmp_path / "data"), "--score", str(path)])
        run.main()

    return score, list(csv.DictReader(lines)), column, said, FILES[name][2]


def test_a_perturbed_table_is_scored_or_refused_by_the_script(x64, made, tmp_path, capsys):
    score, rows, column, said, baseline = made
    score(perturbed([rows[0], *rows], column, tmp_path))
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("--score")]
    assert any(baseline in line for line in lines) and said in out and "nan" not in "".join(lines)
    with pytest.raises(SystemExit) as stop:
        score(perturbed(rows, column, tmp_path, **{column: "nan"}))
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.count("\n") == 1 and f"{column}, row" in err
