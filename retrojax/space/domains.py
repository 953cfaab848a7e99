"""Astrocyte domains, and maps of the medium from the density of the extracellular matrix. Host side.

Astrocytes tile the neuropil in territories that hardly overlap (Bushong et al. 2002). Here a territory is the Voronoi
cell of its centre: every voxel, and every site, belongs to the nearest astrocyte.

References: Bushong, Martone, Jones & Ellisman (2002) J Neurosci 22:183-192 (separate domains); Aurenhammer (1991) ACM
Comput Surv 23:345-405 (Voronoi diagrams).
"""

import numpy as np
from jaxtyping import Float, Int, Real

from retrojax.errors import InputError
from retrojax.space.grid import Grid

_CHUNK = 2**22
_TRIES = 2000


def scatter_centres(grid: Grid, count: int, rng: np.random.Generator, apart: float = 0.0) -> Float[np.ndarray, "A 3"]:
    """Astrocyte centres drawn uniformly in the box, no two closer than `apart`, [A, 3] [um].

    **Arguments**

    - `count`: A >= 1. `rng`: seeded generator. `apart`: smallest distance [um], across periodic walls too.

    **Raises** `InputError` if `count` is below 1, or so many do not fit `apart` after 2000 tries for one of them.
    """
    if count < 1:
        raise InputError("astrocytes.count", count, "a whole number >= 1", "ask for at least one astrocyte")
    centres = np.zeros((0, 3))
    for _ in range(count):
        for _ in range(_TRIES):
            drawn = np.asarray(grid.origin) + rng.random(3) * grid.size
            if not len(centres) or np.sqrt(_squared(grid, drawn[None], centres).min()) >= apart:
                break
        else:
            raise InputError("astrocytes.apart", f"{apart:g} um", f"a distance at which {count} centres fit the box "
                             f"(only {len(centres)} did)", "lower the distance or the number of astrocytes")
        centres = np.concatenate([centres, drawn[None]])
    return centres


def domain_of(
    grid: Grid, centres: Real[np.ndarray, "A 3"], positions: Real[np.ndarray, "S 3"]
) -> Int[np.ndarray, " S"]:
    """Index of the nearest centre to each position, [S]; the first of several equally near.

    **Arguments** `centres`, `positions` [um]. Distances go through periodic walls.

    **Raises** `InputError` if there is no centre.
    """
    if len(centres) == 0:
        raise InputError("astrocytes", "no centre", "at least one", "place astrocytes first")
    rows = max(1, _CHUNK // len(centres))
    nearest = [np.argmin(_squared(grid, positions[at : at + rows], centres), axis=1)
               for at in range(0, len(positions), rows)]
    return np.concatenate([np.zeros(0, np.int32), *nearest]).astype(np.int32)


def domains(grid: Grid, centres: Real[np.ndarray, "A 3"]) -> Int[np.ndarray, "X Y Z"]:
    """Domain of each voxel, by its centre, [X, Y, Z]. Arguments and errors as for `domain_of`."""
    axes = [low + (np.arange(n) + 0.5) * dx
            for low, n, dx in zip(grid.origin, grid.shape, grid.spacing, strict=True)]
    voxels = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return domain_of(grid, centres, voxels).reshape(grid.shape)


def touching(grid: Grid, label: Int[np.ndarray, "X Y Z"]) -> Int[np.ndarray, "E 2"]:
    """Pairs of domains that share a face of a voxel, through periodic walls too; each once, the lower number first.

    **Arguments** `label`: domain of every voxel, -1 for none.
    """
    found = [np.zeros((0, 2), np.int64)]
    for axis, kind in enumerate(grid.boundary):
        one, other = label, np.roll(label, -1, axis)
        if kind != "periodic":
            one, other = (np.take(a, range(grid.shape[axis] - 1), axis) for a in (one, other))
        pairs = np.stack([np.minimum(one, other).ravel(), np.maximum(one, other).ravel()], axis=1)
        found.append(pairs[(pairs[:, 0] >= 0) & (pairs[:, 0] != pairs[:, 1])])
    return np.unique(np.concatenate(found), axis=0)


def voxels_of(label: Int[np.ndarray, "X Y Z"], count: int) -> Int[np.ndarray, "A K"]:
    """Voxels of every domain in ascending order, a row each, [A, K]; rows are filled with one past the last voxel.

    **Arguments** `label`: as in `touching`, below `count`.
    """
    flat = label.ravel()
    order = np.argsort(flat, kind="stable")[np.count_nonzero(flat < 0) :]
    size = np.bincount(flat[order], minlength=count)
    table = np.full((count, max(1, int(size.max(initial=0)))), flat.size, np.int32)
    table[flat[order], np.arange(order.size) - np.repeat(np.cumsum(size) - size, size)] = order
    return table


def _squared(grid: Grid, positions: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Squared distances [um^2], [S, A], the shortest way round a periodic axis."""
    total = np.zeros((len(positions), len(centres)))
    for axis, (size, kind) in enumerate(zip(grid.size, grid.boundary, strict=True)):
        apart = np.abs(positions[:, axis, None] - centres[None, :, axis])
        if kind == "periodic":
            apart = np.mod(apart, size)
            apart = np.minimum(apart, size - apart)
        total += apart**2
    return total
