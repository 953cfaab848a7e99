"""Postsynaptic membrane of a medium spiny neuron and its channels (Cui et al. 2016)."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.types import PerRow

FARADAY, RT = 96.5, 2553.78703401
TABLE_START, TABLE_STEP, TABLE_POINTS = -100.0, 200.0 / 401, 401


class MembraneState(NamedTuple):
    """`V` [mV]; `m`, `h`: gates of CaL1.3; `o_ampa`, `o_nmda`: open fractions of the receptors."""

    V: PerRow
    m: PerRow
    h: PerRow
    o_ampa: PerRow
    o_nmda: PerRow


class Currents(NamedTuple):
    """Currents [pA], negative inward: `CaL`, `TRPV1`, `AMPA`, `NMDA`."""

    CaL: PerRow
    TRPV1: PerRow
    AMPA: PerRow
    NMDA: PerRow


def gates(V: PerRow) -> PerRow:
    """What is voltage-dependent alone: m_inf, h_inf and tau_m/s (at 1/3 speed) of CaL1.3, and unblocked NMDA."""
    return jnp.stack((
        1 / (1 + jnp.exp((V + 33) / -6.7)),
        1 / (1 + jnp.exp((V + 13.4) / 11.9)),
        1 / (39.8 * 9.005 * linoid((V + 8.124) / 9.005) + 990 * jnp.exp(V / 31.4)),
        1 / (1 + jnp.exp(-0.062 * V) / 3.57),
    ))


def looked_up_gates(V: PerRow) -> PerRow:
    """`gates` as the look-up of the published code returns them.

    Its table holds f at -100 mV + (i - 1) 200/401 mV for i = 1..401 and is read at i = (V + 100 mV)/(200/401 mV) as if
    that position were counted from 1: the value is f at V - 0.499 mV, linearly interpolated, held beyond the ends.
    """
    table = gates(TABLE_START + TABLE_STEP * jnp.arange(TABLE_POINTS))
    position = jnp.clip((V - TABLE_START) / TABLE_STEP, 1.0, float(TABLE_POINTS)) - 1
    below = jnp.minimum(jnp.floor(position).astype(int), TABLE_POINTS - 2)
    low, high = table[:, below], table[:, below + 1]
    return low + (high - low) * (position - below)


def linoid(x: PerRow) -> PerRow:
    """x/(exp(x) - 1), 1 at x = 0."""
    small = jnp.abs(x) < 1e-4
    safe = jnp.where(small, 1.0, x)
    return jnp.where(small, 1 - x / 2, safe / (jnp.exp(safe) - 1))


class SpineMembrane(eqx.Module):
    """One compartment with leak, AMPA, NMDA, L-type calcium (CaV1.3) and TRPV1; time in s, V in mV, I in pA, C in nF.

        C dV/dt = -g_L (V - E_L) - I_CaL - I_TRPV1 - I_AMPA - I_NMDA - I_act
        do/dt = alpha Glu (1 - o) - beta o,  I_AMPA = g o V,  I_NMDA = g o V / (1 + Mg/3.57 exp(-0.062 V))
        I_CaL = P m^2 h GHK,  GHK = 2F (Ca e(-x) - Ca_out e(x)),  e(x) = x/(exp(x) - 1),  x = 2FV/RT
        I_TRPV1 = g V / (1 + (1 + J)(1 + K)(1 + Q)/(L (1 + JD)(1 + KC)(1 + QP))),  J = J0 exp(0.6FV/RT),  Q = AEA/K_AEA

    **Arguments**

    - `g_AMPA`, `g_NMDA`, `g_TRPV1` [nS]: conductances.
    - `look_up`: reads the gates of CaL and the NMDA block through `looked_up_gates`, as the published code does.
    - `ghk_scale`: factor on x. The published code mixes kC/mol with J/mol and so has 1e-3, which makes the driving
      force constant; 1 is the physical value.

    References: Cui et al. (2016) eLife 5:e13185 and its code, ModelDB 187605; Wolf et al. (2005) J Neurosci 25:9080
    (CaL); Matta & Ahern (2007) J Physiol 585:469, eq. 3 (TRPV1); Destexhe, Mainen & Sejnowski (1994) J Comput Neurosci
    1:195 (receptors).
    """

    g_AMPA: PerRow
    g_NMDA: PerRow
    g_TRPV1: PerRow
    ghk_scale: PerRow
    look_up: bool = eqx.field(static=True)

    def __init__(self, g_AMPA=5.1, g_NMDA=1.53, g_TRPV1=3e-4, ghk_scale=1e-3, look_up: bool = True):
        self.g_AMPA, self.g_NMDA = jnp.asarray(g_AMPA, float), jnp.asarray(g_NMDA, float)
        self.g_TRPV1, self.ghk_scale = jnp.asarray(g_TRPV1, float), jnp.asarray(ghk_scale, float)
        self.look_up = look_up

    def init(self) -> MembraneState:
        """Rest."""
        return MembraneState(*map(jnp.asarray, (-69.999016204528218, 0.0036977671871038817, 0.99182137906713796,
                                                0.0, 0.0)))

    def gates(self, V: PerRow) -> PerRow:
        """Voltage-dependent values as this model reads them, stacked first."""
        return looked_up_gates(V) if self.look_up else gates(V)

    def currents(self, s: MembraneState, read: PerRow, Ca: PerRow, AEA: PerRow) -> Currents:
        """Currents [pA] at those `gates` and that calcium and anandamide [uM]."""
        return Currents(
            CaL=1.02e-6 * s.m**2 * s.h * self.driving_force(s.V, Ca),
            TRPV1=self.g_TRPV1 * trpv1_open(s.V, AEA) * s.V,
            AMPA=self.g_AMPA * s.o_ampa * s.V,
            NMDA=self.g_NMDA * s.o_nmda * read[3] * s.V,
        )

    def slope(
        self, s: MembraneState, read: PerRow, flowing: Currents, glutamate: PerRow, injected: PerRow
    ) -> MembraneState:
        """Derivative [per s] at that glutamate [uM] and injected current [pA], negative depolarising."""
        total = 10 * (s.V + 70) + flowing.CaL + flowing.TRPV1 + flowing.AMPA + flowing.NMDA + injected
        return MembraneState(
            V=-total / 0.1,
            m=(read[0] - s.m) / (read[2] / 3),
            h=(read[1] - s.h) / (0.0443 / 3),
            o_ampa=1.02 * glutamate * (1 - s.o_ampa) - 190 * s.o_ampa,
            o_nmda=0.072 * glutamate * (1 - s.o_nmda) - 100 * s.o_nmda,
        )

    def driving_force(self, V: PerRow, Ca: PerRow) -> PerRow:
        """GHK [kC uM/mol] with 5000 uM calcium outside."""
        x = self.ghk_scale * 2 * FARADAY * V / RT
        outward = linoid(x)
        return 2 * FARADAY * (Ca * (outward + x) - 5000 * outward)  # e(-x) = e(x) + x


def trpv1_open(V: PerRow, AEA: PerRow) -> PerRow:
    """Open fraction of TRPV1 at that anandamide [uM]."""
    J, Q, K = 0.0169 * jnp.exp(0.6 * FARADAY * V / RT), AEA / 0.5, 1.82634305618e-3
    L, D, C, P = 4.2e-4, 1100.0, 23367.0, 750.0
    return 1 / (1 + (1 + J) * (1 + K) * (1 + Q) / (L * (1 + J * D) * (1 + K * C) * (1 + Q * P)))
