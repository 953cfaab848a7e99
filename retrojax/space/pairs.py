"""Close neighbours: what a bouton receives from spines of other synapses within a few voxels.

The grid rounds both sites to voxels, so at one or two voxels its answer is off by tens of per cent. As for a bouton's
own spine (`near_field`), the lattice's answer is taken out and that of an unbounded medium put in, pair by pair:

    bouton b += sum over pairs (s, b), j of K[pair, j] Q_s[j],    K = (closed form at distance r) - (lattice at offset)

This is the particle-particle particle-mesh method, with pairs that never move: a static list, built on the host.

References: Hockney & Eastwood (1988) Computer Simulation Using Particles, ch. 8.
"""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from retrojax.errors import InputError
from retrojax.space.closed_form import instantaneous_point, point_response, point_steady
from retrojax.space.grid import Grid
from retrojax.space.lattice import age_nodes, lattice_response
from retrojax.space.near_field import MOST_STEPS

_NODES = 8
"""Gauss nodes for the closed form over one field step; from the second step on it is smooth."""


class Pairs(eqx.Module):
    """Spines and boutons of different synapses that are close, in the order of the boutons.

    **Fields**

    - `spine`, `bouton`: synapse of either, [P].
    - `distance`: between them [um], [P].
    - `offset`: voxels between them, as a row of `lattice_response`, [P].
    - `boutons`: number of synapses; `within`: most voxels apart along an axis. Both static.
    """

    spine: Int[Array, " P"]
    bouton: Int[Array, " P"]
    distance: Float[Array, " P"]
    offset: Int[Array, " P"]
    boutons: int = eqx.field(static=True)
    within: int = eqx.field(static=True)


def find_pairs(
    grid: Grid, spines: Float[np.ndarray, "S 3"], boutons: Float[np.ndarray, "S 3"], *, within: int = 4,
    closest: float = 0.1, ids: Int[np.ndarray, " S"] | None = None,
) -> Pairs:
    """Pairs whose voxels are at most `within` apart along every axis, on the host.

    Their number grows as the density of synapses times (2 within + 1)^3 voxels: at 1 synapse/um^3 and voxels of 1 um,
    729 for each bouton. What lies beyond is left to the grid: off by 1.2 % or less as a lattice, and by up to 15 %
    where both sites are rounded in the same direction.

    **Arguments**

    - `grid`: the box; distances across a periodic axis are the shorter ones.
    - `spines`, `boutons`: positions [um], one row per synapse; row i of both is one synapse, and is left out.
    - `within`: voxels, 1 to 8.
    - `closest`: sites nearer than this count as this far apart [um]: they are no points.
    - `ids`: permanent ids of the synapses; what a bouton receives is added up in their order, so that it does not
      depend on that of the rows. By row if absent.

    **Raises** `InputError` naming a site outside the box, or `within` or `closest` out of range.
    """
    if not 0 < closest < math.inf:
        raise InputError("closest", closest, "a length > 0 [um]", "give the distance of a spine from its bouton")
    voxels, trees = _trees(grid, spines, boutons, within)
    shape, wraps = np.asarray(grid.shape), np.array([kind == "periodic" for kind in grid.boundary])
    found = trees[1].query_ball_tree(trees[0], within + 0.25, p=np.inf)
    bouton = np.repeat(np.arange(len(found)), np.array([len(each) for each in found], int))
    spine = np.fromiter((s for each in found for s in each), int, bouton.size)
    order = np.lexsort((spine if ids is None else ids[spine], bouton))
    order = order[spine[order] != bouton[order]]
    bouton, spine = bouton[order], spine[order]
    gap = np.where(wraps, _shorter(boutons[bouton] - spines[spine], grid.size), boutons[bouton] - spines[spine])
    apart = voxels[1][bouton] - voxels[0][spine]
    apart = np.abs(np.where(wraps, _shorter(apart, shape), apart)).astype(int)
    offset = np.ravel_multi_index(tuple(apart.T), (within + 1,) * 3)
    distance = np.maximum(np.linalg.norm(gap, axis=1), closest)
    spine_, bouton_, offset_ = (jnp.asarray(a, jnp.int32) for a in (spine, bouton, offset))
    return Pairs(spine_, bouton_, jnp.asarray(distance, float), offset_, len(boutons), within)


def count_pairs(
    grid: Grid, spines: Float[np.ndarray, "S 3"], boutons: Float[np.ndarray, "S 3"], *, within: int = 4
) -> int:
    """How many pairs `find_pairs` would find, without holding any; arguments as there."""
    voxels, trees = _trees(grid, spines, boutons, within)
    found = trees[0].query_ball_point(trees[1].data, within + 0.25, p=np.inf, return_length=True)
    shape, wraps = np.asarray(grid.shape), np.array([kind == "periodic" for kind in grid.boundary])
    apart = voxels[1] - voxels[0]
    own = np.abs(np.where(wraps, _shorter(apart, shape), apart)).max(axis=1, initial=0) <= within
    return int(np.sum(found)) - int(own.sum())


