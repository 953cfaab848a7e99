"""From a config to a simulation: files are read, sizes checked, then arrays made."""

import dataclasses
import functools
from pathlib import Path
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.assemble import Wiring, build_clocks, build_tissue, initial_state
from retrojax.engine.lazy.assemble import Space, build_lazy, check_parts, plan_times
from retrojax.engine.model import Clocks, Maps, Matrix, Model, Reaction
from retrojax.engine.reactions import in_order
from retrojax.engine.rows import Bounds, Synapse
from retrojax.engine.schedules import AnyState, AnyTissue, Clocked, Lazy, Schedule
from retrojax.errors import InputError, naming_file
from retrojax.io.astrocytes import Placed, astrocyte_sizes, place_astrocytes, with_uptake
from retrojax.io.circuit import Cells, gather_cells, wire
from retrojax.io.maps import check_room, load_maps, mapped
from retrojax.io.matrix import in_matrix
from retrojax.io.parts import (
    make_messengers,
    make_neurons,
    make_reactions,
    make_synthesis,
    messenger_values,
    total_loss,
)
from retrojax.io.patches import Patches, make_patches
from retrojax.io.placement import place_spines
from retrojax.io.schema import PoissonSource, RunConfig
from retrojax.io.sizes import (
    Sizes,
    check_memory,
    clocked_sizes,
    lazy_sizes,
    with_direct,
    with_pairs,
    with_tissue,
)
from retrojax.io.sonata import Circuit, load_circuit
from retrojax.io.spikes import check_ids, load_spikes
from retrojax.io.transports import Split, choose_transports, near_steps, split_parts
from retrojax.numerics import Draws
from retrojax.parts import GraupnerBrunel
from retrojax.parts.background import PoissonBackground
from retrojax.parts.base import AbstractRule
from retrojax.parts.choice import make_part
from retrojax.parts.drive import AbstractDrive, Poisson, Replay
from retrojax.space import Flow, Grid, Pairs, Regime, count_pairs, find_pairs, pair_steps
from retrojax.space.grid import Boundary

CHUNK_MS = 1000.0
"""Biological time per compiled call: short enough to notice trouble, long enough to hide the host."""

RECORD_BYTES = 2**27
"""Most memory for the spikes that one compiled call records; a large network makes shorter calls."""


