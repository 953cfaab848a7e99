"""A box of equal voxels, and which voxel a position lies in. Host side only: it decides shapes."""

import dataclasses
import math
from typing import Literal

import numpy as np
from jaxtyping import Int, Real

from retrojax.errors import InputError

Boundary = Literal["no-flux", "periodic", "absorbing"]
BOUNDARIES = ("no-flux", "periodic", "absorbing")


@dataclasses.dataclass(frozen=True)
class Grid:
    """A rectangular box of `nx * ny * nz` equal voxels.

    Hashable and free of arrays, so it is static: another grid compiles another program.

    **Arguments**

    - `shape`: voxels along x, y, z; each >= 1. One voxel with no-flux walls makes an axis uniform.
    - `spacing`: edges of a voxel [um]; each > 0.
    - `origin`: corner of the box with the smallest coordinates [um].
    - `boundary`: per axis `'no-flux'` (nothing leaves), `'periodic'`, or `'absorbing'` (concentration 0 at the wall).

    **Raises** `InputError` naming the field.
    """

    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    boundary: tuple[Boundary, Boundary, Boundary] = ("no-flux", "no-flux", "no-flux")

    def __post_init__(self):
        if len(self.shape) != 3 or any(n < 1 for n in self.shape):
            raise InputError("grid.shape", self.shape, "three whole numbers >= 1", "give voxels along x, y and z")
        if len(self.spacing) != 3 or not all(math.isfinite(dx) and dx > 0 for dx in self.spacing):
            raise InputError("grid.spacing", self.spacing, "three lengths > 0 [um]", "give the edges of one voxel")
        if len(self.origin) != 3 or not all(math.isfinite(x) for x in self.origin):
            raise InputError("grid.origin", self.origin, "three finite coordinates [um]", "give a corner of the box")
        if len(self.boundary) != 3 or any(name not in BOUNDARIES for name in self.boundary):
            raise InputError("grid.boundary", self.boundary, "three of " + ", ".join(BOUNDARIES), "name one per axis")

    @classmethod
    def around(
        cls,
        positions: Real[np.ndarray, "S 3"],
        spacing: tuple[float, float, float],
        margin: float,
        boundary: tuple[Boundary, Boundary, Boundary] = ("no-flux", "no-flux", "no-flux"),
    ) -> "Grid":
        """The smallest box of whole voxels, centred on `positions` [um], with `margin` [um] free on every side.

        **Raises** `InputError` if there is no position, one is not finite, or `margin` is negative.
        """
        if not (math.isfinite(margin) and margin >= 0):
            raise InputError("grid.margin", margin, "a length >= 0 [um]", "give the free space around the synapses")
        if len(positions) == 0 or not np.all(np.isfinite(positions)):
            raise InputError("positions", f"{len(positions)} rows", "at least one row, all finite", "check the wiring")
        if not all(math.isfinite(dx) and dx > 0 for dx in spacing):
            raise InputError("grid.spacing", spacing, "three lengths > 0 [um]", "give the edges of one voxel")
        low, high = positions.min(axis=0) - margin, positions.max(axis=0) + margin
        nx, ny, nz = (max(1, math.ceil(width / dx)) for width, dx in zip(high - low, spacing, strict=True))
        shape = (nx, ny, nz)
        middle = (low + high) / 2
        x, y, z = (float(at - n * dx / 2) for at, n, dx in zip(middle, shape, spacing, strict=True))
        return cls(shape, spacing, (x, y, z), boundary)

    @property
    def n_voxels(self) -> int:
        """Voxels in the box."""
        return math.prod(self.shape)

    @property
    def voxel_volume(self) -> float:
        """Volume of one voxel [um^3]."""
        return math.prod(self.spacing)

    @property
    def size(self) -> tuple[float, float, float]:
        """Edges of the box [um]."""
        x, y, z = (n * dx for n, dx in zip(self.shape, self.spacing, strict=True))
        return x, y, z

    @property
    def extent(self) -> tuple[tuple[float, float], tuple[float, float], tuple[float, float]]:
        """Lowest and highest coordinate of the box along x, y, z [um]."""
        x, y, z = ((low, low + width) for low, width in zip(self.origin, self.size, strict=True))
        return x, y, z

    def voxel_of(self, positions: Real[np.ndarray, "S 3"], field: str = "positions") -> Int[np.ndarray, " S"]:
        """Flat index (int32, C order) of the voxel that holds each position.

        **Arguments**

        - `positions`: coordinates [um], shape [S, 3]. Walls belong to the box, within 1e-9 of a voxel.
        - `field`: name of the positions in an error text.

        **Raises** `InputError` naming the first synapse that lies outside the box.
        """
        steps = (np.asarray(positions, float) - self.origin) / self.spacing
        inside = np.all((steps >= -1e-9) & (steps <= np.asarray(self.shape) + 1e-9), axis=1)
        if not inside.all():
            first = int(np.flatnonzero(~inside)[0])
            place = ", ".join(f"{x:g}" for x in positions[first])
            box = ", ".join(f"{axis} {low:g} to {high:g}" for axis, (low, high) in zip("xyz", self.extent, strict=True))
            raise InputError(f"{field}[{first}]", f"({place}) um", f"inside the box: {box} um",
                             "enlarge the grid, move its origin, or build it with Grid.around")
        index = np.clip(np.floor(steps), 0, np.asarray(self.shape) - 1).astype(np.int64)
        return np.ravel_multi_index(tuple(index.T), self.shape).astype(np.int32)
