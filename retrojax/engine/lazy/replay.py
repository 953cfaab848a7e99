"""The kernel over a batch of blocks: what is pending happens in time order, then the present instant.

Only postsynaptic spikes and landings interrupt a synapse between two spikes of its axon, and they concern calcium and
rules alone. So the synapses that have any make as many rounds as their tile's busiest member, over the few channels
concerned; release and traces then flow in one stretch, whose length all synapses of a block share.
"""

from typing import NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from retrojax.engine.kernel import flow_spine, jump, modulated, release
from retrojax.engine.lazy.collect import LANDED, POST, Batch, Moment
from retrojax.engine.lazy.layout import from_channels, synapse_of, to_channels
from retrojax.engine.lazy.state import LazyState, LazyTissue
from retrojax.engine.model import Model
from retrojax.engine.rows import Synapse, SynapseState
from retrojax.numerics import Draws, decay
from retrojax.parts.base import AbstractSynthesis, Traces
from retrojax.types import PerRow, Scalar


class Outcome(NamedTuple):
    """What a batch leaves behind: its rows by channel, what each synapse sent, the axons' traces, [trace, b], and which
    synapses may go on making each sparse messenger."""

    rows: list[Float[Array, "b slot"]]
    sent: Float[Array, "b slot"]
    pre: Float[Array, "P b"]
    hot: Bool[Array, "b J slot"]


def replay(
    model: Model, tissue: LazyTissue, state: LazyState, batch: Batch, moment: Moment, seen: Float[Array, "L Q N"]
) -> Outcome:
    """Bring the synapses of `batch` to `now` and, unless it is a sync, let them transmit.

    - `seen`: postsynaptic traces in every step of the block, before its spikes.
    """
    layout, dt, column = tissue.layout, model.dt, lambda x: x[..., None]
    index = tissue.plastic.index[batch.block]
    synapse, draws = synapse_of(layout, model.synapse, index), Draws(state.key, tissue.ids[index])
    shape, flat = batch.target.shape, lambda tree: jax.tree.map(lambda x: x.reshape(-1) if x.ndim > 1 else x, tree)
    axon = jnp.minimum(batch.axon, state.touched.size - 1)
    stored, since = list(state.pre[:, axon]), batch.quiet
    at_touch = decayed(synapse, stored, (batch.touched - since) * dt)
    rows, done = _pending(model, tissue, state, batch, at_touch)
    gap = column((batch.now - batch.touched) * dt)
    held = from_channels(layout, synapse, list(rows), [values[batch.block] for values in state.calm])
    before = decayed(synapse, [column(x) for x in at_touch], done * dt)
    rest = (column(batch.now - batch.touched) - done) * dt
    # in one dimension, where XLA's loops are long: over rows of slots, a logarithm takes three times as long
    held, rest = flat((with_traces(synapse, held, before), rest))
    held = flow_spine(flat(synapse), held, rest, Draws(state.key, draws.ids.reshape(-1)))
    held = jax.tree.map(lambda x: x.reshape(shape) if x.ndim else x, held)
    held = held._replace(release=modulated(synapse, held).release.flow(held.release, gap))
    at_now = decayed(synapse, stored, (batch.now - since) * dt)
    step = jnp.where(moment.sync, 0, batch.now - moment.start - 1)
    neuron = jnp.maximum(batch.target, 0)
    post = [seen[column(step), k, neuron] for k in range(seen.shape[1])]
    held = with_traces(synapse, held, [column(x) for x in at_now], post)
    spikes = (batch.target >= 0) & ~moment.sync
    landed = (batch.last & LANDED > 0) | (spikes & (moment.landing == 0))
    held, sent = release(synapse, jump(synapse, held, (landed, spikes, batch.last & POST > 0)), spikes, draws)
    after = jnp.stack(at_now) + 1.0 if at_now else state.pre[:, axon]
    making_now = [making(synapse, held, name) for name in layout.sparse]
    hot = jnp.stack(making_now, axis=1) if making_now else jnp.zeros((axon.size, 0, sent.shape[1]), bool)
    live = batch.target >= 0  # a free slot never changes
    rows = [jnp.where(live, new, old) for new, old in zip(to_channels(layout, held), rows, strict=True)]
    return Outcome(rows, sent, after, hot & live[:, None])


def making(synapse: Synapse, state: SynapseState, name: str) -> Bool[Array, "..."]:
    """Whether calcium is above the floor of the synthesis of messenger `name`, or something made is not handed over.

    A rounding does not count: it is handed over with what is made next.
    """
    _, now = synapse.spine.flow(state.spine, jnp.zeros(()))
    found = jnp.zeros((), bool)
    for rule, s in zip(synapse.rules, state.rules, strict=True):
        floor = rule.floor() if isinstance(rule, AbstractSynthesis) and rule.makes == name else None
        if floor is not None:
            little = 64 * jnp.finfo(s.activated.dtype).eps * cast(AbstractSynthesis, rule).scale()
            found = found | (now.start > floor) | (s.activated > little)
    return jnp.broadcast_to(found, state.expression.q.shape)


