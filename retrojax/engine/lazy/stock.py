"""Taking stock of a messenger: what spines made since its last field step, with no row brought up to date.

Where a gate is shut below some level of calcium (`AbstractSynthesis.floor`), a synapse can have made something only if
its calcium was above that level at the last field step, or rose since: a spike of its target, or calcium of its own
axon. Those few are replayed on a copy, calcium and synthesis alone. What they made is handed over by subtracting it
from the rows as they stand, since a flow adds to `activated` whatever is there; so a row may hold less than nothing
until it is next brought up to date.
"""

from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from retrojax import native
from retrojax.engine.kernel import add, modulated
from retrojax.engine.lazy.collect import LANDED, POST, Moment, landings, merge
from retrojax.engine.lazy.layout import Layout, bare, from_channels, made_from, numbered, synapse_of
from retrojax.engine.lazy.replay import making
from retrojax.engine.lazy.state import LazyState, LazyTissue
from retrojax.engine.model import Model
from retrojax.engine.rows import Synapse, init_state
from retrojax.parts.base import AbstractSynthesis
from retrojax.space import to_fixed
from retrojax.types import Scalar

TILE = 4096 + 16
"""Active synapses replayed together: few, since all of them make as many rounds as the busiest, but more than pay for
starting the two dozen loops of a round; and no power of two, or the rows of a list would share lines of a cache."""

ROOM = 8 * TILE
"""Active synapses in a list, at least, if there are so many synapses: sorted by what each has to replay."""


class Active(NamedTuple):
    """Synapses that may have made something, [n], busiest first or in any order.

    - `lane`: which slot, one past the last where there is none. `since`: when its row was touched. `n_events`,
      `events`: as in `Batch`, up to now. `stored`: the channels that matter (`_concerned`), [R, n].
    - `listed`, `left`, `following`: length of the list, whether blocks are left, where to go on.
    """

    lane: Int[Array, " n"]
    since: Int[Array, " n"]
    n_events: Int[Array, " n"]
    events: Int[Array, "E n"]
    stored: Float[Array, "R n"]
    listed: Int[Array, ""]
    left: Bool[Array, ""]
    following: Int[Array, ""]


class Made(NamedTuple):
    """What listed synapses made, [n]: in molecules, or as `activated` where it is filtered; the `activated` they are
    left with, [makers, n]; and whether they may go on making."""

    amount: Float[Array, " n"]
    activated: Float[Array, "m n"]
    hot: Bool[Array, " n"]


class Stock(NamedTuple):
    """What was made since the last field step, and what the rows look like after it was handed over.

    - `total`: per voxel, in fixed point; of nothing where what was made is still to be filtered. `made`: per synapse,
      as in `Made.amount`; no block where nobody asks. `most`: of one synapse.
    """

    makers: Float[Array, "B m slot"]
    hot: Bool[Array, "B J slot"]
    total: Int[Array, " V"]
    made: Float[Array, "b slot"]
    most: Scalar


def take_stock(model: Model, tissue: LazyTissue, state: LazyState, which: int, elapsed: Scalar) -> Stock:
    """What all spines made of messenger number `which` in the last `elapsed` ms, which end now."""
    (grid, voxels), slots, dtype = tissue.space, tissue.plastic.post.shape, state.makers.dtype
    start = state.step - jnp.rint(elapsed / model.dt).astype(jnp.int32)
    filtered = model.messengers[which].name in tissue.layout.filtered
    stock = Stock(state.makers, state.hot, jnp.zeros(0 if filtered else grid.n_voxels, jnp.int32),
                  jnp.zeros(slots if filtered or voxels.near is not None else (0, slots[1]), dtype),
                  jnp.zeros((), dtype))

    def one(carry):
        stock, begin, _ = carry
        active = listed(model, tissue, state, stock, which, start, begin)
        made = _replay(model, tissue, state, which, elapsed, active)
        return settle(model, tissue, which, stock, active, made), active.following, active.left

    start_at = (stock, jnp.zeros((), jnp.int32), jnp.asarray(True))
    return jax.lax.while_loop(lambda carry: carry[2], one, start_at)[0]


def _concerned(model: Model, layout: Layout, which: int) -> tuple[list[int], list[int]]:
    """Channels that making messenger number `which` reads, and those of them that hold `activated`."""
    one = jax.tree.map(lambda leaf: leaf[(0,) * leaf.ndim], model.synapse)
    start = bare(init_state(one, ()))
    place = {leaf: channel for channel, leaf in enumerate(layout.kept)}
    reads, rules = made_from(one, start, (model.messengers[which].name,)), numbered(start).rules
    return ([place[k] for k in reads if k in place],
            [place[rules[k].activated] for k in _makers(model, which)])


def _makers(model: Model, which: int) -> list[int]:
    return [k for k, rule in enumerate(model.synapse.rules) if rule.makes == model.messengers[which].name]


