"""What growth asks for, and whether it can be had. Host only."""

from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, Int

from retrojax.engine.lazy.state import LazyState, LazyTissue, Times
from retrojax.engine.lazy.wiring import FREE
from retrojax.engine.model import Model
from retrojax.engine.rows import Synapse
from retrojax.errors import InputError
from retrojax.space import offset_class


class Growth(NamedTuple):
    """New synapses, n of them.

    - `ids`: permanent ids, none of a living synapse. `pre`, `post`: axon and target neuron.
    - `delay`: dendritic delay [steps]; may be None where the network has one for all.
    - `weight`: as in the model. `synapse`: the model's, with the new synapses' values in its arrays. Both None where
      the model has one number for all.
    - `spines`, `boutons`: positions [um]; None without messengers, `boutons` also where each lies in its spine's voxel.
    """

    ids: Int[np.ndarray, " n"]
    pre: Int[np.ndarray, " n"]
    post: Int[np.ndarray, " n"]
    delay: Int[np.ndarray, " n"] | None = None
    weight: Float[np.ndarray, " n"] | None = None
    synapse: Synapse | None = None
    spines: Float[np.ndarray, "n 3"] | None = None
    boutons: Float[np.ndarray, "n 3"] | None = None


class Place(NamedTuple):
    """Where synapses lie, by voxel, as in `Voxels`; all None without messengers, `near` without own-spine term."""

    spines: Int[np.ndarray, " n"] | None
    boutons: Int[np.ndarray, " n"] | None
    near: Int[np.ndarray, " n"] | None


def alive(tissue: LazyTissue) -> tuple[Int[np.ndarray, " n"], Int[np.ndarray, " n"]]:
    """Slots (flat) of living synapses, and their ids."""
    place = np.flatnonzero(np.asarray(tissue.plastic.post).ravel() != FREE)
    return place, np.asarray(tissue.ids)[np.asarray(tissue.plastic.index).ravel()[place]]


def check_growth(
    model: Model, tissue: LazyTissue, state: LazyState, times: Times, new: Growth
) -> tuple[Int[np.ndarray, " n"], Place]:
    """The delays and the voxels of new synapses.

    **Raises** `InputError` naming the first synapse with an id that is taken, an end that does not exist, a delay that
    the rings do not reach, or a position outside the grid; or what is missing or too much.
    """
    n = new.ids.size
    for name, values in new._asdict().items():
        if name != "synapse" and values is not None and len(values) != n:
            raise InputError(name, f"{len(values)} values", f"{n}, one per new synapse", "give as many as ids")
    _within("ids", new.ids, 0, 2**31 - 1, "number synapses from 0")
    known = np.concatenate([alive(tissue)[1], new.ids])
    order = np.argsort(known, kind="stable")
    twice = order[1:][known[order[1:]] == known[order[:-1]]] - (known.size - n)
    if twice.size:
        raise InputError(f"ids[{twice.min()}]", int(new.ids[twice.min()]), "ids that no living synapse has",
                         "give every new synapse an id of its own")
    _within("pre", new.pre, 0, state.touched.size - 1, "number axons from 0")
    _within("post", new.post, 0, state.post.shape[1] - 1, "number neurons from 0")
    arrays = any(leaf.ndim for leaf in jax.tree.leaves(model.synapse))
    (_needed if model.weight.ndim else _useless)("weight", new.weight, "weight per synapse in the model")
    (_needed if arrays else _useless)("synapse", new.synapse, "value per synapse in the model's synapse")
    if new.synapse is not None:
        _check_synapse(model.synapse, new.synapse, n)
    return _delays(tissue, times, new), _place(tissue, new)


def _within(name: str, values: np.ndarray, low: int, high: int, cure: str) -> None:
    wrong = np.flatnonzero((values < low) | (values > high))
    if wrong.size:
        raise InputError(f"{name}[{wrong[0]}]", int(values[wrong[0]]), f"{low} to {high}", cure)


def _needed(name: str, values: Any, reason: str) -> Any:
    if values is None:
        raise InputError(name, None, "one value per new synapse", f"give it: there is one {reason}")
    return values


def _useless(name: str, values: object, reason: str) -> None:
    if values is not None:
        raise InputError(name, "given", "None", f"leave it out: there is no {reason}")


def _check_synapse(model: Synapse, new: Synapse, n: int) -> None:
    structures = {jax.tree.structure(synapse) for synapse in (new, model)}
    if len(structures) > 1:
        raise InputError("synapse", "another kind of synapse", "the parts of the model's synapse",
                         "take the model's synapse and put the new values into its arrays")
    for (path, old), leaf in zip(jax.tree_util.tree_leaves_with_path(model), jax.tree.leaves(new), strict=True):
        if old.ndim and leaf.shape != (n, *old.shape[1:]):
            raise InputError(f"synapse{jax.tree_util.keystr(path)}", f"shape {leaf.shape}", f"({n},)",
                             "give one value per new synapse")


def _delays(tissue: LazyTissue, times: Times, new: Growth) -> Int[np.ndarray, " n"]:
    delay = np.asarray(tissue.plastic.delay)
    if not delay.ndim:
        found = np.full(new.ids.size, delay) if new.delay is None else new.delay
        _within("delay", found, int(delay), int(delay), "build the network with delays that differ between synapses")
        return found
    found = _needed("delay", new.delay, "delay per synapse in the network")
    most = min((times.ahead - 1) * times.block, int(np.iinfo(delay.dtype).max))
    _within("delay", found, times.block, most, "build the network with the longest and shortest delay that may grow")
    return found


def _place(tissue: LazyTissue, new: Growth) -> Place:
    voxels, grid = tissue.voxels, tissue.grid
    if voxels is None or grid is None:
        _useless("spines", new.spines, "messenger")
        _useless("boutons", new.boutons, "messenger")
        return Place(None, None, None)
    spines = grid.voxel_of(_needed("spines", new.spines, "position per synapse"), "spine position")
    boutons = spines if new.boutons is None else grid.voxel_of(new.boutons, "bouton position")
    return Place(spines, boutons, None if voxels.near is None else offset_class(grid, spines, boutons))
