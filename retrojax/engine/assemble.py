"""From lists of synapses to the arrays a network runs on. Host only: this is where shapes are made."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.model import Clocks, Inputs, Model, NetworkState, Tissue
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
from retrojax.engine.rows import init_state, pack
from retrojax.errors import InputError
from retrojax.space import Grid, Pairs, Sites, fixed_scale, offset_class, sample

SMALLEST = 1e-9
"""Stands for a largest value of 0 (no input, a messenger nobody makes) when a fixed-point scale is chosen."""


class Wiring(eqx.Module):
    """A circuit as the host sees it, before any device array exists.

    - `ids`, `pre`, `post`, `delay`, `weight`: plastic synapses; delay in steps, weight [pA].
    - `fixed_pre`, `fixed_post`, `fixed_delay`, `fixed_weight`: the others; negative weights inhibit.
    - `neurons`, `sources`: counts; sources are numbered on after the neurons.
    """

    ids: np.ndarray
    pre: np.ndarray
    post: np.ndarray
    delay: np.ndarray
    weight: np.ndarray
    fixed_pre: np.ndarray
    fixed_post: np.ndarray
    fixed_delay: np.ndarray
    fixed_weight: np.ndarray
    neurons: int = eqx.field(static=True)
    sources: int = eqx.field(static=True)


def build_tissue(
    wiring: Wiring, grid: Grid, spines: np.ndarray, boutons: np.ndarray, distance: float,
    largest_strength: float, headroom: float, most_molecules: Sequence[float], pairs: Pairs | None = None,
) -> Tissue:
    """Arrays of wiring and geometry.

    **Arguments**

    - `spines`, `boutons`: positions [S, 3] [um]; each must lie inside `grid`.
    - `distance`: from a spine to its bouton [um].
    - `largest_strength`: upper bound of what one plastic synapse transmits relative to its weight.
    - `headroom`: factor kept free in the fixed-point input of a neuron.
    - `most_molecules`: most that one spine can make of each messenger in one of its field steps.
    - `pairs`: close neighbours, from `space.find_pairs`.

    **Raises** `InputError` for a delay below one step (naming the synapse) or a site outside the grid.
    """
    check_delays(wiring)
    voxels, bouton_voxels = grid.voxel_of(spines, "spine position"), grid.voxel_of(boutons, "bouton position")
    sites = Sites.build(voxels, grid.n_voxels)
    inputs, delays, receptors = _input_groups(wiring)
    strongest = np.zeros(wiring.neurons)
    np.add.at(strongest, wiring.post, np.abs(wiring.weight) * largest_strength)
    np.add.at(strongest, wiring.fixed_post, np.abs(wiring.fixed_weight))
    input_scale = fixed_scale(max(float(strongest.max()), SMALLEST) * headroom, 1)
    crowd = sites.most_per_voxel
    deposit_scale = tuple(
        # a thousandth of room for the rounding of a spine at full activation
        jnp.asarray(fixed_scale(max(most, SMALLEST) * 1.001, crowd), float) for most in most_molecules
    )
    return Tissue(
        ids=jnp.asarray(wiring.ids, jnp.int32), pre=jnp.asarray(wiring.pre, jnp.int32),
        post=jnp.asarray(wiring.post, jnp.int32), fixed_pre=jnp.asarray(wiring.fixed_pre, jnp.int32),
        fixed_inhibits=jnp.asarray(wiring.fixed_weight < 0), inputs=inputs, spines=sites,
        boutons=Sites.build(bouton_voxels, grid.n_voxels),
        near=jnp.asarray(offset_class(grid, voxels, bouton_voxels), jnp.int32),
        input_scale=jnp.asarray(input_scale, float), deposit_scale=deposit_scale, grid=grid, delays=delays,
        receptors=receptors, near_distance=float(distance), pairs=pairs,
    )


def initial_state(model: Model, tissue: Tissue, near_steps: Sequence[int], seed: int) -> NetworkState:
    """The resting network at t = 0.

    - `near_steps`: field steps of release that each messenger's own-spine term remembers.
    """
    neurons, sources = int(model_neurons(tissue)), model.drive.sources
    back = int(np.ceil(float(jnp.max(model.synapse.spine.delay)) / float(model.dt) - 1e-6)) + 2
    count = tissue.ids.size
    fields = resting_fields(model, tissue.grid, np.asarray(tissue.spines.voxel))
    synapses = settle_receptors(model, init_state(model.synapse, (count,)), fields,
                                lambda field: sample(tissue.boutons, field))
    return NetworkState(
        rows=pack(synapses),
        neurons=model.neurons.init(neurons),
        arriving=jnp.zeros((max(tissue.delays, default=1) + 1, 2, neurons), jnp.int32),
        fired=jnp.zeros((back, neurons + sources), bool),
        fields=fields,
        emitted=tuple(jnp.broadcast_to(jnp.asarray(resting_release(model, which, count), float), (steps, count))
                      for which, steps in enumerate(near_steps)),
        cis=tuple(resting_cis(m, resting_made(model, which, count)) for which, m in enumerate(model.messengers)),
        pending=no_pending(model, tissue.grid), bound=resting_bound(model, fields),
        levels=resting_levels(model, fields),
        tick=jnp.zeros((), jnp.int32), cursor=jnp.zeros((), jnp.int32), lap=jnp.zeros((), jnp.int32),
        slot=jnp.zeros((), jnp.int32),
        key=jax.random.key(seed), errors=jnp.zeros((), jnp.int32),
    )


def model_neurons(tissue: Tissue) -> int:
    """Number of neurons that receive input."""
    return tissue.inputs[0].rows.shape[0]


def build_clocks(dt: float, steps: dict[str, float], slow: float, chunk: float) -> Clocks:
    """Clocks from times in ms: the shortest field step is the tick.

    **Raises** `InputError` if a field step is no whole number of dt, or a longer one no whole number of ticks.
    """
    tick = min(steps.values(), default=slow)
    per_tick = _whole(tick / dt, "messenger step", tick, f"a multiple of dt ({dt} ms)")
    every = tuple(_whole(step / tick, f"messengers.{name}.step", step, f"a multiple of the shortest ({tick} ms)")
                  for name, step in steps.items())
    slow_ticks = _whole(slow / tick, "slow step", slow, f"a multiple of {tick} ms")
    return Clocks(per_tick, every, slow_ticks, _whole(chunk / tick, "chunk", chunk, f"a multiple of {tick} ms"))


def _whole(ratio: float, field: str, value: float, allowed: str) -> int:
    count = round(ratio)
    if count < 1 or abs(ratio - count) > 1e-6 * count:
        raise InputError(field, f"{value} ms", allowed, "change it to a whole multiple")
    return count


def check_delays(wiring: Wiring) -> None:
    """Refuse a dendritic delay below one step, naming the synapse."""
    for kind, delay, ids in (("plastic", wiring.delay, wiring.ids), ("fixed", wiring.fixed_delay, None)):
        short = np.flatnonzero(delay < 1)
        if short.size:
            first = int(short[0] if ids is None else ids[short[0]])
            raise InputError(f"delay of {kind} synapse {first}", f"{int(delay[short[0]])} steps",
                             "at least one neuron step (dt)", "lower dt or lengthen the delay")


def _input_groups(wiring: Wiring):
    """One padded table of contributing rows per (delay, receptor)."""
    post = np.concatenate([wiring.post, wiring.fixed_post])
    delay = np.concatenate([wiring.delay, wiring.fixed_delay])
    receptor = np.concatenate([wiring.weight, wiring.fixed_weight]) < 0
    tables, delays, receptors = [], [], []
    for step, kind in sorted(set(zip(delay.tolist(), receptor.tolist(), strict=True))):
        members = np.flatnonzero((delay == step) & (receptor == kind))
        tables.append(Inputs(jnp.asarray(_padded(post[members], members, wiring.neurons, post.size), jnp.int32)))
        delays.append(int(step))
        receptors.append(int(kind))
    return tuple(tables), tuple(delays), tuple(receptors)


def _padded(owner: np.ndarray, members: np.ndarray, owners: int, blank: int) -> np.ndarray:
    order = np.argsort(owner, kind="stable")
    counts = np.bincount(owner, minlength=owners)
    table = np.full((owners, max(int(counts.max()), 1)), blank)
    column = np.arange(owner.size) - np.repeat(np.cumsum(counts) - counts, counts)
    table[owner[order], column] = members[order]
    return table
