"""Binding sites, flow and maps together in a network: law 6 with what is bound and through a sleep stage, law 2, law 3,
and kill and resume."""

import hashlib
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from retrojax.cli.main import app
from retrojax.errors import InputError
from retrojax.io.build import build
from retrojax.io.config import load_config
from retrojax.io.patches import Patches
from retrojax.io.plan import make_plan
from retrojax.io.run import resume_run, start_run
from retrojax.io.schema import Stage

SHAPE, TICKS = (6, 5, 4), 6
GATE = {"model": "hill_synthesis", "rate": "70 molecules/s", "half_activation": "1 uM", "hill": 2, "tau": "50 ms",
        "ca_scale": "1 uM"}
MESSENGERS = {  # no loss but into each other, so that all is counted
    "BDNF": {"record": "BDNF", "step": "200 ms", "loss": "0 1/s", "synthesis": GATE,
             "binding": {"HSPG": {}, "TrkB": {"sites": "5 nM", "on_rate": "1 1/(uM*s)", "off_rate": "0.01 1/s"}}},
    "proBDNF": {"record": "proBDNF", "step": "100 ms", "loss": "0 1/s", "synthesis": GATE},
}


@pytest.fixture(scope="module")
def config(config_file, tmp_path_factory):
    """The quickstart's network on a torus of few voxels, with uneven maps, sites and a flow along x."""
    data = yaml.safe_load(config_file.read_text())
    data.pop("sleep")
    data |= {"messengers": MESSENGERS, "duration": "600 ms", "slow_step": "200 ms",
             "reactions": [{"source": "proBDNF", "product": "BDNF", "rate": "2 1/s"}]}
    data["synapse"]["rules"] = [data["synapse"]["rules"][0], {"model": "messenger_facilitation", "senses": "BDNF"}]
    data["network"]["sonata"] = str(config_file.parent / data["network"]["sonata"])
    data["drive"]["replay"]["spikes"] = str(config_file.parent / data["drive"]["replay"]["spikes"])
    path = tmp_path_factory.mktemp("tissue") / "config.yaml"
    data["grid"] = {"spacing": "40 um"}
    path.write_text(yaml.safe_dump(data))
    low, high = np.array(make_plan(load_config(path), path).grid.extent).T
    data["grid"] = {"spacing": float(np.max((high - low) / SHAPE)), "origin": [float(x) for x in low],
                    "shape": list(SHAPE), "boundary": ["periodic"] * 3, "flow": ["5 um/s", 0, 0],
                    "maps": {"file": "tissue.npz"}}
    data["record"] = {"every": "200 ms"}
    data["checkpoint"] = {"every": "0.1 s"}
    rng = np.random.default_rng(0)
    np.savez(path.parent / "tissue.npz", volume_fraction=rng.uniform(0.1, 0.4, SHAPE),
             tortuosity=rng.uniform(1.3, 2.0, SHAPE))
    path.write_text(yaml.safe_dump(data))
    return path


def _bits(state):
    return [np.asarray(jax.random.key_data(x) if jnp.issubdtype(x.dtype, jax.dtypes.prng_key) else x)
            for x in jax.tree.leaves(state)]


def _held(state):
    """All there is of both [nM per voxel], bound amounts and what is under way included."""
    bound = sum(float(each.complexes.sum()) for kinds in state.bound for each in kinds)
    return float(state.fields[0].sum() + state.fields[1].sum() + state.pending[1].sum()) + bound


