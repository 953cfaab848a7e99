"""Messenger synthesis in proportion to calcium above a threshold."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.base import AbstractSynthesis, CalciumPath
from retrojax.types import PerRow


class ExcessState(NamedTuple):
    """`activated`: integral of calcium above threshold since the last field step [ms x units of theta_d]."""

    activated: PerRow


class ExcessSynthesis(AbstractSynthesis):
    """A messenger made at a rate that grows linearly with calcium above a threshold, without delay.

        Q = rate [c - theta]+   [molecules/ms]

    The integral over every stretch of decaying calcium is closed, so nothing is stepped. Below `theta` nothing is made,
    which lets a network skip quiet synapses at a field step.

    **Arguments**

    - `makes`: name of the messenger.
    - `rate`: molecules per ms and unit of calcium above `theta`.
    - `theta`: threshold [units of theta_d].

    A linear gate has no saturation: use `HillSynthesis` where calcium goes far above its half-activation.
    """

    makes: str = eqx.field(static=True)
    rate: PerRow
    theta: PerRow

    def __init__(self, makes: str, rate, theta=1.0):
        self.makes = makes
        self.rate, self.theta = jnp.asarray(rate, float), jnp.asarray(theta, float)

    def init(self, shape: tuple[int, ...]) -> ExcessState:
        return ExcessState(jnp.zeros(shape))

    def gate(self, path: CalciumPath) -> PerRow:
        return path.excess(self.theta)

    def floor(self) -> PerRow:
        return self.theta

    def scale(self) -> PerRow:
        return self.theta

    def emit(self, s: ExcessState, elapsed: PerRow) -> tuple[ExcessState, PerRow]:
        return ExcessState(jnp.zeros_like(s.activated)), self.rate * s.activated
