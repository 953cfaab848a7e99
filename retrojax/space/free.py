"""A step without a source in a uniform box, where each axis steps by itself: exp(-z) is a product over the axes.

Besides the square matrix of an axis, two shorter ways, for a diffusion coefficient known before tracing:

    modes          into the basis and back with only those modes of which something is left
    convolution    with the answer to a release in one voxel of an endless axis, cut where rounding ends it; a wall
                   mirrors the field, with its sign changed if it absorbs

References: Strang (1999) SIAM Rev 41:135-147 (the bases, and walls as mirrors); Montroll & Weiss (1965) J Math Phys
6:167-181 (answer of the lattice).
"""

import functools
from collections.abc import Sequence
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from retrojax.space.eigenbasis import Blocks, Eigenvalues, axis_blocks, fold, multiply, unfold, values_at
from retrojax.space.grid import Boundary, Grid
from retrojax.types import Field

Method = Literal["matrix", "modes", "convolution"]
Kernel = Float[Array, " _"]
Number = Float[Array, "..."] | float


class FreeStep(eqx.Module):
    """What a step without a source needs, made by `plan_free`.

    **Fields**

    - `products`: what the folded field is multiplied by, one after the other: per axis a matrix, in blocks.
    - `kernels`: per axis, what it is convolved with instead: voxels 0 ... w away.
    """

    products: tuple[tuple[Blocks, ...], ...] = ()
    kernels: tuple[Kernel, ...] = ()


def plan_free(
    grid: Grid, method: Method, rule: Eigenvalues, diffusion: Number, loss: Number, elapsed: Number
) -> FreeStep:
    """The step by `matrix`, `modes` or `convolution`; arguments as for `plan`, and numbers for the latter two."""
    if method == "matrix":
        rates = jnp.broadcast_to(jnp.asarray(diffusion, float), (3,))
        squares = [_square(n, dx, kind, rule, rate, loss / 3, elapsed)
                   for n, dx, kind, rate in zip(grid.shape, grid.spacing, grid.boundary, rates, strict=True)]
        return FreeStep((tuple(squares),))
    spread = known_spread(grid, diffusion, loss, elapsed)
    if spread is None:
        raise ValueError(f"method {method!r} needs diffusion, loss and elapsed as numbers that are not traced")
    left = float(np.exp(-np.asarray(loss, float) * np.asarray(elapsed, float) / 3))
    axes = list(zip(grid.shape, grid.boundary, spread, strict=True))
    if method == "modes":
        into, back = zip(*(_low(*axis, rule, left) for axis in axes), strict=True)
        return FreeStep((into, back))
    kernels = [kernel for axis in axes if (kernel := short_kernel(*axis, rule)) is not None]
    if len(kernels) < 3:
        raise ValueError(f"a step that spreads a field over {max(spread):.3g} squared voxels has no short kernel here")
    return FreeStep(kernels=tuple(jnp.asarray(left * kernel, float) for kernel in kernels))


def advance_free(step: FreeStep, field: Field, boundary: Sequence[Boundary]) -> Field:
    """The field one step later."""
    for axis, (kernel, kind) in enumerate(zip(step.kernels, boundary, strict=bool(step.kernels))):
        # a branch, because XLA would otherwise compute one axis anew for every tap of the next
        field = jax.lax.cond(kernel[0] != 0, functools.partial(_convolve, axis=axis, kernel=kernel, kind=kind),
                             jnp.zeros_like, field)
    if not step.products:
        return field
    folded = [len(blocks) == 2 for blocks in step.products[0]]
    octants: Sequence[Array] = fold(field, folded)
    for blocks in step.products:
        octants = multiply(octants, blocks)
    return unfold(octants, folded)


def known_spread(grid: Grid, diffusion: Number, loss: Number, elapsed: Number) -> tuple[float, float, float] | None:
    """D t/dx^2 along x, y and z if all three numbers are known before tracing, else nothing."""
    if any(isinstance(value, jax.core.Tracer) for value in (diffusion, loss, elapsed)):
        return None
    x, y, z = np.broadcast_to(np.asarray(diffusion, float), 3) * float(elapsed) / np.square(grid.spacing)
    return float(x), float(y), float(z)


