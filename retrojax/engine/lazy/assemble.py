"""From lists of synapses to a network on the lazy schedule. Host only: this is where shapes are made."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int

from retrojax.engine.assemble import SMALLEST, Wiring, check_delays
from retrojax.engine.lazy.cut import Cut, placed, state_axes, tissue_axes
from retrojax.engine.lazy.layout import in_rows, plan_layout, to_calm, to_channels
from retrojax.engine.lazy.replay import post_taus, pre_taus
from retrojax.engine.lazy.state import LONG_AGO, Axons, Capacity, LazyState, LazyTissue, Times, Voxels
from retrojax.engine.lazy.wiring import FREE, Blocks, lay_out_parts, spread
from retrojax.engine.model import Clocks, Model
from retrojax.engine.near import resting_cis
from retrojax.engine.reactions import no_pending
from retrojax.engine.resting import (
    resting_bound,
    resting_fields,
    resting_levels,
    resting_made,
    resting_release,
    settle_receptors,
)
from retrojax.engine.rows import Synapse, init_state
from retrojax.errors import InputError
from retrojax.space import Grid, Pairs, fixed_scale, offset_class, renumbered
from retrojax.types import Field

LONGEST_BLOCK = 24
"""Steps of a block at most: spikes of a block are bits of a word, whose top byte counts spikes."""

FEWEST = 16
"""Blocks in a pass at least: loops over fewer are compiled in another way, and an exponential per block then may
differ in its last bit."""

CAN_CUT = jax.__version_info__[:2] != (0, 11)
"""XLA of JAX 0.11 crashes on a cut network: on any array without an element that is given to a part, for one."""

MOST_LANDINGS = 16
"""Spikes of one axon whose calcium may be under way at once; 16 within the longest published delay is 850 Hz."""


class Options(NamedTuple):
    """How the arrays are laid out; every choice gives the same results.

    - `slot`: synapses of one axon that share a block; a multiple of 16, the width of a vector.
    - `rate`: expected rate of the axons [1/ms], from which the size of a pass over the rows follows.
    - `lanes`: synapses in a pass at most; what fits the processor's cache on a CPU, as many as there are on a GPU.
    - `ring`: spikes a neuron remembers; None chooses.
    - `spare`: free slots kept for growth, as a share of an axon's synapses.
    - `tile`: synapses replayed together.
    - `devices`: among which the network is cut (`cut`).
    """

    slot: int = 32
    rate: float = 0.01
    lanes: int = 16384
    ring: int | None = None
    spare: float = 0.0
    tile: int = 1024
    devices: int = 1


DEFAULT = Options()


class Space(NamedTuple):
    """Where plastic synapses lie.

    - `grid`; `spines`, `boutons`: positions of plastic synapses [um], [S, 3].
    - `distance`: from a spine to its bouton for the own-spine term [um]; None leaves that term out.
    - `most_molecules`: most that one spine can make of each messenger in one of its field steps.
    - `near_steps`: field steps of release that each messenger's own-spine term remembers.
    - `pairs`: close neighbours, from `space.find_pairs`; only with a `distance`.
    """

    grid: Grid
    spines: Float[np.ndarray, "S 3"]
    boutons: Float[np.ndarray, "S 3"]
    distance: float | None
    most_molecules: Sequence[float]
    near_steps: Sequence[int]
    pairs: Pairs | None = None


def plan_times(wiring: Wiring, clocks: Clocks, axonal: int = 0, backward: int = 0) -> Times:
    """Blocks, rings and turns for a wiring.

    **Arguments**

    - `axonal`: steps from a spike to the synapses of its axon, which the delays of `wiring` follow.
    - `backward`: steps from a spike to the synapses on the neuron's own dendrites. With `axonal` 0 and this the
      common delay of all synapses, pairings count as in NEST, where a delay lies in the dendrite both ways.

    **Raises** `InputError` naming the first synapse whose delay is below one step.
    """
    check_delays(wiring)
    delays = np.concatenate([wiring.delay, wiring.fixed_delay])
    shortest, longest = int(delays.min(initial=LONGEST_BLOCK)), int(delays.max(initial=1))
    longest_block = min(shortest, LONGEST_BLOCK, backward or LONGEST_BLOCK)
    block = max(k for k in range(1, longest_block + 1) if clocks.steps % k == 0)
    kept = max(axonal, backward)
    return Times(block, clocks.steps // block, clocks.every, clocks.slow, clocks.chunk, axonal,
                 history=kept // block + 2 if kept else 1, ahead=(block - 1 + longest) // block + 1,
                 resync=clocks.slow, backward=backward)


def build_lazy(
    model: Model, wiring: Wiring, times: Times, space: Space | None, largest_strength: float | int,
    headroom: float | int, seed: int, options: Options = DEFAULT,
) -> tuple[LazyTissue, LazyState]:
    """Arrays of a network on the lazy schedule, at rest at t = 0.

    **Arguments**

    - `model`: parameters; one number for all synapses or one per synapse in the order of `wiring`.
    - `times`: from `plan_times`. `space`: None without messengers.
    - `largest_strength`, `headroom`: as in `engine.assemble.build_tissue`.

    **Raises** `InputError` for a rule that needs the membrane at every step, or a trace or delay that differs between
    synapses: the clocked schedule runs those.
    """
    check_parts(model.synapse)
    if options.slot <= 0 or options.slot % 16:
        raise InputError("slot", options.slot, "a multiple of 16", "use 16, 32 or 64")
    if any(m.cis is not None for m in model.messengers) and (space is None or space.distance is None):
        raise InputError("space.distance", None, "a distance, where a messenger has a direct way to its own bouton",
                         "give the distance of a spine from its bouton [um]")
    cut = plan_cut(wiring, times, options.devices)
    layout, axons = plan_layout(model.synapse), wiring.neurons + wiring.sources
    blocks = lay_out_parts(wiring.pre, wiring.post, axons, options.slot, options.spare, options.devices)
    fixed = None
    if wiring.fixed_pre.size:
        fixed = lay_out_parts(wiring.fixed_pre, wiring.fixed_post, axons, options.slot, 0, options.devices)
    owned = [np.diff(one.first.reshape(options.devices, -1)).max(axis=0) for one in (blocks, fixed) if one is not None]
    capacity = plan_capacity(model.synapse, float(model.dt), times, owned, options)
    input_scale, most_input = _input_scale(wiring, largest_strength, headroom)
    voxels, scales = _voxels(space, blocks)
    tissue = LazyTissue(
        ids=jnp.asarray(wiring.ids, jnp.int32), plastic=_axons(blocks, wiring.delay),
        fixed=None if fixed is None else _axons(fixed, wiring.fixed_delay), voxels=voxels,
        input_scale=jnp.asarray(input_scale, float), most_input=jnp.asarray(most_input, jnp.int32),
        deposit_scale=scales, grid=None if space is None else space.grid,
        near_distance=0.0 if space is None or space.distance is None else float(space.distance), layout=layout,
        capacity=capacity, cut=cut, pairs=None if space is None else _pairs(space, blocks, options.devices))
    state = initial_state(model, tissue, times, [] if space is None else space.near_steps, axons, seed)
    return placed(tissue, tissue_axes(tissue), tissue), placed(tissue, state_axes(state), state)


def check_parts(synapse: Synapse) -> None:
    """Refuse what this schedule cannot run, by name.

    **Raises** `InputError`.
    """
    for rule in synapse.rules:
        name = type(rule).__name__
        if rule.needs_voltage:
            raise InputError(f"rule {name}", "needs the membrane voltage at every step",
                             "rules that follow from spikes", "set network.schedule: clocked")
        for tau in (*rule.pre_traces(), *rule.post_traces()):
            if tau.ndim:
                raise InputError(f"rule {name}", "a trace whose time constant differs between synapses",
                                 "one time constant for all synapses of the projection",
                                 "use one number, or set network.schedule: clocked")
    if synapse.spine.delay.ndim:
        raise InputError("spine.delay", "one value per synapse", "one calcium delay for all synapses",
                         "use one number, or set network.schedule: clocked")


def plan_capacity(
    synapse: Synapse, dt: float, times: Times, owned: list[Int[np.ndarray, " A"]], options: Options
) -> Capacity:
    """Sizes of a pass over the rows and of the rings, from the expected rate.

    - `owned`: of each projection, the blocks that every axon owns.
    """
    spikes = options.rate * times.block * dt
    total, most = max(int(one.sum()) for one in owned), max(int(one.max(initial=0)) for one in owned)
    # what a pass leaves costs a small one more, and empty places cost in every pass
    expected = spikes * total + math.sqrt(spikes * total * most)
    count = max(most, min(math.ceil(expected), options.lanes // options.slot, total), FEWEST)
    per_tile = max(options.tile // options.slot, 1)
    whole = lambda blocks: -(-blocks // per_tile) * per_tile  # noqa: E731
    landing = round(float(jnp.max(synapse.spine.delay)) / dt)
    ring = options.ring or (16 if times.block <= 4 else 32)
    if not times.block < ring <= 127:
        raise InputError("ring", ring, f"{times.block + 1} (the steps of a block, and one) to 127", "change it")
    return Capacity(whole(count), whole(max(most, FEWEST)), ring, min(landing + 1, MOST_LANDINGS) if landing else 0,
                    per_tile * options.slot)


def initial_state(
    model: Model, tissue: LazyTissue, times: Times, near_steps: Sequence[int], axons: int, seed: int
) -> LazyState:
    """The resting network at t = 0."""
    blocks, slot = tissue.plastic.post.shape
    neurons, devices, zero = axons - model.drive.sources, 1, jnp.zeros((), jnp.int32)
    cells_at_rest = model.neurons.init(neurons)
    if tissue.cut is not None:
        devices, members = tissue.cut.devices, tissue.cut.members().ravel()
        neurons, cells_at_rest = members.size, jax.tree.map(lambda x: x[members], cells_at_rest)
    fields: tuple[Field, ...] = ()
    release: list[np.ndarray] = []
    cis: list[jax.Array] = []
    if model.messengers:
        grid, voxels = tissue.space
        live = np.asarray(tissue.plastic.post) >= 0
        index, count = np.asarray(tissue.plastic.index), tissue.ids.size
        spines = np.zeros(count, np.int64)
        spines[index[live]] = np.asarray(voxels.spines)[live]
        fields = resting_fields(model, grid, spines)
        release = [np.where(live, resting_release(model, which, count)[index], 0.0)
                   for which in range(len(model.messengers))]
        made = [np.where(live, resting_made(model, which, count)[index], 0.0) for which in range(len(release))]
        cis = [resting_cis(m, x) for m, x in zip(model.messengers, made, strict=True)]
    makers, cells, calm = resting(model, tissue, fields)
    state = LazyState(
        makers=makers, cells=cells, calm=calm,
        hot=jnp.zeros((blocks, len(tissue.layout.sparse), slot), bool),
        touched=jnp.zeros(devices * axons, jnp.int32), arrived=jnp.zeros(devices * axons, jnp.int32),
        pre=jnp.zeros((len(pre_taus(model.synapse)), devices * axons)),
        arrivals=jnp.zeros((devices * axons, tissue.capacity.landings + 1), jnp.int32),
        post=jnp.zeros((len(post_taus(model.synapse)), neurons)), neurons=cells_at_rest,
        marks=jnp.zeros((blocks, slot), jnp.uint8), fired=jnp.zeros(neurons, jnp.uint32),
        ring=jnp.full((neurons, tissue.capacity.ring), LONG_AGO, jnp.int32),
        ring_post=jnp.zeros((len(tissue.layout.post_read), neurons, tissue.capacity.ring)),
        history=jnp.zeros((times.history, axons), jnp.uint32),
        waiting=jnp.zeros((times.ahead, times.block, model.neurons.receptors, neurons), jnp.int32),
        synced=zero if tissue.cut is None else jnp.zeros(devices, jnp.int32),
        fields=fields,
        emitted=tuple(jnp.broadcast_to(jnp.asarray(rate, float), (steps if tissue.space[1].near is not None else 0,
                                                                  blocks, slot))
                      for rate, steps in zip(release, near_steps, strict=True)),
        cis=tuple(cis), pending=no_pending(model, tissue.space[0]) if model.messengers else (),
        bound=resting_bound(model, fields),
        levels=resting_levels(model, fields), tick=zero, step=zero, epoch=zero, cursor=zero, lap=zero,
        key=jax.random.key(seed), errors=zero)
    return jax.tree.map(jnp.copy, state)  # a chunk gives its memory away, so no two arrays may share one


def resting(
    model: Model, tissue: LazyTissue, fields: tuple[Field, ...] = ()
) -> tuple[Float[jax.Array, "B m slot"], Float[jax.Array, "B C slot"], tuple[jax.Array, ...]]:
    """Channels (makers, cells) and calm leaves of every slot at rest, in balance with `fields` [nM] where given."""
    index = tissue.plastic.index
    leaves, structure = jax.tree.flatten(model.synapse)
    here = jax.tree.unflatten(structure, [leaf[index] if leaf.ndim else leaf for leaf in leaves])
    state = init_state(here, index.shape)
    if fields:
        voxels = tissue.space[1]
        places = voxels.spines if voxels.boutons is None else voxels.boutons
        model = eqx.tree_at(lambda m: m.synapse, model, here)
        state = settle_receptors(model, state, fields, lambda field: field.reshape(-1)[places])
    return *in_rows(tissue.layout, to_channels(tissue.layout, state)), to_calm(tissue.layout, state)


def _axons(blocks: Blocks, delay: np.ndarray) -> Axons:
    alike = delay.size == 0 or (delay == delay[0]).all()
    lag = np.asarray(delay[0] if delay.size else 1, np.int32) if alike else \
        spread(blocks, delay, 1).astype(np.uint8 if delay.max() < 256 else np.int32)
    return Axons(*(jnp.asarray(a) for a in (blocks.first, blocks.owner, blocks.post, blocks.index, lag)))


def _input_scale(wiring: Wiring, largest_strength: float | int, headroom: float | int) -> tuple[float, int]:
    """Fixed-point units per unit of input, and the units of a single input beyond which a sum might overflow."""
    strongest, count = np.zeros(wiring.neurons), np.zeros(wiring.neurons, np.int64)
    weight = np.broadcast_to(wiring.weight, wiring.post.shape)
    fixed = np.broadcast_to(wiring.fixed_weight, wiring.fixed_post.shape)
    for post, values in ((wiring.post, np.abs(weight) * largest_strength), (wiring.fixed_post, np.abs(fixed))):
        strongest += np.bincount(post, values, wiring.neurons)
        count += np.bincount(post, minlength=wiring.neurons)
    scale = fixed_scale(max(float(strongest.max(initial=0.0)), SMALLEST) * headroom, 1)
    return scale, (2**31 - 1) // max(int(count.max(initial=1)), 1)


def plan_cut(wiring: Wiring, times: Times, devices: int) -> Cut | None:
    """How the network is cut; None on one device.

    **Raises** `InputError` for less than one device, more than neurons, or a JAX that cannot (`CAN_CUT`).
    """
    if not 1 <= devices <= wiring.neurons:
        raise InputError("devices", devices, f"1 to {wiring.neurons}, the neurons", "use as many as there are")
    if devices > 1 and not CAN_CUT:
        raise InputError("devices", devices, f"1 with JAX {jax.__version__}, whose compiler crashes on more",
                         "use 1, or another release of JAX")
    own = (wiring.pre < wiring.neurons).any() or (wiring.fixed_pre < wiring.neurons).any() or times.backward > 0
    return Cut(devices, wiring.neurons, bool(own)) if devices > 1 else None


def _pairs(space: Space, blocks: Blocks, devices: int) -> Pairs | None:
    """Close neighbours by slot.

    **Raises** `InputError` where the network is cut: neighbours may be in different parts.
    """
    if space.pairs is None or space.distance is None:
        return None
    if devices > 1:
        raise InputError("devices", devices, "1 with a list of close neighbours",
                         "run it on one, or leave the near field to the own spine")
    live = np.flatnonzero(blocks.post.ravel() != FREE)
    slot = np.zeros(live.size, np.int64)
    slot[blocks.index.ravel()[live]] = live
    return renumbered(space.pairs, slot, blocks.post.size)


def _voxels(space: Space | None, blocks: Blocks) -> tuple[Voxels | None, tuple]:
    if space is None:
        return None, ()
    spines = space.grid.voxel_of(space.spines, "spine position")
    boutons = space.grid.voxel_of(space.boutons, "bouton position")
    near = None if space.distance is None else offset_class(space.grid, spines, boutons)
    crowd = int(np.bincount(spines, minlength=1).max(initial=1))
    amounts = [max(most, SMALLEST) * 1.001 for most in space.most_molecules]
    scales = [fixed_scale(most, crowd) for most in amounts]
    room = [int((2**31 - 1) / (most * scale + 0.5)) for most, scale in zip(amounts, scales, strict=True)]
    put = lambda values: jnp.asarray(spread(blocks, values), jnp.int32)  # noqa: E731
    same = bool((spines == boutons).all())
    count = jnp.asarray(np.bincount(boutons, minlength=space.grid.n_voxels), jnp.int32)
    return Voxels(put(spines), None if same else put(boutons), None if near is None else put(near), count,
                  jnp.asarray(room, jnp.int32)), tuple(jnp.asarray(scale, float) for scale in scales)

