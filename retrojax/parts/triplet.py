"""Minimal triplet spike-timing-dependent plasticity, all-to-all and nearest-spike."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.numerics import Draws, decay
from retrojax.parts.base import AbstractRule, CalciumPath, Change, Expression, Modulation, NoState, Traces
from retrojax.types import PerRow


class TripletSTDP(AbstractRule):
    """Depression by pairs, potentiation by triplets of spikes; every spike counts (all-to-all).

        at a pre spike:   dq = -A2_minus o1
        at a post spike:  dq = r1 (A2_plus + A3_plus o2)

    r1 is a trace of presynaptic spikes, o1 and o2 are traces of postsynaptic ones; each rises by 1 at its spike and is
    read just before (Pfister & Gerstner 2006, eqs 1-4 with A3_minus = 0, the minimal models of Tables 3 and 4).
    Coincident spikes do not see each other. q is clipped to the bounds of the synapse.

    **Arguments**

    - `A2_minus`: step of q per unit of o1. `A2_plus`: step per unit of r1; 0 in the set of visual cortex.
    - `A3_plus`: step of q per unit of r1 o2.
    - `tau_plus`, `tau_minus`, `tau_y`: time constants of r1, o1 and o2 [ms], > 0.

    The published sets were fitted to 60 regular pairings. Through bursts of five pairs the all-to-all set of visual
    cortex loses most of its potentiation at high rates; `NearestTripletSTDP` keeps it.

    Reference: Pfister & Gerstner (2006) J Neurosci 26:9673.
    """

    A2_minus: PerRow
    A2_plus: PerRow
    A3_plus: PerRow
    tau_plus: PerRow
    tau_minus: PerRow
    tau_y: PerRow

    def __init__(self, A2_minus=7.1e-3, A2_plus=0.0, A3_plus=6.5e-3, tau_plus=16.8, tau_minus=33.7, tau_y=114.0):
        self.A2_minus, self.A2_plus = jnp.asarray(A2_minus, float), jnp.asarray(A2_plus, float)
        self.A3_plus, self.tau_plus = jnp.asarray(A3_plus, float), jnp.asarray(tau_plus, float)
        self.tau_minus, self.tau_y = jnp.asarray(tau_minus, float), jnp.asarray(tau_y, float)

    def init(self, shape: tuple[int, ...]) -> NoState:
        return NoState()

    def pre_traces(self) -> tuple[PerRow, ...]:
        return (self.tau_plus,)

    def post_traces(self) -> tuple[PerRow, ...]:
        return self.tau_minus, self.tau_y

    def modulated(self, by: Modulation) -> "TripletSTDP":
        return eqx.tree_at(lambda r: (r.A2_plus, r.A3_plus, r.A2_minus), self,
                           (self.A2_plus * by.ltp, self.A3_plus * by.ltp, self.A2_minus * by.ltd))

    def on_pre(self, s: NoState, expression: Expression, traces: Traces) -> Change:
        return Change(s, q=-self.A2_minus * traces.post[0])

    def on_post(self, s: NoState, expression: Expression, traces: Traces) -> Change:
        return Change(s, q=traces.pre[0] * (self.A2_plus + self.A3_plus * traces.post[1]))


class NearestState(NamedTuple):
    """`r1`, `o1`, `o2`: 1 at the last spike of their side, decayed since; 0 before the first."""

    r1: PerRow
    o1: PerRow
    o2: PerRow


class NearestTripletSTDP(AbstractRule):
    """The minimal triplet rule in which only the last spike of each side counts.

        at a pre spike:   dq = -A2_minus o1,                 then r1 = 1
        at a post spike:  dq = r1 (A2_plus + A3_plus o2),    then o1 = o2 = 1

    (Pfister & Gerstner 2006, eqs 1-4 with A3_minus = 0 and traces reset to 1.) A trace that is set, not added to, is no
    sum over spikes, so the synapse keeps it itself.

    **Arguments** as for `TripletSTDP`; the default is the minimal nearest-spike set of visual cortex, unverified: it
    was not read in the paper.

    Reference: Pfister & Gerstner (2006) J Neurosci 26:9673.
    """

    A2_minus: PerRow
    A2_plus: PerRow
    A3_plus: PerRow
    tau_plus: PerRow
    tau_minus: PerRow
    tau_y: PerRow

    def __init__(self, A2_minus=8.0e-3, A2_plus=0.0, A3_plus=5.0e-2, tau_plus=16.8, tau_minus=33.7, tau_y=40.0):
        self.A2_minus, self.A2_plus = jnp.asarray(A2_minus, float), jnp.asarray(A2_plus, float)
        self.A3_plus, self.tau_plus = jnp.asarray(A3_plus, float), jnp.asarray(tau_plus, float)
        self.tau_minus, self.tau_y = jnp.asarray(tau_minus, float), jnp.asarray(tau_y, float)

    def init(self, shape: tuple[int, ...]) -> NearestState:
        return NearestState(jnp.zeros(shape), jnp.zeros(shape), jnp.zeros(shape))

    def flow(
        self, s: NearestState, elapsed: PerRow, path: CalciumPath, pre: tuple[PerRow, ...], draws: Draws
    ) -> NearestState:
        return NearestState(s.r1 * decay(elapsed, self.tau_plus), s.o1 * decay(elapsed, self.tau_minus),
                            s.o2 * decay(elapsed, self.tau_y))

    def modulated(self, by: Modulation) -> "NearestTripletSTDP":
        return eqx.tree_at(lambda r: (r.A2_plus, r.A3_plus, r.A2_minus), self,
                           (self.A2_plus * by.ltp, self.A3_plus * by.ltp, self.A2_minus * by.ltd))

    def on_pre(self, s: NearestState, expression: Expression, traces: Traces) -> Change:
        zero = jnp.zeros_like(s.o1)
        return Change(NearestState(1 - s.r1, zero, zero), q=-self.A2_minus * s.o1)

    def on_post(self, s: NearestState, expression: Expression, traces: Traces) -> Change:
        change = s.r1 * (self.A2_plus + self.A3_plus * s.o2)
        return Change(NearestState(jnp.zeros_like(s.r1), 1 - s.o1, 1 - s.o2), q=change)
