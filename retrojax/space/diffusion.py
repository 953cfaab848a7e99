"""Diffusion with linear loss in a uniform box: one exact step of any length.

The 7-point Laplacian of a box is a sum over its axes, and each axis is diagonal in a known basis. In that basis every
mode relaxes by itself, so a step of any length is exact for the discretised operator, unconditionally stable and
differentiable in everything.

    field = advance(propagator, field, source)          three transforms: nine products, three per axis
    field = advance_driven(propagator, field, source)   two of them, for a field that has no spikes
    field = advance(propagator, field)                  without a source: one product per axis, or less (`free`)

A field whose values are read less often than it steps may stay in the basis, where a step costs nothing:

    modes = relax(propagator, to_modes(propagator, field), to_modes(propagator, source))
    field = from_modes(propagator, modes)
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from retrojax.numerics import phi1
from retrojax.space.choice import Method, choose
from retrojax.space.eigenbasis import (
    Blocks,
    Eigenvalues,
    Modes,
    axis_blocks,
    fold,
    fourier_values,
    from_fourier,
    multiply,
    to_fourier,
    unfold,
)
from retrojax.space.free import FreeStep, advance_free, known_spread, plan_free
from retrojax.space.grid import Grid
from retrojax.space.shared import Shared, half, own
from retrojax.space.stencil import slope
from retrojax.types import Field, Scalar

Octants = tuple[Float[Array, "_ _ _"], ...]


class Propagator(eqx.Module):
    """What one step needs, made by `plan`.

    **Fields**

    - `back`: per axis the eigenvectors, one a column, in blocks; empty for the method `fft`. `into`: one a row.
    - `free`: what a step without a source needs, if it does not go through the basis.
    - `decay`: factor left of each mode after the step, by octant of the folded box.
    - `gain`: response of each mode to a unit source [ms], by octant.
    - `coupling`, `loss`: D*/dx^2 along x, y, z, and k [1/ms]; no `coupling` for spectral eigenvalues, whose operator is
      no stencil.
    - `elapsed`: length of the step [ms].
    - `grid`: the box; static.
    - `shared`: static; whether devices share the products (`space.shared`). `odd`: then, per axis that is halved,
      which half is this device's; blocks, `decay` and `gain` are those of its octants alone.
    """

    back: tuple[Blocks, ...]
    into: tuple[Blocks, ...]
    free: FreeStep | None
    decay: Octants
    gain: Octants
    coupling: Float[Array, "3"] | None
    loss: Scalar
    elapsed: Scalar
    grid: Grid = eqx.field(static=True)
    shared: Shared | None = eqx.field(static=True, default=None)
    odd: dict[int, Int[Array, ""]] = eqx.field(default_factory=dict)


def plan(
    grid: Grid,
    diffusion: Float[Array, ""] | Float[Array, "3"] | float,
    loss: Float[Array, ""] | float,
    elapsed: Float[Array, ""] | float,
    *,
    eigenvalues: Eigenvalues = "lattice",
    method: Method | None = None,
    shared: Shared | None = None,
) -> Propagator:
    """The exact propagator of one step. Call it inside the traced function and outside the scan.

        da/dt = D lap(a) - k a + S,    a_hat <- exp(-z) a_hat + elapsed phi_1(z) S_hat,    z = elapsed (D mu + k)

    with `mu` the eigenvalues of minus the Laplacian, summed over the axes. An absorbing wall is a ghost cell of
    opposite sign, i.e. second-order accurate like the other two.

    **Arguments**

    - `grid`: shape, spacing and boundary.
    - `diffusion`: D* = D_free / tortuosity^2 [um^2/ms]; 0-d, or [3] for diffusion that differs along x, y and z.
    - `loss`: k [1/ms].
    - `elapsed`: length of the step [ms].
    - `eigenvalues`: `'lattice'`, those of the 7-point Laplacian, 4/dx^2 sin^2 of half the phase per voxel: second-order
      accurate, and positive input gives positive output. `'spectral'`, (phase/dx)^2, those of the medium: exact for a
      field that the grid resolves, but a source of one voxel rings, with negative values beside it. The own-spine
      correction (`near_field`) is that of the lattice.
    - `method`: `'matrix'` or `'fft'`; what `choose` says if not given. Numbers that are known here, i.e. not traced,
      open `'modes'` and `'convolution'` to steps without a source, exact to the rounding of the type in use; those with
      a source are then taken by products with matrices.
    - `shared`: devices that share the products of a step with a source, each of which calls it with the same values;
      inside `jax.shard_map`. The method `fft`, and axes too short to be folded or of odd length, are not shared.

    Valid for uniform diffusion and loss only. On the lattice, features below two voxels are those of the lattice, not
    of the medium.

    References: Strang (1999) SIAM Rev 41:135-147 (cosine bases); Hochbruck & Ostermann (2010) Acta Numer 19:209-286
    (phi functions).
    """
    spread = known_spread(grid, diffusion, loss, elapsed)
    alone = method or choose(grid, False, spread, eigenvalues).method
    free = None if alone == "fft" else plan_free(grid, alone, eigenvalues, diffusion, loss, elapsed)
    diffusion = jnp.broadcast_to(jnp.asarray(diffusion, float), (3,))
    back: tuple[Blocks, ...] = ()
    into, odd = back, {}
    if (method or choose(grid).method) == "fft":
        rates = [[d * jnp.asarray(v, diffusion.dtype)]
                 for d, v in zip(diffusion, fourier_values(grid, eigenvalues), strict=True)]
    else:
        axes = [axis_blocks(*each, eigenvalues) for each in zip(grid.shape, grid.spacing, grid.boundary, strict=True)]
        rates = [[d * jnp.asarray(v, diffusion.dtype) for v, _ in axis]
                 for d, axis in zip(diffusion, axes, strict=True)]
        back = tuple(tuple(jnp.asarray(vectors, diffusion.dtype) for _, vectors in axis) for axis in axes)
        into = tuple(tuple(vectors.T for vectors in axis) for axis in back)
        if shared is not None:
            odd = shared.odd(grid, [len(axis) == 2 for axis in axes])
            rates, back, into = (own(each, odd) for each in (rates, back, into))
    x, y, z = rates
    exponents = [elapsed * (loss + a[:, None, None] + b[:, None] + c) for a in x for b in y for c in z]
    decay, gain = tuple(jnp.exp(-e) for e in exponents), tuple(elapsed * phi1(e) for e in exponents)
    coupling = None if eigenvalues == "spectral" else diffusion / jnp.square(jnp.asarray(grid.spacing, diffusion.dtype))
    return Propagator(back, into, free, decay, gain, coupling, jnp.asarray(loss, float), jnp.asarray(elapsed, float),
                      grid, shared, odd)


def advance(propagator: Propagator, field: Field, source: Field | None = None) -> Field:
    """The field one step later.

    **Arguments**

    - `propagator`: from `plan`.
    - `field`: amount per tissue volume, volume fraction x concentration [nM], [X, Y, Z].
    - `source`: amount per tissue volume and time, constant over the step [nM/ms], [X, Y, Z]; nothing if not given.

    With eigenvalues of the lattice, positive input gives positive output up to rounding, about 1e-7 of the largest
    value in float32. What is below 0 is left so: cutting it off would add amount in every step. Samples at boutons are
    cut off instead.
    """
    if source is None and propagator.free is not None:
        return advance_free(propagator.free, field, propagator.grid.boundary)
    made = None if source is None else to_modes(propagator, source)
    return from_modes(propagator, relax(propagator, to_modes(propagator, field), made))


def advance_driven(propagator: Propagator, field: Field, source: Field) -> Field:
    """The same as `advance`, at two thirds of its cost, for a field that sources have filled.

        a <- exp(A t) a + t phi_1(A t) S = a + t phi_1(A t) (A a + S)

    On the lattice A is a stencil, so one transform does for field and source. What rounds is the change of the field,
    so errors are relative to the largest value before the step *or* after it, about 1e-7 of it in float32. They matter
    where a step flattens the field a thousandfold, as it does a release into one voxel that was not spread over a step
    as a source; there take `advance`. With spectral eigenvalues it is `advance`.

    **Arguments** as for `advance`.

    References: Hochbruck & Ostermann (2010) Acta Numer 19:209-286 (exponential Euler steps by their increment).
    """
    if propagator.coupling is None:
        return advance(propagator, field, source)
    made = to_modes(propagator, change(propagator, field, source))
    return field + from_modes(propagator, tuple(a * b for a, b in zip(propagator.gain, made, strict=True)))


def change(propagator: Propagator, field: Field, source: Field) -> Field:
    """How fast the field changes when the step begins [nM/ms], on the lattice."""
    assert propagator.coupling is not None
    coupling = propagator.coupling

    def now() -> Field:
        return source + slope(field, coupling, propagator.loss, propagator.grid.boundary)

    # a branch, because XLA would otherwise compute the stencil anew for every octant (it drops optimization barriers)
    return jax.lax.cond(propagator.elapsed > 0, now, lambda: jnp.zeros_like(source))


def relax(propagator: Propagator, modes: Modes, source: Modes | None = None) -> Modes:
    """The step of a field and a source that are kept in the eigenbasis (`to_modes`)."""
    left = [kept * mode for kept, mode in zip(propagator.decay, modes, strict=True)]
    if source is None:
        return tuple(left)
    return tuple(a + gain * b for a, gain, b in zip(left, propagator.gain, source, strict=True))


def to_modes(propagator: Propagator, field: Field) -> Modes:
    """A field [nM], or a source, in the eigenbasis of the box."""
    if not propagator.back:
        return to_fourier(field, propagator.grid)
    return multiply(fold(half(field, propagator.odd), _folded(propagator)), propagator.into)


def from_modes(propagator: Propagator, modes: Modes) -> Field:
    """The field [nM] whose modes these are."""
    if not propagator.back:
        return from_fourier(modes, propagator.grid)
    field = unfold(multiply(modes, propagator.back), _folded(propagator))
    return field if propagator.shared is None else propagator.shared.joined(field, propagator.odd)


def _folded(propagator: Propagator) -> list[bool]:
    return [len(blocks) == 2 for blocks in propagator.back]
