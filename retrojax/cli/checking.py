"""What a config would need, before anything large is built."""

from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from retrojax.engine.lazy.assemble import plan_cut
from retrojax.engine.reactions import MOST_PARTS
from retrojax.engine.schedules import Lazy
from retrojax.errors import naming_file
from retrojax.io.build import model_of
from retrojax.io.maps import free_medium
from retrojax.io.matrix import filled
from retrojax.io.parts import total_loss
from retrojax.io.plan import Plan, make_plan
from retrojax.io.schema import ReactionSection, RunConfig
from retrojax.io.sizes import available, fitting
from retrojax.space import reach_of, wall_warning, work_needed


def print_check(config: RunConfig, file: Path, console: Console) -> None:
    """Print sizes, clocks, reaches and warnings of a config."""
    plan = make_plan(config, file)
    with naming_file(file):
        model_of(plan, file)  # what it refuses, a run would refuse
    console.print(f"{plan.wiring.neurons} neurons, {plan.wiring.sources} sources, {plan.wiring.ids.size} plastic and "
                  f"{plan.wiring.fixed_pre.size} fixed synapses", highlight=False)
    console.print(f"grid {' x '.join(map(str, plan.grid.shape))} voxels of {config.grid.spacing:g} um "
                  f"({plan.grid.n_voxels} voxels), {', '.join(plan.grid.boundary)}", highlight=False)
    if plan.matrix is not None and config.grid.matrix is not None:
        density, reached = (np.asarray(x) for x in (plan.matrix.density, plan.matrix.reached))
        console.print(f"matrix: density {density.min():.3g} to {density.max():.3g}; enzymes get to "
                      f"{100 * reached.mean():.3g} % of the box", highlight=False)
    for number, region in enumerate(config.grid.regions):
        share = 100 * filled(plan.grid, region, f"grid.regions.{number}").mean()
        shape = f"{'hollow ' if region.hollow else ''}{'ball' if region.to is None else 'rod'}"
        console.print(f"region {number}: a {shape}, {share:.3g} % of the box", highlight=False)
    if plan.pairs is not None:
        console.print(f"near field: {plan.pairs.spine.size:,} pairs of close neighbours, "
                      f"{plan.pairs.spine.size / max(plan.wiring.ids.size, 1):.3g} for each bouton, within "
                      f"{plan.pairs.within} voxels", highlight=False)
    console.print(f"clocks: neurons {config.dt:g} ms, tick {plan.tick_ms:g} ms, "
                  f"slow {config.slow_step:g} ms", highlight=False)
    console.print(f"schedule: {_schedule(plan)}", highlight=False, soft_wrap=True)
    _messengers(plan, config, console)
    _astrocytes(plan, console)
    _bytes(plan, console)
    for warning in warnings(plan):
        console.print(f"[yellow]Warning:[/] {warning}", highlight=False, soft_wrap=True)


def _schedule(plan: Plan) -> str:
    """Which, and why or how."""
    if isinstance(plan.schedule, Lazy):
        times, dt = plan.schedule.times, plan.config.dt
        cut = plan_cut(plan.wiring, times, plan.config.network.devices)
        where = f"; cut among {cut.devices} devices, {cut.each} neurons each at most" if cut else ""
        return (f"lazy: rows of axons that spiked are processed every {times.block * dt:g} ms ({times.block} neuron "
                f"steps; the shortest dendritic delay sets this){where}")
    return f"clocked, every synapse at every dt{': ' + plan.refused if plan.refused else ', as asked'}"