def naming(function):
    """Errors of a function of (config, file) name the file."""

    @functools.wraps(function)
    def named(config: RunConfig, file: Path | None = None):
        with naming_file(file):
            return function(config, file)

    return named


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run will be, before any large array exists: enough for `check`.

    - `messengers`: numbers of each; `maps` of those in the extracellular space, as factors on the numbers.
    - `transports`: kind of transport of each, and why.
    - `synapse`: the plastic kind. `refused`: why it cannot run on the lazy schedule, or None.
    - `astrocytes`: None for none. `matrix`: the extracellular one; None without messengers in it.
    - `pairs`: close neighbours; None where the grid alone stands for them.
    """

    config: RunConfig
    circuit: Circuit
    cells: Cells
    wiring: Wiring
    grid: Grid
    spines: np.ndarray
    boutons: np.ndarray
    schedule: Schedule
    refused: str | None
    synapse: Synapse
    messengers: dict[str, dict]
    maps: dict[str, Maps]
    transports: dict[str, Regime]
    reactions: tuple[Reaction, ...]
    near_steps: tuple[int, ...]
    pairs: Pairs | None
    sizes: Sizes
    astrocytes: Placed | None = None
    matrix: Matrix | None = None

    @property
    def parts(self) -> dict[str, Split]:
        """Parts of a field step of the messengers of which something is split off transport."""
        return split_parts(self.messengers, self.reactions, self.maps)

    @property
    def clocks(self) -> Clocks:
        """Time structure of the schedule."""
        return self.schedule.clocks


@dataclasses.dataclass(frozen=True)
class Simulation:
    """Everything a run needs; `model_at(tick)` is the model in force from a tick on."""

    plan: Plan
    model: Model
    tissue: AnyTissue
    state: AnyState
    patches: Patches
    end: int

    @property
    def tick_ms(self) -> float:
        """Biological time of a tick [ms]."""
        return self.plan.config.dt * self.plan.clocks.steps

    @property
    def schedule(self) -> Schedule:
        """How the network advances."""
        return self.plan.schedule

    def model_at(self, tick: int) -> Model:
        """The model with the sleep stage and interventions of that tick."""
        return self.patches.apply(self.model, tick)


@naming
def make_plan(config: RunConfig, file: Path | None = None) -> Plan:
    """Read the inputs and lay out the run.

    **Raises** `InputError` for anything the inputs or the config get wrong, and for a size that cannot fit in memory.
    """
    circuit = load_circuit(config.network.sonata)
    cells = gather_cells(circuit, config.network.sonata)
    wiring = wire(circuit, cells, config)
    place = config.synapse.placement
    spines, boutons = place_spines(cells.position, wiring.post, config.seed, place.distribution, place.scale,
                                   place.bouton_distance, wiring.ids)
    order = in_order([(r.source, r.product) for r in config.reactions], list(config.messengers))
    values = {name: messenger_values(config.messengers[name], file) for name in order}
    reactions = make_reactions(config.reactions, order, file)
    grid = _grid(config, np.concatenate([spines, boutons]))
    values, maps, matrix = _mapped(config, grid, values)
    values = _carried(config, grid, values)
    clocks = build_clocks(config.dt, {name: v["step"] for name, v in values.items()}, config.slow_step, CHUNK_MS)
    placed = None
    if config.astrocytes is not None:
        placed = place_astrocytes(config.astrocytes, grid, list(values), config.dt * clocks.steps, config.seed, file)
        values, maps = with_uptake(config.astrocytes, placed, values, maps, file)
    lost = total_loss(values, reactions)
    transports = choose_transports(config, grid, values, reactions, maps)
    pairs = _pairs(config, grid, maps, spines, boutons, wiring.ids, file) if values else None
    near = tuple(_near_steps(grid, v, lost[name], own, pairs) for (name, v), own in zip(
        values.items(), near_steps(grid, values, lost, transports, place.bouton_distance), strict=True))
    synapse = _synapse(config, wiring, values, file)
    schedule, refused = _schedule(config, wiring, clocks, synapse, file)
    if isinstance(schedule, Lazy):
        sizes = lazy_sizes(synapse, config.dt, wiring, schedule.times, grid.n_voxels if values else 0, near)
    else:
        sizes = clocked_sizes(synapse, wiring, grid, schedule.clocks, near)
    if placed is not None:
        more = astrocyte_sizes(placed, schedule.clocks.chunk, jnp.result_type(float).itemsize)
        sizes = sizes._replace(arrays=sizes.arrays | more)
    sizes = with_tissue(sizes, grid, len(maps), sum(len(v["binding"]) for v in values.values()),
                        int(any(v["flow"] is not None for v in values.values())))
    sizes = with_direct(sizes, sum(bool(v.get("f_cis")) for v in values.values()), near)
    sizes = sizes if pairs is None else with_pairs(sizes, pairs.spine.size, near)
    check_memory(sizes, wiring.ids.size, file)
    return Plan(config, circuit, cells, wiring, grid, spines, boutons, schedule, refused, synapse, values,
                maps, transports, reactions, near, pairs, sizes, placed, matrix)


@naming
def build(config: RunConfig, file: Path | None = None) -> Simulation:
    """The simulation a config describes, at t = 0."""
    plan = make_plan(config, file)
    synapse, outside = plan.synapse, config.drive.background
    model = Model(
        dt=jnp.asarray(config.dt, float), synapse=synapse, weight=jnp.asarray(plan.wiring.weight, float),
        fixed_weight=jnp.asarray(plan.wiring.fixed_weight, float), inhibition=jnp.asarray(1.0, float),
        neurons=make_neurons(config.neurons, plan.cells.kind, file), drive=_drive(plan),
        messengers=make_messengers(plan.messengers, plan.reactions, plan.maps,
                                   {name: found.kind for name, found in plan.transports.items()}),
        reactions=plan.reactions,
        background=None if outside is None else PoissonBackground(outside.rate, outside.amplitude, config.dt),
        astrocytes=None if plan.astrocytes is None else plan.astrocytes.model,
        matrix=plan.matrix,
    )
    tissue, state = _arrays(plan, model)
    ticks = config.duration / (config.dt * plan.clocks.steps)
    if abs(ticks - round(ticks)) > 1e-6:
        raise InputError("duration", f"{config.duration:g} ms",
                         f"a multiple of the shortest field step ({config.dt * plan.clocks.steps:g} ms)",
                         "round it", file)
    return Simulation(plan, model, tissue, state, make_patches(config, plan.messengers, plan.clocks, model, file),
                      round(ticks))


def _schedule(
    config: RunConfig, wiring: Wiring, clocks: Clocks, synapse: Synapse, file: Path | None
) -> tuple[Schedule, str | None]:
    """The schedule a config asks for, and why the lazy one refuses this synapse, if it does."""
    refused = None
    try:
        check_parts(synapse)
    except InputError as error:
        if config.network.schedule == "lazy":
            raise
        refused = str(error)
    if config.network.schedule == "clocked" or refused:
        return Clocked(_short_calls(clocks, clocks.steps * wiring.neurons)), refused
    times = plan_times(wiring, clocks)
    clocks = _short_calls(clocks, 4 * times.blocks * wiring.neurons)
    return Lazy(clocks, times._replace(chunk=clocks.chunk)), None


def _short_calls(clocks: Clocks, bytes_per_tick: int) -> Clocks:
    """Clocks whose calls record no more than `RECORD_BYTES`."""
    return clocks._replace(chunk=max(1, min(clocks.chunk, RECORD_BYTES // max(bytes_per_tick, 1))))


def _arrays(plan: Plan, model: Model) -> tuple[AnyTissue, AnyState]:
    """Tissue and state of a plan, at rest."""
    config, distance = plan.config, plan.config.synapse.placement.bouton_distance
    most = [_most_molecules(plan.synapse, name, v) for name, v in plan.messengers.items()]
    strongest, headroom = _largest_strength(model.synapse), config.network.input_headroom
    tissue: AnyTissue
    state: AnyState
    if isinstance(plan.schedule, Lazy):
        space = Space(plan.grid, plan.spines, plan.boutons, distance, most, plan.near_steps,
                      plan.pairs) if most else None
        tissue, state = build_lazy(model, plan.wiring, plan.schedule.times, space, strongest, headroom, config.seed)
    else:
        tissue = build_tissue(plan.wiring, plan.grid, plan.spines, plan.boutons, distance, strongest, headroom, most,
                              plan.pairs)
        state = initial_state(model, tissue, plan.near_steps, config.seed)
    if plan.astrocytes is None:
        return tissue, state
    return plan.astrocytes.put(model, tissue, state)


def _grid(config: RunConfig, sites: np.ndarray) -> Grid:
    section = config.grid
    spacing = (section.spacing,) * 3
    boundary = cast(tuple[Boundary, Boundary, Boundary], tuple(section.boundary))  # Grid refuses another length
    if section.shape is not None:
        return Grid(section.shape, spacing, section.origin or (0.0, 0.0, 0.0), boundary)
    return Grid.around(sites, spacing, section.margin, boundary)


def _pairs(
    config: RunConfig, grid: Grid, maps: dict[str, Maps], spines: np.ndarray, boutons: np.ndarray, ids: np.ndarray,
    file: Path | None,
) -> Pairs | None:
    """Close neighbours, if the config asks for them.

    **Raises** `InputError` on maps of the medium, whose answer near a source has no closed form, and for a list that
    cannot fit in memory, before it is made.
    """
    section = config.grid
    if section.near_field == "own":
        return None
    if section.maps is not None or maps:
        given = {"grid.maps": section.maps, "grid.matrix": section.matrix, "grid.regions": section.regions}
        source = next((name for name, value in given.items() if value), "astrocytes.uptake")
        raise InputError("grid.near_field", "pairs", f"own, where {source} makes the medium differ between voxels",
                         f"leave out {source} or grid.near_field", file)
    number = count_pairs(grid, spines, boutons, within=section.pairs_within)
    check_memory(with_pairs(Sizes({}, frozenset()), 4 * number, ()), ids.size, file)  # as the host finds them
    return find_pairs(grid, spines, boutons, within=section.pairs_within,
                      closest=config.synapse.placement.bouton_distance, ids=ids)


def _near_steps(grid: Grid, values: dict, loss: float, own: int, pairs: Pairs | None) -> int:
    """Field steps of release that the near field of a messenger has to remember; `own`: for its own spine."""
    return own if pairs is None else max(own, pair_steps(grid, pairs, values["diffusion"], loss, values["step"]))


def _mapped(
    config: RunConfig, grid: Grid, values: dict[str, dict]
) -> tuple[dict[str, dict], dict[str, Maps], Matrix | None]:
    """Messengers in the medium of the config's maps, matrix and regions."""
    maps: dict[str, Maps] = {}
    if config.grid.maps is not None:
        values, maps = mapped(values, load_maps(config.grid.maps.file, grid, list(values)))
    values, maps, matrix = in_matrix(config, grid, values, maps)
    stages = {} if config.sleep is None else config.sleep.stages
    check_room(values, maps, {name: stage.volume_fraction for name, stage in stages.items() if stage.volume_fraction})
    return values, maps, matrix


