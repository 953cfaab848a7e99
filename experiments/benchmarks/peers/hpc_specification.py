"""The network of NEST's hpc_benchmark, and how its peer is asked to run it. Needs NumPy alone.

A balanced network of 9,000 excitatory and 2,250 inhibitory cells per unit of scale (Morrison, Aertsen & Diesmann 2007,
Neural Comput 19:1437). Every cell hears 9,000 excitatory and 2,250 inhibitory cells whatever the scale, drawn with
replacement and never itself; synapses between excitatory cells are plastic. Currents are alpha functions, transmission
takes 1.5 ms, and every cell has a Poisson input of its own, which starts to arrive after as long. Potentials start
Gaussian, where the original starts all alike unless told otherwise.

Scales below 10 are for the cost of a step: few cells share so much input that activity becomes synchronous in time.
"""

import argparse

import numpy as np

EXCITATORY, INHIBITORY = 9000, 2250
"""Cells per unit of scale, and what a cell hears of either kind."""

DT_MS, DELAY_MS = 0.1, 1.5

C_M, TAU_M, TAU_SYN, T_REF, V_TH = 250.0, 10.0, 0.32582722403722841, 0.5, 20.0
"""Membrane: pF, ms, ms, ms, mV; rest and reset are 0."""

V_MEAN, V_SD = 5.7, 7.2
"""Potentials at the start [mV]."""

PEAK_MV, INHIBITION, DRIVE = 0.14, -5.0, 1.685
"""Peak of an excitatory potential; strength of an inhibitory one relative to it; outside input relative to the one
that brings the mean potential to the threshold."""

LAMBDA, ALPHA, MU, TAU_PLUS, TAU_MINUS = 0.1, 0.0513, 0.4, 15.0, 30.0
"""Power-law STDP: learning rate, relative depression, exponent, time constants [ms]; w0 is 1 pA."""


def weight_pa() -> float:
    """Peak current of a synapse whose potential peaks at `PEAK_MV` in a cell at rest [pA]."""
    t = np.linspace(0.0, 10.0, 1_000_001)
    b = 1 / TAU_SYN - 1 / TAU_M
    rise = (np.exp(-t / TAU_M) - np.exp(-t / TAU_SYN)) / b - t * np.exp(-t / TAU_SYN)
    return PEAK_MV / float((np.e / (TAU_SYN * C_M * b) * rise).max())


def outside_per_ms() -> float:
    """Rate of the Poisson input of a cell [1/ms], each of weight `weight_pa()`."""
    return DRIVE * V_TH / (TAU_M / C_M * weight_pa() * np.e * TAU_SYN)


def cells(scale: float) -> tuple[int, int]:
    """Excitatory and inhibitory cells."""
    return int(EXCITATORY * scale), int(INHIBITORY * scale)


def sources(heard: float = 1.0) -> tuple[int, int]:
    """Excitatory and inhibitory cells that a cell hears; `heard` is 1 in the benchmark."""
    return round(EXCITATORY * heard), round(INHIBITORY * heard)


def potentials(scale: float, seed: int) -> np.ndarray:
    """Potentials of all cells at the start [mV], [N]."""
    return np.random.default_rng((seed, 1)).normal(V_MEAN, V_SD, sum(cells(scale)))


def arguments(description: str | None) -> argparse.Namespace:
    """The command line of a peer."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=("hpc",), default="hpc")
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--warm-up", type=float, default=51.0, help="biological time before the one measured [ms]")
    parser.add_argument("--duration", type=float, default=249.0, help="biological time measured [ms]")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--heard", type=float, default=1.0, help="cells heard, relative to the benchmark's 11,250")
    parser.add_argument("--recorded", action="store_true", help="say what `activity` finds, from the start on")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def activity(cell: np.ndarray, step: np.ndarray, steps: int, scale: float) -> dict[str, float]:
    """What the spikes of a run of `steps` steps are like; cells and steps are numbered from 0.

    Rates of either kind of cell; mean variation of intervals over cells that have three or more, nan if none has;
    spikes per cell in the first 12 ms, in which volleys begin; standard deviation over bins of 1 ms of the spikes per
    cell.
    """
    excitatory, inhibitory = cells(scale)
    order = np.lexsort((step, cell))
    cell, step, seconds = cell[order], step[order], steps * DT_MS * 1e-3
    own, gap = cell[1:][cell[1:] == cell[:-1]], np.diff(step)[cell[1:] == cell[:-1]]
    count, total, squared = (np.bincount(own, x, sum(cells(scale))) for x in (None, gap, gap.astype(float) ** 2))
    many = count >= 3
    mean = total[many] / count[many]
    spread = np.sqrt(np.maximum(squared[many] / count[many] - mean**2, 0.0))
    cv = float((spread / mean).mean()) if many.any() else float("nan")
    bins = np.bincount(step // round(1 / DT_MS), minlength=round(steps * DT_MS)) / sum(cells(scale))
    return {"rate_ex_hz": (cell < excitatory).sum() / excitatory / seconds,
            "rate_in_hz": (cell >= excitatory).sum() / inhibitory / seconds, "cv": cv,
            "first_12_ms": float(bins[:12].sum()), "bin_std": float(bins.std())}


def outcome(wall_s: float, spikes: int, given: argparse.Namespace, weight: np.ndarray) -> dict[str, float]:
    """Record of one run; `weight` [pA] as synapses last sent it. A cell has as many targets, on average, as sources."""
    return {"sim_wall_s": wall_s, "events": spikes * sum(sources(given.heard)),
            "rate_hz": spikes / sum(cells(given.scale)) / given.duration * 1e3,
            "w_mean": float(weight.mean(dtype=np.float64)), "w_std": float(weight.std(dtype=np.float64))}
