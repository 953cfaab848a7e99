"""Maps of the medium in a network: both schedules alike, no molecule lost or made, uniform maps as uniform tissue."""

import jax.numpy as jnp
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from retrojax.cli.main import app
from retrojax.engine.model import Maps, Messenger, Saturable
from retrojax.engine.reactions import saturated
from retrojax.engine.transport import room
from retrojax.errors import InputError
from retrojax.io.build import build
from retrojax.io.config import load_config
from retrojax.io.plan import make_plan

SHAPE, TICKS = (6, 5, 4), 4
MESSENGERS = {
    # no loss but into each other, so that all is counted
    "BDNF": {"record": "BDNF", "step": "200 ms", "loss": "0 1/s",
             "synthesis": {"model": "hill_synthesis", "rate": "70 molecules/s", "half_activation": "1 uM", "hill": 2,
                           "tau": "50 ms", "ca_scale": "1 uM"}},
    "proBDNF": {"record": "proBDNF", "step": "100 ms", "loss": "0 1/s",
                "synthesis": {"model": "hill_synthesis", "rate": "30 molecules/s", "half_activation": "1 uM", "hill": 2,
                              "tau": "50 ms", "ca_scale": "1 uM"}},
    "adenosine": {"record": "adenosine", "step": "200 ms", "tonic": "80 nM", "synthesis": "none",
                  "sink_kind": "surface"},
}


@pytest.fixture(scope="module")
def config(config_file, tmp_path_factory):
    """The quickstart's network in a box of few voxels, with maps still to be written beside the file."""
    data = yaml.safe_load(config_file.read_text())
    data.pop("sleep")
    reactions = [{"source": "proBDNF", "product": "BDNF", "rate": "2 1/s"}]
    data |= {"messengers": MESSENGERS, "reactions": reactions, "duration": "800 ms", "slow_step": "200 ms"}
    data["synapse"]["rules"] = [data["synapse"]["rules"][0], {"model": "messenger_facilitation", "senses": "BDNF"}]
    data["network"]["sonata"] = str(config_file.parent / data["network"]["sonata"])
    data["drive"]["replay"]["spikes"] = str(config_file.parent / data["drive"]["replay"]["spikes"])
    path = tmp_path_factory.mktemp("maps") / "config.yaml"
    data["grid"] = {"spacing": "40 um"}
    path.write_text(yaml.safe_dump(data))
    low, high = np.array(make_plan(load_config(path), path).grid.extent).T
    spacing = float(np.max((high - low) / SHAPE))
    data["grid"] = {"spacing": spacing, "origin": [float(x) for x in low], "shape": list(SHAPE)}
    path.write_text(yaml.safe_dump(data))
    return path


def _simulation(config, kind, **arrays):
    # without maps proBDNF, slow in these wide voxels, would step by its limit
    chosen = [f"network.schedule={kind}", "messengers.proBDNF.transport=grid"]
    if arrays:
        np.savez(config.parent / "tissue.npz", **arrays)
        chosen.append("grid.maps={file: tissue.npz}")
    return build(load_config(config, chosen), config)


def _uneven():
    rng = np.random.default_rng(0)
    return {"volume_fraction": rng.uniform(0.1, 0.4, SHAPE), "tortuosity": rng.uniform(1.3, 2.0, SHAPE),
            "uptake": rng.uniform(0.5, 2.0, SHAPE)}


def _run(simulation, ticks=TICKS):
    state, record = simulation.schedule.run(simulation.model, simulation.tissue, simulation.state, ticks)
    assert int(state.errors) == 0
    return state, simulation.schedule.spikes(record, ticks)


def test_law6_mass_balance_and_law2_on_maps(x64, config):
    ends = {}
    for kind in ("clocked", "lazy"):
        simulation = _simulation(config, kind, **_uneven())
        state, total = simulation.state, 0.0
        for _ in range(TICKS):
            state, _ = simulation.schedule.run(simulation.model, simulation.tissue, state, 1)
            steps = (100.0, 200.0 * (int(state.tick) % 2 == 0))
            total += sum(float(state.emitted[k][0].sum()) * steps[k] for k in range(2))
            held = float(state.fields[0].sum() + state.fields[1].sum() + state.pending[1].sum())
            np.testing.assert_allclose(0.602214076 * simulation.plan.grid.voxel_volume * held, total, rtol=1e-6)
        assert total > 10 and float(state.fields[1].sum()) > 0
        # a tonic level stays the same in every voxel of whatever volume fraction and uptake
        np.testing.assert_allclose(state.fields[2] / room(simulation.model.messengers[2]), 80.0, rtol=1e-8)
        ends[kind] = state
    for one, other in zip(ends["clocked"].fields, ends["lazy"].fields, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-7)
    np.testing.assert_allclose(ends["clocked"].levels, ends["lazy"].levels, rtol=1e-7)


