"""Short-term plasticity with deterministic release."""

from typing import NamedTuple

import jax.numpy as jnp

from retrojax.numerics import Draws, decay
from retrojax.parts.base import AbstractRelease
from retrojax.types import PerRow


class ResourceState(NamedTuple):
    """`r`: available fraction of resources; `f`: facilitation, (u - U)/(1 - U)."""

    r: PerRow
    f: PerRow


class TsodyksMarkram(AbstractRelease):
    """Depression and facilitation of the mean release.

        dr/dt = (1 - r)/tau_rec - u r X(t),    du/dt = (U - u)/tau_fac + U (1 - u) X(t)

    (Costa et al. 2015, eqs 1-2; event form eqs 14-15.) A spike releases a = u r, with u *before* its jump; the first
    spike of a rested terminal releases U. U is the modulated release probability, which rules move while the synapse
    runs; so the state holds f = (u - U)/(1 - U), which decays to 0 with tau_fac and jumps by U (1 - f) whatever U is,
    and u = U + (1 - U) f follows a change of U at once.

    **Arguments**

    - `tau_rec`: recovery time constant [ms], > 0.
    - `tau_fac`: facilitation time constant [ms]; 0 means u = U always.

    References: Tsodyks, Pawelzik & Markram (1998) Neural Comput 10:821; Costa et al. (2015) eLife 4:e09457.
    """

    tau_rec: PerRow
    tau_fac: PerRow

    def __init__(self, tau_rec=200.0, tau_fac=50.0):
        self.tau_rec, self.tau_fac = jnp.asarray(tau_rec, float), jnp.asarray(tau_fac, float)

    def init(self, shape: tuple[int, ...]) -> ResourceState:
        return ResourceState(jnp.ones(shape), jnp.zeros(shape))

    def flow(self, s: ResourceState, elapsed: PerRow) -> ResourceState:
        recovered = 1 - (1 - s.r) * decay(elapsed, self.tau_rec)
        return ResourceState(recovered, s.f * decay(elapsed, self.tau_fac))

    def on_pre(self, s: ResourceState, p: PerRow, draws: Draws) -> tuple[ResourceState, PerRow]:
        u = p + (1 - p) * s.f
        released = u * s.r
        return ResourceState(s.r - released, s.f + p * (1 - s.f)), released
