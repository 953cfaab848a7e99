"""Spike-timing-dependent plasticity with power-law potentiation and multiplicative depression."""

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.base import AbstractRule, Change, Expression, Modulation, NoState, Traces
from retrojax.types import PerRow


class PowerLawSTDP(AbstractRule):
    """Weak synapses grow by a larger share of their weight than strong ones, and all lose the same share.

        at a post spike:  dq = A_plus w0 (q/w0)^mu x        at a pre spike:  dq = -A_minus q y

    x and y rise by 1 at every presynaptic and postsynaptic spike and decay with tau_plus and tau_minus, so all pairs
    count (Morrison, Aertsen & Diesmann 2007; NEST's stdp_pl_synapse_hom). In their terms A_plus is the learning rate
    lambda and A_minus is lambda alpha. Both steps are of the q before the instant; coincident spikes do not see each
    other. As potentiation falls short of depression where q is large, weights settle around a finite value and need no
    upper bound: set `q_max` of the synapse out of the way. A synapse of q = 0 stays there.

    **Arguments**

    - `A_plus`, `A_minus`: steps per unit of trace, relative to w0 and to q; >= 0.
    - `mu`: exponent of potentiation; 0 is additive, 1 multiplicative.
    - `w0`: the weight at which a pairing adds the share A_plus [unit of q], > 0; 1 pA in the paper. q may itself be in
      pA, with a network weight of 1.
    - `tau_plus`, `tau_minus`: time constants of x and y [ms], > 0.

    A pairing counts by when either spike is at the synapse. In NEST the postsynaptic one takes the delay of the synapse
    to get there; here it is there at once unless a network says otherwise (`plan_times`).

    Reference: Morrison, Aertsen & Diesmann (2007) Neural Comput 19:1437.
    """

    A_plus: PerRow
    A_minus: PerRow
    mu: PerRow
    w0: PerRow
    tau_plus: PerRow
    tau_minus: PerRow

    def __init__(self, A_plus=0.1, A_minus=0.00513, mu=0.4, w0=1.0, tau_plus=15.0, tau_minus=30.0):
        self.A_plus, self.A_minus = jnp.asarray(A_plus, float), jnp.asarray(A_minus, float)
        self.mu, self.w0 = jnp.asarray(mu, float), jnp.asarray(w0, float)
        self.tau_plus, self.tau_minus = jnp.asarray(tau_plus, float), jnp.asarray(tau_minus, float)

    def init(self, shape: tuple[int, ...]) -> NoState:
        return NoState()

    def pre_traces(self) -> tuple[PerRow, ...]:
        return (self.tau_plus,)

    def post_traces(self) -> tuple[PerRow, ...]:
        return (self.tau_minus,)

    def modulated(self, by: Modulation) -> "PowerLawSTDP":
        return eqx.tree_at(lambda r: (r.A_plus, r.A_minus), self, (self.A_plus * by.ltp, self.A_minus * by.ltd))

    def on_pre(self, s: NoState, expression: Expression, traces: Traces) -> Change:
        return Change(s, q=-self.A_minus * expression.q * traces.post[0])

    def on_post(self, s: NoState, expression: Expression, traces: Traces) -> Change:
        q = expression.q
        # a logarithm and an exponential: XLA's power takes several times as long
        share = jnp.exp(self.mu * jnp.log(jnp.where(q > 0, q, self.w0) / self.w0))
        return Change(s, q=self.A_plus * self.w0 * jnp.where(q > 0, share, 0.0) * traces.pre[0])
