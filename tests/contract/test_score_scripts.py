"""`run.py --score FILE` of the ten fits: a perturbed copy of the data is scored beside baselines, or refused."""

import csv
import gzip
import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from run_modules import EXPERIMENTS, experiment

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
TRAIN = [f"epsp{k}_V" for k in range(1, 6)] + [f"sd{k}_V" for k in range(1, 6)]
PAIRING = ("protocol_id,pre_mtype,post_mtype,frequency_train,dt_train,n_stimuli_train,n_sweep,period_sweep,"
           "mean_epsp_ratio,sem_epsp_ratio,reference", "a,L5TTPC,L5TTPC,20,7,5,2,4,1.2,0.1,Someone",
           "b,L6,L5TTPC,20,7,5,2,4,1.2,0.1,Someone")
HELD = {  # rows that no recording holds, and what is said of them
    "design_next_experiment": (PAIRING, "pathway L6>L5TTPC"),
    "fit_bdnf": (("file,readout,t_after_ligand_s,value,error", "e,aAKT,0,1.0,0.3", "e,aAKT,60,2.9,0.3",
                  "e,aAKT,600,3.1,", "e,other,60,1.0,"), "readout other"),
    "fit_ca1_cells": (("figure,dt_ms,strength_ratio,sem", "fig1d,-33,0.8,0.1", "fig3e,12,1.4,0.2"), "n = 2"),
    "fit_hippocampal_traces": (("trace_id,t_ms,y", *(f"new,{t + 50 * k},{y / (k + 1)}" for k in range(3) for t, y in (
        (0, 1e-3), (4, 2.0), (20, 1.0)))), "1 traces"),
    "fit_larkman_quantal": (("recording,pr_before,pr_after,q_before_uV,q_after_uV", "L1,0.2,0.3,100,120",
                             "new,0.4,0.5,90,130"), "n = 2"),
    "fit_mossy_fibre": (("protocol,r1,r2,r3,r4,r5,r6", "111,1.1,2.3,,4,0,6", "20100,0.4,1.3,2,1,3,7"), "(111 "),
    "fit_neocortical_stdp": (PAIRING, "pathway L6>L5TTPC"),
    "fit_space": (("branch,synapse_type,um_along_branch", *(
        f"x,{'excitatory_spine' if k % 5 else 'inhibitory_shaft'},{0.7 * k}" for k in range(60))), "1 branches"),
    "fit_synapse_size": (("cell_type,dendrite,synapse,day,present,weight_norm", "pv,x,0,0,1,1.0", "pv,x,0,4,1,1.5",
                          "pyr,y,0,4,1,0.7"), "(1 synapses)"),
    "fit_vip_stp": ((",".join(["cell", "frequency_hz", *TRAIN]), f"new,15,{','.join(['0.001'] * 10)}",
                     f"new,70,{','.join(['0.002'] * 10)}"), "2 trains of 1 cells"),
}
CONDITIONS = "trace_id,mode,Erev_median,Vm_median,Rin_median,Cm_median\nnew,current-clamp,0,-65,120,90\n"


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


@pytest.mark.parametrize("name", HELD)
def test_shipped_parameters_score_a_file_without_the_recordings(name, tmp_path, monkeypatch, capsys):
    run, (rows, said), path = experiment(name), HELD[name], tmp_path / "held.csv"
    column, baseline = FILES[name][1:]
    more = ["--data", str(tmp_path / "nowhere"), "--score", str(path)]
    if name in MEANINGS:
        (tmp_path / "meaning.csv").write_text(CONDITIONS)
        more += ["--protocols", str(tmp_path / "meaning.csv")]
    monkeypatch.setattr(sys, "argv", ["run.py", *more])
    path.write_bytes(("\ufeff" + "\r\n".join(rows) + "\r\n").encode())
    with jax.enable_x64(True):
        run.main()
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if line.startswith("--score")]
    assert any(baseline in line for line in lines) and len(lines) > 1 and "nan" not in "".join(lines)
    assert said in out and "recordings are not in" in out
    field = rows[0].split(",").index(column)
    spoilt = [",".join("abc" if k == field else text for k, text in enumerate(row.split(","))) for row in rows[1:]]
    path.write_text("\n".join([rows[0], *spoilt]) + "\n")
    with pytest.raises(SystemExit) as stop, jax.enable_x64(True):
        run.main()
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.count("\n") == 1 and column in err and "abc" in err
