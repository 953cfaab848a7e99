"""From a config to a simulation: the plan's arrays are made."""

import dataclasses
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from retrojax.engine.assemble import build_tissue, initial_state
from retrojax.engine.lazy.assemble import DEFAULT, Space, build_lazy
from retrojax.engine.model import Model
from retrojax.engine.schedules import AnyState, AnyTissue, Lazy, Schedule
from retrojax.errors import InputError
from retrojax.io.parts import make_messengers, make_neurons
from retrojax.io.patches import Patches, make_patches
from retrojax.io.plan import Plan, make_plan, naming
from retrojax.io.schema import PoissonSource, RunConfig
from retrojax.io.spikes import check_ids, load_spikes
from retrojax.io.synapse import largest_strength, most_molecules
from retrojax.parts.background import PoissonBackground
from retrojax.parts.drive import AbstractDrive, Poisson, Replay


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
        return self.plan.tick_ms

    @property
    def schedule(self) -> Schedule:
        """How the network advances."""
        return self.plan.schedule

    def model_at(self, tick: int) -> Model:
        """The model with the sleep stage and interventions of that tick."""
        return self.patches.apply(self.model, tick)


@naming
def build(config: RunConfig, file: Path | None = None) -> Simulation:
    """The simulation a config describes, at t = 0."""
    plan = make_plan(config, file)
    model, patches, end = model_of(plan, file)
    tissue, state = _arrays(plan, model)
    return Simulation(plan, model, tissue, state, patches, end)


def model_of(plan: Plan, file: Path | None = None) -> tuple[Model, Patches, int]:
    """Model, what changes in it over time, and the last tick of a plan: small beside tissue and state.

    **Raises** `InputError` for what only these parts of a config can get wrong.
    """
    config, synapse, outside = plan.config, plan.synapse, plan.config.drive.background
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
    end = _ticks("duration", config.duration, plan, file)
    _ticks("record.every", config.record.every, plan, file)
    return model, make_patches(config, plan.messengers, plan.clocks, model, file), end


def _ticks(field: str, time: float, plan: Plan, file: Path | None) -> int:
    """A time [ms] in ticks, which must be a whole number of them."""
    ticks = plan.in_ticks(time)
    if ticks is None:
        raise InputError(field, f"{time:g} ms", f"a multiple of the shortest field step ({plan.tick_ms:g} ms)",
                         "round it", file)
    return ticks


def _arrays(plan: Plan, model: Model) -> tuple[AnyTissue, AnyState]:
    """Tissue and state of a plan, at rest."""
    config, distance = plan.config, plan.config.synapse.placement.bouton_distance
    most = [most_molecules(plan.synapse, name, v) for name, v in plan.messengers.items()]
    strongest, headroom = largest_strength(model.synapse), config.network.input_headroom
    tissue: AnyTissue
    state: AnyState
    if isinstance(plan.schedule, Lazy):
        space = Space(plan.grid, plan.spines, plan.boutons, distance, most, plan.near_steps,
                      plan.pairs) if most else None
        tissue, state = build_lazy(model, plan.wiring, plan.schedule.times, space, strongest, headroom, config.seed,
                                   DEFAULT._replace(devices=config.network.devices))
    else:
        tissue = build_tissue(plan.wiring, plan.grid, plan.spines, plan.boutons, distance, strongest, headroom, most,
                              plan.pairs)
        state = initial_state(model, tissue, plan.near_steps, config.seed)
    if plan.astrocytes is None:
        return tissue, state
    return plan.astrocytes.put(model, tissue, state)


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
