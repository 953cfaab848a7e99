"""Which way through a step of a box is cheapest: products with matrices, Fourier transforms or short convolutions."""

import math
from typing import Literal, NamedTuple

import numpy as np

from retrojax.space.eigenbasis import FOLD_FROM, Eigenvalues
from retrojax.space.free import modes_left, short_kernel
from retrojax.space.grid import Grid

Method = Literal["matrix", "fft", "modes", "convolution"]

PRODUCT_FLOPS = 9e10
"""Of a product of matrices in single precision [1/s]; this and what follows were measured on two cores of an AMD EPYC,
64^3 to 256^3 voxels, and hold within a factor of 2."""
FOLD_SECONDS = 1.5e-9
"""Per voxel, of folding a field and unfolding it again."""
FOURIER_FLOPS = 1.7e10
"""Of a real Fourier transform of a good length, at 2.5 log2 n a voxel [1/s]."""
PASS_SECONDS = 4e-9
"""Per voxel and axis, of turning a Fourier transform into one of cosines, sines or both."""
GOOD_PRIME = 13
"""A length with a larger prime factor takes twice as long."""
CONVOLUTION_SECONDS = 6e-10
"""Per voxel and axis, of a convolution with nothing."""
TAP_SECONDS = 6e-11
"""Per voxel, of each voxel that a kernel reaches."""

NAMES: dict[Method, str] = {
    "matrix": "products with matrices", "fft": "Fourier transforms", "modes": "products with the modes that are left",
    "convolution": "short convolutions"}


class Choice(NamedTuple):
    """`method`, `why` in words, and the predicted `seconds` of one step by each."""

    method: Method
    why: str
    seconds: dict[Method, float]


def choose(
    grid: Grid,
    source: bool = True,
    spread: tuple[float, float, float] | None = None,
    eigenvalues: Eigenvalues = "lattice",
) -> Choice:
    """The cheapest method for steps with a `source` (or without one), from the predicted cost of each.

    With a source either of `matrix` and `fft` takes two transforms (`advance_driven`; three by `advance`, which changes
    nothing between them). Without one, `matrix` needs no transform: one product per axis is the step. Products of n
    voxels per axis cost n flops a voxel, because they are folded; so with walls they win up to about 500 voxels along
    every axis, where a cosine transform is bound by memory. On a torus, where the Fourier transform itself will do, it
    wins from about 48 voxels on if there is a source.

    **Arguments** `spread`: D t/dx^2 along each axis, where it is known before tracing. `modes` and `convolution` need
    it and are for steps without a source (phi_1 of the source does not separate over the axes): the first where a step
    spreads a field over many voxels, the second where it spreads it over few.
    """
    seconds: dict[Method, float] = {"matrix": _matrix(grid, source), "fft": _fourier(grid, source)}
    if spread is not None and not source:
        seconds |= {"modes": _modes(grid, spread, eigenvalues), "convolution": _convolution(grid, spread, eigenvalues)}
    best, other, *_ = sorted(seconds, key=lambda method: seconds[method])
    why = (f"{NAMES[best]}, predicted {1e3 * seconds[best]:.2g} ms a step on two CPU cores, against "
           f"{1e3 * seconds[other]:.2g} ms by {NAMES[other]}")
    return Choice(best, why, seconds)


def _matrix(grid: Grid, source: bool) -> float:
    flops = sum(n if n >= FOLD_FROM else 2 * n for n in grid.shape)
    folded = FOLD_SECONDS if max(grid.shape) >= FOLD_FROM else 0.0
    return (2 if source else 1) * grid.n_voxels * (flops / PRODUCT_FLOPS + folded)


def _fourier(grid: Grid, source: bool) -> float:
    walls = any(kind != "periodic" for kind in grid.boundary)
    fourier = passes = 0.0
    for n in grid.shape:
        fourier += 2.5 * math.log2(n) / FOURIER_FLOPS * (2 if _largest_prime(n) > GOOD_PRIME else 1)
        passes += PASS_SECONDS if walls and n > 1 else 0
    return 2 * grid.n_voxels * (fourier + passes)


def _modes(grid: Grid, spread: tuple[float, float, float], rule: Eigenvalues) -> float:
    """Into the modes along z, y and x, and back along z, y and x."""
    left = [int(np.sum(modes_left(n, kind, each, rule)))
            for n, kind, each in zip(grid.shape, grid.boundary, spread, strict=True)]
    (nx, ny, nz), (x, y, z) = grid.shape, left
    products = nx * ny * z * (nz + y) + nx * z * y * x + x * y * nz * (z + ny) + x * nz * ny * nx
    return 2 * products / PRODUCT_FLOPS


def _convolution(grid: Grid, spread: tuple[float, float, float], rule: Eigenvalues) -> float:
    seconds = 0.0
    for n, kind, each in zip(grid.shape, grid.boundary, spread, strict=True):
        kernel = short_kernel(n, kind, each, rule)
        if kernel is None:
            return math.inf
        seconds += CONVOLUTION_SECONDS + TAP_SECONDS * (2 * kernel.size - 1)
    return grid.n_voxels * seconds


def _largest_prime(n: int) -> int:
    largest, factor = 1, 2
    while n > 1:
        while n % factor == 0:
            largest, n = factor, n // factor
        factor += 1
    return largest
