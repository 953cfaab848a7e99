"""The corticostriatal synapse of Cui et al. (2016), its parts put together."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp

from retrojax.parts.biochemistry.corticostriatal.calcium import CalciumState, SpineCalcium
from retrojax.parts.biochemistry.corticostriatal.camkii import BistableCaMKII, KinaseState
from retrojax.parts.biochemistry.corticostriatal.endocannabinoid import (
    CannabinoidWeight,
    CannabinoidWeightState,
    Endocannabinoids,
    LipidState,
)
from retrojax.parts.biochemistry.corticostriatal.membrane import MembraneState, SpineMembrane
from retrojax.types import PerRow


class CorticostriatalState(NamedTuple):
    """State of every part, under the part's name."""

    membrane: MembraneState
    calcium: CalciumState
    lipids: LipidState
    weight: CannabinoidWeightState
    kinase: KinaseState


class CorticostriatalSynapse(eqx.Module):
    """Spike-timing-dependent plasticity through endocannabinoids and CaMKII; time in s, concentrations in uM.

    W = W_pre W_post: 2-AG and anandamide act on presynaptic CB1 (`CannabinoidWeight`), calcium on CaMKII
    (`BistableCaMKII`). Few post-before-pre pairings potentiate through CB1, many through CaMKII; pre-before-post
    depresses through CB1.

    **Arguments**

    - `membrane`, `calcium`, `lipids`, `weight`, `kinase`: the parts.

    Without NMDA receptors this model loses its CB1-dependent potentiation, which experiments report to survive.

    References: Cui et al. (2016) eLife 5:e13185; its code, ModelDB 187605, fixes constants and initial state.
    """

    membrane: SpineMembrane
    calcium: SpineCalcium
    lipids: Endocannabinoids
    weight: CannabinoidWeight
    kinase: BistableCaMKII

    def __init__(
        self, membrane: SpineMembrane | None = None, calcium: SpineCalcium | None = None,
        lipids: Endocannabinoids | None = None, weight: CannabinoidWeight | None = None,
        kinase: BistableCaMKII | None = None,
    ):
        self.membrane = SpineMembrane() if membrane is None else membrane
        self.calcium = SpineCalcium() if calcium is None else calcium
        self.lipids = Endocannabinoids() if lipids is None else lipids
        self.weight = CannabinoidWeight() if weight is None else weight
        self.kinase = BistableCaMKII() if kinase is None else kinase

    def init(self) -> CorticostriatalState:
        """The control's resting state, as published; other parameter values start from it too."""
        return CorticostriatalState(self.membrane.init(), self.calcium.init(), self.lipids.init(), self.weight.init(),
                                    self.kinase.init())

    def slope(self, s: CorticostriatalState, glutamate: PerRow, injected: PerRow) -> CorticostriatalState:
        """Derivative [per s] at that glutamate [uM] and injected current [pA], negative depolarising."""
        calcium = s.calcium._replace(Ca=jnp.maximum(s.calcium.Ca, 0.0))
        read = self.membrane.gates(s.membrane.V)
        flowing = self.membrane.currents(s.membrane, read, calcium.Ca, s.lipids.AEA)
        phosphorylated = self.kinase.phosphorylated(s.kinase)
        return CorticostriatalState(
            membrane=self.membrane.slope(s.membrane, read, flowing, glutamate, injected),
            calcium=self.calcium.slope(calcium, flowing, s.lipids.IP3),
            lipids=self.lipids.slope(s.lipids, calcium.Ca, glutamate, phosphorylated),
            weight=self.weight.slope(s.weight, s.lipids.AG2, s.lipids.AEA),
            kinase=self.kinase.slope(s.kinase, calcium.Ca),
        )
