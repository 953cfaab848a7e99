"""Packed rows: the whole state of a set of synapses as one array, channels first.

Parts see their own named state; the engine carries one array `[channel, *rows]`. In XLA that costs one read and one
write per step where separate arrays cost whole-array copies. The order of the channels is the order of the fields of
`SynapseState`, so no table has to be kept.
"""

import re
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from retrojax.numerics import soft_clip
from retrojax.parts.base import AbstractRelease, AbstractRule, AbstractSpine, Expression, PartState, Traces
from retrojax.types import PerRow, Rows


class Bounds(eqx.Module):
    """Limits of the expressed strengths; changes are clipped to them.

    - `softness`: width over which the clip is rounded; 0 is the hard clip. A fit that is stuck at a bound moves again
      with about 0.01; report what the hard clip gives (`harden`).
    """

    p_min: PerRow
    p_max: PerRow
    q_min: PerRow
    q_max: PerRow
    softness: float = eqx.field(static=True)

    def __init__(self, p_min=0.0, p_max=1.0, q_min=0.0, q_max=2.0, softness: float = 0.0):
        self.p_min, self.p_max = jnp.asarray(p_min, float), jnp.asarray(p_max, float)
        self.q_min, self.q_max = jnp.asarray(q_min, float), jnp.asarray(q_max, float)
        self.softness = softness

    def clip_p(self, p: PerRow) -> PerRow:
        """Release probability inside its limits."""
        return self._clip(p, self.p_min, self.p_max)

    def clip_q(self, q: PerRow) -> PerRow:
        """Quantal amplitude inside its limits."""
        return self._clip(q, self.q_min, self.q_max)

    def _clip(self, x: PerRow, low: PerRow, high: PerRow) -> PerRow:
        return soft_clip(x, low, high, self.softness) if self.softness else jnp.clip(x, low, high)

    def harden(self) -> "Bounds":
        """The same limits with the hard clip."""
        return Bounds(self.p_min, self.p_max, self.q_min, self.q_max)


class Synapse(eqx.Module):
    """One kind of synapse: its parts, and where it starts.

    **Arguments**

    - `spine`, `release`, `rules`: the parts. Rules may stand in any order.
    - `p_release`, `q`: starting release probability and quantal amplitude.
    - `bounds`: limits of both.
    """

    spine: AbstractSpine
    release: AbstractRelease
    rules: tuple[AbstractRule, ...]
    p_release: PerRow
    q: PerRow
    bounds: Bounds

    def __init__(self, spine: AbstractSpine, release: AbstractRelease, rules: tuple[AbstractRule, ...] = (),
                 p_release=0.5, q=1.0, bounds: Bounds | None = None):
        self.spine, self.release, self.rules = spine, release, tuple(rules)
        self.p_release, self.q = jnp.asarray(p_release, float), jnp.asarray(q, float)
        self.bounds = Bounds() if bounds is None else bounds


class SynapseState(NamedTuple):
    """State of all parts of a set of synapses, and the traces that their rules read, one `Traces` per rule."""

    spine: PartState
    release: PartState
    expression: Expression
    rules: tuple[PartState, ...]
    traces: tuple[Traces, ...]


def init_state(synapse: Synapse, shape: tuple[int, ...]) -> SynapseState:
    """Resting state of rows of that shape."""
    expression = Expression(jnp.broadcast_to(synapse.p_release, shape), jnp.broadcast_to(synapse.q, shape))
    rules = tuple(rule.init(shape) for rule in synapse.rules)
    traces = tuple(Traces(tuple(jnp.zeros(shape) for _ in rule.pre_traces()),
                          tuple(jnp.zeros(shape) for _ in rule.post_traces())) for rule in synapse.rules)
    return SynapseState(synapse.spine.init(shape), synapse.release.init(shape), expression, rules, traces)


def pack(state: SynapseState) -> Rows:
    """One array [channel, *rows] of a state."""
    return jnp.stack(jax.tree.leaves(state))


def unpack(synapse: Synapse, rows: Rows) -> SynapseState:
    """The named state that `rows` holds."""
    return jax.tree.unflatten(_structure(synapse, rows.shape[1:]), list(rows))


def channels(synapse: Synapse) -> tuple[str, ...]:
    """Name of every channel of a packed row, as `rules[0].rho`."""
    shape = jnp.broadcast_shapes(*(leaf.shape for leaf in jax.tree.leaves(synapse)))
    paths = jax.tree_util.tree_flatten_with_path(jax.eval_shape(lambda: init_state(synapse, shape)))[0]
    return tuple(channel_name(synapse, path) for path, _ in paths)


def channel_name(synapse: Synapse, path: Any) -> str:
    """`.rules[0].rho` as `GraupnerBrunel.rho`, `.traces[0].pre[1]` as `CB1.pre[1]`, `.spine.calcium` as it is."""
    key = jax.tree_util.keystr(path)
    found = re.match(r"\.(rules|traces)\[(\d+)\]\.(.*)", key)
    return key.lstrip(".") if found is None else f"{type(synapse.rules[int(found[2])]).__name__}.{found[3]}"


def _structure(synapse: Synapse, shape: tuple[int, ...]):
    return jax.tree.structure(jax.eval_shape(lambda: init_state(synapse, shape)))
