"""A lazy network cut among devices by target neuron: one program, of which every device runs its own part.

Part p of P has the neurons p, p + P, p + 2 P, ..., so that kinds of neurons, which stand together, are shared out; it
has all synapses onto them, in rows of its own, for every axon. Sources outside, messengers and parameters are the same
everywhere, and computed by each but for the products of a field's step, which are shared (`space.Shared`). Spikes of
neurons that have synapses of their own are exchanged once per block, what spines made once per field step, as whole
numbers; so nothing depends on the number of parts but means over boutons.

Arrays of a cut network hold one part after another along one axis (`tissue_axes`, `state_axes`). Only inside
`on_each` is one part seen alone, in the shapes that the rest of the schedule knows.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, Int, Shaped

from retrojax.engine.model import Model
from retrojax.errors import InputError
from retrojax.parts.background import AbstractBackground
from retrojax.space import Shared

AXIS = "tissue"
"""Name of the mesh's axis."""

WHOLE = PartitionSpec()
"""Of an array that every device has."""


class Cut(NamedTuple):
    """Static: how a network is cut.

    - `devices`: as many parts. `neurons`: of the whole network.
    - `recurrent`: whether any neuron has synapses of its own, so that its spikes must be told to all.
    """

    devices: int
    neurons: int
    recurrent: bool

    @property
    def each(self) -> int:
        """Neurons of a part; the last of some parts may stand for none."""
        return -(-self.neurons // self.devices)

    def members(self) -> Int[np.ndarray, "P n"]:
        """Number of every neuron in the whole network, by part; a place that stands for none repeats the last one."""
        numbers = np.arange(self.devices * self.each).reshape(self.each, self.devices).T
        return np.minimum(numbers, self.neurons - 1)

    def in_order(self, values: Shaped[Array | np.ndarray, "... Pn"]) -> Any:
        """Values by part and neuron in the order of the whole network."""
        by_part = values.reshape(*values.shape[:-1], self.devices, self.each)
        return by_part.swapaxes(-1, -2).reshape(*values.shape[:-1], -1)[..., : self.neurons]


class _Share(AbstractBackground):
    """What the neurons of one part get of a background that is drawn for all."""

    whole: AbstractBackground
    members: Int[Array, " n"]
    neurons: int = eqx.field(static=True)

    def plan(self, dt):
        return self.whole.plan(dt)

    def input(self, plan, cursor, key, neurons: int):
        return self.whole.input(plan, cursor, key, self.neurons)[self.members]


def told(cut: Cut | None, values: Shaped[Array, " n"]) -> Any:
    """What every part says of its neurons, for all neurons; 0 where nobody needs to know."""
    if cut is None:
        return values
    if not cut.recurrent:
        return jnp.zeros(cut.neurons, values.dtype)
    return cut.in_order(jax.lax.all_gather(values, AXIS, tiled=True))


def own(cut: Cut | None, values: Shaped[Array, " A"]) -> Shaped[Array, " n"]:
    """Of values of all neurons, and more after them, those of this part; as they are if the network is not cut."""
    return values if cut is None else values[_members(cut)]


def sharing(cut: Cut | None) -> Shared | None:
    """The devices that share a step of a field."""
    return None if cut is None else Shared(AXIS, cut.devices)


def summed(cut: Cut | None, values: Array) -> Array:
    """Sum over all parts."""
    return values if cut is None else jax.lax.psum(values, AXIS)


def largest(cut: Cut | None, values: Array) -> Array:
    """Maximum over all parts."""
    return values if cut is None else jax.lax.pmax(values, AXIS)


def on_each(
    function: Callable[[Model, Any, Any], tuple[Any, Any]], model: Model, tissue: Any, state: Any, more: Any
) -> tuple[Any, Any]:
    """`function(model, tissue, state) -> (state, more)` of every part, on its own device; call it in a traced function.

    - `more`: the specs of what else comes of it (`WHOLE`, or `along` the axis on which parts follow one another).

    A network that is not cut is one part.
    """
    cut = tissue.cut
    if cut is None:
        return function(model, tissue, state)

    def one(model, tissue, state):
        state, found = function(_of_part(model, cut), tissue, _opened(state))
        return _closed(cut, state), found

    specs = (jax.tree.map(lambda _: WHOLE, model), tissue_axes(tissue), state_axes(state))
    return jax.shard_map(one, mesh=mesh(cut.devices), in_specs=specs, out_specs=(specs[2], more), check_vma=False)(
        model, tissue, state)


def along(axis: int) -> PartitionSpec:
    """Of an array whose parts follow one another along that axis."""
    return PartitionSpec(*[None] * axis, AXIS)


@functools.cache
def mesh(count: int) -> Mesh:
    """The first so many devices.

    **Raises** `InputError` if there are fewer.
    """
    found = jax.devices()
    if len(found) < count:
        raise InputError("devices", count, f"1 to {len(found)}, as this process has ({found[0].device_kind})",
                         "use fewer; a CPU has as many as JAX_NUM_CPU_DEVICES says when JAX starts")
    return jax.make_mesh((count,), (AXIS,), devices=found[:count], axis_types=(AxisType.Auto,))


def placed(tissue: Any, axes: Any, values: Any) -> Any:
    """`values` with every part on its device; as they are if the network is not cut or they are there already."""
    if tissue.cut is None:
        return values
    where = mesh(tissue.cut.devices)
    return jax.tree.map(lambda x, spec: jax.device_put(x, NamedSharding(where, spec)), values, axes)


def everywhere(tissue: Any, model: Model) -> Model:
    """The model on every device of a cut network: a chunk would copy it otherwise, one array after the other."""
    return placed(tissue, jax.tree.map(lambda _: WHOLE, model), model)


def tissue_axes(tissue: Any) -> Any:
    """Along which axis the parts of every array of a tissue follow one another."""
    cut_axons = lambda axons: jax.tree.map(lambda x: along(0) if x.ndim else WHOLE, axons)  # noqa: E731
    axes = jax.tree.map(lambda _: WHOLE, tissue)
    axes = eqx.tree_at(lambda t: t.plastic, axes, cut_axons(tissue.plastic))
    if tissue.fixed is not None:
        axes = eqx.tree_at(lambda t: t.fixed, axes, cut_axons(tissue.fixed))
    if tissue.voxels is None:
        return axes
    split = [name for name in ("spines", "boutons", "near") if getattr(tissue.voxels, name) is not None]
    return eqx.tree_at(lambda t: [getattr(t.voxels, name) for name in split], axes, [along(0)] * len(split))


def state_axes(state: Any) -> Any:
    """Along which axis the parts of every array of a state follow one another."""
    axes = jax.tree.map(lambda _: WHOLE, state)
    for axis, names in _STATE_AXES.items():
        split = lambda s, names=names: [getattr(s, name) for name in names]  # noqa: E731
        axes = eqx.tree_at(split, axes, jax.tree.map(lambda _, axis=axis: along(axis), split(state)))
    return axes


_STATE_AXES = {
    0: ("makers", "cells", "calm", "hot", "touched", "arrived", "arrivals", "neurons", "marks", "fired", "ring",
        "synced", "cis"),
    1: ("pre", "post", "ring_post", "emitted"),
    3: ("waiting",),
}


def _members(cut: Cut) -> Int[Array, " n"]:
    return jnp.asarray(cut.members(), jnp.int32)[jax.lax.axis_index(AXIS)]


def _of_part(model: Model, cut: Cut) -> Model:
    """The model with the values of this part's neurons."""
    members = _members(cut)
    neurons = jax.tree.map(lambda x: x[members] if x.ndim else x, model.neurons)
    model = eqx.tree_at(lambda m: m.neurons, model, neurons)
    if model.background is None:
        return model
    return eqx.tree_at(lambda m: m.background, model, _Share(model.background, members, cut.neurons))


def _opened(state: Any) -> Any:
    return eqx.tree_at(lambda s: s.synced, state, state.synced.reshape(()))


def _closed(cut: Cut, state: Any) -> Any:
    """The state as it leaves a part: an error anywhere is one of the whole network."""
    found = jax.lax.all_gather(state.errors, AXIS)
    errors = functools.reduce(jnp.bitwise_or, [found[part] for part in range(cut.devices)])
    return eqx.tree_at(lambda s: (s.synced, s.errors), state, (state.synced.reshape(1), errors))