def _replay(model: Model, tissue: LazyTissue, state: LazyState, which: int, elapsed: Scalar, active: Active) -> Made:
    """Calcium and synthesis of listed synapses up to now, a tile at a time."""
    lanes = active.lane.size
    tile = min(TILE, lanes)

    def one_tile(number, made):
        cut = lambda x: jax.lax.dynamic_slice_in_dim(x, number * tile, tile, axis=-1)  # noqa: E731
        part = active._replace(**{name: cut(getattr(active, name)) for name in ("lane", "since", "n_events", "stored")})
        new = _replay_tile(model, tissue, state, which, elapsed, part, number * tile)
        return jax.tree.map(lambda whole, part: jax.lax.dynamic_update_slice_in_dim(whole, part, number * tile, -1),
                            made, new)

    blank = Made(jnp.zeros(lanes, state.makers.dtype),
                 jnp.zeros((len(_makers(model, which)), lanes), state.makers.dtype), jnp.zeros(lanes, bool))
    return jax.lax.fori_loop(0, -(-active.listed // tile), one_tile, blank)


def _replay_tile(
    model: Model, tissue: LazyTissue, state: LazyState, which: int, elapsed: Scalar, active: Active, begin: Array
) -> Made:
    """Those of one tile, whose events stand from `begin` on."""
    dt, layout, (blocks, slot) = model.dt, tissue.layout, tissue.plastic.post.shape
    place = jnp.minimum(active.lane, blocks * slot - 1)
    synapse = synapse_of(layout, model.synapse, tissue.plastic.index.reshape(-1)[place])
    reads, _ = _concerned(model, layout, which)
    rows = [active.stored[reads.index(c)] if c in reads else jnp.zeros(place.shape, active.stored.dtype)
            for c in range(len(layout.kept))]
    held = from_channels(layout, synapse, rows, [x.reshape(-1)[place] for x in state.calm])
    synapse = modulated(synapse, held)
    makers = _makers(model, which)
    made = [held.rules[k].activated for k in makers]

    def one_event(event, carry):
        spine, made, at = carry
        word = jax.lax.dynamic_slice(active.events, (event, begin), (1, place.size))[0]
        ours, when = event < active.n_events, word >> 2
        new, more = _flow(synapse, makers, spine, made, (when - at) * dt)
        new = add(new, word & LANDED > 0, synapse.spine.on_landing(new))
        new = add(new, word & POST > 0, synapse.spine.on_post(new))
        pick = lambda new, old: jnp.where(ours, new, old)  # noqa: E731
        return jax.tree.map(pick, new, spine), jax.tree.map(pick, more, made), pick(when, at)

    start = (held.spine, made, jnp.zeros(place.shape, jnp.int32))
    spine, made, at = jax.lax.fori_loop(0, jnp.max(active.n_events), one_event, start)
    spine, made = _flow(synapse, makers, spine, made, (state.step - active.since - at) * dt)
    total, rules, left = jnp.zeros(place.shape, active.stored.dtype), list(held.rules), []
    name = model.messengers[which].name
    for k, amount in zip(makers, made, strict=True):
        # what earlier field steps took may leave less than nothing by a rounding
        amount = jnp.maximum(amount, 0.0)
        after, new = synapse.rules[k].emit(rules[k]._replace(activated=amount), elapsed)
        new = amount if name in layout.filtered else new
        total = total if new is None else total + new
        left.append(rules[k].activated + (after.activated - amount))
        rules[k] = after
    hot = making(synapse, held._replace(spine=spine, rules=tuple(rules)), name)
    return Made(total, jnp.stack(left) if left else jnp.zeros((0, *place.shape), total.dtype), hot)


def _flow(synapse: Synapse, makers: list[int], spine: Any, made: list[Array], gap: Array):
    """Calcium after `gap` ms, and what its path added to each synthesis."""
    spine, path = synapse.spine.flow(spine, gap)
    rules = [cast(AbstractSynthesis, synapse.rules[k]) for k in makers]
    return spine, [amount + rule.gate(path) for rule, amount in zip(rules, made, strict=True)]


def settle(model: Model, tissue: LazyTissue, which: int, stock: Stock, active: Active, made: Made) -> Stock:
    """The stock with what listed synapses made handed over."""
    units = to_fixed(made.amount, tissue.deposit_scale[which] * (stock.total.size > 0))
    channels = _concerned(model, tissue.layout, which)[1]
    rank = tissue.layout.sparse.index(model.messengers[which].name)
    plain = lambda: _settle(tissue, channels, rank, stock, active, made, units)  # noqa: E731
    fast = lambda: native.settle(  # noqa: E731
        active.lane, made.activated, jnp.asarray(channels, jnp.int32), made.hot, units, made.amount,
        tissue.space[1].spines, jnp.stack([active.listed, jnp.full((), rank, jnp.int32)]), stock.makers, stock.hot,
        stock.total, stock.made)
    makers, hot, total, own = jax.lax.platform_dependent(cpu=fast, default=plain) if native.ready() else plain()
    live = active.lane < tissue.plastic.post.size
    return Stock(makers, hot, total, own, jnp.maximum(stock.most, jnp.max(jnp.where(live, made.amount, 0.0))))


def _settle(tissue: LazyTissue, channels: list[int], rank: int, stock: Stock, active: Active, made: Made, units):
    blocks, slot = tissue.plastic.post.shape
    live = active.lane < blocks * slot
    row, column, makers, own = active.lane // slot, active.lane % slot, stock.makers, stock.made
    for c, values in zip(channels, made.activated, strict=True):
        makers = makers.at[row, c, column].set(values, mode="drop")
    total = stock.total
    if total.size:
        voxel = tissue.space[1].spines[jnp.minimum(row, blocks - 1), column]
        total = total.at[voxel].add(jnp.where(live, units, 0))
    own = own.at[row, column].set(made.amount, mode="drop") if own.size else own
    return makers, stock.hot.at[row, rank, column].set(made.hot, mode="drop"), total, own


def _room(tissue: LazyTissue) -> int:
    """Length of a list of active synapses."""
    slots, slot = tissue.plastic.post.shape
    lanes = max(tissue.capacity.blocks * slot, min(ROOM, slots * slot))
    return -(-lanes // TILE) * TILE if lanes > TILE else lanes


def listed(model: Model, tissue: LazyTissue, state: LazyState, stock: Stock, which: int, start, begin) -> Active:
    """The next active synapses from block `begin` on; the window began at step `start`."""
    landing = jnp.rint(model.synapse.spine.delay / model.dt).astype(jnp.int32)
    rank, zero = tissue.layout.sparse.index(model.messengers[which].name), jnp.zeros((), jnp.int32)
    reads = _concerned(model, tissue.layout, which)[0]
    plain = lambda: _listed(tissue, state, stock, rank, reads, start, landing, begin)  # noqa: E731
    if not native.ready():
        return plain()

    def fast():
        axons, capacity, moment = tissue.plastic, tissue.capacity, [start, state.step, landing, begin, zero + rank]
        *lists, sizes, stored = native.stock(
            axons.owner, axons.post, state.ring, state.fired, state.touched, state.arrived, state.arrivals,
            state.marks, stock.hot, jnp.stack(moment), stock.makers, jnp.asarray(reads, jnp.int32), _room(tissue),
            capacity.ring + capacity.landings)
        return Active(*lists, stored, sizes[0], sizes[1] > 0, sizes[2])

    return jax.lax.platform_dependent(cpu=fast, default=plain)


def _listed(tissue: LazyTissue, state: LazyState, stock: Stock, rank: int, reads: list[int], start, landing, begin):
    axons, room, (blocks, slot) = tissue.plastic, _room(tissue), tissue.plastic.post.shape
    row = begin + jnp.arange(room // slot, dtype=jnp.int32)
    block, real = jnp.minimum(row, blocks - 1), row < blocks
    axon, target = axons.owner[block], jnp.where(real[:, None], axons.post[block], -1)
    touched, neuron = state.touched[axon], jnp.maximum(target, 0)
    # calcium that lands with its spike is seen by the touch, which leaves the synapse hot if need be
    recent = (landing > 0) & (state.arrived[axon] + landing > start)
    active = (target >= 0) & (recent[:, None] | stock.hot[block, rank] | (state.ring[neuron, 0] > start))
    newer = ((state.fired[neuron] >> 24).astype(jnp.uint8) - state.marks[block]).astype(jnp.int32)
    zero = jnp.zeros((), jnp.int32)
    lands = landings(state.arrivals, axon, touched, Moment(start, state.step, jnp.asarray(True), landing, zero))
    count, words, _, _ = merge(state.ring, lands, touched, jnp.where(active, target, -1), jnp.where(active, newer, 0),
                               state.step + 1 - touched)
    lane = jnp.where(active, block[:, None] * slot + jnp.arange(slot, dtype=jnp.int32), blocks * slot)
    since = jnp.where(active, touched[:, None], state.step)
    stored = stock.makers[block][:, jnp.asarray(reads, jnp.int32)]
    pad = lambda x, fill: jnp.pad(  # noqa: E731
        x.reshape(*x.shape[:-2], target.size), [(0, 0)] * (x.ndim - 2) + [(0, room - target.size)],
        constant_values=fill)
    return Active(pad(lane, blocks * slot), pad(since, 0), pad(count, 0), pad(words, 0),
                  pad(jnp.moveaxis(stored, 1, 0), 0), jnp.full((), room, jnp.int32), row[-1] + 1 < blocks, row[-1] + 1)