def _carried(config: RunConfig, grid: Grid, values: dict[str, dict]) -> dict[str, dict]:
    """Messengers of the extracellular space in the flow of its fluid, if the config has one."""
    if config.grid.flow is None:
        return values
    flow = Flow.uniform(grid, config.grid.flow)
    return {name: v | {"flow": flow} if v["space"] == "ecs" else v for name, v in values.items()}


def _synapse(config: RunConfig, wiring: Wiring, messengers: dict[str, dict], file: Path | None) -> Synapse:
    section = config.synapse
    rules = [make_part(choice, "rule", f"synapse.rules.{number}", file) for number, choice in enumerate(section.rules)]
    for number, rule in enumerate(rules):
        if rule.senses is not None and rule.senses not in messengers:
            raise InputError(f"synapse.rules.{number}", f"{section.rules[number].model} senses {rule.senses}",
                             f"messengers of this model: {', '.join(messengers) or 'none'}",
                             f"add messengers.{rule.senses}, or remove the rule", file)
    if section.up_fraction is not None:
        rules = [_start_bistable(rule, config.seed, wiring.ids, section.up_fraction) for rule in rules]
    made = [make_synthesis(name, values, config.messengers[name].synthesis, file)
            for name, values in messengers.items()]
    rules += [rule for rule in made if rule is not None]
    (p_min, p_max), (q_min, q_max) = section.p_range, section.q_range
    return Synapse(
        make_part(section.spine, "spine", "synapse.spine", file),
        make_part(section.release, "release", "synapse.release", file), tuple(rules), section.p_release, section.q,
        Bounds(p_min, p_max, q_min, q_max),
    )


