"""Retrograde presynaptic potentiation by nitric oxide."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.numerics import Draws, decay, hill
from retrojax.parts.base import AbstractRule, CalciumPath, Change, Expression, Modulation
from retrojax.types import PerRow


class GuanylylState(NamedTuple):
    """`sGC`: active cyclase; `cGMP` [uM]; `PKG`: active kinase; `drive`: integral of PKG x_pre [ms]."""

    sGC: PerRow
    cGMP: PerRow
    PKG: PerRow
    drive: PerRow


class NitricOxidePotentiation(AbstractRule):
    """Release probability grows where nitric oxide meets recent presynaptic activity.

        dA/dt = k_on c (1 - A) - k_off A,  k_on = k_off/EC50        (guanylyl cyclase)
        dG/dt = V_GC A - k_PDE G,          PKG = G^n / (G^n + K_PKG^n)
        dP/dt = eta_NO PKG x_pre (P_max - P)

    c is the concentration at the bouton, held over a field step, and so is PKG; A is then exact, G uses the mean of A
    over the step (exact for constant A). x_pre rises by 1 at a presynaptic spike. The coincidence PKG x_pre is
    integrated without error between field steps and expressed at slow steps as
    P_max - P -> (P_max - P) exp(-eta_NO integral).

    **Arguments**

    - `ec50`: EC50 of guanylyl cyclase [nM]. `k_off`: its deactivation [1/ms].
    - `V_GC`: cGMP made at full activation [uM/ms]. `k_PDE`: its loss [1/ms] (linear regime, cGMP below K of PDE).
    - `K_PKG` [uM], `n_PKG`: activation of the kinase.
    - `tau_x_pre`: presynaptic trace [ms].
    - `eta_NO`: rate of expression at full coincidence [1/ms] - a calibration.
    - `P_max`: ceiling of the release probability.
    - `gate`: learning gate; 1 is neutral.

    Valid for EC50 0.3-1.7 nM preparations; loss of the potentiation without presynaptic pairing is not modelled.

    References: Griffiths et al. (2003) Mol Pharmacol 64:1349 (EC50); Padamsey, Tong & Emptage (2017) eLife (NO from
    L-type channels and presynaptic LTP); Hardingham, Dachtler & Fox (2013) Front Cell Neurosci 7:190.
    """

    senses: ClassVar[str | None] = "NO"

    ec50: PerRow
    k_off: PerRow
    V_GC: PerRow
    k_PDE: PerRow
    K_PKG: PerRow
    n_PKG: PerRow
    tau_x_pre: PerRow
    eta_NO: PerRow
    P_max: PerRow
    gate: PerRow

    def __init__(self, ec50=1.0, k_off=3.5e-3, V_GC=5e-3, k_PDE=2e-3, K_PKG=0.2, n_PKG=1.0, tau_x_pre=1000.0,
                 eta_NO=1e-4, P_max=0.95, gate=1.0):
        self.ec50, self.k_off = jnp.asarray(ec50, float), jnp.asarray(k_off, float)
        self.V_GC, self.k_PDE = jnp.asarray(V_GC, float), jnp.asarray(k_PDE, float)
        self.K_PKG, self.n_PKG = jnp.asarray(K_PKG, float), jnp.asarray(n_PKG, float)
        self.tau_x_pre, self.eta_NO = jnp.asarray(tau_x_pre, float), jnp.asarray(eta_NO, float)
        self.P_max, self.gate = jnp.asarray(P_max, float), jnp.asarray(gate, float)

    def init(self, shape: tuple[int, ...]) -> GuanylylState:
        zero = jnp.zeros(shape)
        return GuanylylState(zero, zero, zero, zero)

    def pre_traces(self) -> tuple[PerRow, ...]:
        return (self.tau_x_pre,)

    def kinase(self, cGMP: PerRow) -> PerRow:
        """Active fraction of PKG at that cGMP [uM]."""
        return hill(cGMP, self.K_PKG, self.n_PKG)

    def flow(
        self, s: GuanylylState, elapsed: PerRow, path: CalciumPath, pre: tuple[PerRow, ...], draws: Draws
    ) -> GuanylylState:
        (x_pre,) = pre
        return s._replace(drive=s.drive + s.PKG * x_pre * self.tau_x_pre * (1 - decay(elapsed, self.tau_x_pre)))

    def field(
        self, s: GuanylylState, concentration: PerRow, elapsed: PerRow, expression: Expression,
        pre: tuple[PerRow, ...],
    ) -> GuanylylState:
        # times the inverse, as in `HillSynthesis.emit`
        speed = self.k_off * (1 + concentration * (1 / self.ec50))
        target = concentration / (concentration + self.ec50)
        left = jnp.exp(-speed * elapsed)
        mean = target + (s.sGC - target) * (1 - left) / (speed * elapsed)
        made = self.V_GC / self.k_PDE * mean
        cGMP = made + (s.cGMP - made) * jnp.exp(-self.k_PDE * elapsed)
        sGC = target + (s.sGC - target) * left
        return s._replace(sGC=sGC, cGMP=cGMP, PKG=self.kinase(cGMP))

    def overdue(
        self, before: GuanylylState, after: GuanylylState, elapsed: PerRow, pre: tuple[PerRow, ...]
    ) -> GuanylylState:
        (x_pre,) = pre
        coincidence = x_pre * self.tau_x_pre * (1 - decay(elapsed, self.tau_x_pre))
        return after._replace(drive=after.drive + (before.PKG - after.PKG) * coincidence)

    def modulated(self, by: Modulation) -> "NitricOxidePotentiation":
        return eqx.tree_at(lambda r: r.gate, self, self.gate * by.ltp)

    def slow(self, s: GuanylylState, expression: Expression, elapsed: PerRow) -> Change:
        room = jnp.maximum(self.P_max - expression.p_release, 0.0)
        dP = -room * jnp.expm1(-self.gate * self.eta_NO * s.drive)
        zero = jnp.zeros_like(s.drive)
        return Change(GuanylylState(zero, zero, zero, -s.drive), p_release=dP)
