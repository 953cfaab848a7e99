"""The co-agonist site of NMDA receptors."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.base import AbstractRule, Expression, Modulation
from retrojax.types import PerRow


class GlycineSiteState(NamedTuple):
    """`gly`: occupied share of the co-agonist sites."""

    gly: PerRow


class GlycineSite(AbstractRule):
    """Share of NMDA receptors that D-serine lets open, and what that leaves of the response.

        dgly/dt = k_off (D/K_gly (1 - gly) - gly),     response -> response (1 - share (1 - gly)),
        calcium of a presynaptic spike -> (1 - calcium (1 - gly)) of it

    exact for a concentration D held over the field step. Starts saturated, as in a rested slice.

    **Arguments**

    - `senses`: name of the co-agonist. `K_gly`: half occupation [nM]. `k_off`: unbinding [1/ms].
    - `efficacy`: 1 intact, 0 blocked. `ambient`: co-agonist that is always there, glycine included [nM].
    - `share`: of the response that NMDA receptors carry. `calcium`: of the calcium of a presynaptic spike, which in the
      Graupner-Brunel family is all theirs (1); None leaves calcium alone. Where it is given, a lazy network brings all
      synapses up to date at each field step of the co-agonist.

    Calcium that a postsynaptic spike unblocks is not limited.

    References: Panatier et al. (2006) Cell 125:775; Henneberger, Papouin, Oliet & Rusakov (2010) Nature 463:232;
    Papouin, Dunphy, Tolman, Dineley & Haydon (2017) Neuron 94:840.
    """

    senses: str = eqx.field(static=True)
    K_gly: PerRow
    k_off: PerRow
    efficacy: PerRow
    ambient: PerRow
    share: PerRow
    calcium: PerRow | None

    def __init__(self, senses: str = "D-serine", K_gly=500.0, k_off=1e-3, efficacy=1.0, ambient=0.0, share=0.3,
                 calcium=None):
        self.senses = senses
        self.K_gly, self.k_off = jnp.asarray(K_gly, float), jnp.asarray(k_off, float)
        self.efficacy, self.ambient = jnp.asarray(efficacy, float), jnp.asarray(ambient, float)
        self.share = jnp.asarray(share, float)
        self.calcium = None if calcium is None else jnp.asarray(calcium, float)

    def init(self, shape: tuple[int, ...]) -> GlycineSiteState:
        return GlycineSiteState(jnp.ones(shape))

    def field(
        self, s: GlycineSiteState, concentration: PerRow, elapsed: PerRow, expression: Expression,
        pre: tuple[PerRow, ...],
    ) -> GlycineSiteState:
        relative = (concentration + self.ambient) / self.K_gly
        goal = relative / (1 + relative)
        return GlycineSiteState(goal + (s.gly - goal) * jnp.exp(-self.k_off * (1 + relative) * elapsed))

    def weight(self, s: GlycineSiteState) -> PerRow:
        return 1 - self.share * (1 - self.efficacy * s.gly)

    def modulation(self, s: GlycineSiteState) -> Modulation | None:
        return None if self.calcium is None else Modulation(nmda=1 - self.calcium * (1 - self.efficacy * s.gly))
