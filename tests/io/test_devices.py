"""A config's network on several devices: the same run, resumed to the bit, and what cannot be cut is refused."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from typer.testing import CliRunner

from retrojax.cli.main import app
from retrojax.engine.lazy.assemble import CAN_CUT
from retrojax.errors import InputError
from retrojax.io.build import build
from retrojax.io.config import load_config
from retrojax.io.run import resume_run, start_run

pytestmark = pytest.mark.skipif(not CAN_CUT, reason="XLA of JAX 0.11 crashes on networks that are cut")

FILE = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
KEYS = ["grid.spacing=16 um", "duration=400 ms", "record.every=200 ms", "slow_step=200 ms", "checkpoint.every=0.1 s",
        "drive.background.rate=1 1/ms", "drive.background.amplitude=40 pA"]


def chosen(devices: int, *more: str):
    """The quickstart cut down, with a background, whose numbers are drawn by neuron."""
    return load_config(FILE, [*KEYS, f"network.devices={devices}", *more])


def results(folder: Path) -> xr.Dataset:
    """What a run left."""
    return xr.open_zarr(folder / "results.zarr").load()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run on seven devices, among which its neurons do not divide evenly."""
    folder = tmp_path_factory.mktemp("devices") / "whole"
    assert start_run(chosen(7), FILE, folder, lambda progress: None)["neurons"] % 7
    return results(folder)


def test_seven_devices_do_what_one_does(whole, tmp_path):
    start_run(chosen(1), FILE, tmp_path / "one", lambda progress: None)
    one = results(tmp_path / "one")
    assert one.spike_time.size > 1000 and set(one) == set(whole)
    for name, values in one.items():
        if values.dtype.kind == "f" and name not in ("spike_time", "rate"):
            scale = float(np.nanmax(np.abs(values))) or 1.0
            np.testing.assert_allclose(whole[name], values, rtol=3e-6, atol=3e-6 * scale, err_msg=name)
        else:
            assert np.array_equal(whole[name], values), name


def test_stopped_and_resumed_on_seven_devices_is_the_same_to_the_bit(whole, tmp_path):
    def stop(progress):
        if progress.now >= 200:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        start_run(chosen(7), FILE, tmp_path / "stopped", stop)
    resume_run(tmp_path / "stopped", lambda progress: None)
    assert results(tmp_path / "stopped").identical(whole)


@pytest.mark.parametrize(("devices", "more", "text"), [
    (2, ["network.schedule=clocked"], r"network.devices = 2.*1 on the clocked schedule"),
    (2, ["grid.near_field=pairs", "grid.pairs_within=1"], r"network.devices = 2.*1 with grid.near_field: pairs"),
    (4000, [], r"devices = 4000.*the neurons"),
    (8, [], r"devices = 8.*1 to 7, as this process has.*JAX_NUM_CPU_DEVICES")])
def test_what_cannot_be_cut_is_refused(devices, more, text):
    with pytest.raises(InputError, match=text):
        build(chosen(devices, *more), FILE)


def test_check_says_how_it_is_cut():
    output = CliRunner().invoke(app, ["check", str(FILE), "--set", "network.devices=3"]).output
    assert "cut among 3 devices" in output
