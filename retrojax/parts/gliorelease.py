"""Release of gliotransmitter by an astrocyte."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.types import PerRow


class GlioreleaseState(NamedTuple):
    """`G`: gliotransmitter outside the cell [nM]; `x_A`: share of it ready for release. Each of shape [A]."""

    G: PerRow
    x_A: PerRow


class Gliorelease(eqx.Module):
    """Gliotransmitter leaves when calcium crosses a threshold upwards.

        dG/dt = -Omega_e G,   dx_A/dt = Omega_A (1 - x_A);   at a crossing   G += rho_e G_T U_A x_A,   x_A -= U_A x_A

    Both flows are exact; a crossing is noticed at the end of the step that contains it.

    **Arguments** (each one number, or one per astrocyte)

    - `C_theta`: calcium at which it leaves [uM]. `U_A`: share that leaves. `Omega_A`: recovery [1/ms].
    - `G_T`: gliotransmitter in vesicles [nM]. `rho_e`: vesicular over extracellular volume. `Omega_e`: clearance
      [1/ms].

    References: De Pitta, Volman, Berry & Ben-Jacob (2011) PLoS Comput Biol 7:e1002293; Stimberg, Goodman, Brette &
    De Pitta (2019) in Computational Glioscience, ch. 18.
    """

    C_theta: PerRow
    U_A: PerRow
    Omega_A: PerRow
    G_T: PerRow
    rho_e: PerRow
    Omega_e: PerRow

    def __init__(self, C_theta=0.5, U_A=0.6, Omega_A=0.6e-3, G_T=200e6, rho_e=6.5e-4, Omega_e=0.06):
        self.C_theta, self.U_A = jnp.asarray(C_theta, float), jnp.asarray(U_A, float)
        self.Omega_A, self.G_T = jnp.asarray(Omega_A, float), jnp.asarray(G_T, float)
        self.rho_e, self.Omega_e = jnp.asarray(rho_e, float), jnp.asarray(Omega_e, float)

    def init(self, count: int) -> GlioreleaseState:
        """Full stores, nothing outside."""
        return GlioreleaseState(jnp.zeros(count), jnp.ones(count))

    def step(self, s: GlioreleaseState, dt: PerRow, before: PerRow, after: PerRow) -> GlioreleaseState:
        """State `dt` ms later, when calcium went from `before` to `after` [uM]."""
        G = s.G * jnp.exp(-self.Omega_e * dt)
        x_A = 1 - (1 - s.x_A) * jnp.exp(-self.Omega_A * dt)
        leaves = jnp.where((before < self.C_theta) & (after >= self.C_theta), self.U_A * x_A, 0.0)
        return GlioreleaseState(G + self.rho_e * self.G_T * leaves, x_A - leaves)

    def mean(self, s: GlioreleaseState, dt: PerRow) -> PerRow:
        """Mean of G over the `dt` ms that follow without a release [nM]: what a terminal meets over a field step."""
        return -s.G * jnp.expm1(-self.Omega_e * dt) / (self.Omega_e * dt)
