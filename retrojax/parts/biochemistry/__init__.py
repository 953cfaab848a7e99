"""Signalling cascades of published models, as ordinary differential equations for fixed steps.

Unlike the parts of a synapse these have no closed-form flow; each is a module with `init` and `slope`, in the units of
its paper (stated in its docstring), stepped by `retrojax.numerics.stepping`.
"""

from retrojax.parts.biochemistry.suppression import DepolarisationSuppression as DepolarisationSuppression

__all__ = ["DepolarisationSuppression"]
