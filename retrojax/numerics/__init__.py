"""Small numerical tools shared by the parts and the engine."""

from retrojax.numerics.checkpointed import scan_in_stretches as scan_in_stretches
from retrojax.numerics.dependence import needed as needed, untouched as untouched
from retrojax.numerics.draws import Draws as Draws
from retrojax.numerics.exponentials import decay as decay, phi1 as phi1

__all__ = ["Draws", "decay", "needed", "phi1", "scan_in_stretches", "untouched"]
