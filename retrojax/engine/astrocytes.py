"""Astrocytes of a network run: what reaches a domain makes IP3, calcium answers, gliotransmitter leaves.

The cells step at a clock of their own, a whole number of ticks, after the field steps of that tick. A step reads the
mean concentration of the messengers over every domain, holds it while the cells take their Runge-Kutta steps, and adds
what left to `pending` of the messenger, which enters as a source over its next field step. So no molecule is lost, and
both schedules do the same.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from retrojax.engine.model import Astrocytes, Cells, Domains, Messenger, Model
from retrojax.engine.transport import room
from retrojax.parts.gliorelease import GlioreleaseState
from retrojax.types import Field, PerRow, Scalar

REST_MS = 300e3
"""Time in which cells settle before a run [ms]; the slowest of their rates is 1/(20 s)."""

REST_STEP_MS = 20.0
"""Runge-Kutta step of that [ms]."""


def step_astrocytes(model: Model, tissue: Any, state: Any, steps: int) -> Any:
    """The state of a network of either schedule after the astrocytes' step, if one is due at its tick.

    **Arguments**

    - `steps`: neuron steps per tick.
    """
    if model.astrocytes is None:
        return state
    glia, elapsed = model.astrocytes, model.dt * (steps * model.astrocytes.every)

    def due(state):
        with jax.named_scope("astrocytes"):
            levels = domain_levels(glia, model.messengers, tissue.domains, state.fields)
            cells, left = advance_cells(glia, state.astrocytes, elapsed, levels, tissue.domains.neighbours)
            pending = secreted(glia, model.messengers, tissue.domains, state.pending, left)
        return eqx.tree_at(lambda s: (s.astrocytes, s.pending), state, (cells, pending))

    return due(state) if glia.every == 1 else \
        jax.lax.cond(state.tick % glia.every == 0, due, lambda s: s, state)


def domain_levels(
    glia: Astrocytes, messengers: tuple[Messenger, ...], domains: Domains, fields: tuple[Field, ...]
) -> dict[int, Float[Array, " A"]]:
    """Mean concentration over every domain [nM] of the messengers that astrocytes sense, by their number."""
    sensed = {sensor.messenger for sensor in glia.sensors}
    sensed |= set() if glia.transmitter is None else {glia.transmitter}
    found = {}
    for which in sorted(sensed):
        concentration = (jnp.maximum(fields[which], 0.0) / room(messengers[which])).reshape(-1)
        # a gather and a sum along rows: the same bits on every run, which a scatter does not promise everywhere
        inside = concentration.at[domains.voxels].get(mode="fill", fill_value=0.0)
        found[which] = inside.sum(axis=1) / domains.size
    return found


def advance_cells(
    glia: Astrocytes, cells: Cells, elapsed: Scalar, levels: dict[int, Float[Array, " A"]],
    neighbours: Int[Array, "A D"],
) -> tuple[Cells, tuple[PerRow, ...]]:
    """The cells `elapsed` ms later at levels [nM] that are held.

    **Returns** them, and by how much the concentration in their domains rises by each secretion [nM].
    """
    zero = jnp.zeros_like(cells.inside.C)
    transmitter = zero if glia.transmitter is None else levels[glia.transmitter] / 1000.0  # uM
    sensed = sum((_drive(s.rate, s.half, s.hill, levels[s.messenger]) for s in glia.sensors), start=zero)
    between = jnp.zeros_like if glia.junctions is None else glia.junctions.network(neighbours)
    dt = elapsed / glia.substeps

    def one(carry, _):
        (before, ready), left = carry
        after = glia.cell.step(before, dt, transmitter, lambda ip3: between(ip3) + sensed)
        stores = [s.release.step(GlioreleaseState(zero, x), dt, before.C, after.C)
                  for s, x in zip(glia.secretions, ready, strict=True)]
        left = tuple(total + store.G for total, store in zip(left, stores, strict=True))
        return (Cells(after, tuple(store.x_A for store in stores)), left), None

    start = (cells, tuple(zero for _ in glia.secretions))
    return jax.lax.scan(one, start, None, length=glia.substeps)[0]


def secreted(
    glia: Astrocytes, messengers: tuple[Messenger, ...], domains: Domains, pending: tuple[Array, ...],
    left: tuple[PerRow, ...],
) -> tuple[Array, ...]:
    """`pending` with what left in every domain: an equal rise of concentration [nM] in all its voxels."""
    found = list(pending)
    for secretion, rise in zip(glia.secretions, left, strict=True):
        which = secretion.messenger
        everywhere = jnp.where(domains.label >= 0, rise[jnp.maximum(domains.label, 0)], 0.0)
        found[which] = found[which] + everywhere * room(messengers[which])
    return tuple(found)


@eqx.filter_jit
def resting_cells(model: Model, domains: Domains, fields: tuple[Field, ...]) -> Cells:
    """Cells as they are after 300 s with the messengers that are there at rest, with full stores.

    Where calcium oscillates at rest, that is some place on its cycle, the same for equal cells.
    """
    glia = model.astrocytes
    assert glia is not None
    count = domains.size.size
    silent = Astrocytes(glia.cell, glia.junctions, glia.sensors, (), glia.transmitter, 1, round(REST_MS / REST_STEP_MS))
    levels = domain_levels(glia, model.messengers, domains, fields)
    start = Cells(glia.cell.init(count, C=0.05, h=0.9, I=0.1), ())
    settled, _ = advance_cells(silent, start, jnp.asarray(REST_MS), levels, domains.neighbours)
    return Cells(settled.inside, tuple(s.release.init(count).x_A for s in glia.secretions))


def blank_calcium(state: Any, ticks: int) -> Float[Array, "T A"] | None:
    """Room for the calcium of every tick of a chunk; None without astrocytes."""
    if state.astrocytes is None:
        return None
    calcium = state.astrocytes.inside.C
    return jnp.zeros((ticks, calcium.size), calcium.dtype)


def note_calcium(record: Float[Array, "T A"] | None, state: Any, number: Int[Array, ""]) -> Float[Array, "T A"] | None:
    """The record with the calcium [uM] after tick `number` of a chunk."""
    return None if record is None else record.at[number].set(state.astrocytes.inside.C)


def _drive(rate: Scalar, half: Scalar, hill: Scalar, concentration: PerRow) -> PerRow:
    """Production of IP3 by a sensor [uM/ms]."""
    safe = jnp.where(concentration > 0, concentration, half)  # the logarithm of 0 would spoil gradients
    return jnp.where(concentration > 0, rate * jax.nn.sigmoid(hill * jnp.log(safe / half)), 0.0)
