"""From glutamate and calcium to 2-AG in a spine, by mass action (Kim et al. 2013, as in Manninen et al. 2020)."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.errors import InputError
from retrojax.parts.biochemistry.mass_action import mass_action, reactions
from retrojax.types import PerRow

NETWORK = reactions("""
    Glu -> 0
    Glu + mGluR <-> Glu_mGluR
    Glu_mGluR <-> Glu_mGluR_desensitised
    Gabg + Glu_mGluR <-> Gabg_Glu_mGluR
    Gabg_Glu_mGluR -> Glu_mGluR + GaGTP
    Ca + PLC <-> Ca_PLC
    GaGTP + Ca_PLC <-> Ca_GaGTP_PLC
    GaGTP + PLC <-> GaGTP_PLC
    Ca + GaGTP_PLC <-> Ca_GaGTP_PLC
    PIP2 + Ca_PLC <-> Ca_PIP2_PLC
    Ca_PIP2_PLC -> Ca_DAG_PLC + IP3
    Ca_DAG_PLC -> Ca_PLC + DAG
    PIP2 + Ca_GaGTP_PLC <-> Ca_GaGTP_PIP2_PLC
    Ca_GaGTP_PIP2_PLC -> Ca_DAG_GaGTP_PLC + IP3
    Ca_DAG_GaGTP_PLC -> Ca_GaGTP_PLC + DAG
    IP3 -> IP3_degraded
    IP3_degraded + PIKin <-> IP3_degraded_PIKin
    IP3_degraded_PIKin -> PIP2 + PIKin
    GaGTP_PLC -> PLC + GaGDP
    Ca_GaGTP_PLC -> Ca_PLC + GaGDP
    GaGTP -> GaGDP
    GaGDP -> Gabg
    Ca + DAGL <-> Ca_DAGL
    DAG + Ca_DAGL <-> Ca_DAG_DAGL
    Ca_DAG_DAGL -> Ca_DAGL + AG
    AG -> 0
    DAG -> 0
""")
KEPT = 0.9
"""Fraction of the cleft's glutamate that stays there; the rest spills over to presynaptic receptors."""
RATES = (0.2 * KEPT, 1e-4 * KEPT, 0.01, 2.5e-4, 1e-6, 0.015, 7.2e-3, 5e-4, 2e-3, 0.12, 0.1, 0.01, 0.01, 0.012, 0.08,
         0.04, 6e-4, 0.01, 0.025, 0.2, 0.015, 0.075, 0.25, 1.0, 0.01, 2e-3, 1e-3, 1e-3, 0.03, 0.03, 1e-3, 0.01, 0.125,
         0.05, 2.5e-3, 1.5e-3, 1e-3, 5e-3, 6.6e-4)
"""Constants of `NETWORK` in its order, backward after forward [1/ms or 1/(uM ms)]."""


class CascadeState(NamedTuple):
    """Concentrations [uM] by species; `AG` is 2-AG, `Gabg` the trimeric G protein; `Ca_ER`: stored calcium [uM];
    `h`: IP3 receptors not inactivated."""

    Glu: PerRow
    mGluR: PerRow
    Glu_mGluR: PerRow
    Glu_mGluR_desensitised: PerRow
    Gabg: PerRow
    Gabg_Glu_mGluR: PerRow
    GaGTP: PerRow
    GaGDP: PerRow
    Ca: PerRow
    PLC: PerRow
    Ca_PLC: PerRow
    GaGTP_PLC: PerRow
    Ca_GaGTP_PLC: PerRow
    PIP2: PerRow
    Ca_PIP2_PLC: PerRow
    Ca_DAG_PLC: PerRow
    Ca_GaGTP_PIP2_PLC: PerRow
    Ca_DAG_GaGTP_PLC: PerRow
    IP3: PerRow
    IP3_degraded: PerRow
    PIKin: PerRow
    IP3_degraded_PIKin: PerRow
    DAG: PerRow
    DAGL: PerRow
    Ca_DAGL: PerRow
    Ca_DAG_DAGL: PerRow
    AG: PerRow
    Ca_ER: PerRow
    h: PerRow


REST = {"mGluR": 5.0, "Gabg": 3.5, "Ca": 0.049978, "PLC": 0.99837, "Ca_PLC": 0.00083161, "PIP2": 49.6857,
        "Ca_PIP2_PLC": 0.00070833, "Ca_DAG_PLC": 8.8541e-5, "IP3": 0.0017708, "IP3_degraded": 0.014141,
        "PIKin": 1.2523, "IP3_degraded_PIKin": 0.017708, "DAG": 0.018912, "DAGL": 2.2119, "Ca_DAGL": 0.27637,
        "Ca_DAG_DAGL": 0.0052265, "AG": 0.0010453, "Ca_ER": 62.9016}


