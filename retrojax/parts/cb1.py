"""Endocannabinoid action on the terminal: fast suppression, and long-term change inside windows of activation."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.base import AbstractRule, Expression, Modulation
from retrojax.types import PerRow


class CB1State(NamedTuple):
    """`effector`: G-protein effector; `desensitised`: receptor fraction; `W_pre`: long-term; `on_p`: factor on P."""

    effector: PerRow
    desensitised: PerRow
    W_pre: PerRow
    on_p: PerRow


class CB1(AbstractRule):
    """CB1 receptors on a terminal, driven by 2-AG.

    Fast: an effector B closes calcium channels; release falls as their number to the power n_ca.

        dB/dt = k_on c (1 - B) - k_off B,   I_Ca -> I_Ca (1 - phi B R),   p = 1 - (1 - P)^{(1 - phi B R)^n_ca}

    Presynaptic firing relieves it (Foldy et al. 2006, in the form of a gate): R = 1/(1 + (r/rate_relief)^4) with the
    rate r = x_pre/tau_x_pre, where x_pre rises by 1 at a spike.

    Long-term (Cui et al. 2016): receptors C -> O -> D -> C with ligand e [uM] give the drive y = 3000 O + 0.007, and

        O = alpha e (1 - D)/(alpha e + beta + gamma),   dD/dt = gamma O - epsilon D
        dW/dt = (Omega(y) - W)/tau_W(y) * x/(x + x_half),   Omega = 1 - A_ltd [ltd_lo < y < ltd_hi] + A_ltp [y > ltp_lo]
        tau_W = 1e-9 s/(1e-35 + y2^7) + 2 s,   y2 = y - 0.0063

    O follows within 3 ms and is taken at its steady state; D, B and W are exact for a concentration held over the field
    step. The factor on P is W times the fast one. `x_half` > 0 asks for presynaptic activity (Heifets et al. 2008);
    0 is the published, ungated form.

    **Arguments**

    - `eff_kon` [1/(nM ms)], `eff_koff` [1/ms]: effector. `phi`: largest closed fraction. `n_ca`: exponent.
    - `alpha` [1/(nM ms)], `beta`, `gamma`, `epsilon` [1/ms]: receptor scheme.
    - `ltd_lo`, `ltd_hi`, `ltp_lo`: windows of y. `A_ltd`, `A_ltp`: amplitudes.
    - `agonist` [nM]: a drug that acts like so much more of the ligand; 0 without.
    - `tau_x_pre` [ms], `x_half`: presynaptic trace and its half-effect. `rate_relief` [1/ms]: rate that halves the fast
      action.
    - `gate`: learning gate on the rate of W; 1 is neutral.

    Sets the sign by (receptor, history): moderate, lasting activation depresses; brief, high activation potentiates.

    References: Cui et al. (2016) eLife 5:e13185; Heifets, Chevaleyre & Castillo (2008) PNAS 105:10250; Foldy, Neu,
    Jones & Soltesz (2006) J Neurosci 26:1465; Brown, Safo &
    Regehr (2004) J Neurosci 24:5623.
    """

    senses: ClassVar[str | None] = "2-AG"

    eff_kon: PerRow
    eff_koff: PerRow
    phi: PerRow
    n_ca: PerRow
    alpha: PerRow
    beta: PerRow
    gamma: PerRow
    epsilon: PerRow
    ltd_lo: PerRow
    ltd_hi: PerRow
    ltp_lo: PerRow
    A_ltd: PerRow
    A_ltp: PerRow
    agonist: PerRow
    tau_x_pre: PerRow
    x_half: PerRow
    rate_relief: PerRow
    gate: PerRow

    def __init__(self, eff_kon=1.25e-7, eff_koff=5e-5, phi=0.5, n_ca=2.5, alpha=2.40195e-7, beta=11.0719e-3,
                 gamma=416.379e-3, epsilon=0.0477957e-3, ltd_lo=0.027, ltd_hi=0.047, ltp_lo=0.086, A_ltd=0.65,
                 A_ltp=13.5425, agonist=0.0, tau_x_pre=1000.0, x_half=0.0, rate_relief=0.02,
                 gate=1.0):
        self.eff_kon, self.eff_koff = jnp.asarray(eff_kon, float), jnp.asarray(eff_koff, float)
        self.phi, self.n_ca = jnp.asarray(phi, float), jnp.asarray(n_ca, float)
        self.alpha, self.beta = jnp.asarray(alpha, float), jnp.asarray(beta, float)
        self.gamma, self.epsilon = jnp.asarray(gamma, float), jnp.asarray(epsilon, float)
        self.ltd_lo, self.ltd_hi = jnp.asarray(ltd_lo, float), jnp.asarray(ltd_hi, float)
        self.ltp_lo, self.gate = jnp.asarray(ltp_lo, float), jnp.asarray(gate, float)
        self.A_ltd, self.A_ltp = jnp.asarray(A_ltd, float), jnp.asarray(A_ltp, float)
        self.agonist, self.rate_relief = jnp.asarray(agonist, float), jnp.asarray(rate_relief, float)
        self.tau_x_pre, self.x_half = jnp.asarray(tau_x_pre, float), jnp.asarray(x_half, float)

    def init(self, shape: tuple[int, ...]) -> CB1State:
        return CB1State(jnp.zeros(shape), jnp.zeros(shape), jnp.ones(shape), jnp.ones(shape))

    def pre_traces(self) -> tuple[PerRow, ...]:
        return (self.tau_x_pre,)

    def modulated(self, by: Modulation) -> "CB1":
        return eqx.tree_at(lambda r: r.gate, self, self.gate * by.ltd)

    def factor(self, s: CB1State) -> PerRow:
        return s.on_p

    def drive(self, desensitised: PerRow, concentration: PerRow) -> PerRow:
        """The plasticity drive y at that desensitised fraction and concentration [nM]."""
        bound = self.alpha * concentration
        return 3000 * bound * (1 - desensitised) / (bound + self.beta + self.gamma) + 0.007

    def target(self, y: PerRow) -> PerRow:
        """Omega(y), where W_pre is heading."""
        depressed = jnp.where((y > self.ltd_lo) & (y < self.ltd_hi), self.A_ltd, 0.0)
        return 1 - depressed + jnp.where(y > self.ltp_lo, self.A_ltp, 0.0)

    def field(
        self, s: CB1State, concentration: PerRow, elapsed: PerRow, expression: Expression, pre: tuple[PerRow, ...]
    ) -> CB1State:
        (x_pre,) = pre
        concentration = concentration + self.agonist
        bound = self.alpha * concentration
        entry = self.gamma * bound / (bound + self.beta + self.gamma)
        rate = entry + self.epsilon
        desensitised = entry / rate + (s.desensitised - entry / rate) * jnp.exp(-rate * elapsed)
        speed = self.eff_kon * concentration + self.eff_koff
        ceiling = self.eff_kon * concentration / speed
        effector = ceiling + (s.effector - ceiling) * jnp.exp(-speed * elapsed)
        y = self.drive(desensitised, concentration)
        tau_W = 1e3 * (1e-9 / (1e-35 + jnp.maximum(y - 0.0063, 0.0) ** 7) + 2.0)
        active = jnp.where(self.x_half > 0, x_pre / (x_pre + jnp.where(self.x_half > 0, self.x_half, 1.0)), 1.0)
        goal = self.target(y)
        W_pre = goal + (s.W_pre - goal) * jnp.exp(-self.gate * active * elapsed / tau_W)
        relief = 1 / (1 + (x_pre / (self.tau_x_pre * self.rate_relief)) ** 4)
        on_p = W_pre * self.suppression(effector * relief, expression.p_release)
        return CB1State(effector, desensitised, W_pre, on_p)

    def suppression(self, effector: PerRow, p: PerRow) -> PerRow:
        """Factor on the release probability `p` while the effector closes calcium channels."""
        open_fraction = (1 - self.phi * effector) ** self.n_ca
        safe = jnp.clip(p, 1e-3, 0.999)
        return -jnp.expm1(open_fraction * jnp.log1p(-safe)) / safe
