"""Statistics of spike trains as the lazy schedule records them: a bit per step and neuron."""

import numpy as np
from jaxtyping import Float, Int, UInt

from retrojax.engine.lazy.readout import spike_list


def spike_times(words: UInt[np.ndarray, "T N"], block: int) -> tuple[Int[np.ndarray, " K"], Int[np.ndarray, " K"]]:
    """Neuron and step (counted from 0) of every spike, by neuron and then by step.

    **Arguments**

    - `words`: of every block, a bit per step and neuron. `block`: steps in one.
    """
    step, neuron = spike_list(words, block)
    order = np.argsort(neuron, kind="stable")
    return neuron[order], step[order]


def interval_cv(
    neuron: Int[np.ndarray, " K"], step: Int[np.ndarray, " K"], neurons: int, least: int = 3
) -> Float[np.ndarray, " N"]:
    """Coefficient of variation of the intervals between a neuron's spikes; nan where there are fewer than `least`.

    The spikes come by neuron and then by step, as from `spike_times`.
    """
    same = neuron[1:] == neuron[:-1]
    owner, gap = neuron[1:][same], np.diff(step)[same].astype(np.float64)
    count = np.bincount(owner, minlength=neurons)
    mean = np.bincount(owner, gap, neurons) / np.maximum(count, 1)
    square = np.bincount(owner, (gap - mean[owner]) ** 2, neurons) / np.maximum(count, 1)
    return np.where(count >= least, np.sqrt(square) / np.where(mean > 0, mean, 1.0), np.nan)


def fano_factor(step: Int[np.ndarray, " K"], steps: int, window: int) -> float:
    """Variance over mean of the spikes of all neurons in windows of that many steps: 1 for independent Poisson trains.

    A last window that is not full is left out; nan without a spike.
    """
    windows = steps // window
    counts = np.bincount(step[step < windows * window] // window, minlength=windows)
    return float(counts.var() / counts.mean()) if counts.any() else float("nan")
