"""Messenger synthesis that needs both calcium and a train of postsynaptic spikes."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.numerics import Draws, decay
from retrojax.parts.base import AbstractRule, CalciumPath, Change, Expression, Traces
from retrojax.types import PerRow

FORGOTTEN = 40.0
"""Time constants of the detector after which nothing of a train is left; keeps the exponential below in range."""


class TrainState(NamedTuple):
    """`spikes`: leaky count of postsynaptic spikes; `quiet`: time since the last spike of either side [ms], not above
    0 just after one; `activated`: integral of the two gates' product since the last field step [ms]."""

    spikes: PerRow
    quiet: PerRow
    activated: PerRow


class TrainSynthesis(AbstractRule):
    """A peptide released where calcium is high during a train, as dynorphin from dendrites.

        dr/dt = -r/tau_r + (postsynaptic spikes),    Q = rate H(Ca; K, n) H(r; rate_half tau_r, rate_hill)

    with H(x; K, n) = x^n / (K^n + x^n) and Q in molecules/ms. The integral of the calcium gate is closed; the gate of
    the train is held at what it was at the last spike of either side, so flows compose exactly and both schedules
    agree. Calcium must therefore decay fast against `tau_r`: what is made while it does is too high by less than
    rate_hill x (decay time of calcium) / tau_r.

    **Arguments**

    - `makes`: name of the messenger.
    - `half_activation`: K [uM calcium]. `hill`: n.
    - `rate`: molecules per ms and spine with both gates open.
    - `tau_r`: memory of the detector [ms], > 0.
    - `rate_half`: firing rate at which the detector's gate is half open in the steady state [1/ms], > 0.
    - `rate_hill`: steepness of that gate.
    - `ca_scale`: uM of calcium per unit of the rule's dimensionless calcium.

    References: Wagner et al. (1993) Nature 363:451 (dynorphin from granule cell dendrites); Iremonger & Bains (2009)
    J Neurosci 29:7349 (release downstream of calcium entry). The form and the numbers are a choice.
    """

    makes: str = eqx.field(static=True)
    half_activation: PerRow
    hill: PerRow
    rate: PerRow
    tau_r: PerRow
    rate_half: PerRow
    rate_hill: PerRow
    ca_scale: PerRow

    def __init__(self, makes: str, rate, half_activation=2.0, hill=4.0, tau_r=1500.0, rate_half=0.01, rate_hill=2.0,
                 ca_scale=1.0):
        self.makes, self.rate = makes, jnp.asarray(rate, float)
        self.half_activation, self.hill = jnp.asarray(half_activation, float), jnp.asarray(hill, float)
        self.tau_r, self.rate_half = jnp.asarray(tau_r, float), jnp.asarray(rate_half, float)
        self.rate_hill, self.ca_scale = jnp.asarray(rate_hill, float), jnp.asarray(ca_scale, float)

    def init(self, shape: tuple[int, ...]) -> TrainState:
        return TrainState(jnp.zeros(shape), jnp.zeros(shape), jnp.zeros(shape))

    def gate(self, spikes: PerRow) -> PerRow:
        """How far a train whose leaky count is `spikes` opens the gate, 0 to 1."""
        x = (spikes / (self.rate_half * self.tau_r)) ** self.rate_hill
        return x / (1 + x)

    def flow(
        self, s: TrainState, elapsed: PerRow, path: CalciumPath, pre: tuple[PerRow, ...], draws: Draws
    ) -> TrainState:
        quiet = jnp.maximum(s.quiet, 0.0)
        at_last_spike = s.spikes * jnp.exp(jnp.minimum(quiet / self.tau_r, FORGOTTEN))
        made = self.gate(at_last_spike) * path.hill_integral(self.half_activation / self.ca_scale, self.hill)
        return TrainState(s.spikes * decay(elapsed, self.tau_r), quiet + elapsed, s.activated + made)

    # Where both sides spike at once the changes are summed and `quiet` falls below 0, which the next flow reads as 0.
    def on_pre(self, s: TrainState, expression: Expression, traces: Traces) -> Change:
        return Change(TrainState(jnp.zeros_like(s.spikes), -s.quiet, jnp.zeros_like(s.activated)))

    def on_post(self, s: TrainState, expression: Expression, traces: Traces) -> Change:
        return Change(TrainState(jnp.ones_like(s.spikes), -s.quiet, jnp.zeros_like(s.activated)))

    def emit(self, s: TrainState, elapsed: PerRow) -> tuple[TrainState, PerRow]:
        return s._replace(activated=jnp.zeros_like(s.activated)), self.rate * s.activated

    def most(self, elapsed: PerRow) -> PerRow:
        return self.rate * elapsed
