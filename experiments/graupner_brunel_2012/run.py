"""Calcium-threshold plasticity: STDP curves and frequency dependence from the kernel's own calcium path.

Graupner & Brunel (2012) PNAS 109:3991 with the correction of 2013, and the authors' published code. A periodic train
runs through the synapse kernel until calcium repeats itself; the time above each threshold per period, read there,
gives the change of strength. The set DP also runs as stochastic synapses. Numbers marked "equations" were computed from
the paper's equations by an independent implementation; one unit of the last digit is allowed.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.engine.events import run_events, stack_tables
from retrojax.engine.rows import Synapse, init_state
from retrojax.numerics import Draws
from retrojax.parts import TsodyksMarkram, calcium_rule, strength_change
from retrojax.parts.presets import GRAUPNER_BRUNEL
from retrojax.parts.threshold_clock import ThresholdClock
from retrojax.protocols import pairs
from retrojax.testing import Target, holds, targets, write_targets

EQUATIONS = "Graupner & Brunel 2012, equations"
CODE = "Graupner & Brunel 2012, published code"
SIXTY_AT = (-50, -20, -10, 0, 10, 20, 30, 50)
SIXTY = {
    "DP": (0.905, 0.764, 0.882, 1.008, 1.221, 1.172, 1.125, 1.055),
    "DPD": (1.000, 0.998, 0.859, 0.997, 0.961, 0.867, 0.999, 1.000),
    "P": (1.029, 1.098, 1.230, 1.238, 1.230, 1.098, 1.068, 1.029),
    "D": (1.000, 1.000, 1.000, 0.637, 1.000, 1.000, 1.000, 1.000),
    "D_prime": (0.874, 0.735, 0.719, 0.784, 0.834, 0.868, 0.890, 0.913),
}
BURST_AT = (-20, 0, 10, 15, 20, 30, 50)
BURST_100 = (0.861, 1.114, 1.513, 1.672, 1.676, 0.757, 0.988)
BURST_30 = (0.991, 1.019, 1.144, 1.241, 1.265, 0.933, 1.000)
RATES_HZ = (10, 20, 40, 50)
CORTEX = {10: (1.083, 1.253, 1.553, 1.637), -10: (0.621, 0.635, 1.585, 1.637)}
STOCHASTIC = {-20: (0.760, 0.764), -10: (0.885, 0.882), 10: (1.227, 1.221), 20: (1.188, 1.172)}
SYNAPSES = 10_000
PRINTED = 1.0001e-3  # one unit of the last printed digit


def times_above(name: str, period: float, offset_lists) -> np.ndarray:
    """Time above (theta_p, theta_d) in one period of the steady state [ms], for every list of post offsets."""
    spine, rule = calcium_rule(name)
    synapse = Synapse(spine, TsodyksMarkram(), (ThresholdClock(theta_d=rule.theta_d, theta_p=rule.theta_p),))
    # calcium forgets its start to double precision after 40 time constants
    start = period * (int(np.ceil(40 * float(spine.tau_Ca) / period)) + 2)
    protocols = []
    for offsets in offset_lists:
        pre = 200.0 + np.arange(0.0, start + period, period)
        post = np.sort((pre[:, None] + np.asarray(offsets)).ravel())
        protocols += [(pre[pre < end], post[post < end], end) for end in (start, start + period)]
    draws = Draws(jax.random.key(0), jnp.zeros((), jnp.int32))
    run = jax.jit(jax.vmap(lambda table: run_events(synapse, init_state(synapse, ()), table, draws)[0].rules[0]))
    clock = run(stack_tables(protocols))
    before_after = np.stack([clock.time_p, clock.time_d], axis=-1).reshape(-1, 2, 2)
    return before_after[:, 1] - before_after[:, 0]


def change(name: str, repetitions: int, rate_hz: float, offset_lists) -> np.ndarray:
    """Relative strength after a protocol, for every list of postsynaptic offsets."""
    total = jnp.asarray(repetitions * times_above(name, 1000.0 / rate_hz, offset_lists))
    _, rule = calcium_rule(name)
    return np.asarray(strength_change(total[:, 0], total[:, 1], rule, jnp.asarray(GRAUPNER_BRUNEL[name].beta)))


def stdp_curves() -> list[Target]:
    """60 pairs at 1 Hz for five published sets."""
    rows = []
    for name, expected in SIXTY.items():
        values = change(name, 60, 1.0, [[dt] for dt in SIXTY_AT])
        names = [f"AT-B3a {name}, 60 pairs at 1 Hz, {dt:+d} ms" for dt in SIXTY_AT]
        rows += targets(names, EQUATIONS, expected, values, absolute=PRINTED)
    return rows


def hippocampus() -> list[Target]:
    """Single pairs depress at 5 Hz; a second postsynaptic spike brings potentiation."""
    grid = np.arange(-95.0, 100.0, 5.0)
    single = change("hippocampal_slices", 200, 5.0, [[dt] for dt in grid])
    doublets = [[dt - 11.5, dt] for dt in BURST_AT]  # delta t counts to the second spike
    fraction = times_above("hippocampal_slices", 200.0, [[8.5, 20.0], [-1.5, 10.0]])[:, ::-1] / 200.0
    where = EQUATIONS
    return [
        holds("AT-B3b 200 x (1:1) at 5 Hz only depresses", where, single.max() <= 1.0),
        *targets(["AT-B3b 200 x (1:1) lowest", "AT-B3b 200 x (1:1) lowest at [ms]"], where, (0.703, 20.0),
                 (single.min(), grid[single.argmin()]), absolute=PRINTED),
        *[row for count, expected in ((100, BURST_100), (30, BURST_30)) for row in targets(
            [f"AT-B3b {count} x (1:2) at 5 Hz, {dt:+d} ms" for dt in BURST_AT], where, expected,
            change("hippocampal_slices", count, 5.0, doublets), absolute=PRINTED)],
        *targets([f"AT-B3b alpha_{kind} of (1:2) at {dt:+d} ms" for dt in (20, 10) for kind in "dp"],
                 CODE, (0.10410518, 0.03404337, 0.08841821, 0.02435240), fraction,
                 absolute=1e-8),
    ]


def cortex() -> list[Target]:
    """75 regular pairs at rising rates."""
    return [row for dt, expected in CORTEX.items() for row in targets(
        [f"AT-B3c cortical slices, 75 pairs at {f} Hz, {dt:+d} ms" for f in RATES_HZ], EQUATIONS, expected,
        [change("cortical_slices", 75, f, [[dt]])[0] for f in RATES_HZ], absolute=PRINTED)]


def stochastic() -> list[Target]:
    """Noisy synapses of the set DP, half of them starting DOWN, through 60 pairs at 1 Hz."""
    published = GRAUPNER_BRUNEL["DP"]
    spine, rule = calcium_rule("DP", noise=True)
    synapse = Synapse(spine, TsodyksMarkram(), (rule,))
    draws = Draws(jax.random.key(2012), jnp.arange(SYNAPSES))
    down = np.arange(SYNAPSES) < published.beta * SYNAPSES
    state = init_state(synapse, (SYNAPSES,))
    state = state._replace(rules=(state.rules[0]._replace(rho=jnp.asarray(np.where(down, 0.0, 1.0))),))
    tables = stack_tables([pairs(60, 1.0, float(dt)) for dt in STOCHASTIC])
    rho = jax.jit(lambda t: jax.lax.map(lambda one: run_events(synapse, state, one, draws)[0].rules[0].rho, t))(tables)
    before, rows = published.beta + (1 - published.beta) * published.b, []
    for high, (dt, (authors, analytic)) in zip(np.asarray(rho) > 0.5, STOCHASTIC.items(), strict=True):
        value = float((1 + (published.b - 1) * high.mean()) / before)
        spread = np.mean([high[group].var() for group in (down, ~down)])
        within = 3 * (published.b - 1) * np.sqrt(spread / SYNAPSES) / before + 0.02
        kinds = (("authors' runs", CODE, authors), ("analytic value", EQUATIONS, analytic))
        rows += [Target(f"AT-B3a DP stochastic at {dt:+d} ms against {kind}", source, expected, float(within), value)
                 for kind, source, expected in kinds]
    return rows


def main() -> None:
    """Compute all targets in double precision."""
    with jax.enable_x64(True):
        rows = stdp_curves() + hippocampus() + cortex() + stochastic()
    write_targets(rows, Path(__file__).parent)


if __name__ == "__main__":
    main()
