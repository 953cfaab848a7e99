"""Release probability that follows the local level of a messenger."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.base import AbstractRule, Expression
from retrojax.types import PerRow


class FacilitationState(NamedTuple):
    """`on_p`: factor on the release probability."""

    on_p: PerRow


class MessengerFacilitation(AbstractRule):
    """A factor on the release probability relaxes towards a saturating function of the concentration at the bouton.

        tau d(on_p)/dt = 1 + gain c / (c + half) - on_p

    exact for a concentration held over the field step. The simplest presynaptic effect of a diffusing messenger: use it
    for method work and benchmarks, and `NitricOxidePotentiation` or `CB1` for the biology of a named one.

    **Arguments**

    - `senses`: name of the messenger.
    - `gain`: largest relative change; negative depresses.
    - `half`: concentration of half effect [nM], > 0.
    - `tau`: time constant [ms], > 0.
    """

    senses: str = eqx.field(static=True)
    gain: PerRow
    half: PerRow
    tau: PerRow

    def __init__(self, senses: str, gain=0.8, half=0.05, tau=1000.0):
        self.senses = senses
        self.gain, self.half, self.tau = jnp.asarray(gain, float), jnp.asarray(half, float), jnp.asarray(tau, float)

    def init(self, shape: tuple[int, ...]) -> FacilitationState:
        return FacilitationState(jnp.ones(shape))

    def field(
        self, s: FacilitationState, concentration: PerRow, elapsed: PerRow, expression: Expression,
        pre: tuple[PerRow, ...],
    ) -> FacilitationState:
        goal = 1 + self.gain * concentration / (concentration + self.half)
        return FacilitationState(s.on_p - (goal - s.on_p) * jnp.expm1(-elapsed / self.tau))

    def factor(self, s: FacilitationState) -> PerRow:
        return s.on_p
