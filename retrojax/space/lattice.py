"""What the 7-point lattice itself answers to a release in one voxel, far from walls.

    G(t) = exp(-k t) / V  prod_i exp(-x_i) I_n(x_i),    x_i = 2 D_i t / dx_i^2,  n = voxels between the two along i

References: Watson (1939) Q J Math 10:266-276 (the lattice's own voxel, 0.25273 Q / (D dx)); Montroll & Weiss (1965)
J Math Phys 6:167-181 (the lattice Green's function); Amos (1974) Math Comput 28:239-251 (ratios of Bessel functions).
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import i0e, i1e
from jaxtyping import Array, Float

from retrojax.space.grid import Grid
from retrojax.types import PerRow
from retrojax.units import MOLECULES_PER_NM_UM3

_START = 64
"""Order at which ratios of Bessel functions are taken from their bound; orders up to 8 are then good to 1e-6."""


def age_nodes(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss nodes and weights over ages [j, j + 1], in field steps, [J, 64].

    The first step takes age = u^4: the lattice relaxes over dx^2/D, which may be a small part of it.
    """
    node, weight = np.polynomial.legendre.leggauss(64)
    node, weight = (node + 1) / 2, weight / 2
    later = np.arange(1, steps)[:, None]
    ages = np.concatenate([node[None] ** 4, later + node])
    weights = np.broadcast_to(weight, ages.shape).copy()
    weights[0] *= 4 * node**3
    return ages, weights


def lattice_response(
    grid: Grid, diffusion: Float[Array, "3"], loss: PerRow | float, ages: Float[Array, "*n"], farthest: int
) -> Float[Array, "offset *n"]:
    """Amount [nM] at every offset of one molecule released `ages` ago into the free lattice.

    Row (ox * m + oy) * m + oz, m = farthest + 1, is the voxel ox, oy, oz away.

    **Arguments** `grid` (its walls do not enter), `diffusion` D* along x, y, z [um^2/ms], `loss` k [1/ms], `ages` [ms]
    > 0, `farthest` >= 1 voxels along an axis, well below 64.
    """
    spread = 2 * diffusion / jnp.asarray(grid.spacing, diffusion.dtype) ** 2
    orders = jnp.stack(_bessel(spread.reshape(3, *[1] * ages.ndim) * ages, farthest))
    product = (orders[:, None, None, 0] * orders[:, None, 1] * orders[:, 2]).reshape(-1, *ages.shape)
    return product * jnp.exp(-loss * ages) / (grid.voxel_volume * MOLECULES_PER_NM_UM3)


def _bessel(x: Array, farthest: int) -> list[Array]:
    """exp(-x) I_n(x) for n = 0 ... farthest.

    Orders above 1 follow from the ratios I_(n+1) / I_n = 1 / (2 (n+1) / x + I_(n+2) / I_(n+1)), taken downwards.
    """
    orders = [i0e(x), i1e(x)]
    if farthest == 1:
        return orders
    bound = x / (_START + 0.5 + jnp.sqrt((_START + 1.5) ** 2 + x**2))

    def lower(ratio, order):
        ratio = x / (2 * order + x * ratio)
        return ratio, ratio

    _, ratios = jax.lax.scan(lower, bound, jnp.arange(_START, 1, -1, dtype=x.dtype))
    for n in range(1, farthest):
        orders.append(orders[-1] * ratios[-n])
    return orders
