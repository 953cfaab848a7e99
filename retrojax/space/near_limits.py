"""A spine's own bouton where its messenger does not step on the grid: closed form less the limit's own answer.

As in `near_field`,

    bouton = sample(field) + sum_j K[class, j] Q[j],    K = (closed form at distance r) - (answer of the limit)

with the limit's answer to one molecule exp(-k t)/V: in its own voxel of volume V alone (`local`), or everywhere in a
box of volume V (`mean field`).

In a box what a spine made is near it only until it has spread out, at the age t* with (4 pi D t*)^(3/2) = V, and
belongs to the mean from then on. That puts the steady amount of a lossless point in a cube of edge L at

    mean + Q / (4 pi D) (1/r - 3/L)

where the lattice sum of a periodic cube has 2.837 (Hasimoto 1959 J Fluid Mech 5:317-328) in place of 3.
"""

import math

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from retrojax.numerics import phi1
from retrojax.space.closed_form import point_response, point_steady
from retrojax.space.grid import Grid
from retrojax.space.limits import Kind
from retrojax.space.near_field import MOST_STEPS
from retrojax.units import MOLECULES_PER_NM_UM3


def limit_kernel(
    kind: Kind,
    grid: Grid,
    diffusion: Float[Array, ""] | Float[Array, "3"] | float,
    loss: Float[Array, ""] | float,
    elapsed: Float[Array, ""] | float,
    distance: Float[Array, ""] | float,
    steps: int,
) -> Float[Array, "8 J"]:
    """Amount [nM per molecule/ms] to add at a bouton for its own spine's release, by offset class and age.

    **Arguments** `kind`: `local` or `mean field`; the others as for `near_field.correction_kernel`.

    Differentiable in diffusion, loss and distance. In `mean field` the box should be about as wide along every axis.
    """
    mean = jnp.exp(jnp.log(jnp.broadcast_to(jnp.asarray(diffusion, float), (3,))).mean())
    edges = elapsed * jnp.arange(steps + 1, dtype=mean.dtype)
    if kind == "mean field":
        volume, classes = grid.voxel_volume * grid.n_voxels, np.ones(8)
        edges = jnp.minimum(edges, volume ** (2 / 3) / (4 * jnp.pi * mean))
    else:
        volume, classes = grid.voxel_volume, np.eye(8)[0]
    free = jnp.diff(point_response(distance, edges[1:], 1.0, mean, loss), prepend=0.0)
    spans = jnp.diff(edges)
    held = jnp.exp(-loss * edges[:-1]) * spans * phi1(loss * spans) / (volume * MOLECULES_PER_NM_UM3)
    return free - jnp.asarray(classes)[:, None] * held


def limit_steps(
    kind: Kind, grid: Grid, diffusion: float, loss: float, elapsed: float, distance: float, tolerance: float = 0.005
) -> int:
    """Smallest J whose neglected ages add up, in any class, to less than `tolerance` of the steady closed form.

    Host side; arguments as for `limit_kernel`. At most `near_field.MOST_STEPS` (64).
    """
    kernel = np.abs(np.asarray(limit_kernel(kind, grid, diffusion, loss, elapsed, distance, MOST_STEPS))).max(axis=0)
    neglected = np.cumsum(kernel[::-1])[::-1]
    steady = float(point_steady(distance, 1.0, diffusion, loss))
    enough = np.flatnonzero(neglected[1:] < tolerance * steady)
    return int(enough[0]) + 1 if enough.size and math.isfinite(steady) else MOST_STEPS