def _messengers(plan: Plan, config: RunConfig, console: Console) -> None:
    if not plan.messengers:
        return
    table = Table("messenger", "step (ms)", "D* (um2/ms)", "loss (1/s)", "sink", "reach (um)", "in voxels",
                  title="Messengers: reach = sqrt(D*/loss), with what is converted, at low concentration")
    lost = total_loss(plan.messengers, plan.reactions)
    for name, values in plan.messengers.items():
        reach = reach_of(values["diffusion"], lost[name])
        table.add_row(name, f"{values['step']:g}", f"{values['diffusion']:.4g}", f"{1000 * lost[name]:.4g}",
                      values["sink_kind"], f"{reach:.1f}", f"{reach / config.grid.spacing:.1f}")
    console.print(table)
    for (name, values), steps in zip(plan.messengers.items(), plan.near_steps, strict=True):
        needed = plan.transports[name]
        console.print(f"{name}: made by {_makers(plan, name, values)}; a terminal remembers its own spine for {steps} "
                      "field steps", highlight=False, soft_wrap=True)
        console.print(f"{name}: {needed.kind}; {needed.why}", highlight=False, soft_wrap=True)
        if name in plan.parts:
            console.print(f"{name}: {plan.parts[name]}", highlight=False, soft_wrap=True)
    for name, maps in plan.maps.items():
        values = plan.messengers[name]
        steps, terms = work_needed(plan.grid, free_medium(values, maps), values["diffusion"], values["step"],
                                   margin=1.0)
        console.print(f"{name}: maps of the medium, {steps} part{'s' * (steps > 1)} of at most {terms} terms per field "
                      "step; numbers above are means of the maps", highlight=False, soft_wrap=True)
    for every in sorted(set(plan.clocks.every)):
        group = [name for name, own in zip(plan.messengers, plan.clocks.every, strict=True) if own == every]
        tick = plan.tick_ms
        console.print(f"field step of {', '.join(group)}: every {every * tick:g} ms, "
                      f"{1000 / (every * tick):g} a second", highlight=False, soft_wrap=True)
    for reaction in config.reactions:
        console.print(f"reaction: {_spelled(reaction)}", highlight=False, soft_wrap=True)


def _astrocytes(plan: Plan, console: Console) -> None:
    """How many, how large, at which clock; what they sense and release."""
    placed = plan.astrocytes
    if placed is None:
        return
    glia, names, tick = placed.model, list(plan.messengers), plan.tick_ms
    size = placed.size * plan.grid.voxel_volume
    share = 100 * placed.size.sum() / plan.grid.n_voxels
    console.print(f"{len(placed.centres)} astrocytes, domains of {size.mean():.3g} um3 ({size.min():.3g} to "
                  f"{size.max():.3g}) in {share:.3g} % of the box, {len(placed.pairs)} pairs touch",
                  highlight=False, soft_wrap=True)
    console.print(f"astrocytes step every {glia.every * tick:g} ms, in {glia.substeps} parts", highlight=False)
    senses = [] if glia.transmitter is None else [f"{names[glia.transmitter]} (transmitter)"]
    senses += [names[sensor.messenger] for sensor in glia.sensors]
    releases = [names[secretion.messenger] for secretion in glia.secretions]
    console.print(f"astrocytes sense {', '.join(senses) or 'nothing'}; release {', '.join(releases) or 'nothing'}; gap "
                  f"junctions {'none' if glia.junctions is None else 'between domains that touch'}", highlight=False,
                  soft_wrap=True)


def _makers(plan: Plan, name: str, values: dict) -> str:
    """What makes a messenger: spines, other messengers, and what keeps up a resting level."""
    made = [f"spines ({type(rule).__name__})" for rule in plan.synapse.rules if rule.makes == name]
    names = list(plan.messengers)
    made += [names[r.source] for r in plan.reactions if r.product is not None and names[r.product] == name]
    if plan.astrocytes is not None:
        made += ["astrocytes" for s in plan.astrocytes.model.secretions if names[s.messenger] == name]
    if values["tonic"] > 0:
        made.append(f"tonic, {values['tonic']:g} nM")
    return ", ".join(made) or "nothing"


def _spelled(reaction: ReactionSection) -> str:
    """A reaction as chemists write it."""
    left = f"2 {reaction.source}" if reaction.order == 2 else reaction.source
    left += f" + {reaction.catalyst}" if reaction.catalyst else ""
    right = "nothing" if reaction.product is None else reaction.product
    right = right if reaction.share == 1 else f"{reaction.share:g} {right}"
    right += f" + {reaction.catalyst}" if reaction.catalyst else ""
    return f"{left} -> {right}, {'as it is lost' if reaction.of_loss else reaction.rate}"


