"""Additive spike-timing-dependent plasticity from pairs of spikes."""

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.base import AbstractRule, Change, Expression, Modulation, NoState, Traces
from retrojax.types import PerRow


class PairSTDP(AbstractRule):
    """The quantal amplitude q steps up at postsynaptic and down at presynaptic spikes, by traces of the other side.

        at a post spike:  dq = A_plus x        at a pre spike:  dq = -A_minus y

    x and y rise by 1 at every presynaptic and postsynaptic spike and decay with tau_plus and tau_minus, so all pairs
    count (Song, Miller & Abbott 2000, eqs 1-2, in the all-to-all form of Morrison, Diesmann & Gerstner 2008, sec. 4.1).
    Coincident spikes do not see each other. q is clipped to the bounds of the synapse, which are the hard bounds of the
    additive rule; with q in [0, 1] it is the synaptic weight.

    **Arguments**

    - `A_plus`, `A_minus`: steps of q per unit of trace.
    - `tau_plus`, `tau_minus`: time constants of x and y [ms], > 0.

    References: Song, Miller & Abbott (2000) Nat Neurosci 3:919; Morrison, Diesmann & Gerstner (2008) Biol Cybern
    98:459.
    """

    A_plus: PerRow
    A_minus: PerRow
    tau_plus: PerRow
    tau_minus: PerRow

    def __init__(self, A_plus=0.01, A_minus=0.0105, tau_plus=20.0, tau_minus=20.0):
        self.A_plus, self.A_minus = jnp.asarray(A_plus, float), jnp.asarray(A_minus, float)
        self.tau_plus, self.tau_minus = jnp.asarray(tau_plus, float), jnp.asarray(tau_minus, float)

    def init(self, shape: tuple[int, ...]) -> NoState:
        return NoState()

    def pre_traces(self) -> tuple[PerRow, ...]:
        return (self.tau_plus,)

    def post_traces(self) -> tuple[PerRow, ...]:
        return (self.tau_minus,)

    def modulated(self, by: Modulation) -> "PairSTDP":
        return eqx.tree_at(lambda r: (r.A_plus, r.A_minus), self, (self.A_plus * by.ltp, self.A_minus * by.ltd))

    def on_pre(self, s: NoState, expression: Expression, traces: Traces) -> Change:
        return Change(s, q=-self.A_minus * traces.post[0])

    def on_post(self, s: NoState, expression: Expression, traces: Traces) -> Change:
        return Change(s, q=self.A_plus * traces.pre[0])
