"""Cost of the field clock: four messengers on 100^3 voxels of 1 um, and 1e6 synapses between sources and neurons.

NO steps every 10 ms, 2-AG every 100 ms, BDNF and adenosine every second. Spines make the first three by the kinds of
their records and adenosine by calcium; a rule at every bouton senses each, and the own-spine term is on. The network
runs on the lazy schedule, with silent sources (what the clock costs by itself) and with sources that fire.

    python experiments/benchmarks/field_clock.py --seconds 1 --rate 0 10

Prints one JSON line per rate; wall time per biological second: `transport_s` of spread and loss alone; `network_s` of
the whole network; `blocks_s` of the same without any field step; `total_s`, their difference: synthesis with what it
has to replay or bring up to date, deposit, transport, own-spine term, sampling, receptors. With `--each` also
`by_messenger_s`, that difference with field steps of one alone.
`transport_cpu_s` and `network_cpu_s` are processor time of all threads, which a busy machine does not stretch.
"""

import argparse
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
DT = 1.0
"""Neuron step [ms]."""
JUMP = 0.6
"""Response to a full release [mV]; neurons fire at some Hz when their sources fire at 10 Hz."""
NEVER = 10**6
"""Ticks to a field step that is not wanted."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--synapses", type=lambda text: int(float(text)), default=1_000_000)
    parser.add_argument("--voxels", type=int, default=100, help="along every axis")
    parser.add_argument("--seconds", type=int, default=1, help="biological time of one run")
    parser.add_argument("--repeat", type=int, default=3, help="runs; the median counts")
    parser.add_argument("--rate", type=float, nargs="+", default=[0.0, 10.0], help="of the sources [Hz]; a line each")
    parser.add_argument("--each", action="store_true", help="every messenger by itself, too")
    parser.add_argument("--devices", type=int, default=1, help="among which the network is cut; on a CPU, cores")
    return parser.parse_args()


def network(synapses: int, voxels: int, rate_hz: float, devices: int) -> tuple[Any, Any, Any, Any]:
    """Model, tissue, state and times; calcium and syntheses start at random values."""
    import equinox as eqx
    import jax.numpy as jnp
    import numpy as np

    from retrojax.engine.assemble import Wiring
    from retrojax.engine.lazy.assemble import DEFAULT, Space, build_lazy, plan_times
    from retrojax.engine.lazy.cut import everywhere, placed, state_axes
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
                    random.integers(neurons, size=synapses), np.full(synapses, 1), np.asarray(JUMP), none, none, none,
                    np.zeros(0), neurons=neurons, sources=neurons)
    number = lambda x: jnp.asarray(x, float)  # noqa: E731
    made = tuple(Messenger(name, number(b.effective_diffusion), number(b.loss), number(b.volume_fraction),
                           number(b.volume_fraction * b.loss * b.tonic) if b.tonic else None)
                 for name, b in records.items())
    model = Model(number(DT), Synapse(spine, TsodyksMarkram(), rules), number(JUMP), jnp.zeros(0), number(1.0),
                  DeltaLIF(20.0, 0.0, 15.0, 5.0, 2.0), Poisson(np.full(neurons, 1e-3 * rate_hz), DT), made)
    every = tuple(round(step / MESSENGERS["NO"]) for step in MESSENGERS.values())
    spines = random.uniform(0.2, voxels - 0.2, (synapses, 3))
    near = [steps_needed(grid, b.effective_diffusion, b.loss, step, DISTANCE)
            for b, step in zip(records.values(), MESSENGERS.values(), strict=True)]
    most = [b.rate * step for b, step in zip(records.values(), MESSENGERS.values(), strict=True)]
    away = random.normal(size=(synapses, 3))
    boutons = spines + DISTANCE * away / np.linalg.norm(away, axis=1, keepdims=True)
    space = Space(grid, spines, boutons, DISTANCE, most, near)
    second = round(1e3 / MESSENGERS["NO"])
    times = plan_times(wiring, Clocks(round(MESSENGERS["NO"] / DT), every, second, second))
    tissue, state = build_lazy(model, wiring, times, space, 6.0, 16.0, 1, DEFAULT._replace(devices=devices))
    rows = [jnp.asarray(random.uniform(0.1, 0.9, x.shape), float) for x in (state.makers, state.cells)]
    state = eqx.tree_at(lambda s: (s.makers, s.cells), state, tuple(rows))
    return everywhere(tissue, model), tissue, placed(tissue, state_axes(state), state), times


def measure(given: argparse.Namespace, rate_hz: float) -> dict[str, Any]:
    """Everything measured at one rate of the sources."""
    import jax
    import jax.numpy as jnp

    from retrojax.engine.lazy.network import run_chunk

    model, tissue, state, times = network(given.synapses, given.voxels, rate_hz, given.devices)
    transport_s, transport_cpu_s = transport_alone(model, tissue, state, times, given)
    fired = 0

    def timed(times) -> tuple[float, float, float]:
        """Seconds to compile, and of wall and processor time per biological second."""
        nonlocal state, fired
        start, walls, used = time.perf_counter(), [], []
        state, _ = jax.block_until_ready(run_chunk(model, tissue, state, times, jnp.asarray(0, jnp.int32)))
        compile_s = time.perf_counter() - start
        for number in range(given.repeat + 1):
            start, busy, fired = time.perf_counter(), time.process_time(), 0
            for _ in range(given.seconds):
                state, record = run_chunk(model, tissue, state, times, jnp.asarray(times.chunk, jnp.int32))
                fired += int(jnp.sum(jax.lax.population_count(record.spikes), dtype=jnp.int32))
            jax.block_until_ready(state)
            if number:  # the first one starts from random values
                walls.append((time.perf_counter() - start) / given.seconds)
                used.append((time.process_time() - busy) / given.seconds)
        return compile_s, statistics.median(walls), statistics.median(used)

    alone = lambda wanted: times._replace(every=tuple(  # noqa: E731
        every if name == wanted else NEVER for name, every in zip(MESSENGERS, times.every, strict=True)))
    compile_s, network_s, network_cpu_s = timed(times)
    post_rate_hz = fired / given.seconds / (given.synapses // DEGREE)
    _, blocks_s, _ = timed(alone(None))
    by_messenger = {name: timed(alone(name))[1] - blocks_s for name in MESSENGERS if given.each}
    return {"rate_hz": rate_hz, "post_rate_hz": post_rate_hz, "compile_s": compile_s, "wall_s": network_s,
            "transport_s": transport_s, "network_s": network_s, "blocks_s": blocks_s,
            "total_s": network_s - blocks_s, "transport_cpu_s": transport_cpu_s, "network_cpu_s": network_cpu_s,
            "by_messenger_s": by_messenger, "errors": int(state.errors), "sparse": tissue.layout.sparse,
            "near_steps": [e.shape[0] for e in state.emitted], "channels": tissue.layout.names,
            "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def transport_alone(model: Any, tissue: Any, state: Any, times: Any, given: argparse.Namespace) -> tuple[float, float]:
    """Wall and processor time of spread and loss alone, per biological second."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    from retrojax.engine.lazy import cut
    from retrojax.engine.lazy.network import plan_fields
    from retrojax.engine.reactions import Pools, transport

    def spread(model, tissue, state):
        plans = plan_fields(model, tissue, state, times)

        def step(pools, which):
            return transport(model, plans[which].transport, which, pools, pools.fields[which] * 1e-4)

        def tick(number, pools):
            for which, every in enumerate(times.every):
                due = ((number + 1) % every == 0).astype(jnp.int32)
                pools = jax.lax.fori_loop(0, due, lambda _, pools, w=which: step(pools, w), pools)
            return pools

        pools = jax.lax.fori_loop(0, times.chunk, tick, Pools(state.fields, state.pending, state.bound))
        return eqx.tree_at(lambda s: (s.fields, s.pending, s.bound), state, tuple(pools)), ()

    @eqx.filter_jit
    def run(model, tissue, state):
        return cut.on_each(spread, model, tissue, state, ())[0].fields

    walls, used = [], []
    for _ in range(given.repeat + 1):
        start, busy = time.perf_counter(), time.process_time()
        fields = jax.block_until_ready(run(model, tissue, state))
        state = eqx.tree_at(lambda s: s.fields, state, fields)
        walls.append(time.perf_counter() - start)
        used.append(time.process_time() - busy)
    return statistics.median(walls[1:]), statistics.median(used[1:])


def main() -> None:
    """Build, run, print."""
    given = arguments()
    import jax

    import retrojax

    if given.devices > 1:
        os.environ.setdefault("NPROC", "1")  # a thread for each
        jax.config.update("jax_num_cpu_devices", given.devices)
    for rate_hz in given.rate:
        print(json.dumps({"name": "field_clock", "version": retrojax.__version__, "jax": jax.__version__,
                          "device": jax.devices()[0].device_kind, "devices": jax.device_count(), "cpus": os.cpu_count(),
                          "synapses": given.synapses, "voxels": given.voxels**3, "steps_ms": MESSENGERS,
                          **measure(given, rate_hz)}), flush=True)


if __name__ == "__main__":
    main()
