"""Bulk flow of the interstitial fluid: conservative transport with limited second-order fluxes.

    d(alpha c)/dt = -div(q c),      q: fluid volume per tissue area and time (Darcy velocity)

The face value of c is its upwind voxel's plus half a van Leer slope; two-stage Runge-Kutta (SSP) in sub-steps that let
no voxel lose more than half of its fluid. So amount is kept to rounding, nothing becomes negative and no new maximum
arises. Compose it with diffusion symmetrically: half a step of flow, diffusion, half a step of flow.

Whether the interstitial fluid flows at all between vessels is contested (Smith et al. 2017).

References: van Leer (1974) J Comput Phys 14:361-370 (limiter); Gottlieb, Shu & Tadmor (2001) SIAM Rev 43:89-112
(SSP Runge-Kutta); Smith, Yao, Dix, Jin & Verkman (2017) eLife 6:e27679; Holter et al. (2017) PNAS 114:9894-9899.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Real

from retrojax.errors import InputError
from retrojax.space.grid import Grid
from retrojax.types import Field

COURANT = 0.5
"""Largest share of a voxel's fluid that leaves it in one sub-step."""


class Flow(eqx.Module):
    """A divergence-free flow, made by `Flow.build` or `Flow.uniform`.

    **Fields**

    - `rates`: per axis q/dx [1/ms] of the face after each voxel and, first, of the face before the first; n + 1 faces
      along that axis.
    - `wraps`: which axes are periodic. Fluid that enters elsewhere carries no messenger.
    """

    rates: tuple[Float[Array, "A Y Z"], Float[Array, "X B Z"], Float[Array, "X Y C"]]
    wraps: tuple[bool, bool, bool] = eqx.field(static=True)

    @classmethod
    def build(cls, grid: Grid, x: Real[np.ndarray, "A Y Z"], y: Real[np.ndarray, "X B Z"],
              z: Real[np.ndarray, "X Y C"], tolerance: float = 1e-6) -> "Flow":
        """A checked flow from Darcy velocities at the faces across x, y and z [um/ms] (host side).

        **Raises** `InputError` if a shape is wrong, fluid crosses a no-flux wall, the two ends of a periodic axis
        differ, or a voxel gains or loses fluid (more than `tolerance` of the largest flow through any voxel).
        """
        velocities = [np.asarray(v, float) for v in (x, y, z)]
        for axis, (name, v) in enumerate(zip("xyz", velocities, strict=True)):
            _check_faces(grid, axis, f"flow.{name}", v)
        rates = [v / dx for v, dx in zip(velocities, grid.spacing, strict=True)]
        gain = np.sum([np.diff(rate, axis=axis) for axis, rate in enumerate(rates)], axis=0)
        most = max(np.abs(rate).max() for rate in rates)
        worst = np.unravel_index(np.argmax(np.abs(gain)), grid.shape)
        if np.abs(gain[worst]) > tolerance * most:
            raise InputError(f"flow[{', '.join(map(str, worst))}]", f"divergence {gain[worst]:.3g} 1/ms",
                             f"at most {tolerance:g} of the fastest exchange, {most:.3g} 1/ms",
                             "let as much fluid leave each voxel as enters it")
        first, second, third = map(jnp.asarray, rates)
        along_x, along_y, along_z = (kind == "periodic" for kind in grid.boundary)
        return cls((first, second, third), (along_x, along_y, along_z))

    @classmethod
    def uniform(cls, grid: Grid, velocity: tuple[float, float, float]) -> "Flow":
        """The same Darcy velocity [um/ms] everywhere: volume fraction x fluid velocity. Errors as for `build`."""
        x, y, z = (np.full([n + (i == axis) for i, n in enumerate(grid.shape)], v) for axis, v in enumerate(velocity))
        return cls.build(grid, x, y, z)


