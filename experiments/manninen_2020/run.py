"""Timing-dependent LTD through an astrocyte: fraction of release lost against the interval between post and pre.

Manninen, Saudargiene & Linne (2020) PLoS Comput Biol 16:e1008360, the full model of their code (ModelDB 266819), with
its Euler steps of 0.05 ms: after 20 s of rest, 100 pairings at 0.2 Hz of 10-ms pulses, 25 uA/cm^2 into the postsynaptic
soma and, 10 to 200 ms later, 10 uA/cm^2 into the presynaptic terminal; then 20 s of rest. Expected are the final values
that the authors' script prints; a spike or a release at one threshold crossing more or less moves them.
"""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from retrojax.parts.biochemistry.tripartite import TripartiteSynapse
from retrojax.testing import Target, holds, targets, write_targets

PAPER = "Manninen et al. 2020 (ModelDB 266819)"
STEP = 0.05
STEPS_PER_S = round(1000 / STEP)
PULSE, PERIOD, PAIRINGS = 10 * STEPS_PER_S // 1000, 5 * STEPS_PER_S, 100
INTO_POST, INTO_PRE = 25.0, 10.0
LOST = (.4968, .4872, .4690, .4592, .4483, .4269, .4066, .3846, .3613, .3380,  # after 10, 20, ... 200 ms
        .3131, .2878, .2601, .2327, .1893, .1740, .1283, .1126, .0630, .0279)
INTERVALS = tuple(range(10, 201, 10))


def lost_fraction(synapse: TripartiteSynapse, interval: jax.Array) -> jax.Array:
    """f at the end, for pre `interval` ms after post. The leaks are set at the start and after 10 and 15 s."""
    step = jnp.asarray(STEP)
    delay = jnp.round(interval / STEP).astype(jnp.int32)

    def current(i, size):
        on = (i >= 0) & (i < PAIRINGS * PERIOD) & (i % PERIOD < PULSE)
        return jnp.where(on, size, 0.0)

    def rest(state, seconds):
        resting = synapse.resting(state)
        none = jnp.asarray(0.0)
        one = lambda _, s: synapse.step(s, resting, none, none, step)  # noqa: E731
        return jax.lax.fori_loop(0, seconds * STEPS_PER_S, one, state)

    state = rest(rest(synapse.init(), 10), 5)
    resting = synapse.resting(state)

    def paired(i, s):
        return synapse.step(s, resting, current(i - delay, INTO_PRE), current(i, INTO_POST), step)

    first, last = -5 * STEPS_PER_S, PAIRINGS * PERIOD + 20 * STEPS_PER_S
    return synapse.pre.depression(jax.lax.fori_loop(first, last, paired, state).pre)


def table() -> list[Target]:
    """All intervals in one batch."""
    run = jax.jit(jax.vmap(lost_fraction, in_axes=(None, 0)))
    f = np.asarray(run(TripartiteSynapse(), jnp.asarray(INTERVALS, float)))
    names = [f"f, {interval} ms" for interval in INTERVALS]
    return [*targets(names, PAPER, LOST, f, absolute=0.02),
            holds("f falls with the interval", PAPER, (np.diff(f) < 0).all())]


def main() -> None:
    """Compute all targets in double precision."""
    with jax.enable_x64(True):
        rows = table()
    write_targets(rows, Path(__file__).parent)


if __name__ == "__main__":
    main()
