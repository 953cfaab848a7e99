"""Held-back files of the ten fits: what they may look like, what they are scored against, and how they are refused."""

from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from run_modules import experiment
from scipy import stats

from retrojax.errors import InputError
from retrojax.fit import likelihoods
from retrojax.fit.spec import double
from retrojax.parts import TsodyksMarkram
from retrojax.testing import SKIPPED, Recordings, held_back, keep, kept, parameters

READERS = {
    "design_next_experiment": "read_held", "fit_bdnf": "read", "fit_ca1_cells": "read_held",
    "fit_hippocampal_traces": "read", "fit_larkman_quantal": "read", "fit_mossy_fibre": "read_held",
    "fit_neocortical_stdp": "read_pairing_table", "fit_space": "read_branches", "fit_synapse_size": "read_held",
    "fit_vip_stp": "read",
}


class Mean(eqx.Module):
    """One number."""

    value: jnp.ndarray


class NormalMean(eqx.Module):
    """Numbers around it, of SD 1."""

    y: jnp.ndarray

    def __call__(self, model: Mean):
        return likelihoods.gaussian(self.y, model.value, 1.0)


@pytest.fixture
def table(tmp_path):
    """Writes a file of the lines given and returns its path."""
    def write(*lines: str, name: str = "held.csv") -> Path:
        path = tmp_path / name
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.mark.parametrize("name", READERS)
def test_another_table_is_refused_in_one_sentence(name, table, capsys):
    run, path = experiment(name), table("colour,taste", "red,sweet")
    reader = getattr(run, READERS[name])
    read = (lambda path, protocols: reader(path, path)) if name == "fit_hippocampal_traces" else reader
    with pytest.raises(SystemExit) as stop:
        held_back(Recordings(path.parent, path, None, False, ()), read)
    assert stop.value.code == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "cannot be used. Allowed: " in said and "held.csv" in said


def test_parameters_are_kept_until_recordings_change(tmp_path, capsys):
    data = tmp_path / "recording.csv"
    data.write_text("a\n1\n")
    plain = Recordings(tmp_path, None, None, False, (data,))
    scoring = plain._replace(score=data)
    keep(plain, tmp_path, {"rule": {"a": 0.1}})
    assert kept(scoring, tmp_path) == {"rule": {"a": 0.1}}
    assert kept(plain, tmp_path) is None and kept(scoring._replace(refit=True), tmp_path) is None
    capsys.readouterr()
    (tmp_path / "run.py").write_text("pass\n")
    data.unlink()
    assert kept(scoring, tmp_path) == {"rule": {"a": 0.1}}
    said = capsys.readouterr().out
    assert "recordings are not in" in said and "earlier state of the script" in said
    data.write_text("a\n2\n")
    assert kept(scoring, tmp_path) is None
    assert "other recordings" in capsys.readouterr().out
    data.unlink()
    (tmp_path / "fitted.json").unlink()
    with pytest.raises(SystemExit) as stop:
        kept(scoring, tmp_path)
    assert stop.value.code == SKIPPED


VIP = ",".join([f"epsp{k}_V" for k in range(1, 6)] + [f"sd{k}_V" for k in range(1, 6)])
SIZE, PLACE = "cell_type,dendrite,synapse,day,present,weight_norm", "branch,synapse_type,um_along_branch"


