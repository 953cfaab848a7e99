"""Time that spine calcium has spent above the two plasticity thresholds."""

from typing import NamedTuple

import jax.numpy as jnp

from retrojax.numerics import Draws
from retrojax.parts.base import AbstractRule, CalciumPath
from retrojax.types import PerRow


class ClockState(NamedTuple):
    """`time_p`, `time_d`: total time above theta_p and theta_d so far [ms]."""

    time_p: PerRow
    time_d: PerRow


class ThresholdClock(AbstractRule):
    """Adds up the time that the synapse's own calcium spends above two thresholds, and changes nothing.

        time_p = integral of H(c - theta_p) dt,   time_d = integral of H(c - theta_d) dt

    Exact in every flow (calcium decays exponentially between events), whatever the protocol; for a periodic train in
    its steady state time / duration are the fractions alpha_p, alpha_d of Graupner & Brunel (2012). `strength_change`
    turns the two times into the mean change of a population of bistable synapses.

    **Arguments**

    - `theta_d`, `theta_p`: thresholds [units of theta_d]; give the rule's own, so that the two agree.

    In float32 a total of T ms is kept to about T x 6e-8 per flow; use float64 for hours of protocol.

    Reference: Graupner & Brunel (2012) PNAS 109:3991.
    """

    theta_d: PerRow
    theta_p: PerRow

    def __init__(self, theta_d=1.0, theta_p=1.3):
        self.theta_d, self.theta_p = jnp.asarray(theta_d, float), jnp.asarray(theta_p, float)

    def init(self, shape: tuple[int, ...]) -> ClockState:
        return ClockState(jnp.zeros(shape), jnp.zeros(shape))

    def flow(
        self, s: ClockState, elapsed: PerRow, path: CalciumPath, pre: tuple[PerRow, ...], draws: Draws
    ) -> ClockState:
        return ClockState(s.time_p + path.time_above(self.theta_p), s.time_d + path.time_above(self.theta_d))
