"""Which numbers of a synapse a network has to keep, and which clock each of them lives on.

A synapse's named state has more leaves than move: a release probability that no rule changes, a quantal amplitude that
stays 1. The engine reads off the parts' own code which leaves spikes and time change (they are channels of the rows),
which only field and slow steps change (arrays of their own, so that such a step leaves the rows alone), and which
nothing changes: where these start alike in all synapses they are parameters and cost neither memory nor traffic.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from retrojax.engine.field_step import emit, overdue, sense, slow_change
from retrojax.engine.kernel import flow, flow_spine, jump, release, strength
from retrojax.engine.rows import Synapse, SynapseState, channel_name, init_state
from retrojax.numerics import Draws, needed, untouched
from retrojax.parts.base import AbstractSynthesis
from retrojax.types import Index


class Layout(NamedTuple):
    """Static: where the leaves of a state without its traces are kept.

    - `kept`, `names`: leaves that are channels of a row, and what they are called. `making`: how many of them, the
      first ones, making a sparse messenger reads: they have rows of their own, which its field steps stream through.
    - `calm`, `calm_names`: leaves that only field and slow steps change, or that differ between synapses for good.
    - `arrays`: positions of the leaves of the synapse that hold one value per synapse and act in a hook.
    - `post_read`: postsynaptic traces that a rule reads at postsynaptic spikes, among those of all rules in order.
    - `moved`, `replayed`: channels that change, and those that are read or change, between two spikes of an axon;
      `replayed` counts the calm ones on after the channels.
    - `sparse`: messengers whose field step needs no synapse brought up to date (`stock`). `filtered`: those of them
      whose synthesis goes through something that every synapse keeps, as an enzyme.
    - `slow`: whether any rule has something to do at slow steps.
    """

    kept: tuple[int, ...]
    names: tuple[str, ...]
    making: int
    calm: tuple[int, ...]
    calm_names: tuple[str, ...]
    arrays: tuple[int, ...]
    post_read: tuple[int, ...]
    moved: tuple[int, ...]
    replayed: tuple[int, ...]
    sparse: tuple[str, ...]
    filtered: tuple[str, ...]
    slow: bool


def plan_layout(synapse: Synapse) -> Layout:
    """The layout of a kind of synapse whose parameters are numbers, or arrays with one value per synapse."""
    one = jax.tree.map(lambda leaf: leaf[(0,) * leaf.ndim], synapse)
    many = [leaf.ndim > 0 for leaf in jax.tree.leaves(synapse)]
    start = init_state(one, ())
    calm_in_events = untouched(lambda state: _events(one, state), start)
    still = untouched(lambda state: _every_hook(one, state), start)
    paths = [path for path, _ in jax.tree_util.tree_flatten_with_path(bare(start))[0]]
    kept = tuple(k for k in range(len(paths)) if not calm_in_events[k])
    calm = tuple(k for k in range(len(paths))
                 if calm_in_events[k] and not (still[k] and _starts_alike(one, many, k)))
    acts = needed(lambda synapse: _outcome(synapse, start), one)
    names = lambda leaves: tuple(channel_name(one, paths[k]) for k in leaves)  # noqa: E731
    arrays = tuple(k for k, (array, used) in enumerate(zip(many, acts, strict=True)) if array and used)
    sparse = tuple(name for name in _messengers(one) if _sparse(one, start, name, kept))
    read = made_from(one, start, sparse)
    concerned = [k for k in kept if k in read]
    kept = (*concerned, *(k for k in kept if k not in concerned))
    moved, replayed = _interrupted(one, start, kept, calm)
    return Layout(kept, names(kept), len(concerned), calm, names(calm), arrays, _read_at_post_spikes(one, start), moved,
                  replayed, sparse, tuple(name for name in sparse if _relaxing(one, start, name)),
                  not all(untouched(lambda state: slow_change(one, state, jnp.ones(())), start)))


def bare(state: SynapseState) -> SynapseState:
    """The state without its traces, which a lazy network keeps with axons and neurons."""
    return state._replace(traces=())


def to_channels(layout: Layout, state: SynapseState) -> list[Array]:
    """The leaves that rows hold, in order."""
    leaves = jax.tree.leaves(bare(state))
    return [leaves[k] for k in layout.kept]


def in_rows(layout: Layout, channels: list[Array]) -> tuple[Float[Array, "B m slot"], Float[Array, "B C slot"]]:
    """Channels as rows: those that making a sparse messenger reads, and all others."""
    shape, dtype = channels[0].shape, channels[0].dtype
    none = jnp.zeros((shape[0], 0, *shape[1:]), dtype)
    makers, rest = channels[:layout.making], channels[layout.making:]
    return jnp.stack(makers, axis=1) if makers else none, jnp.stack(rest, axis=1) if rest else none


def to_calm(layout: Layout, state: SynapseState) -> tuple[Array, ...]:
    """The leaves that have arrays of their own, in order."""
    leaves = jax.tree.leaves(bare(state))
    return tuple(leaves[k] for k in layout.calm)


def from_channels(layout: Layout, synapse: Synapse, values: list[Array], calm: list[Array]) -> SynapseState:
    """The state, without traces, that channels and calm leaves of some row shape stand for."""
    given = [*values, *calm]
    rest = bare(init_state(synapse, given[0].shape if given else ()))
    leaves, structure = jax.tree.flatten(rest)
    for k, value in zip((*layout.kept, *layout.calm), given, strict=True):
        leaves[k] = value
    return jax.tree.unflatten(structure, leaves)


def synapse_of(layout: Layout, synapse: Synapse, index: Index) -> Synapse:
    """The synapse with parameters of the rows `index` where it has one per synapse; the rest is left out."""
    leaves, structure = jax.tree.flatten(synapse)
    chosen = [leaf[index if k in layout.arrays else 0] if leaf.ndim else leaf for k, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, chosen)


def made_from(synapse: Synapse, state: SynapseState, names: tuple[str, ...]) -> list[int]:
    """Leaves that making any of those messengers reads: calcium, and what its rules hold."""
    places = numbered(bare(state))
    rules = [s for rule, s in zip(synapse.rules, places.rules, strict=True) if rule.makes in names]
    return jax.tree.leaves((places.spine, rules)) if rules else []


def numbered(state: SynapseState) -> SynapseState:
    """The number of every leaf of a state, in its place."""
    leaves, structure = jax.tree.flatten(state)
    return jax.tree.unflatten(structure, range(len(leaves)))


def used_channels(layout: Layout, synapse: Synapse, change: Callable[[Synapse, SynapseState], Any]) -> list[int]:
    """Channels that `change(synapse, state) -> (state, more)` reads or changes."""
    one = jax.tree.map(lambda leaf: leaf[(0,) * leaf.ndim], synapse)
    start = init_state(one, ())
    still = untouched(lambda state: change(one, state)[0], start)
    moved = [k for k, same in enumerate(still) if not same]

    def wanted(state):
        after, more = change(one, state)
        leaves = jax.tree.leaves(after)
        return [leaves[k] for k in moved], more

    reads = needed(wanted, start)
    return [channel for channel, k in enumerate(layout.kept) if reads[k] or k in moved]


def _messengers(synapse: Synapse) -> list[str]:
    return sorted({name for rule in synapse.rules for name in (rule.makes, rule.senses) if name})


def _events(synapse: Synapse, state: SynapseState) -> SynapseState:
    """What time and spikes may do to a synapse."""
    yes, draws = jnp.asarray(True), Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    state = flow(synapse, state, jnp.ones(()), draws)
    return release(synapse, jump(synapse, state, (yes, yes, yes)), yes, draws)[0]


def _every_hook(synapse: Synapse, state: SynapseState) -> SynapseState:
    """Everything that may happen to a synapse, one after another."""
    state, dt = _events(synapse, state), jnp.ones(())
    for name in _messengers(synapse):
        state, _ = emit(synapse, state, name, dt)
        state = sense(synapse, state, name, dt, dt)
    return slow_change(synapse, state, dt)


def _outcome(synapse: Synapse, state: SynapseState):
    """Everything that may come of a synapse: its state, what it transmits, and what it makes."""
    after = _every_hook(synapse, state)
    made = [emit(synapse, after, name, jnp.ones(()))[1] for name in _messengers(synapse)]
    return after, strength(synapse, after), made


def _sparse(synapse: Synapse, state: SynapseState, name: str, kept: tuple[int, ...]) -> bool:
    """Whether a quiet synapse makes none of that messenger, or what an enzyme still makes, and sensing it reads and
    changes calm leaves alone, which nothing reads before the synapse is next brought up to date, or whose rule makes
    good what was read (`overdue`)."""
    makers, one = [rule for rule in synapse.rules if rule.makes == name], jnp.ones(())
    if not all(isinstance(rule, AbstractSynthesis) and rule.floor() is not None for rule in makers):
        return False
    after = lambda state: sense(synapse, state, name, one, one)  # noqa: E731
    moved = _moved(after, state)
    reads = needed(lambda state: _values(after(state), moved), state)
    good = set(_moved(lambda state: overdue(synapse, state, after(state), name, one, state.traces), state)) - set(moved)
    early = needed(lambda state: _values(_pending(synapse, state), tuple(k for k in kept if k not in good)), state)
    relaxing = _relaxing(synapse, state, name)
    return not any(k in moved or k in relaxing or reads[k] for k in kept) and \
        not any(early[k] for k in (*moved, *relaxing)) and (not relaxing or len(makers) == 1)


def _relaxing(synapse: Synapse, state: SynapseState, name: str) -> tuple[int, ...]:
    """Leaves besides `activated` that handing over a messenger changes."""
    handed = [s.activated for rule, s in zip(synapse.rules, numbered(state).rules, strict=True) if rule.makes == name]
    return tuple(k for k in _moved(lambda state: emit(synapse, state, name, jnp.ones(()))[0], state) if k not in handed)


def _moved(change: Callable[[SynapseState], SynapseState], state: SynapseState) -> tuple[int, ...]:
    """Leaves that `change` changes."""
    return tuple(k for k, same in enumerate(untouched(change, state)) if not same)


def _values(state: SynapseState, leaves: tuple[int, ...]) -> list[Array]:
    return [jax.tree.leaves(state)[k] for k in leaves]


def _pending(synapse: Synapse, state: SynapseState) -> SynapseState:
    """What may happen to a synapse without a spike of its axon."""
    no, yes, draws = jnp.asarray(False), jnp.asarray(True), Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    return jump(synapse, flow(synapse, state, jnp.ones(()), draws), (yes, no, yes))


def _read_at_post_spikes(synapse: Synapse, state: SynapseState) -> tuple[int, ...]:
    no, yes = jnp.asarray(False), jnp.asarray(True)

    def after(post):
        traces = tuple(held._replace(post=values) for held, values in zip(state.traces, post, strict=True))
        return bare(jump(synapse, state._replace(traces=traces), (no, no, yes)))

    return tuple(k for k, used in enumerate(needed(after, tuple(held.post for held in state.traces))) if used)


def _interrupted(synapse: Synapse, state: SynapseState, kept: tuple[int, ...], calm: tuple[int, ...]):
    """Channels that change, and channels that matter, where postsynaptic spikes and landings interrupt a flow."""
    no, yes, dt = jnp.asarray(False), jnp.asarray(True), jnp.ones(())
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))

    def after(state):
        return jump(synapse, flow_spine(synapse, state, dt, draws), (yes, no, yes))

    still = untouched(after, state)
    moved = {k for k in kept if not still[k]}
    wants = needed(lambda state: [jax.tree.leaves(after(state))[k] for k in sorted(moved)], state)
    return (tuple(c for c, k in enumerate(kept) if k in moved),
            tuple(c for c, k in enumerate((*kept, *calm)) if k in moved or wants[k]))


def _starts_alike(one: Synapse, many: list[bool], leaf: int) -> bool:
    """Whether that leaf of the state starts the same in all synapses."""
    wants = needed(lambda synapse: jax.tree.leaves(bare(init_state(synapse, ())))[leaf], one)
    return not any(array and used for array, used in zip(many, wants, strict=True))
