"""Cost of NEST's hpc_benchmark, a balanced network with power-law STDP, alone or in turns with NEST.

Prints one JSON line. The network is described in `peers/hpc_specification.py`; README.md says what was measured.

    python experiments/benchmarks/hpc.py --scale 0.1 --against nest
"""

import argparse
import json
import os
import resource
import statistics
import time
from collections.abc import Callable
from typing import Any

from network import count, positive


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=positive, default=0.1, help="of the network: 11,250 cells and 8.1e7 plastic "
                        "synapses at 1")
    parser.add_argument("--warm-up", type=positive, default=51.0, help="biological time before the one measured [ms]")
    parser.add_argument("--duration", type=positive, default=249.0, help="biological time measured [ms]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=count, default=3, help="runs without a peer; the median counts")
    parser.add_argument("--against", choices=("nest",), help="run this peer in turns with ours")
    parser.add_argument("--peer-python", help="interpreter that has NEST")
    parser.add_argument("--peer-threads", type=count, default=2)
    parser.add_argument("--pairs", type=count, default=3, help="runs of each side with --against; the median counts")
    parser.add_argument("--xla-threads", type=count, default=1, help="threads of XLA's own, as in network.py")
    parser.add_argument("--slot", type=count, default=32, help="synapses per block")
    parser.add_argument("--lanes", type=count, default=65536, help="synapses per pass; an axon has 9,000 of them")
    return parser.parse_args()


def main() -> None:
    """Build, compile, run, compare, print."""
    given = arguments()
    os.environ.setdefault("NPROC", str(given.xla_threads))  # read once, when XLA's CPU client starts
    start = time.perf_counter()
    import jax  # here and not above, so that imports can be timed

    import retrojax

    import_s = time.perf_counter() - start
    try:
        record = measured(given)
    except retrojax.errors.RetrojaxError as error:
        raise SystemExit(str(error)) from None
    print(json.dumps({
        "name": "hpc", "version": retrojax.__version__, "jax": jax.__version__,
        "device": jax.devices()[0].device_kind, "devices": jax.device_count(), "import_s": import_s,
        "xla_threads": int(os.environ["NPROC"]), **record}))


def measured(given: argparse.Namespace) -> dict[str, Any]:
    """Everything measured, except what concerns the machine."""
    import hpc_network
    import jax
    import workloads

    from retrojax.engine.lazy.assemble import DEFAULT

    warm, ticks = (workloads.whole(getattr(given, name) / hpc_network.TICK_MS, name, getattr(given, name),
                                   f"a multiple of {hpc_network.TICK_MS:g} ms") for name in ("warm_up", "duration"))
    start = time.perf_counter()
    network, state = hpc_network.build(given.scale, given.seed, DEFAULT._replace(slot=given.slot, lanes=given.lanes))
    jax.block_until_ready(state)
    build_s = time.perf_counter() - start
    stored = workloads.stored((network.model, network.tissue, state))
    start = time.perf_counter()
    state, _, _ = workloads.advance(network, state, 0)
    compile_s = time.perf_counter() - start
    state, _, _ = workloads.advance(network, state, warm)
    run = workloads.Runs(network, state, ticks)
    del state
    run()  # pages and caches are warm from here on
    walls, peer = compared(given, run) if given.against else ([run() for _ in range(given.repeat)], {})
    wall = statistics.median(walls)
    return {
        "scale": given.scale, "warm_up_ms": given.warm_up, "duration_ms": given.duration, "dt_ms": network.dt_ms,
        "seed": given.seed, "synapses": network.plastic, "fixed_synapses": network.fixed, "compile_s": compile_s,
        "build_s": build_s, "wall_s": wall, "walls_s": walls, "real_time_factor": wall / given.duration * 1e3,
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "bytes_per_synapse": sum(stored.values()) / (network.plastic + network.fixed),
        **outcome(given, network, *run.end), **least(network, run.kept, run.end[1], wall), **peer}


def outcome(given: argparse.Namespace, network: Any, state: Any, spikes: Any, passes: Any) -> dict[str, Any]:
    """Activity and weights of a run, and how its work was divided."""
    import hpc_network

    weight = hpc_network.weights(network, state)
    names = ("blocks", "passes", "blocks_of_many_passes", "early_syncs", "most_touched")
    return {"rate_hz": int(spikes.sum()) / spikes.size / given.duration * 1e3,
            "w_mean": float(weight.mean(dtype=float)), "w_std": float(weight.std(dtype=float)),
            **dict(zip(names, (int(x) for x in passes), strict=True))}


def least(network: Any, kept: Any, spikes: Any, wall: float) -> dict[str, float]:
    """Events, what one cost, and the floor: plastic rows read and written once per spike of their axon."""
    import floor

    plastic, events = network.events(spikes)
    row = kept.cells.nbytes // network.excitatory
    bandwidth = floor.measure(row)
    seconds = floor.seconds(bandwidth, plastic, kept.cells.nbytes / network.plastic, 0, 0, network.plastic)
    return {"events": events, "plastic_events": plastic, "ns_per_event": wall / max(events, 1) * 1e9,
            "floor_s": seconds, "floor_ratio": wall / max(seconds, 1e-12), "row_bytes_per_s": bandwidth.rows,
            "copy_bytes_per_s": bandwidth.copy}


def compared(given: argparse.Namespace, run: Callable[[], float]) -> tuple[list[float], dict[str, Any]]:
    """Our times, in turns with NEST's, and what NEST says."""
    import against

    options = [f"--scale={given.scale}", f"--warm-up={given.warm_up}", f"--duration={given.duration}",
               f"--seed={given.seed}"]
    peer = against.Peer("hpc-nest", given.peer_python, given.peer_threads, "hpc", options)
    ours, told, record = against.in_turns(peer, run, given.pairs)
    return ours, {**told, "peer_ns_per_event": told["peer_wall_s"] / max(record["events"], 1) * 1e9,
                  **{f"peer_{name}": record[name] for name in ("rate_hz", "w_mean", "w_std")}}


if __name__ == "__main__":
    main()
