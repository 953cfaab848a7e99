"""Unified pre- and postsynaptic plasticity from spike traces."""

from typing import NamedTuple

import jax.numpy as jnp

from retrojax.numerics import Draws, decay
from retrojax.parts.base import AbstractRule, CalciumPath, Change, Expression
from retrojax.types import PerRow


class TraceState(NamedTuple):
    """`x_plus`: presynaptic trace; `y_plus`, `y_minus`: postsynaptic traces (nitric-oxide- and eCB-like)."""

    x_plus: PerRow
    y_plus: PerRow
    y_minus: PerRow


class UnifiedRule(AbstractRule):
    """Spikes move the release probability P and the postsynaptic amplitude q separately.

        at a post spike:  dq = c_plus x_plus y_minus
        at a pre spike:   dP = -d_minus y_minus y_plus + d_plus x_plus y_plus

    (Costa et al. 2015, eqs 3-8.) Every trace rises by 1 at its spike and decays exponentially; all are read as they
    stand before the spikes of that instant, also where pre and post coincide. P and q are clipped to the bounds of the
    synapse.

    **Arguments**

    - `d_minus`, `d_plus`: amplitudes of presynaptic depression and potentiation.
    - `c_plus`: amplitude of postsynaptic potentiation.
    - `tau_x_plus`, `tau_y_plus`, `tau_y_minus`: time constants of the traces [ms].
    - `lr_scale`: factor on all three amplitudes (0.15 in the paper's network runs).
    - `nitric_oxide`, `endocannabinoid`: 1 intact, 0 blocked. Blocking nitric oxide removes y_plus and so both
      presynaptic terms; blocking endocannabinoids removes d_minus.

    The heterosynaptic term of the paper (dq minus a share of the mean over synapses) is not part of this rule.

    Reference: Costa, Froemke, Sjostrom & van Rossum (2015) eLife 4:e09457.
    """

    d_minus: PerRow
    d_plus: PerRow
    c_plus: PerRow
    tau_x_plus: PerRow
    tau_y_plus: PerRow
    tau_y_minus: PerRow
    lr_scale: PerRow
    nitric_oxide: PerRow
    endocannabinoid: PerRow

    def __init__(self, d_minus=0.1771, d_plus=0.1548, c_plus=0.0618, tau_x_plus=66.6, tau_y_plus=230.2,
                 tau_y_minus=32.7, lr_scale=1.0, nitric_oxide=1.0, endocannabinoid=1.0):
        self.d_minus, self.d_plus = jnp.asarray(d_minus, float), jnp.asarray(d_plus, float)
        self.c_plus, self.lr_scale = jnp.asarray(c_plus, float), jnp.asarray(lr_scale, float)
        self.tau_x_plus, self.tau_y_plus = jnp.asarray(tau_x_plus, float), jnp.asarray(tau_y_plus, float)
        self.tau_y_minus = jnp.asarray(tau_y_minus, float)
        self.nitric_oxide = jnp.asarray(nitric_oxide, float)
        self.endocannabinoid = jnp.asarray(endocannabinoid, float)

    def init(self, shape: tuple[int, ...]) -> TraceState:
        return TraceState(jnp.zeros(shape), jnp.zeros(shape), jnp.zeros(shape))

    def flow(self, s: TraceState, elapsed: PerRow, path: CalciumPath, draws: Draws) -> TraceState:
        return TraceState(s.x_plus * decay(elapsed, self.tau_x_plus), s.y_plus * decay(elapsed, self.tau_y_plus),
                          s.y_minus * decay(elapsed, self.tau_y_minus))

    def on_pre(self, s: TraceState, expression: Expression) -> Change:
        depression = self.d_minus * self.endocannabinoid * s.y_minus
        dP = self.lr_scale * self.nitric_oxide * s.y_plus * (self.d_plus * s.x_plus - depression)
        zero = jnp.zeros_like(s.x_plus)
        return Change(TraceState(jnp.ones_like(zero), zero, zero), p_release=dP)

    def on_post(self, s: TraceState, expression: Expression) -> Change:
        zero = jnp.zeros_like(s.x_plus)
        one = jnp.ones_like(zero)
        return Change(TraceState(zero, one, one), q=self.lr_scale * self.c_plus * s.x_plus * s.y_minus)