@pytest.mark.parametrize(("name", "lines", "words"), [
    ("fit_mossy_fibre", ("protocol,r1", "20,1.0", "20,inf"), "r1, row 2 = 'inf'"),
    ("fit_mossy_fibre", ("protocol,r1", "20,-0.1"), "r1, row 1 = '-0.1'"),
    ("fit_synapse_size", (SIZE, "pv,d,0,0,1,2.0", "som,d,1,0,1,2.0"), "cell_type = 'som'"),
    ("fit_synapse_size", (SIZE, "pv,d,0,0,1,2.0", "pv,d,1,0,1,-2.0"), "weight_norm, row 2 = -2.0"),
    ("fit_space", (PLACE, "x,excitatory_spine,1.0", "x,axonal,1.0"), "synapse_type = 'axonal'"),
    ("fit_bdnf", ("readout,t_after_ligand_s,value,error", "aAKT,60,1.0,-1"), "error, row 1.*= '-1'"),
    ("fit_larkman_quantal", ("pr_before,pr_after,q_before_uV,q_after_uV", "0.2,nan,100,120"), "pr_after, row 1 = 'nan"),
    ("fit_vip_stp", (f"cell,frequency_hz,{VIP}", "a,20,1,1,1,1,1,1,1,0,1,1"), "sd3_V, row 1 = 0.0"),
])
def test_a_value_that_cannot_be_scored_is_named(name, lines, words, table):
    run = experiment(name)
    with pytest.raises(InputError, match=words):
        getattr(run, READERS[name])(table(*lines), None)


def test_mossy_fibre(x64, table, capsys):
    run = experiment("fit_mossy_fibre")
    # columns r7 on and `sweep` are left out; a blank and a zero are missing
    one = run.read_held(table("protocol,r1,r2,r3", "20,1.5,,0"), None)
    constant = run.fix(double(run.start(run.MODELS["no plasticity"][0])), {"scale": 2.0, "cv": 0.9})
    expected = stats.gamma.logpdf(1.5, 0.9**-2, scale=2 * 0.9**2)
    assert run.score(one, {"no plasticity": constant})["no plasticity"] == pytest.approx(expected, rel=1e-6)
    lines = "protocol,r1,r2,r3", "new,1.0,2.0,3.0"
    for meaning in (table("label,intervals", "new,10;10", name="p.csv"),
                    table("| label | intervals | sweeps |", "| new | 0, 2 × 10 | 5 |", name="o.md"),
                    table("label,pre_ms", "new,0;10;20", name="q.csv"),
                    table("new: {pre: [0, 10, 20]}", name="r.yaml")):
        named = run.read_held(table(*lines), meaning)
        assert set(named.groups) == {"new"} and named.weights.sum() == 3
        with pytest.raises(InputError, match="protocol = 'other'.*--protocols"):
            run.read_held(table(*lines, "other,1,1,1"), meaning)
        np.testing.assert_allclose(named.log_density.gaps[0, :2], 10.0)
    with pytest.raises(InputError, match="--protocols"):
        run.read_held(table(*lines), None)
    for rows, words in (((), "--protocols = '0 rows'"), (("a,b", "new,none"), "--protocols = '1 rows'"),
                        (("label,intervals", "new,10;0"), "intervals of new")):
        with pytest.raises(InputError, match=words):
            run.read_held(table(*lines), table(*rows, name="p.csv"))
    with pytest.raises(InputError, match="new = '0 presynaptic spikes'"):
        run.read_held(table(*lines), table("new: {post: [5]}", name="p.yaml"))
    with pytest.raises(InputError, match="no response"):
        run.read_held(table("protocol,r1", "20,"), None)
    capsys.readouterr()
    run.read_held(table(*lines), table("label,intervals", "new,10", name="p.csv"))
    assert "responses after its pulse 2" in capsys.readouterr().out


def test_ca1_cells(x64, table):
    run = experiment("fit_ca1_cells")
    start = run.Slice(*run.calcium_rule("hippocampal_slices"))
    meaning = table("figure,pairs,post_spikes", "fig9,60,1", name="p.csv")
    held = run.read_held(table("figure,dt_ms,strength_ratio,sem", "fig9,10,0.9,0.1"), meaning)
    with pytest.raises(InputError, match="figure = 'fig8'.*--protocols"):
        run.read_held(table("figure,dt_ms,strength_ratio,sem", "fig9,10,0.9,0.1", "fig8,10,0.9,0.1"), meaning)
    found = run.score(held, {run.NAMES[1]: start, run.NAMES[2]: start})
    assert found[run.NAMES[2]] == pytest.approx(stats.norm.logpdf(0.9, 1.0, np.hypot(0.1, 0.25)))
    grown = float(run.outcome(start, held[0])[0])
    assert found[run.NAMES[1]] == pytest.approx(stats.norm.logpdf(0.9, grown, np.hypot(0.1, 0.25)))
    cell = table("figure,dt_ms,strength_ratio,sem", "fig9,10,0.9,0.1")
    spikes = "label,pre_ms,post_ms,repetitions,every_ms"
    same = run.read_held(cell, table(spikes, "fig9,0,10,60,200", name="p.csv"))
    assert (float(same[0].count[0]), bool(same[0].doublet[0])) == (60.0, False)
    # a rate or an interval that the rule was not fitted to would be scored as if it were the recordings'
    for times in ("fig9,0,10,60,1000", "fig9,0,10 30,60,200"):
        with pytest.raises(InputError, match="fig9 = 'pre.*every 200 ms"):
            run.read_held(cell, table(spikes, times, name="p.csv"))
    with pytest.raises(InputError, match="1 or 2 postsynaptic"):
        run.read_held(cell, table("figure,pairs,post_spikes", "fig9,60,3", name="p.csv"))


