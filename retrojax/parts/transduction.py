"""From a messenger at a bouton to its release: one shape for the receptors of a terminal."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.numerics import phi1
from retrojax.parts.base import AbstractRule, Expression, Modulation
from retrojax.types import PerRow


class TransductionState(NamedTuple):
    """`B`: occupied share of the receptors; `D`: desensitised share; `X`: slow variable; `V`: relative growth of the
    bouton; `on_p`: factor on the release probability."""

    B: PerRow
    D: PerRow
    X: PerRow
    V: PerRow
    on_p: PerRow


class Transduction(AbstractRule):
    """Receptors on a terminal, their desensitisation, and what their activity A = efficacy B (1 - D) does.

        dB/dt = k_off c/K_d (1 - B) - k_off B,     dD/dt = k_des B (1 - D) - k_res D
        dX/dt = (F(A) - X)/tau_X,    F = A^n/(A^n + half^n) (1 - A^n/(A^n + upper^n)),    dV/dt = kappa X
        I_Ca -> I_Ca (1 - phi A),    P -> P (1 + fast A)(1 + gamma X),    response -> response (1 + nu X)(1 + V)

    c, the concentration at the bouton, is held over a field step. B is then exact; D is exact for B held at its mean
    over the step (second order in the step), and X for A at its end (first order). tau_X is `tau_rise` where X grows
    and `tau_fall` where it shrinks. Open calcium channels set release as p = 1 - (1 - P)^{(1 - phi A)^n_ca}.
    The response scales with the number of vesicles at hand, which `nu` changes with X and growth for good. On other
    parts it holds, where they are given,

        tau_rec -> tau_rec / (1 + refill X),    LTP -> (1 + ltp X) LTP,    LTD -> (1 + ltd X) LTD

    LTP and LTD being what rules do at spikes, between them and at slow steps; the sign and size are the receptor's, and
    X carries its history. Presynaptic firing may relieve the fast action, as at CB1 (Foldy et al. 2006): with
    `rate_relief`, A in phi A and fast A is A/(1 + (r/rate_relief)^4), r = x_pre/tau_x_pre, x_pre a trace of spikes.

    A negative `phi` opens channels; a negative `fast`, `gamma`, `nu` or `kappa` depresses. `upper` makes F a window:
    activity far above it has no slow effect.

    **Arguments**

    - `senses`: name of the messenger. `receptor`: name under which its parameters are found, as `rules.A1.efficacy`.
    - `K_d`: half occupation [nM]. `k_off`: unbinding, or end of the effector's action [1/ms].
    - `efficacy`: activity of an occupied receptor; 1 intact, 0 blocked. `agonist`: a drug that acts like so much more
      of the messenger [nM].
    - `k_des`, `k_res`: desensitisation and return [1/ms].
    - `half`, `upper`: edges of the window of F. `hill`: its steepness n. `tau_rise`, `tau_fall` [ms].
    - `phi`, `n_ca`: closed share of calcium channels, and exponent of release in their number.
    - `fast`, `gamma`: largest relative change of P, at once and slowly. `nu`: of the vesicles at hand, slowly.
    - `kappa`: growth of the bouton [1/ms]; V stays between -1 (retracted) and `V_max`.
    - `refill`: of the recovery of vesicles. `ltp`, `ltd`: of what other rules do. Each None for no such target; one
      that is given makes a lazy network bring all synapses up to date at each field step of the messenger.
    - `rate_relief`: firing rate that halves the fast action [1/ms], None for no relief. `tau_x_pre`: its trace [ms].

    Valid where messenger bound to receptors is little of what diffuses.

    References: the receptor's, as `retrojax describe rule transduction` lists them.
    """

    senses: str = eqx.field(static=True)
    receptor: str = eqx.field(static=True)
    K_d: PerRow
    k_off: PerRow
    efficacy: PerRow
    agonist: PerRow
    k_des: PerRow
    k_res: PerRow
    half: PerRow
    upper: PerRow
    hill: PerRow
    tau_rise: PerRow
    tau_fall: PerRow
    phi: PerRow
    n_ca: PerRow
    fast: PerRow
    gamma: PerRow
    nu: PerRow
    kappa: PerRow
    V_max: PerRow
    refill: PerRow | None
    ltp: PerRow | None
    ltd: PerRow | None
    rate_relief: PerRow | None
    tau_x_pre: PerRow | None

    def __init__(self, senses: str, receptor: str = "", K_d=1.0, k_off=1e-3, efficacy=1.0, agonist=0.0, k_des=0.0,
                 k_res=1e-5, half=0.5, upper=1e3, hill=2.0, tau_rise=3e4, tau_fall=1.2e6, phi=0.0, n_ca=2.5, fast=0.0,
                 gamma=0.0, nu=0.0, kappa=0.0, V_max=1.0, refill=None, ltp=None, ltd=None, rate_relief=None,
                 tau_x_pre=1000.0):
        self.senses, self.receptor = senses, receptor
        self.K_d, self.k_off = jnp.asarray(K_d, float), jnp.asarray(k_off, float)
        self.efficacy, self.agonist = jnp.asarray(efficacy, float), jnp.asarray(agonist, float)
        self.k_des, self.k_res = jnp.asarray(k_des, float), jnp.asarray(k_res, float)
        self.half, self.upper = jnp.asarray(half, float), jnp.asarray(upper, float)
        self.hill, self.tau_rise = jnp.asarray(hill, float), jnp.asarray(tau_rise, float)
        self.tau_fall, self.phi = jnp.asarray(tau_fall, float), jnp.asarray(phi, float)
        self.n_ca, self.fast = jnp.asarray(n_ca, float), jnp.asarray(fast, float)
        self.gamma, self.nu = jnp.asarray(gamma, float), jnp.asarray(nu, float)
        self.kappa, self.V_max = jnp.asarray(kappa, float), jnp.asarray(V_max, float)
        given = lambda x: None if x is None else jnp.asarray(x, float)  # noqa: E731
        self.refill, self.ltp, self.ltd, self.rate_relief = given(refill), given(ltp), given(ltd), given(rate_relief)
        self.tau_x_pre = None if rate_relief is None else given(tau_x_pre)

    def init(self, shape: tuple[int, ...]) -> TransductionState:
        zero = jnp.zeros(shape)
        return TransductionState(zero, zero, zero, zero, jnp.ones(shape))

    def pre_traces(self) -> tuple[PerRow, ...]:
        return () if self.tau_x_pre is None else (self.tau_x_pre,)

    def window(self, activity: PerRow) -> PerRow:
        """F(A), where the slow variable is heading."""
        positive = activity > 0
        safe = jnp.where(positive, activity, 1.0)  # a power of 0 has no gradient in its exponent
        low, high = (safe / self.half) ** self.hill, (safe / self.upper) ** self.hill
        return jnp.where(positive, low / (1 + low) / (1 + high), 0.0)

    def activity(self, s: TransductionState) -> PerRow:
        """A, the active share of all receptors."""
        return self.efficacy * s.B * (1 - s.D)

    def field(
        self, s: TransductionState, concentration: PerRow, elapsed: PerRow, expression: Expression,
        pre: tuple[PerRow, ...],
    ) -> TransductionState:
        relative = (concentration + self.agonist) / self.K_d
        passed = self.k_off * (1 + relative) * elapsed
        bound = relative / (1 + relative)
        mean = bound + (s.B - bound) * phi1(passed)
        B = bound + (s.B - bound) * jnp.exp(-passed)
        entry = self.k_des * mean
        left = (entry + self.k_res) * elapsed
        D = s.D * jnp.exp(-left) + entry * elapsed * phi1(left)
        goal = self.window(self.efficacy * B * (1 - D))
        tau = jnp.where(goal > s.X, self.tau_rise, self.tau_fall)
        X = goal + (s.X - goal) * jnp.exp(-elapsed / tau)
        X_integral = elapsed * (goal + (s.X - goal) * phi1(elapsed / tau))
        V = jnp.clip(s.V + self.kappa * X_integral, -1.0, self.V_max)
        new = TransductionState(B, D, X, V, s.on_p)
        relief: PerRow | float = 1.0
        if self.rate_relief is not None and self.tau_x_pre is not None:
            relief = 1 / (1 + (pre[0] / (self.tau_x_pre * self.rate_relief)) ** 4)
        return new._replace(on_p=self.on_release(new, expression.p_release, relief))

    def on_release(self, s: TransductionState, p: PerRow, relief: PerRow | float = 1.0) -> PerRow:
        """Factor on the release probability `p`, with `relief` of the fast action."""
        activity = self.activity(s) * relief
        channels = jnp.maximum(1 - self.phi * activity, 1e-6) ** self.n_ca
        safe = jnp.clip(p, 1e-3, 0.999)
        calcium = -jnp.expm1(channels * jnp.log1p(-safe)) / safe
        return calcium * jnp.maximum((1 + self.fast * activity) * (1 + self.gamma * s.X), 0.0)

    def factor(self, s: TransductionState) -> PerRow:
        return s.on_p

    def weight(self, s: TransductionState) -> PerRow:
        return jnp.maximum(1 + self.nu * s.X, 0.0) * (1 + s.V)

    def modulation(self, s: TransductionState) -> Modulation | None:
        if self.refill is None and self.ltp is None and self.ltd is None:
            return None
        factors = [1.0 if gain is None else jnp.maximum(1 + gain * s.X, 1e-6)
                   for gain in (self.refill, self.ltp, self.ltd)]
        return Modulation(refill=factors[0], ltp=factors[1], ltd=factors[2])
