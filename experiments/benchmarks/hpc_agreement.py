"""Whether the network of `hpc.py` does in distribution what NEST's does: many seeds of both, a rank test per quantity.

Both sides start from the same potentials for a seed; wiring and outside input are drawn by the same laws, by generators
of their own. Exit code 1 if one of the quantities (`peers/hpc_specification.py`, and mean and spread of weights as last
sent) differs at a level of 5 % over all of them (Mann-Whitney, Bonferroni). With a tenth of the inputs,
cells fire at 40 Hz in a shallow fast rhythm, and rates and weights vary little over seeds, so small differences show;
with all of them (`--heard 1`) they fire in volleys that differ much from seed to seed.

    python experiments/benchmarks/hpc_agreement.py --scale 0.2 --heard 0.1 --duration 150 --seeds 20
    python experiments/benchmarks/hpc_agreement.py --scale 0.1 --heard 1 --duration 60 --seeds 24
"""

import argparse
import json
import sys

import hpc_network
import jax
import jax.numpy as jnp
import numpy as np
import workloads
from against import Peer
from network import count, positive
from peers import hpc_specification as spec
from scipy.stats import mannwhitneyu

from retrojax.engine.lazy.assemble import DEFAULT
from retrojax.engine.lazy.network import run_chunk
from retrojax.readouts import spike_times

LEVEL, FIRST_MS = 0.05, 2 * hpc_network.TICK_MS
FEWEST = 6
"""Runs of either side without which no difference reaches the level."""
QUANTITIES = ("rate_ex_hz", "rate_in_hz", "cv", "first_12_ms", "bin_std", "w_mean", "w_std")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=positive, default=0.2)
    parser.add_argument("--heard", type=positive, default=0.1, help="cells heard, relative to the benchmark's 11,250")
    parser.add_argument("--duration", type=positive, default=150.0, help="biological time [ms]")
    parser.add_argument("--seeds", type=count, default=20)
    parser.add_argument("--peer-python", help="interpreter that has NEST")
    parser.add_argument("--peer-threads", type=count, default=2)
    parser.add_argument("--print-seeds", action="store_true", help="a JSON line per run besides")
    given = parser.parse_args()
    if given.seeds < FEWEST:
        parser.error(f"a difference takes --seeds {FEWEST} or more to show")
    return given


def ours(given: argparse.Namespace, seed: int) -> dict[str, float]:
    """One run of our network."""
    options = DEFAULT._replace(slot=32, lanes=65536)  # as hpc.py has them
    network, state = hpc_network.build(given.scale, seed, options, given.heard)
    ticks = workloads.whole(given.duration / hpc_network.TICK_MS, "duration", given.duration,
                            f"a multiple of {hpc_network.TICK_MS:g} ms")
    words = []
    for first in range(0, ticks, network.times.chunk):
        here = min(network.times.chunk, ticks - first)
        state, record = run_chunk(network.model, network.tissue, state, network.times, jnp.asarray(here, jnp.int32))
        words.append(np.asarray(record.spikes)[: here * network.times.blocks])
    workloads.check(state)
    cell, step = spike_times(np.concatenate(words), network.times.block)
    weight = hpc_network.weights(network, state)
    jax.clear_caches()  # seeds differ in shape, so nothing compiled is of further use
    return {**spec.activity(cell, step, round(given.duration / spec.DT_MS), given.scale),
            "w_mean": float(weight.mean(dtype=float)), "w_std": float(weight.std(dtype=float))}


def theirs(given: argparse.Namespace, seed: int) -> dict[str, float]:
    """One run of NEST's."""
    options = [f"--scale={given.scale}", f"--heard={given.heard}", f"--seed={seed}", "--recorded",
               f"--warm-up={FIRST_MS}", f"--duration={given.duration - FIRST_MS}"]
    peer = Peer("hpc-nest", given.peer_python, given.peer_threads, "hpc", options)
    record = peer.run()
    peer.close()
    return record


def compare(name: str, one: np.ndarray, other: np.ndarray) -> float:
    """Print one line of the table; the p of the rank test, 1 where too few runs have the quantity for a difference."""
    one, other = one[np.isfinite(one)], other[np.isfinite(other)]
    if min(one.size, other.size) < FEWEST:
        print(f"{name:14} in {one.size} and {other.size} runs only")
        return 1.0
    p = float(mannwhitneyu(one, other).pvalue)
    moments = [f"{x.mean():11.5f} {x.std(ddof=1):10.5f}" for x in (one, other)]
    print(f"{name:14}{moments[0]}{moments[1]} {p:9.3f}")
    return p


def main() -> None:
    """Run all seeds of both, print the table."""
    given = arguments()
    runs: list[list[dict[str, float]]] = [[], []]
    for seed in range(1, given.seeds + 1):
        for name, kept, run in zip(("ours", "nest"), runs, (ours, theirs), strict=True):
            kept.append(run(given, seed))
            if given.print_seeds:
                print(json.dumps({"side": name, "seed": seed, **kept[-1]}), flush=True)
    excitatory, inhibitory = spec.cells(given.scale)
    print(f"{excitatory} and {inhibitory} cells that hear {sum(spec.sources(given.heard)):,}, {given.duration:g} ms, "
          f"{given.seeds} seeds")
    print(f"{'':14}{'ours':>11} {'SD':>10}{'NEST':>11} {'SD':>10} {'p':>9}")
    least = min(compare(name, *(np.array([run[name] for run in kept]) for kept in runs)) for name in QUANTITIES)
    passed = least >= LEVEL / len(QUANTITIES)
    print(f"{'agree' if passed else 'differ'}: least p {least:.3g}, bound {LEVEL / len(QUANTITIES):.3g}")
    sys.exit(not passed)


if __name__ == "__main__":
    main()