def test_strength_of_a_prior_is_chosen_without_the_group_left_out(x64):
    run = experiment("fit_ca1_cells")
    y = np.random.default_rng(2).normal(0.4, 1.0, 12)
    groups = tuple("abc"[k % 3] for k in range(y.size))
    strengths = 0.05, 0.5, 5.0

    def spec_of(strength):
        return {"value": run.Parameter(run.Transform("identity"), 0.0, strength, "1", (0.0, strength))}

    got = run.nested(run.Likelihood(NormalMean(jnp.asarray(y)), groups), Mean(jnp.asarray(0.0)), spec_of, strengths)
    member = np.array(groups)

    def score(left: str, name: str, strength: float) -> float:
        kept = y[~np.isin(member, list(left))]
        mean = kept.sum() / (kept.size + strength**-2)
        return float(stats.norm.logpdf(y[member == name], mean).sum())

    for name in "abc":
        inner = [sum(score(name + other, other, s) for other in "abc" if other != name) for s in strengths]
        best = strengths[int(np.argmax(inner))]
        assert got.chosen[name] == best
        assert got.heldout[name] == pytest.approx(score(name, name, best), abs=1e-4)
    assert got.strength == strengths[int(np.argmax([sum(score(n, n, s) for n in "abc") for s in strengths]))]


def test_vip_trains(x64, table):
    run = experiment("fit_vip_stp")
    amplitudes = "0.001,0.002,0.003,0.002,0.002,0.001,0.001,0.001,0.001,0.001"
    columns = ",".join([f"epsp{k}_V" for k in range(1, 6)] + [f"sd{k}_V" for k in range(1, 6)])
    fitted = {run.POOLED: np.log([0.5, 200.0, 100.0]).tolist(), "a": np.log([0.1, 50.0, 300.0]).tolist()}
    by_rate = run.read(table(f"cell,frequency_hz,{columns}", f"b,20,{amplitudes}", f"a,20,{amplitudes}"))
    found = list(run.score(by_rate, fitted).values())
    # the amplitude is free: five points of SD 1 mV scatter around their mean
    assert found[2] == pytest.approx(2 * np.sum((np.array([1, 2, 3, 2, 2]) - 2) ** 2))
    assert found[0] != found[1]
    labels = table("label,pre_ms,repetitions,every_ms", "slow,0;50;100;150;200,3,5000", name="p.csv")
    by_label = run.read(table(f"cell,protocol,{columns}", f"b,slow,{amplitudes}", f"a,slow,{amplitudes}"), labels)
    np.testing.assert_allclose(list(run.score(by_label, fitted).values()), found)


