"""Field and slow steps on rows in blocks.

A messenger that quiet synapses do not make, and whose sensing concerns calm leaves alone, takes its step with the rows
as they are (`stock`). For every other one, and for slow steps, all rows are up to date when the step is called.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from retrojax import native
from retrojax.engine.field_step import FieldPlan, emit, overdue, sense, slow_change
from retrojax.engine.lazy import cut
from retrojax.engine.lazy.layout import Layout, from_channels, synapse_of, to_calm, to_channels, used_channels
from retrojax.engine.lazy.replay import decayed, with_traces
from retrojax.engine.lazy.state import LazyState, LazyTissue
from retrojax.engine.lazy.stock import take_stock
from retrojax.engine.model import Model
from retrojax.engine.near import direct, near_amount, released, step_cis
from retrojax.engine.reactions import Pools, transport
from retrojax.engine.rows import Synapse, SynapseState
from retrojax.engine.transport import own_at, room, room_at
from retrojax.errors import ErrorBit
from retrojax.space import from_fixed, to_fixed
from retrojax.types import Scalar
from retrojax.units import MOLECULES_PER_NM_UM3

Change = Callable[[Synapse, SynapseState], tuple[SynapseState, Any]]
"""What a step does to synapses: their state after it, and whatever else comes of it."""


def field_step(model: Model, tissue: LazyTissue, state: LazyState, which: int, plan: FieldPlan) -> LazyState:
    """One step of messenger number `which`; the same as `engine.field_step.field_step`, for rows in blocks."""
    messenger = model.messengers[which]
    sparse = messenger.name in tissue.layout.sparse
    with jax.named_scope(f"field_{messenger.name}"):
        state, total, molecules, most = (_sparse_emission if sparse else _emission)(model, tissue, state, which, plan)
        state = _spread(model, tissue, state, which, plan, total, molecules, most)
        conc = concentration(model, tissue, state, which, plan)
        state, _ = changed(model, tissue, state, _sensing(model, tissue, state, which, conc, plan.elapsed))
        level = _level(messenger, tissue, state.fields[which], conc)
    return eqx.tree_at(lambda s: s.levels, state, state.levels.at[which].set(level))


def _sensing(model: Model, tissue: LazyTissue, state: LazyState, which: int, conc, elapsed: Scalar) -> Change:
    """What a field step does to receptors, and to what rows that are behind will make of it."""
    name, owner = model.messengers[which].name, tissue.plastic.owner
    behind = (state.step - state.touched) * model.dt
    at_touch = decayed(model.synapse, list(state.pre), (state.touched - state.arrived) * model.dt)

    def change(synapse: Synapse, held: SynapseState):
        after = sense(synapse, held, name, conc, elapsed)
        if name in tissue.layout.sparse:
            traces = with_traces(synapse, held, [x[owner, None] for x in at_touch]).traces
            after = overdue(synapse, held, after, name, behind[owner, None], traces)
        return after, None

    return change


def slow_step(model: Model, tissue: LazyTissue, state: LazyState, elapsed: Scalar) -> LazyState:
    """Expression of long-term change in all rows."""
    return changed(model, tissue, state, lambda synapse, held: (slow_change(synapse, held, elapsed), None))[0]


def changed(model: Model, tissue: LazyTissue, state: LazyState, change: Change) -> tuple[LazyState, Any]:
    """The state after `change` in all slots but free ones, which never change; and what else comes of it.

    Only channels that `change` reads or writes are taken out of the rows, before any is put back: in any other order
    the rows would be copied.
    """
    layout, live = tissue.layout, tissue.plastic.post >= 0
    used = used_channels(layout, model.synapse, change)
    early, late = _apart(layout, used)
    (makers, first), (cells, rest) = lift(state.makers, early), lift(state.cells, late)
    taken, blank = dict(zip(used, (*first, *rest), strict=True)), jnp.zeros(live.shape, cells.dtype)
    rows = [taken.get(place, blank) for place in range(len(layout.kept))]
    synapse, before = _named(model, tissue, state, rows)
    held, more = change(synapse, before)
    calm = tuple(old if new is old else jnp.where(live, new, old)
                 for new, old in zip(to_calm(layout, held), state.calm, strict=True))
    after = to_channels(layout, held)
    moved = [place for place in used if after[place] is not rows[place]]
    put = [jnp.where(live, after[place], rows[place]) for place in moved]
    early, late = _apart(layout, moved)
    makers, cells = lower(makers, early, put[:len(early)]), lower(cells, late, put[len(early):])
    return eqx.tree_at(lambda s: (s.makers, s.cells, s.calm), state, (makers, cells, calm)), more


def _apart(layout: Layout, channels: list[int]) -> tuple[list[int], list[int]]:
    """Which of `makers` and which of `cells` those channels, in order, are."""
    return ([place for place in channels if place < layout.making],
            [place - layout.making for place in channels if place >= layout.making])


def lift(cells: Float[Array, "B C slot"], channels: list[int]) -> tuple[Array, list[Array]]:
    """The cells, and those of their channels."""
    plain = lambda: (cells, *(cells[:, place] for place in channels))  # noqa: E731
    fast = lambda: native.lift(cells, jnp.asarray(channels, jnp.int32))  # noqa: E731
    if not (channels and native.ready()):
        same, *taken = plain()
    else:
        same, *taken = jax.lax.platform_dependent(cpu=fast, default=plain)
    return same, taken


def lower(cells: Float[Array, "B C slot"], channels: list[int], values: list[Array]) -> Float[Array, "B C slot"]:
    """The cells with those channels replaced."""
    if not channels:
        return cells

    def plain():
        after = cells
        for place, new in zip(channels, values, strict=True):
            after = after.at[:, place].set(new)
        return after

    fast = lambda: native.lower(cells, jnp.asarray(channels, jnp.int32), values)  # noqa: E731
    return jax.lax.platform_dependent(cpu=fast, default=plain) if native.ready() else plain()


def unpacked(model: Model, tissue: LazyTissue, state: LazyState) -> tuple[Synapse, SynapseState]:
    """The synapse with its parameters by slot, and the state of all slots as their rows stand, with the traces now."""
    return _named(model, tissue, state, state.channels)


def _named(model: Model, tissue: LazyTissue, state: LazyState, rows: list[Array]) -> tuple[Synapse, SynapseState]:
    synapse = synapse_of(tissue.layout, model.synapse, tissue.plastic.index)
    held = from_channels(tissue.layout, synapse, rows, list(state.calm))
    owner = tissue.plastic.owner
    pre = decayed(synapse, list(state.pre), (state.step - state.arrived) * model.dt)
    target = jnp.maximum(tissue.plastic.post, 0)
    return synapse, with_traces(synapse, held, [x[owner, None] for x in pre], [x[target] for x in state.post])


def _emission(model: Model, tissue: LazyTissue, state: LazyState, which: int, plan: FieldPlan):
    """What all spines made, from rows that are up to date: per voxel in fixed point, per synapse, and most of one."""
    name = model.messengers[which].name
    return _deposited(tissue, which, *changed(
        model, tissue, state, lambda synapse, held: emit(synapse, held, name, plan.elapsed)))


def _deposit(tissue: LazyTissue, units: Int[Array, "B slot"]) -> Int[Array, " V"]:
    """The sum over the spines in each voxel."""
    grid, voxels = tissue.space
    plain = lambda: jnp.zeros(grid.n_voxels, jnp.int32).at[voxels.spines].add(units)  # noqa: E731
    fast = lambda: native.deposit(voxels.spines, units, grid.n_voxels)  # noqa: E731
    return jax.lax.platform_dependent(cpu=fast, default=plain) if native.ready() else plain()


def _sparse_emission(model: Model, tissue: LazyTissue, state: LazyState, which: int, plan: FieldPlan):
    """The same from rows as they are."""
    name = model.messengers[which].name
    stock = take_stock(model, tissue, state, which, plan.elapsed)
    state = eqx.tree_at(lambda s: (s.makers, s.hot), state, (stock.makers, stock.hot))
    if name not in tissue.layout.filtered:
        return state, stock.total, stock.made, stock.most

    def relax(synapse: Synapse, held: SynapseState):
        # what rows hold as `activated` was settled with them; it does not pass through here
        rules = tuple(s._replace(activated=stock.made) if rule.makes == name else s
                      for rule, s in zip(synapse.rules, held.rules, strict=True))
        after, molecules = emit(synapse, held._replace(rules=rules), name, plan.elapsed)
        rules = tuple(new._replace(activated=old.activated) if rule.makes == name else new
                      for rule, old, new in zip(synapse.rules, held.rules, after.rules, strict=True))
        return after._replace(rules=rules), molecules

    return _deposited(tissue, which, *changed(model, tissue, state, relax))


def _deposited(tissue: LazyTissue, which: int, state: LazyState, molecules):
    """With what every spine made: the sum per voxel in fixed point, and most of one."""
    molecules = jnp.where(tissue.plastic.post >= 0, molecules, 0.0)
    units = to_fixed(molecules, tissue.deposit_scale[which])
    return state, _deposit(tissue, units), molecules, jnp.max(molecules)


def _spread(
    model: Model, tissue: LazyTissue, state: LazyState, which: int, plan: FieldPlan, total, molecules, most
) -> LazyState:
    """Deposit, diffusion, the spines' own history and their direct way."""
    scale, (grid, voxels), total = tissue.deposit_scale[which], tissue.space, cut.summed(tissue.cut, total)
    volume = MOLECULES_PER_NM_UM3 * grid.voxel_volume
    messenger, cis = model.messengers[which], state.cis[which]
    source = released(messenger, from_fixed(total, scale)).reshape(grid.shape) / (volume * plan.elapsed)
    pools = transport(model, plan.transport, which, Pools(state.fields, state.pending, state.bound), source)
    overflow = jnp.any(total < 0) | (cut.largest(tissue.cut, most) * scale > 2.0**31)
    errors = state.errors | jnp.where(overflow, int(ErrorBit.DEPOSIT_OVERFLOW), 0)
    history = state.emitted[which]
    if voxels.near is not None:
        # times the inverse: a quotient by one number would be a pass over all synapses of its own
        history = jnp.roll(history, 1, axis=0).at[0].set(released(messenger, molecules) * (1 / plan.elapsed))
        cis = step_cis(messenger, cis, molecules, plan.elapsed)
    return eqx.tree_at(lambda s: (s.fields, s.pending, s.bound, s.emitted[which], s.cis[which], s.errors), state,
                       (pools.fields, pools.pending, pools.bound, history, cis, errors))


