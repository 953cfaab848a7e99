"""Leaky integrate-and-fire neurons with alpha-function synaptic currents."""

from typing import NamedTuple

import jax.numpy as jnp

from retrojax.numerics import phi1, phi2
from retrojax.parts.neuron import AbstractNeuron
from retrojax.types import Flags, PerRow, Scalar


class AlphaState(NamedTuple):
    """`v` [mV]; `i_ex`, `i_in`: synaptic currents [pA]; `j_ex`, `j_in`: what feeds them [pA/ms]; `wait`: refractory
    time left [ms]. Each of shape [N]."""

    v: PerRow
    i_ex: PerRow
    i_in: PerRow
    j_ex: PerRow
    j_in: PerRow
    wait: PerRow


class AlphaLIF(AbstractNeuron):
    """Membrane whose synaptic currents rise and fall as w (e/tau_syn) t exp(-t/tau_syn), advanced exactly.

        tau_m dv/dt = -(v - E_L) + tau_m/C_m (i_ex + i_in + I_e),
        di/dt = j - i/tau_syn,   dj/dt = -j/tau_syn,   j += w e/tau_syn at an arriving spike

    so a spike of weight w makes a current that peaks at w after tau_syn, with charge e w tau_syn. When v reaches V_th
    the neuron spikes, v is set to V_reset and held for t_ref (the membrane of NEST's iaf_psc_alpha). Within a step the
    closed form of the linear system is used; spikes lie on the grid.

    **Arguments** (each one number, or one per neuron)

    - `C_m` [pF], `tau_m` [ms], `E_L`, `V_th`, `V_reset` [mV], `t_ref`, `tau_syn_ex`, `tau_syn_in` [ms], `I_e` [pA].

    Reference: Rotter & Diesmann (1999) Biol Cybern 81:381.
    """

    C_m: PerRow
    tau_m: PerRow
    E_L: PerRow
    V_th: PerRow
    V_reset: PerRow
    t_ref: PerRow
    tau_syn_ex: PerRow
    tau_syn_in: PerRow
    I_e: PerRow

    def __init__(self, C_m=250.0, tau_m=10.0, E_L=-70.0, V_th=-55.0, V_reset=-70.0, t_ref=2.0, tau_syn_ex=2.0,
                 tau_syn_in=2.0, I_e=0.0):
        self.C_m, self.tau_m = jnp.asarray(C_m, float), jnp.asarray(tau_m, float)
        self.E_L, self.V_th = jnp.asarray(E_L, float), jnp.asarray(V_th, float)
        self.V_reset, self.t_ref = jnp.asarray(V_reset, float), jnp.asarray(t_ref, float)
        self.tau_syn_ex, self.tau_syn_in = jnp.asarray(tau_syn_ex, float), jnp.asarray(tau_syn_in, float)
        self.I_e = jnp.asarray(I_e, float)

    def init(self, count: int) -> AlphaState:
        """Neurons at rest."""
        zero = jnp.zeros(count)
        return AlphaState(jnp.broadcast_to(self.E_L, (count,)) + zero, zero, zero, zero, zero, zero)

    def step(self, s: AlphaState, dt: Scalar, ex: PerRow, inh: PerRow) -> tuple[AlphaState, Flags]:
        """Advance by `dt`, then add the currents of peak `ex`, `inh` [pA] of spikes that arrive at its end.

        **Returns** the new state, and which neurons spiked at the end of the step.
        """
        leak = jnp.exp(-dt / self.tau_m)
        driven = self._driven(dt, leak, self.tau_syn_ex, s.i_ex, s.j_ex)
        driven = driven + self._driven(dt, leak, self.tau_syn_in, s.i_in, s.j_in)
        constant = (1 - leak) * self.tau_m / self.C_m * self.I_e
        free = self.E_L + (s.v - self.E_L) * leak + driven + constant
        refractory = s.wait > dt / 2  # half a step of slack against rounding of the countdown
        v = jnp.where(refractory, self.V_reset, free)
        spiked = v >= self.V_th
        i_ex, j_ex = _current(dt, self.tau_syn_ex, s.i_ex, s.j_ex, ex)
        i_in, j_in = _current(dt, self.tau_syn_in, s.i_in, s.j_in, inh)
        return AlphaState(jnp.where(spiked, self.V_reset, v), i_ex, i_in, j_ex, j_in,
                          jnp.where(spiked, self.t_ref, jnp.maximum(s.wait - dt, 0.0))), spiked

    def _driven(self, dt: Scalar, leak: PerRow, tau_syn: PerRow, i: PerRow, j: PerRow) -> PerRow:
        """What a current adds to v: the integral of exp(-(dt - s)/tau_m) (i + j s) exp(-s/tau_syn)/C_m ds, regular
        where the two time constants meet."""
        z = dt * (1 / tau_syn - 1 / self.tau_m)
        # phi1 - phi2 is the integral of s exp(-z s) over 0 < s < 1
        return leak * dt / self.C_m * (i * phi1(z) + j * dt * (phi1(z) - phi2(z)))


def _current(dt: Scalar, tau_syn: PerRow, i: PerRow, j: PerRow, arriving: PerRow) -> tuple[PerRow, PerRow]:
    """A current and what feeds it `dt` later, after spikes of weight `arriving`."""
    left = jnp.exp(-dt / tau_syn)
    return (i + dt * j) * left, j * left + jnp.e / tau_syn * arriving