def test_hippocampal_traces(x64, table, capsys):
    run = experiment("fit_hippocampal_traces")
    points = [f"x,{t + 100 * k},{y}" for k in range(3) for t, y in ((0, 0.0), (5, 2.0), (30, 1.0))]
    conditions = table("trace_id,mode,Erev_median,Vm_median,Rin_median,Cm_median", "x,current-clamp,0,-70,100,100",
                       name="p.csv")
    rows = run.read(table("trace_id,t_ms,y", *points), conditions)
    fitted = {"y": {"clamp": False, "u": np.log([1.0, 5.0, 100.0, 100.0, 0.5]).tolist()}}
    found = run.score(rows, fitted)
    assert found["first event repeated"] == 0.0 and 0 < found["ours"] < 1
    assert "published parameters" not in found
    shuffled = [f"{k},{row}" for k, row in enumerate(points)][::-1]
    turned = run.read(table("point,trace_id,t_ms,y", *shuffled, "0,flat,0,1", "1,flat,1,1"), conditions)
    np.testing.assert_array_equal(turned["x"]["y"], rows["x"]["y"])
    assert list(turned) == ["x"] and "trace_id flat" in capsys.readouterr().out
    with pytest.raises(InputError, match="nine points"):
        run.read(table("trace_id,t_ms,y", *points[:6]), conditions)
    with pytest.raises(InputError, match="y, row 1 = 'nan'"):
        run.read(table("trace_id,t_ms,y", "x,0,nan", *points[1:]), conditions)
    run.read(table("trace_id,t_ms,y", *points, "unknown,0,1.0"), conditions)
    assert "trace_id unknown" in capsys.readouterr().out


def test_bdnf_curves(x64, table):
    run = experiment("fit_bdnf")
    u = {model: [np.log(100.0), np.log(1000.0), 0.0] for model in run.MODELS}
    known = {"AKT": {"experiment": "e", "zero": 1.0, "largest": 3.0, "u": u, "scale": dict.fromkeys(u, 2.0)}}
    same = run.read(table("file,readout,t_after_ligand_s,value", "e,aAKT,600,3.6"))
    # one point of a fitted experiment: its zero, scale and 10 % of its largest value
    assert run.score(same, known)["e AKT, constant level"] == pytest.approx((0.6 / 0.3) ** 2)
    rows = "f,kinase,0,1,0.1", "f,kinase,600,3,0.1", "f,kinase,1200,2,0.1"
    other = run.read(table("file,readout,t_after_ligand_s,value,error", *rows),
                     table("readout,curve", "kinase,AKT", name="p.csv"))
    assert run.score(other, known)["f AKT, constant level"] == pytest.approx(2 * (0.5 / 0.1) ** 2)
    unusable = ("aAKT,600,3.6",), ("aAKT,0,3.6",), ("aAKT,0,0", "aAKT,600,0", "aAKT,900,0")
    for rows in unusable:
        assert run.score(run.read(table("readout,t_after_ligand_s,value", *rows)), known) == {}


def test_larkman_synapses(x64, table):
    run = experiment("fit_larkman_quantal")
    head = "pr_before,pr_after,q_before_uV,q_after_uV"
    held = run.read(table(head, "0.25,0.5,100,200"))
    spread = {"fitted rule": 0.2, **dict.fromkeys(run.BASELINES, 0.2)}
    found = run.score(held, run.Split(jnp.asarray(0.5), jnp.asarray(0.1)), spread)
    assert found["equal split"] == pytest.approx(stats.norm.logpdf(0.0, 0.0, 0.2))
    assert found["all postsynaptic"] == pytest.approx(stats.norm.logpdf(np.log(2), 0.0, 0.2))
    assert np.isfinite(found["fitted rule"])
    with pytest.raises(InputError, match="row 2"):
        run.read(table(head, "0.25,0.5,100,200", "0,0.5,100,200"))


ROW = "protocol_id,pre_mtype,post_mtype,frequency_train,dt_train,n_stimuli_train,n_sweep,period_sweep"
OUTCOME = "mean_epsp_ratio,sem_epsp_ratio,reference"


def test_neocortical_rows(x64, table):
    run = experiment("fit_neocortical_stdp")
    model = double(run.RULES["triplet"](1)[0])
    held = table(f"protocol_id,pre_mtype,post_mtype,{OUTCOME}", "new,L5TTPC,L5TTPC,1.2,0.1,Someone")
    meaning = table("protocol_id,frequency_train,dt_train,n_stimuli_train,n_sweep,period_sweep", "new,20,10,5,1,10",
                    name="p.csv")
    rows = run.read_pairing_table(held, meaning)
    found = run.score(rows, {"triplet": model}, run.LAYER_5, 1.3)
    assert found["no change"] == pytest.approx(4.0) and found["mean of fitted rows"] == pytest.approx(1.0)
    assert found["triplet"] != found["no change"]
    assert run.score([rows[0]._replace(pathway="A>B")], {}, run.LAYER_5, 1.3) == {}