def flow_steps(
    flow: Flow, fraction: Float[Array, "..."] | float, elapsed: Float[Array, ""] | float
) -> Int[Array, ""]:
    """Sub-steps in which no voxel loses more than `COURANT` of its fluid. Arguments as for `advance_flow`."""
    leaving = jnp.zeros(())
    for axis, rate in enumerate(flow.rates):
        after, before = (jax.lax.slice_in_dim(rate, i, rate.shape[axis] - 1 + i, axis=axis) for i in (1, 0))
        leaving = leaving + jnp.maximum(after, 0) + jnp.maximum(-before, 0)
    courant = elapsed * jnp.max(leaving / fraction) / COURANT
    return jnp.maximum(jnp.ceil(jax.lax.stop_gradient(courant)), 1).astype(jnp.int32)


def advance_flow(
    flow: Flow,
    field: Field,
    fraction: Float[Array, "..."] | float,
    elapsed: Float[Array, ""] | float,
    steps: Int[Array, ""] | int | None = None,
) -> Field:
    """The field after `elapsed` ms of flow alone.

    **Arguments**

    - `flow`: from `Flow.build`. `field`: alpha c [nM], [X, Y, Z]. `fraction`: alpha. `elapsed`: [ms].
    - `steps`: sub-steps, by default from `flow_steps`; static for reverse-mode differentiation.

    Second order where the field is smooth, first order at its extrema.
    """
    count = flow_steps(flow, fraction, elapsed) if steps is None else steps
    dt = jnp.asarray(elapsed / count, field.dtype)

    def part(_, amount):
        once = amount + dt * _change(flow, amount, fraction)
        return (amount + once + dt * _change(flow, once, fraction)) / 2

    return jax.lax.fori_loop(0, count, part, field)


def _change(flow: Flow, amount: Field, fraction: Float[Array, "..."] | float) -> Field:
    concentration = amount / fraction
    change = jnp.zeros_like(amount)
    for axis, (rate, wraps) in enumerate(zip(flow.rates, flow.wraps, strict=True)):
        width = [(2, 2) if i == axis else (0, 0) for i in range(3)]
        padded = jnp.pad(concentration, width, mode="wrap") if wraps else jnp.pad(concentration, width)
        step = jnp.diff(padded, axis=axis)
        back, ahead = (jax.lax.slice_in_dim(step, i, step.shape[axis] - 1 + i, axis=axis) for i in (0, 1))
        agree = back * ahead > 0
        half_slope = jnp.where(agree, back * ahead / jnp.where(agree, back + ahead, 1.0), 0.0)
        inner = jax.lax.slice_in_dim(padded, 1, padded.shape[axis] - 1, axis=axis)
        upper, lower = inner + half_slope, inner - half_slope
        from_left = jax.lax.slice_in_dim(upper, 0, upper.shape[axis] - 1, axis=axis)
        from_right = jax.lax.slice_in_dim(lower, 1, lower.shape[axis], axis=axis)
        flux = jnp.maximum(rate, 0) * from_left + jnp.minimum(rate, 0) * from_right
        change = change - jnp.diff(flux, axis=axis)
    return change


def _check_faces(grid: Grid, axis: int, field: str, velocity: np.ndarray) -> None:
    shape = tuple(n + (i == axis) for i, n in enumerate(grid.shape))
    if velocity.shape != shape or not np.all(np.isfinite(velocity)):
        raise InputError(field, f"an array of shape {velocity.shape}", f"finite velocities of shape {shape}",
                         "give one value per face, one face more than voxels along the axis")
    first, last = velocity.take(0, axis), velocity.take(-1, axis)
    if grid.boundary[axis] == "no-flux" and (first.any() or last.any()):
        raise InputError(field, "a flow through a no-flux wall", "0 at the first and last face",
                         "close these faces, or make the axis periodic or absorbing")
    if grid.boundary[axis] == "periodic" and not np.array_equal(first, last):
        raise InputError(field, "ends that differ", "the same flow at both ends of a periodic axis",
                         "repeat the first face as the last")
