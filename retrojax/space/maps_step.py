"""A step of any length through maps of the medium, by one Chebyshev series of the exponential.

The operator is symmetric up to the weights alpha, with rates between 0 and a bound rho, and does not change within a
step. So exp(h M) is summed directly, instead of being approached by a time-stepping formula:

    a <- sum_k c_k w_k,    c_0 = exp(-x) I_0(x),  c_k = 2 exp(-x) I_k(x),  x = h rho / 2
    w_0 = a,   w_1 = a + 2/rho (M a + S),   w_{k+1} = 2 w_k - w_{k-1} + 4/rho (M w_k + S)

The source enters every term with the same weight, which sums to its exact integral, h phi_1(h M) S. The terms fall as
exp(-k^2/(4 x)), so about sqrt(h rho ln(1/tolerance)) of them reach any tolerance: like super-time-stepping (RKL2) the
cost grows with the square root of the step, but the error is that of the last term and not of second order. Measured
against RKL2 and against Strang splitting of implicit lines (TR-BDF2) in `experiments/benchmarks/maps.py`.

References: Tal-Ezer (1986) SIAM J Numer Anal 23:11-26 and Bergamaschi & Vianello (2000) Numer Linear Algebra Appl
7:27-45 (Chebyshev series of the exponential); Meyer, Balsara & Aslam (2014) J Comput Phys 257:594-626 (RKL2); Gautschi
(1967) SIAM Rev 9:24-82 (ratios of Bessel functions by backward recurrence).
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from retrojax.space.grid import Grid
from retrojax.space.maps import Exchange, Medium, exchange
from retrojax.types import Field

LONGEST = 2000.0
"""Largest step in units of the fastest relaxation, h rho; a longer one is split."""

MOST_TERMS = 288
"""Terms of the series at `LONGEST` and the strictest tolerance."""


class MapPropagator(eqx.Module):
    """What one step needs, made by `plan_maps`.

    **Fields**

    - `operator`: the transport equation, times 4/rho. `reach`: 4/rho [ms].
    - `coefficients`: of the series, [K].
    - `terms`: how many of them are used. `steps`: equal parts that the step is split into.
      Both are 0-d arrays, or static numbers if given to `plan_maps`.
    """

    operator: Exchange
    reach: Float[Array, ""]
    coefficients: Float[Array, " K"]
    terms: Int[Array, ""] | int
    steps: Int[Array, ""] | int


def plan_maps(
    grid: Grid,
    medium: Medium,
    diffusion: Float[Array, ""] | Float[Array, "3"] | float,
    elapsed: Float[Array, ""] | float,
    work: tuple[int, int] | None = None,
    tolerance: float | None = None,
) -> MapPropagator:
    """The propagator of one step through maps. Call it inside the traced function and outside the scan.

    **Arguments**

    - `grid`: shape, spacing and boundary. `medium`: maps.
    - `diffusion`: D_free [um^2/ms], 0-d, or [3] along x, y and z.
    - `elapsed`: length of the step [ms] > 0.
    - `work`: (steps, terms) from `work_needed`: a fixed count, which reverse-mode differentiation needs. By default
      they follow from the maps, in a loop that forward mode can differentiate.
    - `tolerance`: bound of the neglected terms relative to the field, in the norm weighted by 1/alpha; by default 1e-9
      in float32, 1e-13 in float64. A one-voxel release sinks below 1e-4 of its height within a step: hence so small.

    Exact in time for source and maps constant over the step; second order in space. Differentiable in `diffusion`,
    every map and `elapsed`.
    """
    operator = exchange(grid, medium, diffusion)
    # the bound only places the series, whose sum does not depend on it
    stiffness = jax.lax.stop_gradient(jnp.maximum(operator.stiffness(), 1e-30))
    length = jnp.asarray(elapsed, stiffness.dtype) * stiffness
    if work is None:
        steps = jnp.maximum(jnp.ceil(jax.lax.stop_gradient(length) / LONGEST), 1).astype(jnp.int32)
        coefficients = _series(length / steps / 2, MOST_TERMS)
        small = _tolerance(coefficients.dtype) if tolerance is None else tolerance
        count: tuple[Array | int, Array | int] = steps, _terms(jax.lax.stop_gradient(coefficients), small)
    else:
        count, coefficients = work, _series(length / work[0] / 2, work[1])
    reach = 4 / stiffness
    return MapPropagator(operator.times(reach), reach, coefficients, steps=count[0], terms=count[1])


def advance_maps(propagator: MapPropagator, field: Field, source: Field) -> Field:
    """The field one step later.

    **Arguments**

    - `propagator`: from `plan_maps`.
    - `field`: amount per tissue volume, volume fraction x concentration [nM], [X, Y, Z].
    - `source`: amount per tissue volume and time, constant over the step [nM/ms], [X, Y, Z].

    Amount is kept to rounding. Positive input gives positive output up to the tolerance, or rounding, relative to the
    largest value before the step.
    """
    made = propagator.reach * source

    def add_term(k, carry):
        total, last, now = carry
        following = 2 * now - last + propagator.operator(now) + made
        return total + propagator.coefficients[k] * now, now, following

    def part(_, amount):
        first = amount + (propagator.operator(amount) + made) / 2
        start = (propagator.coefficients[0] * amount, amount, first)
        return jax.lax.fori_loop(1, propagator.terms, add_term, start)[0]

    return jax.lax.fori_loop(0, propagator.steps, part, field)


def work_needed(
    grid: Grid,
    medium: Medium,
    diffusion: float | np.ndarray,
    elapsed: float,
    tolerance: float | None = None,
    margin: float = 1.5,
) -> tuple[int, int]:
    """(steps, terms) for `plan_maps`, enough for rates up to `margin` times those given.

    Host side; other arguments as for `plan_maps`. A fit that moves beyond the margin needs a new count, and compiles
    again.
    """
    length = margin * elapsed * float(exchange(grid, medium, jnp.asarray(diffusion, float)).stiffness())
    steps = max(1, math.ceil(length / LONGEST))
    coefficients = _series(jnp.asarray(length / steps / 2, float), MOST_TERMS)
    return steps, int(_terms(coefficients, _tolerance(coefficients.dtype) if tolerance is None else tolerance))


def _tolerance(dtype: np.dtype) -> float:
    return 1e-13 if dtype == np.float64 else 1e-9


def _terms(coefficients: Array, tolerance: float) -> Array:
    """Terms after which the rest adds up to less than `tolerance`; at least 2."""
    rest = jnp.cumsum(coefficients[::-1])[::-1]
    return jnp.maximum(jnp.sum(rest > tolerance), 2).astype(jnp.int32)


def _series(x: Array, terms: int) -> Array:
    """Coefficients exp(-x) I_k(x), twice that for k > 0, of the first `terms` Chebyshev polynomials; their sum is 1.

    Ratios I_k/I_{k-1} = x / (2k + x I_{k+1}/I_k), backwards from beyond the last one, where they vanish.
    """
    beyond = terms + 32

    def ratio(after, k):
        now = x / (2 * k + x * after)
        return now, now

    orders = jnp.arange(beyond, 0, -1).astype(x.dtype)
    ratios = jax.lax.scan(ratio, jnp.zeros_like(x), orders)[1][::-1]
    relative = jnp.concatenate([jnp.ones((1,), x.dtype), 2 * jnp.cumprod(ratios)])[:terms]
    return relative / jnp.sum(relative)
