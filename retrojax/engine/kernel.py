"""The synapse kernel: the only fast biology. Every schedule calls `touch`.

One instant, in every schedule, in this order: (i) everything flows to t; (ii) presynaptic calcium due at t lands;
(iii) every pre and post hook reads this one state; (iv) all increments are added; (v) vesicles are released and the
response transmitted, with the values after (iv); (vi) a field step due at t comes last, outside the kernel. A tie gives
neither spike the other's increment, and the order of parts cannot matter.
"""

import functools
import operator
import zlib
from typing import Any

import jax
import jax.numpy as jnp

from retrojax.engine.rows import Synapse, SynapseState, pack, unpack
from retrojax.numerics import Draws
from retrojax.parts.base import Change, Expression
from retrojax.types import Flags, PerRow, Rows

Spikes = tuple[Flags, Flags, Flags]
"""(landed, pre, post): what happens to every row at one instant."""


def touch(synapse: Synapse, rows: Rows, elapsed: PerRow, spikes: Spikes, draws: Draws) -> tuple[Rows, PerRow]:
    """Bring rows up to date after `elapsed` ms, then apply what happens at this instant.

    **Arguments**

    - `rows`: packed state [channel, *rows].
    - `elapsed`: ms since the rows were last touched; one number, or one per row.
    - `spikes`: (landed, pre, post) flags, broadcastable to the rows.
    - `draws`: random numbers of these rows.

    **Returns** the rows after the instant, and what each row transmitted: the released fraction times q times the
    weights the rules hold; 0 without a presynaptic spike.
    """
    state = flow(synapse, unpack(synapse, rows), elapsed, draws)
    state, transmitted = instant(synapse, state, spikes, draws)
    return pack(state), transmitted


def flow(synapse: Synapse, state: SynapseState, elapsed: PerRow, draws: Draws) -> SynapseState:
    """Step (i): time passes without a spike."""
    with jax.named_scope("flow"):
        spine, path = synapse.spine.flow(state.spine, elapsed)
        release = synapse.release.flow(state.release, elapsed)
        rules = tuple(
            rule.flow(s, elapsed, path, draws.stream(stream))
            for rule, s, stream in zip(synapse.rules, state.rules, rule_streams(synapse), strict=True)
        )
    return state._replace(spine=spine, release=release, rules=rules)


def instant(
    synapse: Synapse, state: SynapseState, spikes: Spikes, draws: Draws
) -> tuple[SynapseState, PerRow]:
    """Steps (ii) to (v): landings, jumps, release."""
    landed, pre, post = spikes
    with jax.named_scope("instant"):
        state = state._replace(spine=_add(state.spine, landed, synapse.spine.on_landing(state.spine)))
        state = _jump(synapse, state, pre, post)
        p = effective_p(synapse, state)
        after, released = synapse.release.on_pre(state.release, p, draws.stream(0))
        release = jax.tree.map(lambda new, old: jnp.where(pre, new, old), after, state.release)
        transmitted = jnp.where(pre, released * strength(synapse, state), 0.0)
    return state._replace(release=release), transmitted


def rule_streams(synapse: Synapse) -> tuple[int, ...]:
    """Number of every rule's stream of random numbers; it follows from the rule's kind, not from its place."""
    names = [type(rule).__name__ for rule in synapse.rules]
    # rules of one kind are told apart by their order; 31 bits because fold_in takes an int32
    return tuple(zlib.crc32(f"{name}{names[:place].count(name)}".encode()) >> 1 for place, name in enumerate(names))


def effective_p(synapse: Synapse, state: SynapseState) -> PerRow:
    """Release probability after modulation, inside its bounds."""
    modulated = functools.reduce(operator.mul, state.modulation, state.expression.p_release)
    return jnp.clip(modulated, synapse.bounds.p_min, synapse.bounds.p_max)


def strength(synapse: Synapse, state: SynapseState) -> PerRow:
    """Postsynaptic response to a full release: q times the weights that rules hold."""
    result = state.expression.q
    for rule, s in zip(synapse.rules, state.rules, strict=True):
        factor = rule.weight(s)
        result = result if factor is None else result * factor
    return result


def _jump(synapse: Synapse, state: SynapseState, pre: Flags, post: Flags) -> SynapseState:
    """Steps (iii) and (iv): all hooks read `state`; their changes are then summed."""
    asked = [
        (number, flag, hook(s, state.expression))
        for number, (rule, s) in enumerate(zip(synapse.rules, state.rules, strict=True))
        for flag, hook in ((pre, rule.on_pre), (post, rule.on_post))
    ]
    changes = [(number, flag, change) for number, flag, change in asked if change is not None]
    spine = _add(state.spine, post, synapse.spine.on_post(state.spine))
    return apply_changes(synapse, state._replace(spine=spine), changes)


def apply_changes(
    synapse: Synapse, state: SynapseState, changes: list[tuple[int, Flags, Change]]
) -> SynapseState:
    """Add the changes that rules ask for, each to its own state and all to P and q; then clip P and q."""
    if not changes:
        return state
    rules = list(state.rules)
    dP: PerRow | float = 0.0
    dq: PerRow | float = 0.0
    for number, flag, change in changes:
        rules[number] = _add(rules[number], flag, change.state)
        dP = dP + jnp.where(flag, change.p_release, 0.0)
        dq = dq + jnp.where(flag, change.q, 0.0)
    moved = Expression(state.expression.p_release + dP, state.expression.q + dq)
    return state._replace(rules=tuple(rules), expression=synapse.bounds.clip(moved))


def _add(state: Any, flag: Flags, increments: Any) -> Any:
    return jax.tree.map(lambda value, step: value + jnp.where(flag, step, 0.0), state, increments)
