"""Presynaptic depression where 2-AG meets a presynaptic spike."""

from typing import ClassVar, NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.base import AbstractRule, Change, Expression, Modulation, Traces
from retrojax.types import PerRow


class BoundState(NamedTuple):
    """`bound`: fraction of CB1 receptors occupied at the last field step."""

    bound: PerRow


class CannabinoidDepression(AbstractRule):
    """Each presynaptic spike lowers the release probability in proportion to the CB1 receptors then occupied.

        b = c / (c + K),      at a pre spike:  dP = -eta pre_nmda b (P - P_min)

    c is the 2-AG concentration at the bouton as of the last field step. Timing-dependent depression of layer-5 pairs
    needs 2-AG and presynaptic NMDA receptors together (Sjostrom, Turrigiano & Nelson 2003); those receptors see the
    terminal's own glutamate within milliseconds of its spike, so the coincidence is read at the spike. This is the
    smooth counterpart of the windows of activation of `CB1`, whose edges leave a fit no gradient.

    **Arguments**

    - `K`: concentration of half occupancy [nM].
    - `eta`: share of P - P_min lost per spike at full occupancy - a calibration.
    - `P_min`: floor of the release probability.
    - `pre_nmda`: presynaptic NMDA receptors; 1 intact, 0 blocked (MK-801 in the presynaptic pipette).
    - `gate`: learning gate; 1 is neutral.

    Valid while eta b is well below 1; receptor desensitisation and the fast suppression of release are left to `CB1`.

    Reference: Sjostrom, Turrigiano & Nelson (2003) Neuron 39:641.
    """

    senses: ClassVar[str | None] = "2-AG"

    K: PerRow
    eta: PerRow
    P_min: PerRow
    pre_nmda: PerRow
    gate: PerRow

    def __init__(self, K=100.0, eta=0.05, P_min=0.05, pre_nmda=1.0, gate=1.0):
        self.K, self.eta, self.P_min = jnp.asarray(K, float), jnp.asarray(eta, float), jnp.asarray(P_min, float)
        self.pre_nmda, self.gate = jnp.asarray(pre_nmda, float), jnp.asarray(gate, float)

    def init(self, shape: tuple[int, ...]) -> BoundState:
        return BoundState(jnp.zeros(shape))

    def field(
        self, s: BoundState, concentration: PerRow, elapsed: PerRow, expression: Expression, pre: tuple[PerRow, ...]
    ) -> BoundState:
        return BoundState(jnp.broadcast_to(concentration / (concentration + self.K), s.bound.shape))

    def modulated(self, by: Modulation) -> "CannabinoidDepression":
        return eqx.tree_at(lambda r: r.gate, self, self.gate * by.ltd)

    def on_pre(self, s: BoundState, expression: Expression, traces: Traces) -> Change:
        room = jnp.maximum(expression.p_release - self.P_min, 0.0)
        share = self.gate * self.eta * self.pre_nmda * s.bound
        return Change(BoundState(jnp.zeros_like(s.bound)), p_release=-share * room)
