"""The clocked network: neurons and every synapse at every dt, messengers at field steps, in one compiled chunk."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from retrojax.engine.astrocytes import blank_calcium, note_calcium, step_astrocytes
from retrojax.engine.compiled import compiled
from retrojax.engine.field_step import FieldPlan, field_step, plan_fields, slow_step
from retrojax.engine.kernel import touch
from retrojax.engine.model import Clocks, Model, NetworkState, Tissue
from retrojax.errors import ErrorBit
from retrojax.numerics import Draws
from retrojax.parts.drive import AbstractDrive
from retrojax.parts.neuron import AbstractNeuron
from retrojax.space import from_fixed, to_fixed
from retrojax.types import PerRow, Rows, Scalar, SeedKey

BACKGROUND = 2**31 - 1
"""Branch of the key that a background draws from; no step of a drive has that number."""


class ChunkRecord(NamedTuple):
    """What a chunk hands to the recorders; entries past the ticks that ran are stale.

    - `spikes`: which neuron spiked in which step. `levels`: of every messenger after every tick.
    - `calcium`: of every astrocyte after every tick [uM]; None without astrocytes.
    """

    spikes: Bool[Array, "T steps N"]
    levels: Float[Array, "T M 3"]
    calcium: Float[Array, "T A"] | None = None


class OutsidePlan(NamedTuple):
    """What a step needs of the parameters of the sources, and of the background if there is one."""

    drive: Any
    background: Any


@compiled
def run_chunk(
    model: Model, tissue: Tissue, state: NetworkState, clocks: Clocks, ticks: Int[Array, ""]
) -> tuple[NetworkState, ChunkRecord]:
    """Advance by `ticks` ticks, at most `clocks.chunk`.

    The number of ticks is data: every chunk runs the same compiled code, so splitting a run differently cannot change
    one bit of it.
    """
    tick_ms = model.dt * clocks.steps
    plans = plan_fields(model, tissue, state, tuple(tick_ms * every for every in clocks.every))
    outside = plan_outside(model)
    neurons = state.neurons.v.size
    blank = ChunkRecord(
        jnp.zeros((clocks.chunk, clocks.steps, neurons), bool),
        jnp.zeros((clocks.chunk, *state.levels.shape), state.levels.dtype), blank_calcium(state, clocks.chunk),
    )

    def body(number, carry):
        state, record = carry
        state, spikes = _tick(model, tissue, state, clocks, plans, outside)
        return state, ChunkRecord(record.spikes.at[number].set(spikes), record.levels.at[number].set(state.levels),
                                  note_calcium(record.calcium, state, number))

    return jax.lax.fori_loop(0, ticks, body, (state, blank))


def _tick(
    model: Model, tissue: Tissue, state: NetworkState, clocks: Clocks, plans: tuple[FieldPlan, ...],
    outside: OutsidePlan,
):
    """Neuron steps, then the field steps due, then the slow step if due."""
    state, spikes = jax.lax.scan(lambda s, _: _step(model, tissue, s, outside), state, length=clocks.steps)
    state = eqx.tree_at(lambda s: s.tick, state, state.tick + 1)
    for which, (every, plan_) in enumerate(zip(clocks.every, plans, strict=True)):
        state = when(every, state, lambda s, w=which, p=plan_: field_step(model, tissue, s, w, p))
    state = step_astrocytes(model, tissue, state, clocks.steps)
    elapsed = model.dt * (clocks.steps * clocks.slow)
    state = when(
        clocks.slow, state, lambda s: eqx.tree_at(lambda t: t.rows, s, slow_step(model.synapse, s.rows, elapsed))
    )
    return state, spikes


def when(every: int, state: NetworkState, step):
    """`step(state)` on every tick that `every` divides."""
    return step(state) if every == 1 else jax.lax.cond(state.tick % every == 0, step, lambda s: s, state)


def _step(
    model: Model, tissue: Tissue, state: NetworkState, outside: OutsidePlan
) -> tuple[NetworkState, Bool[Array, " N"]]:
    """One dt: membranes, source spikes, then every synapse at the instant that ends the step."""
    slot = state.slot + 1
    here = slot % state.arriving.shape[0]
    excitation, inhibition = received(model.neurons, state.arriving[here], tissue.input_scale)
    excitation = with_background(model, outside.background, excitation, state.cursor, state.lap, state.key)
    neurons, spiked = model.neurons.step(state.neurons, model.dt, excitation, inhibition)
    fired = jnp.concatenate([spiked, outside_spikes(model.drive, outside.drive, state.cursor, state.lap, state.key)])
    rows, history, sent = step_rows(model, tissue, state, slot, fired)
    arriving, overflow = _deliver(model, tissue, state.arriving.at[here].set(0), slot, fired, sent)
    errors = state.errors | jnp.where(overflow, int(ErrorBit.INPUT_OVERFLOW), 0)
    cursor, lap = turn(model.drive, state.cursor + 1, state.lap)
    return eqx.tree_at(
        lambda s: (s.rows, s.neurons, s.arriving, s.fired, s.cursor, s.lap, s.slot, s.errors),
        state,
        (rows, neurons, arriving, history, cursor, lap, wrapped(state, slot), errors),
    ), spiked


def step_rows(
    model: Model, tissue: Tissue, state: NetworkState, slot: Int[Array, ""], fired: Bool[Array, " A"]
) -> tuple[Rows, Bool[Array, "R A"], PerRow]:
    """Every synapse at the instant that ends a step in which `fired` spiked: rows, recent spikes, what was sent."""
    depth = state.fired.shape[0]
    history = state.fired.at[slot % depth].set(fired)
    back = jnp.rint(model.synapse.spine.delay / model.dt).astype(jnp.int32)
    now = (history[(slot - back) % depth][tissue.pre], fired[tissue.pre], fired[tissue.post])
    rows, sent = touch(model.synapse, state.rows, model.dt, now, Draws(state.key, tissue.ids))
    return rows, history, sent


def wrapped(state: NetworkState, slot: Int[Array, ""]) -> Int[Array, ""]:
    """The slot in the two rings, which have coprime use: it wraps at a common multiple of both lengths."""
    return jnp.where(slot == state.arriving.shape[0] * state.fired.shape[0], 0, slot)


def outside_spikes(drive: AbstractDrive, plan: Any, cursor: Int[Array, ""], lap: Int[Array, ""], key: SeedKey):
    """Which sources outside the network spike in a step, counted by (lap, cursor)."""
    return drive.spikes(plan, cursor, jax.random.fold_in(key, lap))


def plan_outside(model: Model) -> OutsidePlan:
    """The plan of a model; computed once, outside the loop over steps."""
    return OutsidePlan(model.drive.plan(model.dt), None if model.background is None
                       else model.background.plan(model.dt))


def received(
    neurons: AbstractNeuron, totals: Int[Array, "R N"], scale: Scalar
) -> tuple[Float[Array, " N"], Float[Array, " N"]]:
    """Excitation and inhibition of a step from their fixed-point sums; all of it as the first where they only add."""
    if neurons.receptors == 1:
        total = from_fixed(totals.sum(axis=0, dtype=totals.dtype), scale)
        return total, jnp.zeros_like(total)
    excitation, inhibition = from_fixed(totals, scale)
    return excitation, inhibition


def with_background(
    model: Model, plan: Any, excitation: Float[Array, " N"], cursor: Int[Array, ""], lap: Int[Array, ""], key: SeedKey
) -> Float[Array, " N"]:
    """Excitatory input of a step and what the background adds to it, counted by (lap, cursor)."""
    if model.background is None:
        return excitation
    branch = jax.random.fold_in(jax.random.fold_in(key, lap), BACKGROUND)
    return excitation + model.background.input(plan, cursor, branch, excitation.size)


def turn(drive: AbstractDrive, cursor: Int[Array, ""], lap: Int[Array, ""]) -> tuple[Array, Array]:
    """The cursor inside the drive's period, and the laps done; a period may be shorter than a block of steps."""
    over = cursor // drive.period
    return cursor - over * drive.period, lap + over


def _deliver(model: Model, tissue: Tissue, arriving, slot, fired, sent):
    """Add what was sent to the input of its neurons, in fixed point: the sum is the same in any order."""
    plastic = sent * model.weight
    factor = jnp.where(tissue.fixed_inhibits, model.inhibition, 1.0)
    fixed = jnp.where(fired[tissue.fixed_pre], model.fixed_weight * factor, 0.0)
    sums = jnp.concatenate([plastic, fixed, jnp.zeros(1, plastic.dtype)])
    units = to_fixed(sums, tissue.input_scale)
    most = max(group.rows.shape[1] for group in tissue.inputs)
    overflow = jnp.any(jnp.abs(sums) * tissue.input_scale > (2.0**31 - 1) / most)
    for group, delay, receptor in zip(tissue.inputs, tissue.delays, tissue.receptors, strict=True):
        sums = units[group.rows].sum(axis=1, dtype=units.dtype)
        arriving = arriving.at[(slot + delay) % arriving.shape[0], receptor].add(sums)
    return arriving, overflow
