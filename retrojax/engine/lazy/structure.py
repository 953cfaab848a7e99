"""Pruning and growth: synapses leave and take slots of blocks while every array keeps its shape.

Host functions, called between chunks. A free slot has no target, and nothing of it is ever read; so pruning writes -1,
and growth takes the first free slots of the axon's blocks. Only where an axon has none left, or the parameters no
place, is anything allocated (`room`), and the next chunk compiled anew; `Options.spare` keeps slots for that not to
happen, and `room.add_places` places.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int, UInt8

from retrojax.engine.lazy.assemble import resting
from retrojax.engine.lazy.growth import Growth, Place, alive, check_growth
from retrojax.engine.lazy.readout import up_to_date
from retrojax.engine.lazy.room import add_blocks, add_places, rescaled, set_apart, with_parameters
from retrojax.engine.lazy.state import Axons, LazyState, LazyTissue, Times, Voxels
from retrojax.engine.lazy.wiring import FREE
from retrojax.engine.model import Model
from retrojax.errors import InputError


class Report(NamedTuple):
    """What growth took.

    - `blocks`, `places`: allocated, of slots and for parameters. `recompiles`: whether the next chunk is compiled anew.
    - `early`: new synapses whose axon has calcium of a spike before their birth under way, which will land in them too.
    """

    blocks: int
    places: int
    recompiles: bool
    early: int


class Slots(eqx.Module):
    """What to write, by slot: where (flat; past the last slot writes nothing), and the wiring there.

    `spines`, `boutons` and `near` are None or as in `Voxels`; `count` is by how much the boutons there become more.
    """

    place: Int[Array, " n"]
    post: Int[Array, " n"]
    index: Int[Array, " n"]
    marks: UInt8[Array, " n"]
    delay: Int[Array, " n"]
    spines: Int[Array, " n"] | None
    boutons: Int[Array, " n"] | None
    near: Int[Array, " n"] | None
    count: Int[Array, ""]


def _check_whole(tissue: LazyTissue) -> None:
    """**Raises** `InputError` for a network that is cut among devices."""
    if tissue.cut is not None:
        raise InputError("devices", tissue.cut.devices, "1 where synapses come and go", "build the network on one")


def prune(
    model: Model, tissue: LazyTissue, state: LazyState, ids: Int[np.ndarray, " n"]
) -> tuple[LazyTissue, LazyState]:
    """The network without the synapses `ids`. The memory of `state` is given away: do not use it again.

    Their slots are free and at rest from now on, their parameters keep their places until a new synapse takes them.
    Input already under way arrives; what a spine made since its last field step is lost with it.

    **Raises** `InputError` naming the first id that is not alive, or for a network that is cut among devices.
    """
    _check_whole(tissue)
    ids = np.unique(np.asarray(ids, np.int64))
    place, held = alive(tissue)
    order = np.argsort(held)
    at = np.minimum(np.searchsorted(held, ids, sorter=order), max(held.size - 1, 0))
    found = order[at] if held.size else at
    missing = np.flatnonzero(held[found] != ids) if held.size else np.arange(ids.size)
    if missing.size:
        raise InputError("ids", int(ids[missing[0]]), "ids of living synapses", "leave out those pruned before")
    place = place[found]
    flat = lambda values: None if values is None else np.asarray(values).ravel()[place]  # noqa: E731
    voxels, none = tissue.voxels, np.zeros(place.size, np.int32)
    where = Place(None, None, None) if voxels is None else \
        Place(flat(voxels.spines), flat(voxels.boutons), flat(voxels.near))
    return _written(model, tissue, state, place, none + FREE, flat(tissue.plastic.index), none, none + 1, where, -1)


def grow(
    model: Model, tissue: LazyTissue, state: LazyState, times: Times, new: Growth
) -> tuple[Model, LazyTissue, LazyState, Report]:
    """The network with new synapses at rest. The memory of `state` is given away: do not use it again.

    Their axons' other synapses are brought up to date first, so that the new ones see no spike of before their birth;
    the traces of axon and neuron were there before and are theirs too. Calcium under way on an axon cannot be told
    apart by synapse: it lands in the new ones as well, and the report says in how many.

    The unit of the input stays that of the network as it was built, with its `headroom`; a single input too large for
    the new number of synapses of a neuron is caught as before.

    **Raises** `InputError` naming the first synapse with an id that is taken, an end that does not exist, a delay that
    the rings do not reach, or a position outside the grid; what is missing; `pairs`, whose list is fixed; or a network
    that is cut among devices.
    """
    _check_whole(tissue)
    if tissue.pairs is not None:
        raise InputError("pairs", f"{tissue.pairs.spine.size} close neighbours, found when the network was built",
                         "a network without them", "build it with grid.near_field: own")
    before = _shapes(model, tissue, state)
    delay, where = check_growth(model, tissue, state, times, new)
    tissue, where = set_apart(tissue, where)
    n, axons = new.ids.size, state.touched.size
    asked = np.bincount(new.pre, minlength=axons)
    state = catch_up(model, tissue, state, times, jnp.asarray(asked > 0))
    slot = tissue.plastic.post.shape[1]
    short = np.maximum(asked - _free(tissue, axons)[1], 0)
    if short.any():
        tissue, state = add_blocks(model, tissue, state, -(-short // slot))
    taken, size = np.asarray(tissue.plastic.index).ravel()[alive(tissue)[0]], tissue.ids.size
    if size - taken.size < n:
        model, tissue = add_places(model, tissue)
    index = np.setdiff1d(np.arange(tissue.ids.size), taken)[:n]
    order = np.argsort(new.pre, kind="stable")
    place = np.empty(n, np.int64)
    free, counts = _free(tissue, axons)
    start = np.concatenate([[0], np.cumsum(counts)])[new.pre[order]]
    place[order] = free[start + np.arange(n) - (np.cumsum(asked) - asked)[new.pre[order]]]
    model, tissue = with_parameters(model, tissue, new, index)
    marks = (np.asarray(state.fired) >> 24).astype(np.uint8)[new.post]
    early = int(_under_way(model, state)[new.pre].sum())
    tissue, state = _written(model, tissue, state, place, new.post, index, marks, delay, where, 1)
    tissue = rescaled(tissue, state.post.shape[1])
    changed = _shapes(model, tissue, state) != before
    return model, tissue, state, Report(int((-(-short // slot)).sum()), tissue.ids.size - size, changed, early)


def catch_up(model: Model, tissue: LazyTissue, state: LazyState, times: Times, axons: Bool[Array, " A"]) -> LazyState:
    """The state with all synapses of `axons` brought to the present step. The memory of `state` is given away."""
    return _catch_up((model, tissue, axons), state, times)


@eqx.filter_jit(donate="all-except-first")
def _catch_up(kept: tuple[Model, LazyTissue, Array], state: LazyState, times: Times) -> LazyState:
    model, tissue, axons = kept
    # the others pass for up to date
    behind = eqx.tree_at(lambda s: s.touched, state, jnp.where(axons, state.touched, state.step))
    touched = jnp.where(axons, state.step, state.touched)
    return eqx.tree_at(lambda s: (s.touched, s.synced), up_to_date(model, tissue, behind, times),
                       (touched, state.synced))


def _free(tissue: LazyTissue, axons: int) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " A"]]:
    """Free slots (flat) of all axons in turn, and how many each has."""
    post, owned = np.asarray(tissue.plastic.post), int(tissue.plastic.first[-1])
    free = np.flatnonzero(post[:owned].ravel() == FREE)
    return free, np.bincount(np.asarray(tissue.plastic.owner)[free // post.shape[1]], minlength=axons)


def _under_way(model: Model, state: LazyState) -> Bool[np.ndarray, " A"]:
    """Axons that have calcium of a spike under way to their spines."""
    landing = round(float(model.synapse.spine.delay) / float(model.dt))
    arrivals = np.asarray(state.arrivals)
    real = np.arange(arrivals.shape[1] - 1) < arrivals[:, :1]
    return np.any(real & (arrivals[:, 1:] + landing > int(state.step)), axis=1)


def _shapes(*trees) -> tuple:
    leaves, structure = jax.tree.flatten(trees)
    return structure, [(leaf.shape, leaf.dtype) for leaf in leaves]


def _written(
    model: Model, tissue: LazyTissue, state: LazyState, place, post, index, marks, delay, where: Place, count: int
) -> tuple[LazyTissue, LazyState]:
    """Slots with new wiring, at rest; lists are padded to a power of two, so that few lengths are ever compiled."""
    missing = (1 << max(place.size - 1, 0).bit_length()) - place.size

    def padded(values, dtype=np.int32, fill: int = 0):
        if values is None:
            return None
        return jnp.asarray(np.pad(np.asarray(values, dtype), (0, missing), constant_values=fill))

    slots = Slots(padded(place, fill=tissue.plastic.post.size), padded(post), padded(index), padded(marks, np.uint8),
                  padded(delay), padded(where.spines), padded(where.boutons), padded(where.near),
                  jnp.asarray(count, jnp.int32))
    return _write((model, tissue, slots), state)


@eqx.filter_jit(donate="all-except-first")
def _write(kept: tuple[Model, LazyTissue, Slots], state: LazyState) -> tuple[LazyTissue, LazyState]:
    model, tissue, slots = kept
    row, column = jnp.divmod(slots.place, tissue.plastic.post.shape[1])
    at = lambda values, new: values.at[row, column].set(jnp.asarray(new, values.dtype), mode="drop")  # noqa: E731
    makers, cells, calm = resting(model, eqx.tree_at(lambda t: t.plastic.index, tissue, slots.index[None]))
    axons, voxels = tissue.plastic, tissue.voxels
    axons = Axons(axons.first, axons.owner, at(axons.post, slots.post), at(axons.index, slots.index),
                  at(axons.delay, slots.delay) if axons.delay.ndim else axons.delay)
    if voxels is not None:
        bouton = slots.spines if voxels.boutons is None else slots.boutons
        more = jnp.where(slots.place < axons.post.size, slots.count, 0)
        voxels = Voxels(at(voxels.spines, slots.spines),
                        None if voxels.boutons is None else at(voxels.boutons, slots.boutons),
                        None if voxels.near is None else at(voxels.near, slots.near),
                        voxels.crowd.at[bouton].add(more), voxels.room)
    tissue = eqx.tree_at(lambda t: (t.plastic, t.voxels), tissue, (axons, voxels), is_leaf=lambda x: x is None)
    state = eqx.tree_at(
        lambda s: (s.makers, s.cells, s.calm, s.hot, s.marks, s.emitted, s.cis), state,
        (state.makers.at[row, :, column].set(makers[0].T, mode="drop"),
         state.cells.at[row, :, column].set(cells[0].T, mode="drop"),
         tuple(at(values, rest[0]) for values, rest in zip(state.calm, calm, strict=True)),
         state.hot.at[row, :, column].set(False, mode="drop"), at(state.marks, slots.marks),
         tuple(values.at[:, row, column].set(0.0, mode="drop") for values in state.emitted),
         tuple(values.at[row, column].set(0.0, mode="drop") if values.size else values for values in state.cis)))
    return tissue, state
