"""Sparsely connected excitatory and inhibitory neurons: four states of a network of 12,500 cells.

Brunel (2000) J Comput Neurosci 8:183, Fig. 8. Jumps of the potential after a delay, outside input as a Poisson process
per cell. The rates are those of a network with the parameters of that figure on a time grid of 0.1 ms, in which every
cell draws its sources, here with replacement.
"""

import time
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from retrojax.engine.assemble import Wiring
from retrojax.engine.lazy.assemble import build_lazy, initial_state, plan_times
from retrojax.engine.lazy.network import run_chunk
from retrojax.engine.lazy.state import LazyTissue, Times
from retrojax.engine.model import Clocks, Model
from retrojax.engine.rows import Synapse
from retrojax.parts import DeltaLIF, SilentSpine, TsodyksMarkram
from retrojax.parts.background import PoissonBackground
from retrojax.parts.drive import Replay
from retrojax.readouts import fano_factor, interval_cv, spike_times
from retrojax.testing import Target, holds, targets, write_targets

EXCITATORY, INHIBITORY = 10_000, 2_500
SOURCES = 0.1  # of either kind that a cell listens to
JUMP, DELAY, TAU, THETA = 0.1, 1.5, 20.0, 20.0  # mV, ms, ms, mV
DT, TICK, CHUNK = 0.1, 3.0, 300.0  # ms
DROPPED = 1  # chunks at the start: the transient takes 200 ms
BRUNEL = "Brunel 2000, Fig. 8"


class State(NamedTuple):
    """A state of the network: its name, g, nu_ext/nu_thr, chunks after the transient, rate [Hz], and CV."""

    name: str
    g: float
    eta: float
    chunks: int
    rate: float
    cv: float


STATES = (
    State("synchronous regular", 3.0, 2.0, 3, 333.0, 0.0),
    State("fast synchronous irregular", 6.0, 4.0, 5, 58.5, 0.78),
    State("asynchronous irregular", 5.0, 2.0, 5, 37.3, 0.41),
    State("slow synchronous irregular", 4.5, 0.9, 18, 5.9, 0.67),
)


def outside(eta: float) -> PoissonBackground:
    """Input at `eta` times the rate that brings the mean potential to the threshold."""
    return PoissonBackground(eta * THETA / (JUMP * TAU), JUMP, DT)


def build(seed: int) -> tuple[Model, LazyTissue, Times]:
    """The network; g is the model's factor on inhibitory weights, so all states share one wiring."""
    random, cells = np.random.default_rng(seed), EXCITATORY + INHIBITORY
    drawn = [random.integers(low, high, (cells, round(SOURCES * (high - low))), np.int32)
             for low, high in ((0, EXCITATORY), (EXCITATORY, cells))]
    pre = np.concatenate(drawn, axis=1)
    # by source, then by target
    order = np.sort(pre.ravel().astype(np.int64) * cells + np.repeat(np.arange(cells), pre.shape[1]))
    pre, post = (part.astype(np.int32) for part in np.divmod(order, cells))
    none, weight = np.zeros(0, int), np.where(pre < EXCITATORY, JUMP, -JUMP).astype(np.float32)
    wiring = Wiring(none, none, none, none, np.zeros(0), pre, post, np.full(pre.size, round(DELAY / DT)), weight,
                    neurons=cells, sources=0)
    strongest = max(STATES, key=lambda state: state.eta)
    model = Model(jnp.asarray(DT), Synapse(SilentSpine(), TsodyksMarkram(), ()), jnp.asarray(0.0),
                  jnp.asarray(weight), jnp.asarray(1.0), DeltaLIF(TAU, 0.0, THETA, 10.0, 2.0),
                  Replay(np.zeros((1000, 0))), (), outside(strongest.eta))
    times = plan_times(wiring, Clocks(round(TICK / DT), (), round(CHUNK / TICK), round(CHUNK / TICK)))
    # every weight may be as strong as the strongest inhibition
    headroom = max(state.g for state in STATES)
    return model, build_lazy(model, wiring, times, None, 1.0, headroom, seed)[0], times


def simulate(model: Model, tissue: LazyTissue, times: Times, state: State, seed: int) -> np.ndarray:
    """Spikes after the transient, a bit per step, [block, neuron]."""
    neurons = EXCITATORY + INHIBITORY
    model = eqx.tree_at(lambda m: (m.inhibition, m.background.rate), model,
                        (jnp.asarray(state.g), outside(state.eta).rate))
    now = initial_state(model, tissue, times, [], neurons, seed)
    start = np.random.default_rng((seed, 1)).uniform(0.0, 10.0, neurons)
    now = eqx.tree_at(lambda s: s.neurons.v, now, jnp.asarray(start, float))
    seen = []
    for chunk in range(DROPPED + state.chunks):
        now, record = run_chunk(model, tissue, now, times, jnp.asarray(times.chunk, jnp.int32))
        seen += [np.asarray(record.spikes)] if chunk >= DROPPED else []
    if int(now.errors):
        raise RuntimeError("the summed input of a neuron left its range")
    return np.concatenate(seen)


def measure(words: np.ndarray, block: int) -> tuple[float, float, float]:
    """Rate [Hz], mean CV of the intervals, and Fano factor of all spikes in 1 ms."""
    steps, neurons = words.shape[0] * block, words.shape[1]
    neuron, step = spike_times(words, block)
    cv = interval_cv(neuron, step, neurons)
    return (neuron.size / neurons / (steps * DT * 1e-3), float(np.nanmean(cv)),
            fano_factor(step, steps, round(1 / DT)))


def main() -> None:
    """Run the four states."""
    model, tissue, times = build(seed=1)
    rows: list[Target] = []
    fano = {}
    for state in STATES:
        began = time.perf_counter()
        words = simulate(model, tissue, times, state, seed=2)
        rate, cv, fano[state.name] = measure(words, times.block)
        print(f"{state.name}: {rate:.2f} Hz, CV {cv:.4f}, Fano factor {fano[state.name]:.1f}; "
              f"{(DROPPED + state.chunks) * CHUNK / 1000:.1f} s in {time.perf_counter() - began:.1f} s")
        rows += targets([f"BN2 rate [Hz], {state.name}"], BRUNEL, [state.rate], rate, relative=0.1)
        rows += (targets([f"BN2 CV, {state.name}"], BRUNEL, [state.cv], cv, relative=0.1) if state.cv
                 else [holds(f"BN2 CV below 0.01, {state.name}", BRUNEL, cv < 0.01)])
    asynchronous = fano.pop("asynchronous irregular")
    rows.append(holds("BN2 every other state is more synchronous than the asynchronous one", BRUNEL,
                      all(other > 2 * asynchronous for other in fano.values())))
    write_targets(rows, Path(__file__).parent)


if __name__ == "__main__":
    main()
