"""A small real run: the quickstart's circuit, coarse voxels, half a second."""

from pathlib import Path

import pytest

from retrojax.io.config import load_config

CONFIG = Path(__file__).parents[2] / "configs" / "quickstart.yaml"
SMALL = ["network.schedule=clocked", "duration=400 ms", "grid.spacing=16 um", "record.every=100 ms", "slow_step=100 ms",
         "checkpoint.every=0.1 s", "synapse.rules.1.eta_NO=0.01 1/ms"]


@pytest.fixture(scope="session")
def config_file():
    """The shipped quickstart."""
    return CONFIG


@pytest.fixture(scope="session")
def small_config():
    """The quickstart cut down to a test's size."""
    return load_config(CONFIG, SMALL)


@pytest.fixture(scope="session")
def small_flags():
    """The same, as command-line options."""
    return [flag for text in SMALL for flag in ("--set", text)]