def test_next_experiment(x64, table):
    run = experiment("design_next_experiment")
    held = run.read_held(table(f"{ROW},{OUTCOME}", "a,L5TTPC,L5TTPC,20,10,5,1,10,1.2,0.1,Someone"), None)
    model, spec = run.RULES["triplet_nearest"](1)
    u = np.stack([run.prior_coordinates(spec)[0] + shift for shift in (0.0, 0.3)])
    found = run.score(held, {"triplet_nearest": (model, spec, u)})
    assert found["no change"] == pytest.approx(stats.norm.logpdf(1.2, 1.0, 0.1))
    (guess,) = run.predictions(run.pairing_problem(held, run.LAYER_5, "none", False), model, spec, u)
    assert found["triplet_nearest"] == pytest.approx(np.log(np.mean(stats.norm.pdf(1.2, guess, 0.1))))


def test_branches(x64, table):
    run = experiment("fit_space")
    lines = [f"x,{'excitatory_spine' if k % 5 else 'inhibitory_shaft'},{0.7 * k}" for k in range(60)]
    branches = run.read_branches(table("branch,synapse_type,um_along_branch", *lines))
    found = run.score(branches, run.CENTRE, run.CENTRE)
    assert abs(found["fitted"] - 1) < 0.1 < found["no messenger"] - found["fitted"]
    with pytest.raises(InputError, match="45 synapses"):
        run.read_branches(table("branch,synapse_type,um_along_branch", *lines[:30]))


def test_synapse_sizes(x64, table):
    run = experiment("fit_synapse_size")
    head = "cell_type,dendrite,synapse,day,present,weight_norm"
    held = run.read_held(table(head, "pv,d,0,0,1,2.0", "pv,d,0,4,1,3.0", "pv,d,0,8,0,0",
                               "pv,d,1,0,0,0", "pv,d,1,4,1,0.8", "pv,d,1,8,1,0.5", "pv,e,0,8,1,1.5"), None)
    drift = run.start({"mean": 0.4, "offset": 0.3, "shared": 0.5})
    of_ln = run.start({"mean": 0.4, "offset": 0.0, "shared": 0.0})
    found = run.score(held, {"pv": {"m": drift, "of ln size": of_ln}})
    # of every measurement: synapse, its dendrite, session
    synapse, dendrite, session = np.array([(0, 0, 0), (0, 0, 1), (1, 0, 1), (1, 0, 2), (2, 1, 2)]).T
    size = np.array([2.0, 3.0, 0.8, 0.5, 1.5])
    of_one = np.asarray(drift.covariance(jnp.asarray([0.0, 4.0, 8.0])))[np.ix_(session, session)]
    alone = of_one * (synapse[:, None] == synapse)
    together = 0.5**2 * (dendrite[:, None] == dendrite) * (session[:, None] == session)
    # a density of ln size, as without an offset: scores of both are in one unit
    expected = stats.multivariate_normal.logpdf(np.log(size + 0.3), np.full(5, 0.4), alone + together)
    assert found == {"PV, m": pytest.approx(expected + np.sum(np.log(size / (size + 0.3)))),
                     "PV, of ln size": pytest.approx(
                         stats.multivariate_normal.logpdf(np.log(size), np.full(5, 0.4), alone))}


def test_parameters_go_back_into_a_model(x64):
    run = experiment("fit_mossy_fibre")
    model = double(run.start(TsodyksMarkram(tau_rec=123.0)))
    values = parameters(model)
    assert values["release.tau_rec"] == 123.0 and values.keys() >= {"U", "scale", "cv", "K"}
    again = run.fix(double(run.start(TsodyksMarkram())), values)
    assert parameters(again) == values
