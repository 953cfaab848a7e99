"""Short-term plasticity whose facilitation has a step of its own."""

import jax.numpy as jnp

from retrojax.numerics import Draws, decay
from retrojax.parts.base import AbstractRelease
from retrojax.parts.tsodyks_markram import ResourceState
from retrojax.types import PerRow


class ExtendedTsodyksMarkram(AbstractRelease):
    """`TsodyksMarkram` with a free facilitation step.

        dr/dt = (1 - r)/tau_rec - u r X(t),    du/dt = (U - u)/tau_fac + step (1 - u) X(t)

    (the four-parameter model of Costa, Sjostrom & van Rossum 2013, eqs 1-2, with their f as `step`); `step` = U is
    `TsodyksMarkram`. A spike releases u r with u before its jump.

    **Arguments**

    - `tau_rec`: recovery time constant [ms], > 0.
    - `tau_fac`: facilitation time constant [ms]; 0 means u = U always.
    - `step`: fraction of the way to 1 that u jumps at a spike, 0..1.

    Reference: Costa, Sjostrom & van Rossum (2013) Front Comput Neurosci 7:75.
    """

    tau_rec: PerRow
    tau_fac: PerRow
    step: PerRow

    def __init__(self, tau_rec=200.0, tau_fac=50.0, step=0.1):
        self.tau_rec, self.tau_fac = jnp.asarray(tau_rec, float), jnp.asarray(tau_fac, float)
        self.step = jnp.asarray(step, float)

    def init(self, shape: tuple[int, ...]) -> ResourceState:
        return ResourceState(jnp.ones(shape), jnp.zeros(shape))

    def flow(self, s: ResourceState, elapsed: PerRow) -> ResourceState:
        recovered = 1 - (1 - s.r) * decay(elapsed, self.tau_rec)
        return ResourceState(recovered, s.f * decay(elapsed, self.tau_fac))

    def on_pre(self, s: ResourceState, p: PerRow, draws: Draws) -> tuple[ResourceState, PerRow]:
        # with f = (u - U)/(1 - U) the jump step (1 - u) of u is step (1 - f) of f, whatever U is
        u = p + (1 - p) * s.f
        released = u * s.r
        return ResourceState(s.r - released, s.f + self.step * (1 - s.f)), released
