"""Cost of networks of 1e5 to 1e8 plastic synapses, alone or in turns with a peer that runs the same network.

Prints one JSON line. The networks W1-W3 are described in `peers/specification.py`; README.md says what the numbers mean
and what was measured.

    python experiments/benchmarks/network.py --workload w2 --synapses 1e6 --seconds 1 --dt 0.1 --against numba-lazy
"""

import argparse
import json
import math
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

EACH = 100_000
"""Synapses for which a core more pays: a chunk on several takes some ms to start and to end."""

PEERS = ("numba", "numba-lazy", "numba-dct", "numpy", "brian2", "nest")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=("w1", "w2", "w3"), default="w1")
    parser.add_argument("--synapses", type=count, default=1_000_000)
    parser.add_argument("--seconds", type=positive, default=1.0, help="biological time of one run")
    parser.add_argument("--dt", type=positive, default=0.1, help="neuron step [ms]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--field-step", type=positive, default=10.0, help="of the messenger in w3 [ms]")
    parser.add_argument("--repeat", type=count, default=3, help="runs without a peer; the median counts")
    parser.add_argument("--against", choices=PEERS, help="run this peer in turns with ours")
    parser.add_argument("--peer-python", help="interpreter that has the peer's packages")
    parser.add_argument("--pairs", type=count, default=5, help="runs of each side with --against; the median counts")
    parser.add_argument("--cache", help="folder of JAX's persistent compilation cache")
    parser.add_argument("--xla-threads", type=count, default=1, help="threads of XLA's own; waking a second for every "
                        "small kernel costs more than it does, and the engine's data movement has threads of its own")
    parser.add_argument("--slot", type=count, help="synapses per block; the engine's default if not given")
    parser.add_argument("--lanes", type=count, help="synapses per pass; the engine's default if not given")
    parser.add_argument("--devices", type=count, help="among which the network is cut; if not given, one GPU, or the "
                        f"cores of this process, as far as each gets {EACH:,} synapses")
    return parser.parse_args()


def positive(text: str) -> float:
    """A finite number above 0."""
    value = float(text)
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"{text} is not a finite number above 0")
    return value


def count(text: str) -> int:
    """A whole number of at least 1, which may be written as 1e6."""
    value = positive(text)
    if value != round(value):
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return round(value)


def main() -> None:
    """Build, compile, run, compare, print."""
    given = arguments()
    os.environ.setdefault("NPROC", str(given.xla_threads))  # read once, when XLA's CPU client starts
    start = time.perf_counter()
    import jax  # here and not above, so that imports can be timed
    import workloads

    import retrojax

    import_s = time.perf_counter() - start
    from retrojax import native
    from retrojax.engine.lazy.assemble import CAN_CUT

    cores = given.devices or (max(min(native.cores(), given.synapses // EACH), 1) if CAN_CUT else 1)
    jax.config.update("jax_num_cpu_devices", cores)
    given.devices = given.devices or (cores if jax.default_backend() == "cpu" else 1)
    if given.cache:
        jax.config.update("jax_compilation_cache_dir", given.cache)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    try:
        record = measured(given, workloads)
    except retrojax.errors.RetrojaxError as error:
        raise SystemExit(str(error)) from None
    print(json.dumps({
        "name": f"network_{given.workload}", "version": retrojax.__version__, "jax": jax.__version__,
        "device": jax.devices()[0].device_kind, "devices": given.devices, "import_s": import_s,
        "xla_threads": int(os.environ["NPROC"]), **record}))


def measured(given: argparse.Namespace, workloads: Any) -> dict[str, Any]:
    """Everything measured, except what concerns the machine."""
    import jax

    from retrojax.engine.lazy.assemble import DEFAULT

    asked = {name: getattr(given, name) for name in ("slot", "lanes", "devices")}
    options = DEFAULT._replace(**{name: value for name, value in asked.items() if value})
    start = time.perf_counter()
    network, state = workloads.build(given.workload, given.synapses, given.dt, given.seed, given.field_step, options)
    jax.block_until_ready(state)
    build_s = time.perf_counter() - start
    ticks = workloads.whole(given.seconds * 1e3 / network.tick_ms, "seconds", given.seconds,
                            f"a multiple of {network.tick_ms / 1e3:g} s")
    start = time.perf_counter()
    # the number of ticks is data, so a chunk of none compiles what all chunks run
    state, _, _ = workloads.advance(network, state, 0)
    compile_s = time.perf_counter() - start
    before = {"events": workloads.events(network, state, ticks),
              "bytes_per_synapse": sum(network.arrays(state).values()) / network.synapses}
    run = workloads.Runs(network, state, ticks)
    del state
    run()  # pages and caches are warm from here on
    walls, peer = compared(given, run) if given.against else ([run() for _ in range(given.repeat)], {})
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    wall = statistics.median(walls)
    return {"compile_s": compile_s, "build_s": build_s, "wall_s": wall, "walls_s": walls, "peak_rss_bytes": peak,
            **sizes(given, network, before["events"], wall), **before,
            **outcome(given, workloads, network, *run.end),
            **least(given, network, run.kept, before["events"], ticks, wall),
            **peer}


def sizes(given: argparse.Namespace, network: Any, events: int, wall: float) -> dict[str, Any]:
    """What was run, and what an event cost."""
    return {"workload": given.workload, "synapses": network.synapses, "seconds": given.seconds, "dt_ms": given.dt,
            "seed": given.seed, "field_step_ms": given.field_step if given.workload == "w3" else None,
            "ns_per_event": wall / max(events, 1) * 1e9}


def outcome(given, workloads, network, state, spikes, passes) -> dict[str, Any]:
    """Activity and means of a run, and how its work was divided; `state` is given away."""
    rate = int(spikes.sum()) / network.neurons / given.seconds
    last = workloads.synced((network.model, network.tissue), state, network.times)
    names = ("blocks", "passes", "blocks_of_many_passes", "early_syncs", "most_touched")
    return {"post_rate_hz": rate, **workloads.means(network, last),
            **dict(zip(names, (int(x) for x in passes), strict=True))}


def least(given, network, kept, events: int, ticks: int, wall: float) -> dict[str, float]:
    """The floor of such a run on this machine, and how far above it `wall` is."""
    import floor

    cells = kept.makers.nbytes + kept.cells.nbytes
    row = cells // network.rows
    bandwidth, here = floor.measure(row), floor.measure(row, min(cells, floor.MEMORY))
    voxels = sum(field.size for field in kept.fields)
    seconds = floor.seconds(bandwidth, events, cells / network.synapses, ticks * (voxels > 0), voxels,
                            network.synapses)
    return {"floor_s": seconds, "floor_ratio": wall / seconds, "row_bytes_per_s": bandwidth.rows,
            "row_bytes_per_s_here": here.rows, "copy_bytes_per_s": bandwidth.copy}


def compared(given: argparse.Namespace, run: Callable[[], float]) -> tuple[list[float], dict[str, Any]]:
    """Our times, in turns with the peer's, and what the peer says."""
    import against

    options = [f"--{name}={getattr(given, name)}" for name in ("synapses", "seconds", "dt", "seed")]
    peer = against.best_threads(
        lambda threads: against.Peer(given.against, given.peer_python, threads, given.workload, options))
    ours, told, record = against.in_turns(peer, run, given.pairs)
    found = {f"peer_{name}": record[name] for name in ("post_rate_hz", "w_mean", "w_std", "M_mean", "U_mean")
             if name in record}
    return ours, {**told, **found}


if __name__ == "__main__":
    main()
