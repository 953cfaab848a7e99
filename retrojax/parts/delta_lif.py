"""Leaky integrate-and-fire neurons with instantaneous synaptic jumps."""

from typing import ClassVar, NamedTuple

import jax.numpy as jnp

from retrojax.parts.neuron import AbstractNeuron
from retrojax.types import Flags, PerRow, Scalar


class DeltaState(NamedTuple):
    """`v` [mV]; `wait`: refractory time left [ms]. Each of shape [N]."""

    v: PerRow
    wait: PerRow


class DeltaLIF(AbstractNeuron):
    """Membrane that relaxes exactly between inputs and jumps at them.

        tau_m dv/dt = -(v - E_L) + drift + tau_m sum J delta(t - t_k)

    When v reaches V_th, after the jumps of that instant, the neuron spikes, v is set to V_reset and held for t_ref;
    input that arrives meanwhile is lost (Brunel 2000, eq. 1; NEST's iaf_psc_delta). Spikes lie on the grid.

    **Arguments** (each one number, or one per neuron)

    - `tau_m` [ms], `E_L`, `V_th`, `V_reset` [mV], `t_ref` [ms].
    - `drift`: constant input R I_e [mV].

    The weights of a network with these neurons are jumps [mV], not currents.

    Reference: Brunel (2000) J Comput Neurosci 8:183.
    """

    receptors: ClassVar[int] = 1
    tau_m: PerRow
    E_L: PerRow
    V_th: PerRow
    V_reset: PerRow
    t_ref: PerRow
    drift: PerRow

    def __init__(self, tau_m=20.0, E_L=0.0, V_th=20.0, V_reset=10.0, t_ref=2.0, drift=0.0):
        self.tau_m, self.E_L = jnp.asarray(tau_m, float), jnp.asarray(E_L, float)
        self.V_th, self.V_reset = jnp.asarray(V_th, float), jnp.asarray(V_reset, float)
        self.t_ref, self.drift = jnp.asarray(t_ref, float), jnp.asarray(drift, float)

    def init(self, count: int) -> DeltaState:
        """Neurons at rest."""
        return DeltaState(jnp.broadcast_to(self.E_L, (count,)) + jnp.zeros(count), jnp.zeros(count))

    def step(self, s: DeltaState, dt: Scalar, ex: PerRow, inh: PerRow) -> tuple[DeltaState, Flags]:
        """Advance by `dt`, then add the jumps `ex`, `inh` [mV] that arrive at its end.

        **Returns** the new state, and which neurons spiked at the end of the step.
        """
        leak = jnp.exp(-dt / self.tau_m)
        goal = self.E_L + self.drift
        refractory = s.wait > dt / 2  # half a step of slack against rounding of the countdown
        v = jnp.where(refractory, self.V_reset, goal + (s.v - goal) * leak + ex + inh)
        spiked = v >= self.V_th
        wait = jnp.where(spiked, self.t_ref, jnp.maximum(s.wait - dt, 0.0))
        return DeltaState(jnp.where(spiked, self.V_reset, v), wait), spiked