def _bytes(plan: Plan, console: Console) -> None:
    table = Table("array", "bytes", "per plastic synapse", title="Memory, estimated")
    synapses = max(plan.wiring.ids.size, 1)
    for name, size in plan.sizes.arrays.items():
        table.add_row(name, f"{size:,}", f"{size / synapses:.1f}")
    total = plan.sizes.total
    table.add_row("total", f"{total:,}", f"{total / synapses:.1f}", style="bold")
    console.print(table)
    room = available()
    console.print(f"available: {room:,} bytes, enough for {fitting(plan.sizes, synapses, room):,} plastic synapses of "
                  "this kind, all else being equal", highlight=False, soft_wrap=True)


def warnings(plan: Plan) -> list[str]:
    """What a user should know about the resolution and the walls of a plan, and about its messengers."""
    found, spacing, widest = [], plan.config.grid.spacing, 0.0
    for name, values in plan.messengers.items():
        kind, reach, _ = plan.transports[name]
        if reach < spacing:
            found.append(f"{name} reaches {reach:.2g} um, less than a voxel ({spacing:g} um): use smaller voxels")
        if reach > max(plan.grid.size) and "absorbing" not in plan.grid.boundary:
            found.append(f"{name} reaches {reach:.0f} um, beyond the box ({max(plan.grid.size):.0f} um): "
                         + ("it is nearly uniform there" if kind == "mean field" else "its walls decide the level"))
        else:
            widest = max(widest, reach)
        found += _doubts(plan, name, values)
    if plan.astrocytes is not None:
        glia = plan.astrocytes.model
        if not glia.sensors and glia.transmitter is None:
            found.append("astrocytes sense nothing: give them a `transmitter` or something under `senses`")
        part = glia.every * plan.tick_ms / glia.substeps
        if part > 50:
            found.append(f"astrocytes: parts of {part:g} ms are coarse for calcium, whose fastest rate is near 1/(20 "
                         "ms): use `substep: 10 ms`")
    found += _moments(plan)
    mirrored = wall_warning(plan.grid, plan.spines, widest)
    return found if mirrored is None else [*found, mirrored]


def _doubts(plan: Plan, name: str, values: dict) -> list[str]:
    """What else to know about one messenger."""
    found = []
    if not values["enabled"]:
        found.append(f"{name}: few or none of its numbers come from a source that was read (`retrojax describe "
                     f"messenger {values['name']}`)")
    if _makers(plan, name, values) == "nothing":
        found.append(f"{name} is made by nothing: give it a `tonic` level, a `synthesis`, or a reaction that yields it")
    if values["step"] > plan.config.duration:
        found.append(f"{name} steps every {values['step']:g} ms, and the run ends at {plan.config.duration:g} ms: its "
                     "field stays as it began")
    if name in plan.parts and plan.parts[name].parts == MOST_PARTS:
        found.append(f"{name}: saturable loss takes its field step of {values['step']:g} ms apart into {MOST_PARTS} "
                     "parts, and would need more for 1 %: use a shorter step")
    return found


def _moments(plan: Plan) -> list[str]:
    """Interventions that come too late, or between two ticks."""
    found, tick = [], plan.tick_ms
    for number, item in enumerate(plan.config.interventions):
        if float(item.start) >= float(plan.config.duration):
            found.append(f"interventions.{number} begins at {item.start / 1000:g} s, when the run has ended: it does "
                         "nothing")
        for key, time in (("from", item.start), ("until", item.stop)):
            if time is not None and plan.in_ticks(time) is None:
                found.append(f"interventions.{number}.{key} is {time:g} ms, between two field steps ({tick:g} ms "
                             f"apart): it becomes {tick * round(time / tick):g} ms")
    return found
