"""What a fit config will do and need, before anything is compiled."""

import math

from rich.console import Console
from rich.table import Table

from retrojax.fit import FitConfig
from retrojax.fit.cost import Cost, predict_cost


def print_fit_check(config: FitConfig, console: Console) -> None:
    """Print points, rules, solves by stage, gradient mode and predicted memory of a fit, and warnings."""
    ask, data = config.report, config.data
    costs = predict_cost(config)

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    say(f"{len(data.points)} points of {costs[0].protocols} protocols, {len(data.assumptions)} assumptions; "
        f"left out together: {'nothing' if ask.leave_one_out == 'none' else ask.leave_one_out}")
    noise = config.likelihood.kind if config.likelihood else "normal with the SEM of each point"
    say(f"scatter: {noise}")
    table = Table("rule", "parameters", "stage", "solves", "batches", title="Solves, at most")
    for cost in costs:
        for stage, count in cost.solves.items():
            first = stage == "starts"
            table.add_row(cost.name * first, str(cost.parameters) * first, stage, str(count),
                          str(math.ceil(count / cost.batch)))
    console.print(table)
    for cost in costs:
        say(describe_cost(cost, config))
    if ask.sample:
        say(f"posterior sample: {ask.sample.chains} chains of {ask.sample.warmup + ask.sample.draws} steps, each of up "
            "to 1,023 gradients")
    for warning in _warnings(config, costs):
        console.print(f"[yellow]Warning:[/] {warning}", highlight=False, soft_wrap=True)


def describe_cost(cost: Cost, config: FitConfig) -> str:
    """One rule of a fit in a line: how it is solved, its gradient, and the memory predicted for it."""
    steps = config.solver.max_steps
    limit = f", at most {steps} steps each" if steps else ""
    return (f"{cost.name}: {cost.way}{limit}; gradient: forward mode, {cost.parameters} tangents beside each run of "
            f"{cost.run} protocols x {cost.entries} events; {cost.batch} solves at once; "
            f"{cost.memory_bytes / 2**20:.1f} MiB predicted; {cost.evaluations} more runs without gradient")


def _warnings(config: FitConfig, costs: list[Cost]) -> list[str]:
    found, points = [], len(config.data.points)
    for cost in costs:
        if cost.parameters >= points:
            found.append(f"{cost.name}: {cost.parameters} parameters for {points} points; the fit will say which "
                         "combinations stay free: give priors, or hold some with `transform: fixed`")
    free = [path for path, choice in config.parameters.items()
            if choice.prior is None and path not in config.priors and choice.transform != "fixed"]
    if config.report.sample and free:
        found.append(f"report.sample: {', '.join(free)} without a prior; where the data do not bound such a parameter, "
                     "the posterior is improper and the sample means nothing")
    return found
