"""Self-sustained irregular activity of 4,000 cells with current-based synapses (CUBA).

Vogels & Abbott (2005) J Neurosci 25:10786, with the parameters of benchmark 2 of Brette et al. (2007) J Comput Neurosci
23:349. The rates are those of that network on a time grid of 0.1 ms. There a spike moves the currents of its targets at
once; here it takes one step, the shortest delay there is.
"""

import time
from pathlib import Path

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from retrojax.engine.assemble import Wiring
from retrojax.engine.lazy.assemble import build_lazy, plan_times
from retrojax.engine.lazy.network import run_chunk
from retrojax.engine.model import Clocks, Model
from retrojax.engine.rows import Synapse
from retrojax.parts import LIF, SilentSpine, TsodyksMarkram
from retrojax.parts.drive import Replay
from retrojax.readouts import interval_cv, spike_times
from retrojax.testing import targets, write_targets

CELLS, EXCITATORY, CONNECTED = 4000, 3200, 0.02
EXCITATION, INHIBITION = 1.62, -9.0  # mV
DT, TICK, CHUNK = 0.1, 1.0, 500.0  # ms
CHUNKS, DROPPED = 3, 1
SEEDS = (1, 2, 3)
MIDDLE, ACCEPTED = 5.65, 1.15  # 4.5 to 6.8 Hz
VOGELS = "Vogels & Abbott 2005, current-based network"


def neurons() -> LIF:
    """tau_m V' = g_ex + g_in - (V - E): currents are in mV where C_m and tau_m are the same number."""
    return LIF(C_m=20.0, tau_m=20.0, E_L=-49.0, V_th=-50.0, V_reset=-60.0, t_ref=5.0, tau_syn_ex=5.0, tau_syn_in=10.0)


def simulate(seed: int) -> tuple[np.ndarray, int]:
    """Spikes after the transient, a bit per step, [block, neuron]; and steps in a block."""
    random = np.random.default_rng(seed)
    pre, post = np.nonzero(random.random((CELLS, CELLS), np.float32) < CONNECTED)
    weight = np.where(pre < EXCITATORY, EXCITATION, INHIBITION)
    none = np.zeros(0, int)
    wiring = Wiring(none, none, none, none, np.zeros(0), pre, post, np.ones(pre.size, int), weight, neurons=CELLS,
                    sources=0)
    model = Model(jnp.asarray(DT), Synapse(SilentSpine(), TsodyksMarkram(), ()), jnp.asarray(0.0),
                  jnp.asarray(weight, float), jnp.asarray(1.0), neurons(), Replay(np.zeros((1000, 0))), ())
    times = plan_times(wiring, Clocks(round(TICK / DT), (), round(CHUNK / TICK), round(CHUNK / TICK)))
    tissue, state = build_lazy(model, wiring, times, None, 1.0, 1.0, seed)
    state = eqx.tree_at(lambda s: s.neurons.v, state, jnp.asarray(random.uniform(-60.0, -50.0, CELLS), float))
    seen = []
    for _ in range(CHUNKS):
        state, record = run_chunk(model, tissue, state, times, jnp.asarray(times.chunk, jnp.int32))
        seen.append(np.asarray(record.spikes))
    if int(state.errors):
        raise RuntimeError("the summed input of a neuron left its range")
    return np.concatenate(seen[DROPPED:]), times.block


def main() -> None:
    """Run one network per seed."""
    rows, variation = [], []
    for seed in SEEDS:
        began = time.perf_counter()
        words, block = simulate(seed)
        neuron, step = spike_times(words, block)
        counts = np.bincount(neuron, minlength=CELLS) / (words.shape[0] * block * DT * 1e-3)
        rates = counts[:EXCITATORY].mean(), counts[EXCITATORY:].mean()
        variation.append(float(np.nanmean(interval_cv(neuron, step, CELLS))))
        print(f"seed {seed}: {rates[0]:.2f} and {rates[1]:.2f} Hz, CV {variation[-1]:.3f}; "
              f"{CHUNKS * CHUNK / 1000:.1f} s in {time.perf_counter() - began:.1f} s")
        names = [f"BN1 rate [Hz] of {kind} cells, seed {seed}" for kind in ("excitatory", "inhibitory")]
        rows += targets(names, VOGELS, (MIDDLE, MIDDLE), rates, absolute=ACCEPTED)
    rows += targets([f"BN1 CV, seed {seed}" for seed in SEEDS], VOGELS, [0.535] * len(SEEDS), variation, relative=0.1)
    write_targets(rows, Path(__file__).parent)


if __name__ == "__main__":
    main()
