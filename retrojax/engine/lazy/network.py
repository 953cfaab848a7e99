"""The lazy network: blocks, field steps and slow steps of one chunk, in one compiled call."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from retrojax import native
from retrojax.engine.astrocytes import blank_calcium, note_calcium, step_astrocytes
from retrojax.engine.compiled import compiled
from retrojax.engine.field_step import FieldPlan
from retrojax.engine.lazy import cut
from retrojax.engine.lazy.block import BlockPlan, outside_words, plan_block, run_block, together
from retrojax.engine.lazy.field import field_step, slow_step
from retrojax.engine.lazy.state import LazyRecord, LazyState, LazyTissue, Times, record_type
from retrojax.engine.model import Model
from retrojax.engine.near import NearPlan, plan_near
from retrojax.engine.reactions import linear_loss, plan_transport

RARELY = 60
"""Slow steps after which everything is brought up to date where no rule has anything to do at one."""

LONGEST_GAP = 2**27
"""Steps after which everything is brought up to date in any case: a list of events cannot reach back 2^28 (`NEVER`)."""


def run_chunk(
    model: Model, tissue: LazyTissue, state: LazyState, times: Times, ticks: Int[Array, ""]
) -> tuple[LazyState, LazyRecord]:
    """Advance by `ticks` ticks, at most `times.chunk`. The memory of `state` is given away: do not use it again.

    The number of ticks is data, so every chunk runs the same compiled code and splitting a run differently cannot
    change one bit of it.
    """
    native.share(1 if tissue.cut is None else tissue.cut.devices)
    return _run_chunk((model, tissue, ticks), state, times)


@functools.partial(compiled, donate="all-except-first")
def _run_chunk(kept: tuple[Model, LazyTissue, Array], state: LazyState, times: Times) -> tuple[LazyState, LazyRecord]:
    model, tissue, ticks = kept
    calcium = () if state.astrocytes is None else (cut.WHOLE,)

    def one(model, tissue, state):
        state, found = _run_ticks(model, tissue, state, times, ticks)
        passes = cut.largest(tissue.cut, found.passes)
        return state, (found.spikes, found.levels, passes, *([] if found.calcium is None else [found.calcium]))

    state, found = cut.on_each(one, model, tissue, state, (cut.along(1), cut.WHOLE, cut.WHOLE, *calcium))
    record = LazyRecord(*found)
    return state, record if tissue.cut is None else record._replace(spikes=tissue.cut.in_order(record.spikes))


def _run_ticks(
    model: Model, tissue: LazyTissue, state: LazyState, times: Times, ticks: Array
) -> tuple[LazyState, LazyRecord]:
    plans, blocks = plan_fields(model, tissue, state, times), plan_block(model, tissue)
    blank = LazyRecord(jnp.zeros((times.chunk * times.blocks, state.ring.shape[0]), record_type(times.block)),
                       jnp.zeros((times.chunk, *state.levels.shape), state.levels.dtype), jnp.zeros(5, jnp.int32),
                       blank_calcium(state, times.chunk))

    def body(number, carry):
        return _tick(model, tissue, *carry, number, times, plans, blocks)

    return jax.lax.fori_loop(0, ticks, body, (state, blank))


def plan_fields(model: Model, tissue: LazyTissue, state: LazyState, times: Times) -> tuple[FieldPlan, ...]:
    """Plans of all messengers for their field steps."""
    if not model.messengers:
        return ()
    plans, (grid, voxels) = [], tissue.space
    for which, (messenger, every, history) in enumerate(zip(model.messengers, times.every, state.emitted, strict=True)):
        step = model.dt * (times.block * times.blocks * every)
        near = NearPlan(jnp.zeros((8, 0)), None) if voxels.near is None else plan_near(
            messenger, grid, linear_loss(model, which), step, tissue.near_distance, tissue.pairs, history.shape[0])
        plans.append(FieldPlan(plan_transport(model, grid, which, step, cut.sharing(tissue.cut)), near, step))
    return tuple(plans)


def _tick(
    model: Model, tissue: LazyTissue, state: LazyState, record: LazyRecord, number, times: Times,
    plans: tuple[FieldPlan, ...], blocks: BlockPlan,
):
    """The blocks of a tick, then the field steps due, then the slow step if due."""
    tick = state.tick + 1
    due = [tick % every == 0 for every in times.every]
    flush = tick % (times.resync if tissue.layout.slow else RARELY * times.resync) == 0
    flush = flush | (tick % max(LONGEST_GAP // (times.block * times.blocks), 1) == 0)
    for messenger, now in zip(model.messengers, due, strict=True):
        flush = flush if messenger.name in tissue.layout.sparse else flush | now

    def one(block, carry, outside, first):
        state, record = carry
        last = flush & (first + block == times.blocks - 1)
        state, spikes, passes = run_block(model, tissue, state, times, blocks, outside[block], last)
        most = jnp.maximum(record.passes[4], passes[4])
        place = number * times.blocks + first + block
        record = record._replace(spikes=record.spikes.at[place].set(spikes.astype(record.spikes.dtype)),
                                 passes=(record.passes + passes).at[4].set(most))
        return state, record

    def some(group, carry):
        outside = outside_words(model, carry[0], times, blocks)
        return jax.lax.fori_loop(0, size, lambda block, carry: one(block, carry, outside, group * size), carry)

    size = together(times)
    state, record = jax.lax.fori_loop(0, times.blocks // size, some, (state, record))
    state = eqx.tree_at(lambda s: s.tick, state, tick)
    for which, (now, plan_) in enumerate(zip(due, plans, strict=True)):
        step = lambda s, w=which, p=plan_: field_step(model, tissue, s, w, p)  # noqa: E731
        state = _when(now, times.every[which] == 1, state, step)
    state = step_astrocytes(model, tissue, state, times.block * times.blocks)
    elapsed = model.dt * (times.block * times.blocks * times.slow)
    if tissue.layout.slow:
        slow = tick % times.slow == 0
        state = _when(slow, times.slow == 1, state, lambda s: slow_step(model, tissue, s, elapsed))
    return state, record._replace(levels=record.levels.at[number].set(state.levels),
                                  calcium=note_calcium(record.calcium, state, number))


def _when(due, always: bool, state: LazyState, step) -> LazyState:
    """The state after `step` if it is due.

    A loop of no rounds or one, because what a branch of `cond` hands on untouched is copied, twice an array and tick;
    behind a barrier, or what the step computes of things that it leaves alone moves out of the loop, into every tick.
    """
    if always:
        return step(state)
    body = lambda _, s: step(jax.lax.optimization_barrier(s))  # noqa: E731
    return jax.lax.fori_loop(0, due.astype(jnp.int32), body, state)
