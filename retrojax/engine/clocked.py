"""The clocked schedule for a handful of synapses: every row, every dt. The reference that the others must match."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool

from retrojax.engine.kernel import touch
from retrojax.engine.rows import Synapse, SynapseState, pack, unpack
from retrojax.errors import InputError
from retrojax.numerics import Draws
from retrojax.types import Scalar


def raster(times_ms: Any, end_ms: float | int, dt: float | int) -> Bool[np.ndarray, " T"]:
    """Spikes on the grid of a clocked run; step k ends at (k + 1) dt.

    **Raises** `InputError` if two spikes fall into one step, which a clocked run would merge.
    """
    steps = np.rint(np.atleast_1d(np.asarray(times_ms, np.float64)) / dt).astype(np.int64)
    if np.unique(steps).size != steps.size:
        raise InputError("dt", dt, "a step that separates all spikes", "use a smaller dt")
    fired = np.zeros(int(round(end_ms / dt)) + 1, bool)
    fired[steps] = True
    return fired


def run_clocked(
    synapse: Synapse,
    state: SynapseState,
    pre: Bool[Array, " T"],
    post: Bool[Array, " T"],
    dt: Scalar,
    draws: Draws,
    observe: Callable[[SynapseState, Array], Any] | None = None,
) -> tuple[SynapseState, Any]:
    """Run one pre/post pair step by step; entry k of the rasters is the instant k dt.

    **Arguments**

    - `pre`, `post`: spikes on the grid (`raster`).
    - `dt`: step [ms]. The calcium delay is rounded to whole steps: first order in dt, exact where dt divides it.
    - the rest as in `run_events`.
    """
    steps = jnp.rint(synapse.spine.delay / dt).astype(jnp.int32)
    source = jnp.arange(pre.size) - steps
    landed = jnp.where(source >= 0, pre[jnp.maximum(source, 0)], False)
    elapsed = jnp.full(pre.shape, dt).at[0].set(0.0)

    def body(rows, entry):
        gap, spikes = entry
        rows, transmitted = touch(synapse, rows, gap, spikes, draws)
        return rows, None if observe is None else observe(unpack(synapse, rows), transmitted)

    rows, seen = jax.lax.scan(body, pack(state), (elapsed, (landed, pre, post)))
    return unpack(synapse, rows), seen
