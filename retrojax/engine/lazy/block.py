"""One block of the lazy network: neurons advance, spikes are noted, rows of axons that spiked are brought up to date.

A block is as long as the shortest dendritic delay allows, so nothing that happens in it can reach a neuron within it:
neurons first take all its steps, then the rows are processed with every spike time known.

Nothing is lost when an array is full: axons that do not fit into one pass over the rows wait for the next pass of the
same block, several spikes of one axon in a block are passes in time order, and when a neuron's ring runs short all rows
are brought up to date at the end of the block, after which the ring may forget.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

from retrojax import native
from retrojax.engine.lazy import cut
from retrojax.engine.lazy.collect import Batch, Moment, collect, waiting_blocks
from retrojax.engine.lazy.fixed import add_input, deliver_fixed, fixed_units
from retrojax.engine.lazy.layout import in_rows
from retrojax.engine.lazy.replay import Outcome, post_taus, replay
from retrojax.engine.lazy.state import LazyState, LazyTissue, Spiked, Times
from retrojax.engine.model import Model
from retrojax.engine.network import OutsidePlan, outside_spikes, plan_outside, received, turn, with_background
from retrojax.errors import ErrorBit
from retrojax.numerics import decay
from retrojax.space import to_fixed

MOST_STEPS = 16
"""Steps of outside spikes drawn in one go, at most."""


class BlockPlan(NamedTuple):
    """What a block needs of the parameters, computed once per chunk.

    - `outside`: plan of the sources and the background. `fixed`: fixed-point input per spike of the synapses that are
      not plastic, one for all or by slot.
    """

    outside: OutsidePlan
    fixed: Array


def plan_block(model: Model, tissue: LazyTissue) -> BlockPlan:
    """The plan of a model; call it inside the traced function and outside the loop."""
    return BlockPlan(plan_outside(model), fixed_units(model, tissue))


def run_block(
    model: Model, tissue: LazyTissue, state: LazyState, times: Times, plan: BlockPlan, outside: UInt32[Array, " Q"],
    flush: Array,
) -> tuple[LazyState, UInt32[Array, " N"], Array]:
    """Advance by one block; with `flush`, bring everything up to date at its end.

    - `outside`: spikes of the sources, a bit per step (`outside_words`).

    **Returns** the state, the neurons' spikes (a bit per step), and [1, passes, more than one, early sync, synapses].
    """
    state, spiked, heard, seen = _advance(model, tissue, state, times, plan)
    state, short = note(state, times, heard, seen, tissue.layout.post_read)
    early = short & ~flush
    bits = packed(spiked) if times.backward else state.fired & jnp.uint32(0xFFFFFF)
    state, pending, waiting = send(tissue, state, times, cut.told(tissue.cut, bits), outside)
    state, passes = touch(model, tissue, state, times, seen, pending, waiting, flush | short)
    arriving = deliver_fixed(tissue, state.waiting, pending, state.step, times, plan.fixed)
    state = eqx.tree_at(lambda s: s.waiting, state, arriving)
    cursor, lap = turn(model.drive, state.cursor + times.block, state.lap)
    state = eqx.tree_at(lambda s: (s.step, s.cursor, s.lap), state, (state.step + times.block, cursor, lap))
    count = jnp.stack([jnp.ones_like(passes[0]), passes[0], (passes[0] > 1).astype(jnp.int32),
                       early.astype(jnp.int32), passes[1]])
    return state, bits, count


def _advance(model: Model, tissue: LazyTissue, state: LazyState, times: Times, plan: BlockPlan):
    """Neurons through all steps of the block; their spikes, those that their dendrites hear of, [L, N], and traces
    before the latter, [L, Q, N]."""
    here = (state.step // times.block) % times.ahead
    taus, size = post_taus(model.synapse), state.fired.size
    # a backward delay is at least a block, so what is heard in this one was fired before it
    late = cut.own(tissue.cut, _arriving(state.history, state.step, times, times.backward))[:size] \
        if times.backward else None

    def one(carry, number):
        neurons, post = carry
        excitation, inhibition = received(model.neurons, state.waiting[here, number], tissue.input_scale)
        cursor, lap = turn(model.drive, state.cursor + number, state.lap)
        excitation = with_background(model, plan.outside.background, excitation, cursor, lap, state.key)
        neurons, spiked = model.neurons.step(neurons, model.dt, excitation, inhibition)
        before = jnp.stack([y * decay(model.dt, tau) for y, tau in zip(post, taus, strict=True)]) if taus else post
        heard = spiked if late is None else (late >> number.astype(jnp.uint32)) & 1 > 0
        return (neurons, before + heard), (spiked, heard, before)

    start = (state.neurons, state.post)
    (neurons, post), (spiked, heard, seen) = jax.lax.scan(one, start, jnp.arange(times.block))
    return eqx.tree_at(lambda s: (s.neurons, s.post), state, (neurons, post)), spiked, heard, seen


def together(times: Times) -> int:
    """Blocks whose outside spikes are drawn in one go: random numbers cost as much for a few steps as for one."""
    return max(k for k in range(1, max(MOST_STEPS // times.block, 1) + 1) if times.blocks % k == 0)


def outside_words(model: Model, state: LazyState, times: Times, plan: BlockPlan) -> UInt32[Array, "G Q"]:
    """Spikes of the sources in the next blocks (`together`), a bit per step."""

    def one(number):
        cursor, lap = turn(model.drive, state.cursor + number, state.lap)
        return outside_spikes(model.drive, plan.outside.drive, cursor, lap, state.key)

    spiked = jax.vmap(one)(jnp.arange(together(times) * times.block))
    return jax.vmap(packed)(spiked.reshape(together(times), times.block, spiked.shape[1]))


def packed(spiked: Spiked) -> UInt32[Array, " N"]:
    """A bit per step of the block."""
    weight = jnp.left_shift(jnp.uint32(1), jnp.arange(spiked.shape[0], dtype=jnp.uint32))
    return jnp.sum(spiked * weight[:, None], axis=0, dtype=jnp.uint32)


def note(
    state: LazyState, times: Times, spiked: Spiked, seen: Float[Array, "L Q N"], post_read: tuple[int, ...]
) -> tuple[LazyState, Array]:
    """Spikes of the block into the rings, and its input, which led to them, out of its own; and whether a ring could
    not take another block without forgetting a spike that is pending somewhere."""
    here = (state.step // times.block) % times.ahead
    plain = lambda: (*_note(state, spiked, seen, post_read), state.waiting.at[here].set(0))  # noqa: E731
    read = jnp.asarray(post_read, jnp.int32)
    # in one call that needs the spikes: XLA would copy the input rather than order its last reading before a clearing
    fast = lambda: native.note(  # noqa: E731
        spiked, seen, read, state.step, state.synced, here, state.fired, state.ring, state.ring_post, state.waiting)
    found = jax.lax.platform_dependent(cpu=fast, default=plain) if native.ready() else plain()
    return eqx.tree_at(lambda s: (s.fired, s.ring, s.ring_post, s.waiting), state, found[1:]), found[0]


def _note(state: LazyState, spiked: Spiked, seen, post_read: tuple[int, ...]):
    size = state.ring.shape[1]
    rank = jnp.arange(size)

    def one(carry, entry):
        ring, before, most = carry
        number, fired, traces = entry
        # spikes that everything has seen are left to fall out, so only the recent ones move up
        kept = jnp.minimum(jnp.sum(ring > state.synced, axis=1), size - 1)
        moves = fired[:, None] & (rank <= kept[:, None])
        newest = traces[jnp.asarray(post_read, jnp.int32)]
        ring = jnp.where(moves, jnp.roll(ring, 1, axis=1).at[:, 0].set(state.step + 1 + number), ring)
        before = jnp.where(moves, jnp.roll(before, 1, axis=2).at[:, :, 0].set(newest), before)
        return (ring, before, jnp.maximum(most, jnp.max(jnp.where(fired, kept, 0)))), None

    steps = jnp.arange(spiked.shape[0], dtype=jnp.int32)
    start = (state.ring, state.ring_post, jnp.zeros((), int))
    (ring, before, most), _ = jax.lax.scan(one, start, (steps, spiked, seen))
    total = (state.fired >> 24) + spiked.sum(axis=0, dtype=jnp.uint32)
    return most >= size - spiked.shape[0], (total << 24) | packed(spiked), ring, before


def send(
    tissue: LazyTissue, state: LazyState, times: Times, bits: UInt32[Array, " N"], outside: UInt32[Array, " Q"]
) -> tuple[LazyState, UInt32[Array, " A"], Int[Array, ""]]:
    """The block's spikes on their way along the axons: `bits` of the neurons and of the sources `outside`.

    **Returns** the state, which spikes reach their synapses in this block, a bit per step, and how many blocks of slots
    these axons own.
    """
    blocks, steps = divmod(times.axonal, times.block)
    now = state.step // times.block
    here, late, later = (turn % times.history for turn in (now, now - blocks, now - blocks - 1))

    def plain():
        history = state.history.at[here].set(jnp.concatenate([bits, outside]))
        arrives = _arriving(history, state.step, times, times.axonal)
        return history, arrives, waiting_blocks(tissue.plastic, arrives)

    turns = jnp.stack([here, late, later, jnp.full_like(now, steps), jnp.full_like(now, times.block)])
    fast = lambda: native.send(bits, outside, tissue.plastic.first, turns, state.history)  # noqa: E731
    history, pending, waiting = jax.lax.platform_dependent(cpu=fast, default=plain) if native.ready() else plain()
    return eqx.tree_at(lambda s: s.history, state, history), pending, waiting


def _arriving(history: UInt32[Array, "H A"], step: Array, times: Times, delay: int) -> UInt32[Array, " A"]:
    """Axons whose spikes arrive in the block of `step`, `delay` steps later, a bit per step."""
    blocks, steps = divmod(delay, times.block)
    now = step // times.block
    late = history[(now - blocks) % times.history]
    if not steps:
        return late
    later = history[(now - blocks - 1) % times.history]
    return ((late << steps) | (later >> (times.block - steps))) & jnp.uint32(2**times.block - 1)


def touch(
    model: Model, tissue: LazyTissue, state: LazyState, times: Times, seen: Float[Array, "L Q N"],
    pending: UInt32[Array, " A"], waiting: Int[Array, ""], flush: Bool[Array, ""],
) -> tuple[LazyState, Int[Array, "2"]]:
    """Passes over the rows until no axon is pending: first spikes, then, with `flush`, everything that is behind.

    - `waiting`: blocks of the pending axons.

    Full ones as long as many blocks are left, and small ones for the rest: an axon that spikes twice, mostly.
    """
    if not tissue.ids.size:  # nothing is ever behind
        return eqx.tree_at(lambda s: s.synced, state, state.step + times.block), jnp.zeros(2, jnp.int32)
    landing = jnp.rint(model.synapse.spine.delay / model.dt).astype(jnp.int32)

    few = tissue.capacity.few

    def many(carry):
        _, _, sync, left, _, _ = carry
        return (left > few) | ((left == 0) & flush & ~sync)

    def some(carry):
        return (carry[3] > 0) & (carry[3] <= few)

    def one(carry, size: int):
        state, pending, sync, left, begin, passes = carry
        sync, begin = sync | (left == 0), jnp.where(left > 0, begin, 0)
        moment = Moment(state.step, state.step + times.block, sync, landing, begin)
        batch, pending, state = collect(tissue, state, pending, moment, size)
        outcome = replay(model, tissue, state, batch, moment, seen)
        state = put(model, tissue, state, times, batch, outcome)
        head = batch.block == tissue.plastic.first[jnp.minimum(batch.axon, state.touched.size - 1)]
        pre = state.pre.at[:, jnp.where(head & ~sync, batch.axon, state.touched.size)].set(outcome.pre, mode="drop")
        state = eqx.tree_at(lambda s: s.pre, state, pre)
        counted = jnp.stack([~sync * 1, ~sync * batch.used]).astype(jnp.int32)
        return state, pending, sync, batch.left, batch.following, passes + counted

    none = jnp.zeros((), jnp.int32)
    def both(carry):
        carry = jax.lax.while_loop(many, lambda carry: one(carry, tissue.capacity.blocks), carry)
        return jax.lax.while_loop(some, lambda carry: one(carry, few), carry)

    start = (state, pending, jnp.asarray(False), waiting, none, jnp.zeros(2, jnp.int32))
    state, _, synced, _, _, passes = jax.lax.while_loop(lambda carry: many(carry) | some(carry), both, start)
    return eqx.tree_at(lambda s: s.synced, state, jnp.where(synced, state.step + times.block, state.synced)), passes


def put(
    model: Model, tissue: LazyTissue, state: LazyState, times: Times, batch: Batch, outcome: Outcome
) -> LazyState:
    """Rows into their blocks, and what they sent, in fixed point, on its way to the somata."""
    weight = model.weight if not model.weight.ndim else model.weight[tissue.plastic.index[batch.block]]
    units = to_fixed(jnp.where(batch.target >= 0, outcome.sent * weight, 0.0), tissue.input_scale)
    plain = lambda: _put(tissue, state, times, batch, outcome, units)  # noqa: E731
    fast = lambda: native.put(  # noqa: E731
        outcome.rows, batch.block, batch.now, batch.target, units, tissue.plastic.delay, batch.used, tissue.most_input,
        outcome.hot, state.makers, state.cells, state.waiting, state.hot)
    found = jax.lax.platform_dependent(cpu=fast, default=plain) if native.ready() else plain()
    over, makers, cells, waiting, hot = found
    errors = state.errors | jnp.where(over, int(ErrorBit.INPUT_OVERFLOW), 0)
    return eqx.tree_at(lambda s: (s.makers, s.cells, s.waiting, s.hot, s.errors), state,
                       (makers, cells, waiting, hot, errors))


def _put(tissue: LazyTissue, state: LazyState, times: Times, batch: Batch, outcome: Outcome, units):
    place = jnp.where(batch.axon < state.touched.size, batch.block, state.cells.shape[0])
    makers, cells = (old.at[place].set(new, mode="drop") for old, new in zip(
        (state.makers, state.cells), in_rows(tissue.layout, outcome.rows), strict=True))
    delay = tissue.plastic.delay
    lag = delay if not delay.ndim else delay[batch.block].astype(jnp.int32)
    waiting = add_input(state.waiting, times, batch.now[:, None] + lag, jnp.maximum(batch.target, 0), units)
    hot = state.hot.at[place].set(outcome.hot, mode="drop")
    return jnp.any(jnp.abs(units) > tissue.most_input), makers, cells, waiting, hot
