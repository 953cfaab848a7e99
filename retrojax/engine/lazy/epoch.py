"""Starting the step counter anew, so that 32 bits hold any length of run.

Time is (epoch, step), both int32: `Times.epoch` steps make an epoch, and the present is epoch x Times.epoch + step. All
stamps of a state count from the start of the present epoch and may be negative. Only differences of stamps are used,
and the present modulo the rings, which an epoch holds a whole number of times; so a turn changes no result.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Int

from retrojax.engine.lazy.state import LONG_AGO, LazyState, Times
from retrojax.errors import InputError

LONGEST_CHUNK = -LONG_AGO
"""Steps of one compiled call at most: what the counter can pass the end of an epoch by."""


def needs_turn(step: int, times: Times, ticks: int) -> bool:
    """Whether the counter, at `step`, must start anew before a chunk of `ticks` ticks.

    The host asks before every chunk. A turn is due once an epoch is over; a chunk may run past that end, since stamps
    reach back at most -`LONG_AGO` steps and differences of stamps stay below 2^31.

    **Raises** `InputError` for a chunk that alone could leave int32.
    """
    length = ticks * times.block * times.blocks
    if length > LONGEST_CHUNK:
        raise InputError("chunk", f"{ticks} ticks of {times.block * times.blocks} steps",
                         f"at most {LONGEST_CHUNK} steps", "record more often, or take longer neuron steps")
    return step >= times.epoch


@eqx.filter_jit(donate="all")
def turn_epoch(state: LazyState, times: Times) -> LazyState:
    """The same state, counted from one epoch later. The memory of `state` is given away: do not use it again.

    A stamp before `LONG_AGO` becomes `LONG_AGO`, and the traces of an axon that last spiked before it become 0: they
    have decayed below the smallest float for any time constant below 2^29 / 104 steps (8 minutes at 0.1 ms).
    """
    later = lambda stamp: jnp.maximum(stamp - times.epoch, LONG_AGO)  # noqa: E731
    forgotten = state.arrived - times.epoch < LONG_AGO
    return eqx.tree_at(
        lambda s: (s.step, s.epoch, s.touched, s.arrived, s.pre, s.arrivals, s.ring, s.synced), state,
        (state.step - times.epoch, state.epoch + 1, later(state.touched), later(state.arrived),
         jnp.where(forgotten, 0.0, state.pre), _later_arrivals(state.arrivals, later), later(state.ring),
         later(state.synced)))


def _later_arrivals(arrivals: Int[Array, "A F1"], later) -> Int[Array, "A F1"]:
    """Stamps one epoch later; their number, which says where the next one goes, reduced so that it never runs over."""
    size = arrivals.shape[1] - 1
    if not size:
        return arrivals
    total = arrivals[:, 0]
    return later(arrivals).at[:, 0].set(jnp.where(total >= size, size + total % size, total))
