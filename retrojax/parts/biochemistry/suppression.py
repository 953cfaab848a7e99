"""Depolarisation-induced suppression of inhibition (DSI): calcium, 2-AG, CB1 effector."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.types import PerRow


class SuppressionState(NamedTuple):
    """`production`: rate of synthesis of 2-AG [uM/s]; `ligand`: 2-AG [uM]; `effector`: bound fraction of effector."""

    production: PerRow
    ligand: PerRow
    effector: PerRow


class DepolarisationSuppression(eqx.Module):
    """The smallest chain that shows DSI; time in s, concentrations in uM.

        tau_p dp/dt = S Ca^3/(Ca^3 + K^3) - p,  dc/dt = p - k_M c,  dB/dt = k_on c (1 - B) - k_off B,  IPSC = 1 - E B

    Synthesis follows postsynaptic calcium with a lag; 2-AG is lost by hydrolysis; a presynaptic effector with slow
    unbinding holds the suppression, so recovery is set by k_off unless hydrolysis is slower.

    **Arguments**

    - `S` [uM/s], `K` [uM], `tau_p` [s]: synthesis. `k_M`: hydrolysis by MAGL [1/s].
    - `k_on` [1/(uM s)], `k_off` [1/s]: CB1 effector. `E`: largest suppressed fraction of the IPSC.

    A minimal model: its structure is that of published ones, its constants are chosen for DSI lasting tens of seconds.

    References: Zachariou, Alexander, Coombes & Christodoulou (2013) PLoS ONE 8:e58926 (a detailed model).
    """

    S: PerRow
    K: PerRow
    tau_p: PerRow
    k_M: PerRow
    k_on: PerRow
    k_off: PerRow
    E: PerRow

    def __init__(self, S=5.0, K=1.5, tau_p=0.3, k_M=0.5, k_on=0.125, k_off=0.05, E=0.8):
        self.S, self.K, self.tau_p = jnp.asarray(S, float), jnp.asarray(K, float), jnp.asarray(tau_p, float)
        self.k_M, self.k_on = jnp.asarray(k_M, float), jnp.asarray(k_on, float)
        self.k_off, self.E = jnp.asarray(k_off, float), jnp.asarray(E, float)

    def init(self, shape: tuple[int, ...]) -> SuppressionState:
        """No 2-AG and no effector bound."""
        zero = jnp.zeros(shape)
        return SuppressionState(zero, zero, zero)

    def slope(self, s: SuppressionState, calcium: PerRow) -> SuppressionState:
        """Derivative [per s] at that postsynaptic calcium [uM]."""
        gate = calcium**3 / (calcium**3 + self.K**3)
        return SuppressionState(
            (self.S * gate - s.production) / self.tau_p,
            s.production - self.k_M * s.ligand,
            self.k_on * s.ligand * (1 - s.effector) - self.k_off * s.effector,
        )

    def suppression(self, s: SuppressionState) -> PerRow:
        """Suppressed fraction of the IPSC, 0 to E."""
        return self.E * s.effector
