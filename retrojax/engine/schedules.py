"""The two schedules of a network behind one face, so that drivers, recorders and checkpoints need not know which runs.

`Clocked` touches every synapse at every step and runs every part. `Lazy` touches a synapse when its axon spikes and
where something must know it; it gives the same spikes (law 2) and refuses parts that need the membrane at every step.
"""

from typing import Any, NamedTuple, Protocol, runtime_checkable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from retrojax.engine import network
from retrojax.engine.kernel import effective_p, strength
from retrojax.engine.lazy import network as lazy
from retrojax.engine.lazy.cut import along, everywhere, on_each
from retrojax.engine.lazy.epoch import needs_turn, turn_epoch
from retrojax.engine.lazy.field import unpacked
from retrojax.engine.lazy.growth import alive
from retrojax.engine.lazy.readout import flushed, in_order, spike_list, up_to_date
from retrojax.engine.lazy.state import LazyRecord, LazyState, LazyTissue, Times
from retrojax.engine.model import Clocks, Model, NetworkState, Neurons, Tissue
from retrojax.engine.network import ChunkRecord
from retrojax.engine.rows import Synapse, SynapseState, channels, unpack

AnyState = NetworkState | LazyState
AnyTissue = Tissue | LazyTissue


class Strengths(NamedTuple):
    """What synapses are worth now, in the caller's order, [S].

    - `p_release`: expressed. `p_effective`: with what messengers do to it. `weight`: input at full release.
    """

    p_release: Float[np.ndarray, " S"]
    p_effective: Float[np.ndarray, " S"]
    weight: Float[np.ndarray, " S"]


@runtime_checkable
class Schedule(Protocol):
    """How a network advances."""

    @property
    def clocks(self) -> Clocks:
        """Time structure."""

    @property
    def name(self) -> str:
        """As a config spells it."""

    def run(self, model: Model, tissue: Any, state: Any, ticks: int) -> tuple[Any, Any]:
        """The state `ticks` ticks later, and the record. The state given must not be used again."""

    def settled(self, model: Model, tissue: Any, state: Any) -> Any:
        """The state with every synapse up to date: call it before parameters change."""

    def spikes(self, record: Any, ticks: int) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
        """Step (from 0) and neuron of every spike of a record, in order."""

    def work(self, record: Any) -> Int[np.ndarray, "5"]:
        """Blocks, passes over rows, blocks that needed more than one, early syncs, most blocks in one; 0 if unknown."""

    def strengths(self, model: Model, tissue: Any, state: Any) -> Strengths:
        """What every synapse is worth, from a copy: reading never changes a run."""

    def unfit(self, model: Model, tissue: Any, state: Any) -> str | None:
        """The first synapse with a value that is not finite, in words."""

    def neurons(self, tissue: Any, state: Any) -> Neurons:
        """The membranes, in the caller's order."""


class Clocked(NamedTuple):
    """Every synapse at every step."""

    clocks: Clocks
    name: str = "clocked"

    def run(self, model: Model, tissue: Tissue, state: NetworkState, ticks: int) -> tuple[NetworkState, ChunkRecord]:
        return network.run_chunk(model, tissue, state, self.clocks, jnp.asarray(ticks, jnp.int32))

    def settled(self, model: Model, tissue: Tissue, state: NetworkState) -> NetworkState:
        return state

    def spikes(self, record: ChunkRecord, ticks: int):
        raster = np.asarray(record.spikes[:ticks])
        return np.nonzero(raster.reshape(-1, raster.shape[2]))

    def work(self, record: ChunkRecord):
        return np.zeros(5, np.int64)

    def strengths(self, model: Model, tissue: Tissue, state: NetworkState) -> Strengths:
        return Strengths(*(np.asarray(x) for x in _of_rows(model, state.rows)))

    def unfit(self, model: Model, tissue: Tissue, state: NetworkState) -> str | None:
        rows = np.asarray(state.rows)
        return _first_bad(channels(model.synapse), rows, tissue.ids, tissue.pre, tissue.post)

    def neurons(self, tissue: Tissue, state: NetworkState) -> Neurons:
        return state.neurons


