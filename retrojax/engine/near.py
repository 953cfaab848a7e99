"""What a field step does below the size of a voxel: a bouton's own spine, and its close neighbours.

The grid holds what all spines release; `NearPlan` holds, per messenger, what to add at a bouton so that its own spine,
and spines of other synapses within a few voxels, are seen at their true distance (`space.near_field`, `space.pairs`).

A lipid need not enter the medium at all: a share of it may pass from the spine to its own bouton directly. That share
never reaches the grid. It is a pool m [molecules] of the bouton, and adds to the concentration there

    dm/dt = fraction Q - loss m,     c = c_medium + m/volume

exact for what was made at a constant rate Q over the field step.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from retrojax.engine.model import Messenger
from retrojax.engine.transport import near_kernel
from retrojax.numerics import phi1
from retrojax.space import Grid, Pairs, from_neighbours, own_spine, pair_kernel
from retrojax.types import PerRow, Scalar
from retrojax.units import MOLECULES_PER_NM_UM3


class NearPlan(NamedTuple):
    """Kernels of one messenger, by age in field steps [nM per molecule/ms]: `own` by offset class, [8, J]; `pairs` by
    pair, [P, J], None where neighbours are left to the grid."""

    own: Float[Array, "8 J"]
    pairs: Float[Array, "P J"] | None


def plan_near(
    messenger: Messenger, grid: Grid, loss: Scalar, elapsed: Scalar, distance: float, pairs: Pairs | None, steps: int
) -> NearPlan:
    """Kernels for field steps of `elapsed` ms with first-order loss `loss` [1/ms], for a history of `steps` steps.

    **Arguments** `distance`: from a spine to its own bouton [um]. `pairs`: from `space.find_pairs`.
    """
    own = near_kernel(messenger, grid, loss, elapsed, distance, steps)
    if pairs is None:
        return NearPlan(own, None)
    return NearPlan(own, pair_kernel(grid, pairs, messenger.diffusion, loss, elapsed, steps))


def near_amount(
    plan: NearPlan, classes: Int[Array, "*S"], pairs: Pairs | None, history: Float[Array, "J *S"]
) -> PerRow:
    """Amount per tissue volume [nM] to add to the sample at each bouton.

    **Arguments** `classes`: of the own-spine term. `history`: rate of each spine in the last steps, newest first
    [molecules/ms].
    """
    own = own_spine(plan.own, classes, history)
    if plan.pairs is None or pairs is None:
        return own
    with jax.named_scope("pairs"):
        return own + from_neighbours(plan.pairs, pairs, history.reshape(history.shape[0], -1)).reshape(own.shape)


def released(messenger: Messenger, made: PerRow) -> PerRow:
    """The part of what was made that enters the medium, in the unit of `made`."""
    return made if messenger.cis is None else made * (1 - messenger.cis.fraction)


def step_cis(messenger: Messenger, pool: PerRow, molecules: PerRow, elapsed: Scalar) -> PerRow:
    """The pools of the direct way after a field step of `elapsed` ms in which `molecules` were made [molecules]."""
    cis = messenger.cis
    if cis is None:
        return pool
    passed = cis.loss * elapsed
    return pool * jnp.exp(-passed) + cis.fraction * molecules * phi1(passed)


def direct(messenger: Messenger, pool: PerRow) -> PerRow | float:
    """What the pools add to the concentration at boutons [nM]."""
    return 0.0 if messenger.cis is None else pool / (messenger.cis.volume * MOLECULES_PER_NM_UM3)


def resting_cis(messenger: Messenger, made: Float[np.ndarray, "*S"]) -> Float[Array, "..."]:
    """Pools in balance with spines that make `made` molecules/ms at rest, or 0 without loss; host only."""
    cis = messenger.cis
    if cis is None:
        return jnp.zeros((0,) * made.ndim)
    loss = float(cis.loss)
    return jnp.asarray(float(cis.fraction) * made / loss if loss > 0 else np.zeros(made.shape), float)
