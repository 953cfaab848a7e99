"""Extended sources in an unbounded uniform medium, in closed form: planes, lines, balls, shells, hollow spheres.

As in `closed_form`, all return the *amount* per tissue volume, volume fraction x concentration [nM], and `diffusion` is
the effective coefficient. m = sqrt(k/D) is the inverse of the reach. Where a difference of exponentials is divided by
its argument it is written with phi_1, so the centre r = 0 needs no case of its own.

References: Carslaw & Jaeger (1959) Conduction of Heat in Solids, ch. 10; Philippides, Husbands & O'Shea (2000)
J Neurosci 20:1199-1207 (spheres and annuli that make nitric oxide).
"""

import jax.numpy as jnp
import numpy as np
from jax.scipy.special import erf
from jaxtyping import Array, Float

from retrojax.numerics import phi1
from retrojax.types import PerRow
from retrojax.units import MOLECULES_PER_NM_UM3

Number = Float[Array, "..."] | float


def instantaneous_line(distance: Number, time: Number, molecules: Number, diffusion: Number, loss: Number) -> PerRow:
    """Amount [nM] at `distance` from an infinite line that released `molecules` per length a `time` ago.

        n / (4 pi D t) exp(-r^2 / 4Dt - k t)

    **Arguments** `distance` r [um] >= 0, `time` t [ms] > 0, `molecules` n [1/um], `diffusion` D [um^2/ms], `loss` k
    [1/ms].
    """
    spread = 4 * jnp.asarray(diffusion, float) * time
    return molecules / MOLECULES_PER_NM_UM3 / (jnp.pi * spread) * jnp.exp(-(distance**2) / spread - loss * time)


def instantaneous_plane(distance: Number, time: Number, molecules: Number, diffusion: Number, loss: Number) -> PerRow:
    """Amount [nM] at `distance` from an infinite plane that released `molecules` per area a `time` ago.

        n (4 pi D t)^(-1/2) exp(-x^2 / 4Dt - k t)

    **Arguments** as for `instantaneous_line`, but `molecules` n [1/um^2].
    """
    spread = 4 * jnp.asarray(diffusion, float) * time
    return molecules / MOLECULES_PER_NM_UM3 * (jnp.pi * spread) ** -0.5 * jnp.exp(-(distance**2) / spread - loss * time)


def line_steady(distance: Number, rate: Number, diffusion: Number, loss: Number) -> PerRow:
    """Amount [nM] at `distance` from an infinite line that has always been on.

        q K0(mr) / (2 pi D),    K0(x) = integral of exp(-x cosh u) over u > 0

    The integral is taken by the trapezoidal rule, whose error here is below 1e-9 of the value for mr between 1e-3 and
    80.

    **Arguments** `distance` r [um] > 0, `rate` q [molecules/(ms um)], `diffusion` D [um^2/ms], `loss` k [1/ms] > 0.
    """
    diffusion = jnp.asarray(diffusion, float)
    reached = jnp.sqrt(jnp.asarray(loss, float) / diffusion) * distance
    nodes = jnp.asarray(np.linspace(0, 12, 193), diffusion.dtype)
    # exp(-x) is taken out, so that the sum keeps its digits far beyond the reach
    terms = jnp.exp(-reached[..., None] * 2 * jnp.sinh(nodes / 2) ** 2)
    bessel = jnp.exp(-reached) * (jnp.sum(terms, axis=-1) - 0.5) / 16
    return rate / MOLECULES_PER_NM_UM3 * bessel / (2 * jnp.pi * diffusion)


def plane_steady(distance: Number, rate: Number, diffusion: Number, loss: Number) -> PerRow:
    """Amount [nM] at `distance` from an infinite plane that has always been on: q exp(-m|x|) / (2 sqrt(Dk)).

    A parallel wall is an image: add the value at the distance from the mirrored plane (no-flux) or take it away
    (absorbing).

    **Arguments** `distance` x [um], `rate` q [molecules/(ms um^2)], `diffusion` D [um^2/ms], `loss` k [1/ms] > 0.
    """
    diffusion, loss = jnp.asarray(diffusion, float), jnp.asarray(loss, float)
    decay = jnp.exp(-jnp.sqrt(loss / diffusion) * jnp.abs(distance))
    return rate / MOLECULES_PER_NM_UM3 * decay / (2 * jnp.sqrt(diffusion * loss))


