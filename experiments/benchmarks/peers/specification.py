"""The networks W1-W3, and how a peer is asked to run one. Needs NumPy alone, so that any interpreter can import it.

Poisson sources at 10 Hz drive as many leaky integrate-and-fire neurons through plastic synapses, 100 per neuron, whose
sources are drawn uniformly (two synapses may share both ends). A spike makes v jump by `JUMP` w u x.

- W1: Tsodyks-Markram release and additive pair STDP of w in [0, 1].
- W2: Tsodyks-Markram release and the calcium rule of Graupner & Brunel (2012), without noise or delay; w = rho.
- W3: W2 and a messenger on 64^3 voxels. Every synapse lies in one voxel drawn uniformly, emits kappa [c - theta_d]+ per
  ms into it, and its release probability follows the level M there: tau_U dU/dt = U0 (1 + alpha M/(M + K_M)) - U.

A peer is a process that builds its network, prints one JSON line when it is ready, and answers every line "run" on its
standard input with one JSON line; each run starts from the same state. Times exclude construction and compilation.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

DEGREE = 100
RATE_HZ, TAU_M, THRESHOLD, JUMP = 10.0, 20.0, 3.35, 100.0 / DEGREE
"""Rate of a source [Hz]; membrane time constant [ms], threshold and jump at full release [mV]; rest and reset are 0."""

U0, TAU_D, TAU_F, U_START, X_START = 0.5, 200.0, 50.0, 0.2, 0.4545
"""Tsodyks-Markram: u jumps to u + U0 (1 - u), then u x is released; times [ms]; start near the mean at 10 Hz."""

TAU_STDP, A_PLUS, A_MINUS, W_START = 20.0, 0.01, 0.0105, 0.5
"""Pair STDP: time constant of both traces [ms], steps of w."""

TAU_CA, C_PRE, C_POST, THETA_D, THETA_P = 22.6936, 0.56175, 1.23964, 1.0, 1.3
"""Calcium: time constant [ms], jumps and thresholds [units of theta_d]; Graupner & Brunel (2012), cortical slices."""

GAMMA_D, GAMMA_P, TAU_RHO, RHO_STAR, RHO_START = 331.909, 725.085, 346361.5, 0.5, 0.5
"""Efficacy: relative rates, time constant [ms], unstable point, start."""

SIDE, VOXEL, DIFFUSION, LOSS, FIELD_MS = 64, 1.0, 3.3, 1e-3, 1.0
"""Field: voxels per side, their size [um], D [um^2/ms], loss [1/ms], step of the peers [ms]; walls let nothing out."""

TAU_U, ALPHA, K_M = 1000.0, 0.8, 0.05
"""Effect of the messenger on release: time constant [ms], largest relative change, level of half effect."""


EMISSION = 0.001 * SIDE**3
"""kappa times the number of synapses, so that the level does not depend on size [per ms and unit of calcium]."""


class Wiring(NamedTuple):
    """`pre`: source of every synapse, [S], int32; synapse s ends at neuron s // DEGREE. `sources` = `neurons`."""

    neurons: int
    pre: np.ndarray

    @property
    def post(self) -> np.ndarray:
        """Neuron of every synapse, [S], int32."""
        return np.repeat(np.arange(self.neurons, dtype=np.int32), DEGREE)


def wiring(synapses: int, random: np.random.Generator) -> Wiring:
    """Sources of all synapses, drawn uniformly."""
    neurons = synapses // DEGREE
    return Wiring(neurons, random.integers(neurons, size=synapses, dtype=np.int32))


def propagator() -> np.ndarray:
    """What one field step multiplies each cosine mode by, float32, [side, side, side]."""
    modes = 2 * (np.cos(np.arange(SIDE) * np.pi / SIDE) - 1) / VOXEL**2
    symbol = modes[:, None, None] + modes[None, :, None] + modes[None, None, :]
    return np.exp((DIFFUSION * symbol - LOSS) * FIELD_MS).astype(np.float32)


def arguments(description: str | None, *flags: str) -> argparse.Namespace:
    """The command line of a peer; `flags` are its own switches."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=("w1", "w2", "w3"), default="w1")
    parser.add_argument("--synapses", type=lambda text: int(float(text)), default=100_000)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--dt", type=float, default=1.0, help="ms")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    for flag in flags:
        parser.add_argument(flag, action="store_true")
    return parser.parse_args()


def outcome(wall_s: float, given: argparse.Namespace, source_spikes: int, spikes: int, weight: np.ndarray,
            field: np.ndarray | None = None, release: np.ndarray | None = None) -> dict[str, float]:
    """Record of one run; `field` and `release` are M and U of W3."""
    neurons = given.synapses // DEGREE
    found = {"sim_wall_s": wall_s, "source_spikes": int(source_spikes),
             "post_rate_hz": float(spikes) / neurons / given.seconds,
             "w_mean": float(weight.mean(dtype=np.float64)), "w_std": float(weight.std(dtype=np.float64))}
    if field is not None and release is not None:
        found |= {"M_mean": float(field.mean(dtype=np.float64)), "U_mean": float(release.mean(dtype=np.float64))}
    return found


def serve(name: str, version: str, given: argparse.Namespace, prepare: Callable[[], Callable[[], dict]]) -> None:
    """Build, say so, then run once per line "run"."""
    start = time.perf_counter()
    run = prepare()
    ready = {"peer": name, "version": version, "threads": given.threads, "build_s": time.perf_counter() - start}
    print(json.dumps(ready), flush=True)
    for line in sys.stdin:
        if line.strip() != "run":
            raise SystemExit(f"a peer understands the line 'run', not {line.strip()!r}")
        print(json.dumps(run()), flush=True)
