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
from retrojax.engine.model import Clocks, Messenger, Model, NetworkState, Tissue
from retrojax.engine.rows import Bounds, Synapse
from retrojax.errors import InputError, naming_file
from retrojax.io.circuit import Cells, gather_cells, wire
from retrojax.io.parts import make_neurons, make_synthesis, messenger_values
from retrojax.io.patches import Patches, make_patches
from retrojax.io.placement import place_spines
from retrojax.io.schema import PoissonSource, RunConfig
from retrojax.io.sizes import check_memory, estimate
from retrojax.io.sonata import Circuit, load_circuit
from retrojax.io.spikes import check_ids, load_spikes
from retrojax.numerics import Draws
from retrojax.parts import GraupnerBrunel
from retrojax.parts.choice import make_part
from retrojax.parts.drive import AbstractDrive, Poisson, Replay
from retrojax.space import Grid, steps_needed
from retrojax.space.grid import Boundary

CHUNK_MS = 1000.0
"""Biological time per compiled call: short enough to notice trouble, long enough to hide the host."""


def naming(function):
    """Errors of a function of (config, file) name the file."""

    @functools.wraps(function)
    def named(config: RunConfig, file: Path | None = None):
        with naming_file(file):
            return function(config, file)

    return named


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run will be, before any large array exists: enough for `check`."""

    config: RunConfig
    circuit: Circuit
    cells: Cells
    wiring: Wiring
    grid: Grid
    spines: np.ndarray
    boutons: np.ndarray
    clocks: Clocks
    messengers: dict[str, dict]
    near_steps: tuple[int, ...]
    bytes_per_array: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Simulation:
    """Everything a run needs; `model_at(tick)` is the model in force from a tick on."""

    plan: Plan
    model: Model
    tissue: Tissue
    state: NetworkState
    patches: Patches
    end: int

    @property
    def tick_ms(self) -> float:
        """Biological time of a tick [ms]."""
        return self.plan.config.dt * self.plan.clocks.steps

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
    values = {name: messenger_values(section, file) for name, section in config.messengers.items()}
    clocks = build_clocks(config.dt, {name: v["step"] for name, v in values.items()}, config.slow_step, CHUNK_MS)
    grid = _grid(config, np.concatenate([spines, boutons]))
    near = tuple(
        steps_needed(grid, v["diffusion"], v["loss"], v["step"], place.bouton_distance) for v in values.values()
    )
    sizes = estimate(config, wiring, grid, clocks, near, len(config.synapse.rules) + len(values))
    check_memory(sizes, file)
    return Plan(config, circuit, cells, wiring, grid, spines, boutons, clocks, values, near, sizes)


@naming
def build(config: RunConfig, file: Path | None = None) -> Simulation:
    """The simulation a config describes, at t = 0."""
    plan = make_plan(config, file)
    synapse = _synapse(plan, file)
    place = config.synapse.placement
    messengers = tuple(
        Messenger(name, jnp.asarray(v["diffusion"], float), jnp.asarray(v["loss"], float),
                  jnp.asarray(v["volume_fraction"], float))
        for name, v in plan.messengers.items()
    )
    model = Model(
        dt=jnp.asarray(config.dt, float), synapse=synapse, weight=jnp.asarray(plan.wiring.weight, float),
        fixed_weight=jnp.asarray(plan.wiring.fixed_weight, float), inhibition=jnp.asarray(1.0, float),
        neurons=make_neurons(config.neurons, plan.cells.kind, file), drive=_drive(plan), messengers=messengers,
    )
    tissue = build_tissue(
        plan.wiring, plan.grid, plan.spines, plan.boutons, place.bouton_distance, _largest_strength(synapse),
        config.network.input_headroom, [v["rate"] * v["step"] for v in plan.messengers.values()],
    )
    state = initial_state(model, tissue, plan.near_steps, config.seed)
    ticks = config.duration / (config.dt * plan.clocks.steps)
    if abs(ticks - round(ticks)) > 1e-6:
        raise InputError("duration", f"{config.duration:g} ms",
                         f"a multiple of the shortest field step ({config.dt * plan.clocks.steps:g} ms)",
                         "round it", file)
    return Simulation(plan, model, tissue, state, make_patches(config, plan.messengers, plan.clocks, model, file),
                      round(ticks))


def _grid(config: RunConfig, sites: np.ndarray) -> Grid:
    section = config.grid
    spacing = (section.spacing,) * 3
    boundary = cast(tuple[Boundary, Boundary, Boundary], tuple(section.boundary))  # Grid refuses another length
    if section.shape is not None:
        return Grid(section.shape, spacing, section.origin or (0.0, 0.0, 0.0), boundary)
    return Grid.around(sites, spacing, section.margin, boundary)


def _synapse(plan: Plan, file: Path | None) -> Synapse:
    section = plan.config.synapse
    rules = [make_part(choice, "rule", f"synapse.rules.{number}", file) for number, choice in enumerate(section.rules)]
    for number, rule in enumerate(rules):
        if rule.senses is not None and rule.senses not in plan.messengers:
            raise InputError(f"synapse.rules.{number}", f"{section.rules[number].model} senses {rule.senses}",
                             f"messengers of this model: {', '.join(plan.messengers) or 'none'}",
                             f"add messengers.{rule.senses}, or remove the rule", file)
    if section.up_fraction is not None:
        rules = [_start_bistable(rule, plan, section.up_fraction) for rule in rules]
    rules += [make_synthesis(name, values) for name, values in plan.messengers.items()]
    (p_min, p_max), (q_min, q_max) = section.p_range, section.q_range
    return Synapse(
        make_part(section.spine, "spine", "synapse.spine", file),
        make_part(section.release, "release", "synapse.release", file), tuple(rules), section.p_release, section.q,
        Bounds(p_min, p_max, q_min, q_max),
    )


def _start_bistable(rule, plan: Plan, up_fraction: float):
    """A bistable rule started at rho = 0 or 1, drawn per synapse id."""
    if not isinstance(rule, GraupnerBrunel):
        return rule
    draws = Draws(jax.random.key(plan.config.seed), jnp.asarray(plan.wiring.ids, jnp.int32)).stream(2**31 - 1)
    up = draws.uniform(jnp.zeros(()), 1)[0] < up_fraction
    return eqx.tree_at(lambda r: r.rho, rule, up.astype(rule.rho.dtype))


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
        raise InputError("drive", config.drive.model_dump(exclude_none=True), "exactly one of replay, poisson",
                         "give one source of spikes")
    if chosen.population not in cells.sources:
        raise InputError("drive.population", chosen.population, ", ".join(cells.sources) or "no source population",
                         "name a population that receives no synapses")
    first = cells.offset[chosen.population] - cells.node_id.size
    size = plan.circuit.nodes[chosen.population].ids.size
    if isinstance(chosen, PoissonSource):
        return Poisson(np.zeros(count) + chosen.rate * (np.arange(count) - first < size))
    spikes = load_spikes(chosen.spikes)
    nodes = plan.circuit.nodes[chosen.population]
    check_ids(spikes, nodes)
    steps = round(float(chosen.loop) / config.dt)
    raster = np.zeros((steps, count), bool)
    when = np.floor(spikes.times_ms / config.dt).astype(np.int64)
    kept = when < steps
    raster[when[kept], first + nodes.index_of(spikes.ids)[kept]] = True
    return Replay(raster)
