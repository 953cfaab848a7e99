"""The field step: synthesis, deposit, diffusion, sampling, receptors - for one messenger at its own clock."""

import functools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from retrojax.engine.kernel import apply_changes, modulated
from retrojax.engine.model import Model, NetworkState, Tissue
from retrojax.engine.near import NearPlan, direct, near_amount, plan_near, released, step_cis
from retrojax.engine.reactions import Pools, linear_loss, plan_transport, transport
from retrojax.engine.rows import Synapse, SynapseState, pack, unpack
from retrojax.engine.transport import TransportPlan, own_at, room_at
from retrojax.errors import ErrorBit
from retrojax.parts.base import Traces
from retrojax.space import deposit, from_fixed, sample, to_fixed
from retrojax.types import PerRow, Rows, Scalar
from retrojax.units import MOLECULES_PER_NM_UM3


class FieldPlan(NamedTuple):
    """What a field step needs of its parameters, computed once per chunk: transport and the near field."""

    transport: TransportPlan
    near: NearPlan
    elapsed: Scalar


def plan_fields(
    model: Model, tissue: Tissue, state: NetworkState, elapsed: tuple[Scalar, ...]
) -> tuple[FieldPlan, ...]:
    """Plans of all messengers for field steps of `elapsed` ms each."""
    return tuple(
        FieldPlan(
            plan_transport(model, tissue.grid, which, step),
            plan_near(m, tissue.grid, linear_loss(model, which), step, tissue.near_distance, tissue.pairs,
                      history.shape[0]),
            step,
        )
        for which, (m, step, history) in enumerate(zip(model.messengers, elapsed, state.emitted, strict=True))
    )


def field_step(
    model: Model, tissue: Tissue, state: NetworkState, which: int, plan_: FieldPlan, exact: bool = True
) -> NetworkState:
    """One step of messenger number `which`: what spines made since the last step enters as a constant source.

    Amounts are summed per voxel in fixed point, so the result does not depend on the order of the synapses. Without
    `exact` they are summed in floating point, which carries gradients.
    """
    messenger = model.messengers[which]
    with jax.named_scope(f"field_{messenger.name}"):
        synapses = unpack(model.synapse, state.rows)
        synapses, molecules = emit(model.synapse, synapses, messenger.name, plan_.elapsed)
        scale = tissue.deposit_scale[which]
        total = deposit(tissue.spines, to_fixed(molecules, scale) if exact else molecules, tissue.grid.shape)
        per_voxel = released(messenger, from_fixed(total, scale) if exact else total)
        volume = MOLECULES_PER_NM_UM3 * tissue.grid.voxel_volume
        pools = transport(model, plan_.transport, which, Pools(state.fields, state.pending, state.bound),
                          per_voxel / (volume * plan_.elapsed))
        field = pools.fields[which]
        emitted = jnp.roll(state.emitted[which], 1, axis=0).at[0].set(
            released(messenger, molecules) / plan_.elapsed)
        cis = step_cis(messenger, state.cis[which], molecules, plan_.elapsed)
        at_boutons = functools.partial(sample, tissue.boutons)
        own = own_at(messenger, near_amount(plan_.near, tissue.near, tissue.pairs, emitted), at_boutons)
        amount = jnp.maximum(at_boutons(field) + own, 0.0)
        concentration = amount / room_at(messenger, at_boutons) + direct(messenger, cis)
        synapses = sense(model.synapse, synapses, messenger.name, concentration, plan_.elapsed)
        level = jnp.stack([jnp.mean(field) / messenger.volume_fraction, concentration.mean(), concentration.max()])
        overflow = jnp.any(total < 0) | jnp.any(molecules * scale > 2.0**31)
    return eqx.tree_at(
        lambda s: (s.rows, s.fields, s.pending, s.bound, s.emitted[which], s.cis[which], s.levels, s.errors),
        state,
        (pack(synapses), pools.fields, pools.pending, pools.bound, emitted, cis, state.levels.at[which].set(level),
         state.errors | jnp.where(overflow, int(ErrorBit.DEPOSIT_OVERFLOW), 0)),
    )


def slow_step(synapse: Synapse, rows: Rows, elapsed: Scalar) -> Rows:
    """`slow_change` of packed rows."""
    return pack(slow_change(synapse, unpack(synapse, rows), elapsed))


def slow_change(synapse: Synapse, state: SynapseState, elapsed: Scalar) -> SynapseState:
    """Expression of long-term change: the `slow` hooks of all rules, read at one state and summed."""
    asked = [
        (number, jnp.asarray(True), rule.slow(s, state.expression, elapsed))
        for number, (rule, s) in enumerate(zip(modulated(synapse, state).rules, state.rules, strict=True))
    ]
    return apply_changes(synapse, state, [entry for entry in asked if entry[2] is not None])


def emit(synapse: Synapse, state: SynapseState, name: str, elapsed: Scalar) -> tuple[SynapseState, PerRow]:
    """What every spine made of messenger `name` since its last field step [molecules], and the state after it."""
    rules, total = list(state.rules), jnp.zeros_like(state.expression.q)
    for number, rule in enumerate(synapse.rules):
        if rule.makes == name:
            rules[number], molecules = rule.emit(rules[number], elapsed)
            total = total if molecules is None else total + molecules
    return state._replace(rules=tuple(rules)), total


def sense(synapse: Synapse, state: SynapseState, name: str, conc: PerRow, elapsed: Scalar) -> SynapseState:
    """The `field` hooks of the rules that sense messenger `name`, at bouton concentrations `conc` [nM]."""
    rules = tuple(
        rule.field(s, conc, elapsed, state.expression, held.pre) if rule.senses == name else s
        for rule, s, held in zip(synapse.rules, state.rules, state.traces, strict=True)
    )
    return state._replace(rules=rules)


def overdue(
    synapse: Synapse, before: SynapseState, after: SynapseState, name: str, elapsed: PerRow, traces: tuple[Traces, ...]
) -> SynapseState:
    """The state `after` messenger `name` was sensed, for synapses whose flow of the last `elapsed` ms is still to come.

    - `traces`: at the start of that flow.
    """
    rules = tuple(
        rule.overdue(old, new, elapsed, held.pre) if rule.senses == name else new
        for rule, old, new, held in zip(synapse.rules, before.rules, after.rules, traces, strict=True)
    )
    return after._replace(rules=rules)
