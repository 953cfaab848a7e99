"""Presynaptic terminal of a layer 4 spiny stellate cell, its calcineurin and its release (Manninen et al. 2020)."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.numerics import phi1
from retrojax.parts.biochemistry.tripartite.nmda_gating import GatingState, NMDAGating
from retrojax.types import PerRow

FARADAY, THERMAL = 96485.0, 1000 * 8.3145 * 309.15 / (2 * 96485)
Q10 = 5 ** ((36 - 25) / 10)


GATES = ("m", "h", "s", "n", "n2", "p", "q")


class PresynapticState(NamedTuple):
    """`V` [mV]; gates of sodium `m`, `h`, `s`, potassium `n`, `n2`, N-type calcium `p`, `q`; calcium from N-type
    channels `Ca` and from NMDA receptors `Ca_N`, calcineurin `CaN`, modified protein `X` [uM]; release probability `P`,
    releasable fraction `R`; time `since` the last spike [ms], 10 or more once it has released; `receptors`."""

    V: PerRow
    m: PerRow
    h: PerRow
    s: PerRow
    n: PerRow
    n2: PerRow
    p: PerRow
    q: PerRow
    Ca: PerRow
    Ca_N: PerRow
    CaN: PerRow
    X: PerRow
    P: PerRow
    R: PerRow
    since: PerRow
    receptors: GatingState


class PresynapticTerminal(eqx.Module):
    """Spikes, calcium entry, release, and its depression through calcineurin; ms, mV, uM, uA/cm^2, mS/cm^2.

        C dV/dt = I_ext - g_Na m^3 h s (V - 50) - (g_K n^3 + g_K n2^3)(V + 77) - g_L (V + 60) - I_Ca - g_N O V [V < 0]
        I_Ca = g_Ca p^2 q/(1 + Ca) GHK(V, Ca),  dCa/dt = -I_Ca/c + (0.05 - Ca)/100
        dCa_N/dt = -0.1 g_N O V [V < 0]/c + (0.05 - Ca_N)/100
        dCaN/dt = k1 (CaN_tot - CaN) Ca_N^3 - k2 CaN,  dX/dt = p1 CaN^2/(K_A^2 + CaN^2) (X_tot - X),  f = X/X_tot
        dP/dt = -0.0075 P,  dR/dt = 0.0075 (1 - R);  within 10 ms after a spike, once Ca >= C_thr:
        P += (1 - f) Ca^2/(K_rel^2 + Ca^2) (1 - P),  then R -= P R,  and the cleft's glutamate += G N P R/(N_A V_cleft)

    **Arguments**

    - `gating`: NMDA receptors. `C` [uF/cm^2]; `g_Na`, `g_K`, `g_L`, `g_Ca`, `g_N` [mS/cm^2]: conductances.
    - `k1` [1/(uM^3 ms)], `k2` [1/ms], `CaN_tot` [uM]: calcineurin. `p1` [1/ms], `K_A`, `X_tot` [uM]: the protein.
    - `C_thr`, `K_rel` [uM]: release. `glutamate` [uM]: rise in the cleft if both vesicles leave.

    X does not recover: f only grows, as published. Sodium activation relaxes in 0.05 ms: no Euler step may be longer.

    References: Manninen, Saudargiene & Linne (2020) PLoS Comput Biol 16:e1008360 and its code, ModelDB 266819, with
    channels of Lavzin et al. (2012) Nature 490:397 and Safiulina et al. (2010) Front Synaptic Neurosci 2:1, calcineurin
    after Fiala, Grossberg & Bullock (1996) J Neurosci 16:3760.
    """

    gating: NMDAGating
    C: PerRow
    g_Na: PerRow
    g_K: PerRow
    g_L: PerRow
    g_Ca: PerRow
    g_N: PerRow
    k1: PerRow
    k2: PerRow
    CaN_tot: PerRow
    p1: PerRow
    K_A: PerRow
    X_tot: PerRow
    C_thr: PerRow
    K_rel: PerRow
    glutamate: PerRow

    def __init__(self, gating: NMDAGating | None = None, C=1.5, g_Na=30.0, g_K=20.0, g_L=0.2, g_Ca=0.3, g_N=0.1,
                 k1=1e-3, k2=2e-3, CaN_tot=2.0, p1=3e-5, K_A=2.0, X_tot=0.1, C_thr=3.0, K_rel=5.0,
                 glutamate=1092 * 2 / (1e-6 * 6.0221e23 * 2e-18)):
        self.gating = NMDAGating() if gating is None else gating
        self.C, self.g_Na, self.g_K = jnp.asarray(C, float), jnp.asarray(g_Na, float), jnp.asarray(g_K, float)
        self.g_L, self.g_Ca, self.g_N = jnp.asarray(g_L, float), jnp.asarray(g_Ca, float), jnp.asarray(g_N, float)
        self.k1, self.k2, self.CaN_tot = jnp.asarray(k1, float), jnp.asarray(k2, float), jnp.asarray(CaN_tot, float)
        self.p1, self.K_A, self.X_tot = jnp.asarray(p1, float), jnp.asarray(K_A, float), jnp.asarray(X_tot, float)
        self.C_thr, self.K_rel = jnp.asarray(C_thr, float), jnp.asarray(K_rel, float)
        self.glutamate = jnp.asarray(glutamate, float)

    def init(self) -> PresynapticState:
        """The published start, with every gate at its steady state."""
        V, zero = jnp.asarray(-59.9969), jnp.asarray(0.0)
        gates = dict(zip(GATES, (steady for steady, _ in _gates(V)), strict=True))
        return PresynapticState(
            V=V, **gates, Ca=jnp.asarray(0.082523), Ca_N=jnp.asarray(0.05), CaN=jnp.asarray(0.00012499), X=zero, P=zero,
            R=jnp.asarray(1.0), since=jnp.asarray(10.0), receptors=self.gating.init(),
        )

    def depression(self, s: PresynapticState) -> PerRow:
        """Fraction f of release that is lost."""
        return s.X / self.X_tot

    def slope(self, s: PresynapticState, glutamate: PerRow, injected: PerRow) -> PresynapticState:
        """Derivative [per ms] at the glutamate that reaches the terminal [uM] and injected current [uA/cm^2]."""
        nu = s.V / THERMAL
        # e = nu/(1 - exp(nu)), the GHK current of Safiulina et al. in mV
        ghk = -THERMAL * (1 - s.Ca / 2000 * jnp.exp(nu)) / phi1(-nu)
        I_Ca = self.g_Ca * s.p**2 * s.q / (1 + s.Ca) * ghk
        I_N = jnp.where(s.V < 0, self.g_N * s.receptors.O * s.V, 0.0)
        total = (I_Ca + I_N + self.g_K * (s.n**3 + s.n2**3) * (s.V + 77) + self.g_Na * s.m**3 * s.h * s.s * (s.V - 50)
                 + self.g_L * (s.V + 60) - injected)
        scale = 2 * FARADAY * 0.1 / 10000
        relaxing = {name: (steady - getattr(s, name)) / tau
                    for name, (steady, tau) in zip(GATES, _gates(s.V), strict=True)}
        return PresynapticState(
            V=-total / self.C, **relaxing,
            Ca=-I_Ca / scale + (0.05 - s.Ca) / 100,
            Ca_N=-0.1 * I_N / scale + (0.05 - s.Ca_N) / 100,
            CaN=self.k1 * (self.CaN_tot - s.CaN) * s.Ca_N**3 - self.k2 * s.CaN,
            X=self.p1 * s.CaN**2 / (self.K_A**2 + s.CaN**2) * (self.X_tot - s.X),
            P=-0.0075 * s.P,
            R=0.0075 * (1 - s.R),
            since=jnp.ones_like(s.since),
            receptors=self.gating.slope(s.receptors, s.V, glutamate),
        )

    def release(self, before: PresynapticState, s: PresynapticState) -> tuple[PresynapticState, PerRow]:
        """`s` after a release if one is due since the step's start, `before`; and the rise of cleft glutamate [uM]."""
        since = jnp.where((s.V >= 0) & (before.V < 0), 0.0, s.since)
        due = (s.Ca >= self.C_thr) & (since < 10)
        calcium = before.Ca**2 / (self.K_rel**2 + before.Ca**2)
        P = s.P + jnp.where(due, (1 - self.depression(before)) * calcium * (1 - before.P), 0.0)
        used = jnp.where(due, P * before.R, 0.0)
        return s._replace(P=P, R=s.R - used, since=jnp.where(due, 10.0, since)), self.glutamate * used


