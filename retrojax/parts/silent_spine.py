"""A spine without calcium, for rules that only count spikes."""

import jax.numpy as jnp

from retrojax.parts.base import AbstractSpine, CalciumPath, NoState
from retrojax.types import PerRow


class SilentSpine(AbstractSpine):
    """Calcium that stays at rest: nothing is stored, and every integral of its path is 0.

    Use it with rules that read spikes alone (pair STDP, the unified rule); calcium rules and messenger synthesis never
    move on it.
    """

    delay: PerRow

    def __init__(self):
        self.delay = jnp.zeros((), float)

    def init(self, shape: tuple[int, ...]) -> NoState:
        return NoState()

    def flow(self, s: NoState, elapsed: PerRow) -> tuple[NoState, CalciumPath]:
        return s, CalciumPath(jnp.zeros_like(elapsed), jnp.ones_like(elapsed), elapsed)

    def on_landing(self, s: NoState) -> NoState:
        return s

    def on_post(self, s: NoState) -> NoState:
        return s
