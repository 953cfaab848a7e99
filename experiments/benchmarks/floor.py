"""The least time that a run's memory traffic could take on this machine, from measured bandwidths.

Rows: every event reads and writes one synapse's share of a row, in rows that lie anywhere in memory (an array that
fits a cache is faster to reach; `row_bytes_per_s_here` says by how much). Field: at every field step each voxel is
read and written once, and each synapse reads its voxel's number and level and reads and writes its factor on release.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

REPEATS = 4
FIELD_BYTES = 16
"""Bytes per synapse and field step."""

MEMORY = 2**29
"""Array that bandwidths are measured on [bytes]: it fits no cache."""


class Bandwidth(NamedTuple):
    """`rows`: reading and writing random rows; `copy`: reading and writing in order [bytes/s]."""

    rows: float
    copy: float


def measure(row_bytes: int, total_bytes: int = MEMORY) -> Bandwidth:
    """Bandwidths for an array of `total_bytes` in rows of `row_bytes`: the best of several passes over all rows."""
    width = max(round(row_bytes / 4), 1)
    count = max(total_bytes // (4 * width), 1)
    order = np.random.default_rng(0).permutation(count)
    moved = 2 * 4 * width * count
    walls = [least(_by_jax(count, width, order))]
    if jax.default_backend() == "cpu":
        walls += [least(run) for run in _by_numba(count, width, order)]
    return Bandwidth(moved / min(walls), moved / least(_in_order(count * width)))


def least(run: Callable[[], object]) -> float:
    """Shortest of several calls [s]; the first compiles."""
    walls = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        run()
        walls.append(time.perf_counter() - start)
    return min(walls[1:])


def _by_jax(count: int, width: int, order: np.ndarray) -> Callable[[], object]:
    """Gathers all rows in random order and writes them back where they came from."""
    place = jnp.asarray(order, jnp.int32)
    step = jax.jit(lambda rows: rows.at[place].set(rows[place] + 1, unique_indices=True), donate_argnums=0)
    held = [jnp.zeros((count, width), jnp.float32)]

    def run():
        held[0] = jax.block_until_ready(step(held[0]))

    return run


def _by_numba(count: int, width: int, order: np.ndarray) -> list[Callable[[], object]]:
    """The same in place, with one thread and with all; empty where Numba is missing."""
    try:
        import numba
    except ImportError:
        return []

    def touch(rows, order):
        for k in numba.prange(order.size):
            row = rows[order[k]]
            for c in range(row.size):
                row[c] += np.float32(1)

    rows = np.zeros((count, width), np.float32)
    loops = [numba.njit(parallel=parallel, fastmath=True)(touch) for parallel in (False, True)]
    return [lambda loop=loop: loop(rows, order) for loop in loops]


def _in_order(count: int) -> Callable[[], object]:
    step = jax.jit(lambda values: values + 1, donate_argnums=0)
    held = [jnp.zeros(count, jnp.float32)]

    def run():
        held[0] = jax.block_until_ready(step(held[0]))

    return run


def seconds(
    bandwidth: Bandwidth, events: int, bytes_each: float, field_steps: int, voxels: int, synapses: int
) -> float:
    """The floor [s] of a run with that many `events` of `bytes_each` in the rows."""
    rows = events * 2 * bytes_each / bandwidth.rows
    return rows + field_steps * (2 * 4 * voxels + FIELD_BYTES * synapses) / bandwidth.copy