def renumbered(pairs: Pairs, place: Int[np.ndarray, " S"], places: int) -> Pairs:
    """The same pairs where synapse i stands at `place[i]` of `places`, on the host."""
    bouton = place[np.asarray(pairs.bouton)]
    order = np.argsort(bouton, kind="stable")
    return Pairs(jnp.asarray(place[np.asarray(pairs.spine)][order], jnp.int32), jnp.asarray(bouton[order], jnp.int32),
                 pairs.distance[order], pairs.offset[order], places, pairs.within)


def _trees(grid: Grid, spines: np.ndarray, boutons: np.ndarray, within: int):
    """Voxels of spines and boutons, [S, 3] each, and trees of their centres in voxels."""
    from scipy.spatial import cKDTree  # comes with JAX; not needed by a run without pairs

    if not 1 <= within <= 8:
        raise InputError("within", within, "1 to 8 voxels", "take 4, or use smaller voxels")
    voxels = [np.stack(np.unravel_index(grid.voxel_of(places, name), grid.shape), axis=1)
              for places, name in ((spines, "spines"), (boutons, "boutons"))]
    size = np.where([kind == "periodic" for kind in grid.boundary], np.asarray(grid.shape), 0)
    return voxels, [cKDTree(v + 0.5, boxsize=size) for v in voxels]


def _shorter(gap: np.ndarray, period: object) -> np.ndarray:
    return gap - np.asarray(period) * np.round(gap / np.asarray(period))


def pair_kernel(
    grid: Grid,
    pairs: Pairs,
    diffusion: Float[Array, ""] | Float[Array, "3"] | float,
    loss: Float[Array, ""] | float,
    elapsed: Float[Array, ""] | float,
    steps: int,
) -> Float[Array, "P J"]:
    """Amount [nM per molecule/ms] to add at a bouton for the release of each paired spine, by age.

    `K[pair, j]` answers, at the end of the present step, a rate of 1 molecule/ms in the step that ended `j` steps ago.

    **Arguments** `diffusion` D* [um^2/ms] 0-d or [3] (the closed form takes the geometric mean), `loss` k [1/ms],
    `elapsed` the field step [ms], `steps` J (see `pair_steps`).

    Differentiable in diffusion and loss. Call it inside the traced function and outside the scan.
    """
    axes = jnp.broadcast_to(jnp.asarray(diffusion, float), (3,))
    mean = jnp.exp(jnp.log(axes).mean())
    nodes, shares = age_nodes(steps)
    ages, weights = elapsed * jnp.asarray(nodes, axes.dtype), elapsed * jnp.asarray(shares, axes.dtype)
    table = jnp.sum(lattice_response(grid, axes, loss, ages, pairs.within) * weights, axis=-1)
    free = [point_response(pairs.distance, elapsed, 1.0, mean, loss)[:, None]]
    if steps > 1:
        began = elapsed * jnp.arange(1, steps)
        later = jnp.zeros((pairs.distance.size, steps - 1), axes.dtype)
        for node, weight in zip(*np.polynomial.legendre.leggauss(_NODES), strict=True):
            age = began + elapsed * float((node + 1) / 2)
            later += elapsed * float(weight / 2) * instantaneous_point(pairs.distance[:, None], age, 1.0, mean, loss)
        free.append(later)
    return jnp.concatenate(free, axis=1) - table[pairs.offset]


def pair_steps(
    grid: Grid, pairs: Pairs, diffusion: float | np.ndarray, loss: float, elapsed: float, tolerance: float = 0.01
) -> int:
    """Smallest J whose neglected ages add up, in any pair, to less than `tolerance` of the pair's steady closed form.

    Host side; looks at 4096 pairs at most. At most `MOST_STEPS` (64) is returned, and 1 where there is no pair.
    """
    if not pairs.distance.size:
        return 1
    some = np.unique(np.linspace(0, pairs.distance.size - 1, 4096).astype(int))
    chosen = jax.tree.map(lambda each: each[some], pairs)
    axes = jnp.broadcast_to(jnp.asarray(diffusion, float), (3,))
    tabulate = jax.jit(functools.partial(pair_kernel, grid, steps=MOST_STEPS))
    kernel = np.abs(tabulate(chosen, axes, loss, elapsed))
    # as for a bouton's own spine, |K_j| falls as j^(-5/2) in the end
    beyond = 2 / 3 * MOST_STEPS * kernel[:, -1:]
    neglected = np.cumsum(kernel[:, ::-1], axis=1)[:, ::-1] + beyond
    whole = np.asarray(point_steady(chosen.distance, 1.0, jnp.exp(jnp.log(axes).mean()), loss))
    enough = np.flatnonzero((neglected[:, 1:] < tolerance * whole[:, None]).all(axis=0))
    return int(enough[0]) + 1 if enough.size else MOST_STEPS


def from_neighbours(
    kernel: Float[Array, "P J"], pairs: Pairs, history: Float[Array, "J S"]
) -> Float[Array, " S"]:
    """Amount [nM] to add to the sample at each bouton for its close neighbours, [S].

    **Arguments** `kernel` from `pair_kernel`; `history` rate of each spine [molecules/ms] in the step that just ended
    (row 0), the one before (row 1), ...
    """
    given = jnp.sum(kernel * history.T[pairs.spine], axis=1)
    return jax.ops.segment_sum(given, pairs.bouton, pairs.boutons, indices_are_sorted=True)
