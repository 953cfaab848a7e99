"""Bytes of every array of a network on the lazy schedule, known before any of them is made."""

from collections.abc import Sequence

import numpy as np

from retrojax.engine.assemble import Wiring
from retrojax.engine.lazy.assemble import DEFAULT, Options, plan_capacity
from retrojax.engine.lazy.layout import plan_layout
from retrojax.engine.lazy.replay import post_taus, pre_taus
from retrojax.engine.lazy.state import Capacity, Times, record_type
from retrojax.engine.lazy.wiring import owned_blocks
from retrojax.engine.rows import Synapse

NEURON_VARIABLES = 6
"""State variables of a membrane, at most, in the catalogue."""


def estimate(
    synapse: Synapse, dt: float, wiring: Wiring, times: Times, voxels: int, near_steps: Sequence[int],
    options: Options = DEFAULT, number: int = 4,
) -> dict[str, int]:
    """Bytes by array, largest first within a kind; those of synapses grow with their number, padding included.

    **Arguments**

    - `synapse`: the kind of synapse. `dt`: neuron step [ms]. `wiring`: all synapses.
    - `voxels`: of the grid; 0 without messengers. `near_steps`: as in `Space`; empty without the own-spine term.
    - `number`: bytes of a float.
    """
    layout, axons, messengers = plan_layout(synapse), wiring.neurons + wiring.sources, len(times.every)
    devices = options.devices
    owned = _owned(wiring.pre, wiring.post, axons, options, options.spare)
    fixed = _owned(wiring.fixed_pre, wiring.fixed_post, axons, options, 0)
    most = [one.max(axis=0) for one in (owned, fixed)]
    capacity = plan_capacity(synapse, dt, times, most if wiring.fixed_pre.size else most[:1], options)
    slots, fixed_slots = (devices * max(int(one.sum(axis=1).max()), 1) * options.slot for one in (owned, fixed))
    fixed_slots *= wiring.fixed_pre.size > 0
    return {
        "synapse rows": number * len(layout.kept) * slots,
        "synapse leaves of field steps": number * len(layout.calm) * slots,
        "synapse targets and index": 8 * slots + 4 * slots // options.slot + devices * 4 * wiring.ids.size,
        "synapse marks": slots * (1 + len(layout.sparse)),
        "synapse delays": _delay_bytes(wiring.delay) * slots,
        "synapse weights": devices * number * wiring.weight.size if wiring.weight.ndim else 0,
        "synapse voxels": 4 * slots * (3 if near_steps else 1) * (messengers > 0),
        "release history": number * slots * sum(near_steps),
        "fixed synapses": (fixed_slots * (8 + _delay_bytes(wiring.fixed_delay))
                           + devices * number * wiring.fixed_weight.size),
        "axons": devices * axons * (4 * (4 + capacity.landings + times.history) + number * len(pre_taus(synapse))),
        "neurons": wiring.neurons * (
            capacity.ring * (4 + number * len(layout.post_read))
            + number * (NEURON_VARIABLES + len(post_taus(synapse)))),
        "input under way": 4 * times.ahead * times.block * 2 * wiring.neurons,
        "messenger fields": devices * (number * messengers + 4) * voxels,
        "spike record of a chunk": record_type(times.block).itemsize * times.chunk * times.blocks * wiring.neurons,
        "fixed synapses' input in units": 4 * fixed_slots if wiring.fixed_weight.size > 1 else 0,
        "one pass over rows": devices * _pass_bytes(len(layout.kept), capacity, options.slot, number),
    }


def _owned(pre: np.ndarray, post: np.ndarray, axons: int, options: Options, spare: float | int) -> np.ndarray:
    """Blocks that every axon needs, by device."""
    return np.stack([owned_blocks(pre[post % options.devices == part], axons, options.slot, spare)
                     for part in range(options.devices)])


def _delay_bytes(delay: np.ndarray) -> int:
    """Bytes per synapse; none where all delays are the same."""
    if delay.size == 0 or (delay == delay[0]).all():
        return 0
    return 1 if delay.max() < 256 else 4


def _pass_bytes(channels: int, capacity: Capacity, slot: int, number: int) -> int:
    """Rows of a pass twice, and the events of their synapses."""
    return capacity.blocks * slot * (2 * number * channels + 4 * (capacity.ring + capacity.landings + 6))
