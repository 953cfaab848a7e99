"""Shares of an extended source in the voxels of a box: ball, hollow sphere, thin shell, line. Host side, once.

Each function returns the share of the source's total that every voxel gets, [X, Y, Z]. The shares of all voxels, also
of those that would lie outside the box, add up to 1; a source cut by the wall of a box that mirrors it keeps the part
inside only, if `cut` allows it. For a source of `rate` molecules/ms,

    source = rate * shares / (grid.voxel_volume * MOLECULES_PER_NM_UM3)         nM/ms, as `advance` takes it
"""

import itertools
import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from retrojax.errors import InputError
from retrojax.space.grid import Grid

Shares = Float[np.ndarray, "X Y Z"]
Place = tuple[float, float, float]


def ball(grid: Grid, centre: Place, radius: float, *, cut: bool = False, fineness: int = 8) -> Shares:
    """Shares of a ball: `hollow_sphere` of inner radius 0."""
    return hollow_sphere(grid, centre, 0.0, radius, cut=cut, fineness=fineness)


def hollow_sphere(
    grid: Grid, centre: Place, inner: float, outer: float, *, cut: bool = False, fineness: int = 8
) -> Shares:
    """Shares of the space between two spheres, by volume.

    A voxel that a surface passes is sampled at `fineness`^3 points, so its share is good to about 1/fineness^2; the
    total is exact.

    **Arguments**

    - `grid`: the box.
    - `centre`: of both spheres [um].
    - `inner`, `outer`: radii [um], 0 <= inner < outer.
    - `cut`: whether a part may lie outside the box.

    **Raises** `InputError` if the radii are not in order, or a part lies outside and `cut` is false.
    """
    if not 0 <= inner < outer < math.inf:
        raise InputError("radii", (inner, outer), "0 <= inner < outer [um]", "give the smaller radius first")
    low, high = _cover(grid, centre, outer)
    middle = [grid.origin[i] + (np.arange(low[i], high[i]) + 0.5) * grid.spacing[i] - centre[i] for i in range(3)]
    half = np.linalg.norm(grid.spacing) / 2
    distance = np.sqrt(middle[0][:, None, None] ** 2 + middle[1][:, None] ** 2 + middle[2] ** 2)
    filled = ((distance >= inner) & (distance < outer)).astype(float)
    crossed = np.nonzero((np.abs(distance - inner) < half) | (np.abs(distance - outer) < half))
    within = (np.arange(fineness) + 0.5) / fineness - 0.5
    inside = np.zeros(crossed[0].size)
    for offset in itertools.product(within, repeat=3):
        square = sum((m[at] + o * dx) ** 2
                     for m, at, o, dx in zip(middle, crossed, offset, grid.spacing, strict=True))
        inside += (square >= inner**2) & (square < outer**2)
    filled[crossed] = inside / fineness**3
    if not filled.sum() > 0:
        raise InputError("radii", (inner, outer), "a space that a voxel can resolve", "use smaller voxels, or `shell`")
    return _cropped(grid, filled / filled.sum(), low, cut)


def shell(grid: Grid, centre: Place, radius: float, *, cut: bool = False, points: int = 200_000) -> Shares:
    """Shares of a thin spherical shell, by area: `points` of a spiral that covers the sphere evenly.

    **Arguments** and errors as for `hollow_sphere`; `radius` > 0 [um].

    References: Saff & Kuijlaars (1997) Math Intelligencer 19:5-11 (points on a sphere).
    """
    if not 0 < radius < math.inf:
        raise InputError("radius", radius, "a length > 0 [um]", "give the radius of the shell")
    height = 1 - (2 * np.arange(points) + 1) / points
    turn = np.pi * (3 - np.sqrt(5)) * np.arange(points)
    flat = np.sqrt(1 - height**2)
    places = np.asarray(centre) + radius * np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1)
    return _counted(grid, places, np.full(points, 1 / points), cut)


def line(grid: Grid, start: Place, end: Place, *, cut: bool = False) -> Shares:
    """Shares of a straight line, by length: exact.

    **Arguments** `grid`; `start` and `end` of the line [um]; `cut`: whether a part may lie outside the box.

    **Raises** `InputError` for a line without length, or one that leaves the box while `cut` is false.
    """
    a, b = np.asarray(start, float), np.asarray(end, float)
    if not (np.all(np.isfinite([a, b])) and np.any(a != b)):
        raise InputError("end", end, "finite, and not the start", "give two different ends")
    ends = (np.stack([a, b]) - grid.origin) / grid.spacing
    crossings = [np.array([0.0, 1.0])]
    for first, last in ends.T:
        if first != last:
            faces = np.arange(math.ceil(min(first, last)), math.floor(max(first, last)) + 1)
            crossings.append((faces - first) / (last - first))
    along = np.unique(np.clip(np.concatenate(crossings), 0, 1))
    middle = a + (along[1:] + along[:-1])[:, None] / 2 * (b - a)
    return _counted(grid, middle, np.diff(along), cut)


def _counted(grid: Grid, places: np.ndarray, shares: np.ndarray, cut: bool) -> Shares:
    """Sum of the shares of places by voxel."""
    steps = np.floor((places - grid.origin) / grid.spacing).astype(int)
    inside = np.all((steps >= 0) & (steps < grid.shape), axis=1)
    _refuse_outside(grid, bool(inside.all()), cut)
    flat = np.ravel_multi_index(tuple(steps[inside].T), grid.shape)
    return np.bincount(flat, shares[inside], minlength=grid.n_voxels).reshape(grid.shape)


def _cover(grid: Grid, centre: Place, radius: float) -> tuple[list[int], list[int]]:
    """Voxel indices, also outside the box, that cover a ball."""
    def index(sign: int, rounded: Callable[[float], int]) -> list[int]:
        return [rounded((c + sign * radius - o) / dx)
                for c, o, dx in zip(centre, grid.origin, grid.spacing, strict=True)]

    return index(-1, math.floor), [max(at, 1 + low) for at, low in zip(index(1, math.ceil), index(-1, math.floor),
                                                                       strict=True)]


def _cropped(grid: Grid, shares: np.ndarray, low: list[int], cut: bool) -> Shares:
    """Shares on the covering voxels, put into the box."""
    whole = np.zeros(grid.shape)
    target = tuple(slice(max(0, at), max(0, min(at + n, size)))
                   for at, n, size in zip(low, shares.shape, grid.shape, strict=True))
    source = tuple(slice(t.start - at, max(t.start, t.stop) - at) for t, at in zip(target, low, strict=True))
    whole[target] = shares[source]
    _refuse_outside(grid, bool(np.isclose(whole.sum(), 1, rtol=1e-12)), cut)
    return whole


def _refuse_outside(grid: Grid, inside: bool, cut: bool) -> None:
    if not (inside or cut):
        box = ", ".join(f"{axis} {low:g} to {high:g}" for axis, (low, high) in zip("xyz", grid.extent, strict=True))
        raise InputError("source", "a source that leaves the box", f"a source inside it: {box} um",
                         "enlarge the grid, or pass cut=True where a wall mirrors what is cut off")
