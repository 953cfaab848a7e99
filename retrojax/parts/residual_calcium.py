"""Facilitating release that follows a power of presynaptic calcium."""

from typing import NamedTuple

import jax.numpy as jnp

from retrojax.numerics import Draws, decay
from retrojax.parts.base import AbstractRelease
from retrojax.types import PerRow

HIGHEST_P = 1 - 1e-6
"""Release probabilities count as this at most: a certain release has no finite rate."""


class ResidualCalciumState(NamedTuple):
    """`r`: available fraction of resources; `c`: residual calcium, in units of the influx of one resting spike."""

    r: PerRow
    c: PerRow


class ResidualCalciumRelease(AbstractRelease):
    """Calcium left over from earlier spikes adds to that of a spike, and release goes with a power of the sum.

        between spikes:   dc/dt = -c/tau_ca,   dr/dt = (1 - r)/tau_rec
        at a spike:       u = 1 - (1 - U)^{(influx + c)^n},   released = u r,
                          r -> r - u r,   c -> c + rise influx

    The residual-calcium hypothesis of Katz & Miledi (1968) with the fourth-power law of Dodge & Rahamimoff (1967): the
    vesicles of a site leave at a rate that goes with [Ca]^n while calcium is high, so the one that is released with
    probability U at rest is released with 1 - (1 - U)^{x^n} when calcium is x times as high. Small U grows as x^n,
    faster than linear (as `TsodyksMarkram` cannot), and saturates at 1. U is the modulated release probability.

    **Arguments**

    - `rise`: residual calcium per spike, as a fraction of the influx that releases, >= 0.
    - `tau_ca`: its decay [ms], > 0.
    - `tau_rec`: recovery of resources [ms], > 0.
    - `n`: cooperativity, 3-5 for calcium itself.
    - `influx`: calcium influx of a spike relative to the conditions in which U was taken (external calcium, blocked
      channels); 1 is neutral.

    Valid for spikes that are well separated from the influx itself (a few ms); residual calcium is buffered linearly.

    References: Dodge & Rahamimoff (1967) J Physiol 193:419; Katz & Miledi (1968) J Physiol 195:481; Zucker & Regehr
    (2002) Annu Rev Physiol 64:355.
    """

    rise: PerRow
    tau_ca: PerRow
    tau_rec: PerRow
    n: PerRow
    influx: PerRow

    def __init__(self, rise=0.2, tau_ca=100.0, tau_rec=200.0, n=4.0, influx=1.0):
        self.rise, self.tau_ca = jnp.asarray(rise, float), jnp.asarray(tau_ca, float)
        self.tau_rec, self.n = jnp.asarray(tau_rec, float), jnp.asarray(n, float)
        self.influx = jnp.asarray(influx, float)

    def init(self, shape: tuple[int, ...]) -> ResidualCalciumState:
        return ResidualCalciumState(jnp.ones(shape), jnp.zeros(shape))

    def flow(self, s: ResidualCalciumState, elapsed: PerRow) -> ResidualCalciumState:
        recovered = 1 - (1 - s.r) * decay(elapsed, self.tau_rec)
        return ResidualCalciumState(recovered, s.c * decay(elapsed, self.tau_ca))

    def on_pre(self, s: ResidualCalciumState, p: PerRow, draws: Draws) -> tuple[ResidualCalciumState, PerRow]:
        rate = jnp.log1p(-jnp.minimum(p, HIGHEST_P))
        u = -jnp.expm1(rate * (self.influx + s.c) ** self.n)
        released = u * s.r
        return ResidualCalciumState(s.r - released, s.c + self.rise * self.influx), released
