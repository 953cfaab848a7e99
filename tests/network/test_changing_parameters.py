"""A parameter that changes in mid-run acts from its tick on, on the lazy schedule as on the clocked one."""

import numpy as np

from retrojax.engine.driver import drive_chunks
from retrojax.io.build import build
from retrojax.io.config import load_config

PULSE = "interventions=[{target: rules.graupner_brunel.gamma_d, multiply: 200, start: 200 ms}]"


def _weights(config_file, schedule: str) -> np.ndarray:
    # no messenger, whose field steps would bring everything up to date anyway
    keys = ["messengers={}", "synapse.rules=[{model: graupner_brunel, preset: cortical_slices}]", "slow_step=100 ms",
            "grid.spacing=16 um", "duration=400 ms", PULSE,
            f"network.schedule={schedule}"]
    simulation = build(load_config(config_file, keys), config_file)
    state = drive_chunks(simulation.schedule, simulation.model_at, simulation.tissue, simulation.state, simulation.end,
                         simulation.patches.edges, [], lambda chunk: None)
    return simulation.schedule.strengths(simulation.model_at(simulation.end), simulation.tissue, state).weight


def test_no_synapse_flows_under_values_that_were_not_yet_in_force(config_file):
    lazy, clocked = _weights(config_file, "lazy"), _weights(config_file, "clocked")
    np.testing.assert_allclose(lazy, clocked, rtol=1e-4)
    assert np.ptp(clocked) > 1
