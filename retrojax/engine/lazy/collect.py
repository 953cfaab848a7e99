"""Which synapses have what pending: from spiking axons to their blocks, and a list of synapses with events to replay.

A synapse's pending events are the spikes of its target neuron, and the calcium of earlier spikes of its own axon, that
fell after its rows were last brought up to date. They are read off the neurons' rings, not stored per synapse; a mark
of one byte says how many spikes of its target a synapse has seen.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt8, UInt32

from retrojax import native
from retrojax.engine.lazy.state import Axons, LazyState, LazyTissue
from retrojax.errors import ErrorBit

LANDED, POST = 1, 2
"""Bits of an event: calcium of the own axon lands; the target neuron spikes."""

NEVER = 2**28
"""Steps to an event that is not pending."""


class Moment(NamedTuple):
    """What one pass over pending axons works towards.

    - `start`: step before the block. `sync`: bring axons up to `stop` and no spike; else to their first pending one.
    - `landing`: steps from an axon's spike to its calcium in the spine. `begin`: axon to go on with.
    """

    start: Int[Array, ""]
    stop: Int[Array, ""]
    sync: Bool[Array, ""]
    landing: Int[Array, ""]
    begin: Int[Array, ""]


class Batch(NamedTuple):
    """The blocks of one pass, `b` at most, and those of their synapses that have events.

    Of the blocks, [b]: `block` and its `axon` (one past the last where there is none), `now`, when it is touched,
    `touched`, when it last was, and `quiet`, the axon's spike before. Of their slots: `rows`, channels, [C, b, slot];
    `target` neuron, -1 where there is no synapse; `last`, bits of what falls on `now` itself.

    Of the synapses with events, [n], busiest first or in any order: `lane`, its place among the b x slot; `n_events`,
    how many; `events`, (steps since `touched`) x 4 + bits, in time order, [E, n]; `first`, how many spikes of its
    target are newer than the first pending one. Entries without events do no harm.

    `used`: blocks in this batch. `listed`: length of the list. `left`: blocks that remain; with a sync, possibly just a
    large number. `following`: the axon to go on with.
    """

    block: Int[Array, " b"]
    axon: Int[Array, " b"]
    now: Int[Array, " b"]
    touched: Int[Array, " b"]
    quiet: Int[Array, " b"]
    rows: Float[Array, "C b slot"]
    target: Int[Array, "b slot"]
    last: UInt8[Array, "b slot"]
    lane: Int[Array, " n"]
    n_events: Int[Array, " n"]
    events: Int[Array, "E n"]
    first: Int[Array, " n"]
    used: Int[Array, ""]
    listed: Int[Array, ""]
    left: Int[Array, ""]
    following: Int[Array, ""]


def collect(
    tissue: LazyTissue, state: LazyState, pending: UInt32[Array, " A"], moment: Moment, size: int
) -> tuple[Batch, UInt32[Array, " A"], LazyState]:
    """Blocks of as many pending axons as fit into `size`; what remains pending; and the state with these axons' books
    brought up to date (when they were touched and spiked, and what their synapses have seen), but not their rows."""
    plain = lambda: _collect(tissue, state, pending, moment, size)  # noqa: E731
    if not native.ready():
        return plain()
    return jax.lax.platform_dependent(cpu=lambda: _collect_native(tissue, state, pending, moment, size), default=plain)


def _collect_native(tissue: LazyTissue, state: LazyState, pending: UInt32[Array, " A"], moment: Moment, size: int):
    capacity, axons = tissue.capacity, tissue.plastic
    scalars = jnp.stack([moment.start, moment.stop, moment.sync.astype(jnp.int32), moment.landing, moment.begin])
    *fields, first, sizes, pending, marks, touched, arrived, arrivals = native.collect(
        state.makers, state.cells, axons.first, axons.post, state.ring, state.fired, scalars, pending, state.marks,
        state.touched, state.arrived, state.arrivals, size, capacity.ring + capacity.landings,
        bool(tissue.layout.post_read))
    first = first if first.size else jnp.zeros_like(fields[-2])
    batch = Batch._make([*fields, first, *sizes[:4]])
    return batch, pending, _noted(state, marks, touched, arrived, arrivals, sizes[4] > 0)


def _noted(state: LazyState, marks, touched, arrived, arrivals, lost) -> LazyState:
    errors = state.errors | jnp.where(lost, int(ErrorBit.LANDINGS), 0)
    return eqx.tree_at(lambda s: (s.marks, s.touched, s.arrived, s.arrivals, s.errors), state,
                       (marks, touched, arrived, arrivals, errors))


def waiting_blocks(axons: Axons, pending: UInt32[Array, " A"]) -> Int[Array, ""]:
    """Blocks of pending axons."""
    return jnp.sum(jnp.where(pending != 0, axons.first[1:] - axons.first[:-1], 0), dtype=jnp.int32)


def _collect(tissue: LazyTissue, state: LazyState, pending: UInt32[Array, " A"], moment: Moment, size: int):
    axons, count = tissue.plastic, state.touched.size
    owns = axons.first[1:] > axons.first[:-1]
    behind = jnp.where(state.touched < moment.stop, jnp.uint32(1), jnp.uint32(0))
    asked = jnp.where(owns, jnp.where(moment.sync, behind, pending), 0)
    block, axon, now, used, rest = choose(axons, size, asked, moment)
    known = jnp.minimum(axon, count - 1)
    touched, quiet = state.touched[known], state.arrived[known]
    target = jnp.where((axon < count)[:, None], axons.post[block], -1)
    neuron = jnp.maximum(target, 0)
    lands = landings(state.arrivals, known, touched, moment)
    # a target's word holds how many spikes it has fired (top byte) and in which steps of this block (a bit each)
    word = state.fired[neuron]
    step = jnp.where(moment.sync, 24, now - moment.start).astype(jnp.uint32)
    later = jax.lax.population_count((word & 0xFFFFFF) >> step[:, None])
    total = (word >> 24).astype(jnp.uint8)
    newer = jnp.where(target >= 0, (total - state.marks[block]).astype(jnp.int32), 0)
    events = merge(state.ring, lands, touched, target, newer, now - touched + moment.sync)
    place = jnp.where(axon < count, block, axons.post.shape[0])
    marks = state.marks.at[place].set(total - later.astype(jnp.uint8), mode="drop")
    # an axon counts once: by its first block
    arrives = jnp.where(moment.sync | (block != axons.first[known]), count, axon)
    arrivals, lost = _arrive(state.arrivals, arrives, now, moment)
    state = _noted(state, marks, state.touched.at[axon].set(now, mode="drop"),
                   state.arrived.at[arrives].set(now, mode="drop"), arrivals, lost)
    counted, words, last, first = events
    lane = jnp.arange(target.size, dtype=jnp.int32)
    # rows first and then their channels: a channel of all rows would be a copy of it
    rows = jnp.concatenate([state.makers[block], state.cells[block]], axis=1)
    batch = Batch(block, axon, now, touched, quiet, jnp.moveaxis(rows, 1, 0), target,
                  jnp.where(moment.sync, 0, last).astype(jnp.uint8), lane, counted.ravel(),
                  words.reshape(-1, target.size), first.ravel(), used, jnp.asarray(target.size, jnp.int32),
                  waiting_blocks(axons, rest), jnp.zeros((), jnp.int32))
    return batch, jnp.where(moment.sync, pending, rest), state


def choose(axons: Axons, blocks: int, pending: UInt32[Array, " A"], moment: Moment):
    """The first pending axons whose blocks fit into so many.

    **Returns** of every block: which it is, its axon (one past the last where there is none), when it is touched; then
    how many there are, and what remains pending.
    """
    size = pending.size
    axon = jnp.nonzero(pending, size=min(blocks, size), fill_value=size)[0].astype(jnp.int32)
    safe = jnp.minimum(axon, size - 1)
    owned = jnp.where(axon < size, axons.first[safe + 1] - axons.first[safe], 0)
    stop = jnp.cumsum(owned, dtype=jnp.int32)
    fits = (axon < size) & (stop <= blocks)
    bits = pending[safe]
    lowest = bits & -bits
    step = jax.lax.population_count(lowest - 1).astype(jnp.int32)
    now = jnp.where(moment.sync, moment.stop, moment.start + 1 + step)
    left = jnp.where(moment.sync, jnp.uint32(0), bits & ~lowest)
    pending = pending.at[jnp.where(fits, axon, size)].set(left, mode="drop")
    used = jnp.max(jnp.where(fits, stop, 0))
    number = jnp.arange(blocks, dtype=jnp.int32)
    row = jnp.minimum(jnp.searchsorted(stop, number, side="right"), axon.size - 1)
    real = number < used
    block = jnp.where(real, axons.first[safe[row]] + number - (stop - owned)[row], 0)
    return block, jnp.where(real, axon[row], size), jnp.where(real, now[row], 0), used, pending


def _arrive(arrivals: Int[Array, "A F1"], axon, now, moment: Moment):
    """Notes the spike of each axon; and whether one was forgotten whose calcium is still under way."""
    size = arrivals.shape[1] - 1
    if not size:
        return arrivals, jnp.asarray(False)
    total = arrivals.at[axon, 0].get(mode="fill", fill_value=0)
    column = 1 + total % size
    old = arrivals.at[axon, column].get(mode="fill", fill_value=0)
    lost = jnp.any((axon < arrivals.shape[0]) & (total >= size) & (old + moment.landing > now))
    arrivals = arrivals.at[axon, column].set(now, mode="drop")
    return arrivals.at[axon, 0].add(1, mode="drop"), lost


def landings(arrivals: Int[Array, "A F1"], axon, touched, moment: Moment) -> Int[Array, "b F1"]:
    """Steps from `touched` to each landing of an axon that its rows have not seen, sorted."""
    spikes = arrivals[axon]
    total, stamps = spikes[:, 0], spikes[:, 1:]
    due = stamps + moment.landing - touched[:, None]
    due = jnp.where((jnp.arange(stamps.shape[1]) < total[:, None]) & (due > 0), due, NEVER)
    return jnp.pad(jnp.sort(due, axis=1), ((0, 0), (0, 1)), constant_values=NEVER)


def merge(ring: Int[Array, "N K"], lands: Int[Array, "b F1"], touched, target: Int[Array, "b slot"], newer, before):
    """Spikes of the targets and landings in one sequence, up to `before` (exclusive) steps after `touched`."""
    live, before, row = target >= 0, before[:, None], jnp.arange(target.shape[0])[:, None]
    neuron = jnp.maximum(target, 0)

    def upcoming(spike, landing):
        stamp = ring[neuron, jnp.maximum(spike, 0)] - touched[:, None]
        post, land = jnp.where(spike >= 0, stamp, NEVER), lands[row, landing]
        when = jnp.minimum(post, land)
        bits = jnp.where(land == when, LANDED, 0) + jnp.where(post == when, POST, 0)
        return when, bits.astype(jnp.int32)

    def pending(carry):
        _, spike, landing, _, _ = carry
        return jnp.any(live & (upcoming(spike, landing)[0] < before))

    def one(carry):
        number, spike, landing, count, words = carry
        when, bits = upcoming(spike, landing)
        ours = live & (when < before)
        words = words.at[number].set(jnp.where(ours, when * 4 + bits, 0))
        step = lambda bit: (ours & (bits & bit > 0)).astype(jnp.int32)  # noqa: E731
        return number + 1, spike - step(POST), landing + step(LANDED), count + ours, words

    blank = jnp.zeros_like(target)
    words = jnp.zeros((ring.shape[1] + lands.shape[1] - 1, *target.shape), jnp.int32)
    _, spike, landing, count, words = jax.lax.while_loop(pending, one, (0, newer - 1, blank, blank, words))
    when, bits = upcoming(spike, landing)
    return count, words, jnp.where(live & (when == before), bits, 0), newer - 1