def _gates(V: PerRow) -> tuple[tuple[PerRow, PerRow], ...]:
    """Steady state and time constant [ms] of the seven gates, in the order of the state."""
    fixed = lambda tau: jnp.full_like(V, tau)  # noqa: E731
    active = 1 / (1 + jnp.exp((-30 - V) / 3))
    p_on, p_off = 1.967 / phi1((V - 19.88) / 10), 0.046 * jnp.exp(-V / 20.73)
    p_rate = Q10 * 0.03 * (1 + jnp.exp(0.0756 * (V + 14)))
    p_tau = jnp.maximum(0.2 / Q10, jnp.exp(0.00756 * (V + 14)) / p_rate)
    q_on, q_off = 1.6e-4 * jnp.exp(-V / 48.4), 1 / (1 + jnp.exp((39 - V) / 10))
    return (
        (active, fixed(0.05)),
        (1 / (1 + jnp.exp((V + 35) / 3)), fixed(1.0)),
        (1 / (1 + jnp.exp((V + 34) / 3)), 30 / (1 + jnp.exp(V)) + 0.1),
        (active, fixed(1.0)),
        (active, fixed(10.0)),
        (p_on / (p_on + p_off), p_tau),
        (q_on / (q_on + q_off), fixed(80.0)),
    )