def modes_left(n: int, kind: Boundary, spread: float, rule: Eigenvalues) -> np.ndarray:
    """Which modes of an axis are worth keeping, as a mask in the order of its whole basis (`axis_blocks`).

    **Arguments** `n` voxels; `kind` of wall; `spread`: D t/dx^2 of the step; `rule` of the eigenvalues.

    A mode counts if more than a thousandth of the rounding of the type in use is left of it. A Gaussian's tail is that
    small beside its peak, so a positive field is as exact as by all modes.
    """
    ((values, _),) = axis_blocks(n, 1.0, kind, rule, fold=False)
    left = np.exp(-spread * values)
    return (left > 1e-3 * _rounding()) | (values == values.min())


def short_kernel(n: int, kind: Boundary, spread: float, rule: Eigenvalues) -> np.ndarray | None:
    """Answer of an endless axis to a release in one voxel, voxels 0 ... w away, or nothing if w >= n.

    **Arguments** as for `modes_left`.

    Beyond w lies less than the rounding of the type in use (1e-14 at least); what is kept is scaled to a sum of 1.
    """
    if n == 1 and kind != "absorbing":
        return np.ones(1)
    ring = 4 * n
    waves = np.exp(-spread * values_at(2 * np.pi * np.arange(ring // 2 + 1) / ring, 1.0, rule))
    half = np.fft.irfft(waves, ring)[: ring // 2]
    beyond = 2 * np.cumsum(np.abs(half[::-1]))[::-1]  # from this voxel on
    width = int(np.count_nonzero(beyond >= max(_rounding() / 3, 1e-14))) - 1
    if width >= n:
        return None
    kept = half[: width + 1]
    return kept / (2 * kept.sum() - kept[0])


def _rounding() -> float:
    return float(jnp.finfo(jnp.result_type(float)).eps)


def _convolve(field: Array, axis: int, kernel: Array, kind: Boundary) -> Array:
    n, width = field.shape[axis], kernel.size - 1
    cut = functools.partial(jax.lax.slice_in_dim, axis=axis)
    if width:
        low, high = cut(field, 0, width), cut(field, n - width, n)
        if kind == "periodic":
            low, high = high, low
        else:
            sign = -1 if kind == "absorbing" else 1
            low, high = sign * jnp.flip(low, axis), sign * jnp.flip(high, axis)
        field = jnp.concatenate([low, field, high], axis)
    total = kernel[0] * cut(field, width, width + n)
    for away in range(1, width + 1):
        before, after = width - away, width + away
        total += kernel[away] * (cut(field, before, before + n) + cut(field, after, after + n))
    return total


def _square(
    n: int, spacing: float, kind: Boundary, rule: Eigenvalues, diffusion: Array, loss: Number, elapsed: Number
) -> Blocks:
    """The step along one axis as a matrix."""
    product = functools.partial(jnp.matmul, precision=jax.lax.Precision.HIGHEST)
    made = []
    for values, vectors in axis_blocks(n, spacing, kind, rule):
        back = jnp.asarray(vectors, diffusion.dtype)
        made.append(product(back * jnp.exp(-elapsed * (diffusion * jnp.asarray(values, back.dtype) + loss)), back.T))
    return tuple(made)


def _low(n: int, kind: Boundary, spread: float, rule: Eigenvalues, factor: float) -> tuple[Blocks, Blocks]:
    """The step along one axis, times `factor`, by the modes that are left: into them, and back."""
    ((values, vectors),) = axis_blocks(n, 1.0, kind, rule, fold=False)
    kept = modes_left(n, kind, spread, rule)
    into = (vectors * factor * np.exp(-spread * values))[:, kept].T
    return (jnp.asarray(into, float),), (jnp.asarray(vectors[:, kept], float),)
