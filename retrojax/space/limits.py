"""Where a grid is not needed, or not enough: a reach far below a voxel or far above the box, and walls within reach.

The reach sqrt(D/k) is how far a messenger gets before it is lost. Far below a voxel nothing passes from one voxel to
the next, and each obeys da/dt = S - k a by itself; far above the box the walls even everything out, and the mean over
the box obeys it. What a spine's own bouton sees is added to either by `near_limits`.
"""

import math
from typing import Literal, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from retrojax.numerics import phi1, phi2
from retrojax.space.choice import choose
from retrojax.space.grid import Grid
from retrojax.types import Field

LOCAL = 10.0
"""Loss over D/dx^2 from which voxels are on their own."""

UNIFORM = 10.0
"""Rate at which the slowest mode of the box evens out, over the loss, from which the box is uniform."""

Kind = Literal["grid", "local", "mean field"]


class Regime(NamedTuple):
    """`kind` of transport that a messenger needs, its `reach` [um], and `why` in one sentence."""

    kind: Kind
    reach: float
    why: str


def reach_of(diffusion: float, loss: float) -> float:
    """sqrt(D/k) [um], from D* [um^2/ms] and k [1/ms]; infinite without loss."""
    return math.sqrt(diffusion / loss) if loss > 0 else math.inf


def regime(grid: Grid, diffusion: float | np.ndarray, loss: float, elapsed: float | None = None) -> Regime:
    """Which kind of transport the reach asks for.

    - `local` where k > 10 D/dx^2 along every axis, i.e. the reach is below 0.32 voxels;
    - `mean field` where D (pi/L)^2 > 10 k along every axis, i.e. the reach is beyond 1.01 edges of the box, and no
      wall absorbs;
    - `grid` otherwise.

    **Arguments** `grid`; `diffusion` D* [um^2/ms], one number or three; `loss` k [1/ms] >= 0; `elapsed`: field step
    [ms] within which the slowest mode of the box must fall to 1/e for `mean field`, as a run asks; without it the reach
    alone decides.

    Host side. Both limits keep the total. `local` leaves out what a voxel gives to its neighbours, which at its border
    is a third of a lone voxel's amount on the lattice and 1 % at a reach of 0.04 voxels. `mean field` keeps 10 % of the
    unevenness of a source as wide as the box out of sight, more near a small source (the closed form of `near_field`
    has that), and what happens faster than the box evens out, in L^2 / (pi^2 D).
    """
    axes = np.broadcast_to(np.asarray(diffusion, float), 3)
    reach = reach_of(float(axes.max()), loss)
    step = choose(grid).why
    if np.all(loss > LOCAL * axes / np.square(grid.spacing)):
        return Regime("local", reach, f"a reach of {reach:.2g} um is far below a voxel ({min(grid.spacing):g} um): "
                      "every voxel obeys its own rate equation")
    # an axis of one voxel is uniform already
    evened = [d * (math.pi / width) ** 2 for d, width, n in zip(axes, grid.size, grid.shape, strict=True) if n > 1]
    uniform = "absorbing" not in grid.boundary and all(rate > UNIFORM * loss for rate in evened)
    slowest = min(evened, default=math.inf)
    if uniform and elapsed is not None and slowest * elapsed < 1:
        return Regime("grid", reach, f"a reach of {reach:.3g} um is far above the box ({max(grid.size):g} um), which "
                      f"takes {1 / slowest:.3g} ms to even out, longer than a field step of {elapsed:g} ms: {step}")
    if uniform:
        return Regime("mean field", reach, f"a reach of {reach:.3g} um is far above the box ({max(grid.size):g} um): "
                      "the amount is nearly uniform and its mean obeys a rate equation")
    return Regime("grid", reach, f"a reach of {reach:.3g} um is {reach / min(grid.spacing):.2g} voxels: {step}")


def advance_local(
    field: Field, source: Field, loss: Float[Array, ""] | float, elapsed: Float[Array, ""] | float
) -> Field:
    """The field one step later where every voxel is on its own: a exp(-kt) + t phi_1(kt) S, exact.

    **Arguments** as for `advance`: `field` [nM], `source` constant over the step [nM/ms], `loss` k [1/ms], `elapsed` t
    [ms].
    """
    z = jnp.asarray(elapsed * loss, field.dtype)
    return field * jnp.exp(-z) + elapsed * phi1(z) * source


def advance_mean(
    field: Field, source: Field, loss: Float[Array, ""] | float, elapsed: Float[Array, ""] | float
) -> Field:
    """The field one step later where the box is uniform: `advance_local` of the means, in every voxel."""
    return jnp.broadcast_to(advance_local(field, source, loss, elapsed).mean(), field.shape)


def exposure_local(
    field: Field, source: Field, loss: Float[Array, ""] | float, elapsed: Float[Array, ""] | float
) -> Field:
    """Time integral of the field over a step of `advance_local`, t phi_1(kt) a + t^2 phi_2(kt) S [nM ms], exact."""
    z = jnp.asarray(elapsed * loss, field.dtype)
    return elapsed * (phi1(z) * field + elapsed * phi2(z) * source)


def near_walls(grid: Grid, positions: Float[np.ndarray, "S 3"], reach: float) -> int:
    """How many `positions` [um] lie closer than `reach` [um] to a no-flux wall."""
    walls = np.array([kind == "no-flux" and n > 1 for kind, n in zip(grid.boundary, grid.shape, strict=True)])
    low, high = np.array(grid.extent).T
    gap = np.minimum(positions - low, high - positions)
    return int(np.count_nonzero((gap[:, walls] < reach).any(axis=1)))


def wall_warning(grid: Grid, positions: Float[np.ndarray, "S 3"], reach: float) -> str | None:
    """What to know where sources at `positions` [um] lie within the `reach` [um] of a no-flux wall, or nothing.

    A wall mirrors a source: a bouton next to it sees up to twice the concentration of unbounded tissue.
    """
    count = near_walls(grid, positions, reach)
    if not count:
        return None
    return (f"{count} of {len(positions)} synapses lie within {reach:.3g} um of a no-flux wall, which mirrors them: "
            "concentrations near it are those of tissue that goes on alike")
