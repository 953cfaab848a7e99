"""Release without short-term plasticity."""

from retrojax.numerics import Draws
from retrojax.parts.base import AbstractRelease, NoState
from retrojax.types import PerRow


class ConstantRelease(AbstractRelease):
    """Every spike releases the share P of the full response, whatever came before: nothing is used up or stored.

    P is the modulated release probability, so rules that move it still act; with P = 1 the response is q itself, as in
    models whose synapses have a weight alone.
    """

    def init(self, shape: tuple[int, ...]) -> NoState:
        return NoState()

    def flow(self, s: NoState, elapsed: PerRow) -> NoState:
        return s

    def on_pre(self, s: NoState, p: PerRow, draws: Draws) -> tuple[NoState, PerRow]:
        return s, p
