"""Cost of gradients over pairing protocols, and of least squares with them against gradient-free search.

Prints one JSON object per line; needs the recordings (`--data DIR`).

- `gradient_forward`, `gradient_reverse_small`: at the size of `fit_neocortical_stdp`, relative to one evaluation.
- `gradient_reverse_large`: 1,000 conditions x 2,000 events. `gradient_memory`: bytes that the compiled gradient takes
  besides its arguments, at rising numbers of events, and the exponent of their growth.
- `fit_cmaes`, `fit_scipy`: evaluations and seconds until the loss is within 1 % of the best known, median of 10 seeds,
  for the unified rule on the rows between layer-5 cells. One Jacobian with its value counts as one evaluation, and all
  starts count, until one is there. CMA-ES evaluates its population in one call; compiling is never counted.
"""

import contextlib
import io
import json
import resource
import statistics
import time

import cma
import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

import retrojax
from retrojax.engine.events import instants, stack_tables
from retrojax.fit.gradient import loss_and_gradient, plan_gradient
from retrojax.fit.pathways import PathwayOutcome
from retrojax.fit.problem import Problem
from retrojax.fit.solve import compile_solver, loss_of
from retrojax.fit.spec import draw_starts, set_coordinates
from retrojax.fit.stdp_rules import RULES
from retrojax.io.pairing_table import pairing_problem, read_pairing_table
from retrojax.protocols import pairs
from retrojax.testing import recordings

TABLE, LAYER_5 = "stdp_neocortex_pairs/paired_recordings.csv", ("L5TTPC>L5TTPC",)
SEEDS, STARTS, WITHIN, MOST, ANY = 10, 2, 1.01, 30_000, 1e300


