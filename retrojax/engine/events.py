"""The events schedule: a handful of synapses, touched only at spikes.

Sixty pairings are 180 kernel calls instead of 600,000 time steps. The table of spikes is data, so `jax.vmap` runs many
protocols and many parameter samples at once; protocols of different length are padded with entries at which nothing
happens.

Times are a whole number of ms (int32: 24 days) and a fraction, so a 0.1 ms difference at the end of an hour is as exact
in float32 as at its start, and coincident spikes compare equal.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from retrojax.engine.kernel import touch
from retrojax.engine.rows import Synapse, SynapseState, pack, unpack
from retrojax.errors import InputError
from retrojax.numerics import Draws, scan_in_stretches

LONGEST_MS = 2**31 - 1


class SpikeTable(eqx.Module):
    """Spikes of one pre/post pair, sorted, one entry per distinct time.

    **Arguments**

    - `whole`, `fraction`: time of the entry, whole ms and the rest [ms].
    - `pre`, `post`: what spikes then; an entry with neither only lets time pass.
    - `pre_entry`: entry of every presynaptic spike; -1 pads.
    """

    whole: Int[Array, "*B E"]
    fraction: Float[Array, "*B E"]
    pre: Bool[Array, "*B E"]
    post: Bool[Array, "*B E"]
    pre_entry: Int[Array, "*B K"]


def spike_table(pre_ms: Any, post_ms: Any, end_ms: float | int, entries: int | None = None, spikes: int | None = None,
                ticks_ms: Any = ()):
    """The table of one protocol.

    Times are compared after rounding to whole microseconds, so that spikes meant to coincide do.

    **Arguments**

    - `pre_ms`, `post_ms`: spike times, in any order [ms].
    - `end_ms`: when the run ends, at or after the last spike [ms].
    - `entries`, `spikes`: pad to this many entries and presynaptic spikes, for `stack_tables`.
    - `ticks_ms`: further instants, before the end, at which nothing but time happens [ms].

    **Raises** `InputError` for a time that is negative, not finite, or after the end.
    """
    pre, post, end = _micros(pre_ms, "pre_ms"), _micros(post_ms, "post_ms"), _micros([end_ms], "end_ms")
    times = np.unique(np.concatenate([pre, post, end, _micros(ticks_ms, "ticks_ms")]))
    if times[-1] > end[0] or end[0] >= LONGEST_MS * 1000:
        raise InputError("end_ms", end_ms, f"from the last spike ({times[-1] / 1000} ms) to {LONGEST_MS} ms",
                         "set end_ms at or after the last spike")
    pad = 0 if entries is None else entries - times.size
    times = np.concatenate([times, np.full(pad, times[-1])])
    fired = [np.isin(times, spikes_us) & (np.arange(times.size) < times.size - pad) for spikes_us in (pre, post)]
    places = np.flatnonzero(fired[0])
    places = np.concatenate([places, np.full((spikes or places.size) - places.size, -1)])
    return SpikeTable(
        jnp.asarray(times // 1000, jnp.int32), jnp.asarray((times % 1000) / 1000.0, float),
        jnp.asarray(fired[0]), jnp.asarray(fired[1]), jnp.asarray(places, jnp.int32),
    )


def stack_tables(protocols: list[tuple[Any, Any, float]], ticks: list[Any] | None = None) -> SpikeTable:
    """Tables of many protocols (pre_ms, post_ms, end_ms), padded to one length and stacked along a first axis.

    `ticks`: `ticks_ms` of each protocol; none by default.
    """
    ticks = [()] * len(protocols) if ticks is None else ticks
    pairs = list(zip(protocols, ticks, strict=True))
    single = [spike_table(*protocol, ticks_ms=extra) for protocol, extra in pairs]
    entries = max(table.whole.size for table in single)
    spikes = max(table.pre_entry.size for table in single)
    padded = [spike_table(*protocol, entries=entries, spikes=spikes, ticks_ms=extra) for protocol, extra in pairs]
    return jax.tree.map(lambda *leaves: jnp.stack(leaves), *padded)


def run_events(
    synapse: Synapse,
    state: SynapseState,
    table: SpikeTable,
    draws: Draws,
    observe: Callable[[SynapseState, Array], Any] | None = None,
    stretch: int | None = None,
) -> tuple[SynapseState, Any]:
    """Run one protocol, touching the synapse only at its spikes and when their calcium lands.

    **Arguments**

    - `synapse`, `state`: the synapse and where it starts; any row shape.
    - `table`: the protocol.
    - `draws`: random numbers of the rows.
    - `observe`: called after every entry with the state and what was transmitted; its results are stacked along a first
      axis of 2 x entries at most. None records nothing.
    - `stretch`: entries between the states that a reverse-mode gradient keeps (static); None keeps everything. Nothing
      is recorded then.

    **Returns** the final state, and what `observe` gave.

    Differentiable in every parameter, the calcium delay included (its landings are sorted into the table inside).
    """
    def body(rows, entry):
        gap, spikes = entry
        rows, transmitted = touch(synapse, rows, gap, spikes, draws)
        return rows, None if observe is None else observe(unpack(synapse, rows), transmitted)

    delay = synapse.spine.delay
    if stretch is None:
        rows, seen = jax.lax.scan(body, pack(state), with_landings(table, delay))
        return unpack(synapse, rows), seen
    rows = scan_in_stretches(body, pack(state), lambda place: next_instants(table, delay, place, stretch),
                             Place.start(table), instants(table), stretch)
    return unpack(synapse, rows), None


class Place(NamedTuple):
    """Where a run stands in its table: entries and landings behind it, and the time reached (whole ms, rest [ms])."""

    entries: Int[Array, ""]
    landings: Int[Array, ""]
    whole: Int[Array, ""]
    fraction: Float[Array, ""]

    @classmethod
    def start(cls, table: SpikeTable) -> "Place":
        """At 0 ms."""
        zero = jnp.zeros((), jnp.int32)
        return cls(zero, zero, zero, jnp.zeros((), table.fraction.dtype))


def instants(table: SpikeTable) -> int:
    """Instants of a run: entries and landings."""
    return table.whole.shape[-1] + table.pre_entry.shape[-1]


def with_landings(table: SpikeTable, delay: Array) -> tuple[Array, tuple[Array, Array, Array]]:
    """Gaps [ms] and (landed, pre, post) flags of the table with the landings of presynaptic calcium sorted in."""
    return next_instants(table, delay, Place.start(table), instants(table))[0]


def next_instants(
    table: SpikeTable, delay: Array, place: Place, count: int
) -> tuple[tuple[Array, tuple[Array, Array, Array]], Place]:
    """Gaps [ms] and (landed, pre, post) flags of the next `count` instants, and where the run stands after them.

    Entries and landings of presynaptic calcium (`delay` [ms] after their spike) are each in order already, so the next
    `count` of either hold the next `count` of both. A landing that ties with a spike sorts first: it is due before the
    hooks read. Past the end of the table nothing happens and no time passes.
    """
    end_whole, end_fraction = table.whole[-1], table.fraction[-1]
    number = place.entries + jnp.arange(min(count, table.whole.shape[0]), dtype=jnp.int32)
    some, entry = _within(number, table.whole)
    # an entry past the end repeats the last one, without its spikes
    entries = (table.whole[entry], table.fraction[entry], jnp.where(some, 1, 2), jnp.zeros_like(some),
               some & table.pre[entry], some & table.post[entry])
    number = place.landings + jnp.arange(min(count, table.pre_entry.shape[0]), dtype=jnp.int32)
    some, spike = _within(number, table.pre_entry)
    from_entry = table.pre_entry[spike]
    late = table.fraction[from_entry] + delay
    carry = jnp.floor(jax.lax.stop_gradient(late))
    whole = table.whole[from_entry] + carry.astype(jnp.int32)
    # a landing after the end of the run is not due; it sorts last and does nothing
    due = some & (from_entry >= 0) & ((whole < end_whole) | ((whole == end_whole) & (late - carry <= end_fraction)))
    none = jnp.zeros_like(due)
    landings = (jnp.where(due, whole, end_whole), jnp.where(due, late - carry, end_fraction), jnp.where(due, 0, 2),
                due, none, none)
    both = tuple(jnp.concatenate(pair) for pair in zip(landings, entries, strict=True))
    whole, fraction, kind, landed, pre, post = (x[:count] for x in jax.lax.sort(both, num_keys=3))
    before_whole = jnp.concatenate([place.whole[None], whole[:-1]])
    before = jnp.concatenate([place.fraction[None], fraction[:-1]])
    gaps = (whole - before_whole).astype(fraction.dtype) + (fraction - before)
    after = Place(place.entries + jnp.sum(kind == 1, dtype=jnp.int32),
                  place.landings + jnp.sum(kind == 0, dtype=jnp.int32), whole[-1], fraction[-1])
    return (gaps, (landed, pre, post)), after


def _within(number: Array, column: Array) -> tuple[Array, Array]:
    """Which of these numbers the column has, and the numbers cut to what it has."""
    return number < column.shape[0], jnp.minimum(number, column.shape[0] - 1)


def _micros(times_ms: Any, field: str) -> np.ndarray:
    times = np.atleast_1d(np.asarray(times_ms, np.float64))
    bad = ~np.isfinite(times) | (times < 0)
    if bad.any():
        raise InputError(f"{field}[{int(np.flatnonzero(bad)[0])}]", times[bad][0], "finite times >= 0 ms",
                         "shift the protocol so that it starts at 0 or later")
    return np.rint(times * 1000).astype(np.int64)
