"""Unified pre- and postsynaptic plasticity from spike traces."""

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.base import AbstractRule, Change, Expression, Modulation, NoState, Traces
from retrojax.types import PerRow


class UnifiedRule(AbstractRule):
    """Spikes move the release probability P and the postsynaptic amplitude q separately.

        at a post spike:  dq = c_plus x_plus y_minus
        at a pre spike:   dP = -d_minus y_minus y_plus + d_plus x_plus y_plus

    (Costa et al. 2015, eqs 3-8.) The traces x (presynaptic) and y (postsynaptic) rise by 1 at their spike and decay
    exponentially; all are read as they stand before the spikes of that instant, also where pre and post coincide. P and
    q are clipped to the bounds of the synapse.

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

    def init(self, shape: tuple[int, ...]) -> NoState:
        return NoState()

    def pre_traces(self) -> tuple[PerRow, ...]:
        return (self.tau_x_plus,)

    def post_traces(self) -> tuple[PerRow, ...]:
        return self.tau_y_plus, self.tau_y_minus

    def modulated(self, by: Modulation) -> "UnifiedRule":
        return eqx.tree_at(lambda r: (r.d_plus, r.c_plus, r.d_minus), self,
                           (self.d_plus * by.ltp, self.c_plus * by.ltp, self.d_minus * by.ltd))

    def on_pre(self, s: NoState, expression: Expression, traces: Traces) -> Change:
        (x_plus,), (y_plus, y_minus) = traces
        depression = self.d_minus * self.endocannabinoid * y_minus
        dP = self.lr_scale * self.nitric_oxide * y_plus * (self.d_plus * x_plus - depression)
        return Change(s, p_release=dP)

    def on_post(self, s: NoState, expression: Expression, traces: Traces) -> Change:
        (x_plus,), (_, y_minus) = traces
        return Change(s, q=self.lr_scale * self.c_plus * x_plus * y_minus)
