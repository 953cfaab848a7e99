"""The basis in which diffusion in a box is diagonal, axis by axis, and the way into it and back.

The second difference along an axis is diagonal in cosines (no-flux walls), sines (absorbing) or both (periodic). Two
ways lead there. `matrix`: one product with the basis per axis; every basis splits into vectors that are even and odd
about the middle of the axis, so the field is folded first, which halves the work: eight octants, each multiplied along
z, y and x. `fft`: real transforms along each axis, through fast Fourier transforms of the same length.

References: Strang (1999) SIAM Rev 41:135-147 (cosine bases); Makhoul (1980) IEEE Trans ASSP 28:27-34 (cosine transform
of n points by a Fourier transform of n points); Bracewell (1983) J Opt Soc Am 73:1832-1835 (Hartley transform).
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact

from retrojax.space.grid import Boundary, Grid
from retrojax.types import Field

Eigenvalues = Literal["lattice", "spectral"]
Blocks = tuple[Float[Array, "_ _"], ...]
Modes = tuple[Inexact[Array, "_ _ _"], ...]
"""A field in the eigenbasis: one array per octant of the folded box, or one in all."""

FOLD_FROM = 64
"""Voxels along an axis from which folding it pays; below, a product costs less than the calls that it is split into
(measured on a CPU: slower at 48, even at 64, 1.5 times as fast or more from 80 on)."""


def axis_blocks(
    n: int, spacing: float, kind: Boundary, rule: Eigenvalues, fold: bool = True
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Eigenvalues of minus the second derivative [1/um^2] and the eigenvectors (columns), even ones, then odd ones.

    Of the eigenvectors, which have length 1, a folded axis needs the first half (with the middle voxel, if there is
    one, among the even). A short axis, or any without `fold`, is one block of whole vectors.
    """
    even, odd = _waves(n, kind)
    place = np.arange(n) + 0.5
    # one of the two is even about the middle: cosines of a no-flux or periodic axis, sines of an absorbing one
    columns = [np.outer(place, phase) for phase in (even, odd)]
    if kind == "periodic":
        vectors = [np.cos(columns[0]), np.sin(columns[1])]
    else:
        vectors = [(np.cos if kind == "no-flux" else np.sin)(column) for column in columns]
    phases, whole = np.concatenate([even, odd]), np.concatenate(vectors, axis=1)
    whole = whole / np.linalg.norm(whole, axis=0)
    values = values_at(phases, spacing, rule)
    if n < FOLD_FROM or not fold:
        return [(values, whole)]
    half = even.size
    return [(values[:half], whole[:half, :half]), (values[half:], whole[: n - half, half:])]


