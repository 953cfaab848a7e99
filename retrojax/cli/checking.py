"""What a config would need, before anything large is built."""

from pathlib import Path

from rich.console import Console
from rich.table import Table

from retrojax.engine.schedules import Lazy
from retrojax.io.build import Plan, make_plan
from retrojax.io.schema import RunConfig
from retrojax.io.sizes import available, fitting
from retrojax.space import reach_of, regime, wall_warning


def print_check(config: RunConfig, file: Path, console: Console) -> None:
    """Print sizes, clocks, reaches and warnings of a config."""
    plan = make_plan(config, file)
    clocks = plan.clocks
    console.print(f"{plan.wiring.neurons} neurons, {plan.wiring.sources} sources, {plan.wiring.ids.size} plastic and "
                  f"{plan.wiring.fixed_pre.size} fixed synapses", highlight=False)
    console.print(f"grid {' x '.join(map(str, plan.grid.shape))} voxels of {config.grid.spacing:g} um "
                  f"({plan.grid.n_voxels} voxels), {', '.join(plan.grid.boundary)}", highlight=False)
    console.print(f"clocks: neurons {config.dt:g} ms, tick {config.dt * clocks.steps:g} ms, "
                  f"slow {config.slow_step:g} ms", highlight=False)
    console.print(f"schedule: {_schedule(plan)}", highlight=False, soft_wrap=True)
    _messengers(plan, config, console)
    _bytes(plan, console)
    for warning in warnings(plan):
        console.print(f"[yellow]Warning:[/] {warning}", highlight=False, soft_wrap=True)


def _schedule(plan: Plan) -> str:
    """Which, and why or how."""
    if isinstance(plan.schedule, Lazy):
        times, dt = plan.schedule.times, plan.config.dt
        return (f"lazy: rows of axons that spiked are processed every {times.block * dt:g} ms ({times.block} neuron "
                "steps; the shortest dendritic delay sets this)")
    return f"clocked, every synapse at every dt{': ' + plan.refused if plan.refused else ', as asked'}"


def _messengers(plan: Plan, config: RunConfig, console: Console) -> None:
    table = Table("messenger", "step (ms)", "D* (um2/ms)", "loss (1/s)", "reach (um)", "reach (voxels)",
                  "own-spine memory", title="Messengers: reach = sqrt(D*/loss)")
    for (name, values), steps in zip(plan.messengers.items(), plan.near_steps, strict=True):
        reach = reach_of(values["diffusion"], values["loss"])
        table.add_row(name, f"{values['step']:g}", f"{values['diffusion']:.4g}", f"{1000 * values['loss']:.4g}",
                      f"{reach:.1f}", f"{reach / config.grid.spacing:.1f}", f"{steps} steps")
    if plan.messengers:
        console.print(table)
    for name, values in plan.messengers.items():
        needed = regime(plan.grid, values["diffusion"], values["loss"])
        console.print(f"{name}: {needed.kind}; {needed.why}", highlight=False, soft_wrap=True)


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
    """What a user should know about the resolution and the walls of a plan."""
    found, spacing, widest = [], plan.config.grid.spacing, 0.0
    for name, values in plan.messengers.items():
        kind, reach, _ = regime(plan.grid, values["diffusion"], values["loss"])
        if reach < spacing:
            found.append(f"{name} reaches {reach:.2g} um, less than a voxel ({spacing:g} um): use smaller voxels")
        if kind == "mean field":
            found.append(f"{name} reaches {reach:.0f} um, beyond the box ({max(plan.grid.size):.0f} um): it is nearly "
                         "uniform there")
        else:
            widest = max(widest, reach)
    mirrored = wall_warning(plan.grid, plan.spines, widest)
    return found if mirrored is None else [*found, mirrored]
