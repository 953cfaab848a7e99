"""Short-term plasticity with recovered, active and inactive resources."""

from typing import NamedTuple

import jax.numpy as jnp

from retrojax.numerics import Draws, decay
from retrojax.parts.base import AbstractRelease
from retrojax.types import PerRow


class ThreeState(NamedTuple):
    """`x`: recovered fraction; `y`: active fraction, which follows the conductance; `u`: use before the next spike."""

    x: PerRow
    y: PerRow
    u: PerRow


class ThreeStateRelease(AbstractRelease):
    """Depression and facilitation in which active resources must inactivate before they recover.

        dx/dt = z/tau_rec - u x X(t),   dy/dt = -y/tau_d + u x X(t),   z = 1 - x - y,
        du/dt = -u/tau_fac + U (1 - u) X(t)

    (Tsodyks, Pawelzik & Markram 1998, eqs 2.1-2.5 with tau_in = tau_d.) u jumps *before* it releases and starts at 0,
    so the first spike releases U. y follows the synaptic conductance: g(t) = G y(t). For tau_d much below tau_rec and
    the intervals, releases are those of `TsodyksMarkram`.

    **Arguments**

    - `tau_d`: inactivation, which is the decay of the conductance [ms], > 0. `tau_rec`: recovery [ms], > 0.
    - `tau_fac`: facilitation [ms], >= 0.

    References: Tsodyks, Pawelzik & Markram (1998) Neural Comput 10:821; Moradi & Ascoli (2020) Hippocampus 30:314.
    """

    tau_d: PerRow
    tau_rec: PerRow
    tau_fac: PerRow

    def __init__(self, tau_d=5.0, tau_rec=200.0, tau_fac=50.0):
        self.tau_d, self.tau_rec = jnp.asarray(tau_d, float), jnp.asarray(tau_rec, float)
        self.tau_fac = jnp.asarray(tau_fac, float)

    def init(self, shape: tuple[int, ...]) -> ThreeState:
        return ThreeState(jnp.ones(shape), jnp.zeros(shape), jnp.zeros(shape))

    def flow(self, s: ThreeState, elapsed: PerRow) -> ThreeState:
        slow, fast = decay(elapsed, self.tau_rec), decay(elapsed, self.tau_d)
        difference = 1 / self.tau_rec - 1 / self.tau_d
        z = difference * elapsed
        close = jnp.abs(z) < 1e-6
        apart = (fast - slow) / (jnp.where(close, 1.0, difference) * self.tau_rec)
        # 1 - x is driven by y; in the limit of equal time constants the quotient loses its digits
        driven = jnp.where(close, elapsed / self.tau_rec * fast * (1 - z / 2), apart)
        missing = (1 - s.x) * slow + s.y * driven
        return ThreeState(1 - missing, s.y * fast, s.u * decay(elapsed, self.tau_fac))

    def on_pre(self, s: ThreeState, p: PerRow, draws: Draws) -> tuple[ThreeState, PerRow]:
        u = s.u + p * (1 - s.u)
        released = u * s.x
        return ThreeState(s.x - released, s.y + released, u), released