@pytest.mark.repro
def test_uniform_maps_are_uniform_tissue(x64, config):
    plain = _simulation(config, "lazy")
    even = {"volume_fraction": np.full(SHAPE, 0.2), "tortuosity": np.full(SHAPE, 1.6)} | {
        f"tortuosity.{name}": np.full(SHAPE, v["tortuosity"]) for name, v in plain.plan.messengers.items()}
    mapped = _simulation(config, "lazy", **even)
    (one, spikes), (other, same) = _run(plain), _run(mapped)
    np.testing.assert_array_equal(spikes, same)
    # conversion is split off transport on maps: second order in the step, which leaves the total as it is
    assert float(one.fields[0].sum()) > 0
    for which in range(3):
        scale = float(jnp.max(one.fields[which]))
        np.testing.assert_allclose(one.fields[which] / scale, other.fields[which] / scale, rtol=0,
                                   atol=(2e-3, 2e-3, 1e-9)[which])


def test_boutons_divide_by_the_volume_fraction_of_their_voxel(x64, config):
    maps = _uneven()
    simulation = _simulation(config, "clocked", **maps)
    state, _ = _run(simulation, 2)
    field, fraction = np.asarray(state.fields[2]), maps["volume_fraction"]
    np.testing.assert_allclose(np.max(field / fraction), state.levels[2, 2], rtol=1e-9)
    boutons = simulation.plan.grid.voxel_of(simulation.plan.boutons, "bouton")
    np.testing.assert_allclose((field / fraction).reshape(-1)[boutons].mean(), state.levels[2, 1], rtol=1e-9)


def test_saturable_loss_follows_the_map(x64):
    number, rng = jnp.asarray, np.random.default_rng(1)
    maps = Maps(*(number(rng.uniform(0.5, 1.5, SHAPE)) for _ in range(3)))
    field = number(rng.uniform(0.0, 50.0, SHAPE))
    rate = Saturable(number(0.02), number(30.0), number(0.0))
    mapped = Messenger("dopamine", number(0.3), number(0.0), number(0.2), saturable=rate, maps=maps)
    left = saturated(mapped, field, number(500.0))
    for place in ((0, 0, 0), (5, 4, 3), (2, 1, 3)):
        own = Saturable(0.02 * maps.sink[place], number(30.0), number(0.0))
        alone = Messenger("dopamine", number(0.3), number(0.0), 0.2 * maps.fraction[place], saturable=own)
        np.testing.assert_allclose(left[place], saturated(alone, field[:1, :1, :1] * 0 + field[place],
                                                          number(500.0))[0, 0, 0], rtol=1e-12)


def test_check_tells_the_work_of_maps(config):
    np.savez(config.parent / "tissue.npz", **_uneven())
    result = CliRunner().invoke(app, ["check", str(config), "--set", "grid.maps={file: tissue.npz}"])
    assert result.exit_code == 0, result.output
    assert "BDNF: maps of the medium, 1 part of at most" in result.output


def test_a_gas_follows_the_map_of_its_own_name_only(config_file, tmp_path):
    shape = ["sleep=null", "grid.spacing=40 um"]
    plain = make_plan(load_config(config_file, shape), config_file)
    rng = np.random.default_rng(2)
    size = plain.grid.shape
    file, factor = tmp_path / "tissue.npz", rng.uniform(0.5, 4.0, size)
    tissue = {"volume_fraction": np.full(size, 0.2), "tortuosity": np.full(size, 1.6), "loss": np.full(size, 3.0)}
    for own in ({}, {"loss.NO": factor}):
        np.savez(file, **(tissue | own))
        plan = make_plan(load_config(config_file, [*shape, f"grid.maps={{file: {file}}}"]), config_file)
        found, record = plan.messengers["NO"], plain.messengers["NO"]
        assert ("NO" in plan.maps) == bool(own)
        if own:
            np.testing.assert_allclose(found["loss"] * plan.maps["NO"].sink, record["loss"] * factor, rtol=1e-6)
            assert found["diffusion"] == record["diffusion"]
        else:
            assert found == record
    for idle, text in (("uptake.NO", "call the map loss.NO"), ("tortuosity.NO", "a gas")):
        np.savez(file, **(tissue | {idle: np.full(size, 2.0)}))
        with pytest.raises(InputError, match=text):
            make_plan(load_config(config_file, [*shape, f"grid.maps={{file: {file}}}"]), config_file)


@pytest.mark.parametrize(("change", "text"), [
    ({"volume_fraction": np.full((2, 2, 2), 0.2)}, r"one value per voxel of the grid"),
    ({"volume_fraction": np.full(SHAPE, 1.2)}, r"volume_fraction\[0, 0, 0\] = '1.2' cannot be used.*0.01 to 1"),
    ({"tortuosity": np.full(SHAPE, np.nan)}, "tortuosity.*nan.*1 to 10"),
    ({"tortuosty": np.full(SHAPE, 1.6)}, "did you mean 'tortuosity'"),
    ({"volume_fraction": np.full(SHAPE, "a")}, "real numbers")])
def test_mistakes_in_maps_are_named(config, change, text):
    with pytest.raises(InputError, match=text):
        _simulation(config, "clocked", **(_uneven() | change))


def test_a_file_without_maps_is_refused(config):
    with pytest.raises(InputError, match="add the map tortuosity"):
        _simulation(config, "clocked", volume_fraction=np.full(SHAPE, 0.2))
    (config.parent / "broken.npz").write_text("no archive")
    with pytest.raises(InputError, match="numpy.savez"):
        make_plan(load_config(config, ["grid.maps={file: broken.npz}"]), config)
