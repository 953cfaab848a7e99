"""Small numerical tools shared by the parts and the engine."""

from retrojax.numerics.checkpointed import scan_in_stretches as scan_in_stretches
from retrojax.numerics.dependence import needed as needed, untouched as untouched
from retrojax.numerics.draws import Draws as Draws
from retrojax.numerics.exponentials import (
    decay as decay,
    expm1 as expm1,
    hill as hill,
    low_pass as low_pass,
    phi1 as phi1,
    phi2 as phi2,
)
from retrojax.numerics.soft_clip import soft_clip as soft_clip
from retrojax.numerics.stepping import euler as euler, runge_kutta as runge_kutta

__all__ = [
    "Draws", "decay", "euler", "expm1", "hill", "low_pass", "needed", "phi1", "phi2", "runge_kutta",
    "scan_in_stretches", "soft_clip", "untouched",
]
