"""One step through maps of the medium: cost and error of three schemes, and the cost of the uniform box.

A molecule released into one voxel of a 64^3 box (1 um, no-flux) whose volume fraction (0.05 to 0.3) and tortuosity
(1.4 to 2.2) differ from voxel to voxel; gas: D 2.2 um^2/ms, 10 ms; lipid: D 0.0886, 100 ms. Schemes: the Chebyshev
series of `retrojax.space`; super-time-stepping RKL2 (Meyer et al. 2014); Strang splitting into lines, each by an
L-stable two-stage SDIRK. The last two in ever more sub-steps until their error is below 1 %. One JSON line each:
`error` and `undershoot` relative to the largest value after the step, against the series in double precision.

    python experiments/benchmarks/maps.py [--n 64]
"""

import argparse
import json
import math
import resource
import time

import jax
import jax.numpy as jnp
import numpy as np

import retrojax
from retrojax.space import Grid, Medium, advance, advance_maps, plan, plan_maps
from retrojax.space.maps import Exchange, exchange

CASES = {"gas": (2.2, 10.0), "lipid": (0.0886, 100.0)}
GAMMA = 1 - math.sqrt(0.5)


def super_time_step(operator: Exchange, field, h, stages: int):
    """One RKL2 step of length h; stable for h x stiffness <= (stages^2 + stages - 2) / 2."""
    def b(j):
        return 1 / 3 if j < 2 else (j * j + j - 2) / (2 * j * (j + 1))

    w1 = 4 / (stages**2 + stages - 2)
    rate0 = h * operator(field)
    last, now = field, field + b(1) * w1 * rate0
    for j in range(2, stages + 1):
        mu, nu = (2 * j - 1) / j * b(j) / b(j - 1), -(j - 1) / j * b(j) / b(max(j - 2, 0))
        tilde = mu * w1
        following = (mu * now + nu * last + (1 - mu - nu) * field + tilde * h * operator(now)
                     - (1 - b(j - 1)) * tilde * rate0)
        last, now = now, following
    return now


def line_solver(operator: Exchange, axis: int, h):
    """field -> field after h along one axis: two stages of SDIRK (gamma = 1 - 1/sqrt 2), Thomas algorithm."""
    room = jnp.moveaxis(operator.room, axis, 0)
    after, before = (jnp.moveaxis(faces[axis], axis, 0) for faces in (operator.after, operator.before))
    lower, upper = before * jnp.roll(room, 1, 0), after * jnp.roll(room, -1, 0)
    middle = -(after + before) * room - (jnp.moveaxis(operator.removal, axis, 0) if axis == 0 else 0)
    g = GAMMA * h

    def factor(previous, row):
        low, mid, up = row
        scale = 1 / (1 - g * mid + g * low * previous)
        ratio = -g * up * scale
        return ratio, (scale, ratio)

    scale, ratio = jax.lax.scan(factor, jnp.zeros_like(room[0]), (lower, middle, upper))[1]

    def solve(right):
        def down(previous, row):
            value, low, s = row
            now = (value + g * low * previous) * s
            return now, now

        def back(following, row):
            value, r = row
            now = value - r * following
            return now, now

        half = jax.lax.scan(down, jnp.zeros_like(right[0]), (right, lower, scale))[1]
        return jax.lax.scan(back, jnp.zeros_like(right[0]), (half, ratio), reverse=True)[1]

    def apply(a):
        return lower * jnp.roll(a, 1, 0) + middle * a + upper * jnp.roll(a, -1, 0)

    def step(field):
        a = jnp.moveaxis(field, axis, 0)
        first = solve(apply(a))
        second = solve(apply(a + (1 - GAMMA) * h * first))
        return jnp.moveaxis(a + h * ((1 - GAMMA) * first + GAMMA * second), 0, axis)

    return step


def measured(run, field) -> tuple[np.ndarray, float, float]:
    """Result, compile and least wall time [s] of five calls."""
    start = time.perf_counter()
    compiled = jax.jit(run).lower(field).compile()
    built = time.perf_counter() - start
    walls = []
    for _ in range(6):
        start = time.perf_counter()
        result = jax.block_until_ready(compiled(field))
        walls.append(time.perf_counter() - start)
    return np.asarray(result, float), built, min(walls[1:])


def emit(case: str, scheme: str, n: int, outcome, exact, **more) -> float:
    """Print one line; returns the error."""
    result, built, wall = outcome
    error = float(np.abs(result - exact).max() / exact.max())
    print(json.dumps({
        "name": "maps", "version": retrojax.__version__, "jax": jax.__version__, "devices": jax.device_count(),
        "device": jax.devices()[0].device_kind, "case": case, "scheme": scheme, "voxels": n**3, **more,
        "compile_s": built, "wall_s": wall, "error": error, "undershoot": float(-result.min() / exact.max()),
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}), flush=True)
    return error


def compare(case: str, n: int) -> None:
    """All schemes in one medium."""
    (diffusion, elapsed), grid, rng = CASES[case], Grid((n, n, n), (1.0, 1.0, 1.0)), np.random.default_rng(0)
    maps = rng.uniform(0.05, 0.3, grid.shape), rng.uniform(1.4, 2.2, grid.shape)
    spot = np.zeros(grid.shape)
    spot[n // 2, n // 2, n // 2] = 1
    with jax.enable_x64(True):
        at = jnp.asarray(spot)
        exact = np.asarray(advance_maps(plan_maps(grid, Medium.build(grid, *maps), diffusion, elapsed), at, 0 * at))
    field, medium = jnp.asarray(spot, jnp.float32), Medium.build(grid, *maps)
    uniform = plan(grid, diffusion / 1.6**2, 0.0, elapsed)
    emit(case, "uniform box", n, measured(lambda a: advance(uniform, a, 0 * a), field), exact)
    series = plan_maps(grid, medium, diffusion, elapsed)
    emit(case, "Chebyshev series", n, measured(lambda a: advance_maps(series, a, 0 * a), field), exact,
         steps=int(series.steps), terms=int(series.terms))
    operator = exchange(grid, medium, diffusion)
    stiffness = float(operator.stiffness())
    for steps in (2**i for i in range(10)):
        h = elapsed / steps
        stages = max(3, math.ceil((math.sqrt(9 + 8 * 1.02 * h * stiffness) - 1) / 2))
        if emit(case, "RKL2", n, measured(lambda a, h=h, stages=stages, steps=steps: jax.lax.fori_loop(
                0, steps, lambda _, b: super_time_step(operator, b, h, stages), a), field), exact, steps=steps,
                terms=stages) < 0.01:
            break
    for steps in (2**i for i in range(10)):
        x, y, z = (line_solver(operator, axis, elapsed / steps / (1 if axis == 2 else 2)) for axis in range(3))
        if emit(case, "implicit lines", n, measured(lambda a, x=x, y=y, z=z, steps=steps: jax.lax.fori_loop(
                0, steps, lambda _, b: x(y(z(y(x(b))))), a), field), exact, steps=steps) < 0.01:
            break


def main() -> None:
    """Compare the schemes in both media."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=64, help="voxels along an edge")
    n = parser.parse_args().n
    for case in CASES:
        compare(case, n)


if __name__ == "__main__":
    main()