class Lazy(NamedTuple):
    """Rows when their axon spikes, and where something must know them."""

    clocks: Clocks
    times: Times
    name: str = "lazy"

    def run(self, model: Model, tissue: LazyTissue, state: LazyState, ticks: int) -> tuple[LazyState, LazyRecord]:
        if needs_turn(int(state.step), self.times, ticks):
            state = turn_epoch(state, self.times)
        return lazy.run_chunk(everywhere(tissue, model), tissue, state, self.times, jnp.asarray(ticks, jnp.int32))

    def settled(self, model: Model, tissue: LazyTissue, state: LazyState) -> LazyState:
        return up_to_date(model, tissue, state, self.times)

    def spikes(self, record: LazyRecord, ticks: int):
        return spike_list(np.asarray(record.spikes[:ticks * self.times.blocks]), self.times.block)

    def work(self, record: LazyRecord):
        return np.asarray(record.passes, np.int64)

    def strengths(self, model: Model, tissue: LazyTissue, state: LazyState) -> Strengths:
        found = _of_blocks(model, tissue, state, self.times)
        return Strengths(*(in_order(tissue, np.asarray(x)) for x in found))

    def unfit(self, model: Model, tissue: LazyTissue, state: LazyState) -> str | None:
        plastic, layout = tissue.plastic, tissue.layout
        live, ids = alive(tissue)
        values = [np.asarray(x) for x in (*state.channels, *state.calm)]
        if not values:
            return None
        by_slot = np.stack([x.ravel()[live] for x in values])
        pre, post = np.repeat(np.asarray(plastic.owner), plastic.post.shape[1]), np.asarray(plastic.post).ravel()
        if tissue.cut is not None:
            parts = np.repeat(np.arange(tissue.cut.devices), post.size // tissue.cut.devices)
            post = tissue.cut.members()[parts, np.maximum(post, 0)]
        return _first_bad((*layout.names, *layout.calm_names), by_slot, ids, pre[live], post[live])

    def neurons(self, tissue: LazyTissue, state: LazyState) -> Neurons:
        return state.neurons if tissue.cut is None else jax.tree.map(tissue.cut.in_order, state.neurons)


@jax.jit
def _of_rows(model: Model, rows: Array) -> tuple[Array, Array, Array]:
    return _worth(model.synapse, model.weight, unpack(model.synapse, rows))


@eqx.filter_jit
def _of_blocks(model: Model, tissue: LazyTissue, state: LazyState, times: Times) -> tuple[Array, Array, Array]:
    def one(model: Model, tissue: LazyTissue, state: LazyState):
        synapse, held = unpacked(model, tissue, flushed(model, tissue, state, times))
        weight = model.weight[tissue.plastic.index] if model.weight.ndim else model.weight
        return state, _worth(synapse, weight, held)

    return on_each(one, model, tissue, state, (along(0),) * 3)[1]


def _worth(synapse: Synapse, weight: Array, held: SynapseState) -> tuple[Array, Array, Array]:
    shape = held.expression.q.shape
    return (held.expression.p_release, jnp.broadcast_to(effective_p(synapse, held), shape),
            jnp.broadcast_to(weight * strength(synapse, held), shape))


def _first_bad(names: tuple[str, ...], values: np.ndarray, ids: Any, pre: Any, post: Any) -> str | None:
    bad = ~np.isfinite(values)
    if not bad.any():
        return None
    channel, row = np.argwhere(bad)[0]
    return (f"{names[channel]} of synapse {int(ids[row])} (from neuron {int(pre[row])} to {int(post[row])}) is "
            f"{values[channel, row]}; {int(bad.any(axis=0).sum())} synapses are affected")
