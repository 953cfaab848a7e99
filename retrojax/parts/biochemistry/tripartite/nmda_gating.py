"""Gating of presynaptic NMDA receptors with voltage-dependent magnesium block (Clarke & Johnson 2008)."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.biochemistry.mass_action import mass_action, reactions
from retrojax.types import PerRow

ONE_SIDE = """
    A + R{0} <-> RA{0}
    A + RA{0} <-> RA2{0}
    RA2{0} <-> d1{0}
    RA2{0} <-> d2{0}
    RA2{0} <-> f{0}
    RA2{0} <-> s{0}
    f{0} <-> O{0}
    s{0} <-> O{0}
"""
NETWORK = reactions(ONE_SIDE.format("") + ONE_SIDE.format("_Mg") + "O <-> O_Mg")


class GatingState(NamedTuple):
    """Fractions of receptors: `R` closed, `RA`, `RA2` with one and two agonists, `d1`, `d2` desensitised, `f`, `s`
    after the fast and the slow change, `O` open; `_Mg` the same with magnesium in the pore."""

    R: PerRow
    RA: PerRow
    RA2: PerRow
    d1: PerRow
    d2: PerRow
    f: PerRow
    s: PerRow
    O: PerRow  # noqa: E741 - the receptor's own name of the open state
    R_Mg: PerRow
    RA_Mg: PerRow
    RA2_Mg: PerRow
    d1_Mg: PerRow
    d2_Mg: PerRow
    f_Mg: PerRow
    s_Mg: PerRow
    O_Mg: PerRow


class NMDAGating(eqx.Module):
    """Two mirrored schemes, free and blocked, joined at the open state (`NETWORK`); time in ms, glutamate in uM.

        k_s = 0.048 exp((V + 100)/175),  k_Mg = Mg 6.1e-4 exp(-V/17),  k_-Mg = 5.4 exp(V/47)   [1/ms]

    The published code gives 6.1e-4 per uM and ms but multiplies it by no concentration: Mg is 1, not 1000.

    **Arguments**

    - `k_on` [1/(uM ms)], `k_off` [1/ms]: agonist. `k_d1`, `k_d1_back`, `k_d2`, `k_d2_back` [1/ms]: desensitisation.
    - `k_f`, `k_f_back`, `k_s`, `k_s_back` [1/ms]: fast (GluN1) and slow (GluN2) change; k_s at -100 mV.
    - `Mg` [uM]: outside; 1 as the published code has it.

    References: Erreger, Dravid, Banke, Wyllie & Traynelis (2005) J Physiol 563:345; Clarke & Johnson (2008) J Physiol
    586:5727; desensitisation slowed tenfold as in Manninen et al. (2020) PLoS Comput Biol 16:e1008360.
    """

    k_on: PerRow
    k_off: PerRow
    k_d1: PerRow
    k_d1_back: PerRow
    k_d2: PerRow
    k_d2_back: PerRow
    k_f: PerRow
    k_f_back: PerRow
    k_s: PerRow
    k_s_back: PerRow
    Mg: PerRow

    def __init__(self, k_on=2.83e-3, k_off=0.0381, k_d1=0.055, k_d1_back=0.0814, k_d2=0.0112, k_d2_back=9.1e-4,
                 k_f=2.836, k_f_back=0.175, k_s=0.048, k_s_back=0.23, Mg=1.0):
        self.k_on, self.k_off = jnp.asarray(k_on, float), jnp.asarray(k_off, float)
        self.k_d1, self.k_d1_back = jnp.asarray(k_d1, float), jnp.asarray(k_d1_back, float)
        self.k_d2, self.k_d2_back = jnp.asarray(k_d2, float), jnp.asarray(k_d2_back, float)
        self.k_f, self.k_f_back = jnp.asarray(k_f, float), jnp.asarray(k_f_back, float)
        self.k_s, self.k_s_back = jnp.asarray(k_s, float), jnp.asarray(k_s_back, float)
        self.Mg = jnp.asarray(Mg, float)

    def init(self) -> GatingState:
        """All closed and blocked."""
        return GatingState(*(jnp.asarray(float(name == "R_Mg")) for name in GatingState._fields))

    def slope(self, s: GatingState, V: PerRow, glutamate: PerRow) -> GatingState:
        """Derivative [per ms] at that potential [mV] and glutamate [uM]."""
        k_s = self.k_s * jnp.exp((V + 100) / 175)
        fast, slow = (self.k_f, self.k_f_back), (k_s, self.k_s_back)
        side = (2 * self.k_on, self.k_off, self.k_on, 2 * self.k_off, self.k_d1, self.k_d1_back, self.k_d2,
                self.k_d2_back, *fast, *slow, *slow, *fast)
        block = self.Mg * 6.1e-4 * jnp.exp(-V / 17), 5.4 * jnp.exp(V / 47)
        change = mass_action(NETWORK, (*side, *side, *block), s._asdict() | {"A": glutamate})
        return GatingState(*(change[name] for name in GatingState._fields))
