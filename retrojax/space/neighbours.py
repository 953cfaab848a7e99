"""Pairs of points that lie close together, found through cells as wide as the radius; host side."""

import math

import numpy as np
from jaxtyping import Float, Int

from retrojax.errors import InputError


def pairs_within(
    positions: Float[np.ndarray, "S 3"], radius: float
) -> tuple[Int[np.ndarray, " P"], Int[np.ndarray, " P"]]:
    """Every pair i < j whose distance is at most `radius` [um], sorted by i and then by j.

    **Raises** `InputError` for a radius that is not positive, or a position that is not finite.

    Takes time and memory in proportion to the pairs that share or touch a cell.
    """
    if not (math.isfinite(radius) and radius > 0):
        raise InputError("radius", radius, "a finite length > 0 [um]", "give a length in um")
    if not np.all(np.isfinite(positions)):
        row = int(np.flatnonzero(~np.isfinite(positions).all(axis=1))[0])
        raise InputError(f"positions[{row}]", positions[row].tolist(), "finite coordinates", "leave that point out")
    if len(positions) < 2:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    cell = np.floor((positions - positions.min(axis=0)) / radius).astype(np.int64) + 1  # a rim of empty cells
    shape = cell.max(axis=0) + 2
    flat = np.ravel_multi_index(tuple(cell.T), tuple(shape))
    order = np.argsort(flat, kind="stable")
    ranked = flat[order]
    found = []
    for offset in np.ndindex(3, 3, 3):
        shift = int(np.ravel_multi_index(tuple(np.array(offset)), tuple(shape)) - np.ravel_multi_index(
            (1, 1, 1), tuple(shape)))
        first = np.searchsorted(ranked, flat + shift, "left")
        count = np.searchsorted(ranked, flat + shift, "right") - first
        i = np.repeat(np.arange(len(flat)), count)
        within = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        j = order[np.repeat(first, count) + within]
        i, j = i[i < j], j[i < j]
        near = np.sum((positions[i] - positions[j]) ** 2, axis=1) <= radius**2
        found.append(np.stack([i[near], j[near]]))
    i, j = np.concatenate(found, axis=1)
    rank = np.lexsort((j, i))
    return i[rank], j[rank]