def concentration(
    model: Model, tissue: LazyTissue, state: LazyState, which: int, plan: FieldPlan
) -> Float[Array, "B slot"]:
    """Concentration at every bouton [nM]."""
    _, voxels = tissue.space
    messenger, places = model.messengers[which], voxels.spines if voxels.boutons is None else voxels.boutons
    at_boutons = lambda field: field.reshape(-1)[places]  # noqa: E731
    amount = at_boutons(state.fields[which])
    if voxels.near is not None:
        near = near_amount(plan.near, voxels.near, tissue.pairs, state.emitted[which])
        amount = amount + own_at(messenger, near, at_boutons)
    # times the inverse, as in `_spread`
    return jnp.maximum(amount, 0.0) * (1 / room_at(messenger, at_boutons)) + direct(messenger, state.cis[which])


def _level(messenger, tissue: LazyTissue, field, conc) -> Float[Array, "3"]:
    """Mean over the box, mean and maximum over the boutons [nM]."""
    _, voxels = tissue.space
    if voxels.near is None:  # boutons of one voxel see the same, so counting them per voxel will do
        count, conc = voxels.crowd, (jnp.maximum(field, 0.0) / room(messenger)).reshape(-1)
        most = jnp.where(count > 0, conc, 0.0)
        total, number, most = jnp.sum(conc * count), jnp.sum(count), jnp.max(most)
    else:
        live = tissue.plastic.post >= 0
        conc = jnp.where(live, conc, 0.0)  # one array: a sum and a maximum do not share a pass
        total, number = (cut.summed(tissue.cut, jnp.sum(x)) for x in (conc, live))
        most = cut.largest(tissue.cut, jnp.max(conc))
    return jnp.stack([jnp.mean(field) / messenger.volume_fraction, total / jnp.maximum(number, 1), most])
