"""What a run will hold in memory, estimated before anything is allocated."""

import os
from pathlib import Path

from retrojax.engine.assemble import Wiring
from retrojax.engine.model import Clocks
from retrojax.errors import InputError
from retrojax.io.schema import RunConfig
from retrojax.space import Grid

BYTES = 4
CHANNELS_PER_PART = 5
"""Upper bound of the state variables of one part of the catalogue."""


def estimate(
    config: RunConfig, wiring: Wiring, grid: Grid, clocks: Clocks, near_steps: tuple[int, ...], rules: int
) -> dict[str, int]:
    """Bytes of every large array, in float32.

    - `rules`: number of rules, synthesis included.
    """
    synapses, fixed, messengers = wiring.ids.size, wiring.fixed_pre.size, len(clocks.every)
    voxels = 1
    for count in grid.shape:
        voxels *= count
    axes = sum(count * count for count in grid.shape)
    return {
        "synapse rows": 2 * BYTES * CHANNELS_PER_PART * (rules + 3) * synapses,
        "synapse wiring": BYTES * (12 * synapses + 4 * fixed),
        "release history": BYTES * synapses * sum(near_steps),
        "messenger fields": 8 * BYTES * voxels * messengers,
        "propagators": BYTES * messengers * axes,
        "voxel index": 3 * BYTES * voxels,
        "spike record of a chunk": clocks.chunk * clocks.steps * wiring.neurons,
    }


def available() -> int:
    """Bytes of memory that can be had now, as the system says; the machine's own if it does not say."""
    status = Path("/proc/meminfo")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def check_memory(sizes: dict[str, int], file: Path | None = None) -> None:
    """Refuse a run that cannot fit.

    **Raises** `InputError` naming the largest array and what would fit.
    """
    total, room = sum(sizes.values()), available()
    if total > room:
        largest = max(sizes, key=lambda name: sizes[name])
        raise InputError("memory", f"{total / 1e9:.3g} GB, most of it {largest} ({sizes[largest] / 1e9:.3g} GB)",
                         f"up to {room / 1e9:.3g} GB on this machine",
                         "use larger voxels (grid.spacing), a smaller box or fewer plastic synapses", file)
