"""NWB files: conversion, offset, sweep order and pairing, evoked amplitudes, units; files of others where present."""

import datetime
import os
from pathlib import Path

import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.io.nwb import evoked_amplitudes, read_intervals, read_sweeps, read_units

pynwb = pytest.importorskip("pynwb")
DATA = Path(os.environ.get("RETROJAX_DATA", "../shared/data"))
STIMULI = (20.0, 70.0)
AMPLITUDES = np.array([[3.0, 1.5], [2.0, 1.0], [4.0, 2.0]])


def trace(amplitudes, step=0.1, length=1200, rest=-70.0):
    """A potential [mV] that jumps by each amplitude 1 ms after its stimulus and decays within 5 ms."""
    t = step * np.arange(length)
    return rest + sum(a * np.exp(-np.maximum(t - s - 1, 0) / 5) * (t >= s + 1)
                      for a, s in zip(amplitudes, STIMULI, strict=True))


@pytest.fixture
def written(tmp_path):
    """A file with three current-clamp sweeps stored in mV with an offset of 0.01 V, units and epochs."""
    file = pynwb.NWBFile("test", "id", datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    device = file.create_device("amplifier")
    electrode = file.create_icephys_electrode(name="pipette", description="glass", device=device)
    for number, amplitudes in zip((10, 2, 1), AMPLITUDES[::-1], strict=True):
        file.add_acquisition(pynwb.icephys.CurrentClampSeries(
            name=f"sweep_{number}", data=trace(amplitudes) - 10, electrode=electrode, gain=1.0, rate=10_000.0,
            conversion=1e-3, offset=0.01))
        file.add_stimulus(pynwb.icephys.CurrentClampStimulusSeries(
            name=f"command_{number}", data=np.full(1200, float(number)), electrode=electrode, gain=1.0, rate=10_000.0,
            conversion=1e-12))
    file.add_unit(id=7, spike_times=[0.5, 1.5])
    file.add_epoch(0.0, 2.0, ["sleep"])
    path = tmp_path / "written.nwb"
    with pynwb.NWBHDF5IO(str(path), "w") as out:
        out.write(file)
    return path


def test_sweeps_are_in_order_in_mv_with_their_command(written):
    sweeps = read_sweeps(written)
    assert [sweep.name for sweep in sweeps] == ["sweep_1", "sweep_2", "sweep_10"]
    np.testing.assert_allclose(sweeps[0].values, trace(AMPLITUDES[0]), atol=1e-9)
    np.testing.assert_allclose([sweep.stimulus[0] for sweep in sweeps], [1, 2, 10])
    assert sweeps[0].unit == "mV" and sweeps[0].step == pytest.approx(0.1)


def test_evoked_amplitudes_are_single_trials(written):
    data = evoked_amplitudes(read_sweeps(written), STIMULI)
    np.testing.assert_allclose(data.values, AMPLITUDES, rtol=1e-3)
    assert data.clamp == "current-clamp" and data.sem is None and data.unit == "mV"
    np.testing.assert_allclose(data.protocols[0].pre, STIMULI)


def test_downward_responses_keep_their_sign(written):
    sweeps = [sweep._replace(values=-sweep.values) for sweep in read_sweeps(written)]
    np.testing.assert_allclose(evoked_amplitudes(sweeps, STIMULI).values, -AMPLITUDES, rtol=1e-3)


def test_units_and_intervals_are_in_ms(written):
    units = read_units(written)
    assert units.ids == (7,)
    np.testing.assert_allclose(units.times[0], [500, 1500])
    assert read_intervals(written) == [(0.0, 2000.0, ("sleep",))]


def test_one_refusal_per_mistake(written, tmp_path):
    sweeps = read_sweeps(written)
    mixed = [sweeps[0], sweeps[1]._replace(clamp="voltage-clamp", unit="pA")]
    for call, words in [
        (lambda: evoked_amplitudes(mixed, STIMULI), "one clamp mode"),
        (lambda: evoked_amplitudes([], STIMULI), "sweeps = '0 with"),
        (lambda: evoked_amplitudes([sweeps[0], sweeps[1]._replace(step=0.2)], STIMULI), "one sampling interval"),
        (lambda: evoked_amplitudes(sweeps, STIMULI, (0.5, 0.52)), "window.*one sample of 0.1 ms"),
        (lambda: evoked_amplitudes(sweeps, STIMULI, baseline=0.01), "widen window or baseline"),
        (lambda: evoked_amplitudes(sweeps, (70.0, 20.0)), "ascending"),
        (lambda: evoked_amplitudes(sweeps, (0.5,)), "within sweep_1"),
        (lambda: evoked_amplitudes(sweeps, STIMULI, (0, 60)), "within the interval of 50 ms"),
        (lambda: read_intervals(written, "trials"), "intervals = 'trials'.*epochs"),
        (lambda: read_sweeps(tmp_path / "none.nwb"), "check the path"),
    ]:
        with pytest.raises(InputError, match=words):
            call()
    text = tmp_path / "text.nwb"
    text.write_text("no")
    with pytest.raises(InputError, match="an NWB 2 file"):
        read_sweeps(text)


@pytest.mark.skipif(not (DATA / "nwb_icephys").is_dir(), reason="recordings are not there")
def test_files_of_others_are_read():
    step = read_sweeps(DATA / "nwb_icephys" / "99111002.nwb")
    assert [sweep.name for sweep in step][:2] == ["ic__Step__1", "ic__Step__2"] and len(step) == 16
    assert all(sweep.values.size == 7168 and np.abs(sweep.values).max() < 200 for sweep in step)
    assert step[-1].stimulus is not None and 0 < np.abs(step[-1].stimulus).max() < 2000
    clamp = read_sweeps(DATA / "nwb_icephys" / "LantyerEtAl2018_171220_NC_156_ST100_C.nwb")
    assert {(sweep.clamp, sweep.unit, round(sweep.step, 6)) for sweep in clamp} == {("voltage-clamp", "pA", 0.02)}
    units = DATA / "nwb_units" / "A8604-211122.nwb"
    assert [times.size for times in read_units(units).times] == [11020, 4690, 5644]
    assert read_intervals(units) == [(0.0, pytest.approx(1087528.9), ("wake",))]
    with pytest.raises(InputError, match="patch-clamp"):
        read_sweeps(units)