def _start_bistable(rule: AbstractRule, seed: int, ids: np.ndarray, up_fraction: float) -> AbstractRule:
    """A bistable rule started at rho = 0 or 1, drawn per synapse id."""
    if not isinstance(rule, GraupnerBrunel):
        return rule
    draws = Draws(jax.random.key(seed), jnp.asarray(ids, jnp.int32)).stream(2**31 - 1)
    up = draws.uniform(jnp.zeros(()), 1)[0] < up_fraction
    return eqx.tree_at(lambda r: r.rho, rule, up.astype(rule.rho.dtype))


def _most_molecules(synapse: Synapse, name: str, values: dict) -> float:
    """Most that one spine can make of a messenger in one of its field steps."""
    bounds = [rule.most(jnp.asarray(values["step"], float)) for rule in synapse.rules if rule.makes == name]
    return sum((values["rate"] * values["step"] if most is None else float(jnp.max(most)) for most in bounds), 0.0)


def _largest_strength(synapse: Synapse) -> float:
    largest = float(synapse.bounds.q_max)
    for rule in synapse.rules:
        if isinstance(rule, GraupnerBrunel):
            largest *= float(jnp.max(rule.w0 * jnp.maximum(rule.b, 1.0)))
    return largest


def _drive(plan: Plan) -> AbstractDrive:
    config, cells = plan.config, plan.cells
    count = plan.wiring.sources
    chosen = config.drive.replay or config.drive.poisson
    if chosen is None or (config.drive.replay and config.drive.poisson):
        raise InputError("drive", config.drive.model_dump(exclude_none=True), "exactly one of replay and poisson",
                         "give one source of spikes")
    if chosen.population not in cells.sources:
        raise InputError("drive.population", chosen.population, ", ".join(cells.sources) or "no source population",
                         "name a population that receives no synapses")
    first = cells.offset[chosen.population] - cells.node_id.size
    size = plan.circuit.nodes[chosen.population].ids.size
    if isinstance(chosen, PoissonSource):
        return Poisson(np.zeros(count) + chosen.rate * (np.arange(count) - first < size), config.dt)
    spikes = load_spikes(chosen.spikes)
    nodes = plan.circuit.nodes[chosen.population]
    check_ids(spikes, nodes)
    steps = round(float(chosen.loop) / config.dt)
    raster = np.zeros((steps, count), bool)
    when = np.floor(spikes.times_ms / config.dt).astype(np.int64)
    kept = when < steps
    raster[when[kept], first + nodes.index_of(spikes.ids)[kept]] = True
    return Replay(raster)
