"""Transmitter that escapes from the cleft where a synapse releases it, as glutamate that astrocytes sense."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.base import AbstractRule, Change, Expression, Traces
from retrojax.types import PerRow


class SpilloverState(NamedTuple):
    """`released`: releases expected since the last field step."""

    released: PerRow


class SpilloverSynthesis(AbstractRule):
    """A messenger that leaves a synapse at every presynaptic spike, in proportion to its release probability.

        at a pre spike:  n += P,      molecules handed over at a field step: molecules x n

    P is the expressed release probability: the mean release of a rested terminal. Short-term depression and what
    messengers do to release are left out, so at high rates this is an upper bound.

    **Arguments**

    - `makes`: name of the messenger.
    - `molecules`: that leave the cleft after a full release - a calibration; a vesicle holds some thousands.
    - `highest_rate`: firing rate of an axon up to which the sum over a field step has room [1/ms]; a run stops with a
      sentence where it is exceeded by far.

    A field step of this messenger is a pass over all synapses.
    """

    makes: str = eqx.field(static=True)
    molecules: PerRow
    highest_rate: PerRow

    def __init__(self, makes: str, molecules=1000.0, highest_rate=0.5):
        self.makes, self.molecules = makes, jnp.asarray(molecules, float)
        self.highest_rate = jnp.asarray(highest_rate, float)

    def init(self, shape: tuple[int, ...]) -> SpilloverState:
        return SpilloverState(jnp.zeros(shape))

    def on_pre(self, s: SpilloverState, expression: Expression, traces: Traces) -> Change:
        return Change(SpilloverState(jnp.broadcast_to(expression.p_release, s.released.shape)))

    def emit(self, s: SpilloverState, elapsed: PerRow) -> tuple[SpilloverState, PerRow]:
        return SpilloverState(jnp.zeros_like(s.released)), self.molecules * s.released

    def most(self, elapsed: PerRow) -> PerRow:
        return self.molecules * (1 + self.highest_rate * elapsed)
