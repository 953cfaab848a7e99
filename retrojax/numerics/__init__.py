"""Small numerical tools shared by the parts and the engine."""

from retrojax.numerics.dependence import needed as needed, untouched as untouched
from retrojax.numerics.draws import Draws as Draws
from retrojax.numerics.exponentials import decay as decay, phi1 as phi1
from retrojax.numerics.stepping import euler as euler, runge_kutta as runge_kutta

__all__ = ["Draws", "decay", "euler", "needed", "phi1", "runge_kutta", "untouched"]
