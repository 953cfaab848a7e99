"""What the extracellular matrix does to a messenger, by its density relative to the intact neuropil.

    alpha = alpha_0 (1 + swelling (1 - density)),      lambda = lambda_0 (1 - easing (1 - density))

and its binding sites (heparan sulphate) are in proportion to it. Density is 1 in the intact neuropil, above 1 in
perineuronal nets, 0 where all is digested. Linear, and unverified: the changes on full digestion are +5 % and -5 %
(range 0 to 0.15), so a reach sqrt(D*/k) grows by 1/0.95, and where a surface takes the messenger up by sqrt(1.05)/0.95.

References: Nicholson & Hrabetova (2017) Biophys J 113:2133-2142 (matrix, volume fraction and tortuosity); Sykova &
Nicholson (2008) Physiol Rev 88:1277-1340.
"""

import math
from typing import Any

import numpy as np

from retrojax.errors import InputError

DENSEST = 10.0
"""Largest density."""


def matrix_factors(density: Any, swelling: Any, easing: Any) -> tuple[Any, Any]:
    """Volume fraction and tortuosity relative to those at density 1.

    **Arguments**

    - `density`: relative to the intact neuropil, 0 to 10, one number or a map.
    - `swelling`, `easing`: relative change of alpha and lambda when all matrix is gone, 0 to 0.15.
    """
    return 1 + swelling * (1 - density), 1 - easing * (1 - density)


def checked_density(density: np.ndarray, field: str) -> np.ndarray:
    """The density of `field`, in floating point. **Raises** `InputError` naming the first voxel that is out of range.
    """
    density = np.asarray(density, float)
    wrong = np.flatnonzero(~((density >= 0) & (density <= DENSEST)))
    if wrong.size:
        value = density.flat[wrong[0]]
        place = ", ".join(str(int(x)) for x in np.unravel_index(wrong[0], density.shape))
        raise InputError(f"{field}[{place}]" if place else field, f"{value:g}" if math.isfinite(value) else str(value),
                         f"0 to {DENSEST:g}", "give the density relative to the intact neuropil")
    return density
