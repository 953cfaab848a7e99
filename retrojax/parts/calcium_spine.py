"""Spine calcium as jumps and exponential decay."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.base import AbstractSpine, CalciumPath, Modulation
from retrojax.types import PerRow


class CalciumState(NamedTuple):
    """`calcium`: spine calcium above rest [units of theta_d]."""

    calcium: PerRow


class CalciumSpine(AbstractSpine):
    """Calcium that jumps at spikes and decays exponentially.

        dc/dt = -c/tau_Ca + C_pre sum delta(t - t_pre - D) + C_post sum delta(t - t_post)

    (Graupner & Brunel 2012, eq. 2 of the SI). Dimensionless: theta_d = 1 sets the unit.

    **Arguments**

    - `tau_Ca`: decay time constant [ms], > 0.
    - `C_pre`, `C_post`: jump per presynaptic and postsynaptic spike [units of theta_d].
    - `delay`: D, from the presynaptic spike to its calcium [ms], >= 0.

    Valid while calcium transients add linearly. At physiological external calcium the jumps are smaller than the
    published sets, which were fitted at 2-2.5 mM.

    Reference: Graupner & Brunel (2012) PNAS 109:3991.
    """

    tau_Ca: PerRow
    C_pre: PerRow
    C_post: PerRow
    delay: PerRow

    def __init__(self, tau_Ca=22.6936, C_pre=0.5617539, C_post=1.23964, delay=4.6098):
        self.tau_Ca, self.C_pre = jnp.asarray(tau_Ca, float), jnp.asarray(C_pre, float)
        self.C_post, self.delay = jnp.asarray(C_post, float), jnp.asarray(delay, float)

    def init(self, shape: tuple[int, ...]) -> CalciumState:
        return CalciumState(jnp.zeros(shape))

    def flow(self, s: CalciumState, elapsed: PerRow) -> tuple[CalciumState, CalciumPath]:
        path = CalciumPath(s.calcium, self.tau_Ca, elapsed)
        return CalciumState(s.calcium * jnp.exp(-elapsed * (1.0 / self.tau_Ca))), path

    def on_landing(self, s: CalciumState) -> CalciumState:
        return CalciumState(jnp.broadcast_to(self.C_pre, s.calcium.shape))

    def on_post(self, s: CalciumState) -> CalciumState:
        return CalciumState(jnp.broadcast_to(self.C_post, s.calcium.shape))

    def modulated(self, by: Modulation) -> "CalciumSpine":
        return eqx.tree_at(lambda s: s.C_pre, self, self.C_pre * by.nmda)
