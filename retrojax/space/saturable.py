"""Michaelis-Menten loss over a step of any length, in closed form."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from retrojax.types import Scalar


def saturable_loss(
    conc: Float[Array, "..."], vmax: Scalar, km: Scalar, elapsed: Scalar
) -> Float[Array, "..."]:
    """Concentration left after Michaelis-Menten loss alone.

        dc/dt = -vmax c / (km + c),    c/km + ln(c/km) = c0/km + ln(c0/km) - vmax elapsed/km

    i.e. c = km W((c0/km) exp(c0/km - vmax elapsed/km)) with Lambert's W;
    solved for y = ln(c/km), which cannot overflow.

    **Arguments**

    - `conc`: c0 [nM], >= 0. `vmax`: [nM/ms], >= 0. `km`: [nM], > 0. `elapsed`: [ms], >= 0.

    References: Corless et al. (1996) Adv Comput Math 5:329-359 (Lambert's W).
    """
    x = jnp.where(conc > 0, conc, km) / km
    right = x + jnp.log(x) - vmax * elapsed / km
    # e^y + y = right: Newton from above converges without overshoot, since the left side is convex
    y = jnp.where(right > 1, jnp.log(jnp.maximum(right, 1.0)), jnp.minimum(right, 0.0))
    for _ in range(6):
        e = jnp.exp(y)
        y = y - (e + y - right) / (1 + e)
    return jnp.where(conc > 0, km * jnp.exp(y), conc)