def _waves(n: int, kind: Boundary) -> tuple[np.ndarray, np.ndarray]:
    """Phase per voxel of the vectors that are even about the middle of the axis, and of the odd ones."""
    if kind == "periodic":
        return 2 * np.pi * np.arange((n + 1) // 2) / n, 2 * np.pi * np.arange(1, n // 2 + 1) / n
    first = 0 if kind == "no-flux" else 1
    return np.pi * np.arange(first, n + first, 2) / n, np.pi * np.arange(first + 1, n + first, 2) / n


def values_at(phase: np.ndarray, spacing: float, rule: Eigenvalues) -> np.ndarray:
    """Eigenvalues [1/um^2] of waves by their phase per voxel: of the 7-point lattice, or of the medium itself."""
    return ((2 * np.sin(phase / 2) if rule == "lattice" else phase) / spacing) ** 2


def fold(field: Field, folded: Sequence[bool]) -> list[Array]:
    """Sums and differences of voxels that mirror each other, along each axis that is `folded`: up to eight octants."""
    octants = [field]
    for axis, split in enumerate(folded):
        octants = [part for octant in octants for part in (_fold(octant, axis) if split else [octant])]
    return octants


def unfold(octants: Sequence[Array], folded: Sequence[bool]) -> Field:
    """The whole field, from what is even and odd about the middle of each folded axis."""
    octants = list(octants)
    for axis in (2, 1, 0):
        if folded[axis]:
            octants = [_unfold(*pair, axis) for pair in zip(octants[::2], octants[1::2], strict=True)]
    return octants[0]


def _fold(field: Array, axis: int) -> list[Array]:
    n = field.shape[axis]
    half = n // 2
    low, high = _cut(field, axis, 0, half), jnp.flip(_cut(field, axis, n - half, n), axis)
    middle = [_cut(field, axis, half, n - half)] if n % 2 else []
    return [jnp.concatenate([low + high, *middle], axis), low - high]


def _unfold(even: Array, odd: Array, axis: int) -> Array:
    half = odd.shape[axis]
    low, middle = _cut(even, axis, 0, half), _cut(even, axis, half, even.shape[axis])
    return jnp.concatenate([low + odd, middle, jnp.flip(low - odd, axis)], axis)


def _cut(field: Array, axis: int, start: int, stop: int) -> Array:
    return jax.lax.slice_in_dim(field, start, stop, axis=axis)


def multiply(octants: Sequence[Array], blocks: tuple[Blocks, ...]) -> Modes:
    """Every octant times its block of each axis.

    A product takes the last axis and leaves its result in front, so three of them restore the order of the axes, and
    each is one plain product of matrices that lie as they should.
    """
    # full precision: a GPU's default (TF32) would lose mass balance in the fourth digit
    product = functools.partial(jax.lax.dot_general, precision=jax.lax.Precision.HIGHEST)
    made = []
    for octant, (x, y, z) in zip(octants, itertools.product(*blocks), strict=True):
        for block in (z, y, x):
            first, second, third = octant.shape
            rows = octant.reshape(first * second, third)
            octant = product(block, rows, (((1,), (1,)), ((), ()))).reshape(block.shape[0], first, second)
        made.append(octant)
    return tuple(made)


def fourier_values(grid: Grid, rule: Eigenvalues) -> list[np.ndarray]:
    """Eigenvalues along each axis [1/um^2] in the order of `to_fourier`."""
    values = []
    for axis, (n, dx, kind) in enumerate(zip(grid.shape, grid.spacing, grid.boundary, strict=True)):
        if kind == "periodic":
            phase = 2 * np.pi * np.minimum(np.arange(n), n - np.arange(n)) / n
        else:  # the sine transform comes out with its highest wave first
            phase = np.pi * (np.arange(n) if kind == "no-flux" else n - np.arange(n)) / n
        values.append(values_at(phase, dx, rule)[: n // 2 + 1 if _torus(grid) and axis == 2 else n])
    return values


def to_fourier(field: Field, grid: Grid) -> Modes:
    """Transform along every axis: cosine, sine or Hartley; on a torus the Fourier transform itself."""
    if _torus(grid):
        return (jnp.fft.rfftn(field),)
    for axis, kind in enumerate(grid.boundary):
        field = _along(field, axis, {"no-flux": _cosine, "absorbing": _sine, "periodic": _hartley}[kind])
    return (field,)


def from_fourier(modes: Modes, grid: Grid) -> Field:
    """The inverse of `to_fourier`."""
    (field,) = modes
    if _torus(grid):
        return jnp.fft.irfftn(field, s=grid.shape)
    back = {"no-flux": _uncosine, "absorbing": _unsine, "periodic": lambda x: _hartley(x) / x.shape[-1]}
    for axis, kind in enumerate(grid.boundary):
        field = _along(field, axis, back[kind])
    return field


def _torus(grid: Grid) -> bool:
    return all(kind == "periodic" for kind in grid.boundary)


def _along(field: Array, axis: int, transform: Callable[[Array], Array]) -> Array:
    if field.shape[axis] == 1:
        return field
    return jnp.moveaxis(transform(jnp.moveaxis(field, axis, -1)), -1, axis)


def _joined(first: Array, second: Array, n: int) -> Array:
    """Entries 0 ... n/2 from `first`, entries n - 1 downwards from the tail of `second`."""
    return jnp.concatenate([first, jnp.flip(second[..., 1 : n - n // 2], -1)], -1)


def _turn(n: int, dtype: np.dtype) -> np.ndarray:
    return np.exp(-0.5j * np.pi * np.arange(n // 2 + 1) / n).astype(np.result_type(dtype, np.complex64))


def _cosine(x: Array) -> Array:
    n = x.shape[-1]
    wave = jnp.fft.rfft(jnp.concatenate([x[..., ::2], jnp.flip(x[..., 1::2], -1)], -1)) * _turn(n, x.dtype)
    return _joined(wave.real, -wave.imag, n)


def _uncosine(modes: Array) -> Array:
    n = modes.shape[-1]
    mirrored = jnp.concatenate([jnp.zeros_like(modes[..., :1]), jnp.flip(modes, -1)[..., : n // 2]], -1)
    wave = (modes[..., : n // 2 + 1] - 1j * mirrored) * _turn(n, modes.dtype).conj()
    shuffled = jnp.fft.irfft(wave, n=n)
    even, odd = shuffled[..., : (n + 1) // 2], jnp.flip(shuffled[..., (n + 1) // 2 :], -1)
    padded = jnp.concatenate([odd, even[..., -1:]], -1) if n % 2 else odd
    return jnp.stack([even, padded], -1).reshape(*even.shape[:-1], -1)[..., :n]


def _sine(x: Array) -> Array:
    return _cosine(x * _alternating(x))


def _unsine(modes: Array) -> Array:
    return _uncosine(modes) * _alternating(modes)


def _alternating(x: Array) -> np.ndarray:
    return (1 - 2 * (np.arange(x.shape[-1]) % 2)).astype(x.dtype)


def _hartley(x: Array) -> Array:
    wave = jnp.fft.rfft(x)
    return _joined(wave.real - wave.imag, wave.real + wave.imag, x.shape[-1])
