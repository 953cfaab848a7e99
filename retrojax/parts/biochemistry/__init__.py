"""Signalling cascades of published models, as ordinary differential equations for fixed steps.

Unlike the parts of a synapse these have no closed-form flow; each is a module with `init` and `slope`, in the units of
its paper (stated in its docstring), stepped by `retrojax.numerics.stepping`. The subpackages are whole synapses:
`corticostriatal` (Cui et al. 2016) and `tripartite` (Manninen et al. 2020).
"""

from retrojax.parts.biochemistry.suppression import DepolarisationSuppression as DepolarisationSuppression
from retrojax.parts.biochemistry.timing_ltp import (
    BDNFSignal as BDNFSignal,
    RetrogradeMessenger as RetrogradeMessenger,
    VesicleGate as VesicleGate,
)

__all__ = ["BDNFSignal", "DepolarisationSuppression", "RetrogradeMessenger", "VesicleGate"]
