"""The synapse kernel: the only fast biology. Every schedule calls `touch`.

One instant, in every schedule, in this order: (i) everything flows to t; (ii) presynaptic calcium due at t lands;
(iii) every pre and post hook reads this one state; (iv) all increments are added; (v) vesicles are released and the
response transmitted, with the values after (iv); (vi) a field step due at t comes last, outside the kernel. A tie gives
neither spike the other's increment, and the order of parts cannot matter.
"""

import functools
import operator
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from retrojax.engine.rows import Synapse, SynapseState, pack, unpack
from retrojax.numerics import Draws, decay
from retrojax.parts.base import Change, Expression, Modulation, Traces
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
        state = flow_spine(synapse, state, elapsed, draws)
        release = modulated(synapse, state).release.flow(state.release, elapsed)
        traces = tuple(
            Traces(tuple(x * decay(elapsed, tau) for x, tau in zip(held.pre, rule.pre_traces(), strict=True)),
                   tuple(y * decay(elapsed, tau) for y, tau in zip(held.post, rule.post_traces(), strict=True)))
            for rule, held in zip(synapse.rules, state.traces, strict=True)
        )
    return state._replace(release=release, traces=traces)


def flow_spine(synapse: Synapse, state: SynapseState, elapsed: PerRow, draws: Draws) -> SynapseState:
    """The part of a flow that postsynaptic spikes and landings interrupt: calcium and the rules.

    Release and traces have no business there, so a schedule may let them flow in one stretch.
    """
    synapse = modulated(synapse, state)
    spine, path = synapse.spine.flow(state.spine, elapsed)
    rules = tuple(
        rule.flow(s, elapsed, path, held.pre, draws.stream(stream)) for rule, s, held, stream in
        zip(synapse.rules, state.rules, state.traces, rule_streams(synapse), strict=True)
    )
    return state._replace(spine=spine, rules=rules)


def instant(
    synapse: Synapse, state: SynapseState, spikes: Spikes, draws: Draws
) -> tuple[SynapseState, PerRow]:
    """Steps (ii) to (v): landings, jumps, release."""
    _, pre, post = spikes
    with jax.named_scope("instant"):
        state, transmitted = release(synapse, jump(synapse, state, spikes), pre, draws)
        traces = jax.tree.map(lambda x, flag: x + flag, state.traces, tuple(
            Traces(tuple(pre for _ in held.pre), tuple(post for _ in held.post)) for held in state.traces))
    return state._replace(traces=traces), transmitted


def jump(synapse: Synapse, state: SynapseState, spikes: Spikes) -> SynapseState:
    """Steps (ii) to (iv): calcium lands, then all hooks read that one state and their changes are summed."""
    landed, pre, post = spikes
    synapse = modulated(synapse, state)
    state = state._replace(spine=add(state.spine, landed, synapse.spine.on_landing(state.spine)))
    read = list(zip(synapse.rules, state.rules, state.traces, strict=True))
    asked = [(number, pre, rule.on_pre(s, state.expression, held)) for number, (rule, s, held) in enumerate(read)]
    asked += [(number, post, rule.on_post(s, state.expression, held)) for number, (rule, s, held) in enumerate(read)]
    spine = add(state.spine, post, synapse.spine.on_post(state.spine))
    changes = [(number, flag, change) for number, flag, change in asked if change is not None]
    return apply_changes(synapse, state._replace(spine=spine), changes)


def release(synapse: Synapse, state: SynapseState, pre: Flags, draws: Draws) -> tuple[SynapseState, PerRow]:
    """Step (v): vesicles leave where `pre`; the response is what they transmit."""
    terminal = modulated(synapse, state).release
    after, released = terminal.on_pre(state.release, effective_p(synapse, state), draws.stream(0))
    kept = jax.tree.map(lambda new, old: jnp.where(pre, new, old), after, state.release)
    return state._replace(release=kept), jnp.where(pre, released * strength(synapse, state), 0.0)


def rule_streams(synapse: Synapse) -> tuple[int, ...]:
    """Number of every rule's stream of random numbers; it follows from the rule's kind, not from its place."""
    names = [type(rule).__name__ for rule in synapse.rules]
    # rules of one kind are told apart by their order; 31 bits because fold_in takes an int32
    return tuple(zlib.crc32(f"{name}{names[:place].count(name)}".encode()) >> 1 for place, name in enumerate(names))


def effective_p(synapse: Synapse, state: SynapseState) -> PerRow:
    """Release probability times the factors that rules hold, inside its bounds."""
    factors = [rule.factor(s) for rule, s in zip(synapse.rules, state.rules, strict=True)]
    return synapse.bounds.clip_p(_product(state.expression.p_release, factors))


def strength(synapse: Synapse, state: SynapseState) -> PerRow:
    """Postsynaptic response to a full release: q times the weights that rules hold."""
    return _product(state.expression.q, [rule.weight(s) for rule, s in zip(synapse.rules, state.rules, strict=True)])


def modulated(synapse: Synapse, state: SynapseState) -> Synapse:
    """The synapse with its parts under the factors that rules hold on them; itself where none holds any."""
    asked = [rule.modulation(s) for rule, s in zip(synapse.rules, state.rules, strict=True)]
    held = [each for each in asked if each is not None]
    if not held:
        return synapse
    by = Modulation(*(functools.reduce(operator.mul, each) for each in zip(*held, strict=True)))
    return Synapse(synapse.spine.modulated(by), synapse.release.modulated(by),
                   tuple(rule.modulated(by) for rule in synapse.rules), synapse.p_release, synapse.q, synapse.bounds)


def _product(value: PerRow, factors: list[PerRow | None]) -> PerRow:
    return functools.reduce(operator.mul, [factor for factor in factors if factor is not None], value)


def apply_changes(
    synapse: Synapse, state: SynapseState, changes: list[tuple[int, Flags, Change]]
) -> SynapseState:
    """Add the changes that rules ask for, each to its own state and all to P and q; then clip P and q."""
    rules = list(state.rules)
    for number, flag, change in changes:
        rules[number] = add(rules[number], flag, change.state)
    P = _moved(state.expression.p_release, [(flag, change.p_release) for _, flag, change in changes],
               synapse.bounds.clip_p)
    q = _moved(state.expression.q, [(flag, change.q) for _, flag, change in changes], synapse.bounds.clip_q)
    return state._replace(rules=tuple(rules), expression=Expression(P, q))


def _moved(
    value: PerRow, steps: list[tuple[Flags, PerRow | float]], clip: Callable[[PerRow], PerRow]
) -> PerRow:
    """The sum, inside its bounds; a strength that no rule moves is handed back as it is."""
    real = [jnp.where(flag, step, 0.0) for flag, step in steps if not (isinstance(step, float) and step == 0.0)]
    return clip(value + functools.reduce(operator.add, real)) if real else value


def add(state: Any, flag: Flags, increments: Any) -> Any:
    """`state` with the increments where `flag`."""
    return jax.tree.map(lambda value, step: value + jnp.where(flag, step, 0.0), state, increments)
