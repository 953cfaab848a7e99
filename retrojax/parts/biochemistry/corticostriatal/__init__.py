"""Corticostriatal synapse of Cui et al. (2016): membrane, calcium, endocannabinoids, CaMKII, both weights."""

from retrojax.parts.biochemistry.corticostriatal.calcium import SpineCalcium as SpineCalcium
from retrojax.parts.biochemistry.corticostriatal.camkii import BistableCaMKII as BistableCaMKII
from retrojax.parts.biochemistry.corticostriatal.endocannabinoid import (
    CannabinoidWeight as CannabinoidWeight,
    Endocannabinoids as Endocannabinoids,
)
from retrojax.parts.biochemistry.corticostriatal.membrane import SpineMembrane as SpineMembrane
from retrojax.parts.biochemistry.corticostriatal.synapse import (
    CorticostriatalState as CorticostriatalState,
    CorticostriatalSynapse as CorticostriatalSynapse,
)

__all__ = ["BistableCaMKII", "CannabinoidWeight", "CorticostriatalState", "CorticostriatalSynapse", "Endocannabinoids",
           "SpineCalcium", "SpineMembrane"]