class Leaks(NamedTuple):
    """Leak constants [1/ms] of the plasma membrane, `cell`, and of the store, `ER`."""

    cell: PerRow
    ER: PerRow


class GlutamateCascade(eqx.Module):
    """mGluR -> Gq -> PLC -> DAG -> 2-AG and IP3, with calcium of the spine; time in ms, concentrations in uM.

    All of `NETWORK` by mass action, and for calcium besides

        dCa/dt = J_channels - J_PMCA + r_cell (Ca_ext - Ca) + J_ER,  dCa_ER/dt = -J_ER/c1
        J_ER = v_IP3R (m n h)^3 (Ca_ER - Ca) - v_SERCA Ca^2/(Ca^2 + 0.4^2) + r_ER (Ca_ER - Ca)
        m = IP3/(IP3 + 0.15),  n = Ca/(Ca + 0.8),  dh/dt = (1.9/(1.9 + Ca) - h)/2000
        J_PMCA = v_PMCA Ca^2/(Ca^2 + 0.12^2)

    PLC detects coincidence: with calcium and GaGTP it makes DAG ten times as fast as with calcium alone.

    **Arguments**

    - `rates`: constants of `NETWORK` in its order [1/ms or 1/(uM ms)], shape [39].
    - `v_IP3R` [1/ms], `v_SERCA`, `v_PMCA` [uM/ms]: store and pump. `c1`: volume ratio. `Ca_ext` [uM]: outside.

    **Raises** `InputError` if `rates` is not one constant per reaction.

    References: Kim, Hawes, Gillani, Wallace & Blackwell (2013) PLoS Comput Biol 9:e1002953; Manninen, Saudargiene &
    Linne (2020) PLoS Comput Biol 16:e1008360 and its code, ModelDB 266819.
    """

    rates: PerRow
    v_IP3R: PerRow
    v_SERCA: PerRow
    v_PMCA: PerRow
    c1: PerRow
    Ca_ext: PerRow

    def __init__(self, rates=RATES, v_IP3R=0.01, v_SERCA=3e-3, v_PMCA=4.8e-3, c1=0.185, Ca_ext=2015.1):
        self.rates, self.v_IP3R = jnp.asarray(rates, float), jnp.asarray(v_IP3R, float)
        if self.rates.shape != (len(NETWORK),):
            raise InputError("rates", f"shape {self.rates.shape}", f"{len(NETWORK)} constants, in the order of NETWORK",
                             "change single entries of cascade.RATES")
        self.v_SERCA, self.v_PMCA = jnp.asarray(v_SERCA, float), jnp.asarray(v_PMCA, float)
        self.c1, self.Ca_ext = jnp.asarray(c1, float), jnp.asarray(Ca_ext, float)

    def init(self) -> CascadeState:
        """The published start."""
        rest = REST | {"h": 1.9 / (1.9 + REST["Ca"])}
        return CascadeState(*(jnp.asarray(rest.get(name, 0.0)) for name in CascadeState._fields))

    def leaks(self, s: CascadeState, entering: PerRow) -> Leaks:
        """Leak constants at which calcium rests in state `s`, with `entering` through channels [uM/ms]."""
        return Leaks(cell=(self._pumped(s) - entering) / (self.Ca_ext - s.Ca), ER=-self._active(s) / (s.Ca_ER - s.Ca))

    def slope(self, s: CascadeState, entering: PerRow, leaks: Leaks) -> CascadeState:
        """Derivative [per ms] with calcium `entering` through channels [uM/ms]."""
        change = mass_action(NETWORK, [self.rates[i] for i in range(len(NETWORK))], s._asdict())
        from_store = self._active(s) + leaks.ER * (s.Ca_ER - s.Ca)
        through_membrane = entering - self._pumped(s) + leaks.cell * (self.Ca_ext - s.Ca)
        change["Ca"] = change["Ca"] + from_store + through_membrane
        return CascadeState(**change, Ca_ER=-from_store / self.c1, h=(1.9 / (1.9 + s.Ca) - s.h) / 2000)

    def _pumped(self, s: CascadeState) -> PerRow:
        return self.v_PMCA * s.Ca**2 / (0.12**2 + s.Ca**2)

    def _active(self, s: CascadeState) -> PerRow:
        opened = (s.IP3 / (0.15 + s.IP3) * s.Ca / (0.8 + s.Ca) * s.h) ** 3
        return self.v_IP3R * opened * (s.Ca_ER - s.Ca) - self.v_SERCA * s.Ca**2 / (0.4**2 + s.Ca**2)
