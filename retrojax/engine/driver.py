"""The host loop: compiled chunk, check, hand over. It owns time; everything else is called from here."""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.model import Clocks, Model, NetworkState, Tissue
from retrojax.engine.network import ChunkRecord, run_chunk
from retrojax.engine.rows import channels
from retrojax.errors import ERROR_TEXTS, ErrorBit, RunError


class Chunk(NamedTuple):
    """One finished chunk: the state after it, what it recorded, the ticks it covers."""

    state: NetworkState
    record: ChunkRecord
    start: int
    stop: int


def stops(start: int, end: int, chunk: int, edges: Iterable[int]) -> list[int]:
    """Ticks at which the loop hands over: every multiple of `chunk`, every edge, and the end.

    They do not depend on where a run was cut, so a resumed run makes the same calls.
    """
    regular = range(chunk * (start // chunk + 1), end, chunk)
    return sorted({*regular, *(edge for edge in edges if start < edge < end), end})


def drive_chunks(
    model_at: Callable[[int], Model],
    tissue: Tissue,
    state: NetworkState,
    clocks: Clocks,
    end: int,
    edges: Sequence[int],
    on_chunk: Callable[[Chunk], None],
) -> NetworkState:
    """Run from `state.tick` to tick `end`.

    **Arguments**

    - `model_at`: the model in force from a tick on (sleep stages and interventions patch it); constant between `edges`.
    - `edges`: ticks at which it changes or a recorder wants the state.
    - `on_chunk`: called after every chunk whose state is sound.

    **Raises** `RunError` within one chunk of the first value that is not finite, naming the variable and the synapse.
    """
    start = int(state.tick)
    for stop in stops(start, end, clocks.chunk, edges):
        state, record = run_chunk(model_at(start), tissue, state, clocks, jnp.asarray(stop - start, jnp.int32))
        problem = diagnose(model_at(start), tissue, state)
        if problem:
            raise RunError(f"stopped between tick {start} and {stop}: {problem}")
        on_chunk(Chunk(state, record, start, stop))
        start = stop
    return state


@jax.jit
def _sound(state: NetworkState) -> jax.Array:
    parts = (state.rows, state.neurons, state.fields, state.emitted)
    finite = [jnp.all(jnp.isfinite(leaf)) for leaf in jax.tree.leaves(parts)]
    return jnp.all(jnp.stack(finite)) & (state.errors == 0)


def diagnose(model: Model, tissue: Tissue, state: NetworkState) -> str | None:
    """What is wrong with a state, in words; None if nothing is."""
    if bool(_sound(state)):
        return None
    rows = np.asarray(state.rows)
    bad = ~np.isfinite(rows)
    if bad.any():
        channel, row = np.argwhere(bad)[0]
        return (f"{ERROR_TEXTS[ErrorBit.NON_FINITE]}: {channels(model.synapse)[channel]} of synapse "
                f"{int(tissue.ids[row])} (from neuron {int(tissue.pre[row])} to {int(tissue.post[row])}) is "
                f"{rows[channel, row]}; {int(bad.any(axis=0).sum())} synapses are affected")
    named = [(f"neurons.{name}", leaf) for name, leaf in zip(state.neurons._fields, state.neurons, strict=True)]
    named += [(f"field of {m.name}", leaf) for m, leaf in zip(model.messengers, state.fields, strict=True)]
    named += [(f"release of {m.name}", leaf) for m, leaf in zip(model.messengers, state.emitted, strict=True)]
    for name, leaf in named:
        wrong = np.argwhere(~np.isfinite(np.asarray(leaf)))
        if wrong.size:
            return f"{ERROR_TEXTS[ErrorBit.NON_FINITE]}: {name} at index {tuple(int(i) for i in wrong[0])}"
    bits = ErrorBit(int(state.errors))
    return "; ".join(text for bit, text in ERROR_TEXTS.items() if bit in bits)
