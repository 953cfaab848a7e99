"""A messenger that every spine releases at a constant rate."""

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.base import AbstractRule, NoState
from retrojax.types import PerRow


class ConstitutiveSynthesis(AbstractRule):
    """A messenger made at a constant rate, whatever the synapse does.

        Q = rate   [molecules/ms]

    A run starts at the steady state of the field that this rate keeps up.

    **Arguments**

    - `makes`: name of the messenger.
    - `rate`: molecules per ms and spine, >= 0.
    """

    makes: str = eqx.field(static=True)
    rate: PerRow

    def __init__(self, makes: str, rate):
        self.makes, self.rate = makes, jnp.asarray(rate, float)

    def init(self, shape: tuple[int, ...]) -> NoState:
        return NoState()

    def emit(self, s: NoState, elapsed: PerRow) -> tuple[NoState, PerRow]:
        return s, self.rate * elapsed

    def resting(self) -> PerRow:
        return self.rate

    def most(self, elapsed: PerRow) -> PerRow:
        return self.rate * elapsed