def test_law6_with_sites_flow_maps_and_sleep_and_law2_law3(x64, config):
    ends = {}
    for kind in ("clocked", "lazy"):
        simulation = build(load_config(config, [f"network.schedule={kind}"]), config)
        stages = Patches(((0, "awake"), (3, "sleep")), {"awake": Stage(), "sleep": Stage(volume_fraction=0.14)}, (), (),
                         simulation.plan.messengers)
        run = lambda model, state, ticks, s=simulation: s.schedule.run(  # noqa: E731
            model, s.tissue, jax.tree.map(jnp.copy, state), ticks)[0]
        state, total, rounded = simulation.state, 0.0, 0.0
        for tick in range(TICKS):
            state = run(stages.apply(simulation.model, tick), state, 1)
            steps = (100.0, 200.0 * (int(state.tick) % 2 == 0))
            total += sum(float(state.emitted[k][0].sum()) * steps[k] for k in range(2))
            # deposits are whole units: half a one is the most that each spine's may be off
            rounded += sum(simulation.plan.spines.shape[0] / 2 / float(simulation.tissue.deposit_scale[k])
                           for k in range(2) if steps[k])
            np.testing.assert_allclose(0.602214076 * simulation.plan.grid.voxel_volume * _held(state), total, rtol=1e-9,
                                       atol=rounded)
        assert int(state.errors) == 0 and total > 10
        assert all(float(each.complexes.sum()) > 0 for each in state.bound[1])
        ends[kind] = state
    for one, other in zip(jax.tree.leaves((ends["clocked"].fields, ends["clocked"].bound)),
                          jax.tree.leaves((ends["lazy"].fields, ends["lazy"].bound)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7, atol=1e-12)
    model = simulation.model  # law 3: one call is many, bit for bit
    whole = _bits(run(model, simulation.state, 4))
    parts = _bits(run(model, run(model, simulation.state, 1), 3))
    assert all(np.array_equal(a, b) for a, b in zip(whole, parts, strict=True))


def _hash(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(str(path.relative_to(folder)).encode() + path.read_bytes())
    return digest.hexdigest()


@pytest.mark.repro
def test_stopped_and_resumed_is_bit_identical(tmp_path, config):
    chosen = load_config(config)
    summary = start_run(chosen, config, tmp_path / "whole", lambda progress: None)
    assert summary["transport"]["BDNF"]["kind"] == "grid" and "per field step" in summary["transport"]["BDNF"]["split"]

    def stop(progress):
        if progress.now >= 400:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start_run(chosen, config, tmp_path / "stopped", stop)
    assert any(p.name.isdigit() for p in (tmp_path / "stopped" / "checkpoints").iterdir())
    resume_run(tmp_path / "stopped", lambda progress: None)
    assert _hash(tmp_path / "stopped" / "results.zarr") == _hash(tmp_path / "whole" / "results.zarr")


def test_resume_refuses_other_maps(tmp_path, config):
    """The maps are an input of a run like its spikes."""
    from retrojax.io.run import inputs_fingerprint

    chosen, file = load_config(config), config.parent / "tissue.npz"
    before, content = inputs_fingerprint(chosen), file.read_bytes()
    np.savez(file, volume_fraction=np.full(SHAPE, 0.2), tortuosity=np.full(SHAPE, 1.6))
    after = inputs_fingerprint(chosen)
    file.write_bytes(content)
    assert before == inputs_fingerprint(chosen) != after


def test_check_says_what_is_split(config):
    output = CliRunner().invoke(app, ["check", str(config)]).output
    assert "BDNF: grid; a reach of inf um" in output and "by what there is to react, bind or flow," in output


@pytest.mark.parametrize(("chosen", "text"), [
    (["grid.boundary=[no-flux, periodic, periodic]"], r"flow.x = .*through a no-flux wall"),
    (["messengers.BDNF.binding.p75={sites: 1 nM}"], r"binding.p75.on_rate = 'missing'.*a site of the record: HSPG"),
    (["messengers.BDNF.binding.HSPG={off_rate: 0}"], r"off_rate"),
    (["messengers.BDNF.transport=local"], r"transport = 'local'.*on maps"),
    (["messengers.BDNF.transport=local", "grid.maps=null"], r"transport = 'local'.*auto or grid with flow")])
def test_mistakes_are_named(config, chosen, text):
    with pytest.raises(InputError, match=text):
        make_plan(load_config(config, chosen), config)
