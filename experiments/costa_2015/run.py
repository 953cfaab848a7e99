"""Unified pre- and postsynaptic plasticity: frequency dependence, pharmacology, short-term dynamics, raw totals.

Costa, Froemke, Sjostrom & van Rossum (2015) eLife 4:e09457; data of Sjostrom, Turrigiano & Nelson (2001) Neuron 32:1149
through their literal protocol: 15 bursts of 5 pairs every 10 s; at 0.1 Hz 50 single pairs.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.events import run_events, spike_table, stack_tables
from retrojax.engine.rows import Bounds, Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import CalciumSpine, TsodyksMarkram, UnifiedRule, unified_rule
from retrojax.protocols import Protocol, bursts, pairs
from retrojax.testing import Target, holds, targets, write_targets

RATES_HZ = (0.1, 10, 20, 40, 50)
REFIT = {  # P/P0, q, w at every rate
    10: ((1.000, 1.000, 1.000), (1.038, 1.000, 1.038), (1.235, 1.013, 1.251), (1.449, 1.118, 1.620),
         (1.405, 1.198, 1.683)),
    -10: ((0.730, 1.000, 0.730), (0.505, 1.000, 0.505), (0.668, 1.006, 0.672), (1.162, 1.090, 1.267),
          (1.354, 1.165, 1.577)),
}
DATA = {  # mean and SEM
    10: ((0.964, 0.051), (1.152, 0.102), (1.305, 0.139), (1.540, 0.113), (1.559, 0.269)),
    -10: ((0.682, 0.077), (0.564, 0.108), (0.639, 0.090), (1.500, 0.305), (1.692, 0.186)),
}
RAW_AT = (10, -10, 25, -25)
RAW = {  # change of P and of q for every delta t; at 40 Hz, +-25 ms every post spike falls on a pre spike
    0.1: ((0, 0), (-7.4936, 0), (0, 0), (-4.4379, 0)),
    10: ((3.5592, 0.198636), (-14.6759, 0.059538), (2.9911, 0.158578), (-6.2958, 0.074578)),
    20: ((16.8262, 1.626559), (-8.0642, 1.029356), (8.2052, 1.298541), (8.1572, 1.289377)),
    40: ((58.16505, 8.429309), (43.3391, 7.745516), (78.7458, 6.729424), (80.6352, 6.572766)),
}
SPINE, RELEASE = CalciumSpine(), TsodyksMarkram()
PAPER = "Costa et al. 2015, eqs 3-8; refit to Sjostrom et al. 2001"


def sjostrom(rate_hz: float, dt: float) -> Protocol:
    """The protocol of one data point."""
    return pairs(50, rate_hz, dt) if rate_hz < 1 else bursts(rate_hz, dt)


def after(rule: UnifiedRule, protocols: list[Protocol], bounds: Bounds | None = None) -> np.ndarray:
    """P and q after every protocol, from P = 0.5 and q = 1."""
    synapse = Synapse(SPINE, RELEASE, (rule,), p_release=0.5, q=1.0, bounds=bounds)
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    run = jax.jit(jax.vmap(lambda table: run_events(synapse, init_state(synapse, ()), table, draws)[0].expression))
    return np.stack(run(stack_tables(protocols)), axis=-1)


def paired_pulse_ratio(p: float, interval: float = 50.0) -> float:
    """Second response over the first."""
    synapse = Synapse(SPINE, RELEASE, p_release=p)
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    table = spike_table([0.0, interval], [], interval)
    sent = run_events(synapse, init_state(synapse, ()), table, draws, lambda _, response: response)[1]
    first, second = sent[sent > 0]
    return float(second / first)


def frequency() -> list[Target]:
    """P/P0, q and w of the refit at ten points, and w against the data."""
    rows, chi2 = [], 0.0
    for dt in (10, -10):
        p, q = after(unified_rule("sjostrom_refit"), [sjostrom(f, dt) for f in RATES_HZ]).T
        w = 2 * p * q
        for k, f in enumerate(RATES_HZ):
            names = [f"AT-A6 {what}, {f:g} Hz, {dt:+d} ms" for what in ("P/P0", "q", "w")]
            rows += targets(names, PAPER, REFIT[dt][k], (2 * p[k], q[k], w[k]), absolute=1e-3)
            mean, sem = DATA[dt][k]
            rows.append(Target(f"AT-A6 w against data, {f:g} Hz, {dt:+d} ms", "Sjostrom et al. 2001", mean, 2 * sem,
                               float(w[k])))
            chi2 += ((w[k] - mean) / sem) ** 2
    return [*rows, *targets(["AT-A6 chi2 over the ten points"], PAPER, [4.39], chi2, absolute=0.01)]


def pharmacology() -> list[Target]:
    """Blocking nitric oxide or endocannabinoids at 50 Hz, +10 ms; and what it does to short-term dynamics."""
    blocks = {"control": {}, "NO block": {"nitric_oxide": 0.0}, "eCB block": {"endocannabinoid": 0.0}}
    outcome = [after(unified_rule("sjostrom_refit", **block), [sjostrom(50, 10)])[0] for block in blocks.values()]
    (p, _), (p_no, q_no), (p_ecb, _) = outcome
    w = [2 * a * b for a, b in outcome]
    rest, ratios = paired_pulse_ratio(0.5), [paired_pulse_ratio(float(a)) for a, _ in outcome]
    ltd = float(after(unified_rule("sjostrom_refit"), [sjostrom(20, -10)])[0, 0])
    where = "Costa et al. 2015, Fig. 1H; Sjostrom et al. 2007"
    return [
        *targets([f"AT-A6b w, {name}" for name in blocks], PAPER, (1.683, 1.198, 2.395), w, absolute=1e-3),
        *targets(["AT-A6b P, NO block", "AT-A6b q, NO block", "AT-A6b P, eCB block"], PAPER, (0.5, 1.198, 1.0),
                 (p_no, q_no, p_ecb), absolute=1e-3),
        holds("AT-A6b LTP: eCB block > control > NO block", where, w[2] > w[0] > w[1]),
        holds("AT-A6b short-term depression stronger after eCB block", where, ratios[2] < ratios[0] < rest),
        holds("AT-A6b short-term depression unchanged after NO block", where, abs(ratios[1] - rest) < 1e-9),
        *targets(["AT-A6c PPR(50 ms) at rest", "AT-A6c PPR(50 ms) after 20 Hz, -10 ms", "AT-A6c P after 20 Hz, -10 ms",
                  "AT-A6c PPR(50 ms) after 50 Hz, +10 ms", "AT-A6c P after 50 Hz, +10 ms"], PAPER,
                 (0.723, 0.921, 0.334, 0.502, 0.703), (rest, paired_pulse_ratio(ltd), ltd, ratios[0], p),
                 absolute=1e-3),
    ]


def raw_totals() -> list[Target]:
    """Plain sums of the updates of Table 1 over 60 pairs, without bounds."""
    unbounded, rows = Bounds(-1e3, 1e3, -1e3, 1e3), []
    for rate, expected in RAW.items():
        change = after(unified_rule("costa2015_table1"), [pairs(60, rate, dt) for dt in RAW_AT], unbounded) - (0.5, 1.0)
        names = [f"raw change of {what}, {rate:g} Hz, {dt:+d} ms" for dt in RAW_AT for what in "Pq"]
        rows += targets(names, "Costa et al. 2015, Table 1", np.ravel(expected), change, absolute=1e-9, relative=1e-4)
    return rows


def main() -> None:
    """Compute all targets in double precision."""
    with jax.enable_x64(True):
        rows = frequency() + pharmacology() + raw_totals()
    write_targets(rows, Path(__file__).parent)


if __name__ == "__main__":
    main()
