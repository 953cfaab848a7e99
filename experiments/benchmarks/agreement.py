"""Whether the networks of `network.py` do what the same networks do elsewhere: means over seeds, and their distance.

Without `--finer`, against the NumPy peer at the same dt; with it, the messenger's field step `--field-step` against a
finer one, both ours with the same wiring and drive. Prints one line per quantity; exit code 1 if one is too far off.

    python experiments/benchmarks/agreement.py --workload w2 --dt 0.1
    python experiments/benchmarks/agreement.py --workload w3 --dt 1 --finer 1
"""

import argparse
import os
import statistics
import sys

import jax
import workloads
from against import Peer

MOST_SD, MOST_CHANGE = 3.0, 0.01
"""Distance of means allowed: from a peer, in standard deviations over seeds; from a finer field step, relative."""

KEYS = ("post_rate_hz", "w_mean", "M_mean", "U_mean")


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=("w1", "w2", "w3"), default="w1")
    parser.add_argument("--synapses", type=lambda text: int(float(text)), default=100_000)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--dt", type=float, default=1.0, help="ms")
    parser.add_argument("--seeds", type=int, default=5, help="2 or more")
    parser.add_argument("--field-step", type=float, default=10.0, help="ms")
    parser.add_argument("--exact-emission", action="store_true", help="the peer integrates emission in w3")
    parser.add_argument("--finer", type=float, help="compare with this field step [ms] in place of the peer")
    given = parser.parse_args()
    if given.seeds < 2:
        parser.error("a standard deviation takes --seeds 2 or more")
    if given.finer is not None and given.workload != "w3":
        parser.error("only w3 has a field step")
    return given


def ours(given: argparse.Namespace, seed: int, field_ms: float) -> dict[str, float]:
    """Means of one run of our network."""
    network, state = workloads.build(given.workload, given.synapses, given.dt, seed, field_ms)
    ticks = workloads.whole(given.seconds * 1e3 / network.tick_ms, "seconds", given.seconds,
                            f"a multiple of {network.tick_ms / 1e3:g} s")
    state, spikes, _ = workloads.advance(network, state, ticks)
    state = workloads.synced((network.model, network.tissue), state, network.times)
    found = {"post_rate_hz": int(spikes.sum()) / network.neurons / given.seconds, **workloads.means(network, state)}
    jax.clear_caches()  # seeds differ in shape, so nothing compiled is of further use
    return found


def theirs(given: argparse.Namespace, seed: int) -> dict[str, float]:
    """Means of one run of the NumPy peer."""
    options = [f"--{name}={getattr(given, name)}" for name in ("synapses", "seconds", "dt")] + [f"--seed={seed}"]
    options += ["--exact-emission"] * given.exact_emission
    peer = Peer("numpy", None, len(os.sched_getaffinity(0)), given.workload, options)
    record = peer.run()
    peer.close()
    return record


def main() -> None:
    """Run all seeds of both, print the table."""
    given = arguments()
    seeds = range(1, given.seeds + 1)
    first = [ours(given, seed, given.field_step) for seed in seeds]
    if given.finer is None:
        name, second = "numpy", [theirs(given, seed) for seed in seeds]
    else:
        name, second = f"{given.finer:g} ms", [ours(given, seed, given.finer) for seed in seeds]
    print(f"{given.workload}, {given.synapses:,} synapses, {given.seconds:g} s, dt {given.dt:g} ms, {given.seeds} seeds"
          + f", field step {given.field_step:g} ms" * (given.workload == "w3")
          + ", exact emission" * given.exact_emission)
    print(f"{'':14}{'mean':>11} {'SD':>10}{name:>11} {'SD':>10} {'difference':>12}")
    passed = [compare(key, [run[key] for run in first], [run[key] for run in second], given.finer is not None)
              for key in KEYS if key in first[0]]
    sys.exit(not all(passed))


def compare(key: str, one: list[float], other: list[float], relative: bool) -> bool:
    """Print one line of the table; whether the means agree."""
    means, spreads = [statistics.mean(x) for x in (one, other)], [statistics.stdev(x) for x in (one, other)]
    spread = (sum(x**2 for x in spreads) / 2) ** 0.5
    away = means[0] / means[1] - 1 if relative else (means[0] - means[1]) / spread
    print(f"{key:14}{means[0]:11.6f} {spreads[0]:10.6f}{means[1]:11.6f} {spreads[1]:10.6f} "
          + (f"{away:+11.3%}" if relative else f"{away:+9.2f} SD"))
    return abs(away) <= (MOST_CHANGE if relative else MOST_SD)


if __name__ == "__main__":
    main()
