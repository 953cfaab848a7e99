"""What a fit will do and need, from its config and shapes alone: solves by stage, and the memory of one batch."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from retrojax.engine.rows import Synapse, channels
from retrojax.fit.config import FitConfig, build, build_alternative
from retrojax.fit.observation import Observation
from retrojax.fit.pathways import Pathways

SHARED, STATE, SORTED = 27, 24, 26
"""Bytes per entry of the spike tables; per channel, protocol and tangent of the state that the scan carries; and per
entry and tangent where a fitted calcium delay gives every solve its own order of events (all measured on a CPU)."""


class Cost(NamedTuple):
    """One rule's part of a fit.

    - `name`: of the rule. `way`: how it is solved. `parameters`: fitted. `entries`, `protocols`: of the spike tables;
      `run`: protocols that one compiled step is given, which is one for each point of a mini-batch.
    - `batch`: solves at once. `solves`: by stage. `evaluations`: of the model alone, without a gradient.
    - `memory_bytes`: predicted for one batch, without the program itself; within a factor of 2.
    """

    name: str
    way: str
    parameters: int
    entries: int
    protocols: int
    run: int
    batch: int
    solves: dict[str, int]
    evaluations: int
    memory_bytes: int


def predict_cost(config: FitConfig) -> list[Cost]:
    """The cost of a config's own rule, and of each that `report.compare` names.

    **Raises** `InputError` as `retrojax.fit.build`: a config that passes can be fitted.
    """
    costs = [_cost(config, config.model.rule.model, build(config), True)]
    return costs + [_cost(config, name, build_alternative(config, name), False) for name in config.report.compare]


def _cost(config: FitConfig, name: str, built: Any, own: bool) -> Cost:
    problem, model, spec = built
    solver, ask = config.solver, config.report
    batch = min(solver.batch or solver.starts, solver.starts)
    groups = len(set(problem.groups) - {"assumed"})
    solves = {"starts": solver.starts}
    if groups > 1:
        solves["leave one out"] = groups * min(solver.starts, max(1, batch // groups))
    if own and ask.recovery:
        solves["recovery"] = ask.recovery * min(solver.starts, max(4, batch // ask.recovery))
    if own and ask.profile:
        profiled = len(ask.profile) if isinstance(ask.profile, list) else len(spec)
        solves["profile"] = profiled * 2 * (2 * max(2, ask.profile_points // 2) + 1)
    likelihood = isinstance(problem.predict, Observation)
    outcome = problem.predict.outcome if likelihood else problem.predict
    entries = outcome.tables.whole.shape[-1] + outcome.tables.pre_entry.shape[-1]
    protocols = math.prod(outcome.tables.whole.shape[:-1])
    run = solver.descent.batch if solver.descent and solver.descent.batch else protocols
    tangents = len(spec) + 1
    # the second derivatives of a likelihood are taken of as many solves as need no more than the solve, or of one
    carried = tangents * (max(batch, tangents) if likelihood else batch)
    delayed = any(path.endswith("spine.delay") for path in spec)
    each = STATE * _channels(model) + SORTED * entries * delayed
    evaluations = solver.starts * (solver.screen if solver.screen > 1 else 0) + (ask.predictive if own else 0)
    return Cost(name, _way(config, len(problem.mean)), len(spec), entries, protocols, run, batch, solves, evaluations,
                SHARED * entries * run + carried * each * run)


def _way(config: FitConfig, points: int) -> str:
    descent = config.solver.descent
    if descent is not None:
        each = f"mini-batches of {descent.batch} of {points} points" if descent.batch else "all points"
        return f"descent ({descent.optimiser}, {descent.steps} steps of {each})"
    return "least squares, then maximum likelihood (BFGS)" if config.likelihood else (
        "least squares (Levenberg-Marquardt)")


def _channels(model: Any) -> int:
    synapse = model.synapse if isinstance(model, Pathways) else model
    bare = Synapse(synapse.spine, synapse.release, synapse.rules, synapse.p_release, synapse.q, synapse.bounds)
    return len(channels(jax.tree.map(jnp.zeros_like, bare)))
