"""Which way into the eigenbasis of a box is cheaper: products with matrices, or fast Fourier transforms."""

import math
from typing import Literal, NamedTuple

from retrojax.space.grid import Grid

Method = Literal["matrix", "fft"]

PRODUCT_FLOPS = 9e10
"""Of a product of matrices in single precision [1/s]; this and what follows were measured on two cores of an AMD EPYC,
64^3 to 256^3 voxels, and hold within a factor of 2."""
FOURIER_FLOPS = 1.7e10
"""Of a real Fourier transform of a good length, at 2.5 log2 n a voxel [1/s]."""
PASS_SECONDS = 4e-9
"""Per voxel and axis, of turning a Fourier transform into one of cosines, sines or both."""
GOOD_PRIME = 13
"""A length with a larger prime factor takes twice as long."""


class Choice(NamedTuple):
    """`method`, `why` in words, and the predicted `seconds` of one step by each."""

    method: Method
    why: str
    seconds: dict[Method, float]


def choose(grid: Grid, source: bool = True) -> Choice:
    """The cheaper method for steps with a `source` (or without one), from the predicted cost of each.

    With a source either method takes three transforms. Without one, `matrix` needs no transform: one product per axis
    is the step. Products of n voxels per axis cost n flops a voxel, because they are folded; so with walls they win up
    to about 500 voxels along every axis, where a cosine transform is bound by memory. On a torus, where the Fourier
    transform itself will do, it wins from about 48 voxels on if there is a source.

    A truncated convolution is not among the methods: its reach would have to be known before the diffusion
    coefficient is, and phi_1 of the source does not separate over the axes.
    """
    walls = any(kind != "periodic" for kind in grid.boundary)
    fourier = passes = 0.0
    for n in grid.shape:
        fourier += 2.5 * math.log2(n) / FOURIER_FLOPS * (2 if _largest_prime(n) > GOOD_PRIME else 1)
        passes += PASS_SECONDS if walls and n > 1 else 0
    seconds: dict[Method, float] = {
        "matrix": (3 if source else 1) * grid.n_voxels * sum(grid.shape) / PRODUCT_FLOPS,
        "fft": (3 if source else 2) * grid.n_voxels * (fourier + passes),
    }
    best, other = sorted(seconds, key=lambda method: seconds[method])
    name = {"matrix": "products with matrices", "fft": "Fourier transforms"}
    why = (f"{name[best]}, predicted {1e3 * seconds[best]:.2g} ms a step on two CPU cores, against "
           f"{1e3 * seconds[other]:.2g} ms by {name[other]}")
    return Choice(best, why, seconds)


def _largest_prime(n: int) -> int:
    largest, factor = 1, 2
    while n > 1:
        while n % factor == 0:
            largest, n = factor, n // factor
        factor += 1
    return largest