def line(name: str, **values: object) -> None:
    """Print one measurement."""
    device = jax.devices()[0]
    common = {"name": name, "version": retrojax.__version__, "jax": jax.__version__, "device": device.device_kind,
              "devices": jax.device_count(),
              "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}
    print(json.dumps({**common, **values}), flush=True)


def seconds(function, *args) -> tuple[float, float]:
    """Seconds of the first call (with compiling) and median of later ones."""
    def once() -> float:
        start = time.perf_counter()
        jax.block_until_ready(function(*args))
        return time.perf_counter() - start

    first = once()
    return first, statistics.median(once() for _ in range(7))


def quiet_plan(*args, **kwargs):
    """`plan_gradient` without its line, which is not JSON."""
    with contextlib.redirect_stdout(io.StringIO()):
        return plan_gradient(*args, **kwargs)


def value_function(problem: Problem, model, spec):
    """u -> loss without gradient, compiled; the problem is an argument, so nothing of it is folded away."""
    def loss(u, data):
        fixed, predict, mean, sem = data
        return jnp.sum(((predict(set_coordinates(fixed, spec, u)) - mean) / sem) ** 2)

    compiled = jax.jit(loss)
    data = (model, problem.predict, problem.mean, problem.sem)
    return lambda u: compiled(u, data)


def gradient_cost(name: str, problem: Problem, rule: str, mode: str, required) -> None:
    """Time of one gradient over that of one value."""
    model, spec = RULES[rule](1)
    u = jnp.asarray(draw_starts(spec, 1, np.random.default_rng(0))[0])
    plan = quiet_plan(problem, model, spec, 2**34, mode=mode)
    _, value_s = seconds(value_function(problem, model, spec), u)
    first, wall = seconds(loss_and_gradient(problem, model, spec, plan), u)
    limit = required(len(spec))
    line(name, rule=rule, parameters=len(spec), conditions=problem.mean.size, compile_s=first - wall, wall_s=wall,
         events=instants(problem.predict.tables), value_s=value_s, ratio=wall / value_s, required=limit,
         ok=wall / value_s <= limit, predicted_bytes=plan.memory_bytes)


def synthetic(conditions: int, events: int) -> Problem:
    """Regular pairs at many lags; `events` scan steps: two spikes and one landing per pair, and the end."""
    lags = np.linspace(-45, 45, conditions)
    tables = stack_tables([tuple(pairs((events - 1) // 3, 10.0, float(lag))) for lag in lags])
    none = np.zeros(conditions, int)
    return Problem(np.ones(conditions), np.full(conditions, 0.1),
                   PathwayOutcome(tables, jnp.asarray(none), jnp.asarray(none > 0)), ("",) * conditions, none + 0.0,
                   ("",) * conditions, ("all",) * conditions, none == 0)


def memory() -> None:
    """Bytes of temporaries of the compiled reverse pass against its length."""
    model, spec = RULES["unified"](1)
    sizes: tuple[int, ...] = (500, 1000, 2000, 4000, 8000)
    held, predicted = [], []
    for events in sizes:
        problem = synthetic(16, events)
        plan = quiet_plan(problem, model, spec, mode="reverse")
        gradient = jax.jit(lambda data, u, p=plan, q=problem: loss_and_gradient(
            q._replace(predict=data), model, spec, p)(u))
        compiled = gradient.lower(problem.predict, jnp.zeros(len(spec))).compile()
        held.append(compiled.memory_analysis().temp_size_in_bytes)
        predicted.append(plan.memory_bytes)
    growth = np.log(held[-1] / held[0]) / np.log(sizes[-1] / sizes[0])
    line("gradient_memory", conditions=16, events=sizes, held_bytes=held, predicted_bytes=predicted, compile_s=0.0,
         wall_s=0.0, exponent=float(growth), required=0.55, ok=bool(growth <= 0.55))


def least_squares(problem: Problem, model, spec):
    """(seed, goal) -> evaluations and seconds of batches of starts until one is there."""
    solver = compile_solver(problem, model, spec, STARTS, 60, 1e-4)
    weight = np.tile(1 / problem.sem, (STARTS, 1))
    mean = np.tile(problem.mean, (STARTS, 1))

    def run(seed: int, goal: float) -> tuple[int, float, float]:
        rng, used, best, start = np.random.default_rng(seed), 0, np.inf, time.perf_counter()
        while best > goal and used < MOST:
            u0 = draw_starts(spec, STARTS + 1, rng)[1:]
            solved = solver(u0, mean, weight)
            used += int(solved.steps.sum())
            best = min(best, float(loss_of(spec, solved.u, solved.prediction, mean, weight).min()))
        return used, time.perf_counter() - start, best

    return run


def evolution(loss_of_many, spec):
    """The same for CMA-ES, restarted where it stops short of the goal."""
    def run(seed: int, goal: float) -> tuple[int, float, float]:
        rng, used, best, start = np.random.default_rng(seed), 0, np.inf, time.perf_counter()
        while best > goal and used < MOST:
            options = {"seed": int(rng.integers(1, 2**31)), "verbose": -9}
            search = cma.CMAEvolutionStrategy(draw_starts(spec, 2, rng)[1], 0.6, options)
            while not search.stop() and best > goal and used < MOST:
                asked = search.ask()
                found = np.nan_to_num(np.asarray(loss_of_many(jnp.asarray(np.stack(asked)))), nan=1e12, posinf=1e12)
                search.tell(asked, found.tolist())
                used, best = used + len(asked), min(best, float(found.min()))
        return used, time.perf_counter() - start, best

    return run


def finite_differences(residuals, spec):
    """The same for SciPy's least squares with finite differences, one start after another."""
    def run(seed: int, goal: float) -> tuple[int, float, float]:
        rng, used, best, start = np.random.default_rng(seed), 0, np.inf, time.perf_counter()

        def counted(u: np.ndarray) -> np.ndarray:
            nonlocal used
            used += 1
            return np.nan_to_num(np.asarray(residuals(u)), nan=1e6, posinf=1e6)

        while best > goal and used < MOST:
            found = scipy.optimize.least_squares(counted, draw_starts(spec, 2, rng)[1], x_scale="jac", max_nfev=60)
            best = min(best, 2 * float(found.cost))
        return used, time.perf_counter() - start, best

    return run


def against_search(problem: Problem) -> None:
    """Least squares with the compiled Jacobian beside CMA-ES and SciPy."""
    model, spec = RULES["unified"](1)
    prior = np.array([[np.log(p.prior[0]), p.prior[1]] for p in spec.values()])

    def residuals(u, predict):
        misfit = (predict(set_coordinates(model, spec, u)) - problem.mean) / problem.sem
        return jnp.concatenate([misfit, (u - prior[:, 0]) / prior[:, 1]])

    many = jax.jit(jax.vmap(lambda u, predict: jnp.sum(residuals(u, predict) ** 2), (0, None)))
    one = jax.jit(residuals)
    methods = {
        "least_squares": least_squares(problem, model, spec),
        "cmaes": evolution(lambda u: many(u, problem.predict), spec),
        "scipy": finite_differences(lambda u: one(u, problem.predict), spec),
    }
    for run in methods.values():
        run(99, ANY)  # compiles, and stops at the first loss there is
    best = min(methods["least_squares"](1000 + batch, ANY)[2] for batch in range(32))
    results = {name: [run(seed, WITHIN * best) for seed in range(1, SEEDS + 1)] for name, run in methods.items()}
    middle = {name: np.median(np.array(rows), axis=0) for name, rows in results.items()}
    ours = middle["least_squares"]
    for name, times, goals in (("cmaes", middle["cmaes"], (10.0, 5.0)), ("scipy", middle["scipy"], (None, None))):
        fewer, faster = float(times[0] / ours[0]), float(times[1] / ours[1])
        line(f"fit_{name}", compile_s=0.0, wall_s=float(times[1]), evaluations=float(times[0]),
             ours_wall_s=float(ours[1]), ours_evaluations=float(ours[0]), fewer_evaluations=fewer, faster=faster,
             best_loss=best, seeds=SEEDS,
             reached=[sum(row[2] <= WITHIN * best for row in results[key]) for key in ("least_squares", name)],
             required={"fewer_evaluations": goals[0], "faster": goals[1]},
             ok=None if goals[0] is None else bool(fewer >= goals[0] and faster >= goals[1]))


def main() -> None:
    """All measurements, in double precision."""
    given = recordings(__doc__.splitlines()[0], [TABLE])
    with jax.enable_x64(True):
        rows = [row for row in read_pairing_table(given.data / TABLE) if row.pathway in LAYER_5]
        problem = pairing_problem(rows, LAYER_5)
        for rule in ("unified", "retrograde"):
            gradient_cost("gradient_forward", problem, rule, "forward", lambda count: 1.2 * (1 + count))
            gradient_cost("gradient_reverse_small", problem, rule, "reverse", lambda _: 8.0)
        for rule in ("unified", "graupner_brunel"):
            gradient_cost("gradient_reverse_large", synthetic(1000, 2000), rule, "reverse", lambda _: 4.0)
        memory()
        against_search(pairing_problem(rows, LAYER_5, ticks=False))


if __name__ == "__main__":
    main()
