"""Messengers that step without a grid in a network: chosen by the reach, alike on both schedules, near the grid's."""

import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from retrojax.cli.main import app
from retrojax.errors import InputError
from retrojax.io.build import build
from retrojax.io.config import load_config
from retrojax.io.plan import make_plan

TICKS = 4
GATE = {"model": "hill_synthesis", "rate": "70 molecules/s", "half_activation": "1 uM", "hill": 2, "tau": "50 ms",
        "ca_scale": "1 uM"}
# BDNF hardly moves before it is gone; proBDNF, made fast for the test, evens out in a step and turns into adenosine
MESSENGERS = {
    "BDNF": {"record": "BDNF", "step": "100 ms", "loss": "30 1/s", "diffusion": "1 um^2/s", "synthesis": GATE},
    "proBDNF": {"record": "proBDNF", "step": "200 ms", "loss": "0.1 1/s", "diffusion": "400000 um^2/s",
                "synthesis": GATE},
    "adenosine": {"record": "adenosine", "step": "200 ms", "loss": "0 1/s", "synthesis": "none"},
}


@pytest.fixture(scope="module")
def config(config_file, tmp_path_factory):
    """The quickstart's network in a box of few voxels."""
    data = yaml.safe_load(config_file.read_text())
    data.pop("sleep")
    data |= {"messengers": MESSENGERS, "duration": "800 ms", "slow_step": "200 ms", "grid": {"spacing": "20 um"},
             "reactions": [{"source": "proBDNF", "product": "adenosine", "rate": "0.2 1/s"}]}
    data["synapse"]["rules"] = [data["synapse"]["rules"][0], {"model": "messenger_facilitation", "senses": "BDNF"}]
    data["network"]["sonata"] = str(config_file.parent / data["network"]["sonata"])
    data["drive"]["replay"]["spikes"] = str(config_file.parent / data["drive"]["replay"]["spikes"])
    path = tmp_path_factory.mktemp("limits") / "config.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def _run(config, *chosen):
    simulation = build(load_config(config, list(chosen)), config)
    state, record = simulation.schedule.run(simulation.model, simulation.tissue, simulation.state, TICKS)
    assert int(state.errors) == 0
    return simulation, state, simulation.schedule.spikes(record, TICKS)


GRIDDED = [f"messengers.{name}.transport=grid" for name in MESSENGERS]


def test_limits_agree_with_the_grid_and_between_schedules(x64, config):
    ends = {kind: _run(config, f"network.schedule={kind}") for kind in ("clocked", "lazy")}
    kinds = {m.name: m.transport for m in ends["lazy"][0].model.messengers}
    assert kinds == {"BDNF": "local", "proBDNF": "mean field", "adenosine": "grid"}
    (_, one, spikes), (simulation, other, same) = ends["clocked"], ends["lazy"]
    np.testing.assert_array_equal(spikes, same)
    for left, right in zip((*one.fields, *one.pending, one.levels), (*other.fields, *other.pending, other.levels),
                           strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-7)
    _, grid, _ = _run(config, "network.schedule=lazy", *GRIDDED)
    number = {m.name: k for k, m in enumerate(simulation.model.messengers)}
    for name in MESSENGERS:  # totals are those of the grid, whatever spreads
        k = number[name]
        assert float(grid.fields[k].sum()) > 0
        np.testing.assert_allclose(other.fields[k].sum(), grid.fields[k].sum(), rtol=1e-9)
    local, even = (number[name] for name in ("BDNF", "proBDNF"))
    # a voxel gives its neighbours D / (dx^2 k) of what it holds; the box is even to 10 %, the border of `regime`
    np.testing.assert_allclose(other.fields[local], grid.fields[local], rtol=0,
                               atol=1e-3 * float(grid.fields[local].max()))
    np.testing.assert_allclose(other.fields[even], grid.fields[even], rtol=0.1)
    # what boutons see of their own spines is the closed form either way; the rest as the voxels
    np.testing.assert_allclose(other.levels[local], grid.levels[local], rtol=2e-3)
    np.testing.assert_allclose(other.levels[even], grid.levels[even], rtol=0.1)


def test_law6_mass_balance(x64, config):
    """What spines made of proBDNF is there, under way, or was lost: with loss 0 it is there or turned."""
    simulation = build(load_config(config, ["messengers.proBDNF.loss=0", "messengers.proBDNF.transport=mean field"]),
                       config)
    number = {m.name: k for k, m in enumerate(simulation.model.messengers)}
    k, turned = number["proBDNF"], number["adenosine"]
    state, total = simulation.state, 0.0
    for _ in range(TICKS):
        state, _ = simulation.schedule.run(simulation.model, simulation.tissue, state, 1)
        total += float(state.emitted[k][0].sum()) * 200.0 * (int(state.tick) % 2 == 0)
        held = state.fields[k].sum() + state.fields[turned].sum() + state.pending[turned].sum()
        np.testing.assert_allclose(0.602214076 * simulation.plan.grid.voxel_volume * float(held), total, rtol=1e-6)
    assert total > 10 and float(jnp.max(state.fields[turned])) > 0


def test_check_says_which_and_why(config):
    output = CliRunner().invoke(app, ["check", str(config)]).output
    assert "BDNF: local; a reach of 0.085 um is far below a voxel (20 um)" in output
    assert "proBDNF: mean field; a reach of" in output
    chosen = ["messengers.BDNF.transport=grid", "messengers.BDNF.vmax=10 nM/ms", "messengers.BDNF.km=100 nM"]
    output = CliRunner().invoke(app, ["check", str(config), *(word for c in chosen for word in ("--set", c))]).output
    assert "BDNF: 91 parts per field step, for a splitting error within 1 %" in output
    assert "BDNF: grid; as asked; the reach would call for the local" in output


@pytest.mark.parametrize(("chosen", "kind", "text"), [
    (["messengers.proBDNF.step=100 ms", "messengers.proBDNF.diffusion=120000 um^2/s"], "grid", "to even out, longer"),
    (["interventions=[{target: messengers.BDNF.loss, multiply: 0.001}]"], "grid", "interventions.0 changes it"),
    (["interventions=[{drug: tPA, dose: 100 nM}]"], "grid", "interventions.0 changes it"),
    (["interventions=[{target: messengers.proBDNF.loss, multiply: 2}]"], "local", "far below a voxel"),
    (["grid.boundary=[no-flux, absorbing, no-flux]"], "local", "far below a voxel")])
def test_auto_keeps_the_grid_where_a_limit_may_not_hold(config, chosen, kind, text):
    name = "proBDNF" if "step" in chosen[0] else "BDNF"
    found = make_plan(load_config(config, chosen), config).transports[name]
    assert found.kind == kind and text in found.why


def test_a_limit_that_cannot_be_is_refused(config):
    wrong = ["messengers.proBDNF.transport=mean field", "grid.boundary=[no-flux, absorbing, no-flux]"]
    with pytest.raises(InputError, match=r"messengers.proBDNF.transport.*mean field.*where a wall absorbs"):
        make_plan(load_config(config, wrong), config)
