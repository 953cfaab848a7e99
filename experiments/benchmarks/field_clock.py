"""Cost of the field clock: four messengers on 100^3 voxels of 1 um and 1e6 synapses, all rows up to date.

NO steps every 10 ms, 2-AG every 100 ms, BDNF and adenosine every second. Spines make the first three by the kinds of
their records and adenosine by calcium; a rule at every bouton senses each. Rows are in the blocks of the lazy schedule,
the own-spine term is on, and no spike comes in between: this is what the field clock costs by itself.

    python experiments/benchmarks/field_clock.py --seconds 1

Prints one JSON line; per biological second: `transport_s` of spread and loss alone, `total_s` of whole field steps
(synthesis, deposit, transport, own-spine term, sampling, receptors); with `--each` also
`by_messenger_s`, whole steps of each alone.
`transport_cpu_s` and `total_cpu_s` are processor time of all threads, which a busy machine does not stretch.
"""

import argparse
import functools
import json
import os
import resource
import statistics
import time
from typing import Any

MESSENGERS = {"NO": 10.0, "2-AG": 100.0, "BDNF": 1000.0, "adenosine": 1000.0}
"""Field step of each [ms]; the shortest is the tick."""
DISTANCE = 0.1
"""From a spine to its bouton [um]."""
DEGREE = 100


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--synapses", type=lambda text: int(float(text)), default=1_000_000)
    parser.add_argument("--voxels", type=int, default=100, help="along every axis")
    parser.add_argument("--seconds", type=int, default=1, help="biological time of one run")
    parser.add_argument("--repeat", type=int, default=3, help="runs; the median counts")
    parser.add_argument("--each", action="store_true", help="every messenger by itself, too")
    return parser.parse_args()


def network(synapses: int, voxels: int) -> tuple[Any, Any, Any, tuple[int, ...]]:
    """Model, tissue, state and ticks per field step; calcium and syntheses stand at random values."""
    import equinox as eqx
    import jax.numpy as jnp
    import numpy as np

    from retrojax.engine.assemble import Wiring
    from retrojax.engine.lazy.assemble import Space, build_lazy, plan_times
    from retrojax.engine.model import Clocks, Messenger, Model
    from retrojax.engine.rows import Synapse
    from retrojax.io.parts import make_synthesis
    from retrojax.messengers import load_record
    from retrojax.parts import (
        CB1,
        DeltaLIF,
        MessengerFacilitation,
        NitricOxidePotentiation,
        TsodyksMarkram,
        calcium_rule,
    )
    from retrojax.parts.drive import Poisson
    from retrojax.space import Grid, steps_needed

    random, neurons = np.random.default_rng(1), synapses // DEGREE
    grid = Grid((voxels,) * 3, (1.0,) * 3)
    records = {name: load_record(name).base() for name in MESSENGERS}
    spine, efficacy = calcium_rule("cortical_slices")
    rules = (efficacy, NitricOxidePotentiation(), CB1(x_half=0.1), MessengerFacilitation("BDNF", 0.5, 0.1, 3e4),
             MessengerFacilitation("adenosine", -0.8, 500.0, 500.0),
             *(make_synthesis(name, base._asdict()) for name, base in records.items()))
    none = np.zeros(0, int)
    wiring = Wiring(np.arange(synapses), np.repeat(np.arange(neurons), DEGREE) + neurons,
                    random.integers(neurons, size=synapses), np.full(synapses, 10), np.asarray(0.1), none, none, none,
                    np.zeros(0), neurons=neurons, sources=neurons)
    number = lambda x: jnp.asarray(x, float)  # noqa: E731
    made = tuple(Messenger(name, number(b.effective_diffusion), number(b.loss), number(b.volume_fraction),
                           number(b.volume_fraction * b.loss * b.tonic) if b.tonic else None)
                 for name, b in records.items())
    model = Model(number(0.1), Synapse(spine, TsodyksMarkram(), rules), number(0.1), jnp.zeros(0), number(1.0),
                  DeltaLIF(20.0, 0.0, 15.0, 5.0, 2.0), Poisson(np.full(neurons, 0.01), 0.1), made)
    every = tuple(round(step / MESSENGERS["NO"]) for step in MESSENGERS.values())
    spines = random.uniform(0.2, voxels - 0.2, (synapses, 3))
    near = [steps_needed(grid, b.effective_diffusion, b.loss, step, DISTANCE)
            for b, step in zip(records.values(), MESSENGERS.values(), strict=True)]
    most = [b.rate * step for b, step in zip(records.values(), MESSENGERS.values(), strict=True)]
    away = random.normal(size=(synapses, 3))
    boutons = spines + DISTANCE * away / np.linalg.norm(away, axis=1, keepdims=True)
    space = Space(grid, spines, boutons, DISTANCE, most, near)
    tissue, state = build_lazy(model, wiring, plan_times(wiring, Clocks(100, every, 100, 100)), space, 6.0, 16.0, 1)
    cells = random.uniform(0.1, 0.9, state.cells.shape)
    return model, tissue, eqx.tree_at(lambda s: s.cells, state, jnp.asarray(cells, float)), every


