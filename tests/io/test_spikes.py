"""SONATA spikes: the shipped file in the old layout, the current layout, and every error."""

import h5py
import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.io.spikes import Spikes, check_ids, load_spikes

RECURRENT, SPIKES = "network/internal_internal_edges.h5", "inputs/external_spike_trains.h5"


def test_old_layout_spikes(circuit, quickstart):
    spikes = load_spikes(quickstart / SPIKES)
    assert spikes.population is None and spikes.ids.size == 4334
    assert np.sum(spikes.times_ms <= 1500.0) == 2126
    assert np.all(np.diff(spikes.times_ms) >= 0)
    with h5py.File(quickstart / SPIKES) as file:
        pairs = sorted(zip(file["spikes/timestamps"][:], file["spikes/gids"][:], strict=True))
    assert pairs == list(zip(spikes.times_ms, spikes.ids, strict=True))
    check_ids(spikes, circuit.nodes["external"])


def write_spikes(path, populations):
    with h5py.File(path, "w") as file:
        for name, (ids, times, units) in populations.items():
            group = file.create_group(f"spikes/{name}")
            group["node_ids"] = np.array(ids, dtype=np.uint64)
            group["timestamps"] = np.array(times, dtype=np.float64)
            if units:
                group["timestamps"].attrs["units"] = units
    return path


@pytest.mark.parametrize("units, factor", [("ms", 1.0), ("s", 1000.0), (b"ms", 1.0), (None, 1.0)])
def test_current_layout_round_trip(tmp_path, units, factor):
    path = write_spikes(tmp_path / "s.h5", {"cells": ([3, 1, 2, 0], [2.0, 2.0, 0.5, 7.25], units)})
    spikes = load_spikes(path)
    assert spikes.population == "cells"
    assert spikes.ids.tolist() == [2, 1, 3, 0]  # ties in time are ordered by id
    assert spikes.times_ms.tolist() == [factor * t for t in (0.5, 2.0, 2.0, 7.25)]


def test_several_spike_populations(tmp_path):
    path = write_spikes(tmp_path / "s.h5", {"a": ([1], [1.0], "ms"), "b": ([], [], "ms")})
    assert load_spikes(path, "b").ids.size == 0
    for wanted in (None, "c"):
        with pytest.raises(InputError, match=r"\['a', 'b'\]"):
            load_spikes(path, wanted)


@pytest.mark.parametrize("times, message", [
    ([1.0, -0.5], r"/spikes/a/timestamps\[1\] = -0.5.*at least 0"),
    ([np.nan, 1.0], r"/spikes/a/timestamps\[0\] = nan"),
    ([1.0, np.inf], r"/spikes/a/timestamps\[1\] = inf"),
    ([1.0], "/spikes/a/node_ids = '2 values'"),
])
def test_bad_spike_times(tmp_path, times, message):
    with pytest.raises(InputError, match=message):
        load_spikes(write_spikes(tmp_path / "s.h5", {"a": ([0, 1], times, "ms")}))


def test_bad_spike_files(tmp_path, folder):
    with pytest.raises(InputError, match="units = 'minutes'"):
        load_spikes(write_spikes(tmp_path / "s.h5", {"a": ([0], [1.0], "minutes")}))
    with pytest.raises(InputError, match="existing HDF5 file"):
        load_spikes(tmp_path / "nowhere.h5")
    with pytest.raises(InputError, match="/spikes = 'missing'"):
        load_spikes(folder / RECURRENT)
    with h5py.File(folder / SPIKES, "a") as file:
        del file["spikes/gids"]
    with pytest.raises(InputError, match="/spikes/gids = 'missing'"):
        load_spikes(folder / SPIKES)


def test_check_ids(circuit):
    nodes = circuit.nodes["external"]
    with pytest.raises(InputError, match=r"spikes.ids\[1\] = 100 "):
        check_ids(Spikes("external", np.array([99, 100]), np.array([1.0, 2.0])), nodes)
    with pytest.raises(InputError, match="spikes.population = 'internal'"):
        check_ids(Spikes("internal", np.array([99]), np.array([1.0])), nodes)
