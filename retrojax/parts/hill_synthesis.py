"""Messenger synthesis gated by spine calcium."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.numerics import low_pass
from retrojax.parts.base import AbstractSynthesis, CalciumPath
from retrojax.types import PerRow


class SynthesisState(NamedTuple):
    """`activated`: time integral of the calcium gate since the last field step [ms]; `enzyme`: active fraction."""

    activated: PerRow
    enzyme: PerRow


class HillSynthesis(AbstractSynthesis):
    """A messenger made at a rate that follows a Hill function of calcium through one enzyme.

        tau dh/dt = H(Ca; K, n) - h,    Q = rate * h   [molecules/ms],    H = Ca^n / (K^n + Ca^n)

    The gate is integrated in closed form along the calcium path; the enzyme then filters, exactly, the gate's mean over
    each field step, so a step should not be long against `tau` where the time course inside it matters. A network skips
    synapses whose gate is open by less than the rounding of 1 (calcium below K eps^(1/n)): their enzyme relaxes, and no
    calcium is followed.

    **Arguments**

    - `makes`: name of the messenger.
    - `half_activation`: K [uM calcium].
    - `hill`: n.
    - `rate`: molecules per ms and spine with the enzyme fully active.
    - `tau`: time constant of the enzyme [ms]; 0 for none.
    - `ca_scale`: uM of calcium per unit of the rule's dimensionless calcium - a calibration, not a measurement.

    References: Sweeney et al. (2015) PLoS Comput Biol 11:e1004389 (nitric oxide); Cui et al. (2016) eLife 5:e13185 (the
    calcium gate of 2-AG synthesis).
    """

    makes: str = eqx.field(static=True)
    half_activation: PerRow
    hill: PerRow
    rate: PerRow
    tau: PerRow
    ca_scale: PerRow

    def __init__(self, makes: str, half_activation, hill, rate, tau=0.0, ca_scale=1.0):
        self.makes = makes
        self.half_activation, self.hill = jnp.asarray(half_activation, float), jnp.asarray(hill, float)
        self.rate, self.tau = jnp.asarray(rate, float), jnp.asarray(tau, float)
        self.ca_scale = jnp.asarray(ca_scale, float)

    def init(self, shape: tuple[int, ...]) -> SynthesisState:
        return SynthesisState(jnp.zeros(shape), jnp.zeros(shape))

    def gate(self, path: CalciumPath) -> PerRow:
        return path.hill_integral(self.half_activation / self.ca_scale, self.hill)

    def floor(self) -> PerRow:
        open_by = jnp.finfo(self.hill.dtype).eps
        return self.half_activation / self.ca_scale * open_by ** (1 / self.hill)

    def scale(self) -> PerRow:
        return jnp.ones_like(self.hill)

    def emit(self, s: SynthesisState, elapsed: PerRow) -> tuple[SynthesisState, PerRow]:
        # times the inverse: XLA fuses no quotient, so one would be a pass over all synapses of its own
        enzyme, active_time = low_pass(s.enzyme, s.activated * (1 / elapsed), self.tau, elapsed)
        return SynthesisState(jnp.zeros_like(s.activated), enzyme), self.rate * active_time

    def most(self, elapsed: PerRow) -> PerRow:
        return self.rate * elapsed
