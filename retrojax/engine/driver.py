"""The host loop: compiled chunk, check, hand over. It owns time; everything else is called from here."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.model import Model
from retrojax.engine.schedules import AnyState, AnyTissue, Schedule
from retrojax.errors import ERROR_TEXTS, ErrorBit, RunError


class Chunk(NamedTuple):
    """One finished chunk: the state after it, what it recorded, the ticks it covers.

    The state is good until the next chunk starts, which may take its memory.
    """

    state: AnyState
    record: Any
    start: int
    stop: int


def stops(start: int, end: int, chunk: int, edges: Iterable[int]) -> list[int]:
    """Ticks at which the loop hands over: every multiple of `chunk`, every edge, and the end.

    They do not depend on where a run was cut, so a resumed run makes the same calls.
    """
    regular = range(chunk * (start // chunk + 1), end, chunk)
    return sorted({*regular, *(edge for edge in edges if start < edge < end), end})


def drive_chunks(
    schedule: Schedule,
    model_at: Callable[[int], Model],
    tissue: AnyTissue,
    state: AnyState,
    end: int,
    changes: Sequence[int],
    edges: Sequence[int],
    on_chunk: Callable[[Chunk], None],
) -> AnyState:
    """Run from `state.tick` to tick `end`.

    **Arguments**

    - `model_at`: the model in force from a tick on (sleep stages and interventions patch it); constant between
      `changes`, where synapses are brought up to date so that none flows under values that were not yet in force.
    - `edges`: ticks at which a recorder wants the state.
    - `on_chunk`: called after every chunk whose state is sound.

    **Raises** `RunError` within one chunk of the first value that is not finite, naming the variable and the synapse.
    """
    start = int(state.tick)
    for stop in stops(start, end, schedule.clocks.chunk, [*edges, *changes]):
        model = model_at(start)
        state, record = schedule.run(model, tissue, state, stop - start)
        if stop in changes:
            state = schedule.settled(model, tissue, state)
        problem = diagnose(schedule, model, tissue, state)
        if problem:
            raise RunError(f"stopped between tick {start} and {stop}: {problem}")
        on_chunk(Chunk(state, record, start, stop))
        start = stop
    return state


@jax.jit
def _sound(state: AnyState) -> jax.Array:
    finite = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(state)
              if jnp.issubdtype(leaf.dtype, jnp.inexact)]
    return jnp.all(jnp.stack(finite)) & (state.errors == 0)


def diagnose(schedule: Schedule, model: Model, tissue: AnyTissue, state: AnyState) -> str | None:
    """What is wrong with a state, in words; None if nothing is."""
    if bool(_sound(state)):
        return None
    found = schedule.unfit(model, tissue, state)
    if found:
        return f"{ERROR_TEXTS[ErrorBit.NON_FINITE]}: {found}"
    neurons = schedule.neurons(tissue, state)
    named = [(f"neurons.{name}", leaf) for name, leaf in zip(neurons._fields, neurons, strict=True)]
    named += [(f"field of {m.name}", leaf) for m, leaf in zip(model.messengers, state.fields, strict=True)]
    named += [(f"release of {m.name}", leaf) for m, leaf in zip(model.messengers, state.emitted, strict=True)]
    named += [(f"direct way of {m.name}", leaf) for m, leaf in zip(model.messengers, state.cis, strict=True)]
    if state.astrocytes is not None:
        inside = state.astrocytes.inside
        named += [(f"astrocytes.{name}", leaf) for name, leaf in zip(inside._fields, inside, strict=True)]
    for name, leaf in named:
        wrong = np.argwhere(~np.isfinite(np.asarray(leaf)))
        if wrong.size:
            return f"{ERROR_TEXTS[ErrorBit.NON_FINITE]}: {name} at index {tuple(int(i) for i in wrong[0])}"
    bits = ErrorBit(int(state.errors))
    return "; ".join(text for bit, text in ERROR_TEXTS.items() if bit in bits) or ERROR_TEXTS[ErrorBit.NON_FINITE]
