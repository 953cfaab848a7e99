"""A spine's own bouton is ~0.1 um away, a voxel ~1 um wide: the grid cannot see that distance.

So the grid's own answer to the spine is taken out and the answer of an unbounded medium is put in:

    bouton = sample(grid) + sum_j K[class, j] Q[j],    K = (closed form at distance r) - (7-point lattice at the offset)

with `Q[j]` the spine's rate in the field step that ended `j` steps ago. What the walls and the other synapses add stays
in the grid, where it is smooth (`pairs` does the same for close neighbours). The lattice's answer is exact, because a
product over axes solves it (`lattice`).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from retrojax.errors import InputError
from retrojax.space.closed_form import instantaneous_point, point_response, point_steady
from retrojax.space.grid import Grid
from retrojax.space.lattice import age_nodes, lattice_response

MOST_STEPS = 64
"""Longest history that `steps_needed` asks for."""


def correction_kernel(
    grid: Grid,
    diffusion: Float[Array, ""] | Float[Array, "3"] | float,
    loss: Float[Array, ""] | float,
    elapsed: Float[Array, ""] | float,
    distance: Float[Array, ""] | float,
    steps: int,
) -> Float[Array, "8 J"]:
    """Amount [nM per molecule/ms] to add at a bouton for its own spine's release, by offset class and age.

    `K[class, j]` answers, at the end of the present step, a rate of 1 molecule/ms in the step that ended `j` steps ago.

    **Arguments**

    - `grid`: spacing of the lattice (its walls do not enter).
    - `diffusion`: D* [um^2/ms], 0-d or [3]; the closed form takes the geometric mean of three.
    - `loss`: k [1/ms] >= 0.
    - `elapsed`: length of the field step [ms] > 0.
    - `distance`: between spine and bouton [um] > 0, the same in every class.
    - `steps`: J >= 1, ages kept; see `steps_needed`.

    Differentiable in diffusion, loss and distance. Quadrature error is below 1e-6 of the steady closed form as long as
    a voxel takes more than 1e-4 of a step to equilibrate (dx^2/D).
    """
    axes = jnp.broadcast_to(jnp.asarray(diffusion, float), (3,))
    mean = jnp.exp(jnp.log(axes).mean())
    nodes, shares = age_nodes(steps)
    ages, weights = elapsed * jnp.asarray(nodes, axes.dtype), elapsed * jnp.asarray(shares, axes.dtype)
    lattice = jnp.sum(lattice_response(grid, axes, loss, ages, 1) * weights, axis=-1)
    # the closed form is singular at age 0 only; later steps are smooth, and integrals lose nothing to cancellation
    later = jnp.sum(instantaneous_point(distance, ages[1:], 1.0, mean, loss) * weights[1:], axis=-1)
    first = point_response(distance, elapsed, 1.0, mean, loss)
    return jnp.concatenate([first[None], later]) - lattice


def steps_needed(
    grid: Grid, diffusion: float | np.ndarray, loss: float, elapsed: float, distance: float, tolerance: float = 0.005
) -> int:
    """Smallest J whose neglected ages add up, in any class, to less than `tolerance` of the steady closed form.

    Host side; arguments as for `correction_kernel`. At most `MOST_STEPS` (64) is returned, whatever the tolerance; so
    many are reached only where a voxel takes many steps to equilibrate, i.e. dx^2/D far above `elapsed`.
    """
    axes = jnp.broadcast_to(jnp.asarray(diffusion, float), (3,))
    tabulate = jax.jit(functools.partial(correction_kernel, grid, steps=MOST_STEPS))
    kernel = np.abs(tabulate(axes, loss, elapsed, distance)).max(axis=0)
    # |K_j| falls as j^(-5/2) once the lattice looks continuous, so the sum beyond the last is 2/3 J |K_J|
    beyond = 2 / 3 * MOST_STEPS * kernel[-1]
    neglected = np.cumsum(kernel[::-1])[::-1] + beyond
    limit = tolerance * float(point_steady(distance, 1.0, jnp.exp(jnp.log(axes).mean()), loss))
    enough = np.flatnonzero(neglected[1:] < limit)
    return int(enough[0]) + 1 if enough.size else MOST_STEPS


def offset_class(
    grid: Grid, spine_voxel: Int[np.ndarray, " S"], bouton_voxel: Int[np.ndarray, " S"]
) -> Int[np.ndarray, " S"]:
    """Row of the correction kernel for each synapse: 4 ox + 2 oy + oz, o = 1 where the voxels differ along an axis.

    **Arguments** flat voxel indices of spines and boutons, [S], as from `Grid.voxel_of`.

    **Raises** `InputError` naming the first synapse whose spine and bouton are more than one voxel apart along an axis.
    """
    shape = np.asarray(grid.shape)[:, None]
    apart = np.abs(np.stack(np.unravel_index(spine_voxel, grid.shape)) -
                   np.stack(np.unravel_index(bouton_voxel, grid.shape)))
    wraps = np.array([kind == "periodic" for kind in grid.boundary])[:, None]
    apart = np.where(wraps, np.minimum(apart, shape - apart), apart)
    far = np.flatnonzero((apart > 1).any(axis=0))
    if far.size:
        raise InputError(f"bouton[{far[0]}]", f"{tuple(int(o) for o in apart[:, far[0]])} voxels from its spine",
                         "at most 1 voxel along each axis", "use larger voxels, or no own-spine correction")
    return (np.array([4, 2, 1]) @ apart).astype(np.int32)


def own_spine(
    kernel: Float[Array, "8 J"], classes: Int[Array, "*S"], history: Float[Array, "J *S"]
) -> Float[Array, "*S"]:
    """Amount [nM] to add to the sample at each bouton for its own spine, [S] or by slot.

    Divide by the volume fraction for the concentration in the fluid.

    **Arguments**

    - `kernel`: from `correction_kernel`.
    - `classes`: from `offset_class`, [S].
    - `history`: rate of each spine [molecules/ms] in the step that just ended (row 0), the one before (row 1), ...;
      [J, S].
    """
    return jnp.sum(kernel.T[:, classes] * history, axis=0)
