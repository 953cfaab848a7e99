"""The extracellular matrix, nets and vessels of a config, against the formulas and a steady profile in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest
from typer.testing import CliRunner

from retrojax.cli.main import app
from retrojax.engine.model import Maps, Messenger
from retrojax.engine.transport import make_plan as transport_plan, room, spread
from retrojax.errors import InputError
from retrojax.io.build import build
from retrojax.io.config import load_config
from retrojax.space import Grid, covered

BOX = ["sleep=null", "network.schedule=clocked", "duration=400 ms",
       "grid.spacing=40 um"]
DRUG = 'interventions=[{drug: chondroitinase ABC, dose: "0.1 uM", onset: 0 s, from: 200 ms}]'


def _built(config_file, *changes):
    return build(load_config(config_file, [*BOX, *changes]), config_file)


def test_bodies_fill_their_volume():
    grid = Grid((20, 20, 20), (1.0, 1.0, 1.0), boundary=("periodic", "no-flux", "no-flux"))
    ball, net = (covered(grid, (0.5, 10.0, 10.0), (0.5, 10.0, 10.0), 5.0, hollow) for hollow in (0.0, 4.0))
    np.testing.assert_allclose(ball.sum(), 4 / 3 * np.pi * 125, rtol=5e-3)  # half of it beyond the periodic wall
    np.testing.assert_allclose(net.sum(), 4 / 3 * np.pi * (125 - 64), rtol=5e-3)
    rod = covered(grid, (10.0, 10.0, -9.0), (10.0, 10.0, 30.0), 3.0)
    np.testing.assert_allclose(rod.sum(), np.pi * 9 * 20, rtol=5e-3)


def test_chondroitinase_in_a_patch_widens_the_reach_there_as_the_formula_says(config_file):
    patch = "grid.matrix={digested_in: [{at: [-78, 0, 0], radius: 60 um}]}"
    simulation = _built(config_file, patch, DRUG)
    before, after = simulation.model_at(0), simulation.model_at(simulation.end - 1)
    name = next(m.name for m in before.messengers if m.maps is not None)
    which = next(k for k, m in enumerate(before.messengers) if m.name == name)
    one, two = before.messengers[which], after.messengers[which]
    share = np.asarray(simulation.plan.matrix.reached)
    assert share.max() == 1 and share.min() == 0
    np.testing.assert_allclose(room(two) / room(one), 1 + 0.05 * share, rtol=1e-5)
    reach = [np.sqrt(np.asarray(m.diffusion / (m.maps.tortuosity**2 * m.loss * m.maps.sink))) for m in (one, two)]
    surface = simulation.plan.messengers[name]["sink_kind"] == "surface"
    widened = np.sqrt(1 + 0.05 * share * surface) / (1 - 0.05 * share)
    np.testing.assert_allclose(reach[1] / reach[0], widened, rtol=1e-5)


def test_a_vessel_takes_away_what_comes_near(config_file):
    vessel = 'grid.regions=[{at: [0, 0, -200], to: [0, 0, 200], radius: 30 um, loss: {"NO": "50 1/s"}}]'
    messenger = next(m for m in _built(config_file, vessel).model.messengers if m.name == "NO")
    grid = _built(config_file).plan.grid
    source = jnp.ones(grid.shape)
    rod = covered(grid, (0.0, 0.0, -200.0), (0.0, 0.0, 200.0), 30.0)
    np.testing.assert_allclose(messenger.maps.drain, 0.05 * rod, rtol=1e-6)
    plan = transport_plan(messenger, grid, messenger.loss, jnp.asarray(1e5), False)
    level = np.asarray(spread(plan, 0 * source, source))
    lost = level * (np.asarray(messenger.loss) + np.asarray(messenger.maps.drain))
    np.testing.assert_allclose(lost.sum(), source.sum(), rtol=1e-4)  # steady: all that is made is lost
    drain = np.asarray(messenger.maps.drain)
    assert drain.ravel()[np.argmin(level)] == drain.max() and level[drain > 0.01].max() < level[drain == 0].min()


def test_a_map_of_density_moves_volume_tortuosity_and_sites(config_file, tmp_path):
    site = 'messengers.2-AG.binding={HSPG: {sites: "50 nM", on_rate: "1e-4 1/(nM*ms)", off_rate: "1e-3 1/ms"}}'
    plain = _built(config_file, site)
    shape = plain.plan.grid.shape
    density = np.random.default_rng(4).uniform(0.0, 2.0, shape)
    file = tmp_path / "density.npy"
    np.save(file, density)
    drug = DRUG.replace("chondroitinase ABC", "heparinase")
    simulation = _built(config_file, site, f"grid.matrix={{density: {file}}}", drug)
    of = lambda model: next(m for m in model.messengers if m.name == "2-AG")  # noqa: E731
    before, found, freed = of(plain.model), of(simulation.model_at(0)), of(simulation.model_at(simulation.end - 1))
    np.testing.assert_allclose(room(found), before.volume_fraction * (1 + 0.05 * (1 - density)), rtol=1e-5)
    hindrance = found.maps.tortuosity / np.sqrt(found.diffusion)
    np.testing.assert_allclose(hindrance * np.sqrt(before.diffusion), 1 - 0.05 * (1 - density), rtol=1e-5)
    np.testing.assert_allclose(found.binding[0].sites, before.binding[0].sites * density, rtol=1e-5)
    np.testing.assert_allclose(freed.binding[0].sites, 0 * density, atol=1e-6)
    density[1, 0, 0] = np.nan
    np.save(file, density)
    with pytest.raises(InputError, match=r"grid.matrix.density\[1, 0, 0\] = 'nan'"):
        _built(config_file, f"grid.matrix={{density: {file}}}")
    np.save(file, density[1:])
    with pytest.raises(InputError, match="one per voxel of the grid"):
        _built(config_file, f"grid.matrix={{density: {file}}}")


def test_steady_level_beside_a_wall_that_drains(x64):
    """D c'' = (k + drain) c - s between no-flux ends: a cosh on each side, alike in value and flux where they meet."""
    diffusion, loss, drain, source, wide, deep, count = 0.8, 1e-3, 0.05, 2.0, 30.0, 10.0, 160
    grid = Grid((count, 1, 1), ((wide + deep) / count,) * 3)
    x = (np.arange(count) + 0.5) * grid.spacing[0]
    one = jnp.ones(grid.shape)
    maps = Maps(one, one, one, jnp.asarray(np.where(x > wide, drain, 0.0))[:, None, None])
    number = jnp.asarray
    messenger = Messenger("NO", number(diffusion), number(loss), number(1.0), maps=maps)
    plan = transport_plan(messenger, grid, messenger.loss, number(1e5), False)
    level = np.asarray(spread(plan, 0 * one, source * one))[:, 0, 0]

    far, near = np.sqrt(diffusion / loss), np.sqrt(diffusion / (loss + drain))
    ratio = (np.sinh(wide / far) / far) / (np.sinh(deep / near) / near)
    height = (source / loss - source / (loss + drain)) / (np.cosh(wide / far) + ratio * np.cosh(deep / near))
    expected = np.where(x < wide, source / loss - height * np.cosh(x / far),
                        source / (loss + drain) + ratio * height * np.cosh((wide + deep - x) / near))
    np.testing.assert_allclose(level, expected, rtol=1e-3)


def test_nets_hinder_and_check_tells(config_file):
    net = "grid.regions=[{at: [0, 0, 0], radius: 90 um, hollow: 20 um, density: 3}]"
    simulation = _built(config_file, net)
    maps = next(iter(simulation.plan.maps.values()))
    dense = 1 + 2 * covered(simulation.plan.grid, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 90.0, 20.0)
    expected = 1 - 0.05 * (1 - dense)
    np.testing.assert_allclose(maps.tortuosity, expected / expected.mean(), rtol=1e-5)
    flags = [flag for text in [*BOX, net] for flag in ("--set", text)]
    output = CliRunner().invoke(app, ["check", str(config_file), *flags]).output
    assert "maps of the medium" in output and "region 0: a hollow ball" in output


@pytest.mark.parametrize(("change", "text"), [
    ("grid.matrix={density: 20}", "density"),
    ("grid.matrix={sites: [HSGP]}", "grid.matrix.sites"),
    ("grid.regions=[{at: [0, 0, 0], radius: 5 um, hollow: 6 um, density: 2}]", "less than the radius"),
    ("grid.regions=[{at: [9999, 0, 0], radius: 5 um, density: 2}]", "inside the box"),
    ("grid.regions=[{at: [0, 0, 0], radius: 50 um}]", "neither density nor loss"),
    ("grid.regions=[{at: [0, 0, 0], radius: 50 um, loss: {XY: 1 1/s}}]", "no such messenger")])
def test_mistakes_are_named(config_file, change, text):
    with pytest.raises(InputError, match=text):
        _built(config_file, change)
