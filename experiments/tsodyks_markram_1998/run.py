"""Short-term plasticity: closed forms, stochastic vesicles, and the statistics of release.

Tsodyks, Pawelzik & Markram (1998) Neural Comput 10:821; Fuhrmann et al. (2002) J Neurophysiol 87:140; Costa et al.
(2015) eLife 4:e09457, eqs 1-2 and 14-21.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.events import run_events, spike_table
from retrojax.engine.rows import Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import CalciumSpine, QuantalRelease, TsodyksMarkram
from retrojax.parts.base import AbstractRelease
from retrojax.testing import Target, holds, targets, write_targets

RATES_HZ = (10, 20, 50)
TRIALS = 100_000
CV_TRIALS = 400_000
COSTA = "Costa et al. 2015, eqs 14-15"
TSODYKS = "Tsodyks et al. 1998, facilitating E-I connection"
FUHRMANN = "Fuhrmann et al. 2002, mean of the stochastic model"
BINOMIAL = "Costa et al. 2015, eqs 17-21"


def responses(release: AbstractRelease, p: float, times_ms, trials: int = 1, seed: int = 0, q: float = 1.0):
    """Responses [pulse, trial] to spikes at those times."""
    # without rules the calcium of the spine moves nothing; a long delay keeps its landings out of the train
    synapse = Synapse(CalciumSpine(delay=1e6), release, p_release=p, q=q)
    table = spike_table(times_ms, [], max(times_ms))
    draws = Draws(jax.random.key(seed), jnp.arange(trials))
    run = jax.jit(lambda s: run_events(s, init_state(s, (trials,)), table, draws, lambda _, sent: sent)[1])
    # landings that are never due sort behind the pulses
    return np.asarray(run(synapse))[: len(times_ms)]


def train(rate_hz: float, pulses: int = 10) -> list[float]:
    """Times of a regular train [ms]."""
    return [k * 1000.0 / rate_hz for k in range(pulses)]


def depressing() -> list[Target]:
    """Second and tenth response of a depressing terminal."""
    release = TsodyksMarkram(tau_rec=200.0, tau_fac=50.0)
    isi = (20, 50, 100)
    ratio = [np.divide(*responses(release, 0.5, [0.0, d])[::-1, 0]) for d in isi]
    last = [np.divide(*responses(release, 0.5, train(f))[[9, 0], 0]) for f in RATES_HZ]
    return [
        *targets([f"AT-A1a A2/A1 at {d} ms" for d in isi], COSTA, (0.7311, 0.7229, 0.7439), ratio, relative=1e-3),
        *targets([f"AT-A1a A10/A1 at {f} Hz" for f in RATES_HZ], COSTA, (0.5872, 0.3882, 0.1846), last, relative=1e-3),
    ]


def facilitating() -> list[Target]:
    """Second and tenth response of a facilitating terminal."""
    release = TsodyksMarkram(tau_rec=130.0, tau_fac=530.0)
    trains = [responses(release, 0.03, train(f))[:, 0] for f in RATES_HZ]
    second, last = [a[1] / a[0] for a in trains], [a[9] / a[0] for a in trains]
    return [
        *targets([f"AT-A1b A2/A1 at {f} Hz" for f in RATES_HZ], TSODYKS, (1.778, 1.844, 1.884), second, absolute=1e-3),
        *targets([f"AT-A1b A10/A1 at {f} Hz" for f in RATES_HZ], TSODYKS, (4.068, 4.582, 4.009), last, absolute=1e-3),
    ]


def vesicles() -> list[Target]:
    """Mean of stochastic release over trials against the deterministic sequence, within 4 standard errors."""
    rows, seed = [], 1
    for rate in RATES_HZ:
        mean = responses(TsodyksMarkram(), 0.5, train(rate))[:, 0]
        for n in (1, 5, 20):
            released = responses(QuantalRelease(n_sites=n, most_sites=n), 0.5, train(rate), TRIALS, seed)
            error = released.std(axis=1, ddof=1) / np.sqrt(TRIALS)
            rows += [
                Target(f"AT-A1c mean m/N, N={n}, {rate} Hz, pulse {k + 1}", FUHRMANN, float(mean[k]),
                       float(4 * error[k]), float(released[k].mean()))
                for k in range(10)
            ]
            seed += 1
    return rows


def locus() -> list[Target]:
    """1/CV^2 and failures tell a presynaptic change from a postsynaptic one."""
    rows = []
    cases = ((0.5, 1.0, 5.0, 0.03125), (0.7, 1.0, 35 / 3, 0.3**5), (0.5, 1.5, 5.0, 0.03125))
    for seed, (p, q, inverse, failures) in enumerate(cases, start=100):
        sent = responses(QuantalRelease(n_sites=5, most_sites=5), p, [0.0], CV_TRIALS, seed, q)[0]
        error = np.sqrt(failures * (1 - failures) / CV_TRIALS)
        name = f"N=5, P={p}, q={q}"
        rows.append(Target(f"AT-A4 1/CV^2, {name}", BINOMIAL, inverse, 0.01 * inverse,
                           float(sent.mean() ** 2 / sent.var(ddof=1))))
        rows.append(Target(f"AT-A4 failures, {name}", BINOMIAL, failures, float(3 * error), float((sent == 0).mean())))
    up, down, scaled = (row.value for row in rows[::2])
    rows.append(holds("AT-A4 1/CV^2 moves with P and not with q", BINOMIAL,
                      down > 1.5 * up and abs(scaled / up - 1) < 0.02))
    return rows


def main() -> None:
    """Compute all targets in double precision."""
    with jax.enable_x64(True):
        rows = depressing() + facilitating() + vesicles() + locus()
    write_targets(rows, Path(__file__).parent)


if __name__ == "__main__":
    main()
