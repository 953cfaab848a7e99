"""Room for growth: blocks for axons that have no free slot left, and places for parameters. Host only.

Shapes change here and nowhere else after a network is built, so the next chunk is compiled anew.
"""

import dataclasses
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Int

from retrojax.engine.lazy.assemble import resting
from retrojax.engine.lazy.growth import Growth, Place
from retrojax.engine.lazy.state import Axons, Capacity, LazyState, LazyTissue, Voxels
from retrojax.engine.lazy.wiring import FREE
from retrojax.engine.model import Model

NOBODY = -1
"""Id at a place of the parameters that no synapse has taken yet."""


def add_places(model: Model, tissue: LazyTissue) -> tuple[Model, LazyTissue]:
    """Parameters and ids with a place for every slot, so that growth into free slots changes no shape.

    Call it right after building to have the one compilation before the run. New places repeat the last value.
    """
    missing = max(tissue.plastic.post.size - tissue.ids.size, 0)
    longer = lambda values: jnp.pad(values, (0, missing), mode="edge") if values.ndim else values  # noqa: E731
    if tissue.ids.size:
        model = eqx.tree_at(lambda m: (m.synapse, m.weight), model,
                            (jax.tree.map(longer, model.synapse), longer(model.weight)))
    else:  # nothing to repeat: whatever stands there is overwritten when a place is taken
        zeros = lambda values: jnp.zeros(missing, values.dtype) if values.ndim else values  # noqa: E731
        model = eqx.tree_at(lambda m: (m.synapse, m.weight), model,
                            (jax.tree.map(zeros, model.synapse), zeros(model.weight)))
    return model, eqx.tree_at(lambda t: t.ids, tissue, jnp.pad(tissue.ids, (0, missing), constant_values=NOBODY))


def add_blocks(
    model: Model, tissue: LazyTissue, state: LazyState, blocks: Int[np.ndarray, " A"]
) -> tuple[LazyTissue, LazyState]:
    """The network with `blocks[a]` more blocks of free slots for axon a, behind those it has."""
    axons = tissue.plastic
    first = np.asarray(axons.first)
    source = np.insert(np.arange(first[-1]), np.repeat(first[1:], blocks), -1)
    owned = np.diff(first) + blocks
    old, new = jnp.asarray(np.maximum(source, 0)), jnp.asarray(source < 0)

    def moved(values, empty=0, axis: int = 0):
        fresh = jnp.expand_dims(new, [k for k in range(values.ndim) if k != axis])
        return jnp.where(fresh, jnp.asarray(empty, values.dtype), jnp.take(values, old, axis=axis))

    makers, cells, calm = resting(model, eqx.tree_at(lambda t: t.plastic.index, tissue, jnp.zeros((1, 1), jnp.int32)))
    voxels = tissue.voxels
    if voxels is not None:
        voxels = Voxels(moved(voxels.spines), None if voxels.boutons is None else moved(voxels.boutons),
                        None if voxels.near is None else moved(voxels.near), voxels.crowd, voxels.room)
    plastic = Axons(
        jnp.asarray(np.concatenate([[0], np.cumsum(owned)]), jnp.int32),
        jnp.asarray(np.repeat(np.arange(owned.size), owned), jnp.int32), moved(axons.post, FREE), moved(axons.index),
        moved(axons.delay, 1) if axons.delay.ndim else axons.delay)
    tissue = dataclasses.replace(tissue, plastic=plastic, voxels=voxels, capacity=_wide(tissue, int(owned.max())))
    # a cell at rest is the same in every free slot
    return tissue, eqx.tree_at(
        lambda s: (s.makers, s.cells, s.calm, s.hot, s.marks, s.emitted, s.cis), state,
        (moved(state.makers, makers), moved(state.cells, cells),
         tuple(moved(x, rest) for x, rest in zip(state.calm, calm, strict=True)),
         moved(state.hot), moved(state.marks), tuple(moved(x, axis=1) for x in state.emitted),
         tuple(moved(x) if x.size else x for x in state.cis)))


def _wide(tissue: LazyTissue, most: int) -> Capacity:
    """The capacity, with passes that hold all blocks of one axon."""
    per_tile = max(tissue.capacity.tile // tissue.plastic.post.shape[1], 1)
    most = -(-most // per_tile) * per_tile
    return tissue.capacity._replace(blocks=max(tissue.capacity.blocks, most), few=max(tissue.capacity.few, most))


def set_apart(tissue: LazyTissue, place: Place) -> tuple[LazyTissue, Place]:
    """The network with voxels of boutons of their own, if some new bouton lies outside its spine's voxel."""
    voxels = tissue.voxels
    if voxels is None or voxels.boutons is not None:
        return tissue, place
    if bool(np.all(place.spines == place.boutons)):
        return tissue, place._replace(boutons=None)
    apart = Voxels(voxels.spines, jnp.copy(voxels.spines), voxels.near, voxels.crowd, voxels.room)
    return eqx.tree_at(lambda t: t.voxels, tissue, apart), place


def with_parameters(
    model: Model, tissue: LazyTissue, new: Growth, index: Int[np.ndarray, " n"]
) -> tuple[Model, LazyTissue]:
    """Parameters and ids of new synapses at the places `index`."""
    put = lambda old, values: old.at[index].set(jnp.asarray(values, old.dtype)) if old.ndim else old  # noqa: E731
    if new.weight is not None:
        model = eqx.tree_at(lambda m: m.weight, model, put(model.weight, new.weight))
    if new.synapse is not None:
        model = eqx.tree_at(lambda m: m.synapse, model, jax.tree.map(put, model.synapse, new.synapse))
    return model, eqx.tree_at(lambda t: t.ids, tissue, put(tissue.ids, new.ids))


def rescaled(tissue: LazyTissue, neurons: int) -> LazyTissue:
    """The network with the bounds of its fixed-point sums for as many synapses as there are now.

    The unit of the deposits, which nothing keeps between steps, is enlarged where a voxel holds more spines than
    planned; that of the input, in which input is under way, stays.
    """
    posts = [np.asarray(p.post).ravel() for p in (tissue.plastic, tissue.fixed) if p is not None]
    count = np.sum([np.bincount(post[post >= 0], minlength=neurons) for post in posts], axis=0)
    most_input = jnp.asarray((2**31 - 1) // max(int(count.max()), 1), jnp.int32)
    tissue = eqx.tree_at(lambda t: t.most_input, tissue, most_input)
    voxels = tissue.voxels
    if voxels is None:
        return tissue
    crowd = int(np.bincount(np.asarray(voxels.spines).ravel()[posts[0] >= 0]).max(initial=0))
    factors = [2 ** max(math.ceil(math.log2(max(crowd, 1) / int(room))), 0) for room in voxels.room]
    scales = tuple(scale / factor for scale, factor in zip(tissue.deposit_scale, factors, strict=True))
    room = voxels.room * jnp.asarray(factors, jnp.int32)
    return eqx.tree_at(lambda t: (t.deposit_scale, t.voxels.room), tissue, (scales, room))