def ball_steady(distance: Number, radius: Number, density: Number, diffusion: Number, loss: Number) -> PerRow:
    """Amount [nM] at `distance` from the centre of a ball that has always made `density` everywhere inside.

        inside:  (s/k) [1 - (1 + mR) exp(-mR) sinh(mr) / (mr)]
        outside: (s/k) [mR cosh(mR) - sinh(mR)] exp(-mr) / (mr)

    **Arguments** `distance` r [um] >= 0, `radius` R [um] > 0, `density` s [nM/ms], `diffusion` D [um^2/ms], `loss` k
    [1/ms] > 0.

    Cancellation costs (mR)^-2 of the precision where the ball is much smaller than the reach.
    """
    loss = jnp.asarray(loss, float)
    m = jnp.sqrt(loss / diffusion)
    inner, outer, edge = jnp.minimum(distance, radius), jnp.maximum(distance, radius), m * radius
    inside = 1 - (1 + edge) * jnp.exp(-m * (radius - inner)) * phi1(2 * m * inner)
    outside = (edge - 1 + (edge + 1) * jnp.exp(-2 * edge)) / 2 * jnp.exp(-m * (outer - radius)) / (m * outer)
    return density / loss * jnp.where(jnp.asarray(distance) < radius, inside, outside)


def shell_steady(distance: Number, radius: Number, rate: Number, diffusion: Number, loss: Number) -> PerRow:
    """Amount [nM] at `distance` from the centre of a thin spherical shell that has always been on.

        inside:  Q exp(-mR) sinh(mr) / (4 pi D R mr)
        outside: Q sinh(mR) exp(-mr) / (4 pi D r mR)

    **Arguments** `distance` r [um] >= 0, `radius` R [um] > 0, `rate` Q of the whole shell [molecules/ms], `diffusion` D
    [um^2/ms], `loss` k [1/ms] >= 0.
    """
    m = jnp.sqrt(jnp.asarray(loss, float) / diffusion)
    inner, outer = jnp.minimum(distance, radius), jnp.maximum(distance, radius)
    shape = jnp.exp(-m * (outer - inner)) * phi1(2 * m * inner) / (4 * jnp.pi * diffusion * outer)
    return rate / MOLECULES_PER_NM_UM3 * shape


def ball_instantaneous(distance: Number, time: Number, radius: Number, diffusion: Number, loss: Number) -> PerRow:
    """What is left at `distance` of 1 nM that filled a ball a `time` ago.

        1/2 [erf((R+r)/w) + erf((R-r)/w)] - w / (2 r sqrt(pi)) [exp(-(R-r)^2/w^2) - exp(-(R+r)^2/w^2)],  w^2 = 4 D t

    times exp(-kt).

    **Arguments** `distance` r [um] >= 0, `time` t [ms] > 0, `radius` R [um] >= 0, `diffusion` D [um^2/ms], `loss` k
    [1/ms] >= 0.
    """
    width = 2 * jnp.sqrt(jnp.asarray(diffusion, float) * time)
    near, far = (radius - distance) / width, (radius + distance) / width
    surface = 2 * radius / width * jnp.exp(-(near**2)) * phi1(4 * radius * distance / width**2)
    return ((erf(far) + erf(near)) / 2 - surface / jnp.sqrt(jnp.pi)) * jnp.exp(-loss * jnp.asarray(time, float))


def hollow_sphere_burst(
    distance: Number, time: Number, radii: tuple[float, float], density: Number, burst: Number, diffusion: Number,
    loss: Number,
) -> PerRow:
    """Amount [nM] at `distance` from the centre of a hollow sphere that began to make `density` a `time` ago.

    The difference of two balls (`ball_instantaneous`), integrated over the ages of what was made: from time - burst,
    or 0 while it is still on, to time. 128 Gauss nodes in the square root of the age: error below 1e-7 of the largest
    value for times up to ten bursts.

    **Arguments** `distance` r [um] >= 0, `time` t [ms] > 0, `radii` inner and outer [um], `density` s between them
    [nM/ms], `burst` its duration [ms], `diffusion` D [um^2/ms], `loss` k [1/ms] >= 0.
    """
    node, weight = np.polynomial.legendre.leggauss(128)
    time = jnp.asarray(time, float)
    old, new = jnp.sqrt(time)[..., None], jnp.sqrt(jnp.maximum(time - burst, 0.0))[..., None]
    root = new + (old - new) * jnp.asarray((node + 1) / 2, time.dtype)
    weights = (old - new) * root * jnp.asarray(weight, time.dtype)
    place = jnp.asarray(distance, float)[..., None]
    inner, outer = (ball_instantaneous(place, root**2, r, diffusion, loss) for r in radii)
    return density * jnp.sum(weights * (outer - inner), axis=-1)
