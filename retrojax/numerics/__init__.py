"""Small numerical tools shared by the parts and the engine."""

from retrojax.numerics.dependence import needed as needed, untouched as untouched
from retrojax.numerics.draws import Draws as Draws
from retrojax.numerics.exponentials import decay as decay, phi1 as phi1
from retrojax.numerics.soft_clip import soft_clip as soft_clip

__all__ = ["Draws", "decay", "needed", "phi1", "soft_clip", "untouched"]
