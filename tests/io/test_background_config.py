"""A background named in a config reaches every neuron, on both schedules alike."""

from pathlib import Path

import numpy as np
import pytest

from retrojax.errors import InputError
from retrojax.io.build import build
from retrojax.io.config import load_config

FILE = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
KEYS = ["grid.spacing=16 um", "duration=400 ms"]
OUTSIDE = ["drive.background.rate=1 1/ms", "drive.background.amplitude=40 pA"]


def _spikes(*keys: str) -> tuple[np.ndarray, np.ndarray]:
    simulation = build(load_config(FILE, [*KEYS, *keys]), FILE)
    _, record = simulation.schedule.run(simulation.model, simulation.tissue, simulation.state, 20)
    return simulation.schedule.spikes(record, 20)


def test_background_drives_the_network_and_both_schedules_agree():
    quiet, driven = _spikes(), _spikes(*OUTSIDE)
    assert driven[0].size > 1.2 * quiet[0].size
    clocked = _spikes(*OUTSIDE, "network.schedule=clocked")
    assert all(np.array_equal(a, b) for a, b in zip(driven, clocked, strict=True))


def test_a_negative_rate_is_refused_by_name():
    with pytest.raises(InputError, match="drive.background.rate"):
        load_config(FILE, [OUTSIDE[1], "drive.background.rate=-1 1/ms"])
