"""Cytosolic and stored calcium with calcium-induced release (Cui et al. 2016)."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.biochemistry.corticostriatal.membrane import Currents
from retrojax.types import PerRow


class CalciumState(NamedTuple):
    """`Ca`: cytosolic, `Ca_ER`: stored calcium [uM]; `h`: IP3 receptors not inactivated."""

    Ca: PerRow
    Ca_ER: PerRow
    h: PerRow


class SpineCalcium(eqx.Module):
    """Calcium through channels and from the store, with one fast buffer; time in s, concentrations in uM.

        dCa/dt = (J_ER - 84 I_CaL - 70 I_NMDA - 310 I_TRPV1 - (Ca - Ca_b)/tau_Ca)/beta(Ca)
        dCa_ER/dt = -rho J_ER/beta(Ca_ER),  beta(C) = 1 + (B_T/K_B)/(1 + C/K_B)^2
        J_ER = r_C (m n h)^3 (Ca_ER - Ca) - v_ER Ca^2/(Ca^2 + K_ER^2) + r_L (Ca_ER - Ca)
        m = IP3/(IP3 + 0.13),  n = Ca/(Ca + 0.12),  dh/dt = a2 d2 (IP3 + 0.13)/(IP3 + 0.9434) (1 - h) - a2 Ca h

    **Arguments**

    - `r_C`, `r_L` [1/s], `v_ER` [uM/s], `K_ER` [uM]: release, leak and pump of the store. `rho`: volume ratio.
    - `Ca_b` [uM], `tau_Ca` [s]: extrusion. `B_T`, `K_B` [uM]: buffer.

    References: Cui et al. (2016) eLife 5:e13185 and its code, ModelDB 187605; Li & Rinzel (1994) J Theor Biol 166:461.
    """

    r_C: PerRow
    r_L: PerRow
    v_ER: PerRow
    K_ER: PerRow
    rho: PerRow
    Ca_b: PerRow
    tau_Ca: PerRow
    B_T: PerRow
    K_B: PerRow

    def __init__(self, r_C=4.0, r_L=0.1, v_ER=8.0, K_ER=0.05, rho=0.3, Ca_b=0.1, tau_Ca=0.007, B_T=4.5, K_B=0.5):
        self.r_C, self.r_L, self.v_ER = jnp.asarray(r_C, float), jnp.asarray(r_L, float), jnp.asarray(v_ER, float)
        self.K_ER, self.rho, self.Ca_b = jnp.asarray(K_ER, float), jnp.asarray(rho, float), jnp.asarray(Ca_b, float)
        self.tau_Ca, self.B_T, self.K_B = jnp.asarray(tau_Ca, float), jnp.asarray(B_T, float), jnp.asarray(K_B, float)

    def init(self) -> CalciumState:
        """Rest."""
        return CalciumState(*map(jnp.asarray, (0.12132718966407073, 63.348087686853646, 0.82466766689469506)))

    def slope(self, s: CalciumState, flowing: Currents, IP3: PerRow) -> CalciumState:
        """Derivative [per s] with these membrane currents [pA] and that IP3 [uM]."""
        Ca = s.Ca
        opened = (IP3 / (IP3 + 0.13) * Ca / (Ca + 0.12) * s.h) ** 3
        from_store = (self.r_C * opened + self.r_L) * (s.Ca_ER - Ca) - self.v_ER * Ca**2 / (Ca**2 + self.K_ER**2)
        entering = -(84 * flowing.CaL + 70 * flowing.NMDA + 310 * flowing.TRPV1)
        return CalciumState(
            Ca=(from_store + entering - (Ca - self.Ca_b) / self.tau_Ca) / self._buffering(Ca),
            Ca_ER=-self.rho * from_store / self._buffering(s.Ca_ER),
            h=0.5 * (3.049 * (IP3 + 0.13) / (IP3 + 0.9434) * (1 - s.h) - Ca * s.h),
        )

    def _buffering(self, C: PerRow) -> PerRow:
        return 1 + self.B_T / self.K_B / (1 + C / self.K_B) ** 2
