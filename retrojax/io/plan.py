"""What a run will be, from its config: files are read and sizes checked before any large array exists."""

import dataclasses
import functools
from pathlib import Path
from typing import cast

import jax.numpy as jnp
import numpy as np

from retrojax.engine.assemble import Wiring, build_clocks
from retrojax.engine.lazy.assemble import check_parts, plan_cut, plan_times
from retrojax.engine.model import Clocks, Maps, Matrix, Reaction
from retrojax.engine.reactions import in_order
from retrojax.engine.rows import Synapse
from retrojax.engine.schedules import Clocked, Lazy, Schedule
from retrojax.errors import InputError, naming_file
from retrojax.io.astrocytes import Placed, astrocyte_sizes, place_astrocytes, with_uptake
from retrojax.io.circuit import Cells, gather_cells, wire
from retrojax.io.maps import check_room, load_maps, mapped
from retrojax.io.matrix import in_matrix
from retrojax.io.parts import make_reactions, messenger_values, total_loss
from retrojax.io.placement import place_spines
from retrojax.io.schema import RunConfig
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
from retrojax.io.synapse import make_synapse
from retrojax.io.transports import Split, choose_transports, near_steps, split_parts
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

    @property
    def tick_ms(self) -> float:
        """Biological time of a tick, the shortest field step [ms]."""
        return self.config.dt * self.clocks.steps

    def in_ticks(self, time: float) -> int | None:
        """A time [ms] in ticks; None between two."""
        ticks = time / self.tick_ms
        return round(ticks) if abs(ticks - round(ticks)) <= 1e-6 else None


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
    synapse = make_synapse(config, wiring, values, file)
    schedule, refused = _schedule(config, wiring, clocks, synapse, file)
    sizes = _count(config, schedule, synapse, wiring, grid, values, maps, near, pairs, placed)
    check_memory(sizes, wiring.ids.size, file)
    return Plan(config, circuit, cells, wiring, grid, spines, boutons, schedule, refused, synapse, values,
                maps, transports, reactions, near, pairs, sizes, placed, matrix)


def _count(
    config: RunConfig, schedule: Schedule, synapse: Synapse, wiring: Wiring, grid: Grid, values: dict[str, dict],
    maps: dict[str, Maps], near: tuple[int, ...], pairs: Pairs | None, placed: Placed | None,
) -> Sizes:
    """Bytes of every array the run will hold."""
    if isinstance(schedule, Lazy):
        sizes = lazy_sizes(synapse, config.dt, wiring, schedule.times, grid.n_voxels if values else 0, near,
                           config.network.devices)
    else:
        sizes = clocked_sizes(synapse, wiring, grid, schedule.clocks, near)
    if placed is not None:
        more = astrocyte_sizes(placed, schedule.clocks.chunk, jnp.result_type(float).itemsize)
        sizes = sizes._replace(arrays=sizes.arrays | more)
    sizes = with_tissue(sizes, grid, len(maps), sum(len(v["binding"]) for v in values.values()),
                        int(any(v["flow"] is not None for v in values.values())))
    sizes = with_direct(sizes, sum(bool(v.get("f_cis")) for v in values.values()), near)
    return sizes if pairs is None else with_pairs(sizes, pairs.spine.size, near)


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
        if config.network.devices > 1:
            raise InputError("network.devices", config.network.devices, "1 on the clocked schedule",
                             f"use 1{': ' + refused if refused else ', or schedule: lazy'}", file)
        return Clocked(_short_calls(clocks, clocks.steps * wiring.neurons)), refused
    times = plan_times(wiring, clocks)
    plan_cut(wiring, times, config.network.devices)
    clocks = _short_calls(clocks, 4 * times.blocks * wiring.neurons)
    return Lazy(clocks, times._replace(chunk=clocks.chunk)), None


def _short_calls(clocks: Clocks, bytes_per_tick: int) -> Clocks:
    """Clocks whose calls record no more than `RECORD_BYTES`."""
    return clocks._replace(chunk=max(1, min(clocks.chunk, RECORD_BYTES // max(bytes_per_tick, 1))))


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
    if config.network.devices > 1:
        raise InputError("network.devices", config.network.devices, "1 with grid.near_field: pairs",
                         "use 1, or leave the near field to the own spine", file)
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
