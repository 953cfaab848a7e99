"""Astrocytes of a config: from file to results, checkpoints to the bit, and every mistake named."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
import yaml
from typer.testing import CliRunner

from retrojax.cli.main import app
from retrojax.errors import InputError
from retrojax.io.build import build
from retrojax.io.checkpoint import Checkpoints
from retrojax.io.config import load_config
from retrojax.io.plan import make_plan
from retrojax.io.results import Recorder

TICKS = 20
MESSENGERS = {
    "glutamate": {"record": "glioglutamate", "step": "50 ms", "loss": "40 1/s",
                  "synthesis": {"model": "spillover_synthesis", "molecules": 3000}},
    "2-AG": {"record": "2-AG", "step": "100 ms", "sink_kind": "bulk",
             "synthesis": {"model": "hill_synthesis", "rate": "1000 molecules/s", "half_activation": "1 uM", "hill": 2,
                           "tau": "50 ms", "ca_scale": "1 uM"}},
    "glio-glutamate": {"record": "glioglutamate", "step": "50 ms", "loss": "0 1/s"},  # no loss, so that all is counted
}
ASTROCYTES = {
    "density": "2e-6 1/um^3", "apart": "30 um", "step": "100 ms", "substep": "12 ms",
    # much faster than an astrocyte, so that a second shows everything
    "calcium": {"preset": "nest", "Omega_C": "40 1/s", "O_2": "2 1/(uM*s)", "O_beta": "5 uM/s", "O_N": "3 1/(uM*s)"},
    "transmitter": "glutamate", "senses": [{"messenger": "2-AG", "rate": "8 uM/s", "half": "3 nM", "hill": 2}],
    "junctions": {"F": "2 uM/s", "I_theta": "0.01 uM"},
    "releases": [{"messenger": "glio-glutamate", "C_theta": "0.3 uM"},
                 {"messenger": "glio-glutamate", "C_theta": "0.2 uM", "G_T": "1 mM"}],
}


@pytest.fixture(scope="module")
def config(config_file, tmp_path_factory):
    """The quickstart's network in large voxels, with astrocytes."""
    data = yaml.safe_load(config_file.read_text())
    data.pop("sleep")
    data |= {"messengers": MESSENGERS, "astrocytes": ASTROCYTES, "duration": "1 s", "slow_step": "200 ms",
             "grid": {"spacing": "40 um"}, "record": {"every": "500 ms", "fields": False}}
    data["synapse"]["rules"] = [data["synapse"]["rules"][0],
                                {"model": "gliotransmission", "senses": "glio-glutamate", "alpha": 0.0}]
    data["network"]["schedule"] = "clocked"  # compiles faster
    data["network"]["sonata"] = str(config_file.parent / data["network"]["sonata"])
    data["drive"]["replay"]["spikes"] = str(config_file.parent / data["drive"]["replay"]["spikes"])
    path = tmp_path_factory.mktemp("astrocytes") / "config.yaml"
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    return path


def _simulation(config, *changes):
    return build(load_config(config, changes), config)


def _leaves(state):
    return [np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)
            for x in jax.tree.leaves(state)]


@pytest.fixture(scope="module")
def run_folder(config, tmp_path_factory):
    """A finished run by the command line."""
    folder = tmp_path_factory.mktemp("run") / "astrocytes"
    done = CliRunner().invoke(app, ["run", str(config), "--out", str(folder), "--quiet"])
    assert done.exit_code == 0, done.output
    return folder


def test_law3_checkpoints_and_results(config, run_folder, tmp_path):
    simulation = _simulation(config)
    fresh = lambda: jax.tree.map(jnp.copy, simulation.state)  # noqa: E731

    def run(state, *chunks):
        for ticks in chunks:
            state, _ = simulation.schedule.run(simulation.model, simulation.tissue, state, ticks)
        return state

    whole, half = run(fresh(), TICKS), run(fresh(), 3, 10)
    recorder, checkpoints = Recorder(simulation, tmp_path), Checkpoints(tmp_path, 2)
    checkpoints.save(half, recorder)
    found = checkpoints.latest(fresh(), simulation.plan.cells.node_id.size)
    checkpoints.close()
    resumed = run(found.state, TICKS - 13)
    assert all(np.array_equal(a, b) for a, b in zip(_leaves(whole), _leaves(resumed), strict=True))
    stored = xr.open_zarr(run_folder / "results.zarr").calcium
    np.testing.assert_array_equal(stored.values[-1], whole.astrocytes.inside.C)
    assert stored.dims == ("bin", "astrocyte") and stored.units == "uM"
    assert np.isfinite(stored.values).all() and float(stored.max()) > 0.3


def test_results_and_figure(run_folder):
    data = xr.open_zarr(run_folder / "results.zarr")
    assert set(np.unique(data.astrocyte_domain)) == set(range(data.sizes["astrocyte"]))
    assert (run_folder / "figures" / "astrocytes.png").stat().st_size > 5000


