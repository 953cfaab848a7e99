"""What a run will hold in memory, known before anything is allocated."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp

from retrojax.engine.assemble import Wiring
from retrojax.engine.lazy.assemble import DEFAULT
from retrojax.engine.lazy.sizes import estimate
from retrojax.engine.lazy.state import Times
from retrojax.engine.model import Clocks
from retrojax.engine.rows import Synapse, channels
from retrojax.errors import InputError
from retrojax.space import Grid


class Sizes(NamedTuple):
    """Bytes of every large array, and the names of those that grow with the number of plastic synapses."""

    arrays: dict[str, int]
    synaptic: frozenset[str]

    @property
    def total(self) -> int:
        """All of it."""
        return sum(self.arrays.values())

    @property
    def per_synapse(self) -> int:
        """Bytes of the arrays that grow with the number of plastic synapses."""
        return sum(self.arrays[name] for name in self.synaptic)


def lazy_sizes(
    synapse: Synapse, dt: float, wiring: Wiring, times: Times, voxels: int, near_steps: Sequence[int], devices: int = 1
) -> Sizes:
    """Bytes on the lazy schedule, on all devices together."""
    options = DEFAULT._replace(devices=devices)
    arrays = estimate(synapse, dt, wiring, times, voxels, near_steps, options, number=_float_bytes())
    arrays["copy of the rows when results are written"] = arrays["synapse rows"] + arrays["synapse marks"]
    growing = [name for name in arrays if name.startswith(("synapse", "release", "copy"))]
    return Sizes(arrays, frozenset(growing))


def with_tissue(sizes: Sizes, grid: Grid, maps: int, sites: int, flows: int) -> Sizes:
    """`sizes` with what else there is per voxel: `maps`, messengers on maps of the medium; `sites`, kinds of binding
    sites of all messengers; `flows`, flows of the fluid."""
    number, faces = _float_bytes(), grid.n_voxels * sum(1 + 1 / n for n in grid.shape)
    more = {"maps of the medium": 3 * maps * number * grid.n_voxels,
            "bound amounts": 2 * sites * number * grid.n_voxels,
            "flow": round(flows * number * faces)}
    return sizes._replace(arrays=sizes.arrays | {name: size for name, size in more.items() if size})


def clocked_sizes(
    synapse: Synapse, wiring: Wiring, grid: Grid, clocks: Clocks, near_steps: Sequence[int]
) -> Sizes:
    """Bytes on the clocked schedule; rows are held twice while a step writes them."""
    number = _float_bytes()
    synapses, fixed, messengers = wiring.ids.size, wiring.fixed_pre.size, len(clocks.every)
    arrays = {
        "synapse rows": 2 * number * len(channels(synapse)) * synapses,
        "synapse wiring": 4 * (12 * synapses + 4 * fixed),
        "release history": number * synapses * sum(near_steps),
        "messenger fields": 8 * number * grid.n_voxels * messengers,
        "propagators": 3 * number * messengers * sum(count * count for count in grid.shape),
        "voxel index": 3 * 4 * grid.n_voxels,
        "spike record of a chunk": clocks.chunk * clocks.steps * wiring.neurons,
    }
    return Sizes(arrays, frozenset(["synapse rows", "synapse wiring", "release history"]))


def with_pairs(sizes: Sizes, pairs: int, near_steps: Sequence[int]) -> Sizes:
    """The same with `pairs` close neighbours: the list, and a kernel per messenger while a chunk runs."""
    more = {"synapse pairs": (12 + _float_bytes()) * pairs,
            "kernels of pairs": 2 * _float_bytes() * pairs * sum(near_steps)}
    return Sizes(sizes.arrays | more, sizes.synaptic | set(more))


def with_direct(sizes: Sizes, messengers: int, near_steps: Sequence[int]) -> Sizes:
    """The same where that many messengers have a direct way to their own bouton: as large as a step of the history."""
    if not messengers:
        return sizes
    more = {"synapse direct ways": sizes.arrays["release history"] // sum(near_steps) * messengers}
    return Sizes(sizes.arrays | more, sizes.synaptic | set(more))


def _float_bytes() -> int:
    """Bytes of a float: 4, or 8 where JAX runs in double precision."""
    return jnp.result_type(float).itemsize


def available() -> int:
    """Bytes of memory that can be had now, as the system says; the machine's own if it does not say."""
    status = Path("/proc/meminfo")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def fitting(sizes: Sizes, synapses: int, room: int) -> int:
    """How many plastic synapses of this kind would fit into `room` bytes, all else being equal."""
    left = room - (sizes.total - sizes.per_synapse)
    return max(0, int(left * synapses / max(sizes.per_synapse, 1)))


def check_memory(sizes: Sizes, synapses: int, file: Path | None = None) -> None:
    """Refuse a run that cannot fit.

    **Raises** `InputError` naming the largest array and what would fit.
    """
    room = available()
    if sizes.total > room:
        largest = max(sizes.arrays, key=lambda name: sizes.arrays[name])
        raise InputError(
            "memory", f"{sizes.total / 1e9:.3g} GB, most of it {largest} ({sizes.arrays[largest] / 1e9:.3g} GB)",
            f"up to {room / 1e9:.3g} GB on this machine",
            f"with everything else as it is, {fitting(sizes, synapses, room):,} of the {synapses:,} plastic synapses "
            "would fit; larger voxels (grid.spacing) or a smaller box make room", file)
