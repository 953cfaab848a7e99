"""Exponentials that stay exact, and keep a gradient, where their argument vanishes."""

import jax.numpy as jnp

from retrojax.types import PerRow


def decay(elapsed: PerRow, tau: PerRow) -> PerRow:
    """Fraction exp(-elapsed/tau) left of an exponential trace.

    A time constant of 0 means "gone at once"; nothing is lost when nothing elapses.

    **Arguments**

    - `elapsed`: time since the last update [ms].
    - `tau`: time constant [ms], >= 0.
    """
    safe = jnp.where(tau > 0, tau, 1.0)
    instant = jnp.where(elapsed > 0, 0.0, 1.0)
    return jnp.where(tau > 0, jnp.exp(-elapsed * (1.0 / safe)), instant)


def phi1(z: PerRow) -> PerRow:
    """(1 - exp(-z)) / z, the mean of exp(-z s) over 0 < s < 1; 1 at z = 0.

    Below |z| = 1e-2 the Taylor series replaces the quotient, so value and derivative keep full precision.
    """
    small = jnp.abs(z) < 1e-2
    safe = jnp.where(small, 1.0, z)
    series = 1 - z / 2 * (1 - z / 3 * (1 - z / 4 * (1 - z / 5 * (1 - z / 6))))
    return jnp.where(small, series, -jnp.expm1(-safe) / safe)