def test_check_tells_domains_clocks_and_bytes(config):
    result = CliRunner().invoke(app, ["check", str(config)])
    assert result.exit_code == 0, result.output
    for text in ("14 astrocytes, domains of", "astrocytes step every 100 ms, in 9 parts",
                 "astrocytes sense glutamate (transmitter), 2-AG; release glio-glutamate", "astrocyte domains",
                 "glio-glutamate: made by astrocytes"):
        assert text in result.output


def _write(config, name, values):
    path = config.parent / name
    np.save(path, values) if name.endswith(".npy") else path.write_text(values)
    return str(path)


def test_positions_from_a_file_and_domains_given(config):
    shape = make_plan(load_config(config), config).grid.shape
    label = np.full(shape, -1)
    label[: shape[0] // 2], label[shape[0] // 2 + 1 :] = 0, 1
    file = _write(config, "domains.npy", label)
    plan = make_plan(load_config(config, ["astrocytes.density=null", f"astrocytes.domains={file}"]), config)
    assert plan.astrocytes.pairs.size == 0 and plan.astrocytes.centres.shape == (2, 3)
    np.testing.assert_array_equal(plan.astrocytes.label, label)
    x = [float(np.mean(np.argwhere(label == k)[:, 0] + 0.5)) * 40 + plan.grid.origin[0] for k in (0, 1)]
    np.testing.assert_allclose(plan.astrocytes.centres[:, 0], x)
    middle = np.mean(plan.grid.extent, axis=1)
    table = _write(config, "cells.csv", "x,y,z\n" + "\n".join(
        ",".join(map(str, middle + [shift, 0, 0])) for shift in (-40.0, 40.0)))
    plan = make_plan(load_config(config, ["astrocytes.density=null", f"astrocytes.positions={table}"]), config)
    np.testing.assert_allclose(plan.astrocytes.centres[:, 0], middle[0] + np.array([-40.0, 40.0]))
    assert plan.astrocytes.pairs.tolist() == [[0, 1]]


@pytest.mark.parametrize(("changes", "text"), [
    (["astrocytes.density=null"], "neither positions nor density"),
    (["astrocytes.positions=[[0, 0, 1e6]]", "astrocytes.density=null"], r"positions\[0\].*points in the box"),
    (["astrocytes.transmitter=glutamat"], "astrocytes.transmitter.*did you mean 'glutamate'"),
    (["astrocytes.releases=[{C_theta: 0.3 uM}]"], r"astrocytes.releases.0.messenger = 'missing'"),
    (["astrocytes.releases=[{messenger: glutamate, C_thta: 1}]"], "did you mean 'C_theta'"),
    (["astrocytes.calcium={K_P: 1 mV}"], "astrocytes.calcium.K_P"),
    (["astrocytes.step=70 ms"], "multiple of the tick"),
    (["astrocytes.density=1 1/um^3"], "at most 100000 cells"),
    (["astrocytes.density=2e-5 1/um^3"], "without a voxel"),
    (["astrocytes.domains=nowhere.npy"], "astrocytes.domains.*an existing file"),
    (["astrocytes.uptake={glutamate: [1, 2]}"], "2 factors.*14: one per astrocyte"),
    (["astrocytes.uptake={glutamate: -1}"], "0 to 1e6"),
    (["astrocytes.sensess=[]"], "did you mean 'senses'")])
def test_mistakes_are_named(config, changes, text):
    with pytest.raises(InputError, match=text):
        make_plan(load_config(config, changes), config)


def test_domains_from_a_file_are_checked(config):
    def with_labels(values):
        file = _write(config, "wrong.npy", values)
        return make_plan(load_config(config, ["astrocytes.density=null", f"astrocytes.domains={file}"]), config)

    shape = make_plan(load_config(config), config).grid.shape
    with pytest.raises(InputError, match="one label per voxel"):
        with_labels(np.zeros((2, 2, 2), int))
    with pytest.raises(InputError, match="whole numbers"):
        with_labels(np.zeros(shape))
    with pytest.raises(InputError, match="without a voxel"):
        with_labels(np.full(shape, 3))


def test_uptake_of_domains_is_a_map_of_the_loss(config):
    factors = [0.5 * k for k in range(14)]
    plan = make_plan(load_config(config, [f"astrocytes.uptake={{glutamate: {factors}, 2-AG: 3}}"]), config)
    base = make_plan(load_config(config), config)
    label = plan.astrocytes.label
    for name, factor in (("glutamate", np.array(factors)[label]), ("2-AG", np.full(label.shape, 3.0))):
        loss = plan.messengers[name]["loss"] * np.asarray(plan.maps[name].sink)
        np.testing.assert_allclose(loss, base.messengers[name]["loss"] * factor, rtol=1e-5)
        np.testing.assert_array_equal(plan.maps[name].fraction, 1.0)
    assert "glio-glutamate" not in plan.maps and base.maps == {}
