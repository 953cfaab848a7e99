"""Leaky integrate-and-fire neurons with exponential synaptic currents."""

from typing import NamedTuple

import jax.numpy as jnp

from retrojax.numerics import phi1
from retrojax.parts.neuron import AbstractNeuron
from retrojax.types import Flags, PerRow, Scalar


class LIFState(NamedTuple):
    """`v` [mV]; `i_ex`, `i_in`: synaptic currents [pA]; `wait`: refractory time left [ms]. Each of shape [N]."""

    v: PerRow
    i_ex: PerRow
    i_in: PerRow
    wait: PerRow


class LIF(AbstractNeuron):
    """Membrane with two exponential synaptic currents, advanced exactly.

        tau_m dv/dt = -(v - E_L) + tau_m/C_m (i_ex + i_in + I_e),   di/dt = -i/tau_syn,   i += w at an arriving spike

    When v reaches V_th the neuron spikes, v is set to V_reset and held for t_ref (the membrane of NEST's iaf_psc_exp).
    Within a step the closed form of the linear system is used; spikes lie on the grid.

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

    def __init__(self, C_m=200.0, tau_m=20.0, E_L=-70.0, V_th=-50.0, V_reset=-65.0, t_ref=3.0, tau_syn_ex=2.0,
                 tau_syn_in=5.0, I_e=0.0):
        self.C_m, self.tau_m = jnp.asarray(C_m, float), jnp.asarray(tau_m, float)
        self.E_L, self.V_th = jnp.asarray(E_L, float), jnp.asarray(V_th, float)
        self.V_reset, self.t_ref = jnp.asarray(V_reset, float), jnp.asarray(t_ref, float)
        self.tau_syn_ex, self.tau_syn_in = jnp.asarray(tau_syn_ex, float), jnp.asarray(tau_syn_in, float)
        self.I_e = jnp.asarray(I_e, float)

    def init(self, count: int) -> LIFState:
        """Neurons at rest."""
        zero = jnp.zeros(count)
        return LIFState(jnp.broadcast_to(self.E_L, (count,)) + zero, zero, zero, zero)

    def step(self, s: LIFState, dt: Scalar, ex: PerRow, inh: PerRow) -> tuple[LIFState, Flags]:
        """Advance by `dt`, then add the currents `ex`, `inh` [pA] of spikes that arrive at its end.

        **Returns** the new state, and which neurons spiked at the end of the step.
        """
        leak = jnp.exp(-dt / self.tau_m)
        # integral of exp(-(dt - s)/tau_m) exp(-s/tau_syn) ds, regular where the two time constants meet
        from_ex = leak * dt * phi1(dt * (1 / self.tau_syn_ex - 1 / self.tau_m)) / self.C_m
        from_in = leak * dt * phi1(dt * (1 / self.tau_syn_in - 1 / self.tau_m)) / self.C_m
        constant = (1 - leak) * self.tau_m / self.C_m * self.I_e
        free = self.E_L + (s.v - self.E_L) * leak + s.i_ex * from_ex + s.i_in * from_in + constant
        refractory = s.wait > dt / 2  # half a step of slack against rounding of the countdown
        v = jnp.where(refractory, self.V_reset, free)
        spiked = v >= self.V_th
        return LIFState(
            jnp.where(spiked, self.V_reset, v),
            s.i_ex * jnp.exp(-dt / self.tau_syn_ex) + ex,
            s.i_in * jnp.exp(-dt / self.tau_syn_in) + inh,
            jnp.where(spiked, self.t_ref, jnp.maximum(s.wait - dt, 0.0)),
        ), spiked
