"""Cost of a pairing protocol: many conditions at once against one by one, and events against a clock.

Prints one JSON object per line. (a) 60 pairings at 1 Hz at 1,000 conditions (delta t and three parameters differ), as
one batch and as 1,000 runs of one compiled function. (b) One run by events and one by the clocked schedule at 0.1 ms,
in the precision a user gets by default; `error_rho_p_q` is the distance of efficacy, release probability and amplitude
from a clocked reference in double precision at 0.005 ms.
"""

import json
import resource
import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

import retrojax
from retrojax.engine.clocked import raster, run_clocked
from retrojax.engine.events import run_events, spike_table, stack_tables
from retrojax.engine.rows import Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import TsodyksMarkram, calcium_rule, unified_rule
from retrojax.protocols import pairs

CONDITIONS, COUNT, RATE_HZ, DT_MS = 1000, 60, 1.0, 0.1


def synapse(scale=1.0) -> Synapse:
    """Calcium rule and unified rule on one synapse; `scale` moves three parameters."""
    spine, efficacy = calcium_rule("cortical_slices")
    unified = unified_rule("sjostrom_refit", d_minus=6.083e-3 * scale, c_plus=6.637e-3 * scale)
    return Synapse(spine, TsodyksMarkram(tau_rec=200.0 * scale), (efficacy, unified))


def run(model, table):
    """Final strengths of an events run."""
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    return strengths(run_events(model, init_state(model, ()), table, draws)[0])


def strengths(state):
    """Efficacy, release probability and amplitude."""
    return jnp.stack([state.rules[0].rho, state.expression.p_release, state.expression.q])


def timed(function, *args):
    """Result and seconds of one call, until the result is there."""
    start = time.perf_counter()
    result = jax.block_until_ready(function(*args))
    return result, time.perf_counter() - start


def line(name: str, **values: object) -> None:
    """Print one measurement."""
    device = jax.devices()[0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    common = {"name": name, "version": retrojax.__version__, "jax": jax.__version__, "device": device.device_kind,
              "devices": jax.device_count(), "peak_rss_bytes": peak}
    print(json.dumps({**common, **values}), flush=True)


def batched() -> None:
    """(a) all conditions at once against one after another."""
    scales = np.linspace(0.8, 1.2, CONDITIONS)
    lags = np.linspace(-50, 50, CONDITIONS)
    models = [synapse(scale) for scale in scales]
    tables = stack_tables([pairs(COUNT, RATE_HZ, float(lag)) for lag in lags])
    # conditions are prepared outside the clock on both sides
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *models)
    single_tables = [jax.tree.map(lambda leaf, k=k: leaf[k], tables) for k in range(CONDITIONS)]
    together, alone = jax.jit(jax.vmap(run)), jax.jit(run)
    answer, first = timed(together, stacked, tables)
    wall = statistics.median(timed(together, stacked, tables)[1] for _ in range(7))
    _, first_alone = timed(alone, models[0], single_tables[0])
    results = [timed(alone, model, table) for model, table in zip(models, single_tables, strict=True)]
    single = sum(seconds for _, seconds in results)
    apart = max(float(jnp.abs(answer[k] - result).max()) for k, (result, _) in enumerate(results))
    sizes = {"conditions": CONDITIONS, "pairings": COUNT, "rate_hz": RATE_HZ}
    line("protocols_batched", compile_s=first - wall, wall_s=wall, **sizes)
    line("protocols_single_runs", compile_s=first_alone - single / CONDITIONS, wall_s=single, **sizes)
    line("protocols_batch_ratio", compile_s=0.0, wall_s=wall + single, ratio=single / wall, required=5.0,
         largest_difference=apart, **sizes)


def clocked_reference(protocol) -> np.ndarray:
    """Clocked run in double precision at 0.005 ms, which rounds the calcium delay by 0.0025 ms at most."""
    with jax.enable_x64(True):
        return np.asarray(clocked(synapse(), protocol, 0.005)())


def clocked(model, protocol, dt: float):
    """A clocked run as a call without arguments."""
    trains = [jnp.asarray(raster(times, protocol.end, dt)) for times in (protocol.pre, protocol.post)]
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    go = jax.jit(lambda m, pre, post, step: strengths(run_clocked(m, init_state(m, ()), pre, post, step, draws)[0]))
    return lambda: go(model, *trains, jnp.asarray(dt))


def against_clock() -> None:
    """(b) one run by events against one by the clock, and how far each is from the reference."""
    jax.clear_caches()  # the first part has compiled the events run already
    protocol = pairs(COUNT, RATE_HZ, -10.0, tail=100.0)
    table, alone = spike_table(*protocol), jax.jit(run)
    by_clock = clocked(synapse(), protocol, DT_MS)
    model = synapse()
    runs = {"events": lambda: alone(model, table), "clocked": by_clock}
    reference = clocked_reference(protocol)
    wall, error = {}, {}
    for name, call in runs.items():
        value, first = timed(call)
        wall[name] = statistics.median(timed(call)[1] for _ in range(20 if name == "events" else 3))
        error[name] = np.abs(np.asarray(value, np.float64) - reference).tolist()
        line(f"protocols_{name}", compile_s=first - wall[name], wall_s=wall[name], error_rho_p_q=error[name],
             pairings=COUNT, rate_hz=RATE_HZ, dt_ms=DT_MS if name == "clocked" else None)
    line("protocols_events_speed", compile_s=0.0, wall_s=sum(wall.values()), ratio=wall["clocked"] / wall["events"],
         required=100.0, events_at_least_as_accurate=max(error["events"]) <= max(error["clocked"]), pairings=COUNT)


if __name__ == "__main__":
    batched()
    against_clock()
