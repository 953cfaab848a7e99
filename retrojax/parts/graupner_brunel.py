"""Calcium-threshold plasticity of the postsynaptic efficacy."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax.scipy.special import erf

from retrojax.numerics import Draws, expm1
from retrojax.parts.base import AbstractRule, CalciumPath, Modulation
from retrojax.types import PerRow


class EfficacyState(NamedTuple):
    """`rho`: efficacy; `carry`: what rounding has kept back from it; `event`: flows so far (for the noise)."""

    rho: PerRow
    carry: PerRow
    event: PerRow


class GraupnerBrunel(AbstractRule):
    """Efficacy rho driven by the time calcium spends above two thresholds.

        tau drho/dt = -rho (1 - rho) (1/2 - rho) + gamma_p (1 - rho) H(c - theta_p) - gamma_d rho H(c - theta_d)
                      + sigma sqrt(tau) sqrt(H(c - theta_d) + H(c - theta_p)) eta(t)

    (Graupner & Brunel 2012, eq. 1, with the noise of the 2013 correction; rho* = 1/2 as in every published set.)
    The flow is exact in each stretch of constant thresholds: calcium falls, so a flow is at most [both, one, none]
    above. Linear drift and noise have closed forms; so has the cubic, y -> y e^{t/4tau}/sqrt(1 + 4y^2(e^{t/2tau} - 1))
    with y = rho - 1/2. Cubic and drift together are split symmetrically around each stretch above threshold, an error
    of order (duration/tau)^3. Increments are summed with a compensation, so that in float32 neither a silent day nor
    1e5 short flows drift.

    **Arguments**

    - `theta_d`, `theta_p`: thresholds [units of theta_d].
    - `gamma_d`, `gamma_p`: rates of depression and potentiation, relative to 1/tau.
    - `tau`: time constant [ms].
    - `sigma`: noise amplitude; used only if `noise`.
    - `w0`, `b`: the response is multiplied by w0 (1 + (b - 1) rho), so b is the ratio UP/DOWN.
    - `gate_p`, `gate_d`: learning gates, factors on gamma_p and gamma_d (sleep, modulators); 1 is neutral.
    - `rho`: starting efficacy, 0..1.
    - `noise`: static; draws are counted per synapse and flow, so schedules agree in distribution only.

    Reference: Graupner & Brunel (2012) PNAS 109:3991, correction (2013).
    """

    theta_d: PerRow
    theta_p: PerRow
    gamma_d: PerRow
    gamma_p: PerRow
    tau: PerRow
    sigma: PerRow
    w0: PerRow
    b: PerRow
    gate_p: PerRow
    gate_d: PerRow
    rho: PerRow
    noise: bool = eqx.field(static=True)

    def __init__(self, theta_d=1.0, theta_p=1.3, gamma_d=331.909, gamma_p=725.085, tau=346361.5, sigma=3.3501,
                 w0=1.0, b=5.40988, gate_p=1.0, gate_d=1.0, rho=0.5, noise: bool = False):
        self.theta_d, self.theta_p = jnp.asarray(theta_d, float), jnp.asarray(theta_p, float)
        self.gamma_d, self.gamma_p = jnp.asarray(gamma_d, float), jnp.asarray(gamma_p, float)
        self.tau, self.sigma = jnp.asarray(tau, float), jnp.asarray(sigma, float)
        self.w0, self.b = jnp.asarray(w0, float), jnp.asarray(b, float)
        self.gate_p, self.gate_d = jnp.asarray(gate_p, float), jnp.asarray(gate_d, float)
        self.rho, self.noise = jnp.asarray(rho, float), noise

    def init(self, shape: tuple[int, ...]) -> EfficacyState:
        return EfficacyState(jnp.broadcast_to(self.rho, shape), jnp.zeros(shape), jnp.zeros(shape))

    def flow(
        self, s: EfficacyState, elapsed: PerRow, path: CalciumPath, pre: tuple[PerRow, ...], draws: Draws
    ) -> EfficacyState:
        time_p, time_d = path.time_above(self.theta_p), path.time_above(self.theta_d)
        both, either = jnp.minimum(time_p, time_d), jnp.maximum(time_p, time_d)
        # calcium falls, so past the higher threshold only the lower one is exceeded: which one is not up to the row
        potentiates = jnp.where(self.theta_p < self.theta_d, 1.0, 0.0)
        noise = draws.normal(s.event, 2) if self.noise else (0.0, 0.0)
        change = self._well(s.rho, self._growth_above(both / 2))
        change = change + self._drift(s.rho + change, both, 1.0, 1.0, noise[0])
        change = change + self._well(s.rho + change, self._growth_above(either / 2))
        change = change + self._drift(s.rho + change, either - both, potentiates, 1 - potentiates, noise[1])
        # past 80 the answer is the nearest well; the exponential of a silent day would overflow
        rest = jnp.minimum((elapsed - (both + either) / 2) * (0.5 / self.tau), 80.0)
        change = change + self._well(s.rho + change, expm1(rest)) + s.carry
        rho = s.rho + change
        event = s.event + 1 if self.noise else s.event
        return EfficacyState(rho, change - (rho - s.rho), event)

    def modulated(self, by: Modulation) -> "GraupnerBrunel":
        return eqx.tree_at(lambda r: (r.gate_p, r.gate_d), self, (self.gate_p * by.ltp, self.gate_d * by.ltd))

    def weight(self, s: EfficacyState) -> PerRow:
        return self.w0 * (1 + (self.b - 1) * s.rho)

    def _growth_above(self, duration: PerRow) -> PerRow:
        """e^{t/2tau} - 1 over a part of a stretch above threshold, to the order that the splitting has."""
        z = duration * (0.5 / self.tau)
        return z * (1 + z * (0.5 + z * (1 / 6)))

    def _well(self, rho: PerRow, growth: PerRow) -> PerRow:
        """Increment of rho by the double well alone, for growth e^{t/2tau} - 1; exactly 0 at rho = 0, 1/2, 1."""
        y = rho - 0.5
        gain = growth * 4 * rho * (1 - rho) / (1 + 4 * y * y * growth)
        return y * gain / (1 + jnp.sqrt(1 + gain))

    def _drift(
        self, rho: PerRow, duration: PerRow, up: PerRow | float, down: PerRow | float, z: PerRow | float
    ) -> PerRow:
        """Increment of rho while the thresholds marked by `up`, `down` are exceeded."""
        gamma_p, gamma_d = self.gate_p * self.gamma_p * up, self.gate_d * self.gamma_d * down
        total = gamma_p + gamma_d
        some = jnp.where(total > 0, total, 1.0)
        gone = expm1(-total / self.tau * duration)
        change = (rho - gamma_p / some) * gone
        if not self.noise:
            return change
        # (1 - e^{-2 total t/tau})/(2 total) from the same exponential; with both gates shut noise still accumulates
        spread = jnp.where(total > 0, -gone * (2 + gone) / (2 * some), duration / self.tau)
        return change + z * jnp.sqrt(self.sigma**2 * (up + down) * spread)


def strength_change(time_p: PerRow, time_d: PerRow, rule: GraupnerBrunel, beta: PerRow) -> PerRow:
    """Mean relative change of synaptic strength after a protocol, over a population of bistable synapses.

    With x(rho0) = -(1/2 - rbar + (rbar - rho0) e^{-T'}) / sqrt(s^2 (1 - e^{-2T'})), U = (1 + erf x(0))/2 is the
    probability DOWN -> UP and D = (1 - erf x(1))/2 the one UP -> DOWN; then

        w1/w0 = {beta (1-U) + (1-beta) D + b [beta U + (1-beta)(1-D)]} / {beta + (1-beta) b}

    (Graupner & Brunel 2012, SI eqs 22-29.) The published form has the fractions alpha and the duration; it depends on
    their products only, which are the times above threshold that the kernel's calcium path gives.

    **Arguments**

    - `time_p`, `time_d`: total time above theta_p and theta_d during the protocol [ms].
    - `rule`: gives gamma_p, gamma_d, tau, sigma, b.
    - `beta`: fraction of synapses that start DOWN.

    Valid while the cubic is negligible during the protocol. Exactly 1 where calcium never crosses a threshold.
    """
    push_p, push_d = rule.gate_p * rule.gamma_p * time_p, rule.gate_d * rule.gamma_d * time_d
    crossed = push_p + push_d > 0
    total = jnp.where(crossed, push_p + push_d, 1.0)
    target = push_p / total
    left = jnp.exp(-total / rule.tau)
    variance = rule.sigma**2 * (time_p + time_d) / total * -jnp.expm1(-2 * total / rule.tau)
    spread = jnp.sqrt(jnp.where(crossed, variance, 1.0))
    up = 0.5 * (1 + erf(-(0.5 - target + target * left) / spread))
    down = 0.5 * (1 - erf(-(0.5 - target + (target - 1) * left) / spread))
    after = beta * (1 - up) + (1 - beta) * down + rule.b * (beta * up + (1 - beta) * (1 - down))
    return jnp.where(crossed, after / (beta + (1 - beta) * rule.b), 1.0)
