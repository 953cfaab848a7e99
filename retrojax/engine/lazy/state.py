"""The data of a network on the lazy schedule, in the same four kinds as on the clocked one."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Bool, Float, Int, Integer, UInt, UInt8, UInt32

from retrojax.engine.lazy.cut import Cut
from retrojax.engine.lazy.layout import Layout
from retrojax.engine.model import Cells, Domains, Neurons
from retrojax.space import Bound, Grid, Pairs
from retrojax.types import Field, Scalar, SeedKey

LONG_AGO = -(2**29)
"""Oldest stamp: of a spike that a ring has never held, or that is so old that it no longer matters."""


class Capacity(NamedTuple):
    """Static sizes of the arrays that hold what is in flight; none of them can lose a spike (see `block`).

    - `blocks`: how many are brought up to date in one pass; more are done in further passes.
    - `few`: how many in a pass where no more are left.
    - `ring`: spikes a neuron remembers; when one runs short, everything is brought up to date early.
    - `landings`: spikes of one axon whose calcium may be under way at once; 0 where it lands with the spike.
    - `tile`: synapses replayed together.
    """

    blocks: int
    few: int
    ring: int
    landings: int
    tile: int


class Times(NamedTuple):
    """Static time structure, in neuron steps unless said otherwise.

    - `block`: steps that neurons advance before the rows are processed; at most the shortest dendritic delay.
    - `blocks`: blocks per tick; a tick is the shortest field step. `every`, `slow`, `chunk`: as in `Clocks`, in ticks.
    - `axonal`: delay from a spike to the synapses of its axon. `backward`: to those on its own dendrites; 0, or a
      block at least.
    - `history`: blocks of spikes on their way along axons and dendrites. `ahead`: blocks of input on its way to somata.
    - `resync`: ticks after which everything is brought up to date at the latest.
    """

    block: int
    blocks: int
    every: tuple[int, ...]
    slow: int
    chunk: int
    axonal: int
    history: int
    ahead: int
    resync: int
    backward: int = 0

    @property
    def epoch(self) -> int:
        """Steps after which the step counter starts anew: whole turns of every ring, below 2^30."""
        turn = self.block * self.history * self.ahead
        return 2**30 // turn * turn


class Axons(eqx.Module):
    """Synapses of one projection, in blocks of slots owned by axons (`wiring`).

    - `first`: axon a owns blocks first[a] to first[a + 1].
    - `owner`: axon of every block.
    - `post`: target of every slot, -1 where it is free. `index`: its synapse in the order of the model's arrays.
    - `delay`: dendritic delay [steps], one for all or one per slot.
    """

    first: Int[Array, " A1"]
    owner: Int[Array, " B"]
    post: Int[Array, "B slot"]
    index: Int[Array, "B slot"]
    delay: Integer[Array, "..."]


class Voxels(eqx.Module):
    """Voxels of spines and boutons, by slot; free slots hold any voxel. `near`: offset class of the own-spine term.

    `boutons` is None where each lies in its spine's voxel, `near` where no own-spine term is wanted. `crowd`: boutons
    in every voxel. `room`: spines in one voxel that each messenger's deposit scale allows for.
    """

    spines: Int[Array, "B slot"]
    boutons: Int[Array, "B slot"] | None
    near: Int[Array, "B slot"] | None
    crowd: Int[Array, " V"]
    room: Int[Array, " M"]


class LazyTissue(eqx.Module):
    """Wiring and geometry; changes only on the host.

    - `ids`: permanent id of every plastic synapse, in the model's order. `plastic`, `fixed`: the two projections.
    - `voxels`: where plastic synapses lie; None without messengers.
    - `input_scale`: fixed-point units per unit of input. `most_input`: units of a single input
      beyond which a sum might overflow.
    - `deposit_scale`: units per molecule and messenger.
    - `pairs`: close neighbours by slot, or None where the grid alone stands for them.
    - `grid`, `near_distance` [um], `layout`, `capacity`: static. `domains`: as in `Tissue`.
    - `cut`: static; how it is cut among devices, None if it is not. Then `first`, and what there is per slot, holds one
      part after another, and `post` numbers the neurons of its part.
    """

    ids: Int[Array, " S"]
    plastic: Axons
    fixed: Axons | None
    voxels: Voxels | None
    input_scale: Scalar
    most_input: Int[Array, ""]
    deposit_scale: tuple[Scalar, ...]
    grid: Grid | None = eqx.field(static=True)
    near_distance: float = eqx.field(static=True)
    layout: Layout = eqx.field(static=True)
    capacity: Capacity = eqx.field(static=True)
    domains: Domains | None = None
    pairs: Pairs | None = None
    cut: Cut | None = eqx.field(static=True, default=None)

    @property
    def space(self) -> tuple[Grid, Voxels]:
        """Grid and voxels of a network that has messengers."""
        assert self.grid is not None and self.voxels is not None
        return self.grid, self.voxels


class LazyState(eqx.Module):
    """Everything the next step needs. Times are steps of the present epoch and may be negative (before it).

    - `makers`, `cells`: channels of the plastic synapses, by block: the first `layout.making`, and all others. `calm`:
      their leaves that only field and slow steps change.
    - `hot`: synapses that may be making a messenger though nothing happens to them, for those of `layout.sparse`: above
      the floor of its synthesis when last looked at, or with something made and not handed over.
    - `touched`: when an axon's rows were last brought up to date.
    - `arrived`, `pre`: last spike of an axon at its synapses, and its traces just after it, [trace, axon].
    - `arrivals`: of every axon: number of spikes at its synapses so far, then the times of the last ones.
    - `post`: postsynaptic traces now, [trace, neuron].
    - `marks`: spikes of its target, modulo 256, that a synapse has seen. `fired`: of every neuron, in the top byte its
      spikes modulo 256, below a bit per step of the last block; as its dendrites hear of them, like all that follows.
    - `ring`: times of every neuron's last spikes, newest first, [neuron, spike]. `ring_post`: its traces just before
      each of them.
    - `history`: spikes of the last blocks, a bit per step, by block in turn. `waiting`: input by (block in turn, step,
      receptor, neuron).
    - `synced`: when everything was last brought up to date; of every part where the network is cut, [P].
    - `fields`, `emitted`, `cis`, `pending`, `bound`, `levels`, `tick`, `cursor`, `lap`, `key`, `errors`, `astrocytes`:
      as in `NetworkState`.
    - `step`, `epoch`: the present.
    """

    makers: Float[Array, "B m slot"]
    cells: Float[Array, "B C slot"]
    calm: tuple[Float[Array, "B slot"], ...]
    hot: Bool[Array, "B J slot"]
    touched: Int[Array, " PA"]
    arrived: Int[Array, " PA"]
    pre: Float[Array, "T PA"]
    arrivals: Int[Array, "PA F1"]
    post: Float[Array, "Q N"]
    neurons: Neurons
    marks: UInt8[Array, "B slot"]
    fired: UInt32[Array, " N"]
    ring: Int[Array, "N K"]
    ring_post: Float[Array, "R N K"]
    history: UInt32[Array, "H A"]
    waiting: Int[Array, "D L receptor N"]
    synced: Int[Array, "..."]
    fields: tuple[Field, ...]
    emitted: tuple[Float[Array, "_ B slot"], ...]
    cis: tuple[Float[Array, "_ _"], ...]
    pending: tuple[Float[Array, "_ _ _"], ...]
    bound: tuple[tuple[Bound, ...], ...]
    levels: Float[Array, "M 3"]
    tick: Int[Array, ""]
    step: Int[Array, ""]
    epoch: Int[Array, ""]
    cursor: Int[Array, ""]
    lap: Int[Array, ""]
    key: SeedKey
    errors: Int[Array, ""]
    astrocytes: Cells | None = None

    @property
    def channels(self) -> list[Float[Array, "B slot"]]:
        """All channels of the rows, in the order of `layout.kept`."""
        return [*jnp.moveaxis(self.makers, 1, 0), *jnp.moveaxis(self.cells, 1, 0)]


class LazyRecord(NamedTuple):
    """What a chunk hands to the recorders; entries past the ticks that ran are stale.

    - `spikes`: of every block, a bit per step and neuron (`record_type`). `levels`: of every messenger after every
      tick.
    - `passes`: [blocks, passes over rows, blocks that needed more than one, early syncs, most blocks touched in one].
    - `calcium`: of every astrocyte after every tick [uM]; None without astrocytes.
    """

    spikes: UInt[Array, "T N"]
    levels: Float[Array, "T M 3"]
    passes: Int[Array, "5"]
    calcium: Float[Array, "T A"] | None = None


def record_type(block: int) -> np.dtype:
    """The smallest type that holds a bit per step of a block of `block` steps."""
    return np.dtype(next(kind for kind in (np.uint8, np.uint16, np.uint32) if block <= 8 * np.dtype(kind).itemsize))


Spiked = Bool[Array, "L N"]