def _pending(model: Model, tissue: LazyTissue, state: LazyState, batch: Batch, pre: list[Array]):
    """Rows after their last pending event, [C, b, slot], and how many steps after `touched` that was, [b, slot]."""
    tile, layout, dt = tissue.capacity.tile, tissue.layout, model.dt
    channels, _, slot = batch.rows.shape

    def one_tile(number, carry):
        rows, done = carry
        cut = lambda x: jax.lax.dynamic_slice_in_dim(x, number * tile, tile, axis=-1)  # noqa: E731
        lane, count, first = cut(batch.lane), cut(batch.n_events), cut(batch.first)
        row, target = lane // slot, jnp.maximum(batch.target.reshape(-1)[lane], 0)
        place = batch.block[row] * slot + lane % slot
        index = tissue.plastic.index.reshape(-1)[place]
        mine, draws = synapse_of(layout, model.synapse, index), Draws(state.key, tissue.ids[index])
        whole = [*rows, *(values.reshape(-1) for values in state.calm)]
        places = [lane] * channels + [place] * len(state.calm)
        read = [values[at] if k in layout.replayed else jnp.zeros(tile, values.dtype)
                for k, (values, at) in enumerate(zip(whole, places, strict=True))]
        calm = read[channels:]

        def one_event(event, carry):
            values, at, x, posts = carry
            word = jax.lax.dynamic_slice(batch.events, (event, number * tile), (1, tile))[0]
            ours, when = event < count, word >> 2
            gap = (when - at) * dt
            held = flow_spine(mine, with_traces(mine, from_channels(layout, mine, values, calm), x), gap, draws)
            x = [jnp.where(ours, after, value) for after, value in zip(decayed(mine, x, gap), x, strict=True)]
            spiked = word & POST > 0
            held = with_traces(mine, held, x, _at_spike(tissue, state, target, first - posts, mine))
            held = jump(mine, held, (word & LANDED > 0, jnp.zeros_like(ours), spiked))
            new = to_channels(layout, held)
            values = [jnp.where(ours, new[k], value) if k in layout.moved else value for k, value in enumerate(values)]
            return values, jnp.where(ours, when, at), x, posts + (ours & spiked)

        zero = jnp.zeros(tile, jnp.int32)
        values, at, _, _ = jax.lax.fori_loop(
            0, count.max(), one_event, (read[:channels], zero, [value[row] for value in pre], zero))
        # lanes without an event may stand in the list more than once: they write back nothing
        put = jnp.where(count > 0, lane, done.size)
        rows = [x.at[put].set(values[k], mode="drop") if k in layout.moved else x for k, x in enumerate(rows)]
        return rows, done.at[put].set(at, mode="drop")

    flat = [x.reshape(-1) for x in batch.rows]
    rows, done = jax.lax.fori_loop(
        0, -(-batch.listed // tile), one_tile, (flat, jnp.zeros(batch.target.size, jnp.int32)))
    shape = batch.target.shape
    return [x.reshape(shape) for x in rows], done.reshape(shape)


def _at_spike(tissue: LazyTissue, state: LazyState, target, number, synapse: Synapse) -> list[Array]:
    """Postsynaptic traces just before a spike of the target, counted from its newest, where a rule reads them there."""
    place = {k: read for read, k in enumerate(tissue.layout.post_read)}
    blank = jnp.zeros(target.shape, state.post.dtype)
    return [state.ring_post[place[k], target, number] if k in place else blank for k in range(len(post_taus(synapse)))]


def pre_taus(synapse: Synapse) -> list[Scalar]:
    """Time constants of all presynaptic traces, rule by rule."""
    return [tau for rule in synapse.rules for tau in rule.pre_traces()]


def post_taus(synapse: Synapse) -> list[Scalar]:
    """Time constants of all postsynaptic traces, rule by rule."""
    return [tau for rule in synapse.rules for tau in rule.post_traces()]


def with_traces(
    synapse: Synapse, state: SynapseState, pre: list[Array], post: list[Array] | None = None
) -> SynapseState:
    """The state with flat lists of traces handed out rule by rule; None stands for traces that are not read."""
    before, after = iter(pre), iter(post if post is not None else [jnp.zeros(()) for _ in post_taus(synapse)])
    return state._replace(traces=tuple(
        Traces(tuple(next(before) for _ in rule.pre_traces()), tuple(next(after) for _ in rule.post_traces()))
        for rule in synapse.rules))


def decayed(synapse: Synapse, values: list[Array], elapsed: PerRow) -> list[Array]:
    """Presynaptic traces `elapsed` ms later."""
    return [value * decay(elapsed, tau) for value, tau in zip(values, pre_taus(synapse), strict=True)]
