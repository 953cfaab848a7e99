"""The two signals of timing-dependent LTP at CA1 synapses: a retrograde messenger and BDNF (Solinas et al. 2019)."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from retrojax.types import Flags, PerRow


class RetrogradeState(NamedTuple):
    """`blocker`, `messenger`, `released`, `expressed`: RMBLK, RM, RMr and post_intra of the published code [mM]."""

    blocker: PerRow
    messenger: PerRow
    released: PerRow
    expressed: PerRow


class RetrogradeMessenger(eqx.Module):
    """Endocannabinoid-like messenger made at moderate calcium and blocked at high; time in ms, scaled mM.

        RMBLK' = 0.015 s((Ca - 0.12)/1e-4) - RMBLK/1e5
        RM' = 1e-3 s((Ca - theta)/1e-5) (1 - s((RMBLK - 0.015)/1e-3)) - RM/tau_RM - r,  r = RM/1e3 s((RM - 0.02)/1e-3)
        RMr' = r - RMr/tau_expression,  post_intra' = RMr/tau_expression
        U_SE = 0.1 (1 + Delta U),  Delta U = gain s((post_intra - 0.15)/1e-3),  s(z) = 1/(1 + exp(-z))

    **Arguments**

    - `theta` [mM]: calcium above which the messenger is made. `tau_RM` [ms]: its loss.
    - `tau_expression` [ms]: delay of the presynaptic effect. `gain`: largest relative rise of U_SE.

    Calcium is in the scaled units of the published model, not a physiological concentration.

    References: Solinas, Edelmann, Lessmann & Migliore (2019) PLoS Comput Biol 15:e1006975; its code, ModelDB 244412.
    """

    theta: PerRow
    tau_RM: PerRow
    tau_expression: PerRow
    gain: PerRow

    def __init__(self, theta=0.046, tau_RM=7e3, tau_expression=2.16e6, gain=1.1):
        self.theta, self.tau_RM = jnp.asarray(theta, float), jnp.asarray(tau_RM, float)
        self.tau_expression, self.gain = jnp.asarray(tau_expression, float), jnp.asarray(gain, float)

    def init(self, shape: tuple[int, ...]) -> RetrogradeState:
        """Nothing made yet."""
        return RetrogradeState(*(jnp.zeros(shape),) * 4)

    def slope(self, s: RetrogradeState, calcium: PerRow) -> RetrogradeState:
        """Derivative [per ms] at that calcium [scaled mM]."""
        free = 1 - _sigmoid(s.blocker, 0.015, 1e-3)
        released = s.messenger / 1e3 * _sigmoid(s.messenger, 0.02, 1e-3)
        expressed = s.released / self.tau_expression
        return RetrogradeState(
            blocker=0.015 * _sigmoid(calcium, 0.12, 1e-4) - s.blocker / 1e5,
            messenger=1e-3 * _sigmoid(calcium, self.theta, 1e-5) * free - s.messenger / self.tau_RM - released,
            released=released - expressed,
            expressed=expressed,
        )

    def rise(self, s: RetrogradeState) -> PerRow:
        """Relative rise Delta U of the release probability."""
        return self.gain * _sigmoid(s.expressed, 0.15, 1e-3)


class VesicleGateState(NamedTuple):
    """`memory`: trace of calcium crossings; `above`: whether calcium is above the threshold."""

    memory: PerRow
    above: Flags


class VesicleGate(eqx.Module):
    """When BDNF vesicles may fuse: only if calcium crosses its threshold often enough; time in ms, scaled mM.

    Each upward crossing of theta adds `jump` to a trace that decays with tau. While calcium is above theta and the
    trace above `needed`, a vesicle is committed with probability 1.2 min(1, (Ca - theta)/(Ca_max - theta)) per ms, so
    crossings at 0.5 Hz release BDNF and at 0.05 Hz do not.

    **Arguments**

    - `theta`, `Ca_max` [mM]: threshold, and calcium of the largest probability.
    - `tau` [ms], `jump`, `needed`: decay, increment and requirement of the trace.

    The values are those the published scripts set over the mechanism's defaults.

    References: Solinas, Edelmann, Lessmann & Migliore (2019) PLoS Comput Biol 15:e1006975; its code, ModelDB 244412.
    """

    theta: PerRow
    Ca_max: PerRow
    tau: PerRow
    jump: PerRow
    needed: PerRow

    def __init__(self, theta=0.1038, Ca_max=0.16, tau=1e4, jump=0.1, needed=0.15):
        self.theta, self.Ca_max = jnp.asarray(theta, float), jnp.asarray(Ca_max, float)
        self.tau, self.jump = jnp.asarray(tau, float), jnp.asarray(jump, float)
        self.needed = jnp.asarray(needed, float)

    def init(self, shape: tuple[int, ...]) -> VesicleGateState:
        """No crossing yet, calcium below the threshold."""
        return VesicleGateState(jnp.zeros(shape), jnp.zeros(shape, bool))

    def step(self, s: VesicleGateState, calcium: PerRow, elapsed: PerRow) -> VesicleGateState:
        """State `elapsed` ms later, calcium [scaled mM] having been constant since a change at the start."""
        above = calcium > self.theta
        crossed = jnp.where(above & ~s.above, self.jump, 0.0)
        return VesicleGateState((s.memory + crossed) * jnp.exp(-elapsed / self.tau), above)

    def commitment(self, s: VesicleGateState, calcium: PerRow) -> PerRow:
        """Probability per ms that a vesicle is committed to fuse."""
        drive = jnp.minimum(1.0, (calcium - self.theta) / (self.Ca_max - self.theta))
        return jnp.where(s.above & (s.memory > self.needed), 1.2 * drive, 0.0)


class BDNFState(NamedTuple):
    """Extracellular `pro`, `mature` BDNF, protease `protease`, their complex `bound` [mM]; `signal`: from TrkB."""

    pro: PerRow
    mature: PerRow
    protease: PerRow
    bound: PerRow
    signal: PerRow


class BDNFSignal(eqx.Module):
    """proBDNF, its cleavage and TrkB, given how many vesicles are discharging; time in ms, scaled mM.

        pro' = f v n/T - k_c pro PC - k_u pro,        m' = (1 - f) v n/T + k_c C - k_u m
        PC' = v n/T + k_c C - k_c pro PC - k_u PC,    C' = k_c pro PC - k_c C
        TrkB = m s((m - 2e-4)/1e-5),  signal' = TrkB/tau,  g_AMPA factor = 1 + gain s((signal - 0.01)/1e-5)

    **Arguments**

    - `v` [mM], `T` [ms]: content of a vesicle, duration of its discharge. `pro_fraction`: f.
    - `k_c` [1/(mM ms) and 1/ms], `k_u` [1/ms]: cleavage, uptake. `tau` [ms], `gain`: expression.

    References: Solinas, Edelmann, Lessmann & Migliore (2019) PLoS Comput Biol 15:e1006975; its code, ModelDB 244412.
    """

    v: PerRow
    T: PerRow
    pro_fraction: PerRow
    k_c: PerRow
    k_u: PerRow
    tau: PerRow
    gain: PerRow

    def __init__(self, v=0.002, T=1.5e6, pro_fraction=0.3, k_c=1e-4, k_u=1e-5, tau=1.8e5, gain=1.5):
        self.v, self.T, self.k_c = jnp.asarray(v, float), jnp.asarray(T, float), jnp.asarray(k_c, float)
        self.pro_fraction, self.k_u = jnp.asarray(pro_fraction, float), jnp.asarray(k_u, float)
        self.tau, self.gain = jnp.asarray(tau, float), jnp.asarray(gain, float)

    def init(self, shape: tuple[int, ...]) -> BDNFState:
        """No BDNF, no protease."""
        return BDNFState(*(jnp.zeros(shape),) * 5)

    def slope(self, s: BDNFState, discharging: PerRow) -> BDNFState:
        """Derivative [per ms] with that many vesicles discharging."""
        leaving = self.v * discharging / self.T
        binding, cleaved = self.k_c * s.pro * s.protease, self.k_c * s.bound
        return BDNFState(
            pro=self.pro_fraction * leaving - binding - self.k_u * s.pro,
            mature=(1 - self.pro_fraction) * leaving + cleaved - self.k_u * s.mature,
            protease=leaving + cleaved - binding - self.k_u * s.protease,
            bound=binding - cleaved,
            signal=s.mature * _sigmoid(s.mature, 2e-4, 1e-5) / self.tau,
        )

    def conductance(self, s: BDNFState) -> PerRow:
        """Factor on the AMPA conductance, 1 to 1 + gain."""
        return 1 + self.gain * _sigmoid(s.signal, 0.01, 1e-5)


def _sigmoid(x: PerRow, theta: PerRow | float, width: float) -> PerRow:
    return jax.nn.sigmoid((x - theta) / width)
