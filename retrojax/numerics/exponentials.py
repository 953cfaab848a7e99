"""Exponentials that stay exact, and keep a gradient, where their argument vanishes; Hill functions."""

import math
from collections.abc import Callable

import jax
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


def expm1(x: PerRow) -> PerRow:
    """exp(x) - 1 to full precision.

    In float32 the series below 1/2 and the exponential above, to 2 units in the last place; XLA's own is slower on a
    CPU and less exact.
    """
    if x.dtype != jnp.float32:
        return jnp.expm1(x)
    small = jnp.abs(x) < 0.5
    safe = jnp.where(small, x, 0.0)
    series = jnp.full_like(x, 1 / math.factorial(9))
    for n in range(8, 0, -1):
        series = series * safe + 1 / math.factorial(n)
    return jnp.where(small, series * safe, jnp.exp(x) - 1)


@jax.custom_jvp
def hill(x: PerRow, half: PerRow, n: PerRow) -> PerRow:
    """x^n / (x^n + half^n), 0 where x is not above 0; without a power where `n` is one number and that is 1.

    A power takes as long as ten other operations, and 1 is the usual value of many an exponent. The gradient with
    respect to `n` is there, too.

    **Arguments** `x` and `half`: in one unit. `n`: the exponent.
    """

    def of(raised: Callable[[PerRow], PerRow]) -> PerRow:  # all of it in a branch, whose operands are arrays in memory
        powers = raised(jnp.where(x > 0, x, 1.0) * (1 / half))
        return jnp.where(x > 0, powers / (1 + powers), 0.0)

    if jnp.ndim(n):
        return of(lambda ratio: ratio**n)
    return jax.lax.cond(n == 1, lambda: of(lambda ratio: ratio), lambda: of(lambda ratio: ratio**n))


@hill.defjvp
def _hill_jvp(
    primals: tuple[PerRow, PerRow, PerRow], tangents: tuple[PerRow, PerRow, PerRow]
) -> tuple[PerRow, PerRow]:
    (x, half, n), (dx, dhalf, dn) = primals, tangents
    y, safe = hill(x, half, n), jnp.where(x > 0, x, 1.0)
    return y, jnp.where(x > 0, y * (1 - y) * (n / safe * dx - n / half * dhalf + jnp.log(safe / half) * dn), 0.0)


def phi1(z: PerRow) -> PerRow:
    """(1 - exp(-z)) / z, the mean of exp(-z s) over 0 < s < 1; 1 at z = 0.

    Below |z| = 1e-2 the Taylor series replaces the quotient, so value and derivative keep full precision.
    """
    small = jnp.abs(z) < 1e-2
    safe = jnp.where(small, 1.0, z)
    series = 1 - z / 2 * (1 - z / 3 * (1 - z / 4 * (1 - z / 5 * (1 - z / 6))))
    return jnp.where(small, series, -jnp.expm1(-safe) / safe)


def phi2(z: PerRow) -> PerRow:
    """(1 - phi1(z)) / z, the mean of s phi1(z s) over 0 < s < 1; 1/2 at z = 0.

    Below |z| = 0.1 the Taylor series, sum of (-z)^n / (n + 2)!, replaces the quotient, which would lose digits there.
    """
    small = jnp.abs(z) < 0.1
    safe = jnp.where(small, 1.0, z)
    series = jnp.full_like(z, 1 / 11)
    for n in range(10, 2, -1):
        series = (1 - z * series) / n
    return jnp.where(small, (1 - z * series) / 2, (1 - phi1(safe)) / safe)


def low_pass(value: PerRow, mean: PerRow, tau: PerRow, elapsed: PerRow) -> tuple[PerRow, PerRow]:
    """Solution of tau dh/dt = mean - h after `elapsed` ms, and the integral of h over that time [ms x unit of h].

    **Arguments**

    - `value`: h at the beginning. `mean`: the input, held.
    - `tau`: time constant [ms], >= 0; 0 follows the input at once.
    """
    left = decay(elapsed, tau)
    return mean + (value - mean) * left, mean * elapsed + (value - mean) * tau * (1 - left)
