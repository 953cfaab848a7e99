"""Astrocyte that turns 2-AG into calcium and calcium into glutamate (Manninen et al. 2020)."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.types import PerRow


class AstrocyteState(NamedTuple):
    """`Ca`, `IP3` [uM]; `h`: IP3 receptors not inactivated; `R`: releasable vesicles; `Glu`: extrasynaptic [uM]."""

    Ca: PerRow
    IP3: PerRow
    h: PerRow
    R: PerRow
    Glu: PerRow


class Astrocyte(eqx.Module):
    """Li-Rinzel calcium under 2-AG, and glutamate released at every upward threshold crossing; time in ms, uM.

        dIP3/dt = (0.28 - IP3)/7000 + r_IP3 (2AG - 2AG*),  free = Ca_tot - (1 + c1) Ca
        dCa/dt = v_IP3R (m n h)^3 free - v_SERCA Ca^2/(Ca^2 + 0.1^2) + r_leak free,  m = IP3/(IP3 + 0.13)
        n = Ca/(Ca + 0.08234),  dh/dt = 2e-4 (Q (1 - h) - Ca h),  Q = 1.049 (IP3 + 0.13)/(IP3 + 0.9434)
        at Ca = C_thr upwards:  Glu += 6.5e-4 50000 N P R,  R -= P R;  dR/dt = 6e-4 (1 - R),  dGlu/dt = -0.005 Glu

    **Arguments**

    - `r_IP3` [1/ms]: IP3 made per 2-AG. `AG_rest` [uM]: resting 2-AG.
    - `v_IP3R` [1/ms], `v_SERCA` [uM/ms]: release and uptake of the store. `Ca_tot` [uM], `c1`: total, volume ratio.
    - `C_thr` [uM]: threshold of exocytosis. `N`, `P`: vesicles, release probability.

    References: Manninen, Saudargiene & Linne (2020) PLoS Comput Biol 16:e1008360 and its code, ModelDB 266819; Li &
    Rinzel (1994) J Theor Biol 166:461; De Pitta & Brunel (2016) Neural Plast 2016:7607924.
    """

    r_IP3: PerRow
    AG_rest: PerRow
    v_IP3R: PerRow
    v_SERCA: PerRow
    Ca_tot: PerRow
    c1: PerRow
    C_thr: PerRow
    N: PerRow
    P: PerRow

    def __init__(self, r_IP3=8e-4, AG_rest=0.0010453, v_IP3R=6e-3, v_SERCA=7e-4, Ca_tot=2.0, c1=0.185, C_thr=0.3, N=4.0,
                 P=0.6):
        self.r_IP3, self.AG_rest = jnp.asarray(r_IP3, float), jnp.asarray(AG_rest, float)
        self.v_IP3R, self.v_SERCA = jnp.asarray(v_IP3R, float), jnp.asarray(v_SERCA, float)
        self.Ca_tot, self.c1, self.C_thr = jnp.asarray(Ca_tot, float), jnp.asarray(c1, float), jnp.asarray(C_thr, float)
        self.N, self.P = jnp.asarray(N, float), jnp.asarray(P, float)

    def init(self) -> AstrocyteState:
        """The published start; h at its steady state."""
        Ca, IP3 = jnp.asarray(0.15002), jnp.asarray(0.28)
        Q = _inhibition(IP3)
        return AstrocyteState(Ca, IP3, Q / (Q + Ca), jnp.asarray(1.0), jnp.asarray(0.0))

    def leak(self, s: AstrocyteState) -> PerRow:
        """Leak constant of the store [1/ms] at which calcium rests in state `s`."""
        return -self._active(s) / self._free(s)

    def slope(self, s: AstrocyteState, AG: PerRow, leak: PerRow) -> AstrocyteState:
        """Derivative [per ms] at that 2-AG [uM] and leak constant [1/ms]."""
        Q = _inhibition(s.IP3)
        return AstrocyteState(
            Ca=self._active(s) + leak * self._free(s),
            IP3=(0.28 - s.IP3) / 7000 + self.r_IP3 * (AG - self.AG_rest),
            h=2e-4 * (Q * (1 - s.h) - s.Ca * s.h),
            R=6e-4 * (1 - s.R),
            Glu=-0.005 * s.Glu,
        )

    def release(self, before: AstrocyteState, s: AstrocyteState) -> AstrocyteState:
        """`s` with glutamate released if calcium has crossed its threshold since the step's start, `before`."""
        crossed = (s.Ca >= self.C_thr) & (before.Ca < self.C_thr)
        used = jnp.where(crossed, self.P * before.R, 0.0)
        return s._replace(R=s.R - used, Glu=s.Glu + 6.5e-4 * 50000 * self.N * used)

    def _free(self, s: AstrocyteState) -> PerRow:
        return self.Ca_tot - (1 + self.c1) * s.Ca

    def _active(self, s: AstrocyteState) -> PerRow:
        opened = (s.IP3 / (0.13 + s.IP3) * s.Ca / (0.08234 + s.Ca) * s.h) ** 3
        return self.v_IP3R * opened * self._free(s) - self.v_SERCA * s.Ca**2 / (0.01 + s.Ca**2)


def _inhibition(IP3: PerRow) -> PerRow:
    return 1.049 * (IP3 + 0.13) / (IP3 + 0.9434)
