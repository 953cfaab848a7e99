"""Point sources in an unbounded uniform medium, in closed form.

All return the *amount* per tissue volume, volume fraction x concentration [nM]; divide by the volume fraction for the
concentration. `diffusion` is the effective coefficient D* = D_free / tortuosity^2.

References: Carslaw & Jaeger (1959) Conduction of Heat in Solids, ch. 10; Nicholson (2001) Rep Prog Phys 64:815-884.
"""

import jax.numpy as jnp
from jax.scipy.special import erfc
from jaxtyping import Array, Float

from retrojax.types import PerRow
from retrojax.units import MOLECULES_PER_NM_UM3

Number = Float[Array, "..."] | float


def instantaneous_point(distance: Number, time: Number, molecules: Number, diffusion: Number, loss: Number) -> PerRow:
    """Amount [nM] at `distance` from a point that released `molecules` a `time` ago.

        n (4 pi D t)^(-3/2) exp(-r^2 / 4Dt - k t)

    **Arguments** `distance` r [um] >= 0, `time` t [ms] > 0, `molecules` n, `diffusion` D [um^2/ms], `loss` k [1/ms].
    """
    spread = 4 * jnp.asarray(diffusion, float) * time
    return molecules / MOLECULES_PER_NM_UM3 * (jnp.pi * spread) ** -1.5 * jnp.exp(-(distance**2) / spread - loss * time)


def point_steady(distance: Number, rate: Number, diffusion: Number, loss: Number) -> PerRow:
    """Amount [nM] at `distance` from a point source that has always been on.

        Q exp(-r sqrt(k/D)) / (4 pi D r)

    **Arguments** `distance` r [um] > 0, `rate` Q [molecules/ms], `diffusion` D [um^2/ms], `loss` k [1/ms] (its
    derivative at k = 0 is infinite, as the physics says).
    """
    reach = jnp.sqrt(jnp.asarray(loss, float) / diffusion) * distance
    return rate / MOLECULES_PER_NM_UM3 * jnp.exp(-reach) / (4 * jnp.pi * diffusion * distance)


def point_response(distance: Number, time: Number, rate: Number, diffusion: Number, loss: Number) -> PerRow:
    """Amount [nM] at `distance` from a point source that was switched on a `time` ago.

        Q / (8 pi D r) [exp(-mr) erfc(b - s) + exp(mr) erfc(b + s)]

    with m = sqrt(k/D), b = r / (2 sqrt(Dt)), s = sqrt(kt).

    Where k t is below the square root of the machine precision its first-order expansion in k is used instead, so that
    value and derivative hold at k = 0.

    **Arguments** `distance` r [um] > 0, `time` t [ms] > 0, `rate` Q [molecules/ms], `diffusion` D [um^2/ms], `loss`
    k [1/ms] >= 0.
    """
    diffusion, loss = jnp.asarray(diffusion, float), jnp.asarray(loss, float)
    b = distance / (2 * jnp.sqrt(diffusion * time))
    slow = loss * time < jnp.finfo(b.dtype).eps ** 0.5
    safe = jnp.where(slow, 1 / jnp.asarray(time, float), loss)
    s, mr = jnp.sqrt(safe * time), jnp.sqrt(safe / diffusion) * distance
    # where mr > 80 the second term is below exp(-80) either way, and the bound keeps exp finite in float32
    lossy = (jnp.exp(-mr) * erfc(b - s) + jnp.exp(jnp.minimum(mr, 80.0)) * erfc(b + s)) / 2
    slope = distance * jnp.sqrt(time / (jnp.pi * diffusion)) * jnp.exp(-(b**2))
    slope = slope - distance**2 / (2 * diffusion) * erfc(b)
    ratio = jnp.where(slow, erfc(b) - loss * slope, lossy)
    return rate / MOLECULES_PER_NM_UM3 * ratio / (4 * jnp.pi * diffusion * distance)
