"""Diffusion with linear loss in a uniform box: one exact step of any length.

The 7-point Laplacian of a box is a sum over its axes, and each axis is diagonal in a known basis: cosines for no-flux
walls, sines for absorbing ones, both for a periodic axis. In that basis every mode relaxes by itself, so a step of any
length is exact for the discretised operator, unconditionally stable and differentiable.

Field and source are transformed, combined and transformed back: nine thin matrix products. Propagating the field by one
matrix exponential per axis would need nine as well, since phi_1 of the source does not separate over the axes.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from retrojax.numerics import phi1
from retrojax.space.grid import Boundary, Grid
from retrojax.types import Field


class Propagator(eqx.Module):
    """What one step needs, made by `plan`.

    **Fields**

    - `modes`: per axis the orthonormal eigenvectors, one a column, [n, n].
    - `decay`: factor left of each mode after the step, [X, Y, Z].
    - `gain`: response of each mode to a unit source [ms], [X, Y, Z].
    """

    modes: tuple[Float[Array, "X X"], Float[Array, "Y Y"], Float[Array, "Z Z"]]
    decay: Field
    gain: Field


def plan(
    grid: Grid,
    diffusion: Float[Array, ""] | Float[Array, "3"] | float,
    loss: Float[Array, ""] | float,
    elapsed: Float[Array, ""] | float,
) -> Propagator:
    """The exact propagator of one step. Call it inside the traced function and outside the scan.

        da/dt = D lap(a) - k a + S,    a_hat <- exp(-z) a_hat + elapsed phi_1(z) S_hat,    z = elapsed (D mu + k)

    with `mu` the eigenvalues of the 7-point Laplacian, 4/dx^2 sin^2 of half the phase per voxel, summed over the axes.
    An absorbing wall is a ghost cell of opposite sign, i.e. second-order accurate like the other two.

    **Arguments**

    - `grid`: shape, spacing and boundary.
    - `diffusion`: D* = D_free / tortuosity^2 [um^2/ms]; 0-d, or [3] for diffusion that differs along x, y and z.
    - `loss`: k [1/ms].
    - `elapsed`: length of the step [ms].

    Valid for uniform diffusion and loss only. Features below two voxels are those of the lattice, not of the medium.

    References: Strang (1999) SIAM Rev 41:135-147 (cosine bases); Hochbruck & Ostermann (2010) Acta Numer 19:209-286
    (phi functions).
    """
    diffusion = jnp.broadcast_to(jnp.asarray(diffusion, float), (3,))
    axes = [_axis(n, dx, kind) for n, dx, kind in zip(grid.shape, grid.spacing, grid.boundary, strict=True)]
    x, y, z = (d * jnp.asarray(values, diffusion.dtype) for d, (values, _) in zip(diffusion, axes, strict=True))
    exponent = elapsed * (loss + x[:, None, None] + y[:, None] + z)
    first, second, third = (jnp.asarray(vectors, diffusion.dtype) for _, vectors in axes)
    return Propagator((first, second, third), jnp.exp(-exponent), elapsed * phi1(exponent))


def advance(propagator: Propagator, field: Field, source: Field) -> Field:
    """The field one step later.

    **Arguments**

    - `propagator`: from `plan`.
    - `field`: amount per tissue volume, volume fraction x concentration [nM], [X, Y, Z].
    - `source`: amount per tissue volume and time, constant over the step [nM/ms], [X, Y, Z].

    Positive input gives positive output up to rounding, about 1e-7 of the largest value in float32.
    """
    relaxed = propagator.decay * _transform(field, propagator.modes, 0)
    made = propagator.gain * _transform(source, propagator.modes, 0)
    return _transform(relaxed + made, propagator.modes, 1)


def _transform(field: Field, modes: tuple[Array, Array, Array], side: int) -> Field:
    """Into the eigenbasis (`side` 0) or back (1), each axis where it lies: transposing costs as much as multiplying."""
    x, y, z = (matrix.T if side == 0 else matrix for matrix in modes)
    # full precision: a GPU's default (TF32) would lose mass balance in the fourth digit
    product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    field = product(x, field.reshape(field.shape[0], -1)).reshape(field.shape)
    return product(product(y, field).reshape(-1, field.shape[2]), z.T).reshape(field.shape)


def _axis(n: int, spacing: float, boundary: Boundary) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of minus the second difference [1/um^2] and its orthonormal eigenvectors (columns)."""
    cell = np.arange(n) + 0.5
    if boundary == "no-flux":
        phase = np.pi * np.arange(n) / n
        vectors = np.cos(np.outer(cell, phase))
    elif boundary == "absorbing":
        phase = np.pi * np.arange(1, n + 1) / n
        vectors = np.sin(np.outer(cell, phase))
    else:
        wave = (np.arange(n) + 1) // 2  # 0, then each frequency twice: one cosine-like, one sine-like vector
        phase = 2 * np.pi * wave / n
        shift = np.where(np.arange(n) % 2 == 0, np.pi / 4, -np.pi / 4)
        vectors = np.cos(np.outer(np.arange(n), phase) + shift)
    vectors = vectors / np.linalg.norm(vectors, axis=0)
    return (2 / spacing * np.sin(phase / 2)) ** 2, vectors