def measure(given: argparse.Namespace) -> dict[str, Any]:
    """Everything measured."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from retrojax.engine.lazy.field import field_step
    from retrojax.engine.lazy.network import plan_fields
    from retrojax.engine.lazy.state import Times
    from retrojax.engine.reactions import Pools, transport

    model, tissue, state, every = network(given.synapses, given.voxels)
    ticks = round(1e3 * given.seconds / MESSENGERS["NO"])
    times = Times(10, 10, every, 100, 100, 0, 1, 1, 100)

    def spread(model, tissue, state, which, plan):
        pools = transport(model, plan.transport, which, Pools(state.fields, state.pending, state.bound),
                          state.fields[which] * 1e-4)
        return eqx.tree_at(lambda s: (s.fields, s.pending), state, (pools.fields, pools.pending))

    @functools.partial(eqx.filter_jit, donate="all-except-first")
    def run(kept, state, step, wanted, ticks):
        model, tissue = kept
        plans = plan_fields(model, tissue, state, times)

        def tick(number, state):
            for which in range(len(every)):
                take = lambda s, w=which: step(model, tissue, s, w, plans[w])  # noqa: E731
                due = ((number + 1) % every[which] == 0) & wanted[which]
                state = jax.lax.cond(due, take, lambda s: s, state)
            return state

        return jax.lax.fori_loop(0, ticks, tick, state)

    def timed(step, wanted) -> tuple[float, float, float]:
        nonlocal state
        start = time.perf_counter()
        state = jax.block_until_ready(run((model, tissue), state, step, wanted, jnp.asarray(0)))
        compiled, walls, used = time.perf_counter() - start, [], []
        for _ in range(given.repeat + 1):
            start, busy = time.perf_counter(), time.process_time()
            state = jax.block_until_ready(run((model, tissue), state, step, wanted, jnp.asarray(ticks)))
            walls.append((time.perf_counter() - start) / given.seconds)
            used.append((time.process_time() - busy) / given.seconds)
        return compiled, statistics.median(walls[1:]), statistics.median(used[1:])

    everyone = jnp.ones(len(every), bool)
    _, spread_s, spread_cpu_s = timed(spread, everyone)
    compile_s, total_s, total_cpu_s = timed(field_step, everyone)
    alone = {name: timed(field_step, everyone.at[:].set(False).at[which].set(True))[1]
             for which, name in enumerate(MESSENGERS) if given.each}
    return {"compile_s": compile_s, "wall_s": total_s, "transport_s": spread_s, "total_s": total_s,
            "transport_cpu_s": spread_cpu_s, "total_cpu_s": total_cpu_s, "by_messenger_s": alone,
            "errors": int(state.errors),
            "near_steps": [e.shape[0] for e in state.emitted], "channels": tissue.layout.names,
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def main() -> None:
    """Build, run, print."""
    given = arguments()
    import jax

    import retrojax

    print(json.dumps({"name": "field_clock", "version": retrojax.__version__, "jax": jax.__version__,
                      "device": jax.devices()[0].device_kind, "devices": jax.device_count(), "cpus": os.cpu_count(),
                      "synapses": given.synapses, "voxels": given.voxels**3, "steps_ms": MESSENGERS,
                      **measure(given)}))


if __name__ == "__main__":
    main()
